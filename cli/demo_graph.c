/* The tables of demo_graph.h and the walk through them. One thread. */
#include "cli/demo_graph.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "weft/weft.h"

/* Response flags: proto/README.md. */
#define FLAG_UF (UINT64_C(1) << 5)
#define FLAG_UO (UINT64_C(1) << 7)
#define FLAG_URX (UINT64_C(1) << 15)

enum { GRPC_OK = 0, GRPC_NOT_FOUND = 5, GRPC_UNAVAILABLE = 14 };

#define S_NS UINT64_C(1000000000)
#define SLOW_PERIOD_NS (60 * S_NS)
#define SLOW_UNTIL_NS (20 * S_NS)
#define BREAKER_PERIOD_NS (30 * S_NS)
#define STRUGGLE_FROM_NS (2 * S_NS) /* the called service fails … */
#define BREAKER_FROM_NS (5 * S_NS)  /* … until its caller's circuit breaker opens … */
#define BREAKER_UNTIL_NS (11 * S_NS)

static const double struggle_error_rate = 0.6;
static const double slow_replica_ms = 90; /* waits so much longer, in the median */
static const double slow_replica_spread = 0.3;
static const double near_ms = 0.12; /* one way through the network, within a namespace */
static const double far_ms = 0.5;
static const double network_spread = 0.4;
static const double backoff_ms = 15; /* before a second attempt; doubled before each further one */

const struct demo_service demo_services[DEMO_SERVICE_COUNT] = {
    [DEMO_GATEWAY] = {"gateway", "shop", 2},
    [DEMO_FRONTEND] = {"frontend", "shop", 2},
    [DEMO_CATALOG] = {"catalog", "shop", 2},
    [DEMO_SEARCH] = {"search", "shop", 1},
    [DEMO_REVIEWS] = {"reviews", "shop", 2},
    [DEMO_RATINGS] = {"ratings", "shop", 1},
    [DEMO_RECOMMENDATIONS] = {"recommendations", "shop", 1},
    [DEMO_CART] = {"cart", "shop", 3},
    [DEMO_CHECKOUT] = {"checkout", "shop", 2},
    [DEMO_PAYMENTS] = {"payments", "bank", 2},
    [DEMO_FRAUD] = {"fraud", "bank", 1},
    [DEMO_ACCOUNTS] = {"accounts", "bank", 2},
};

enum operation {
    GATEWAY_HOME,
    GATEWAY_PRODUCT,
    GATEWAY_SEARCH,
    GATEWAY_CART,
    GATEWAY_CHECKOUT,
    ENTRY_COUNT,
    FRONTEND_HOME = ENTRY_COUNT,
    FRONTEND_PRODUCT,
    FRONTEND_SEARCH,
    FRONTEND_CART,
    FRONTEND_CHECKOUT,
    CATALOG_LIST,
    CATALOG_GET,
    SEARCH_QUERY,
    REVIEWS_GET,
    RATINGS_GET,
    RECOMMENDATIONS_GET,
    CART_GET,
    CART_ADD,
    CHECKOUT_POST,
    PAYMENTS_CHARGE,
    FRAUD_SCORE,
    ACCOUNTS_GET,
    OPERATION_COUNT
};

/* How many of a hundred requests begin where. */
static const double entry_weights[ENTRY_COUNT] = {
    [GATEWAY_HOME] = 33,
    [GATEWAY_PRODUCT] = 28,
    [GATEWAY_SEARCH] = 14,
    [GATEWAY_CART] = 15,
    [GATEWAY_CHECKOUT] = 10,
};

#define HTTP1 WEFT_PROTOCOL_HTTP1
#define HTTP2 WEFT_PROTOCOL_HTTP2
#define GRPC WEFT_PROTOCOL_GRPC

