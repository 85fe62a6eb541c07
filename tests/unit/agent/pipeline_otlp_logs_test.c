/* OTLP logs through a shard's record path: requests, connections, other records, refusals, a full memory, and
 * what leaves for the exporter; after each the whole ledger. */
#include "export_call.h"
#include "otlp_message.h"

/* Without a wait for an access log: these tests are of what is told, not of when. */
static void init(struct rig *rig)
{
    rig_init(rig);
    rig->limits.count_decision_ms = 0;
}

static const char exporting_logs[] = "exporters:\n"
                                     "  otlp:\n"
                                     "    - name: backend\n"
                                     "      protocol: grpc\n"
                                     "      endpoint: http://127.0.0.1:1\n"
                                     "      signals: [logs]\n"
                                     "      batch:\n"
                                     "        delay_ms: 60000\n";

static void logs_begin(struct message *message)
{
    buffer_init(&message->bytes, MESSAGE_BYTES_MAX);
    message->resource = wire_envelope_begin(&message->bytes, 1, 300);
    struct wire_envelope resource = wire_envelope_begin(&message->bytes, 1, 60);
    put_attribute(&message->bytes, 1, "service.name", "web");
    put_attribute(&message->bytes, 1, "service.namespace", "shop");
    put_attribute(&message->bytes, 1, "log_name", "front");
    wire_envelope_end(&message->bytes, resource);
    message->scope = wire_envelope_begin(&message->bytes, 2, 300);
}

static void put_record(struct buffer *out, const char *type, const char *path, uint64_t unix_ns)
{
    struct wire_envelope record = wire_envelope_begin(out, 2, 300);

    wire_write_fixed64(out, 1, unix_ns);
    if (type != NULL) {
        put_attribute(out, 6, "access_log_type", type);
        put_attribute(out, 6, "weft.reporter", "source");
        put_attribute(out, 6, "upstream_cluster", "outbound|80||cart.shop.svc.cluster.local");
    }
    put_attribute(out, 6, "http.request.method", "GET");
    put_attribute(out, 6, "url.path", path);
    put_attribute(out, 6, "response_code", "200");
    put_attribute(out, 6, "duration", "3");
    wire_envelope_end(out, record);
}

/* The bytes are gone afterwards: nothing may borrow from them. */
static int take(struct rig *rig, struct message *message, struct otlp_outcome *outcome)
{
    int code = pipeline_otlp_logs(&rig->pipeline, &rig->sender, message_end(message), outcome);

    memset(message->bytes.data, 0xee, message->bytes.length);
    buffer_deinit(&message->bytes);
    return code;
}

static void expect_exported(struct rig *rig, uint64_t count)
{
    span_segment_flush(&rig->pipeline.log_segment);
    rig_turn(rig);
    rig_expect(rig, METRIC_LOGS_EXPORT_OFFERED, count);
    rig_expect(rig, METRIC_EXPORT_LOGS_HANDED, count);
    rig_check(rig);
    assert_int_equal(rig_get(rig, METRIC_EXPORT_LOGS_QUEUED), rig_get(rig, METRIC_EXPORT_LOGS_HANDED));
}

static void counts_each_meaning(void **state)
{
    struct rig rig;
    struct message message;
    struct otlp_outcome outcome;

    (void)state;
    for (int exporting = 0; exporting < 2; exporting++) {
        init(&rig);
        rig_start(&rig, exporting ? exporting_logs : NULL);
        logs_begin(&message);
        put_record(&message.bytes, "DownstreamEnd", "/a", RIG_NOW_UNIX_NS);
        put_record(&message.bytes, "DownstreamEnd", "/a?token=s", RIG_NOW_UNIX_NS);
        put_record(&message.bytes, "UpstreamEnd", "/a", RIG_NOW_UNIX_NS);
        put_record(&message.bytes, "TcpConnectionEnd", "", RIG_NOW_UNIX_NS);
        put_record(&message.bytes, "DownstreamPeriodic", "/a", RIG_NOW_UNIX_NS);
        put_record(&message.bytes, "DownstreamEnd", "/a", 1000);         /* in 1970 */
        wire_write_bytes(&message.bytes, 2, SLICE_LITERAL("\x4a\x01x")); /* a trace id of one byte */
        assert_int_equal(take(&rig, &message, &outcome), 0);
        assert_int_equal(outcome.spans_count, 6);
        assert_int_equal(outcome.rejected_count, 1);
        assert_non_null(strstr(outcome.text, "invalid_trace_id"));

        rig_expect(&rig, METRIC_LOGS_RECEIVED, 7);
        rig_expect(&rig, METRIC_LOGS_ATTEMPTS, 1);
        rig_expect(&rig, METRIC_LOGS_NOT_A_REQUEST, 1);
        rig_expect(&rig, METRIC_LOGS_DROPPED_TIME, 1);
        rig_expect(&rig, METRIC_LOGS_DROPPED_MALFORMED, 1);
        rig_expect_merged(&rig, METRIC_LOGS_RECORDED, METRIC_LOGS_AGGREGATED, 3);
        if (exporting) {
            expect_exported(&rig, 6);
        } else {
            rig_check(&rig);
        }
        rig_stop(&rig);
    }
}

