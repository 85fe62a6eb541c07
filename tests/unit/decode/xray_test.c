/* X-Ray's segments to OTLP: what each member becomes, nested subsegments, what a broken segment and a broken
 * datagram get, and the datagrams that real Envoys sent. */
#include "json_otlp_testing.h"

#include "decode/xray.h"

#define HEADER "{\"format\":\"json\",\"version\":1}\n"
#define IDS "\"trace_id\":\"1-01020304-05060708090a0b0c0d0e0f10\",\"id\":\"15161718191a1b1c\""
#define TIMES "\"start_time\":1699999999.995,\"end_time\":1699999999.999"
#define SEGMENT(more) HEADER "{\"name\":\"shop\"," IDS "," TIMES more "}"

static void convert(struct converted *c, const char *datagram)
{
    convert_with(xray_to_otlp, c, slice_of_string(datagram));
}

static void every_member(void **state)
{
    (void)state;
    struct converted c;

    convert(&c,
        SEGMENT(
            ",\"parent_id\":\"00000000000000ff\",\"origin\":\"AWS::EC2::Instance\",\"user\":\"u\\u0031\","
            "\"error\":true,\"throttle\":true,\"fault\":false,\"service\":{\"version\":\"1\"},\"x\":[{}],"
            "\"http\":{\"request\":{\"method\":\"GET\",\"url\":\"http://shop/a?b\",\"user_agent\":\"curl\","
            "\"client_ip\":\"192.0.2.1\",\"x_forwarded_for\":true},"
            "\"response\":{\"status\":429,\"content_length\":-5},\"other\":null},"
            "\"annotations\":{\"k\\u0065y\":\"v\",\"n\":1.5,\"yes\":true,\"none\":null},"
            "\"aws\":{},\"cause\":{\"exceptions\":[{\"message\":\"m\"},1,[],null]},\"metadata\":null,\"sql\":"
            "[]"));
    assert_int_equal(c.status, 0);
    assert_int_equal(c.result.refused_count, 0);
    assert_int_equal(c.span_count, 1);
    Otlp__Span *span = c.spans[0];
    assert_memory_equal(span->trace_id.data, test_trace_id, 16);
    assert_memory_equal(span->span_id.data, test_span_id, 8);
    assert_int_equal(span->parent_span_id.data[7], 255);
    assert_int_equal(span->kind, SPAN_KIND_SERVER);
    assert_string_equal(span->name, "shop");
    assert_true(span->start_time_unix_nano == TEST_NOW_UNIX_NS - 5000000);
    assert_true(span->end_time_unix_nano == TEST_NOW_UNIX_NS - 1000000);
    assert_int_equal(span->status->code, SPAN_STATUS_ERROR);
    assert_string_equal(resource_text(c.resources[0], "service.name"), "shop");
    assert_int_equal(c.resources[0]->resource->n_attributes, 1);
    assert_string_equal(attribute_of(span, "http.request.method")->string_value, "GET");
    assert_string_equal(attribute_of(span, "url.full")->string_value, "http://shop/a?b");
    assert_string_equal(attribute_of(span, "user_agent.original")->string_value, "curl");
    assert_string_equal(attribute_of(span, "client.address")->string_value, "192.0.2.1");
    assert_int_equal(attribute_of(span, "http.response.status_code")->int_value, 429);
    assert_int_equal(attribute_of(span, "http.response.body.size")->int_value, -5);
    assert_string_equal(attribute_of(span, "key")->string_value, "v");
    assert_true(attribute_of(span, "n")->double_value > 1.49 && attribute_of(span, "n")->double_value < 1.51);
    assert_true(attribute_of(span, "yes")->bool_value);
    assert_null(attribute_of(span, "none"));
    assert_string_equal(attribute_of(span, "enduser.id")->string_value, "u1");
    assert_string_equal(attribute_of(span, "aws.xray.origin")->string_value, "AWS::EC2::Instance");
    assert_true(attribute_of(span, "aws.xray.throttle")->bool_value);
    assert_null(attribute_of(span, "aws.xray.aws"));
    assert_null(attribute_of(span, "aws.xray.metadata"));
    assert_null(attribute_of(span, "aws.xray.sql"));
    const Otlp__AnyValue *cause = attribute_of(span, "aws.xray.cause");
    assert_int_equal(cause->value_case, OTLP__ANY_VALUE__VALUE_KVLIST_VALUE);
    assert_int_equal(cause->kvlist_value->n_values, 1);
    Otlp__ArrayValue *exceptions = cause->kvlist_value->values[0]->value->array_value;
    assert_int_equal(exceptions->n_values, 4);
    assert_string_equal(exceptions->values[0]->kvlist_value->values[0]->value->string_value, "m");
    assert_int_equal(exceptions->values[1]->int_value, 1);
    assert_int_equal(exceptions->values[2]->array_value->n_values, 0);
    assert_int_equal(exceptions->values[3]->value_case, OTLP__ANY_VALUE__VALUE__NOT_SET);
    converted_free(&c);
}

