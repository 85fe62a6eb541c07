/* Access-log records to requests and connections: sides, names, routes, endings, and what a memo may not
 * remember. */
#include "fixture.h"

#include "context/access_log.h"
#include "context/response_flags.h"

#define NOW_UNIX_NS 1700000000000000000ull
#define REVIEWS SLICE_LITERAL("outbound|80||reviews.shop.svc.cluster.local")

struct log_fixture {
    struct fixture base;
    struct access_log_memos memos;
    struct log_reporter reporter;
    struct request request;
    struct connection connection;
};

static int setup(void **state)
{
    struct log_fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    fixture_init(&f->base, 4096);
    access_log_memos_init(&f->memos);
    f->reporter.names = (struct access_log_reporter){
        .node_id = SLICE_LITERAL("sidecar~10.0.0.7~web-1.shop~shop.svc.cluster.local"),
        .service = SLICE_LITERAL("web.shop"),
        .address = SLICE_LITERAL("10.0.0.7"),
        .is_envoy = true};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct log_fixture *f = *state;

    fixture_deinit(&f->base);
    free(f);
    return 0;
}

static struct access_log_entry outbound(void)
{
    return (struct access_log_entry){
        .kind = ACCESS_LOG_REQUEST,
        .protocol = ACCESS_LOG_PROTOCOL_HTTP1,
        .has_attempts = true,
        .attempts = 2,
        .has_request_bytes = true,
        .request_bytes = 12,
        .has_response_bytes = true,
        .response_bytes = 345,
        .has_trace = true,
        .trace_id = {7},
        .has_span = true,
        .span_id = {9},
        .response_code = 200,
        .start_unix_ns = NOW_UNIX_NS - 5000000,
        .duration_ns = 5000000,
        .method = SLICE_LITERAL("GET"),
        .path = SLICE_LITERAL("/reviews/275517?token=secret"),
        .upstream_cluster = REVIEWS,
    };
}

static enum access_log_meaning take(struct log_fixture *f, const struct access_log_entry *entry)
{
    return access_log_to_request(
        &f->base.context, &f->memos, entry, &f->reporter, NULL, NOW_UNIX_NS, &f->request, &f->connection);
}

static void assert_sides(struct log_fixture *f, enum reporter reporter, const char *source,
    const char *source_namespace, const char *destination, const char *destination_namespace)
{
    assert_int_equal(f->request.reporter, reporter);
    assert_id(&f->base, f->request.source, source);
    assert_id(&f->base, f->request.source_namespace, source_namespace);
    assert_id(&f->base, f->request.destination, destination);
    assert_id(&f->base, f->request.destination_namespace, destination_namespace);
}

static void an_outbound_entry_names_both_sides(void **state)
{
    struct log_fixture *f = *state;
    struct access_log_entry entry = outbound();

    for (int round = 0; round < 3; round++) { /* the second time from the memo */
        memset(&f->request, 0xff, sizeof f->request);
        assert_int_equal(take(f, &entry), ACCESS_LOG_IS_REQUEST);
        assert_sides(f, REPORTER_SOURCE, "web", "shop", "reviews", "shop");
        assert_id(&f->base, f->request.route, "/reviews/*");
        assert_int_equal(f->request.signal, REQUEST_FROM_LOG);
        assert_int_equal(f->request.method, METHOD_GET);
        assert_int_equal(f->request.protocol, PROTOCOL_HTTP1);
        assert_int_equal(f->request.outcome, OUTCOME_OK);
        assert_int_equal(f->request.response_code, 200);
        assert_int_equal(f->request.grpc_status, GRPC_STATUS_NONE);
        assert_int_equal(f->request.attempts, 2);
        assert_true(f->request.has_bytes);
        assert_int_equal(f->request.request_bytes, 12);
        assert_int_equal(f->request.response_bytes, 345);
        assert_int_equal(f->request.duration_ns, 5000000);
        assert_int_equal(f->request.weight, WEIGHT_ONE);
        assert_int_equal(f->request.trace_id[0], 7);
        assert_int_equal(f->request.span_id[0], 9);
        assert_false(f->request.stored);
        assert_int_equal(f->request.voice.key, 0); /* nobody decides here */
    }
}

