/* `weft demo` against the agent's native connection: who connects, what arrives, and the exit code. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>

#include "cli/commands.h"
#include "cli/demo_graph.h"
#include "cli/demo_mesh.h"
#include "unit/client/fake_agent.h"

enum { ARGUMENTS_MAX = 24, FLUSH_MS = 60000 };

static int demo(const char *socket_path, const char *const *arguments)
{
    char *argv[ARGUMENTS_MAX] = {"demo", "--socket", (char *)(uintptr_t)socket_path};
    int argc = 3;

    for (; *arguments != NULL; arguments++) {
        argv[argc++] = (char *)(uintptr_t)*arguments;
    }
    optind = 0; /* getopt begins anew */
    return cmd_demo(argc, argv);
}

#define DEMO(path, ...) demo((path), (const char *const[]){__VA_ARGS__, NULL})

static int set_up(void **state)
{
    struct fake_agent *agent = malloc(sizeof *agent);
    sigset_t signals;

    /* Of all threads, so that a signal waits for the command. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
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

static void test_a_second_of_it(void **state)
{
    struct fake_agent *agent = *state;

    assert_int_equal(DEMO(agent->path, "--seconds", "1", "--rate", "200"), EXIT_SUCCESS);
    assert_int_equal(agent->hellos, demo_instance_count());
    assert_true(agent->spans > 0);
    assert_int_equal(agent->gaps, 0);
}

/* What the graph makes is what the agent gets, span by span. */
static void test_all_arrives(void **state)
{
    struct fake_agent *agent = *state;
    struct demo_mesh mesh;
    struct demo_tally tally;
    struct demo_graph graph;
    struct demo_request request;
    uint64_t spans = 0;
    uint64_t duration_ns_sum = 0;

    assert_int_equal(demo_mesh_open(&mesh, agent->path), 0);
    demo_graph_init(&graph, 3, 100);
    for (unsigned i = 0; i < 100; i++) {
        demo_graph_next(&graph, &request);
        demo_mesh_record(&mesh, &request, UINT64_C(1700000000000000000));
        spans += request.span_count;
        for (uint32_t j = 0; j < request.span_count; j++) {
            duration_ns_sum += request.spans[j].duration_ns;
        }
    }
    demo_mesh_flush(&mesh, FLUSH_MS);
    demo_mesh_tally(&mesh, &tally);
    assert_int_equal(tally.connected_count, demo_instance_count());
    assert_int_equal(tally.sent_spans, spans);
    assert_int_equal(tally.acknowledged_spans, spans);
    assert_int_equal(tally.dropped_spans + tally.rejected_spans, 0);
    assert_int_equal(agent->spans, spans);
    assert_int_equal(agent->duration_ns_sum, duration_ns_sum);
    demo_mesh_close(&mesh);
    demo_mesh_close(NULL);
}

static void test_what_is_refused_is_told(void **state)
{
    struct fake_agent *agent = *state;

    atomic_store(&agent->malformed_count, 1);
    assert_int_equal(DEMO(agent->path, "--seconds", "1", "--rate", "200", "--quiet"), EXIT_FAILURE);
}

static void test_nobody_is_there(void **state)
{
    char long_path[300];
    (void)state;

    assert_int_equal(DEMO("/nonexistent/weft.sock", "--seconds", "1"), EXIT_FAILURE);
    memset(long_path, 'a', sizeof long_path);
    long_path[sizeof long_path - 1] = '\0';
    assert_int_equal(DEMO(long_path, "--seconds", "1"), EXIT_FAILURE);
}

static void *send_signal(void *user)
{
    const struct fake_agent *agent = user;
    const struct timespec pause = {.tv_nsec = 10000000};

    while (agent->spans == 0) {
        nanosleep(&pause, NULL);
    }
    kill(getpid(), SIGTERM);
    return NULL;
}

static void test_a_signal_ends_it(void **state)
{
    struct fake_agent *agent = *state;
    pthread_t thread;
    sigset_t pending;

    assert_int_equal(pthread_create(&thread, NULL, send_signal, agent), 0);
    assert_int_equal(DEMO(agent->path, "--rate", "100"), EXIT_SUCCESS);
    assert_int_equal(pthread_join(thread, NULL), 0);
    sigpending(&pending);
    assert_false(sigismember(&pending, SIGTERM));
    kill(getpid(), SIGINT); /* before there is anybody */
    assert_int_equal(DEMO("/nonexistent/weft.sock", "--quiet"), EXIT_SUCCESS);
}

static void test_wrong_usage(void **state)
{
    static const char *const bad[][2] = {{"--rate", "0"}, {"--rate", "-1"}, {"--rate", "nan"},
        {"--rate", "10001"}, {"--rate", "5x"}, {"--seed", "0"}, {"--seed", "-1"},
        {"--seed", "99999999999999999999"}, {"--seconds", "soon"}, {"--seconds", "-3"},
        {"--seconds", "99999999999"}, {"--colour", "red"}, {"more", "words"}};
    struct fake_agent *agent = *state;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(DEMO(agent->path, bad[i][0], bad[i][1]), EXIT_USAGE);
    }
    assert_int_equal(DEMO(agent->path, "--help"), EXIT_SUCCESS);
    assert_int_equal(agent->hellos, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_second_of_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_all_arrives, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_refused_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nobody_is_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_signal_ends_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wrong_usage, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
