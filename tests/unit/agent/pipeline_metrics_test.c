/* Metrics through the record path: what OTLP and Envoy's metrics service bring, every row of the ledger. */
#include <math.h>

#include "aggregate/directory_internal.h"
#include "aggregate/snapshot.h"
#include "decode/wire_write.h"
#include "export_call.h"
#include "otlp_message.h"
#include "rig.h"
#include "unit/wire_parts.h"

/* ---- OTLP ---- */

enum { GAUGE = 5, SUM = 7, HISTOGRAM = 9, SUMMARY = 11, DELTA = 1, CUMULATIVE = 2 };

static void metric_begin(struct parts *parts, const char *name, uint32_t data, uint64_t temporality)
{
    begin(parts, 1);
    begin(parts, 2);
    begin(parts, 2);
    wire_write_bytes(&parts->out, 1, slice_of_string(name));
    begin(parts, data);
    wire_write_varint(&parts->out, 2, temporality);
    if (data == SUM) {
        wire_write_varint(&parts->out, 3, 1);
    }
}

static void put_point(struct parts *parts, uint64_t time_unix_ns, double value)
{
    begin(parts, 1);
    wire_write_fixed64(&parts->out, 3, time_unix_ns);
    put_double(parts, 4, value);
    put_attribute(&parts->out, 7, "method", "GET");
    end(parts);
}

static int take(struct rig *rig, struct parts *parts, struct otlp_outcome *outcome)
{
    int code = pipeline_otlp_metrics(&rig->pipeline, &rig->sender, parts_end(parts), outcome);

    buffer_deinit(&parts->out);
    return code;
}

static int take_number(struct rig *rig, const char *name, uint32_t data, uint64_t temporality, double value,
    struct otlp_outcome *outcome)
{
    struct parts parts;

    parts_begin(&parts);
    metric_begin(&parts, name, data, temporality);
    put_point(&parts, RIG_NOW_UNIX_NS, value);
    return take(rig, &parts, outcome);
}

static void expect_points(struct rig *rig, uint64_t count)
{
    rig_expect_merged(rig, METRIC_POINTS_RECORDED, METRIC_POINTS_AGGREGATED, count);
}

/* The one series of a family; NaN when there is none. */
static double value_of(struct rig *rig, const char *name)
{
    struct snapshot_settings settings = {.native_scale = 5, .native_buckets_max = 1000};
    struct snapshot *snapshot = NULL;
    struct snapshot_cursor cursor = {0};
    const struct snapshot_family *family = NULL;
    struct snapshot_series series;
    double value = NAN;

    assert_int_equal(aggregator_snapshot_new(rig->aggregator, &rig->registry, &settings, &snapshot), 0);
    while (snapshot_next(snapshot, &cursor, &family, &series) == 1) {
        if (strcmp(family->name, name) == 0) {
            assert_true(isnan(value));
            value = series.histogram != NULL ? (double)series.histogram->count : series.value;
        }
    }
    aggregator_snapshot_free(snapshot);
    return value;
}

static void otlp_points_are_counted_and_shown(void **state)
{
    struct rig rig;
    struct otlp_outcome outcome;

    (void)state;
    rig_begin(&rig, NULL);
    assert_int_equal(take_number(&rig, "made.count", SUM, CUMULATIVE, 5, &outcome), 0);
    assert_int_equal(take_number(&rig, "made.rise", SUM, DELTA, 5, &outcome), 0);
    assert_int_equal(take_number(&rig, "made.rise", SUM, DELTA, 6, &outcome), 0);
    assert_int_equal(take_number(&rig, "made.level", GAUGE, 0, 7, &outcome), 0);
    assert_int_equal(outcome.rejected_count, 0);
    rig_expect(&rig, METRIC_POINTS_RECEIVED, 4);
    expect_points(&rig, 4);
    assert_true(value_of(&rig, "made_count") == 5);
    assert_true(value_of(&rig, "made_rise") == 11);
    assert_true(value_of(&rig, "made_level") == 7);
    rig_stop(&rig);
}

