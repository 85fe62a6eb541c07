/* What of each kind of message is in the ring of traces afterwards, under which names; without a ring, what
 * is said of it; and that what is stored there may become an exemplar. */
#include "otlp_message.h"

#include "../decode/als_message.h"
#include "aggregate/directory_internal.h"
#include "aggregate/snapshot.h"
#include "native_client.h"

#define NODE_ID "sidecar~10.0.0.7~web-1.shop~shop.svc.cluster.local"
#define TRACEPARENT_TRACE "0af7651916cd43dd8448eb211c80319c"
#define TRACEPARENT_SPAN "b7ad6b7169203331"

enum { RING_BYTES = 1 << 20 };

static void start(struct rig *rig, const char *config)
{
    rig_init(rig);
    rig->ring_bytes = RING_BYTES;
    rig_start(rig, config);
    assert_non_null(rig->pipeline.ring);
}

/* The only entry that the filter lets through. */
static struct ring_entry only_one(struct rig *rig, const struct ring_filter *filter)
{
    struct ring_cursor cursor = ring_cursor_newest(rig->pipeline.ring);
    struct ring_entry entry;
    struct ring_entry further;

    assert_int_equal(ring_search(rig->pipeline.ring, &cursor, filter, UINT64_MAX, &entry), RING_MATCH);
    assert_int_equal(ring_search(rig->pipeline.ring, &cursor, filter, UINT64_MAX, &further), RING_END);
    return entry;
}

static struct ring_entry only_of_role(struct rig *rig, enum ring_role role)
{
    struct ring_filter filter = {.roles = 1u << role};

    return only_one(rig, &filter);
}

static void assert_text(struct slice text, const char *expected)
{
    assert_int_equal(text.length, strlen(expected));
    assert_memory_equal(text.ptr, expected, text.length);
}

/* How many exemplars a flip brings to the aggregator. */
static size_t exemplar_count(struct rig *rig)
{
    struct snapshot_settings settings = {.native_scale = 3, .native_buckets_max = 160};
    struct snapshot_cursor cursor = {0};
    const struct snapshot_family *family;
    struct snapshot_series series;
    struct snapshot *snapshot;
    size_t count = 0;

    rig_flip(rig);
    assert_int_equal(aggregator_snapshot_new(rig->aggregator, NULL, &settings, &snapshot), 0);
    while (snapshot_next(snapshot, &cursor, &family, &series) == 1) {
        count += series.histogram != NULL ? series.histogram->exemplar_count : 0;
    }
    aggregator_snapshot_free(snapshot);
    return count;
}

static void stores_each_meaning(void **state)
{
    struct rig rig;
    struct message message;
    struct otlp_outcome outcome;

    (void)state;
    start(&rig, NULL);
    message_begin(&message, "envoy");
    put_span(&message.bytes, SPAN_ATTEMPT_OF_ENVOY, RIG_NOW_UNIX_NS);
    assert_int_equal(pipeline_otlp_traces(&rig.pipeline, &rig.sender, message_end(&message), &outcome), 0);
    message_deinit(&message);
    message_begin(&message, "opentelemetry");
    put_span(&message.bytes, SPAN_GOOD, RIG_NOW_UNIX_NS);
    put_span(&message.bytes, SPAN_INTERNAL, RIG_NOW_UNIX_NS);
    put_span(&message.bytes, SPAN_FAR_AWAY, RIG_NOW_UNIX_NS); /* refused: not stored */
    assert_int_equal(pipeline_otlp_traces(&rig.pipeline, &rig.sender, message_end(&message), &outcome), 0);
    message_deinit(&message);

    struct ring_entry entry = only_of_role(&rig, RING_REQUEST);
    assert_text(entry.service, "productpage.shop");
    assert_int_equal(entry.outcome, OUTCOME_NO_RESPONSE);
    assert_int_equal(entry.duration_ns, 4000000);
    assert_int_equal(entry.span_kind, SPAN_KIND_CLIENT);
    entry = only_of_role(&rig, RING_ATTEMPT);
    assert_text(entry.service, "productpage");
    assert_text(entry.route, "GET /cart");
    assert_int_equal(entry.outcome, OUTCOME_COUNT);
    entry = only_of_role(&rig, RING_NEITHER);
    assert_text(entry.service, "productpage.shop");
    assert_text(entry.route, "GET /cart");
    assert_int_equal(entry.span_kind, SPAN_KIND_INTERNAL);

    rig_expect(&rig, METRIC_SPANS_RECEIVED, 4);
    rig_expect(&rig, METRIC_SPANS_ATTEMPTS, 1);
    rig_expect(&rig, METRIC_SPANS_NOT_A_REQUEST, 1);
    rig_expect(&rig, METRIC_SPANS_DROPPED_TIME, 1);
    rig_expect(&rig, METRIC_SPANS_RECORDED, 1);
    rig_check(&rig);
    assert_int_equal(rig_get(&rig, METRIC_TRACE_STORED_SPANS), 3);
    assert_true(exemplar_count(&rig) > 0); /* nothing is exported: it is the ring that has the span */
    rig_stop(&rig);
}

