/*
 * One point of a metric that a proxy sent under its own name, in normal form. Strings are ids of the shard's
 * interner.
 */
#ifndef WEFT_CONTEXT_METRIC_POINT_H
#define WEFT_CONTEXT_METRIC_POINT_H

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum metric_point_type {
    METRIC_POINT_COUNTER,
    METRIC_POINT_GAUGE,
    METRIC_POINT_HISTOGRAM,    /* base-2 exponential buckets */
    METRIC_POINT_EXPLICIT,     /* a histogram with bounds of its own */
    METRIC_POINT_BARE_COUNTER, /* a counter whose sample is called as it is told, without _total appended */
};

enum { METRIC_LABEL_COUNT_MAX = 32, METRIC_BUCKET_COUNT_MAX = 1024, METRIC_BOUND_COUNT_MAX = 64 };

struct metric_label {
    uint32_t key;
    uint32_t value;
};

struct metric_point {
    enum metric_point_type type;
    uint32_t name;
    uint32_t unit;                     /* 0: none */
    uint32_t help;                     /* 0: none */
    uint32_t sender;                   /* whose series it is and who pays; becomes sender_* labels */
    const struct metric_label *labels; /* sorted by the key's text, no key twice; borrowed */
    size_t label_count;
    uint16_t stale_after_s; /* of its series: not told of for so long it is hidden, until it is told of again.
                               0: never */
    uint64_t time_unix_ns;
    uint64_t start_unix_ns; /* of what is cumulative; a later one than before is a reset. 0: not told */
    double value;           /* counter: cumulative; gauge: now; histogram: the sum */
    bool is_delta;          /* counter: value is what it rose by since the point before, whatever the start;
                               gauge: value is added to what it was. Histograms do not look at it. */
    bool is_cumulative;     /* histograms: since start_unix_ns, else what this point adds */
    /* histograms */
    const uint64_t *buckets; /* explicit: bound_count + 1 of them, the last above all bounds */
    size_t bucket_count;
    int32_t scale;  /* exponential */
    int32_t offset; /* index of buckets[0] */
    uint64_t zero_count;
    const double *bounds; /* explicit: ascending, finite, at most METRIC_BOUND_COUNT_MAX */
    size_t bound_count;
};

/*
 * Adds to a sum of what was told, which stays a number: past the largest one it is held there, and true is
 * returned. What was told as infinite or not a number stays that.
 */
static inline bool metric_add_to(double *sum, double value)
{
    double exact = *sum + value;
    bool is_held = isinf(exact) && isfinite(*sum) && isfinite(value);

    *sum = is_held ? copysign(DBL_MAX, exact) : exact;
    return is_held;
}

static inline bool metric_point_is_counter(enum metric_point_type type)
{
    return type == METRIC_POINT_COUNTER || type == METRIC_POINT_BARE_COUNTER;
}

#endif
