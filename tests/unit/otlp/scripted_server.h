/*
 * An OTLP back-end that answers by a script, on the test's own loop: gRPC on core/h2's server side, or
 * HTTP/1.1, over TCP on loopback or a Unix socket, with or without TLS. It inflates what arrives and counts
 * the spans in it.
 */
#ifndef WEFT_TESTS_OTLP_SCRIPTED_SERVER_H
#define WEFT_TESTS_OTLP_SCRIPTED_SERVER_H

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>
#include <cmocka.h>

#include "core/buffer.h"
#include "core/h2.h"
#include "core/inflate.h"
#include "opentelemetry/collector.pb-c.h"

enum { SERVER_CONNECTIONS_MAX = 64, SERVER_HEADERS_MAX = 6, SERVER_REQUEST_BYTES_MAX = 64 << 20 };

enum script_kind {
    SCRIPT_ANSWER,
    SCRIPT_SILENCE,      /* takes the request, never answers */
    SCRIPT_HANG_UP,      /* takes the request, closes the connection */
    SCRIPT_HANG_UP_HALF, /* begins to answer, then closes */
    SCRIPT_RESET,        /* gRPC: RST_STREAM */
    SCRIPT_GOAWAY,       /* gRPC: answers, and takes no more on this connection */
    SCRIPT_EARLY,        /* gRPC: answers after the headers and reads no body */
};

/* One answer. grpc_status below 0: none, and http_status counts. */
struct script_step {
    enum script_kind kind;
    int http_status; /* 0: 200 */
    int grpc_status;
    struct h2_header extra[2]; /* gRPC trailers, or HTTP headers */
    size_t extra_count;
    struct slice message; /* the answering message */
};

struct server_connection;

struct server {
    uv_loop_t *loop;
    bool is_grpc;
    SSL_CTX *tls;
    uv_poll_t listener;
    int fd;
    uint16_t port;
    char unix_path[64];
    const struct script_step *script; /* the last step repeats */
    size_t script_count;
    size_t request_count;
    size_t connection_count;
    uint64_t accepted_span_count; /* in requests answered with success */
    uint64_t seen_span_count;
    size_t largest_request_bytes; /* inflated */
    uint64_t largest_span_count;
    char path[128];
    char headers[2048]; /* "name: value\n" of the last request */
    struct server_connection *connections[SERVER_CONNECTIONS_MAX];
};

struct server_connection {
    struct server *server;
    uv_poll_t poll;
    int fd;
    SSL *tls;
    bool shaken;
    bool closing;
    bool close_when_sent;
    bool early; /* the call's answer went before its body came */
    struct h2_session h2;
    bool h2_open;
    struct buffer request; /* gRPC: the stream's body; HTTP: all of it */
    bool gzip;
    bool zstd;
    struct buffer out;
    size_t out_at;
    uint8_t answer[4096];
    char status_text[8];
    struct h2_header trailers[4];
};

static void server_watch(struct server_connection *connection);

static inline void server_on_closed(uv_handle_t *handle)
{
    struct server_connection *connection = handle->data;

    buffer_deinit(&connection->request);
    buffer_deinit(&connection->out);
    free(connection);
}

static inline void server_drop(struct server_connection *connection)
{
    struct server *server = connection->server;

    if (connection->closing) {
        return;
    }
    connection->closing = true;
    for (size_t i = 0; i < SERVER_CONNECTIONS_MAX; i++) {
        if (server->connections[i] == connection) {
            server->connections[i] = NULL;
        }
    }
    if (connection->h2_open) {
        connection->h2_open = false;
        h2_session_deinit(&connection->h2);
    }
    SSL_free(connection->tls);
    uv_close((uv_handle_t *)&connection->poll, server_on_closed);
    close(connection->fd);
}

