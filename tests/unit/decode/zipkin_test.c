/* Zipkin's JSON to OTLP: what each member becomes, what a broken span and a broken document get, and the
 * bodies that real Envoys posted. */
#include "json_otlp_testing.h"

#include "core/error.h"
#include "decode/zipkin.h"

#define NOW_US "1699999999995000"
#define IDS "\"traceId\":\"0102030405060708090a0b0c0d0e0f10\",\"id\":\"15161718191a1b1c\""
#define TIMES "\"timestamp\":" NOW_US ",\"duration\":4000"
#define GOOD                                                                                                 \
    "{" IDS "," TIMES                                                                                        \
    ",\"kind\":\"CLIENT\",\"name\":\"get /cart\",\"localEndpoint\":{\"serviceName\":\"shop\"}}"

static void convert(struct converted *c, struct slice body)
{
    convert_with(zipkin_to_otlp, c, body);
}

static void every_member(void **state)
{
    (void)state;
    static const char body[] =
        "[{" IDS ",\"parentId\":\"00000000000000ff\"," TIMES
        ",\"kind\":\"SERVER\",\"name\":\"get \\u00fcber\","
        "\"shared\":true,\"debug\":true,\"later\":{\"a\":[1,{}]},"
        "\"localEndpoint\":{\"serviceName\":\"sh\\u006fp\",\"ipv4\":\"10.0.0.1\",\"port\":8080},"
        "\"remoteEndpoint\":{\"serviceName\":\"client\",\"ipv6\":\"::1\",\"port\":0},"
        "\"tags\":{\"http.method\":\"GET\",\"k\\u0065y\":\"v\\n\",\"number\":12,\"flag\":true,\"none\":null,"
        "\"error\":\"no luck\"},"
        "\"annotations\":[{\"timestamp\":1699999999996000,\"value\":\"sr\"},{\"value\":\"s\\u0073\"}]}]";
    struct converted c;

    convert(&c, SLICE_LITERAL(body));
    assert_int_equal(c.status, 0);
    assert_int_equal(c.result.refused_count, 0);
    assert_int_equal(c.span_count, 1);
    Otlp__Span *span = c.spans[0];
    assert_memory_equal(span->trace_id.data, test_trace_id, 16);
    assert_memory_equal(span->span_id.data, test_span_id, 8);
    assert_int_equal(span->parent_span_id.len, 8);
    assert_int_equal(span->parent_span_id.data[7], 255);
    assert_int_equal(span->kind, SPAN_KIND_SERVER);
    assert_string_equal(span->name, "get \u00fcber");
    assert_true(span->start_time_unix_nano == TEST_NOW_UNIX_NS - 5000000);
    assert_true(span->end_time_unix_nano == TEST_NOW_UNIX_NS - 1000000);
    assert_int_equal(span->status->code, SPAN_STATUS_ERROR);
    assert_string_equal(span->status->message, "no luck");
    assert_string_equal(resource_text(c.resources[0], "service.name"), "shop");
    assert_string_equal(attribute_of(span, "http.method")->string_value, "GET");
    assert_string_equal(attribute_of(span, "key")->string_value, "v\n");
    assert_string_equal(attribute_of(span, "number")->string_value, "12");
    assert_string_equal(attribute_of(span, "flag")->string_value, "true");
    assert_null(attribute_of(span, "none"));
    assert_string_equal(attribute_of(span, "peer.service")->string_value, "client");
    assert_string_equal(attribute_of(span, "network.peer.address")->string_value, "::1");
    assert_null(attribute_of(span, "network.peer.port")); /* 0 is not told */
    assert_string_equal(attribute_of(span, "network.local.address")->string_value, "10.0.0.1");
    assert_int_equal(attribute_of(span, "network.local.port")->int_value, 8080);
    assert_true(attribute_of(span, "zipkin.shared")->bool_value);
    assert_true(attribute_of(span, "zipkin.debug")->bool_value);
    assert_int_equal(span->n_events, 2);
    assert_string_equal(span->events[0]->name, "sr");
    assert_true(span->events[0]->time_unix_nano == TEST_NOW_UNIX_NS - 4000000);
    assert_string_equal(span->events[1]->name, "ss");
    converted_free(&c);
}

