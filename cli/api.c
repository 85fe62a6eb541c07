/* GETs of the query API on libcurl, over the agent's Unix socket or TCP. One thread. */
#include "cli/api.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/paths.h"

enum { URL_BYTES_MAX = 4096 };

struct answer {
    char *text;
    size_t length;
};

static size_t on_body(char *bytes, size_t size, size_t count, void *user)
{
    struct answer *answer = user;
    size_t length = size * count;

    if (length > API_ANSWER_BYTES_MAX - answer->length) {
        return 0;
    }
    char *text = realloc(answer->text, answer->length + length + 1);
    if (text == NULL) {
        return 0;
    }
    memcpy(text + answer->length, bytes, length);
    answer->text = text;
    answer->length += length;
    text[answer->length] = '\0';
    return length;
}

/* Where to ask: a socket's path into `socket` (empty: none), and the base of the URL. */
static bool find_api(
    const char *api, char socket[static PATHS_BYTES_MAX], const char **ret_base, char *reason)
{
    struct paths_source source;

    socket[0] = '\0';
    *ret_base = "http://localhost";
    paths_source_init(&source, PATHS_SOCKET_API);
    if (api != NULL) {
        source.variable = api;
    }
    if (source.variable != NULL && strncmp(source.variable, "http://", 7) == 0) {
        *ret_base = source.variable;
        return true;
    }
    if (!paths_find(&source, PATHS_SOCKET_API, socket)) {
        (void)snprintf(reason, API_REASON_BYTES, "the socket's path is too long: %s",
            source.variable != NULL ? source.variable : "");
        return false;
    }
    return true;
}

/* What the agent says is wrong, or the bare status. */
static void explain_status(long status, json_t *body, char *reason)
{
    const char *message = json_string_value(json_object_get(json_object_get(body, "error"), "message"));
    const char *argument = json_string_value(json_object_get(json_object_get(body, "error"), "argument"));

    (void)snprintf(reason, API_REASON_BYTES, "%s%s%s (status %ld)", argument != NULL ? argument : "",
        argument != NULL ? ": " : "", message != NULL ? message : "the agent refused", status);
}

static bool perform(CURL *curl, const char *where, long *ret_status, char *reason)
{
    CURLcode code = curl_easy_perform(curl);

    if (code == CURLE_OK) {
        (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, ret_status);
        return true;
    }
    if (code == CURLE_COULDNT_CONNECT) {
        (void)snprintf(
            reason, API_REASON_BYTES, "no agent answers at %s; is weftd running? (WEFT_API names it)", where);
    } else {
        (void)snprintf(reason, API_REASON_BYTES, "%s: %s", where, curl_easy_strerror(code));
    }
    return false;
}

/* A handle for `path`, or NULL with a reason. *ret_where, for messages, is `socket` or part of `api`. */
static CURL *open_request(const char *api, const char *path, char socket[static PATHS_BYTES_MAX],
    const char **ret_where, char *reason)
{
    char url[URL_BYTES_MAX];
    const char *base;

    if (!find_api(api, socket, &base, reason)) {
        return NULL;
    }
    CURL *curl = curl_easy_init();
    if (curl == NULL) {
        (void)snprintf(reason, API_REASON_BYTES, "out of memory");
        return NULL;
    }
    (void)snprintf(url, sizeof url, "%s%s", base, path);
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    if (socket[0] != '\0') {
        (void)curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket);
    }
    *ret_where = socket[0] != '\0' ? socket : base;
    return curl;
}

json_t *api_get(const char *api, const char *path, char reason[static API_REASON_BYTES])
{
    char socket[PATHS_BYTES_MAX];
    struct answer answer = {.text = NULL};
    const char *where;
    long status = 0;
    json_t *body = NULL;
    CURL *curl = open_request(api, path, socket, &where, reason);

    if (curl == NULL) {
        return NULL;
    }
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)API_TIMEOUT_MS);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
    if (perform(curl, where, &status, reason)) {
        body = answer.text != NULL ? json_loadb(answer.text, answer.length, 0, NULL) : NULL;
        if (status != 200 || body == NULL) {
            explain_status(status, body, reason);
            json_decref(body);
            body = NULL;
        }
    }
    free(answer.text);
    curl_easy_cleanup(curl);
    return body;
}

/* ---- lines ---- */

struct line_reader {
    CURL *curl;
    bool (*line)(void *user, const char *text, size_t length);
    void *user;
    struct answer rest; /* what came of a line, or of an error's answer */
    bool is_stopped;    /* by the reader */
    bool is_too_long;
};

/* Hands over the whole lines; what is behind the last stays. */
static bool take_lines(struct line_reader *reader)
{
    char *at = reader->rest.text;
    char *end = at + reader->rest.length;
    char *newline;

    while ((newline = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        if (!reader->line(reader->user, at, (size_t)(newline - at))) {
            reader->is_stopped = true;
            return false;
        }
        at = newline + 1;
    }
    reader->rest.length = (size_t)(end - at);
    memmove(reader->rest.text, at, reader->rest.length);
    reader->is_too_long = reader->rest.length > API_LINE_BYTES_MAX;
    return !reader->is_too_long;
}

static size_t on_lines(char *bytes, size_t size, size_t count, void *user)
{
    struct line_reader *reader = user;
    long status = 0;

    if (on_body(bytes, size, count, &reader->rest) != size * count) {
        return 0;
    }
    (void)curl_easy_getinfo(reader->curl, CURLINFO_RESPONSE_CODE, &status);
    return status == 200 && !take_lines(reader) ? 0 : size * count;
}

int api_stream(const char *api, const char *path, bool (*line)(void *user, const char *text, size_t length),
    void *user, char reason[static API_REASON_BYTES])
{
    char socket[PATHS_BYTES_MAX];
    struct line_reader reader = {.line = line, .user = user};
    const char *where;
    long status = 0;

    reader.curl = open_request(api, path, socket, &where, reason);
    if (reader.curl == NULL) {
        return -1;
    }
    (void)curl_easy_setopt(reader.curl, CURLOPT_WRITEFUNCTION, on_lines);
    (void)curl_easy_setopt(reader.curl, CURLOPT_WRITEDATA, &reader);
    bool is_whole = perform(reader.curl, where, &status, reason);
    if (is_whole && status != 200) {
        json_t *body =
            reader.rest.text != NULL ? json_loadb(reader.rest.text, reader.rest.length, 0, NULL) : NULL;
        explain_status(status, body, reason);
        json_decref(body);
    } else if (reader.is_too_long) {
        (void)snprintf(
            reason, API_REASON_BYTES, "the agent sent a line of more than %d bytes", API_LINE_BYTES_MAX);
    }
    free(reader.rest.text);
    curl_easy_cleanup(reader.curl);
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
