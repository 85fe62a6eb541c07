/* The sniffer of a shard: runs on the shard's loop. */
#include "listen/sniff.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "listen/native_connection.h"

static const char h2_preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

struct sniff_connection {
    uv_poll_t poll;
    struct sniffer *sniffer;
    LIST_ENTRY(sniff_connection) link; /* in sniffer->pending */
    uint64_t deadline_ms;              /* uv_now */
    int fd;
    bool partial;
};

/* Whether one is the beginning of the other. */
static bool share_prefix(struct slice a, struct slice b)
{
    size_t length = a.length < b.length ? a.length : b.length;

    return memcmp(a.ptr, b.ptr, length) == 0;
}

enum sniffed sniff_bytes(struct slice prefix)
{
    struct slice magic = slice_of(NATIVE_MAGIC, NATIVE_MAGIC_BYTES);
    struct slice preface = SLICE_LITERAL(h2_preface);

    if (prefix.length == 0) {
        return SNIFFED_INCOMPLETE;
    }
    if (share_prefix(prefix, magic)) {
        return prefix.length >= magic.length ? SNIFFED_NATIVE : SNIFFED_INCOMPLETE;
    }
    if (share_prefix(prefix, preface)) {
        return prefix.length >= preface.length ? SNIFFED_HTTP2 : SNIFFED_INCOMPLETE;
    }
    /* A method name; lower case is legal in HTTP/1.1 and used by nobody. */
    return prefix.ptr[0] >= 'A' && prefix.ptr[0] <= 'Z' ? SNIFFED_HTTP1 : SNIFFED_UNKNOWN;
}

static void free_connection(uv_handle_t *handle)
{
    free(handle->data);
}

static void finish(struct sniff_connection *connection, enum sniffed sniffed)
{
    struct sniffer *sniffer = connection->sniffer;
    int fd = connection->fd;

    LIST_REMOVE(connection, link);
    sniffer->pending_count--;
    sniffer->partial_count -= connection->partial ? 1 : 0;
    /* Stopped before the descriptor gets a new owner: epoll must not hold it twice. */
    (void)uv_poll_stop(&connection->poll);
    uv_close((uv_handle_t *)&connection->poll, free_connection);
    sniffer->done(sniffer->user, fd, sniffed);
}

static void on_timer(uv_timer_t *timer);

/* 10 ms while something partial waits, else now and then for the time limit, else not at all. */
static void set_timer(struct sniffer *sniffer)
{
    uint64_t period_ms = 0;

    if (sniffer->partial_count > 0) {
        period_ms = SNIFF_AGAIN_MS;
    } else if (sniffer->pending_count > 0) {
        period_ms = SNIFF_QUIET_MS;
    }
    if (period_ms == sniffer->timer_ms) {
        return;
    }
    sniffer->timer_ms = period_ms;
    if (period_ms == 0) {
        (void)uv_timer_stop(&sniffer->timer);
    } else {
        (void)uv_timer_start(&sniffer->timer, on_timer, period_ms, period_ms);
    }
}

/* Looks at what is there: finished (true), or still waiting (false). */
static bool look(struct sniff_connection *connection)
{
    uint8_t bytes[SNIFF_PEEK_BYTES];
    ssize_t length = recv(connection->fd, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);

    if (length < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    if (length <= 0) {
        finish(connection, SNIFFED_UNKNOWN);
        return true;
    }
    enum sniffed sniffed = sniff_bytes(slice_of(bytes, (size_t)length));
    if (sniffed != SNIFFED_INCOMPLETE) {
        if (sniffed == SNIFFED_UNKNOWN) {
            metric_add(connection->sniffer->cells, METRIC_CONNECTIONS_UNKNOWN, 1);
        }
        finish(connection, sniffed);
        return true;
    }
    if (!connection->partial) {
        connection->partial = true;
        connection->sniffer->partial_count++;
        (void)uv_poll_stop(&connection->poll);
    }
    return false;
}

static void on_timer(uv_timer_t *timer)
{
    struct sniffer *sniffer = timer->data;
    uint64_t now_ms = uv_now(sniffer->loop);

    metric_add(sniffer->cells, METRIC_SNIFF_WAKEUPS, 1);
    for (struct sniff_connection *at = LIST_FIRST(&sniffer->pending), *next; at != NULL; at = next) {
        next = LIST_NEXT(at, link); /* what is finished leaves the list */
        if (at->partial && look(at)) {
            continue;
        }
        if (now_ms >= at->deadline_ms) {
            metric_add(sniffer->cells, METRIC_CONNECTIONS_SNIFF, 1);
            finish(at, SNIFFED_UNKNOWN);
        }
    }
    set_timer(sniffer);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct sniff_connection *connection = poll->data;
    struct sniffer *sniffer = connection->sniffer;

    (void)events;
    if (status < 0) {
        finish(connection, SNIFFED_UNKNOWN);
    } else {
        (void)look(connection);
    }
    set_timer(sniffer);
}

void sniffer_init(struct sniffer *sniffer, uv_loop_t *loop, uint64_t timeout_ms, struct metric_cells *cells,
    void (*done)(void *user, int fd, enum sniffed sniffed), void *user)
{
    *sniffer =
        (struct sniffer){.loop = loop, .timeout_ms = timeout_ms, .cells = cells, .done = done, .user = user};
    (void)uv_timer_init(loop, &sniffer->timer);
    sniffer->timer.data = sniffer;
}

void sniffer_add(struct sniffer *sniffer, int fd)
{
    struct sniff_connection *connection = calloc(1, sizeof *connection);

    if (connection == NULL || uv_poll_init(sniffer->loop, &connection->poll, fd) != 0) {
        free(connection);
        sniffer->done(sniffer->user, fd, SNIFFED_UNKNOWN);
        return;
    }
    connection->poll.data = connection;
    connection->sniffer = sniffer;
    connection->fd = fd;
    connection->deadline_ms = uv_now(sniffer->loop) + sniffer->timeout_ms;
    LIST_INSERT_HEAD(&sniffer->pending, connection, link);
    sniffer->pending_count++;
    (void)uv_poll_start(&connection->poll, UV_READABLE, on_readable);
    (void)look(connection); /* a client that speaks first has mostly done so by now */
    set_timer(sniffer);
}

void sniffer_close(struct sniffer *sniffer)
{
    while (!LIST_EMPTY(&sniffer->pending)) {
        finish(LIST_FIRST(&sniffer->pending), SNIFFED_UNKNOWN);
    }
    uv_close((uv_handle_t *)&sniffer->timer, NULL);
}