/* A summary becomes a gauge for each quantile, and two counters. */
static void a_summary_is_taken_apart(void **state)
{
    struct rig rig;
    struct otlp_outcome outcome;
    struct parts parts;

    (void)state;
    rig_begin(&rig, NULL);
    parts_begin(&parts);
    metric_begin(&parts, "made.time", SUMMARY, 0);
    begin(&parts, 1);
    wire_write_fixed64(&parts.out, 4, 9);
    put_double(&parts, 5, 4.5);
    begin(&parts, 6);
    put_double(&parts, 1, 0.5);
    put_double(&parts, 2, 0.25);
    assert_int_equal(take(&rig, &parts, &outcome), 0);
    rig_expect(&rig, METRIC_POINTS_RECEIVED, 3);
    expect_points(&rig, 3);
    assert_true(value_of(&rig, "made_time") == 0.25);
    assert_true(value_of(&rig, "made_time_sum") == 4.5);
    assert_true(value_of(&rig, "made_time_count") == 9);
    rig_stop(&rig);
}

static void what_is_refused_is_told_and_counted(void **state)
{
    static const uint64_t counts[] = {1, 2};
    static const double bound = 1;
    struct rig rig;
    struct otlp_outcome outcome;
    struct parts parts;
    uint8_t reply[512];

    (void)state;
    rig_begin(&rig, NULL);
    parts_begin(&parts);
    metric_begin(&parts, "made.count", SUM, CUMULATIVE);
    put_point(&parts, RIG_NOW_UNIX_NS, -1);
    put_point(&parts, RIG_NOW_UNIX_NS, 1);
    put_point(&parts, RIG_NOW_UNIX_NS - 40 * 86400 * RIG_SECOND_NS, 1);
    begin(&parts, 1); /* no recorded value: not the sender's fault */
    wire_write_varint(&parts.out, 8, 1);
    end(&parts);
    begin(&parts, 1); /* ends before it begins */
    wire_write_fixed64(&parts.out, 2, RIG_NOW_UNIX_NS);
    wire_write_fixed64(&parts.out, 3, RIG_NOW_UNIX_NS - 1);
    put_double(&parts, 4, 1);
    end(&parts);
    assert_int_equal(take(&rig, &parts, &outcome), 0);
    assert_int_equal(outcome.rejected_count, 3);
    assert_non_null(strstr(outcome.text, "record 0, value"));
    assert_true(pipeline_otlp_reply(&outcome, reply, sizeof reply) > 0);
    rig_expect(&rig, METRIC_POINTS_RECEIVED, 5);
    rig_expect(&rig, METRIC_POINTS_DROPPED_MALFORMED, 1);
    rig_expect(&rig, METRIC_POINTS_DROPPED_TIME, 1);
    rig_expect(&rig, METRIC_POINTS_DROPPED_NO_VALUE, 1);
    rig_expect(&rig, METRIC_POINTS_DROPPED_START, 1);
    expect_points(&rig, 1);

    parts_begin(&parts);
    metric_begin(&parts, "made.time", HISTOGRAM, CUMULATIVE);
    begin(&parts, 1);
    wire_write_fixed64(&parts.out, 4, 4);
    wire_write_bytes(&parts.out, 6, slice_of(counts, sizeof counts));
    wire_write_bytes(&parts.out, 7, slice_of(&bound, sizeof bound));
    assert_int_equal(take(&rig, &parts, &outcome), 0);
    assert_non_null(strstr(outcome.text, "inconsistent_buckets"));
    rig_expect(&rig, METRIC_POINTS_RECEIVED, 1);
    rig_expect(&rig, METRIC_POINTS_DROPPED_BUCKETS, 1);
    rig_check(&rig);
    rig_stop(&rig);
}

