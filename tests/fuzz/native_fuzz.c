/*
 * Native payloads on arbitrary bytes. The first byte chooses the payload and, with bit 4, a small arena. Of
 * what decodes, every column is read to its end and every record is checked. Sound spans are encoded to OTLP,
 * and what comes out is read back: as many spans, none of them refused.
 */
#include "fuzz.h"

#include "decode/native.h"
#include "decode/native_logs.h"
#include "decode/otlp_encode.h"
#include "decode/otlp_trace.h"
#include "decode/utf8.h"

enum {
    FUZZ_ARENA_CHUNK_BYTES = 1 << 16,
    FUZZ_ARENA_BYTES_MAX = 1 << 26,
    FUZZ_ARENA_BYTES_SMALL = 4096,
    FUZZ_OUTPUT_BYTES_SMALL = 700
};
enum { FUZZ_HELLO, FUZZ_DICTIONARY, FUZZ_SPANS, FUZZ_METRICS, FUZZ_STATS, FUZZ_LOGS, FUZZ_SMALL_ARENA = 16 };

#define FUZZ_NOW_UNIX_NS 1700000000000000000ull
#define FUZZ_SKEW_NS 86400000000000ull

/* Returns a sum over everything, so that every read happens. */
static uint64_t read_spans(const struct native_spans *spans)
{
    struct native_check check = {
        .now_unix_ns = FUZZ_NOW_UNIX_NS, .time_skew_ns = FUZZ_SKEW_NS, .dictionary_count = 100};
    const char *field = NULL;
    uint64_t sum = 0;

    for (uint32_t i = 0; i < spans->span_count; i++) {
        enum record_error reason = native_span_check(spans, i, &check, &field);
        FUZZ_CHECK(reason < RECORD_ERROR_COUNT && (reason == RECORD_ERROR_NONE || field != NULL));
        if (reason == RECORD_ERROR_NONE) {
            uint64_t start_unix_ns = native_start_unix_ns(spans, i);
            FUZZ_CHECK(start_unix_ns + native_get64(spans->duration_ns, i) >= start_unix_ns);
            FUZZ_CHECK(native_get32(spans->route, i) < check.dictionary_count);
        }
        sum += native_get64(spans->response_flags, i) + native_get64(spans->request_bytes, i) +
               native_get64(spans->response_bytes, i) + native_get32(spans->attempts, i) +
               spans->trace_ids[i * NATIVE_TRACE_ID_BYTES + NATIVE_TRACE_ID_BYTES - 1] +
               (spans->parent_ids != NULL ? spans->parent_ids[i * NATIVE_SPAN_ID_BYTES + 7] : 0);
    }
    return sum;
}

static void ignore_span(void *user, const struct span *span, uint32_t record)
{
    (void)user;
    (void)span;
    (void)record;
}

static void ignore_refused(void *user, const struct decode_error *where)
{
    (void)user;
    (void)where;
}

static void check_encoded(struct slice message, uint32_t spans_count)
{
    static const struct otlp_trace_sink sink = {.on_span = ignore_span, .on_refused = ignore_refused};
    struct limits limits;
    struct redaction redaction;
    struct otlp_trace_scanner scanner;
    struct otlp_trace_result result;
    struct decode_error error;

    limits_init(&limits);
    redaction_init_default(&redaction);
    otlp_trace_scanner_init(&scanner, &limits, &redaction);
    scanner.time_skew_ns = UINT64_MAX;
    FUZZ_CHECK(otlp_trace_scan(&scanner, NULL, message, FUZZ_NOW_UNIX_NS, &sink, &result, &error) == 0);
    FUZZ_CHECK(result.spans_count == spans_count && result.refused_count == 0);
}

/* A text for a dictionary id: enough of them that groups change. */
static struct slice text_of(uint32_t id)
{
    static const char *const texts[] = {"", "reviews", "caf\xc3\xa9", "/a/{id}", "/shop.Cart/Add"};

    return slice_of_string(texts[id % (sizeof texts / sizeof *texts)]);
}

static struct slice protocol_of(uint32_t protocol)
{
    static const char *const texts[] = {"", "http1", "http2", "http3", "grpc", "tcp"};

    return slice_of_string(texts[protocol % (sizeof texts / sizeof *texts)]);
}

static void encode_spans(const struct native_spans *spans, size_t cap_bytes)
{
    struct native_check check = {
        .now_unix_ns = FUZZ_NOW_UNIX_NS, .time_skew_ns = FUZZ_SKEW_NS, .dictionary_count = 100};
    struct buffer out;
    struct otlp_encoder encoder;
    const char *field = NULL;
    uint32_t encoded_count = 0;

    buffer_init(&out, cap_bytes);
    otlp_encode_begin(&encoder, &out);
    for (uint32_t i = 0; i < spans->span_count; i++) {
        if (native_span_check(spans, i, &check, &field) != RECORD_ERROR_NONE) {
            continue;
        }
        struct otlp_encode_span span = {
            .reporter = (enum otlp_encode_reporter)(native_get32(spans->reporter, i) % 3),
            .source = text_of(native_get32(spans->source, i)),
            .source_namespace = text_of(native_get32(spans->source_namespace, i)),
            .destination = text_of(native_get32(spans->destination, i)),
            .destination_namespace = text_of(native_get32(spans->destination_namespace, i)),
            .route = text_of(native_get32(spans->route, i)),
            .method = text_of(native_get32(spans->method, i)),
            .protocol = protocol_of(native_get32(spans->protocol, i)),
            .response_code = native_get32(spans->response_code, i),
            .grpc_status = (int32_t)native_get32(spans->grpc_status, i) - 1,
            .response_flags = native_get64(spans->response_flags, i),
            .attempts = native_get32(spans->attempts, i),
            .request_bytes = native_get64(spans->request_bytes, i),
            .response_bytes = native_get64(spans->response_bytes, i),
            .start_unix_ns = native_start_unix_ns(spans, i),
            .duration_ns = native_get64(spans->duration_ns, i),
            .sampling_threshold = native_get64(spans->sampling_threshold, i),
            .trace_id = spans->trace_ids + (size_t)i * NATIVE_TRACE_ID_BYTES,
            .span_id = spans->span_ids + (size_t)i * NATIVE_SPAN_ID_BYTES,
            .parent_id =
                spans->parent_ids != NULL ? spans->parent_ids + (size_t)i * NATIVE_SPAN_ID_BYTES : NULL,
        };
        encoded_count += otlp_encode_span(&encoder, &span) > 0;
    }
    FUZZ_CHECK(otlp_encode_end(&encoder) == encoded_count);
    check_encoded(slice_of(out.data, out.length), encoded_count);
    buffer_deinit(&out);
}

