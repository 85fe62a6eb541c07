/* Native payloads: good ones come back, contradictory ones are refused whole, bad records one by one. */
#include "testing.h"

#include <math.h>

#include "decode/native.h"

enum { COUNT = 4, ARENA_CHUNK_BYTES = 65536, ARENA_BYTES_MAX = 1 << 22 };

/* A good batch of COUNT spans; everything points into static arrays that each call fills anew. */
static Weft__V1__SpanBatch good_batch(void)
{
    static uint8_t ids[COUNT * 16];
    static int64_t offsets[COUNT];
    static uint64_t durations[COUNT];
    static uint32_t reporters[COUNT];
    static uint32_t names[COUNT];
    Weft__V1__SpanBatch batch = WEFT__V1__SPAN_BATCH__INIT;

    for (uint32_t i = 0; i < COUNT; i++) {
        memset(ids + i * 16, (int)i + 1, 16);
        offsets[i] = -(int64_t)i * 1000;
        durations[i] = 1000000 + i;
        reporters[i] = 1 + i % 3;
        names[i] = i;
    }
    batch.sequence = 9;
    batch.span_count = COUNT;
    batch.base_time_unix_ns = TEST_NOW_UNIX_NS;
    batch.trace_ids = (ProtobufCBinaryData){.len = COUNT * 16, .data = ids};
    batch.span_ids = (ProtobufCBinaryData){.len = COUNT * 8, .data = ids};
    batch.n_start_offset_ns = batch.n_duration_ns = batch.n_reporter = batch.n_source = COUNT;
    batch.start_offset_ns = offsets;
    batch.duration_ns = durations;
    batch.reporter = reporters;
    batch.source = names;
    return batch;
}

static uint8_t *pack(const Weft__V1__SpanBatch *batch, size_t *ret_length)
{
    size_t length = weft__v1__span_batch__get_packed_size(batch);
    uint8_t *payload = malloc(length + 1);

    assert_non_null(payload);
    assert_int_equal(weft__v1__span_batch__pack(batch, payload), length);
    *ret_length = length;
    return payload;
}

static int decode(const Weft__V1__SpanBatch *batch, struct arena *arena, struct native_spans *spans,
    struct decode_error *error)
{
    size_t length;
    uint8_t *payload = pack(batch, &length);
    int status = native_decode_spans(slice_of(payload, length), arena, spans, error);

    free(payload);
    return status;
}

static int setup(void **state)
{
    struct arena *arena = malloc(sizeof *arena);

    assert_non_null(arena);
    arena_init(arena, ARENA_CHUNK_BYTES, ARENA_BYTES_MAX);
    *state = arena;
    return 0;
}

static int teardown(void **state)
{
    arena_deinit(*state);
    free(*state);
    return 0;
}

static const struct native_check good_check = {
    .now_unix_ns = TEST_NOW_UNIX_NS, .time_skew_ns = 3600000000000ull, .dictionary_count = COUNT};

static void a_good_batch_comes_back(void **state)
{
    Weft__V1__SpanBatch batch = good_batch();
    struct native_spans spans;
    struct decode_error error;
    const char *field = NULL;

    assert_int_equal(decode(&batch, *state, &spans, &error), 0);
    assert_int_equal(spans.sequence, 9);
    assert_int_equal(spans.span_count, COUNT);
    assert_int_equal(spans.dictionary_id_max, COUNT - 1);
    assert_null(spans.parent_ids);
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_true(native_start_unix_ns(&spans, i) == TEST_NOW_UNIX_NS - i * 1000ull);
        assert_true(native_get64(spans.duration_ns, i) == 1000000 + i);
        assert_int_equal(native_get32(spans.source, i), i);
        assert_int_equal(native_get32(spans.route, i), 0); /* an empty column */
        assert_int_equal(native_get64(spans.response_bytes, i), 0);
        assert_int_equal(spans.trace_ids[i * 16], i + 1);
        assert_int_equal(native_span_check(&spans, i, &good_check, &field), RECORD_ERROR_NONE);
    }
    assert_null(field);
}

