/* Self, network and retry times: small graphs with known answers, wrong ones of every kind, and random ones
 * against attribution_naive.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../histogram/random.h"
#include "attribution_naive.h"
#include "trace/attribution.h"

enum { RESULTS_MAX = 4096, WAIT_NS = 1000, KEEP_NS = 5000, LATE_NS = 100000, NOW_UNIX_NS = 1000000 };

struct results {
    struct attribution *attribution;
    uint64_t now_ns;
    size_t request_count, call_count, network_count;
    struct attributed_request requests[RESULTS_MAX];
    struct attributed_call calls[RESULTS_MAX];
    struct attributed_network networks[RESULTS_MAX];
    /* what is borrowed above, copied */
    struct timing request_timings[RESULTS_MAX], call_timings[RESULTS_MAX], blocking[RESULTS_MAX];
    struct timing clients[RESULTS_MAX], servers[RESULTS_MAX];
};

static void on_request(void *user, const struct attributed_request *request)
{
    struct results *r = user;

    assert_true(r->request_count < RESULTS_MAX);
    r->request_timings[r->request_count] = *request->timing;
    if (request->blocking != NULL) {
        r->blocking[r->request_count] = *request->blocking;
    }
    r->requests[r->request_count++] = *request;
}

static void on_call(void *user, const struct attributed_call *call)
{
    struct results *r = user;

    assert_true(r->call_count < RESULTS_MAX);
    r->call_timings[r->call_count] = *call->timing;
    r->calls[r->call_count++] = *call;
}

static void on_network(void *user, const struct attributed_network *network)
{
    struct results *r = user;

    assert_true(r->network_count < RESULTS_MAX);
    r->clients[r->network_count] = *network->client;
    r->servers[r->network_count] = *network->server;
    r->networks[r->network_count++] = *network;
}

static void start(struct results *r, uint32_t span_count_max)
{
    struct attribution_settings settings = {
        .span_count_max = span_count_max,
        .wait_ns = WAIT_NS,
        .keep_ns = KEEP_NS,
        .late_ns = LATE_NS,
        .seed = 7,
        .sink = {.request = on_request, .call = on_call, .network = on_network, .user = r},
    };

    attribution_free(r->attribution);
    r->now_ns = 0;
    r->request_count = r->call_count = r->network_count = 0;
    r->attribution = attribution_new(&settings);
    assert_non_null(r->attribution);
}

static int setup(void **state)
{
    struct results *r = calloc(1, sizeof *r);

    assert_non_null(r);
    start(r, 4096);
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    struct results *r = *state;

    attribution_free(r->attribution);
    free(r);
    return 0;
}

static void put_id(uint8_t *to, unsigned id)
{
    memset(to, 0, 8);
    to[6] = (uint8_t)(id >> 8);
    to[7] = (uint8_t)id;
}

/* A span of trace 1; ids below 65536, parent 0: none. */
static struct timing span(
    int side, unsigned id, unsigned parent, unsigned service, uint64_t from, uint64_t to)
{
    struct timing t = {.side = (uint8_t)side, .destination = service, .start_unix_ns = from};

    t.duration_ns = to - from;
    t.trace_id[15] = 1;
    put_id(t.span_id, id);
    put_id(t.parent_id, parent);
    return t;
}

static void add(struct results *r, struct timing t)
{
    attribution_add(r->attribution, &t, r->now_ns, t.start_unix_ns + t.duration_ns);
}

static void add_span(
    struct results *r, int side, unsigned id, unsigned parent, unsigned service, uint64_t from, uint64_t to)
{
    add(r, span(side, id, parent, service, from, to));
}

static void settle(struct results *r)
{
    r->now_ns += WAIT_NS;
    assert_false(attribution_run(r->attribution, r->now_ns, UINT32_MAX));
}

static const struct attribution_counts *counts(struct results *r)
{
    return attribution_counts(r->attribution);
}

static const struct attributed_request *request_of(struct results *r, unsigned id)
{
    uint8_t span_id[8];

    put_id(span_id, id);
    for (size_t i = 0; i < r->request_count; i++) {
        if (memcmp(r->request_timings[i].span_id, span_id, 8) == 0) {
            return &r->requests[i];
        }
    }
    fail_msg("no result of request %u", id);
    return NULL;
}

