/*
 * Arguments and answers of /api/v1/why; tests/golden/why.json holds one answer with a cause of every kind, on
 * one line for each. WEFT_WRITE_GOLDEN=1 writes it anew.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <jansson.h>
#include <math.h>

#include "context/response_flags.h"
#include "core/error.h"
#include "query/why_json.h"

#define GOLDEN WEFT_SOURCE_DIR "/tests/golden/why.json"

static struct slice text_of(const void *user, uint32_t id)
{
    static const char *const names[] = {"", "cart", "shop\"\x1b[31m", "db", "/items/{id}"};

    assert_null(user);
    return id < sizeof names / sizeof names[0] ? slice_of_string(names[id]) : slice_of(NULL, 0);
}

static const struct why_names names = {.text = text_of};

static struct why_result some_result(void)
{
    struct why_result result = {
        .verdict = WHY_CAUSE_FOUND,
        .request_count = 3000,
        .slow_count = 30,
        .failing_count = 12,
        .threshold_seconds = 0.25,
        .usual_seconds = 0.0125,
        .slow_seconds = 0.5,
        .usual = {.self_seconds = 0.01, .callees_seconds = 0.0025},
        .slow = {.self_seconds = 0.4, .network_seconds = 0.0625, .retries_seconds = 0.03125},
        .crowd_count = 9,
        .features_cut = 2,
    };

    for (uint32_t kind = 0; kind < WHY_KIND_COUNT; kind++) {
        struct why_cause *cause = &result.causes[result.cause_count++];
        *cause = (struct why_cause){
            .kind = (uint8_t)kind,
            .value = kind == WHY_FLAG ? RESPONSE_FLAG_INDEX_UO : 1 + kind % 5,
            .share_slow = 0.96875,
            .share_rest = kind == WHY_ROUTE ? 0 : 0.125,
            .lift = kind == WHY_ROUTE ? HUGE_VAL : 7.75,
            .score = 0.875,
            .chance = 1e-9,
            .excess_seconds = 15,
            .slow_count = 29,
            .is_strong = kind != WHY_SELF,
            .group = kind == WHY_FLAG ? WHY_GROUP_FAILING_CALLS : WHY_GROUP_SLOW,
            .example_trace_id = {0xab, [15] = (uint8_t)kind},
            .example_duration_ns = 750000000,
            .companion_of = kind == WHY_VERSION ? WHY_SENDER : -1,
        };
    }
    result.causes[WHY_ATTRIBUTE].key = SLICE_LITERAL("tenant");
    result.causes[WHY_ATTRIBUTE].text = SLICE_LITERAL("acme\n\xff");
    result.causes[WHY_RETRIES].value = 0;
    return result;
}

static struct why_query some_query(void)
{
    return (struct why_query){
        .service = SLICE_LITERAL("cart"), .any_namespace = true, .window_ns = 300000000000ull};
}

/* One member a line, so that the golden file can be read; inside of texts there is no such sequence. */
static void break_lines(const struct buffer *in, struct buffer *out)
{
    for (size_t i = 0; i < in->length; i++) {
        (void)buffer_append_byte(out, in->data[i]);
        if (i + 1 < in->length && in->data[i] == ',' && (in->data[i + 1] == '"' || in->data[i + 1] == '{')) {
            (void)buffer_append_byte(out, '\n');
        }
    }
}

static void check_golden(const struct buffer *answer)
{
    struct buffer lines;
    char expected[16384];

    buffer_init(&lines, sizeof expected);
    break_lines(answer, &lines);
    if (getenv("WEFT_WRITE_GOLDEN") != NULL) {
        FILE *to = fopen(GOLDEN, "wb");
        assert_non_null(to);
        assert_int_equal(fwrite(lines.data, 1, lines.length, to), lines.length);
        assert_int_equal(fclose(to), 0);
    }
    FILE *from = fopen(GOLDEN, "rb");
    assert_non_null(from);
    size_t length = fread(expected, 1, sizeof expected, from);
    assert_int_equal(fclose(from), 0);
    assert_int_equal(length, lines.length);
    assert_memory_equal(expected, lines.data, length);
    buffer_deinit(&lines);
}

static void an_answer_with_every_kind_of_cause(void **state)
{
    struct why_result result = some_result();
    struct why_query query = some_query();
    struct buffer out;
    json_error_t error;

    (void)state;
    buffer_init(&out, 1 << 16);
    why_json(&out, &query, &result, &names);
    assert_int_equal(out.error, 0);
    json_t *answer = json_loadb((const char *)out.data, out.length, 0, &error);
    assert_non_null(answer);
    assert_int_equal(json_array_size(json_object_get(answer, "causes")), WHY_KIND_COUNT);
    json_decref(answer);
    check_golden(&out);
    buffer_deinit(&out);
}