static void an_inbound_entry_names_its_caller_where_the_record_does(void **state)
{
    struct log_fixture *f = *state;
    struct access_log_entry entry = outbound();

    entry.upstream_cluster = SLICE_LITERAL("inbound|8080||");
    assert_int_equal(take(f, &entry), ACCESS_LOG_IS_REQUEST);
    assert_sides(f, REPORTER_DESTINATION, "unknown", "unknown", "web", "shop");
    entry.downstream.identity = SLICE_LITERAL("spiffe://cluster.local/ns/front/sa/gateway");
    (void)take(f, &entry);
    assert_sides(f, REPORTER_DESTINATION, "gateway", "front", "web", "shop");
    entry.downstream.workload = SLICE_LITERAL("gateway-v1");
    (void)take(f, &entry);
    assert_sides(f, REPORTER_DESTINATION, "gateway-v1", "front", "web", "shop");
    entry.downstream.app = SLICE_LITERAL("gateway-app");
    (void)take(f, &entry);
    assert_sides(f, REPORTER_DESTINATION, "gateway-app", "front", "web", "shop");
    entry.downstream.service = SLICE_LITERAL("gateway-service");
    entry.downstream.workload_namespace = SLICE_LITERAL("front");
    (void)take(f, &entry);
    assert_sides(f, REPORTER_DESTINATION, "gateway-service", "front", "web", "shop");
    assert_int_equal(metric_get(f->base.cells, METRIC_IDENTITY_CONFLICTS), 0);
}

/* The certificate stands above what metadata says. */
static void metadata_that_contradicts_the_certificate_is_not_believed(void **state)
{
    struct log_fixture *f = *state;
    struct access_log_entry entry = outbound();

    entry.upstream_cluster = SLICE_LITERAL("inbound|8080||");
    entry.downstream = (struct access_log_peer){.service = SLICE_LITERAL("admin"),
        .workload_namespace = SLICE_LITERAL("kube-system"),
        .identity = SLICE_LITERAL("spiffe://cluster.local/ns/front/sa/gateway")};
    (void)take(f, &entry);
    assert_sides(f, REPORTER_DESTINATION, "gateway", "front", "web", "shop");
    assert_int_equal(metric_get(f->base.cells, METRIC_IDENTITY_CONFLICTS), 1);
}

static void the_side_is_what_the_record_says(void **state)
{
    struct log_fixture *f = *state;
    struct access_log_entry entry = outbound();

    entry.upstream_cluster = slice_of(NULL, 0);
    entry.downstream_address = SLICE_LITERAL("10.0.0.99:4711");
    (void)take(f, &entry);
    assert_int_equal(f->request.reporter, REPORTER_DESTINATION); /* as spans of such proxies */
    entry.downstream_address = SLICE_LITERAL("10.0.0.7:4711");
    (void)take(f, &entry);
    assert_sides(f, REPORTER_SOURCE, "web", "shop", "unknown", "unknown");
    entry.downstream_address = slice_of(NULL, 0);
    entry.side = ACCESS_LOG_SIDE_SOURCE;
    (void)take(f, &entry);
    assert_int_equal(f->request.reporter, REPORTER_SOURCE);
    entry.side = ACCESS_LOG_SIDE_WAYPOINT;
    (void)take(f, &entry);
    assert_int_equal(f->request.reporter, REPORTER_WAYPOINT);
    entry.side = ACCESS_LOG_SIDE_DESTINATION;
    entry.upstream_cluster = REVIEWS;
    (void)take(f, &entry);
    assert_sides(f, REPORTER_DESTINATION, "unknown", "unknown", "web", "shop");
    entry.side = ACCESS_LOG_SIDE_UNTOLD;
    entry.upstream_cluster = SLICE_LITERAL("inbound-vip|80|http|reviews.shop.svc.cluster.local");
    (void)take(f, &entry);
    assert_sides(f, REPORTER_WAYPOINT, "unknown", "unknown", "reviews", "shop");
}

