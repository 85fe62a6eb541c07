/*
 * Values of proxies' histograms. What points add is summed; of cumulative ones, told per process (a stream,
 * by its start), what they rose by. The aggregator's thread.
 */
#include "aggregate/aggregator_internal.h"

enum { STREAM_COUNT_FIRST = 1 };

static struct distribution_stream *find_stream(const struct point_series *series, uint64_t start_unix_ns)
{
    for (uint32_t i = 0; i < series->stream_count; i++) {
        if (series->distributions[i].start_unix_ns == start_unix_ns) {
            return &series->distributions[i];
        }
    }
    return NULL;
}

/* Room for one more; false when there may be no more, or without memory. */
static bool reserve_stream(const struct aggregator *aggregator, struct point_series *series)
{
    uint32_t capacity = series->stream_capacity > 0 ? series->stream_capacity * 2 : STREAM_COUNT_FIRST;

    if (series->stream_count < series->stream_capacity) {
        return true;
    }
    if (capacity > POINT_STREAM_COUNT_MAX) {
        return false;
    }
    struct distribution_stream *streams = memory_grow(aggregator->settings.budget, series->distributions,
        series->stream_capacity * sizeof(*streams), capacity * sizeof(*streams));

    if (streams == NULL) {
        return false;
    }
    series->distributions = streams;
    series->stream_capacity = capacity;
    return true;
}

/* In the place of the one that was quiet longest when there is no room; NULL without any. */
static struct distribution_stream *add_stream(
    const struct aggregator *aggregator, struct point_series *series, uint64_t start_unix_ns)
{
    struct distribution_stream *stream;

    if (reserve_stream(aggregator, series)) {
        stream = &series->distributions[series->stream_count++];
    } else if (series->stream_count == 0) {
        return NULL;
    } else {
        stream = &series->distributions[0];
        for (uint32_t i = 1; i < series->stream_count; i++) {
            if (series->distributions[i].last_time_unix_ns < stream->last_time_unix_ns) {
                stream = &series->distributions[i];
            }
        }
        if (stream->start_unix_ns > series->forgotten_start_unix_ns) {
            series->forgotten_start_unix_ns = stream->start_unix_ns;
        }
    }
    stream->start_unix_ns = start_unix_ns;
    return stream;
}

static void keep_last(struct distribution_stream *stream, const struct distribution_slot *slot)
{
    stream->last_time_unix_ns = slot->last_time_unix_ns;
    stream->last = slot->values;
}

/* A process that is told of for the first time. One that may have been forgotten adds nothing yet. */
static void merge_first(
    const struct aggregator *aggregator, struct point_series *series, const struct distribution_slot *slot)
{
    bool is_forgotten =
        series->forgotten_start_unix_ns > 0 && slot->start_unix_ns <= series->forgotten_start_unix_ns;
    struct distribution_stream *stream = add_stream(aggregator, series, slot->start_unix_ns);

    if (stream == NULL) {
        return; /* without memory for what it said last: its next point tells all of it again */
    }
    points_begin(aggregator, series, slot->start_unix_ns);
    if (!is_forgotten) {
        point_distribution_merge(series->distribution, &slot->values);
    }
    keep_last(stream, slot);
}

static void merge_cumulative(
    const struct aggregator *aggregator, struct point_series *series, const struct distribution_slot *slot)
{
    struct distribution_stream *stream = find_stream(series, slot->start_unix_ns);
    struct point_distribution rise;

    if (stream == NULL) {
        merge_first(aggregator, series, slot);
        return;
    }
    if (slot->last_time_unix_ns < stream->last_time_unix_ns) {
        return; /* another shard has already told of later */
    }
    point_distribution_merge(series->distribution,
        point_distribution_rise(&stream->last, &slot->values, &rise) ? &rise : &slot->values);
    keep_last(stream, slot);
}

void points_merge_distribution(
    const struct aggregator *aggregator, struct point_series *series, const struct distribution_slot *slot)
{
    if (slot->point_count == 0) {
        return;
    }
    if (slot->is_cumulative) {
        merge_cumulative(aggregator, series, slot);
    } else {
        point_distribution_merge(series->distribution, &slot->values);
    }
    series->seen = true;
}

void points_free_distribution(const struct aggregator *aggregator, struct point_series *series)
{
    struct budget *budget = aggregator->settings.budget;

    memory_free(budget, series->distribution, sizeof(*series->distribution));
    memory_free(budget, series->distributions, series->stream_capacity * sizeof(*series->distributions));
}
