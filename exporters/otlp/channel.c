/* Outgoing connections on raw sockets in uv_poll, with optional TLS over memory. Runs on the exporter's loop.
 */
#include "exporters/otlp/channel.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/error.h"
#include "exporters/otlp/otlp_exporter.h"
#include "exporters/otlp/tls.h"

enum { IO_BYTES = 32768, IO_ROUNDS_MAX = 16 }; /* of one turn, so that a fast peer does not hold the loop */

enum channel_state {
    CHANNEL_RESOLVING,
    CHANNEL_CONNECTING,
    CHANNEL_HANDSHAKE,
    CHANNEL_READY,
    CHANNEL_CLOSED
};

/* A socket and its poll handle, which outlives it by a turn of the loop. */
struct channel_socket {
    uv_poll_t poll;
    int fd;
    struct channel *channel;
};

struct channel {
    struct channel_config config;
    enum channel_state state;
    uv_timer_t timer;
    uv_getaddrinfo_t resolver;
    bool resolving;
    bool timer_open;
    struct addrinfo *addresses;
    const struct addrinfo *next_address;
    struct channel_socket *socket;
    SSL *tls;
    BIO *tls_in;
    BIO *tls_out;
    bool wants_write;
    size_t out_from;
    size_t out_to;
    char text[OTLP_TEXT_BYTES_MAX]; /* the last failure's */
    uint8_t out[IO_BYTES];
};

static void try_next(struct channel *channel);

static void free_when_ended(struct channel *channel)
{
    if (channel->state == CHANNEL_CLOSED && !channel->resolving && !channel->timer_open) {
        free(channel);
    }
}

static void on_socket_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void drop_socket(struct channel *channel)
{
    struct channel_socket *socket = channel->socket;

    channel->socket = NULL;
    channel->out_from = channel->out_to = 0;
    SSL_free(channel->tls);
    channel->tls = NULL;
    if (socket != NULL) {
        uv_close((uv_handle_t *)&socket->poll, on_socket_closed);
        (void)close(socket->fd);
    }
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct channel *channel = handle->data;

    channel->timer_open = false;
    free_when_ended(channel);
}

void channel_close(struct channel *channel)
{
    if (channel == NULL || channel->state == CHANNEL_CLOSED) {
        return;
    }
    channel->state = CHANNEL_CLOSED;
    drop_socket(channel);
    uv_freeaddrinfo(channel->addresses);
    channel->addresses = NULL;
    if (channel->resolving) {
        (void)uv_cancel((uv_req_t *)&channel->resolver); /* its callback comes in any case */
    }
    uv_close((uv_handle_t *)&channel->timer, on_timer_closed);
}

/* The connection is lost for good. */
static void end(struct channel *channel)
{
    void (*closed)(void *user, const char *text) = channel->config.callbacks->closed;

    channel_close(channel);
    closed(channel->config.user, channel->text);
}

static void fail(struct channel *channel, const char *what, int error_number)
{
    char reason[96];

    (void)snprintf(
        channel->text, sizeof channel->text, "%s: %s", what, strerror_r(error_number, reason, sizeof reason));
    if (channel->state == CHANNEL_READY) {
        end(channel);
    } else {
        try_next(channel);
    }
}

static void fail_tls(struct channel *channel)
{
    tls_failure_text(channel->tls, channel->text, sizeof channel->text);
    if (channel->state == CHANNEL_READY) {
        end(channel);
    } else {
        try_next(channel);
    }
}

static void become_ready(struct channel *channel)
{
    channel->state = CHANNEL_READY;
    (void)uv_timer_stop(&channel->timer);
    channel->wants_write = true;
    channel->config.callbacks->ready(channel->config.user);
}

/* ---- sending ---- */

