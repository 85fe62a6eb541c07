/* Registering (behind the client's lock), writing (any thread) and gathering (the sender) of metrics.h's
 * cells. */
#include "client/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void metrics_deinit(struct metrics *metrics)
{
    for (uint32_t i = 0; i < metrics->count; i++) {
        free(metrics->all[i]);
    }
    metrics->count = 0;
}

/* 0 with *ret_id, which is 0 for no or empty text; or OVERSIZED, FULL. */
static int intern(struct strings *strings, const char *text, uint32_t *ret_id)
{
    size_t length = text != NULL ? strlen(text) : 0;

    *ret_id = 0;
    if (length == 0) {
        return 0;
    }
    if (length > WEFT_STRING_BYTES_MAX) {
        return WEFT_ERROR_OVERSIZED;
    }
    *ret_id = strings_intern(strings, slice_of(text, length));
    return *ret_id != 0 ? 0 : WEFT_ERROR_FULL;
}

static int intern_identity(struct metric *metric, struct strings *strings, const struct weft_metric *identity)
{
    int error = intern(strings, identity->name, &metric->name);

    error = error != 0 ? error : intern(strings, identity->unit, &metric->unit);
    error = error != 0 ? error : intern(strings, identity->help, &metric->help);
    for (size_t i = 0; i < identity->label_count && error == 0; i++) {
        error = intern(strings, identity->labels[i].key, &metric->label_keys[i]);
        error = error != 0 ? error : intern(strings, identity->labels[i].value, &metric->label_values[i]);
    }
    metric->label_count = (uint32_t)identity->label_count;
    return error;
}

int metrics_add(struct metrics *metrics, struct strings *strings, const struct weft_metric *identity,
    Weft__V1__MetricType type, size_t bytes, struct metric **ret_metric)
{
    if (identity == NULL || identity->name == NULL || identity->name[0] == '\0') {
        return WEFT_ERROR_INVALID;
    }
    if (identity->label_count > WEFT_LABELS_COUNT_MAX) {
        return WEFT_ERROR_OVERSIZED;
    }
    if (metrics->count == WEFT_METRICS_COUNT_MAX) {
        return WEFT_ERROR_FULL;
    }
    struct metric *metric = calloc(1, bytes);
    if (metric == NULL) {
        return WEFT_ERROR_NOMEM;
    }
    metric->type = type;
    int error = intern_identity(metric, strings, identity);
    if (error != 0) {
        free(metric);
        return error;
    }
    metrics->all[metrics->count++] = metric;
    *ret_metric = metric;
    return 0;
}

void weft_counter_add(struct weft_counter *counter, uint64_t by)
{
    atomic_fetch_add_explicit(&counter->value, by, memory_order_relaxed);
    metric_touch(&counter->metric);
}

void weft_gauge_set(struct weft_gauge *gauge, double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    atomic_store_explicit(&gauge->value_bits, bits, memory_order_relaxed);
    atomic_store_explicit(&gauge->is_set, true, memory_order_release);
    metric_touch(&gauge->metric);
}

static void gather_counter(struct weft_counter *counter, uint32_t series, struct metric_points *points)
{
    uint64_t value = atomic_load_explicit(&counter->value, memory_order_relaxed);

    if (counter->batched && value == counter->batched_value) {
        return;
    }
    counter->batched = true;
    counter->batched_value = value;
    points->counter_series[points->counter_count] = series;
    points->counter_values[points->counter_count++] = (double)value;
}

static void gather_gauge(struct weft_gauge *gauge, uint32_t series, struct metric_points *points)
{
    if (!atomic_load_explicit(&gauge->is_set, memory_order_acquire)) {
        return;
    }
    uint64_t bits = atomic_load_explicit(&gauge->value_bits, memory_order_relaxed);
    if (gauge->batched && bits == gauge->batched_bits) {
        return;
    }
    gauge->batched = true;
    gauge->batched_bits = bits;
    points->gauge_series[points->gauge_count] = series;
    memcpy(&points->gauge_values[points->gauge_count++], &bits, sizeof bits);
}

/* Moves the cells' counts into buckets[]; *ret_first and *ret_end bound those above 0. */
static void take_cells(
    struct weft_histogram *histogram, uint64_t *buckets, uint32_t *ret_first, uint32_t *ret_end)
{
    uint64_t octaves = atomic_exchange_explicit(&histogram->octaves, 0, memory_order_relaxed);
    uint32_t first = HISTOGRAM_CELLS_COUNT;
    uint32_t end = 0;

    memset(buckets, 0, HISTOGRAM_CELLS_COUNT * sizeof *buckets);
    for (uint32_t cell = 0; cell < HISTOGRAM_CELLS_COUNT; cell++) {
        if ((octaves >> (cell >> HISTOGRAM_SCALE) & 1) == 0) {
            continue;
        }
        buckets[cell] = atomic_exchange_explicit(&histogram->cells[cell], 0, memory_order_relaxed);
        if (buckets[cell] != 0) {
            first = first < cell ? first : cell;
            end = cell + 1;
        }
    }
    *ret_first = first;
    *ret_end = end;
}

/* Bucket i of the next lower scale is buckets 2i and 2i + 1 (the arithmetic shift of the index). */
static void halve(uint64_t *buckets)
{
    for (size_t cell = 0; cell < HISTOGRAM_CELLS_COUNT / 2; cell++) {
        buckets[cell] = buckets[2 * cell] + buckets[2 * cell + 1];
    }
}

