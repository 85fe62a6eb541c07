/* Consistent probability, held against the specification's own table and rules. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "trace/baseline.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static struct slice text(const char *string)
{
    return slice_of_string(string);
}

/* A trace id whose last 56 bits are `random`; the rest must not matter. */
static const uint8_t *id_of(uint64_t random)
{
    static uint8_t id[16];

    memset(id, 0xa5, sizeof id);
    for (size_t i = 0; i < 7; i++) {
        id[15 - i] = (uint8_t)(random >> 8 * i);
    }
    return id;
}

/* "Converting floating-point probability to threshold value": 1 in N, precision 4. */
static void test_thresholds_of_the_specification(void **state)
{
    static const struct {
        uint64_t parts;
        uint64_t threshold;
    } rows[] = {
        {1000000000, 0},
        {500000000, 0x80000000000000},
        {333333333, 0xaaab0000000000},
        {250000000, 0xc0000000000000},
        {200000000, 0xcccd0000000000},
        {125000000, 0xe0000000000000},
        {100000000, 0xe6660000000000},
        {62500000, 0xf0000000000000},
        {10000000, 0xfd70a000000000},
        {1000000, 0xffbe7700000000},
        {100000, 0xfff97240000000},
        {10000, 0xffff583a000000},
        {1000, 0xffffef39000000},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t got = baseline_threshold(rows[i].parts);

        if (got != rows[i].threshold) {
            fail_msg("%" PRIu64 " parts: %014" PRIx64, rows[i].parts, got);
        }
    }
    assert_true(baseline_threshold(0) == SAMPLING_THRESHOLD_END);
    assert_true(baseline_threshold(UINT64_MAX) == 0);
    assert_true(baseline_threshold(1) < SAMPLING_THRESHOLD_END); /* one in 10^9 is more than none */
    assert_true(baseline_threshold(999999999) < 0x00010000000000);
}

static void test_random_value(void **state)
{
    (void)state;
    assert_true(baseline_random(id_of(0x123456789abcde), text("")) == 0x123456789abcde);
    assert_true(baseline_random(id_of(0x123456789abcde), text("ot=th:c")) == 0x123456789abcde);
    assert_true(baseline_random(id_of(1), text("a=b,ot=th:c;rv:fedcba98765432")) == 0xfedcba98765432);
    assert_true(baseline_random(id_of(1), text("ot=rv:123")) == 1); /* malformed: as if it were not there */
    assert_true(baseline_random(id_of(1), text("\xff\x00;;,,==")) == 1);
}

static void test_decision(void **state)
{
    const uint64_t half = baseline_threshold(500000000);

    (void)state;
    assert_true(baseline_keeps(half, id_of(0x80000000000000), text("")));
    assert_false(baseline_keeps(half, id_of(0x7fffffffffffff), text("")));
    assert_true(baseline_keeps(half, id_of(0), text("ot=rv:ffffffffffffff")));
    assert_false(baseline_keeps(half, id_of(0xffffffffffffff), text("ot=rv:00000000000000")));
    assert_true(baseline_keeps(0, id_of(0), text("")));
    assert_false(baseline_keeps(SAMPLING_THRESHOLD_END, id_of(0xffffffffffffff), text("")));
}

/* A greater probability keeps all that a smaller one keeps. */
static void test_decisions_are_consistent(void **state)
{
    static const uint64_t parts[] = {1000, 1000000, 10000000, 100000000, 500000000, 999999999};
    uint64_t random = 88172645463325252ull;
    uint32_t kept[COUNT_OF(parts)] = {0};
    enum { TRACES = 200000 };

    (void)state;
    for (int i = 0; i < TRACES; i++) {
        bool before = false;

        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        for (size_t p = 0; p < COUNT_OF(parts); p++) {
            bool keeps = baseline_keeps(baseline_threshold(parts[p]), id_of(random >> 8), text(""));

            assert_true(keeps || !before);
            before = keeps;
            kept[p] += keeps;
        }
    }
    assert_in_range(kept[3], TRACES / 10 - TRACES / 100, TRACES / 10 + TRACES / 100);
    assert_in_range(kept[4], TRACES / 2 - TRACES / 100, TRACES / 2 + TRACES / 100);
}

static void expect_tracestate(uint64_t threshold, uint64_t random, const char *own, const char *expected)
{
    char out[BASELINE_TRACESTATE_BYTES_MAX];
    int length = baseline_tracestate(threshold, id_of(random), text(own), out);

    if (expected == NULL) {
        assert_int_equal(length, -1);
        return;
    }
    if (length != (int)strlen(expected) || memcmp(out, expected, (size_t)length) != 0) {
        fail_msg("\"%s\" became \"%.*s\", expected \"%s\"", own, length > 0 ? length : 0, out, expected);
    }
}

