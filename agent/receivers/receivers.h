/*
 * The sockets that `receivers` configures beside weft.sock and that no connection is accepted from: opened by
 * main before the threads start, each read by one shard. Main's thread.
 */
#ifndef WEFT_AGENT_RECEIVERS_H
#define WEFT_AGENT_RECEIVERS_H

#include "config/config.h"
#include "listen/datagram.h"
#include "shard.h"

enum { RECEIVERS_SOCKET_COUNT_MAX = 64 };

/* All zero but for whom to tell: none is open. */
struct receivers {
    struct datagram_socket sockets[RECEIVERS_SOCKET_COUNT_MAX];
    size_t socket_count;
    /* One could not be opened; the reason names its key. The agent does without. */
    void (*failed)(void *user, const char *reason);
    void *user;
};

/*
 * Opens statsd's datagram sockets and gives them to the shard, whose thread has not started: one shard, as
 * the order of a gauge's lines matters.
 */
void receivers_open_statsd(struct receivers *receivers, const struct config *config, struct shard *shard);

/* The same for X-Ray's UDP socket, where one is configured. */
void receivers_open_xray(struct receivers *receivers, const struct config *config, struct shard *shard);

/* The same for one entry of receivers.access_logs, where it has a path. */
void receivers_open_log(
    struct receivers *receivers, const struct config *config, uint32_t index, struct shard *shard);

/* After the shards have ended. */
void receivers_close(struct receivers *receivers);

#endif
