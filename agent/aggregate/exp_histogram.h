/*
 * Exponential histograms that proxies sent, of any scale, merged: at most EXP_BUCKET_COUNT_MAX buckets, kept
 * by lowering the scale, which merges neighbours exactly. Not on the agent's own lattice, whose scale and
 * unit are not theirs. Pure functions over caller-owned structs.
 *
 *   bucket i covers (2^(i / 2^scale), 2^((i+1) / 2^scale)], OpenTelemetry's data model; buckets[0] is index
 * `offset`
 */
#ifndef WEFT_AGGREGATE_EXP_HISTOGRAM_H
#define WEFT_AGGREGATE_EXP_HISTOGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EXP_BUCKET_COUNT_MAX = 160, EXP_SCALE_MIN = -10, EXP_SCALE_MAX = 20 };

/* All zero = empty and valid. */
struct exp_histogram {
    uint64_t count;
    uint64_t zero_count;
    double sum;
    int32_t scale;
    int32_t offset;
    uint32_t bucket_count; /* 0: nothing but zeros, and scale and offset mean nothing */
    uint64_t buckets[EXP_BUCKET_COUNT_MAX];
};

/*
 * Adds buckets[0 ... bucket_count), index `offset` first, of any scale; `zero_count` and `sum` beside them.
 * Empty buckets at either end do not cost range.
 */
void exp_histogram_add(struct exp_histogram *histogram, int32_t scale, int32_t offset,
    const uint64_t *buckets, size_t bucket_count, uint64_t zero_count, double sum);

/* Adds another one. */
void exp_histogram_merge(struct exp_histogram *histogram, const struct exp_histogram *from);

/*
 * What a cumulative one has more than it had, at the lower of their scales. False, and *ret_rise is not
 * written, when a count fell: it began anew in between.
 */
bool exp_histogram_rise(
    const struct exp_histogram *before, const struct exp_histogram *now, struct exp_histogram *ret_rise);

/* Lowers the scale to at most scale_max and until at most bucket_count_max (at least 2) buckets are left.
 * Exact. */
void exp_histogram_downscale(struct exp_histogram *histogram, int32_t scale_max, uint32_t bucket_count_max);

#endif