static void kinds(void **state)
{
    (void)state;
    static const struct {
        const char *members;
        enum span_kind kind;
        const char *service; /* NULL: not told */
    } cases[] = {
        {"", SPAN_KIND_SERVER, "shop"},
        {",\"type\":\"subsegment\"", SPAN_KIND_INTERNAL, NULL},
        {",\"type\":\"subsegment\",\"namespace\":\"remote\"", SPAN_KIND_CLIENT, NULL},
        {",\"type\":\"subsegment\",\"namespace\":\"aws\"", SPAN_KIND_CLIENT, NULL},
        {",\"annotations\":{\"component\":\"proxy\",\"direction\":\"ingress\"}", SPAN_KIND_SERVER, "shop"},
        {",\"annotations\":{\"direction\":\"egress\",\"component\":\"proxy\"}", SPAN_KIND_CLIENT, "shop"},
        {",\"annotations\":{\"component\":\"proxy\"},\"type\":\"subsegment\"", SPAN_KIND_CLIENT, NULL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char datagram[1024];
        struct converted c;
        (void)snprintf(datagram, sizeof datagram, SEGMENT("%s"), cases[i].members);
        convert(&c, datagram);
        assert_int_equal(c.span_count, 1);
        assert_int_equal(c.spans[0]->kind, cases[i].kind);
        bool by_envoy = strstr(cases[i].members, "proxy") != NULL;
        assert_int_equal(
            c.resources[0]->resource->n_attributes, (cases[i].service != NULL) + (by_envoy ? 1 : 0));
        if (cases[i].service != NULL) {
            assert_string_equal(resource_text(c.resources[0], "service.name"), cases[i].service);
        }
        if (by_envoy) {
            assert_string_equal(resource_text(c.resources[0], "telemetry.sdk.name"), "envoy");
        }
        assert_int_equal(
            attribute_of(c.spans[0], "peer.service") != NULL, strstr(cases[i].members, "namespace") != NULL);
        converted_free(&c);
    }
}

#define SUBSEGMENT(id, more) "{\"name\":\"" id "\",\"id\":\"00000000000000" id "\"," TIMES more "}"

static void subsegments_belong_to_what_holds_them(void **state)
{
    (void)state;
    struct converted c;

    convert(
        &c, SEGMENT(",\"subsegments\":[" SUBSEGMENT("01",
                ",\"subsegments\":[" SUBSEGMENT("02", ",\"namespace\":\"remote\"") "]") "," SUBSEGMENT("03",
                "") ",7," SUBSEGMENT("0g", "") ","
                                               "{\"in_progress\":true}]"));
    assert_int_equal(c.status, 0);
    assert_int_equal(c.result.refused_count, 2);
    assert_int_equal(c.result.refused[RECORD_ERROR_MALFORMED], 1);
    assert_int_equal(c.result.refused[RECORD_ERROR_SPAN_ID], 1);
    assert_int_equal(c.result.first.record, 4);
    assert_int_equal(c.result.ignored_count, 1);
    assert_int_equal(c.span_count, 4);
    static const uint8_t parents[] = {0, 0x1c, 1, 0x1c};
    for (size_t i = 0; i < c.span_count; i++) {
        assert_memory_equal(c.spans[i]->trace_id.data, test_trace_id, 16);
        assert_string_equal(resource_text(c.resources[i], "service.name"), "shop");
        if (i > 0) {
            assert_int_equal(c.spans[i]->span_id.data[7], i);
            assert_int_equal(c.spans[i]->parent_span_id.data[7], parents[i]);
        }
    }
    assert_string_equal(attribute_of(c.spans[2], "peer.service")->string_value, "02");
    assert_int_equal(c.request->n_resource_spans, 1);
    converted_free(&c);
}

static void times_to_the_nanosecond(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t ns;
    } cases[] = {{"1", 1000000000u}, {"1795436129.404422", 1795436129404422000u},
        {"1795436129.4045169", 1795436129404516900u}, {"0.1234567899", 123456789u},
        {"1.5e3", 1500000000000u}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char datagram[512];
        struct converted c;
        (void)snprintf(
            datagram, sizeof datagram, HEADER "{" IDS ",\"start_time\":%s,\"end_time\":9E8}", cases[i].text);
        convert(&c, datagram);
        assert_int_equal(c.span_count, 1);
        assert_true(c.spans[0]->start_time_unix_nano == cases[i].ns);
        assert_true(c.spans[0]->end_time_unix_nano == 900000000000000000u);
        converted_free(&c);
    }
}

