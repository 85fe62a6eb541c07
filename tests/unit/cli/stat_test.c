/* `weft stat` and `weft edges`: the question they ask, the table they print, hostile names, no agent. */
#include "canned_api.h"

#include "cli/api.h"
#include "cli/commands.h"
#include "cli/no_agent.h"

static const char two_rows[] =
    "{\"window\":\"1m\",\"totals\":{\"rows\":5,\"requests\":130},\"rows\":["
    "{\"origin\":\"records\",\"reporter\":\"source\",\"destination\":\"cart\",\"destination_namespace\":"
    "\"shop\","
    "\"route\":\"/add\",\"source\":\"web\",\"source_namespace\":\"unknown\",\"requests\":120,"
    "\"outcomes\":{\"ok\":90,\"client_error\":6,\"server_error\":12,\"no_response\":12},\"covered_seconds\":"
    "60,"
    "\"quantiles\":[{\"q\":0.5,\"seconds\":0.01},{\"q\":0.9,\"seconds\":0.0251},{\"q\":0.99,\"seconds\":0.25}"
    ","
    "{\"q\":0.999,\"seconds\":1.5}],\"callers\":2,"
    "\"busiest_caller\":{\"source\":\"web\",\"source_namespace\":\"shop\",\"requests\":80}},"
    "{\"origin\":\"scrape\",\"reporter\":\"destination\",\"destination\":\"x\\u001b]0;owned\\u0007\\u202e\","
    "\"destination_namespace\":\"a\\nb\",\"requests\":10,\"outcomes\":{\"ok\":10},\"covered_seconds\":60,"
    "\"quantiles\":[]}]}";

static void a_table_of_services(void **state)
{
    struct canned_api *api = *state;

    assert_int_equal(setenv("COLUMNS", "80", 1), 0);
    canned_answer(api, 200, two_rows);
    const char *text =
        COMMAND(api, cmd_stat, "--window", "5m", "--sort", "p99", "--limit", "2", "--service", "a b");
    assert_int_equal(api->code, 0);
    assert_string_equal(api->requests[0],
        "GET /api/v1/top?by=destination&q=0.5,0.9,0.99,0.999&limit=2&window=5m&service=a%20b&sort=p99 "
        "HTTP/1.1");
    assert_string_equal(text,
        "DESTINATION         RATE/s FAIL%  4XX%    P50    P90    P99  P99.9 BUSIEST CALL~\n"
        "cart.shop                2  20.0  5.00 10.0ms 25.1ms  250ms  1.50s web.shop\n"
        "x?]0;owned??.a?b      0.17     0     0      -      -      -      - -\n"
        "... and 3 more; --limit shows more of them\n");
}

static void tables_of_routes_and_edges(void **state)
{
    struct canned_api *api = *state;

    assert_int_equal(setenv("COLUMNS", "80", 1), 0);
    canned_answer(api, 200, two_rows);
    const char *text = COMMAND(api, cmd_stat, "--routes");
    assert_contains(api->requests[0], "?by=route&");
    assert_contains(text, "cart.shop     /add ");
    (void)COMMAND(api, cmd_stat, "--route", "/add");
    assert_contains(api->requests[1], "?by=route&");
    assert_contains(api->requests[1], "&route=%2Fadd");
    text = COMMAND(api, cmd_edges, "--source", "web", "cart");
    assert_contains(api->requests[2], "?by=edge&");
    assert_contains(api->requests[2], "&service=cart&source=web");
    assert_contains(text, "web              cart.shop");
    (void)COMMAND(api, cmd_top, "--match", "car"); /* standard output is no terminal here */
    assert_contains(api->requests[3], "?by=destination&");
    assert_contains(api->requests[3], "&match=car");
}

static void more_columns_on_more_room(void **state)
{
    struct canned_api *api = *state;

    assert_int_equal(setenv("COLUMNS", "160", 1), 0);
    canned_answer(api, 200, two_rows);
    const char *text = COMMAND(api, cmd_stat, "--namespace", "shop");
    assert_contains(text, " REPORTER    RATE/s FAIL%  5XX% NONE%  4XX% CANC% ");
    assert_contains(text, " source           2  20.0  10.0  10.0  5.00     0 ");
    assert_contains(text, " scrape        0.17 ");
    assert_true(is_inert(text));
    for (unsigned columns = 40; columns < 300; columns++) {
        char number[16];
        (void)snprintf(number, sizeof number, "%u", columns);
        assert_int_equal(setenv("COLUMNS", number, 1), 0);
        text = COMMAND(api, cmd_edges, "--reporter", "source");
        assert_true(strcspn(text, "\n") <= (columns > 60 ? columns : 60));
    }
    assert_int_equal(unsetenv("COLUMNS"), 0);
}

