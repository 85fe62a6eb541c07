/* What the files of a shard share; for them alone. */
#ifndef WEFT_AGENT_SHARD_INTERNAL_H
#define WEFT_AGENT_SHARD_INTERNAL_H

#include "aggregator_thread.h"
#include "context/sender_rules.h"
#include "core/loop_thread.h"
#include "exporter_thread.h"
#include "http/http_routes.h"
#include "tracing/kept_hub.h"
#include "listen/h2_connection.h"
#include "listen/http_server.h"
#include "listen/sniff.h"
#include "listen/tls_inlet.h"
#include "pipeline/pipeline.h"
#include "receivers/scraper.h"
#include "receivers/tcp_guard.h"
#include "receivers/shard_receivers.h"
#include "shard.h"
#include "tracing/tap_shard.h"
#include "tracing/trace_cooling.h"
#include "tracing/trace_shard.h"
#include "tracing/trace_thread.h"

struct shard {
    struct loop_thread thread;
    const struct shard_common *common;
    struct limits limits;        /* of the configuration in force; all parts of the shard read them here */
    struct tcp_guard guard;      /* the shard's own copy */
    struct sender_rules senders; /* who may send; patterns are the configuration's */
    size_t index;
    struct metric_cells *cells;
    struct shard_inlet *inlet;
    struct pipeline pipeline;
    struct http_routes routes;
    struct sniffer sniffer;
    struct tls_inlet *tls; /* NULL until a connection needs it */
    struct http_server *http;
    struct http_inlets inlets; /* of connections that ask, not send */
    struct h2_endpoint h2;
    struct native_shard *native;
    struct scraper *scraper; /* NULL: no target is this shard's */
    struct peer *peers;      /* of all connections that send records */
    uint32_t pods_generation;
    struct native_peer *native_peers; /* open native connections, doubly linked */
    struct shard_receivers receivers;
    struct trace_shard trace_shard;
    struct trace_cooling trace_cooling;
    struct tap_shard tap_shard;
    uv_timer_t tick;
    uv_timer_t drain_timer;
    uint64_t cpu_ns;  /* that the thread had used at the last tick */
    uint64_t tick_ns; /* when that was */
    /* Letters of the shard's own: of each only one is ever under way. */
    struct mail flip_mail;
    struct mail give_back_mail;
    struct mail drain_mail;
    struct delta_letter flip_letter;
    struct delta_letter drain_letter;
    struct delta *returned_delta;
    bool h2_ready;
    bool records_closed;
    bool stopped;
    struct mailbox *drained_to;
    struct mail *drained_mail;
};

/* Before any thread starts: enters the shard with everybody who writes to it. shard_letters.c. */
void shard_letters_enter(struct shard *shard);

/* Who may send, as the configuration in force says. */
static inline struct sender_rules shard_sender_rules(const struct config *config)
{
    const struct config_identity *identity = &config->identity;

    return (struct sender_rules){
        .allow = {.items = identity->allow.items, .count = identity->allow.count},
        .deny = {.items = identity->deny.items, .count = identity->deny.count},
    };
}

/* What the shard's pipeline tells others; `user` is the shard. */
void shard_tell_kept(void *user, const struct kept *kept);
bool shard_post_timings(void *user, struct timing_batch *batch);

#endif
