/*
 * One request: its body is gathered within the assembly budget, the handler is called once, and the answer is
 * queued either at once or, when the handler keeps the exchange, after a suspension. Runs on the shard's
 * loop.
 */
#include "listen/http_exchange.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "core/error.h"

struct http_exchange {
    struct http_server *server;
    struct MHD_Connection *connection;
    char *path;
    char method[16];
    const struct http_connection *own;
    struct buffer body;
    uint64_t reserved_bytes;  /* of the assembly budget */
    uint64_t discarded_bytes; /* of a body that is refused */
    unsigned refusal_status;  /* set while the body arrives; 0: none */
    struct MHD_Response *response;
    unsigned status;
    bool handled;   /* the handler was called */
    bool suspended; /* in libmicrohttpd and in the server's list */
    struct http_exchange *next;
    struct http_exchange *previous;
};

static void release_body(struct http_exchange *exchange)
{
    buffer_deinit(&exchange->body);
    budget_release(exchange->server->config.assembly, exchange->reserved_bytes);
    exchange->reserved_bytes = 0;
}

static void link_suspended(struct http_exchange *exchange)
{
    struct http_server *server = exchange->server;

    exchange->suspended = true;
    exchange->next = server->suspended;
    if (server->suspended != NULL) {
        server->suspended->previous = exchange;
    }
    server->suspended = exchange;
}

static void unlink_suspended(struct http_exchange *exchange)
{
    if (exchange->previous != NULL) {
        exchange->previous->next = exchange->next;
    } else {
        exchange->server->suspended = exchange->next;
    }
    if (exchange->next != NULL) {
        exchange->next->previous = exchange->previous;
    }
    exchange->next = NULL;
    exchange->previous = NULL;
    exchange->suspended = false;
}

static struct http_exchange *exchange_new(
    struct http_server *server, struct MHD_Connection *connection, const char *url, const char *method)
{
    struct http_exchange *exchange = calloc(1, sizeof *exchange);
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    if (exchange == NULL || info == NULL || info->socket_context == NULL) {
        free(exchange);
        return NULL;
    }
    exchange->server = server;
    exchange->connection = connection;
    exchange->own = info->socket_context;
    (void)snprintf(exchange->method, sizeof exchange->method, "%s", method);
    buffer_init(&exchange->body, server->config.limits->message_bytes_max);
    exchange->path = strdup(url);
    if (exchange->path == NULL) {
        free(exchange);
        return NULL;
    }
    return exchange;
}

/* Every byte kept is reserved first; what has no room is refused once the request has ended. */
static void take_body(struct http_exchange *exchange, const char *bytes, size_t length)
{
    struct http_server *server = exchange->server;

    if (exchange->refusal_status != 0) {
        exchange->discarded_bytes += length;
        return;
    }
    if (exchange->body.length + length > server->config.limits->message_bytes_max) {
        exchange->refusal_status = MHD_HTTP_CONTENT_TOO_LARGE;
        metric_add(server->config.cells, METRIC_MESSAGES_REFUSED_OVERSIZED, 1);
    } else if (!budget_reserve(server->config.assembly, length)) {
        exchange->refusal_status = MHD_HTTP_SERVICE_UNAVAILABLE;
        metric_add(server->config.cells, METRIC_MESSAGES_REFUSED_MEMORY, 1);
    } else {
        exchange->reserved_bytes += length;
        if (buffer_append(&exchange->body, bytes, length) == 0) {
            return;
        }
        exchange->refusal_status = MHD_HTTP_SERVICE_UNAVAILABLE;
        metric_add(server->config.cells, METRIC_MESSAGES_REFUSED_MEMORY, 1);
    }
    release_body(exchange);
}

static void refuse(struct http_exchange *exchange)
{
    char seconds[24];
    uint64_t retry_ms = exchange->server->config.limits->retry_after_ms;

    (void)snprintf(seconds, sizeof seconds, "%llu", (unsigned long long)((retry_ms + 999) / 1000));
    struct http_header retry = {.name = "Retry-After", .value = seconds};
    http_reply(exchange, exchange->refusal_status, NULL, &retry,
        exchange->refusal_status == MHD_HTTP_SERVICE_UNAVAILABLE ? 1 : 0);
}

/* The whole request is there. */
static void dispatch(struct http_exchange *exchange)
{
    exchange->handled = true;
    if (exchange->refusal_status != 0) {
        refuse(exchange);
    } else if (exchange->own->kind == LISTENER_HTTP &&
               !http_host_is_local(http_exchange_header(exchange, "Host"))) {
        http_reply_text(
            exchange, MHD_HTTP_MISDIRECTED_REQUEST, "Host: expected an address of this machine\n");
    } else {
        const struct http_handler *handler = &exchange->server->config.handler;
        handler->request(handler->user, exchange);
    }
}

static enum MHD_Result queue(struct http_exchange *exchange)
{
    struct MHD_Response *response = exchange->response;

    exchange->response = NULL;
    enum MHD_Result result = MHD_queue_response(exchange->connection, exchange->status, response);
    MHD_destroy_response(response);
    return result;
}

