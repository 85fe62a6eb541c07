/*
 * OTLP/JSON to protobuf: every field of every message, unpacked by protobuf-c; what is left out, what is
 * invalid; and what the JavaScript SDK sent.
 */
#include <math.h>

#include "json_otlp_testing.h"

#include "decode/otlp_json.h"

struct transcoded {
    struct buffer bytes;
    struct decode_error error;
    int status;
};

static void transcode(struct transcoded *t, enum otlp_json_request request, struct slice text)
{
    memset(t, 0, sizeof *t);
    buffer_init(&t->bytes, JSON_OTLP_BYTES_MAX(text.length));
    t->status = otlp_json_to_protobuf(text, request, DEPTH_MAX, &t->bytes, &t->error);
}

static Otlp__Span *span_of(
    struct transcoded *t, const char *members, Otlp__ExportTraceServiceRequest **ret_request)
{
    char text[4096];

    (void)snprintf(text, sizeof text, "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{%s}]}]}]}", members);
    transcode(t, OTLP_JSON_TRACES, slice_of_string(text));
    assert_int_equal(t->status, 0);
    *ret_request = otlp__export_trace_service_request__unpack(NULL, t->bytes.length, t->bytes.data);
    assert_non_null(*ret_request);
    return (*ret_request)->resource_spans[0]->scope_spans[0]->spans[0];
}

static void every_field_of_a_span(void **state)
{
    (void)state;
    struct transcoded t;
    Otlp__ExportTraceServiceRequest *request;
    Otlp__Span *span = span_of(&t,
        "\"traceId\":\"0102030405060708090A0B0C0d0e0f10\",\"spanId\":\"15161718191a1b1c\",\"traceState\":\"a="
        "b\","
        "\"parentSpanId\":\"00000000000000ff\",\"name\":\"n\\u00e4\",\"kind\":3,\"startTimeUnixNano\":"
        "\"1700000000000000000\","
        "\"endTimeUnixNano\":1700000000000000001,\"droppedAttributesCount\":1,\"droppedEventsCount\":2,"
        "\"droppedLinksCount\":3,\"flags\":257,\"status\":{\"code\":\"STATUS_CODE_ERROR\",\"message\":\"m\"},"
        "\"unknown\":[{\"a\":[null]}],\"events\":[{\"timeUnixNano\":\"5\",\"name\":\"e\",\"attributes\":[{"
        "\"key\":\"k\"}],"
        "\"droppedAttributesCount\":4}],\"links\":[{\"traceId\":\"ff\",\"spanId\":\"\",\"traceState\":\"c\","
        "\"attributes\":[],"
        "\"droppedAttributesCount\":5,\"flags\":6}],\"attributes\":["
        "{\"key\":\"s\",\"value\":{\"stringValue\":\"\"}},{\"key\":\"b\",\"value\":{\"boolValue\":false}},"
        "{\"key\":\"i\",\"value\":{\"intValue\":\"-9223372036854775808\"}},{\"key\":\"d\",\"value\":{"
        "\"doubleValue\":\"NaN\"}},"
        "{\"key\":\"y\",\"value\":{\"bytesValue\":\"AP8+\"}},{\"key\":\"a\",\"value\":{\"arrayValue\":{"
        "\"values\":[{},"
        "{\"kvlistValue\":{\"values\":[{\"key\":\"x\",\"value\":{\"intValue\":0}}]}}]}}}]",
        &request);

    assert_memory_equal(span->trace_id.data, test_trace_id, 16);
    assert_memory_equal(span->span_id.data, test_span_id, 8);
    assert_int_equal(span->parent_span_id.data[7], 255);
    assert_string_equal(span->trace_state, "a=b");
    assert_string_equal(span->name, "n\u00e4");
    assert_int_equal(span->kind, 3);
    assert_true(span->start_time_unix_nano == 1700000000000000000u);
    assert_true(span->end_time_unix_nano == 1700000000000000001u);
    assert_int_equal(span->dropped_attributes_count, 1);
    assert_int_equal(span->dropped_events_count, 2);
    assert_int_equal(span->dropped_links_count, 3);
    assert_int_equal(span->flags, 257);
    assert_int_equal(span->status->code, 2);
    assert_string_equal(span->status->message, "m");
    assert_int_equal(span->n_events, 1);
    assert_true(span->events[0]->time_unix_nano == 5);
    assert_string_equal(span->events[0]->attributes[0]->key, "k");
    assert_null(span->events[0]->attributes[0]->value);
    assert_int_equal(span->events[0]->dropped_attributes_count, 4);
    assert_int_equal(span->links[0]->trace_id.data[0], 255);
    assert_int_equal(span->links[0]->span_id.len, 0);
    assert_string_equal(span->links[0]->trace_state, "c");
    assert_int_equal(span->links[0]->flags, 6);
    assert_int_equal(attribute_of(span, "s")->value_case, OTLP__ANY_VALUE__VALUE_STRING_VALUE);
    assert_int_equal(attribute_of(span, "b")->value_case, OTLP__ANY_VALUE__VALUE_BOOL_VALUE);
    assert_true(attribute_of(span, "i")->int_value == INT64_MIN);
    assert_true(isnan(attribute_of(span, "d")->double_value));
    assert_int_equal(attribute_of(span, "y")->bytes_value.len, 3);
    assert_memory_equal(attribute_of(span, "y")->bytes_value.data, "\x00\xff\x3e", 3);
    Otlp__ArrayValue *array = attribute_of(span, "a")->array_value;
    assert_int_equal(array->n_values, 2);
    assert_int_equal(array->values[0]->value_case, OTLP__ANY_VALUE__VALUE__NOT_SET);
    assert_int_equal(
        array->values[1]->kvlist_value->values[0]->value->value_case, OTLP__ANY_VALUE__VALUE_INT_VALUE);
    otlp__export_trace_service_request__free_unpacked(request, NULL);
    buffer_deinit(&t.bytes);
}

