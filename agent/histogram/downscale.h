/*
 * The lattice at a coarser scale, exactly: each step down in scale merges buckets 2j and 2j+1 into j, so that
 * the bucket of index i is the one of index i >> k (rounded towards minus infinity) k scales lower. Dense, as
 * OTLP and Prometheus want it. Pure functions; any thread.
 */
#ifndef WEFT_HISTOGRAM_DOWNSCALE_H
#define WEFT_HISTOGRAM_DOWNSCALE_H

#include "histogram/histogram.h"

enum {
    DOWNSCALE_SCALE_MIN = -4, /* the lowest schema of a native histogram; the lattice then has 3 buckets */
    DOWNSCALE_BUCKET_COUNT_MIN = 3, /* so this many are always enough */
};

/*
 * Buckets first_index ... first_index + bucket_count - 1, bucket j = (base^j, base^(j+1)] s, base =
 * 2^(2^-scale); first and last are not empty. bucket_count is 0 when all is in the zero bucket. count,
 * zero_count and sum stay with the source.
 */
struct dense_buckets {
    int scale;
    int first_index; /* OTLP's offset; Prometheus' index of the same bucket is one more */
    uint32_t bucket_count;
    uint64_t counts[LATTICE_CELL_COUNT];
};

/* index >> by for any sign, by in 0 ... 30. */
static inline int downscale_index(int index, int by)
{
    return index >= 0 ? index >> by : ~(~index >> by);
}

/*
 * The histogram's buckets at the largest scale that is at most scale_max and leaves at most bucket_count_max
 * of them. WERR_INVALID for a scale_max outside DOWNSCALE_SCALE_MIN ... LATTICE_SCALE or a bucket_count_max
 * below DOWNSCALE_BUCKET_COUNT_MIN; `out` is then untouched. Fills only what it uses of `out`.
 */
int downscale_histogram(struct dense_buckets *out, const struct histogram *histogram,
    const struct page_slab *slab, int scale_max, uint32_t bucket_count_max);

#endif
