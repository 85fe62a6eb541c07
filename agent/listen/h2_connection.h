/*
 * gRPC connections on descriptors: one endpoint per shard, one connection per accepted socket.
 *
 *   readable ─► recv into the endpoint's buffer ─► grpc_connection_receive ─► grpc_server_run ─► one send for
 * all answers
 *
 * A connection whose answers do not fit the socket is not read until they do: a peer that does not read makes
 * no work.
 *
 * Threads: everything runs on the loop's thread.
 */
#ifndef WEFT_LISTEN_H2_CONNECTION_H
#define WEFT_LISTEN_H2_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uv.h>

#include "core/clock.h"
#include "core/slice.h"
#include "listen/grpc.h"

enum {
    H2_RECEIVE_BYTES = 262144,
    H2_SEND_BYTES = 65536,
    H2_RECEIVE_ROUNDS_MAX = 4, /* of one readable event; then others get their turn */
    H2_DRAIN_GRACE_MS = 250,   /* for requests that are under way when a drain begins */
    H2_ENDPOINT_TIMER_MS = 10, /* only while streams wait for memory or are assembled, or a drain begins */
};

enum h2_close_reason {
    H2_CLOSE_PEER,     /* it closed or reset the connection */
    H2_CLOSE_OWNER,    /* h2_endpoint_close */
    H2_CLOSE_DRAINED,  /* after h2_endpoint_drain, all calls answered */
    H2_CLOSE_PROTOCOL, /* it broke the protocol; counted */
    H2_CLOSE_FLOOD,    /* it passed a flood limit; counted */
    H2_CLOSE_MEMORY,   /* we ran out of it */
    H2_CLOSE_IO,       /* a system call failed */
};

struct h2_connection;

struct h2_endpoint_config {
    uv_loop_t *loop;
    const struct clock *clock;
    struct grpc_server_config grpc;
};

struct h2_endpoint {
    struct grpc_server server;
    uv_loop_t *loop;
    const struct clock *clock;
    uv_timer_t timer;
    bool timer_active;
    bool draining;
    uint64_t drain_ns; /* since when, while not all connections have been told the last; else 0 */
    uint8_t *receive_buffer;
    uint8_t *send_buffer;
    LIST_HEAD(h2_connection_list, h2_connection) connections;
    size_t connection_count; /* those being closed included */
};

/* 0, WERR_NOMEM or WERR_IO; a failed init needs no undo. */
int h2_endpoint_init(struct h2_endpoint *endpoint, const struct h2_endpoint_config *config);

/* GOAWAY everywhere; new messages get UNAVAILABLE; connections close (DRAINED) when their calls are answered.
 */
void h2_endpoint_drain(struct h2_endpoint *endpoint);

/* Closes all connections and the timer; done when the loop has run their close callbacks. */
void h2_endpoint_close(struct h2_endpoint *endpoint);

/* After close and the loop's end. */
void h2_endpoint_deinit(struct h2_endpoint *endpoint);

/*
 * Takes over `fd`: connected, non-blocking, closed with the connection. early: bytes already read from it.
 * user: handlers see it as grpc_call.connection_user. on_close (may be NULL) runs once, from the loop, when
 * nothing of the connection uses `user` any more; the connection is freed after it. Output that is due at
 * once may be sent and the connection may already be on its way out when this returns. 0, WERR_NOMEM or
 * WERR_IO: then `fd` is still the caller's and on_close is not called.
 */
int h2_connection_new(struct h2_endpoint *endpoint, int fd, struct slice early, void *user,
    void (*on_close)(void *user, enum h2_close_reason reason), struct h2_connection **ret_connection);

#endif
