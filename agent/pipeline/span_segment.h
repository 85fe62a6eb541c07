/*
 * Spans, or log records, of one shard on their way to the exporter: whole OTLP messages of one signal
 * appended to one segment, handed over when it is full or a moment old. Runs on the shard's loop. One
 * allocation a segment, none a message.
 */
#ifndef WEFT_AGENT_SPAN_SEGMENT_H
#define WEFT_AGENT_SPAN_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "core/buffer.h"
#include "core/metrics.h"
#include "exporters/otlp/otlp_exporter.h"

struct exporter_thread;

enum { SEGMENT_BYTES = 131072, SEGMENT_MESSAGE_BYTES_MAX = 1073741824, SEGMENT_DELAY_MS = 100 };

struct span_segment {
    struct buffer bytes;
    uint64_t span_count; /* or log records, as everywhere below */
    enum otlp_signal signal;
    struct exporter_thread *exporter; /* NULL: the signal is not exported */
    struct metric_cells *cells;
    uv_timer_t timer;
    bool timer_armed;
};

void span_segment_init(struct span_segment *segment, enum otlp_signal signal, uv_loop_t *loop,
    struct exporter_thread *exporter, struct metric_cells *cells);

/* Whether spans are exported at all. */
static inline bool span_segment_wanted(const struct span_segment *segment)
{
    return segment->exporter != NULL;
}

/* Appends a message of span_count spans. What finds no memory is counted as lost before any destination. */
void span_segment_append(struct span_segment *segment, struct slice message, uint64_t span_count);

/*
 * For an encoder that writes into the segment itself: room for a message of at most bytes_max is made, and
 * what was written to the returned buffer since then is taken by span_segment_added. NULL when out of memory
 * (the spans are counted as lost).
 */
struct buffer *span_segment_open(struct span_segment *segment, size_t bytes_max, uint64_t span_count);
void span_segment_added(struct span_segment *segment, uint64_t span_count);

/* Hands over what there is. */
void span_segment_flush(struct span_segment *segment);

/* Flushes and closes the timer, which ends by the next turn of the loop. */
void span_segment_close(struct span_segment *segment);

#endif