static void a_metric_whose_type_changes_is_a_conflict(void **state)
{
    struct rig rig;
    struct otlp_outcome outcome;

    (void)state;
    rig_begin(&rig, NULL);
    assert_int_equal(take_number(&rig, "made", SUM, CUMULATIVE, 5, &outcome), 0);
    rig_expect(&rig, METRIC_POINTS_RECEIVED, 1);
    expect_points(&rig, 1);
    assert_int_equal(take_number(&rig, "made", GAUGE, 0, 99, &outcome), 0);
    rig_expect(&rig, METRIC_POINTS_RECEIVED, 1);
    rig_expect(&rig, METRIC_POINTS_RECORDED, 1);
    rig_check(&rig);
    rig_flip(&rig);
    rig_expect(&rig, METRIC_POINTS_WITHDRAWN, 1);
    rig_expect(&rig, METRIC_POINTS_DROPPED_CONFLICT, 1);
    rig_check(&rig);
    assert_true(value_of(&rig, "made") == 5);
    rig_stop(&rig);
}

static void names_without_room_are_dropped_and_counted(void **state)
{
    struct rig rig;
    struct otlp_outcome outcome;

    (void)state;
    rig_init(&rig);
    rig.limits.series_count_max = 64;
    rig_start(&rig, NULL);
    for (int i = 0; i < 200; i++) {
        char name[32];

        (void)snprintf(name, sizeof name, "made.%d", i);
        assert_int_equal(take_number(&rig, name, SUM, CUMULATIVE, 1, &outcome), 0);
    }
    uint64_t dropped = rig_get(&rig, METRIC_POINTS_DROPPED_SERIES);

    assert_true(dropped >= 200 - 64 && dropped < 200);
    assert_int_equal(outcome.rejected_count, 1);
    assert_non_null(strstr(outcome.text, "no room"));
    rig_expect(&rig, METRIC_POINTS_RECEIVED, 200);
    rig_expect(&rig, METRIC_POINTS_DROPPED_SERIES, dropped);
    expect_points(&rig, 200 - dropped);
    rig_stop(&rig);
}

static void draining_and_full_memory_take_nothing(void **state)
{
    struct rig rig;
    struct otlp_outcome outcome;

    (void)state;
    rig_begin(&rig, NULL);
    rig.pipeline.draining = true;
    assert_int_equal(take_number(&rig, "made", SUM, CUMULATIVE, 5, &outcome), WERR_CLOSED);
    rig.pipeline.draining = false;
    rig.pipeline.directory->is_full = true;
    assert_int_equal(take_number(&rig, "made", SUM, CUMULATIVE, 5, &outcome), WERR_NOMEM);
    rig_check(&rig);
    rig_flip(&rig); /* brings memory back */
    assert_int_equal(take_number(&rig, "made", SUM, CUMULATIVE, 5, &outcome), 0);
    rig_expect(&rig, METRIC_POINTS_RECEIVED, 1);
    expect_points(&rig, 1);
    rig_stop(&rig);
}

/* Points before the damage stay. */
static void a_broken_message_is_an_error(void **state)
{
    struct rig rig;
    struct otlp_outcome outcome;
    struct parts parts;

    (void)state;
    rig_begin(&rig, NULL);
    parts_begin(&parts);
    metric_begin(&parts, "made", SUM, CUMULATIVE);
    put_point(&parts, RIG_NOW_UNIX_NS, 1);
    while (parts.depth > 0) {
        end(&parts);
    }
    buffer_append(&parts.out, "\x0a\x7f", 2);
    assert_int_equal(take(&rig, &parts, &outcome), WERR_TRUNCATED);
    assert_true(outcome.text[0] != '\0');
    rig_expect(&rig, METRIC_POINTS_RECEIVED, 1);
    expect_points(&rig, 1);
    rig_stop(&rig);
}

/* ---- over gRPC ---- */