/* A strict receiver would refuse the request that all senders' spans leave in. */
static void what_is_no_utf8_is_written_as_what_is(void **state)
{
    (void)state;
    struct converted c;

    convert(&c, SLICE_LITERAL("[{" IDS "," TIMES ",\"name\":\"get \xff\",\"tags\":{\"a\":\"\xc3\xa9\","
                              "\"b\":\"x\xc3\",\"c\":\"\\n\xfe\"}}]"));
    assert_int_equal(c.status, 0);
    assert_int_equal(c.span_count, 1);
    assert_string_equal(c.spans[0]->name, "get ?");
    assert_string_equal(attribute_of(c.spans[0], "a")->string_value, "\xc3\xa9");
    assert_string_equal(attribute_of(c.spans[0], "b")->string_value, "x?");
    assert_string_equal(attribute_of(c.spans[0], "c")->string_value, "\n?");
    converted_free(&c);
}

static void kinds_and_short_ids(void **state)
{
    (void)state;
    static const struct {
        const char *kind;
        enum span_kind expected;
    } kinds[] = {{"CLIENT", SPAN_KIND_CLIENT}, {"SERVER", SPAN_KIND_SERVER}, {"PRODUCER", SPAN_KIND_PRODUCER},
        {"CONSUMER", SPAN_KIND_CONSUMER}, {"ELSE", SPAN_KIND_UNSPECIFIED}, {"", SPAN_KIND_UNSPECIFIED}};
    static const uint8_t short_id[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xa, 0xBC};

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        char body[512];
        struct converted c;
        (void)snprintf(body, sizeof body,
            "[{\"traceId\":\"aBc\",\"id\":\"1\",\"kind\":\"%s\",\"timestamp\":1}]", kinds[i].kind);
        convert(&c, slice_of_string(body));
        assert_int_equal(c.span_count, 1);
        assert_int_equal(c.spans[0]->kind, kinds[i].expected);
        assert_memory_equal(c.spans[0]->trace_id.data, short_id, sizeof short_id);
        assert_int_equal(c.spans[0]->span_id.data[7], 1);
        assert_int_equal(c.spans[0]->parent_span_id.len, 0);
        assert_true(c.spans[0]->start_time_unix_nano == 1000 && c.spans[0]->end_time_unix_nano == 1000);
        assert_true(c.spans[0]->status == NULL);
        converted_free(&c);
    }
}

static void services_share_a_resource_while_they_stay_the_same(void **state)
{
    (void)state;
#define OF(service) "{" IDS ",\"localEndpoint\":{\"serviceName\":\"" service "\"}}"
    struct converted c;

    convert(&c,
        SLICE_LITERAL("[" OF("a") "," OF("a") "," OF("b") ",{" IDS "},{" IDS ",\"localEndpoint\":null}]"));
    assert_int_equal(c.span_count, 5);
    assert_int_equal(c.request->n_resource_spans, 3);
    assert_string_equal(resource_text(c.resources[1], "service.name"), "a");
    assert_string_equal(resource_text(c.resources[2], "service.name"), "b");
    assert_int_equal(c.resources[4]->resource->n_attributes, 0);
    converted_free(&c);
#undef OF
}

static void the_error_tag_is_the_status(void **state)
{
    (void)state;
    static const struct {
        const char *tag;
        bool failed;
        const char *message;
    } cases[] = {{"\"true\"", true, ""}, {"\"\"", true, ""}, {"\"timeout\"", true, "timeout"},
        {"\"false\"", false, ""}, {"true", true, ""}, {"false", false, ""}, {"null", false, ""}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char body[512];
        struct converted c;
        (void)snprintf(body, sizeof body, "[{" IDS ",\"tags\":{\"error\":%s}}]", cases[i].tag);
        convert(&c, slice_of_string(body));
        assert_int_equal(c.span_count, 1);
        assert_int_equal(c.spans[0]->status != NULL, cases[i].failed);
        if (cases[i].failed) {
            assert_int_equal(c.spans[0]->status->code, SPAN_STATUS_ERROR);
            assert_string_equal(c.spans[0]->status->message, cases[i].message);
        }
        converted_free(&c);
    }
}

static void a_tag_says_more_than_the_endpoint(void **state)
{
    (void)state;
    struct converted c;

    convert(&c,
        SLICE_LITERAL(
            "[{" IDS ",\"remoteEndpoint\":{\"serviceName\":\"one\"},\"tags\":{\"peer.service\":\"two\"}}]"));
    assert_int_equal(c.span_count, 1);
    assert_string_equal(attribute_of(c.spans[0], "peer.service")->string_value, "two");
    converted_free(&c);
}