static void the_destination_is_the_cluster_and_else_the_peer(void **state)
{
    struct log_fixture *f = *state;
    struct access_log_entry entry = outbound();

    entry.upstream = (struct access_log_peer){
        .service = SLICE_LITERAL("ratings"), .workload_namespace = SLICE_LITERAL("other")};
    (void)take(f, &entry);
    assert_sides(f, REPORTER_SOURCE, "web", "shop", "reviews", "shop");
    entry.upstream_cluster = SLICE_LITERAL("PassthroughCluster");
    (void)take(f, &entry);
    assert_sides(f, REPORTER_SOURCE, "web", "shop", "ratings", "other");
    entry.upstream = (struct access_log_peer){.service = slice_of(NULL, 0)};
    (void)take(f, &entry);
    assert_sides(f, REPORTER_SOURCE, "web", "shop", "external", "external");
    entry.side = ACCESS_LOG_SIDE_SOURCE;
    entry.upstream_cluster = SLICE_LITERAL("backend.shop.svc.cluster.local:8080");
    entry.upstream_is_host = true;
    (void)take(f, &entry);
    assert_sides(f, REPORTER_SOURCE, "web", "shop", "backend", "shop");
}

static void a_proxy_without_a_name_is_called_by_its_certificate_or_cluster(void **state)
{
    struct log_fixture *f = *state;
    struct access_log_entry entry = outbound();

    f->reporter.names = (struct access_log_reporter){.node_id = SLICE_LITERAL("node-7"), .is_envoy = true};
    entry.upstream_cluster = SLICE_LITERAL("backend");
    (void)take(f, &entry);
    assert_sides(f, REPORTER_DESTINATION, "unknown", "unknown", "backend", "unknown");
    entry.local_identity = SLICE_LITERAL("spiffe://cluster.local/ns/shop/sa/reviews");
    (void)take(f, &entry);
    assert_sides(f, REPORTER_DESTINATION, "unknown", "unknown", "reviews", "shop");
}

static void endings(void **state)
{
    static const struct {
        uint16_t code;
        uint64_t flags;
        const char *flags_text;
        bool is_grpc, has_status;
        int32_t status;
        enum outcome outcome;
        enum protocol protocol;
    } rows[] = {
        {200, 0, "", false, false, 0, OUTCOME_OK, PROTOCOL_HTTP2},
        {404, 0, "-", false, false, 0, OUTCOME_CLIENT_ERROR, PROTOCOL_HTTP2},
        {503, RESPONSE_FLAG(UF), "", false, false, 0, OUTCOME_SERVER_ERROR, PROTOCOL_HTTP2},
        {0, RESPONSE_FLAG(DC), "", false, false, 0, OUTCOME_CANCELLED, PROTOCOL_HTTP2},
        {0, 0, "DC", false, false, 0, OUTCOME_CANCELLED, PROTOCOL_HTTP2},
        {0, RESPONSE_FLAG(UC), "", false, false, 0, OUTCOME_NO_RESPONSE, PROTOCOL_HTTP2},
        {200, 0, "", true, true, 0, OUTCOME_OK, PROTOCOL_GRPC},
        {200, 0, "", false, true, 14, OUTCOME_SERVER_ERROR, PROTOCOL_GRPC},
        {200, RESPONSE_FLAG(UC), "", true, false, 0, OUTCOME_SERVER_ERROR, PROTOCOL_GRPC},
        {200, 0, "", false, true, 99, OUTCOME_SERVER_ERROR, PROTOCOL_GRPC},
        {7, 0, "", false, false, 0, OUTCOME_NO_RESPONSE, PROTOCOL_HTTP2},
    };
    struct log_fixture *f = *state;

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct access_log_entry entry = outbound();

        entry.protocol = ACCESS_LOG_PROTOCOL_HTTP2;
        entry.response_code = rows[i].code;
        entry.response_flags = rows[i].flags;
        entry.response_flags_text = slice_of_string(rows[i].flags_text);
        entry.is_grpc = rows[i].is_grpc;
        entry.has_grpc_status = rows[i].has_status;
        entry.grpc_status = rows[i].status;
        assert_int_equal(take(f, &entry), ACCESS_LOG_IS_REQUEST);
        assert_int_equal(f->request.outcome, rows[i].outcome);
        assert_int_equal(f->request.protocol, rows[i].protocol);
    }
    struct access_log_entry entry = outbound();
    entry.response_flags = UINT64_MAX;
    (void)take(f, &entry);
    assert_int_equal(f->request.response_flags, RESPONSE_FLAGS_ALL);
}