static void a_bad_segment_is_left_out(void **state)
{
    (void)state;
    static const struct {
        const char *segment;
        enum record_error reason;
        const char *field;
    } cases[] = {
        {"{}", RECORD_ERROR_TRACE_ID, "trace_id"},
        {"{\"trace_id\":\"2-01020304-05060708090a0b0c0d0e0f10\"}", RECORD_ERROR_TRACE_ID, "trace_id"},
        {"{\"trace_id\":\"1-0102030g-05060708090a0b0c0d0e0f10\"}", RECORD_ERROR_TRACE_ID, "trace_id"},
        {"{\"trace_id\":\"1-01020304-05060708090a0b0c0d0e0f1g\"}", RECORD_ERROR_TRACE_ID, "trace_id"},
        {"{\"trace_id\":\"01020304050607080-90a0b0c0d0e0f10\"}", RECORD_ERROR_TRACE_ID, "trace_id"},
        {"{\"trace_id\":\"0102030405060708090a0b0c0d0e0f10\"}", RECORD_ERROR_SPAN_ID, "id"},
        {"{\"trace_id\":\"0102030405060708090a0b0c0d0e0f10\",\"id\":\"1\"}", RECORD_ERROR_SPAN_ID, "id"},
        {"{" IDS ",\"parent_id\":\"1\"}", RECORD_ERROR_SPAN_ID, "parent_id"},
        {"{" IDS "}", RECORD_ERROR_TIME, "start_time"},
        {"{" IDS ",\"start_time\":-1}", RECORD_ERROR_TIME, "start_time"},
        {"{" IDS ",\"start_time\":12345678901}", RECORD_ERROR_TIME, "start_time"},
        {"{" IDS ",\"start_time\":1e60}", RECORD_ERROR_TIME, "start_time"},
        {"{" IDS ",\"start_time\":1}", RECORD_ERROR_TIME, "end_time"},
        {"{" IDS "," TIMES ",\"name\":7}", RECORD_ERROR_MALFORMED, "name"},
        {"{" IDS "," TIMES ",\"http\":7}", RECORD_ERROR_MALFORMED, "http"},
        {"{" IDS "," TIMES ",\"http\":{\"request\":7}}", RECORD_ERROR_MALFORMED, "http"},
        {"{" IDS "," TIMES ",\"http\":{\"request\":{\"url\":[]}}}", RECORD_ERROR_MALFORMED, "http"},
        {"{" IDS "," TIMES ",\"annotations\":[]}", RECORD_ERROR_MALFORMED, "annotations"},
        {"{" IDS "," TIMES ",\"subsegments\":{}}", RECORD_ERROR_MALFORMED, "subsegments"},
        {"{" IDS "," TIMES ",\"fault\":1,\"error\":{}}", RECORD_ERROR_MALFORMED, "fault"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char datagram[1024];
        struct converted c;
        (void)snprintf(datagram, sizeof datagram, HEADER "%s", cases[i].segment);
        convert(&c, datagram);
        assert_int_equal(c.status, 0);
        assert_int_equal(c.span_count, 0);
        assert_int_equal(c.result.refused_count, 1);
        assert_int_equal(c.result.refused[cases[i].reason], 1);
        assert_string_equal(c.result.first.field, cases[i].field);
        converted_free(&c);
    }
}

static void a_broken_datagram_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *datagram;
        int code;
        const char *field;
    } cases[] = {
        {"", WERR_TRUNCATED, "header"},
        {"[]\n{}", WERR_INVALID, "header"},
        {"{\"format\":\"json\"}\n{}", WERR_INVALID, "header"},
        {"{\"format\":\"json\",\"version\":2}\n{}", WERR_INVALID, "header"},
        {"{\"format\":\"xml\",\"version\":1}\n{}", WERR_INVALID, "header"},
        {"{\"format\":\"json\",\"version\":1,\"more\":{}}\n{}", WERR_DEPTH, "header"},
        {"{\"format\":\"json\",\"version\":1}x\n{}", WERR_INVALID, "header"},
        {"{\"format\":\"json\",\"version\":1", WERR_TRUNCATED, "header"},
        {"{\"format\":\"json\",\"version\":1}", WERR_TRUNCATED, "JSON"},
        {HEADER "[]", WERR_INVALID, "JSON"},
        {HEADER "{} {}", WERR_INVALID, "JSON"},
        {HEADER "{\"annotations\":{\"a\":[}}", WERR_INVALID, "JSON"},
        {HEADER "{\"annotations\":{\"a\":{\"b\"}}}", WERR_INVALID, "JSON"},
        {HEADER "{\"annotations\":{\"a\"}}", WERR_INVALID, "JSON"},
        {HEADER "{\"http\":{\"request\":{\"a\"}}}", WERR_INVALID, "JSON"},
        {HEADER "{\"http\":{\"request\"}}", WERR_INVALID, "JSON"},
        {HEADER "{\"subsegments\":[}", WERR_INVALID, "JSON"},
        {HEADER "{\"x\":tru}", WERR_INVALID, "JSON"},
        {HEADER "{\"metadata\":[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]}", WERR_DEPTH, "JSON"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct converted c;
        convert(&c, cases[i].datagram);
        assert_int_equal(c.status, cases[i].code);
        assert_int_equal(c.error.code, cases[i].code);
        assert_string_equal(c.error.field, cases[i].field);
        converted_free(&c);
    }
}