static void a_bad_span_is_left_out_alone(void **state)
{
    (void)state;
    static const struct {
        const char *span;
        enum record_error reason;
        const char *field;
    } cases[] = {
        {"{}", RECORD_ERROR_TRACE_ID, "traceId"},
        {"{\"traceId\":\"\",\"id\":\"1\"}", RECORD_ERROR_TRACE_ID, "traceId"},
        {"{\"traceId\":5,\"id\":\"1\"}", RECORD_ERROR_TRACE_ID, "traceId"},
        {"{\"traceId\":\"x1\",\"id\":\"1\"}", RECORD_ERROR_TRACE_ID, "traceId"},
        {"{\"traceId\":\"000102030405060708090a0b0c0d0e0f10\",\"id\":\"1\"}", RECORD_ERROR_TRACE_ID,
            "traceId"},
        {"{\"traceId\":\"1\"}", RECORD_ERROR_SPAN_ID, "id"},
        {"{\"traceId\":\"1\",\"id\":\"00000000000000001\"}", RECORD_ERROR_SPAN_ID, "id"},
        {"{\"traceId\":\"1\",\"id\":\"1\",\"parentId\":\"g\"}", RECORD_ERROR_SPAN_ID, "parentId"},
        {"{" IDS ",\"timestamp\":-1}", RECORD_ERROR_TIME, "timestamp"},
        {"{" IDS ",\"timestamp\":1.5}", RECORD_ERROR_TIME, "timestamp"},
        {"{" IDS ",\"timestamp\":18446744073709551615,\"duration\":1}", RECORD_ERROR_TIME, "timestamp"},
        {"{" IDS ",\"timestamp\":\"1\"}", RECORD_ERROR_MALFORMED, "timestamp"},
        {"{" IDS ",\"duration\":[]}", RECORD_ERROR_MALFORMED, "duration"},
        {"{" IDS ",\"name\":{}}", RECORD_ERROR_MALFORMED, "name"},
        {"{" IDS ",\"kind\":3}", RECORD_ERROR_MALFORMED, "kind"},
        {"{" IDS ",\"shared\":\"yes\"}", RECORD_ERROR_MALFORMED, "shared"},
        {"{" IDS ",\"tags\":[]}", RECORD_ERROR_MALFORMED, "tags"},
        {"{" IDS ",\"tags\":{\"a\":[1]}}", RECORD_ERROR_MALFORMED, "tags"},
        {"{" IDS ",\"annotations\":{}}", RECORD_ERROR_MALFORMED, "annotations"},
        {"{" IDS ",\"annotations\":[1]}", RECORD_ERROR_MALFORMED, "annotations"},
        {"{" IDS ",\"annotations\":[{\"timestamp\":1}]}", RECORD_ERROR_MALFORMED, "annotations"},
        {"{" IDS ",\"annotations\":[{\"value\":\"a\",\"timestamp\":\"b\"}]}", RECORD_ERROR_MALFORMED,
            "annotations"},
        {"{" IDS ",\"localEndpoint\":\"shop\"}", RECORD_ERROR_MALFORMED, "localEndpoint"},
        {"{" IDS ",\"remoteEndpoint\":{\"serviceName\":{}}}", RECORD_ERROR_MALFORMED, "remoteEndpoint"},
        {"7", RECORD_ERROR_MALFORMED, "span"},
        {"[{}]", RECORD_ERROR_MALFORMED, "span"},
        {"null", RECORD_ERROR_MALFORMED, "span"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char body[1024];
        struct converted c;
        (void)snprintf(body, sizeof body, "[" GOOD ",%s," GOOD "]", cases[i].span);
        convert(&c, slice_of_string(body));
        assert_int_equal(c.status, 0);
        assert_int_equal(c.span_count, 2);
        assert_int_equal(c.result.spans_count, 2);
        assert_int_equal(c.result.refused_count, 1);
        assert_int_equal(c.result.refused[cases[i].reason], 1);
        assert_int_equal(c.result.first.record, 1);
        assert_int_equal(c.result.first.reason, cases[i].reason);
        assert_string_equal(c.result.first.field, cases[i].field);
        converted_free(&c);
    }
}

static void a_broken_document_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        int code;
        uint32_t record;
    } cases[] = {
        {"", WERR_TRUNCATED, DECODE_NO_INDEX},
        {"{}", WERR_INVALID, DECODE_NO_INDEX},
        {"null", WERR_INVALID, DECODE_NO_INDEX},
        {"[" GOOD, WERR_TRUNCATED, 1},
        {"[" GOOD ",{\"traceId\":}]", WERR_INVALID, 1},
        {"[" GOOD ",{\"tags\":{\"a\":}}]", WERR_INVALID, 1},
        {"[" GOOD ",{\"tags\":{\"a\":[}}]", WERR_INVALID, 1},
        {"[" GOOD ",{\"annotations\":[{\"a\"}]}]", WERR_INVALID, 1},
        {"[" GOOD ",{\"annotations\":[{\"a\":tru}]}]", WERR_INVALID, 1},
        {"[" GOOD ",{\"annotations\":[[}]}]", WERR_INVALID, 1},
        {"[" GOOD ",{\"localEndpoint\":{\"a\":{]}}]", WERR_INVALID, 1},
        {"[" GOOD ",{\"localEndpoint\":{\"a\"}}]", WERR_INVALID, 1},
        {"[" GOOD ",{\"x\":{\"y\":]}}]", WERR_INVALID, 1},
        {"[" GOOD ",[}]", WERR_INVALID, 1},
        {"[" GOOD "] []", WERR_INVALID, 1},
        {"[{\"x\":[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]}]", WERR_DEPTH, 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct converted c;
        convert(&c, slice_of_string(cases[i].body));
        assert_int_equal(c.status, cases[i].code);
        assert_int_equal(c.error.code, cases[i].code);
        assert_int_equal(c.error.record, cases[i].record);
        assert_string_equal(c.error.field, "JSON");
        converted_free(&c);
    }
}