static void read_metrics(const Weft__V1__MetricBatch *batch)
{
    const char *field = NULL;

    FUZZ_CHECK(batch->n_counter_series == batch->n_counter_values);
    FUZZ_CHECK(batch->n_gauge_series == batch->n_gauge_values);
    for (size_t i = 0; i < batch->n_series; i++) {
        FUZZ_CHECK(batch->series[i]->n_label_keys == batch->series[i]->n_label_values);
    }
    for (size_t i = 0; i < batch->n_counter_values; i++) {
        (void)native_counter_check(batch->counter_values[i], &field);
    }
    for (size_t i = 0; i < batch->n_histograms; i++) {
        FUZZ_CHECK(batch->histograms[i]->n_buckets <= NATIVE_BUCKETS_COUNT_MAX);
        (void)native_histogram_check(batch->histograms[i], &field);
    }
}

/* Sound records are written as OTLP, in room that may be too small. */
static void read_logs(const struct native_logs *logs)
{
    static struct attribute_table table;
    struct native_check check = {.now_unix_ns = FUZZ_NOW_UNIX_NS, .time_skew_ns = FUZZ_SKEW_NS};
    struct native_log_attributes attributes = {0};
    struct redaction redaction;
    struct buffer out;
    const char *field = NULL;

    redaction_init_default(&redaction);
    attribute_table_init(&table, &redaction, 16);
    buffer_init(&out, FUZZ_OUTPUT_BYTES_SMALL * 16);
    for (uint32_t i = 0; i < logs->log_count; i++) {
        attributes.count = native_get32(logs->attribute_count, i);
        enum record_error reason = native_log_check(logs, i, attributes, &check, &field);
        FUZZ_CHECK(reason == RECORD_ERROR_NONE || field != NULL);
        if (reason == RECORD_ERROR_NONE) {
            native_log_encode(logs, i, attributes, &table, FUZZ_NOW_UNIX_NS, &out);
        }
        attributes.first += attributes.count;
        FUZZ_CHECK(attributes.first <= logs->batch->n_attribute_keys);
    }
    buffer_deinit(&out);
}

static int decode(uint8_t kind, struct slice payload, struct arena *arena, struct decode_error *error)
{
    struct native_spans spans;
    Weft__V1__Hello *hello = NULL;
    Weft__V1__Dictionary *dictionary = NULL;
    Weft__V1__MetricBatch *metrics = NULL;
    Weft__V1__ClientStats *stats = NULL;
    struct native_logs logs;
    int status;

    switch (kind) {
    case FUZZ_HELLO:
        status = native_decode_hello(payload, arena, &hello, error);
        FUZZ_CHECK(status != 0 || hello->instance_id.len == NATIVE_INSTANCE_ID_BYTES);
        return status;
    case FUZZ_DICTIONARY:
        status = native_decode_dictionary(payload, 64, arena, &dictionary, error);
        FUZZ_CHECK(status != 0 || dictionary->n_entries <= 64);
        return status;
    case FUZZ_SPANS:
        status = native_decode_spans(payload, arena, &spans, error);
        if (status == 0) {
            FUZZ_CHECK(read_spans(&spans) < UINT64_MAX || spans.span_count > 0);
            encode_spans(&spans,
                arena->cap_bytes < FUZZ_ARENA_BYTES_MAX ? FUZZ_OUTPUT_BYTES_SMALL : FUZZ_ARENA_BYTES_MAX);
        }
        return status;
    case FUZZ_METRICS:
        status = native_decode_metrics(payload, arena, &metrics, error);
        if (status == 0) {
            read_metrics(metrics);
        }
        return status;
    case FUZZ_LOGS:
        status = native_decode_logs(payload, arena, &logs, error);
        if (status == 0) {
            read_logs(&logs);
        }
        return status;
    default:
        return native_decode_stats(payload, arena, &stats, error);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct decode_error error;
    char text[DECODE_ERROR_TEXT_BYTES];

    if (size == 0) {
        return 0;
    }
    bool small = (data[0] & FUZZ_SMALL_ARENA) != 0;
    arena_init(
        &arena, small ? 256 : FUZZ_ARENA_CHUNK_BYTES, small ? FUZZ_ARENA_BYTES_SMALL : FUZZ_ARENA_BYTES_MAX);
    if (decode(data[0] & 15, slice_of(data + 1, size - 1), &arena, &error) < 0) {
        FUZZ_CHECK(decode_error_format(&error, text, sizeof text) > 0);
    }
    arena_deinit(&arena);
    return 0;
}