/* What is not told is not written: the shortest form of a message is the one that all encoders write. */
static void defaults_are_left_out(void **state)
{
    (void)state;
    struct transcoded t;
    Otlp__ExportTraceServiceRequest *request;

    (void)span_of(&t,
        "\"traceId\":\"\",\"parentSpanId\":\"\",\"name\":\"\",\"kind\":0,\"kind\":\"SPAN_KIND_UNSPECIFIED\","
        "\"startTimeUnixNano\":\"0\",\"droppedAttributesCount\":0,\"flags\":0,\"spanId\":null,\"attributes\":"
        "[],\"events\":null",
        &request);
    static const uint8_t expected[] = {0x0a, 4, 0x12, 2, 0x12, 0};
    assert_int_equal(t.bytes.length, sizeof expected);
    assert_memory_equal(t.bytes.data, expected, sizeof expected);
    otlp__export_trace_service_request__free_unpacked(request, NULL);
    buffer_deinit(&t.bytes);
}

/* Ids that are none cost their own span: the scanner refuses what they become. */
static void bad_ids_are_left_to_the_scanner(void **state)
{
    (void)state;
    static const char *const ids[] = {"0102030405060708090a0b0c0d0e0f1", "0102",
        "zz02030405060708090a0b0c0d0e0f10", "0102030405060708090a0b0c0d0e0f1011",
        "00000000000000000000000000000000", ""};
    struct otlp_trace_scanner *scanner = test_scanner_new();

    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        char text[1024];
        struct transcoded t;
        struct test_seen seen;
        (void)snprintf(text, sizeof text,
            "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"traceId\":\"%s\",\"spanId\":"
            "\"15161718191a1b1c\","
            "\"startTimeUnixNano\":\"1700000000000000000\",\"endTimeUnixNano\":\"1700000000000000000\"},"
            "{\"traceId\":\"0102030405060708090a0b0c0d0e0f10\",\"spanId\":\"15161718191a1b1c\","
            "\"startTimeUnixNano\":\"1700000000000000000\",\"endTimeUnixNano\":\"1700000000000000000\"}]}]}]"
            "}",
            ids[i]);
        transcode(&t, OTLP_JSON_TRACES, slice_of_string(text));
        assert_int_equal(t.status, 0);
        test_scan(scanner, slice_of(t.bytes.data, t.bytes.length), &seen);
        assert_int_equal(seen.status, 0);
        assert_int_equal(seen.span_count, 1);
        assert_int_equal(seen.refused_count, 1);
        assert_int_equal(seen.refused[0].reason, RECORD_ERROR_TRACE_ID);
        buffer_deinit(&t.bytes);
    }
    free(scanner);
}

