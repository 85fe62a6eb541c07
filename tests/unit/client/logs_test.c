/* weft_log against the agent's own native connection: each record arrives once, or is counted as dropped. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/wait.h>

#include "client/logs.h"
#include "unit/client/fake_agent.h"
#include "weft/weft.h"

enum { WAIT_MS = 60000, THREADS_COUNT = 4, PER_THREAD = 300, RECORD_BYTES = 9 + 3 + 3 + 5 };

static const struct weft_log_attribute attributes[] = {{"key", "value"}};
static const struct weft_log_record a_record = {.trace_id = {1},
    .span_id = {2},
    .severity = 9,
    .body = "abc",
    .attributes = attributes,
    .attribute_count = 1};

static struct weft_client *open_client(const struct fake_agent *agent)
{
    struct weft_options options;
    struct weft_client *client = NULL;

    weft_options_init(&options);
    options.socket_path = agent->path;
    options.batch_interval_ms = 5;
    assert_int_equal(weft_open(&options, &client), 0);
    return client;
}

static struct weft_stats stats_of(struct weft_client *client)
{
    struct weft_stats stats;

    weft_stats(client, &stats);
    return stats;
}

/* Waits when there is no room: nothing is lost for good. Returns how often there was none. */
static uint64_t log_all(struct weft_client *client, uint64_t count)
{
    uint64_t full_count = 0;

    for (uint64_t i = 0; i < count; i++) {
        int error;
        while ((error = weft_log(client, &a_record)) != 0) {
            assert_int_equal(error, WEFT_ERROR_FULL);
            full_count++;
            fake_sleep_ms(1);
        }
    }
    return full_count;
}

static void records_arrive_once(void **state)
{
    struct fake_agent agent;
    (void)state;

    fake_agent_start(&agent);
    struct weft_client *client = open_client(&agent);
    uint64_t full_count = log_all(client, 5000);
    assert_int_equal(weft_flush(client, WAIT_MS), 0);
    struct weft_stats stats = stats_of(client);
    assert_int_equal(stats.recorded_logs, 5000);
    assert_int_equal(stats.acknowledged_logs, 5000);
    assert_int_equal(stats.dropped_logs, full_count);
    assert_int_equal(stats.rejected_logs, 0);
    assert_int_equal(stats.backlog_bytes, 0);
    assert_int_equal(atomic_load(&agent.logs), 5000);
    assert_int_equal(atomic_load(&agent.log_bytes), 5000 * RECORD_BYTES);
    assert_int_equal(weft_close(client), 0);
    fake_agent_stop(&agent);
    fake_agent_deinit(&agent);
}

static void *log_some(void *user)
{
    (void)log_all(user, PER_THREAD);
    return NULL;
}

static void threads_share_a_client(void **state)
{
    struct fake_agent agent;
    pthread_t threads[THREADS_COUNT];
    (void)state;

    fake_agent_start(&agent);
    struct weft_client *client = open_client(&agent);
    for (size_t i = 0; i < THREADS_COUNT; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, log_some, client), 0);
    }
    for (size_t i = 0; i < THREADS_COUNT; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(weft_close(client), 0); /* flushes */
    assert_int_equal(atomic_load(&agent.logs), THREADS_COUNT * PER_THREAD);
    fake_agent_stop(&agent);
    fake_agent_deinit(&agent);
}

/* Batches gather while the agent is away, in order and within their limit. */
static void what_waited_for_the_agent_arrives(void **state)
{
    struct fake_agent agent;
    (void)state;

    fake_agent_init(&agent);
    fake_agent_name(&agent);
    struct weft_client *client = open_client(&agent);
    (void)log_all(client, 3000);
    assert_int_equal(weft_flush(client, 20), WEFT_ERROR_TIMEOUT);
    assert_int_equal(stats_of(client).acknowledged_logs, 0);
    fake_agent_listen(&agent);
    assert_int_equal(weft_flush(client, WAIT_MS), 0);
    assert_int_equal(stats_of(client).acknowledged_logs, 3000);
    assert_int_equal(atomic_load(&agent.logs), 3000);
    assert_int_equal(weft_close(client), 0);
    fake_agent_stop(&agent);
    fake_agent_deinit(&agent);
}

static void a_refused_batch_is_rejected(void **state)
{
    struct fake_agent agent;
    (void)state;

    fake_agent_start(&agent);
    struct weft_client *client = open_client(&agent);
    atomic_store(&agent.malformed_count, 1);
    assert_int_equal(weft_log(client, &a_record), 0);
    assert_int_equal(weft_flush(client, WAIT_MS), 0);
    assert_int_equal(stats_of(client).rejected_logs, 1);
    atomic_store(&agent.unavailable_count, 2); /* comes again */
    assert_int_equal(weft_log(client, &a_record), 0);
    assert_int_equal(weft_flush(client, WAIT_MS), 0);
    struct weft_stats stats = stats_of(client);
    assert_int_equal(stats.rejected_logs, 1);
    assert_int_equal(stats.acknowledged_logs, 2);
    assert_int_equal(atomic_load(&agent.logs), 1);
    assert_int_equal(weft_close(client), 0);
    fake_agent_stop(&agent);
    fake_agent_deinit(&agent);
}

