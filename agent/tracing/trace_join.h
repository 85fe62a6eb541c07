/*
 * What joined spans tell: the trace thread's part that takes the shards' timings, and for metrics one more
 * shard, without sockets.
 *
 *   shards ─batches─► names ─► attribution ─► self and network times ─► a directory of its own ─► aggregator
 *                                         └─► observations ─► /api/v1/why
 *
 * Runs on the trace thread's loop; what is said to be from another thread posts letters to it.
 */
#ifndef WEFT_AGENT_TRACE_JOIN_H
#define WEFT_AGENT_TRACE_JOIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "config/config.h"
#include "core/budget.h"
#include "core/buffer.h"
#include "core/clock.h"
#include "core/mailbox.h"
#include "core/metrics.h"
#include "histogram/bounds.h"
#include "query/query.h"
#include "query/why_spans.h"
#include "trace/thinning.h"
#include "trace/timing_batch.h"

struct aggregator_thread;
struct trace_join;

struct trace_join_config {
    const struct config *config;
    const struct limits *limits; /* the thread's own: a reload changes them */
    const struct clock *clock;
    const struct split_bounds *bounds; /* as the shards' */
    struct budget *series;             /* as the shards' */
    struct metric_cells *cells;        /* the thread's */
    uv_loop_t *loop;
    struct mailbox *mailbox; /* the thread's; letters find the join in them, not in the receiver */
    struct aggregator_thread *aggregator;
    uint32_t shard_count; /* of the real ones; it is itself number shard_count of the aggregator's */
    bool shows_exemplars; /* there are rings that their traces can be pinned from */
};

enum { TRACE_JOIN_SHARE = 16 };

/*
 * Each shard's ring, of limits.trace_ring_bytes: what waits to be joined, the requests that were observed and
 * the tables of kept traces lie within the same budget, as far as that takes one part in TRACE_JOIN_SHARE of
 * it.
 */
uint64_t trace_join_ring_bytes(const struct limits *limits, size_t shard_count);

/* 0 or WERR_NOMEM. A timer is added to the loop. */
int trace_join_new(const struct trace_join_config *config, struct trace_join **ret_join);

/* Before start, when the real shards have been added: makes it the last of the aggregator's shards. */
void trace_join_enter(struct trace_join *join);

/* The limits have changed. */
void trace_join_reconfigure(struct trace_join *join);

/* Which traces' spans the shards are to post. For any thread, as long as the join is there. */
const struct thinning *trace_join_thinning(const struct trace_join *join);

/* From a shard: false when the thread is stopping, then the batch stays the caller's. */
bool trace_join_post(struct trace_join *join, struct timing_batch *batch);

/* Whether a path is answered here. */
bool trace_join_knows(const char *path);

/* Traces whose spans may tell more, no order: at most WHY_SAMPLE_COUNT of slow requests and of the others. */
struct trace_join_samples {
    uint8_t ids[2 * WHY_SAMPLE_COUNT][16];
    uint32_t count;
};

/* None, too, for a question that cannot be answered. */
void trace_join_samples(struct trace_join *join, const struct query_argument *arguments,
    size_t argument_count, struct trace_join_samples *ret_samples);

/* Answers a question; the status. traces: what became of the samples, sorted (query/why_spans.h); may be
 * NULL. */
unsigned trace_join_ask(struct trace_join *join, const struct query_argument *arguments,
    size_t argument_count, const struct why_trace *traces, uint32_t trace_count, struct buffer *out);

/* Tells what still waits, as a stop has no time for the others of its trace: the next delta has it. NULL is
 * fine. */
void trace_join_finish(struct trace_join *join);

/* Closes the timer. NULL is fine. */
void trace_join_close(struct trace_join *join);

/* After the loop and the aggregator have ended. NULL is fine. */
void trace_join_free(struct trace_join *join);

#endif
