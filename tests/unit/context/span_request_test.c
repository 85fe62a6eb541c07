/* Spans to requests: the table of roles by hand-made spans, and all that real Envoys and SDKs sent
 * (tests/corpus). */
#include "fixture.h"

#include "context/span_request.h"
#include "context/response_flags.h"
#include "context/sampling.h"
#include "decode/otlp_memory.h"
#include "decode/otlp_trace.h"
#include "decode/redaction.h"

static const struct span_resource envoy_resource = {
    .service_name = SLICE_LITERAL("productpage.shop"), .sdk_name = SLICE_LITERAL("envoy")};
static const struct span_resource sdk_resource = {
    .service_name = SLICE_LITERAL("productpage"), .sdk_name = SLICE_LITERAL("opentelemetry")};

static void set(struct span *span, enum span_attribute_id id, const char *text)
{
    span->attribute_set |= 1ull << id;
    span->attribute[id] = (struct span_value){.text = slice_of_string(text)};
}

static void set_number(struct span *span, enum span_attribute_id id, int64_t number)
{
    span->attribute_set |= 1ull << id;
    span->attribute[id] = (struct span_value){.integer = number, .is_integer = true};
}

/* What Envoy sends for a request through an outbound cluster. */
static void fill_envoy_request(struct span *span)
{
    memset(span, 0, sizeof *span);
    span->resource = &envoy_resource;
    span->kind = SPAN_KIND_SERVER;
    span->name = SLICE_LITERAL("egress reviews.shop");
    span->start_unix_ns = 1700000000000000000;
    span->end_unix_ns = span->start_unix_ns + 5000000;
    memset(span->trace_id, 7, sizeof span->trace_id);
    memset(span->span_id, 9, sizeof span->span_id);
    set(span, SPAN_ATTRIBUTE_ENVOY_REQUEST_ID, "74e8944d-b515-987c-8418-1787e62695bb");
    set(span, SPAN_ATTRIBUTE_ENVOY_DOWNSTREAM_CLUSTER, "-");
    set(span, SPAN_ATTRIBUTE_ENVOY_UPSTREAM_CLUSTER, "outbound|80||reviews.shop.svc.cluster.local");
    set(span, SPAN_ATTRIBUTE_ENVOY_UPSTREAM_CLUSTER_NAME, "outbound|80||reviews.shop.svc.cluster.local");
    set(span, SPAN_ATTRIBUTE_HTTP_URL, "http://reviews.shop/reviews/275517?token=secret&user=7");
    set(span, SPAN_ATTRIBUTE_HTTP_METHOD, "GET");
    set(span, SPAN_ATTRIBUTE_HTTP_PROTOCOL, "HTTP/1.1");
    set(span, SPAN_ATTRIBUTE_HTTP_STATUS, "200");
    set(span, SPAN_ATTRIBUTE_ENVOY_RESPONSE_FLAGS, "-");
    set(span, SPAN_ATTRIBUTE_ENVOY_REQUEST_SIZE, "12");
    set(span, SPAN_ATTRIBUTE_ENVOY_RESPONSE_SIZE, "345");
}

static struct request request_of(struct fixture *f, const struct span *span)
{
    struct request request = {.weight = 0};
    struct attempt attempt;

    assert_int_equal(span_to_request(&f->context, span, NULL, &request, &attempt), SPAN_IS_REQUEST);
    assert_true(request.weight >= WEIGHT_ONE);
    assert_false(request.stored);
    assert_int_equal(request.attempts, 0);
    return request;
}

static void test_an_outbound_envoy_request(void **state)
{
    struct fixture f;
    struct span span;
    struct request r;

    (void)state;
    fixture_init(&f, 1000);
    fill_envoy_request(&span);
    r = request_of(&f, &span);
    assert_int_equal(r.reporter, REPORTER_SOURCE);
    assert_id(&f, r.source, "productpage");
    assert_id(&f, r.source_namespace, "shop");
    assert_id(&f, r.destination, "reviews");
    assert_id(&f, r.destination_namespace, "shop");
    assert_id(&f, r.route, "/reviews/*");
    assert_int_equal(r.method, METHOD_GET);
    assert_int_equal(r.protocol, PROTOCOL_HTTP1);
    assert_int_equal(r.response_code, 200);
    assert_int_equal(r.grpc_status, GRPC_STATUS_NONE);
    assert_int_equal(r.outcome, OUTCOME_OK);
    assert_true(r.has_bytes);
    assert_int_equal(r.request_bytes, 12);
    assert_int_equal(r.response_bytes, 345);
    assert_int_equal(r.duration_ns, 5000000);
    assert_true(r.weight == WEIGHT_ONE);
    assert_memory_equal(r.trace_id, span.trace_id, sizeof r.trace_id);
    assert_memory_equal(r.span_id, span.span_id, sizeof r.span_id);
    fixture_deinit(&f);
}