/* Plain bytes from the owner, through TLS when there is one, into `out`. False when the channel is gone. */
static bool refill(struct channel *channel)
{
    uint8_t plain[IO_BYTES / 2];

    channel->out_from = channel->out_to = 0;
    if (channel->tls == NULL) {
        size_t filled = channel->config.callbacks->fill(channel->config.user, channel->out, IO_BYTES);
        channel->out_to = channel->state == CHANNEL_READY ? filled : 0;
        return channel->state == CHANNEL_READY;
    }
    if (channel->state == CHANNEL_READY && BIO_ctrl_pending(channel->tls_out) == 0) {
        size_t filled = channel->config.callbacks->fill(channel->config.user, plain, sizeof plain);
        if (channel->state != CHANNEL_READY) {
            return false;
        }
        for (size_t at = 0; at < filled;) {
            int written = SSL_write(channel->tls, plain + at, (int)(filled - at));
            if (written <= 0) {
                fail_tls(channel);
                return false;
            }
            at += (size_t)written;
        }
    }
    int ready = BIO_read(channel->tls_out, channel->out, IO_BYTES);
    channel->out_to = ready > 0 ? (size_t)ready : 0;
    return true;
}

/* False when the channel, or this socket, is gone. */
static bool send_some(struct channel *channel)
{
    for (int round = 0; round < IO_ROUNDS_MAX; round++) {
        if (channel->out_from == channel->out_to) {
            struct channel_socket *socket = channel->socket;
            if (!refill(channel) || channel->socket != socket) {
                return false;
            }
            if (channel->out_to == 0) {
                channel->wants_write = false;
                return true;
            }
        }
        ssize_t sent = send(channel->socket->fd, channel->out + channel->out_from,
            channel->out_to - channel->out_from, MSG_NOSIGNAL);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR)) {
            return true;
        }
        if (sent < 0) {
            fail(channel, "send", errno);
            return false;
        }
        channel->out_from += (size_t)sent;
    }
    return true;
}

/* ---- receiving ---- */

static void check_alpn(struct channel *channel)
{
    const unsigned char *protocol;
    unsigned int length;

    SSL_get0_alpn_selected(channel->tls, &protocol, &length);
    if (!slice_equal(slice_of(protocol, length), SLICE_LITERAL("h2"))) {
        (void)snprintf(channel->text, sizeof channel->text, "TLS: the server does not offer HTTP/2");
        try_next(channel);
        return;
    }
    become_ready(channel);
}

static void shake_hands(struct channel *channel)
{
    ERR_clear_error();
    int result = SSL_do_handshake(channel->tls);

    channel->wants_write = true; /* whatever it left in tls_out */
    if (result == 1) {
        check_alpn(channel);
        return;
    }
    int reason = SSL_get_error(channel->tls, result);
    if (reason != SSL_ERROR_WANT_READ && reason != SSL_ERROR_WANT_WRITE) {
        fail_tls(channel);
    }
}

/* Decrypted bytes to the owner. False when the channel is gone. */
static bool deliver_tls(struct channel *channel)
{
    uint8_t plain[IO_BYTES / 2];

    for (;;) {
        ERR_clear_error();
        int length = SSL_read(channel->tls, plain, sizeof plain);
        if (length > 0) {
            channel->config.callbacks->bytes(channel->config.user, slice_of(plain, (size_t)length));
            if (channel->state != CHANNEL_READY) {
                return false;
            }
            continue;
        }
        int reason = SSL_get_error(channel->tls, length);
        if (reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE) {
            channel->wants_write = channel->wants_write || BIO_ctrl_pending(channel->tls_out) > 0;
            return true;
        }
        if (reason == SSL_ERROR_ZERO_RETURN) {
            (void)snprintf(channel->text, sizeof channel->text, "connection closed by the peer");
            end(channel);
        } else {
            fail_tls(channel);
        }
        return false;
    }
}