/* Where the text is cut, and wherever the limit is, subsegments never go deeper than the whole did. */
static void nesting_is_limited(void **state)
{
    (void)state;
    char datagram[8192] = HEADER;
    char segment[256];

    for (uint32_t levels = 1; levels <= DEPTH_MAX; levels++) {
        size_t length = strlen(HEADER);
        for (uint32_t i = 0; i < levels; i++) {
            int written = snprintf(segment, sizeof segment, "{" IDS "," TIMES ",\"subsegments\":[");
            memcpy(datagram + length, segment, (size_t)written);
            length += (size_t)written;
        }
        for (uint32_t i = 0; i < levels; i++) {
            memcpy(datagram + length, "]}", 2);
            length += 2;
        }
        datagram[length] = '\0';
        struct converted c;
        convert(&c, datagram);
        assert_int_equal(c.status, 2 * levels <= DEPTH_MAX ? 0 : WERR_DEPTH);
        assert_int_equal(c.result.spans_count, c.status == 0 ? levels : 0);
        converted_free(&c);
    }
}

static uint32_t scan_fixture(const char *name)
{
    struct otlp_trace_scanner *scanner = test_scanner_new();
    uint8_t *bytes;
    struct slice rest = fixture(name, &bytes);
    uint32_t spans_count = 0;

    scanner->time_skew_ns = UINT64_MAX;
    while (rest.length >= 4) {
        uint32_t length;
        struct converted c;
        struct test_seen seen;
        memcpy(&length, rest.ptr, sizeof length);
        assert_true(length <= rest.length - sizeof length);
        convert_with(xray_to_otlp, &c, slice_sub(rest, sizeof length, sizeof length + length));
        rest = slice_sub(rest, sizeof length + length, rest.length);
        assert_int_equal(c.status, 0);
        assert_int_equal(c.result.refused_count, 0);
        test_scan(scanner, slice_of(c.bytes.data, c.bytes.length), &seen);
        assert_int_equal(seen.status, 0);
        assert_int_equal(seen.span_count, c.result.spans_count);
        assert_true(slice_equal(seen.resources[0].sdk_name, SLICE_LITERAL("envoy")));
        spans_count += seen.span_count;
        converted_free(&c);
    }
    assert_int_equal(rest.length, 0);
    free(bytes);
    free(scanner);
    return spans_count;
}

static void what_envoy_sent(void **state)
{
    (void)state;
    assert_true(scan_fixture("xray_envoy_spawn_on.datagrams") > 200);
    assert_true(scan_fixture("xray_envoy_spawn_off.datagrams") > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_member),
        cmocka_unit_test(kinds),
        cmocka_unit_test(subsegments_belong_to_what_holds_them),
        cmocka_unit_test(times_to_the_nanosecond),
        cmocka_unit_test(a_bad_segment_is_left_out),
        cmocka_unit_test(a_broken_datagram_is_refused),
        cmocka_unit_test(nesting_is_limited),
        cmocka_unit_test(what_envoy_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
