/* OTLP messages through a shard's record path: each kind of span, each reason to drop one, and what leaves
 * for the exporter; after each the whole ledger. */
#include "aggregate/directory_internal.h"
#include "export_call.h"
#include "otlp_message.h"

static const enum metric_id dropped_rows[SPAN_VARIANT_COUNT] = {
    [SPAN_NO_TRACE_ID] = METRIC_SPANS_DROPPED_TRACE_ID,
    [SPAN_SHORT_TRACE_ID] = METRIC_SPANS_DROPPED_TRACE_ID,
    [SPAN_NO_SPAN_ID] = METRIC_SPANS_DROPPED_SPAN_ID,
    [SPAN_ENDS_EARLY] = METRIC_SPANS_DROPPED_END,
    [SPAN_FAR_AWAY] = METRIC_SPANS_DROPPED_TIME,
    [SPAN_BAD_UTF8] = METRIC_SPANS_DROPPED_UTF8,
    [SPAN_BROKEN] = METRIC_SPANS_DROPPED_MALFORMED,
};

static int take(struct rig *rig, struct slice bytes, struct otlp_outcome *outcome)
{
    return pipeline_otlp_traces(&rig->pipeline, &rig->sender, bytes, outcome);
}

static void takes_each_meaning(void **state)
{
    struct rig rig;
    struct message message;
    struct otlp_outcome outcome;

    (void)state;
    rig_begin(&rig, rig_exporting);
    message_begin(&message, "envoy");
    put_span(&message.bytes, SPAN_ATTEMPT_OF_ENVOY, RIG_NOW_UNIX_NS);
    put_span(&message.bytes, SPAN_ATTEMPT_OF_ENVOY, RIG_NOW_UNIX_NS);
    assert_int_equal(take(&rig, message_end(&message), &outcome), 0);
    assert_int_equal(outcome.spans_count, 2);
    message_deinit(&message);
    message_begin(&message, "opentelemetry");
    put_span(&message.bytes, SPAN_GOOD, RIG_NOW_UNIX_NS);
    put_span(&message.bytes, SPAN_INTERNAL, RIG_NOW_UNIX_NS);
    put_span(&message.bytes, SPAN_GOOD, RIG_NOW_UNIX_NS);
    put_span(&message.bytes, SPAN_GOOD, RIG_NOW_UNIX_NS);
    assert_int_equal(take(&rig, message_end(&message), &outcome), 0);
    assert_int_equal(outcome.spans_count, 4);
    assert_int_equal(outcome.rejected_count, 0);
    message_deinit(&message);

    rig_expect(&rig, METRIC_SPANS_RECEIVED, 6);
    rig_expect(&rig, METRIC_SPANS_ATTEMPTS, 2);
    rig_expect(&rig, METRIC_SPANS_NOT_A_REQUEST, 1);
    rig_expect_spans(&rig, 3);
    rig_expect_exported(&rig, 6);
    rig_stop(&rig);
}

static void drops_each_fault(void **state)
{
    (void)state;
    for (enum span_variant variant = SPAN_NO_TRACE_ID; variant < SPAN_VARIANT_COUNT; variant++) {
        struct rig rig;
        struct message message;
        struct otlp_outcome outcome;

        rig_begin(&rig, rig_exporting);
        message_begin(&message, "opentelemetry");
        put_span(&message.bytes, SPAN_GOOD, RIG_NOW_UNIX_NS);
        put_span(&message.bytes, variant, RIG_NOW_UNIX_NS);
        put_span(&message.bytes, variant, RIG_NOW_UNIX_NS);
        put_span(&message.bytes, SPAN_GOOD, RIG_NOW_UNIX_NS);
        assert_int_equal(take(&rig, message_end(&message), &outcome), 0);
        message_deinit(&message);
        assert_int_equal(outcome.spans_count, 2);
        assert_int_equal(outcome.rejected_count, 2);
        assert_true(outcome.text[0] != '\0');

        rig_expect(&rig, METRIC_SPANS_RECEIVED, 4);
        rig_expect(&rig, dropped_rows[variant], 2);
        rig_expect_spans(&rig, 2);
        rig_expect_exported(&rig, 2);
        rig_stop(&rig);
    }
}

