/* Senders that claim to be somebody else: counted and labelled as what they are, or, by configuration,
 * refused with a reason; every row of the ledger. */
#include "aggregate/snapshot.h"
#include "context/pods.h"
#include "otlp_message.h"

#define UID "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
#define OTHER_UID "ffffffff-4b5a-6978-8796-a5b4c3d2e1f0"

/* A rig whose sender is a pod of namespace shop. */
static void start(struct rig *rig, bool refuse)
{
    struct pods pods;
    struct pod_table table;
    struct pod_facts facts = {.uid = SLICE_LITERAL(UID),
        .name = SLICE_LITERAL("web-0"),
        .pod_namespace = SLICE_LITERAL("shop"),
        .owner_kind = SLICE_LITERAL("StatefulSet"),
        .owner_name = SLICE_LITERAL("web")};

    rig_init(rig);
    rig->sender.kind = SENDER_POD;
    (void)snprintf(rig->sender.name, sizeof rig->sender.name, UID);
    pods_init(&pods);
    pod_table_init(&table);
    assert_int_equal(pod_table_add(&table, &facts), 0);
    pods_replace(&pods, &table);
    assert_true(pods_describe(&pods, &rig->sender));
    pods_deinit(&pods);
    rig_start(rig, rig_exporting);
    rig->pipeline.context.refuse_conflicts = refuse;
}

static void put_spans(struct buffer *bytes, const char *key, const char *value, int count)
{
    struct wire_envelope resource_spans = wire_envelope_begin(bytes, 1, 1000);
    struct wire_envelope resource = wire_envelope_begin(bytes, 1, 100);

    put_attribute(bytes, 1, "service.name", "web");
    put_attribute(bytes, 1, key, value);
    wire_envelope_end(bytes, resource);
    struct wire_envelope scope_spans = wire_envelope_begin(bytes, 2, 1000);
    for (int i = 0; i < count; i++) {
        put_span(bytes, i == 1 ? SPAN_INTERNAL : SPAN_GOOD, RIG_NOW_UNIX_NS);
    }
    wire_envelope_end(bytes, scope_spans);
    wire_envelope_end(bytes, resource_spans);
}

static int take(struct rig *rig, struct buffer *bytes, struct otlp_outcome *ret_outcome)
{
    int code =
        pipeline_otlp_traces(&rig->pipeline, &rig->sender, slice_of(bytes->data, bytes->length), ret_outcome);

    buffer_deinit(bytes);
    return code;
}

/* Spans of a resource with this attribute. */
static int send_spans(
    struct rig *rig, const char *key, const char *value, int count, struct otlp_outcome *ret_outcome)
{
    struct buffer bytes;

    buffer_init(&bytes, MESSAGE_BYTES_MAX);
    put_spans(&bytes, key, value, count);
    return take(rig, &bytes, ret_outcome);
}

static const struct {
    const char *key;
    const char *value;
    bool is_conflict;
} claims[] = {
    {"k8s.pod.uid", UID, false},
    {"k8s.pod.uid", OTHER_UID, true},
    {"k8s.pod.name", "web-0", false},
    {"k8s.pod.name", "web-1", true},
    {"k8s.namespace.name", "shop", false},
    {"k8s.namespace.name", "bank", true},
    {"service.namespace", "bank", true},
};

enum { CLAIM_COUNT = sizeof claims / sizeof claims[0] };

static void conflicts_are_counted(void **state)
{
    (void)state;
    for (size_t i = 0; i < CLAIM_COUNT; i++) {
        struct rig rig;
        struct otlp_outcome outcome;

        start(&rig, false);
        assert_int_equal(send_spans(&rig, claims[i].key, claims[i].value, 1, &outcome), 0);
        assert_int_equal(outcome.rejected_count, 0);
        assert_int_equal(rig_get(&rig, METRIC_IDENTITY_CONFLICTS), claims[i].is_conflict);
        rig_expect(&rig, METRIC_SPANS_RECEIVED, 1);
        rig_expect_spans(&rig, 1);
        rig_expect_exported(&rig, 1);
        rig_stop(&rig);
    }
}

static void conflicts_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < CLAIM_COUNT; i++) {
        struct rig rig;
        struct otlp_outcome outcome;

        start(&rig, true);
        for (int round = 0; round < 3; round++) { /* the second and third by what was learnt of the first */
            assert_int_equal(send_spans(&rig, claims[i].key, claims[i].value, 4, &outcome), 0);
            assert_int_equal(outcome.rejected_count, claims[i].is_conflict ? 4 : 0);
            assert_int_equal(outcome.spans_count, claims[i].is_conflict ? 0 : 4);
            assert_int_equal(outcome.text[0] != '\0', claims[i].is_conflict);
        }
        rig_expect(&rig, METRIC_SPANS_RECEIVED, 12);
        if (claims[i].is_conflict) {
            rig_expect(&rig, METRIC_SPANS_DROPPED_IDENTITY, 12);
            rig_expect_spans(&rig, 0);
            rig_expect_exported(&rig, 0);
        } else {
            rig_expect(&rig, METRIC_SPANS_NOT_A_REQUEST, 3);
            rig_expect_spans(&rig, 9);
            rig_expect_exported(&rig, 12);
        }
        rig_stop(&rig);
    }
}

