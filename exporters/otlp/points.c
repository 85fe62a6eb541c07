/* Data points of OTLP metrics; see points.h. Runs on the aggregator's thread. */
#include "exporters/otlp/points.h"

#include <string.h>

#include "core/error.h"
#include "exporters/otlp/buckets.h"

char *point_text(struct arena *arena, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = arena_alloc(arena, size);

    if (copy != NULL) {
        memcpy(copy, text, size);
    }
    return copy;
}

static int fill_attribute(
    struct arena *arena, const struct snapshot_label *label, Otlp__KeyValue **ret_attribute)
{
    Otlp__KeyValue *attribute = arena_alloc(arena, sizeof *attribute);
    Otlp__AnyValue *value = arena_alloc(arena, sizeof *value);

    if (attribute == NULL || value == NULL) {
        return WERR_NOMEM;
    }
    otlp__key_value__init(attribute);
    otlp__any_value__init(value);
    attribute->key = point_text(arena, label->name);
    attribute->value = value;
    value->value_case = OTLP__ANY_VALUE__VALUE_STRING_VALUE;
    value->string_value = point_text(arena, label->value);
    *ret_attribute = attribute;
    return attribute->key != NULL && value->string_value != NULL ? 0 : WERR_NOMEM;
}

int point_attributes(
    struct arena *arena, const struct snapshot_label *labels, size_t count, Otlp__KeyValue ***ret_attributes)
{
    Otlp__KeyValue **attributes = arena_alloc(arena, (count + 1) * sizeof(Otlp__KeyValue *));
    int error = attributes != NULL ? 0 : WERR_NOMEM;

    for (size_t i = 0; i < count && error == 0; i++) {
        error = fill_attribute(arena, &labels[i], &attributes[i]);
    }
    if (error == 0) {
        *ret_attributes = attributes;
    }
    return error;
}

static int fill_exemplar(
    struct arena *arena, const struct snapshot_exemplar *from, Otlp__Exemplar **ret_exemplar)
{
    Otlp__Exemplar *exemplar = arena_alloc(arena, sizeof *exemplar);
    uint8_t *ids = arena_alloc(arena, sizeof from->trace_id + sizeof from->span_id);

    if (exemplar == NULL || ids == NULL) {
        return WERR_NOMEM;
    }
    memcpy(ids, from->trace_id, sizeof from->trace_id);
    memcpy(ids + sizeof from->trace_id, from->span_id, sizeof from->span_id);
    otlp__exemplar__init(exemplar);
    exemplar->time_unix_nano = from->time_unix_ns;
    exemplar->value_case = OTLP__EXEMPLAR__VALUE_AS_DOUBLE;
    exemplar->as_double = from->value;
    exemplar->trace_id = (ProtobufCBinaryData){.len = sizeof from->trace_id, .data = ids};
    exemplar->span_id =
        (ProtobufCBinaryData){.len = sizeof from->span_id, .data = ids + sizeof from->trace_id};
    *ret_exemplar = exemplar;
    return 0;
}

/* Those that are newer than the last point: an older one was sent with it. */
static int fill_exemplars(struct point_context *context, const struct snapshot_exemplar *from, size_t count,
    uint64_t after_unix_ns, Otlp__Exemplar ***ret_exemplars, size_t *ret_count)
{
    size_t filled = 0;

    if (!context->exemplars || count == 0) {
        return 0;
    }
    Otlp__Exemplar **exemplars = arena_alloc(context->arena, count * sizeof(Otlp__Exemplar *));
    if (exemplars == NULL) {
        return WERR_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        if (from[i].time_unix_ns <= after_unix_ns && after_unix_ns > 0) {
            continue;
        }
        int error = fill_exemplar(context->arena, &from[i], &exemplars[filled++]);
        if (error < 0) {
            return error;
        }
    }
    *ret_exemplars = exemplars;
    *ret_count = filled;
    return 0;
}

