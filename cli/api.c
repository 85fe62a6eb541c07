/* GETs of the query API that wait for their answer, whole or line by line. One thread. */
#include "cli/api.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/api_request.h"

json_t *api_get(const char *api, const char *path, char reason[static API_REASON_BYTES])
{
    struct api_request request;
    json_t *answer = NULL;

    if (api_request_open(&request, api, reason) && api_request_set_path(&request, path, reason)) {
        (void)curl_easy_setopt(request.curl, CURLOPT_TIMEOUT_MS, (long)API_TIMEOUT_MS);
        answer = api_request_take(&request, curl_easy_perform(request.curl), reason);
    }
    api_request_close(&request);
    return answer;
}

/* ---- lines ---- */

struct line_reader {
    bool (*line)(void *user, const char *text, size_t length);
    void *user;
    struct api_request request; /* its text: what came of a line, or of an error's answer */
    bool is_stopped;            /* by the reader */
    bool is_too_long;
};

/* Hands over the whole lines; what is behind the last stays. */
static bool take_lines(struct line_reader *reader)
{
    char *at = reader->request.text;
    char *end = at + reader->request.length;
    char *newline;

    while ((newline = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        if (!reader->line(reader->user, at, (size_t)(newline - at))) {
            reader->is_stopped = true;
            return false;
        }
        at = newline + 1;
    }
    reader->request.length = (size_t)(end - at);
    memmove(reader->request.text, at, reader->request.length);
    reader->is_too_long = reader->request.length > API_LINE_BYTES_MAX;
    return !reader->is_too_long;
}

static size_t on_lines(char *bytes, size_t size, size_t count, void *user)
{
    struct line_reader *reader = user;
    long status = 0;

    if (api_request_on_body(bytes, size, count, &reader->request) != size * count) {
        return 0;
    }
    (void)curl_easy_getinfo(reader->request.curl, CURLINFO_RESPONSE_CODE, &status);
    return status == 200 && !take_lines(reader) ? 0 : size * count;
}

int api_stream(const char *api, const char *path, bool (*line)(void *user, const char *text, size_t length),
    void *user, char reason[static API_REASON_BYTES])
{
    struct line_reader reader = {.line = line, .user = user};
    struct api_request *request = &reader.request;
    long status = 0;
    bool is_whole = false;

    if (api_request_open(request, api, reason) && api_request_set_path(request, path, reason)) {
        (void)curl_easy_setopt(request->curl, CURLOPT_WRITEFUNCTION, on_lines);
        (void)curl_easy_setopt(request->curl, CURLOPT_WRITEDATA, &reader);
        is_whole = api_request_check(request, curl_easy_perform(request->curl), reason);
        (void)curl_easy_getinfo(request->curl, CURLINFO_RESPONSE_CODE, &status);
    }
    if (is_whole && status != 200) {
        json_t *body = request->text != NULL ? json_loadb(request->text, request->length, 0, NULL) : NULL;
        api_request_explain_status(status, body, reason);
        json_decref(body);
    } else if (reader.is_too_long) {
        (void)snprintf(
            reason, API_REASON_BYTES, "the agent sent a line of more than %d bytes", API_LINE_BYTES_MAX);
    }
    api_request_close(request);
    return (is_whole && status == 200) || reader.is_stopped ? 0 : -1;
}

bool api_add_argument(char *path, size_t path_bytes, const char *name, const char *value)
{
    size_t used = strlen(path);
    char *encoded = curl_easy_escape(NULL, value, 0);

    if (encoded == NULL) {
        return false;
    }
    int length = snprintf(
        path + used, path_bytes - used, "%c%s=%s", strchr(path, '?') != NULL ? '&' : '?', name, encoded);
    curl_free(encoded);
    return length > 0 && (size_t)length < path_bytes - used;
}
