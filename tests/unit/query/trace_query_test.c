/* Paths and arguments of the traces' APIs: what they mean, and what is refused in which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "context/response_flags.h"
#include "core/error.h"
#include "query/trace_query.h"

#define NOW_NS 1700000000000000000u
#define SECOND_NS 1000000000u

static int parse(struct trace_query *query, const char *path, const char *name, const char *value)
{
    const struct query_argument argument = {.name = name, .value = value};

    return trace_query_parse(query, path, &argument, name != NULL ? 1 : 0, NOW_NS);
}

/* A Jaeger search for service `a` with one argument more. */
static int search(struct trace_query *query, const char *name, const char *value)
{
    const struct query_argument arguments[] = {
        {.name = "service", .value = "a"}, {.name = name, .value = value}};

    return trace_query_parse(query, "/api/traces", arguments, 2, NOW_NS);
}

static void paths_are_known(void **state)
{
    static const struct {
        const char *path;
        enum trace_endpoint endpoint;
    } rows[] = {
        {"/api/v1/traces", TRACE_ENDPOINT_SEARCH},
        {"/api/v1/traces/1f", TRACE_ENDPOINT_TRACE},
        {"/api/services", TRACE_ENDPOINT_JAEGER_SERVICES},
        {"/api/services/a/b.c/operations", TRACE_ENDPOINT_JAEGER_OPERATION_NAMES},
        {"/api/operations", TRACE_ENDPOINT_JAEGER_OPERATIONS},
        {"/api/traces", TRACE_ENDPOINT_JAEGER_SEARCH},
        {"/api/traces/1f", TRACE_ENDPOINT_JAEGER_TRACE},
        {"/api/dependencies", TRACE_ENDPOINT_JAEGER_DEPENDENCIES},
        {"/api/v3/services", TRACE_ENDPOINT_V3_SERVICES},
        {"/api/v3/operations", TRACE_ENDPOINT_V3_OPERATIONS},
        {"/api/v3/traces", TRACE_ENDPOINT_V3_SEARCH},
        {"/api/v3/traces/1f", TRACE_ENDPOINT_V3_TRACE},
        {"/api/v1/traces/", TRACE_ENDPOINT_NONE},
        {"/api/services/", TRACE_ENDPOINT_NONE},
        {"/api/services//operations", TRACE_ENDPOINT_NONE},
        {"/api/services/a/operation", TRACE_ENDPOINT_NONE},
        {"/api/v1/services", TRACE_ENDPOINT_NONE},
        {"/api/tracesx", TRACE_ENDPOINT_NONE},
        {"", TRACE_ENDPOINT_NONE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(trace_endpoint_of(rows[i].path), rows[i].endpoint);
    }
}

static void a_name_in_the_path_is_the_service(void **state)
{
    struct trace_query query;

    (void)state;
    assert_int_equal(parse(&query, "/api/services/a/b.c/operations", NULL, NULL), 0);
    assert_true(slice_equal(query.service, SLICE_LITERAL("a/b.c")));
}

static void our_search_reads_all_it_knows(void **state)
{
    const struct query_argument arguments[] = {{"service", "cart.shop"}, {"route", "/a"},
        {"min_duration", "1.5ms"}, {"max_duration", "1m"}, {"error", "true"}, {"flags", "UF,URX"},
        {"since", "90s"}, {"limit", "7"}, {"tag", "a:b:c"}, {"tag", "d:"}, {"peers", "no"},
        {"ids", "1,abcdef"}};
    struct trace_query query;

    (void)state;
    assert_int_equal(trace_query_parse(
                         &query, "/api/v1/traces", arguments, sizeof arguments / sizeof arguments[0], NOW_NS),
        0);
    assert_true(slice_equal(query.service, SLICE_LITERAL("cart.shop")));
    assert_true(slice_equal(query.operation, SLICE_LITERAL("/a")));
    assert_int_equal(query.duration_min_ns, 1500000);
    assert_int_equal(query.duration_max_ns, 60ull * SECOND_NS);
    assert_true(query.only_errors && query.without_peers);
    assert_int_equal(query.response_flags, RESPONSE_FLAG(UF) | RESPONSE_FLAG(URX));
    assert_int_equal(query.start_min_unix_ns, NOW_NS - 90ull * SECOND_NS);
    assert_int_equal(query.start_max_unix_ns, 0);
    assert_int_equal(query.limit, 7);
    assert_int_equal(query.tag_count, 2);
    assert_true(slice_equal(query.tags[0].value, SLICE_LITERAL("b:c")));
    assert_int_equal(query.tags[1].value.length, 0);
    assert_int_equal(query.trace_id_count, 2);
    assert_int_equal(query.trace_ids[1][13], 0xab);
    assert_int_equal(query.trace_ids[1][15], 0xef);
}

static void our_search_refuses_what_it_does_not_know(void **state)
{
    static const struct {
        const char *name;
        const char *value;
        const char *message;
    } rows[] = {
        {"srevice", "a", "unknown argument"},
        {"service", "", "expected a value"},
        {"error", "yes", "expected true or false"},
        {"peers", "maybe", "expected no or yes"},
        {"flags", "XX", "expected response flags such as UF,URX"},
        {"limit", "0", "expected a number from 1 to 1500"},
        {"limit", "1501", "expected a number from 1 to 1500"},
        {"since", "5", "time: missing unit in duration \"5\""},
        {"ids", "1,,2", "expected a trace id of 1 to 32 hex digits"},
        {"ids", "0", "expected a trace id of 1 to 32 hex digits"},
        {"min_duration", "-1s", "time: invalid duration \"-1s\""},
    };
    struct trace_query query;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(parse(&query, "/api/v1/traces", rows[i].name, rows[i].value), WERR_INVALID);
        assert_string_equal(query.message, rows[i].message);
        assert_true(slice_equal(query.argument, slice_of_string(rows[i].name)));
    }
    const struct query_argument twice[] = {{"service", "a"}, {"service", "b"}};
    assert_int_equal(trace_query_parse(&query, "/api/v1/traces", twice, 2, NOW_NS), WERR_INVALID);
    assert_string_equal(query.message, "given twice");
    const struct query_argument crossed[] = {{"min_duration", "2s"}, {"max_duration", "1s"}};
    assert_int_equal(trace_query_parse(&query, "/api/v1/traces", crossed, 2, NOW_NS), WERR_INVALID);
    assert_int_equal(parse(&query, "/api/v1/traces/xyz", NULL, NULL), WERR_INVALID);
    assert_int_equal(parse(&query, "/api/v1/nothing", NULL, NULL), WERR_NOT_FOUND);
}

