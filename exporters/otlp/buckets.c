/* Exponential buckets: copies, differences, downscaling. Runs on the thread that encodes. */
#include "exporters/otlp/buckets.h"

#include <string.h>

#include "core/error.h"

enum { SCALE_MIN = -10 }; /* as OTLP allows; there two buckets hold every double */

int buckets_copy(struct arena *arena, int32_t scale, int32_t offset, const uint64_t *counts, size_t count,
    struct buckets *ret_buckets)
{
    uint64_t *copy = arena_alloc(arena, (count + 1) * sizeof *copy);

    if (copy == NULL) {
        return WERR_NOMEM;
    }
    if (count > 0) {
        memcpy(copy, counts, count * sizeof *copy);
    }
    *ret_buckets = (struct buckets){.scale = scale, .offset = offset, .count = count, .counts = copy};
    return 0;
}

/* Floor of index / 2, also below zero. */
static int32_t half(int32_t index)
{
    return index >= 0 ? index / 2 : -((1 - index) / 2);
}

static void halve(struct buckets *buckets)
{
    int32_t offset = half(buckets->offset);
    size_t count = 0;

    for (size_t i = 0; i < buckets->count; i++) {
        size_t at = (size_t)(half(buckets->offset + (int32_t)i) - offset);
        uint64_t moved = buckets->counts[i];
        if (at == count) {
            buckets->counts[count++] = 0;
        }
        buckets->counts[at] += moved;
    }
    buckets->offset = offset;
    buckets->count = count;
    buckets->scale--;
}

void buckets_downscale(struct buckets *buckets, int32_t scale_max, size_t count_max)
{
    while (buckets->scale > SCALE_MIN &&
           (buckets->scale > scale_max || (count_max > 0 && buckets->count > count_max))) {
        halve(buckets);
    }
}

void buckets_subtract(struct buckets *buckets, struct buckets *less)
{
    buckets_downscale(buckets, less->scale, 0);
    buckets_downscale(less, buckets->scale, 0);
    for (size_t i = 0; i < buckets->count; i++) {
        int64_t at = (int64_t)buckets->offset + (int64_t)i - less->offset;
        if (at >= 0 && (uint64_t)at < less->count) {
            uint64_t taken = less->counts[at];
            buckets->counts[i] = buckets->counts[i] > taken ? buckets->counts[i] - taken : 0;
        }
    }
}

void buckets_trim(struct buckets *buckets)
{
    while (buckets->count > 0 && buckets->counts[buckets->count - 1] == 0) {
        buckets->count--;
    }
    size_t empty_count = 0;
    while (empty_count < buckets->count && buckets->counts[empty_count] == 0) {
        empty_count++;
    }
    buckets->counts += empty_count;
    buckets->count -= empty_count;
    buckets->offset = buckets->count > 0 ? buckets->offset + (int32_t)empty_count : 0;
}
