/*
 * Which traces leave the node: the triggers of each span that was put into the ring, the table of kept
 * traces, and their spans' way from the ring to the exporter. Runs on the shard's loop.
 *
 *   span ─► ring ─► kept already? ─no─► triggers ─► kept table ─► batch ─► the other shards, the peers
 *                     └────yes────► waits ─────────────┘
 *                                     └─100 ms─► ring_write_trace: what has not left yet ─► span segment
 *
 * Nothing is written for each span: what waits leaves together, trace by trace, so that the spans of a kept
 * trace that come one by one leave as one message. It is then marked in the ring, and never leaves twice.
 */
#ifndef WEFT_PIPELINE_KEEP_H
#define WEFT_PIPELINE_KEEP_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "aggregate/record_note.h"
#include "context/request.h"
#include "core/buffer.h"
#include "decode/span.h"
#include "trace/kept.h"
#include "trace/trigger.h"

struct config;
struct pipeline;

enum {
    KEEP_DELAY_MS = 100,              /* how long spans and notices wait for others */
    KEEP_MESSAGE_BYTES_MAX = 1 << 20, /* of one trace, written at once */
    KEEP_FLUSH_BYTES_MAX = 1 << 20,   /* after so much the exporter and other work have their turn … */
    KEEP_BEHIND_BYTES_MAX = 1 << 20,  /* that the exporter has not come to; past it spans wait in the ring */
    KEEP_REST_DELAY_MS = 10,          /* … for so long: a giant trace is not copied out all at once */
    KEEP_MESSAGES_COUNT_MAX = 256,    /* so many of one trace in a row */
    KEEP_SCRATCH_BYTES_KEPT = 256 << 10, /* a larger one is given back */
};

struct pipeline_keep_config {
    bool is_on;         /* else no trace is kept, and `kept_only` is false */
    bool is_first;      /* see struct pipeline_keep */
    bool kept_only;     /* spans leave by being kept, from the ring; else as they come */
    uint8_t rare_count; /* first requests of a series */
    uint64_t linger_ns; /* how long after a trace is kept its spans still leave */
    struct trigger_settings triggers;
    /* Tells others what is in the batch of `kept` (kept_letter_new). NULL: there are none. */
    void (*tell)(void *user, const struct kept *kept);
    void *user;
};

struct pipeline_keep {
    bool is_on;
    bool kept_only;
    bool is_first; /* of the process's pipelines: it counts what somebody outside keeps, all others keep it
                      too */
    bool has_timer;
    bool timer_armed;
    struct triggers triggers;
    struct kept kept;
    struct buffer scratch; /* one message on its way */
    uv_timer_t timer;
    void (*tell)(void *user, const struct kept *kept);
    void *user;
};

/* What the configuration says; `tell` and `user` are the caller's. The rates are shared out evenly. */
struct pipeline_keep_config pipeline_keep_config_of(const struct config *config, size_t shard_count);

/* The pipeline's part. 0 or WERR_NOMEM; a zeroed config, and a pipeline without a ring, keep nothing.
 * exports: there is somebody who takes spans. */
int pipeline_keep_init(
    struct pipeline *pipeline, const struct pipeline_keep_config *config, bool exports, uv_loop_t *loop);

/* Takes over trace.* but for `export`. */
void pipeline_keep_reconfigure(struct pipeline *pipeline, const struct config *config, size_t shard_count);

void pipeline_keep_close(struct pipeline *pipeline);  /* flushes first; the timer ends by the next turn */
void pipeline_keep_deinit(struct pipeline *pipeline); /* after that; a zeroed one is fine */

/* Of each OTLP span that is in the ring; request: NULL where it stands for none. Within a batch. */
void pipeline_keep_span(struct pipeline *pipeline, const struct span *span, const struct request *request,
    struct record_note note);

/* Of each native span and access-log entry that is there. */
void pipeline_keep_request(struct pipeline *pipeline, const struct request *request, struct record_note note);

/* What another thread keeps: from now on this shard keeps it, too. Outside of batches. */
void pipeline_keep_notices(struct pipeline *pipeline, const struct kept_notice *notices, uint32_t count);

/* Tells others what was kept and hands to the exporter's segment what waits, up to KEEP_FLUSH_BYTES_MAX; what
 * is left follows. By itself after KEEP_DELAY_MS. */
void pipeline_keep_flush(struct pipeline *pipeline);

#endif