static void results_leave_after_the_wait(void **state)
{
    struct results *r = *state;

    add_span(r, TIMING_SERVER, 1, 0, 1, 0, 100);
    r->now_ns = WAIT_NS - 1;
    assert_false(attribution_run(r->attribution, r->now_ns, 100));
    assert_int_equal(r->request_count, 0);
    add_span(r, TIMING_CLIENT, 2, 1, 2, 10, 40);
    r->now_ns = WAIT_NS;
    assert_false(attribution_run(r->attribution, r->now_ns, 100));
    assert_int_equal(r->request_count, 1);
    assert_int_equal(r->requests[0].self_ns, 70);
    assert_int_equal(r->call_count, 0);
    assert_false(attribution_run(r->attribution, WAIT_NS - 1 + WAIT_NS, 100));
    assert_int_equal(r->call_count, 1);
    assert_int_equal(r->request_count, 1);
}

static void union_of_calls_is_clipped(void **state)
{
    struct results *r = *state;

    add_span(r, TIMING_SERVER, 1, 0, 1, 100, 200);
    add_span(r, TIMING_CLIENT, 2, 1, 2, 90, 120);  /* began before */
    add_span(r, TIMING_CLIENT, 3, 1, 3, 110, 130); /* overlaps */
    add_span(r, TIMING_CLIENT, 4, 1, 4, 190, 250); /* ends after */
    add_span(r, TIMING_CLIENT, 5, 1, 5, 10, 20);   /* beside it */
    settle(r);
    const struct attributed_request *request = request_of(r, 1);

    assert_true(request->has_self);
    assert_int_equal(request->self_ns, 60);
    assert_int_equal(request->child_ns, 40);
    assert_int_equal(request->call_count, 4);
    assert_int_equal(r->blocking[0].destination, 4);
    assert_int_equal(request->callee_count, 3);
    assert_int_equal(request->callees[0].service, 3); /* from the end, back to its begin */
    assert_int_equal(request->callees[0].own_ns, 20);
    assert_int_equal(request->callees[1].own_ns, 10);
    assert_int_equal(request->callees[2].own_ns, 10);
}

/* inbound proxy, its forwarding, the application's server span, internal span, application's and proxy's
 * client spans, two attempts, and the other service's server span. */
static void a_call_through_proxies_and_applications(void **state)
{
    struct results *r = *state;

    add_span(r, TIMING_SERVER, 1, 0, 1, 0, 100);
    add_span(r, TIMING_OTHER, 2, 1, 1, 5, 95);
    add_span(r, TIMING_SERVER, 3, 2, 1, 10, 90);
    add_span(r, TIMING_OTHER, 4, 3, 0, 15, 85);
    add_span(r, TIMING_CLIENT, 5, 4, 2, 20, 80);
    add_span(r, TIMING_CLIENT, 6, 5, 2, 22, 78);
    add_span(r, TIMING_ATTEMPT, 7, 6, 2, 25, 35);
    add_span(r, TIMING_ATTEMPT, 8, 6, 2, 40, 77);
    add_span(r, TIMING_SERVER, 9, 8, 2, 50, 70);
    settle(r);
    const struct attributed_request *outer = request_of(r, 1);
    const struct attributed_request *inner = request_of(r, 3);
    const struct attributed_request *callee = request_of(r, 9);

    assert_int_equal(outer->self_ns, 40);
    assert_int_equal(inner->self_ns, 20);
    assert_int_equal(callee->self_ns, 20);
    assert_null(outer->caller);
    assert_null(inner->caller); /* the same request, seen twice */
    assert_true(callee->has_network);
    assert_int_equal(callee->network_ns, 37 - 20);
    assert_int_equal(outer->callees[0].retry_ns, 56 - 37);
    assert_int_equal(outer->callees[0].network_ns, 37 - 20);
    assert_int_equal(outer->callees[0].own_ns, 60 - 19 - 17);
    assert_int_equal(r->network_count, 1);
    assert_int_equal(r->clients[0].side, TIMING_ATTEMPT);
    assert_int_equal(r->call_count, 2);
    assert_int_equal(r->calls[1].attempt_count, 2);
    assert_true(r->calls[1].has_retry && r->calls[1].has_network);
    assert_int_equal(r->calls[1].retry_ns, 19);
}

