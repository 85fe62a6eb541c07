/* One destination from inside: a queue and a transport that run out of memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/error.h"
#include "exporters/otlp/destination.h"

struct fake_transport {
    struct transport transport; /* first member */
    size_t failures_left;
    size_t send_count;
};

struct fixture {
    uv_loop_t loop;
    struct metric_cells cells;
    struct otlp_destination_config config;
    struct otlp_exporter_config exporter;
    struct destination destination;
    struct fake_transport fake;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    const char *what = NULL;

    assert_non_null(fixture);
    assert_int_equal(uv_loop_init(&fixture->loop), 0);
    fixture->config = (struct otlp_destination_config){
        .name = "test",
        .url = {[OTLP_SIGNAL_TRACES] = "http://127.0.0.1:1", [OTLP_SIGNAL_METRICS] = "http://127.0.0.1:1"},
        .timeout_ms = 1000,
        .queue_bytes_max = 1000,
        .batch_count_max = 1,
        .batch_bytes_max = 1000,
        .cells = &fixture->cells,
    };
    fixture->exporter = (struct otlp_exporter_config){
        .loop = &fixture->loop,
        .clock = clock_system(),
        .destinations = &fixture->config,
        .destination_count = 1,
        .pacing = {.backoff_initial_ms = 1,
            .backoff_max_ms = 1,
            .retry_after_max_ms = 1,
            .connect_timeout_ms = 1},
    };
    assert_int_equal(destination_init(&fixture->destination, &fixture->config, &fixture->exporter, &what), 0);
    destination_start(&fixture->destination);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    destination_close(&fixture->destination);
    (void)uv_run(&fixture->loop, UV_RUN_DEFAULT);
    destination_deinit(&fixture->destination);
    assert_int_equal(uv_loop_close(&fixture->loop), 0);
    free(fixture);
    return 0;
}

static int push_without_memory(struct queue *queue, const struct queue_item *item)
{
    (void)queue;
    (void)item;
    return WERR_NOMEM;
}

static void what_finds_no_memory_in_the_queue_is_counted(void **state)
{
    struct fixture *fixture = *state;
    struct queue_type without_memory = *fixture->destination.queue->type;
    const struct queue_type *type = fixture->destination.queue->type;
    struct shared_bytes *bytes = shared_bytes_copy(SLICE_LITERAL("x"));

    without_memory.push = push_without_memory;
    fixture->destination.queue->type = &without_memory;
    destination_offer(&fixture->destination, OTLP_SIGNAL_TRACES, bytes, 4);
    destination_offer(&fixture->destination, OTLP_SIGNAL_METRICS, bytes, 3);
    assert_int_equal(metric_get(&fixture->cells, METRIC_EXPORT_SPANS_HANDED), 4);
    assert_int_equal(metric_get(&fixture->cells, METRIC_EXPORT_SPANS_DROPPED_MEMORY), 4);
    assert_int_equal(metric_get(&fixture->cells, METRIC_EXPORT_SPANS_QUEUED), 0);
    assert_int_equal(metric_get(&fixture->cells, METRIC_EXPORT_POINTS_HANDED), 3);
    assert_int_equal(metric_get(&fixture->cells, METRIC_EXPORT_POINTS_DROPPED_MEMORY), 3);
    fixture->destination.queue->type = type;
    shared_bytes_unref(bytes);
}

static int fake_send(struct transport *transport, struct slice body)
{
    struct fake_transport *fake = (struct fake_transport *)transport;

    assert_true(slice_equal(body, SLICE_LITERAL("x")));
    fake->send_count++;
    if (fake->failures_left > 0) {
        fake->failures_left--;
        return WERR_NOMEM;
    }
    return 0;
}

static void fake_close(struct transport *transport)
{
    (void)transport;
}

static const struct transport_type fake_type = {.send = fake_send, .close = fake_close};

/* A transport that cannot begin is waited for like a back-end that does not answer. */
static void a_transport_without_memory_is_tried_again(void **state)
{
    struct fixture *fixture = *state;
    struct lane *lane = &fixture->destination.lanes[OTLP_SIGNAL_TRACES];
    struct shared_bytes *bytes = shared_bytes_copy(SLICE_LITERAL("x"));

    lane->transport->type->close(lane->transport);
    fixture->fake = (struct fake_transport){.transport = {.type = &fake_type}, .failures_left = 2};
    lane->transport = &fixture->fake.transport;
    destination_offer(&fixture->destination, OTLP_SIGNAL_TRACES, bytes, 1);
    while (fixture->fake.send_count < 3) {
        assert_int_equal(metric_get(&fixture->cells, METRIC_EXPORT_SPANS_QUEUED), 1);
        (void)uv_run(&fixture->loop, UV_RUN_ONCE);
    }
    assert_int_equal(metric_get(&fixture->cells, METRIC_EXPORT_ATTEMPTS_RETRY), 2);
    assert_int_equal(lane->state, LANE_SENDING);
    shared_bytes_unref(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_finds_no_memory_in_the_queue_is_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_transport_without_memory_is_tried_again, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
