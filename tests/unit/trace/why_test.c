/*
 * Causes that were planted, and none where none was: ten scenarios over several seeds and sizes, even
 * services, confounded ones, attributes, and questions about nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "why_world.h"

enum { SEED_COUNT = 40 };

static struct why_result ask(struct world *w)
{
    struct why_question question = {.service = SERVICE, .until_unix_ns = UINT64_MAX};
    struct why_result result;

    why_select(w->why, w->observations, &question);
    why_rank(w->why, &result);
    return result;
}

/* One scenario: changes what is planned of request `i` of `count`. */
typedef void (*plant)(struct world *w, struct planned *p, int i, int count);

static void make(struct world *w, uint64_t seed, int count, plant plant_cause)
{
    double at_ms = 0;

    world_start(w, seed);
    assert_non_null(w->observations);
    for (int i = 0; i < count; i++) {
        at_ms += -20 * log(1 - world_uniform(w));
        struct planned p = world_plan(w, at_ms);
        plant_cause(w, &p, i, count);
        world_add(w, &p);
    }
}

static void finish(struct world *w)
{
    observations_free(w->observations);
    w->observations = NULL;
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    w->why = why_new(WORLD_REQUEST_MAX);
    assert_non_null(w->why);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    why_free(w->why);
    free(w);
    return 0;
}

static void describe(const struct why_result *result, uint64_t seed, int count)
{
    print_error("seed %lu, %d requests: %u slow, even %d\n", (unsigned long)seed, count, result->slow_count,
        result->is_even);
    for (uint32_t i = 0; i < result->cause_count; i++) {
        const struct why_cause *c = &result->causes[i];
        print_error("  %s %u group %u: slow %.3f rest %.3f score %.3f chance %g strong %d of %d\n",
            why_kind_name(c->kind), c->value, c->group, c->share_slow, c->share_rest, c->score, c->chance,
            c->is_strong, c->companion_of);
    }
}

static void expect_first(struct world *w, plant plant_cause, enum why_kind kind, uint32_t value)
{
    static const int counts[] = {600, 2000, 6000};

    for (uint64_t seed = 1; seed <= SEED_COUNT; seed++) {
        int count = counts[seed % 3];
        make(w, seed, count, plant_cause);
        struct why_result result = ask(w);
        const struct why_cause *first = &result.causes[0];
        if (result.verdict != WHY_CAUSE_FOUND || first->kind != kind || first->value != value) {
            describe(&result, seed, count);
            fail_msg("not %s %u", why_kind_name(kind), value);
        }
        assert_true(first->share_slow > first->share_rest && first->lift > 1);
        assert_int_equal(first->example_trace_id[0], 0xab);
        assert_int_equal(first->companion_of, -1);
        finish(w);
    }
}

/* ---- ten planted causes ---- */

static void plant_slow_pod(struct world *w, struct planned *p, int i, int count)
{
    (void)w, (void)i, (void)count;
    p->self_ms *= p->pod == POD + 2 ? 8 : 1;
}

static void slow_pod(void **state)
{
    expect_first(*state, plant_slow_pod, WHY_SENDER, POD + 2);
}

static void plant_slow_route(struct world *w, struct planned *p, int i, int count)
{
    (void)i, (void)count;
    p->self_ms += p->route == ROUTE + 7 && world_chance(w, 0.5) ? world_latency(w, 40, 0.2) : 0;
}

static void slow_route(void **state)
{
    expect_first(*state, plant_slow_route, WHY_ROUTE, ROUTE + 7);
}

static void plant_slow_callee(struct world *w, struct planned *p, int i, int count)
{
    (void)i, (void)count;
    p->c_ms += world_chance(w, 0.04) ? world_latency(w, 60, 0.3) : 0;
}

static void slow_callee(void **state)
{
    expect_first(*state, plant_slow_callee, WHY_CALLEE, CALLEE_C);
}

static void plant_retries(struct world *w, struct planned *p, int i, int count)
{
    (void)i, (void)count;
    if (world_chance(w, 0.03)) {
        p->b_retry_ms = world_latency(w, 30, 0.2);
        p->call_attempts = 2;
    }
}

static void retries(void **state)
{
    expect_first(*state, plant_retries, WHY_RETRIES, CALLEE_B);
}