/* False when the channel, or this socket, is gone. */
static bool take(struct channel *channel, struct slice bytes)
{
    struct channel_socket *socket = channel->socket;

    if (channel->tls == NULL) {
        channel->config.callbacks->bytes(channel->config.user, bytes);
        return channel->state == CHANNEL_READY;
    }
    if (BIO_write(channel->tls_in, bytes.ptr, (int)bytes.length) != (int)bytes.length) {
        fail(channel, "TLS", ENOMEM);
        return false;
    }
    if (channel->state == CHANNEL_HANDSHAKE) {
        shake_hands(channel);
    }
    if (channel->state == CHANNEL_READY && channel->socket == socket) {
        return deliver_tls(channel);
    }
    return channel->socket == socket;
}

static bool receive_some(struct channel *channel)
{
    uint8_t in[IO_BYTES];

    for (int round = 0; round < IO_ROUNDS_MAX; round++) {
        ssize_t received = recv(channel->socket->fd, in, sizeof in, 0);
        if (received < 0 && (errno == EAGAIN || errno == EINTR)) {
            return true;
        }
        if (received <= 0) {
            fail(channel, "connection closed by the peer", received < 0 ? errno : ECONNRESET);
            return false;
        }
        if (!take(channel, slice_of(in, (size_t)received))) {
            return false;
        }
    }
    return true;
}

/* ---- connecting ---- */

static bool start_tls(struct channel *channel)
{
    const struct url *url = channel->config.url;
    const char *name = channel->config.server_name != NULL ? channel->config.server_name : url->host;

    channel->tls = tls_session_new(channel->config.tls, name,
        channel->config.server_name == NULL && url->host_is_ip, &channel->tls_in, &channel->tls_out);
    if (channel->tls == NULL) {
        fail(channel, "TLS", ENOMEM);
        return false;
    }
    channel->state = CHANNEL_HANDSHAKE;
    struct channel_socket *socket = channel->socket;
    shake_hands(channel);
    return channel->socket == socket;
}

/* The error that the socket holds; 0: none. */
static int socket_error(const struct channel *channel)
{
    int error_number = 0;
    socklen_t size = sizeof error_number;

    (void)getsockopt(channel->socket->fd, SOL_SOCKET, SO_ERROR, &error_number, &size);
    return error_number;
}

static bool finish_connect(struct channel *channel)
{
    int error_number = socket_error(channel);

    if (error_number != 0) {
        fail(channel, "connect", error_number);
        return false;
    }
    if (channel->config.tls != NULL) {
        return start_tls(channel);
    }
    become_ready(channel);
    return channel->state == CHANNEL_READY;
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void watch(struct channel *channel)
{
    bool write = channel->wants_write || channel->state == CHANNEL_CONNECTING;

    (void)uv_poll_start(&channel->socket->poll, UV_READABLE | (write ? UV_WRITABLE : 0), on_poll);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct channel *channel = ((struct channel_socket *)poll->data)->channel;

    if (status < 0) { /* libuv says only that there is an error, and has stopped polling */
        int error_number = socket_error(channel);
        fail(channel, channel->state == CHANNEL_CONNECTING ? "connect" : "connection",
            error_number != 0 ? error_number : ECONNRESET);
        return;
    }
    if (channel->state == CHANNEL_CONNECTING && !finish_connect(channel)) {
        return;
    }
    if ((events & UV_READABLE) != 0 && !receive_some(channel)) {
        return;
    }
    if (channel->wants_write && !send_some(channel)) {
        return;
    }
    watch(channel);
}

/* 0, or an errno. */
static int open_socket(struct channel *channel, int family, const struct sockaddr *address, socklen_t size)
{
    struct channel_socket *opened = calloc(1, sizeof *opened);
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;

    if (opened == NULL || fd < 0) {
        int error_number = fd < 0 ? errno : ENOMEM;
        free(opened);
        if (fd >= 0) {
            (void)close(fd);
        }
        return error_number;
    }
    if (family != AF_UNIX) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    }
    int error_number = connect(fd, address, size) == 0 || errno == EINPROGRESS ? 0 : errno;
    if (error_number == 0 && uv_poll_init(channel->config.loop, &opened->poll, fd) < 0) {
        error_number = EMFILE;
    }
    if (error_number != 0) {
        free(opened);
        (void)close(fd);
        return error_number;
    }
    opened->fd = fd;
    opened->channel = channel;
    opened->poll.data = opened;
    channel->socket = opened;
    channel->state = CHANNEL_CONNECTING;
    watch(channel);
    return 0;
}

