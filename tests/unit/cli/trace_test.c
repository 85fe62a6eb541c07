/* `weft trace` and `weft slow` against prepared answers: the tree, self times, retries, errors, circles of
 * parents, hostile names, and what is asked. */
#include "canned_api.h"

#include "cli/commands.h"

#define SPAN(id, parent, name, kind, from, to, more)                                                         \
    "{\"traceId\":\"0af7651916cd43dd8448eb211c80319c\",\"spanId\":\"" id "\",\"parentSpanId\":\"" parent     \
    "\",\"name\":\"" name "\",\"kind\":" kind ",\"startTimeUnixNano\":\"1700000000" from                     \
    "000000\",\"endTimeUnixNano\":\"1700000000" to "000000\"" more "}"
#define GROUP(service, spans)                                                                                \
    "{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{\"stringValue\":\"" service         \
    "\"}}]},\"scopeSpans\":[{\"spans\":[" spans "]}]}"
#define HOST ",\"attributes\":[{\"key\":\"upstream_address\",\"value\":{\"stringValue\":\"10.0.0.1:80\"}}]"
#define FAILED ",\"status\":{\"code\":2,\"message\":\"no luck\"}"

/* A request of 100 ms with a call of 60 ms, tried twice, the second attempt with a server's span. */
static const char one_trace[] =
    "{\"resourceSpans\":[" GROUP("db", SPAN("05", "04", "query", "2", "060", "080", "")) "," GROUP("cart",
        SPAN("01", "", "GET /cart", "2", "000", "100", "") "," SPAN("02", "01", "to db", "3", "030", "090",
            "") "," SPAN("03", "02", "try", "3", "030", "050", HOST FAILED) "," SPAN("04", "02", "try", "3",
            "055", "090", HOST)) "],\"warnings\":[\"peer b did not\\u001b[2J answer\"]}";

static const char *line_with(const char *text, const char *part)
{
    const char *at = strstr(text, part);

    assert_non_null(at);
    while (at > text && at[-1] != '\n') {
        at--;
    }
    return at;
}

static void a_tree_with_bars(void **state)
{
    struct canned_api *api = *state;

    canned_answer(api, 200, one_trace);
    setenv("COLUMNS", "91", 1); /* 36 for names, bars of 34 */
    const char *text = COMMAND(api, cmd_trace, "0af7651916cd43dd8448eb211c80319c");

    assert_int_equal(api->code, 0);
    assert_string_equal(api->requests[0], "GET /api/v1/traces/0af7651916cd43dd8448eb211c80319c HTTP/1.1");
    assert_contains(text, "trace 0af7651916cd43dd8448eb211c80319c  2023-11-14 22:13:20 UTC  5 spans");
    assert_contains(text, "1 error\n");
    assert_contains(text, "warning: peer b did not?[2J answer\n");
    assert_true(is_inert(text));
    /* columns: 100 ms are 24 of the bar when names have 36, times 18, marks 10, borders 3 */
    const char *root = line_with(text, "GET /cart");
    assert_true(strncmp(root, "cart GET /cart", 14) == 0);
    assert_contains(root, "    100ms   40.0ms |#######--------------###|\n");
    assert_contains(line_with(text, "to db"), "   60.0ms   5.00ms |       -----#--------   |\n");
    unsetenv("COLUMNS");
}

static void retries_and_errors_are_marked(void **state)
{
    struct canned_api *api = *state;

    canned_answer(api, 200, one_trace);
    const char *text = COMMAND(api, cmd_trace, "1");
    const char *first = line_with(text, "| error");
    const char *second = line_with(text, " retry 1");

    assert_true(strncmp(first, "    cart try", 12) == 0);
    assert_true(strncmp(second, "    cart try", 12) == 0);
    assert_true(first < second);
    assert_non_null(memchr(first, '~', strcspn(first, "\n")));
    assert_null(memchr(second, '~', strcspn(second, "\n")));
    assert_true(strncmp(line_with(text, "db query"), "      db query", 14) == 0);
    assert_null(strchr(text, '\x1b')); /* no colours into a pipe */
}

