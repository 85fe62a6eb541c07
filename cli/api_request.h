/* One request to the API on libcurl, what api.c (waits) and api_client.c (does not) have in common. For them
 * alone. */
#ifndef WEFT_CLI_API_REQUEST_H
#define WEFT_CLI_API_REQUEST_H

#include <curl/curl.h>
#include <jansson.h>
#include <stdbool.h>

#include "cli/api.h"
#include "core/paths.h"

struct api_request {
    CURL *curl;
    const char *api;              /* as it was asked for; borrowed */
    char socket[PATHS_BYTES_MAX]; /* "": none */
    const char *where;            /* for messages: the socket, or the base of the URL */
    char *text;                   /* what came of the answer's body */
    size_t length;
};

/* False with a reason; close it in either case. The handle does not move: libcurl points at it. */
bool api_request_open(struct api_request *request, const char *api, char *reason);
void api_request_close(struct api_request *request);

/* Names what to GET next, on the same connection. False without memory or when it is too long. */
bool api_request_set_path(struct api_request *request, const char *path, char *reason);

/* libcurl's writer: appends to text. */
size_t api_request_on_body(char *bytes, size_t size, size_t count, void *user);

/* The answer, or NULL with a reason, after libcurl ended with `code`. The body is dropped. */
json_t *api_request_take(struct api_request *request, CURLcode code, char *reason);

/* Whether libcurl did its part; else the reason. */
bool api_request_check(const struct api_request *request, CURLcode code, char *reason);

/* What the agent says is wrong, or the bare status. */
void api_request_explain_status(long status, const json_t *body, char *reason);

#endif