/* A route that the configuration names: beside the destination's limit, which a flood of paths has used up.
 */
static void test_a_configured_route(void **state)
{
    struct route_rule rule = {.service = "reviews.shop", .path_template = "/reviews/{id}"};
    struct fixture f;
    struct span span;
    char url[64];

    (void)state;
    fixture_init(&f, 1000);
    fill_envoy_request(&span);
    for (uint64_t i = 0; i < f.limits.routes_per_destination_max + 1; i++) {
        (void)snprintf(url, sizeof url, "http://reviews.shop/a%c%c/%c%c", (char)('a' + i / 26 % 26),
            (char)('a' + i % 26), (char)('a' + i / 676 % 26), 'x');
        set(&span, SPAN_ATTRIBUTE_HTTP_URL, url);
        (void)request_of(&f, &span);
    }
    set(&span, SPAN_ATTRIBUTE_HTTP_URL, "http://reviews.shop/reviews/275517?token=secret&user=7");
    assert_id(&f, request_of(&f, &span).route, "/*");
    f.context.route_rules = (struct route_rules){.items = &rule, .count = 1};
    assert_id(&f, request_of(&f, &span).route, "/reviews/{id}");
    set(&span, SPAN_ATTRIBUTE_HTTP_ROUTE, "/its/own");
    assert_id(&f, request_of(&f, &span).route, "/*");
    fixture_deinit(&f);
}

static void test_who_speaks_where_nothing_is_asked(void **state)
{
    struct fixture f;
    struct request request;
    struct attempt attempt;

    (void)state;
    fixture_init(&f, 1000);
    for (int envoy = 0; envoy < 2; envoy++) {
        struct span span = {.resource = envoy == 1 ? &envoy_resource : &sdk_resource,
            .kind = SPAN_KIND_INTERNAL,
            .name = SLICE_LITERAL("work")};
        assert_int_equal(span_to_request(&f.context, &span, NULL, &request, &attempt), SPAN_IS_NEITHER);
        assert_id(&f, attempt.source, "productpage");
    }
    fixture_deinit(&f);
}

