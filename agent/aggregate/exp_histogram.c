/* Merging exponential histograms of any scale: exp_histogram.h. The downscale rule (index >> k) is
 * OpenTelemetry's. */
#include "aggregate/exp_histogram.h"

#include <string.h>

#include "context/metric_point.h"

enum { SHIFT_MAX = 62 };

/* index >> by, rounded towards minus infinity. */
static int64_t shift_index(int64_t index, int by)
{
    return index >= 0 ? index >> by : ~(~index >> by);
}

/* How far both ends must be shifted until they lie less than count_max apart. */
static int shift_to_fit(int64_t first, int64_t last, uint32_t count_max)
{
    int by = 0;

    while (by < SHIFT_MAX && (shift_index(last, by) - shift_index(first, by) >= (int64_t)count_max ||
                                 shift_index(last, by) > INT32_MAX)) {
        by++;
    }
    return by;
}

static void shift_buckets(struct exp_histogram *histogram, int by)
{
    uint64_t merged[EXP_BUCKET_COUNT_MAX] = {0};
    int64_t first = shift_index(histogram->offset, by);
    int64_t last = shift_index((int64_t)histogram->offset + histogram->bucket_count - 1, by);

    if (by == 0 || histogram->bucket_count == 0) {
        histogram->scale -= by;
        return;
    }
    for (uint32_t i = 0; i < histogram->bucket_count; i++) {
        merged[shift_index((int64_t)histogram->offset + i, by) - first] += histogram->buckets[i];
    }
    memcpy(histogram->buckets, merged, sizeof(merged));
    histogram->offset = (int32_t)first;
    histogram->bucket_count = (uint32_t)(last - first + 1);
    histogram->scale -= by;
}

void exp_histogram_downscale(struct exp_histogram *histogram, int32_t scale_max, uint32_t bucket_count_max)
{
    if (histogram->bucket_count == 0) {
        return;
    }
    int64_t first = histogram->offset;
    int64_t last = first + histogram->bucket_count - 1;
    int by = shift_to_fit(first, last, bucket_count_max < 2 ? 2 : bucket_count_max);
    int64_t to_scale = (int64_t)histogram->scale - scale_max;

    if (to_scale > by) {
        by = to_scale > SHIFT_MAX ? SHIFT_MAX : (int)to_scale;
    }
    shift_buckets(histogram, by);
}

/* Makes room for the indexes first ... last, in the histogram's scale, which fit. */
static void widen(struct exp_histogram *histogram, int64_t first, int64_t last)
{
    if (histogram->bucket_count == 0) {
        memset(histogram->buckets, 0, sizeof(histogram->buckets));
        histogram->offset = (int32_t)first;
        histogram->bucket_count = (uint32_t)(last - first + 1);
        return;
    }
    if (first < histogram->offset) {
        size_t by = (size_t)(histogram->offset - first);

        memmove(&histogram->buckets[by], histogram->buckets, histogram->bucket_count * sizeof(uint64_t));
        memset(histogram->buckets, 0, by * sizeof(uint64_t));
        histogram->offset = (int32_t)first;
        histogram->bucket_count += (uint32_t)by;
    }
    int64_t end = (int64_t)histogram->offset + histogram->bucket_count;

    if (last >= end) {
        memset(&histogram->buckets[histogram->bucket_count], 0, (size_t)(last - end + 1) * sizeof(uint64_t));
        histogram->bucket_count += (uint32_t)(last - end + 1);
    }
}

static void add_buckets(struct exp_histogram *histogram, int32_t scale, int64_t first,
    const uint64_t *buckets, size_t bucket_count)
{
    if (scale < EXP_SCALE_MIN) {
        scale = EXP_SCALE_MIN; /* below it there are but two buckets of doubles, -1 and 0 */
    }
    if (histogram->bucket_count == 0) {
        histogram->scale = scale < EXP_SCALE_MAX ? scale : EXP_SCALE_MAX;
    } else if (scale < histogram->scale) {
        exp_histogram_downscale(histogram, scale, EXP_BUCKET_COUNT_MAX);
    }
    int64_t ahead = (int64_t)scale - histogram->scale;
    int by = ahead > SHIFT_MAX ? SHIFT_MAX : (int)ahead;
    int64_t low = shift_index(first, by);
    int64_t high = shift_index(first + (int64_t)bucket_count - 1, by);
    int64_t range_low = low;
    int64_t range_high = high;

    if (histogram->bucket_count > 0) {
        int64_t end = (int64_t)histogram->offset + histogram->bucket_count - 1;

        range_low = histogram->offset < low ? histogram->offset : low;
        range_high = end > high ? end : high;
    }
    int more = shift_to_fit(range_low, range_high, EXP_BUCKET_COUNT_MAX);

    shift_buckets(histogram, more);
    by = by + more > SHIFT_MAX ? SHIFT_MAX : by + more;
    widen(histogram, shift_index(low, more), shift_index(high, more));
    for (size_t i = 0; i < bucket_count; i++) {
        histogram->buckets[shift_index(first + (int64_t)i, by) - histogram->offset] += buckets[i];
        histogram->count += buckets[i];
    }
}

void exp_histogram_add(struct exp_histogram *histogram, int32_t scale, int32_t offset,
    const uint64_t *buckets, size_t bucket_count, uint64_t zero_count, double sum)
{
    size_t begin = 0;

    while (bucket_count > begin && buckets[bucket_count - 1] == 0) {
        bucket_count--;
    }
    while (begin < bucket_count && buckets[begin] == 0) {
        begin++;
    }
    if (begin < bucket_count) {
        add_buckets(
            histogram, scale, (int64_t)offset + (int64_t)begin, buckets + begin, bucket_count - begin);
    }
    histogram->count += zero_count;
    histogram->zero_count += zero_count;
    (void)metric_add_to(&histogram->sum, sum);
}

void exp_histogram_merge(struct exp_histogram *histogram, const struct exp_histogram *from)
{
    exp_histogram_add(
        histogram, from->scale, from->offset, from->buckets, from->bucket_count, from->zero_count, from->sum);
}

bool exp_histogram_rise(
    const struct exp_histogram *before, const struct exp_histogram *now, struct exp_histogram *ret_rise)
{
    struct exp_histogram less = *before;
    struct exp_histogram rise = *now;

    if (rise.count < less.count || rise.zero_count < less.zero_count) {
        return false;
    }
    if (less.bucket_count > 0 && rise.bucket_count > 0) {
        exp_histogram_downscale(&less, rise.scale, EXP_BUCKET_COUNT_MAX);
        exp_histogram_downscale(&rise, less.scale, EXP_BUCKET_COUNT_MAX);
    }
    for (uint32_t i = 0; i < less.bucket_count; i++) {
        int64_t at = (int64_t)less.offset + i - rise.offset;

        if (less.buckets[i] == 0) {
            continue;
        }
        if (at < 0 || at >= (int64_t)rise.bucket_count || rise.buckets[at] < less.buckets[i]) {
            return false;
        }
        rise.buckets[at] -= less.buckets[i];
    }
    rise.count -= less.count;
    rise.zero_count -= less.zero_count;
    rise.sum -= less.sum;
    *ret_rise = rise;
    return true;
}