static void bad_records_are_refused(void **state)
{
    static const struct weft_log_attribute nameless[] = {{"", "value"}};
    static const struct weft_log_attribute keyless[] = {{NULL, "value"}};
    struct weft_log_record record = a_record;
    struct fake_agent agent;
    char *large = malloc(LOGS_TEXT_BYTES_MAX + 2);
    (void)state;

    assert_non_null(large);
    memset(large, 'x', LOGS_TEXT_BYTES_MAX + 1);
    large[LOGS_TEXT_BYTES_MAX + 1] = '\0';
    fake_agent_start(&agent);
    struct weft_client *client = open_client(&agent);
    record.severity = WEFT_SEVERITY_MAX + 1;
    assert_int_equal(weft_log(client, &record), WEFT_ERROR_INVALID);
    record = a_record;
    record.attributes = nameless;
    assert_int_equal(weft_log(client, &record), WEFT_ERROR_INVALID);
    record.attributes = keyless;
    assert_int_equal(weft_log(client, &record), WEFT_ERROR_INVALID);
    record = a_record;
    record.body = large;
    assert_int_equal(weft_log(client, &record), WEFT_ERROR_OVERSIZED);
    record = (struct weft_log_record){0}; /* nothing at all is a record, too */
    assert_int_equal(weft_log(client, &record), 0);
    assert_int_equal(weft_flush(client, WAIT_MS), 0);
    assert_int_equal(stats_of(client).recorded_logs, 1);
    assert_int_equal(atomic_load(&agent.logs), 1);
    assert_int_equal(weft_close(client), 0);
    fake_agent_stop(&agent);
    fake_agent_deinit(&agent);
    free(large);
}

/* Past either limit of a table a record finds no room, and says so. */
static void a_full_table_drops(void **state)
{
    struct logs logs;
    struct weft_log_record record = a_record;
    char *half = malloc(LOGS_TEXT_BYTES_MAX / 2 + 1);
    uint64_t recorded;
    uint64_t dropped;
    (void)state;

    assert_non_null(half);
    memset(half, 'x', LOGS_TEXT_BYTES_MAX / 2);
    half[LOGS_TEXT_BYTES_MAX / 2] = '\0';
    assert_int_equal(logs_init(&logs), 0);
    assert_false(logs_take(&logs));
    for (int i = 0; i < LOGS_COUNT_MAX; i++) {
        assert_int_equal(logs_add(&logs, &record), 0);
    }
    assert_int_equal(logs_add(&logs, &record), WEFT_ERROR_FULL);
    assert_true(logs_take(&logs)); /* now the other table fills */
    record.body = half;
    assert_int_equal(logs_add(&logs, &record), 0);
    assert_int_equal(logs_add(&logs, &record), WEFT_ERROR_FULL);
    assert_true(logs_take(&logs)); /* the first is not sealed yet */
    assert_int_equal(logs.sealing->count, LOGS_COUNT_MAX);
    logs_counts(&logs, &recorded, &dropped);
    assert_int_equal(recorded, LOGS_COUNT_MAX + 1);
    assert_int_equal(dropped, 2);
    logs_deinit(&logs);
    free(half);
}

static int be_the_child(struct weft_client *client)
{
    if (weft_log(client, &a_record) != 0 || weft_flush(client, WAIT_MS) != 0) {
        return 1;
    }
    struct weft_stats stats = stats_of(client);
    return stats.recorded_logs == 1 && stats.acknowledged_logs == 1 ? 0 : 2;
}

static void a_forked_child_begins_anew(void **state)
{
    struct fake_agent agent;
    (void)state;

#ifdef __SANITIZE_THREAD__
    skip(); /* ThreadSanitizer does not support new threads in the child of a process with threads */
#endif
    fake_agent_start(&agent);
    struct weft_client *client = open_client(&agent);
    (void)log_all(client, 20);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(be_the_child(client));
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(weft_flush(client, WAIT_MS), 0);
    assert_int_equal(stats_of(client).acknowledged_logs, 20);
    assert_int_equal(atomic_load(&agent.logs), 21);
    assert_int_equal(weft_close(client), 0);
    fake_agent_stop(&agent);
    fake_agent_deinit(&agent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_arrive_once),
        cmocka_unit_test(threads_share_a_client),
        cmocka_unit_test(what_waited_for_the_agent_arrives),
        cmocka_unit_test(a_refused_batch_is_rejected),
        cmocka_unit_test(bad_records_are_refused),
        cmocka_unit_test(a_full_table_drops),
        cmocka_unit_test(a_forked_child_begins_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