static void test_roles(void **state)
{
    static const struct {
        bool downstream;     /* has the request id */
        const char *address; /* upstream_address or NULL */
        const char *cluster;
        const char *name;
        enum span_kind kind;
        bool envoy;
        enum span_meaning meaning;
        enum reporter reporter;
    } rows[] = {
        {true, NULL, "outbound|80||r.s.svc.x", "egress r", SPAN_KIND_SERVER, true, SPAN_IS_REQUEST,
            REPORTER_SOURCE},
        {true, NULL, "outbound|80||r.s.svc.x", "r:80/*", SPAN_KIND_CLIENT, true, SPAN_IS_REQUEST,
            REPORTER_SOURCE},
        {true, "1.2.3.4:5", "outbound|80||r.s.svc.x", "x", SPAN_KIND_CLIENT, true, SPAN_IS_REQUEST,
            REPORTER_SOURCE},
        {true, NULL, "inbound|8080||", "ingress", SPAN_KIND_SERVER, true, SPAN_IS_REQUEST,
            REPORTER_DESTINATION},
        {true, NULL, "inbound|8080||", "r:80/*", SPAN_KIND_SERVER, true, SPAN_IS_REQUEST,
            REPORTER_DESTINATION},
        {true, NULL, "inbound-vip|80|http|r.s.svc.x", "ingress", SPAN_KIND_SERVER, true, SPAN_IS_REQUEST,
            REPORTER_WAYPOINT},
        {true, NULL, NULL, "egress r", SPAN_KIND_SERVER, true, SPAN_IS_REQUEST, REPORTER_SOURCE},
        {true, NULL, NULL, "egress r", SPAN_KIND_CLIENT, true, SPAN_IS_REQUEST, REPORTER_SOURCE},
        {true, NULL, NULL, "ingress", SPAN_KIND_SERVER, true, SPAN_IS_REQUEST, REPORTER_DESTINATION},
        {true, NULL, "reviews", "egress r", SPAN_KIND_SERVER, true, SPAN_IS_REQUEST, REPORTER_SOURCE},
        {true, NULL, "reviews", "decorated", SPAN_KIND_CLIENT, true, SPAN_IS_REQUEST, REPORTER_SOURCE},
        {true, NULL, "reviews", "ingress", SPAN_KIND_SERVER, true, SPAN_IS_REQUEST, REPORTER_DESTINATION},
        {true, NULL, "local_app", "ingress", SPAN_KIND_SERVER, true, SPAN_IS_REQUEST, REPORTER_DESTINATION},
        {false, "1.2.3.4:5", "outbound|80||r.s.svc.x", "router outbound|80||r.s.svc.x egress",
            SPAN_KIND_CLIENT, true, SPAN_IS_ATTEMPT, REPORTER_SOURCE},
        {false, NULL, "outbound|80||r.s.svc.x", "router outbound|80||r.s.svc.x egress", SPAN_KIND_CLIENT,
            true, SPAN_IS_ATTEMPT, REPORTER_SOURCE},
        {false, "1.2.3.4:5", "inbound|8080||", "router inbound|8080|| egress", SPAN_KIND_CLIENT, true,
            SPAN_IS_ATTEMPT, REPORTER_DESTINATION},
        {false, "1.2.3.4:5", "reviews", "router reviews egress", SPAN_KIND_CLIENT, true, SPAN_IS_ATTEMPT,
            REPORTER_SOURCE},
        {false, "1.2.3.4:5", "authz", "async authz egress", SPAN_KIND_CLIENT, true, SPAN_IS_NEITHER, 0},
        {false, NULL, "reviews", "something", SPAN_KIND_CLIENT, true, SPAN_IS_NEITHER, 0},
        {false, NULL, NULL, "", SPAN_KIND_UNSPECIFIED, true, SPAN_IS_NEITHER, 0},
        {false, NULL, NULL, "GET", SPAN_KIND_CLIENT, false, SPAN_IS_REQUEST, REPORTER_SOURCE},
        {false, NULL, NULL, "GET", SPAN_KIND_SERVER, false, SPAN_IS_REQUEST, REPORTER_DESTINATION},
        {false, NULL, NULL, "work", SPAN_KIND_INTERNAL, false, SPAN_IS_NEITHER, 0},
        {false, NULL, NULL, "send", SPAN_KIND_PRODUCER, false, SPAN_IS_NEITHER, 0},
        {false, NULL, NULL, "receive", SPAN_KIND_CONSUMER, false, SPAN_IS_NEITHER, 0},
        {false, NULL, NULL, "?", SPAN_KIND_UNSPECIFIED, false, SPAN_IS_NEITHER, 0},
        {false, NULL, NULL, "?", (enum span_kind)77, false, SPAN_IS_NEITHER, 0},
        {false, "1.2.3.4:5", "x", "router x egress", SPAN_KIND_INTERNAL, false, SPAN_IS_NEITHER, 0},
        /* Envoy's attributes without the resource that says Envoy */
        {true, NULL, "inbound|8080||", "ingress", SPAN_KIND_SERVER, false, SPAN_IS_REQUEST,
            REPORTER_DESTINATION},
    };
    struct fixture f;

    (void)state;
    fixture_init(&f, 1000);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct span span = {
            .resource = rows[i].envoy ? &envoy_resource : &sdk_resource, .kind = rows[i].kind};
        struct request request = {.reporter = 9};
        struct attempt attempt = {.reporter = 9};

        span.name = slice_of_string(rows[i].name);
        if (rows[i].downstream) {
            set(&span, SPAN_ATTRIBUTE_ENVOY_REQUEST_ID, "id");
        }
        if (rows[i].address != NULL) {
            set(&span, SPAN_ATTRIBUTE_ENVOY_UPSTREAM_ADDRESS, rows[i].address);
        }
        if (rows[i].cluster != NULL) {
            set(&span, SPAN_ATTRIBUTE_ENVOY_UPSTREAM_CLUSTER, rows[i].cluster);
        }
        if (span_to_request(&f.context, &span, NULL, &request, &attempt) != rows[i].meaning) {
            fail_msg("row %zu", i);
        }
        assert_int_equal(request.reporter, rows[i].meaning == SPAN_IS_REQUEST ? rows[i].reporter : 9);
        assert_int_equal(attempt.reporter, rows[i].meaning == SPAN_IS_REQUEST ? 9 : rows[i].reporter);
    }
    fixture_deinit(&f);
}