static void broken_structure_keeps_what_came_before(void **state)
{
    struct rig rig;
    struct message message;
    struct otlp_outcome outcome;

    (void)state;
    rig_begin(&rig, rig_exporting);
    message_begin(&message, "opentelemetry");
    put_span(&message.bytes, SPAN_GOOD, RIG_NOW_UNIX_NS);
    put_span(&message.bytes, SPAN_FAR_AWAY, RIG_NOW_UNIX_NS);
    (void)buffer_append(&message.bytes, "\x12\x7f", 2); /* a span that says more than there is */
    assert_true(take(&rig, message_end(&message), &outcome) < 0);
    message_deinit(&message);
    assert_true(outcome.text[0] != '\0');

    rig_expect(&rig, METRIC_SPANS_RECEIVED, 2);
    rig_expect(&rig, METRIC_SPANS_DROPPED_TIME, 1);
    rig_expect_spans(&rig, 1);
    rig_expect_exported(&rig, 1);
    rig_stop(&rig);
}

static void cut_anywhere_balances(void **state)
{
    struct rig rig;
    struct message message;
    struct otlp_outcome outcome;
    struct buffer spans;
    uint64_t taken_count = 0;

    (void)state;
    rig_begin(&rig, rig_exporting);
    buffer_init(&spans, MESSAGE_BYTES_MAX);
    put_span(&spans, SPAN_GOOD, RIG_NOW_UNIX_NS);
    put_span(&spans, SPAN_BAD_UTF8, RIG_NOW_UNIX_NS);
    put_span(&spans, SPAN_INTERNAL, RIG_NOW_UNIX_NS);
    for (size_t length = 0; length <= spans.length; length++) {
        message_begin(&message, "opentelemetry");
        (void)buffer_append(&message.bytes, spans.data, length);
        int code = take(&rig, message_end(&message), &outcome);
        message_deinit(&message);
        assert_true(code <= 0);
        taken_count += outcome.spans_count;
        assert_int_equal(rig_balance(&rig, "spans"), rig_get(&rig, METRIC_SPANS_RECORDED));
    }
    buffer_deinit(&spans);
    rig_flip(&rig);
    span_segment_flush(&rig.pipeline.segment);
    rig_turn(&rig);
    assert_true(taken_count > 0);
    assert_int_equal(rig_get(&rig, METRIC_SPANS_EXPORT_OFFERED), taken_count);
    assert_int_equal(rig_get(&rig, METRIC_EXPORT_SPANS_HANDED), taken_count);
    rig_stop(&rig);
}

static void draining_takes_nothing(void **state)
{
    struct rig rig;
    struct message message;
    struct otlp_outcome outcome;

    (void)state;
    rig_begin(&rig, rig_exporting);
    rig.pipeline.draining = true;
    message_begin(&message, "opentelemetry");
    put_span(&message.bytes, SPAN_GOOD, RIG_NOW_UNIX_NS);
    assert_int_equal(take(&rig, message_end(&message), &outcome), WERR_CLOSED);
    message_deinit(&message);
    rig_check(&rig);
    rig_stop(&rig);
}

/* A message that memory has no room for is refused whole, before its first record, and taken after a flip. */
static void a_message_is_refused_while_memory_is_full(void **state)
{
    struct rig rig;
    struct message message;
    struct otlp_outcome outcome;

    (void)state;
    rig_begin(&rig, rig_exporting);
    message_begin(&message, "opentelemetry");
    put_span(&message.bytes, SPAN_GOOD, RIG_NOW_UNIX_NS);
    struct slice bytes = message_end(&message);

    rig.pipeline.directory->is_full = true;
    assert_int_equal(take(&rig, bytes, &outcome), WERR_NOMEM);
    rig_check(&rig);
    rig_flip(&rig);
    assert_int_equal(take(&rig, bytes, &outcome), 0);
    message_deinit(&message);
    rig_expect(&rig, METRIC_SPANS_RECEIVED, 1);
    rig_expect_spans(&rig, 1);
    rig_expect_exported(&rig, 1);
    rig_stop(&rig);
}

static void without_exporter_nothing_is_offered(void **state)
{
    struct rig rig;
    struct message message;
    struct otlp_outcome outcome;

    (void)state;
    rig_begin(&rig, NULL);
    message_begin(&message, "opentelemetry");
    put_span(&message.bytes, SPAN_GOOD, RIG_NOW_UNIX_NS);
    put_span(&message.bytes, SPAN_BAD_UTF8, RIG_NOW_UNIX_NS);
    assert_int_equal(take(&rig, message_end(&message), &outcome), 0);
    message_deinit(&message);
    rig_expect(&rig, METRIC_SPANS_RECEIVED, 2);
    rig_expect(&rig, METRIC_SPANS_DROPPED_UTF8, 1);
    rig_expect_spans(&rig, 1);
    rig_stop(&rig);
}

