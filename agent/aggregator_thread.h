/*
 * The aggregator's thread: merges what shards hand over, keeps the windows, and answers scrapes and queries.
 * It owns no socket: answers travel back to the shard that holds the connection, OTLP metrics to the
 * exporter's thread.
 */
#ifndef WEFT_AGENT_AGGREGATOR_THREAD_H
#define WEFT_AGENT_AGGREGATOR_THREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "config_letter.h"
#include "core/budget.h"
#include "core/buffer.h"
#include "core/clock.h"
#include "core/compress.h"
#include "core/log.h"
#include "core/loop_thread.h"
#include "core/metrics.h"
#include "core/profiles.h"
#include "histogram/bounds.h"
#include "query/query.h"
#include "weft/exporter.h"

struct aggregator_thread;
struct exporter_thread;
struct trace_thread;
struct delta;

enum {
    FLIP_PERIOD_MS = 10000,   /* values are handed over at least this often: a slot of the shortest window */
    FLIP_DEMAND_MS = 250,     /* and for a scrape or query at most this often */
    ENCODE_SERIES_COUNT = 64, /* series encoded before looking at the time */
    ENCODE_SLICE_US = 5000,   /* longest turn of an encoding on the aggregator's thread */
    ASKS_COUNT_MAX = 256,     /* scrapes and queries waiting; a further one gets 503 */
    ASK_TEXT_BYTES_MAX = 4096,
    AGGREGATOR_SHARD_COUNT_MAX = CONFIG_SHARD_COUNT_MAX + 1, /* and the trace thread */
};

struct aggregator_thread_config {
    const struct config *config;
    const struct clock *clock;
    struct log *log;
    const struct split_bounds *bounds;
    struct budget *series;
    const struct budget *assembly;    /* of messages being received: shown, not drawn on */
    struct metric_registry *registry; /* complete before the thread starts */
    struct metric_cells *cells;       /* the thread's own */
    struct exporter_thread *exporter; /* NULL: none */
    size_t shard_count;               /* the trace thread included, where it joins spans */
    bool exemplars_are_pinned;        /* they are shown once the trace thread has pinned their traces */
};

int aggregator_thread_new(const struct aggregator_thread_config *config, struct aggregator_thread **ret_self);

/*
 * Before start: how to reach a shard, in order of index. `flip` posts to it that its values are wanted; it
 * answers with aggregator_thread_post_delta. `give_back` posts a merged delta, with the verdicts on its
 * series, back to it.
 */
struct aggregator_shard_ops {
    void (*flip)(void *shard);
    void (*give_back)(void *shard, struct delta *delta);
};
void aggregator_thread_add_shard(
    struct aggregator_thread *self, void *shard, const struct aggregator_shard_ops *ops);

/* Before start, where exemplars are pinned: by whom. */
void aggregator_thread_set_traces(struct aggregator_thread *self, struct trace_thread *traces);

int aggregator_thread_start(struct aggregator_thread *self);
struct loop_thread *aggregator_thread_loop(struct aggregator_thread *self);

/* A shard's values on their way; delta: NULL when it has none to give now. The letter stays the shard's. */
struct delta_letter {
    struct mail mail;
    size_t shard_index;
    bool answers; /* a flip that was asked for; else the shard sends values of its own accord */
    struct delta *delta;
};

/*
 * From a shard: posts a letter, which must not be used again before it was answered by give_back or, without
 * a delta, by the next flip. When the thread has ended the letter is lost, and with it what it holds.
 */
void aggregator_thread_post_delta(struct aggregator_thread *self, struct delta_letter *letter);

/* A scrape or a query on its way. Made by the shard that holds the connection, and freed by it. */
struct ask {
    struct mail mail;
    struct mailbox *reply_to; /* of the shard */
    void (*answered)(struct mail *mail, void *receiver);
    void *exchange; /* the asker's */
    /* what is asked: a scrape when encoder is set */
    const struct encoder_type *encoder;
    enum profile profile; /* whose families; PROFILE_COUNT: our own */
    struct encoder_options options;
    enum compression compression;
    const char *path; /* query: path and arguments, in `text` */
    struct query_argument arguments[QUERY_ARGUMENT_COUNT_MAX];
    size_t argument_count;
    char text[ASK_TEXT_BYTES_MAX];
    /* the answer */
    unsigned status;
    struct shared_bytes *body; /* may be NULL; one reference, the asker's */
    /* the aggregator's list */
    struct ask *next;
};

/* From main: the thread takes over live keys and acknowledges. */
void aggregator_thread_post_config(struct aggregator_thread *self, struct config_letter *letter);

/* From a shard. False when the thread is stopping: nothing was taken. */
bool aggregator_thread_ask(struct aggregator_thread *self, struct ask *ask);

/* From main: exports the metrics once more to every OTLP destination, then posts `done` to `reply_to`. */
bool aggregator_thread_finish(struct aggregator_thread *self, struct mailbox *reply_to, struct mail *done);

/* Ends the thread, while the shards still run: it answers what it holds. NULL is fine. */
void aggregator_thread_stop(struct aggregator_thread *self);

/* After stop and the end of the shards. NULL is fine. */
void aggregator_thread_free(struct aggregator_thread *self);

#endif