/* As Grafana's data source and Kiali ask. */
static void jaegers_search_reads_its_parameters(void **state)
{
    const struct query_argument arguments[] = {{"service", "cart"}, {"operation", "GET /"},
        {"tags", "{\"error\":\"true\",\"a\\u00e9\":\"x\\\"y\"}"}, {"tag", "http.status_code:500"},
        {"minDuration", "10ms"}, {"maxDuration", "1h1m1.5s"}, {"limit", "20"}, {"start", "1699999990000000"},
        {"end", "1699999999000001"}, {"lookback", "custom"}, {"prettyPrint", "true"}};
    struct trace_query query;

    (void)state;
    assert_int_equal(
        trace_query_parse(&query, "/api/traces", arguments, sizeof arguments / sizeof arguments[0], NOW_NS),
        0);
    assert_int_equal(query.tag_count, 3);
    assert_true(slice_equal(query.tags[1].key, SLICE_LITERAL("a\xc3\xa9")));
    assert_true(slice_equal(query.tags[1].value, SLICE_LITERAL("x\"y")));
    assert_int_equal(query.duration_max_ns, 3661500000000);
    assert_int_equal(query.start_min_unix_ns, 1699999990000000000u);
    assert_int_equal(query.start_max_unix_ns, 1699999999000001000u);
    assert_int_equal(query.limit, 20);
    assert_int_equal(search(&query, "limit", ""), 0);
    assert_int_equal(query.limit, TRACE_QUERY_JAEGER_LIMIT);
    assert_int_equal(query.start_min_unix_ns, NOW_NS - (uint64_t)TRACE_QUERY_LOOKBACK_S * SECOND_NS);
    assert_int_equal(query.start_max_unix_ns, NOW_NS);
    assert_int_equal(search(&query, "start", "-5"), 0);
    assert_int_equal(query.start_min_unix_ns, 0);
    assert_int_equal(parse(&query, "/api/traces", "traceID", "1"), 0); /* without service */
}

