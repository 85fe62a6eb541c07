/* The simulated mesh: its tables have bounds, its requests are whole traces, and one seed gives one sequence.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/demo_graph.h"
#include "cli/demo_mesh.h"
#include "weft/weft.h"

#define FLAG_UF (UINT64_C(1) << 5)
#define FLAG_UO (UINT64_C(1) << 7)
#define FLAG_URX (UINT64_C(1) << 15)

enum { REQUESTS = 60000, RATE = 500, SEED = 7 }; /* two minutes: every phase, twice */

/* Which operation is asked for on behalf of nobody: no call leads there. */
static bool is_entry(size_t operation)
{
    for (size_t i = 0; i < demo_call_count; i++) {
        if (demo_calls[i].callee == operation) {
            return false;
        }
    }
    return true;
}

/* Spans that a request for it can become, all calls made and all attempts but the last in vain. */
static unsigned spans_at_worst(size_t operation, unsigned depth)
{
    unsigned count = 1;

    assert_true(depth < DEMO_DEPTH_MAX); /* also where calls go in a circle */
    for (size_t i = 0; i < demo_call_count; i++) {
        if (demo_calls[i].caller == operation) {
            count += 1 + demo_calls[i].attempts_max * spans_at_worst(demo_calls[i].callee, depth + 1);
        }
    }
    return count;
}

static void test_the_tables(void **state)
{
    bool is_bank[2] = {false};
    (void)state;

    assert_int_equal(DEMO_SERVICE_COUNT, 12);
    for (unsigned i = 0; i < DEMO_SERVICE_COUNT; i++) {
        assert_true(strlen(demo_services[i].name) > 0 && demo_services[i].replica_count > 0);
        is_bank[strcmp(demo_services[i].space, "bank") == 0] = true;
        assert_true(
            strcmp(demo_services[i].space, "bank") == 0 || strcmp(demo_services[i].space, "shop") == 0);
    }
    assert_true(is_bank[0] && is_bank[1]);
    assert_true(demo_operation_count <= DEMO_OPERATIONS_MAX);
    for (size_t i = 0; i < demo_operation_count; i++) {
        assert_true(demo_operations[i].median_ms > 0 && demo_operations[i].spread > 0);
        assert_true(spans_at_worst(i, 0) <= DEMO_SPANS_MAX);
        assert_int_equal(is_entry(i), demo_operations[i].service == DEMO_GATEWAY);
    }
    for (size_t i = 0; i < demo_call_count; i++) {
        assert_true(demo_calls[i].attempts_max >= 1 && demo_calls[i].probability > 0);
        assert_true(i == 0 || demo_calls[i].caller >= demo_calls[i - 1].caller); /* they stand together */
        assert_false(demo_calls[i].with_previous && demo_calls[i].caller != demo_calls[i - 1].caller);
    }
}

static void test_instances(void **state)
{
    (void)state;
    assert_true(demo_instance_count() <= WEFT_CLIENTS_COUNT_MAX);
    assert_true(demo_services[DEMO_CART].replica_count > DEMO_SLOW_REPLICA);
    for (uint8_t i = 0; i < demo_instance_count(); i++) {
        uint8_t replica;
        uint8_t service = demo_instance_service(i, &replica);
        assert_true(service < DEMO_SERVICE_COUNT && replica < demo_services[service].replica_count);
        assert_int_equal(demo_instance(service, replica), i);
    }
}

static void assert_same(const struct demo_request *a, const struct demo_request *b)
{
    assert_int_equal(a->at_ns, b->at_ns);
    assert_int_equal(a->duration_ns, b->duration_ns);
    assert_int_equal(a->span_count, b->span_count);
    for (uint32_t i = 0; i < a->span_count; i++) {
        const struct demo_span *x = &a->spans[i];
        const struct demo_span *y = &b->spans[i];
        assert_int_equal(x->start_ns, y->start_ns);
        assert_int_equal(x->duration_ns, y->duration_ns);
        assert_int_equal(x->flags, y->flags);
        assert_int_equal(x->request_bytes, y->request_bytes);
        assert_int_equal(x->response_bytes, y->response_bytes);
        assert_int_equal(x->response_code, y->response_code);
        assert_int_equal(x->parent, y->parent);
        assert_int_equal(x->operation, y->operation);
        assert_int_equal(x->source, y->source);
        assert_int_equal(x->instance, y->instance);
        assert_int_equal(x->reporter, y->reporter);
        assert_int_equal(x->grpc_status, y->grpc_status);
        assert_int_equal(x->attempts, y->attempts);
    }
}

