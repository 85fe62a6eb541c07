/* Held requests keep their order and their strings, whatever part of them is let go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "context/held_requests.h"
#include "core/error.h"

enum { COUNT_MAX = 5 * HELD_REQUESTS_CHUNK_COUNT };

struct fixture {
    struct budget budget;
    struct interner *interner;
    struct held_requests held;
};

static void start(struct fixture *fixture)
{
    *fixture = (struct fixture){.budget = {.cap_bytes = 1 << 24}};
    fixture->interner = interner_new(100000, &fixture->budget);
    assert_non_null(fixture->interner);
    held_requests_init(&fixture->held, fixture->interner, COUNT_MAX);
}

static void stop(struct fixture *fixture)
{
    held_requests_deinit(&fixture->held);
    interner_free(fixture->interner);
}

static void add(struct fixture *fixture, uint64_t number)
{
    struct request request = {.duration_ns = number};

    assert_int_equal(held_requests_add(&fixture->held, &request), 0);
}

/* Lets go of multiples of `step`; 0: of none, 1: of all. Checks that numbers rise. */
struct asking {
    uint64_t step;
    uint64_t last;
    uint64_t asked_count;
};

static bool ask(void *user, const struct request *request)
{
    struct asking *asking = user;

    assert_true(asking->asked_count == 0 || request->duration_ns > asking->last);
    asking->last = request->duration_ns;
    asking->asked_count++;
    return asking->step != 0 && request->duration_ns % asking->step == 0;
}

static uint64_t settle(struct fixture *fixture, uint64_t step)
{
    struct asking asking = {.step = step};

    held_requests_settle(&fixture->held, ask, &asking);
    return asking.asked_count;
}

static void some_go_and_the_rest_stays_in_order(void **state)
{
    struct fixture f;
    uint64_t next = 0;

    (void)state;
    start(&f);
    for (uint64_t step = 2; step < 12; step++) {
        for (int i = 0; i < 700 && f.held.count < COUNT_MAX; i++) {
            add(&f, next++);
        }
        size_t before = f.held.count;
        assert_int_equal(settle(&f, step), before);
        assert_int_equal(settle(&f, step), f.held.count); /* none of them is left */
        assert_true(f.held.count < before);
    }
    size_t rest = f.held.count;
    assert_int_equal(settle(&f, 1), rest);
    assert_int_equal(f.held.count, 0);
    assert_null(f.held.first);
    add(&f, next);
    assert_int_equal(settle(&f, 0), 1);
    stop(&f);
}

static void the_limit_refuses_and_loses_nothing(void **state)
{
    struct fixture f;
    struct request request = {.duration_ns = COUNT_MAX};

    (void)state;
    start(&f);
    for (uint64_t i = 0; i < COUNT_MAX; i++) {
        add(&f, i);
    }
    assert_int_equal(held_requests_add(&f.held, &request), WERR_FULL);
    assert_int_equal(settle(&f, 0), COUNT_MAX);
    stop(&f);
}

static void strings_live_as_long_as_they_are_held(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    uint32_t route = interner_intern(f.interner, slice_of_string("/orders/*"));
    struct request request = {.route = route, .duration_ns = 1};
    assert_int_equal(held_requests_add(&f.held, &request), 0);
    for (int i = 0; i < 20; i++) {
        interner_sweep(f.interner);
    }
    assert_true(slice_equal(interner_text(f.interner, route), slice_of_string("/orders/*")));
    assert_int_equal(settle(&f, 1), 1);
    for (int i = 0; i < 20; i++) {
        interner_sweep(f.interner);
    }
    assert_int_equal(interner_text(f.interner, route).length, 0);
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(some_go_and_the_rest_stays_in_order),
        cmocka_unit_test(the_limit_refuses_and_loses_nothing),
        cmocka_unit_test(strings_live_as_long_as_they_are_held),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