/* As above, but the proxy tells a number alone: the attempts were not seen, their time is the callee's. */
static void plant_unseen_retries(struct world *w, struct planned *p, int i, int count)
{
    plant_retries(w, p, i, count);
    p->b_ms += p->b_retry_ms;
    p->b_retry_ms = 0;
}

static void retries_without_attempts(void **state)
{
    expect_first(*state, plant_unseen_retries, WHY_RETRIES, 0);
}

static void plant_one_caller(struct world *w, struct planned *p, int i, int count)
{
    (void)w, (void)i, (void)count;
    p->self_ms += p->caller == CALLER + 1 ? 25 : 0;
}

static void one_caller(void **state)
{
    expect_first(*state, plant_one_caller, WHY_CALLER, CALLER + 1);
}

static void plant_one_version(struct world *w, struct planned *p, int i, int count)
{
    (void)i, (void)count;
    p->self_ms += p->version == VERSION + 1 ? world_latency(w, 20, 0.2) : 0;
}

static void one_version(void **state)
{
    expect_first(*state, plant_one_version, WHY_VERSION, VERSION + 1);
}

static void plant_network_delay(struct world *w, struct planned *p, int i, int count)
{
    (void)i, (void)count;
    p->b_network_ms += world_chance(w, 0.1) ? 50 : 0;
}

static void network_delay(void **state)
{
    expect_first(*state, plant_network_delay, WHY_NETWORK_OUT, CALLEE_B);
}

static void plant_network_before(struct world *w, struct planned *p, int i, int count)
{
    (void)i, (void)count;
    p->network_ms += p->caller == CALLER && world_chance(w, 0.3) ? 50 : 0;
}

static void network_delay_from_a_caller(void **state)
{
    expect_first(*state, plant_network_before, WHY_NETWORK_IN, CALLER);
}

/* One worker, 5 ms a request, and bursts of arrivals: the wait is the service's own time. */
static void queueing(void **state)
{
    struct world *w = *state;

    for (uint64_t seed = 1; seed <= SEED_COUNT; seed++) {
        double at_ms = 0, free_at_ms = 0;
        world_start(w, seed);
        for (int i = 0; i < 4000; i++) {
            bool burst = i % 400 < 40;
            at_ms += -(burst ? 2.0 : 25.0) * log(1 - world_uniform(w));
            struct planned p = world_plan(w, at_ms);
            double work_ms = world_latency(w, 5, 0.1);
            double wait_ms = free_at_ms > at_ms ? free_at_ms - at_ms : 0;
            p.self_ms = wait_ms + work_ms;
            free_at_ms = at_ms + p.self_ms;
            world_add(w, &p);
        }
        struct why_result result = ask(w);
        if (result.verdict != WHY_CAUSE_FOUND || result.causes[0].kind != WHY_CROWD) {
            describe(&result, seed, 4000);
            fail_msg("not queueing");
        }
        assert_true(result.crowd_count >= 1);
        finish(w);
    }
}

static void fail_fast(struct planned *p, uint32_t flag, uint16_t code, uint8_t outcome)
{
    p->flags = flag;
    p->response_code = code;
    p->outcome = outcome;
    p->self_ms = 0.2;
    p->b_ms = p->b_network_ms = p->c_ms = p->c_network_ms = 0;
}

static void plant_circuit_breaker(struct world *w, struct planned *p, int i, int count)
{
    (void)w;
    if (i > count / 2 && i < count / 2 + count / 12) {
        fail_fast(p, (uint32_t)RESPONSE_FLAG(UO), 503, OUTCOME_SERVER_ERROR);
    }
}

static void circuit_breaker(void **state)
{
    expect_first(*state, plant_circuit_breaker, WHY_FLAG, RESPONSE_FLAG_INDEX_UO);
}