static void test_sides(void **state)
{
    struct fixture f;
    struct span span;
    struct request r;
    struct request unused;
    struct attempt attempt;
    const struct span_resource nameless = {.sdk_name = SLICE_LITERAL("envoy")};
    const struct span_resource bare = {
        .service_name = SLICE_LITERAL("gw"), .sdk_name = SLICE_LITERAL("envoy")};
    struct sender sender = {.kind = SENDER_UNIT, .name = "envoy.service", .id = "unit/envoy.service"};

    (void)state;
    fixture_init(&f, 1000);
    context_sender_bind(&f.context, &sender);
    fill_envoy_request(&span); /* no route: no cluster */
    span.attribute_set &=
        ~(1ull << SPAN_ATTRIBUTE_ENVOY_UPSTREAM_CLUSTER | 1ull << SPAN_ATTRIBUTE_ENVOY_UPSTREAM_CLUSTER_NAME);
    r = request_of(&f, &span);
    assert_int_equal(r.destination, INTERNED_UNKNOWN);
    assert_id(&f, r.source, "productpage");
    fill_envoy_request(&span); /* inbound: the caller is not told */
    set(&span, SPAN_ATTRIBUTE_ENVOY_UPSTREAM_CLUSTER_NAME, "inbound|8080||");
    r = request_of(&f, &span);
    assert_int_equal(r.source, INTERNED_UNKNOWN);
    assert_int_equal(r.source_namespace, INTERNED_UNKNOWN);
    assert_id(&f, r.destination, "productpage");
    assert_id(&f, r.destination_namespace, "shop");
    span.resource = &nameless; /* the cluster's own name serves where the resource has none */
    set(&span, SPAN_ATTRIBUTE_ENVOY_UPSTREAM_CLUSTER_NAME,
        "inbound|8080|http|reviews.shop.svc.cluster.local");
    r = request_of(&f, &span);
    assert_id(&f, r.destination, "reviews");
    fill_envoy_request(&span); /* the node id tells the namespace */
    span.resource = &bare;
    set(&span, SPAN_ATTRIBUTE_ENVOY_NODE_ID, "router~10.0.0.1~gw-1.edge~edge.svc.cluster.local");
    r = request_of(&f, &span);
    assert_id(&f, r.source, "gw");
    assert_id(&f, r.source_namespace, "edge");
    set(&span, SPAN_ATTRIBUTE_ENVOY_UPSTREAM_CLUSTER_NAME, "PassthroughCluster");
    r = request_of(&f, &span);
    assert_int_equal(r.destination, INTERNED_EXTERNAL);
    memset(&span, 0, sizeof span); /* an attempt */
    span.resource = &envoy_resource;
    span.name = SLICE_LITERAL("router outbound|80||reviews.shop.svc.cluster.local egress");
    span.tracestate = SLICE_LITERAL("ot=th:8");
    set(&span, SPAN_ATTRIBUTE_ENVOY_UPSTREAM_CLUSTER, "outbound|80||reviews.shop.svc.cluster.local");
    assert_int_equal(span_to_request(&f.context, &span, &sender, &unused, &attempt), SPAN_IS_ATTEMPT);
    assert_id(&f, attempt.source, "productpage");
    assert_id(&f, attempt.destination, "reviews");
    assert_id(&f, attempt.destination_namespace, "shop");
    assert_int_equal(attempt.route, INTERNED_UNKNOWN);
    assert_int_equal(attempt.sender, sender.interned);
    assert_true(attempt.weight == 2 * WEIGHT_ONE);
    context_sender_release(&f.context, &sender);
    fixture_deinit(&f);
}