const struct demo_operation demo_operations[] = {
    [GATEWAY_HOME] = {DEMO_GATEWAY, HTTP2, "GET", "/", 0.4, 0.3, 0.0003, 0},
    [GATEWAY_PRODUCT] = {DEMO_GATEWAY, HTTP2, "GET", "/products/{id}", 0.4, 0.3, 0.0003, 0},
    [GATEWAY_SEARCH] = {DEMO_GATEWAY, HTTP2, "GET", "/search", 0.4, 0.3, 0.0003, 0.002},
    [GATEWAY_CART] = {DEMO_GATEWAY, HTTP2, "POST", "/cart", 0.5, 0.3, 0.0003, 0},
    [GATEWAY_CHECKOUT] = {DEMO_GATEWAY, HTTP2, "POST", "/checkout", 0.5, 0.3, 0.0003, 0},
    [FRONTEND_HOME] = {DEMO_FRONTEND, HTTP1, "GET", "/", 4, 0.4, 0.001, 0},
    [FRONTEND_PRODUCT] = {DEMO_FRONTEND, HTTP1, "GET", "/products/{id}", 5, 0.4, 0.001, 0.01},
    [FRONTEND_SEARCH] = {DEMO_FRONTEND, HTTP1, "GET", "/search", 3, 0.4, 0.001, 0},
    [FRONTEND_CART] = {DEMO_FRONTEND, HTTP1, "POST", "/cart", 3, 0.4, 0.001, 0},
    [FRONTEND_CHECKOUT] = {DEMO_FRONTEND, HTTP1, "POST", "/checkout", 5, 0.4, 0.001, 0},
    [CATALOG_LIST] = {DEMO_CATALOG, GRPC, "POST", "/shop.Catalog/List", 6, 0.5, 0.001, 0},
    [CATALOG_GET] = {DEMO_CATALOG, GRPC, "POST", "/shop.Catalog/Get", 1.8, 0.4, 0.001, 0.01},
    [SEARCH_QUERY] = {DEMO_SEARCH, HTTP1, "GET", "/query", 18, 0.6, 0.004, 0},
    [REVIEWS_GET] = {DEMO_REVIEWS, HTTP1, "GET", "/reviews/{id}", 6, 0.5, 0.004, 0.02},
    [RATINGS_GET] = {DEMO_RATINGS, GRPC, "POST", "/shop.Ratings/Get", 1.5, 0.4, 0.01, 0},
    [RECOMMENDATIONS_GET] = {DEMO_RECOMMENDATIONS, HTTP1, "GET", "/for/{user}", 11, 0.6, 0.003, 0},
    [CART_GET] = {DEMO_CART, HTTP1, "GET", "/cart/{user}", 3, 0.4, 0.001, 0},
    [CART_ADD] = {DEMO_CART, HTTP1, "POST", "/cart/{user}/items", 5, 0.4, 0.002, 0},
    [CHECKOUT_POST] = {DEMO_CHECKOUT, HTTP1, "POST", "/orders", 9, 0.5, 0.002, 0},
    [PAYMENTS_CHARGE] = {DEMO_PAYMENTS, GRPC, "POST", "/bank.Payments/Charge", 25, 0.5, 0.06, 0},
    [FRAUD_SCORE] = {DEMO_FRAUD, HTTP1, "POST", "/score", 14, 0.7, 0.01, 0},
    [ACCOUNTS_GET] = {DEMO_ACCOUNTS, HTTP2, "GET", "/accounts/{id}", 5, 0.4, 0.002, 0.005},
};

const size_t demo_operation_count = OPERATION_COUNT;

const struct demo_call demo_calls[] = {
    {GATEWAY_HOME, FRONTEND_HOME, 1, 0.0005, 1, true, false, false},
    {GATEWAY_PRODUCT, FRONTEND_PRODUCT, 1, 0.0005, 1, true, false, false},
    {GATEWAY_SEARCH, FRONTEND_SEARCH, 1, 0.0005, 1, true, false, false},
    {GATEWAY_CART, FRONTEND_CART, 1, 0.0005, 1, true, false, false},
    {GATEWAY_CHECKOUT, FRONTEND_CHECKOUT, 1, 0.0005, 1, true, false, false},
    {FRONTEND_HOME, CART_GET, 1, 0, 2, false, false, false},
    {FRONTEND_HOME, CATALOG_LIST, 1, 0, 2, true, false, false},
    {FRONTEND_HOME, RECOMMENDATIONS_GET, 0.9, 0, 1, false, true, true},
    {FRONTEND_PRODUCT, CATALOG_GET, 1, 0, 2, true, false, false},
    {FRONTEND_PRODUCT, REVIEWS_GET, 0.9, 0, 1, false, true, false},
    {FRONTEND_PRODUCT, RECOMMENDATIONS_GET, 0.5, 0, 1, false, true, true},
    {FRONTEND_SEARCH, SEARCH_QUERY, 1, 0, 2, true, false, false},
    {FRONTEND_CART, CART_ADD, 1, 0, 1, true, false, false},
    {FRONTEND_CHECKOUT, CHECKOUT_POST, 1, 0, 1, true, false, false},
    {SEARCH_QUERY, CATALOG_LIST, 1, 0, 2, false, false, false},
    {REVIEWS_GET, RATINGS_GET, 0.8, 0.002, 2, false, false, false},
    {RECOMMENDATIONS_GET, CATALOG_GET, 1, 0, 1, false, false, false},
    {CART_ADD, CATALOG_GET, 0.5, 0, 2, false, false, false},
    {CHECKOUT_POST, CART_GET, 1, 0, 2, true, false, false},
    {CHECKOUT_POST, PAYMENTS_CHARGE, 1, 0.03, 3, true, false, false},
    {PAYMENTS_CHARGE, ACCOUNTS_GET, 1, 0, 2, true, false, false},
    {PAYMENTS_CHARGE, FRAUD_SCORE, 0.8, 0.005, 2, false, true, false},
};

