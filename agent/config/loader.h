/*
 * What the steps of loading share, and the steps in their order:
 *
 *   text ─marks─► lines of keys ─document (libcyaml)─► texts of values ─convert─► struct config ─environment,
 * check─► complete
 *
 * Internal to this folder.
 */
#ifndef WEFT_CONFIG_LOADER_H
#define WEFT_CONFIG_LOADER_H

#include "config/config.h"
#include "config/marks.h"
#include "config/schema.h"

/*
 * A group as libcyaml leaves it: one cell for each field of the schema's group, in its order. `ptr` is NULL
 * for a key not given; else a NUL-terminated text, a group's cells, an array of `count` texts, or an array of
 * `count` groups (each the group's field_count cells).
 */
struct document_cell {
    void *ptr;
    uint64_t count;
};

struct document {
    struct document_cell *cells; /* of config_schema; NULL for an empty file */
    struct arena arena;          /* libcyaml's schema, made from ours */
    const void *cyaml_schema;
};

/* Reads the text. 0, WERR_CONFIG or WERR_NOMEM; error as marks_load. */
int document_load(struct document *document, const char *text, size_t length, struct config_error *error);
void document_deinit(struct document *document);

struct loader {
    const struct config_source *source;
    struct config *config;
    struct marks marks;
    struct config_error *error;
};

/* Fills the error with "FILE:LINE: path: message" (what of it is known; path may be NULL). Returns `status`.
 */
__attribute__((format(printf, 4, 5))) int loader_fail(
    struct loader *loader, int status, const char *path, const char *format, ...);

int loader_fail_memory(struct loader *loader);

/* Keys and values may hold line breaks and control characters; what is said of them is one line: they become
 * question marks. */
void loader_make_line(char *text);

/* A copy in the configuration's arena, NULL when it is full. */
const char *loader_copy(struct loader *loader, const char *text, size_t length);

/* Reads a whole file into the configuration's arena, NUL-terminated. 0, WERR_IO (errno set), WERR_OVERSIZED,
 * WERR_NOMEM. */
int loader_read_file(
    struct loader *loader, const char *path, size_t bytes_max, const char **ret_text, size_t *ret_length);

/* All defaults of the group into the zeroed struct at `out`. 0 or WERR_NOMEM. */
int convert_defaults(struct loader *loader, const struct config_group *group, void *out);

/* The cells of a group (NULL: none) into the struct at `out`, over what is there. `prefix`: path of the
 * group, "" on top. */
int convert_group(struct loader *loader, const struct config_group *group, const struct document_cell *cells,
    const char *prefix, void *out);

/* One expanded text into the field at `out`; `path` names it in errors. */
int convert_scalar(
    struct loader *loader, const struct config_field *field, const char *path, const char *text, void *out);

/* Destinations that OTEL_EXPORTER_OTLP_* describe, when the file has none. */
int otlp_environment_load(struct loader *loader);

/* What --socket, --http and --shards say. */
int check_options(struct loader *loader);

/* Lower-cases the name; WERR_CONFIG when name or value cannot stand in an HTTP header, with what was
 * expected. */
int check_header(struct loader *loader, struct config_header *header, const char **ret_expected);

/* Whether it is http:// or https:// with a host and without spaces or control bytes. */
bool check_is_url(const char *text);

/* As loader_fail, for a key of a destination; the destination's line is the place when the key is missing. */
__attribute__((format(printf, 4, 5))) int check_fail_otlp(
    struct loader *loader, size_t index, const char *key, const char *format, ...);

/*
 * Endpoints, sources of credentials and conditions of a destination at AWS; nothing when it is none. Before
 * the URLs are looked at.
 */
int check_aws(struct loader *loader, size_t index);

/* As check_config, for one OTLP destination. */
int check_otlp(struct loader *loader, size_t index);

/* Fails at `path` when there is no such group on this machine. name may be NULL: (gid_t)-1. */
int check_group(struct loader *loader, const char *path, const char *name, gid_t *ret_gid);

/* Fails at `path` when the address is none of loopback with a port. NULL is fine. */
int check_loopback(struct loader *loader, const char *path, const char *address);

/* As check_config, for `trace`. */
int check_trace(struct loader *loader);

/* As check_config, for `identity`. */
int check_identity(struct loader *loader);

/* As check_config, for `receivers.scrape`. */
int check_scrapes(struct loader *loader);

/* As check_config, for `meshes` and all that names one. After the receivers' own checks. */
int check_meshes(struct loader *loader);
int check_http_listeners(struct loader *loader);

/* A secret that requests bear; NULL is fine. */
int check_token(struct loader *loader, const char *path, const char *token);

int check_routes(struct loader *loader);

/* As check_config, for `metrics.bounds_ms` and `metrics.bounds_per_route`. */
int check_bounds(struct loader *loader);

/* `path`: of the key; `taken`: a label that the series have already, or NULL. */
int check_labels(
    struct loader *loader, const char *path, const struct config_labels *labels, const char *taken);

/* As check_config, for receivers.access_logs. After check_receivers. */
int check_access_logs(struct loader *loader);

/* The conditions of receivers.otlp. */
int check_listeners(struct loader *loader);

/* As check_config, for `receivers`. After the sockets' default paths. */
int check_receivers(struct loader *loader);

/* Those of the conditions that bind a live key to others; nothing is derived. */
int check_live(struct loader *loader);

/*
 * The loader's configuration becomes `running` with its live keys, and is checked as such. 0 or WERR_CONFIG;
 * changes.c.
 */
struct config_changes;
int config_mix(struct loader *loader, const struct config *running, struct config_changes *ret_changes);

/* The conditions that bind several keys, and what is derived: default paths, group ids, addresses, URLs. */
int check_config(struct loader *loader);

#endif