static void json_as_it_is(void **state)
{
    struct canned_api *api = *state;

    canned_answer(api, 200, two_rows);
    const char *text = COMMAND(api, cmd_edges, "--json");
    json_t *sent = json_loads(two_rows, 0, NULL);
    json_t *printed = json_loads(text, 0, NULL);
    assert_non_null(printed);
    assert_int_equal(json_equal(sent, printed), 1);
    json_decref(sent);
    json_decref(printed);
}

static void nothing_and_nonsense(void **state)
{
    struct canned_api *api = *state;

    canned_answer(api, 200, "{\"window\":\"1m\",\"totals\":{\"rows\":0},\"rows\":[]}");
    assert_contains(COMMAND(api, cmd_stat, "cart"), "no requests in this window\n");
    assert_int_equal(api->code, 0);
    canned_answer(api, 200, "{\"rows\":[1,null,{\"destination\":7,\"quantiles\":{}}],\"totals\":[]}");
    assert_true(is_inert(COMMAND(api, cmd_stat, "cart")));
    canned_answer(api, 200, "hello");
    (void)COMMAND(api, cmd_stat, "cart");
    assert_int_equal(api->code, 1);
    canned_answer(api, 400, "{\"error\":{\"message\":\"expected less\",\"argument\":\"limit\"}}");
    (void)COMMAND(api, cmd_stat, "cart");
    assert_int_equal(api->code, 1);
}

static void no_agent_names_what_was_tried(void **state)
{
    char text[API_REASON_BYTES];

    (void)state;
    assert_int_equal(unsetenv("WEFT_API"), 0);
    assert_int_equal(setenv("XDG_RUNTIME_DIR", "/tmp/weft-nowhere", 1), 0);
    no_agent_explain(NULL, text, sizeof text);
    assert_contains(text, "no agent answers\n");
    assert_contains(text, "  tried /run/weft/api.sock: ");
    assert_contains(text, "WEFT_API=");
    no_agent_explain("/tmp/weft-nowhere/x.sock", text, sizeof text);
    assert_contains(text, "  tried /tmp/weft-nowhere/x.sock: there is no such socket\n");
    assert_null(strstr(text, "/run/weft"));
    assert_int_equal(setenv("WEFT_API", "http://127.0.0.1:1", 1), 0);
    no_agent_explain(NULL, text, sizeof text);
    assert_contains(text, "  tried http://127.0.0.1:1 (from WEFT_API)\n");
    assert_int_equal(unsetenv("WEFT_API"), 0);
    for (size_t bytes = 1; bytes < 300; bytes++) { /* cut, never over */
        memset(text, 'x', sizeof text);
        no_agent_explain("/tmp/weft-nowhere/x.sock", text, bytes);
        assert_true(strlen(text) < bytes);
    }
}

/* A socket that is there and on which nobody listens. */
static void a_dead_socket_is_told_apart(void **state)
{
    struct canned_api *api = *state;
    char text[API_REASON_BYTES];
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    (void)snprintf(address.sun_path, sizeof address.sun_path, "%.60s/dead.sock", api->directory);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
    no_agent_explain(address.sun_path, text, sizeof text);
    assert_contains(text, "nobody listens on it any more");
    assert_int_equal(unlink(address.sun_path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_table_of_services, canned_setup, canned_teardown),
        cmocka_unit_test_setup_teardown(tables_of_routes_and_edges, canned_setup, canned_teardown),
        cmocka_unit_test_setup_teardown(more_columns_on_more_room, canned_setup, canned_teardown),
        cmocka_unit_test_setup_teardown(json_as_it_is, canned_setup, canned_teardown),
        cmocka_unit_test_setup_teardown(nothing_and_nonsense, canned_setup, canned_teardown),
        cmocka_unit_test(no_agent_names_what_was_tried),
        cmocka_unit_test_setup_teardown(a_dead_socket_is_told_apart, canned_setup, canned_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
