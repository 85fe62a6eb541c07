/*
 * The floor under the agent's gRPC path: the agent's own listener and HTTP/2 server with a handler that
 * throws every message away. What the agent costs above it under the same load is decoding, context and
 * counting.
 *
 *     floor_server PATH|ADDRESS:PORT        until SIGTERM or SIGINT, at most an hour
 *
 * One thread: the loop's.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "core/error.h"
#include "core/metrics.h"
#include "listen/h2_connection.h"
#include "listen/listener.h"

enum { LIFE_MS = 3600000 };

struct floor_server {
    struct listener listener;
    uv_loop_t loop;
    uv_poll_t accepting;
    uv_signal_t terminate;
    uv_signal_t interrupt;
    uv_timer_t life;
    struct h2_endpoint h2;
    struct limits limits;
    struct budget assembly;
    struct budget waiting;
};

static int discard(void *user, struct grpc_call *call, struct slice message, struct grpc_answer *answer)
{
    (void)user;
    (void)call;
    (void)message;
    (void)answer;
    return 0;
}

static const struct grpc_method methods[] = {
    {
        .path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        .accepted = METRIC_MESSAGES_ACCEPTED_OTLP_GRPC,
        .message = discard,
    },
};

static void on_connecting(uv_poll_t *poll, int status, int events)
{
    struct floor_server *server = poll->data;
    struct h2_connection *connection;

    (void)status;
    (void)events;
    int fd = accept4(server->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0 && h2_connection_new(&server->h2, fd, slice_of(NULL, 0), NULL, NULL, &connection) < 0) {
        (void)close(fd);
    }
}

static void stop(struct floor_server *server)
{
    if (!uv_is_closing((uv_handle_t *)&server->accepting)) {
        uv_close((uv_handle_t *)&server->accepting, NULL);
        uv_close((uv_handle_t *)&server->terminate, NULL);
        uv_close((uv_handle_t *)&server->interrupt, NULL);
        uv_close((uv_handle_t *)&server->life, NULL);
        h2_endpoint_close(&server->h2);
    }
}

static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    stop(handle->data);
}

static void on_life_over(uv_timer_t *handle)
{
    stop(handle->data);
}

static int start(struct floor_server *server, const char *path, struct metric_cells *cells)
{
    const struct listener_unix_options options = {.path = path, .mode = 0600, .directory_mode = 0700};
    const struct h2_endpoint_config config = {.loop = &server->loop,
        .clock = clock_system(),
        .grpc = {.methods = methods,
            .method_count = 1,
            .user = server,
            .limits = &server->limits,
            .assembly = &server->assembly,
            .waiting = &server->waiting,
            .cells = cells}};

    limits_init(&server->limits);
    server->assembly.cap_bytes = server->limits.assembly_bytes_max;
    server->waiting.cap_bytes = server->limits.waiting_bytes_max;
    int error = strchr(path, '/') != NULL ? listener_open_unix(&server->listener, LISTENER_INGEST, &options)
                                          : listener_open_tcp(&server->listener, LISTENER_INGEST, path);
    if (error < 0) {
        return error;
    }
    if (uv_loop_init(&server->loop) != 0 || h2_endpoint_init(&server->h2, &config) < 0 ||
        uv_poll_init(&server->loop, &server->accepting, server->listener.fd) != 0) {
        return WERR_IO;
    }
    server->accepting.data = server->terminate.data = server->interrupt.data = server->life.data = server;
    (void)uv_poll_start(&server->accepting, UV_READABLE, on_connecting);
    (void)uv_signal_init(&server->loop, &server->terminate);
    (void)uv_signal_start(&server->terminate, on_signal, SIGTERM);
    (void)uv_signal_init(&server->loop, &server->interrupt);
    (void)uv_signal_start(&server->interrupt, on_signal, SIGINT);
    (void)uv_timer_init(&server->loop, &server->life);
    (void)uv_timer_start(&server->life, on_life_over, LIFE_MS, 0);
    return 0;
}

int main(int argc, char **argv)
{
    static struct floor_server server;
    static struct metric_cells cells;

    if (argc != 2) {
        (void)fprintf(stderr, "usage: floor_server PATH|ADDRESS:PORT\n");
        return 2;
    }
    int error = start(&server, argv[1], &cells);
    if (error < 0) {
        (void)fprintf(stderr, "floor_server: %s: %s\n", argv[1], werr_text(error));
        return 1;
    }
    (void)uv_run(&server.loop, UV_RUN_DEFAULT);
    h2_endpoint_deinit(&server.h2);
    (void)uv_loop_close(&server.loop);
    listener_close(&server.listener);
    return 0;
}
