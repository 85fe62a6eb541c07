/* Connections taken out of TLS: tls_inlet.h. */
#include "listen/tls_inlet.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <unistd.h>

#include "core/error.h"
#include "listen/tls_server.h"

/* What one side sends the other, at most a buffer at once. */
struct direction {
    uint8_t bytes[TLS_BUFFER_BYTES];
    size_t begin;
    size_t end;
    bool ended; /* nothing more comes in */
};

struct tls_connection {
    LIST_ENTRY(tls_connection) link;
    struct tls_inlet *inlet;
    SSL *session;
    uv_poll_t outer_poll;
    uv_poll_t inner_poll;
    int outer;
    int inner;       /* -1 before the handshake is done */
    uint64_t cookie; /* of the handed end: tells its socket from any other */
    uint64_t deadline_ms;
    int handles; /* that are open */
    bool done;   /* the handshake is */
    bool closing;
    bool told_end;    /* the servers know that nothing more comes */
    bool lingers;     /* the servers have ended it; the peer may not have read yet what they said last */
    bool wants_write; /* TLS waits for room in the socket */
    struct direction in;
    struct direction out;
    struct tls_peer peer;
};

struct tls_inlet {
    struct tls_inlet_config config;
    LIST_HEAD(tls_connections, tls_connection) connections;
    uv_timer_t timer;
};

static void on_poll(uv_poll_t *poll, int status, int events);

static void on_handle_closed(uv_handle_t *handle)
{
    struct tls_connection *connection = handle->data;

    if (--connection->handles > 0) {
        return;
    }
    LIST_REMOVE(connection, link);
    SSL_free(connection->session);
    (void)close(connection->outer);
    if (connection->inner >= 0) {
        (void)close(connection->inner);
    }
    free(connection);
}

static void begin_close(struct tls_connection *connection)
{
    const struct tls_inlet_config *config = &connection->inlet->config;

    if (connection->closing) {
        return;
    }
    connection->closing = true;
    uv_close((uv_handle_t *)&connection->outer_poll, on_handle_closed);
    if (connection->inner >= 0) {
        uv_close((uv_handle_t *)&connection->inner_poll, on_handle_closed);
    }
    if (!connection->done) {
        metric_add(config->cells, METRIC_CONNECTIONS_TLS, 1);
        config->done(config->user, -1);
    }
}

static bool is_again(int error_number)
{
    return error_number == EAGAIN || error_number == EWOULDBLOCK || error_number == EINTR;
}

/* Of an SSL_ call that did not succeed: true when it is to be tried again later. */
static bool tries_again(struct tls_connection *connection, int result)
{
    int error = SSL_get_error(connection->session, result);

    ERR_clear_error();
    connection->wants_write |= error == SSL_ERROR_WANT_WRITE;
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

static int hand_over(struct tls_connection *connection)
{
    struct tls_inlet *inlet = connection->inlet;
    socklen_t length = sizeof connection->cookie;
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) {
        return WERR_IO;
    }
    if (getsockopt(pair[1], SOL_SOCKET, SO_COOKIE, &connection->cookie, &length) != 0 ||
        uv_poll_init(inlet->config.loop, &connection->inner_poll, pair[0]) != 0) {
        (void)close(pair[0]);
        (void)close(pair[1]);
        return WERR_IO;
    }
    connection->inner_poll.data = connection;
    connection->inner = pair[0];
    connection->handles++;
    connection->done = true;
    tls_peer_name(connection->session, connection->peer.name, sizeof connection->peer.name);
    inlet->config.done(inlet->config.user, pair[1]);
    return 0;
}

/* True when the connection may go on. */
static bool shake_hands(struct tls_connection *connection)
{
    ERR_clear_error(); /* others of this thread may have left something, and SSL_get_error looks there */
    int result = SSL_do_handshake(connection->session);

    if (result != 1) {
        return tries_again(connection, result);
    }
    return hand_over(connection) == 0;
}

static bool is_empty(const struct direction *direction)
{
    return direction->begin == direction->end;
}

/* From TLS into the buffer. True when something came. */
static bool read_outer(struct tls_connection *connection)
{
    struct direction *in = &connection->in;
    size_t bytes = 0;

    if (!is_empty(in) || in->ended) {
        return false;
    }
    ERR_clear_error();
    int result = SSL_read_ex(connection->session, in->bytes, sizeof in->bytes, &bytes);
    if (result == 1) {
        in->begin = 0;
        in->end = bytes;
        return true;
    }
    in->ended = !tries_again(connection, result);
    return false;
}

