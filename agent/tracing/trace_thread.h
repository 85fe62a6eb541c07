/*
 * The trace thread: the desk for questions about traces (trace_job.h), and who tells peers of traces that
 * are kept here (trace_peers.h). It owns no listening socket: questions come from the shards that hold the
 * connections, and go back to them; what the rings hold, the shards are asked.
 */
#ifndef WEFT_AGENT_TRACE_THREAD_H
#define WEFT_AGENT_TRACE_THREAD_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"
#include "config_letter.h"
#include "core/clock.h"
#include "core/loop_thread.h"
#include "core/metrics.h"
#include "tracing/kept_hub.h"
#include "tracing/trace_join.h"
#include "tracing/trace_job.h"
#include "tracing/trace_pins.h"
#include "tracing/trace_why.h"

struct trace_thread;

struct trace_thread_config {
    const struct config *config;
    const struct clock *clock;
    struct metric_cells *cells; /* the thread's own */
    struct kept_hub *hub;       /* entered before any thread starts, when there are peers */
    /* for joining spans (trace_join.h); without an aggregator it does not */
    struct aggregator_thread *aggregator;
    const struct split_bounds *bounds;
    struct budget *series;
    size_t shard_count;
    bool pins_exemplars; /* there are rings to fetch traces from */
};

/* 0, WERR_NOMEM, WERR_IO, WERR_CONFIG. */
int trace_thread_new(const struct trace_thread_config *config, struct trace_thread **ret_self);

/* Before start. */
void trace_thread_add_shard(struct trace_thread *self, void *shard, const struct trace_shard_ops *ops);

/* Before start, when all shards have been made: as the last of the aggregator's. */
void trace_thread_enter_aggregator(struct trace_thread *self);

/* Which spans' timings it takes, NULL: none; and from a shard, a batch of them: false when the thread is
 * stopping. */
const struct thinning *trace_thread_thinning(const struct trace_thread *self);
bool trace_thread_post_timings(struct trace_thread *self, struct timing_batch *batch);

int trace_thread_start(struct trace_thread *self);
struct loop_thread *trace_thread_loop(struct trace_thread *self);

/* From main: the thread takes over live keys and acknowledges. */
void trace_thread_post_config(struct trace_thread *self, struct config_letter *letter);

/* From a shard. False when the thread is stopping: nothing was taken. */
bool trace_thread_ask(struct trace_thread *self, struct trace_ask *ask);

/* From the aggregator's thread: offers of exemplars, one letter at a time. As above. Not to be called where
 * there is no ring (trace_thread_config.pins_exemplars). */
bool trace_thread_offer_exemplars(struct trace_thread *self, struct exemplar_letter *letter);

/* The thread's mailbox: what kept_hub_send leaves out for notices that are not to be passed on. */
const struct mailbox *trace_thread_mailbox(const struct trace_thread *self);

/*
 * For the stop, once, when the shards have posted their last timings: what waits to be joined is told, so
 * that the next delta has it, then `done` is posted to reply_to. From main's thread, before
 * trace_thread_stop.
 */
void trace_thread_finish(struct trace_thread *self, struct mailbox *reply_to, struct mail *done);

/* Ends the thread, while the shards still run: what is asked is answered with 503. NULL is fine. */
void trace_thread_stop(struct trace_thread *self);

/* After stop and the end of the shards. NULL is fine. */
void trace_thread_free(struct trace_thread *self);

#endif
