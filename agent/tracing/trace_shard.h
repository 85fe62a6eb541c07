/*
 * A shard's side of questions about traces: takes tasks, works on them in an idle handle, about
 * TRACE_SLICE_US at a time so that records and connections do not wait, and sends them back. Runs on the
 * shard's loop.
 */
#ifndef WEFT_AGENT_TRACE_SHARD_H
#define WEFT_AGENT_TRACE_SHARD_H

#include <uv.h>

#include "tracing/trace_task.h"

enum {
    TRACE_SLICE_US = 700,   /* what was begun by then is ended: together no more than a millisecond */
    TRACE_MEMO_COUNT = 256, /* verdicts on services that are remembered during a task */
    TRACE_SEEN_COUNT_MIN =
        4096, /* places for ids of traces that a search has found: twice as many as it may find */
};

struct trace_memo {
    const void *resource; /* with service, texts of a block; good for that block alone */
    const void *service;
    uint64_t block;
    bool is_wanted;
};

struct trace_shard {
    uv_idle_t idle;
    struct ring *ring;         /* borrowed; NULL: the shard has none */
    const struct clock *clock; /* the ring's */
    struct trace_task *tasks;  /* the first is being worked on */
    struct trace_memo memo[TRACE_MEMO_COUNT];
    uint64_t seen[TRACE_SEEN_COUNT_MIN]; /* 0: free */
    struct buffer scratch;
};

/* Adds a handle to the loop. */
void trace_shard_init(
    struct trace_shard *self, uv_loop_t *loop, struct ring *ring, const struct clock *clock);

/* Sends back all tasks as they are and closes the handle; tasks that come later go back at once. */
void trace_shard_close(struct trace_shard *self);

/* After the loop has ended. */
void trace_shard_deinit(struct trace_shard *self);

/* A task that has arrived. */
void trace_shard_take(struct trace_shard *self, struct trace_task *task);

#endif
