/*
 * One histogram: counts by lattice cell and by split slot, in pages of a slab. The same struct serves as
 * delta in a shard, as cumulative value and as open window slot in the aggregator.
 *
 *   struct histogram (184 bytes)
 *   +--------------------------------------------------------------+
 *   | count  zero_count  sum                                       |
 *   | pages[0 ... 31]   one an octave, from 2^-20 s up             |--> page: 32 cells, u32
 *   | pages[32 ... 34]  split slots 0 ... 95 (bounds.h)            |--> page: 32 slots, u32
 *   | carries[0 ... 1]  none, until a cell passes 2^32             |--> page of 32 handles --> page: upper
 * halves of cells
 *   +--------------------------------------------------------------+
 *
 * A page exists once one of its cells is not 0. A cell of 64 bits is two of 32: the lower half in the
 * octave's page, the upper one in its carry page, which almost no histogram ever has. So every count is exact
 * up to 2^64, at half the memory. Not more than 2^64 - 1 may be recorded in all (at a million a second:
 * 584,000 years); the sum has 128 bits.
 *
 * Threads: a histogram belongs to one thread at a time. The owner of its slab records, merges into it and
 * releases it. The aggregator, handed a shard's histogram and the slab to look it up in, may read it, merge
 * *from* it and drain it:
 *
 *   shard: histogram_record --mail--> aggregator: histogram_merge into its own, histogram_drain into a
 * page_chain ^                                                                        |
 *     +---- page_slab_take_back(chain), the emptied structs are spares <--mail-+
 *
 * Functions that can fail with WERR_NOMEM change no count when they do; pages that they took stay with the
 * histogram, empty.
 */
#ifndef WEFT_HISTOGRAM_HISTOGRAM_H
#define WEFT_HISTOGRAM_HISTOGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "histogram/bounds.h"
#include "histogram/page_slab.h"

enum {
    HISTOGRAM_OCTAVE_PAGES = LATTICE_CELL_COUNT / PAGE_CELL_COUNT,
    HISTOGRAM_SLOT_PAGES = BOUNDS_COUNT_MAX / PAGE_CELL_COUNT,
    HISTOGRAM_PAGES = HISTOGRAM_OCTAVE_PAGES + HISTOGRAM_SLOT_PAGES,
    HISTOGRAM_CARRY_DIRECTORIES = (HISTOGRAM_PAGES + PAGE_CELL_COUNT - 1) / PAGE_CELL_COUNT,
};

/* All zero = empty and valid: no init, and nothing to release. */
struct histogram {
    uint64_t count;      /* zero bucket included */
    uint64_t zero_count; /* at or below the zero threshold */
    uint64_t sum_ns_low; /* the sum of all durations, 128 bits */
    uint64_t sum_ns_high;
    uint32_t pages[HISTOGRAM_PAGES];
    uint32_t carries[HISTOGRAM_CARRY_DIRECTORIES];
};

/*
 * Counts one duration `weight` times. No lock, no system call but when the slab grows by a chunk. WERR_NOMEM:
 * the slab is full, nothing is counted, and the caller owes the record to the overflow series. What is above
 * the top is counted in the last cell, with its true value in the sum; the caller counts how often
 * (lattice_is_above_top).
 */
int histogram_record(struct histogram *histogram, struct page_slab *slab, const struct split_bounds *bounds,
    uint64_t duration_ns, uint64_t weight);

/*
 * Adds `from` to `to`, which is another one, recorded under the same bounds. `from` stays as it is.
 * WERR_NOMEM: nothing was added.
 */
int histogram_merge(struct histogram *to, struct page_slab *to_slab, const struct histogram *from,
    const struct page_slab *from_slab);

/* As histogram_merge without the split slots: for histograms that never answer with `le` counts (windows). */
int histogram_merge_lattice(struct histogram *to, struct page_slab *to_slab, const struct histogram *from,
    const struct page_slab *from_slab);

/* By whoever holds the histogram: empties it, its pages zeroed and put into the chain for the slab's owner.
 */
void histogram_drain(struct histogram *histogram, const struct page_slab *slab, struct page_chain *chain);

/* By the slab's owner: empties it and frees its pages. */
void histogram_release(struct histogram *histogram, struct page_slab *slab);

/* The count of a cell, LATTICE_CELL_ZERO included. */
uint64_t histogram_cell_count(const struct histogram *histogram, const struct page_slab *slab, int cell);

/*
 * Steps through the cells that are not empty, ascending, without the zero bucket. Start with *cell =
 * LATTICE_CELL_ZERO; false at the end, with *cell and *ret_count untouched.
 */
bool histogram_next(
    const struct histogram *histogram, const struct page_slab *slab, int *cell, uint64_t *ret_count);

/*
 * The cumulative counts of the plan's bounds, exact: out[i] = how many durations were at most
 * plan->steps[i].le_ns. `out` has room for plan->count. The plan was made from the bounds that the histogram
 * was recorded under. `+Inf` is histogram->count.
 */
void histogram_le_counts(const struct histogram *histogram, const struct page_slab *slab,
    const struct le_plan *plan, uint64_t *out);

/* The sum of the durations in seconds, rounded to a double. */
double histogram_sum_seconds(const struct histogram *histogram);

/* (high 2^64 + low) ns in seconds. */
double sum_ns_seconds(uint64_t low, uint64_t high);

/* Adds value times weight to the 128 bits of *high, *low. */
static inline void sum_ns_add(uint64_t *low, uint64_t *high, uint64_t value_ns, uint64_t weight)
{
    unsigned __int128 sum = ((unsigned __int128)*high << 64 | *low) + (unsigned __int128)value_ns * weight;

    *low = (uint64_t)sum;
    *high = (uint64_t)(sum >> 64);
}

#endif
