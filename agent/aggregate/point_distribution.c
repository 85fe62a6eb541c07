/* Histograms of either kind: point_distribution.h. */
#include "aggregate/point_distribution.h"

void point_distribution_add(struct point_distribution *distribution, const struct metric_point *point)
{
    if (distribution->is_explicit) {
        bucket_histogram_add(
            &distribution->explicit, point->bounds, point->bound_count, point->buckets, point->value);
    } else {
        exp_histogram_add(&distribution->exponential, point->scale, point->offset, point->buckets,
            point->bucket_count, point->zero_count, point->value);
    }
}

void point_distribution_merge(struct point_distribution *distribution, const struct point_distribution *from)
{
    if (distribution->is_explicit) {
        bucket_histogram_merge(&distribution->explicit, &from->explicit);
    } else {
        exp_histogram_merge(&distribution->exponential, &from->exponential);
    }
}

bool point_distribution_rise(const struct point_distribution *before, const struct point_distribution *now,
    struct point_distribution *ret_rise)
{
    struct point_distribution rise = {.is_explicit = now->is_explicit};
    bool has_risen = now->is_explicit
                         ? bucket_histogram_rise(&before->explicit, &now->explicit, &rise.explicit)
                         : exp_histogram_rise(&before->exponential, &now->exponential, &rise.exponential);

    if (has_risen) {
        *ret_rise = rise;
    }
    return has_risen;
}

uint64_t metric_point_count(const struct metric_point *point)
{
    uint64_t count = point->zero_count;

    for (size_t i = 0; i < point->bucket_count; i++) {
        count += point->buckets[i];
    }
    return count;
}