static void shared_span_ids(void **state)
{
    struct results *r = *state;

    add_span(r, TIMING_SERVER, 1, 0, 1, 0, 100);
    add_span(r, TIMING_CLIENT, 2, 1, 2, 10, 60); /* Zipkin: one id for both sides */
    add_span(r, TIMING_SERVER, 2, 1, 2, 20, 50);
    add_span(r, TIMING_CLIENT, 3, 2, 3, 30, 40);
    settle(r);
    assert_int_equal(request_of(r, 1)->self_ns, 50);
    assert_int_equal(request_of(r, 1)->call_count, 1);
    assert_int_equal(request_of(r, 2)->self_ns, 20);
    assert_int_equal(request_of(r, 2)->network_ns, 20);
    assert_int_equal(counts(r)->repeated, 0);
}

static void network_when_the_client_side_comes_last(void **state)
{
    struct results *r = *state;

    add_span(r, TIMING_SERVER, 2, 1, 2, 10, 20);
    settle(r);
    assert_false(request_of(r, 2)->has_network);
    assert_int_equal(r->network_count, 0);
    add_span(r, TIMING_CLIENT, 1, 0, 2, 5, 26);
    settle(r);
    assert_int_equal(r->network_count, 1);
    assert_int_equal(r->networks[0].network_ns, 11);
    settle(r);
    assert_int_equal(r->network_count, 1); /* told once */
}

static void clocks_that_disagree(void **state)
{
    struct results *r = *state;

    add_span(r, TIMING_CLIENT, 1, 0, 2, 1000, 1010);
    add_span(r, TIMING_SERVER, 2, 1, 2, 5, 16); /* longer, and in another time */
    add_span(r, TIMING_CLIENT, 3, 0, 2, 1000, 1010);
    add_span(r, TIMING_SERVER, 4, 3, 2, 9000, 9004); /* another time alone does not matter */
    settle(r);
    assert_true(request_of(r, 2)->has_network);
    assert_int_equal(request_of(r, 2)->network_ns, 0);
    assert_int_equal(request_of(r, 4)->network_ns, 6);
    assert_int_equal(counts(r)->clock_disagreements, 1);
}

static void several_servers_beneath_one_client(void **state)
{
    struct results *r = *state;

    add_span(r, TIMING_CLIENT, 1, 0, 2, 0, 50);
    add_span(r, TIMING_SERVER, 2, 1, 2, 5, 15);
    add_span(r, TIMING_SERVER, 3, 1, 2, 20, 45);
    settle(r);
    assert_int_equal(r->network_count, 0);
    assert_int_equal(counts(r)->ambiguous, 2);
    assert_non_null(request_of(r, 2)->caller);
    assert_false(request_of(r, 2)->has_network);
}

static void wrong_ids(void **state)
{
    struct results *r = *state;
    struct timing t = span(TIMING_SERVER, 1, 0, 1, 0, 10);

    t.trace_id[15] = 0;
    add(r, t);
    add_span(r, TIMING_SERVER, 0, 0, 1, 0, 10);
    add_span(r, 9, 1, 0, 1, 0, 10);
    assert_int_equal(counts(r)->bad_ids, 3);
    add_span(r, TIMING_SERVER, 2, 77, 1, 0, 10); /* a parent that nobody has seen */
    settle(r);
    assert_int_equal(request_of(r, 2)->self_ns, 10);
    assert_null(request_of(r, 2)->caller);
    assert_int_equal(r->request_count, 1);
}