static void says_so_without_a_ring(void **state)
{
    struct rig rig;
    struct message message;
    struct otlp_outcome outcome;

    (void)state;
    rig_init(&rig);
    rig.ring_bytes = RING_SHARE_BYTES_MIN - 1;
    rig_start(&rig, NULL);
    assert_null(rig.pipeline.ring);
    message_begin(&message, "opentelemetry");
    put_span(&message.bytes, SPAN_GOOD, RIG_NOW_UNIX_NS);
    put_span(&message.bytes, SPAN_INTERNAL, RIG_NOW_UNIX_NS);
    assert_int_equal(pipeline_otlp_traces(&rig.pipeline, &rig.sender, message_end(&message), &outcome), 0);
    message_deinit(&message);
    rig_expect(&rig, METRIC_SPANS_RECEIVED, 2);
    rig_expect(&rig, METRIC_SPANS_NOT_A_REQUEST, 1);
    rig_expect(&rig, METRIC_SPANS_RECORDED, 1);
    rig_check(&rig);
    assert_int_equal(rig_get(&rig, METRIC_TRACE_NOT_STORED_NO_RING), 2);
    assert_int_equal(exemplar_count(&rig), 0);
    rig_stop(&rig);
}

static void stores_native_spans(void **state)
{
    static const uint8_t parent_ids[24] = {7, 7, 7};
    struct native_rig n = {0};
    struct client client;
    Weft__V1__SpanBatch batch = WEFT__V1__SPAN_BATCH__INIT;
    uint8_t trace_ids[48] = {1, [16] = 2};
    uint8_t span_ids[24] = {1, [8] = 2, [16] = 3};
    int64_t offsets[3] = {-5000000, -4000000, -3000000};
    uint64_t durations[3] = {1000, 2000, 3000};
    uint32_t reporters[3] = {WEFT__V1__REPORTER__REPORTER_SOURCE, WEFT__V1__REPORTER__REPORTER_DESTINATION,
        WEFT__V1__REPORTER__REPORTER_SOURCE};

    (void)state;
    rig_init(&n.rig);
    n.rig.ring_bytes = RING_BYTES;
    native_rig_start(&n, NULL);
    client_open(&n, &client, 1, "process/a:1");
    batch.sequence = 1;
    batch.span_count = 3; /* the third belongs to no trace */
    batch.base_time_unix_ns = RIG_NOW_UNIX_NS;
    batch.trace_ids = (ProtobufCBinaryData){.len = sizeof trace_ids, .data = trace_ids};
    batch.span_ids = (ProtobufCBinaryData){.len = sizeof span_ids, .data = span_ids};
    batch.parent_ids =
        (ProtobufCBinaryData){.len = sizeof parent_ids, .data = (uint8_t *)(uintptr_t)parent_ids};
    batch.n_start_offset_ns = batch.n_duration_ns = batch.n_reporter = 3;
    batch.start_offset_ns = offsets;
    batch.duration_ns = durations;
    batch.reporter = reporters;
    send_message(&client, NATIVE_TYPE_SPANS, &batch.base, true);
    assert_int_equal(client.rejected_spans, 0);

    struct ring_filter filter = {.duration_max_ns = 1500};
    struct ring_entry entry = only_one(&n.rig, &filter);
    struct otlp_encode_span span;
    assert_int_equal(entry.form, RING_FORM_NATIVE);
    assert_memory_equal(entry.trace_id, trace_ids, 16);
    assert_true(ring_entry_request(&entry, &span));
    assert_memory_equal(span.parent_id, parent_ids, 8);
    assert_int_equal(span.start_unix_ns, RIG_NOW_UNIX_NS - 5000000);
    filter = (struct ring_filter){.duration_min_ns = 1500};
    entry = only_one(&n.rig, &filter);
    assert_int_equal(entry.span_kind, SPAN_KIND_SERVER);
    rig_expect(&n.rig, METRIC_SPANS_RECEIVED, 3);
    rig_expect_spans(&n.rig, 3);
    assert_int_equal(rig_get(&n.rig, METRIC_TRACE_STORED_SPANS), 2);
    assert_int_equal(rig_get(&n.rig, METRIC_TRACE_NOT_STORED_NO_TRACE), 1);
    client_close(&client);
    native_rig_stop(&n);
}

