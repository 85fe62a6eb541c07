/* How many traces others may have kept: the rates that the configuration gives, and whose share is whose. */
#include "tracing/notice_gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "config/config.h"

#define SECOND_NS 1000000000ull

enum { LOUD = 7, QUIET = 8, MANY = 1000000 };

static struct config config_of(uint64_t rate_per_s, size_t peers, uint64_t kept_max)
{
    return (struct config){
        .trace = {.rate_per_s = rate_per_s, .linger_ms = 30000, .peers = {.count = peers}},
        .limits = {.kept_traces_count_max = kept_max},
    };
}

/* What passes in ten seconds of a flood that begins with the burst of two. */
static uint32_t passes(const struct config *config, bool is_peer)
{
    struct notice_gate gate;
    uint32_t taken = 0;

    assert_int_equal(notice_gate_init(&gate, config, 0), 0);
    for (uint64_t now_ns = 0; now_ns <= 10 * SECOND_NS; now_ns += SECOND_NS / 10) {
        taken += notice_gate_take(&gate, is_peer, LOUD, MANY, now_ns);
    }
    notice_gate_deinit(&gate);
    return taken;
}

static void assert_near(uint32_t found, uint32_t wanted)
{
    assert_in_range(found, wanted - wanted / 20 - 2, wanted + wanted / 20 + 2);
}

static void the_rates_are_those_of_the_configuration(void **state)
{
    const struct config usual = config_of(10, 3, 65536);
    const struct config alone = config_of(10, 0, 65536);
    const struct config crowded = config_of(10000, 3, 60000);
    const struct config off = config_of(0, 3, 65536);
    const struct config tiny = config_of(10, 3, 1);

    (void)state;
    /* One who floods gets his own place's income and, once, half of the burst; the newcomers' place keeps
     * its. */
    assert_near(passes(&usual, false), 10 * 10 + 10);
    assert_true(passes(&usual, true) >= 3 * 10 * 10 * 5);
    assert_true(passes(&usual, true) <= 3 * 10 * 10 * 12);
    assert_true(passes(&alone, true) <= 10 * 10 * 12);
    assert_true(passes(&alone, true) >= 10 * 10 * 5);
    /* Never more than half of the table in the time for which traces linger: 1,000 a second. */
    assert_true(passes(&crowded, true) <= 1000 * 12);
    assert_true(passes(&crowded, true) >= 1000 * 5);
    assert_int_equal(passes(&off, true), 0);
    assert_int_equal(passes(&off, false), 0);
    assert_true(passes(&tiny, true) > 0 && passes(&tiny, true) <= 13);
}

static void a_loud_peer_leaves_the_others_their_share(void **state)
{
    const struct config config = config_of(10, 2, 65536); /* 200 a second */
    struct notice_gate gate;
    uint32_t loud = 0;

    (void)state;
    assert_int_equal(notice_gate_init(&gate, &config, 0), 0);
    for (uint64_t second = 1; second <= 20; second++) {
        loud += notice_gate_take(&gate, true, LOUD, MANY, second * SECOND_NS);
        /* It comes as a newcomer; from then on it has a place. */
        assert_int_equal(notice_gate_take(&gate, true, QUIET, 30, second * SECOND_NS), second == 1 ? 1 : 30);
        /* Operators have a rate of their own. */
        assert_int_equal(notice_gate_take(&gate, false, LOUD, 2, second * SECOND_NS), 2);
    }
    assert_true(loud > 1000 && loud <= 200 * 22);
    assert_int_equal(notice_gate_take(&gate, true, QUIET, 0, 21 * SECOND_NS), 0);
    notice_gate_deinit(&gate);
}

static void a_reload_changes_the_rates(void **state)
{
    const struct config slow = config_of(10, 3, 65536);
    const struct config fast = config_of(20, 3, 65536);
    struct notice_gate gate;

    (void)state;
    assert_int_equal(notice_gate_init(&gate, &slow, 0), 0);
    assert_near(notice_gate_take(&gate, false, LOUD, MANY, 0), 10);
    notice_gate_reconfigure(&gate, &slow, 0); /* the same: no burst anew */
    assert_int_equal(notice_gate_take(&gate, false, LOUD, MANY, 0), 0);
    notice_gate_reconfigure(&gate, &fast, 0);
    assert_near(notice_gate_take(&gate, false, LOUD, MANY, 0), 20);
    notice_gate_deinit(&gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rates_are_those_of_the_configuration),
        cmocka_unit_test(a_loud_peer_leaves_the_others_their_share),
        cmocka_unit_test(a_reload_changes_the_rates),
    };

    return cmocka_run_group_tests_name("notice_gate", tests, NULL, NULL);
}