static void parents_in_a_circle(void **state)
{
    struct results *r = *state;

    add_span(r, TIMING_SERVER, 1, 1, 1, 0, 10); /* its own */
    assert_int_equal(counts(r)->self_parents, 1);
    add_span(r, TIMING_SERVER, 2, 3, 1, 0, 10);
    add_span(r, TIMING_OTHER, 3, 2, 1, 0, 10);
    add_span(r, TIMING_CLIENT, 4, 3, 2, 2, 5);
    add_span(r, TIMING_SERVER, 5, 6, 1, 0, 10); /* beneath a circle that it is no part of */
    add_span(r, TIMING_OTHER, 6, 7, 1, 0, 10);
    add_span(r, TIMING_OTHER, 7, 6, 1, 0, 10);
    add_span(r, TIMING_CLIENT, 8, 9, 1, 0, 10);
    add_span(r, TIMING_CLIENT, 9, 8, 1, 0, 10);
    add_span(r, TIMING_ATTEMPT, 10, 11, 1, 0, 10);
    add_span(r, TIMING_SERVER, 11, 10, 1, 0, 8);
    settle(r);
    assert_int_equal(request_of(r, 1)->self_ns, 10);
    assert_int_equal(request_of(r, 2)->self_ns, 7);
    assert_int_equal(request_of(r, 5)->self_ns, 10);
    assert_int_equal(request_of(r, 11)->network_ns, 2);
    assert_int_equal(request_of(r, 11)->self_ns, 0); /* and the attempt is a call that it made */
    assert_true(counts(r)->cycles >= 2);
}

static void repeated_ids(void **state)
{
    struct results *r = *state;

    add_span(r, TIMING_SERVER, 1, 0, 1, 0, 10);
    add_span(r, TIMING_SERVER, 1, 0, 1, 0, 99);
    settle(r);
    assert_int_equal(counts(r)->repeated, 1);
    assert_int_equal(r->request_count, 1);
    assert_int_equal(r->requests[0].self_ns, 10);
}

static void a_trace_id_used_again(void **state)
{
    struct results *r = *state;

    add_span(r, TIMING_SERVER, 1, 0, 1, 0, 10);
    settle(r);
    add_span(r, TIMING_SERVER, 2, 0, 1, 500, 520); /* other span ids: another request */
    settle(r);
    assert_int_equal(request_of(r, 2)->self_ns, 20);
    add_span(r, TIMING_SERVER, 1, 0, 1, 600, 630); /* the same ids, soon: a repetition */
    assert_int_equal(counts(r)->repeated, 1);
    r->now_ns += KEEP_NS;
    assert_false(attribution_run(r->attribution, r->now_ns, 100));
    assert_int_equal(attribution_span_count(r->attribution), 0);
    add_span(r, TIMING_SERVER, 1, 0, 1, 9000, 9030); /* and once the first is forgotten: another request */
    settle(r);
    assert_int_equal(counts(r)->repeated, 1);
    assert_int_equal(r->request_count, 3);
    assert_int_equal(r->requests[2].self_ns, 30);
}

static void thousands_of_calls(void **state)
{
    struct results *r = *state;

    add_span(r, TIMING_SERVER, 1, 0, 1, 0, 5000);
    for (unsigned i = 0; i < ATTRIBUTION_SPAN_COUNT_MAX; i++) {
        add_span(r, TIMING_CLIENT, 2 + i, 1, 2, i, i + 1);
    }
    settle(r);
    assert_true(request_of(r, 1)->has_self);
    assert_int_equal(request_of(r, 1)->self_ns, 5000 - ATTRIBUTION_SPAN_COUNT_MAX);
    start(r, 4096);
    add_span(r, TIMING_SERVER, 1, 0, 1, 0, 5000);
    for (unsigned i = 0; i < ATTRIBUTION_SPAN_COUNT_MAX + 1; i++) {
        add_span(r, TIMING_CLIENT, 2 + i, 1, 2, i, i + 1);
    }
    settle(r);
    assert_false(request_of(r, 1)->has_self);
    assert_int_equal(request_of(r, 1)->callee_count, 0);
    assert_int_equal(counts(r)->oversized, 1);
    assert_int_equal(r->call_count, ATTRIBUTION_SPAN_COUNT_MAX + 1);
}