static void no_room_is_an_error(void **state)
{
    (void)state;
    struct json_otlp_result result;
    struct decode_error error;

    for (size_t cap = 0; cap < 100; cap += 9) {
        struct buffer out;
        buffer_init(&out, cap);
        assert_int_equal(
            zipkin_to_otlp(SLICE_LITERAL("[" GOOD "]"), DEPTH_MAX, &out, &result, &error), WERR_OVERSIZED);
        buffer_deinit(&out);
    }
}

static uint32_t scan_fixture(const char *name)
{
    struct otlp_trace_scanner *scanner = test_scanner_new();
    uint8_t *bytes;
    struct json_reader reader = json_reader_of(fixture(name, &bytes), DEPTH_MAX);
    struct json_value bodies;
    struct json_value body;
    uint32_t spans_count = 0;

    scanner->time_skew_ns = UINT64_MAX; /* they were recorded some day */
    assert_int_equal(json_read(&reader, &bodies), 1);
    while (json_element(&reader, &body) > 0) {
        struct converted c;
        struct test_seen seen;
        assert_int_equal(json_skip(&reader, &body), 0);
        convert(&c, body.text);
        assert_int_equal(c.status, 0);
        assert_int_equal(c.result.refused_count, 0);
        test_scan(scanner, slice_of(c.bytes.data, c.bytes.length), &seen);
        assert_int_equal(seen.status, 0);
        assert_int_equal(seen.span_count, c.result.spans_count);
        assert_int_equal(seen.refused_count, 0);
        for (uint32_t i = 0; i < seen.span_count && i < SPANS_COUNT_MAX; i++) {
            assert_true(slice_equal(seen.resources[i].sdk_name, SLICE_LITERAL("envoy")));
            assert_true(seen.resources[i].service_name.length > 0);
        }
        spans_count += c.result.spans_count;
        converted_free(&c);
    }
    assert_int_equal(json_end(&reader), 0);
    free(bytes);
    free(scanner);
    return spans_count;
}

static void what_envoy_sent(void **state)
{
    (void)state;
    assert_true(scan_fixture("zipkin_envoy_spawn_on.json") > 100);
    assert_true(scan_fixture("zipkin_envoy_spawn_off.json") > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_member),
        cmocka_unit_test(what_is_no_utf8_is_written_as_what_is),
        cmocka_unit_test(kinds_and_short_ids),
        cmocka_unit_test(services_share_a_resource_while_they_stay_the_same),
        cmocka_unit_test(the_error_tag_is_the_status),
        cmocka_unit_test(a_tag_says_more_than_the_endpoint),
        cmocka_unit_test(a_bad_span_is_left_out_alone),
        cmocka_unit_test(a_broken_document_is_refused),
        cmocka_unit_test(no_room_is_an_error),
        cmocka_unit_test(what_envoy_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