static void an_empty_batch_is_fine_and_one_without_sequence_is_not(void **state)
{
    Weft__V1__SpanBatch batch = WEFT__V1__SPAN_BATCH__INIT;
    struct native_spans spans;
    struct decode_error error;

    batch.sequence = 1;
    assert_int_equal(decode(&batch, *state, &spans, &error), 0);
    assert_int_equal(spans.span_count, 0);
    batch.sequence = 0;
    assert_int_equal(decode(&batch, *state, &spans, &error), WERR_INVALID);
    assert_string_equal(error.field, "sequence");
}

static void columns_must_fit_the_count(void **state)
{
    struct native_spans spans;
    struct decode_error error;
    static uint32_t two_bytes[COUNT] = {200, 200, 200, 200};

    Weft__V1__SpanBatch batch = good_batch();
    batch.span_count = COUNT + 1;
    assert_int_equal(decode(&batch, *state, &spans, &error), WERR_INVALID);
    assert_string_equal(error.field, "trace_ids");
    batch = good_batch();
    batch.trace_ids.len--;
    assert_int_equal(decode(&batch, *state, &spans, &error), WERR_INVALID);
    assert_string_equal(error.field, "trace_ids");
    batch = good_batch();
    batch.span_ids.len += 8;
    assert_int_equal(decode(&batch, *state, &spans, &error), WERR_INVALID);
    assert_string_equal(error.field, "span_ids");
    batch = good_batch();
    batch.parent_ids = (ProtobufCBinaryData){.len = 8, .data = batch.span_ids.data};
    assert_int_equal(decode(&batch, *state, &spans, &error), WERR_INVALID);
    assert_string_equal(error.field, "parent_ids");
    batch = good_batch();
    batch.n_reporter = COUNT - 1;
    assert_int_equal(decode(&batch, *state, &spans, &error), WERR_INVALID);
    assert_string_equal(error.field, "reporter");
    batch = good_batch(); /* two values of two bytes: enough bytes, not enough values */
    batch.response_code = two_bytes;
    batch.n_response_code = 2;
    assert_int_equal(decode(&batch, *state, &spans, &error), WERR_INVALID);
    assert_string_equal(error.field, "response_code");
    batch = good_batch();
    batch.parent_ids = batch.span_ids;
    assert_int_equal(decode(&batch, *state, &spans, &error), 0);
    assert_non_null(spans.parent_ids);
}

static void truncated_at_every_byte(void **state)
{
    Weft__V1__SpanBatch batch = good_batch();
    struct native_spans spans;
    struct decode_error error;
    size_t length;
    uint8_t *payload = pack(&batch, &length);

    for (size_t cut = 0; cut < length; cut++) {
        uint8_t *copy = malloc(cut + 1);
        assert_non_null(copy);
        memcpy(copy, payload, cut);
        arena_reset(*state);
        int status = native_decode_spans(slice_of(copy, cut), *state, &spans, &error);
        if (status == 0) { /* cut between columns: those that are left are whole */
            assert_true(spans.span_count == COUNT || cut <= 2); /* in front of the count only the sequence */
        } else {
            assert_int_not_equal(error.code, 0);
        }
        free(copy);
    }
    free(payload);
}

static void wire_types_and_unknown_fields(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
        int status;
    } rows[] = {
        {"\x08\x01", 2, 0}, {"\x08\x01\xf8\x07\x05", 5, 0}, /* field 127 is of tomorrow */
        {"\x08\x01\xfa\x07\x01x", 6, 0},
        {"\x09\1\1\1\1\1\1\1\1", 9, WERR_WIRE_TYPE}, /* sequence as fixed64 */
        {"\x08\x01\x20\x01", 4, WERR_WIRE_TYPE},     /* trace_ids as a number */
        {"\x08\x01\x39\1\1\1\1\1\1\1\1", 11, WERR_WIRE_TYPE},
        {"\x08\x01\x3a\x01\x80", 5, WERR_INVALID}, /* a column for no span */
        {"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 12, WERR_VARINT}, {"\x0b", 1, WERR_WIRE_TYPE},
        {"\x08\x01\x10\xff\xff\xff\xff\x1f", 8, WERR_INVALID}, /* span_count above 32 bits */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct native_spans spans;
        struct decode_error error;
        arena_reset(*state);
        int status = native_decode_spans(slice_of(rows[i].bytes, rows[i].length), *state, &spans, &error);
        if (status != rows[i].status) {
            fail_msg("row %zu: %s", i, werr_name(status));
        }
    }
}

