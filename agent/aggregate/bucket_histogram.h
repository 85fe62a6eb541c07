/*
 * Histograms with bounds of the sender's own choice, merged. They stay on their bounds: none of the usual
 * ones (5 ms, 10 ms, …) is a bound of an exponential lattice, so that folding them into one would only
 * pretend to know more. Where two differ in their bounds what is kept are the bounds that both have, which is
 * as exact as each was. Pure functions over caller-owned structs.
 *
 *   counts[0] | bounds[0] | counts[1] | bounds[1] | … | counts[bound_count]      a bound belongs to its left
 */
#ifndef WEFT_AGGREGATE_BUCKET_HISTOGRAM_H
#define WEFT_AGGREGATE_BUCKET_HISTOGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "context/metric_point.h"

/* All zero = empty and valid. */
struct bucket_histogram {
    uint64_t count;
    double sum;
    bool has_bounds; /* bounds are set, though there may be none */
    uint32_t bound_count;
    double bounds[METRIC_BOUND_COUNT_MAX];
    uint64_t counts[METRIC_BOUND_COUNT_MAX + 1];
};

/* Adds counts[0 … bound_count] for ascending `bounds`, at most METRIC_BOUND_COUNT_MAX, and their sum. */
void bucket_histogram_add(struct bucket_histogram *histogram, const double *bounds, size_t bound_count,
    const uint64_t *counts, double sum);

/* Adds another one. */
void bucket_histogram_merge(struct bucket_histogram *histogram, const struct bucket_histogram *from);

/*
 * What a cumulative one has more than it had, on the bounds that both have. False, and *ret_rise is not
 * written, when a count fell: it began anew in between.
 */
bool bucket_histogram_rise(const struct bucket_histogram *before, const struct bucket_histogram *now,
    struct bucket_histogram *ret_rise);

#endif