enum MHD_Result http_exchange_on_request(void *cls, struct MHD_Connection *connection, const char *url,
    const char *method, const char *version, const char *upload, size_t *upload_bytes, void **context)
{
    struct http_exchange *exchange = *context;

    (void)version;
    if (exchange == NULL) {
        *context = exchange_new(cls, connection, url, method);
        return *context != NULL ? MHD_YES : MHD_NO;
    }
    if (*upload_bytes > 0) {
        metric_add(exchange->server->config.cells, METRIC_RECEIVED_BYTES, *upload_bytes);
        take_body(exchange, upload, *upload_bytes);
        *upload_bytes = 0;
        uint64_t discard_max = HTTP_DISCARD_FACTOR * exchange->server->config.limits->message_bytes_max;
        return exchange->discarded_bytes <= discard_max ? MHD_YES : MHD_NO;
    }
    if (!exchange->handled) {
        dispatch(exchange);
    }
    if (exchange->response != NULL) {
        return queue(exchange);
    }
    if (exchange->handled && exchange->status != 0) {
        return MHD_NO; /* no memory for the answer */
    }
    if (!exchange->suspended) {
        link_suspended(exchange);
        MHD_suspend_connection(connection);
    }
    return MHD_YES;
}

void http_exchange_on_completed(
    void *cls, struct MHD_Connection *connection, void **context, enum MHD_RequestTerminationCode code)
{
    struct http_exchange *exchange = *context;

    (void)cls;
    (void)connection;
    (void)code;
    if (exchange == NULL) {
        return;
    }
    *context = NULL;
    if (exchange->suspended) {
        unlink_suspended(exchange);
    }
    if (!exchange->handled && exchange->body.length > 0) {
        metric_add(exchange->server->config.cells, METRIC_MESSAGES_CUT, 1);
    }
    release_body(exchange);
    if (exchange->response != NULL) {
        MHD_destroy_response(exchange->response);
    }
    free(exchange->path);
    free(exchange);
}

void *http_exchange_connection_user(const struct http_exchange *exchange)
{
    return exchange->own->user;
}

enum listener_kind http_exchange_kind(const struct http_exchange *exchange)
{
    return exchange->own->kind;
}

const char *http_exchange_method(const struct http_exchange *exchange)
{
    return exchange->method;
}

const char *http_exchange_path(const struct http_exchange *exchange)
{
    return exchange->path;
}

const char *http_exchange_argument(struct http_exchange *exchange, const char *name)
{
    return MHD_lookup_connection_value(exchange->connection, MHD_GET_ARGUMENT_KIND, name);
}

const char *http_exchange_header(struct http_exchange *exchange, const char *name)
{
    return MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, name);
}

struct slice http_exchange_body(const struct http_exchange *exchange)
{
    return slice_of(exchange->body.data, exchange->body.length);
}

struct each_argument {
    void (*each)(void *user, const char *name, const char *value);
    void *user;
};

static enum MHD_Result on_argument(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct each_argument *each = cls;

    (void)kind;
    each->each(each->user, name, value != NULL ? value : "");
    return MHD_YES;
}

void http_exchange_each_argument(
    struct http_exchange *exchange, void (*each)(void *user, const char *name, const char *value), void *user)
{
    struct each_argument pass = {.each = each, .user = user};

    (void)MHD_get_connection_values(exchange->connection, MHD_GET_ARGUMENT_KIND, on_argument, &pass);
}

static void unref_body(void *body)
{
    shared_bytes_unref(body);
}

void http_reply(struct http_exchange *exchange, unsigned status, struct shared_bytes *body,
    const struct http_header *headers, size_t header_count)
{
    struct http_server *server = exchange->server;
    struct MHD_Response *response;

    if (body != NULL) {
        response = MHD_create_response_from_buffer_with_free_callback_cls(
            body->length, body->data, unref_body, shared_bytes_ref(body));
        if (response == NULL) {
            shared_bytes_unref(body);
        }
    } else {
        response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    }
    for (size_t i = 0; response != NULL && i < header_count && i < HTTP_HEADER_COUNT_MAX; i++) {
        (void)MHD_add_response_header(response, headers[i].name, headers[i].value);
    }
    exchange->response = response;
    exchange->status = status;
    release_body(exchange);
    if (exchange->suspended) {
        unlink_suspended(exchange);
        MHD_resume_connection(exchange->connection);
        http_server_run_soon(server);
    }
}

void http_reply_text(struct http_exchange *exchange, unsigned status, const char *text)
{
    struct shared_bytes *body = shared_bytes_copy(slice_of_string(text));
    struct http_header type = {.name = "Content-Type", .value = "text/plain; charset=utf-8"};

    http_reply(exchange, status, body, &type, 1);
    shared_bytes_unref(body);
}

/* Without the port; IPv6 literals lose their brackets. False when it does not fit. */
static bool split_host(const char *host, char *out, size_t out_bytes)
{
    const char *end = strrchr(host, ':');
    size_t length = end != NULL ? (size_t)(end - host) : strlen(host);

    if (host[0] == '[') {
        const char *bracket = strchr(host, ']');
        if (bracket == NULL) {
            return false;
        }
        host++;
        length = (size_t)(bracket - host);
    }
    if (length == 0 || length >= out_bytes) {
        return false;
    }
    memcpy(out, host, length);
    out[length] = '\0';
    return true;
}

bool http_host_is_local(const char *host)
{
    char name[256];
    char machine[256];
    unsigned char address[16];

    if (host == NULL || !split_host(host, name, sizeof name)) {
        return false;
    }
    if (inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1 ||
        strcasecmp(name, "localhost") == 0) {
        return true;
    }
    return gethostname(machine, sizeof machine) == 0 && strcasecmp(name, machine) == 0;
}
