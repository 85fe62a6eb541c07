/*
 * Values of proxies' counters and gauges. Processes of one sender share a series; each counts since a start
 * of its own, a stream, and the counter is their sum. The aggregator's thread.
 */
#include "aggregate/aggregator_internal.h"

static double rise_between(double from, double to)
{
    return to < from ? to : to - from;
}

static struct point_stream *find_stream(const struct point_series *series, uint64_t start_unix_ns)
{
    for (uint32_t i = 0; i < series->stream_count; i++) {
        if (series->streams[i].start_unix_ns == start_unix_ns) {
            return &series->streams[i];
        }
    }
    return NULL;
}

/* Room for one more; false when there may be no more, or without memory. */
static bool reserve_stream(const struct aggregator *aggregator, struct point_series *series)
{
    uint32_t capacity = series->stream_capacity * 2;

    if (series->stream_count < series->stream_capacity) {
        return true;
    }
    if (capacity > POINT_STREAM_COUNT_MAX) {
        return false;
    }
    struct point_stream *streams = memory_grow(aggregator->settings.budget, series->streams,
        series->stream_capacity * sizeof(*streams), capacity * sizeof(*streams));

    if (streams == NULL) {
        return false;
    }
    series->streams = streams;
    series->stream_capacity = capacity;
    return true;
}

/* A stream that is told of for the first time; without room in the place of the one that was quiet longest.
 */
static struct point_stream *add_stream(
    const struct aggregator *aggregator, struct point_series *series, uint64_t start_unix_ns)
{
    struct point_stream *stream = &series->streams[0];

    if (reserve_stream(aggregator, series)) {
        stream = &series->streams[series->stream_count++];
    } else {
        for (uint32_t i = 1; i < series->stream_count; i++) {
            if (series->streams[i].last_time_unix_ns < stream->last_time_unix_ns) {
                stream = &series->streams[i];
            }
        }
        if (stream->start_unix_ns > series->forgotten_start_unix_ns) {
            series->forgotten_start_unix_ns = stream->start_unix_ns;
        }
    }
    *stream = (struct point_stream){.start_unix_ns = start_unix_ns};
    return stream;
}

/* What a stream's first slot had risen to when it began. One that may have been forgotten says only from
 * where it goes on to rise. */
static double first_value(const struct point_series *series, const struct scalar_slot *slot)
{
    bool is_forgotten =
        series->forgotten_start_unix_ns > 0 && slot->start_unix_ns <= series->forgotten_start_unix_ns;

    return is_forgotten ? 0 : slot->first_value;
}

void points_begin(const struct aggregator *aggregator, struct point_series *series, uint64_t start_unix_ns)
{
    if (!series->seen && start_unix_ns > aggregator->expired_created_unix_ns &&
        start_unix_ns >= POINT_START_UNIX_NS_MIN && start_unix_ns < series->base.created_unix_ns) {
        series->base.created_unix_ns = start_unix_ns;
    }
}

static void add_held(const struct aggregator *aggregator, struct point_series *series, double value)
{
    if (metric_add_to(&series->total, value)) {
        metric_add(aggregator->settings.cells, METRIC_POINT_SUMS_HELD, 1);
    }
}

static void merge_counter(
    const struct aggregator *aggregator, struct point_series *series, const struct scalar_slot *slot)
{
    if (slot->start_unix_ns == POINT_START_DELTA) {
        add_held(aggregator, series, slot->rise);
        return;
    }
    struct point_stream *stream = find_stream(series, slot->start_unix_ns);

    if (stream == NULL) {
        points_begin(aggregator, series, slot->start_unix_ns);
        add_held(aggregator, series, first_value(series, slot));
        add_held(aggregator, series, slot->rise);
        stream = add_stream(aggregator, series, slot->start_unix_ns);
    } else if (slot->last_time_unix_ns < stream->last_time_unix_ns) {
        return; /* another shard has already told of later */
    } else if (slot->first_time_unix_ns >= stream->last_time_unix_ns) {
        add_held(aggregator, series, slot->rise);
        add_held(aggregator, series, rise_between(stream->last_value, slot->first_value));
    } else {
        add_held(aggregator, series, rise_between(stream->last_value, slot->last_value));
    }
    stream->last_time_unix_ns = slot->last_time_unix_ns;
    stream->last_value = slot->last_value;
}

static void merge_gauge(
    const struct aggregator *aggregator, struct point_series *series, const struct scalar_slot *slot)
{
    if (slot->is_relative) {
        add_held(aggregator, series, slot->last_value);
    } else if (!series->seen || slot->last_time_unix_ns >= series->last_time_unix_ns) {
        series->total = slot->last_value;
        series->last_time_unix_ns = slot->last_time_unix_ns;
    }
}

void points_merge_scalar(
    const struct aggregator *aggregator, struct point_series *series, const struct scalar_slot *slot)
{
    if (slot->point_count == 0) {
        return;
    }
    if (metric_point_is_counter((enum metric_point_type)series->family->type)) {
        merge_counter(aggregator, series, slot);
    } else {
        merge_gauge(aggregator, series, slot);
    }
    series->seen = true;
}
