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

enum { RETRY_TEXT_BYTES = 24 };

struct http_exchange {
    struct http_server *server;
    struct MHD_Connection *connection;
    char *path;
    char method[16];
    struct http_connection *own;
    struct buffer body;
    uint64_t reserved_bytes;  /* of the assembly budget */
    uint64_t discarded_bytes; /* of a body that is refused */
    unsigned refusal_status;  /* set while the body arrives; 0: none */
    struct MHD_Response *response;
    unsigned status;
    bool is_long;         /* the answer: large, or a stream; a reader that takes nothing of it is left */
    bool body_is_refused; /* nobody looks at it */
    bool handled;         /* the handler was called */
    bool suspended;       /* in libmicrohttpd and in the server's list */
    LIST_ENTRY(http_exchange) link; /* in server->suspended, while it is */
};

static void release_body(struct http_exchange *exchange)
{
    buffer_deinit(&exchange->body);
    budget_release(exchange->server->config.assembly, exchange->reserved_bytes);
    exchange->reserved_bytes = 0;
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
    exchange->own->begun = true;
    (void)snprintf(exchange->method, sizeof exchange->method, "%s", method);
    buffer_init(&exchange->body, server->config.limits->message_bytes_max);
    exchange->path = strdup(url);
    if (exchange->path == NULL) {
        free(exchange);
        return NULL;
    }
    return exchange;
}

/* A listener that takes no records may be public: what it is sent must not take memory from records, but for
 * the little that the handler asks for. */
static bool wants_body(struct http_exchange *exchange)
{
    const struct http_handler *handler = &exchange->server->config.handler;

    if (listener_takes_records(exchange->own->kind) || exchange->body.length > 0) {
        return true;
    }
    exchange->body_is_refused = exchange->body_is_refused || handler->takes_body == NULL ||
                                !handler->takes_body(handler->user, exchange);
    return !exchange->body_is_refused;
}

static uint64_t body_bytes_max(const struct http_exchange *exchange)
{
    return listener_takes_records(exchange->own->kind) ? exchange->server->config.limits->message_bytes_max
                                                       : HTTP_READ_BODY_BYTES;
}

/* Only messages with records are in the ledger. */
static void count_refused(const struct http_exchange *exchange, enum metric_id id)
{
    if (listener_takes_records(exchange->own->kind)) {
        LEDGER_ADD(exchange->server->config.cells, id, 1);
    }
}

/* Every byte kept is reserved first; what has no room is refused once the request has ended. */
static void take_body(struct http_exchange *exchange, const char *bytes, size_t length)
{
    struct http_server *server = exchange->server;

    if (exchange->refusal_status != 0 || !wants_body(exchange)) {
        exchange->discarded_bytes += length;
        return;
    }
    if (exchange->body.length + length > body_bytes_max(exchange)) {
        exchange->refusal_status = MHD_HTTP_CONTENT_TOO_LARGE;
        count_refused(exchange, METRIC_MESSAGES_REFUSED_OVERSIZED);
    } else if (!budget_reserve(server->config.assembly, length)) {
        exchange->refusal_status = MHD_HTTP_SERVICE_UNAVAILABLE;
        count_refused(exchange, METRIC_MESSAGES_REFUSED_MEMORY);
    } else {
        exchange->reserved_bytes += length;
        if (buffer_append(&exchange->body, bytes, length) == 0) {
            return;
        }
        exchange->refusal_status = MHD_HTTP_SERVICE_UNAVAILABLE;
        count_refused(exchange, METRIC_MESSAGES_REFUSED_MEMORY);
    }
    release_body(exchange);
}

static uint64_t discard_bytes_max(const struct http_exchange *exchange)
{
    return listener_takes_records(exchange->own->kind)
               ? HTTP_DISCARD_FACTOR * exchange->server->config.limits->message_bytes_max
               : HTTP_READ_BODY_BYTES;
}