static void parents_in_a_circle_and_missing_ones(void **state)
{
    struct canned_api *api = *state;

    canned_answer(api, 200,
        "{\"resourceSpans\":[" GROUP(
            "s", SPAN("01", "02", "a", "1", "000", "010", "") "," SPAN("02", "01", "b", "1", "001", "009",
                     "") "," SPAN("03", "03", "c", "1", "002", "008", "") "," SPAN("04", "99", "d", "1",
                     "003", "001", "") "," SPAN("04", "01", "e", "1", "003", "004", "")) "]}");
    const char *text = COMMAND(api, cmd_trace, "1");

    assert_int_equal(api->code, 0);
    const char *const names[] = {"s a ", "s b ", "s c ", "s d ", "s e "};
    for (size_t i = 0; i < 5; i++) {
        const char *at = strstr(text, names[i]);
        assert_non_null(at);
        assert_null(strstr(at + 1, names[i])); /* once each */
    }
}

static void a_long_chain(void **state)
{
    struct canned_api *api = *state;
    enum { COUNT = 3000 };
    char *answer = malloc(COUNT * 200 + 200);
    char *at = answer;

    assert_non_null(answer);
    at += snprintf(at, 200, "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[");
    for (int i = 1; i <= COUNT; i++) {
        at += snprintf(at, 200,
            "%s{\"traceId\":\"01\",\"spanId\":\"%04x\",\"parentSpanId\":\"%04x\",\"name\":\"n\","
            "\"startTimeUnixNano\":\"%d\",\"endTimeUnixNano\":\"9000\"}",
            i > 1 ? "," : "", i, i - 1, i);
    }
    (void)snprintf(at, 200, "]}]}]}");
    canned_answer(api, 200, answer);
    const char *text = COMMAND(api, cmd_trace, "1");
    size_t lines = 0;
    for (const char *c = text; *c != '\0'; c++) {
        lines += *c == '\n';
    }

    assert_int_equal(lines, COUNT + 3);
    free(answer);
}

static void hostile_names_are_inert(void **state)
{
    struct canned_api *api = *state;

    canned_answer(api, 200,
        "{\"resourceSpans\":[" GROUP("\\u001b]0;pwned\\u0007",
            SPAN("01", "", "x\\r\\n\\u001b[31m\\u009b2J\\u202e", "2", "000", "010", "")) "]}");
    const char *text = COMMAND(api, cmd_trace, "1");
    assert_true(is_inert(text));
    assert_contains(text, "?]0;pwned?");
    text = COMMAND(api, cmd_slow, "--min", "1ms");
    assert_true(is_inert(text));
    assert_contains(text, "?]0;pwned?");
}

static void answers_that_make_no_sense(void **state)
{
    static const char *const bodies[] = {"{}", "{\"resourceSpans\":7}", "{\"resourceSpans\":[1,null,{}]}",
        "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[]}]}]}", "[]", "nonsense"};
    struct canned_api *api = *state;

    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        canned_answer(api, 200, bodies[i]);
        assert_string_equal(COMMAND(api, cmd_trace, "1"), "");
        assert_int_equal(api->code, 1);
    }
    canned_answer(api, 200, "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"name\":5},3]}]}]}");
    (void)COMMAND(api, cmd_trace, "1");
    assert_int_equal(api->code, 0);
}

static void wrong_usage(void **state)
{
    struct canned_api *api = *state;

    canned_answer(api, 404, "{\"error\":{\"message\":\"no such trace\"}}");
    (void)COMMAND(api, cmd_trace, "1");
    assert_int_equal(api->code, 1);
    (void)COMMAND(api, cmd_trace, "xyz");
    assert_int_equal(api->code, EXIT_USAGE);
    (void)COMMAND(api, cmd_trace, "1", "2");
    assert_int_equal(api->code, EXIT_USAGE);
    (void)COMMAND(api, cmd_trace, "0af7651916cd43dd8448eb211c80319c0");
    assert_int_equal(api->code, EXIT_USAGE);
    (void)COMMAND(api, cmd_slow, "--count", "0");
    assert_int_equal(api->code, EXIT_USAGE);
    (void)COMMAND(api, cmd_slow, "a", "b");
    assert_int_equal(api->code, EXIT_USAGE);
    assert_int_equal(api->request_count, 1);
    assert_contains(COMMAND(api, cmd_trace, "--help"), "examples:");
    assert_contains(COMMAND(api, cmd_slow, "--help"), "examples:");
}

