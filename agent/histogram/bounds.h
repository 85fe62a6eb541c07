/*
 * The classic `le` bounds in force, and how they split the lattice, so that classic counts are exact. Fixed
 * between reloads; made by one thread, then read by all.
 *
 * A bound that is not itself a bound of the lattice falls inside a cell. Values of that cell are then counted
 * twice: in the cell, and in a slot that stands for the part of the cell up to the bound (from the bound
 * before it in the same cell, if there is one):
 *
 *     cell 352      (1953.1 us                                1995.9 us]        cell count  7
 *     bounds              |         le 1.96 ms     le 1.98 ms      |
 *     slots               |--- 0: 2 -----|----- 1: 4 ----|         |            the rest, 1, has no slot
 *
 *     count(le 1.98 ms) = zero bucket + cells before 352 + slots 0 and 1
 *
 * The zero bucket and the last cell, which also holds what is above the top, can be split in the same way, so
 * any bound works.
 */
#ifndef WEFT_HISTOGRAM_BOUNDS_H
#define WEFT_HISTOGRAM_BOUNDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "histogram/lattice.h"

enum { BOUNDS_COUNT_MAX = 96, BOUNDS_NO_SLOT = 255 };

struct split_bounds {
    uint32_t bound_count;
    uint32_t slot_count;                        /* bounds that split a cell; the others need no slot */
    uint64_t bounds_ns[BOUNDS_COUNT_MAX];       /* the union, ascending, without duplicates */
    uint64_t slots_ns[BOUNDS_COUNT_MAX];        /* the upper ends of the slots, ascending */
    int16_t slot_cells[BOUNDS_COUNT_MAX];       /* the cell that each slot belongs to */
    uint8_t first_slot[1 + LATTICE_CELL_COUNT]; /* of cell - 1 at [cell]: [0] is the zero bucket; or
                                                   BOUNDS_NO_SLOT */
};

/* The bounds when nobody asks for others: 0.5 ms to 60 s, ascending. */
extern const uint64_t bounds_default_ns[];
extern const size_t bounds_default_count;

/*
 * Sets up the union of `le_ns`: `count` bounds in ns, in any order, duplicates allowed. Owns no memory.
 * WERR_OVERSIZED when more than BOUNDS_COUNT_MAX different ones are left; `bounds` is then untouched.
 */
int split_bounds_init(struct split_bounds *bounds, const uint64_t *le_ns, size_t count);

/* Whether histograms recorded under `a` and `b` may be merged. */
bool split_bounds_equal(const struct split_bounds *a, const struct split_bounds *b);

/* The slot, 0 ... slot_count - 1, of a duration that lies in `cell` (lattice_cell's answer), or -1. */
static inline int split_bounds_slot(const struct split_bounds *bounds, int cell, uint64_t duration_ns)
{
    uint32_t slot = bounds->first_slot[cell + 1];

    if (__builtin_expect(slot == BOUNDS_NO_SLOT, 1)) {
        return -1;
    }
    for (; slot < bounds->slot_count && bounds->slot_cells[slot] == cell; slot++) {
        if (duration_ns <= bounds->slots_ns[slot]) {
            return (int)slot;
        }
    }
    return -1;
}

/* Where a list of `le` bounds, each in force, finds its counts: resolved once, used for every series. */
struct le_plan {
    uint32_t count;
    struct le_step {
        int16_t cell_end; /* cells below this one count in full; at LATTICE_CELL_ZERO not even the zero bucket
                             does */
        uint8_t slot_begin; /* and of cell_end itself the slots [slot_begin, slot_end) */
        uint8_t slot_end;
        uint64_t le_ns;
    } steps[BOUNDS_COUNT_MAX];
};

/*
 * Resolves le_ns: `count` bounds in ns, strictly ascending, each one of `bounds` or a bound of the lattice.
 * WERR_OVERSIZED past BOUNDS_COUNT_MAX, WERR_INVALID when they do not ascend, WERR_NOT_FOUND for one that is
 * not in force; `plan` is then of no use. Keeps no pointer.
 */
int le_plan_init(
    struct le_plan *plan, const struct split_bounds *bounds, const uint64_t *le_ns, size_t count);

#endif