/* True when something was taken. */
static bool write_inner(struct tls_connection *connection)
{
    struct direction *in = &connection->in;

    if (is_empty(in)) {
        if (in->ended && !connection->told_end) {
            connection->told_end = true;
            (void)shutdown(connection->inner, SHUT_WR);
        }
        return false;
    }
    ssize_t sent =
        send(connection->inner, in->bytes + in->begin, in->end - in->begin, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && !is_again(errno)) {
        in->begin = in->end = 0; /* nobody reads any more; what the servers said still leaves */
        in->ended = true;
    }
    in->begin += sent > 0 ? (size_t)sent : 0;
    return sent > 0;
}

static bool read_inner(struct tls_connection *connection)
{
    struct direction *out = &connection->out;

    if (!is_empty(out) || out->ended) {
        return false;
    }
    ssize_t bytes = recv(connection->inner, out->bytes, sizeof out->bytes, MSG_DONTWAIT);
    if (bytes > 0) {
        out->begin = 0;
        out->end = (size_t)bytes;
        return true;
    }
    out->ended = bytes == 0 || !is_again(errno);
    return false;
}

/* To a peer that reads what the servers said last. */
static void give_time(struct tls_connection *connection)
{
    const struct tls_inlet_config *config = &connection->inlet->config;

    connection->deadline_ms = uv_now(config->loop) + config->linger_ms_max;
}

static bool write_outer(struct tls_connection *connection)
{
    struct direction *out = &connection->out;
    size_t bytes = 0;

    if (is_empty(out)) {
        return false;
    }
    ERR_clear_error();
    int result = SSL_write_ex(connection->session, out->bytes + out->begin, out->end - out->begin, &bytes);
    if (result == 1) {
        out->begin += bytes;
        give_time(connection);
        return true;
    }
    if (!tries_again(connection, result)) {
        out->begin = out->end = 0;
        out->ended = true;
    }
    return false;
}

/* Moves what can be moved; true when there may be more at once. */
static bool move(struct tls_connection *connection)
{
    bool moved = true;

    for (int round = 0; round < TLS_ROUNDS_MAX && moved; round++) {
        moved = read_outer(connection);
        moved |= write_inner(connection);
        moved |= read_inner(connection);
        moved |= write_outer(connection);
    }
    return moved;
}

static void poll_for(uv_poll_t *poll, int events)
{
    if (events != 0) {
        (void)uv_poll_start(poll, events, on_poll);
    } else {
        (void)uv_poll_stop(poll);
    }
}

/* What to wait for: each buffer's next step. `more`: come back at once, as bytes may lie inside of TLS. */
static void wait_next(struct tls_connection *connection, bool more)
{
    bool reads_outer = !connection->done || (is_empty(&connection->in) && !connection->in.ended);
    bool writes_outer = connection->wants_write || more || !is_empty(&connection->out);

    poll_for(&connection->outer_poll, (reads_outer ? UV_READABLE : 0) | (writes_outer ? UV_WRITABLE : 0));
    if (connection->done) {
        bool reads_inner = is_empty(&connection->out) && !connection->out.ended;

        poll_for(&connection->inner_poll, (reads_inner ? UV_READABLE : 0) |
                                              (!is_empty(&connection->in) ? UV_WRITABLE : 0) |
                                              (!connection->lingers ? UV_DISCONNECT : 0));
    }
}

static void run(struct tls_connection *connection)
{
    bool more = false;

    connection->wants_write = false;
    if (!connection->done && !shake_hands(connection)) {
        begin_close(connection);
        return;
    }
    if (connection->done) {
        more = move(connection);
    }
    if (connection->done && connection->out.ended && is_empty(&connection->out)) {
        (void)SSL_shutdown(connection->session);
        ERR_clear_error();
        begin_close(connection);
        return;
    }
    wait_next(connection, more);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct tls_connection *connection = poll->data;

    if (connection->closing) {
        return;
    }
    if (poll == &connection->inner_poll && (status < 0 || (events & UV_DISCONNECT) != 0)) {
        connection->lingers = true;
        give_time(connection);
    }
    if (status < 0 && poll == &connection->outer_poll) {
        begin_close(connection);
        return;
    }
    run(connection);
}

