/* One rate, several services: who floods takes no one's share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "trace/rate_share.h"

#define MS 1000000ull
#define S 1000000000ull

enum { RATE = 100, LOUD = 7, QUIET = 8 };

/* How many of `asks` are granted. */
static uint32_t ask(struct rate_share *share, uint32_t service, uint32_t asks, uint64_t now_ns)
{
    uint32_t granted = 0;

    for (uint32_t i = 0; i < asks; i++) {
        granted += rate_share_take(share, service, now_ns);
    }
    return granted;
}

/* A service that asks for all that there is, every 10 ms, from `from_ns` for `for_ns`. */
static uint32_t flood(struct rate_share *share, uint32_t service, uint64_t from_ns, uint64_t for_ns)
{
    uint32_t granted = 0;

    for (uint64_t passed_ns = 0; passed_ns < for_ns; passed_ns += 10 * MS) {
        granted += ask(share, service, 1000, from_ns + passed_ns);
    }
    return granted;
}

static void test_alone_gets_the_whole_rate(void **state)
{
    struct rate_share share;

    (void)state;
    rate_share_init(&share, RATE, S);
    uint32_t burst = flood(&share, LOUD, S, 10 * S);
    uint32_t after = flood(&share, LOUD, 11 * S, 10 * S);

    assert_in_range(burst, 10 * RATE - 2, 12 * RATE); /* with the burst of 2 s */
    assert_in_range(after, 10 * RATE - 2, 10 * RATE + 2);
}

static void test_burst_is_bounded(void **state)
{
    struct rate_share share;
    uint32_t granted;

    (void)state;
    rate_share_init(&share, RATE, 0);
    granted = ask(&share, LOUD, 100000, 0);
    assert_in_range(granted, RATE, RATE * RATE_SHARE_BURST_MS / 1000);
    /* After a rest of any length no more than that again. */
    granted = ask(&share, LOUD, 100000, 3600 * S);
    assert_in_range(granted, RATE, RATE * RATE_SHARE_BURST_MS / 1000);
}

static void test_quiet_one_always_gets_its_share(void **state)
{
    struct rate_share share;
    uint64_t now_ns = S;

    (void)state;
    rate_share_init(&share, RATE, now_ns);
    uint32_t loud = flood(&share, LOUD, now_ns, 20 * S);
    assert_true(loud >= 20 * RATE);
    now_ns += 20 * S;
    /* One trace every 100 ms, far below its share: each is granted, from the first on. */
    for (int i = 0; i < 300; i++) {
        assert_true(ask(&share, LOUD, 5000, now_ns) <= RATE);
        assert_true(rate_share_take(&share, QUIET, now_ns));
        now_ns += 100 * MS;
    }
}

static void test_two_loud_ones_halve_it(void **state)
{
    struct rate_share share;
    uint32_t granted[2] = {0, 0};

    (void)state;
    rate_share_init(&share, RATE, 0);
    for (uint64_t now_ns = 0; now_ns < 60 * S; now_ns += 10 * MS) {
        granted[0] += ask(&share, LOUD, 1000, now_ns); /* asks first each time, and more often */
        granted[1] += ask(&share, QUIET, 10, now_ns);
    }
    /* A third of the rate each is its own; the newcomers' third is lent to whoever asks first. */
    assert_true(granted[1] >= 60 * RATE / 3 - 2);
    assert_true(granted[0] >= 60 * RATE / 3 - 2);
    assert_in_range(granted[0] + granted[1], 60 * RATE - 4, 62 * RATE);
}

static void test_never_more_than_rate_and_burst(void **state)
{
    struct rate_share share;
    uint64_t granted = 0;
    uint32_t random = 1;

    (void)state;
    rate_share_init(&share, RATE, 0);
    for (uint64_t now_ns = 0; now_ns < 30 * S; now_ns += MS) {
        random = random * 1664525 + 1013904223;
        granted += ask(&share, random >> 20, 3, now_ns); /* 4096 services, far more than places */
    }
    /* Places hold at least one trace each: with 65 of them that is a little more than half of the burst. */
    assert_true(granted <= 30 * RATE + (RATE_SHARE_BURST_MS / 1000) * RATE + RATE_SHARE_PLACES_COUNT_MAX + 1);
    assert_true(granted >= 29 * RATE);
    assert_true(share.count == RATE_SHARE_PLACES_COUNT_MAX + 1);
}

static void test_services_past_the_table_share_one_place(void **state)
{
    struct rate_share share;

    (void)state;
    rate_share_init(&share, 6500, 0);
    for (uint32_t i = 0; i < RATE_SHARE_PLACES_COUNT_MAX; i++) {
        (void)rate_share_take(&share, 1000 + i, 0);
    }
    (void)flood(&share, 1000, 0, 5 * S); /* has what is lent */
    /* A hundredth of a second brings 65 traces, 1 for each place. */
    assert_int_equal(ask(&share, 5001, 50, 5 * S) + ask(&share, 5002, 50, 5 * S) > 0, 1);
    assert_int_equal(share.count, RATE_SHARE_PLACES_COUNT_MAX + 1);
    assert_true(ask(&share, 1001, 10, 5 * S) == 10); /* whoever has a place has its own */
}

static void test_idle_places_are_given_up(void **state)
{
    struct rate_share share;

    (void)state;
    rate_share_init(&share, RATE, 0);
    for (uint32_t i = 0; i < 40; i++) {
        (void)rate_share_take(&share, i, 0);
    }
    assert_int_equal(share.count, 41);
    (void)rate_share_take(&share, 3, 20 * S);
    (void)rate_share_take(&share, 4, 35 * S);
    assert_int_equal(share.count, 3); /* newcomers, 3, 4 */
    assert_true(rate_share_take(&share, 3, 35 * S));
}

static void test_odd_input(void **state)
{
    struct rate_share share;

    (void)state;
    rate_share_init(&share, 0, 0);
    assert_int_equal(ask(&share, 1, 100, 3600 * S), 0);
    /* The slowest rate: its burst is one trace here and one there, then one a second. */
    rate_share_init(&share, 1, 0);
    assert_in_range(ask(&share, 1, 100, 0), 1, 2);
    assert_int_equal(ask(&share, 1, 100, 100 * MS), 0);
    assert_in_range(flood(&share, 1, S, 60 * S), 58, 62);
    /* Time that goes back gives nothing. */
    assert_int_equal(ask(&share, 1, 100, 5 * S), 0);
    rate_share_init(&share, UINT32_MAX, 0);
    assert_int_equal(share.rate_per_s, RATE_SHARE_RATE_MAX);
    assert_true(ask(&share, 1, 10000, UINT64_MAX) == 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alone_gets_the_whole_rate),
        cmocka_unit_test(test_burst_is_bounded),
        cmocka_unit_test(test_quiet_one_always_gets_its_share),
        cmocka_unit_test(test_two_loud_ones_halve_it),
        cmocka_unit_test(test_never_more_than_rate_and_burst),
        cmocka_unit_test(test_services_past_the_table_share_one_place),
        cmocka_unit_test(test_idle_places_are_given_up),
        cmocka_unit_test(test_odd_input),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