static void test_sdk_spans(void **state)
{
    static const struct {
        enum span_attribute_id id;
        const char *text;
        const char *destination;
        const char *space;
    } peers[] = {
        {SPAN_ATTRIBUTE_PEER_SERVICE, "reviews", "reviews", "unknown"},
        {SPAN_ATTRIBUTE_SERVER_ADDRESS, "reviews.shop.svc.cluster.local", "reviews", "shop"},
        {SPAN_ATTRIBUTE_SERVER_ADDRESS, "10.1.1.1", "unknown", "unknown"},
        {SPAN_ATTRIBUTE_SERVER_ADDRESS, "8.8.8.8", "external", "external"},
        {SPAN_ATTRIBUTE_HTTP_URL, "http://reviews.shop.svc:9080/x?token=secret", "reviews", "shop"},
        {SPAN_ATTRIBUTE_HTTP_URL, "http://localhost:40829/reviews", "unknown", "unknown"},
    };
    struct fixture f;
    struct request r;

    (void)state;
    fixture_init(&f, 1000);
    for (size_t i = 0; i < COUNT_OF(peers); i++) {
        struct span span = {.resource = &sdk_resource, .kind = SPAN_KIND_CLIENT};

        set(&span, peers[i].id, peers[i].text);
        r = request_of(&f, &span);
        assert_id(&f, r.source, "productpage");
        assert_id(&f, r.destination, peers[i].destination);
        assert_id(&f, r.destination_namespace, peers[i].space);
    }
    {
        struct span span = {.resource = &sdk_resource, .kind = SPAN_KIND_SERVER, .status = SPAN_STATUS_ERROR};

        r = request_of(&f, &span); /* of no protocol with codes */
        assert_id(&f, r.destination, "productpage");
        assert_int_equal(r.source, INTERNED_UNKNOWN);
        assert_int_equal(r.outcome, OUTCOME_SERVER_ERROR);
        assert_int_equal(r.route, INTERNED_UNKNOWN);
        assert_int_equal(r.method, METHOD_NONE);
        assert_int_equal(r.protocol, PROTOCOL_UNKNOWN);
        assert_false(r.has_bytes);
        set(&span, SPAN_ATTRIBUTE_HTTP_METHOD, "GET"); /* HTTP, and no answer */
        r = request_of(&f, &span);
        assert_int_equal(r.outcome, OUTCOME_NO_RESPONSE);
        set_number(&span, SPAN_ATTRIBUTE_HTTP_STATUS, 404);
        set(&span, SPAN_ATTRIBUTE_PROTOCOL_VERSION, "2");
        r = request_of(&f, &span);
        assert_int_equal(r.outcome, OUTCOME_CLIENT_ERROR);
        assert_int_equal(r.response_code, 404);
        assert_int_equal(r.protocol, PROTOCOL_HTTP2);
        set(&span, SPAN_ATTRIBUTE_PROTOCOL_NAME, "amqp");
        assert_int_equal(request_of(&f, &span).protocol, PROTOCOL_UNKNOWN);
        set(&span, SPAN_ATTRIBUTE_RPC_SYSTEM, "grpc");
        set_number(&span, SPAN_ATTRIBUTE_GRPC_STATUS, 5);
        span.attribute_set &= ~(1ull << SPAN_ATTRIBUTE_HTTP_STATUS);
        r = request_of(&f, &span);
        assert_int_equal(r.protocol, PROTOCOL_GRPC);
        assert_int_equal(r.grpc_status, 5);
        assert_int_equal(r.outcome, OUTCOME_CLIENT_ERROR);
        set(&span, SPAN_ATTRIBUTE_GRPC_STATUS, "UNAVAILABLE");
        assert_int_equal(request_of(&f, &span).grpc_status, 14);
        set(&span, SPAN_ATTRIBUTE_RPC_SYSTEM, "jsonrpc"); /* its codes are not gRPC's */
        assert_int_equal(request_of(&f, &span).grpc_status, GRPC_STATUS_NONE);
    }
    fixture_deinit(&f);
}

static void test_routes(void **state)
{
    struct fixture f;
    struct span span = {.resource = &sdk_resource, .kind = SPAN_KIND_SERVER};

    (void)state;
    fixture_init(&f, 1000);
    set(&span, SPAN_ATTRIBUTE_HTTP_URL, "http://h/from/url?x");
    assert_id(&f, request_of(&f, &span).route, "/from/url");
    set(&span, SPAN_ATTRIBUTE_HTTP_TARGET, "/from/target?token=secret");
    assert_id(&f, request_of(&f, &span).route, "/from/target");
    set(&span, SPAN_ATTRIBUTE_GRPC_PATH, "/shop.Ratings/Get");
    assert_id(&f, request_of(&f, &span).route, "/shop.Ratings/Get");
    set(&span, SPAN_ATTRIBUTE_RPC_METHOD, "Put");
    assert_id(&f, request_of(&f, &span).route, "/Put");
    set(&span, SPAN_ATTRIBUTE_RPC_SERVICE, "shop.Reviews");
    assert_id(&f, request_of(&f, &span).route, "/shop.Reviews/Put");
    set(&span, SPAN_ATTRIBUTE_RPC_METHOD, "shop.Reviews/Post");
    assert_id(&f, request_of(&f, &span).route, "/shop.Reviews/Post");
    set(&span, SPAN_ATTRIBUTE_RPC_METHOD, "/shop.Reviews/Post");
    assert_id(&f, request_of(&f, &span).route, "/shop.Reviews/Post");
    set(&span, SPAN_ATTRIBUTE_HTTP_ROUTE, "/reviews/{id}");
    assert_id(&f, request_of(&f, &span).route, "/reviews/{id}");
    set(&span, SPAN_ATTRIBUTE_HTTP_ROUTE, "/reviews/{id}?token=secret");
    assert_id(&f, request_of(&f, &span).route, "/reviews/{id}");
    set(&span, SPAN_ATTRIBUTE_HTTP_ROUTE, "^reviews/(?P<id>x)$");
    assert_id(&f, request_of(&f, &span).route, "^reviews/(?P<id>x)$");
    span.attribute_set = 0;
    set(&span, SPAN_ATTRIBUTE_HTTP_METHOD, "CONNECT");
    set(&span, SPAN_ATTRIBUTE_HTTP_URL, "http://example.com:443");
    assert_id(&f, request_of(&f, &span).route, "*");
    fixture_deinit(&f);
}