/* Counts the spans of a request's (perhaps compressed) message; nothing but whole requests may arrive. */
static inline uint64_t server_take(struct server_connection *connection, struct slice message)
{
    struct server *server = connection->server;
    struct buffer plain;
    struct inflater inflater;
    uint64_t span_count = 0;

    buffer_init(&plain, SERVER_REQUEST_BYTES_MAX);
    inflater_init(&inflater);
    if (connection->gzip || connection->zstd) {
        enum inflate_format format = connection->gzip ? INFLATE_GZIP : INFLATE_ZSTD;
        struct budget memory = {.cap_bytes = SERVER_REQUEST_BYTES_MAX};
        assert_int_equal(inflate_all(&inflater, format, message, &memory, &plain), 0);
    } else {
        assert_int_equal(buffer_append_slice(&plain, message), 0);
    }
    inflater_deinit(&inflater);
    Otlp__ExportTraceServiceRequest *request =
        otlp__export_trace_service_request__unpack(NULL, plain.length, plain.data);
    assert_non_null(request);
    for (size_t i = 0; i < request->n_resource_spans; i++) {
        for (size_t k = 0; k < request->resource_spans[i]->n_scope_spans; k++) {
            span_count += request->resource_spans[i]->scope_spans[k]->n_spans;
        }
    }
    otlp__export_trace_service_request__free_unpacked(request, NULL);
    server->largest_request_bytes =
        plain.length > server->largest_request_bytes ? plain.length : server->largest_request_bytes;
    server->largest_span_count =
        span_count > server->largest_span_count ? span_count : server->largest_span_count;
    server->seen_span_count += span_count;
    server->request_count++;
    buffer_deinit(&plain);
    return span_count;
}

static inline const struct script_step *server_step(struct server *server)
{
    size_t at = server->request_count - 1;

    return &server->script[at < server->script_count ? at : server->script_count - 1];
}

static inline void server_note_header(
    struct server_connection *connection, struct slice name, struct slice value)
{
    struct server *server = connection->server;
    size_t used = strlen(server->headers);

    (void)snprintf(server->headers + used, sizeof server->headers - used, "%.*s: %.*s\n", (int)name.length,
        (const char *)name.ptr, (int)value.length, (const char *)value.ptr);
    if (slice_equal(name, SLICE_LITERAL("grpc-encoding")) ||
        slice_equal(name, SLICE_LITERAL("content-encoding"))) {
        connection->gzip = slice_equal(value, SLICE_LITERAL("gzip"));
        connection->zstd = slice_equal(value, SLICE_LITERAL("zstd"));
    }
    if (slice_equal(name, SLICE_LITERAL(":path"))) {
        (void)snprintf(server->path, sizeof server->path, "%.*s", (int)value.length, (const char *)value.ptr);
    }
}

/* ---- gRPC ---- */

static inline int server_on_begin(void *user, struct h2_stream *stream)
{
    struct server_connection *connection = user;

    (void)stream;
    connection->request.length = 0;
    connection->gzip = connection->zstd = false;
    connection->server->headers[0] = '\0';
    return 0;
}

static inline int server_on_header(
    void *user, struct h2_stream *stream, struct slice name, struct slice value)
{
    (void)stream;
    server_note_header(user, name, value);
    return 0;
}

static inline int server_on_data(void *user, struct h2_stream *stream, struct slice data)
{
    struct server_connection *connection = user;

    if (connection->early) {
        return 0;
    }
    assert_int_equal(buffer_append_slice(&connection->request, data), 0);
    return h2_stream_consume(&connection->h2, stream, data.length);
}

static inline void server_answer_grpc(
    struct server_connection *connection, struct h2_stream *stream, const struct script_step *step)
{
    static const struct h2_header headers_ok[] = {
        H2_LITERAL(":status", "200"), H2_LITERAL("content-type", "application/grpc")};
    struct slice body = {0};

    if (step->http_status != 0) {
        static char status[8];
        (void)snprintf(status, sizeof status, "%d", step->http_status);
        struct h2_header header = {
            .name = SLICE_LITERAL(":status"), .value = slice_of_string(status), .lasting = false};
        assert_int_equal(h2_submit_response(&connection->h2, stream, &header, 1, NULL, 0, NULL, 0), 0);
        return;
    }
    (void)snprintf(connection->status_text, sizeof connection->status_text, "%d", step->grpc_status);
    connection->trailers[0] = (struct h2_header){.name = SLICE_LITERAL("grpc-status"),
        .value = slice_of_string(connection->status_text),
        .lasting = true};
    memcpy(connection->trailers + 1, step->extra, sizeof step->extra);
    if (step->grpc_status != 0) { /* trailers only */
        struct h2_header all[5];
        memcpy(all, headers_ok, sizeof headers_ok);
        memcpy(all + 2, connection->trailers, (1 + step->extra_count) * sizeof *all);
        assert_int_equal(
            h2_submit_response(&connection->h2, stream, all, 3 + step->extra_count, NULL, 0, NULL, 0), 0);
        return;
    }
    memset(connection->answer, 0, 5);
    connection->answer[4] = (uint8_t)step->message.length;
    memcpy(connection->answer + 5, step->message.ptr != NULL ? step->message.ptr : (const uint8_t *)"",
        step->message.length);
    body = slice_of(connection->answer, 5 + step->message.length);
    assert_int_equal(h2_submit_response(&connection->h2, stream, headers_ok, 2, &body, 1,
                         connection->trailers, 1 + step->extra_count),
        0);
}

