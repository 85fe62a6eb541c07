/* Zipkin's spans and OTLP as JSON over HTTP: every answer, and what the ledger says of each. */
#include "aggregate/directory_internal.h"
#include "web.h"

#define ID16 "0102030405060708090a0b0c0d0e0f10"
#define ID8 "1112131415161718"
#define ZIPKIN_SPAN                                                                                          \
    "{\"traceId\":\"" ID16 "\",\"id\":\"" ID8 "\",\"kind\":\"CLIENT\",\"timestamp\":1699999999999000,"       \
    "\"duration\":500,\"localEndpoint\":{\"serviceName\":\"cart\"}}"
#define OTLP_SPAN                                                                                            \
    "{\"traceId\":\"" ID16 "\",\"spanId\":\"" ID8                                                            \
    "\",\"kind\":3,\"startTimeUnixNano\":\"1699999999999000000\","                                           \
    "\"endTimeUnixNano\":\"1699999999999500000\"}"
#define OTLP(spans) "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[" spans "]}]}]}"

static const char json_header[] = "Content-Type: application/json\r\n";
static const char zipkin_path[] = "/api/v2/spans";

static unsigned post(struct web *web, const char *path, const char *body, char answer[static 4096])
{
    return web_post(web, path, json_header, slice_of_string(body), answer, 4096);
}

/* The answer's body. */
static const char *content_of(const char *answer)
{
    const char *head_end = strstr(answer, "\r\n\r\n");

    assert_non_null(head_end);
    return head_end + 4;
}

static void zipkin_spans_count(void **state)
{
    struct web web;
    struct buffer packed;
    char answer[4096];

    (void)state;
    web_start(&web);
    assert_int_equal(post(&web, zipkin_path, "[" ZIPKIN_SPAN "," ZIPKIN_SPAN "]", answer), 202);
    assert_string_equal(content_of(answer), "");
    pack(COMPRESSION_GZIP, SLICE_LITERAL("[" ZIPKIN_SPAN "]"), &packed);
    assert_int_equal(web_post(&web, zipkin_path, "Content-Encoding: gzip\r\n",
                         slice_of(packed.data, packed.length), answer, sizeof answer),
        202);
    buffer_deinit(&packed);
    assert_int_equal(post(&web, zipkin_path, "[]", answer), 202);
    rig_expect(&web.rig, METRIC_MESSAGES_ACCEPTED_ZIPKIN, 3);
    rig_expect(&web.rig, METRIC_SPANS_RECEIVED, 3);
    rig_expect_spans(&web.rig, 3);
    rig_check(&web.rig);
    web_stop(&web);
}

/* Each reason for which the decoder leaves a span out is counted like the scanner's. */
static void left_out_spans_count_by_reason(void **state)
{
    struct web web;
    char answer[4096];

    (void)state;
    web_start(&web);
    assert_int_equal(
        post(&web, zipkin_path,
            "[7," ZIPKIN_SPAN ",{},{\"traceId\":\"1\"},{\"traceId\":\"1\",\"id\":\"2\",\"timestamp\":-1},[],"
            "{\"traceId\":\"1\",\"id\":\"2\",\"timestamp\":1}]",
            answer),
        202);
    rig_expect(&web.rig, METRIC_MESSAGES_ACCEPTED_ZIPKIN, 1);
    rig_expect(&web.rig, METRIC_SPANS_RECEIVED, 7);
    rig_expect(&web.rig, METRIC_SPANS_DROPPED_MALFORMED, 2);
    rig_expect(&web.rig, METRIC_SPANS_DROPPED_TRACE_ID, 1);
    rig_expect(&web.rig, METRIC_SPANS_DROPPED_SPAN_ID, 1);
    rig_expect(&web.rig, METRIC_SPANS_DROPPED_TIME, 2); /* one of them 53 years ago, by the scanner */
    rig_expect_spans(&web.rig, 1);
    rig_check(&web.rig);
    web_stop(&web);
}

