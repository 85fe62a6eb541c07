/* `weft why`, `weft heatmap` and `weft tap` against prepared answers. */
#include "canned_api.h"

#include "cli/commands.h"

static const char why_answer[] =
    "{\"service\":\"cart\",\"window_seconds\":300,\"verdict\":\"cause\",\"summary\":\"pod \\u001b[5mcart-2: "
    "97% of "
    "the slow "
    "requests\",\"seen_by\":\"callers\",\"requests\":3000,\"slow_requests\":30,\"failing_requests\":4,"
    "\"slow_above_seconds\":0.25,\"usual\":{\"seconds\":0.0125,\"self_seconds\":0.01,\"callees_seconds\":0."
    "0025,"
    "\"network_seconds\":0,\"retries_seconds\":0},\"slow\":{\"seconds\":1.5,\"self_seconds\":1.4,"
    "\"callees_seconds\":0.1,\"network_seconds\":0,\"retries_seconds\":0},\"causes\":[{\"kind\":\"pod\","
    "\"text\":\"pod "
    "\\u001b[5mcart-2\",\"group\":\"slow\",\"strong\":true,\"share\":0.97,\"share_of_others\":0.09,"
    "\"lift\":10.8,\"excess_seconds\":44.1,\"companion_of\":null,\"example\":{\"trace_id\":\"ab12\","
    "\"seconds\":2}},"
    "{\"kind\":\"route\",\"text\":\"route /items\",\"group\":\"slow\",\"strong\":false,\"share\":0.5,"
    "\"share_of_others\":0,\"lift\":null,\"excess_seconds\":20,\"companion_of\":0,\"example\":{\"trace_id\":"
    "\"cd34\"}}],\"features_left_out\":0}";

static void causes_in_their_order(void **state)
{
    struct canned_api *api = *state;

    canned_answer(api, 200, why_answer);
    const char *text = COMMAND(api, cmd_why, "--window", "5m", "--slow", "250ms", "cart");

    assert_int_equal(api->code, 0);
    assert_string_equal(api->requests[0], "GET /api/v1/why?service=cart&window=5m&slow=250ms HTTP/1.1");
    assert_true(is_inert(text));
    assert_contains(text, "cart: pod ?[5mcart-2: 97% of the slow requests\n");
    assert_contains(
        text, "3000 requests in 300 s, 30 slow (above 250ms), 4 failing; as its callers saw them\n");
    assert_contains(text, "usual           12.5ms    10.0ms    2.50ms       0us       0us\n");
    assert_contains(text, "slow             1.50s     1.40s     100ms       0us       0us\n");
    const char *first = strstr(text, " 1. pod ?[5mcart-2 "), *second = strstr(text, "+1  route /items ");
    assert_non_null(first);
    assert_true(first < second);
    assert_contains(first, "  97.0%    9.0%    10.8    44.1s  ab12\n");
    assert_contains(second, "  50.0%    0.0%       -    20.0s  cd34\n");
}

static void no_cause_and_no_answer(void **state)
{
    struct canned_api *api = *state;

    canned_answer(api, 200,
        "{\"service\":\"cart\",\"summary\":\"no single cause\",\"requests\":0,\"causes\":[],"
        "\"seen_by\":\"service\"}");
    const char *text = COMMAND(api, cmd_why, "cart");
    assert_int_equal(api->code, 0);
    assert_contains(text, "cart: no single cause\n");
    assert_null(strstr(text, "CAUSE"));
    canned_answer(api, 200, "{}");
    (void)COMMAND(api, cmd_why, "cart");
    assert_int_equal(api->code, 0);
    canned_answer(api, 400, "{\"error\":{\"message\":\"x\",\"argument\":\"window\"}}");
    (void)COMMAND(api, cmd_why, "cart");
    assert_int_equal(api->code, 1);
    (void)COMMAND(api, cmd_why, "--bogus");
    assert_int_equal(api->code, EXIT_USAGE);
    (void)COMMAND(api, cmd_why, "--window", "5m");
    assert_int_equal(api->code, EXIT_USAGE);
    assert_contains(COMMAND(api, cmd_why, "--help"), "examples:");
}

/* ---- heatmap ---- */

/* Two columns: 100 requests in (0.84, 1] ms, one of 4 s; then 50 in (0.84, 1] ms. */
static const char heatmap_answer[] =
    "{\"window\":\"1m\",\"reporter\":\"source\",\"scale\":2,\"columns\":[{\"seconds_ago\":130.0,\"seconds\":"
    "60.0,"
    "\"requests\":101,\"outcomes\":{\"ok\":100,\"server_error\":1},\"zero_count\":0,\"buckets\":[[-40,100],[-"
    "37,1]]},"
    "{\"seconds_ago\":10.0,\"seconds\":10.0,\"requests\":50,\"outcomes\":{\"ok\":50},\"zero_count\":0,"
    "\"buckets\":[[-40,50]]}]}";

static void latency_over_time(void **state)
{
    struct canned_api *api = *state;

    canned_answer(api, 200, heatmap_answer);
    const char *text = COMMAND(api, cmd_heatmap, "cart", "--route", "/items");
    assert_string_equal(
        api->requests[0], "GET /api/v1/heatmap?destination=cart&window=15m&route=%2Fitems HTTP/1.1");
    assert_string_equal(text, "cart: 151 requests, as its callers saw them\n"
                              "   1.95ms |......      |\n"
                              "   1.64ms |            |\n"
                              "   1.38ms |            |\n"
                              "   1.16ms |@@@@@@@@@@@@|\n"
                              "   failed  x           \n"
                              "           from 2 min ago until now\n");
}