static void a_full_arena_is_not_the_senders_fault(void **state)
{
    (void)state;
    Weft__V1__SpanBatch batch = good_batch();
    struct native_spans spans;
    struct decode_error error;
    struct arena arena;

    arena_init(&arena, 256, 512);
    assert_int_equal(decode(&batch, &arena, &spans, &error), WERR_NOMEM);
    arena_deinit(&arena);
}

static void expect_refusal(
    void **state, const Weft__V1__SpanBatch *batch, enum record_error reason, const char *name)
{
    struct native_spans spans;
    struct decode_error error;
    const char *field = "";

    arena_reset(*state);
    assert_int_equal(decode(batch, *state, &spans, &error), 0);
    assert_int_equal(native_span_check(&spans, 0, &good_check, &field), RECORD_ERROR_NONE);
    assert_int_equal(native_span_check(&spans, 1, &good_check, &field), reason);
    assert_string_equal(field, name);
    assert_int_equal(native_span_check(&spans, 2, &good_check, &field), RECORD_ERROR_NONE);
}

static void bad_records_are_refused_one_by_one(void **state)
{
    static uint32_t column[COUNT];
    static uint64_t column64[COUNT];

    Weft__V1__SpanBatch batch = good_batch();
    memset(batch.span_ids.data + 8, 0, 8); /* trace ids share these bytes, and keep some */
    expect_refusal(state, &batch, RECORD_ERROR_SPAN_ID, "span_ids");
    const int64_t offsets[] = {INT64_MAX, INT64_MIN, 3600000000000ll, -3600000000001ll};
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        batch = good_batch();
        batch.start_offset_ns[1] = offsets[i];
        expect_refusal(state, &batch, RECORD_ERROR_TIME, "start_offset_ns");
    }
    batch = good_batch();
    batch.duration_ns[1] = UINT64_MAX;
    expect_refusal(state, &batch, RECORD_ERROR_TIME, "start_offset_ns");
    const uint32_t reporters[] = {0, 4, UINT32_MAX};
    for (size_t i = 0; i < sizeof reporters / sizeof reporters[0]; i++) {
        batch = good_batch();
        batch.reporter[1] = reporters[i];
        expect_refusal(state, &batch, RECORD_ERROR_MALFORMED, "reporter");
    }
    batch = good_batch();
    batch.source[1] = COUNT;
    expect_refusal(state, &batch, RECORD_ERROR_DICTIONARY, "source");
    const struct {
        uint32_t value;
        const char *name;
        uint32_t **values;
        size_t *count;
    } numbers[] = {{6, "protocol", &batch.protocol, &batch.n_protocol},
        {1000, "response_code", &batch.response_code, &batch.n_response_code},
        {18, "grpc_status", &batch.grpc_status, &batch.n_grpc_status}};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        batch = good_batch();
        memset(column, 0, sizeof column);
        column[1] = numbers[i].value;
        *numbers[i].values = column;
        *numbers[i].count = COUNT;
        expect_refusal(state, &batch, RECORD_ERROR_MALFORMED, numbers[i].name);
        column[1]--;
        struct native_spans spans;
        struct decode_error error;
        const char *field = "";
        assert_int_equal(decode(&batch, *state, &spans, &error), 0);
        assert_int_equal(native_span_check(&spans, 1, &good_check, &field), RECORD_ERROR_NONE);
    }
    batch = good_batch();
    batch.sampling_threshold = column64;
    batch.n_sampling_threshold = COUNT;
    column64[1] = 1ull << 56;
    expect_refusal(state, &batch, RECORD_ERROR_MALFORMED, "sampling_threshold");
}

