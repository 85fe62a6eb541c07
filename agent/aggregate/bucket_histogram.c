/* Histograms with explicit bounds: bucket_histogram.h. */
#include "aggregate/bucket_histogram.h"

#include <string.h>

#include "context/metric_point.h"

/* Merges the buckets that `bounds` does not part; the histogram's bounds become those that both have. */
static void restrict_to(struct bucket_histogram *histogram, const double *bounds, size_t bound_count)
{
    uint32_t kept = 0;
    size_t other = 0;
    uint64_t count = 0;

    for (uint32_t i = 0; i < histogram->bound_count; i++) {
        count += histogram->counts[i];
        while (other < bound_count && bounds[other] < histogram->bounds[i]) {
            other++;
        }
        if (other < bound_count && bounds[other] == histogram->bounds[i]) {
            histogram->bounds[kept] = histogram->bounds[i];
            histogram->counts[kept++] = count;
            count = 0;
        }
    }
    histogram->counts[kept] = count + histogram->counts[histogram->bound_count];
    histogram->bound_count = kept;
}

static bool has_same_bounds(
    const struct bucket_histogram *histogram, const double *bounds, size_t bound_count)
{
    if (histogram->bound_count != bound_count) {
        return false;
    }
    for (size_t i = 0; i < bound_count; i++) {
        if (histogram->bounds[i] != bounds[i]) {
            return false;
        }
    }
    return true;
}

static void set_bounds(struct bucket_histogram *histogram, const double *bounds, size_t bound_count)
{
    histogram->has_bounds = true;
    histogram->bound_count = (uint32_t)bound_count;
    if (bound_count > 0) {
        memcpy(histogram->bounds, bounds, bound_count * sizeof(*bounds));
    }
}

void bucket_histogram_add(struct bucket_histogram *histogram, const double *bounds, size_t bound_count,
    const uint64_t *counts, double sum)
{
    size_t at = 0;

    if (!histogram->has_bounds) {
        set_bounds(histogram, bounds, bound_count);
    } else if (!has_same_bounds(histogram, bounds, bound_count)) {
        restrict_to(histogram, bounds, bound_count);
    }
    for (size_t i = 0; i <= bound_count; i++) {
        /* bucket i ends at bounds[i]: it lies in the first of ours that ends there or later */
        while (at < histogram->bound_count && (i == bound_count || histogram->bounds[at] < bounds[i])) {
            at++;
        }
        histogram->counts[at] += counts[i];
        histogram->count += counts[i];
    }
    (void)metric_add_to(&histogram->sum, sum);
}

void bucket_histogram_merge(struct bucket_histogram *histogram, const struct bucket_histogram *from)
{
    bucket_histogram_add(histogram, from->bounds, from->bound_count, from->counts, from->sum);
}

bool bucket_histogram_rise(const struct bucket_histogram *before, const struct bucket_histogram *now,
    struct bucket_histogram *ret_rise)
{
    struct bucket_histogram rise = *now;
    struct bucket_histogram less = *before;

    if (!has_same_bounds(&rise, less.bounds, less.bound_count)) {
        restrict_to(&rise, less.bounds, less.bound_count);
        restrict_to(&less, rise.bounds, rise.bound_count);
    }
    for (uint32_t i = 0; i <= rise.bound_count; i++) {
        if (rise.counts[i] < less.counts[i]) {
            return false;
        }
        rise.counts[i] -= less.counts[i];
    }
    rise.count -= less.count;
    rise.sum -= less.sum;
    *ret_rise = rise;
    return true;
}