static inline int server_on_end(void *user, struct h2_stream *stream)
{
    struct server_connection *connection = user;
    struct slice message = slice_of(connection->request.data, connection->request.length);
    bool compressed = connection->gzip || connection->zstd;

    if (connection->early) {
        return 0;
    }
    assert_in_range(message.length, 5, SERVER_REQUEST_BYTES_MAX);
    assert_int_equal(message.ptr[0], compressed);
    assert_int_equal((size_t)message.ptr[1] << 24 | (size_t)message.ptr[2] << 16 |
                         (size_t)message.ptr[3] << 8 | message.ptr[4],
        message.length - 5);
    uint64_t span_count = server_take(connection, slice_sub(message, 5, message.length));
    const struct script_step *step = server_step(connection->server);
    switch (step->kind) {
    case SCRIPT_SILENCE:
        return 0;
    case SCRIPT_RESET:
        h2_stream_reset(&connection->h2, stream, NGHTTP2_INTERNAL_ERROR);
        return 0;
    case SCRIPT_HANG_UP:
    case SCRIPT_HANG_UP_HALF:
        connection->close_when_sent = true;
        return 0;
    case SCRIPT_GOAWAY:
        h2_session_drain(&connection->h2);
        break;
    default:
        break;
    }
    if (step->grpc_status == 0 && step->http_status == 0) {
        connection->server->accepted_span_count += span_count;
    }
    server_answer_grpc(connection, stream, step);
    return 0;
}

static inline int server_on_headers_end(void *user, struct h2_stream *stream, bool trailers)
{
    struct server_connection *connection = user;
    struct server *server = connection->server;
    size_t at =
        server->request_count < server->script_count ? server->request_count : server->script_count - 1;

    assert_false(trailers);
    connection->early = server->script[at].kind == SCRIPT_EARLY;
    if (connection->early) {
        server->request_count++;
        server_answer_grpc(connection, stream, &server->script[at]);
    }
    return 0;
}

static const struct h2_callbacks server_h2_callbacks = {
    .on_headers_end = server_on_headers_end,
    .on_begin = server_on_begin,
    .on_header = server_on_header,
    .on_data = server_on_data,
    .on_end = server_on_end,
};

/* ---- HTTP/1.1 ---- */

static inline void server_answer_http(struct server_connection *connection, uint64_t span_count)
{
    const struct script_step *step = server_step(connection->server);
    int status = step->http_status != 0 ? step->http_status : 200;
    size_t length = step->message.length;

    if (step->kind == SCRIPT_SILENCE) {
        return;
    }
    if (step->kind == SCRIPT_HANG_UP) {
        connection->close_when_sent = true;
        return;
    }
    if (step->kind == SCRIPT_HANG_UP_HALF) {
        length += 100; /* promised, never sent */
        connection->close_when_sent = true;
    } else if (status / 100 == 2) {
        connection->server->accepted_span_count += span_count;
    }
    (void)buffer_append_format(&connection->out,
        "HTTP/1.1 %d Scripted\r\nContent-Type: application/x-protobuf\r\nContent-Length: %zu\r\n", status,
        length);
    for (size_t i = 0; i < step->extra_count; i++) {
        (void)buffer_append_slice(&connection->out, step->extra[i].name);
        (void)buffer_append_text(&connection->out, ": ");
        (void)buffer_append_slice(&connection->out, step->extra[i].value);
        (void)buffer_append_text(&connection->out, "\r\n");
    }
    (void)buffer_append_text(&connection->out, "\r\n");
    (void)buffer_append_slice(&connection->out, step->message);
}