static void gather_histogram(struct weft_histogram *histogram, uint32_t series, struct metric_points *points)
{
    uint64_t *buckets = points->buckets[points->histogram_count];
    Weft__V1__HistogramPoint *point = &points->histograms[points->histogram_count];
    int32_t lowest = HISTOGRAM_EXPONENT_MIN * (1 << HISTOGRAM_SCALE);
    uint32_t first;
    uint32_t end;

    take_cells(histogram, buckets, &first, &end);
    uint64_t zero_count = atomic_exchange_explicit(&histogram->zero_count, 0, memory_order_relaxed);
    if (end == 0 && zero_count == 0) {
        return;
    }
    uint64_t sum_bits = atomic_exchange_explicit(&histogram->sum_bits, 0, memory_order_relaxed);
    weft__v1__histogram_point__init(point);
    point->series = series;
    point->scale = HISTOGRAM_SCALE;
    point->zero_count = zero_count;
    point->zero_threshold = ldexp(1, HISTOGRAM_EXPONENT_MIN);
    memcpy(&point->sum, &sum_bits, sizeof sum_bits);
    if (end > first + HISTOGRAM_BUCKETS_SENT_MAX) {
        halve(buckets);
        first /= 2;
        end = (end + 1) / 2;
        lowest /= 2;
        point->scale--;
    }
    if (end > 0) {
        point->offset = lowest + (int32_t)first;
        point->n_buckets = end - first;
        point->buckets = buckets + first;
    }
    points->histogram_pointers[points->histogram_count++] = point;
}

uint32_t metrics_gather(struct metrics *metrics, struct metric_points *points)
{
    points->counter_count = 0;
    points->gauge_count = 0;
    points->histogram_count = 0;
    while (points->next < metrics->count && points->counter_count < METRICS_BATCH_POINTS_MAX &&
           points->gauge_count < METRICS_BATCH_POINTS_MAX &&
           points->histogram_count < METRICS_BATCH_HISTOGRAMS_MAX) {
        struct metric *metric = metrics->all[points->next++];
        if (metric->type == WEFT__V1__METRIC_TYPE__METRIC_TYPE_COUNTER) {
            gather_counter((struct weft_counter *)metric, points->next, points);
        } else if (metric->type == WEFT__V1__METRIC_TYPE__METRIC_TYPE_GAUGE) {
            gather_gauge((struct weft_gauge *)metric, points->next, points);
        } else {
            gather_histogram((struct weft_histogram *)metric, points->next, points);
        }
    }
    return points->counter_count + points->gauge_count + points->histogram_count;
}

void metric_points_message(
    struct metric_points *points, uint64_t sequence, uint64_t time_unix_ns, Weft__V1__MetricBatch *ret_batch)
{
    weft__v1__metric_batch__init(ret_batch);
    ret_batch->sequence = sequence;
    ret_batch->time_unix_ns = time_unix_ns;
    ret_batch->n_counter_series = points->counter_count;
    ret_batch->counter_series = points->counter_series;
    ret_batch->n_counter_values = points->counter_count;
    ret_batch->counter_values = points->counter_values;
    ret_batch->n_gauge_series = points->gauge_count;
    ret_batch->gauge_series = points->gauge_series;
    ret_batch->n_gauge_values = points->gauge_count;
    ret_batch->gauge_values = points->gauge_values;
    ret_batch->n_histograms = points->histogram_count;
    ret_batch->histograms = points->histogram_pointers;
}

void metrics_tell_again(struct metrics *metrics)
{
    for (uint32_t i = 0; i < metrics->count; i++) {
        if (metrics->all[i]->type == WEFT__V1__METRIC_TYPE__METRIC_TYPE_COUNTER) {
            ((struct weft_counter *)metrics->all[i])->batched = false;
        } else if (metrics->all[i]->type == WEFT__V1__METRIC_TYPE__METRIC_TYPE_GAUGE) {
            ((struct weft_gauge *)metrics->all[i])->batched = false;
        }
    }
}

static void reset_histogram(struct weft_histogram *histogram)
{
    atomic_store(&histogram->zero_count, 0);
    atomic_store(&histogram->sum_bits, 0);
    atomic_store(&histogram->octaves, 0);
    for (size_t cell = 0; cell < HISTOGRAM_CELLS_COUNT; cell++) {
        atomic_store_explicit(&histogram->cells[cell], 0, memory_order_relaxed);
    }
}

void metrics_reset(struct metrics *metrics)
{
    atomic_store(&metrics->dropped_points, 0);
    for (uint32_t i = 0; i < metrics->count; i++) {
        struct metric *metric = metrics->all[i];
        if (metric->type == WEFT__V1__METRIC_TYPE__METRIC_TYPE_COUNTER) {
            atomic_store(&((struct weft_counter *)metric)->value, 0);
        } else if (metric->type == WEFT__V1__METRIC_TYPE__METRIC_TYPE_GAUGE) {
            atomic_store(&((struct weft_gauge *)metric)->is_set, false);
        } else {
            reset_histogram((struct weft_histogram *)metric);
        }
    }
    metrics_tell_again(metrics);
}
