/*
 * Payloads of the native stream (proto/weft/v1): checked on the wire, unpacked by protobuf-c into a capped
 * arena, and checked again as a whole, so that what a caller sees has columns of one length and sane records.
 *
 *   payload ─► walk of the fields: structure, counts, sizes ─► unpack into the arena ─► lengths of columns ─►
 * view
 *
 * Everything lives as long as the arena is not reset and, for bytes and ids, no longer than that either:
 * protobuf-c copies. Runs on the shard that owns the connection.
 */
#ifndef WEFT_DECODE_NATIVE_H
#define WEFT_DECODE_NATIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/slice.h"
#include "decode/decode_error.h"
#include "proto/weft/v1/frame.h"
#include "weft/v1/stream.pb-c.h"

enum {
    NATIVE_TRACE_ID_BYTES = 16,
    NATIVE_SPAN_ID_BYTES = 8,
    NATIVE_INSTANCE_ID_BYTES = 16,
    NATIVE_HELLO_TEXT_BYTES_MAX = 1024, /* node, workload, namespace: each */
    NATIVE_SERIES_COUNT_MAX = 65536,    /* new series in one batch */
    NATIVE_HISTOGRAMS_COUNT_MAX = 65536,
    NATIVE_LABELS_COUNT_MAX = 32,    /* of one series */
    NATIVE_BUCKETS_COUNT_MAX = 1024, /* of one histogram point */
    NATIVE_SCALE_MIN = -10,
    NATIVE_SCALE_MAX = 20,
};

/* A column of a batch. An empty one reads as zeros without a branch: its mask makes every index 0. */
struct native_column32 {
    const uint32_t *values;
    size_t mask;
};

struct native_column64 {
    const uint64_t *values;
    size_t mask;
};

static inline uint32_t native_get32(struct native_column32 column, size_t i)
{
    return column.values[i & column.mask];
}

static inline uint64_t native_get64(struct native_column64 column, size_t i)
{
    return column.values[i & column.mask];
}

/* A batch as columns; an index below span_count is valid in each. */
struct native_spans {
    const Weft__V1__SpanBatch *batch;
    uint64_t sequence;
    uint32_t span_count;
    uint32_t dictionary_id_max; /* the largest dictionary id in the batch: one comparison tells that all are
                                   known */
    uint64_t base_time_unix_ns;
    const uint8_t *trace_ids;               /* NATIVE_TRACE_ID_BYTES each */
    const uint8_t *span_ids;                /* NATIVE_SPAN_ID_BYTES each */
    const uint8_t *parent_ids;              /* or NULL: none has a parent */
    struct native_column64 start_offset_ns; /* int64_t as uint64_t: native_start_unix_ns */
    struct native_column64 duration_ns;
    struct native_column32 reporter, source, source_namespace, destination, destination_namespace, route,
        method;
    struct native_column32 protocol, response_code, grpc_status, attempts;
    struct native_column64 response_flags, request_bytes, response_bytes, sampling_threshold;
};

/*
 * All functions: 0, or a negative code with *ret_error filled (record: index of the concerned element, or
 * none). WERR_NOMEM means that the arena is full, which is no fault of the sender's; all other codes mean
 * that the payload is refused whole.
 */

/* WERR_INVALID when span_count and the columns' lengths contradict each other, or without a sequence. No span
 * is fine. */
int native_decode_spans(struct slice payload, struct arena *arena, struct native_spans *ret_spans,
    struct decode_error *ret_error);

/* Counters and gauges have as many series as values, label keys as many as label values; counts are within
 * the limits. */
int native_decode_metrics(struct slice payload, struct arena *arena, Weft__V1__MetricBatch **ret_batch,
    struct decode_error *ret_error);

/* Entries are UTF-8; at most entries_count_max of them. first_id is not judged. */
int native_decode_dictionary(struct slice payload, uint32_t entries_count_max, struct arena *arena,
    Weft__V1__Dictionary **ret_dictionary, struct decode_error *ret_error);

/* The instance id has its length and is not zero, texts are UTF-8 and short. WERR_UNSUPPORTED: another
 * version. */
int native_decode_hello(
    struct slice payload, struct arena *arena, Weft__V1__Hello **ret_hello, struct decode_error *ret_error);

int native_decode_stats(struct slice payload, struct arena *arena, Weft__V1__ClientStats **ret_stats,
    struct decode_error *ret_error);

/* What a span's record is measured against. */
struct native_check {
    uint64_t now_unix_ns;
    uint64_t time_skew_ns;
    uint32_t dictionary_count; /* ids below this are known; 0 always is */
};

/* Start of span i; meaningless (wrapped) when native_span_check says RECORD_ERROR_TIME. */
static inline uint64_t native_start_unix_ns(const struct native_spans *spans, size_t i)
{
    return spans->base_time_unix_ns + native_get64(spans->start_offset_ns, i);
}

/*
 * Why span i is refused, or RECORD_ERROR_NONE. Only *ret_field is told besides, and only of a refused one. A
 * span of no trace (all-zero trace id) is fine; one of a trace needs a span id.
 */
enum record_error native_span_check(
    const struct native_spans *spans, size_t i, const struct native_check *check, const char **ret_field);

/* The same for metric points: finite values, counters not below zero, scale and sum sane. Series ids are not
 * judged. */
enum record_error native_counter_check(double value, const char **ret_field);
enum record_error native_histogram_check(const Weft__V1__HistogramPoint *point, const char **ret_field);

#endif