static void other_records_ship_and_count_as_none(void **state)
{
    struct rig rig;
    struct message message;
    struct otlp_outcome outcome;

    (void)state;
    init(&rig);
    rig_start(&rig, exporting_logs);
    logs_begin(&message);
    struct wire_envelope record = wire_envelope_begin(&message.bytes, 2, 30);
    put_attribute(&message.bytes, 6, "message", "hello");
    wire_envelope_end(&message.bytes, record);
    assert_int_equal(take(&rig, &message, &outcome), 0);
    rig_expect(&rig, METRIC_LOGS_RECEIVED, 1);
    rig_expect(&rig, METRIC_LOGS_NOT_A_REQUEST, 1);
    expect_exported(&rig, 1);
    rig_stop(&rig);
}

static void a_message_is_refused_while_memory_is_full(void **state)
{
    struct rig rig;
    struct message message;
    struct otlp_outcome outcome;

    (void)state;
    init(&rig);
    rig_start(&rig, exporting_logs);
    rig.pipeline.directory->is_full = true;
    logs_begin(&message);
    put_record(&message.bytes, "DownstreamEnd", "/a", RIG_NOW_UNIX_NS);
    assert_int_equal(take(&rig, &message, &outcome), WERR_NOMEM);
    expect_exported(&rig, 0); /* nothing was applied: it comes again */
    rig.pipeline.directory->is_full = false;
    rig.pipeline.draining = true;
    logs_begin(&message);
    put_record(&message.bytes, "DownstreamEnd", "/a", RIG_NOW_UNIX_NS);
    assert_int_equal(take(&rig, &message, &outcome), WERR_CLOSED);
    rig.pipeline.draining = false;
    expect_exported(&rig, 0);
    rig_stop(&rig);
}

static void cut_anywhere_balances(void **state)
{
    struct rig rig;
    struct message message;
    struct otlp_outcome outcome;
    uint64_t received;

    (void)state;
    init(&rig);
    rig_start(&rig, exporting_logs);
    logs_begin(&message);
    put_record(&message.bytes, "DownstreamEnd", "/a", RIG_NOW_UNIX_NS);
    put_record(&message.bytes, NULL, "/a", RIG_NOW_UNIX_NS);
    struct slice whole = message_end(&message);
    for (size_t cut = 0; cut < whole.length; cut++) {
        uint8_t *copy = malloc(cut + 1);
        assert_non_null(copy);
        memcpy(copy, whole.ptr, cut);
        int code = pipeline_otlp_logs(&rig.pipeline, &rig.sender, slice_of(copy, cut), &outcome);
        assert_true(cut == 0 ? code == 0 : code < 0);
        free(copy);
    }
    buffer_deinit(&message.bytes);
    received = rig_get(&rig, METRIC_LOGS_RECEIVED);
    (void)rig_balance(&rig, "logs");
    span_segment_flush(&rig.pipeline.log_segment);
    rig_turn(&rig);
    assert_true(rig_get(&rig, METRIC_LOGS_EXPORT_OFFERED) <= received);
    assert_int_equal(rig_get(&rig, METRIC_LOGS_EXPORT_OFFERED), rig_get(&rig, METRIC_EXPORT_LOGS_HANDED));
    rig_stop(&rig);
}

static void what_the_exporter_cannot_take_is_lost_and_counted(void **state)
{
    struct rig rig;
    struct message message;
    struct otlp_outcome outcome;

    (void)state;
    init(&rig);
    rig_start(&rig, exporting_logs);
    rig_end_exporter(&rig);
    logs_begin(&message);
    put_record(&message.bytes, "DownstreamEnd", "/a", RIG_NOW_UNIX_NS);
    put_record(&message.bytes, "DownstreamEnd", "/b", RIG_NOW_UNIX_NS);
    assert_int_equal(take(&rig, &message, &outcome), 0);
    span_segment_flush(&rig.pipeline.log_segment);
    rig_expect(&rig, METRIC_LOGS_RECEIVED, 2);
    rig_expect(&rig, METRIC_LOGS_EXPORT_LOST, 2);
    rig_expect_merged(&rig, METRIC_LOGS_RECORDED, METRIC_LOGS_AGGREGATED, 2);
    rig_check(&rig);
    rig_stop(&rig);
}

