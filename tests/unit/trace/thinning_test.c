/* Which traces are joined when more spans come than may be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "trace/thinning.h"

#define SECOND_NS 1000000000ull

enum { RATE = 1000, TICK_MS = 100, TRACES = 65536 };

/* A second of `rate` spans a second, each a trace of its own, in ticks; returns how many were joined. */
static uint64_t run_second(struct thinning *thinning, uint64_t *now_ns, uint64_t rate)
{
    uint64_t joined = 0;
    static uint32_t next;

    for (uint32_t tick = 0; tick < 1000 / TICK_MS; tick++) {
        uint64_t count = 0;
        for (uint64_t i = 0; i < rate * TICK_MS / 1000; i++) {
            uint8_t trace_id[16] = {0};
            next = next * 1664525u + 1013904223u;
            trace_id[14] = (uint8_t)(next >> 24);
            trace_id[15] = (uint8_t)(next >> 16);
            count += thinning_keeps(thinning, trace_id);
        }
        thinning_count(thinning, count);
        *now_ns += TICK_MS * (SECOND_NS / 1000);
        thinning_tick(thinning, *now_ns);
        joined += count;
    }
    return joined;
}

static void test_all_below_the_rate(void **state)
{
    struct thinning thinning;
    uint64_t now_ns = SECOND_NS;

    (void)state;
    thinning_init(&thinning, RATE);
    for (int second = 0; second < 20; second++) {
        assert_int_equal(run_second(&thinning, &now_ns, RATE * 9 / 10), RATE * 9 / 10);
    }
}

static void test_a_share_above_it(void **state)
{
    struct thinning thinning;
    uint64_t now_ns = SECOND_NS;

    (void)state;
    thinning_init(&thinning, RATE);
    for (int second = 0; second < 3; second++) {
        (void)run_second(&thinning, &now_ns, 100 * RATE);
    }
    for (int second = 0; second < 20; second++) {
        uint64_t joined = run_second(&thinning, &now_ns, 100 * RATE);
        assert_in_range(joined, RATE / 4, 2 * RATE);
    }
}

static void test_all_again_when_it_is_quiet(void **state)
{
    struct thinning thinning;
    uint64_t now_ns = SECOND_NS;

    (void)state;
    thinning_init(&thinning, RATE);
    for (int second = 0; second < 3; second++) {
        (void)run_second(&thinning, &now_ns, 100 * RATE);
    }
    for (int second = 0; second < THINNING_BITS_MAX; second++) {
        (void)run_second(&thinning, &now_ns, RATE / 10);
    }
    assert_int_equal(run_second(&thinning, &now_ns, RATE / 10), RATE / 10);
}

/* A trace that is joined while few are, is joined while more are: what is halved is what there was. */
static void test_shares_hold_each_other(void **state)
{
    struct thinning few;
    struct thinning more;

    (void)state;
    thinning_init(&few, 1);
    thinning_init(&more, 1);
    for (uint64_t i = 1; i <= 6; i++) {
        thinning_count(&few, 2);
        thinning_tick(&few, i);
        if (i <= 3) {
            thinning_count(&more, 2);
            thinning_tick(&more, i);
        }
    }
    uint32_t few_count = 0;
    for (uint32_t i = 0; i < TRACES; i++) {
        uint8_t trace_id[16] = {[14] = (uint8_t)(i >> 8), [15] = (uint8_t)i};
        if (thinning_keeps(&few, trace_id)) {
            few_count++;
            assert_true(thinning_keeps(&more, trace_id));
        }
    }
    assert_in_range(few_count, (TRACES >> 6) / 2, (TRACES >> 6) * 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_below_the_rate),
        cmocka_unit_test(test_a_share_above_it),
        cmocka_unit_test(test_all_again_when_it_is_quiet),
        cmocka_unit_test(test_shares_hold_each_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