static void refused_documents_count(void **state)
{
    static const struct {
        const char *path;
        const char *headers;
        const char *body;
        unsigned status;
        enum metric_id row;
        const char *answer;
    } cases[] = {
        {"/api/v2/spans", "Content-Type: application/x-thrift\r\n", "x", 415, METRIC_MESSAGES_REFUSED_UNKNOWN,
            NULL},
        {"/api/v2/spans", json_header, "[{]", 400, METRIC_MESSAGES_REFUSED_MALFORMED,
            "{\"code\":3,\"message\":\"record 0, JSON: value outside what the format allows\"}"},
        {"/api/v2/spans", json_header, "[[[[[[[[[[[[[[[[[[[[[[[[", 400, METRIC_MESSAGES_REFUSED_MALFORMED,
            "{\"code\":3,\"message\":\"record 0, JSON: nested deeper than its limit\"}"},
        {"/api/v2/spans", "Content-Encoding: br\r\nContent-Type: application/json\r\n", "x", 400,
            METRIC_MESSAGES_REFUSED_COMPRESSION,
            "{\"code\":3,\"message\":\"Content-Encoding: expected gzip, zstd, deflate or none\"}"},
        {"/v1/traces", json_header, "{\"resourceSpans\":7}", 400, METRIC_MESSAGES_REFUSED_MALFORMED,
            "{\"code\":3,\"message\":\"resourceSpans: value outside what the format allows\"}"},
        {"/v1/metrics", json_header, "{", 400, METRIC_MESSAGES_REFUSED_MALFORMED,
            "{\"code\":3,\"message\":\"JSON: input ends inside a field\"}"},
        {"/v1/logs", json_header, "[]", 400, METRIC_MESSAGES_REFUSED_MALFORMED,
            "{\"code\":3,\"message\":\"JSON: value outside what the format allows\"}"},
    };
    struct web web;
    char answer[4096];

    (void)state;
    web_start(&web);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(web_post(&web, cases[i].path, cases[i].headers, slice_of_string(cases[i].body),
                             answer, sizeof answer),
            cases[i].status);
        if (cases[i].answer != NULL) {
            assert_string_equal(content_of(answer), cases[i].answer);
            assert_non_null(strstr(answer, "Content-Type: application/json\r\n"));
        }
        rig_expect(&web.rig, cases[i].row, 1);
        rig_check(&web.rig);
    }
    web_stop(&web);
}

static void otlp_json_counts_and_answers(void **state)
{
    struct web web;
    char answer[4096];

    (void)state;
    web_start(&web);
    assert_int_equal(post(&web, "/v1/traces", OTLP(OTLP_SPAN), answer), 200);
    assert_string_equal(content_of(answer), "{}");
    assert_non_null(strstr(answer, "Content-Type: application/json\r\n"));
    assert_int_equal(post(&web, "/v1/traces", OTLP("{\"traceId\":\"01\"}," OTLP_SPAN), answer), 200);
    assert_string_equal(content_of(answer),
        "{\"partialSuccess\":{\"rejectedSpans\":\"1\",\"errorMessage\":\"resource 0, scope 0, record 0, "
        "trace_id: invalid_trace_id\"}}");
    assert_int_equal(post(&web, "/v1/metrics", "{}", answer), 200);
    assert_string_equal(content_of(answer), "{}");
    assert_int_equal(post(&web, "/v1/logs", "{}", answer), 200);
    rig_expect(&web.rig, METRIC_MESSAGES_ACCEPTED_OTLP_HTTP, 4);
    rig_expect(&web.rig, METRIC_SPANS_RECEIVED, 3);
    rig_expect(&web.rig, METRIC_SPANS_DROPPED_TRACE_ID, 1);
    rig_expect_spans(&web.rig, 2);
    rig_check(&web.rig);
    web_stop(&web);
}