/* Entries of another receiver are written as OTLP, one record each. */
static void entries_of_other_receivers_ship_too(void **state)
{
    static const char raw[] = "the encoded entry";
    struct access_log_entry entry = {.kind = ACCESS_LOG_REQUEST,
        .side = ACCESS_LOG_SIDE_SOURCE,
        .response_code = 503,
        .response_flags = 1u << 5, /* UF */
        .start_unix_ns = RIG_NOW_UNIX_NS,
        .method = SLICE_LITERAL("GET"),
        .path = SLICE_LITERAL("/a?token=secret"),
        .upstream_cluster = SLICE_LITERAL("outbound|80||cart.shop.svc.cluster.local"),
        .has_trace = true,
        .trace_id = "0123456789abcde",
        .raw = SLICE_LITERAL(raw)};
    struct log_reporter reporter = {.names = {.service = SLICE_LITERAL("web")}};
    struct rig rig;

    (void)state;
    init(&rig);
    rig_start(&rig, exporting_logs);
    context_batch_begin(&rig.pipeline.context, true, clock_monotonic_ns(&rig.clock.clock));
    for (int kind = 0; kind < ACCESS_LOG_KIND_COUNT; kind++) {
        entry.kind = (enum access_log_kind)kind;
        pipeline_take_log(&rig.pipeline, &entry, &reporter, &rig.sender, RIG_NOW_UNIX_NS);
    }
    const struct buffer *bytes = &rig.pipeline.log_segment.bytes;
    assert_non_null(memmem(bytes->data, bytes->length, "0123456789abcde", 15));
    assert_non_null(memmem(bytes->data, bytes->length, "ERROR", 5));
    assert_non_null(memmem(bytes->data, bytes->length, "UF", 2));
    assert_null(memmem(bytes->data, bytes->length, "secret", 6));
    rig_expect(&rig, METRIC_LOGS_RECEIVED, 4);
    rig_expect(&rig, METRIC_LOGS_ATTEMPTS, 1);
    rig_expect(&rig, METRIC_LOGS_NOT_A_REQUEST, 1);
    rig_expect_merged(&rig, METRIC_LOGS_RECORDED, METRIC_LOGS_AGGREGATED, 2);
    expect_exported(&rig, 4);
    rig_stop(&rig);
}

/* Redacting makes a message of many short secrets longer than the room that was made for it. */
static void a_copy_that_outgrows_its_room_is_lost(void **state)
{
    enum { RECORDS_COUNT = 20, SECRETS_COUNT = 352 };
    struct rig rig;
    struct message message;
    struct otlp_outcome outcome;

    (void)state;
    init(&rig);
    assert_int_equal(redaction_add(&rig.redaction, "x"), 0);
    rig_start(&rig, exporting_logs);
    rig.pipeline.log_segment.bytes.cap_bytes = SEGMENT_BYTES;
    logs_begin(&message);
    for (int i = 0; i < RECORDS_COUNT; i++) {
        struct wire_envelope record = wire_envelope_begin(&message.bytes, 2, 3000);
        for (int k = 0; k < SECRETS_COUNT; k++) {
            put_attribute(&message.bytes, 6, "x", "");
        }
        wire_envelope_end(&message.bytes, record);
    }
    assert_in_range(message.bytes.length, SEGMENT_BYTES * 10 / 22, SEGMENT_BYTES / 2 - 64);
    assert_int_equal(take(&rig, &message, &outcome), 0);
    rig_expect(&rig, METRIC_LOGS_RECEIVED, RECORDS_COUNT);
    rig_expect(&rig, METRIC_LOGS_NOT_A_REQUEST, RECORDS_COUNT);
    rig_expect(&rig, METRIC_LOGS_EXPORT_LOST, RECORDS_COUNT);
    rig_check(&rig);
    rig_stop(&rig);
}

