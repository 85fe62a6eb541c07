/* The acceptor: runs on the main loop. */
#include "listen/acceptor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/error.h"

size_t acceptor_choose(const struct shard_inlet *inlets, size_t shard_count)
{
    size_t best = 0;

    for (size_t i = 1; i < shard_count; i++) {
        uint32_t load = atomic_load_explicit(&inlets[i].load_quarters, memory_order_relaxed);
        uint32_t best_load = atomic_load_explicit(&inlets[best].load_quarters, memory_order_relaxed);
        uint32_t count = atomic_load_explicit(&inlets[i].connection_count, memory_order_relaxed);
        uint32_t best_count = atomic_load_explicit(&inlets[best].connection_count, memory_order_relaxed);
        if (load < best_load || (load == best_load && count < best_count)) {
            best = i;
        }
    }
    return best;
}

static uint64_t open_count(const struct acceptor *acceptor)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < acceptor->shard_count; i++) {
        sum += atomic_load_explicit(&acceptor->inlets[i].connection_count, memory_order_relaxed);
    }
    return sum;
}

enum connection_group connection_group_of(enum listener_kind kind)
{
    switch (kind) {
    case LISTENER_STATSD:
    case LISTENER_LOG:
        return CONNECTION_LINES;
    case LISTENER_OTLP:
        return CONNECTION_TCP;
    case LISTENER_API:
    case LISTENER_HTTP:
    case LISTENER_METRICS:
        return CONNECTION_READERS;
    case LISTENER_INGEST:
    default:
        return CONNECTION_RECORDS;
    }
}

static uint64_t group_count(const struct acceptor *acceptor, enum connection_group group)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < acceptor->shard_count; i++) {
        sum += atomic_load_explicit(&acceptor->inlets[i].group_counts[group], memory_order_relaxed);
    }
    return sum;
}

static void refuse(struct acceptor *acceptor, enum metric_id reason, int fd)
{
    metric_add(acceptor->cells, reason, 1);
    (void)close(fd);
}

/* Whether the connection's kind has used up its share. Shards are told of a stream of lines, whichever of
 * them have idle ones. */
static bool is_over_share(struct acceptor *acceptor, enum connection_group group)
{
    if (group == CONNECTION_RECORDS || group_count(acceptor, group) < acceptor->connections_kind_max) {
        return false;
    }
    for (size_t i = 0; group == CONNECTION_LINES && i < acceptor->shard_count; i++) {
        atomic_fetch_add_explicit(&acceptor->inlets[i].lines_refused_count, 1, memory_order_relaxed);
    }
    return true;
}

static void enter(struct shard_inlet *inlet, enum listener_kind kind)
{
    atomic_fetch_add_explicit(&inlet->connection_count, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&inlet->group_counts[connection_group_of(kind)], 1, memory_order_relaxed);
}

void shard_inlet_release(struct shard_inlet *inlet, enum listener_kind kind)
{
    atomic_fetch_sub_explicit(&inlet->connection_count, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&inlet->group_counts[connection_group_of(kind)], 1, memory_order_relaxed);
}

static void hand_over(struct acceptor *acceptor, int fd, const struct listener *listener)
{
    if (is_over_share(acceptor, connection_group_of(listener->kind))) {
        refuse(acceptor, METRIC_CONNECTIONS_SHARE, fd);
        return;
    }
    struct arrival *arrival = malloc(sizeof *arrival);
    if (arrival == NULL || open_count(acceptor) >= acceptor->connections_count_max) {
        free(arrival);
        refuse(acceptor, METRIC_CONNECTIONS_LIMITED, fd);
        return;
    }
    struct shard_inlet *inlet = &acceptor->inlets[acceptor_choose(acceptor->inlets, acceptor->shard_count)];
    *arrival = (struct arrival){.mail = {.deliver = acceptor->deliver},
        .fd = fd,
        .kind = listener->kind,
        .receiver = listener->receiver};
    enter(inlet, listener->kind);
    if (!mailbox_post(inlet->mailbox, &arrival->mail)) {
        shard_inlet_release(inlet, listener->kind);
        free(arrival);
        (void)close(fd);
    }
}

/* Without a descriptor left the backlog would make the loop spin: free one, accept, close, take it back. */
static void shed_one(struct acceptor *acceptor, int listening_fd)
{
    if (acceptor->spare_fd >= 0) {
        (void)close(acceptor->spare_fd);
    }
    int fd = accept4(listening_fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) {
        refuse(acceptor, METRIC_CONNECTIONS_LIMITED, fd);
    }
    acceptor->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct acceptor_port *port = poll->data;

    (void)status;
    (void)events;
    for (int i = 0; i < ACCEPTOR_BATCH_COUNT; i++) {
        int fd = accept4(port->listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            hand_over(port->acceptor, fd, port->listener);
        } else if (errno == EMFILE || errno == ENFILE) {
            shed_one(port->acceptor, port->listener->fd);
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}

void acceptor_init(struct acceptor *acceptor, uv_loop_t *loop, struct shard_inlet *inlets, size_t shard_count,
    void (*deliver)(struct mail *mail, void *receiver), const struct limits *limits,
    struct metric_cells *cells)
{
    *acceptor = (struct acceptor){
        .loop = loop,
        .inlets = inlets,
        .shard_count = shard_count,
        .deliver = deliver,
        .connections_count_max = limits->connections_count_max,
        .cells = cells,
        .spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC),
    };
    acceptor_reconfigure(acceptor, limits);
}

void acceptor_reconfigure(struct acceptor *acceptor, const struct limits *limits)
{
    uint64_t kind_max = limits->connections_count_max * limits->connections_kind_percent / 100;

    acceptor->connections_kind_max = kind_max > 0 ? kind_max : 1;
}

int acceptor_add(struct acceptor *acceptor, struct listener *listener)
{
    if (acceptor->port_count == ACCEPTOR_LISTENER_COUNT_MAX) {
        return WERR_FULL;
    }
    struct acceptor_port *port = &acceptor->ports[acceptor->port_count];
    *port = (struct acceptor_port){.listener = listener, .acceptor = acceptor};
    if (uv_poll_init(acceptor->loop, &port->poll, listener->fd) != 0) {
        return WERR_IO;
    }
    acceptor->port_count++;
    port->poll.data = port;
    return uv_poll_start(&port->poll, UV_READABLE, on_readable) == 0 ? 0 : WERR_IO;
}

void acceptor_stop(struct acceptor *acceptor)
{
    for (size_t i = 0; i < acceptor->port_count; i++) {
        uv_close((uv_handle_t *)&acceptor->ports[i].poll, NULL);
    }
    acceptor->port_count = 0;
    if (acceptor->spare_fd >= 0) {
        (void)close(acceptor->spare_fd);
        acceptor->spare_fd = -1;
    }
}