static void json_as_it_is(void **state)
{
    struct canned_api *api = *state;

    canned_answer(api, 200, "{\"resourceSpans\":[]}");
    assert_string_equal(COMMAND(api, cmd_trace, "--json", "1"), "{\n  \"resourceSpans\": []\n}\n");
    assert_int_equal(api->code, 0);
}

#define TRACE_SPAN(trace, id, parent, name, from, to, more)                                                  \
    "{\"traceId\":\"" trace "\",\"spanId\":\"" id "\",\"parentSpanId\":\"" parent "\",\"name\":\"" name      \
    "\",\"kind\":2,\"startTimeUnixNano\":\"1700000000" from "000000\",\"endTimeUnixNano\":\"1700000000" to   \
    "000000\"" more "}"

static const char three_traces[] = "{\"resourceSpans\":[" GROUP("web",
    TRACE_SPAN("aa", "01", "", "GET /", "000", "500", "") "," TRACE_SPAN("bb", "01", "", "GET /", "000",
        "900", FAILED) "," TRACE_SPAN("cc", "01", "", "GET /", "000", "100", "")) "," GROUP("cart.shop",
    TRACE_SPAN("aa", "02", "01", "GET /cart", "000", "400", "") "," TRACE_SPAN(
        "bb", "02", "01", "GET /cart", "000", "010", "")) "]}";

static void slowest_first(void **state)
{
    struct canned_api *api = *state;

    canned_answer(api, 200, three_traces);
    const char *text = COMMAND(api, cmd_slow, "--min", "50ms", "--since", "5m", "--error");
    assert_string_equal(
        api->requests[0], "GET /api/v1/traces?min_duration=50ms&since=5m&error=true&limit=200 HTTP/1.1");
    assert_int_equal(api->request_count, 1);
    const char *aa = strstr(text, "500ms  aa "), *bb = strstr(text, "900ms  bb ");
    assert_non_null(aa);
    assert_non_null(bb);
    assert_true(bb < aa && aa < strstr(text, "100ms  cc "));
    text = COMMAND(api, cmd_slow, "--min", "1ms", "--count", "1", "cart");
    assert_contains(api->requests[1], "service=cart&min_duration=1ms&limit=200");
    assert_contains(text, "400ms  aa "); /* the service's own span */
    assert_null(strstr(text, "bb "));
}

static void looks_among_faster_ones_until_there_are_enough(void **state)
{
    struct canned_api *api = *state;

    canned_answer(api, 200, "{\"resourceSpans\":[]}");
    api->answers[1] = three_traces;
    api->answer_count = 2;
    assert_contains(COMMAND(api, cmd_slow, "--count", "3"), "cc ");
    assert_int_equal(api->request_count, 2);
    assert_contains(api->requests[0], "min_duration=1s ");
    assert_contains(api->requests[1], "min_duration=100ms ");
    canned_answer(api, 200, three_traces);
    assert_contains(COMMAND(api, cmd_slow, "--count", "4"), "cc ");
    assert_int_equal(api->request_count, 4);
    assert_null(strstr(api->requests[3], "min_duration"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, canned_setup, canned_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_tree_with_bars),
        TEST(retries_and_errors_are_marked),
        TEST(parents_in_a_circle_and_missing_ones),
        TEST(a_long_chain),
        TEST(hostile_names_are_inert),
        TEST(answers_that_make_no_sense),
        TEST(wrong_usage),
        TEST(json_as_it_is),
        TEST(slowest_first),
        TEST(looks_among_faster_ones_until_there_are_enough),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