static void a_span_of_no_trace_is_fine(void **state)
{
    Weft__V1__SpanBatch batch = good_batch();
    struct native_spans spans;
    struct decode_error error;
    const char *field = NULL;

    memset(batch.trace_ids.data, 0, batch.trace_ids.len);
    assert_int_equal(decode(&batch, *state, &spans, &error), 0);
    assert_int_equal(native_span_check(&spans, 0, &good_check, &field), RECORD_ERROR_NONE);
}

static int decode_metrics(Weft__V1__MetricBatch *batch, struct arena *arena,
    Weft__V1__MetricBatch **ret_batch, struct decode_error *error)
{
    size_t length = weft__v1__metric_batch__get_packed_size(batch);
    uint8_t *payload = malloc(length + 1);

    assert_non_null(payload);
    (void)weft__v1__metric_batch__pack(batch, payload);
    int status = native_decode_metrics(slice_of(payload, length), arena, ret_batch, error);
    free(payload);
    return status;
}

static void metric_batches(void **state)
{
    Weft__V1__MetricBatch batch = WEFT__V1__METRIC_BATCH__INIT;
    Weft__V1__MetricBatch *back = NULL;
    Weft__V1__Series series = WEFT__V1__SERIES__INIT;
    Weft__V1__HistogramPoint point = WEFT__V1__HISTOGRAM_POINT__INIT;
    Weft__V1__Series *all_series[] = {&series, &series};
    Weft__V1__HistogramPoint *points[] = {&point, &point};
    static uint32_t ids[NATIVE_LABELS_COUNT_MAX + 1] = {1, 2, 3};
    static double values[] = {1.5, 2.5};
    static uint64_t buckets[NATIVE_BUCKETS_COUNT_MAX + 1] = {1, 2};
    struct decode_error error;

    series.id = 1;
    series.n_label_keys = series.n_label_values = 2;
    series.label_keys = series.label_values = ids;
    point.buckets = buckets;
    point.n_buckets = NATIVE_BUCKETS_COUNT_MAX;
    batch.series = all_series;
    batch.n_series = 2;
    batch.histograms = points;
    batch.n_histograms = 2;
    batch.counter_series = batch.gauge_series = ids;
    batch.counter_values = batch.gauge_values = values;
    batch.n_counter_series = batch.n_counter_values = batch.n_gauge_series = batch.n_gauge_values = 2;
    assert_int_equal(decode_metrics(&batch, *state, &back, &error), 0);
    assert_int_equal(back->n_series, 2);
    assert_true(back->counter_values[1] == 2.5);
    batch.n_counter_values = 1;
    assert_int_equal(decode_metrics(&batch, *state, &back, &error), WERR_INVALID);
    assert_string_equal(error.field, "counter_values");
    batch.n_counter_values = 2;
    batch.n_gauge_series = 0;
    assert_int_equal(decode_metrics(&batch, *state, &back, &error), WERR_INVALID);
    assert_string_equal(error.field, "gauge_values");
    batch.n_gauge_series = 2;
    series.n_label_keys = 1;
    assert_int_equal(decode_metrics(&batch, *state, &back, &error), WERR_INVALID);
    assert_string_equal(error.field, "series.label_values");
    assert_int_equal(error.record, 0);
    series.n_label_keys = series.n_label_values = NATIVE_LABELS_COUNT_MAX + 1;
    assert_int_not_equal(decode_metrics(&batch, *state, &back, &error), 0);
    series.n_label_keys = series.n_label_values = 0;
    point.n_buckets = NATIVE_BUCKETS_COUNT_MAX + 1;
    assert_int_equal(decode_metrics(&batch, *state, &back, &error), WERR_OVERSIZED);
    assert_string_equal(error.field, "histograms.buckets");
}

