/*
 * One point of a metric that a proxy sent under its own name, in normal form. Strings are ids of the shard's
 * interner.
 */
#ifndef WEFT_CONTEXT_METRIC_POINT_H
#define WEFT_CONTEXT_METRIC_POINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum metric_point_type { METRIC_POINT_COUNTER, METRIC_POINT_GAUGE, METRIC_POINT_HISTOGRAM };

enum { METRIC_LABEL_COUNT_MAX = 32, METRIC_BUCKET_COUNT_MAX = 1024 };

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
    uint64_t time_unix_ns;
    uint64_t start_unix_ns; /* of a cumulative counter; a later one than before is a reset. 0: not told */
    double value;           /* counter: cumulative; gauge: now; histogram: sum of what this point adds */
    bool is_delta;          /* counter: value is what it rose by since the point before, whatever the start;
                               gauge: value is added to what it was. Histograms do not look at it. */
    /* histogram: what this point adds, base-2 exponential */
    int32_t scale;
    int32_t offset; /* index of buckets[0] */
    const uint64_t *buckets;
    size_t bucket_count;
    uint64_t zero_count;
};

#endif
