/* Recording into a histogram's cells; any thread, atomic instructions only. */
#include <math.h>
#include <string.h>

#include "client/metrics.h"

enum { BUCKETS_PER_OCTAVE = 1 << HISTOGRAM_SCALE };

/*
 * The largest doubles not above 2^(j/32), j = 0 … 31: a double is at most the real bound exactly when it is
 * at most this one. Computed with 60 decimal digits.
 */
static const double bounds[BUCKETS_PER_OCTAVE] = {
    0x1.0000000000000p+0,
    0x1.059b0d3158574p+0,
    0x1.0b5586cf9890fp+0,
    0x1.11301d0125b50p+0,
    0x1.172b83c7d517ap+0,
    0x1.1d4873168b9aap+0,
    0x1.2387a6e756238p+0,
    0x1.29e9df51fdee1p+0,
    0x1.306fe0a31b715p+0,
    0x1.371a7373aa9cap+0,
    0x1.3dea64c123422p+0,
    0x1.44e086061892dp+0,
    0x1.4bfdad5362a27p+0,
    0x1.5342b569d4f81p+0,
    0x1.5ab07dd485429p+0,
    0x1.6247eb03a5584p+0,
    0x1.6a09e667f3bccp+0,
    0x1.71f75e8ec5f73p+0,
    0x1.7a11473eb0186p+0,
    0x1.82589994cce12p+0,
    0x1.8ace5422aa0dbp+0,
    0x1.93737b0cdc5e4p+0,
    0x1.9c49182a3f090p+0,
    0x1.a5503b23e255cp+0,
    0x1.ae89f995ad3adp+0,
    0x1.b7f76f2fb5e46p+0,
    0x1.c199bdd85529cp+0,
    0x1.cb720dcef9069p+0,
    0x1.d5818dcfba487p+0,
    0x1.dfc97337b9b5ep+0,
    0x1.ea4afa2a490d9p+0,
    0x1.f50765b6e4540p+0,
};

int32_t histogram_index(double value)
{
    int exponent;
    double mantissa = frexp(value, &exponent) * 2; /* [1, 2), value = mantissa * 2^(exponent - 1) */
    int below = 0; /* bounds[j] < mantissa for j < below, searched by halves */

    for (int step = BUCKETS_PER_OCTAVE / 2; step > 0; step /= 2) {
        below += bounds[below + step - 1] < mantissa ? step : 0;
    }
    below += bounds[below] < mantissa ? 1 : 0;
    /* mantissa lies in (bounds[below - 1], bounds[below]] */
    return (exponent - 1) * BUCKETS_PER_OCTAVE + below - 1;
}

static void add_to_sum(_Atomic uint64_t *sum_bits, double value)
{
    uint64_t before = atomic_load_explicit(sum_bits, memory_order_relaxed);
    uint64_t after;

    do {
        double sum;
        memcpy(&sum, &before, sizeof sum);
        sum += value;
        memcpy(&after, &sum, sizeof after);
    } while (!atomic_compare_exchange_weak_explicit(
        sum_bits, &before, after, memory_order_relaxed, memory_order_relaxed));
}

void weft_histogram_record(struct weft_histogram *histogram, double value)
{
    metric_touch(&histogram->metric);
    if (!(value >= 0) || isinf(value)) {
        atomic_fetch_add_explicit(histogram->dropped_points, 1, memory_order_relaxed);
        return;
    }
    add_to_sum(&histogram->sum_bits, value);
    int32_t index = value > 0 ? histogram_index(value) : INT32_MIN;
    int32_t lowest = HISTOGRAM_EXPONENT_MIN * BUCKETS_PER_OCTAVE;
    if (index < lowest) {
        atomic_fetch_add_explicit(&histogram->zero_count, 1, memory_order_relaxed);
        return;
    }
    uint32_t cell = (uint32_t)(index - lowest);
    cell = cell < HISTOGRAM_CELLS_COUNT ? cell : HISTOGRAM_CELLS_COUNT - 1;
    atomic_fetch_add_explicit(&histogram->cells[cell], 1, memory_order_relaxed);
    uint64_t octave = 1ull << (cell >> HISTOGRAM_SCALE);
    if ((atomic_load_explicit(&histogram->octaves, memory_order_relaxed) & octave) == 0) {
        atomic_fetch_or_explicit(&histogram->octaves, octave, memory_order_relaxed);
    }
}
