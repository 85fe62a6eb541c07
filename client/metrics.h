/*
 * The client's metrics: cells that any thread writes with atomic instructions and the sender reads. Counters
 * are sent as cumulative values, gauges as their last value, histograms as what came since the batch before.
 */
#ifndef WEFT_CLIENT_METRICS_H
#define WEFT_CLIENT_METRICS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/strings.h"
#include "weft/v1/stream.pb-c.h"
#include "weft/weft.h"

enum {
    HISTOGRAM_SCALE = 5, /* 32 buckets an octave */
    HISTOGRAM_OCTAVES_COUNT = 64,
    HISTOGRAM_EXPONENT_MIN = -32, /* of the smallest bucket's lower bound */
    HISTOGRAM_CELLS_COUNT = HISTOGRAM_OCTAVES_COUNT << HISTOGRAM_SCALE,
    HISTOGRAM_BUCKETS_SENT_MAX = 1024, /* of one point; a wider one is sent at half the resolution */
    METRICS_BATCH_POINTS_MAX = 512,
    METRICS_BATCH_HISTOGRAMS_MAX = 16,
};

struct weft_client;

/* What all kinds have: identity in string ids, and whose it is. */
struct metric {
    struct weft_client *client;
    const _Atomic bool
        *sender_running; /* the client's; false in a forked child until something is recorded */
    Weft__V1__MetricType type;
    uint32_t name;
    uint32_t unit;
    uint32_t help;
    uint32_t label_count;
    uint32_t label_keys[WEFT_LABELS_COUNT_MAX];
    uint32_t label_values[WEFT_LABELS_COUNT_MAX];
};

struct weft_counter {
    struct metric metric; /* first member, as in all kinds */
    _Atomic uint64_t value;
    uint64_t batched_value; /* the sender's: as last put in a batch */
    bool batched;
};

struct weft_gauge {
    struct metric metric;
    _Atomic uint64_t value_bits; /* of the double */
    _Atomic bool is_set;
    uint64_t batched_bits;
    bool batched;
};

struct weft_histogram {
    struct metric metric;
    _Atomic uint64_t *dropped_points; /* the client's */
    _Atomic uint64_t zero_count;
    _Atomic uint64_t sum_bits;
    _Atomic uint64_t octaves; /* bit: a cell of this octave may be above 0 */
    _Atomic uint64_t cells[HISTOGRAM_CELLS_COUNT];
};

/* Starts the sender in a forked child (client.c). Locks. */
void client_revive(struct weft_client *client);

/* After each write of a cell. */
static inline void metric_touch(const struct metric *metric)
{
    if (!atomic_load_explicit(metric->sender_running, memory_order_relaxed)) {
        client_revive(metric->client);
    }
}

struct metrics {
    struct metric *all[WEFT_METRICS_COUNT_MAX]; /* owned; each of the type that it says */
    uint32_t count;
    _Atomic uint64_t dropped_points;
};

/* One batch's points, and the memory that they refer to. Belongs to the sender. */
struct metric_points {
    uint32_t next; /* index of the metric to go on with */
    uint32_t counter_count;
    uint32_t gauge_count;
    uint32_t histogram_count;
    uint32_t counter_series[METRICS_BATCH_POINTS_MAX];
    double counter_values[METRICS_BATCH_POINTS_MAX];
    uint32_t gauge_series[METRICS_BATCH_POINTS_MAX];
    double gauge_values[METRICS_BATCH_POINTS_MAX];
    Weft__V1__HistogramPoint histograms[METRICS_BATCH_HISTOGRAMS_MAX];
    Weft__V1__HistogramPoint *histogram_pointers[METRICS_BATCH_HISTOGRAMS_MAX];
    uint64_t buckets[METRICS_BATCH_HISTOGRAMS_MAX][HISTOGRAM_CELLS_COUNT];
};

void metrics_deinit(struct metrics *metrics);

/* Registers with strings interned; 0 or WEFT_ERROR_. `bytes`: size of the kind's struct, which begins with
 * struct metric. */
int metrics_add(struct metrics *metrics, struct strings *strings, const struct weft_metric *identity,
    Weft__V1__MetricType type, size_t bytes, struct metric **ret_metric);

/* What changed since it was last gathered, from points->next on, as much as fits a batch; returns the count
 * of points. */
uint32_t metrics_gather(struct metrics *metrics, struct metric_points *points);

/* The message, which borrows the points. */
void metric_points_message(
    struct metric_points *points, uint64_t sequence, uint64_t time_unix_ns, Weft__V1__MetricBatch *ret_batch);

/* The agent may know nothing any more: counters and gauges are gathered again. */
void metrics_tell_again(struct metrics *metrics);

/* A new sender begins (after fork): all values to 0. */
void metrics_reset(struct metrics *metrics);

/* Index of the bucket (lower bound exclusive) of a value above 0 at HISTOGRAM_SCALE, not clamped. */
int32_t histogram_index(double value);

#endif
