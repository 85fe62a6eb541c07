/* Log records of the native stream through a shard's record path: each reason to drop one, batches sent
 * again, a full memory, what leaves for the exporter; after each the whole ledger. */
#include "native_client.h"

#include "aggregate/directory_internal.h"

enum { LOGS_MAX = 8 };

static const char exporting_logs[] = "exporters:\n"
                                     "  otlp:\n"
                                     "    - name: backend\n"
                                     "      protocol: grpc\n"
                                     "      endpoint: http://127.0.0.1:1\n"
                                     "      signals: [logs]\n"
                                     "      batch:\n"
                                     "        delay_ms: 60000\n";

struct columns {
    Weft__V1__LogBatch batch;
    uint8_t trace_ids[LOGS_MAX * 16];
    int64_t time_offset_ns[LOGS_MAX];
    uint32_t severity[LOGS_MAX];
    uint32_t attribute_count[LOGS_MAX];
    ProtobufCBinaryData bodies[LOGS_MAX];
    ProtobufCBinaryData keys[LOGS_MAX];
    ProtobufCBinaryData values[LOGS_MAX];
};

static ProtobufCBinaryData data_of(const char *text)
{
    return (ProtobufCBinaryData){.len = strlen(text), .data = (uint8_t *)(uintptr_t)text};
}

static void fill(struct columns *columns, uint64_t sequence, uint32_t count)
{
    *columns = (struct columns){0};
    weft__v1__log_batch__init(&columns->batch);
    for (uint32_t i = 0; i < count; i++) {
        memset(columns->trace_ids + i * 16, (int)i + 1, 16);
        columns->severity[i] = 9;
        columns->attribute_count[i] = 1;
        columns->bodies[i] = data_of("a body");
        columns->keys[i] = data_of("http.request.header.cookie");
        columns->values[i] = data_of("hunter2");
    }
    columns->batch.sequence = sequence;
    columns->batch.log_count = count;
    columns->batch.base_time_unix_ns = RIG_NOW_UNIX_NS;
    columns->batch.trace_ids = (ProtobufCBinaryData){.len = count * 16u, .data = columns->trace_ids};
    columns->batch.n_time_offset_ns = columns->batch.n_severity = columns->batch.n_attribute_count = count;
    columns->batch.time_offset_ns = columns->time_offset_ns;
    columns->batch.severity = columns->severity;
    columns->batch.attribute_count = columns->attribute_count;
    columns->batch.n_bodies = columns->batch.n_attribute_keys = columns->batch.n_attribute_values = count;
    columns->batch.bodies = columns->bodies;
    columns->batch.attribute_keys = columns->keys;
    columns->batch.attribute_values = columns->values;
}

static void send_logs(struct client *client, const struct columns *columns, bool accepted)
{
    send_message(client, NATIVE_TYPE_LOGS, &columns->batch.base, accepted);
}

static void expect_exported(struct rig *rig, uint64_t count)
{
    span_segment_flush(&rig->pipeline.log_segment);
    rig_turn(rig);
    rig_expect(rig, METRIC_LOGS_EXPORT_OFFERED, count);
    rig_expect(rig, METRIC_EXPORT_LOGS_HANDED, count);
    rig_check(rig);
}

static void records_are_counted_and_exported(void **state)
{
    (void)state;
    for (int exporting = 0; exporting < 2; exporting++) {
        struct native_rig n = {0};
        struct client client;
        struct columns columns;
        native_begin(&n, &client, exporting ? exporting_logs : NULL);
        fill(&columns, 1, 5);
        send_logs(&client, &columns, true);
        fill(&columns, 2, 0); /* none is fine */
        send_logs(&client, &columns, true);
        const struct buffer *bytes = &n.rig.pipeline.log_segment.bytes;
        if (exporting) {
            assert_non_null(memmem(bytes->data, bytes->length, "a body", 6));
            assert_non_null(memmem(bytes->data, bytes->length, "productpage", 11));
            assert_null(memmem(bytes->data, bytes->length, "hunter2", 7));
        }
        client_close(&client);
        rig_expect(&n.rig, METRIC_LOGS_RECEIVED, 5);
        rig_expect(&n.rig, METRIC_LOGS_NOT_A_REQUEST, 5);
        if (exporting) {
            expect_exported(&n.rig, 5);
        }
        rig_check(&n.rig);
        native_rig_stop(&n);
    }
}

static void each_reason_drops_a_record(void **state)
{
    struct native_rig n = {0};
    struct client client;
    struct columns columns;

    (void)state;
    native_begin(&n, &client, exporting_logs);
    fill(&columns, 1, 7);
    columns.severity[1] = 25;
    columns.bodies[2] = data_of("\xff");
    columns.time_offset_ns[3] = -(int64_t)(90000 * RIG_SECOND_NS);
    columns.keys[4] = data_of("");
    columns.values[5] = data_of("\xc0\x80");
    send_logs(&client, &columns, true);
    assert_int_equal(client.rejected_logs, 5);
    assert_int_equal(client.last_error, WEFT__V1__ERROR_CODE__ERROR_CODE_RECORD);
    assert_int_equal(client.last_record, 2);
    client_close(&client);
    rig_expect(&n.rig, METRIC_LOGS_RECEIVED, 7);
    rig_expect(&n.rig, METRIC_LOGS_NOT_A_REQUEST, 2);
    rig_expect(&n.rig, METRIC_LOGS_DROPPED_MALFORMED, 4);
    rig_expect(&n.rig, METRIC_LOGS_DROPPED_TIME, 1);
    expect_exported(&n.rig, 2);
    native_rig_stop(&n);
}

