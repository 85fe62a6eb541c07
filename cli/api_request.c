/* See api_request.h. One thread. */
#include "cli/api_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/no_agent.h"

enum { URL_BYTES_MAX = 8192 };

size_t api_request_on_body(char *bytes, size_t size, size_t count, void *user)
{
    struct api_request *request = user;
    size_t length = size * count;

    if (length > API_ANSWER_BYTES_MAX - request->length) {
        return 0;
    }
    char *text = realloc(request->text, request->length + length + 1);
    if (text == NULL) {
        return 0;
    }
    memcpy(text + request->length, bytes, length);
    request->text = text;
    request->length += length;
    text[request->length] = '\0';
    return length;
}

/* Where to ask: a socket's path into `socket` (empty: none), and the base of the URL. */
static bool find_api(struct api_request *request, char *reason)
{
    struct paths_source source;

    paths_source_init(&source, PATHS_SOCKET_API);
    if (request->api != NULL) {
        source.variable = request->api;
    }
    if (source.variable != NULL && strncmp(source.variable, "http://", 7) == 0) {
        request->where = source.variable;
        return true;
    }
    if (!paths_find(&source, PATHS_SOCKET_API, request->socket)) {
        (void)snprintf(reason, API_REASON_BYTES, "the socket's path is too long: %s",
            source.variable != NULL ? source.variable : "");
        return false;
    }
    request->where = request->socket;
    return true;
}

bool api_request_open(struct api_request *request, const char *api, char *reason)
{
    *request = (struct api_request){.api = api};
    if (!find_api(request, reason)) {
        return false;
    }
    request->curl = curl_easy_init();
    if (request->curl == NULL) {
        (void)snprintf(reason, API_REASON_BYTES, "out of memory");
        return false;
    }
    (void)curl_easy_setopt(request->curl, CURLOPT_NOPROXY, "*");
    (void)curl_easy_setopt(request->curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(request->curl, CURLOPT_WRITEFUNCTION, api_request_on_body);
    (void)curl_easy_setopt(request->curl, CURLOPT_WRITEDATA, request);
    if (request->socket[0] != '\0') {
        (void)curl_easy_setopt(request->curl, CURLOPT_UNIX_SOCKET_PATH, request->socket);
    }
    return true;
}

void api_request_close(struct api_request *request)
{
    curl_easy_cleanup(request->curl);
    free(request->text);
    *request = (struct api_request){.curl = NULL};
}

bool api_request_set_path(struct api_request *request, const char *path, char *reason)
{
    char url[URL_BYTES_MAX];
    const char *base = request->socket[0] != '\0' ? "http://localhost" : request->where;
    int length = snprintf(url, sizeof url, "%s%s", base, path);

    if (length < 0 || (size_t)length >= sizeof url ||
        curl_easy_setopt(request->curl, CURLOPT_URL, url) != CURLE_OK) {
        (void)snprintf(reason, API_REASON_BYTES, "the question is too long");
        return false;
    }
    return true;
}

void api_request_explain_status(long status, const json_t *body, char *reason)
{
    const json_t *error = json_object_get(body, "error");
    const char *message = json_string_value(json_object_get(error, "message"));
    const char *argument = json_string_value(json_object_get(error, "argument"));

    (void)snprintf(reason, API_REASON_BYTES, "%s%s%s (status %ld)", argument != NULL ? argument : "",
        argument != NULL ? ": " : "", message != NULL ? message : "the agent refused", status);
}

bool api_request_check(const struct api_request *request, CURLcode code, char *reason)
{
    if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST) {
        no_agent_explain(request->api, reason, API_REASON_BYTES);
    } else if (code == CURLE_OPERATION_TIMEDOUT) {
        (void)snprintf(reason, API_REASON_BYTES, "the agent does not answer in time (%s)", request->where);
    } else if (code != CURLE_OK) {
        (void)snprintf(reason, API_REASON_BYTES, "%s: %s", request->where, curl_easy_strerror(code));
    }
    return code == CURLE_OK;
}

json_t *api_request_take(struct api_request *request, CURLcode code, char *reason)
{
    long status = 0;
    json_t *body = NULL;

    if (api_request_check(request, code, reason)) {
        (void)curl_easy_getinfo(request->curl, CURLINFO_RESPONSE_CODE, &status);
        body = request->text != NULL ? json_loadb(request->text, request->length, 0, NULL) : NULL;
        if (status != 200 || body == NULL) {
            api_request_explain_status(status, body, reason);
            json_decref(body);
            body = NULL;
        }
    }
    free(request->text);
    request->text = NULL;
    request->length = 0;
    return body;
}
