/* libweft against the agent's own native connection: what is recorded arrives once, whatever happens in
 * between. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <sys/wait.h>

#include "unit/client/fake_agent.h"
#include "weft/weft.h"

enum { WAIT_MS = 60000 };

static struct weft_client *open_client(const struct fake_agent *agent, const struct weft_options *wanted)
{
    struct weft_options options;
    struct weft_client *client = NULL;

    weft_options_init(&options);
    if (wanted != NULL) {
        options = *wanted;
    }
    options.socket_path = agent->path;
    options.workload = "tester";
    options.batch_interval_ms = 5;
    options.metrics_interval_ms = 20;
    assert_int_equal(weft_open(&options, &client), 0);
    return client;
}

static struct weft_span a_span(struct weft_client *client, uint64_t duration_ns)
{
    return (struct weft_span){
        .trace_id = {1},
        .span_id = {2},
        .start_time_unix_ns = 1700000000000000000u,
        .duration_ns = duration_ns,
        .destination = weft_intern(client, "reviews", 7),
        .reporter = WEFT_REPORTER_SOURCE,
        .response_code = 200,
    };
}

/* Records `count` spans, waiting when the buffer is full: nothing is dropped for good. */
static void record(struct weft_client *client, uint64_t count)
{
    struct weft_span span = a_span(client, 3);

    for (uint64_t i = 0; i < count; i++) {
        while (weft_record_span(client, &span) != 0) {
            fake_sleep_ms(1);
        }
    }
}

static struct weft_stats stats_of(struct weft_client *client)
{
    struct weft_stats stats;

    weft_stats(client, &stats);
    return stats;
}

static void test_spans_arrive_once(void **state)
{
    struct fake_agent agent;
    (void)state;

    fake_agent_start(&agent);
    struct weft_client *client = open_client(&agent, NULL);
    record(client, 5000);
    assert_int_equal(weft_flush(client, WAIT_MS), 0);
    struct weft_stats stats = stats_of(client);
    assert_int_equal(stats.recorded_spans, 5000);
    assert_int_equal(stats.acknowledged_spans, 5000);
    assert_int_equal(stats.rejected_spans, 0);
    assert_int_equal(stats.backlog_bytes, 0);
    assert_int_equal(stats.connected, 1);
    assert_int_equal(atomic_load(&agent.spans), 5000);
    assert_int_equal(atomic_load(&agent.duration_ns_sum), 15000);
    assert_int_equal(atomic_load(&agent.strings), 1);
    assert_string_equal(agent.workload, "tester");
    assert_int_equal(weft_close(client), 0);
    fake_agent_stop(&agent);
    fake_agent_deinit(&agent);
}

static void test_compressed(void **state)
{
    struct fake_agent agent;
    struct weft_options options;
    (void)state;

    weft_options_init(&options);
    options.compression_level = 1;
    fake_agent_start(&agent);
    struct weft_client *client = open_client(&agent, &options);
    record(client, 5000);
    assert_int_equal(weft_flush(client, WAIT_MS), 0);
    assert_int_equal(atomic_load(&agent.spans), 5000);
    /* equal spans shrink to almost nothing: more than 32 bytes of ids alone each would have come uncompressed
     */
    assert_true(metric_get(&agent.cells, METRIC_RECEIVED_BYTES) < 5000 * 16);
    assert_int_equal(weft_close(client), 0);
    fake_agent_stop(&agent);
    fake_agent_deinit(&agent);
}

static void *record_from_thread(void *user)
{
    record(user, 20000);
    return NULL;
}

static void test_many_threads_that_end(void **state)
{
    struct fake_agent agent;
    pthread_t threads[8];
    (void)state;

    fake_agent_start(&agent);
    struct weft_client *client = open_client(&agent, NULL);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, record_from_thread, client), 0);
    }
    for (size_t i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(weft_flush(client, WAIT_MS), 0);
    struct weft_stats stats = stats_of(client);
    assert_int_equal(stats.recorded_spans, 160000);
    assert_int_equal(stats.acknowledged_spans, 160000);
    assert_int_equal(atomic_load(&agent.spans), 160000);
    assert_int_equal(weft_close(client), 0);
    fake_agent_stop(&agent);
    fake_agent_deinit(&agent);
}

