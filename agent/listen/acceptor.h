/*
 * Accepts on the main loop and hands each connection to one shard: the least loaded, then the one with fewest
 * connections. (Several loops polling one listening socket put 16 of 16 connections on one of them.)
 */
#ifndef WEFT_LISTEN_ACCEPTOR_H
#define WEFT_LISTEN_ACCEPTOR_H

#include <stdatomic.h>
#include <stdint.h>
#include <uv.h>

#include "core/limits.h"
#include "core/mailbox.h"
#include "core/metrics.h"
#include "listen/listener.h"

/*
 * Connections that share limits.connections_kind_percent. Only weft.sock's proxies may use all there is: they
 * are what the agent is for, and three shares of at most a third leave room for them whatever the others do.
 */
enum connection_group {
    CONNECTION_RECORDS, /* weft.sock: no share */
    CONNECTION_LINES,   /* statsd and access log lines */
    CONNECTION_TCP,     /* records over TCP */
    CONNECTION_READERS, /* queries and scrapes of the agent */
    CONNECTION_GROUP_COUNT
};

enum connection_group connection_group_of(enum listener_kind kind);

/* What the acceptor knows of a shard. */
struct shard_inlet {
    struct mailbox *mailbox;
    /* Raised by the acceptor, lowered by shard_inlet_release when one has ended. */
    _Atomic uint32_t connection_count;
    _Atomic uint32_t group_counts[CONNECTION_GROUP_COUNT];
    /* Streams of lines refused since the shard last looked: it may end as many that are idle. */
    _Atomic uint32_t lines_refused_count;
    _Atomic uint32_t
        load_quarters; /* 0…4: how busy the shard's loop was in its last tick, set by the shard */
};

/* A connection on its way to a shard. The receiver owns fd and frees the letter. */
struct arrival {
    struct mail mail;
    int fd; /* non-blocking, close-on-exec */
    enum listener_kind kind;
    uint32_t receiver; /* the listener's */
};

enum { ACCEPTOR_LISTENER_COUNT_MAX = 32, ACCEPTOR_BATCH_COUNT = 64 };

struct acceptor {
    uv_loop_t *loop;
    struct acceptor_port {
        uv_poll_t poll;
        struct listener *listener;
        struct acceptor *acceptor;
    } ports[ACCEPTOR_LISTENER_COUNT_MAX];
    size_t port_count;
    struct shard_inlet *inlets; /* shard_count of them, not owned */
    size_t shard_count;
    void (*deliver)(struct mail *mail, void *receiver); /* of each arrival, on its shard's loop */
    uint64_t connections_count_max;
    uint64_t connections_kind_max; /* of one group */
    struct metric_cells *cells;
    int spare_fd; /* given up for a moment when the process has no descriptor left, so that the peer can be
                     told */
};

/* No handle is started yet. */
void acceptor_init(struct acceptor *acceptor, uv_loop_t *loop, struct shard_inlet *inlets, size_t shard_count,
    void (*deliver)(struct mail *mail, void *receiver), const struct limits *limits,
    struct metric_cells *cells);

/* On the acceptor's loop: the shares of connections from now on (limits.connections_kind_percent). */
void acceptor_reconfigure(struct acceptor *acceptor, const struct limits *limits);

/* Starts accepting from a listener, which stays the caller's. 0, WERR_FULL or WERR_IO. */
int acceptor_add(struct acceptor *acceptor, struct listener *listener);

/* Stops accepting; the handles are closed by the next turn of the loop. Listeners are not closed. */
void acceptor_stop(struct acceptor *acceptor);

/* Of a connection that was handed to the shard and has ended. */
void shard_inlet_release(struct shard_inlet *inlet, enum listener_kind kind);

/* The shard that the next connection should go to. */
size_t acceptor_choose(const struct shard_inlet *inlets, size_t shard_count);

#endif