/* A comb of services that call themselves, each with many calls: the work of one is bounded all the same. */
static void a_deep_trace_is_cut(void **state)
{
    struct results *r = *state;

    start(r, 65536);
    for (unsigned i = 1; i <= 900; i++) {
        add_span(r, TIMING_SERVER, i, i - 1, 1, 0, 5000);
    }
    for (unsigned i = 0; i < 100; i++) {
        add_span(r, TIMING_CLIENT, 1000 + i, 900, 2, i, i + 1);
        for (unsigned j = 0; j < 200; j++) {
            add_span(r, TIMING_OTHER, 2000 + i * 200 + j, 1000 + i, 2, i, i + 1);
        }
    }
    settle(r);
    assert_int_equal(r->request_count, 900);
    assert_int_equal(request_of(r, 900)->self_ns, 4900);
    assert_int_equal(request_of(r, 1)->self_ns, 4900);
    assert_true(counts(r)->oversized > 0);
}

static void many_callees(void **state)
{
    struct results *r = *state;

    add_span(r, TIMING_SERVER, 1, 0, 1, 0, 1000);
    for (unsigned i = 0; i < ATTRIBUTION_CALLEE_COUNT_MAX + 8; i++) {
        add_span(r, TIMING_CLIENT, 2 + i, 1, 100 + i, i * 10, i * 10 + (i == 20 ? 10 : 5));
    }
    settle(r);
    assert_int_equal(request_of(r, 1)->child_ns, 5 * (ATTRIBUTION_CALLEE_COUNT_MAX + 8) + 5);
    assert_int_equal(request_of(r, 1)->callee_count, ATTRIBUTION_CALLEE_COUNT);
    assert_int_equal(request_of(r, 1)->callees[0].service, 120);
}

static void spans_minutes_late(void **state)
{
    struct results *r = *state;
    struct timing t = span(TIMING_SERVER, 1, 0, 1, 0, 10);

    attribution_add(r->attribution, &t, 0, 10 + LATE_NS + 1);
    assert_int_equal(counts(r)->late, 1);
    assert_int_equal(attribution_span_count(r->attribution), 0);
    attribution_add(r->attribution, &t, 0, 10 + LATE_NS);
    t.span_id[7] = 2;
    t.start_unix_ns = UINT64_MAX - 5; /* an end past the end of time is not late */
    attribution_add(r->attribution, &t, 0, NOW_UNIX_NS);
    settle(r);
    assert_int_equal(r->request_count, 2);
    assert_int_equal(request_of(r, 2)->self_ns, 10);
}

static void calls_that_come_too_late_are_counted(void **state)
{
    struct results *r = *state;

    add_span(r, TIMING_SERVER, 1, 0, 1, 0, 100);
    add_span(r, TIMING_OTHER, 2, 1, 1, 0, 100);
    settle(r);
    add_span(r, TIMING_CLIENT, 3, 1, 2, 10, 20);
    add_span(r, TIMING_CLIENT, 4, 2, 2, 10, 20);
    add_span(r, TIMING_CLIENT, 5, 4, 2, 10, 20); /* beneath a call */
    assert_int_equal(counts(r)->late_calls, 2);
    settle(r);
    assert_int_equal(r->call_count, 3);
}

static void a_full_ring_settles_its_oldest(void **state)
{
    struct results *r = *state;
    uint32_t capacity = 64;

    start(r, capacity);
    size_t bytes = attribution_bytes(r->attribution);
    add_span(r, TIMING_CLIENT, 2, 1, 2, 10, 20);
    add_span(r, TIMING_SERVER, 1, 0, 1, 0, 100);
    for (unsigned i = 0; i < capacity; i++) {
        add_span(r, TIMING_SERVER, 100 + i, 0, 1, 0, 7);
    }
    assert_int_equal(attribution_span_count(r->attribution), capacity);
    assert_int_equal(counts(r)->early, 2);
    assert_int_equal(r->request_count, 1); /* its call had gone a moment before */
    assert_int_equal(r->requests[0].self_ns, 100);
    attribution_finish(r->attribution);
    assert_int_equal(r->request_count, 1 + capacity);
    assert_int_equal(attribution_bytes(r->attribution), bytes);
}

