/*
 * A gRPC client on an HTTP/2 client session, and a server whose handlers note what they get: what the gRPC
 * tests share. Everything in one process and one thread; time is a number that the tests move.
 */
#ifndef WEFT_TESTS_GRPC_PEER_H
#define WEFT_TESTS_GRPC_PEER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/budget.h"
#include "core/error.h"
#include "core/h2.h"
#include "core/limits.h"
#include "core/metrics.h"
#include "listen/grpc.h"

enum { CALL_COUNT_MAX = 4096 };

/* One call, as the client sees it. */
struct peer_call {
    struct h2_stream *stream; /* while open */
    bool closed;
    uint32_t error_code;
    char http_status[8];
    char grpc_status[8]; /* "" until it came */
    char message[256];
    char details[1024];
    char accept_encoding[64];
    uint8_t body[2048];
    size_t body_bytes;
    bool trailers; /* grpc-status came after a body */
    uint8_t prefix[5];
};

struct peer {
    struct h2_session h2;
    struct grpc_connection *server;
    struct peer_call *calls;
    size_t call_count;
};

static void copy_text(char *to, size_t capacity, struct slice value)
{
    size_t length = value.length < capacity - 1 ? value.length : capacity - 1;
    memcpy(to, value.ptr, length);
    to[length] = '\0';
}

static struct peer_call *call_of(struct h2_stream *stream)
{
    struct peer_call *call;
    memcpy(&call, h2_stream_user(stream), sizeof call);
    return call;
}

static int peer_header(void *user, struct h2_stream *stream, struct slice name, struct slice value)
{
    (void)user;
    struct peer_call *call = call_of(stream);
    if (slice_equal(name, SLICE_LITERAL(":status"))) {
        copy_text(call->http_status, sizeof call->http_status, value);
    } else if (slice_equal(name, SLICE_LITERAL("grpc-status"))) {
        copy_text(call->grpc_status, sizeof call->grpc_status, value);
        call->trailers = stream->headers_seen;
    } else if (slice_equal(name, SLICE_LITERAL("grpc-message"))) {
        copy_text(call->message, sizeof call->message, value);
    } else if (slice_equal(name, SLICE_LITERAL("grpc-status-details-bin"))) {
        copy_text(call->details, sizeof call->details, value);
    } else if (slice_equal(name, SLICE_LITERAL("grpc-accept-encoding"))) {
        copy_text(call->accept_encoding, sizeof call->accept_encoding, value);
    }
    return 0;
}

static int peer_data(void *user, struct h2_stream *stream, struct slice data)
{
    struct peer *peer = user;
    struct peer_call *call = call_of(stream);
    assert_true(call->body_bytes + data.length <= sizeof call->body);
    memcpy(call->body + call->body_bytes, data.ptr, data.length);
    call->body_bytes += data.length;
    return h2_stream_consume(&peer->h2, stream, data.length);
}

static void peer_close(void *user, struct h2_stream *stream, uint32_t error_code)
{
    (void)user;
    struct peer_call *call = call_of(stream);
    call->closed = true;
    call->error_code = error_code;
    call->stream = NULL;
}

static const struct h2_callbacks peer_callbacks = {
    .on_header = peer_header, .on_data = peer_data, .on_close = peer_close};

static inline void peer_init(struct peer *peer, struct grpc_connection *server)
{
    *peer = (struct peer){.server = server, .calls = calloc(CALL_COUNT_MAX, sizeof *peer->calls)};
    assert_non_null(peer->calls);
    assert_int_equal(h2_session_init(&peer->h2, &(struct h2_config){.role = H2_CLIENT,
                                                    .stream_user_bytes = sizeof(struct peer_call *),
                                                    .callbacks = &peer_callbacks,
                                                    .user = peer}),
        0);
}

static inline void peer_deinit(struct peer *peer)
{
    h2_session_deinit(&peer->h2);
    free(peer->calls);
    peer->calls = NULL;
}

struct peer_request {
    const char *path;         /* NULL: "/t/Unary" */
    const char *method;       /* NULL: POST */
    const char *content_type; /* NULL: application/grpc */
    const char *encoding;     /* grpc-encoding; NULL: none */
    struct slice first;       /* parts of the body */
    struct slice second;
};

/* Sends a request whose body is the two parts as they are; they must live until the call is closed. */
static inline struct peer_call *peer_send(struct peer *peer, const struct peer_request *request)
{
    struct h2_header headers[] = {
        {.name = SLICE_LITERAL(":method"),
            .value = slice_of_string(request->method ? request->method : "POST")},
        {.name = SLICE_LITERAL(":scheme"), .value = SLICE_LITERAL("http")},
        {.name = SLICE_LITERAL(":path"),
            .value = slice_of_string(request->path ? request->path : "/t/Unary")},
        {.name = SLICE_LITERAL(":authority"), .value = SLICE_LITERAL("weft")},
        {.name = SLICE_LITERAL("te"), .value = SLICE_LITERAL("trailers")},
        {.name = SLICE_LITERAL("content-type"),
            .value = slice_of_string(request->content_type ? request->content_type : "application/grpc")},
        {.name = SLICE_LITERAL("grpc-encoding"),
            .value = slice_of_string(request->encoding ? request->encoding : "identity")},
    };
    struct slice parts[2] = {request->first, request->second};
    assert_true(peer->call_count < CALL_COUNT_MAX);
    struct peer_call *call = &peer->calls[peer->call_count++];
    size_t part_count = parts[0].length + parts[1].length > 0 ? 2 : 0;
    assert_int_equal(
        h2_submit_request(&peer->h2, headers, request->encoding ? 7 : 6, parts, part_count, &call->stream),
        0);
    memcpy(h2_stream_user(call->stream), &call, sizeof call);
    return call;
}

