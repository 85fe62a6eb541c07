/* Fisher's exact test against counting every draw, and Mantel and Haenszel's against worked examples. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <math.h>

#include "trace/why_statistics.h"

/* n over k, by Pascal's rule: exact in a double for what is asked here. */
static double choose(unsigned n, unsigned k)
{
    double row[64] = {1};

    for (unsigned i = 1; i <= n; i++) {
        for (unsigned j = i; j > 0; j--) {
            row[j] += row[j - 1];
        }
    }
    return k <= n ? row[k] : 0;
}

static double counted_chance(unsigned slow_with, unsigned slow, unsigned rest_with, unsigned rest)
{
    unsigned with = slow_with + rest_with;
    double sum = 0;

    for (unsigned k = slow_with; k <= slow && k <= with; k++) {
        sum += choose(with, k) * choose(slow + rest - with, slow - k);
    }
    return sum / choose(slow + rest, slow);
}

static void fisher_equals_counting(void **state)
{
    (void)state;
    for (unsigned slow = 1; slow <= 12; slow++) {
        for (unsigned rest = 1; rest <= 20; rest += 3) {
            for (unsigned a = 0; a <= slow; a++) {
                for (unsigned b = 0; b <= rest; b++) {
                    struct two_by_two table = {
                        .slow_with = a, .slow_count = slow, .rest_with = b, .rest_count = rest};
                    double expected = counted_chance(a, slow, b, rest);
                    assert_true(fabs(fisher_chance(&table) - expected) <= 1e-9 * expected + 1e-15);
                }
            }
        }
    }
}

static void fisher_of_known_tables(void **state)
{
    struct two_by_two tea = {.slow_with = 4, .slow_count = 4, .rest_with = 0, .rest_count = 4};
    struct two_by_two large = {.slow_with = 300, .slow_count = 300, .rest_with = 2000, .rest_count = 30000};
    struct two_by_two even = {
        .slow_with = 1000, .slow_count = 10000, .rest_with = 100000, .rest_count = 1000000};

    (void)state;
    assert_true(fabs(fisher_chance(&tea) - 1.0 / 70) < 1e-12); /* the lady tasting tea */
    assert_true(fisher_chance(&large) < 1e-300);
    assert_true(fabs(fisher_chance(&even) - 0.5) < 0.02);
}

static void fisher_of_nonsense(void **state)
{
    struct two_by_two empty = {.rest_count = 5};
    struct two_by_two too_many = {.slow_with = 6, .slow_count = 5, .rest_count = 5};
    struct two_by_two none_has_it = {.slow_count = 5, .rest_count = 5};

    (void)state;
    assert_true(fisher_chance(&empty) == 1);
    assert_true(fisher_chance(&too_many) == 1);
    assert_true(fisher_chance(&none_has_it) == 1);
}

static void strata_without_a_difference(void **state)
{
    /* Together 18 of 20 against 20 of 120, but the same share in each stratum. */
    struct two_by_two strata[2] = {
        {.slow_with = 18, .slow_count = 18, .rest_with = 10, .rest_count = 10},
        {.slow_with = 0, .slow_count = 2, .rest_with = 0, .rest_count = 110},
    };
    struct two_by_two even[2] = {
        {.slow_with = 10, .slow_count = 20, .rest_with = 50, .rest_count = 100},
        {.slow_with = 1, .slow_count = 10, .rest_with = 10, .rest_count = 100},
    };

    (void)state;
    assert_true(mantel_haenszel_chance(strata, 2) == 1);
    assert_true(fabs(mantel_haenszel_chance(even, 2) - 0.5) < 1e-12);
    assert_true(mantel_haenszel_chance(NULL, 0) == 1);
}

static void strata_with_a_difference(void **state)
{
    /* One stratum: (8 - 10 · 9 / 30) / sqrt(10 · 20 · 9 · 21 / (900 · 29)) = 5 / 1.2034 */
    struct two_by_two one = {.slow_with = 8, .slow_count = 10, .rest_with = 1, .rest_count = 20};
    double z = 5 / sqrt(37800.0 / 26100);

    (void)state;
    assert_true(fabs(mantel_haenszel_chance(&one, 1) - erfc(z / sqrt(2)) / 2) < 1e-12);
    assert_true(mantel_haenszel_chance(&one, 1) < 0.0001);
    struct two_by_two less = {.slow_with = 0, .slow_count = 10, .rest_with = 15, .rest_count = 20};
    assert_true(mantel_haenszel_chance(&less, 1) > 0.99);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fisher_equals_counting),
        cmocka_unit_test(fisher_of_known_tables),
        cmocka_unit_test(fisher_of_nonsense),
        cmocka_unit_test(strata_without_a_difference),
        cmocka_unit_test(strata_with_a_difference),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