static void time_does_not_go_back(void **state)
{
    struct results *r = *state;
    struct timing t = span(TIMING_SERVER, 1, 0, 1, 0, 10);

    attribution_add(r->attribution, &t, 50000, 10);
    t.span_id[7] = 2;
    attribution_add(r->attribution, &t, 10, 10);
    assert_false(attribution_run(r->attribution, 40000, 100));
    assert_int_equal(r->request_count, 0);
    assert_true(attribution_run(r->attribution, 50000 + WAIT_NS, 1));
    assert_false(attribution_run(r->attribution, 50000 + WAIT_NS, 1));
    assert_int_equal(r->request_count, 2);
}

/* ---- random graphs ---- */

static struct timing random_span(uint64_t *random, unsigned id_count)
{
    uint64_t from = random_u64(random) % 60;
    uint64_t length = random_u64(random) % (random_u64(random) % 4 == 0 ? 150 : 30);
    unsigned id = 1 + (unsigned)(random_u64(random) % id_count);
    unsigned parent = (unsigned)(random_u64(random) % (id_count + 1));
    int side = (int)(random_u64(random) % TIMING_SIDE_COUNT);

    if (random_u64(random) % 8 != 0) { /* mostly a tree whose sides take turns, as in a mesh */
        static const int turns[] = {
            TIMING_SERVER, TIMING_CLIENT, TIMING_ATTEMPT, TIMING_ATTEMPT, TIMING_SERVER, TIMING_OTHER};
        static const unsigned back[] = {1, 1, 1, 2, 1, 1};
        side = turns[id % 6];
        parent = random_u64(random) % 4 != 0 ? back[id % 6] : 1 + (unsigned)(random_u64(random) % 6);
        parent = id > parent ? id - parent : 0;
    }
    struct timing t = span(side, id, parent, 1 + (unsigned)(random_u64(random) % 4), from, from + length);

    t.trace_id[15] = (uint8_t)(1 + (random_u64(random) % 16 == 0));
    return t;
}

static bool is_known(const struct naive *n, const struct timing *t)
{
    for (int i = 0; i < n->count; i++) {
        if (n->spans[i].side == t->side && naive_same(n->spans[i].span_id, t->span_id, 8) &&
            naive_same(n->spans[i].trace_id, t->trace_id, 16)) {
            return true;
        }
    }
    return false;
}

static int index_of(const struct naive *n, const struct timing *t)
{
    int side = t->side;
    int at = naive_find(n, t->trace_id, t->span_id, &side, 1);

    assert_true(at >= 0);
    return at;
}

static void check_callees(const struct attributed_request *got, const struct naive_request *expected)
{
    uint64_t least_ns = UINT64_MAX;
    bool told[NAIVE_SERVICE_MAX] = {false};

    for (uint32_t i = 0; i < got->callee_count; i++) {
        const struct attributed_callee *callee = &got->callees[i];
        uint64_t sum_ns = callee->own_ns + callee->network_ns + callee->retry_ns;
        assert_int_equal(callee->own_ns, expected->own_ns[callee->service]);
        assert_int_equal(callee->network_ns, expected->callee_network_ns[callee->service]);
        assert_int_equal(callee->retry_ns, expected->retry_ns[callee->service]);
        assert_true(sum_ns > 0 && sum_ns <= least_ns);
        least_ns = sum_ns;
        told[callee->service] = true;
    }
    for (int i = 0; i < NAIVE_SERVICE_MAX; i++) {
        uint64_t sum_ns = expected->own_ns[i] + expected->callee_network_ns[i] + expected->retry_ns[i];
        assert_true(
            told[i] || sum_ns == 0 || (got->callee_count == ATTRIBUTION_CALLEE_COUNT && sum_ns <= least_ns));
    }
}

static void check_request(struct results *r, size_t i, const struct naive *n)
{
    const struct attributed_request *got = &r->requests[i];
    struct naive_request expected = naive_sum_request(n, index_of(n, &r->request_timings[i]));

    assert_true(got->has_self);
    assert_int_equal(got->self_ns, expected.self_ns);
    assert_int_equal(got->child_ns, expected.child_ns);
    assert_int_equal(got->call_count, expected.call_count);
    assert_int_equal(got->blocking != NULL, expected.blocking >= 0);
    if (got->blocking != NULL) {
        assert_memory_equal(r->blocking[i].span_id, n->spans[expected.blocking].span_id, 8);
    }
    assert_int_equal(got->caller != NULL, expected.caller >= 0);
    assert_int_equal(got->has_network, expected.has_network);
    assert_int_equal(got->network_ns, expected.network_ns);
    check_callees(got, &expected);
}

