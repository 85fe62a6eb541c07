/*
 * What the trace thread asks a shard: letters that go there and come back with what the shard's ring has.
 *
 *   trace thread ──task──► shard: slices of a millisecond ──the same task──► trace thread
 *
 * The asking job owns the task, and all it points to, until it has come back; a shard that is asked for
 * something that nobody waits for any more is told so by `cancelled`, and sends the task back soon.
 */
#ifndef WEFT_AGENT_TRACE_TASK_H
#define WEFT_AGENT_TRACE_TASK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buffer.h"
#include "core/mailbox.h"
#include "query/trace_answer.h"
#include "trace/ring.h"

enum trace_task_kind {
    TRACE_TASK_FETCH,      /* traces by id */
    TRACE_TASK_SEARCH,     /* ids of traces that the query lets through */
    TRACE_TASK_SERVICES,   /* names of all that reported spans */
    TRACE_TASK_OPERATIONS, /* names of spans of query->service, with their kinds */
};

struct trace_task {
    struct mail mail; /* first member */
    struct mailbox *reply_to;
    void (*answered)(struct mail *mail, void *receiver); /* on the asker's thread */
    void *job;                                           /* the asker's */
    size_t shard_index;
    const atomic_bool *cancelled;
    /* what is asked; read only */
    enum trace_task_kind kind;
    const struct trace_query *query;
    const uint8_t (*ids)[TRACE_MODEL_ID_BYTES]; /* of FETCH */
    size_t id_count;
    size_t bytes_max;       /* of all parts together */
    size_t part_bytes_max;  /* of one; 0: whatever is left of bytes_max */
    size_t trace_bytes_max; /* larger traces are no use: what is told of them is larger, or nothing; 0: all
                               are */
    /* the answer: the asker frees it by trace_task_deinit */
    struct shared_bytes **parts; /* one an id; NULL where there is nothing */
    size_t part_bytes;
    uint32_t left_out_count; /* spans for which there was no room */
    struct trace_match *matches;
    size_t match_count;
    struct trace_names names;
    bool is_cut; /* not all that is in the ring was looked at, for want of time or memory */
    /* the shard's */
    struct trace_task *next;
    struct ring_cursor cursor;
    size_t at;                    /* of FETCH: the id */
    struct ring_walk_cursor walk; /* along its trace */
    struct buffer out;            /* what was written of it */
    bool is_part_cut;
    bool has_begun;
};

/* Frees an answer. */
void trace_task_deinit(struct trace_task *task);

/* From the shard's thread: sends a task back. When the asker is gone nobody waits for it. */
void trace_task_return(struct trace_task *task);

#endif
