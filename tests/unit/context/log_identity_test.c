/* Who both sides of an access-log entry and of a span are, in the words of naming profiles. */
#include "fixture.h"

#include "context/access_log.h"
#include "context/identity.h"
#include "context/span_request.h"
#include "core/profiles.h"

#define NOW_UNIX_NS 1700000000000000000ull
#define NODE_ID SLICE_LITERAL("sidecar~10.0.0.7~web-v1-6b746f74dc-9rlmh.shop~shop.svc.cluster.local")
#define WEB_SAN SLICE_LITERAL("spiffe://cluster.local/ns/shop/sa/web")
#define REVIEWS_SAN SLICE_LITERAL("spiffe://cluster.local/ns/shop/sa/reviews")

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
    f->base.context.profiles = PROFILE_BIT(ISTIO) | PROFILE_BIT(LINKERD) | PROFILE_BIT(TEMPO);
    f->base.context.cluster = SLICE_LITERAL("east");
    access_log_memos_init(&f->memos);
    f->reporter.names = (struct access_log_reporter){
        .node_id = NODE_ID, .service = SLICE_LITERAL("web.shop"), .is_envoy = true};
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

static struct access_log_peer reviews(void)
{
    return (struct access_log_peer){.service = SLICE_LITERAL("reviews"),
        .app = SLICE_LITERAL("reviews-app"),
        .workload = SLICE_LITERAL("reviews-v2"),
        .workload_namespace = SLICE_LITERAL("shop"),
        .version = SLICE_LITERAL("v2"),
        .revision = SLICE_LITERAL("r2"),
        .pod = SLICE_LITERAL("reviews-v2-7d5b9c4b6d-x2x4z"),
        .cluster = SLICE_LITERAL("west"),
        .identity = REVIEWS_SAN};
}

static struct access_log_entry outbound(void)
{
    return (struct access_log_entry){
        .kind = ACCESS_LOG_REQUEST,
        .side = ACCESS_LOG_SIDE_SOURCE,
        .protocol = ACCESS_LOG_PROTOCOL_HTTP1,
        .response_code = 200,
        .start_unix_ns = NOW_UNIX_NS - 5000000,
        .duration_ns = 5000000,
        .first_byte_ns = 3000000,
        .method = SLICE_LITERAL("GET"),
        .path = SLICE_LITERAL("/reviews"),
        .upstream_cluster = SLICE_LITERAL("outbound|80||reviews.shop.svc.cluster.local"),
        .upstream = reviews(),
    };
}

static const struct request *take(struct log_fixture *f, const struct access_log_entry *entry)
{
    assert_int_equal(access_log_to_request(&f->base.context, &f->memos, entry, &f->reporter, NULL,
                         NOW_UNIX_NS, &f->request, &f->connection),
        ACCESS_LOG_IS_REQUEST);
    return &f->request;
}

/* The eight fields with commas between. */
static void assert_identity(const struct log_fixture *f, uint32_t id, const char *expected)
{
    char text[1024];
    size_t used = 0;

    text[0] = '\0';
    for (unsigned i = 0; i < IDENTITY_FIELDS_COUNT && id != INTERNED_NONE; i++) {
        struct slice field = identity_field(interner_text(f->base.interner, id), i);

        used += (size_t)snprintf(text + used, sizeof text - used, "%s%.*s", i > 0 ? "," : "",
            (int)field.length, field.length > 0 ? (const char *)field.ptr : "");
    }
    assert_string_equal(text, expected);
}

static void an_outbound_entry_knows_its_node_and_its_peer(void **state)
{
    struct log_fixture *f = *state;
    struct access_log_entry entry = outbound();
    const struct request *request = take(f, &entry);

    assert_identity(f, request->parties.source_identity, "web-v1,shop,,,,web,,east");
    assert_identity(f, request->parties.destination_identity,
        "reviews-v2,shop,spiffe://cluster.local/ns/shop/sa/reviews,reviews-app,v2,reviews,r2,west");
    assert_int_equal(request->parties.security, SECURITY_MUTUAL_TLS);
    assert_int_equal(request->first_byte_ns, 3000000);
    struct slice place = interner_text(f->base.interner, request->parties.own_place);

    assert_text(identity_field(place, PLACE_WORKLOAD), "web-v1");
    assert_text(identity_field(place, PLACE_NAMESPACE), "shop");
    assert_text(identity_field(place, PLACE_POD), "web-v1-6b746f74dc-9rlmh");
    assert_id(&f->base, request->parties.peer_workload, "reviews-v2");
}