static void damage_inside_a_series_says_which(void **state)
{
    Weft__V1__MetricBatch *batch = NULL;
    struct decode_error error;
    char text[DECODE_ERROR_TEXT_BYTES];

    assert_int_equal(
        native_decode_metrics(SLICE_LITERAL("\x1a\x02\x08\x01\x1a\x02\x0a\x00"), *state, &batch, &error),
        WERR_WIRE_TYPE);
    assert_int_equal(error.record, 1);
    (void)decode_error_format(&error, text, sizeof text);
    assert_string_equal(text, "record 1, series.id: wire type does not fit the field");
    assert_int_equal(decode_error_format(&error, text, 9), 8);
    assert_string_equal(text, "record 1");
    assert_int_equal(decode_error_format(&error, text, 0), 0);
}

/* Two bytes an element would unpack to fifty times that: the count has a limit of its own. */
static void too_many_series_are_refused_before_unpacking(void **state)
{
    struct buffer payload;
    Weft__V1__MetricBatch *batch = NULL;
    struct decode_error error;

    buffer_init(&payload, TEST_BYTES_MAX);
    for (uint32_t i = 0; i <= NATIVE_SERIES_COUNT_MAX; i++) {
        assert_int_equal(buffer_append(&payload, "\x1a\x00", 2), 0);
    }
    assert_int_equal(native_decode_metrics(test_slice(&payload), *state, &batch, &error), WERR_OVERSIZED);
    assert_string_equal(error.field, "series");
    buffer_deinit(&payload);
}

static void metric_points_are_checked(void **state)
{
    (void)state;
    Weft__V1__HistogramPoint point = WEFT__V1__HISTOGRAM_POINT__INIT;
    uint64_t buckets[] = {UINT64_MAX, 1};
    const char *field = "";

    assert_int_equal(native_counter_check(0, &field), RECORD_ERROR_NONE);
    assert_int_equal(native_counter_check(1e300, &field), RECORD_ERROR_NONE);
    assert_int_equal(native_counter_check(-1, &field), RECORD_ERROR_MALFORMED);
    assert_int_equal(native_counter_check(NAN, &field), RECORD_ERROR_MALFORMED);
    assert_int_equal(native_counter_check(INFINITY, &field), RECORD_ERROR_MALFORMED);
    assert_string_equal(field, "counter_values");
    point.scale = NATIVE_SCALE_MAX;
    point.buckets = buckets;
    point.n_buckets = 1;
    assert_int_equal(native_histogram_check(&point, &field), RECORD_ERROR_NONE);
    point.n_buckets = 2;
    assert_int_equal(native_histogram_check(&point, &field), RECORD_ERROR_MALFORMED);
    assert_string_equal(field, "histograms.buckets");
    point.n_buckets = 0;
    point.sum = NAN;
    assert_int_equal(native_histogram_check(&point, &field), RECORD_ERROR_MALFORMED);
    point.sum = 0;
    point.zero_threshold = -1;
    assert_int_equal(native_histogram_check(&point, &field), RECORD_ERROR_MALFORMED);
    point.zero_threshold = 0;
    point.offset = INT32_MAX;
    assert_int_equal(native_histogram_check(&point, &field), RECORD_ERROR_MALFORMED);
    point.offset = INT32_MIN;
    assert_int_equal(native_histogram_check(&point, &field), RECORD_ERROR_NONE);
    point.scale = NATIVE_SCALE_MAX + 1;
    assert_int_equal(native_histogram_check(&point, &field), RECORD_ERROR_MALFORMED);
    assert_string_equal(field, "histograms.scale");
}

