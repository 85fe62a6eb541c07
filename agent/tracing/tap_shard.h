/*
 * A shard's side of taps (/api/v1/tap): requests that it received for whoever watches, on whichever shard
 * their connection is, and the streams of those whose connection is here.
 *
 *   home shard ──feed──► every shard: record path ─► feed ─► timer: JSON lines ──letter──► home: stream
 *
 * The home makes a feed for each shard and posts it there, for good: a shard drops a feed when it sees that
 * nobody watches any more (a flag, looked at by its timer), or when it ends. What is shared, the tap, counts
 * its feeds, its letters and its home, and is freed with the last of them. Runs on the shard's loop.
 */
#ifndef WEFT_AGENT_TAP_SHARD_H
#define WEFT_AGENT_TAP_SHARD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uv.h>

#include "core/limits.h"
#include "core/mailbox.h"
#include "core/metrics.h"
#include "listen/http_stream.h"
#include "pipeline/pipeline.h"
#include "query/tap_query.h"
#include "tracing/tap_hub.h"

enum {
    TAP_TICK_MS = 50,           /* how long records wait */
    TAP_ALIVE_MS = 1000,        /* a stream is written to so often at least */
    TAP_LETTER_LINES_MAX = 256, /* written out at a time, which takes less than a millisecond */
    TAP_LETTER_BYTES_MAX = 262144,
    TAP_LETTERS_COUNT_MAX = 16, /* of one tap under way; then records wait in the feeds */
};

struct tap;
struct tap_subscription;

struct tap_shard {
    uv_timer_t timer; /* while there is anything here */
    struct tap_hub *hub;
    struct mailbox *mailbox;
    struct pipeline *pipeline;
    const struct limits *limits;
    const struct clock *clock;
    struct metric_cells *cells;
    struct tap_subscription *subscriptions; /* feeds that are this shard's */
    LIST_HEAD(tap_list, tap) taps;          /* whose stream is here */
    bool is_closed;
};

/* Adds a handle to the loop. The fields from `hub` to `cells` are set by the caller before. */
void tap_shard_init(struct tap_shard *self, uv_loop_t *loop);

/* Drops the feeds and closes the handle. Streams end with the HTTP server, which is closed later. */
void tap_shard_close(struct tap_shard *self);

/* A letter that came by the hub. */
void tap_shard_take(struct tap_shard *self, struct mail *mail);

/*
 * Begins to answer the exchange with what the query lets through; an empty line comes first, when all shards
 * know. 0; WERR_FULL, counted: limits.taps_count_max
 * are there; WERR_NOMEM; WERR_CLOSED: stopping. On an error the exchange is still to be answered.
 */
int tap_shard_begin(struct tap_shard *self, struct http_exchange *exchange, const struct tap_query *query);

#endif
