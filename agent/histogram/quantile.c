/* Quantiles by walking the buckets up to a rank; see quantile.h. */
#include "histogram/quantile.h"

#include <math.h>

#include "core/error.h"

uint64_t quantile_rank(double q, uint64_t count)
{
    double rank = ceil(q * (double)count);

    if (!(rank >= 1)) {
        return 1;
    }
    /* Compared as a double first: one that is not below 2^64 has no uint64_t. */
    return rank >= (double)count ? count : (uint64_t)rank;
}

/* 0, or the error for which there is no quantile. */
static int check(double q, uint64_t count)
{
    if (!(q >= 0 && q <= 1)) {
        return WERR_INVALID;
    }
    return count > 0 ? 0 : WERR_NOT_FOUND;
}

static double cell_seconds(int cell)
{
    return cell < 0 ? 0 : lattice_middle_seconds(cell);
}

int quantile_cell(const struct histogram_flat *flat, double q, int *ret_cell)
{
    int rc = check(q, flat->count);

    if (rc != 0) {
        return rc;
    }
    uint64_t rank = quantile_rank(q, flat->count);
    uint64_t below_count = flat->zero_count;
    uint64_t count;
    int cell = LATTICE_CELL_ZERO;

    while (below_count < rank && histogram_flat_next(flat, &cell, &count)) {
        below_count += count;
    }
    *ret_cell = cell;
    return 0;
}

int quantile_seconds(const struct histogram_flat *flat, double q, double *ret_seconds)
{
    int cell;
    int rc = quantile_cell(flat, q, &cell);

    if (rc == 0) {
        *ret_seconds = cell_seconds(cell);
    }
    return rc;
}