/* Takes the request apart once it is whole. */
static inline void server_http(struct server_connection *connection)
{
    struct buffer *request = &connection->request;
    const uint8_t *end = request->length > 0 ? memmem(request->data, request->length, "\r\n\r\n", 4) : NULL;
    size_t content_length = 0;

    if (end == NULL) {
        return;
    }
    connection->gzip = connection->zstd = false;
    connection->server->headers[0] = '\0';
    size_t head_length = (size_t)(end - request->data) + 4;
    struct slice head = slice_of(request->data, head_length - 2);
    size_t line_end = slice_find(head, '\n');
    struct slice path = slice_sub(head, 5, line_end); /* after "POST " */
    path = slice_sub(path, 0, slice_find(path, ' '));
    (void)snprintf(connection->server->path, sizeof connection->server->path, "%.*s", (int)path.length,
        (const char *)path.ptr);
    for (head = slice_sub(head, line_end + 1, head.length); head.length > 0;) {
        line_end = slice_find(head, '\n');
        struct slice line = slice_sub(head, 0, line_end - 1);
        size_t colon = slice_find(line, ':');
        char name[64];
        (void)snprintf(name, sizeof name, "%.*s", (int)colon, (const char *)line.ptr);
        for (char *byte = name; *byte != '\0'; byte++) {
            *byte = (char)(*byte >= 'A' && *byte <= 'Z' ? *byte + 32 : *byte);
        }
        struct slice value = slice_sub(line, colon + 2, line.length);
        server_note_header(connection, slice_of_string(name), value);
        if (strcmp(name, "content-length") == 0) {
            content_length = strtoul((const char *)value.ptr, NULL, 10);
        }
        head = slice_sub(head, line_end + 1, head.length);
    }
    if (request->length < head_length + content_length) {
        return;
    }
    uint64_t span_count = server_take(connection, slice_of(request->data + head_length, content_length));
    request->length = 0;
    server_answer_http(connection, span_count);
}

/* ---- bytes ---- */

static inline void server_receive(struct server_connection *connection, struct slice bytes)
{
    if (connection->server->is_grpc) {
        assert_int_equal(h2_session_receive(&connection->h2, bytes, uv_hrtime()), 0);
    } else {
        assert_int_equal(buffer_append_slice(&connection->request, bytes), 0);
        server_http(connection);
    }
}

/* Bytes read, 0: nothing now, -1: over. */
static inline long server_read(struct server_connection *connection, uint8_t *to, size_t capacity)
{
    if (connection->tls != NULL) {
        int length = SSL_read(connection->tls, to, (int)capacity);
        if (length <= 0) {
            int reason = SSL_get_error(connection->tls, length);
            return reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE ? 0 : -1;
        }
        return length;
    }
    ssize_t length = recv(connection->fd, to, capacity, 0);
    return length < 0 && errno == EAGAIN ? 0 : length <= 0 ? -1 : length;
}

static inline long server_write(struct server_connection *connection, const uint8_t *from, size_t length)
{
    if (connection->tls != NULL) {
        int written = SSL_write(connection->tls, from, (int)length);
        if (written <= 0) {
            int reason = SSL_get_error(connection->tls, written);
            return reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE ? 0 : -1;
        }
        return written;
    }
    ssize_t written = send(connection->fd, from, length, MSG_NOSIGNAL);
    return written < 0 ? (errno == EAGAIN ? 0 : -1) : written;
}

/* False when the connection is over. */
static inline bool server_flush(struct server_connection *connection)
{
    for (;;) {
        if (connection->out_at == connection->out.length) {
            connection->out_at = connection->out.length = 0;
            uint8_t *room = connection->h2_open ? buffer_reserve(&connection->out, 65536) : NULL;
            connection->out.length = room != NULL ? (size_t)h2_session_send(&connection->h2, room, 65536) : 0;
            if (connection->out.length == 0) {
                return !connection->close_when_sent;
            }
        }
        long written = server_write(connection, connection->out.data + connection->out_at,
            connection->out.length - connection->out_at);
        if (written <= 0) {
            return written == 0;
        }
        connection->out_at += (size_t)written;
    }
}

