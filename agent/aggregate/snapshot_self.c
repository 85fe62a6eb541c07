/* The agent's own metrics, from core/metrics_table.h, and those of proxies, as families of a snapshot. */
#include <stdio.h>
#include <string.h>

#include "aggregate/snapshot_internal.h"

void view_self_init(struct view *view)
{
    for (size_t row = 0; view->registry != NULL && row < METRIC_COUNT; row++) {
        struct self_family *last = view->self_count > 0 ? &view->self[view->self_count - 1] : NULL;

        if (last != NULL && strcmp(last->family.name, metric_rows[row].family) == 0) {
            last->row_count++;
            continue;
        }
        view->self[view->self_count++] = (struct self_family){
            .family = {.name = metric_rows[row].family,
                .type = metric_rows[row].type == METRIC_TYPE_COUNTER ? SNAPSHOT_COUNTER : SNAPSHOT_GAUGE,
                .unit = metric_rows[row].unit,
                .help = metric_rows[row].help},
            .first_row = row,
            .row_count = 1,
        };
    }
}

/* Takes the row's fixed labels, key="value",…, apart in place; they hold no escapes. */
static void add_row_labels(struct view *view, const char *labels)
{
    (void)snprintf(view->self_labels, sizeof(view->self_labels), "%s", labels);
    for (char *at = view->self_labels; *at != '\0';) {
        char *name = at;
        char *value = strstr(at, "=\"");
        char *end = value != NULL ? strchr(value + 2, '"') : NULL;

        if (end == NULL) {
            return;
        }
        *value = '\0';
        *end = '\0';
        view_add_label(view, name, value + 2);
        at = end + 1;
        at += *at == ',';
    }
}

static void set_self_value(
    struct view *view, const struct metric_row *row, uint64_t value, struct snapshot_series *series)
{
    view_end_labels(view, series);
    view_set_counter(series, value, row->type == METRIC_TYPE_COUNTER ? view->snapshot.start_unix_ns : 0);
    if (strcmp(row->unit, "seconds") == 0) {
        series->value = (double)value / 1000;
        series->is_integer = 0;
    }
}

static const char *const owner_labels[] = {
    [METRIC_SCOPE_SHARD] = "shard",
    [METRIC_SCOPE_DESTINATION] = "destination",
    [METRIC_SCOPE_TARGET] = "target",
};

static bool fill_self(
    struct view *view, enum metric_id id, size_t owner_number, struct snapshot_series *series)
{
    const struct metric_row *row = &metric_rows[id];

    view_begin_labels(view);
    add_row_labels(view, row->labels);
    if (row->scope == METRIC_SCOPE_PROCESS) {
        if (owner_number > 0) {
            return false;
        }
        set_self_value(view, row, metric_registry_sum(view->registry, id), series);
        return true;
    }
    if (owner_number >= view->registry->owner_count) {
        return false;
    }
    const struct metric_owner *owner = &view->registry->owners[owner_number];

    if (owner->scope != row->scope) {
        return false;
    }
    view_add_label(view, owner_labels[row->scope], owner->label_value);
    set_self_value(view, row, metric_get(owner->cells, id), series);
    return true;
}

bool view_self(struct view *view, size_t number, size_t place, const struct snapshot_family **ret_family,
    struct snapshot_series *series, bool *ret_filled)
{
    const struct self_family *family = &view->self[number];
    size_t row = place / METRIC_OWNER_COUNT_MAX;

    if (row >= family->row_count) {
        return false;
    }
    *ret_family = &family->family;
    *ret_filled =
        fill_self(view, (enum metric_id)(family->first_row + row), place % METRIC_OWNER_COUNT_MAX, series);
    return true;
}

/*
 * The classic view of a proxy's exponential histogram, for the text formats: at powers of two, which are
 * bounds of its buckets at every scale from 0 on, so that the counts are exact. By the family's unit, so that
 * all its series have the same: times from 1 ms to 64 s, anything else from 1 to 2^30.
 */
enum { TIME_POWER_MIN = -10, OTHER_POWER_MIN = 0, POWER_BOUND_COUNT = 17, OTHER_POWER_STEP = 2 };

static const double time_bounds[POWER_BOUND_COUNT] = {0x1p-10, 0x1p-9, 0x1p-8, 0x1p-7, 0x1p-6, 0x1p-5, 0x1p-4,
    0x1p-3, 0x1p-2, 0x1p-1, 0x1p0, 0x1p1, 0x1p2, 0x1p3, 0x1p4, 0x1p5, 0x1p6};
