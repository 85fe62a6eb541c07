/* Exact downscaling; see downscale.h. */
#include "histogram/downscale.h"

#include <string.h>

#include "core/error.h"

int downscale_histogram(struct dense_buckets *out, const struct histogram *histogram,
    const struct page_slab *slab, int scale_max, uint32_t bucket_count_max)
{
    int cell = LATTICE_CELL_ZERO;
    int first_cell = 0;
    uint64_t count;

    if (scale_max < DOWNSCALE_SCALE_MIN || scale_max > LATTICE_SCALE ||
        bucket_count_max < DOWNSCALE_BUCKET_COUNT_MIN) {
        return WERR_INVALID;
    }
    out->scale = scale_max;
    out->first_index = 0;
    out->bucket_count = 0;
    if (!histogram_next(histogram, slab, &cell, &count)) {
        return 0;
    }
    first_cell = cell;
    while (histogram_next(histogram, slab, &cell, &count)) {
    }

    int by = LATTICE_SCALE - scale_max;
    int last_index = lattice_index(cell);

    while ((uint32_t)(downscale_index(last_index, by) - downscale_index(lattice_index(first_cell), by)) >=
           bucket_count_max) {
        by++;
    }
    out->scale = LATTICE_SCALE - by;
    out->first_index = downscale_index(lattice_index(first_cell), by);
    out->bucket_count = (uint32_t)(downscale_index(last_index, by) - out->first_index) + 1;
    memset(out->counts, 0, out->bucket_count * sizeof(out->counts[0]));

    cell = LATTICE_CELL_ZERO;
    while (histogram_next(histogram, slab, &cell, &count)) {
        out->counts[downscale_index(lattice_index(cell), by) - out->first_index] += count;
    }
    return 0;
}