/* A second version of the same service is another peer, whatever the memo holds. */
static void each_version_is_itself(void **state)
{
    struct log_fixture *f = *state;
    struct access_log_entry entry = outbound();
    uint32_t first = take(f, &entry)->parties.destination_identity;

    entry.upstream.version = SLICE_LITERAL("v3");
    uint32_t second = take(f, &entry)->parties.destination_identity;

    assert_int_not_equal(first, second);
    assert_text(identity_field(interner_text(f->base.interner, second), IDENTITY_VERSION), "v3");
    entry.upstream = reviews();
    assert_int_equal(take(f, &entry)->parties.destination_identity, first);
}

static void an_inbound_entry_knows_both_certificates(void **state)
{
    struct log_fixture *f = *state;
    struct access_log_entry entry = outbound();

    entry.side = ACCESS_LOG_SIDE_DESTINATION;
    entry.upstream = (struct access_log_peer){.service = {.length = 0}};
    entry.upstream_cluster = SLICE_LITERAL("inbound|8080||");
    entry.downstream = reviews();
    entry.local_identity = WEB_SAN;
    const struct request *request = take(f, &entry);

    assert_identity(f, request->parties.source_identity,
        "reviews-v2,shop,spiffe://cluster.local/ns/shop/sa/reviews,reviews-app,v2,reviews,r2,west");
    assert_identity(f, request->parties.destination_identity,
        "web-v1,shop,spiffe://cluster.local/ns/shop/sa/web,,,web,,east");
    assert_int_equal(request->parties.security, SECURITY_MUTUAL_TLS);
    assert_int_equal(request->parties.peer_workload, INTERNED_NONE);

    entry.downstream = (struct access_log_peer){.service = {.length = 0}};
    entry.local_identity = slice_of(NULL, 0);
    request = take(f, &entry);
    assert_int_equal(request->parties.source_identity, INTERNED_NONE);
    assert_int_equal(request->parties.security, SECURITY_NONE);
}

static void metadata_that_contradicts_the_certificate_is_not_believed(void **state)
{
    struct log_fixture *f = *state;
    struct access_log_entry entry = outbound();

    entry.upstream.identity = SLICE_LITERAL("spiffe://cluster.local/ns/evil/sa/reviews");
    assert_identity(f, take(f, &entry)->parties.destination_identity,
        ",evil,spiffe://cluster.local/ns/evil/sa/reviews,,,,,east");
}

static void a_sender_of_another_namespace_names_nobody(void **state)
{
    struct log_fixture *f = *state;
    struct access_log_entry entry = outbound();
    struct sender sender = {.kind = SENDER_POD, .name = "8c1b2f3e", .namespace = "front"};

    f->reporter.names.self = (struct access_log_peer){
        .workload = SLICE_LITERAL("web-v1"), .workload_namespace = SLICE_LITERAL("shop")};
    sender_id_format(&sender);
    context_sender_bind(&f->base.context, &sender);
    assert_int_equal(access_log_to_request(&f->base.context, &f->memos, &entry, &f->reporter, &sender,
                         NOW_UNIX_NS, &f->request, &f->connection),
        ACCESS_LOG_IS_REQUEST);
    assert_identity(f, f->request.parties.source_identity, ",front,,,,,,east");
    context_sender_release(&f->base.context, &sender);
}

static void connections_are_named_as_requests_are(void **state)
{
    struct log_fixture *f = *state;
    struct access_log_entry entry = outbound();

    entry.kind = ACCESS_LOG_CONNECTION;
    assert_int_equal(access_log_to_request(&f->base.context, &f->memos, &entry, &f->reporter, NULL,
                         NOW_UNIX_NS, &f->request, &f->connection),
        ACCESS_LOG_IS_CONNECTION);
    assert_identity(f, f->connection.parties.source_identity, "web-v1,shop,,,,web,,east");
}

/* ---- spans ---- */

static struct span span_of(const struct span_resource *resource)
{
    struct span span = {.resource = resource,
        .name = SLICE_LITERAL("GET /reviews"),
        .kind = SPAN_KIND_SERVER,
        .status = SPAN_STATUS_ERROR,
        .start_unix_ns = NOW_UNIX_NS,
        .end_unix_ns = NOW_UNIX_NS + 1000,
        .raw = slice_of("0123456789", 10)};

    span.attribute[SPAN_ATTRIBUTE_HTTP_METHOD].text = SLICE_LITERAL("GET");
    span.attribute[SPAN_ATTRIBUTE_HTTP_URL].text = SLICE_LITERAL("https://reviews/reviews");
    span.attribute[SPAN_ATTRIBUTE_SERVER_PORT].text = SLICE_LITERAL("8443");
    span.attribute_set =
        SPAN_ATTRIBUTE_BIT(HTTP_METHOD) | SPAN_ATTRIBUTE_BIT(HTTP_URL) | SPAN_ATTRIBUTE_BIT(SERVER_PORT);
    return span;
}

