/* Paths to answers; see query.h. Runs on the aggregator's thread. */
#include "query/query.h"

#include <string.h>

#include "query/query_dependencies.h"
#include "query/query_internal.h"
#include "query/query_smi.h"

enum { STATUS_OK = 200, STATUS_BAD_REQUEST = 400, STATUS_NOT_FOUND = 404, STATUS_INTERNAL_ERROR = 500 };

struct query_path {
    const char *path;
    json_t *(*run)(const struct query_sources *sources, struct query_input *input);
    const char *const *arguments; /* that it knows, NULL-terminated */
};

static const char *const services_arguments[] = {"window", "q", "mesh", NULL};
static const char *const edges_arguments[] = {
    "window", "q", "reporter", "source", "destination", "mesh", "origin", NULL};
static const char *const latency_arguments[] = {"window", "q", "of", "reporter", "source", "source_namespace",
    "destination", "destination_namespace", "route", "mesh", NULL};
static const char *const heatmap_arguments[] = {"window", "of", "reporter", "source", "source_namespace",
    "destination", "destination_namespace", "route", "mesh", NULL};
static const char *const top_arguments[] = {"by", "sort", "limit", "match", "window", "q", "max_age_ms",
    "reporter", "service", "namespace", "source", "source_namespace", "destination", "destination_namespace",
    "route", "mesh", NULL};
static const char *const no_arguments[] = {NULL};

static const struct query_path paths[] = {
    {.path = "/api/v1/services", .run = query_services, .arguments = services_arguments},
    {.path = "/api/v1/edges", .run = query_edges, .arguments = edges_arguments},
    {.path = "/api/v1/latency", .run = query_latency, .arguments = latency_arguments},
    {.path = "/api/v1/heatmap", .run = query_heatmap, .arguments = heatmap_arguments},
    {.path = "/api/v1/top", .run = query_top, .arguments = top_arguments},
    {.path = "/api/v1/ledger", .run = query_ledger, .arguments = no_arguments},
};

static const struct query_path *find_path(const char *path)
{
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        if (strcmp(paths[i].path, path) == 0) {
            return &paths[i];
        }
    }
    return NULL;
}

bool query_knows(const char *path)
{
    return find_path(path) != NULL || query_smi_knows(path) || query_dependencies_knows(path);
}

static bool is_known(const char *const *arguments, const char *name)
{
    for (; *arguments != NULL; arguments++) {
        if (strcmp(*arguments, name) == 0) {
            return true;
        }
    }
    return false;
}

/* A misspelt argument would otherwise widen the question without a word. */
static void check_names(const struct query_path *path, struct query_input *input)
{
    for (size_t i = 0; i < input->argument_count; i++) {
        const char *name = input->arguments[i].name;
        if (!is_known(path->arguments, name)) {
            query_reject(input, name, "unknown argument");
            return;
        }
        for (size_t j = 0; j < i; j++) {
            if (strcmp(input->arguments[j].name, name) == 0) {
                query_reject(input, name, "given twice");
                return;
            }
        }
    }
}

uint64_t query_age_ms_max(const char *path, const struct query_argument *arguments, size_t argument_count)
{
    struct query_input input = {.arguments = arguments, .argument_count = argument_count};
    const struct query_path *known = find_path(path);

    return known != NULL && is_known(known->arguments, "max_age_ms")
               ? query_number(&input, "max_age_ms", 0, QUERY_AGE_MS_MAX)
               : 0;
}

static int append(const char *bytes, size_t length, void *user)
{
    return buffer_append(user, bytes, length) < 0 ? -1 : 0;
}

/* Takes the value. False when memory ran out, then `out` is as before. */
static bool write_json(json_t *value, struct buffer *out)
{
    size_t before = out->length;
    bool written = value != NULL && json_dump_callback(value, append, out, JSON_REAL_PRECISION(12)) == 0 &&
                   buffer_append_text(out, "\n") == 0;

    json_decref(value);
    if (!written) {
        out->length = before;
        out->error = 0;
    }
    return written;
}

static unsigned answer_error(struct buffer *out, unsigned status, const char *argument, const char *message)
{
    json_t *error = argument != NULL ? json_pack("{s:{s:s%,s:s}}", "error", "message", message,
                                           strlen(message), "argument", argument)
                                     : json_pack("{s:{s:s}}", "error", "message", message);

    /* An argument's name comes from outside and may be no UTF-8 at all. */
    if (error == NULL) {
        error = json_pack("{s:{s:s}}", "error", "message", message);
    }
    return write_json(error, out) ? status : STATUS_INTERNAL_ERROR;
}

unsigned query_run(const struct query_sources *sources, const char *path,
    const struct query_argument *arguments, size_t argument_count, struct buffer *out)
{
    const struct query_path *known = find_path(path);
    struct query_input input = {.arguments = arguments, .argument_count = argument_count};

    if (query_smi_knows(path)) {
        return query_smi_run(sources, path, out);
    }
    if (query_dependencies_knows(path)) {
        return query_dependencies_run(sources, path, arguments, argument_count, out);
    }
    if (known == NULL) {
        return answer_error(out, STATUS_NOT_FOUND, NULL, "no such path");
    }
    check_names(known, &input);
    json_t *answer = input.bad_argument == NULL ? known->run(sources, &input) : NULL;
    if (input.bad_argument != NULL) {
        json_decref(answer);
        return answer_error(out, STATUS_BAD_REQUEST, input.bad_argument, input.message);
    }
    return write_json(answer, out) ? STATUS_OK
                                   : answer_error(out, STATUS_INTERNAL_ERROR, NULL, "out of memory");
}