/* The circuit breaker is at the caller: the service itself sees nothing of those requests. */
static void circuit_breaker_at_the_callers(void **state)
{
    struct world *w = *state;

    make(w, 3, 3000, plant_network_before);
    for (int i = 0; i < 400; i++) {
        struct observation o = {
            .end_unix_ns = WORLD_START_NS + (uint64_t)i * 1000000,
            .duration_ns = 200000,
            .service = SERVICE,
            .caller = CALLER + 3,
            .route = ROUTE,
            .side = TIMING_CLIENT,
            .attempts = 1,
            .response_code = 200,
        };
        if (i % 5 == 0) {
            o.flags = (uint32_t)RESPONSE_FLAG(UO);
            o.response_code = 503;
            o.outcome = OUTCOME_SERVER_ERROR;
        }
        observations_add(w->observations, &o);
    }
    struct why_result result = ask(w);

    assert_int_equal(result.verdict, WHY_CAUSE_FOUND);
    assert_int_equal(result.causes[0].kind, WHY_FLAG);
    assert_int_equal(result.causes[0].value, RESPONSE_FLAG_INDEX_UO);
    assert_int_equal(result.causes[0].group, WHY_GROUP_FAILING_CALLS);
    assert_int_equal(result.failing_count, 80);
    assert_int_equal(result.causes[1].kind, WHY_NETWORK_IN);
    finish(w);
}

static void plant_rate_limit(struct world *w, struct planned *p, int i, int count)
{
    (void)i, (void)count;
    if (world_chance(w, 0.06)) {
        fail_fast(p, i % 2 == 0 ? (uint32_t)RESPONSE_FLAG(RL) : 0, 429, OUTCOME_CLIENT_ERROR);
    }
}

static void rate_limit(void **state)
{
    expect_first(*state, plant_rate_limit, WHY_FLAG, RESPONSE_FLAG_INDEX_RL);
}

/* ---- two causes that go together ---- */

static void plant_pod_with_a_route(struct world *w, struct planned *p, int i, int count)
{
    (void)i, (void)count;
    if (p->pod == POD + 1) {
        p->route = world_chance(w, 0.6) ? ROUTE + 4 : p->route; /* one route, more than others */
        p->self_ms *= 8;
    }
}

static void slow_pod_that_serves_one_route_more(void **state)
{
    expect_first(*state, plant_pod_with_a_route, WHY_SENDER, POD + 1);
    struct world *w = *state;

    make(w, 5, 6000, plant_pod_with_a_route);
    struct why_result result = ask(w);
    uint32_t seen = 0;
    for (uint32_t i = 1; i < result.cause_count; i++) {
        if (result.causes[i].kind == WHY_ROUTE) {
            assert_int_equal(result.causes[i].value, ROUTE + 4);
            assert_int_equal(result.causes[i].companion_of, 0);
            seen++;
        }
    }
    assert_int_equal(seen, 1);
    finish(w);
}

static void plant_route_on_a_pod(struct world *w, struct planned *p, int i, int count)
{
    (void)i, (void)count;
    if (p->route == ROUTE + 4) {
        p->pod = world_chance(w, 0.7) ? POD + 1 : p->pod; /* which that pod serves more than others */
        p->version = p->pod < POD + 3 ? VERSION : VERSION + 1;
        p->self_ms *= 8;
    }
}

static void slow_route_that_one_pod_serves_more(void **state)
{
    expect_first(*state, plant_route_on_a_pod, WHY_ROUTE, ROUTE + 4);
}

/* Its called service is slow from one pod alone: it is the pod. */
static void plant_pod_that_calls_slowly(struct world *w, struct planned *p, int i, int count)
{
    (void)w, (void)i, (void)count;
    p->b_network_ms += p->pod == POD + 3 ? 40 : 0;
}

static void slow_pod_that_calls_slowly(void **state)
{
    expect_first(*state, plant_pod_that_calls_slowly, WHY_SENDER, POD + 3);
}

/* Only one route calls B, which is slow: it is B. */
static void plant_route_that_calls_the_slow_one(struct world *w, struct planned *p, int i, int count)
{
    (void)i, (void)count;
    if (p->route != ROUTE + 2) {
        p->b_ms = p->b_network_ms = 0;
    } else if (world_chance(w, 0.7)) {
        p->b_ms += world_latency(w, 50, 0.2);
    }
}

static void the_only_route_that_calls_a_slow_service(void **state)
{
    expect_first(*state, plant_route_that_calls_the_slow_one, WHY_CALLEE, CALLEE_B);
}

static void plant_half_of_the_pods(struct world *w, struct planned *p, int i, int count)
{
    (void)i, (void)count;
    p->pod = world_pick(w, POD, 2);
    p->version = VERSION;
    p->self_ms += p->pod == POD ? world_latency(w, 20, 0.2) : 0;
}