static void grpc_answers_partial_success(void **state)
{
    struct rig rig;
    struct parts parts;

    (void)state;
    rig_begin(&rig, NULL);
    parts_begin(&parts);
    metric_begin(&parts, "made", SUM, CUMULATIVE);
    put_point(&parts, RIG_NOW_UNIX_NS, 1);
    put_point(&parts, RIG_NOW_UNIX_NS, -1);
    check_export_call(&rig, "metrics.v1.MetricsService/Export", parts_end(&parts), 1, "value");
    buffer_deinit(&parts.out);
    rig_expect(&rig, METRIC_POINTS_RECEIVED, 2);
    rig_expect(&rig, METRIC_POINTS_DROPPED_MALFORMED, 1);
    expect_points(&rig, 1);
    rig_stop(&rig);
}

/* ---- Envoy's metrics service ---- */

struct stream {
    struct rig *rig;
    struct peer peer;
    struct grpc_call call;
    struct grpc_answer answer;
};

static void stream_begin(struct stream *stream, struct rig *rig)
{
    *stream = (struct stream){.rig = rig, .peer = {.pipeline = &rig->pipeline, .sender = rig->sender}};
    stream->call.method = grpc_method_of("metrics.v3.MetricsService/StreamMetrics");
    stream->call.connection_user = &stream->peer;
    assert_true(stream->call.method->streaming);
}

static void stream_end(struct stream *stream)
{
    stream->call.method->closed(&stream->rig->pipeline, &stream->call);
    assert_null(stream->call.stream_user);
}

static void put_identifier(struct parts *parts, const char *node)
{
    begin(parts, 1);
    begin(parts, 1);
    wire_write_bytes(&parts->out, 1, slice_of_string(node));
    end(parts);
    end(parts);
}

static void put_counter(struct parts *parts, const char *name, double value)
{
    begin(parts, 2);
    wire_write_bytes(&parts->out, 1, slice_of_string(name));
    begin(parts, 4);
    begin(parts, 3);
    put_double(parts, 1, value);
    end(parts);
    end(parts);
    end(parts);
}

static int stream_counter(struct stream *stream, const char *node, const char *name, double value)
{
    struct parts parts;
    int code;

    parts_begin(&parts);
    if (node != NULL) {
        put_identifier(&parts, node);
    }
    put_counter(&parts, name, value);
    stream->answer = (struct grpc_answer){.code = GRPC_OK};
    code = stream->call.method->message(
        &stream->rig->pipeline, &stream->call, parts_end(&parts), &stream->answer);
    buffer_deinit(&parts.out);
    return code;
}

static void a_stream_has_to_say_who_speaks(void **state)
{
    struct rig rig;
    struct stream stream;

    (void)state;
    rig_begin(&rig, NULL);
    stream_begin(&stream, &rig);
    assert_int_equal(stream_counter(&stream, NULL, "made", 5), 0);
    assert_int_equal(stream.answer.code, GRPC_INVALID_ARGUMENT);
    assert_true(stream.answer.text[0] != '\0');
    rig_expect(&rig, METRIC_MESSAGES_REFUSED_IDENTIFIER, 1);
    rig_check(&rig);
    assert_int_equal(stream_counter(&stream, "node", "made", 5), 0);
    assert_int_equal(stream.answer.code, GRPC_OK);
    assert_int_equal(stream_counter(&stream, NULL, "made", 7), 0);
    assert_int_equal(stream.answer.code, GRPC_OK);
    stream_end(&stream);
    rig_expect(&rig, METRIC_POINTS_RECEIVED, 2);
    expect_points(&rig, 2);
    assert_true(value_of(&rig, "made") == 7);
    rig_stop(&rig);
}

