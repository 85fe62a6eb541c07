/* Tests of significance for counts. Pure; any thread. */
#ifndef WEFT_TRACE_WHY_STATISTICS_H
#define WEFT_TRACE_WHY_STATISTICS_H

#include <stdint.h>

/* How many of two groups have a feature. */
struct two_by_two {
    uint64_t slow_with;
    uint64_t slow_count;
    uint64_t rest_with;
    uint64_t rest_count;
};

/*
 * Fisher's exact test, one-sided: how likely at least slow_with of the slow ones have the feature when the
 * slow ones are drawn at random from all (the hypergeometric tail). 0 ... 1; 1 for empty groups or counts
 * that do not fit.
 */
double fisher_chance(const struct two_by_two *table);

/*
 * Whether the feature still goes with slowness within strata: the one-degree statistic of Mantel and Haenszel
 * (1959), without continuity correction, as a one-sided probability. 1 when no stratum can tell.
 */
double mantel_haenszel_chance(const struct two_by_two *strata, unsigned count);

#endif
