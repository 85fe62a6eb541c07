/*
 * How many traces others may have kept here: peers by their notices, operators by theirs. Each has a rate of
 * its own, shared fairly between those who ask, so that a peer that tells of everything takes neither the
 * other peers' share nor the place of what this node's own triggers keep.
 *
 * Any shard's thread: whoever holds the connection. Behind a lock that is held for one request's numbers; no
 * record comes this way.
 */
#ifndef WEFT_AGENT_NOTICE_GATE_H
#define WEFT_AGENT_NOTICE_GATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "trace/rate_share.h"

struct config;

struct notice_gate {
    pthread_mutex_t lock;
    struct rate_share peers;
    struct rate_share operators;
};

/*
 * Operators: trace.rate_per_s, as every reason. Peers: what the reasons of all configured peers may keep
 * there, but of limits.kept_traces_count_max no more than half in trace.linger_ms. now_ns: monotonic. 0 or
 * WERR_NOMEM.
 */
int notice_gate_init(struct notice_gate *gate, const struct config *config, uint64_t now_ns);

/* From any thread: other rates from now on; both begin with a whole burst when theirs has changed. */
void notice_gate_reconfigure(struct notice_gate *gate, const struct config *config, uint64_t now_ns);

void notice_gate_deinit(struct notice_gate *gate);

/* How many of `count` traces may be kept for `source`, which tells those who ask apart. */
uint32_t notice_gate_take(
    struct notice_gate *gate, bool is_peer, uint32_t source, uint32_t count, uint64_t now_ns);

#endif
