/* Histograms as exporters see them: buckets of both kinds, and exemplars. The aggregator's thread. */
#include <string.h>

#include "aggregate/snapshot_internal.h"

/* Not by way of seconds, which would cost the last digits. */
static double shown_sum(const struct shown_bounds *shown, const struct histogram *from)
{
    return shown->per_second > 1 && from->sum_ns_high == 0
               ? (double)from->sum_ns_low / (1e9 / shown->per_second)
               : histogram_sum_seconds(from) * shown->per_second;
}

void view_set_histogram(struct view *view, struct snapshot_series *series, const struct shown_bounds *shown,
    const struct histogram *from, const struct page_slab *slab)
{
    view->dense->scale = view->snapshot.native_scale;
    view->dense->bucket_count = 0;
    (void)downscale_histogram(
        view->dense, from, slab, view->snapshot.native_scale, view->snapshot.native_buckets_max);
    histogram_le_counts(from, slab, &shown->plan, view->bound_counts);
    view->histogram = (struct snapshot_histogram){
        .count = from->count,
        .zero_count = from->zero_count,
        .zero_threshold = LATTICE_ZERO_THRESHOLD_SECONDS,
        .sum = shown_sum(shown, from),
        .scale = view->dense->scale,
        .offset = view->dense->bucket_count > 0 ? view->dense->first_index : 0,
        .bucket_count = view->dense->bucket_count,
        .buckets = view->dense->counts,
        .bound_count = shown->plan.count,
        .bounds = shown->bounds,
        .bound_counts = view->bound_counts,
        .exemplars = view->exemplars,
    };
    series->histogram = &view->histogram;
}

static void set_exemplars(
    struct view *view, const struct shown_bounds *shown, const struct duration_value *value)
{
    size_t count = 0;

    for (uint32_t i = 0; i < value->exemplar_count && count < VIEW_EXEMPLAR_COUNT_MAX; i++) {
        const struct exemplar *from = &value->exemplars[i];
        struct snapshot_exemplar *to = &view->exemplars[count];

        if (!from->is_visible) {
            continue;
        }
        memcpy(to->trace_id, from->trace_id, sizeof(to->trace_id));
        memcpy(to->span_id, from->span_id, sizeof(to->span_id));
        to->value = (double)from->duration_ns / (1e9 / shown->per_second);
        to->time_unix_ns = from->time_unix_ns;
        count++;
    }
    view->histogram.exemplar_count = count;
}

void view_set_duration(
    struct view *view, struct snapshot_series *series, const struct series *from, size_t place)
{
    static const struct histogram empty = {.count = 0};

    const struct shown_bounds *shown = shown_bounds_of(view->aggregator, from);
    const struct duration_value *value = from->duration.values[place];

    series->created_unix_ns = from->base.created_unix_ns;
    view_set_histogram(
        view, series, shown, value != NULL ? &value->histogram : &empty, view->aggregator->slab);
    if (value != NULL) {
        set_exemplars(view, shown, value);
    }
}
