/*
 * The sockets of h2_connection.h: receives, feeds, sends. Runs on the loop's thread. What the bytes mean is
 * decided in grpc.c; accepting and telling protocols apart is the acceptor's.
 */
#include "listen/h2_connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/error.h"
#include "core/metrics.h"

struct h2_connection {
    struct grpc_connection grpc; /* first member: wake is given its address */
    struct h2_endpoint *endpoint;
    LIST_ENTRY(h2_connection) link; /* in endpoint->connections */
    uv_poll_t poll;
    int fd;
    bool writing; /* polls for writable: `pending` is not empty */
    bool closing;
    enum h2_close_reason reason;
    uint8_t *pending; /* what the socket did not take; at most H2_SEND_BYTES */
    size_t pending_bytes;
    size_t pending_sent_bytes;
    void *user;
    void (*on_close)(void *user, enum h2_close_reason reason);
};

static void on_poll(uv_poll_t *poll, int status, int events);

static void update_timer(struct h2_endpoint *endpoint);

static void on_handle_closed(uv_handle_t *handle)
{
    struct h2_connection *connection = handle->data;

    LIST_REMOVE(connection, link);
    connection->endpoint->connection_count--;
    (void)close(connection->fd);
    if (connection->on_close != NULL) {
        connection->on_close(connection->user, connection->reason);
    }
    free(connection->pending);
    free(connection);
}

static void begin_close(struct h2_connection *connection, enum h2_close_reason reason)
{
    struct metric_cells *cells = connection->endpoint->server.config.cells;

    if (connection->closing) {
        return;
    }
    connection->closing = true;
    connection->reason = reason;
    if (reason == H2_CLOSE_PROTOCOL) {
        LEDGER_ADD(cells, METRIC_CONNECTIONS_PROTOCOL, 1);
    } else if (reason == H2_CLOSE_FLOOD) {
        LEDGER_ADD(cells, METRIC_CONNECTIONS_FLOOD, 1);
    }
    grpc_connection_deinit(&connection->grpc);
    (void)uv_poll_stop(&connection->poll);
    uv_close((uv_handle_t *)&connection->poll, on_handle_closed);
}

static enum h2_close_reason session_reason(const struct h2_connection *connection)
{
    const struct h2_session *h2 = &connection->grpc.h2;

    if (h2->flood != H2_FLOOD_NONE) {
        return H2_CLOSE_FLOOD;
    }
    switch (h2->failure) {
    case 0:
        return connection->endpoint->draining ? H2_CLOSE_DRAINED : H2_CLOSE_PEER;
    case WERR_NOMEM:
        return H2_CLOSE_MEMORY;
    default:
        return H2_CLOSE_PROTOCOL;
    }
}

static bool is_again(int error_number)
{
    return error_number == EAGAIN || error_number == EWOULDBLOCK || error_number == EINTR;
}

