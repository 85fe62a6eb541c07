/*
 * A snapshot's exponential histogram as Prometheus' native one: at the scale and with the number of buckets
 * that are wanted, as spans and deltas. Nothing is stored: buckets are merged while they are walked.
 *
 *   OpenTelemetry index i: (base^i, base^(i+1)]     Prometheus index j: (base^(j−1), base^j]     so j = i + 1
 *   one scale lower: two neighbours merge, i becomes i >> 1 (arithmetic), exactly
 *
 *   offset 3, counts 10 0 0 20 5 2  ─►  spans {4,1} {2,3}, deltas 10 10 −15 −3
 */
#ifndef WEFT_EXPORTERS_PROMETHEUS_NATIVE_HISTOGRAM_H
#define WEFT_EXPORTERS_PROMETHEUS_NATIVE_HISTOGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buffer.h"
#include "weft/snapshot.h"

enum {
    NATIVE_SCHEMA_MIN = -4,
    NATIVE_SCHEMA_MAX = 8,
    NATIVE_SCALE_MAX = 32 /* the finest that is read; OpenTelemetry's SDKs stop at 20 */
};

/* Walks the buckets that hold something, in ascending order, at the histogram's scale less `shift`. */
struct native_walk {
    const struct snapshot_histogram *histogram;
    size_t position;
    int32_t shift;
    int32_t index; /* Prometheus' */
    uint64_t count;
};

struct native_walk native_walk_of(const struct snapshot_histogram *histogram, int32_t shift);

/* True with the walk's index and count set; false at the end. */
bool native_walk_next(struct native_walk *walk);

/*
 * By how much to lower the histogram's scale: to the snapshot's native_scale, and further until at most
 * native_buckets_max buckets hold something or the lowest schema is reached. Negative when the histogram
 * is too coarse for any schema, finer than NATIVE_SCALE_MAX or has none: then it leaves as a classic one.
 */
int32_t native_shift(const struct snapshot *snapshot, const struct snapshot_histogram *histogram);

/* Appends the fields of a Histogram message that make it native. Errors stick to `out`. */
void native_histogram_write(struct buffer *out, const struct snapshot_histogram *histogram, int32_t shift);

#endif
