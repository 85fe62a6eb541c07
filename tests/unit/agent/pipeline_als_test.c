/* Access log streams through a shard's record path: each kind of entry, each reason to drop one or refuse a
 * message, and what a stream keeps of its node; after each the whole ledger. */
#include "rig.h"

#include "../decode/als_message.h"
#include "aggregate/directory_internal.h"
#include "aggregate/snapshot.h"

enum { ALS_BYTES_MAX = 1 << 22 };

#define NODE_ID "sidecar~10.0.0.7~web-1.shop~shop.svc.cluster.local"

struct als_rig {
    struct rig rig;
    struct peer peer;
    struct grpc_call call;
    struct grpc_answer answer;
    struct buffer message;
};

static void start_counting(struct als_rig *r, enum count_from from)
{
    memset(r, 0, sizeof *r);
    rig_init(&r->rig);
    r->rig.count_from = from;
    rig_start(&r->rig, NULL);
    r->peer = (struct peer){.pipeline = &r->rig.pipeline, .sender = r->rig.sender};
    r->call.connection_user = &r->peer;
    buffer_init(&r->message, ALS_BYTES_MAX);
}

static void start(struct als_rig *r)
{
    start_counting(r, COUNT_FROM_AUTO);
}

static void stop(struct als_rig *r)
{
    pipeline_als_closed(&r->rig.pipeline, &r->call);
    assert_null(r->call.stream_user);
    buffer_deinit(&r->message);
    rig_stop(&r->rig);
}

/* Sends what was put into the message, from memory of its own that is gone afterwards. */
static int say(struct als_rig *r)
{
    uint8_t *copy = malloc(r->message.length + 1);

    assert_non_null(copy);
    memcpy(copy, r->message.data, r->message.length);
    memset(&r->answer, 0, sizeof r->answer);
    int code =
        pipeline_als_message(&r->rig.pipeline, &r->call, slice_of(copy, r->message.length), &r->answer);
    memset(copy, 0xee, r->message.length);
    free(copy);
    r->message.length = 0;
    return code;
}

static void put_kind(struct als_rig *r, uint32_t kind, uint64_t type, uint32_t count)
{
    als_put_logs(&r->message, kind,
        &(struct als_entry_options){.code = 200,
            .type = type,
            .attempts = 2,
            .cluster = "outbound|80||reviews.shop.svc.cluster.local"},
        count);
}

static void takes_each_kind(void **state)
{
    struct als_rig r;

    (void)state;
    start(&r);
    als_put_identifier(&r.message, NODE_ID, "web.shop");
    put_kind(&r, ALS_HTTP, 6, 3);
    assert_int_equal(say(&r), 0);
    put_kind(&r, ALS_HTTP, 9, 4);
    put_kind(&r, ALS_HTTP, 5, 1);
    put_kind(&r, ALS_TCP, 3, 2);
    put_kind(&r, ALS_TCP, 2, 1);
    assert_int_equal(say(&r), 0);
    assert_int_equal(r.answer.code, GRPC_OK);

    rig_expect(&r.rig, METRIC_LOGS_RECEIVED, 11);
    rig_expect(&r.rig, METRIC_LOGS_ATTEMPTS, 4);
    rig_expect(&r.rig, METRIC_LOGS_NOT_A_REQUEST, 2);
    rig_expect_merged(&r.rig, METRIC_LOGS_RECORDED, METRIC_LOGS_AGGREGATED, 5);
    stop(&r);
}

/* Requests may be left to spans; connections are told by no span, and say nothing of where requests are. */
static void connections_count_whatever_requests_are_counted_from(void **state)
{
    struct als_rig r;

    (void)state;
    start_counting(&r, COUNT_FROM_SPANS);
    als_put_identifier(&r.message, NODE_ID, "web.shop");
    put_kind(&r, ALS_HTTP, 6, 3);
    put_kind(&r, ALS_TCP, 3, 2);
    assert_int_equal(say(&r), 0);
    rig_expect(&r.rig, METRIC_LOGS_RECEIVED, 5);
    rig_expect(&r.rig, METRIC_LOGS_SUPERSEDED, 3);
    rig_expect_merged(&r.rig, METRIC_LOGS_RECORDED, METRIC_LOGS_AGGREGATED, 2);
    stop(&r);
}