static void test_agent_comes_late_and_restarts(void **state)
{
    struct fake_agent agent;
    (void)state;

    fake_agent_init(&agent);
    fake_agent_name(&agent);
    struct weft_client *client = open_client(&agent, NULL);
    record(client, 100);
    assert_int_equal(weft_flush(client, 50), WEFT_ERROR_TIMEOUT);
    assert_int_equal(stats_of(client).connected, 0);
    assert_true(stats_of(client).last_error[0] != '\0');
    fake_agent_listen(&agent);
    assert_int_equal(weft_flush(client, WAIT_MS), 0);
    assert_int_equal(atomic_load(&agent.spans), 100);
    fake_agent_stop(&agent);
    record(client, 50);
    /* a new agent remembers nothing of the client */
    struct fake_agent second;
    fake_agent_init(&second);
    memcpy(second.path, agent.path, sizeof second.path);
    fake_agent_listen(&second);
    assert_int_equal(weft_flush(client, WAIT_MS), 0);
    assert_int_equal(atomic_load(&second.spans), 50);
    assert_int_equal(atomic_load(&second.strings), 1);
    assert_int_equal(atomic_load(&second.gaps), 0);
    assert_int_equal(stats_of(client).connects, 2);
    assert_int_equal(weft_close(client), 0);
    fake_agent_stop(&second);
    fake_agent_deinit(&second);
    fake_agent_deinit(&agent);
}

static void test_lost_acks_count_once(void **state)
{
    struct fake_agent agent;
    (void)state;

    fake_agent_start(&agent);
    struct weft_client *client = open_client(&agent, NULL);
    for (int round = 0; round < 5; round++) {
        atomic_store(&agent.forget_count, 1);
        record(client, 3000);
        assert_int_equal(weft_flush(client, WAIT_MS), 0);
        fake_agent_drop_connections(&agent);
    }
    assert_int_equal(atomic_load(&agent.spans), 15000);
    assert_int_equal(stats_of(client).acknowledged_spans, 15000);
    assert_true(atomic_load(&agent.hellos) >= 6);
    assert_int_equal(atomic_load(&agent.gaps), 0);
    assert_int_equal(weft_close(client), 0);
    fake_agent_stop(&agent);
    fake_agent_deinit(&agent);
}

static void test_unavailable_is_sent_again(void **state)
{
    struct fake_agent agent;
    (void)state;

    fake_agent_start(&agent);
    atomic_store(&agent.unavailable_count, 3);
    struct weft_client *client = open_client(&agent, NULL);
    record(client, 20000);
    assert_int_equal(weft_flush(client, WAIT_MS), 0);
    assert_int_equal(atomic_load(&agent.spans), 20000);
    assert_int_equal(atomic_load(&agent.gaps), 0);
    assert_true(stats_of(client).batches_resent >= 1);
    assert_true(metric_get(&agent.cells, METRIC_MESSAGES_REFUSED_MEMORY) >= 3);
    assert_int_equal(weft_close(client), 0);
    fake_agent_stop(&agent);
    fake_agent_deinit(&agent);
}

static void test_malformed_is_given_up(void **state)
{
    struct fake_agent agent;
    (void)state;

    fake_agent_start(&agent);
    atomic_store(&agent.malformed_count, 1);
    struct weft_client *client = open_client(&agent, NULL);
    record(client, 10);
    assert_int_equal(weft_flush(client, WAIT_MS), 0);
    record(client, 7);
    assert_int_equal(weft_flush(client, WAIT_MS), 0);
    struct weft_stats stats = stats_of(client);
    assert_int_equal(stats.acknowledged_spans, 17);
    assert_int_equal(stats.rejected_spans + atomic_load(&agent.spans), 17);
    assert_true(stats.rejected_spans > 0);
    assert_int_equal(atomic_load(&agent.gaps), 0);
    assert_int_equal(weft_close(client), 0);
    fake_agent_stop(&agent);
    fake_agent_deinit(&agent);
}

static void test_unknown_ids_are_rejected(void **state)
{
    struct fake_agent agent;
    (void)state;

    fake_agent_start(&agent);
    struct weft_client *client = open_client(&agent, NULL);
    struct weft_span span = a_span(client, 1);
    assert_int_equal(weft_record_span(client, &span), 0);
    span.destination = 4711;
    assert_int_equal(weft_record_span(client, &span), 0);
    assert_int_equal(weft_flush(client, WAIT_MS), 0);
    struct weft_stats stats = stats_of(client);
    assert_int_equal(stats.acknowledged_spans, 2);
    assert_int_equal(stats.rejected_spans, 1);
    assert_int_equal(stats.errors, 1);
    assert_string_equal(stats.last_error, "unknown id");
    assert_int_equal(weft_close(client), 0);
    fake_agent_stop(&agent);
    fake_agent_deinit(&agent);
}

