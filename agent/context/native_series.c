/* A native connection's metrics: identities told once, points that refer to them. One shard's thread. */
#include "context/native_series.h"

#include <stdlib.h>
#include <string.h>

#include "core/error.h"

enum { SERIES_CAPACITY_MIN = 16 };

struct native_series {
    int error; /* 0, or what its points are refused with */
    enum metric_point_type type;
    uint32_t name, unit, help;
    uint32_t label_count;
    struct metric_label labels[];
};

/* What stands for a series that was refused. */
static const struct native_series refused_full = {.error = WERR_FULL};
static const struct native_series refused_invalid = {.error = WERR_INVALID};

static size_t series_bytes(const struct native_series *series)
{
    return sizeof *series + series->label_count * sizeof series->labels[0];
}

static bool is_refused(const struct native_series *series)
{
    return series == &refused_full || series == &refused_invalid;
}

void native_series_clear(struct native_dictionary *dictionary)
{
    for (uint32_t i = 0; i < dictionary->series_count; i++) {
        if (!is_refused(dictionary->series[i])) {
            budget_release(dictionary->budget, series_bytes(dictionary->series[i]));
            free((void *)dictionary->series[i]); /* made by make() */
        }
    }
    if (dictionary->series != NULL) {
        budget_release(dictionary->budget, dictionary->series_capacity * sizeof *dictionary->series);
        free(dictionary->series);
    }
    dictionary->series = NULL;
    dictionary->series_count = 0;
    dictionary->series_capacity = 0;
}

/* Room for one more. */
static int grow(struct native_dictionary *dictionary)
{
    uint32_t before = dictionary->series_capacity;
    uint32_t capacity = before > 0 ? before * 2 : SERIES_CAPACITY_MIN;
    const struct native_series **series;

    if (dictionary->series_count < before) {
        return 0;
    }
    if (dictionary->series_count >= dictionary->context->limits->series_count_max) {
        return WERR_FULL;
    }
    if (!budget_reserve(dictionary->budget, (capacity - before) * sizeof *series)) {
        return WERR_NOMEM;
    }
    series = realloc(dictionary->series, capacity * sizeof *series);
    if (series == NULL) {
        budget_release(dictionary->budget, (capacity - before) * sizeof *series);
        return WERR_NOMEM;
    }
    dictionary->series = series;
    dictionary->series_capacity = capacity;
    return 0;
}

/* The interner's id of a dictionary id. 0 stays 0. */
static int id_of(const struct native_dictionary *dictionary, uint32_t id, uint32_t *ret_id)
{
    const struct native_string *string = native_dictionary_get(dictionary, id);

    if (id != 0 && string == NULL) {
        return WERR_DICTIONARY;
    }
    *ret_id = id != 0 ? string->id : INTERNED_NONE;
    return *ret_id != INTERNED_OVERFLOW ? 0 : WERR_FULL;
}