const size_t demo_call_count = sizeof demo_calls / sizeof demo_calls[0];

/* ---- chance ---- */

/* SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014. */
static uint64_t next_random(struct demo_graph *graph)
{
    uint64_t mixed = graph->random += UINT64_C(0x9e3779b97f4a7c15);

    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ mixed >> 31;
}

/* Above 0 and below 1. */
static double uniform(struct demo_graph *graph)
{
    return ((double)(next_random(graph) >> 11) + 0.5) * 0x1p-53;
}

static bool happens(struct demo_graph *graph, double rate)
{
    return uniform(graph) < rate;
}

/* Log-normal, in nanoseconds; the normal part after Box and Muller. */
static uint64_t time_ns(struct demo_graph *graph, double median_ms, double spread)
{
    double radius = sqrt(-2 * log(uniform(graph)));
    double normal = radius * cos(6.283185307179586 * uniform(graph));

    return (uint64_t)(median_ms * 1e6 * exp(spread * normal));
}

static uint32_t size_of(struct demo_graph *graph, uint32_t least, uint32_t range)
{
    return least + (uint32_t)(next_random(graph) % range);
}

/* ---- what comes and goes ---- */

bool demo_replica_is_slow(uint64_t at_ns)
{
    return at_ns % SLOW_PERIOD_NS < SLOW_UNTIL_NS;
}

bool demo_breaker_is_open(uint64_t at_ns)
{
    uint64_t phase_ns = at_ns % BREAKER_PERIOD_NS;

    return phase_ns >= BREAKER_FROM_NS && phase_ns < BREAKER_UNTIL_NS;
}

static bool is_struggling(uint8_t service, uint64_t at_ns)
{
    uint64_t phase_ns = at_ns % BREAKER_PERIOD_NS;

    return service == DEMO_RECOMMENDATIONS && phase_ns >= STRUGGLE_FROM_NS && phase_ns < BREAKER_FROM_NS;
}

/* ---- instances ---- */

uint8_t demo_instance(uint8_t service, uint8_t replica)
{
    unsigned before = replica;

    for (unsigned i = 0; i < service; i++) {
        before += demo_services[i].replica_count;
    }
    return (uint8_t)before;
}

uint8_t demo_instance_count(void)
{
    return demo_instance(DEMO_SERVICE_COUNT, 0);
}

uint8_t demo_instance_service(uint8_t instance, uint8_t *ret_replica)
{
    uint8_t service = 0;

    while (service + 1 < DEMO_SERVICE_COUNT && instance >= demo_services[service].replica_count) {
        instance = (uint8_t)(instance - demo_services[service].replica_count);
        service++;
    }
    *ret_replica = instance;
    return service;
}

/* ---- a request ---- */

enum ending { ENDED_WELL, ENDED_NOT_FOUND, ENDED_BADLY, ENDED_UNREACHABLE };

struct walk {
    struct demo_graph *graph;
    struct demo_request *request;
    int8_t answer; /* the called side that ended last */
};

static int8_t add_span(struct walk *walk, const struct demo_span *span)
{
    assert(walk->request->span_count < DEMO_SPANS_MAX); /* the tables leave room: their test counts */
    walk->request->spans[walk->request->span_count] = *span;
    return (int8_t)walk->request->span_count++;
}