static void one_of_two_pods(void **state)
{
    expect_first(*state, plant_half_of_the_pods, WHY_SENDER, POD);
}

/* ---- no single cause ---- */

static void plant_nothing(struct world *w, struct planned *p, int i, int count)
{
    (void)w, (void)p, (void)i, (void)count;
}

static void plant_evenly_slow(struct world *w, struct planned *p, int i, int count)
{
    (void)i, (void)count;
    p->self_ms += world_latency(w, 50, 0.02);
}

/* Its own time varies much, and with nothing. */
static void plant_evenly_erratic(struct world *w, struct planned *p, int i, int count)
{
    (void)i, (void)count;
    p->self_ms = -20 * log(1 - world_uniform(w));
}

static void expect_none(struct world *w, plant plant_cause, bool is_even)
{
    static const int counts[] = {60, 200, 500, 2000, 8000};

    for (uint64_t seed = 1; seed <= 5 * SEED_COUNT; seed++) {
        int count = counts[seed % 5];
        make(w, seed, count, plant_cause);
        struct why_result result = ask(w);
        if (result.verdict != WHY_NO_SINGLE_CAUSE) {
            describe(&result, seed, count);
            fail_msg("found a cause where there is none");
        }
        assert_true(!is_even || result.is_even);
        for (uint32_t i = 0; i < result.cause_count; i++) { /* no noise from a hundred features */
            assert_true(result.causes[i].is_part);
        }
        finish(w);
    }
}

static void evenly_slow(void **state)
{
    expect_none(*state, plant_evenly_slow, true);
}

static void evenly_erratic(void **state)
{
    expect_none(*state, plant_evenly_erratic, false);
}

static void nothing_wrong_at_all(void **state)
{
    struct world *w = *state;

    for (uint64_t seed = 1; seed <= SEED_COUNT; seed++) {
        make(w, seed, 3000, plant_nothing);
        struct why_result result = ask(w);
        for (uint32_t i = 0; i < result.cause_count; i++) {
            assert_true(result.causes[i].is_part);
        }
        finish(w);
    }
}

/* A failure here and there, of no reason that is known, does not hide the slow pod. */
static void plant_pod_and_failures(struct world *w, struct planned *p, int i, int count)
{
    plant_slow_pod(w, p, i, count);
    if (world_chance(w, 0.03)) {
        fail_fast(p, 0, 500, OUTCOME_SERVER_ERROR);
    }
}

static void failures_beside_a_slow_pod(void **state)
{
    expect_first(*state, plant_pod_and_failures, WHY_SENDER, POD + 2);
}

/* Most requests fail at once: those are not what slow is compared with. */
static void plant_pod_and_many_failures(struct world *w, struct planned *p, int i, int count)
{
    plant_slow_pod(w, p, i, count);
    if (world_chance(w, 0.7)) {
        fail_fast(p, 0, 500, OUTCOME_SERVER_ERROR);
    }
}

static void many_quick_failures(void **state)
{
    struct world *w = *state;

    make(w, 4, 6000, plant_pod_and_many_failures);
    struct why_result result = ask(w);
    assert_int_equal(result.causes[0].kind, WHY_SENDER);
    assert_true(result.usual_seconds > 0.005);
    assert_in_range(result.failing_count, 4000, 4400);
    finish(w);
}

/* ---- questions ---- */

static void a_bound_instead_of_a_quantile(void **state)
{
    struct world *w = *state;
    struct why_question question = {.service = SERVICE, .until_unix_ns = UINT64_MAX, .slow_ns = 25000000};
    struct why_result result;

    make(w, 8, 3000, plant_slow_pod);
    why_select(w->why, w->observations, &question);
    why_rank(w->why, &result);
    assert_true(result.threshold_seconds == 0.025);
    assert_true(result.slow_count > 300);
    assert_int_equal(result.causes[0].kind, WHY_SENDER);
    question.slow_ns = 3600000000000ull; /* nothing is that slow */
    why_select(w->why, w->observations, &question);
    why_rank(w->why, &result);
    assert_int_equal(result.slow_count, 0);
    assert_int_equal(result.verdict, WHY_NO_SINGLE_CAUSE);
    finish(w);
}

