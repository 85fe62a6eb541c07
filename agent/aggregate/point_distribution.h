/*
 * A histogram that a proxy sent, of either kind: with exponential buckets or with bounds of its own. Pure
 * functions over caller-owned structs.
 */
#ifndef WEFT_AGGREGATE_POINT_DISTRIBUTION_H
#define WEFT_AGGREGATE_POINT_DISTRIBUTION_H

#include <stdbool.h>

#include "aggregate/bucket_histogram.h"
#include "aggregate/exp_histogram.h"
#include "context/metric_point.h"

/* All zero = empty and valid, exponential. */
struct point_distribution {
    bool is_explicit;
    union {
        struct exp_histogram exponential;
        struct bucket_histogram explicit;
    };
};

/* Adds what a point of the same kind says. */
void point_distribution_add(struct point_distribution *distribution, const struct metric_point *point);

/* Adds another one of the same kind. */
void point_distribution_merge(struct point_distribution *distribution, const struct point_distribution *from);

/* What a cumulative one has more than it had; false when it began anew in between. Both of the same kind. */
bool point_distribution_rise(const struct point_distribution *before, const struct point_distribution *now,
    struct point_distribution *ret_rise);

static inline uint64_t point_distribution_count(const struct point_distribution *distribution)
{
    return distribution->is_explicit ? distribution->explicit.count : distribution->exponential.count;
}

/* How many values a point of a histogram stands for. */
uint64_t metric_point_count(const struct metric_point *point);

#endif