static void fill_counter(
    const struct snapshot_series *series, const struct series_last *last, Otlp__NumberDataPoint *point)
{
    if (series->is_integer && series->integer <= INT64_MAX) {
        uint64_t before = last != NULL && last->integer <= series->integer ? last->integer : 0;
        point->value_case = OTLP__NUMBER_DATA_POINT__VALUE_AS_INT;
        point->as_int = (int64_t)(series->integer - before);
    } else {
        double before = last != NULL && last->value <= series->value ? last->value : 0;
        point->value_case = OTLP__NUMBER_DATA_POINT__VALUE_AS_DOUBLE;
        point->as_double = series->value - before;
    }
}

int point_number(struct point_context *context, const struct snapshot_family *family,
    const struct snapshot_series *series, const struct point_base *base, Otlp__NumberDataPoint **ret_point)
{
    Otlp__NumberDataPoint *point = arena_alloc(context->arena, sizeof *point);

    if (point == NULL) {
        return WERR_NOMEM;
    }
    otlp__number_data_point__init(point);
    point->time_unix_nano = context->time_unix_ns;
    if (family->type == SNAPSHOT_COUNTER || family->type == SNAPSHOT_BARE_COUNTER) {
        point->start_time_unix_nano = base->start_unix_ns;
        fill_counter(series, base->last, point);
    } else {
        point->value_case = OTLP__NUMBER_DATA_POINT__VALUE_AS_DOUBLE;
        point->as_double = family->type == SNAPSHOT_INFO ? 1 : series->value;
    }
    int error = fill_exemplars(context, series->exemplar, series->exemplar != NULL ? 1 : 0,
        base->exemplars_after_unix_ns, &point->exemplars, &point->n_exemplars);
    if (error == 0) {
        error = point_attributes(context->arena, series->labels, series->label_count, &point->attributes);
    }
    point->n_attributes = series->label_count;
    *ret_point = point;
    return error;
}

bool point_is_exponential(const struct point_context *context, const struct snapshot_histogram *histogram)
{
    bool has_buckets = histogram->bucket_count > 0 || histogram->count == histogram->zero_count;

    return has_buckets && !histogram->is_classic && (context->exponential || histogram->bound_count == 0);
}

/* What the histogram has more than when it was last sent. */
struct histogram_growth {
    uint64_t count;
    uint64_t zero_count;
    double sum;
};

static struct histogram_growth growth_of(
    const struct snapshot_histogram *histogram, const struct series_last *last)
{
    struct histogram_growth growth = {
        .count = histogram->count, .zero_count = histogram->zero_count, .sum = histogram->sum};

    if (last != NULL) {
        growth.count -= last->histogram.count;
        growth.zero_count -=
            last->histogram.zero_count <= growth.zero_count ? last->histogram.zero_count : growth.zero_count;
        growth.sum -= last->histogram.sum;
    }
    return growth;
}

static int fill_buckets(struct point_context *context, const struct snapshot_histogram *histogram,
    const struct series_last *last, struct buckets *ret_buckets)
{
    struct buckets less;
    int error = buckets_copy(context->arena, histogram->scale, histogram->offset, histogram->buckets,
        histogram->bucket_count, ret_buckets);

    if (error == 0 && last != NULL && last->histogram.bucket_count > 0) {
        error = buckets_copy(context->arena, last->histogram.scale, last->histogram.offset,
            last->histogram.buckets, last->histogram.bucket_count, &less);
        if (error == 0) {
            buckets_subtract(ret_buckets, &less);
        }
    }
    if (error == 0) {
        buckets_trim(ret_buckets);
        buckets_downscale(ret_buckets, context->scale_max, context->buckets_max);
    }
    return error;
}