static void an_exporter_that_ended_loses(void **state)
{
    struct rig rig;
    struct message message;
    struct otlp_outcome outcome;

    (void)state;
    rig_begin(&rig, rig_exporting);
    rig_end_exporter(&rig);
    message_begin(&message, "opentelemetry");
    put_span(&message.bytes, SPAN_GOOD, RIG_NOW_UNIX_NS);
    put_span(&message.bytes, SPAN_GOOD, RIG_NOW_UNIX_NS);
    assert_int_equal(take(&rig, message_end(&message), &outcome), 0);
    message_deinit(&message);
    span_segment_flush(&rig.pipeline.segment);
    rig_expect(&rig, METRIC_SPANS_RECEIVED, 2);
    rig_expect(&rig, METRIC_SPANS_EXPORT_LOST, 2);
    rig_expect_spans(&rig, 2);
    rig_stop(&rig);
}

static void no_room_in_the_segment_loses(void **state)
{
    struct rig rig;
    struct message message;
    struct otlp_outcome outcome;

    (void)state;
    rig_begin(&rig, rig_exporting);
    rig.pipeline.segment.bytes.cap_bytes = SEGMENT_BYTES - 1;
    message_begin(&message, "opentelemetry");
    put_span(&message.bytes, SPAN_GOOD, RIG_NOW_UNIX_NS);
    assert_int_equal(take(&rig, message_end(&message), &outcome), 0);
    rig_expect(&rig, METRIC_SPANS_RECEIVED, 1);
    rig_expect(&rig, METRIC_SPANS_EXPORT_LOST, 1);
    rig_expect_spans(&rig, 1);

    /* The next one finds room again. */
    rig.pipeline.segment.bytes.cap_bytes = SEGMENT_MESSAGE_BYTES_MAX;
    assert_int_equal(take(&rig, slice_of(message.bytes.data, message.bytes.length), &outcome), 0);
    message_deinit(&message);
    rig_expect(&rig, METRIC_SPANS_RECEIVED, 1);
    rig_expect_spans(&rig, 1);
    rig_expect_exported(&rig, 1);
    rig_stop(&rig);
}

/* Redacting makes a message of many short secrets longer than the room that was made for it. */
static void a_copy_that_outgrows_its_room_is_lost(void **state)
{
    enum { SPANS_COUNT = 20, SECRETS_COUNT = 352 };
    struct rig rig;
    struct message message;
    struct otlp_outcome outcome;

    (void)state;
    rig_init(&rig);
    assert_int_equal(redaction_add(&rig.redaction, "x"), 0);
    rig_start(&rig, rig_exporting);
    rig.pipeline.segment.bytes.cap_bytes = SEGMENT_BYTES;
    message_begin(&message, "opentelemetry");
    for (int i = 0; i < SPANS_COUNT; i++) {
        static const uint8_t trace_id[16] = {1};
        static const uint8_t span_id[8] = {1};
        struct wire_envelope span = wire_envelope_begin(&message.bytes, 2, 3000);
        wire_write_bytes(&message.bytes, 1, slice_of(trace_id, sizeof trace_id));
        wire_write_bytes(&message.bytes, 2, slice_of(span_id, sizeof span_id));
        wire_write_varint(&message.bytes, 6, SPAN_KIND_CLIENT);
        wire_write_fixed64(&message.bytes, 7, RIG_NOW_UNIX_NS);
        wire_write_fixed64(&message.bytes, 8, RIG_NOW_UNIX_NS);
        for (int k = 0; k < SECRETS_COUNT; k++) {
            put_attribute(&message.bytes, 9, "x", "");
        }
        wire_envelope_end(&message.bytes, span);
    }
    struct slice bytes = message_end(&message);
    assert_true(bytes.length > SEGMENT_BYTES * 10 / 21 && bytes.length * 2 <= SEGMENT_BYTES);
    assert_int_equal(take(&rig, bytes, &outcome), 0);
    message_deinit(&message);
    rig_expect(&rig, METRIC_SPANS_RECEIVED, SPANS_COUNT);
    rig_expect(&rig, METRIC_SPANS_EXPORT_LOST, SPANS_COUNT);
    rig_expect_spans(&rig, SPANS_COUNT);
    rig_stop(&rig);
}

static void grpc_answers_partial_success(void **state)
{
    struct rig rig;
    struct message message;

    (void)state;
    rig_begin(&rig, NULL);
    message_begin(&message, "opentelemetry");
    put_span(&message.bytes, SPAN_GOOD, RIG_NOW_UNIX_NS);
    put_span(&message.bytes, SPAN_ENDS_EARLY, RIG_NOW_UNIX_NS);
    check_export_call(&rig, "trace.v1.TraceService/Export", message_end(&message), 1, "end");
    message_deinit(&message);
    rig_expect(&rig, METRIC_SPANS_RECEIVED, 2);
    rig_expect(&rig, METRIC_SPANS_DROPPED_END, 1);
    rig_expect_spans(&rig, 1);
    rig_stop(&rig);
}