static void what_no_proxy_can_have_seen_is_not_told(void **state)
{
    struct log_fixture *f = *state;
    struct access_log_entry entry = outbound();

    entry.attempts = ACCESS_LOG_ATTEMPTS_MAX + 1;
    entry.request_bytes = UINT64_MAX;
    entry.has_response_bytes = false;
    entry.has_trace = entry.has_span = false;
    (void)take(f, &entry);
    assert_int_equal(f->request.attempts, 0);
    assert_false(f->request.has_bytes);
    assert_int_equal(f->request.trace_id[0], 0);
    entry.kind = ACCESS_LOG_CONNECTION;
    (void)take(f, &entry);
    assert_int_equal(f->connection.received_bytes, 0);
    assert_int_equal(f->connection.sent_bytes, 345);
}

static void each_kind_has_its_meaning(void **state)
{
    struct log_fixture *f = *state;
    struct access_log_entry entry = outbound();

    entry.response_flags = RESPONSE_FLAG(UF);
    entry.kind = ACCESS_LOG_ATTEMPT;
    assert_int_equal(take(f, &entry), ACCESS_LOG_IS_ATTEMPT);
    entry.kind = ACCESS_LOG_INTERMEDIATE;
    assert_int_equal(take(f, &entry), ACCESS_LOG_IS_NEITHER);
    entry.kind = ACCESS_LOG_CONNECTION;
    assert_int_equal(take(f, &entry), ACCESS_LOG_IS_CONNECTION);
    assert_int_equal(f->connection.reporter, REPORTER_SOURCE);
    assert_id(&f->base, f->connection.source, "web");
    assert_id(&f->base, f->connection.destination, "reviews");
    assert_int_equal(f->connection.sent_bytes, 345);
    assert_int_equal(f->connection.received_bytes, 12);
    assert_int_equal(f->connection.response_flags, RESPONSE_FLAG(UF));
}

static void what_ended_too_far_from_now_is_late(void **state)
{
    struct log_fixture *f = *state;
    struct access_log_entry entry = outbound();
    uint64_t skew_ns = f->base.limits.time_skew_s * 1000000000ull;

    entry.start_unix_ns = NOW_UNIX_NS - skew_ns - entry.duration_ns;
    assert_int_equal(take(f, &entry), ACCESS_LOG_IS_REQUEST);
    entry.start_unix_ns--;
    assert_int_equal(take(f, &entry), ACCESS_LOG_IS_LATE);
    entry.duration_ns = skew_ns; /* began long ago, ends now */
    assert_int_equal(take(f, &entry), ACCESS_LOG_IS_REQUEST);
    entry.start_unix_ns = NOW_UNIX_NS + skew_ns + 1;
    entry.duration_ns = 0;
    assert_int_equal(take(f, &entry), ACCESS_LOG_IS_LATE);
    entry.start_unix_ns = 0;
    assert_int_equal(take(f, &entry), ACCESS_LOG_IS_LATE);
    entry.start_unix_ns = entry.duration_ns = UINT64_MAX;
    assert_int_equal(take(f, &entry), ACCESS_LOG_IS_LATE);
}

static void routes_are_templates(void **state)
{
    struct log_fixture *f = *state;
    struct access_log_entry entry = outbound();

    entry.route = SLICE_LITERAL("/reviews/{id}");
    (void)take(f, &entry);
    assert_id(&f->base, f->request.route, "/reviews/{id}");
    entry.route = slice_of(NULL, 0);
    entry.path = SLICE_LITERAL("/shop.Ratings/Get");
    (void)take(f, &entry);
    assert_id(&f->base, f->request.route, "/shop.Ratings/Get");
    entry.path = slice_of(NULL, 0);
    (void)take(f, &entry);
    assert_id(&f->base, f->request.route, "unknown");
    entry.method = SLICE_LITERAL("CONNECT");
    entry.path = SLICE_LITERAL("reviews.shop:443");
    (void)take(f, &entry);
    assert_id(&f->base, f->request.route, "*");
}