static void set_ending(struct demo_span *span, enum ending ending, bool is_own)
{
    static const uint8_t grpc[] = {
        [ENDED_WELL] = GRPC_OK,
        [ENDED_NOT_FOUND] = GRPC_NOT_FOUND,
        [ENDED_BADLY] = GRPC_UNAVAILABLE,
        [ENDED_UNREACHABLE] = GRPC_UNAVAILABLE,
    };
    static const uint16_t http[] = {
        [ENDED_WELL] = 200, [ENDED_NOT_FOUND] = 404, [ENDED_BADLY] = 500, [ENDED_UNREACHABLE] = 503};

    if (demo_operations[span->operation].protocol == WEFT_PROTOCOL_GRPC) {
        span->response_code = 200;
        span->grpc_status = (uint8_t)(grpc[ending] + 1);
    } else {
        span->response_code = ending == ENDED_BADLY && !is_own ? 502 : http[ending];
    }
}

static enum ending make_call(
    struct walk *walk, const struct demo_call *call, int8_t parent, uint64_t start_ns, uint64_t *ret_end_ns);

/* The calls of a request under way, from *at_ns, which becomes when the last has ended. False: a needed one
 * failed. */
static bool make_calls(struct walk *walk, uint8_t operation, int8_t parent, uint64_t *at_ns)
{
    uint64_t began_ns = *at_ns;

    for (size_t i = 0; i < demo_call_count; i++) {
        const struct demo_call *call = &demo_calls[i];
        uint64_t end_ns;
        if (call->caller != operation || !happens(walk->graph, call->probability)) {
            continue;
        }
        began_ns = call->with_previous ? began_ns : *at_ns;
        enum ending ending = make_call(walk, call, parent, began_ns, &end_ns);
        *at_ns = end_ns > *at_ns ? end_ns : *at_ns;
        if (call->is_needed && ending >= ENDED_BADLY) {
            return false;
        }
    }
    return true;
}

static uint64_t own_time_ns(struct walk *walk, uint8_t operation_id, uint8_t replica)
{
    const struct demo_operation *operation = &demo_operations[operation_id];
    uint64_t own_ns = time_ns(walk->graph, operation->median_ms, operation->spread);

    if (operation->service == DEMO_CART && replica == DEMO_SLOW_REPLICA &&
        demo_replica_is_slow(walk->request->at_ns)) {
        own_ns += time_ns(walk->graph, slow_replica_ms, slow_replica_spread);
    }
    return own_ns;
}

static enum ending choose_ending(struct walk *walk, const struct demo_operation *operation)
{
    double error_rate =
        is_struggling(operation->service, walk->request->at_ns) ? struggle_error_rate : operation->error_rate;

    if (happens(walk->graph, error_rate)) {
        return ENDED_BADLY;
    }
    return happens(walk->graph, operation->not_found_rate) ? ENDED_NOT_FOUND : ENDED_WELL;
}

/* The called side: half of its own time, what it calls, the other half. */
static enum ending serve(struct walk *walk, uint8_t operation_id, uint8_t source, int8_t parent,
    uint64_t start_ns, uint64_t *ret_end_ns)
{
    const struct demo_operation *operation = &demo_operations[operation_id];
    uint8_t replica = (uint8_t)(next_random(walk->graph) % demo_services[operation->service].replica_count);
    int8_t index = add_span(walk, &(struct demo_span){
                                      .start_ns = start_ns,
                                      .request_bytes = size_of(walk->graph, 200, 1200),
                                      .parent = parent,
                                      .operation = operation_id,
                                      .source = source,
                                      .instance = demo_instance(operation->service, replica),
                                      .reporter = WEFT_REPORTER_DESTINATION,
                                  });
    struct demo_span *span = &walk->request->spans[index];
    uint64_t own_ns = own_time_ns(walk, operation_id, replica);
    uint64_t at_ns = start_ns + own_ns / 2;
    enum ending ending = choose_ending(walk, operation);
    bool is_own = ending == ENDED_BADLY;

    if (!is_own && !make_calls(walk, operation_id, index, &at_ns)) {
        ending = ENDED_BADLY;
    }
    *ret_end_ns = at_ns + own_ns - own_ns / 2;
    span->duration_ns = *ret_end_ns - start_ns;
    span->response_bytes = ending == ENDED_WELL ? size_of(walk->graph, 400, 24000) : 90;
    set_ending(span, ending, is_own);
    walk->answer = index;
    return ending;
}