static void windows_and_services(void **state)
{
    struct world *w = *state;
    struct why_question question = {.service = SERVICE, .until_unix_ns = WORLD_START_NS};
    struct why_result result;

    make(w, 8, 3000, plant_slow_pod);
    why_select(w->why, w->observations, &question); /* before all of it */
    why_rank(w->why, &result);
    assert_int_equal(result.verdict, WHY_NO_REQUESTS);
    assert_int_equal(result.request_count, 0);
    question = (struct why_question){.service = 77, .until_unix_ns = UINT64_MAX};
    why_select(w->why, w->observations, &question);
    why_rank(w->why, &result);
    assert_int_equal(result.verdict, WHY_NO_REQUESTS);
    question = (struct why_question){.service = SERVICE, .service_namespace = 5, .until_unix_ns = UINT64_MAX};
    why_select(w->why, w->observations, &question);
    why_rank(w->why, &result);
    assert_int_equal(result.request_count, 0);
    question.any_namespace = true;
    why_select(w->why, w->observations, &question);
    why_rank(w->why, &result);
    assert_int_equal(result.request_count, 3000);
    finish(w);
}

/* A service whose own side nobody reports: its callers' spans answer. */
static void seen_by_callers_alone(void **state)
{
    struct world *w = *state;

    world_start(w, 2);
    for (int i = 0; i < 2000; i++) {
        bool slow = i % 20 == 3;
        struct observation o = {
            .end_unix_ns = WORLD_START_NS + (uint64_t)i * 10000000,
            .duration_ns = slow ? 60000000 : 5000000 + (uint64_t)i,
            .service = SERVICE,
            .caller = world_pick(w, CALLER, CALLER_COUNT),
            .route = slow ? ROUTE + 1 : world_pick(w, ROUTE, ROUTE_COUNT),
            .side = TIMING_CLIENT,
            .has_self = true,
            .callees = {{.service = SERVICE, .own_us = slow ? 60000 : 5000}},
        };
        observations_add(w->observations, &o);
    }
    struct why_result result = ask(w);

    assert_int_equal(result.seen_by, WHY_SEEN_BY_CALLERS);
    assert_int_equal(result.causes[0].kind, WHY_ROUTE);
    assert_int_equal(result.causes[0].value, ROUTE + 1);
    struct why_question question = {.service = CALLER + 2, .until_unix_ns = UINT64_MAX};
    why_select(w->why, w->observations, &question);
    why_rank(w->why, &result);
    assert_int_equal(result.seen_by, WHY_SEEN_AS_CALLER);
    assert_in_range(result.request_count, 350, 650);
    finish(w);
}

static void all_of_one_length(void **state)
{
    struct world *w = *state;

    world_start(w, 2);
    for (int i = 0; i < 1000; i++) {
        struct observation o = {.end_unix_ns = 1, .service = SERVICE, .side = TIMING_SERVER};
        observations_add(w->observations, &o);
    }
    struct why_result result = ask(w);

    assert_int_equal(result.verdict, WHY_NO_SINGLE_CAUSE);
    assert_true(result.is_even);
    assert_int_equal(result.slow_count, 0);
    finish(w);
}

/* ---- attributes ---- */

static void plant_some_slow(struct world *w, struct planned *p, int i, int count)
{
    (void)w, (void)count;
    p->self_ms += i % 25 == 0 ? 40 : 0;
}

