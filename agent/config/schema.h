/*
 * The keys of the configuration file as data. The reader, the defaults, the test of the example file and the
 * errors that name the expected keys all come from these tables.
 *
 *   group ──► field, field, ...      a field is a scalar, a list of scalars, a group, or a list of groups
 */
#ifndef WEFT_CONFIG_SCHEMA_H
#define WEFT_CONFIG_SCHEMA_H

#include <stddef.h>
#include <stdint.h>

enum config_kind {
    /* kind              the C type at field.offset */
    CONFIG_KIND_STRING,      /* const char * of smallest..largest bytes */
    CONFIG_KIND_SECRET,      /* the same; its value is never shown in an error */
    CONFIG_KIND_SECRET_FILE, /* the same, read from the named file; shares its offset with the key that gives
                                it directly */
    CONFIG_KIND_FILE,        /* const char *, a readable file */
    CONFIG_KIND_BOOL,        /* bool */
    CONFIG_KIND_INTEGER,     /* uint64_t, smallest..largest */
    CONFIG_KIND_SIGNED,      /* int64_t, (int64_t)smallest..(int64_t)largest */
    CONFIG_KIND_FRACTION,    /* uint64_t, parts of 10^9: a decimal number from 0 to 1 */
    CONFIG_KIND_MODE,        /* uint32_t, octal */
    CONFIG_KIND_CHOICE,      /* an enum: index in field.choices */
    CONFIG_KIND_CHOICES,     /* uint32_t: list, one bit for each index in field.choices */
    CONFIG_KIND_STRINGS,     /* struct config_strings */
    CONFIG_KIND_MS_LIST,     /* struct config_numbers: decimal milliseconds, held as nanoseconds, rising */
    CONFIG_KIND_GROUP,       /* the group's struct */
    CONFIG_KIND_GROUPS       /* a struct of pointer and count */
};

/* Whether a change needs a new start of the agent. */
enum config_apply { CONFIG_APPLY_LIVE, CONFIG_APPLY_RESTART };

struct config_field {
    const char *name;
    enum config_kind kind;
    enum config_apply apply;
    size_t offset;      /* in the struct of the group that holds the field */
    size_t file_offset; /* of a SECRET_FILE: where the file's name is kept, const char * */
    const char *value;  /* the default as one would write it, list items parted by spaces; NULL: none */
    uint64_t smallest;  /* see config_kind */
    uint64_t largest;
    const char *const *choices; /* names, then NULL */
    const struct config_group *group;
};

struct config_group {
    const struct config_field *fields;
    size_t field_count;
    size_t size_bytes; /* of the struct */
};

/* The whole file: struct config. */
extern const struct config_group config_schema;

/* One OTLP destination: struct config_otlp. */
extern const struct config_group config_schema_otlp;

enum { CONFIG_PATH_BYTES_MAX = 256, CONFIG_DEPTH_MAX = 8 };

/* The field of that name; NULL when there is none. */
const struct config_field *config_group_find(
    const struct config_group *group, const char *name, size_t length);

/* Which file the secret at a SECRET's or SECRET_FILE's place was read from, NULL: it was given directly, or
 * not at all. `base`: the group's struct. */
const char *config_secret_file(
    const struct config_group *group, const struct config_field *field, const void *base);

/* Calls visit for every field that holds a value (no groups), its path as "exporters.otlp[].tls.ca_file". */
void config_schema_visit(
    void (*visit)(const char *path, const struct config_field *field, void *user), void *user);

#endif