static const double other_bounds[POWER_BOUND_COUNT - 1] = {0x1p0, 0x1p2, 0x1p4, 0x1p6, 0x1p8, 0x1p10, 0x1p12,
    0x1p14, 0x1p16, 0x1p18, 0x1p20, 0x1p22, 0x1p24, 0x1p26, 0x1p28, 0x1p30};

/* How many values lie at or below 2^power. */
static uint64_t count_to_power(const struct exp_histogram *from, int power)
{
    int64_t end = ((int64_t)power * (1 << from->scale)) - from->offset; /* buckets up to that bound */
    uint64_t count = from->zero_count;

    for (uint32_t i = 0; i < from->bucket_count && (int64_t)i < end; i++) {
        count += from->buckets[i];
    }
    return count;
}

static void set_power_bounds(struct view *view, const struct exp_histogram *from, const char *unit)
{
    bool is_time = strcmp(unit, "seconds") == 0;
    size_t count = is_time ? POWER_BOUND_COUNT : POWER_BOUND_COUNT - 1;

    if (from->bucket_count > 0 && from->scale < 0) {
        return; /* too coarse: 160 octaves and more in one histogram */
    }
    for (size_t i = 0; i < count; i++) {
        int power = is_time ? TIME_POWER_MIN + (int)i : OTHER_POWER_MIN + OTHER_POWER_STEP * (int)i;

        view->bound_counts[i] = from->bucket_count > 0 ? count_to_power(from, power) : from->zero_count;
    }
    view->histogram.bounds = is_time ? time_bounds : other_bounds;
    view->histogram.bound_count = count;
    view->histogram.bound_counts = view->bound_counts;
}

static void set_exponential(struct view *view, const struct exp_histogram *from, const char *unit)
{
    view->exponential = *from;
    exp_histogram_downscale(
        &view->exponential, view->snapshot.native_scale, view->snapshot.native_buckets_max);
    view->histogram = (struct snapshot_histogram){
        .count = view->exponential.count,
        .zero_count = view->exponential.zero_count,
        .sum = view->exponential.sum,
        .scale = view->exponential.bucket_count > 0 ? view->exponential.scale : view->snapshot.native_scale,
        .offset = view->exponential.bucket_count > 0 ? view->exponential.offset : 0,
        .bucket_count = view->exponential.bucket_count,
        .buckets = view->exponential.buckets,
    };
    set_power_bounds(view, from, unit);
}

_Static_assert((int)METRIC_BOUND_COUNT_MAX <= (int)BOUNDS_COUNT_MAX, "a view has room for their counts");

static void set_explicit(struct view *view, const struct bucket_histogram *from)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i < from->bound_count; i++) {
        count += from->counts[i];
        view->bound_counts[i] = count;
    }
    view->histogram = (struct snapshot_histogram){
        .count = from->count,
        .sum = from->sum,
        .is_classic = 1,
        .bound_count = from->bound_count,
        .bounds = from->bounds,
        .bound_counts = view->bound_counts,
    };
}

static void set_distribution(struct view *view, const struct point_distribution *from, const char *unit,
    struct snapshot_series *series)
{
    if (from->is_explicit) {
        set_explicit(view, &from->explicit);
    } else {
        set_exponential(view, &from->exponential, unit);
    }
    series->histogram = &view->histogram;
}

/* Of a target that is not scraped any more, or does not tell of the series any more. */
static bool is_stale(const struct view *view, const struct point_series *series)
{
    uint32_t now_s = (uint32_t)(clock_monotonic_ns(view->aggregator->settings.clock) / 1000000000u);

    return series->stale_after_s > 0 && now_s - series->base.touched_s > series->stale_after_s;
}

bool view_points(struct view *view, size_t number, size_t place, const struct snapshot_family **ret_family,
    struct snapshot_series *series, bool *ret_filled)
{
    const struct point_family *family = table_at(&view->aggregator->point_families, (uint32_t)number);

    if (family == NULL || place >= family->series.used) {
        return false;
    }
    const struct point_series *from = table_at(&family->series, (uint32_t)place);

    *ret_family = &family->shown;
    if (from == NULL || !from->seen || is_stale(view, from)) {
        return true;
    }
    *series = (struct snapshot_series){
        .labels_text = from->text,
        .labels_text_length = from->text_length,
        .labels = from->labels,
        .label_count = from->label_count,
        .created_unix_ns = family->type == METRIC_POINT_GAUGE ? 0 : from->base.created_unix_ns,
        .value = from->total,
    };
    if (family->type == METRIC_POINT_HISTOGRAM) {
        set_distribution(view, from->distribution, family->shown.unit, series);
    }
    view_extend_labels(view, series);
    *ret_filled = true;
    return true;
}