static void drops_what_is_damaged_or_late(void **state)
{
    struct als_rig r;

    (void)state;
    start(&r);
    als_put_identifier(&r.message, NODE_ID, "web.shop");
    put_kind(&r, ALS_HTTP, 6, 1);
    als_put_logs(&r.message, ALS_HTTP, &(struct als_entry_options){.start_s = 1000, .type = 6}, 2);
    (void)buffer_append(&r.message, "\x12\x06\x0a\x04\x0a\x02\x2a\x05", 8);
    assert_int_equal(say(&r), 0);

    rig_expect(&r.rig, METRIC_LOGS_RECEIVED, 4);
    rig_expect(&r.rig, METRIC_LOGS_DROPPED_TIME, 2);
    rig_expect(&r.rig, METRIC_LOGS_DROPPED_MALFORMED, 1);
    rig_expect_merged(&r.rig, METRIC_LOGS_RECORDED, METRIC_LOGS_AGGREGATED, 1);
    stop(&r);
}

static void a_stream_without_identifier_is_refused(void **state)
{
    struct als_rig r;

    (void)state;
    start(&r);
    put_kind(&r, ALS_HTTP, 6, 3);
    assert_int_equal(say(&r), 0);
    assert_int_equal(r.answer.code, GRPC_INVALID_ARGUMENT);
    assert_non_null(strstr(r.answer.text, "identifier"));
    assert_null(r.call.stream_user);
    rig_expect(&r.rig, METRIC_MESSAGES_REFUSED_IDENTIFIER, 1);
    rig_check(&r.rig);
    stop(&r);
}

static void a_broken_message_is_refused_whole(void **state)
{
    struct als_rig r;

    (void)state;
    start(&r);
    als_put_identifier(&r.message, NODE_ID, "web.shop");
    put_kind(&r, ALS_HTTP, 6, 3);
    (void)buffer_append(&r.message, "\x12\x02\x0a\x05", 4);
    assert_true(say(&r) < 0);
    assert_non_null(strstr(r.answer.text, "http_logs"));
    rig_check(&r.rig); /* nothing of it was applied, not even its identifier */
    assert_null(r.call.stream_user);
    stop(&r);
}

static void refuses_while_draining_or_full(void **state)
{
    struct als_rig r;

    (void)state;
    start(&r);
    r.rig.pipeline.draining = true;
    als_put_identifier(&r.message, NODE_ID, "web.shop");
    assert_int_equal(say(&r), WERR_CLOSED);
    r.rig.pipeline.draining = false;
    r.rig.pipeline.directory->is_full = true;
    als_put_identifier(&r.message, NODE_ID, "web.shop");
    put_kind(&r, ALS_HTTP, 6, 3);
    assert_int_equal(say(&r), WERR_NOMEM);
    assert_null(r.call.stream_user);
    rig_check(&r.rig);
    r.rig.pipeline.directory->is_full = false;
    als_put_identifier(&r.message, NODE_ID, "web.shop");
    put_kind(&r, ALS_HTTP, 6, 3);
    assert_int_equal(say(&r), 0);
    rig_expect(&r.rig, METRIC_LOGS_RECEIVED, 3);
    rig_expect_merged(&r.rig, METRIC_LOGS_RECORDED, METRIC_LOGS_AGGREGATED, 3);
    stop(&r);
}

/* Whose labels the series have: looked up in the exposition. */
static uint64_t requests_of(struct als_rig *r, const char *part)
{
    struct snapshot_settings settings = {.native_scale = 3, .native_buckets_max = 160};
    struct snapshot *snapshot = NULL;
    struct snapshot_cursor cursor = {0};
    const struct snapshot_family *family = NULL;
    struct snapshot_series series;
    uint64_t sum = 0;

    assert_int_equal(aggregator_snapshot_new(r->rig.aggregator, &r->rig.registry, &settings, &snapshot), 0);
    while (snapshot_next(snapshot, &cursor, &family, &series) == 1) {
        if (strcmp(family->name, "mesh_requests") == 0 && strstr(series.labels_text, part) != NULL) {
            sum += series.integer;
        }
    }
    aggregator_snapshot_free(snapshot);
    return sum;
}