/* What is true in such a message counts, but nothing of it is passed on. */
static void a_message_with_both_is_not_passed_on(void **state)
{
    struct rig rig;
    struct otlp_outcome outcome;
    struct buffer bytes;

    (void)state;
    start(&rig, true);
    buffer_init(&bytes, MESSAGE_BYTES_MAX);
    put_spans(&bytes, "k8s.pod.uid", UID, 1);
    put_spans(&bytes, "k8s.pod.uid", OTHER_UID, 3);
    put_spans(&bytes, "k8s.pod.uid", UID, 1);
    assert_int_equal(take(&rig, &bytes, &outcome), 0);
    assert_int_equal(outcome.spans_count, 2);
    assert_int_equal(outcome.rejected_count, 3);
    rig_expect(&rig, METRIC_SPANS_RECEIVED, 5);
    rig_expect(&rig, METRIC_SPANS_DROPPED_IDENTITY, 3);
    rig_expect(&rig, METRIC_SPANS_EXPORT_LOST, 2);
    rig_expect_spans(&rig, 2);
    rig_expect_exported(&rig, 0);
    rig_stop(&rig);
}

static void access_logs_of_another_are_refused(void **state)
{
    struct access_log_entry entry = {.kind = ACCESS_LOG_REQUEST,
        .response_code = 200,
        .start_unix_ns = RIG_NOW_UNIX_NS,
        .method = SLICE_LITERAL("GET"),
        .path = SLICE_LITERAL("/")};
    struct rig rig;

    (void)state;
    start(&rig, true);
    rig.pipeline.context.counts = NULL; /* it counts at once */
    context_batch_begin(&rig.pipeline.context, true, 0);
    for (int i = 0; i < 4; i++) {
        struct log_reporter reporter = {
            .names = {.service = SLICE_LITERAL("web"),
                .service_namespace = i % 2 == 0 ? SLICE_LITERAL("bank") : SLICE_LITERAL("shop")}};

        entry.kind = i < 2 ? ACCESS_LOG_REQUEST : ACCESS_LOG_ATTEMPT;
        pipeline_take_log(&rig.pipeline, &entry, &reporter, &rig.sender, RIG_NOW_UNIX_NS);
    }
    rig_expect(&rig, METRIC_LOGS_RECEIVED, 4);
    rig_expect(&rig, METRIC_LOGS_DROPPED_IDENTITY, 2);
    rig_expect(&rig, METRIC_LOGS_ATTEMPTS, 1);
    rig_expect_merged(&rig, METRIC_LOGS_RECORDED, METRIC_LOGS_AGGREGATED, 1);
    rig_stop(&rig);
}

/* The labels of the only service that has a workload or version. */
static void expect_service(struct rig *rig, const char *labels)
{
    struct snapshot_settings settings = {.native_scale = 3, .native_buckets_max = 160};
    struct snapshot_cursor cursor = {0};
    const struct snapshot_family *family = NULL;
    struct snapshot_series series;
    struct snapshot *snapshot = NULL;
    int count = 0;

    assert_int_equal(aggregator_snapshot_new(rig->aggregator, &rig->registry, &settings, &snapshot), 0);
    while (snapshot_next(snapshot, &cursor, &family, &series) == 1) {
        if (strcmp(family->name, "mesh_service") == 0 &&
            strstr(series.labels_text, "mesh_service=\"web\"") != NULL) {
            assert_string_equal(series.labels_text, labels);
            count++;
        }
    }
    aggregator_snapshot_free(snapshot);
    assert_int_equal(count, 1);
}

static void services_tell_what_stands_behind_them(void **state)
{
    static const struct {
        const char *key;
        const char *value;
        const char *labels;
    } rows[] = {
        {"k8s.pod.name", "web-0", "mesh_service=\"web\",mesh_service_namespace=\"shop\",workload=\"web\""},
        {"service.version", "v7",
            "mesh_service=\"web\",mesh_service_namespace=\"shop\",workload=\"web\",version=\"v7\""},
        {"k8s.deployment.name", "front",
            "mesh_service=\"web\",mesh_service_namespace=\"shop\",workload=\"front\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rig rig;
        struct otlp_outcome outcome;

        start(&rig, false);
        for (int round = 0; round < 2; round++) {
            assert_int_equal(send_spans(&rig, rows[i].key, rows[i].value, 1, &outcome), 0);
            rig_expect(&rig, METRIC_SPANS_RECEIVED, 1);
            rig_expect_spans(&rig, 1);
        }
        rig_expect_exported(&rig, 2);
        expect_service(&rig, rows[i].labels);
        rig_stop(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conflicts_are_counted),
        cmocka_unit_test(conflicts_are_refused),
        cmocka_unit_test(a_message_with_both_is_not_passed_on),
        cmocka_unit_test(access_logs_of_another_are_refused),
        cmocka_unit_test(services_tell_what_stands_behind_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
