/*
 * One question about traces on its way through shards and peers: what the trace thread's desk works on.
 *
 *   search:  every shard and every peer is asked what it found ─► the newest traces of all of them, as many
 * as were wanted ─► a fetch fetch:   every shard and every peer is asked for its part ─► put together and
 * written, trace by trace names:   every shard and every peer is asked for its names ─► written
 *
 * Each step has limits.trace_answer_ms; whoever is late then is named in the answer's warnings. A job ends
 * when it was answered and all its tasks have come back from the shards: they refer to it.
 *
 * Threads: the trace thread's loop.
 */
#ifndef WEFT_AGENT_TRACE_JOB_H
#define WEFT_AGENT_TRACE_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uv.h>

#include "config/config.h"
#include "core/clock.h"
#include "core/limits.h"
#include "core/mailbox.h"
#include "core/metrics.h"
#include "query/query.h"
#include "trace/pins.h"
#include "tracing/trace_peers.h"
#include "tracing/trace_task.h"

enum {
    TRACE_JOBS_COUNT_MAX = 32,           /* under way; a further question gets 503 */
    TRACE_DESK_BYTES_MAX = 128 << 20,    /* parts of traces, of all jobs together */
    TRACE_TASK_BYTES_MAX = 32 << 20,     /* parts of traces, of one shard for one job */
    TRACE_JOB_MATCHES_COUNT_MAX = 24000, /* what all shards and peers found, before the newest are chosen */
    TRACE_JOB_IDS_PER_QUESTION = 100,    /* TRACE_QUERY_IDS_COUNT_MAX of the peer that is asked */
    TRACE_DESK_TICK_MS = 25,             /* how exactly jobs end that somebody is late for */
    TRACE_ASK_TEXT_BYTES_MAX = 8192,
};

/* A question on its way. Made by the shard that holds the connection, and freed by it. */
struct trace_ask {
    struct mail mail; /* first member */
    struct mailbox *reply_to;
    void (*answered)(struct mail *mail, void *receiver);
    void *exchange; /* the asker's */
    const char *path;
    struct query_argument arguments[QUERY_ARGUMENT_COUNT_MAX];
    size_t argument_count;
    char text[TRACE_ASK_TEXT_BYTES_MAX]; /* of path and arguments */
    /* the answer */
    unsigned status;
    struct shared_bytes *body; /* may be NULL; one reference, the asker's. JSON */
};

/* How to reach a shard: posts a task to it, which comes back by trace_task_return. From any thread. */
struct trace_shard_ops {
    void (*task)(void *shard, struct trace_task *task);
};

struct trace_job;
LIST_HEAD(trace_job_list, trace_job);

struct trace_desk {
    uv_loop_t *loop;
    struct mailbox *mailbox; /* of the thread, whose receiver is not the desk */
    const struct limits *limits;
    const struct clock *clock;
    struct metric_cells *cells;
    struct trace_peers *peers;
    const struct pins *pins; /* traces that are held for exemplars; NULL: none are */
    struct trace_desk_shard {
        void *shard;
        const struct trace_shard_ops *ops;
    } shards[CONFIG_SHARD_COUNT_MAX];
    size_t shard_count;
    struct trace_job_list jobs;
    size_t job_count;  /* that are not answered */
    size_t part_bytes; /* of all jobs */
    uv_timer_t timer;  /* while there are jobs */
    uv_idle_t idle;    /* while answers are being written */
};

/* Adds handles to the loop. The fields above `jobs` are set by the caller before. */
void trace_desk_init(struct trace_desk *desk);

/* A question has arrived; it is answered at once, or later. */
void trace_desk_take(struct trace_desk *desk, struct trace_ask *ask);

/* Answers an ask: posts it back. When the asker is gone, it is freed. */
void trace_ask_answer(struct trace_ask *ask, unsigned status, struct shared_bytes *body);

/* Answers all with 503 and closes the handles. Tasks may still be with the shards. */
void trace_desk_close(struct trace_desk *desk);

/* After the loop and the shards have ended: frees what was left. */
void trace_desk_deinit(struct trace_desk *desk);

#endif