int point_exponential(struct point_context *context, const struct snapshot_series *series,
    const struct point_base *base, Otlp__ExponentialHistogramDataPoint **ret_point)
{
    const struct snapshot_histogram *histogram = series->histogram;
    Otlp__ExponentialHistogramDataPoint *point = arena_alloc(context->arena, sizeof *point);
    Otlp__ExponentialHistogramDataPoint__Buckets *positive = arena_alloc(context->arena, sizeof *positive);
    struct buckets buckets;

    if (point == NULL || positive == NULL || fill_buckets(context, histogram, base->last, &buckets) < 0) {
        return WERR_NOMEM;
    }
    struct histogram_growth growth = growth_of(histogram, base->last);
    otlp__exponential_histogram_data_point__init(point);
    otlp__exponential_histogram_data_point__buckets__init(positive);
    point->start_time_unix_nano = base->start_unix_ns;
    point->time_unix_nano = context->time_unix_ns;
    point->count = growth.count;
    point->sum_presence_case = OTLP__EXPONENTIAL_HISTOGRAM_DATA_POINT__SUM_PRESENCE_SUM;
    point->sum = growth.sum;
    point->scale = buckets.scale;
    point->zero_count = growth.zero_count;
    point->zero_threshold = histogram->zero_threshold;
    positive->offset = buckets.offset;
    positive->n_bucket_counts = buckets.count;
    positive->bucket_counts = buckets.counts;
    point->positive = positive;
    int error = fill_exemplars(context, histogram->exemplars, histogram->exemplar_count,
        base->exemplars_after_unix_ns, &point->exemplars, &point->n_exemplars);
    if (error == 0) {
        error = point_attributes(context->arena, series->labels, series->label_count, &point->attributes);
    }
    point->n_attributes = series->label_count;
    *ret_point = point;
    return error;
}

/* Counts per bucket out of cumulative ones; the last bucket is what lies above all bounds. */
static int fill_bounds(struct point_context *context, const struct snapshot_histogram *histogram,
    const struct series_last *last, Otlp__HistogramDataPoint *point)
{
    /* One that lost bounds since (aggregate/bucket_histogram.h) tells this time how much it grew in all. */
    size_t count =
        last == NULL || last->histogram.bound_count == histogram->bound_count ? histogram->bound_count : 0;
    double *bounds = arena_alloc(context->arena, (count + 1) * sizeof *bounds);
    uint64_t *counts = arena_alloc(context->arena, (count + 1) * sizeof *counts);
    uint64_t below = 0;

    if (bounds == NULL || counts == NULL) {
        return WERR_NOMEM;
    }
    for (size_t i = 0; i <= count; i++) {
        uint64_t upto = i < count ? histogram->bound_counts[i] : histogram->count;
        if (last != NULL) {
            upto -= i < count ? last->histogram.bound_counts[i] : last->histogram.count;
        }
        counts[i] = upto - below;
        below = upto;
    }
    if (count > 0) {
        memcpy(bounds, histogram->bounds, count * sizeof *bounds);
    }
    point->explicit_bounds = bounds;
    point->n_explicit_bounds = count;
    point->bucket_counts = counts;
    point->n_bucket_counts = count + 1;
    return 0;
}

int point_explicit(struct point_context *context, const struct snapshot_series *series,
    const struct point_base *base, Otlp__HistogramDataPoint **ret_point)
{
    const struct snapshot_histogram *histogram = series->histogram;
    Otlp__HistogramDataPoint *point = arena_alloc(context->arena, sizeof *point);

    if (point == NULL) {
        return WERR_NOMEM;
    }
    struct histogram_growth growth = growth_of(histogram, base->last);
    otlp__histogram_data_point__init(point);
    point->start_time_unix_nano = base->start_unix_ns;
    point->time_unix_nano = context->time_unix_ns;
    point->count = growth.count;
    point->sum_presence_case = OTLP__HISTOGRAM_DATA_POINT__SUM_PRESENCE_SUM;
    point->sum = growth.sum;
    int error = fill_bounds(context, histogram, base->last, point);
    if (error == 0) {
        error = fill_exemplars(context, histogram->exemplars, histogram->exemplar_count,
            base->exemplars_after_unix_ns, &point->exemplars, &point->n_exemplars);
    }
    if (error == 0) {
        error = point_attributes(context->arena, series->labels, series->label_count, &point->attributes);
    }
    point->n_attributes = series->label_count;
    *ret_point = point;
    return error;
}