static void check_graph(struct results *r, const struct naive *n)
{
    size_t request_count = 0, call_count = 0, network_count = 0;

    for (size_t i = 0; i < r->request_count; i++) {
        check_request(r, i, n);
        network_count += r->requests[i].has_network;
    }
    for (size_t i = 0; i < r->call_count; i++) {
        struct naive_call expected = naive_sum_call(n, index_of(n, &r->call_timings[i]));
        assert_int_equal(r->calls[i].attempt_count, expected.attempt_count);
        assert_int_equal(r->calls[i].has_retry, expected.has_retry);
        assert_int_equal(r->calls[i].retry_ns, expected.retry_ns);
        assert_int_equal(r->calls[i].has_network, expected.has_network);
        assert_int_equal(r->calls[i].network_ns, expected.network_ns);
    }
    for (int i = 0; i < n->count; i++) {
        request_count += n->spans[i].side == TIMING_SERVER;
        call_count += n->spans[i].side == TIMING_CLIENT;
    }
    assert_int_equal(r->request_count, request_count);
    assert_int_equal(r->call_count, call_count);
    assert_int_equal(r->network_count, network_count);
}

static void equals_the_naive_way(void **state)
{
    struct results *r = *state;
    uint64_t random = 20;
    uint64_t networks = 0, retries = 0, cycles = 0;

    for (int round = 0; round < 6000; round++) {
        struct naive n = {.count = 0};
        unsigned id_count = 3 + (unsigned)(random_u64(&random) % 40);
        int count = 1 + (int)(random_u64(&random) % NAIVE_SPAN_MAX);
        start(r, 128);
        for (int i = 0; i < count; i++) {
            struct timing t = random_span(&random, id_count);
            bool known = is_known(&n, &t);
            uint64_t repeated = counts(r)->repeated;
            add(r, t);
            assert_int_equal(counts(r)->repeated - repeated, known);
            if (!known) {
                n.spans[n.count++] = t;
            }
        }
        settle(r);
        check_graph(r, &n);
        networks += r->network_count;
        cycles += counts(r)->cycles;
        for (size_t i = 0; i < r->call_count; i++) {
            retries += r->calls[i].has_retry;
        }
    }
    /* the graphs were worth it */
    assert_true(networks > 1000);
    assert_true(retries > 1000);
    assert_true(cycles > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(results_leave_after_the_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(union_of_calls_is_clipped, setup, teardown),
        cmocka_unit_test_setup_teardown(a_call_through_proxies_and_applications, setup, teardown),
        cmocka_unit_test_setup_teardown(shared_span_ids, setup, teardown),
        cmocka_unit_test_setup_teardown(network_when_the_client_side_comes_last, setup, teardown),
        cmocka_unit_test_setup_teardown(clocks_that_disagree, setup, teardown),
        cmocka_unit_test_setup_teardown(several_servers_beneath_one_client, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_ids, setup, teardown),
        cmocka_unit_test_setup_teardown(parents_in_a_circle, setup, teardown),
        cmocka_unit_test_setup_teardown(repeated_ids, setup, teardown),
        cmocka_unit_test_setup_teardown(a_trace_id_used_again, setup, teardown),
        cmocka_unit_test_setup_teardown(thousands_of_calls, setup, teardown),
        cmocka_unit_test_setup_teardown(a_deep_trace_is_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(many_callees, setup, teardown),
        cmocka_unit_test_setup_teardown(spans_minutes_late, setup, teardown),
        cmocka_unit_test_setup_teardown(calls_that_come_too_late_are_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_ring_settles_its_oldest, setup, teardown),
        cmocka_unit_test_setup_teardown(time_does_not_go_back, setup, teardown),
        cmocka_unit_test_setup_teardown(equals_the_naive_way, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