/* An entry of Envoy's access log service with the tags that say where it belongs. */
static void put_log(struct buffer *message, const char *trace_id, const char *span_id)
{
    struct buffer common;

    buffer_init(&common, 1000);
    if (span_id != NULL) {
        als_put_pair(&common, 22, "span_id", span_id);
    }
    als_put_logs(message, ALS_HTTP,
        &(struct als_entry_options){.code = 200,
            .type = 6,
            .cluster = "outbound|80||reviews.shop.svc.cluster.local",
            .tag = trace_id != NULL ? "trace_id" : NULL,
            .value = trace_id,
            .common = slice_of(common.data, common.length)},
        1);
    buffer_deinit(&common);
}

static void stores_access_logs_of_traces(void **state)
{
    struct rig rig;
    struct peer peer;
    struct grpc_call call = {.connection_user = &peer};
    struct grpc_answer answer = {.code = GRPC_OK};
    struct buffer message;

    (void)state;
    start(&rig, NULL);
    peer = (struct peer){.pipeline = &rig.pipeline, .sender = rig.sender};
    buffer_init(&message, 1 << 20);
    als_put_identifier(&message, NODE_ID, "web.shop");
    put_log(&message, NULL, NULL);
    assert_int_equal(
        pipeline_als_message(&rig.pipeline, &call, slice_of(message.data, message.length), &answer), 0);
    assert_int_equal(rig_get(&rig, METRIC_TRACE_STORED_LOGS), 0);
    message.length = 0;
    put_log(&message, TRACEPARENT_TRACE, NULL); /* stored, but no exemplar could name its span */
    assert_int_equal(
        pipeline_als_message(&rig.pipeline, &call, slice_of(message.data, message.length), &answer), 0);
    assert_int_equal(rig_get(&rig, METRIC_TRACE_STORED_LOGS), 1);
    assert_int_equal(exemplar_count(&rig), 0);
    message.length = 0;
    put_log(&message, TRACEPARENT_TRACE, TRACEPARENT_SPAN);
    assert_int_equal(
        pipeline_als_message(&rig.pipeline, &call, slice_of(message.data, message.length), &answer), 0);
    assert_int_equal(rig_get(&rig, METRIC_TRACE_STORED_LOGS), 2);
    assert_true(exemplar_count(&rig) > 0);

    static const uint8_t trace_id[16] = {
        0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd, 0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31, 0x9c};
    static const uint8_t span_id[8] = {0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31};
    assert_true(ring_has_span(rig.pipeline.ring, trace_id, span_id));
    struct ring_trace trace;
    assert_int_equal(ring_find_trace(rig.pipeline.ring, trace_id, &trace), 0);
    assert_int_equal(trace.spans_count, 2);
    rig_check_stored(&rig);
    pipeline_als_closed(&rig.pipeline, &call);
    buffer_deinit(&message);
    rig_stop(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stores_each_meaning),
        cmocka_unit_test(says_so_without_a_ring),
        cmocka_unit_test(stores_native_spans),
        cmocka_unit_test(stores_access_logs_of_traces),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