/* Totals of one process go on over its streams; another process's are added. */
static void totals_belong_to_their_process(void **state)
{
    struct rig rig;
    struct stream stream;

    (void)state;
    rig_begin(&rig, NULL);
    for (int i = 0; i < 3; i++) {
        stream_begin(&stream, &rig);
        stream.peer.sender.start_ticks = i < 2 ? 100 : 200;
        assert_int_equal(stream_counter(&stream, "node", "made", 10 + i), 0);
        stream_end(&stream);
        clock_manual_advance(&rig.clock, RIG_SECOND_NS);
    }
    rig_expect(&rig, METRIC_POINTS_RECEIVED, 3);
    expect_points(&rig, 3);
    assert_true(value_of(&rig, "made") == 11 + 12);
    rig_stop(&rig);
}

static void deltas_add_up_when_the_configuration_says_so(void **state)
{
    struct rig rig;
    struct stream stream;

    (void)state;
    rig_begin(&rig, NULL);
    rig.pipeline.counters_are_deltas = true;
    stream_begin(&stream, &rig);
    assert_int_equal(stream_counter(&stream, "node", "made", 5), 0);
    assert_int_equal(stream_counter(&stream, NULL, "made", 3), 0);
    stream_end(&stream);
    rig_expect(&rig, METRIC_POINTS_RECEIVED, 2);
    expect_points(&rig, 2);
    assert_true(value_of(&rig, "made") == 8);
    rig_stop(&rig);
}

static void a_stream_is_refused_while_there_is_no_room(void **state)
{
    struct rig rig;
    struct stream stream;

    (void)state;
    rig_begin(&rig, NULL);
    stream_begin(&stream, &rig);
    rig.pipeline.directory->is_full = true;
    assert_int_equal(stream_counter(&stream, "node", "made", 5), WERR_NOMEM);
    rig.pipeline.draining = true;
    assert_int_equal(stream_counter(&stream, "node", "made", 5), WERR_CLOSED);
    assert_null(stream.call.stream_user);
    rig_check(&rig);
    stream_end(&stream);
    rig_stop(&rig);
}

static void damage_ends_the_stream(void **state)
{
    struct rig rig;
    struct stream stream;
    struct parts parts;

    (void)state;
    rig_begin(&rig, NULL);
    stream_begin(&stream, &rig);
    parts_begin(&parts);
    put_identifier(&parts, "node");
    put_counter(&parts, "made", 5);
    put_counter(&parts, "made", -5); /* refused alone */
    begin(&parts, 2);
    wire_write_varint(&parts.out, 4, 1); /* structure */
    int code = stream.call.method->message(&rig.pipeline, &stream.call, parts_end(&parts), &stream.answer);

    buffer_deinit(&parts.out);
    assert_int_equal(code, WERR_WIRE_TYPE);
    assert_true(stream.answer.text[0] != '\0');
    stream_end(&stream);
    rig_expect(&rig, METRIC_POINTS_RECEIVED, 2);
    rig_expect(&rig, METRIC_POINTS_DROPPED_MALFORMED, 1);
    expect_points(&rig, 1);
    rig_stop(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(otlp_points_are_counted_and_shown),
        cmocka_unit_test(a_summary_is_taken_apart),
        cmocka_unit_test(what_is_refused_is_told_and_counted),
        cmocka_unit_test(a_metric_whose_type_changes_is_a_conflict),
        cmocka_unit_test(names_without_room_are_dropped_and_counted),
        cmocka_unit_test(draining_and_full_memory_take_nothing),
        cmocka_unit_test(a_broken_message_is_an_error),
        cmocka_unit_test(grpc_answers_partial_success),
        cmocka_unit_test(a_stream_has_to_say_who_speaks),
        cmocka_unit_test(totals_belong_to_their_process),
        cmocka_unit_test(deltas_add_up_when_the_configuration_says_so),
        cmocka_unit_test(a_stream_is_refused_while_there_is_no_room),
        cmocka_unit_test(damage_ends_the_stream),
    };

    return cmocka_run_group_tests_name("pipeline_metrics", tests, NULL, NULL);
}
