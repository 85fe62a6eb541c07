/*
 * `/api/v1/why`: the requests of the last minutes are the join's, what their spans say besides lies in the
 * shards' rings.
 *
 *   ask ─► samples of slow and usual requests ─► each shard: the spans of their traces ─► compared ─► answer
 *
 * At most WHY_JOBS_COUNT_MAX questions wait for shards at once, and each for limits.trace_answer_ms; a
 * further one, and whatever is late, is answered without attributes. Runs on the trace thread's loop.
 */
#ifndef WEFT_AGENT_TRACE_WHY_H
#define WEFT_AGENT_TRACE_WHY_H

#include "tracing/trace_job.h"
#include "tracing/trace_join.h"

enum {
    WHY_JOBS_COUNT_MAX = 4,
    WHY_TASK_BYTES_MAX = 8 << 20,   /* of one shard for one question */
    WHY_TRACE_BYTES_MAX = 64 << 10, /* of one trace in one shard: the rest is not looked at */
    WHY_TICK_MS = 25,
};

struct trace_why;

/* desk: its shards are asked. join: NULL, there is nobody to answer. Both outlive it. 0 or WERR_NOMEM. */
int trace_why_new(struct trace_desk *desk, struct trace_join *join, struct trace_why **ret_self);

/* A question has arrived; it is answered at once, or later. */
void trace_why_take(struct trace_why *self, struct trace_ask *ask);

/* Answers what waits with 503, closes the handle. NULL is fine. */
void trace_why_close(struct trace_why *self);

/* After the loop and the shards have ended. NULL is fine. */
void trace_why_free(struct trace_why *self);

#endif