static void test_weights(void **state)
{
    struct fixture f;
    struct span span;

    (void)state;
    fixture_init(&f, 1000);
    fill_envoy_request(&span);
    span.tracestate = SLICE_LITERAL("x=y,ot=th:c");
    assert_true(request_of(&f, &span).weight == 4 * WEIGHT_ONE);
    span.tracestate = SLICE_LITERAL("ot=p:8;r:62"); /* the old way is not counted */
    assert_true(request_of(&f, &span).weight == WEIGHT_ONE);
    assert_int_equal(metric_get(f.cells, METRIC_WEIGHT_CAPPED), 0);
    span.tracestate = SLICE_LITERAL("ot=th:ffffffffffffff");
    assert_true(request_of(&f, &span).weight == f.limits.sampling_weight_max << WEIGHT_FRACTION_BITS);
    assert_int_equal(metric_get(f.cells, METRIC_WEIGHT_CAPPED), 1);
    fixture_deinit(&f);
}

static void test_hostile_values(void **state)
{
    struct fixture f;
    struct span span;
    struct request r;
    char long_url[5000];

    (void)state;
    fixture_init(&f, 1000);
    fill_envoy_request(&span);
    set(&span, SPAN_ATTRIBUTE_HTTP_STATUS, "99999999999999999999");
    set(&span, SPAN_ATTRIBUTE_ENVOY_REQUEST_SIZE, "18446744073709551615");
    set(&span, SPAN_ATTRIBUTE_ENVOY_RESPONSE_SIZE, "-5");
    set(&span, SPAN_ATTRIBUTE_HTTP_METHOD, "\xff\xfe");
    set(&span, SPAN_ATTRIBUTE_ENVOY_RESPONSE_FLAGS, ",,,\x01");
    set(&span, SPAN_ATTRIBUTE_HTTP_PROTOCOL, "HTTP/");
    span.end_unix_ns = span.start_unix_ns - 1;
    r = request_of(&f, &span);
    assert_int_equal(r.response_code, 0);
    assert_int_equal(r.outcome, OUTCOME_NO_RESPONSE);
    assert_false(r.has_bytes);
    assert_int_equal(r.method, METHOD_OTHER);
    assert_int_equal(r.protocol, PROTOCOL_UNKNOWN);
    assert_int_equal(r.duration_ns, 0);
    set_number(&span, SPAN_ATTRIBUTE_HTTP_STATUS, INT64_MIN);
    set_number(&span, SPAN_ATTRIBUTE_ENVOY_REQUEST_SIZE, INT64_MAX);
    set_number(&span, SPAN_ATTRIBUTE_GRPC_STATUS, INT64_MAX);
    set_number(&span, SPAN_ATTRIBUTE_ENVOY_UPSTREAM_CLUSTER_NAME, 5);
    r = request_of(&f, &span);
    assert_int_equal(r.grpc_status, 2);
    assert_false(r.has_bytes);
    memset(long_url, 'a', sizeof long_url);
    long_url[0] = '/';
    span.attribute[SPAN_ATTRIBUTE_HTTP_URL].text = slice_of(long_url, sizeof long_url);
    span.attribute[SPAN_ATTRIBUTE_ENVOY_UPSTREAM_CLUSTER].text = slice_of(long_url, sizeof long_url);
    r = request_of(&f, &span);
    assert_id(&f, r.route, "/*");
    assert_int_equal(
        interner_text(f.interner, r.destination).length, INTERNED_UNKNOWN == r.destination ? 7 : 256);
    set(&span, SPAN_ATTRIBUTE_RPC_METHOD, "x");
    span.attribute[SPAN_ATTRIBUTE_RPC_METHOD].text = slice_of(long_url, sizeof long_url);
    r = request_of(&f, &span); /* too long to be a method: the path is used */
    assert_id(&f, r.route, "/*");
    fixture_deinit(&f);
}