static void test_full_buffers_drop_and_tell(void **state)
{
    struct fake_agent agent;
    struct weft_options options;
    (void)state;

    weft_options_init(&options);
    options.backlog_bytes_max = 20000;
    options.thread_spans_count = 64;
    fake_agent_init(&agent);
    fake_agent_name(&agent);
    struct weft_client *client = open_client(&agent, &options);
    struct weft_span span = a_span(client, 1);
    uint64_t taken = 0;
    uint64_t refused = 0;
    while (refused < 5000) {
        if (weft_record_span(client, &span) == 0) {
            taken++;
        } else {
            refused++;
        }
        if ((taken + refused) % 64 == 0) {
            fake_sleep_ms(1);
        }
    }
    struct weft_stats stats = stats_of(client);
    assert_int_equal(stats.recorded_spans, taken);
    assert_int_equal(stats.dropped_spans, refused);
    fake_agent_listen(&agent);
    assert_int_equal(weft_flush(client, WAIT_MS), 0);
    assert_true(fake_wait(&agent.told_dropped_spans, refused));
    assert_int_equal(atomic_load(&agent.told_dropped_spans), refused);
    assert_int_equal(atomic_load(&agent.spans), taken);
    assert_int_equal(weft_close(client), 0);
    fake_agent_stop(&agent);
    fake_agent_deinit(&agent);
}

static void test_small_credit(void **state)
{
    struct fake_agent agent;
    (void)state;

    fake_agent_init(&agent);
    fake_agent_name(&agent);
    agent.limits.native_credit_bytes = 1;
    agent.assembly.cap_bytes = 65536 * 4;
    fake_agent_listen(&agent);
    struct weft_client *client = open_client(&agent, NULL);
    record(client, 30000);
    assert_int_equal(weft_flush(client, WAIT_MS), 0);
    assert_int_equal(atomic_load(&agent.spans), 30000);
    assert_int_equal(weft_close(client), 0);
    fake_agent_stop(&agent);
    fake_agent_deinit(&agent);
}

static void test_metrics(void **state)
{
    struct fake_agent agent;
    struct weft_counter *counter;
    struct weft_gauge *gauge;
    struct weft_histogram *histogram;
    const struct weft_label label = {.key = "pool", .value = "a"};
    const struct weft_metric identity = {.name = "jobs", .help = "Jobs.", .labels = &label, .label_count = 1};
    (void)state;

    fake_agent_start(&agent);
    struct weft_client *client = open_client(&agent, NULL);
    assert_int_equal(weft_counter_new(client, &identity, &counter), 0);
    assert_int_equal(weft_gauge_new(client, &identity, &gauge), 0);
    assert_int_equal(weft_histogram_new(client, &identity, &histogram), 0);
    const struct weft_metric nameless = {.name = ""};
    assert_int_equal(weft_gauge_new(client, &nameless, &gauge), WEFT_ERROR_INVALID);
    weft_counter_add(counter, 41);
    weft_counter_add(counter, 1);
    for (int i = 0; i < 1000; i++) {
        weft_histogram_record(histogram, ldexp(1.1, i % 80 - 40));
    }
    weft_histogram_record(histogram, 0);
    weft_histogram_record(histogram, NAN);
    weft_histogram_record(histogram, -1);
    weft_histogram_record(histogram, INFINITY);
    assert_int_equal(weft_flush(client, WAIT_MS), 0);
    assert_int_equal(atomic_load(&agent.series), 3);
    assert_int_equal(atomic_load(&agent.counter_value), 42);
    assert_int_equal(atomic_load(&agent.histogram_count), 1001);
    assert_int_equal(atomic_load(&agent.told_dropped_points), 3);
    /* a new agent gets series and cumulative values again */
    fake_agent_drop_connections(&agent);
    assert_true(fake_wait(&agent.series, 6));
    weft_counter_add(counter, 1);
    assert_int_equal(weft_flush(client, WAIT_MS), 0);
    assert_int_equal(atomic_load(&agent.counter_value), 43);
    assert_int_equal(atomic_load(&agent.histogram_count), 1001);
    struct weft_stats stats = stats_of(client);
    assert_int_equal(stats.acknowledged_points, stats.sent_points);
    assert_int_equal(atomic_load(&agent.points), stats.sent_points);
    assert_int_equal(stats.dropped_points, 3);
    assert_int_equal(weft_close(client), 0);
    fake_agent_stop(&agent);
    fake_agent_deinit(&agent);
}

/* 0 when a child of this process is a sender of its own. */
static int be_the_child(struct weft_client *client, struct weft_counter *counter)
{
    struct weft_stats stats = stats_of(client);

    if (stats.recorded_spans != 0 || stats.backlog_bytes != 0) {
        return 1;
    }
    struct weft_span span = a_span(client, 5);
    for (int i = 0; i < 7; i++) {
        if (weft_record_span(client, &span) != 0) {
            return 2;
        }
    }
    weft_counter_add(counter, 3);
    if (weft_flush(client, WAIT_MS) != 0) {
        return 3;
    }
    stats = stats_of(client);
    if (stats.acknowledged_spans != 7 || stats.acknowledged_points == 0 ||
        stats.acknowledged_points != stats.sent_points) {
        return 4;
    }
    return weft_close(client) == 0 ? 0 : 5;
}

