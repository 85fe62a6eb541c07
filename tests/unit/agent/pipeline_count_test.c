/* One request told twice is counted once: spans of an Envoy and its access log, whichever comes first; after
 * each the whole ledger. */
#include "otlp_message.h"

static void take_spans(struct rig *rig, enum span_variant variant, int count)
{
    struct message message;
    struct otlp_outcome outcome;

    message_begin(&message, "envoy");
    for (int i = 0; i < count; i++) {
        put_span(&message.bytes, variant, RIG_NOW_UNIX_NS);
    }
    assert_int_equal(pipeline_otlp_traces(&rig->pipeline, &rig->sender, message_end(&message), &outcome), 0);
    assert_int_equal(outcome.spans_count, count);
    message_deinit(&message);
    rig_expect(rig, METRIC_SPANS_RECEIVED, (uint64_t)count);
}

/* What an access-log receiver does with an entry of the same proxy and side. */
static void take_log(struct rig *rig)
{
    struct request request = {.reporter = REPORTER_SOURCE,
        .signal = REQUEST_FROM_LOG,
        .protocol = PROTOCOL_HTTP1,
        .outcome = OUTCOME_OK,
        .response_code = 200,
        .grpc_status = GRPC_STATUS_NONE,
        .source = INTERNED_UNKNOWN,
        .destination = INTERNED_UNKNOWN,
        .weight = WEIGHT_ONE,
        .sender = rig->sender.interned};

    context_batch_begin(&rig->pipeline.context, true, clock_monotonic_ns(&rig->clock.clock));
    request.voice = count_sources_find(rig->counts, &rig->sender, slice_of(NULL, 0), REPORTER_SOURCE,
        clock_monotonic_ns(&rig->clock.clock), rig->shard_cells);
    LEDGER_ADD(rig->shard_cells, METRIC_LOGS_RECEIVED, 1);
    rig_expect(rig, METRIC_LOGS_RECEIVED, 1);
    pipeline_count_request(&rig->pipeline, &request);
}

static void pass(struct rig *rig, uint64_t ms)
{
    clock_manual_advance(&rig->clock, ms * 1000000);
    pipeline_settle_held(&rig->pipeline, false);
}

static void expect_held(struct rig *rig, uint64_t before, uint64_t now)
{
    rig_expect(rig, METRIC_SPANS_HELD, now - before);
    rig_check(rig);
    assert_int_equal(rig->pipeline.held.count, now);
}

static void expect_logs(struct rig *rig, uint64_t count)
{
    rig_expect_merged(rig, METRIC_LOGS_RECORDED, METRIC_LOGS_AGGREGATED, count);
}

static void spans_alone_count_after_the_wait(void **state)
{
    struct rig rig;

    (void)state;
    rig_begin(&rig, NULL);
    take_spans(&rig, SPAN_REQUEST_OF_ENVOY, 3);
    expect_held(&rig, 0, 3);
    assert_int_equal(rig_balance(&rig, "spans"), 3);
    pass(&rig, 4900);
    expect_held(&rig, 3, 3);
    pass(&rig, 200);
    rig_expect(&rig, METRIC_SPANS_HELD, (uint64_t)-3);
    rig_expect_spans(&rig, 3);
    take_spans(&rig, SPAN_REQUEST_OF_ENVOY, 2);
    rig_expect_spans(&rig, 2);
    rig_stop(&rig);
}

static void a_log_three_seconds_later_supersedes_the_spans(void **state)
{
    struct rig rig;

    (void)state;
    rig_begin(&rig, NULL);
    take_spans(&rig, SPAN_REQUEST_OF_ENVOY, 3);
    expect_held(&rig, 0, 3);
    pass(&rig, 3000);
    take_log(&rig);
    pass(&rig, 10);
    rig_expect(&rig, METRIC_SPANS_HELD, (uint64_t)-3);
    rig_expect(&rig, METRIC_SPANS_SUPERSEDED, 3);
    expect_logs(&rig, 1);
    take_spans(&rig, SPAN_REQUEST_OF_ENVOY, 2);
    rig_expect(&rig, METRIC_SPANS_SUPERSEDED, 2);
    rig_check(&rig);
    assert_int_equal(rig_get(&rig, METRIC_COUNT_SOURCE_CHANGES), 0);
    rig_stop(&rig);
}

static void an_sdk_is_never_held(void **state)
{
    struct rig rig;
    struct message message;
    struct otlp_outcome outcome;

    (void)state;
    rig_begin(&rig, NULL);
    take_log(&rig);
    expect_logs(&rig, 1);
    message_begin(&message, "opentelemetry");
    put_span(&message.bytes, SPAN_GOOD, RIG_NOW_UNIX_NS);
    assert_int_equal(pipeline_otlp_traces(&rig.pipeline, &rig.sender, message_end(&message), &outcome), 0);
    message_deinit(&message);
    rig_expect(&rig, METRIC_SPANS_RECEIVED, 1);
    rig_expect_spans(&rig, 1);
    rig_stop(&rig);
}

static void past_the_limit_spans_count_at_once(void **state)
{
    struct rig rig;

    (void)state;
    rig_init(&rig);
    rig.limits.held_requests_count_max = 2;
    rig_start(&rig, NULL);
    take_spans(&rig, SPAN_REQUEST_OF_ENVOY, 5);
    rig_expect(&rig, METRIC_SPANS_HELD, 2);
    rig_expect(&rig, METRIC_SPANS_RECORDED, 3);
    rig_check(&rig);
    pass(&rig, 1);
    rig_expect(&rig, METRIC_SPANS_HELD, (uint64_t)-2);
    rig_expect(&rig, METRIC_SPANS_RECORDED, 2);
    rig_check(&rig);
    rig_flip(&rig);
    rig_expect(&rig, METRIC_SPANS_AGGREGATED, 5);
    rig_check(&rig);
    assert_int_equal(rig_get(&rig, METRIC_COUNT_SOURCES_EARLY), 1);
    rig_stop(&rig);
}

static void what_is_held_at_the_end_counts(void **state)
{
    struct rig rig;

    (void)state;
    rig_begin(&rig, NULL);
    take_spans(&rig, SPAN_REQUEST_OF_ENVOY, 4);
    expect_held(&rig, 0, 4);
    pipeline_settle_held(&rig.pipeline, true);
    rig_expect(&rig, METRIC_SPANS_HELD, (uint64_t)-4);
    rig_expect_spans(&rig, 4);
    rig_stop(&rig);
}

static void count_from_spans_leaves_the_log_aside(void **state)
{
    struct rig rig;

    (void)state;
    rig_init(&rig);
    rig.count_from = COUNT_FROM_SPANS;
    rig_start(&rig, NULL);
    take_log(&rig);
    rig_expect(&rig, METRIC_LOGS_SUPERSEDED, 1);
    take_spans(&rig, SPAN_REQUEST_OF_ENVOY, 1);
    rig_expect_spans(&rig, 1);
    rig_stop(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_alone_count_after_the_wait),
        cmocka_unit_test(a_log_three_seconds_later_supersedes_the_spans),
        cmocka_unit_test(an_sdk_is_never_held),
        cmocka_unit_test(past_the_limit_spans_count_at_once),
        cmocka_unit_test(what_is_held_at_the_end_counts),
        cmocka_unit_test(count_from_spans_leaves_the_log_aside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