static void resent_records_are_duplicates(void **state)
{
    struct native_rig n = {0};
    struct client client;
    struct columns columns;

    (void)state;
    native_begin(&n, &client, exporting_logs);
    fill(&columns, 1, 4);
    send_logs(&client, &columns, true);
    send_logs(&client, &columns, true);
    client_close(&client);
    rig_expect(&n.rig, METRIC_LOGS_RECEIVED, 8);
    rig_expect(&n.rig, METRIC_LOGS_NOT_A_REQUEST, 4);
    rig_expect(&n.rig, METRIC_LOGS_DROPPED_DUPLICATE, 4);
    expect_exported(&n.rig, 4);
    native_rig_stop(&n);
}

static void batches_wait_while_memory_is_full(void **state)
{
    struct native_rig n = {0};
    struct client client;
    struct columns columns;

    (void)state;
    native_begin(&n, &client, exporting_logs);
    n.rig.pipeline.directory->is_full = true;
    fill(&columns, 1, 3);
    send_logs(&client, &columns, false);
    assert_int_equal(client.last_error, WEFT__V1__ERROR_CODE__ERROR_CODE_UNAVAILABLE);
    fill(&columns, 2, 3);
    n.rig.pipeline.directory->is_full = false;
    send_logs(&client, &columns, false); /* the one before must come first */
    assert_int_equal(client.last_error, WEFT__V1__ERROR_CODE__ERROR_CODE_UNAVAILABLE);
    rig_expect(&n.rig, METRIC_MESSAGES_REFUSED_MEMORY, 2);
    fill(&columns, 1, 3);
    send_logs(&client, &columns, true);
    fill(&columns, 2, 3);
    send_logs(&client, &columns, true);
    client_close(&client);
    rig_expect(&n.rig, METRIC_LOGS_RECEIVED, 6);
    rig_expect(&n.rig, METRIC_LOGS_NOT_A_REQUEST, 6);
    expect_exported(&n.rig, 6);
    native_rig_stop(&n);
}

static void a_refused_payload_counts_no_record(void **state)
{
    struct native_rig n = {0};
    struct client client;
    struct columns columns;

    (void)state;
    native_begin(&n, &client, exporting_logs);
    for (int i = 0; i < 4; i++) {
        fill(&columns, i == 0 ? 0 : 1, 4);
        columns.batch.n_severity = i == 1 ? 3 : 4;
        columns.batch.n_bodies = i == 2 ? 3 : 4;
        columns.attribute_count[0] = i == 3 ? 2 : 1;
        send_logs(&client, &columns, false);
        assert_int_equal(client.last_error, WEFT__V1__ERROR_CODE__ERROR_CODE_MALFORMED);
    }
    rig_expect(&n.rig, METRIC_MESSAGES_REFUSED_MALFORMED, 4);
    client_close(&client);
    expect_exported(&n.rig, 0);
    native_rig_stop(&n);
}

static void what_finds_no_room_is_lost_and_counted(void **state)
{
    struct native_rig n = {0};
    struct client client;
    struct columns columns;

    (void)state;
    native_begin(&n, &client, exporting_logs);
    n.rig.pipeline.log_segment.bytes.cap_bytes = SEGMENT_BYTES - 1; /* no segment at all */
    fill(&columns, 1, 3);
    send_logs(&client, &columns, true);
    rig_expect(&n.rig, METRIC_LOGS_EXPORT_LOST, 3);
    n.rig.pipeline.log_segment.bytes.cap_bytes = SEGMENT_BYTES;
    /* Secrets of no bytes become ten each: more than the room that was made. */
    fill(&columns, 2, 1);
    static ProtobufCBinaryData keys[20000];
    static ProtobufCBinaryData values[20000];
    assert_int_equal(redaction_add(&n.rig.pipeline.scanner.attributes.redaction, "x"), 0);
    for (size_t i = 0; i < 20000; i++) {
        keys[i] = data_of("x");
        values[i] = data_of("");
    }
    columns.attribute_count[0] = 20000;
    columns.batch.n_attribute_keys = columns.batch.n_attribute_values = 20000;
    columns.batch.attribute_keys = keys;
    columns.batch.attribute_values = values;
    send_logs(&client, &columns, true);
    rig_expect(&n.rig, METRIC_LOGS_EXPORT_LOST, 1);
    client_close(&client);
    rig_expect(&n.rig, METRIC_LOGS_RECEIVED, 4);
    rig_expect(&n.rig, METRIC_LOGS_NOT_A_REQUEST, 4);
    expect_exported(&n.rig, 0);
    native_rig_stop(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_counted_and_exported),
        cmocka_unit_test(each_reason_drops_a_record),
        cmocka_unit_test(resent_records_are_duplicates),
        cmocka_unit_test(batches_wait_while_memory_is_full),
        cmocka_unit_test(a_refused_payload_counts_no_record),
        cmocka_unit_test(what_finds_no_room_is_lost_and_counted),
    };

    return cmocka_run_group_tests_name("pipeline_native_logs", tests, NULL, NULL);
}