static void jaegers_search_refuses_in_its_words(void **state)
{
    static const struct {
        const char *name;
        const char *value;
        const char *message;
    } rows[] = {
        {"start", "x", "unable to parse param 'start': strconv.ParseInt: parsing \"x\": invalid syntax"},
        {"start", " 1", "unable to parse param 'start': strconv.ParseInt: parsing \" 1\": invalid syntax"},
        {"end", "9223372036854775807",
            "unable to parse param 'end': strconv.ParseInt: parsing \"9223372036854775807\": value out of "
            "range"},
        {"end", "99999999999999999999",
            "unable to parse param 'end': strconv.ParseInt: parsing \"99999999999999999999\": value out of "
            "range"},
        {"minDuration", "5", "unable to parse param 'minDuration': time: missing unit in duration \"5\""},
        {"maxDuration", "5x",
            "unable to parse param 'maxDuration': time: unknown unit \"x\" in duration \"5x\""},
        {"maxDuration", "s", "unable to parse param 'maxDuration': time: invalid duration \"s\""},
        {"limit", "-1", "unable to parse param 'limit': expected a number from 1 to 1500"},
        {"tag", "error", "malformed 'tag' parameter, expecting key:value, received: error"},
        {"tags", "[]", "malformed 'tags' parameter, cannot unmarshal JSON: expected an object of strings"},
        {"tags", "{\"a\":1}",
            "malformed 'tags' parameter, cannot unmarshal JSON: expected strings as values"},
        {"tags", "{\"a\":\"b\"", "malformed 'tags' parameter, cannot unmarshal JSON: broken text"},
        {"start", "1700000000000001", "min start time is above max"},
    };
    struct trace_query query;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(search(&query, rows[i].name, rows[i].value), WERR_INVALID);
        assert_string_equal(query.message, rows[i].message);
    }
    assert_int_equal(parse(&query, "/api/traces", "service", ""), WERR_INVALID);
    assert_string_equal(query.message, "parameter 'service' is required");
    assert_int_equal(parse(&query, "/api/operations", NULL, NULL), WERR_INVALID);
    assert_string_equal(query.message, "parameter 'service' is required");
}

static void limits_of_a_query(void **state)
{
    struct query_argument arguments[QUERY_ARGUMENT_COUNT_MAX + 2] = {{"service", "a"}};
    char ids[TRACE_QUERY_IDS_COUNT_MAX * 2 + 4];
    char long_text[TRACE_QUERY_TEXT_BYTES + 2];
    struct trace_query query;

    (void)state;
    for (size_t i = 1; i < sizeof arguments / sizeof arguments[0]; i++) {
        arguments[i] = (struct query_argument){"tag", "a:b"};
    }
    assert_int_equal(trace_query_parse(&query, "/api/traces", arguments, 17, NOW_NS), 0);
    assert_int_equal(trace_query_parse(&query, "/api/traces", arguments, 18, NOW_NS), WERR_INVALID);
    for (size_t i = 0; i <= TRACE_QUERY_IDS_COUNT_MAX; i++) {
        ids[2 * i] = '1';
        ids[2 * i + 1] = ',';
    }
    ids[2 * TRACE_QUERY_IDS_COUNT_MAX + 1] = '\0';
    assert_int_equal(parse(&query, "/api/v1/traces", "ids", ids), WERR_INVALID);
    ids[2 * TRACE_QUERY_IDS_COUNT_MAX - 1] = '\0';
    assert_int_equal(parse(&query, "/api/v1/traces", "ids", ids), 0);
    memset(long_text, 'a', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    assert_int_equal(parse(&query, "/api/v1/traces", "service", long_text), WERR_INVALID);
    assert_string_equal(query.message, "the query is too long");
}

static void dependencies_look_back(void **state)
{
    const struct query_argument arguments[] = {{"endTs", "1700000000000"}, {"lookback", "3600000"}};
    struct trace_query query;

    (void)state;
    assert_int_equal(trace_query_parse(&query, "/api/dependencies", arguments, 2, NOW_NS), 0);
    assert_int_equal(query.start_max_unix_ns, NOW_NS);
    assert_int_equal(query.start_min_unix_ns, NOW_NS - 3600ull * SECOND_NS);
    assert_int_equal(trace_query_parse(&query, "/api/dependencies", NULL, 0, NOW_NS), 0);
    assert_int_equal(query.start_min_unix_ns, NOW_NS - 86400ull * SECOND_NS);
}

static void the_third_api_takes_both_spellings(void **state)
{
    const struct query_argument old[] = {{"query.service_name", "a"},
        {"query.start_time_min", "2023-11-14T22:13:00Z"}, {"query.start_time_max", "2023-11-14T22:13:20.5Z"},
        {"query.duration_min", "1s"}, {"query.num_traces", "3"}};
    const struct query_argument new[] = {{"query.serviceName", "a"},
        {"query.startTimeMin", "2023-11-14T23:13:00+01:00"}, {"query.startTimeMax", "2023-11-14T22:13:20.5Z"},
        {"query.durationMin", "1000ms"}, {"query.searchDepth", "3"}};
    struct trace_query a;
    struct trace_query b;

    (void)state;
    assert_int_equal(trace_query_parse(&a, "/api/v3/traces", old, 5, NOW_NS), 0);
    assert_int_equal(trace_query_parse(&b, "/api/v3/traces", new, 5, NOW_NS), 0);
    assert_int_equal(a.start_min_unix_ns, NOW_NS - 20ull * SECOND_NS);
    assert_int_equal(a.start_max_unix_ns, NOW_NS + SECOND_NS / 2);
    assert_memory_equal(&a, &b, offsetof(struct trace_query, service));
    assert_int_equal(b.start_min_unix_ns, a.start_min_unix_ns);
    assert_int_equal(b.duration_min_ns, a.duration_min_ns);
    assert_int_equal(b.limit, 3);
    assert_int_equal(trace_query_parse(&a, "/api/v3/traces", old, 2, NOW_NS), WERR_INVALID);
    assert_string_equal(a.message, "query.start_time_min and query.start_time_max are required");
    assert_int_equal(parse(&a, "/api/v3/traces", "query.start_time_min", "yesterday"), WERR_INVALID);
    assert_non_null(
        strstr(a.message, "malformed parameter query.start_time_min: parsing time \"yesterday\""));
}

static void times_of_rfc3339(void **state)
{
    static const struct {
        const char *text;
        uint64_t unix_ns;
    } good[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1969-12-31T23:59:59Z", 0},
        {"2000-02-29T12:00:00.000000001Z", 951825600000000001u},
        {"2000-03-01T00:00:00-00:30", 951870600000000000u},
        {"2023-11-14t22:13:20.1234567899Z", 1700000000123456789u},
        {"2262-01-01T00:00:00Z", 9214646400000000000u},
    };
    static const char *const bad[] = {"", "2023-11-14", "2023-11-14 22:13:20Z", "2023-02-29T00:00:00Z",
        "2023-13-01T00:00:00Z", "2023-00-01T00:00:00Z", "2023-01-00T00:00:00Z", "2023-01-01T24:00:00Z",
        "2023-01-01T00:60:00Z", "2023-01-01T00:00:61Z", "2023-01-01T00:00:00", "2023-01-01T00:00:00.Z",
        "2023-01-01T00:00:00+1:00", "2023-01-01T00:00:00+24:00", "2023-01-01T00:00:00Zx",
        "9999-01-01T00:00:00Z", "2x23-01-01T00:00:00Z", "1900-02-29T00:00:00Z"};
    uint64_t unix_ns;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(trace_parse_rfc3339(slice_of_string(good[i].text), &unix_ns), 0);
        assert_int_equal(unix_ns, good[i].unix_ns);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (trace_parse_rfc3339(slice_of_string(bad[i]), &unix_ns) != WERR_INVALID) {
            fail_msg("taken: %s", bad[i]);
        }
    }
}