static void every_field_of_metrics(void **state)
{
    (void)state;
    struct transcoded t;

    transcode(&t, OTLP_JSON_METRICS,
        SLICE_LITERAL(
            "{\"resourceMetrics\":[{\"resource\":{\"attributes\":[{\"key\":\"r\",\"value\":{\"stringValue\":"
            "\"v\"}}],"
            "\"droppedAttributesCount\":1},\"schemaUrl\":\"u\",\"scopeMetrics\":[{\"schemaUrl\":\"w\","
            "\"scope\":{\"name\":\"s\","
            "\"version\":\"1\",\"attributes\":[],\"droppedAttributesCount\":2},\"metrics\":["
            "{\"name\":\"g\",\"description\":\"d\",\"unit\":\"s\",\"gauge\":{\"dataPoints\":[{\"asDouble\":0,"
            "\"timeUnixNano\":\"9\","
            "\"exemplars\":[{\"asInt\":\"-3\",\"timeUnixNano\":\"4\",\"traceId\":"
            "\"0102030405060708090a0b0c0d0e0f10\","
            "\"spanId\":\"15161718191a1b1c\",\"filteredAttributes\":[{\"key\":\"f\"}]}],\"flags\":1}]}},"
            "{\"name\":\"c\",\"sum\":{\"aggregationTemporality\":\"AGGREGATION_TEMPORALITY_DELTA\","
            "\"isMonotonic\":true,"
            "\"dataPoints\":[{\"asInt\":-5,\"startTimeUnixNano\":7,\"attributes\":[{\"key\":\"k\",\"value\":{"
            "\"intValue\":1}}]}]}},"
            "{\"name\":\"h\",\"histogram\":{\"aggregationTemporality\":2,\"dataPoints\":[{\"count\":\"3\","
            "\"sum\":0,\"min\":-0.5,"
            "\"max\":\"Infinity\",\"bucketCounts\":[\"1\",2,0],\"explicitBounds\":[0.5,1e1]}]}},"
            "{\"name\":\"e\",\"exponentialHistogram\":{\"dataPoints\":[{\"count\":6,\"sum\":1.5,\"scale\":-2,"
            "\"zeroCount\":\"1\","
            "\"zeroThreshold\":0.25,\"positive\":{\"offset\":-3,\"bucketCounts\":[\"2\",300]},\"negative\":{"
            "\"offset\":4}}]}},"
            "{\"name\":\"q\",\"summary\":{\"dataPoints\":[{\"count\":2,\"sum\":3,\"quantileValues\":[{"
            "\"quantile\":0.5,\"value\":"
            "\"-Infinity\"}]}]},\"metadata\":[{\"key\":\"m\"}]}]}]}]}"));
    assert_int_equal(t.status, 0);
    Otlp__ExportMetricsServiceRequest *request =
        otlp__export_metrics_service_request__unpack(NULL, t.bytes.length, t.bytes.data);
    assert_non_null(request);
    assert_int_equal(request->n_resource_metrics, 1);
    Otlp__ScopeMetrics *scope = request->resource_metrics[0]->scope_metrics[0];
    assert_string_equal(scope->scope->name, "s");
    assert_int_equal(scope->n_metrics, 5);
    Otlp__NumberDataPoint *gauge = scope->metrics[0]->gauge->data_points[0];
    assert_int_equal(gauge->value_case, OTLP__NUMBER_DATA_POINT__VALUE_AS_DOUBLE);
    assert_true(gauge->time_unix_nano == 9 && gauge->flags == 1);
    assert_true(gauge->exemplars[0]->as_int == -3);
    assert_memory_equal(gauge->exemplars[0]->trace_id.data, test_trace_id, 16);
    Otlp__Sum *sum = scope->metrics[1]->sum;
    assert_true(sum->aggregation_temporality == 1 && sum->is_monotonic);
    assert_true(sum->data_points[0]->as_int == -5 && sum->data_points[0]->start_time_unix_nano == 7);
    Otlp__HistogramDataPoint *histogram = scope->metrics[2]->histogram->data_points[0];
    assert_true(histogram->count == 3);
    assert_int_equal(histogram->n_bucket_counts, 3);
    assert_true(histogram->bucket_counts[0] == 1 && histogram->bucket_counts[1] == 2);
    assert_int_equal(histogram->n_explicit_bounds, 2);
    assert_true(histogram->explicit_bounds[1] > 9.9 && histogram->explicit_bounds[1] < 10.1);
    Otlp__ExponentialHistogramDataPoint *exponential =
        scope->metrics[3]->exponential_histogram->data_points[0];
    assert_true(exponential->scale == -2 && exponential->zero_count == 1 && exponential->count == 6);
    assert_true(exponential->positive->offset == -3 && exponential->positive->n_bucket_counts == 2);
    assert_true(exponential->positive->bucket_counts[1] == 300 && exponential->negative->offset == 4);
    otlp__export_metrics_service_request__free_unpacked(request, NULL);
    buffer_deinit(&t.bytes);
}

