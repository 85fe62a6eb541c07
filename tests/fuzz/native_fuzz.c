/*
 * Native payloads on arbitrary bytes. The first byte chooses the payload and, with bit 4, a small arena. Of
 * what decodes, every column is read to its end and every record is checked.
 */
#include "fuzz.h"

#include "decode/native.h"
#include "decode/utf8.h"

enum { FUZZ_ARENA_CHUNK_BYTES = 1 << 16, FUZZ_ARENA_BYTES_MAX = 1 << 26, FUZZ_ARENA_BYTES_SMALL = 4096 };
enum { FUZZ_HELLO, FUZZ_DICTIONARY, FUZZ_SPANS, FUZZ_METRICS, FUZZ_STATS, FUZZ_SMALL_ARENA = 16 };

#define FUZZ_NOW_UNIX_NS 1700000000000000000ull

/* Returns a sum over everything, so that every read happens. */
static uint64_t read_spans(const struct native_spans *spans)
{
    struct native_check check = {
        .now_unix_ns = FUZZ_NOW_UNIX_NS, .time_skew_ns = 86400000000000ull, .dictionary_count = 100};
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

static int decode(uint8_t kind, struct slice payload, struct arena *arena, struct decode_error *error)
{
    struct native_spans spans;
    Weft__V1__Hello *hello = NULL;
    Weft__V1__Dictionary *dictionary = NULL;
    Weft__V1__MetricBatch *metrics = NULL;
    Weft__V1__ClientStats *stats = NULL;
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
        }
        return status;
    case FUZZ_METRICS:
        status = native_decode_metrics(payload, arena, &metrics, error);
        if (status == 0) {
            read_metrics(metrics);
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