/* A point and a log record that are refused: the answer calls them by their name. */
static void partial_successes_of_metrics_and_logs(void **state)
{
    struct web web;
    char answer[4096];

    (void)state;
    web_start(&web);
    assert_int_equal(post(&web, "/v1/metrics",
                         "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"name\":\"a\","
                         "\"histogram\":{\"dataPoints\":"
                         "[{\"bucketCounts\":[1],\"explicitBounds\":[1],\"count\":9}]}}]}]}]}",
                         answer),
        200);
    assert_non_null(strstr(answer, "{\"partialSuccess\":{\"rejectedDataPoints\":\"1\",\"errorMessage\":\""));
    assert_int_equal(post(&web, "/v1/logs",
                         "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"traceId\":\"01\"},"
                         "{\"traceId\":\"0x\"}]}]}]}",
                         answer),
        200);
    assert_non_null(strstr(answer, "{\"partialSuccess\":{\"rejectedLogRecords\":\"2\",\"errorMessage\":\""));
    assert_true(rig_get(&web.rig, METRIC_MESSAGES_ACCEPTED_OTLP_HTTP) == 2);
    web_stop(&web);
}

/* Memory for the OTLP bytes comes from the assembly budget, and goes back. */
static void without_memory_it_comes_again(void **state)
{
    struct web web;
    char answer[4096];

    (void)state;
    web_start(&web);
    web.assembly.cap_bytes = sizeof ZIPKIN_SPAN + 100; /* the body has room, its OTLP has not */
    assert_int_equal(post(&web, zipkin_path, "[" ZIPKIN_SPAN "]", answer), 503);
    assert_non_null(strstr(answer, "Retry-After: 1\r\n"));
    web.assembly.cap_bytes = web.rig.limits.assembly_bytes_max;
    rig_expect(&web.rig, METRIC_MESSAGES_REFUSED_MEMORY, 1);
    rig_check(&web.rig);

    web.without_memory = true;
    assert_int_equal(post(&web, zipkin_path, "[" ZIPKIN_SPAN "]", answer), 503);
    assert_int_equal(post(&web, "/v1/traces", OTLP(OTLP_SPAN), answer), 503);
    web.without_memory = false;
    rig_expect(&web.rig, METRIC_MESSAGES_REFUSED_MEMORY, 2);
    rig_check(&web.rig);

    web.rig.pipeline.draining = true;
    assert_int_equal(post(&web, zipkin_path, "[" ZIPKIN_SPAN "]", answer), 503);
    assert_int_equal(post(&web, "/v1/traces", OTLP(OTLP_SPAN), answer), 503);
    web.rig.pipeline.draining = false;
    rig_expect(&web.rig, METRIC_MESSAGES_REFUSED_DRAINING, 2);
    rig_check(&web.rig);
    web_stop(&web);
}

/* Documents that become longer than they were: all the room that is promised is asked for. */
static void what_grows_finds_room(void **state)
{
    struct web web;
    char answer[4096];
    char body[60000];
    size_t length = (size_t)snprintf(body, sizeof body,
        "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":"
        "[{\"name\":\"h\",\"histogram\":{\"dataPoints\":[{\"bucketCounts\":[0");

    (void)state;
    for (int i = 0; i < 20000; i++) {
        body[length++] = ',';
        body[length++] = '1';
    }
    length += (size_t)snprintf(body + length, sizeof body - length, "]}]}}]}]}]}");
    web_start(&web);
    assert_int_equal(
        web_post(&web, "/v1/metrics", json_header, slice_of(body, length), answer, sizeof answer), 200);
    assert_non_null(strstr(answer, "rejectedDataPoints")); /* of so many buckets */
    web_stop(&web);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zipkin_spans_count),
        cmocka_unit_test(left_out_spans_count_by_reason),
        cmocka_unit_test(refused_documents_count),
        cmocka_unit_test(otlp_json_counts_and_answers),
        cmocka_unit_test(partial_successes_of_metrics_and_logs),
        cmocka_unit_test(without_memory_it_comes_again),
        cmocka_unit_test(what_grows_finds_room),
    };

    return cmocka_run_group_tests_name("http_json", tests, NULL, NULL);
}