static inline void server_on_poll(uv_poll_t *poll, int status, int events)
{
    struct server_connection *connection = poll->data;
    uint8_t in[65536];

    (void)events;
    if (status < 0) { /* the client has reset the connection */
        server_drop(connection);
        return;
    }
    if (connection->tls != NULL && !connection->shaken) {
        int result = SSL_do_handshake(connection->tls);
        int reason = SSL_get_error(connection->tls, result);
        if (result != 1 && reason != SSL_ERROR_WANT_READ && reason != SSL_ERROR_WANT_WRITE) {
            server_drop(connection); /* the client did not like us, or we it */
            return;
        }
        connection->shaken = result == 1;
        server_watch(connection);
        return;
    }
    for (long length; (length = server_read(connection, in, sizeof in)) != 0;) {
        if (length < 0) {
            server_drop(connection);
            return;
        }
        server_receive(connection, slice_of(in, (size_t)length));
    }
    if (!server_flush(connection)) {
        server_drop(connection);
        return;
    }
    server_watch(connection);
}

static void server_watch(struct server_connection *connection)
{
    bool write = connection->out_at < connection->out.length ||
                 (connection->h2_open && h2_session_wants_send(&connection->h2));

    (void)uv_poll_start(&connection->poll, UV_READABLE | (write ? UV_WRITABLE : 0), server_on_poll);
}

static inline void server_on_accept(uv_poll_t *poll, int status, int events)
{
    struct server *server = poll->data;
    int fd = accept4(server->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    (void)events;
    assert_int_equal(status, 0);
    if (fd < 0) {
        return;
    }
    struct server_connection *connection = calloc(1, sizeof *connection);
    assert_non_null(connection);
    connection->server = server;
    connection->fd = fd;
    buffer_init(&connection->request, SERVER_REQUEST_BYTES_MAX);
    buffer_init(&connection->out, SERVER_REQUEST_BYTES_MAX);
    if (server->tls != NULL) {
        connection->tls = SSL_new(server->tls);
        assert_non_null(connection->tls);
        assert_int_equal(SSL_set_fd(connection->tls, fd), 1);
        SSL_set_accept_state(connection->tls);
    }
    if (server->is_grpc) {
        struct h2_config config = {.role = H2_SERVER, .callbacks = &server_h2_callbacks, .user = connection};
        assert_int_equal(h2_session_init(&connection->h2, &config), 0);
        connection->h2_open = true;
    }
    size_t at = 0;
    while (server->connections[at] != NULL) {
        at++;
    }
    assert_in_range(at, 0, SERVER_CONNECTIONS_MAX - 1);
    server->connections[at] = connection;
    server->connection_count++;
    assert_int_equal(uv_poll_init(server->loop, &connection->poll, fd), 0);
    connection->poll.data = connection;
    server_watch(connection);
}

/* unix_path NULL: TCP on loopback; then port says where (0 in it: any). */
static inline void server_init(struct server *server, uv_loop_t *loop, bool is_grpc, const char *unix_path,
    const struct script_step *script, size_t script_count)
{
    uint16_t port = server->port;
    SSL_CTX *tls = server->tls;

    *server = (struct server){
        .loop = loop, .is_grpc = is_grpc, .script = script, .script_count = script_count, .tls = tls};
    server->fd = socket(unix_path != NULL ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_in_range(server->fd, 0, 65535);
    if (unix_path != NULL) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", unix_path);
        (void)snprintf(server->unix_path, sizeof server->unix_path, "%s", unix_path);
        (void)unlink(unix_path);
        assert_int_equal(bind(server->fd, (struct sockaddr *)&address, sizeof address), 0);
    } else {
        struct sockaddr_in address = {
            .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t size = sizeof address;
        int on = 1;
        (void)setsockopt(server->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        assert_int_equal(bind(server->fd, (struct sockaddr *)&address, sizeof address), 0);
        assert_int_equal(getsockname(server->fd, (struct sockaddr *)&address, &size), 0);
        server->port = ntohs(address.sin_port);
    }
    assert_int_equal(listen(server->fd, 64), 0);
    assert_int_equal(uv_poll_init(loop, &server->listener, server->fd), 0);
    server->listener.data = server;
    (void)uv_poll_start(&server->listener, UV_READABLE, server_on_accept);
}

/* Ends listener and connections; the loop must turn once more. */
static inline void server_stop(struct server *server)
{
    for (size_t i = 0; i < SERVER_CONNECTIONS_MAX; i++) {
        if (server->connections[i] != NULL) {
            server_drop(server->connections[i]);
        }
    }
    uv_close((uv_handle_t *)&server->listener, NULL);
    close(server->fd);
    if (server->unix_path[0] != '\0') {
        (void)unlink(server->unix_path);
    }
}

#endif
