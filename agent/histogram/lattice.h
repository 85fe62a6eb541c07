/*
 * The one bucket lattice of the agent: base-2 exponential at scale 5, in seconds. Pure functions over
 * constant tables; any thread.
 *
 *   bucket index i   (2^(i/32) s, 2^((i+1)/32) s]          i = -640 ... 383, growth 2.2 %
 *   cell             i + 640, so 0 ... 1023                32 cells an octave, 32 octaves
 *
 *   0 s        2^-20 s                1 s                            2^12 s
 *    |  zero     | cell 0 |   ...      | cell 640 |   ...  | cell 1023 | above the top: cell 1023 as well,
 *    | cell -1   |                                                     | and the caller counts it
 *
 * A duration is a whole number of nanoseconds, so comparing it with the integer parts of the bounds is exact.
 * A value on a bound belongs to the bucket below it. Buckets are those of an OTLP exponential histogram of
 * scale 5 (unit s) with the same index, and those of a Prometheus native histogram of schema 5 with index i
 * + 1.
 */
#ifndef WEFT_HISTOGRAM_LATTICE_H
#define WEFT_HISTOGRAM_LATTICE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    LATTICE_SCALE = 5,
    LATTICE_CELLS_PER_OCTAVE = 1 << LATTICE_SCALE,
    LATTICE_OCTAVE_COUNT = 32,
    LATTICE_CELL_COUNT = LATTICE_OCTAVE_COUNT * LATTICE_CELLS_PER_OCTAVE,
    LATTICE_INDEX_MIN = -640, /* the index of cell 0 */
    LATTICE_CELL_ZERO = -1,   /* at or below the zero threshold */
    LATTICE_CELL_LAST = LATTICE_CELL_COUNT - 1,
};

#define LATTICE_ZERO_THRESHOLD_SECONDS 0x1p-20 /* the zero bucket is [0, 2^-20 s] */
#define LATTICE_ZERO_NS_MAX 953ull             /* the last whole nanosecond in it */
#define LATTICE_TOP_NS 4096000000000ull        /* 2^12 s, the upper bound of the last cell */

/* The cell of a duration: LATTICE_CELL_ZERO, 0 ... 1022, or LATTICE_CELL_LAST for all that is above its lower
 * bound. */
int lattice_cell(uint64_t duration_ns);

/* True for durations that lie above the last cell and are counted in it nevertheless. */
static inline bool lattice_is_above_top(uint64_t duration_ns)
{
    return duration_ns > LATTICE_TOP_NS;
}

/*
 * The last whole nanosecond that belongs to cell (0 ... 1023) or, for LATTICE_CELL_ZERO, to the zero bucket.
 * The first one of a cell is lattice_upper_ns(cell - 1) + 1.
 */
uint64_t lattice_upper_ns(int cell);

/* The bounds of cell (0 ... 1023) in seconds: the doubles nearest to 2^(i/32) and 2^((i+1)/32). */
double lattice_lower_seconds(int cell);
double lattice_upper_seconds(int cell);

/* The middle of cell (0 ... 1023) on the logarithmic scale, 2^((i+1/2)/32) s: at most 1.09 % from any value
 * in it. */
double lattice_middle_seconds(int cell);

static inline int lattice_index(int cell)
{
    return cell + LATTICE_INDEX_MIN;
}

#endif