static void past_the_limit_of_routes_the_rest_is_counted_each_time(void **state)
{
    struct log_fixture *f = *state;
    struct access_log_entry entry = outbound();
    char path[32];

    for (uint64_t i = 0; i <= f->base.limits.routes_per_destination_max; i++) {
        (void)snprintf(path, sizeof path, "/%c%c%c", 'a' + (char)(i / 26 % 26), 'a' + (char)(i % 26),
            'a' + (char)(i / 676));
        entry.path = slice_of_string(path);
        (void)take(f, &entry);
    }
    assert_id(&f->base, f->request.route, "/*");
    (void)take(f, &entry);
    assert_id(&f->base, f->request.route, "/*");
    assert_int_equal(metric_get(f->base.cells, METRIC_ROUTES_LIMITED), 2);
}

/* Ids are good within an epoch only, and a memo is one reporter's. */
static void a_memo_is_not_taken_for_another(void **state)
{
    struct log_fixture *f = *state;
    struct access_log_entry entry = outbound();
    struct log_reporter other = {.names = {.service = SLICE_LITERAL("cart.shop"), .is_envoy = true}};

    (void)take(f, &entry);
    assert_int_equal(access_log_to_request(&f->base.context, &f->memos, &entry, &other, NULL, NOW_UNIX_NS,
                         &f->request, &f->connection),
        ACCESS_LOG_IS_REQUEST);
    assert_sides(f, REPORTER_SOURCE, "cart", "shop", "reviews", "shop");
    context_batch_begin(&f->base.context, false, 2); /* nothing new may be interned */
    entry.upstream_cluster = SLICE_LITERAL("outbound|80||details.shop.svc.cluster.local");
    (void)take(f, &entry);
    assert_sides(f, REPORTER_SOURCE, "web", "shop", "_overflow", "shop");
    context_batch_begin(&f->base.context, true, 3);
    (void)take(f, &entry);
    assert_sides(f, REPORTER_SOURCE, "web", "shop", "details", "shop");
}

static void a_writer_that_claims_another_namespace_is_called_by_its_identity(void **state)
{
    struct log_fixture *f = *state;
    struct access_log_entry entry = outbound();
    struct sender sender = {.kind = SENDER_POD, .name = "8c1b2f3e", .namespace = "front"};

    sender_id_format(&sender);
    context_sender_bind(&f->base.context, &sender);
    assert_int_equal(access_log_to_request(&f->base.context, &f->memos, &entry, &f->reporter, &sender,
                         NOW_UNIX_NS, &f->request, &f->connection),
        ACCESS_LOG_IS_REQUEST);
    assert_sides(f, REPORTER_SOURCE, "pod/front/8c1b2f3e", "front", "reviews", "shop");
    assert_int_equal(f->request.sender, sender.interned);
    assert_int_equal(metric_get(f->base.cells, METRIC_IDENTITY_CONFLICTS), 1);
    context_sender_release(&f->base.context, &sender);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_outbound_entry_names_both_sides),
        TEST(an_inbound_entry_names_its_caller_where_the_record_does),
        TEST(metadata_that_contradicts_the_certificate_is_not_believed),
        TEST(the_side_is_what_the_record_says),
        TEST(the_destination_is_the_cluster_and_else_the_peer),
        TEST(a_proxy_without_a_name_is_called_by_its_certificate_or_cluster),
        TEST(endings),
        TEST(what_no_proxy_can_have_seen_is_not_told),
        TEST(each_kind_has_its_meaning),
        TEST(what_ended_too_far_from_now_is_late),
        TEST(routes_are_templates),
        TEST(past_the_limit_of_routes_the_rest_is_counted_each_time),
        TEST(a_memo_is_not_taken_for_another),
        TEST(a_writer_that_claims_another_namespace_is_called_by_its_identity),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
