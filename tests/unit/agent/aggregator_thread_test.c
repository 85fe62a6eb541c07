/* The aggregator's thread without a thread: its loop is turned by the test. Exports of metrics that reach the
 * exporter, and those that are lost on the way. */
#include "aggregator_thread.h"
#include "rig.h"

static const char exporting_metrics[] = "exporters:\n"
                                        "  otlp:\n"
                                        "    - name: backend\n"
                                        "      protocol: grpc\n"
                                        "      endpoint: http://127.0.0.1:1\n"
                                        "      signals: [metrics]\n"
                                        "      batch:\n"
                                        "        delay_ms: 60000\n";

struct finish_mail {
    struct mail mail; /* first member */
    bool delivered;
};

static void on_finished(struct mail *mail, void *receiver)
{
    (void)receiver;
    ((struct finish_mail *)mail)->delivered = true;
}

/* One export of all metrics, as the drain asks for it. */
static void export_once(struct rig *rig, struct aggregator_thread *aggregator)
{
    struct mailbox answers;
    struct finish_mail done = {.mail = {.deliver = on_finished}};

    assert_int_equal(mailbox_init(&answers, &rig->loop, NULL), 0);
    assert_true(aggregator_thread_finish(aggregator, &answers, &done.mail));
    for (int i = 0; i < 20000 && !done.delivered; i++) {
        (void)uv_run(&aggregator_thread_loop(aggregator)->loop, UV_RUN_NOWAIT);
        rig_turn(rig);
        (void)usleep(1000);
    }
    assert_true(done.delivered);
    mailbox_close(&answers);
    rig_turn(rig);
    mailbox_deinit(&answers);
}

static struct aggregator_thread *aggregator_start(
    struct rig *rig, const struct budget *assembly, struct metric_cells *cells)
{
    struct aggregator_thread *aggregator;
    struct aggregator_thread_config config = {
        .config = rig->config,
        .clock = clock_system(),
        .log = &rig->log,
        .bounds = &rig->bounds,
        .series = &rig->series,
        .assembly = assembly,
        .registry = &rig->registry,
        .cells = cells,
        .exporter = &rig->exporter,
        .shard_count = 1,
    };

    assert_int_equal(aggregator_thread_new(&config, &aggregator), 0);
    return aggregator;
}

static void points_reach_the_exporter_or_are_lost(void **state)
{
    const struct budget assembly = {.cap_bytes = 1};
    struct rig rig;

    (void)state;
    rig_begin(&rig, exporting_metrics);
    struct metric_cells *cells = metric_registry_add(&rig.registry, METRIC_SCOPE_PROCESS, "");
    struct aggregator_thread *aggregator = aggregator_start(&rig, &assembly, cells);

    export_once(&rig, aggregator);
    uint64_t handed_count = rig_get(&rig, METRIC_EXPORT_POINTS_HANDED);
    assert_true(handed_count > 10); /* the agent's own */
    assert_int_equal(rig_get(&rig, METRIC_EXPORT_POINTS_QUEUED), handed_count);
    assert_int_equal(metric_get(cells, METRIC_POINTS_EXPORT_LOST), 0);

    rig_end_exporter(&rig);
    export_once(&rig, aggregator);
    assert_int_equal(rig_get(&rig, METRIC_EXPORT_POINTS_HANDED), handed_count);
    assert_int_equal(metric_get(cells, METRIC_POINTS_EXPORT_LOST), handed_count);

    aggregator_thread_stop(aggregator);
    aggregator_thread_free(aggregator);
    rig_stop(&rig);
}

/* All that draws on the budget is shown, whatever it is: shards do not report their shares. */
static void memory_of_messages_is_shown(void **state)
{
    struct budget assembly = {.cap_bytes = 1 << 20};
    struct rig rig;

    (void)state;
    rig_begin(&rig, exporting_metrics);
    struct metric_cells *cells = metric_registry_add(&rig.registry, METRIC_SCOPE_PROCESS, "");
    struct aggregator_thread *aggregator = aggregator_start(&rig, &assembly, cells);

    assert_true(budget_reserve(&assembly, 4711));
    export_once(&rig, aggregator);
    assert_int_equal(rig_get(&rig, METRIC_ASSEMBLY_BYTES), 4711);
    budget_release(&assembly, 4711);
    export_once(&rig, aggregator);
    assert_int_equal(rig_get(&rig, METRIC_ASSEMBLY_BYTES), 0);

    aggregator_thread_stop(aggregator);
    aggregator_thread_free(aggregator);
    rig_stop(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(points_reach_the_exporter_or_are_lost),
        cmocka_unit_test(memory_of_messages_is_shown),
    };

    return cmocka_run_group_tests_name("aggregator_thread", tests, NULL, NULL);
}
