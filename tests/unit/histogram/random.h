/* What the tests of this folder share: repeatable random durations. */
#ifndef WEFT_TESTS_HISTOGRAM_RANDOM_H
#define WEFT_TESTS_HISTOGRAM_RANDOM_H

#include <stdint.h>

#include "histogram/histogram.h"

/* splitmix64 by Sebastiano Vigna (public domain algorithm): one state word, any seed. */
static inline uint64_t random_u64(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

/* Spread over all octaves, from 0 to beyond the top: a random number of random bits. */
static inline uint64_t random_duration_ns(uint64_t *state)
{
    unsigned bits = (unsigned)(random_u64(state) % 44);

    return random_u64(state) & ((UINT64_C(1) << bits) - 1);
}

/* As random_duration_ns, but one in four lies on a bound of the lattice or of `bounds`, or 1 ns beside it. */
static inline uint64_t random_near_bound_ns(uint64_t *state, const struct split_bounds *bounds)
{
    uint64_t kind = random_u64(state) % 8;
    uint64_t at = random_u64(state);
    uint64_t beside_ns = random_u64(state) % 3;

    if (kind == 0) {
        return lattice_upper_ns((int)(at % LATTICE_CELL_COUNT)) - 1 + beside_ns;
    }
    if (kind == 1 && bounds->bound_count > 0) {
        uint64_t bound_ns = bounds->bounds_ns[at % bounds->bound_count];

        return bound_ns > 0 ? bound_ns - 1 + beside_ns : 0;
    }
    return random_duration_ns(state);
}

#endif
