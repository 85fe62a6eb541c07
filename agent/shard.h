/*
 * One shard: a thread with a loop of its own that shares nothing on the record path. It owns its connections,
 * its HTTP server, its interner, its series directory and the spans that wait to be handed to the exporter.
 *
 * This is where listen, decode, context and aggregate are wired together; the stages themselves know only
 * what comes before them.
 */
#ifndef WEFT_AGENT_SHARD_H
#define WEFT_AGENT_SHARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "context/sender_mesh.h"
#include "core/budget.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/metrics.h"
#include "decode/redaction.h"
#include "histogram/bounds.h"
#include "listen/acceptor.h"
#include "listen/datagram.h"
#include "listen/instances.h"

struct shard;
struct config_letter;
struct shared_bytes;
struct aggregator_thread;
struct exporter_thread;
struct kept_hub;
struct notice_gate;
struct tap_hub;
struct trace_thread;
struct metric_registry;
struct http_gate;
struct tcp_guard;

/* What all shards share; must outlive them. */
struct shard_common {
    const struct config *config;
    const struct clock *clock;
    struct log *log;
    const struct split_bounds *bounds;
    const struct redaction *redaction;
    struct budget *assembly;
    struct budget *waiting;
    struct count_sources *counts; /* which of a proxy's records count, for all shards */
    struct budget *series;        /* memory of values and strings, aggregator included */
    struct instances *instances;
    struct sender_mesh_rules meshes; /* of senders */
    struct aggregator_thread *aggregator;
    struct exporter_thread *exporter; /* NULL: nothing is exported */
    const struct health *health;
    size_t shard_count;
    const struct http_gate *gate;     /* of queries over TCP */
    const struct tcp_guard *guard;    /* of records over TCP; each shard copies it when it is made */
    struct shared_bytes *config_text; /* what /api/v1/config answers at first */
    struct pods *pods;                /* of this node; NULL: known by uid alone */
    struct metric_registry *registry; /* for the cells of what shards scrape; at start only */
    struct kept_hub *kept_hub;        /* shards enter themselves */
    struct tap_hub *tap_hub;          /* likewise */
    struct notice_gate *notice_gate;  /* NULL: others may keep any number of traces */
    struct trace_thread *traces;      /* who is asked about traces; NULL: nobody */
};

/* 0 with *ret_shard, WERR_NOMEM or WERR_IO. `cells`: the shard's own. `inlet` is filled; it outlives the
 * shard. */
int shard_new(const struct shard_common *common, size_t index, struct metric_cells *cells,
    struct shard_inlet *inlet, struct shard **ret_shard);
int shard_start(struct shard *shard);

/* Before the thread starts: reads a datagram socket of statsd, which outlives the shard. 0 or an error. */
int shard_take_statsd(struct shard *shard, const struct datagram_socket *socket);

/* The same for the UDP socket of X-Ray segments; once. */
int shard_take_xray(struct shard *shard, const struct datagram_socket *socket);

/* The same for a datagram socket of access log lines: entry `index` of receivers.access_logs. */
int shard_take_log(struct shard *shard, uint32_t index, const struct datagram_socket *socket);

/* Of each arrival that the acceptor posts to the shard. */
void shard_on_arrival(struct mail *mail, void *receiver);

/* From main: the shard takes over live keys and acknowledges. shard_letters.c. */
void shard_post_config(struct shard *shard, struct config_letter *letter);

/*
 * From main: no more records. Connections that send them are told to come again and closed, what was received
 * is handed to exporter and aggregator; then `done` is posted to `reply_to`. HTTP goes on, so that /readyz
 * can say 503.
 */
void shard_drain(struct shard *shard, struct mailbox *reply_to, struct mail *done);

/* From main: ends everything and waits for the thread. All shards are stopped before the first is freed, as
 * they write to each other. NULL is fine. */
void shard_stop(struct shard *shard);

/* Stops it if need be. NULL is fine. */
void shard_free(struct shard *shard);

struct loop_thread *shard_thread(struct shard *shard);

#endif