static void write_retry_after(const struct http_server *server, char out[RETRY_TEXT_BYTES])
{
    uint64_t retry_ms = server->config.limits->retry_after_ms;

    (void)snprintf(out, RETRY_TEXT_BYTES, "%llu", (unsigned long long)((retry_ms + 999) / 1000));
}

static void refuse(struct http_exchange *exchange)
{
    if (exchange->refusal_status == MHD_HTTP_SERVICE_UNAVAILABLE) {
        http_reply_status(
            exchange, MHD_HTTP_SERVICE_UNAVAILABLE, GRPC_UNAVAILABLE, "no memory for the message now");
    } else {
        http_reply_status(
            exchange, MHD_HTTP_CONTENT_TOO_LARGE, GRPC_RESOURCE_EXHAUSTED, "message is too large");
    }
}

/* The whole request is there. */
static void dispatch(struct http_exchange *exchange)
{
    exchange->handled = true;
    if (exchange->refusal_status != 0) {
        refuse(exchange);
    } else if (exchange->own->kind == LISTENER_HTTP &&
               !http_host_is_known(http_exchange_header(exchange, "Host"), exchange->server->config.hosts,
                   exchange->server->config.host_count)) {
        http_reply_text(exchange, MHD_HTTP_MISDIRECTED_REQUEST,
            "Host: expected an address or the name of this machine, or one of http.hosts\n");
    } else {
        const struct http_handler *handler = &exchange->server->config.handler;
        handler->request(handler->user, exchange);
    }
}

static enum MHD_Result queue(struct http_exchange *exchange)
{
    struct MHD_Response *response = exchange->response;

    exchange->response = NULL;
    if (exchange->is_long) {
        (void)MHD_set_connection_option(
            exchange->connection, MHD_CONNECTION_OPTION_TIMEOUT, (unsigned)HTTP_READER_STALL_S);
    }
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
        return exchange->discarded_bytes <= discard_bytes_max(exchange) ? MHD_YES : MHD_NO;
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
        exchange->suspended = true;
        LIST_INSERT_HEAD(&exchange->server->suspended, exchange, link);
        MHD_suspend_connection(connection);
    }
    return MHD_YES;
}

