/*
 * Quantiles of merged buckets. The answer lies in the same bucket as the exact quantile sorted[rank - 1], so
 * the bucket's middle is at most 1.1 % away from it, for durations of the lattice's range. Pure functions;
 * any thread.
 */
#ifndef WEFT_HISTOGRAM_QUANTILE_H
#define WEFT_HISTOGRAM_QUANTILE_H

#include "histogram/flat.h"

/*
 * The rank, 1 ... count, of quantile q in [0, 1] among `count` > 0 values: q times count in double
 * arithmetic, rounded up.
 */
uint64_t quantile_rank(double q, uint64_t count);

/*
 * The cell in which the value of that rank lies, LATTICE_CELL_ZERO included, and 0; or WERR_NOT_FOUND when
 * the histogram is empty, WERR_INVALID for a q outside [0, 1] or not a number.
 */
int quantile_cell(const struct histogram_flat *flat, double q, int *ret_cell);

/* The same as a duration: the middle of that cell, 0 for the zero bucket. */
int quantile_seconds(const struct histogram_flat *flat, double q, double *ret_seconds);

#endif
