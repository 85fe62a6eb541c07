/*
 * A closed window slot as bytes, about 100 of them for 40 buckets:
 *
 *   u8 format = 1 | varint zero_count | varint sum_ns low, high 64 bits | varint n | n times (varint gap,
 * varint count)
 *
 * Varints are little-endian base 128. The n buckets ascend; `gap` is how many empty cells lie before the
 * bucket, from cell 0 on; `count` is at least 1. The histogram's count is the sum of them all. Pure
 * functions; any thread.
 */
#ifndef WEFT_HISTOGRAM_SEALED_H
#define WEFT_HISTOGRAM_SEALED_H

#include "core/slice.h"
#include "histogram/flat.h"

/* format, three numbers, n, and every cell with a count of its own: what the largest can come to. */
enum { SEALED_BYTES_MAX = 1 + 3 * 10 + 2 + LATTICE_CELL_COUNT * (2 + 10) };

/*
 * Writes the sealed form of `flat` into `out`, of out_bytes bytes: its length, or WERR_OVERSIZED when it does
 * not fit (never with SEALED_BYTES_MAX).
 */
int sealed_write(const struct histogram_flat *flat, uint8_t *out, size_t out_bytes);

/* The same from pages; the split slots are left out. */
int sealed_write_histogram(
    const struct histogram *histogram, const struct page_slab *slab, uint8_t *out, size_t out_bytes);

/*
 * Adds a sealed slot to `flat`. Damaged bytes change nothing: WERR_TRUNCATED, WERR_VARINT, WERR_UNSUPPORTED
 * for another format, WERR_INVALID for cells outside the lattice, empty buckets, bytes left over, or counts
 * past 2^64.
 */
int sealed_merge(struct histogram_flat *flat, struct slice sealed);

#endif