/* Bytes that the socket took (0: none now), or WERR_IO. */
static long send_some(int fd, const uint8_t *data, size_t bytes)
{
    ssize_t sent = send(fd, data, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (sent >= 0) {
        return (long)sent;
    }
    return is_again(errno) ? 0 : WERR_IO;
}

static int poll_for(struct h2_connection *connection, bool writing)
{
    connection->writing = writing;
    return uv_poll_start(&connection->poll, writing ? UV_WRITABLE : UV_READABLE, on_poll) == 0 ? 0 : WERR_IO;
}

/* 0 when nothing is pending any more, WERR_AGAIN when something still is, WERR_IO. */
static int send_pending(struct h2_connection *connection)
{
    size_t left_bytes = connection->pending_bytes - connection->pending_sent_bytes;
    long sent = send_some(connection->fd, connection->pending + connection->pending_sent_bytes, left_bytes);

    if (sent < 0) {
        return (int)sent;
    }
    connection->pending_sent_bytes += (size_t)sent;
    if ((size_t)sent < left_bytes) {
        return WERR_AGAIN;
    }
    free(connection->pending);
    connection->pending = NULL;
    connection->pending_bytes = 0;
    connection->pending_sent_bytes = 0;
    return poll_for(connection, false);
}

static int keep_pending(struct h2_connection *connection, const uint8_t *data, size_t bytes)
{
    connection->pending = malloc(bytes);
    if (connection->pending == NULL) {
        return WERR_NOMEM;
    }
    memcpy(connection->pending, data, bytes);
    connection->pending_bytes = bytes;
    connection->pending_sent_bytes = 0;
    int error = poll_for(connection, true);
    return error < 0 ? error : WERR_AGAIN;
}

/* All that the session has to say, in as few sends as its size allows. 0, WERR_AGAIN (the rest later),
 * WERR_IO, WERR_NOMEM. */
static int send_output(struct h2_connection *connection)
{
    uint8_t *buffer = connection->endpoint->send_buffer;

    if (connection->writing) {
        int error = send_pending(connection);
        if (error < 0) {
            return error;
        }
    }
    for (;;) {
        long bytes = h2_session_send(&connection->grpc.h2, buffer, H2_SEND_BYTES);
        if (bytes <= 0) {
            return (int)bytes;
        }
        long sent = send_some(connection->fd, buffer, (size_t)bytes);
        if (sent < 0) {
            return (int)sent;
        }
        if (sent < bytes) {
            return keep_pending(connection, buffer + sent, (size_t)(bytes - sent));
        }
    }
}

/* Sends, and closes what is over. */
static void flush(struct h2_connection *connection)
{
    if (connection->closing) {
        return;
    }
    int error = send_output(connection);
    if (error == WERR_NOMEM) {
        begin_close(connection, H2_CLOSE_MEMORY);
    } else if (error == WERR_IO) {
        begin_close(connection, H2_CLOSE_PEER);
    } else if (connection->grpc.h2.failure != 0 ||
               (error == 0 && h2_session_finished(&connection->grpc.h2))) {
        begin_close(connection, session_reason(connection));
    }
}

static void wake(struct grpc_connection *grpc)
{
    flush((struct h2_connection *)(void *)grpc);
}

static void feed(struct h2_connection *connection, struct slice bytes)
{
    struct h2_endpoint *endpoint = connection->endpoint;
    uint64_t now_ns = clock_monotonic_ns(endpoint->clock);

    metric_add(endpoint->server.config.cells, METRIC_RECEIVED_BYTES, bytes.length);
    (void)grpc_connection_receive(&connection->grpc, bytes, now_ns); /* a failure shows in flush */
    grpc_server_run(&endpoint->server, now_ns);
    flush(connection);
}

static void receive(struct h2_connection *connection)
{
    struct h2_endpoint *endpoint = connection->endpoint;

    for (int round = 0; round < H2_RECEIVE_ROUNDS_MAX && !connection->closing && !connection->writing;
         round++) {
        ssize_t bytes = recv(connection->fd, endpoint->receive_buffer, H2_RECEIVE_BYTES, MSG_DONTWAIT);
        if (bytes < 0 && is_again(errno)) {
            break;
        }
        if (bytes <= 0) {
            begin_close(connection, bytes == 0 || errno == ECONNRESET ? H2_CLOSE_PEER : H2_CLOSE_IO);
            break;
        }
        feed(connection, slice_of(endpoint->receive_buffer, (size_t)bytes));
        if ((size_t)bytes < H2_RECEIVE_BYTES) {
            break;
        }
    }
    update_timer(endpoint);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct h2_connection *connection = poll->data;

    if (status < 0) {
        begin_close(connection, status == UV_EBADF ? H2_CLOSE_IO : H2_CLOSE_PEER);
        return;
    }
    if ((events & UV_WRITABLE) != 0) {
        flush(connection);
    }
    if ((events & UV_READABLE) != 0 && !connection->closing) {
        receive(connection);
    }
}

static void drain_all(struct h2_endpoint *endpoint)
{
    for (struct h2_connection *connection = LIST_FIRST(&endpoint->connections); connection != NULL;
         connection = LIST_NEXT(connection, link)) { /* flush may close it, but frees only from the loop */
        if (!connection->closing) {
            h2_session_drain(&connection->grpc.h2);
            flush(connection);
        }
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct h2_endpoint *endpoint = timer->data;
    uint64_t now_ns = clock_monotonic_ns(endpoint->clock);

    if (endpoint->drain_ns > 0 && now_ns - endpoint->drain_ns >= H2_DRAIN_GRACE_MS * 1000000ull) {
        endpoint->drain_ns = 0;
        drain_all(endpoint);
    }
    grpc_server_run(&endpoint->server, now_ns);
    update_timer(endpoint);
}

static void update_timer(struct h2_endpoint *endpoint)
{
    bool busy = grpc_server_busy(&endpoint->server) || endpoint->drain_ns > 0;

    if (busy == endpoint->timer_active || uv_is_closing((uv_handle_t *)&endpoint->timer)) {
        return;
    }
    endpoint->timer_active = busy;
    if (busy) {
        (void)uv_timer_start(&endpoint->timer, on_timer, H2_ENDPOINT_TIMER_MS, H2_ENDPOINT_TIMER_MS);
    } else {
        (void)uv_timer_stop(&endpoint->timer);
    }
}

int h2_endpoint_init(struct h2_endpoint *endpoint, const struct h2_endpoint_config *config)
{
    *endpoint = (struct h2_endpoint){.loop = config->loop, .clock = config->clock};
    endpoint->receive_buffer = malloc(H2_RECEIVE_BYTES);
    endpoint->send_buffer = malloc(H2_SEND_BYTES);
    if (endpoint->receive_buffer == NULL || endpoint->send_buffer == NULL ||
        grpc_server_init(&endpoint->server, &config->grpc) < 0) {
        h2_endpoint_deinit(endpoint);
        return WERR_NOMEM;
    }
    if (uv_timer_init(endpoint->loop, &endpoint->timer) != 0) {
        h2_endpoint_deinit(endpoint);
        return WERR_IO;
    }
    endpoint->timer.data = endpoint;
    return 0;
}

void h2_endpoint_drain(struct h2_endpoint *endpoint)
{
    if (endpoint->draining) {
        return;
    }
    endpoint->draining = true;
    endpoint->drain_ns = clock_monotonic_ns(endpoint->clock);
    grpc_server_drain(&endpoint->server);
    drain_all(endpoint);
    update_timer(endpoint);
}

void h2_endpoint_close(struct h2_endpoint *endpoint)
{
    for (struct h2_connection *connection = LIST_FIRST(&endpoint->connections); connection != NULL;
         connection = LIST_NEXT(connection, link)) {
        begin_close(connection, H2_CLOSE_OWNER);
    }
    if (!uv_is_closing((uv_handle_t *)&endpoint->timer)) {
        uv_close((uv_handle_t *)&endpoint->timer, NULL);
    }
}

void h2_endpoint_deinit(struct h2_endpoint *endpoint)
{
    if (endpoint == NULL) {
        return;
    }
    grpc_server_deinit(&endpoint->server);
    free(endpoint->receive_buffer);
    free(endpoint->send_buffer);
    endpoint->receive_buffer = NULL;
    endpoint->send_buffer = NULL;
}

/* From here on the connection owns its descriptor and ends through the loop. */
static void start(struct h2_connection *connection, struct slice early)
{
    struct h2_endpoint *endpoint = connection->endpoint;

    LIST_INSERT_HEAD(&endpoint->connections, connection, link);
    endpoint->connection_count++;
    if (endpoint->draining) {
        h2_session_drain(&connection->grpc.h2);
    }
    if (poll_for(connection, false) < 0) {
        begin_close(connection, H2_CLOSE_IO);
        return;
    }
    if (early.length > 0) {
        feed(connection, early);
    } else {
        flush(connection);
    }
    update_timer(endpoint);
}

int h2_connection_new(struct h2_endpoint *endpoint, int fd, struct slice early, void *user,
    void (*on_close)(void *user, enum h2_close_reason reason), struct h2_connection **ret_connection)
{
    struct h2_connection *connection = calloc(1, sizeof *connection);

    if (connection == NULL) {
        return WERR_NOMEM;
    }
    connection->endpoint = endpoint;
    connection->fd = fd;
    connection->user = user;
    connection->on_close = on_close;
    if (grpc_connection_init(&connection->grpc, &endpoint->server, user, wake) < 0) {
        free(connection);
        return WERR_NOMEM;
    }
    if (uv_poll_init(endpoint->loop, &connection->poll, fd) != 0) {
        grpc_connection_deinit(&connection->grpc);
        free(connection);
        return WERR_IO;
    }
    connection->poll.data = connection;
    *ret_connection = connection;
    start(connection, early);
    return 0;
}
