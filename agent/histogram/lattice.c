/*
 * Finding a duration's cell, the hot path of every record: no division, no logarithm, no floating point.
 * Constant tables only; any thread.
 */
#include "histogram/lattice.h"

#include <math.h>

#include "histogram/lattice_table.h"

/* 2^93 / 10^9, rounded down: the largest such factor that fits into 64 bits. */
#define FIXED_PER_NS 9903520314283042199ull

_Static_assert(LATTICE_CELL_COUNT == 1024, "the tables are made for 1024 cells");

/*
 * The duration is shifted left until its top bit is set, and turned into seconds by one multiplication:
 *
 *   fixed = duration_ns 2^shift 2^29 / 10^9     (the upper half of the product), in [2^62, 2^64)
 *
 * Its own top bit gives the octave, the six bits below it a slot of a 64th of the octave. A slot is narrower
 * than the narrowest cell (1.6 % against 2.2 % of the octave's start), so that at most one bound lies in it
 * and one exact comparison decides between two cells. `fixed` is rounded down, by less than four units: where
 * that moves a value into the slot, or the octave, before its own, the comparison moves it back. (The first
 * whole nanosecond above 2^-20 s is 0.03 % away from it, so no guess lies below cell 0.)
 */
int lattice_cell(uint64_t duration_ns)
{
    if (duration_ns <= LATTICE_ZERO_NS_MAX) {
        return LATTICE_CELL_ZERO;
    }
    if (duration_ns > LATTICE_TOP_NS) {
        return LATTICE_CELL_LAST;
    }
    int shift = __builtin_clzll(duration_ns);
    uint64_t fixed = (uint64_t)(((unsigned __int128)(duration_ns << shift) * FIXED_PER_NS) >> 64);
    int unset = __builtin_clzll(fixed);
    int octave = 63 - unset - 29 - shift; /* floor(log2(seconds)) */
    unsigned slot = (unsigned)(fixed << unset >> 57) & 63;
    int guess = (octave * LATTICE_CELLS_PER_OCTAVE) + (int)slot_cell[slot] - LATTICE_INDEX_MIN;

    return guess + (duration_ns > bound_ns[guess + 1]);
}

uint64_t lattice_upper_ns(int cell)
{
    return bound_ns[cell + 1];
}

/* 2^(half_steps / 64) seconds above the lattice's lower end. */
static double fraction_seconds(int half_steps)
{
    int per_octave = 2 * LATTICE_CELLS_PER_OCTAVE;

    return ldexp(octave_fraction[half_steps % per_octave],
        half_steps / per_octave + LATTICE_INDEX_MIN / LATTICE_CELLS_PER_OCTAVE);
}

double lattice_lower_seconds(int cell)
{
    return fraction_seconds(2 * cell);
}

double lattice_upper_seconds(int cell)
{
    return fraction_seconds(2 * cell + 2);
}

double lattice_middle_seconds(int cell)
{
    return fraction_seconds(2 * cell + 1);
}
