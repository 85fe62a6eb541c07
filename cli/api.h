/* The agent's query API from the command line: one GET, its JSON. */
#ifndef WEFT_CLI_API_H
#define WEFT_CLI_API_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum {
    API_REASON_BYTES = 1024,
    API_ANSWER_BYTES_MAX = 67108864,
    API_TIMEOUT_MS = 10000,
    API_LINE_BYTES_MAX = 65536
};

/*
 * GETs `path` (with its query string) from `api`: the path of a Unix socket, or an http:// URL; NULL looks in
 * WEFT_API, then in the usual places. Returns the answer, the caller's to decref, or NULL with lines for the
 * user in `reason`.
 */
json_t *api_get(const char *api, const char *path, char reason[static API_REASON_BYTES]);

/*
 * GETs `path` and hands over each line of the answer as it comes, without its end, until the agent ends it or
 * `line` returns false. 0, or -1 with a line for the user in `reason`; a longer line than API_LINE_BYTES_MAX
 * is an error. Waits for ever: the user ends it.
 */
int api_stream(const char *api, const char *path, bool (*line)(void *user, const char *text, size_t length),
    void *user, char reason[static API_REASON_BYTES]);

/* Appends name=value, percent-encoded, with '?' or '&' before it. False when `path` (path_bytes long) has no
 * room. */
bool api_add_argument(char *path, size_t path_bytes, const char *name, const char *value);

#endif