/* One framed message. */
static inline struct peer_call *peer_message(
    struct peer *peer, const char *path, const char *encoding, struct slice message)
{
    struct peer_call *call = &peer->calls[peer->call_count];
    call->prefix[0] = encoding != NULL;
    call->prefix[1] = (uint8_t)(message.length >> 24);
    call->prefix[2] = (uint8_t)(message.length >> 16);
    call->prefix[3] = (uint8_t)(message.length >> 8);
    call->prefix[4] = (uint8_t)message.length;
    return peer_send(peer, &(struct peer_request){.path = path,
                               .encoding = encoding,
                               .first = slice_of(call->prefix, sizeof call->prefix),
                               .second = message});
}

/* One direction each, at most capacity bytes; returns the bytes carried. */
static inline size_t peer_step(struct peer *peer, size_t capacity, uint64_t now_ns)
{
    static uint8_t out[262144];
    assert_true(capacity <= sizeof out);
    long there = h2_session_send(&peer->h2, out, capacity);
    assert_true(there >= 0);
    if (there > 0) {
        uint8_t *exact = malloc((size_t)there); /* so that a sanitizer sees a read past the end */
        assert_non_null(exact);
        memcpy(exact, out, (size_t)there);
        assert_int_equal(grpc_connection_receive(peer->server, slice_of(exact, (size_t)there), now_ns), 0);
        free(exact);
        grpc_server_run(peer->server->server, now_ns);
    }
    long back = h2_session_send(&peer->server->h2, out, capacity);
    assert_true(back >= 0);
    assert_int_equal(h2_session_receive(&peer->h2, slice_of(out, (size_t)back), now_ns), 0);
    return (size_t)there + (size_t)back;
}

static inline void peer_exchange(struct peer *peer, size_t capacity, uint64_t now_ns)
{
    while (peer_step(peer, capacity, now_ns) > 0) {
    }
}

/* The server side. */
struct host {
    struct grpc_server server;
    struct limits limits;
    struct budget assembly;
    struct budget waiting;
    struct metric_registry registry;
    struct metric_cells *cells;
    struct grpc_connection connections[16];
    size_t connection_count;
    size_t message_count;
    size_t message_bytes;
    uint64_t message_sum;
    uint64_t reserved_bytes_max; /* seen in handlers */
    size_t closed_count;
    size_t wake_count;
    int result; /* what handlers return */
    struct grpc_answer answer;
    bool answer_set;
};

static int host_message(void *user, struct grpc_call *call, struct slice message, struct grpc_answer *answer)
{
    struct host *host = user;
    host->message_count++;
    host->message_bytes += message.length;
    for (size_t i = 0; i<message.length; i += message.length> 65536 ? 4099 : 1) {
        host->message_sum += message.ptr[i];
    }
    uint64_t used_bytes = atomic_load(&host->assembly.used_bytes);
    host->reserved_bytes_max = used_bytes > host->reserved_bytes_max ? used_bytes : host->reserved_bytes_max;
    if (call->message_count == 0) {
        assert_null(call->stream_user);
        call->stream_user = host;
    }
    assert_ptr_equal(call->stream_user, host);
    if (host->answer_set) {
        *answer = host->answer;
    }
    return host->result;
}

static void host_closed(void *user, struct grpc_call *call)
{
    struct host *host = user;
    (void)call;
    host->closed_count++;
}

static const struct grpc_method host_methods[] = {
    {.path = "/t/Unary",
        .accepted = METRIC_MESSAGES_ACCEPTED_OTLP_GRPC,
        .message = host_message,
        .closed = host_closed},
    {.path = "/t/Stream",
        .streaming = true,
        .accepted = METRIC_MESSAGES_ACCEPTED_OTLP_GRPC,
        .message = host_message,
        .closed = host_closed},
};

static struct host *waking_host;

static void host_wake(struct grpc_connection *connection)
{
    (void)connection;
    waking_host->wake_count++;
}

static inline void host_init(struct host *host, uint64_t assembly_bytes, uint64_t waiting_bytes)
{
    memset(host, 0, sizeof *host);
    limits_init(&host->limits);
    host->assembly.cap_bytes = assembly_bytes;
    host->waiting.cap_bytes = waiting_bytes;
    host->cells = metric_registry_add(&host->registry, METRIC_SCOPE_SHARD, "0");
    assert_non_null(host->cells);
    waking_host = host;
    assert_int_equal(grpc_server_init(&host->server, &(struct grpc_server_config){.methods = host_methods,
                                                         .method_count = 2,
                                                         .user = host,
                                                         .limits = &host->limits,
                                                         .assembly = &host->assembly,
                                                         .waiting = &host->waiting,
                                                         .cells = host->cells}),
        0);
}

static inline struct grpc_connection *host_connect(struct host *host)
{
    struct grpc_connection *connection = &host->connections[host->connection_count++];
    assert_int_equal(grpc_connection_init(connection, &host->server, NULL, host_wake), 0);
    return connection;
}

/* Ends everything; no memory may be reserved after it. */
static inline void host_deinit(struct host *host)
{
    for (size_t i = 0; i < host->connection_count; i++) {
        grpc_connection_deinit(&host->connections[i]);
    }
    assert_int_equal(atomic_load(&host->assembly.used_bytes), 0);
    assert_int_equal(atomic_load(&host->waiting.used_bytes), 0);
    assert_false(grpc_server_busy(&host->server));
    grpc_server_deinit(&host->server);
    metric_registry_deinit(&host->registry);
}

static inline uint64_t host_count(const struct host *host, enum metric_id id)
{
    return metric_get(host->cells, id);
}

#endif
