/*
 * A histogram spread out: one u64 a cell. Scratch for queries and windows, where many histograms and sealed
 * slots are merged before the result is read or sealed (sealed.h). 8 KiB, no memory of its own; one thread at
 * a time.
 */
#ifndef WEFT_HISTOGRAM_FLAT_H
#define WEFT_HISTOGRAM_FLAT_H

#include <stdbool.h>
#include <stdint.h>

#include "histogram/histogram.h"

/* All zero = empty and valid. */
struct histogram_flat {
    uint64_t count; /* zero bucket included */
    uint64_t zero_count;
    uint64_t sum_ns_low;
    uint64_t sum_ns_high;
    uint32_t octaves; /* bit i: a cell of 32i ... 32i+31 may be other than 0. Clearing and stepping skip the
                         rest */
    uint64_t cells[LATTICE_CELL_COUNT];
};

/* Back to empty, at the cost of the octaves in use. */
void histogram_flat_reset(struct histogram_flat *flat);

/* Adds to one cell, or to the zero bucket (LATTICE_CELL_ZERO), and to the count; not to the sum. */
void histogram_flat_add(struct histogram_flat *flat, int cell, uint64_t count);

/* Adds a histogram, its split slots left out. */
void histogram_flat_merge(
    struct histogram_flat *flat, const struct histogram *histogram, const struct page_slab *slab);

/* As histogram_next: the cells that are not empty, ascending, from *cell = LATTICE_CELL_ZERO on, without the
 * zero bucket. */
bool histogram_flat_next(const struct histogram_flat *flat, int *cell, uint64_t *ret_count);

#endif