static void a_span_knows_its_own_side(void **state)
{
    struct log_fixture *f = *state;
    const struct span_resource resource = {.service_name = SLICE_LITERAL("reviews"),
        .k8s_namespace = SLICE_LITERAL("shop"),
        .version = SLICE_LITERAL("2.1"),
        .pod = SLICE_LITERAL("reviews-v2-7d5b9c4b6d-x2x4z")};
    struct span span = span_of(&resource);
    struct attempt attempt;

    assert_int_equal(span_to_request(&f->base.context, &span, NULL, &f->request, &attempt), SPAN_IS_REQUEST);
    assert_int_equal(f->request.parties.source_identity, INTERNED_NONE);
    assert_identity(f, f->request.parties.destination_identity, "reviews-v2,shop,,,2.1,reviews,2.1,east");
    assert_id(&f->base, f->request.operation, "GET /reviews");
    assert_int_equal(f->request.span_kind, SPAN_KIND_SERVER);
    assert_int_equal(f->request.span_status, SPAN_STATUS_ERROR);
    assert_int_equal(f->request.scheme, SCHEME_HTTPS);
    assert_int_equal(f->request.server_port, 8443);
    assert_int_equal(f->request.record_bytes, 10);
}

static void ports_that_are_none_are_not_told(void **state)
{
    static const char *const texts[] = {"", "70000", "84430000000", "http", "-1", "0", "80a"};
    struct log_fixture *f = *state;
    const struct span_resource resource = {.service_name = SLICE_LITERAL("reviews")};
    struct attempt attempt;

    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct span span = span_of(&resource);

        span.attribute[SPAN_ATTRIBUTE_SERVER_PORT].text = slice_of_string(texts[i]);
        (void)span_to_request(&f->base.context, &span, NULL, &f->request, &attempt);
        assert_int_equal(f->request.server_port, 0);
    }
}

/* Istio's own tags, where the proxy is a proxy: the unit that runs it is not the workload. */
static void an_envoys_tags_name_its_workload(void **state)
{
    struct log_fixture *f = *state;
    const struct span_resource resource = {
        .service_name = SLICE_LITERAL("reviews.shop"), .sdk_name = SLICE_LITERAL("envoy")};
    struct sender unit = {.kind = SENDER_UNIT, .name = "envoy.service"};
    struct span span = span_of(&resource);
    struct attempt attempt;

    span.attribute[SPAN_ATTRIBUTE_ENVOY_REQUEST_ID].text = SLICE_LITERAL("1");
    span.attribute[SPAN_ATTRIBUTE_ISTIO_SERVICE].text = SLICE_LITERAL("reviews-canonical");
    span.attribute[SPAN_ATTRIBUTE_ISTIO_REVISION].text = SLICE_LITERAL("v2");
    span.attribute[SPAN_ATTRIBUTE_ISTIO_NAMESPACE].text = SLICE_LITERAL("shop");
    span.attribute_set |= SPAN_ATTRIBUTE_BIT(ENVOY_REQUEST_ID) | SPAN_ATTRIBUTE_BIT(ISTIO_SERVICE) |
                          SPAN_ATTRIBUTE_BIT(ISTIO_REVISION) | SPAN_ATTRIBUTE_BIT(ISTIO_NAMESPACE);
    sender_id_format(&unit);
    context_sender_bind(&f->base.context, &unit);
    assert_int_equal(span_to_request(&f->base.context, &span, &unit, &f->request, &attempt), SPAN_IS_REQUEST);
    assert_identity(f, f->request.parties.destination_identity, ",shop,,,v2,reviews-canonical,v2,east");
    context_sender_release(&f->base.context, &unit);
}

static void without_profiles_nothing_is_told(void **state)
{
    static const struct request_parties none;
    struct log_fixture *f = *state;
    const struct span_resource resource = {.service_name = SLICE_LITERAL("reviews")};
    struct access_log_entry entry = outbound();
    struct span span = span_of(&resource);
    struct attempt attempt;

    f->base.context.profiles = 0;
    assert_memory_equal(&take(f, &entry)->parties, &none, sizeof none);
    (void)span_to_request(&f->base.context, &span, NULL, &f->request, &attempt);
    assert_memory_equal(&f->request.parties, &none, sizeof none);
    assert_int_equal(f->request.operation, INTERNED_NONE);
    assert_int_equal(f->request.record_bytes, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_outbound_entry_knows_its_node_and_its_peer),
        TEST(each_version_is_itself),
        TEST(an_inbound_entry_knows_both_certificates),
        TEST(metadata_that_contradicts_the_certificate_is_not_believed),
        TEST(a_sender_of_another_namespace_names_nobody),
        TEST(connections_are_named_as_requests_are),
        TEST(a_span_knows_its_own_side),
        TEST(ports_that_are_none_are_not_told),
        TEST(an_envoys_tags_name_its_workload),
        TEST(without_profiles_nothing_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