static void test_fork(void **state)
{
    struct fake_agent agent;
    struct weft_counter *counter;
    const struct weft_metric identity = {.name = "forks"};
    (void)state;

#ifdef __SANITIZE_THREAD__
    skip(); /* ThreadSanitizer does not support new threads in the child of a process with threads */
#endif
    fake_agent_start(&agent);
    struct weft_client *client = open_client(&agent, NULL);
    assert_int_equal(weft_counter_new(client, &identity, &counter), 0);
    weft_counter_add(counter, 10);
    record(client, 11);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(be_the_child(client, counter));
    }
    record(client, 2);
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(weft_flush(client, WAIT_MS), 0);
    assert_int_equal(stats_of(client).acknowledged_spans, 13);
    assert_int_equal(atomic_load(&agent.spans), 20);
    assert_int_equal(instances_count(agent.instances), 2);
    assert_int_equal(weft_close(client), 0);
    fake_agent_stop(&agent);
    fake_agent_deinit(&agent);
}

static void test_bad_arguments(void **state)
{
    struct fake_agent agent;
    struct weft_options options;
    struct weft_client *client = NULL;
    struct weft_client *clients[WEFT_CLIENTS_COUNT_MAX];
    char long_text[WEFT_STRING_BYTES_MAX + 1];
    (void)state;

    fake_agent_init(&agent);
    fake_agent_name(&agent);
    memset(long_text, 'a', sizeof long_text);
    long_text[sizeof long_text - 1] = '\0';
    weft_options_init(&options);
    options.socket_path = long_text;
    assert_int_equal(weft_open(&options, &client), WEFT_ERROR_INVALID);
    weft_options_init(&options);
    options.struct_bytes = 1;
    assert_int_equal(weft_open(&options, &client), WEFT_ERROR_INVALID);
    assert_null(client);
    for (size_t i = 0; i < WEFT_CLIENTS_COUNT_MAX; i++) {
        clients[i] = open_client(&agent, NULL);
    }
    weft_options_init(&options);
    options.socket_path = agent.path;
    assert_int_equal(weft_open(&options, &client), WEFT_ERROR_FULL);
    assert_int_equal(weft_intern(clients[0], "", 0), 0);
    assert_int_equal(weft_intern(clients[0], long_text, sizeof long_text), 0);
    uint32_t id = weft_intern(clients[0], "a", 1);
    assert_int_equal(weft_intern(clients[0], "ab", 1), id);
    assert_int_not_equal(weft_intern(clients[0], "ab", 2), id);
    for (size_t i = 0; i < WEFT_CLIENTS_COUNT_MAX; i++) {
        weft_close(clients[i]);
    }
    assert_int_equal(weft_close(NULL), 0);
    fake_agent_deinit(&agent);
}

static void test_string_table_fills(void **state)
{
    struct fake_agent agent;
    char text[16];
    (void)state;

    fake_agent_start(&agent);
    struct weft_client *client = open_client(&agent, NULL);
    for (uint32_t i = 1; i <= WEFT_STRINGS_COUNT_MAX; i++) {
        int length = snprintf(text, sizeof text, "s%u", i);
        assert_int_equal(weft_intern(client, text, (size_t)length), i);
    }
    assert_int_equal(weft_intern(client, "one more", 8), 0);
    assert_int_equal(weft_intern(client, "s77", 3), 77);
    struct weft_span span = {.destination = WEFT_STRINGS_COUNT_MAX};
    assert_int_equal(weft_record_span(client, &span), 0);
    assert_int_equal(weft_flush(client, WAIT_MS), 0);
    assert_int_equal(atomic_load(&agent.strings), WEFT_STRINGS_COUNT_MAX);
    assert_int_equal(atomic_load(&agent.spans), 1);
    assert_int_equal(weft_close(client), 0);
    fake_agent_stop(&agent);
    fake_agent_deinit(&agent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spans_arrive_once),
        cmocka_unit_test(test_compressed),
        cmocka_unit_test(test_many_threads_that_end),
        cmocka_unit_test(test_agent_comes_late_and_restarts),
        cmocka_unit_test(test_lost_acks_count_once),
        cmocka_unit_test(test_unavailable_is_sent_again),
        cmocka_unit_test(test_malformed_is_given_up),
        cmocka_unit_test(test_unknown_ids_are_rejected),
        cmocka_unit_test(test_full_buffers_drop_and_tell),
        cmocka_unit_test(test_small_credit),
        cmocka_unit_test(test_metrics),
        cmocka_unit_test(test_fork),
        cmocka_unit_test(test_bad_arguments),
        cmocka_unit_test(test_string_table_fills),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