/* A record whose texts are longer than its encoding let expect. */
static void an_entry_that_outgrows_its_room_is_lost(void **state)
{
    static char path[SEGMENT_BYTES];
    struct log_reporter reporter = {.names = {.service = SLICE_LITERAL("web")}};
    struct access_log_entry entry = {.kind = ACCESS_LOG_ATTEMPT,
        .start_unix_ns = RIG_NOW_UNIX_NS,
        .path = slice_of(path, sizeof path),
        .raw = SLICE_LITERAL("x")};
    struct rig rig;

    (void)state;
    memset(path, 'p', sizeof path);
    init(&rig);
    rig_start(&rig, exporting_logs);
    rig.pipeline.log_segment.bytes.cap_bytes = SEGMENT_BYTES;
    context_batch_begin(&rig.pipeline.context, true, clock_monotonic_ns(&rig.clock.clock));
    pipeline_take_log(&rig.pipeline, &entry, &reporter, &rig.sender, RIG_NOW_UNIX_NS);
    assert_int_equal(rig.pipeline.log_segment.bytes.length, 0);
    entry.path = slice_of(path, 5); /* the next one finds room again */
    pipeline_take_log(&rig.pipeline, &entry, &reporter, &rig.sender, RIG_NOW_UNIX_NS);
    rig_expect(&rig, METRIC_LOGS_RECEIVED, 2);
    rig_expect(&rig, METRIC_LOGS_ATTEMPTS, 2);
    rig_expect(&rig, METRIC_LOGS_EXPORT_LOST, 1);
    expect_exported(&rig, 1);
    rig_stop(&rig);
}

/* The sender is a pod of another namespace than the resource says: its entries are refused, nothing is passed
 * on. */
static void entries_in_anothers_name_are_refused(void **state)
{
    struct rig rig;
    struct message message;
    struct otlp_outcome outcome;

    (void)state;
    init(&rig);
    rig_start(&rig, exporting_logs);
    rig.sender.kind = SENDER_POD;
    (void)snprintf(rig.sender.namespace, sizeof rig.sender.namespace, "bank");
    rig.pipeline.context.refuse_conflicts = true;
    logs_begin(&message);
    put_record(&message.bytes, "DownstreamEnd", "/a", RIG_NOW_UNIX_NS);
    put_record(&message.bytes, "UpstreamEnd", "/a", RIG_NOW_UNIX_NS);
    put_record(&message.bytes, "DownstreamPeriodic", "/a", RIG_NOW_UNIX_NS);
    assert_int_equal(take(&rig, &message, &outcome), 0);
    assert_int_equal(outcome.rejected_count, 2);
    assert_int_equal(outcome.spans_count, 1);
    assert_non_null(strstr(outcome.text, "somebody else"));
    rig_expect(&rig, METRIC_LOGS_RECEIVED, 3);
    rig_expect(&rig, METRIC_LOGS_DROPPED_IDENTITY, 2);
    rig_expect(&rig, METRIC_LOGS_NOT_A_REQUEST, 1);
    rig_expect(&rig, METRIC_LOGS_EXPORT_LOST, 1);
    expect_exported(&rig, 0);
    rig_stop(&rig);
}

/* Traces and metrics are asked in their own tests. */
static void grpc_answers_partial_success(void **state)
{
    struct rig rig;
    struct message message;

    (void)state;
    init(&rig);
    rig_start(&rig, exporting_logs);
    logs_begin(&message);
    put_record(&message.bytes, "DownstreamEnd", "/a", RIG_NOW_UNIX_NS);
    wire_write_bytes(&message.bytes, 2, SLICE_LITERAL("\x4a\x01x")); /* a trace id of one byte */
    wire_write_bytes(&message.bytes, 2, SLICE_LITERAL("\x4a\x01y"));
    check_export_call(&rig, "logs.v1.LogsService/Export", message_end(&message), 2, "invalid_trace_id");
    message_deinit(&message);
    rig_expect(&rig, METRIC_LOGS_RECEIVED, 3);
    rig_expect(&rig, METRIC_LOGS_DROPPED_MALFORMED, 2);
    rig_expect_merged(&rig, METRIC_LOGS_RECORDED, METRIC_LOGS_AGGREGATED, 1);
    expect_exported(&rig, 1);
    rig_stop(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_each_meaning),
        cmocka_unit_test(other_records_ship_and_count_as_none),
        cmocka_unit_test(a_message_is_refused_while_memory_is_full),
        cmocka_unit_test(cut_anywhere_balances),
        cmocka_unit_test(what_the_exporter_cannot_take_is_lost_and_counted),
        cmocka_unit_test(entries_of_other_receivers_ship_too),
        cmocka_unit_test(a_copy_that_outgrows_its_room_is_lost),
        cmocka_unit_test(an_entry_that_outgrows_its_room_is_lost),
        cmocka_unit_test(entries_in_anothers_name_are_refused),
        cmocka_unit_test(grpc_answers_partial_success),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