static void fields_of_a_log_record(void **state)
{
    (void)state;
    struct transcoded t;
    static const uint8_t record[] = {0x09, 5, 0, 0, 0, 0, 0, 0, 0, 0x10, 17, 0x1a, 1, 'E', 0x2a, 3, 0x0a, 1,
        'b', 0x32, 3, 0x0a, 1, 'k', 0x45, 1, 0, 0, 0, 0x4a, 2, 1, 2, 0x52, 1, 3, 0x59, 6, 0, 0, 0, 0, 0, 0, 0,
        0x62, 1, 'n'};
    /* {resource_logs {scope_logs {log_records}}} */
    static const uint8_t envelopes[] = {
        0x0a, sizeof record + 4, 0x12, sizeof record + 2, 0x12, sizeof record};

    transcode(&t, OTLP_JSON_LOGS,
        SLICE_LITERAL(
            "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"timeUnixNano\":\"5\",\"severityNumber\":"
            "\"SEVERITY_NUMBER_ERROR\",\"severityText\":\"E\",\"body\":{\"stringValue\":\"b\"},"
            "\"attributes\":[{\"key\":\"k\"}],"
            "\"flags\":1,\"traceId\":\"0102\",\"spanId\":\"03\",\"observedTimeUnixNano\":6,\"eventName\":"
            "\"n\"}]}]}]}"));
    assert_int_equal(t.status, 0);
    assert_int_equal(t.bytes.length, sizeof envelopes + sizeof record);
    assert_memory_equal(t.bytes.data, envelopes, sizeof envelopes);
    assert_memory_equal(t.bytes.data + sizeof envelopes, record, sizeof record);
    buffer_deinit(&t.bytes);
}

#define SPAN(members) "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{" members "}]}]}]}"
#define VALUE(member) SPAN("\"attributes\":[{\"value\":{" member "}}]")
#define METRIC(members) "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{" members "}]}]}]}"

