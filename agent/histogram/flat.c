/* Spread-out histograms; see flat.h. */
#include "histogram/flat.h"

#include <string.h>

_Static_assert(LATTICE_OCTAVE_COUNT == 32, "one bit an octave");

void histogram_flat_reset(struct histogram_flat *flat)
{
    for (unsigned octave = 0; octave < LATTICE_OCTAVE_COUNT; octave++) {
        if ((flat->octaves >> octave & 1) != 0) {
            memset(&flat->cells[(size_t)octave * LATTICE_CELLS_PER_OCTAVE], 0,
                LATTICE_CELLS_PER_OCTAVE * sizeof(flat->cells[0]));
        }
    }
    flat->count = 0;
    flat->zero_count = 0;
    flat->sum_ns_low = 0;
    flat->sum_ns_high = 0;
    flat->octaves = 0;
}

void histogram_flat_add(struct histogram_flat *flat, int cell, uint64_t count)
{
    flat->count += count;
    if (cell < 0) {
        flat->zero_count += count;
        return;
    }
    flat->cells[cell] += count;
    flat->octaves |= UINT32_C(1) << ((unsigned)cell / LATTICE_CELLS_PER_OCTAVE);
}

void histogram_flat_merge(
    struct histogram_flat *flat, const struct histogram *histogram, const struct page_slab *slab)
{
    int cell = LATTICE_CELL_ZERO;
    uint64_t count;

    histogram_flat_add(flat, LATTICE_CELL_ZERO, histogram->zero_count);
    while (histogram_next(histogram, slab, &cell, &count)) {
        histogram_flat_add(flat, cell, count);
    }
    sum_ns_add(&flat->sum_ns_low, &flat->sum_ns_high, histogram->sum_ns_low, 1);
    flat->sum_ns_high += histogram->sum_ns_high;
}

bool histogram_flat_next(const struct histogram_flat *flat, int *cell, uint64_t *ret_count)
{
    unsigned at = (unsigned)(*cell + 1);

    while (at < LATTICE_CELL_COUNT) {
        if ((flat->octaves >> (at / LATTICE_CELLS_PER_OCTAVE) & 1) == 0) {
            at = (at / LATTICE_CELLS_PER_OCTAVE + 1) * LATTICE_CELLS_PER_OCTAVE;
            continue;
        }
        if (flat->cells[at] > 0) {
            *cell = (int)at;
            *ret_count = flat->cells[at];
            return true;
        }
        at++;
    }
    return false;
}