void http_exchange_on_completed(
    void *cls, struct MHD_Connection *connection, void **context, enum MHD_RequestTerminationCode code)
{
    struct http_exchange *exchange = *context;

    (void)cls;
    if (exchange == NULL) {
        return;
    }
    *context = NULL;
    if (exchange->is_long && code == MHD_REQUEST_TERMINATED_COMPLETED_OK) {
        (void)MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT,
            (unsigned)exchange->server->config.limits->idle_timeout_s);
    }
    if (exchange->suspended) {
        exchange->suspended = false;
        LIST_REMOVE(exchange, link);
    }
    if (!exchange->handled) {
        exchange->own->refused = exchange->refusal_status != 0; /* counted already */
        exchange->own->cut = exchange->refusal_status == 0;
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

/* What libmicrohttpd holds of an answer until it is sent or given up. */
struct held_answer {
    struct http_server *server;
    struct shared_bytes *body;
    bool large;
};

static void free_held(void *user)
{
    struct held_answer *held = user;

    held->server->answer_bytes -= held->large ? held->body->length : 0;
    shared_bytes_unref(held->body);
    free(held);
}

static struct MHD_Response *hold_answer(struct http_exchange *exchange, struct shared_bytes *body)
{
    struct held_answer *held = malloc(sizeof *held);

    if (held == NULL) {
        return NULL;
    }
    *held = (struct held_answer){.server = exchange->server,
        .body = shared_bytes_ref(body),
        .large = body->length > HTTP_SMALL_ANSWER_BYTES};
    exchange->is_long = held->large;
    exchange->server->answer_bytes += held->large ? body->length : 0;
    struct MHD_Response *response =
        MHD_create_response_from_buffer_with_free_callback_cls(body->length, body->data, free_held, held);
    if (response == NULL) {
        free_held(held);
    }
    return response;
}

/* Whether readers that do not read have left no room for this answer. One may always be under way. */
static bool is_too_much(const struct http_server *server, const struct shared_bytes *body)
{
    return body != NULL && body->length > HTTP_SMALL_ANSWER_BYTES && server->answer_bytes > 0 &&
           server->answer_bytes + body->length > server->config.limits->answers_bytes_max;
}

/* response: NULL when there is no memory for it; the connection ends then. */
static void answer(struct http_exchange *exchange, unsigned status, struct MHD_Response *response)
{
    exchange->response = response;
    exchange->status = status;
    release_body(exchange);
    if (exchange->suspended) {
        exchange->suspended = false;
        LIST_REMOVE(exchange, link);
        MHD_resume_connection(exchange->connection);
        http_server_run_soon(exchange->server);
    }
}

void http_reply(struct http_exchange *exchange, unsigned status, struct shared_bytes *body,
    const struct http_header *headers, size_t header_count)
{
    struct http_server *server = exchange->server;
    char seconds[RETRY_TEXT_BYTES];
    const struct http_header retry = {.name = "Retry-After", .value = seconds};

    if (is_too_much(server, body)) {
        metric_add(server->config.cells, METRIC_ANSWERS_REFUSED, 1);
        write_retry_after(server, seconds);
        status = MHD_HTTP_SERVICE_UNAVAILABLE;
        body = NULL;
        headers = &retry;
        header_count = 1;
    }
    struct MHD_Response *response = body != NULL
                                        ? hold_answer(exchange, body)
                                        : MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    for (size_t i = 0; response != NULL && i < header_count && i < HTTP_HEADER_COUNT_MAX; i++) {
        (void)MHD_add_response_header(response, headers[i].name, headers[i].value);
    }
    answer(exchange, status, response);
}

struct http_server *http_exchange_server(const struct http_exchange *exchange)
{
    return exchange->server;
}

struct MHD_Connection *http_exchange_connection(const struct http_exchange *exchange)
{
    return exchange->connection;
}

void http_exchange_answer_stream(struct http_exchange *exchange, struct MHD_Response *response)
{
    exchange->is_long = true;
    answer(exchange, MHD_HTTP_OK, response);
}

void http_reply_text(struct http_exchange *exchange, unsigned status, const char *text)
{
    struct shared_bytes *body = shared_bytes_copy(slice_of_string(text));
    struct http_header type = {.name = "Content-Type", .value = "text/plain; charset=utf-8"};

    http_reply(exchange, status, body, &type, 1);
    shared_bytes_unref(body);
}

void http_reply_status(struct http_exchange *exchange, unsigned status, enum grpc_code code, const char *text)
{
    static const char json_type[] = "application/json";
    const char *type = http_exchange_header(exchange, "Content-Type");
    bool as_json = type != NULL && strncasecmp(type, json_type, sizeof json_type - 1) == 0;
    char seconds[RETRY_TEXT_BYTES];
    uint8_t bytes[RPC_STATUS_BYTES_MAX];
    size_t length =
        as_json ? rpc_status_write_json(bytes, code, text) : rpc_status_write(bytes, code, text, 0);
    struct shared_bytes *body = shared_bytes_copy(slice_of(bytes, length));
    const struct http_header headers[] = {
        {.name = "Content-Type", .value = as_json ? json_type : "application/x-protobuf"},
        {.name = "Retry-After", .value = seconds},
    };

    write_retry_after(exchange->server, seconds);
    http_reply(exchange, status, body, headers, status == MHD_HTTP_SERVICE_UNAVAILABLE ? 2 : 1);
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

bool http_host_is_known(const char *host, const char *const *hosts, size_t host_count)
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
    for (size_t i = 0; i < host_count; i++) {
        if (strcasecmp(name, hosts[i]) == 0) {
            return true;
        }
    }
    return gethostname(machine, sizeof machine) == 0 && strcasecmp(name, machine) == 0;
}