/* The corpus: every span of every message. */
struct corpus_count {
    struct fixture *f;
    uint32_t requests[REPORTER_COUNT];
    uint32_t attempts;
    uint32_t neither;
    uint32_t outcomes[OUTCOME_COUNT];
    uint64_t weight;
    uint32_t refused;
    uint32_t patterned;
};

static void check_text(const struct fixture *f, uint32_t id)
{
    struct slice text = interner_text(f->interner, id);

    assert_true(text.length > 0);
    for (size_t i = 0; i + 6 <= text.length; i++) {
        assert_true(memcmp(text.ptr + i, "secret", 6) != 0);
    }
}

/* What is remembered for a pattern makes of its spans what is made of each by itself. */
static void check_alone(struct corpus_count *count, const struct span *span, const struct request *r)
{
    struct span alone = *span;
    struct request own;
    struct attempt a;

    alone.pattern = 0;
    assert_int_equal(span_to_request(&count->f->context, &alone, NULL, &own, &a), SPAN_IS_REQUEST);
    assert_true(own.reporter == r->reporter && own.protocol == r->protocol && own.method == r->method);
    assert_true(own.source == r->source && own.source_namespace == r->source_namespace);
    assert_true(own.destination == r->destination && own.destination_namespace == r->destination_namespace);
    assert_true(own.route == r->route && own.outcome == r->outcome && own.weight == r->weight);
    assert_true(own.response_code == r->response_code && own.grpc_status == r->grpc_status);
    assert_true(own.response_flags == r->response_flags && own.has_bytes == r->has_bytes);
    assert_true(own.request_bytes == r->request_bytes && own.response_bytes == r->response_bytes);
    assert_true(own.start_unix_ns == r->start_unix_ns && own.duration_ns == r->duration_ns);
    assert_true(own.attempts == r->attempts && own.stored == r->stored && own.sender == r->sender);
    assert_memory_equal(own.trace_id, r->trace_id, sizeof own.trace_id);
    assert_memory_equal(own.span_id, r->span_id, sizeof own.span_id);
}

static void on_span(void *user, const struct span *span, uint32_t record)
{
    struct corpus_count *count = user;
    struct request r;
    struct attempt a;

    (void)record;
    count->patterned += span->pattern != 0;
    switch (span_to_request(&count->f->context, span, NULL, &r, &a)) {
    case SPAN_IS_REQUEST:
        count->requests[r.reporter]++;
        check_alone(count, span, &r);
        count->outcomes[r.outcome]++;
        count->weight += r.weight;
        check_text(count->f, r.route);
        check_text(count->f, r.source);
        check_text(count->f, r.destination);
        assert_true(r.duration_ns == span->end_unix_ns - span->start_unix_ns);
        /* Envoy names its own service in its resource: one of the two sides is never unknown. */
        assert_true(r.source != INTERNED_UNKNOWN || r.destination != INTERNED_UNKNOWN);
        break;
    case SPAN_IS_ATTEMPT:
        count->attempts++;
        assert_true(a.destination != INTERNED_UNKNOWN);
        break;
    case SPAN_IS_REFUSED: /* nobody here claims to be another */
    case SPAN_IS_NEITHER:
        count->neither++;
        break;
    }
}

static void on_refused(void *user, const struct decode_error *where)
{
    struct corpus_count *count = user;

    (void)where;
    count->refused++;
}

