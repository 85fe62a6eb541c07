/*
 * An HTTP server of one shard's, before a record path, for the tests of what is posted to it: each way in
 * which memory can be short is told by a field. Everything is static inline.
 */
#ifndef WEFT_TESTS_AGENT_WEB_H
#define WEFT_TESTS_AGENT_WEB_H

#include <errno.h>

#include "core/compress.h"
#include "http/http_routes.h"
#include "rig.h"
#include "unit/prometheus/failing_memory.h"

enum { WEB_PACKED_BYTES_MAX = 1 << 24 };

struct web {
    struct rig rig;
    struct budget assembly;
    struct http_server *server;
    struct http_routes routes;
    struct peer peer;
    bool without_peer;        /* as if memory for it had failed */
    bool without_memory;      /* of the handler */
    bool without_body_memory; /* of the server while it reads */
};

static inline void web_on_request(void *user, struct http_exchange *exchange)
{
    struct web *web = user;

    failing_memory_left = web->without_memory ? 0 : -1; /* reading has ended */
    http_routes_handle(&web->routes, exchange);
    failing_memory_left = -1;
}

static inline void *web_on_opened(void *user, int fd, enum listener_kind kind)
{
    struct web *web = user;

    (void)fd;
    (void)kind;
    return web->without_peer ? NULL : &web->peer;
}

static inline void web_on_closed(void *user, void *connection_user, enum listener_kind kind)
{
    (void)kind;
    (void)user;
    (void)connection_user;
}

static inline void web_start(struct web *web)
{
    memset(web, 0, sizeof *web);
    rig_init(&web->rig);
    web->rig.limits.message_bytes_max = 65536;
    rig_start(&web->rig, NULL);
    web->assembly.cap_bytes = web->rig.limits.assembly_bytes_max;
    web->peer.pipeline = &web->rig.pipeline;
    web->peer.sender = web->rig.sender;
    web->routes = (struct http_routes){
        .pipeline = &web->rig.pipeline, .assembly = &web->assembly, .cells = web->rig.shard_cells};
    inflater_init(&web->routes.inflater);
    struct http_server_config config = {
        .loop = &web->rig.loop,
        .limits = &web->rig.limits,
        .assembly = &web->assembly,
        .cells = web->rig.shard_cells,
        .handler = {.request = web_on_request,
            .connection_opened = web_on_opened,
            .connection_closed = web_on_closed,
            .user = web},
    };
    web->server = http_server_new(&config);
    assert_non_null(web->server);
}

static inline void web_stop(struct web *web)
{
    http_server_close(web->server);
    rig_turn(&web->rig);
    http_server_free(web->server);
    inflater_deinit(&web->routes.inflater);
    rig_stop(&web->rig);
    assert_int_equal(web->assembly.used_bytes, 0);
}

/* Posts to `path` and reads the whole answer into `answer`; its status. */
static inline unsigned web_post(struct web *web, const char *path, const char *headers, struct slice body,
    char *answer, size_t answer_bytes)
{
    int fds[2];
    char head[512];
    size_t length = 0;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    http_server_add(web->server, fds[1], LISTENER_INGEST);
    int head_bytes = snprintf(head, sizeof head,
        "POST %s HTTP/1.1\r\nHost: weft\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n", path,
        body.length, headers);
    assert_int_equal(send(fds[0], head, (size_t)head_bytes, MSG_NOSIGNAL), head_bytes);
    for (int i = 0; i < 10000; i++) {
        if (body.length > 0 && i > 0) {
            ssize_t sent = send(fds[0], body.ptr, body.length, MSG_NOSIGNAL);
            body = sent > 0 ? slice_of(body.ptr + sent, body.length - (size_t)sent) : body;
        }
        /* From the second turn on: the exchange itself is made in the first. */
        failing_memory_left = web->without_body_memory && i > 0 ? 0 : -1;
        rig_turn(&web->rig);
        failing_memory_left = -1;
        ssize_t received = recv(fds[0], answer + length, answer_bytes - length - 1, 0);
        if (received == 0 || (received < 0 && errno == ECONNRESET)) {
            break;
        }
        length += received > 0 ? (size_t)received : 0;
    }
    answer[length] = '\0';
    (void)close(fds[0]);
    rig_turn(&web->rig);
    assert_true(length > strlen("HTTP/1.1 200"));
    return (unsigned)strtoul(answer + strlen("HTTP/1.1 "), NULL, 10);
}

/* `out`: freed by the caller. */
static inline void pack(enum compression compression, struct slice plain, struct buffer *out)
{
    struct compressor *compressor = compressor_new(compression);

    assert_non_null(compressor);
    buffer_init(out, WEB_PACKED_BYTES_MAX);
    assert_int_equal(compressor_write(compressor, plain, out), 0);
    assert_int_equal(compressor_finish(compressor, out), 0);
    compressor_free(compressor);
}

#endif