#define KEPT 0xffffffffffff00
#define NOT_KEPT 0x00000000000100

static void test_weight_is_carried(void **state)
{
    const uint64_t thousandth = baseline_threshold(1000000);

    (void)state;
    expect_tracestate(thousandth, KEPT, "", "ot=th:ffbe77");
    expect_tracestate(thousandth, KEPT, "ot=th:0", "ot=th:ffbe77");
    expect_tracestate(thousandth, KEPT, "ot=th:c", "ot=th:ffbe77"); /* raised, from 1 in 4 */
    expect_tracestate(thousandth, KEPT, "ot=th:ffff", NULL);        /* sampled more than we do */
    expect_tracestate(thousandth, KEPT, "ot=th:ffbe77", NULL);
    expect_tracestate(thousandth, KEPT, "a=1 , ot=p:8; th:c;rv:ffffffffffff00,b=2",
        "ot=th:ffbe77;p:8;rv:ffffffffffff00,a=1,b=2");
    expect_tracestate(thousandth, KEPT, "a=1,b=2", "ot=th:ffbe77,a=1,b=2");
    expect_tracestate(0, NOT_KEPT, "", "ot=th:0"); /* probability 1 */
    expect_tracestate(
        baseline_threshold(500000000), 0x90000000000000, "ot=th:c", "ot=th:8"); /* own contradicts */
}

static void test_unknown_probability_erases(void **state)
{
    const uint64_t thousandth = baseline_threshold(1000000);

    (void)state;
    expect_tracestate(thousandth, NOT_KEPT, "", NULL);
    expect_tracestate(thousandth, NOT_KEPT, "a=1", NULL);
    expect_tracestate(thousandth, NOT_KEPT, "ot=th:0", "");
    expect_tracestate(thousandth, NOT_KEPT, "a=1,ot=th:0", "a=1");
    expect_tracestate(thousandth, KEPT, "ot=th:0;rv:00000000000100,a=1", "ot=rv:00000000000100,a=1");
    expect_tracestate(SAMPLING_THRESHOLD_END, KEPT, "ot=th:c;k:v", "ot=k:v"); /* no baseline at all */
}

static void test_limits_and_garbage(void **state)
{
    const uint64_t thousandth = baseline_threshold(1000000);
    char own[1024];

    (void)state;
    memset(own, 'x', sizeof own);
    memcpy(own, "a=", 2);
    own[BASELINE_TRACESTATE_BYTES_MAX - 4] = '\0'; /* no room for another member */
    expect_tracestate(thousandth, KEPT, own, NULL);
    memset(own, 'x', sizeof own);
    memcpy(own, "ot=k:", 5);
    own[BASELINE_MEMBER_BYTES_MAX + 3] = '\0'; /* full already */
    expect_tracestate(thousandth, KEPT, own, NULL);
    expect_tracestate(thousandth, KEPT, ",,, ;;;=\t", "ot=th:ffbe77,;;;=");
    expect_tracestate(thousandth, KEPT, "ot=th:xyz", "ot=th:ffbe77");
    expect_tracestate(thousandth, KEPT, "ot=;;;", "ot=th:ffbe77");
    expect_tracestate(thousandth, KEPT, "ot=th:c,ot=th:8", "ot=th:ffbe77"); /* a key may stand once only */
}

static void test_thresholds_as_numbers(void **state)
{
    const uint64_t thousandth = baseline_threshold(1000000);

    (void)state;
    assert_true(baseline_outgoing(thousandth, id_of(KEPT), 0) == thousandth);
    assert_true(baseline_outgoing(thousandth, id_of(KEPT), 0xc0000000000000) == thousandth);
    assert_true(baseline_outgoing(thousandth, id_of(KEPT), 0xffff0000000000) == 0xffff0000000000);
    assert_true(baseline_outgoing(thousandth, id_of(KEPT), 0xffffffffffffff) == thousandth); /* contradicts */
    assert_true(baseline_outgoing(thousandth, id_of(NOT_KEPT), 0) == 0);
    assert_true(baseline_outgoing(thousandth, id_of(NOT_KEPT), 0xc0000000000000) == 0);
    assert_true(baseline_outgoing(SAMPLING_THRESHOLD_END, id_of(KEPT), 0xc0000000000000) == 0);
    assert_true(baseline_outgoing(0, id_of(NOT_KEPT), 0) == 0); /* all are kept: nothing to tell */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thresholds_of_the_specification),
        cmocka_unit_test(test_random_value),
        cmocka_unit_test(test_decision),
        cmocka_unit_test(test_decisions_are_consistent),
        cmocka_unit_test(test_weight_is_carried),
        cmocka_unit_test(test_unknown_probability_erases),
        cmocka_unit_test(test_limits_and_garbage),
        cmocka_unit_test(test_thresholds_as_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