/* One attempt, from *at_ns to when its answer is back. */
static enum ending try_once(struct walk *walk, const struct demo_call *call, int8_t parent, uint64_t *at_ns)
{
    uint8_t from = demo_operations[call->caller].service;
    uint8_t to = demo_operations[call->callee].service;
    double way_ms = strcmp(demo_services[from].space, demo_services[to].space) == 0 ? near_ms : far_ms;
    uint64_t end_ns = *at_ns + time_ns(walk->graph, way_ms, network_spread);
    enum ending ending = ENDED_UNREACHABLE;

    if (!happens(walk->graph, call->unreachable_rate)) {
        ending = serve(walk, call->callee, from, parent, end_ns, &end_ns);
    }
    *at_ns = end_ns + time_ns(walk->graph, way_ms, network_spread);
    return ending;
}

/* The caller's side: all attempts are one request. */
static enum ending make_call(
    struct walk *walk, const struct demo_call *call, int8_t parent, uint64_t start_ns, uint64_t *ret_end_ns)
{
    struct demo_span span = {
        .start_ns = start_ns,
        .request_bytes = size_of(walk->graph, 200, 1200),
        .parent = parent,
        .operation = call->callee,
        .source = demo_operations[call->caller].service,
        .instance = walk->request->spans[parent].instance,
        .reporter = WEFT_REPORTER_SOURCE,
    };
    bool is_open = call->has_breaker && demo_breaker_is_open(walk->request->at_ns);
    int8_t index = add_span(walk, &span);
    uint64_t at_ns = start_ns;
    enum ending ending = ENDED_BADLY;

    if (is_open) { /* the proxy answers by itself, at once: there is no response, and no other side */
        at_ns += time_ns(walk->graph, 0.04, 0.3);
        span.flags = FLAG_UO;
    }
    while (!is_open && span.attempts < call->attempts_max && ending >= ENDED_BADLY) {
        if (span.attempts > 0) {
            at_ns += (uint64_t)(backoff_ms * 1e6 * (0.5 + uniform(walk->graph))) << (span.attempts - 1);
        }
        span.attempts++;
        ending = try_once(walk, call, index, &at_ns);
    }
    if (ending == ENDED_UNREACHABLE) {
        set_ending(&span, ending, true);
        span.flags = FLAG_UF;
    } else if (!is_open) {
        const struct demo_span *answer = &walk->request->spans[walk->answer];
        span.response_code = answer->response_code;
        span.grpc_status = answer->grpc_status;
        span.response_bytes = answer->response_bytes;
    }
    if (!is_open && ending >= ENDED_BADLY && call->attempts_max > 1) {
        span.flags |= FLAG_URX;
    }
    span.duration_ns = at_ns - start_ns;
    walk->request->spans[index] = span;
    *ret_end_ns = at_ns;
    return ending;
}

/* ---- requests ---- */

void demo_graph_init(struct demo_graph *graph, uint64_t seed, double requests_per_s)
{
    assert(requests_per_s > 0);
    *graph = (struct demo_graph){.random = seed, .interval_ns = 1e9 / requests_per_s};
}

static uint8_t choose_entry(struct demo_graph *graph)
{
    double sum = 0;
    uint8_t entry = 0;

    for (unsigned i = 0; i < ENTRY_COUNT; i++) {
        sum += entry_weights[i];
    }
    double left = uniform(graph) * sum;
    while (entry + 1 < ENTRY_COUNT && left >= entry_weights[entry]) {
        left -= entry_weights[entry++];
    }
    return entry;
}

void demo_graph_next(struct demo_graph *graph, struct demo_request *ret_request)
{
    struct walk walk = {.graph = graph, .request = ret_request};

    graph->at_ns += (uint64_t)(-log(uniform(graph)) * graph->interval_ns);
    ret_request->at_ns = graph->at_ns;
    ret_request->span_count = 0;
    (void)serve(&walk, choose_entry(graph), DEMO_OUTSIDE, -1, 0, &ret_request->duration_ns);
}
