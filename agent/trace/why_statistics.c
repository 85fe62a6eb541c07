/* See why_statistics.h. */
#include "trace/why_statistics.h"

#include <math.h>

/* ln C(n, k) */
static double log_choose(uint64_t n, uint64_t k)
{
    int sign;

    return lgamma_r((double)n + 1, &sign) - lgamma_r((double)k + 1, &sign) -
           lgamma_r((double)(n - k) + 1, &sign);
}

double fisher_chance(const struct two_by_two *t)
{
    uint64_t all = t->slow_count + t->rest_count;
    uint64_t with = t->slow_with + t->rest_with;
    uint64_t most = with < t->slow_count ? with : t->slow_count;

    if (t->slow_count == 0 || t->rest_count == 0 || t->slow_with > t->slow_count ||
        t->rest_with > t->rest_count) {
        return 1;
    }
    double term = exp(log_choose(with, t->slow_with) + log_choose(all - with, t->slow_count - t->slow_with) -
                      log_choose(all, t->slow_count));
    double sum = term;
    for (uint64_t k = t->slow_with; k < most && term > 0; k++) {
        /* from k to k + 1 of the slow ones with it: the ratio of neighbouring hypergeometric terms */
        double more = (double)(with - k) * (double)(t->slow_count - k);
        double less = (double)(k + 1) * (double)(all - with - t->slow_count + k + 1);
        term *= more / less;
        sum += term;
        if (term < sum * 1e-12 && more < less) {
            break;
        }
    }
    return sum < 1 ? sum : 1;
}

double mantel_haenszel_chance(const struct two_by_two *strata, unsigned count)
{
    double difference = 0;
    double variance = 0;

    for (unsigned i = 0; i < count; i++) {
        const struct two_by_two *t = &strata[i];
        double slow = (double)t->slow_count;
        double rest = (double)t->rest_count;
        double all = slow + rest;
        double with = (double)(t->slow_with + t->rest_with);
        if (all < 2) {
            continue;
        }
        difference += (double)t->slow_with - slow * with / all;
        variance += slow * rest * with * (all - with) / (all * all * (all - 1));
    }
    return variance > 0 ? erfc(difference / sqrt(2 * variance)) / 2 : 1;
}