static int compare_text(struct slice a, struct slice b)
{
    size_t length = a.length < b.length ? a.length : b.length;
    int order = length > 0 ? memcmp(a.ptr, b.ptr, length) : 0;

    return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

/* Inserts in the order of the keys' texts: labels are few, at most METRIC_LABEL_COUNT_MAX. */
static int insert_label(
    const struct interner *interner, struct native_series *series, struct metric_label label)
{
    struct slice key = interner_text(interner, label.key);
    uint32_t at = series->label_count;

    while (at > 0) {
        int order = compare_text(interner_text(interner, series->labels[at - 1].key), key);

        if (order == 0) {
            return WERR_INVALID;
        }
        if (order < 0) {
            break;
        }
        series->labels[at] = series->labels[at - 1];
        at--;
    }
    series->labels[at] = label;
    series->label_count++;
    return 0;
}

static int fill_labels(
    const struct native_dictionary *dictionary, const Weft__V1__Series *told, struct native_series *series)
{
    for (size_t i = 0; i < told->n_label_keys; i++) {
        struct metric_label label;
        int error = id_of(dictionary, told->label_keys[i], &label.key);

        if (error == 0) {
            error = id_of(dictionary, told->label_values[i], &label.value);
        }
        if (error != 0) {
            return error;
        }
        if (label.key == INTERNED_NONE || label.key == INTERNED_UNKNOWN) {
            return WERR_INVALID; /* a key that is no text */
        }
        error = insert_label(dictionary->context->interner, series, label);
        if (error != 0) {
            return error;
        }
    }
    return 0;
}

static int fill(
    const struct native_dictionary *dictionary, const Weft__V1__Series *told, struct native_series *series)
{
    int error = id_of(dictionary, told->name, &series->name);

    if (error == 0) {
        error = id_of(dictionary, told->unit, &series->unit);
    }
    if (error == 0) {
        error = id_of(dictionary, told->help, &series->help);
    }
    if (error != 0) {
        return error;
    }
    switch (told->type) {
    case WEFT__V1__METRIC_TYPE__METRIC_TYPE_COUNTER:
        series->type = METRIC_POINT_COUNTER;
        break;
    case WEFT__V1__METRIC_TYPE__METRIC_TYPE_GAUGE:
        series->type = METRIC_POINT_GAUGE;
        break;
    case WEFT__V1__METRIC_TYPE__METRIC_TYPE_HISTOGRAM:
        series->type = METRIC_POINT_HISTOGRAM;
        break;
    case WEFT__V1__METRIC_TYPE__METRIC_TYPE_UNSPECIFIED:
    default:
        return WERR_INVALID;
    }
    if (series->name == INTERNED_NONE || series->name == INTERNED_UNKNOWN) {
        return WERR_INVALID;
    }
    return fill_labels(dictionary, told, series);
}

/* A new series, or an error that refuses it. */
static int make(const struct native_dictionary *dictionary, const Weft__V1__Series *told,
    const struct native_series **ret_series)
{
    size_t bytes = sizeof(struct native_series) + told->n_label_keys * sizeof(struct metric_label);
    struct native_series *series;
    int error;

    if (told->n_label_keys > METRIC_LABEL_COUNT_MAX || told->n_label_values != told->n_label_keys) {
        return told->n_label_keys > METRIC_LABEL_COUNT_MAX ? WERR_OVERSIZED : WERR_INVALID;
    }
    if (!budget_reserve(dictionary->budget, bytes)) {
        return WERR_NOMEM;
    }
    series = calloc(1, bytes);
    error = series != NULL ? fill(dictionary, told, series) : WERR_NOMEM;
    if (error != 0) {
        free(series);
        budget_release(dictionary->budget, bytes);
        return error;
    }
    *ret_series = series;
    return 0;
}

int native_series_add(struct native_dictionary *dictionary, const Weft__V1__Series *series)
{
    const struct native_series *made = NULL;
    int error;

    if (series->id != dictionary->series_count + 1) {
        return WERR_DICTIONARY;
    }
    error = grow(dictionary);
    if (error != 0) {
        return error;
    }
    error = make(dictionary, series, &made);
    if (error != 0) {
        bool no_room = error == WERR_FULL || error == WERR_NOMEM;

        made = no_room ? &refused_full : &refused_invalid;
        dictionary->overflowed_count += no_room;
    }
    dictionary->series[dictionary->series_count++] = made;
    return error;
}

size_t native_point_count(const Weft__V1__MetricBatch *batch)
{
    return batch->n_counter_series + batch->n_gauge_series + batch->n_histograms;
}

static void fill_histogram(const Weft__V1__HistogramPoint *told, struct metric_point *point)
{
    point->value = told->sum;
    point->scale = told->scale;
    point->offset = told->offset;
    point->buckets = told->buckets;
    point->bucket_count = told->n_buckets;
    point->zero_count = told->zero_count;
}

/* The series and type of point i, with its value or histogram. */
static uint32_t locate(const Weft__V1__MetricBatch *batch, size_t i, struct metric_point *point)
{
    if (i < batch->n_counter_series) {
        point->type = METRIC_POINT_COUNTER;
        point->value = batch->counter_values[i];
        return batch->counter_series[i];
    }
    i -= batch->n_counter_series;
    if (i < batch->n_gauge_series) {
        point->type = METRIC_POINT_GAUGE;
        point->value = batch->gauge_values[i];
        return batch->gauge_series[i];
    }
    i -= batch->n_gauge_series;
    if (i >= batch->n_histograms) {
        return 0;
    }
    point->type = METRIC_POINT_HISTOGRAM;
    fill_histogram(batch->histograms[i], point);
    return batch->histograms[i]->series;
}

int native_to_point(const struct native_dictionary *dictionary, const Weft__V1__MetricBatch *batch, size_t i,
    const struct sender *sender, struct metric_point *ret_point)
{
    struct metric_point point = {.time_unix_ns = batch->time_unix_ns};
    uint32_t id = locate(batch, i, &point);
    const struct native_series *series;

    if (id - 1 >= dictionary->series_count) {
        return WERR_DICTIONARY;
    }
    series = dictionary->series[id - 1];
    if (series->error != 0) {
        return series->error;
    }
    if (series->type != point.type || point.bucket_count > METRIC_BUCKET_COUNT_MAX) {
        return WERR_INVALID;
    }
    point.name = series->name;
    point.unit = series->unit;
    point.help = series->help;
    point.labels = series->labels;
    point.label_count = series->label_count;
    point.start_unix_ns = point.type == METRIC_POINT_COUNTER ? dictionary->start_unix_ns : 0;
    point.sender = sender != NULL ? sender->interned : INTERNED_UNKNOWN;
    *ret_point = point;
    return 0;
}
