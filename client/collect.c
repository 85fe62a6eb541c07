/* From the threads' rings and the metrics' cells into the backlog. The sender's thread, with the client's
 * lock held. */
#include <time.h>

#include "client/client.h"
#include "client/encode.h"

static uint64_t unix_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Gives the batch, which its frame says already, the next sequence number. */
static void append_batch(struct weft_client *client, const struct batch *batch)
{
    struct batch next = *batch;

    next.sequence = client->next_sequence++;
    backlog_append(&client->backlog, next);
    client->stats.batches++;
    client->stats.sent_points += batch->point_count;
}

/* False when the backlog or memory has no room: the columns stay as they are. */
static bool seal_spans(struct weft_client *client)
{
    Weft__V1__SpanBatch batch;
    size_t frame_bytes;

    if (!backlog_has_room(&client->backlog)) {
        return false;
    }
    span_columns_message(client->columns, client->next_sequence, &batch);
    uint8_t *frame = encode_frame(
        NATIVE_TYPE_SPANS, &batch.base, client->zstd, client->options.compression_level, &frame_bytes);
    if (frame == NULL) {
        return false;
    }
    append_batch(client,
        &(struct batch){.frame = frame, .frame_bytes = frame_bytes, .span_count = client->columns->count});
    span_columns_reset(client->columns);
    return true;
}

static size_t drain_ring(struct weft_client *client, struct ring *ring, size_t count_max, uint64_t now_ns)
{
    uint64_t waiting = ring_waiting(ring);
    size_t taken = 0;

    for (; taken < waiting && taken < count_max; taken++) {
        if (client->columns->count == SPAN_COLUMNS_COUNT_MAX && !seal_spans(client)) {
            break;
        }
        if (client->columns->count == 0) {
            client->columns_since_ns = now_ns;
        }
        span_columns_add(client->columns, ring_first(ring));
        ring_pop(ring);
    }
    return taken;
}

/* The thread of this ring has ended and nothing is left in it: its counts stay. */
static void retire_ring(struct weft_client *client, struct ring **link)
{
    struct ring *ring = *link;

    *link = ring->next;
    client->stats.recorded_spans += atomic_load_explicit(&ring->head, memory_order_relaxed);
    client->stats.dropped_spans += atomic_load_explicit(&ring->dropped, memory_order_relaxed);
    ring_unref(ring);
}

static void drain_rings(struct weft_client *client, uint64_t now_ns, bool *ret_hurry)
{
    size_t taken = 0;

    for (struct ring **link = &client->rings; *link != NULL;) {
        struct ring *ring = *link;
        bool abandoned = atomic_load_explicit(&ring->abandoned, memory_order_acquire);
        *ret_hurry = *ret_hurry || ring_waiting(ring) > ring->mask / 4;
        taken += drain_ring(client, ring, CLIENT_CYCLE_SPANS_MAX - taken, now_ns);
        if (abandoned && ring_waiting(ring) == 0) {
            retire_ring(client, link);
        } else {
            link = &ring->next;
        }
    }
}

/* One batch of points; false when there was no room for it. */
static bool seal_points(struct weft_client *client)
{
    Weft__V1__MetricBatch batch;
    size_t frame_bytes;

    if (!backlog_has_room(&client->backlog)) {
        return false;
    }
    uint32_t count = metrics_gather(&client->metrics, client->points);
    if (count == 0) {
        return true;
    }
    metric_points_message(client->points, client->next_sequence, unix_now_ns(), &batch);
    uint8_t *frame = encode_frame(
        NATIVE_TYPE_METRICS, &batch.base, client->zstd, client->options.compression_level, &frame_bytes);
    if (frame == NULL) {
        atomic_fetch_add_explicit(&client->metrics.dropped_points, count, memory_order_relaxed);
        return true;
    }
    append_batch(client, &(struct batch){.frame = frame, .frame_bytes = frame_bytes, .point_count = count});
    return true;
}

