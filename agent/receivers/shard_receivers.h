/*
 * What a shard reads beside weft.sock's connections: statsd, X-Ray segments, access log lines. Each receiver
 * is made when a socket or a connection first needs it. The shard's thread, or main before it has started.
 */
#ifndef WEFT_AGENT_SHARD_RECEIVERS_H
#define WEFT_AGENT_SHARD_RECEIVERS_H

#include "config/config.h"
#include "core/log.h"
#include "listen/datagram.h"
#include "listen/line_stream.h"
#include "listen/listener.h"
#include "pipeline/pipeline.h"

struct shard_receivers {
    struct pipeline *pipeline;
    uv_loop_t *loop;
    const struct config *config; /* of the start */
    struct log *log;
    uint64_t line_idle_ms;
    struct line_streams streams;    /* connections of statsd and access logs */
    struct statsd_receiver *statsd; /* NULL until needed, as those below */
    struct xray_receiver *xray;
    struct log_receiver *logs;
};

/* Everything is borrowed and outlives the receivers. */
void shard_receivers_init(struct shard_receivers *receivers, struct pipeline *pipeline, uv_loop_t *loop,
    const struct config *config, struct log *log);

/* Each reads a datagram socket, which outlives the receivers. 0 or an error. */
int shard_receivers_take_statsd(struct shard_receivers *receivers, const struct datagram_socket *socket);
int shard_receivers_take_xray(struct shard_receivers *receivers, const struct datagram_socket *socket);
int shard_receivers_take_log(
    struct shard_receivers *receivers, uint32_t index, const struct datagram_socket *socket);

/*
 * Reads a connection of LISTENER_STATSD or LISTENER_LOG; `index`: the listener's receiver. Owns fd when it
 * returns 0, and calls on_ended(user) once when the connection has ended.
 */
int shard_receivers_add(struct shard_receivers *receivers, enum listener_kind kind, uint32_t index, int fd,
    void (*on_ended)(void *user), void *user);

/* Another configuration, of which only live keys differ. */
void shard_receivers_reconfigure(struct shard_receivers *receivers, const struct config *config);

/* Ends at most count_max connections that are idle by limits.line_idle_s, those quiet longest first. */
void shard_receivers_end_idle(struct shard_receivers *receivers, size_t count_max);

/* Before a stop: takes what lies in the sockets, then closes. Handles end by later turns of the loop. */
void shard_receivers_close(struct shard_receivers *receivers);

/* After the handles have ended, before the pipeline. Zeroed ones are fine. */
void shard_receivers_deinit(struct shard_receivers *receivers);

#endif