static void test_a_seed_is_a_sequence(void **state)
{
    struct demo_graph graphs[3];
    struct demo_request requests[3];
    unsigned same = 0;
    (void)state;

    demo_graph_init(&graphs[0], SEED, RATE);
    demo_graph_init(&graphs[1], SEED, RATE);
    demo_graph_init(&graphs[2], SEED + 1, RATE);
    for (unsigned i = 0; i < 5000; i++) {
        for (unsigned j = 0; j < 3; j++) {
            memset(
                &requests[j], (int)(i + j), sizeof requests[j]); /* what was there before does not matter */
            demo_graph_next(&graphs[j], &requests[j]);
        }
        assert_same(&requests[0], &requests[1]);
        same += requests[0].duration_ns == requests[2].duration_ns;
    }
    assert_true(same < 50);
}

/* A caller's side: what it says agrees with the called sides beneath it. */
static void check_call(const struct demo_request *request, uint32_t index)
{
    const struct demo_span *call = &request->spans[index];
    const struct demo_span *parent = &request->spans[call->parent];
    const struct demo_span *last = NULL;
    unsigned served = 0;

    assert_int_equal(parent->reporter, WEFT_REPORTER_DESTINATION);
    assert_int_equal(parent->instance, call->instance);
    for (uint32_t i = index + 1; i < request->span_count; i++) {
        if (request->spans[i].parent == (int)index) {
            last = &request->spans[i];
            served++;
            assert_int_equal(last->reporter, WEFT_REPORTER_DESTINATION);
            assert_int_equal(last->operation, call->operation);
        }
    }
    assert_true(served <= call->attempts);
    if ((call->flags & FLAG_UO) != 0) {
        assert_int_equal(call->response_code, 0);
        assert_int_equal(call->attempts, 0);
        assert_int_equal(call->response_bytes, 0);
    } else if ((call->flags & FLAG_UF) != 0) {
        assert_true(call->response_code == 503 || call->grpc_status == 15);
    } else {
        assert_non_null(last);
        assert_int_equal(call->grpc_status, last->grpc_status);
        assert_int_equal(call->response_code, last->response_code);
        assert_int_equal(call->response_bytes, last->response_bytes);
    }
}

static void check_request(const struct demo_request *request)
{
    const struct demo_span *root = &request->spans[0];

    assert_true(request->span_count >= 1 && request->span_count <= DEMO_SPANS_MAX);
    assert_int_equal(root->parent, -1);
    assert_int_equal(root->source, DEMO_OUTSIDE);
    assert_int_equal(root->start_ns, 0);
    assert_int_equal(root->duration_ns, request->duration_ns);
    for (uint32_t i = 0; i < request->span_count; i++) {
        const struct demo_span *span = &request->spans[i];
        uint8_t replica;
        uint8_t service = demo_instance_service(span->instance, &replica);
        uint8_t destination = demo_operations[span->operation].service;
        bool is_grpc = demo_operations[span->operation].protocol == WEFT_PROTOCOL_GRPC;
        assert_int_equal(service, span->reporter == WEFT_REPORTER_SOURCE ? span->source : destination);
        assert_int_equal(span->grpc_status != 0, is_grpc && span->response_code != 0);
        if (i > 0) {
            assert_true(span->parent >= 0 && span->parent < (int)i);
            const struct demo_span *parent = &request->spans[span->parent];
            assert_true(span->start_ns >= parent->start_ns);
            assert_true(span->start_ns + span->duration_ns <= parent->start_ns + parent->duration_ns);
        }
        if (span->reporter == WEFT_REPORTER_SOURCE) {
            check_call(request, i);
        }
    }
}

static void test_requests_are_whole_traces(void **state)
{
    struct demo_graph graph;
    struct demo_request request;
    bool is_reached[DEMO_SERVICE_COUNT] = {false};
    uint64_t before_ns = 0;
    uint64_t spans = 0;
    (void)state;

    demo_graph_init(&graph, SEED, RATE);
    for (unsigned i = 0; i < REQUESTS; i++) {
        demo_graph_next(&graph, &request);
        assert_true(request.at_ns >= before_ns);
        before_ns = request.at_ns;
        check_request(&request);
        spans += request.span_count;
        for (uint32_t j = 0; j < request.span_count; j++) {
            is_reached[demo_operations[request.spans[j].operation].service] = true;
        }
    }
    for (unsigned i = 0; i < DEMO_SERVICE_COUNT; i++) {
        assert_true(is_reached[i]);
    }
    double seconds = (double)before_ns / 1e9;
    assert_true(fabs(seconds - (double)REQUESTS / RATE) < 2); /* 5 standard deviations: 1.2 s */
    double mean = (double)spans / REQUESTS;
    assert_true(mean > 8.5 && mean < 10.5); /* "about 9", says its help */
}

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a;
    const uint64_t *y = b;

    return (*x > *y) - (*x < *y);
}

