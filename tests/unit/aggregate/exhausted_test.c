/* Without a byte left in the budget: values still reach the aggregator, and what is idle still goes. */
#include "fixture.h"

enum { IDLE_COUNT = 1500 }; /* more than fit any list that was made with room */

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    limits_init(&f->limits);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture_stop(*state);
    free(*state);
    return 0;
}

/* All that is left; given back by the caller. */
static uint64_t take_the_rest(struct fixture *f)
{
    uint64_t rest = f->budget.cap_bytes - f->budget.used_bytes;

    assert_true(budget_reserve(&f->budget, rest));
    return rest;
}

static void record(struct fixture *f, const char *destination, int count)
{
    struct request request = fixture_request(f, 0, "pod-1", "a", destination, "/x");

    for (int i = 0; i < count; i++) {
        directory_record(f->directories[0], &request);
    }
}

static uint64_t requests(struct fixture *f)
{
    return fixture_find(f, "mesh_requests", NULL).sum;
}

/* Strings that go are told to the aggregator by the flip; it must not wait for memory to tell them. */
static void flips_go_on(void **state)
{
    struct fixture *f = *state;

    fixture_start(f, 1);
    record(f, "b", 3);
    for (int i = 0; i < 300; i++) {
        char text[24];

        (void)snprintf(text, sizeof(text), "%d", i);
        (void)interner_intern(f->interners[0], slice_of_string(text));
    }
    fixture_flip_all(f);
    uint64_t rest = take_the_rest(f);

    for (int i = 0; i < 8; i++) {
        record(f, "b", 1);
        struct delta *delta = directory_flip(f->directories[0]);

        assert_non_null(delta);
        aggregator_merge(f->aggregator, delta);
        directory_give_back(f->directories[0], delta);
    }
    assert_int_equal(requests(f), 11);
    fixture_check_ledger(f);
    budget_release(&f->budget, rest);
}

static void idle_series_go(void **state)
{
    struct fixture *f = *state;

    fixture_start(f, 1);
    for (int i = 0; i < IDLE_COUNT; i++) {
        char name[24];

        (void)snprintf(name, sizeof(name), "b-%d", i);
        record(f, name, 1);
    }
    fixture_flip_all(f);
    assert_int_equal(fixture_find(f, "mesh_requests", NULL).series, IDLE_COUNT);
    uint64_t rest = take_the_rest(f);

    for (int i = 0; i < 20; i++) {
        fixture_advance(f, 600 * SECOND_NS);
    }
    assert_int_equal(fixture_find(f, "mesh_requests", NULL).series, 0);
    assert_int_equal(aggregator_series_count(f->aggregator), 0);
    budget_release(&f->budget, rest);
}

/* Sampled attempts in overflow: what is below one is carried there, too. */
static void overflow_attempts_keep_their_fractions(void **state)
{
    struct fixture *f = *state;
    struct attempt attempt = {.reporter = REPORTER_SOURCE,
        .source = INTERNED_OVERFLOW,
        .destination = INTERNED_OVERFLOW,
        .weight = WEIGHT_ONE + WEIGHT_ONE / 2};

    fixture_start(f, 1);
    for (int i = 0; i < 1000; i++) {
        directory_record_attempt(f->directories[0], &attempt);
    }
    fixture_flip_all(f);
    assert_int_equal(fixture_find(f, "mesh_request_attempts", NULL).overflow, 1500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(flips_go_on, setup, teardown),
        cmocka_unit_test_setup_teardown(idle_series_go, setup, teardown),
        cmocka_unit_test_setup_teardown(overflow_attempts_keep_their_fractions, setup, teardown),
    };
    return cmocka_run_group_tests_name("exhausted", tests, NULL, NULL);
}