static void on_connect_timeout(uv_timer_t *timer)
{
    struct channel *channel = timer->data;

    (void)snprintf(channel->text, sizeof channel->text, "%s",
        channel->state == CHANNEL_RESOLVING ? "name resolution timed out" : "connect timed out");
    try_next(channel);
}

/* The next address, or the end. Comes from the loop only. */
static void try_next(struct channel *channel)
{
    char reason[96];

    drop_socket(channel);
    while (channel->next_address != NULL) {
        const struct addrinfo *address = channel->next_address;
        channel->next_address = address->ai_next;
        int error_number = open_socket(channel, address->ai_family, address->ai_addr, address->ai_addrlen);
        if (error_number == 0) {
            (void)uv_timer_start(&channel->timer, on_connect_timeout, channel->config.connect_timeout_ms, 0);
            return;
        }
        (void)snprintf(channel->text, sizeof channel->text, "connect: %s",
            strerror_r(error_number, reason, sizeof reason));
    }
    end(channel);
}

static void on_resolved(uv_getaddrinfo_t *resolver, int status, struct addrinfo *addresses)
{
    struct channel *channel = resolver->data;

    channel->resolving = false;
    if (channel->state == CHANNEL_CLOSED) {
        uv_freeaddrinfo(addresses);
        free_when_ended(channel);
        return;
    }
    channel->addresses = addresses;
    channel->next_address = addresses;
    if (status < 0) {
        (void)snprintf(channel->text, sizeof channel->text, "name resolution: %s", uv_strerror(status));
    }
    try_next(channel);
}

/* A Unix socket connects at once or not at all; both are told from the loop. */
static void on_unix_start(uv_timer_t *timer)
{
    struct channel *channel = timer->data;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char reason[96];

    memcpy(address.sun_path, channel->config.url->socket_path, sizeof address.sun_path);
    int error_number = open_socket(channel, AF_UNIX, (struct sockaddr *)&address, sizeof address);
    if (error_number != 0) {
        (void)snprintf(channel->text, sizeof channel->text, "connect: %s",
            strerror_r(error_number, reason, sizeof reason));
        end(channel);
        return;
    }
    (void)uv_timer_start(timer, on_connect_timeout, channel->config.connect_timeout_ms, 0);
}

int channel_new(const struct channel_config *config, struct channel **ret_channel)
{
    struct channel *channel = calloc(1, sizeof *channel);
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};

    if (channel == NULL) {
        return WERR_NOMEM;
    }
    channel->config = *config;
    channel->resolver.data = channel;
    if (!config->url->is_unix && uv_getaddrinfo(config->loop, &channel->resolver, on_resolved,
                                     config->url->host, config->url->port, &hints) < 0) {
        free(channel);
        return WERR_IO;
    }
    channel->resolving = !config->url->is_unix;
    channel->timer_open = true;
    (void)uv_timer_init(config->loop, &channel->timer);
    channel->timer.data = channel;
    if (config->url->is_unix) {
        (void)uv_timer_start(&channel->timer, on_unix_start, 0, 0);
    } else {
        (void)uv_timer_start(&channel->timer, on_connect_timeout, config->connect_timeout_ms, 0);
    }
    *ret_channel = channel;
    return 0;
}

void channel_flush(struct channel *channel)
{
    if (channel->state == CHANNEL_READY && !channel->wants_write) {
        channel->wants_write = true;
        watch(channel);
    }
}