/* Median of the called side's durations of cart's GET by one replica, while slow or not. */
static double cart_median_ms(uint8_t replica, bool is_slow)
{
    static uint64_t durations[REQUESTS];
    struct demo_graph graph;
    struct demo_request request;
    size_t count = 0;

    demo_graph_init(&graph, SEED, RATE);
    for (unsigned i = 0; i < REQUESTS; i++) {
        demo_graph_next(&graph, &request);
        for (uint32_t j = 0; j < request.span_count; j++) {
            const struct demo_span *span = &request.spans[j];
            if (span->instance == demo_instance(DEMO_CART, replica) &&
                span->reporter == WEFT_REPORTER_DESTINATION &&
                strcmp(demo_operations[span->operation].method, "GET") == 0 &&
                demo_replica_is_slow(request.at_ns) == is_slow) {
                durations[count++] = span->duration_ns;
            }
        }
    }
    assert_true(count > 500);
    qsort(durations, count, sizeof durations[0], compare);
    return (double)durations[count / 2] / 1e6;
}

static void test_the_slow_replica_comes_and_goes(void **state)
{
    (void)state;
    assert_true(demo_replica_is_slow(0)); /* who starts it sees it at once */
    assert_false(demo_replica_is_slow(UINT64_C(30000000000)));
    assert_true(demo_replica_is_slow(UINT64_C(60000000000)));
    double usual_ms = cart_median_ms(DEMO_SLOW_REPLICA, false);
    assert_true(fabs(usual_ms - 3) < 0.3);
    assert_true(fabs(cart_median_ms(0, true) - usual_ms) < 0.3);
    assert_true(fabs(cart_median_ms(DEMO_SLOW_REPLICA, true) - 93) < 9);
}

static void test_the_breaker(void **state)
{
    struct demo_graph graph;
    struct demo_request request;
    unsigned refused = 0;
    unsigned passed = 0;
    (void)state;

    assert_false(demo_breaker_is_open(0));
    assert_true(demo_breaker_is_open(UINT64_C(6000000000)));
    demo_graph_init(&graph, SEED, RATE);
    for (unsigned i = 0; i < REQUESTS; i++) {
        demo_graph_next(&graph, &request);
        for (uint32_t j = 0; j < request.span_count; j++) {
            const struct demo_span *span = &request.spans[j];
            bool is_open = (span->flags & FLAG_UO) != 0;
            if (demo_operations[span->operation].service != DEMO_RECOMMENDATIONS) {
                assert_false(is_open);
            } else if (span->reporter == WEFT_REPORTER_SOURCE) {
                assert_int_equal(is_open, demo_breaker_is_open(request.at_ns));
                refused += is_open;
                passed += !is_open;
            } else {
                assert_false(demo_breaker_is_open(request.at_ns));
            }
        }
    }
    assert_true(refused > 1000 && passed > 4 * refused / 2);
}

static void test_retries_and_errors(void **state)
{
    struct demo_graph graph;
    struct demo_request request;
    unsigned again = 0;
    unsigned exhausted = 0;
    unsigned unreachable = 0;
    unsigned charges = 0;
    unsigned not_found = 0;
    (void)state;

    demo_graph_init(&graph, SEED, RATE);
    for (unsigned i = 0; i < REQUESTS; i++) {
        demo_graph_next(&graph, &request);
        for (uint32_t j = 0; j < request.span_count; j++) {
            const struct demo_span *span = &request.spans[j];
            not_found += span->response_code == 404 || span->grpc_status == 6;
            unreachable += (span->flags & FLAG_UF) != 0;
            if (span->reporter != WEFT_REPORTER_SOURCE ||
                demo_operations[span->operation].service != DEMO_PAYMENTS) {
                continue;
            }
            charges++;
            again += span->attempts > 1;
            exhausted += (span->flags & FLAG_URX) != 0;
            assert_true(span->attempts >= 1 && span->attempts <= 3);
            assert_true((span->flags & FLAG_URX) == 0 || (span->attempts == 3 && span->grpc_status == 15));
        }
    }
    assert_true(charges > 4000 && not_found > 100 && unreachable > 0);
    double share = (double)again / charges;
    assert_true(share > 0.07 && share < 0.13); /* 6 % fail, 3 % are not reached */
    assert_true(exhausted > 0 && exhausted < again / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_tables),
        cmocka_unit_test(test_instances),
        cmocka_unit_test(test_a_seed_is_a_sequence),
        cmocka_unit_test(test_requests_are_whole_traces),
        cmocka_unit_test(test_the_slow_replica_comes_and_goes),
        cmocka_unit_test(test_the_breaker),
        cmocka_unit_test(test_retries_and_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
