/* Attempts meet their request, or come out without one: none is lost, none counted twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "context/pending_attempts.h"

enum { REQUEST_COUNT = 20000 };

struct fixture {
    struct pending_attempts pending;
    struct pending_attempts_sink sink;
    uint64_t out_count;
    uint32_t last_route;
};

static void on_out(void *user, const struct attempt *attempt, uint32_t count)
{
    struct fixture *fixture = user;

    fixture->out_count += count;
    fixture->last_route = attempt->route;
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    fixture->sink = (struct pending_attempts_sink){.out = on_out, .user = fixture};
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

/* Request `number` of a trace of its own, or, with is_attempt, an attempt below it. */
static struct span span_of(uint32_t number, bool is_attempt)
{
    struct span span = {.kind = SPAN_KIND_CLIENT};

    memcpy(span.trace_id, &number, sizeof number);
    span.trace_id[15] = 1;
    uint8_t *request_id = is_attempt ? span.parent_id : span.span_id;
    memcpy(request_id, &number, sizeof number);
    request_id[7] = 1;
    return span;
}

static void add(struct fixture *fixture, uint32_t number, uint64_t now_ns)
{
    struct span span = span_of(number, true);
    struct attempt attempt = {.route = number, .weight = WEIGHT_ONE};

    pending_attempts_add(&fixture->pending, &span, &attempt, now_ns, &fixture->sink);
}

static uint32_t take(struct fixture *fixture, uint32_t number)
{
    struct span span = span_of(number, false);

    return pending_attempts_take(&fixture->pending, &span);
}

static void a_request_takes_its_attempts_once(void **state)
{
    struct fixture *fixture = *state;

    add(fixture, 7, 1);
    add(fixture, 8, 1);
    add(fixture, 7, 2);
    assert_int_equal(take(fixture, 9), 0);
    assert_int_equal(take(fixture, 7), 2);
    assert_int_equal(take(fixture, 7), 0);
    assert_int_equal(take(fixture, 8), 1);
    assert_int_equal(fixture->pending.held_count, 0);
    assert_int_equal(fixture->out_count, 0);
}

static void the_same_span_id_in_another_trace_is_another_request(void **state)
{
    struct fixture *fixture = *state;
    struct span other = span_of(7, false);

    add(fixture, 7, 1);
    other.trace_id[10] = 9;
    assert_int_equal(pending_attempts_take(&fixture->pending, &other), 0);
    assert_int_equal(take(fixture, 7), 1);
}

static void without_a_request_they_come_out_after_a_while(void **state)
{
    struct fixture *fixture = *state;

    add(fixture, 7, 0);
    add(fixture, 7, 0);
    add(fixture, 8, PENDING_ATTEMPTS_AGE_NS);
    pending_attempts_expire(&fixture->pending, PENDING_ATTEMPTS_AGE_NS, &fixture->sink);
    assert_int_equal(fixture->out_count, 0);
    pending_attempts_expire(&fixture->pending, PENDING_ATTEMPTS_AGE_NS + 1, &fixture->sink);
    assert_int_equal(fixture->out_count, 2);
    assert_int_equal(fixture->last_route, 7);
    assert_int_equal(take(fixture, 7), 0);
    pending_attempts_expire(&fixture->pending, UINT64_MAX, &fixture->sink);
    assert_int_equal(fixture->out_count, 3);
    assert_int_equal(fixture->pending.held_count, 0);
}

static void an_attempt_without_a_parent_does_not_wait(void **state)
{
    struct fixture *fixture = *state;
    struct span span = span_of(7, true);
    struct attempt attempt = {.route = 7};

    memset(span.parent_id, 0, sizeof span.parent_id);
    pending_attempts_add(&fixture->pending, &span, &attempt, 1, &fixture->sink);
    assert_int_equal(fixture->out_count, 1);
    assert_int_equal(fixture->pending.held_count, 0);
}

static void past_the_places_the_oldest_come_out_and_the_sum_holds(void **state)
{
    struct fixture *fixture = *state;
    uint64_t taken_count = 0;

    for (uint32_t number = 1; number <= REQUEST_COUNT; number++) {
        add(fixture, number, number);
        assert_true(fixture->pending.held_count <= PENDING_ATTEMPTS_COUNT_MAX);
    }
    assert_true(fixture->out_count > 0);
    for (uint32_t number = 1; number <= REQUEST_COUNT; number++) {
        taken_count += take(fixture, number);
    }
    assert_true(taken_count > PENDING_ATTEMPTS_COUNT_MAX / 2);
    assert_int_equal(taken_count + fixture->out_count, REQUEST_COUNT);
    assert_int_equal(fixture->pending.held_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_request_takes_its_attempts_once, setup, teardown),
        cmocka_unit_test_setup_teardown(
            the_same_span_id_in_another_trace_is_another_request, setup, teardown),
        cmocka_unit_test_setup_teardown(without_a_request_they_come_out_after_a_while, setup, teardown),
        cmocka_unit_test_setup_teardown(an_attempt_without_a_parent_does_not_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(
            past_the_places_the_oldest_come_out_and_the_sum_holds, setup, teardown),
    };
    return cmocka_run_group_tests_name("pending_attempts", tests, NULL, NULL);
}