/* ---- what real senders sent ---- */

struct recording {
    uint8_t *bytes;
    size_t length;
};

static void read_recording(const char *name, struct recording *recording)
{
    char path[512];

    (void)snprintf(path, sizeof path, "%s/tests/corpus/%s", WEFT_SOURCE_DIR, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    recording->length = (size_t)ftell(file);
    rewind(file);
    recording->bytes = malloc(recording->length);
    assert_non_null(recording->bytes);
    assert_int_equal(fread(recording->bytes, 1, recording->length, file), recording->length);
    (void)fclose(file);
}

static uint64_t first_end_unix_ns(struct slice bytes)
{
    Otlp__ExportTraceServiceRequest *request =
        otlp__export_trace_service_request__unpack(NULL, bytes.length, bytes.ptr);

    assert_non_null(request);
    uint64_t end_unix_ns = request->resource_spans[0]->scope_spans[0]->spans[0]->end_time_unix_nano;
    otlp__export_trace_service_request__free_unpacked(request, NULL);
    return end_unix_ns;
}

/* Counts against protobuf-c's own reading of the same bytes; returns how many spans were requests. */
static uint64_t replay(const char *name)
{
    struct rig rig;
    struct recording recording;
    struct otlp_outcome outcome;
    uint64_t sent_count = 0;

    rig_begin(&rig, rig_exporting);
    read_recording(name, &recording);
    for (size_t at = 0; at + 4 <= recording.length;) {
        uint32_t length = (uint32_t)recording.bytes[at] | (uint32_t)recording.bytes[at + 1] << 8 |
                          (uint32_t)recording.bytes[at + 2] << 16 | (uint32_t)recording.bytes[at + 3] << 24;
        struct slice bytes = slice_of(recording.bytes + at + 4, length);
        rig.clock.now_unix_ns = first_end_unix_ns(bytes);
        sent_count += message_span_count(bytes);
        assert_int_equal(take(&rig, bytes, &outcome), 0);
        assert_int_equal(outcome.rejected_count, 0);
        at += 4 + length;
    }
    free(recording.bytes);
    clock_manual_advance(&rig.clock, rig.limits.count_decision_ms * 1000000);
    pipeline_settle_held(&rig.pipeline, false);
    rig_flip(&rig);
    span_segment_flush(&rig.pipeline.segment);
    rig_turn(&rig);
    assert_true(sent_count > 0);
    assert_int_equal(rig_get(&rig, METRIC_SPANS_RECEIVED), sent_count);
    assert_int_equal(rig_get(&rig, METRIC_SPANS_EXPORT_OFFERED), sent_count);
    assert_int_equal(rig_get(&rig, METRIC_EXPORT_SPANS_QUEUED), sent_count);
    uint64_t requests_count = rig_get(&rig, METRIC_SPANS_AGGREGATED);
    assert_int_equal(
        requests_count + rig_get(&rig, METRIC_SPANS_ATTEMPTS) + rig_get(&rig, METRIC_SPANS_NOT_A_REQUEST),
        sent_count);
    rig_stop(&rig);
    return requests_count;
}

static void recordings_balance(void **state)
{
    static const char *const names[] = {"envoy_spawn_on.otlp", "envoy_spawn_off.otlp", "sdk_grpc_old.otlp",
        "sdk_http_both.otlp", "sdk_http_new.otlp", "sdk_http_old.otlp", "sdk_rpc_new.otlp",
        "sdk_weighted_new.otlp"};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_true(replay(names[i]) > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_each_meaning),
        cmocka_unit_test(drops_each_fault),
        cmocka_unit_test(broken_structure_keeps_what_came_before),
        cmocka_unit_test(cut_anywhere_balances),
        cmocka_unit_test(draining_takes_nothing),
        cmocka_unit_test(a_message_is_refused_while_memory_is_full),
        cmocka_unit_test(without_exporter_nothing_is_offered),
        cmocka_unit_test(an_exporter_that_ended_loses),
        cmocka_unit_test(no_room_in_the_segment_loses),
        cmocka_unit_test(a_copy_that_outgrows_its_room_is_lost),
        cmocka_unit_test(grpc_answers_partial_success),
        cmocka_unit_test(recordings_balance),
    };

    return cmocka_run_group_tests_name("pipeline_otlp", tests, NULL, NULL);
}