static void dictionaries(void **state)
{
    Weft__V1__Dictionary *dictionary = NULL;
    struct decode_error error;
    struct slice good = SLICE_LITERAL("\x08\x01\x12\x03web\x12\x00\x12\x02\xc3\xa9");

    assert_int_equal(native_decode_dictionary(good, 3, *state, &dictionary, &error), 0);
    assert_int_equal(dictionary->first_id, 1);
    assert_int_equal(dictionary->n_entries, 3);
    assert_int_equal(native_decode_dictionary(good, 2, *state, &dictionary, &error), WERR_FULL);
    assert_int_equal(
        native_decode_dictionary(SLICE_LITERAL("\x12\x01x\x12\x01\xff"), 9, *state, &dictionary, &error),
        WERR_UTF8);
    assert_int_equal(error.record, 1);
    assert_int_equal(
        native_decode_dictionary(SLICE_LITERAL("\x12\x05x"), 9, *state, &dictionary, &error), WERR_TRUNCATED);
    assert_int_equal(
        native_decode_dictionary(SLICE_LITERAL("\x10\x05"), 9, *state, &dictionary, &error), WERR_WIRE_TYPE);
}

static void hellos(void **state)
{
    Weft__V1__Hello *hello = NULL;
    struct decode_error error;
    static char long_text[NATIVE_HELLO_TEXT_BYTES_MAX + 2];
    struct buffer payload;

#define HELLO_ID                                                                                             \
    "\x12\x10"                                                                                               \
    "0123456789abcdef"
    assert_int_equal(
        native_decode_hello(SLICE_LITERAL("\x08\x01" HELLO_ID "\x2a\x03web"), *state, &hello, &error), 0);
    assert_string_equal(hello->workload, "web");
    assert_int_equal(
        native_decode_hello(SLICE_LITERAL("\x08\x02" HELLO_ID), *state, &hello, &error), WERR_UNSUPPORTED);
    assert_int_equal(
        native_decode_hello(SLICE_LITERAL("\x08\x01\x12\x01x"), *state, &hello, &error), WERR_INVALID);
    assert_string_equal(error.field, "instance_id");
    assert_int_equal(native_decode_hello(SLICE_LITERAL("\x08\x01\x12\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
                         *state, &hello, &error),
        WERR_INVALID);
    assert_int_equal(
        native_decode_hello(SLICE_LITERAL("\x08\x01" HELLO_ID "\x22\x01\xff"), *state, &hello, &error),
        WERR_UTF8);
    assert_string_equal(error.field, "node");
    assert_int_equal(native_decode_hello(SLICE_LITERAL("\x0c"), *state, &hello, &error), WERR_WIRE_TYPE);
    buffer_init(&payload, TEST_BYTES_MAX);
    memset(long_text, 'x', NATIVE_HELLO_TEXT_BYTES_MAX + 1);
    (void)buffer_append_slice(&payload, SLICE_LITERAL("\x08\x01" HELLO_ID));
    wire_write_bytes(&payload, 6, slice_of_string(long_text));
    assert_int_equal(native_decode_hello(test_slice(&payload), *state, &hello, &error), WERR_OVERSIZED);
    assert_string_equal(error.field, "workload_namespace");
    buffer_deinit(&payload);
}

static void stats(void **state)
{
    Weft__V1__ClientStats *client_stats = NULL;
    struct decode_error error;

    assert_int_equal(
        native_decode_stats(SLICE_LITERAL("\x08\x05\x10\x07"), *state, &client_stats, &error), 0);
    assert_int_equal(client_stats->dropped_spans, 5);
    assert_int_equal(client_stats->dropped_points, 7);
    assert_int_equal(
        native_decode_stats(SLICE_LITERAL("\x08"), *state, &client_stats, &error), WERR_TRUNCATED);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_good_batch_comes_back),
        TEST(an_empty_batch_is_fine_and_one_without_sequence_is_not),
        TEST(columns_must_fit_the_count),
        TEST(truncated_at_every_byte),
        TEST(wire_types_and_unknown_fields),
        TEST(a_full_arena_is_not_the_senders_fault),
        TEST(bad_records_are_refused_one_by_one),
        TEST(a_span_of_no_trace_is_fine),
        TEST(metric_batches),
        TEST(damage_inside_a_series_says_which),
        TEST(too_many_series_are_refused_before_unpacking),
        TEST(metric_points_are_checked),
        TEST(dictionaries),
        TEST(hellos),
        TEST(stats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