static void what_is_invalid(void **state)
{
    (void)state;
    static const struct {
        enum otlp_json_request request;
        const char *text;
        int code;
        const char *field;
    } cases[] = {
        {OTLP_JSON_TRACES, "", WERR_TRUNCATED, "JSON"},
        {OTLP_JSON_TRACES, "[]", WERR_INVALID, "JSON"},
        {OTLP_JSON_TRACES, "{} x", WERR_INVALID, "JSON"},
        {OTLP_JSON_TRACES, "{\"resourceSpans\":{}}", WERR_INVALID, "resourceSpans"},
        {OTLP_JSON_TRACES, "{\"resourceSpans\":[1]}", WERR_INVALID, "resourceSpans"},
        {OTLP_JSON_TRACES, "{\"resourceSpans\":[{\"resource\":[]}]}", WERR_INVALID, "resource"},
        {OTLP_JSON_TRACES, "{\"resourceSpans\":[{}", WERR_TRUNCATED, "resourceSpans"},
        {OTLP_JSON_TRACES, "{\"x\":[}", WERR_INVALID, "JSON"},
        {OTLP_JSON_TRACES, SPAN("\"traceId\":1"), WERR_INVALID, "traceId"},
        {OTLP_JSON_TRACES, SPAN("\"name\":1"), WERR_INVALID, "name"},
        {OTLP_JSON_TRACES, SPAN("\"kind\":\"SERVER\""), WERR_INVALID, "kind"},
        {OTLP_JSON_TRACES, SPAN("\"kind\":true"), WERR_INVALID, "kind"},
        {OTLP_JSON_TRACES, SPAN("\"kind\":3000000000"), WERR_INVALID, "kind"},
        {OTLP_JSON_TRACES, SPAN("\"flags\":4294967296"), WERR_INVALID, "flags"},
        {OTLP_JSON_TRACES, SPAN("\"droppedLinksCount\":-1"), WERR_INVALID, "droppedLinksCount"},
        {OTLP_JSON_TRACES, SPAN("\"startTimeUnixNano\":true"), WERR_INVALID, "startTimeUnixNano"},
        {OTLP_JSON_TRACES, SPAN("\"startTimeUnixNano\":\"x\""), WERR_INVALID, "startTimeUnixNano"},
        {OTLP_JSON_TRACES, VALUE("\"stringValue\":1"), WERR_INVALID, "stringValue"},
        {OTLP_JSON_TRACES, VALUE("\"boolValue\":\"true\""), WERR_INVALID, "boolValue"},
        {OTLP_JSON_TRACES, VALUE("\"intValue\":\"9223372036854775808\""), WERR_INVALID, "intValue"},
        {OTLP_JSON_TRACES, VALUE("\"doubleValue\":\"nan\""), WERR_INVALID, "doubleValue"},
        {OTLP_JSON_TRACES, VALUE("\"doubleValue\":false"), WERR_INVALID, "doubleValue"},
        {OTLP_JSON_TRACES, VALUE("\"bytesValue\":\"A\""), WERR_INVALID, "bytesValue"},
        {OTLP_JSON_TRACES, VALUE("\"bytesValue\":\"A!==\""), WERR_INVALID, "bytesValue"},
        {OTLP_JSON_TRACES, VALUE("\"bytesValue\":7"), WERR_INVALID, "bytesValue"},
        {OTLP_JSON_METRICS, METRIC("\"sum\":{\"isMonotonic\":1}"), WERR_INVALID, "isMonotonic"},
        {OTLP_JSON_METRICS, METRIC("\"histogram\":{\"dataPoints\":[{\"bucketCounts\":3}]}"), WERR_INVALID,
            "bucketCounts"},
        {OTLP_JSON_METRICS, METRIC("\"histogram\":{\"dataPoints\":[{\"bucketCounts\":[-3]}]}"), WERR_INVALID,
            "bucketCounts"},
        {OTLP_JSON_METRICS, METRIC("\"histogram\":{\"dataPoints\":[{\"explicitBounds\":[1,null]}]}"),
            WERR_INVALID, "explicitBounds"},
        {OTLP_JSON_METRICS, METRIC("\"exponentialHistogram\":{\"dataPoints\":[{\"scale\":2147483648}]}"),
            WERR_INVALID, "scale"},
        {OTLP_JSON_LOGS,
            "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"severityNumber\":\"LOUD\"}]}]}]}",
            WERR_INVALID, "severityNumber"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct transcoded t;
        transcode(&t, cases[i].request, slice_of_string(cases[i].text));
        assert_int_equal(t.status, cases[i].code);
        assert_int_equal(t.error.code, cases[i].code);
        assert_string_equal(t.error.field, cases[i].field);
        buffer_deinit(&t.bytes);
    }
}

static void base64_of_any_length(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *bytes;
    } cases[] = {{"", ""}, {"Zg==", "f"}, {"Zg", "f"}, {"Zm8=", "fo"}, {"Zm8", "fo"}, {"Zm9v", "foo"},
        {"Zm9vYmFy", "foobar"}, {"-_-_", "\xfb\xff\xbf"}, {"+/+/", "\xfb\xff\xbf"}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char members[256];
        struct transcoded t;
        Otlp__ExportTraceServiceRequest *request;
        (void)snprintf(members, sizeof members,
            "\"attributes\":[{\"key\":\"y\",\"value\":{\"bytesValue\":\"%s\"}}]", cases[i].text);
        const Otlp__AnyValue *value = attribute_of(span_of(&t, members, &request), "y");
        assert_int_equal(value->value_case, OTLP__ANY_VALUE__VALUE_BYTES_VALUE);
        assert_int_equal(value->bytes_value.len, strlen(cases[i].bytes));
        if (value->bytes_value.len > 0) {
            assert_memory_equal(value->bytes_value.data, cases[i].bytes, value->bytes_value.len);
        }
        otlp__export_trace_service_request__free_unpacked(request, NULL);
        buffer_deinit(&t.bytes);
    }
}