/*
 * All metrics that changed. Only while the agent listens: until then histograms gather in their cells, where
 * they take no more room, and counters are cumulative anyway. False when it could not be finished now.
 */
static bool collect_metrics(struct weft_client *client, uint64_t now_ns)
{
    if (client->metrics.count == 0) {
        return true;
    }
    if (client->link.state != LINK_READY) {
        return false;
    }
    while (client->points->next < client->metrics.count) {
        if (!seal_points(client)) {
            return false;
        }
    }
    client->points->next = 0;
    client->metrics_collected_ns = now_ns;
    return true;
}

/* One batch of log records; false when there are some and there was no room for them. */
static bool seal_logs(struct weft_client *client, uint64_t now_ns)
{
    Weft__V1__LogBatch batch;
    size_t frame_bytes;

    if (!logs_take(&client->logs)) {
        return true;
    }
    if (!backlog_has_room(&client->backlog)) {
        return false;
    }
    struct log_table *table = client->logs.sealing;
    logs_message(table, client->next_sequence, &batch);
    uint8_t *frame = encode_frame(
        NATIVE_TYPE_LOGS, &batch.base, client->zstd, client->options.compression_level, &frame_bytes);
    if (frame == NULL) {
        return false;
    }
    append_batch(
        client, &(struct batch){.frame = frame, .frame_bytes = frame_bytes, .log_count = table->count});
    client->logs.sealed += table->count;
    table->count = 0;
    table->attribute_count = 0;
    table->text_bytes = 0;
    client->logs_since_ns = now_ns;
    return true;
}

/* All that were recorded before the flush began; else at most one batch an interval. */
static bool collect_logs(struct weft_client *client, uint64_t now_ns, bool flushing)
{
    bool due = now_ns - client->logs_since_ns >= client->options.batch_interval_ms * UINT64_C(1000000);

    if (!flushing) {
        return !due || seal_logs(client, now_ns);
    }
    while (client->logs.sealed < client->logs.flush_recorded) {
        if (!seal_logs(client, now_ns)) {
            return false;
        }
    }
    return true;
}

static void start_flush(struct weft_client *client)
{
    struct flush *flush = &client->flush;
    uint64_t dropped_logs;

    if (flush->started != flush->done || flush->requested == flush->done) {
        return;
    }
    flush->started = flush->requested;
    flush->sealed = false;
    client_dropped(client, &flush->dropped_spans, &flush->dropped_points);
    logs_counts(&client->logs, &client->logs.flush_recorded, &dropped_logs);
    for (struct ring *ring = client->rings; ring != NULL; ring = ring->next) {
        ring->flush_head = atomic_load_explicit(&ring->head, memory_order_acquire);
    }
}

static bool is_flushing(const struct weft_client *client)
{
    const struct flush *flush = &client->flush;

    if (flush->started == flush->done || flush->sealed) {
        return false;
    }
    for (struct ring *ring = client->rings; ring != NULL; ring = ring->next) {
        if (atomic_load_explicit(&ring->tail, memory_order_relaxed) < ring->flush_head) {
            return false;
        }
    }
    return true;
}

void client_collect(struct weft_client *client, uint64_t now_ns, bool *ret_hurry)
{
    *ret_hurry = false;
    start_flush(client);
    drain_rings(client, now_ns, ret_hurry);
    bool flushing = is_flushing(client);
    bool spans_due =
        now_ns - client->columns_since_ns >= client->options.batch_interval_ms * UINT64_C(1000000);
    if (client->columns->count > 0 && (flushing || spans_due)) {
        seal_spans(client);
    }
    bool metrics_due =
        now_ns - client->metrics_collected_ns >= client->options.metrics_interval_ms * UINT64_C(1000000);
    bool metrics_done = flushing || metrics_due ? collect_metrics(client, now_ns) : true;
    bool logs_done = collect_logs(client, now_ns, flushing);
    if (flushing && metrics_done && logs_done && client->columns->count == 0) {
        client->flush.sealed = true;
        client->flush.target_sequence = client->next_sequence - 1;
    }
}