static void attributes_of_samples(void **state)
{
    struct world *w = *state;
    struct why_question question = {.service = SERVICE, .until_unix_ns = UINT64_MAX};
    struct why_result result;
    char text[32];

    make(w, 8, 5000, plant_some_slow);
    why_select(w->why, w->observations, &question);
    assert_int_equal(why_sample_count(w->why, true), 50);
    assert_int_equal(why_sample_count(w->why, false), WHY_SAMPLE_COUNT);
    for (int slow = 1; slow >= 0; slow--) {
        for (uint32_t i = 0; i < why_sample_count(w->why, slow); i++) {
            assert_int_equal(why_sample_trace_id(w->why, slow, i)[0], 0xab);
            int length = snprintf(text, sizeof text, "request-%d-%u", slow, i);
            why_add_attribute(w->why, slow, i, SLICE_LITERAL("request.id"), slice_of(text, (size_t)length));
            for (int again = 0; again < 3; again++) {
                why_add_attribute(w->why, slow, i, SLICE_LITERAL("tenant"),
                    slow && i % 10 != 0 ? SLICE_LITERAL("acme") : SLICE_LITERAL("others"));
            }
        }
    }
    why_add_attribute(w->why, true, 50, SLICE_LITERAL("tenant"), SLICE_LITERAL("no such sample"));
    why_rank(w->why, &result);
    const struct why_cause *first = &result.causes[0];

    assert_int_equal(result.verdict, WHY_CAUSE_FOUND);
    assert_int_equal(first->kind, WHY_ATTRIBUTE);
    assert_true(slice_equal(first->key, SLICE_LITERAL("tenant")));
    assert_true(slice_equal(first->text, SLICE_LITERAL("acme")));
    assert_true(fabs(first->share_slow - 0.9) < 1e-9);
    assert_int_equal(first->slow_count, 45);
    assert_int_equal(result.features_cut, 1);
    for (uint32_t i = 1; i < result.cause_count; i++) {
        assert_int_not_equal(result.causes[i].kind, WHY_ATTRIBUTE);
    }
    finish(w);
}

static void attributes_without_end(void **state)
{
    struct world *w = *state;
    struct why_question question = {.service = SERVICE, .until_unix_ns = UINT64_MAX};
    struct why_result result;
    uint8_t text[300];

    make(w, 8, 5000, plant_some_slow);
    why_select(w->why, w->observations, &question);
    memset(text, 'x', sizeof text);
    why_add_attribute(w->why, true, 0, slice_of(text, 300), slice_of(text, 1));
    why_add_attribute(w->why, true, 0, slice_of(text, 1), slice_of(text, 300));
    why_add_attribute(w->why, true, 0, slice_of(NULL, 0), slice_of(text, 1));
    why_add_attribute(w->why, true, 0, slice_of(text, 1), slice_of(NULL, 0));
    for (unsigned i = 0; i < 2 * WHY_FEATURE_COUNT_MAX; i++) {
        memcpy(text, &i, sizeof i);
        why_add_attribute(w->why, true, i % 50, slice_of(text, 128), slice_of(text, 100));
    }
    why_rank(w->why, &result);
    assert_true(result.features_cut > WHY_FEATURE_COUNT_MAX);
    for (uint32_t i = 0; i < result.cause_count; i++) {
        assert_int_not_equal(result.causes[i].kind, WHY_ATTRIBUTE);
    }
    finish(w);
}

/* More pods than are told apart: what is past the table is counted, and nothing breaks. */
static void plant_many_pods(struct world *w, struct planned *p, int i, int count)
{
    (void)w, (void)count;
    p->pod = 10000 + (uint32_t)i;
    p->self_ms += i % 25 == 0 ? 40 : 0;
}

static void more_pods_than_are_told_apart(void **state)
{
    struct world *w = *state;

    make(w, 8, 2 * WHY_FEATURE_COUNT_MAX, plant_many_pods);
    struct why_result result = ask(w);

    assert_true(result.features_cut > WHY_FEATURE_COUNT_MAX / 2);
    assert_int_equal(result.verdict, WHY_NO_SINGLE_CAUSE);
    finish(w);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(slow_pod),
        TEST(slow_route),
        TEST(slow_callee),
        TEST(retries),
        TEST(retries_without_attempts),
        TEST(one_caller),
        TEST(one_version),
        TEST(network_delay),
        TEST(network_delay_from_a_caller),
        TEST(queueing),
        TEST(circuit_breaker),
        TEST(circuit_breaker_at_the_callers),
        TEST(rate_limit),
        TEST(slow_pod_that_serves_one_route_more),
        TEST(slow_route_that_one_pod_serves_more),
        TEST(slow_pod_that_calls_slowly),
        TEST(the_only_route_that_calls_a_slow_service),
        TEST(one_of_two_pods),
        TEST(evenly_slow),
        TEST(evenly_erratic),
        TEST(nothing_wrong_at_all),
        TEST(failures_beside_a_slow_pod),
        TEST(many_quick_failures),
        TEST(a_bound_instead_of_a_quantile),
        TEST(windows_and_services),
        TEST(seen_by_callers_alone),
        TEST(all_of_one_length),
        TEST(attributes_of_samples),
        TEST(attributes_without_end),
        TEST(more_pods_than_are_told_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