static void durations_as_go_has_them(void **state)
{
    static const struct {
        const char *text;
        uint64_t ns;
    } good[] = {
        {"0", 0},
        {"+0", 0},
        {"0s", 0},
        {"1ns", 1},
        {"1us", 1000},
        {"1\xc2\xb5s", 1000},
        {"1\xce\xbcs", 1000},
        {"1.5ms", 1500000},
        {"+1s", 1000000000},
        {"1.s", 1000000000},
        {".5s", 500000000},
        {"2h30m", 9000000000000},
        {"0.3333333333333333333h", 1199999999998},
        {"9223372036854775807ns", 9223372036854775807},
        {"0.100000000000000000000h", 360000000000},
    };
    static const char *const bad[] = {"", "+", "3", "-1s", ".s", ".", "+.s", "1 s", "s",
        "9223372036854775808ns", "9223372036854775.808us", "2562048h", "1s1", "99999999999999999999s", "1d",
        "1.2.3s"};
    char message[128];
    uint64_t ns;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        if (trace_parse_duration(slice_of_string(good[i].text), &ns, message, sizeof message) != 0) {
            fail_msg("%s: %s", good[i].text, message);
        }
        assert_int_equal(ns, good[i].ns);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (trace_parse_duration(slice_of_string(bad[i]), &ns, message, sizeof message) != WERR_INVALID) {
            fail_msg("taken: %s", bad[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_known),
        cmocka_unit_test(a_name_in_the_path_is_the_service),
        cmocka_unit_test(our_search_reads_all_it_knows),
        cmocka_unit_test(our_search_refuses_what_it_does_not_know),
        cmocka_unit_test(jaegers_search_reads_its_parameters),
        cmocka_unit_test(jaegers_search_refuses_in_its_words),
        cmocka_unit_test(limits_of_a_query),
        cmocka_unit_test(dependencies_look_back),
        cmocka_unit_test(the_third_api_takes_both_spellings),
        cmocka_unit_test(times_of_rfc3339),
        cmocka_unit_test(durations_as_go_has_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