static json_t *answer_of(const struct why_result *result, const struct why_query *query)
{
    struct buffer out;
    json_error_t error;

    buffer_init(&out, 1 << 16);
    why_json(&out, query, result, &names);
    json_t *answer = json_loadb((const char *)out.data, out.length, 0, &error);
    assert_non_null(answer);
    buffer_deinit(&out);
    return answer;
}

static const char *text_at(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    assert_non_null(text);
    return text;
}

static void answers_without_a_cause(void **state)
{
    struct why_query query = some_query();
    struct why_result result = {.verdict = WHY_NO_SINGLE_CAUSE, .is_even = true, .request_count = 500};

    (void)state;
    query.any_namespace = false;
    query.service_namespace = SLICE_LITERAL("prod");
    json_t *answer = answer_of(&result, &query);
    assert_string_equal(text_at(answer, "verdict"), "no_single_cause");
    assert_non_null(strstr(text_at(answer, "summary"), "no single cause"));
    assert_string_equal(text_at(answer, "namespace"), "prod");
    assert_int_equal(json_array_size(json_object_get(answer, "causes")), 0);
    json_decref(answer);
    result = (struct why_result){.verdict = WHY_NO_REQUESTS, .request_count = 7};
    answer = answer_of(&result, &query);
    assert_string_equal(text_at(answer, "verdict"), "too_few_requests");
    assert_string_equal(text_at(answer, "summary"), "7 requests: too few to tell");
    json_decref(answer);
}

static void a_full_buffer_says_so(void **state)
{
    struct why_result result = some_result();
    struct why_query query = some_query();
    struct buffer out;

    (void)state;
    for (size_t cap_bytes = 0; cap_bytes < 4000; cap_bytes += 61) {
        buffer_init(&out, cap_bytes);
        why_json(&out, &query, &result, &names);
        assert_int_equal(out.error, WERR_OVERSIZED);
        buffer_deinit(&out);
    }
}

/* Up to three arguments; names end at NULL. */
static int parse(struct why_query *query, const char *const (*pairs)[2], size_t count)
{
    struct query_argument arguments[4];

    for (size_t i = 0; i < count; i++) {
        arguments[i] = (struct query_argument){.name = pairs[i][0], .value = pairs[i][1]};
    }
    return why_query_parse(query, arguments, count);
}

static void good_arguments(void **state)
{
    struct why_query query;
    static const char *const all[][2] = {
        {"service", "cart"}, {"namespace", ""}, {"window", "1m30s"}, {"slow", "250ms"}};

    (void)state;
    assert_int_equal(parse(&query, all, 1), 0);
    assert_true(query.any_namespace);
    assert_int_equal(query.window_ns, 300000000000ull);
    assert_int_equal(query.slow_ns, 0);
    assert_int_equal(parse(&query, all, 4), 0);
    assert_false(query.any_namespace);
    assert_true(slice_equal(query.service, SLICE_LITERAL("cart")));
    assert_int_equal(query.window_ns, 90000000000ull);
    assert_int_equal(query.slow_ns, 250000000);
}

static void bad_arguments(void **state)
{
    static const char *const bad[][2][2] = {
        {{"window", "1m"}, {"namespace", "x"}}, /* no service */
        {{"service", ""}, {"window", "1m"}},
        {{"service", "a"}, {"service", "b"}},
        {{"service", "a"}, {"windw", "1m"}},
        {{"service", "a"}, {"window", ""}},
        {{"service", "a"}, {"window", "0"}},
        {{"service", "a"}, {"window", "61m"}},
        {{"service", "a"}, {"window", "9999999999999h"}},
        {{"service", "a"}, {"slow", "-1s"}},
        {{"service", "a"}, {"slow", "0s"}},
        {{"service", "a"}, {"slow", "250"}},
    };
    struct why_query query;
    struct buffer out;
    json_error_t error;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(parse(&query, bad[i], 2), WERR_INVALID);
        buffer_init(&out, 4096);
        why_query_error(&out, &query);
        json_t *answer = json_loadb((const char *)out.data, out.length, 0, &error);
        assert_non_null(answer);
        assert_string_equal(text_at(json_object_get(answer, "error"), "argument"), query.bad_argument);
        assert_true(strlen(text_at(json_object_get(answer, "error"), "message")) > 0);
        json_decref(answer);
        buffer_deinit(&out);
    }
    assert_int_equal(why_query_parse(&query, NULL, 0), WERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_with_every_kind_of_cause),
        cmocka_unit_test(answers_without_a_cause),
        cmocka_unit_test(a_full_buffer_says_so),
        cmocka_unit_test(good_arguments),
        cmocka_unit_test(bad_arguments),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
