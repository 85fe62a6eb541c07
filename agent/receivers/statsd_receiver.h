/*
 * statsd and DogStatsD of one shard: datagrams and streams to lines, lines to points, points to the
 * directory. The shard's thread; nothing allocates, locks or logs per line.
 *
 *   datagram_reader ─┐
 *                    ├─► lines ─► decode/statsd ─► context/statsd_points ─► directory_record_point
 *   line_stream ─────┘
 *
 * Nobody is answered. With memory of values full (directory_is_full) a datagram, or what was read of a
 * stream at once, is thrown away whole and counted as refused: to stop reading would block proxies.
 */
#ifndef WEFT_AGENT_STATSD_RECEIVER_H
#define WEFT_AGENT_STATSD_RECEIVER_H

#include "listen/datagram.h"
#include "listen/line_stream.h"
#include "pipeline/pipeline.h"

enum { STATSD_SOCKET_COUNT_MAX = 2 }; /* datagram sockets of a receiver */

struct statsd_receiver;

/* All but the last are borrowed. proc_root: "/proc", or a fixture. streams: which its connections join, may
 * be NULL. 0 or WERR_NOMEM. */
int statsd_receiver_new(struct pipeline *pipeline, uv_loop_t *loop, const char *proc_root,
    struct line_streams *streams, struct statsd_receiver **ret_receiver);

/* Reads a datagram socket, which outlives the receiver. 0, WERR_FULL, WERR_NOMEM or WERR_IO. */
int statsd_receiver_add_socket(struct statsd_receiver *receiver, const struct datagram_socket *socket);

/*
 * Reads a connection, non-blocking; owns fd when it returns 0, and calls on_ended(user) once when the
 * connection has ended. WERR_NOMEM or WERR_IO.
 */
int statsd_receiver_add_stream(
    struct statsd_receiver *receiver, int fd, void (*on_ended)(void *user), void *user);

/* Before a stop: takes what lies in the sockets, then closes. Handles end by later turns of the loop. NULL is
 * fine. */
void statsd_receiver_close(struct statsd_receiver *receiver);

/* After the handles have ended, before the pipeline. NULL is fine. */
void statsd_receiver_free(struct statsd_receiver *receiver);

#endif
