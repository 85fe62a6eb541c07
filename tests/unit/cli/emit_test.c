/* `weft emit` against the agent's native connection: what arrives, and the exit code. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>

#include "cli/commands.h"
#include "cli/span_fields.h"
#include "unit/client/fake_agent.h"

enum { ARGUMENTS_MAX = 24 };

/* Runs it with --socket, the arguments (NULL-terminated) and `input` as standard input. */
static int emit(const struct fake_agent *agent, const char *input, const char *const *arguments)
{
    char *argv[ARGUMENTS_MAX] = {"emit", "--socket", (char *)(uintptr_t)agent->path};
    int argc = 3;
    int pipe_fds[2];
    int saved = dup(STDIN_FILENO);

    for (; *arguments != NULL; arguments++) {
        argv[argc++] = (char *)(uintptr_t)*arguments;
    }
    assert_int_equal(pipe(pipe_fds), 0);
    assert_int_equal(write(pipe_fds[1], input, strlen(input)), (ssize_t)strlen(input));
    close(pipe_fds[1]);
    dup2(pipe_fds[0], STDIN_FILENO);
    close(pipe_fds[0]);
    clearerr(stdin);
    int code = cmd_emit(argc, argv);
    dup2(saved, STDIN_FILENO);
    close(saved);
    return code;
}

#define EMIT(agent, input, ...) emit((agent), (input), (const char *const[]){__VA_ARGS__, NULL})

static int set_up(void **state)
{
    struct fake_agent *agent = malloc(sizeof *agent);

    fake_agent_start(agent);
    *state = agent;
    return 0;
}

static int tear_down(void **state)
{
    struct fake_agent *agent = *state;

    fake_agent_stop(agent);
    fake_agent_deinit(agent);
    free(agent);
    return 0;
}

static void test_options(void **state)
{
    struct fake_agent *agent = *state;

    assert_int_equal(EMIT(agent, "", "--destination", "reviews", "--route", "/r/{id}", "--code", "503",
                         "--duration", "12.5ms", "--count", "40", "--rate", "10000"),
        EXIT_SUCCESS);
    assert_int_equal(agent->spans, 40);
    assert_int_equal(agent->duration_ns_sum, UINT64_C(40) * 12500000);
    assert_string_equal(agent->workload, "weft-emit");
    assert_int_equal(EMIT(agent, "", "--counter", "jobs=7", "--workload", "w"), EXIT_SUCCESS);
    assert_int_equal(agent->counter_value, 7);
    assert_int_equal(agent->spans, 40);
    assert_string_equal(agent->workload, "w");
}

static void test_standard_input(void **state)
{
    struct fake_agent *agent = *state;

    assert_int_equal(EMIT(agent,
                         "destination,route,code,duration\n"
                         "reviews,\"/a,\"\"b\"\"\",200,1ms\r\n"
                         "\n"
                         "ratings,,503,2ms\n",
                         "--stdin"),
        EXIT_SUCCESS);
    assert_int_equal(agent->spans, 2);
    assert_int_equal(agent->duration_ns_sum, 3000000);
    assert_int_equal(
        EMIT(agent,
            "{\"destination\":\"reviews\",\"code\":200,\"duration\":0.004}\n"
            "{\"destination\":\"x\",\"trace_id\":\"0102030405060708090a0b0c0d0e0f10\",\"duration\":\"3us\"}",
            "--stdin", "--compress"),
        EXIT_SUCCESS);
    assert_int_equal(agent->spans, 4);
    assert_int_equal(agent->duration_ns_sum, 3000000 + 4000000 + 3000);
}

static void test_bad_input(void **state)
{
    struct fake_agent *agent = *state;

    assert_int_equal(EMIT(agent, "destination,kode\nx,1\n", "--stdin"), EXIT_FAILURE);
    assert_int_equal(EMIT(agent, "destination,code\nx\n", "--stdin"), EXIT_FAILURE);
    assert_int_equal(EMIT(agent, "destination,code\n\"x,1\n", "--stdin"), EXIT_FAILURE);
    assert_int_equal(EMIT(agent, "{\"code\":70000}\n", "--stdin"), EXIT_FAILURE);
    assert_int_equal(EMIT(agent, "{\"nothing\":1}\n", "--stdin"), EXIT_FAILURE);
    assert_int_equal(EMIT(agent, "{\"code\":[1]}\n", "--stdin"), EXIT_FAILURE);
    assert_int_equal(EMIT(agent, "{\"code\":\n", "--stdin"), EXIT_FAILURE);
    assert_int_equal(agent->spans, 0);
    assert_int_equal(EMIT(agent, "", "--reporter", "both"), EXIT_USAGE);
    assert_int_equal(EMIT(agent, "", "--trace-id", "0102"), EXIT_USAGE);
    assert_int_equal(EMIT(agent, "", "--count", "-1"), EXIT_USAGE);
    assert_int_equal(EMIT(agent, "", "--rate", "0"), EXIT_USAGE);
    assert_int_equal(EMIT(agent, "", "--counter", "jobs"), EXIT_USAGE);
    assert_int_equal(EMIT(agent, "", "stray"), EXIT_USAGE);
    assert_int_equal(EMIT(agent, "", "--grpc-status", "17"), EXIT_USAGE);
    assert_int_equal(agent->spans, 0);
}

static void test_rejection_and_absence_show(void **state)
{
    struct fake_agent *agent = *state;
    struct fake_agent absent = {.path = "/tmp/weft-test-nobody.sock"};

    atomic_store(&agent->malformed_count, 1);
    assert_int_equal(EMIT(agent, "", "--count", "3", "--json"), EXIT_FAILURE);
    assert_int_equal(EMIT(&absent, "", "--timeout", "50ms"), EXIT_FAILURE);
}

static void test_durations(void **state)
{
    static const struct {
        const char *text;
        uint64_t ns;
    } rows[] = {
        {"12.5ms", 12500000}, {"3us", 3000}, {"7ns", 7}, {"2s", 2000000000}, {"0.5", 500000000}, {"0", 0}};
    static const char *const bad[] = {"", "ms", "-1s", "1m", "1 s", "nan", "1e300s"};
    uint64_t ns = 0;
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_true(parse_duration(rows[i].text, &ns));
        assert_int_equal(ns, rows[i].ns);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(parse_duration(bad[i], &ns));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_options, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_standard_input, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bad_input, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rejection_and_absence_show, set_up, tear_down),
        cmocka_unit_test(test_durations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