static void the_node_is_kept_for_as_long_as_the_stream(void **state)
{
    struct als_rig r;

    (void)state;
    start(&r);
    als_put_identifier(&r.message, NODE_ID, "web.shop");
    assert_int_equal(say(&r), 0);
    assert_non_null(r.call.stream_user);
    for (int i = 0; i < 3; i++) {
        put_kind(&r, ALS_HTTP, 6, 2);
        assert_int_equal(say(&r), 0);
    }
    als_put_identifier(&r.message, "another", "cart.shop"); /* a second one replaces it */
    put_kind(&r, ALS_HTTP, 6, 1);
    assert_int_equal(say(&r), 0);
    rig_expect(&r.rig, METRIC_LOGS_RECEIVED, 7);
    rig_expect_merged(&r.rig, METRIC_LOGS_RECORDED, METRIC_LOGS_AGGREGATED, 7);
    assert_int_equal(requests_of(&r, "source=\"web\",source_namespace=\"shop\""), 6);
    assert_int_equal(requests_of(&r, "source=\"cart\",source_namespace=\"shop\""), 1);
    stop(&r);
}

static void long_names_of_a_node_are_cut(void **state)
{
    struct als_rig r;
    char id[2000];
    char name[2000];

    (void)state;
    start(&r);
    memset(id, 'n', sizeof id - 1);
    memset(name, 's', sizeof name - 1);
    id[sizeof id - 1] = name[sizeof name - 1] = '\0';
    als_put_identifier(&r.message, id, name);
    put_kind(&r, ALS_HTTP, 6, 1);
    assert_int_equal(say(&r), 0);
    const struct log_reporter *reporter = r.call.stream_user;
    assert_int_equal(reporter->names.node_id.length, r.rig.limits.string_bytes_max);
    assert_int_equal(reporter->names.service.length, r.rig.limits.string_bytes_max);
    rig_expect(&r.rig, METRIC_LOGS_RECEIVED, 1);
    rig_expect_merged(&r.rig, METRIC_LOGS_RECORDED, METRIC_LOGS_AGGREGATED, 1);
    stop(&r);
}

static void cut_anywhere_balances(void **state)
{
    struct als_rig r;
    struct buffer whole;
    uint64_t received = 0;

    (void)state;
    start(&r);
    buffer_init(&whole, ALS_BYTES_MAX);
    als_put_identifier(&whole, NODE_ID, "web.shop");
    als_put_logs(&whole, ALS_HTTP, &(struct als_entry_options){.code = 200, .type = 6}, 1);
    als_put_logs(&whole, ALS_TCP, &(struct als_entry_options){.type = 3}, 1);
    for (size_t length = 0; length <= whole.length; length++) {
        (void)buffer_append(&r.message, whole.data, length);
        (void)say(&r);
        pipeline_als_closed(&r.rig.pipeline, &r.call);
    }
    received = rig_get(&r.rig, METRIC_LOGS_RECEIVED);
    assert_true(received >= 2);
    rig_flip(&r.rig); /* balanced, nothing in flight */
    buffer_deinit(&whole);
    stop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_each_kind),
        cmocka_unit_test(connections_count_whatever_requests_are_counted_from),
        cmocka_unit_test(drops_what_is_damaged_or_late),
        cmocka_unit_test(a_stream_without_identifier_is_refused),
        cmocka_unit_test(a_broken_message_is_refused_whole),
        cmocka_unit_test(refuses_while_draining_or_full),
        cmocka_unit_test(the_node_is_kept_for_as_long_as_the_stream),
        cmocka_unit_test(long_names_of_a_node_are_cut),
        cmocka_unit_test(cut_anywhere_balances),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
