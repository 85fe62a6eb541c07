/* Spans from a shard to the exporter; see span_segment.h. */
#include "pipeline/span_segment.h"

#include "exporter_thread.h"

static void lose(struct span_segment *segment, uint64_t span_count)
{
    if (segment->signal == OTLP_SIGNAL_LOGS) {
        LEDGER_ADD(segment->cells, METRIC_LOGS_EXPORT_LOST, span_count);
    } else {
        LEDGER_ADD(segment->cells, METRIC_SPANS_EXPORT_LOST, span_count);
    }
}

static void count_offered(struct span_segment *segment, uint64_t span_count)
{
    if (segment->signal == OTLP_SIGNAL_LOGS) {
        LEDGER_ADD(segment->cells, METRIC_LOGS_EXPORT_OFFERED, span_count);
    } else {
        LEDGER_ADD(segment->cells, METRIC_SPANS_EXPORT_OFFERED, span_count);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct span_segment *segment = timer->data;

    segment->timer_armed = false;
    span_segment_flush(segment);
}

void span_segment_init(struct span_segment *segment, enum otlp_signal signal, uv_loop_t *loop,
    struct exporter_thread *exporter, struct metric_cells *cells)
{
    *segment = (struct span_segment){.signal = signal, .exporter = exporter, .cells = cells};
    buffer_init(&segment->bytes, SEGMENT_MESSAGE_BYTES_MAX);
    (void)uv_timer_init(loop, &segment->timer);
    segment->timer.data = segment;
}

struct buffer *span_segment_open(struct span_segment *segment, size_t bytes_max, uint64_t span_count)
{
    if (segment->bytes.length > 0 && segment->bytes.length + bytes_max > SEGMENT_BYTES) {
        span_segment_flush(segment);
    }
    size_t room_bytes = bytes_max;
    if (segment->bytes.length == 0 && room_bytes < SEGMENT_BYTES) {
        room_bytes = SEGMENT_BYTES; /* at once what the segment will need, instead of growing */
    }
    if (buffer_reserve(&segment->bytes, room_bytes) == NULL) {
        segment->bytes.error = 0; /* the next message may find memory again */
        lose(segment, span_count);
        return NULL;
    }
    return &segment->bytes;
}

void span_segment_added(struct span_segment *segment, uint64_t span_count)
{
    segment->span_count += span_count;
    if (!segment->timer_armed) {
        segment->timer_armed = true;
        (void)uv_timer_start(&segment->timer, on_timer, SEGMENT_DELAY_MS, 0);
    }
}

void span_segment_append(struct span_segment *segment, struct slice message, uint64_t span_count)
{
    struct buffer *bytes = span_segment_open(segment, message.length, span_count);

    if (bytes != NULL) {
        (void)buffer_append_slice(bytes, message); /* room was made above */
        span_segment_added(segment, span_count);
    }
}

void span_segment_flush(struct span_segment *segment)
{
    if (segment->bytes.length == 0) {
        return;
    }
    uint64_t span_count = segment->span_count;
    struct shared_bytes *bytes = shared_bytes_take(&segment->bytes);

    segment->span_count = 0;
    if (bytes == NULL) {
        buffer_deinit(&segment->bytes);
        lose(segment, span_count);
        return;
    }
    if (exporter_thread_offer(segment->exporter, segment->signal, -1, bytes, span_count)) {
        count_offered(segment, span_count);
    } else {
        shared_bytes_unref(bytes);
        lose(segment, span_count);
    }
}

void span_segment_close(struct span_segment *segment)
{
    span_segment_flush(segment);
    buffer_deinit(&segment->bytes);
    uv_close((uv_handle_t *)&segment->timer, NULL);
}
