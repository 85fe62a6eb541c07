/* Quantiles against the exact ones of sorted values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <math.h>

#include "core/error.h"
#include "histogram/quantile.h"
#include "random.h"

enum { VALUE_COUNT_MAX = 3000 };

static int ascending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void check_quantile(
    const struct histogram_flat *flat, const uint64_t *sorted_ns, size_t count, double q)
{
    size_t rank = (size_t)ceil(q * (double)count);
    uint64_t exact_ns = sorted_ns[rank > 0 ? rank - 1 : 0];
    double exact = (double)exact_ns / 1e9;
    double seconds = -1;
    int cell = -2;

    assert_int_equal(quantile_cell(flat, q, &cell), 0);
    assert_int_equal(cell, lattice_cell(exact_ns));
    assert_int_equal(quantile_seconds(flat, q, &seconds), 0);
    if (cell == LATTICE_CELL_ZERO) {
        assert_true(seconds == 0);
    } else if (!lattice_is_above_top(exact_ns)) {
        assert_true(fabs(seconds - exact) <= 0.011 * exact);
    }
}

static void within_the_bucket_of_the_exact_quantile(void **state)
{
    static const double quantiles[] = {0, 0.01, 0.07, 0.1, 0.25, 0.5, 0.55, 0.75, 0.9, 0.95, 0.99, 0.999, 1};
    struct budget budget = {.cap_bytes = 1 << 24};
    struct page_slab *slab = malloc(sizeof(*slab));
    struct split_bounds bounds;
    uint64_t values_ns[VALUE_COUNT_MAX];
    uint64_t random = 9;

    (void)state;
    assert_non_null(slab);
    page_slab_init(slab, &budget);
    assert_int_equal(split_bounds_init(&bounds, bounds_default_ns, bounds_default_count), 0);
    for (unsigned round = 0; round < 60; round++) {
        size_t count = round < 10 ? round + 1 : 1 + random_u64(&random) % VALUE_COUNT_MAX;
        struct histogram histogram = {.count = 0};
        struct histogram_flat flat = {.count = 0};

        for (size_t i = 0; i < count; i++) {
            values_ns[i] = random_near_bound_ns(&random, &bounds);
            assert_int_equal(histogram_record(&histogram, slab, &bounds, values_ns[i], 1), 0);
        }
        histogram_flat_merge(&flat, &histogram, slab);
        qsort(values_ns, count, sizeof(values_ns[0]), ascending);
        for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++) {
            check_quantile(&flat, values_ns, count, quantiles[i]);
        }
        histogram_release(&histogram, slab);
    }
    page_slab_deinit(slab);
    free(slab);
}

/* Both ends of every bucket are within 1.1 % of what the quantile answers. */
static void middles_are_near_the_ends(void **state)
{
    (void)state;
    for (int cell = 0; cell < LATTICE_CELL_COUNT; cell++) {
        double first = (double)(lattice_upper_ns(cell - 1) + 1) / 1e9;
        double last = (double)lattice_upper_ns(cell) / 1e9;

        assert_true(lattice_middle_seconds(cell) - first <= 0.011 * first);
        assert_true(last - lattice_middle_seconds(cell) <= 0.011 * last);
    }
}

static void ranks(void **state)
{
    (void)state;
    assert_int_equal(quantile_rank(0, 10), 1);
    assert_int_equal(quantile_rank(0.5, 10), 5);
    assert_int_equal(quantile_rank(0.51, 10), 6);
    assert_int_equal(quantile_rank(0.95, 20), 19);
    assert_int_equal(quantile_rank(1, 10), 10);
    assert_int_equal(quantile_rank(1, UINT64_MAX), UINT64_MAX);
    assert_int_equal(quantile_rank(1e-300, 10), 1);
}

static void bad_arguments(void **state)
{
    struct histogram_flat flat = {.count = 0};
    double seconds = 7;
    int cell = 7;

    (void)state;
    assert_int_equal(quantile_seconds(&flat, 0.5, &seconds), WERR_NOT_FOUND);
    histogram_flat_add(&flat, 3, 1);
    assert_int_equal(quantile_seconds(&flat, -0.1, &seconds), WERR_INVALID);
    assert_int_equal(quantile_seconds(&flat, 1.1, &seconds), WERR_INVALID);
    assert_int_equal(quantile_seconds(&flat, (double)NAN, &seconds), WERR_INVALID);
    assert_int_equal(quantile_cell(&flat, (double)INFINITY, &cell), WERR_INVALID);
    assert_true(seconds == 7);
    assert_int_equal(cell, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(within_the_bucket_of_the_exact_quantile),
        cmocka_unit_test(middles_are_near_the_ends),
        cmocka_unit_test(ranks),
        cmocka_unit_test(bad_arguments),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