static void heatmaps_of_nothing_and_nonsense(void **state)
{
    struct canned_api *api = *state;

    canned_answer(api, 200, "{\"reporter\":\"destination\",\"columns\":[]}");
    assert_string_equal(COMMAND(api, cmd_heatmap, "cart"), "cart: 0 requests, as its own side saw them\n");
    canned_answer(api, 200,
        "{\"columns\":[{\"buckets\":[[-99999,1],[1e300,2],[\"x\",3],7,[0,-5]],\"zero_count\":4},null]}");
    const char *text = COMMAND(api, cmd_heatmap, "cart");
    assert_int_equal(api->code, 0);
    assert_contains(text, "cart: 10 requests");
    (void)COMMAND(api, cmd_heatmap, "--window", "1m");
    assert_int_equal(api->code, EXIT_USAGE);
    assert_contains(COMMAND(api, cmd_heatmap, "--help"), "examples:");
}

/* ---- tap ---- */

#define REQUEST(route)                                                                                       \
    "{\"time_unix_ns\":\"1700000000123000000\",\"reporter\":\"source\",\"source\":\"web\",\"destination\":"  \
    "\"cart\","                                                                                              \
    "\"route\":\"" route "\",\"method\":\"GET\",\"response_code\":503,\"outcome\":\"server_error\","         \
    "\"response_flags\":\"UO\",\"duration_seconds\":0.0125,\"attempts\":3,\"trace_id\":\"ab12\"}\n"

static void requests_as_they_arrive(void **state)
{
    struct canned_api *api = *state;

    canned_answer(api, 200,
        REQUEST("/a") "\n" REQUEST("/\\u001b[2J") "{\"dropped\":7}\nnonsense\n{\"grpc_status\":14}\n");
    const char *text = COMMAND(api, cmd_tap, "--service", "cart", "--min-duration", "1ms", "--error");
    assert_int_equal(api->code, 0);
    assert_string_equal(
        api->requests[0], "GET /api/v1/tap?service=cart&min_duration=1ms&error=true&rate=10 HTTP/1.1");
    assert_true(is_inert(text));
    assert_contains(text, ".123 web                 cart                GET     /a ");
    assert_contains(text, "  503   12.5ms  2 retries  UO  ab12\n");
    assert_contains(text, " /?[2J ");
    assert_contains(text, "7 dropped");
    assert_contains(text, "  g14      0us\n");
}

/* The agent sees to the rate; what it left out is told. */
static void no_more_than_a_person_can_read(void **state)
{
    struct canned_api *api = *state;
    static const char lines[] =
        REQUEST("/a") "\n" REQUEST("/b") "{\"left_out\":3010}\n" REQUEST("/c") "{\"dropped\":5}\n";

    canned_answer(api, 200, lines);
    const char *text = COMMAND(api, cmd_tap, "--rate", "5", "--max-duration", "2s");
    assert_string_equal(api->requests[0], "GET /api/v1/tap?max_duration=2s&rate=5 HTTP/1.1");
    assert_contains(text, "… 3010 more\n");
    assert_contains(text, "… 5 dropped");
    text = COMMAND(api, cmd_tap, "--json");
    assert_string_equal(api->requests[1], "GET /api/v1/tap?rate=all HTTP/1.1");
    assert_string_equal(
        text, REQUEST("/a") REQUEST("/b") "{\"left_out\":3010}\n" REQUEST("/c") "{\"dropped\":5}\n");
    text = COMMAND(api, cmd_tap, "--json", "--count", "3"); /* of requests */
    assert_string_equal(text, REQUEST("/a") REQUEST("/b") "{\"left_out\":3010}\n" REQUEST("/c"));
    assert_int_equal(api->code, 0);
}

static void taps_that_cannot_be(void **state)
{
    struct canned_api *api = *state;
    char *line = malloc(200001);

    assert_non_null(line);
    memset(line, 'x', 200000);
    line[200000] = '\0';
    canned_answer(api, 200, line); /* a line without end */
    assert_string_equal(COMMAND(api, cmd_tap, "--json"), "");
    assert_int_equal(api->code, 1);
    canned_answer(api, 400, "{\"error\":{\"message\":\"unknown argument\",\"argument\":\"x\"}}\n");
    assert_string_equal(COMMAND(api, cmd_tap, "--error"), "");
    assert_int_equal(api->code, 1);
    (void)COMMAND(api, cmd_tap, "--rate", "x");
    assert_int_equal(api->code, EXIT_USAGE);
    (void)COMMAND(api, cmd_tap, "cart");
    assert_int_equal(api->code, EXIT_USAGE);
    assert_contains(COMMAND(api, cmd_tap, "--help"), "examples:");
    free(line);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, canned_setup, canned_teardown)
    const struct CMUnitTest tests[] = {
        TEST(causes_in_their_order),
        TEST(no_cause_and_no_answer),
        TEST(latency_over_time),
        TEST(heatmaps_of_nothing_and_nonsense),
        TEST(requests_as_they_arrive),
        TEST(no_more_than_a_person_can_read),
        TEST(taps_that_cannot_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