static void run_corpus(struct fixture *f, const char *name, struct corpus_count *count)
{
    char path[256];
    size_t bytes;
    uint8_t *data;
    struct redaction redaction;
    struct otlp_trace_scanner *scanner = malloc(sizeof *scanner);
    struct otlp_memory *memory = otlp_memory_new();
    const struct otlp_trace_sink sink = {.user = count, .on_span = on_span, .on_refused = on_refused};

    snprintf(path, sizeof path, "%s/tests/corpus/%s.otlp", WEFT_SOURCE_DIR, name);
    data = read_whole(path, &bytes);
    assert_non_null(scanner);
    assert_non_null(memory);
    redaction_init_default(&redaction);
    f->limits.time_skew_s = 31536000u * 100u; /* recorded some time ago */
    otlp_trace_scanner_init(scanner, &f->limits, &redaction);
    *count = (struct corpus_count){.f = f};
    for (size_t at = 0; at + 4 <= bytes;) {
        uint32_t length;
        struct otlp_trace_result result;
        struct decode_error error;

        memcpy(&length, data + at, 4);
        assert_true(length <= bytes - at - 4);
        context_batch_begin(&f->context, true, 1);
        assert_int_equal(otlp_trace_scan(scanner, memory, slice_of(data + at + 4, length),
                             1800000000000000000ull, &sink, &result, &error),
            0);
        at += 4 + length;
    }
    assert_int_equal(count->refused, 0);
    free(data);
    free(scanner);
    otlp_memory_free(memory);
}

static void test_real_envoys(void **state)
{
    struct fixture f;
    struct corpus_count on;
    struct corpus_count off;

    (void)state;
    fixture_init(&f, 10000);
    run_corpus(&f, "envoy_spawn_on", &on);
    run_corpus(&f, "envoy_spawn_off", &off);
    assert_true(on.patterned > 1000 && off.patterned > 400); /* else check_alone says little */
    assert_int_equal(on.neither, 0);
    assert_int_equal(off.neither, 0);
    assert_int_equal(off.attempts, 0); /* cannot be told */
    assert_true(on.requests[REPORTER_SOURCE] > 0 && on.requests[REPORTER_DESTINATION] > 0);
    assert_true(off.requests[REPORTER_SOURCE] > 0 && off.requests[REPORTER_DESTINATION] > 0);
    assert_int_equal(on.requests[REPORTER_WAYPOINT], 0);
    /* An attempt of the source side that reached the other sidecar is a request there. */
    assert_true(on.attempts >= on.requests[REPORTER_DESTINATION]);
    for (int i = 0; i < OUTCOME_COUNT; i++) {
        if (i != OUTCOME_NO_RESPONSE) { /* an Envoy that gets none answers 503 or 504 itself */
            assert_true(on.outcomes[i] > 0);
            assert_true(off.outcomes[i] > 0);
        }
    }
    assert_true(interner_find(f.interner, SLICE_LITERAL("/reviews/*")) != INTERNED_FULL);
    assert_true(interner_find(f.interner, SLICE_LITERAL("/shop.Ratings/Get")) != INTERNED_FULL);
    assert_true(interner_find(f.interner, SLICE_LITERAL("ratings")) != INTERNED_FULL);
    assert_true(interner_count(f.interner) < 40); /* nothing of high cardinality came through */
    fixture_deinit(&f);
}

static void test_real_sdks(void **state)
{
    static const struct {
        const char *name;
        bool has_server;
        uint64_t weight;
    } files[] = {
        {"sdk_http_old", true, WEIGHT_ONE},
        {"sdk_http_new", true, WEIGHT_ONE},
        {"sdk_http_both", true, WEIGHT_ONE},
        {"sdk_grpc_old", true, WEIGHT_ONE},
        {"sdk_rpc_new", false, WEIGHT_ONE},
        {"sdk_weighted_new", false, 4 * WEIGHT_ONE},
    };
    struct fixture f;

    (void)state;
    fixture_init(&f, 10000);
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        struct corpus_count count;
        uint32_t requests;

        run_corpus(&f, files[i].name, &count);
        requests = count.requests[REPORTER_SOURCE] + count.requests[REPORTER_DESTINATION];
        assert_true(requests > 0);
        assert_int_equal(count.attempts, 0);
        assert_int_equal(count.requests[REPORTER_DESTINATION] > 0, files[i].has_server);
        assert_true(count.weight == requests * files[i].weight);
        assert_int_equal(count.outcomes[OUTCOME_NO_RESPONSE], 0);
        assert_true(count.outcomes[OUTCOME_OK] > 0);
    }
    fixture_deinit(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_outbound_envoy_request),
        cmocka_unit_test(test_a_configured_route),
        cmocka_unit_test(test_roles),
        cmocka_unit_test(test_who_speaks_where_nothing_is_asked),
        cmocka_unit_test(test_sides),
        cmocka_unit_test(test_sdk_spans),
        cmocka_unit_test(test_routes),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_hostile_values),
        cmocka_unit_test(test_real_envoys),
        cmocka_unit_test(test_real_sdks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