/* As many lists within each other as protobuf may have, and no deeper than a limit of its own. */
static void lists_within_lists(void **state)
{
    (void)state;
    char text[65536];

    for (uint32_t lists = 1; lists <= 40; lists++) {
        size_t length = (size_t)snprintf(text, sizeof text,
            "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"attributes\":[{\"value\":");
        for (uint32_t i = 0; i < lists; i++) {
            length += (size_t)snprintf(text + length, sizeof text - length,
                i % 2 == 0 ? "{\"arrayValue\":{\"values\":[" : "{\"kvlistValue\":{\"values\":[{\"value\":");
        }
        length += (size_t)snprintf(text + length, sizeof text - length, "{}");
        for (uint32_t i = lists; i > 0; i--) {
            length += (size_t)snprintf(text + length, sizeof text - length, i % 2 == 1 ? "]}}" : "}]}}");
        }
        (void)snprintf(text + length, sizeof text - length, "}]}]}]}]}");
        struct transcoded t;
        transcode(&t, OTLP_JSON_TRACES, slice_of_string(text));
        assert_true(t.status == 0 || t.status == WERR_DEPTH);
        if (lists <= DEPTH_MAX) {
            assert_int_equal(t.status, 0);
        } else if (lists >= 2 * DEPTH_MAX) {
            assert_int_equal(t.status, WERR_DEPTH);
        }
        buffer_deinit(&t.bytes);
    }
}

static void no_room_is_an_error(void **state)
{
    (void)state;
    struct decode_error error;

    for (size_t cap = 0; cap < 40; cap += 3) {
        struct buffer out;
        buffer_init(&out, cap);
        assert_int_equal(
            otlp_json_to_protobuf(SLICE_LITERAL(VALUE("\"stringValue\":\"0123456789012345678901234567\"")),
                OTLP_JSON_TRACES, DEPTH_MAX, &out, &error),
            WERR_OVERSIZED);
        buffer_deinit(&out);
    }
}

static void what_the_javascript_sdk_sent(void **state)
{
    (void)state;
    struct otlp_trace_scanner *scanner = test_scanner_new();
    uint8_t *bytes;
    struct transcoded t;
    struct test_seen seen;

    scanner->time_skew_ns = UINT64_MAX;
    transcode(&t, OTLP_JSON_TRACES, fixture("javascript_traces.json", &bytes));
    assert_int_equal(t.status, 0);
    test_scan(scanner, slice_of(t.bytes.data, t.bytes.length), &seen);
    assert_int_equal(seen.status, 0);
    assert_int_equal(seen.refused_count, 0);
    assert_int_equal(seen.span_count, 18);
    assert_true(slice_equal(seen.resources[0].service_name, SLICE_LITERAL("frontend")));
    buffer_deinit(&t.bytes);
    free(bytes);
    free(scanner);

    transcode(&t, OTLP_JSON_METRICS, fixture("javascript_metrics.json", &bytes));
    assert_int_equal(t.status, 0);
    Otlp__ExportMetricsServiceRequest *metrics =
        otlp__export_metrics_service_request__unpack(NULL, t.bytes.length, t.bytes.data);
    assert_non_null(metrics);
    assert_int_equal(metrics->resource_metrics[0]->scope_metrics[0]->n_metrics, 2);
    assert_string_equal(metrics->resource_metrics[0]->scope_metrics[0]->metrics[1]->name, "order.size");
    otlp__export_metrics_service_request__free_unpacked(metrics, NULL);
    buffer_deinit(&t.bytes);
    free(bytes);

    transcode(&t, OTLP_JSON_LOGS, fixture("javascript_logs.json", &bytes));
    assert_int_equal(t.status, 0);
    buffer_deinit(&t.bytes);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_of_a_span),
        cmocka_unit_test(defaults_are_left_out),
        cmocka_unit_test(bad_ids_are_left_to_the_scanner),
        cmocka_unit_test(every_field_of_metrics),
        cmocka_unit_test(fields_of_a_log_record),
        cmocka_unit_test(what_is_invalid),
        cmocka_unit_test(base64_of_any_length),
        cmocka_unit_test(lists_within_lists),
        cmocka_unit_test(no_room_is_an_error),
        cmocka_unit_test(what_the_javascript_sdk_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