/*
 * Handshakes that take too long; and peers that do not read. To the servers those are gone and their places
 * are given to others, so descriptors and buffers may not wait for them for ever.
 */
static void on_timer(uv_timer_t *timer)
{
    struct tls_inlet *inlet = timer->data;
    uint64_t now_ms = uv_now(inlet->config.loop);

    for (struct tls_connection *connection = LIST_FIRST(&inlet->connections); connection != NULL;
         connection = LIST_NEXT(connection, link)) { /* frees only from the loop */
        bool waits = !connection->done || connection->lingers;

        if (!waits || connection->closing || now_ms < connection->deadline_ms) {
            continue;
        }
        if (connection->lingers) {
            metric_add(inlet->config.cells, METRIC_CONNECTIONS_LIMITED, 1);
        }
        begin_close(connection);
    }
}

int tls_inlet_new(const struct tls_inlet_config *config, struct tls_inlet **ret_inlet)
{
    struct tls_inlet *inlet = calloc(1, sizeof *inlet);

    if (inlet == NULL) {
        return WERR_NOMEM;
    }
    inlet->config = *config;
    LIST_INIT(&inlet->connections);
    if (uv_timer_init(config->loop, &inlet->timer) != 0) {
        free(inlet);
        return WERR_IO;
    }
    inlet->timer.data = inlet;
    (void)uv_timer_start(&inlet->timer, on_timer, TLS_LOOK_MS, TLS_LOOK_MS);
    *ret_inlet = inlet;
    return 0;
}

static int start(struct tls_inlet *inlet, struct tls_connection *connection, int fd)
{
    socklen_t length = sizeof connection->peer.address;

    (void)getpeername(fd, (struct sockaddr *)&connection->peer.address, &length);
    connection->session = SSL_new(inlet->config.context);
    if (connection->session == NULL || SSL_set_fd(connection->session, fd) != 1) {
        ERR_clear_error();
        return WERR_NOMEM;
    }
    SSL_set_accept_state(connection->session);
    if (uv_poll_init(inlet->config.loop, &connection->outer_poll, fd) != 0) {
        return WERR_IO;
    }
    return 0;
}

int tls_inlet_add(struct tls_inlet *inlet, int fd)
{
    struct tls_connection *connection = calloc(1, sizeof *connection);
    int error = connection != NULL ? start(inlet, connection, fd) : WERR_NOMEM;

    if (error < 0) {
        if (connection != NULL) {
            SSL_free(connection->session);
        }
        free(connection);
        return error;
    }
    connection->inlet = inlet;
    connection->outer = fd;
    connection->inner = -1;
    connection->handles = 1;
    connection->outer_poll.data = connection;
    connection->deadline_ms = uv_now(inlet->config.loop) + inlet->config.handshake_ms_max;
    LIST_INSERT_HEAD(&inlet->connections, connection, link);
    poll_for(&connection->outer_poll, UV_READABLE);
    return 0;
}

const struct tls_peer *tls_inlet_peer(const struct tls_inlet *inlet, int fd)
{
    const struct tls_connection *connection;
    uint64_t cookie;
    socklen_t length = sizeof cookie;

    if (inlet == NULL || getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &length) != 0) {
        return NULL;
    }
    LIST_FOREACH(connection, &inlet->connections, link)
    {
        if (connection->done && connection->cookie == cookie) {
            return &connection->peer;
        }
    }
    return NULL;
}

void tls_inlet_close(struct tls_inlet *inlet)
{
    if (inlet == NULL) {
        return;
    }
    for (struct tls_connection *connection = LIST_FIRST(&inlet->connections); connection != NULL;
         connection = LIST_NEXT(connection, link)) {
        if (!connection->closing && connection->done) {
            (void)move(connection);
            (void)SSL_shutdown(connection->session);
            ERR_clear_error();
        }
        begin_close(connection);
    }
    if (!uv_is_closing((uv_handle_t *)&inlet->timer)) {
        uv_close((uv_handle_t *)&inlet->timer, NULL);
    }
}

void tls_inlet_free(struct tls_inlet *inlet)
{
    free(inlet);
}
