/* Split bounds: the union, its slots, and `le` counts against brute force. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/error.h"
#include "histogram/histogram.h"
#include "random.h"

enum { VALUE_COUNT = 20000 };

static void union_is_sorted_without_duplicates(void **state)
{
    const uint64_t le_ns[] = {5000000, 1000000, 5000000, 500000000, 1000000};
    const uint64_t same_ns[] = {500000000, 1000000, 5000000};
    struct split_bounds bounds;
    struct split_bounds same;

    (void)state;
    assert_int_equal(split_bounds_init(&bounds, le_ns, 5), 0);
    assert_int_equal(bounds.bound_count, 3);
    assert_int_equal(bounds.bounds_ns[0], 1000000);
    assert_int_equal(bounds.bounds_ns[1], 5000000);
    assert_int_equal(bounds.bounds_ns[2], 500000000);
    assert_int_equal(bounds.slot_count, 2); /* 0.5 s is a bound of the lattice */
    assert_int_equal(split_bounds_init(&same, same_ns, 3), 0);
    assert_true(split_bounds_equal(&bounds, &same));
    assert_int_equal(split_bounds_init(&same, same_ns, 2), 0);
    assert_false(split_bounds_equal(&bounds, &same));
}

static void too_many_bounds(void **state)
{
    uint64_t le_ns[BOUNDS_COUNT_MAX + 1];
    struct split_bounds bounds;
    struct le_plan plan;

    (void)state;
    for (size_t i = 0; i <= BOUNDS_COUNT_MAX; i++) {
        le_ns[i] = 1000 * (i + 1);
    }
    assert_int_equal(split_bounds_init(&bounds, le_ns, BOUNDS_COUNT_MAX), 0);
    assert_int_equal(bounds.bound_count, BOUNDS_COUNT_MAX);
    assert_int_equal(split_bounds_init(&bounds, le_ns, BOUNDS_COUNT_MAX + 1), WERR_OVERSIZED);
    assert_int_equal(bounds.bound_count, BOUNDS_COUNT_MAX);
    assert_int_equal(le_plan_init(&plan, &bounds, le_ns, BOUNDS_COUNT_MAX + 1), WERR_OVERSIZED);
}

static void plan_takes_only_bounds_in_force(void **state)
{
    const uint64_t le_ns[] = {1000000, 1010000};
    const uint64_t lattice_ns[] = {1953125, 1000000000};
    const uint64_t other_ns[] = {1005000};
    const uint64_t far_ns[] = {3000000};
    const uint64_t descending_ns[] = {1010000, 1000000};
    const uint64_t top_ns[] = {LATTICE_TOP_NS};
    struct split_bounds bounds;
    struct le_plan plan;

    (void)state;
    assert_int_equal(split_bounds_init(&bounds, le_ns, 2), 0);
    assert_int_equal(le_plan_init(&plan, &bounds, le_ns, 2), 0);
    assert_int_equal(le_plan_init(&plan, &bounds, lattice_ns, 2), 0);
    assert_int_equal(le_plan_init(&plan, &bounds, other_ns, 1), WERR_NOT_FOUND);
    assert_int_equal(le_plan_init(&plan, &bounds, far_ns, 1), WERR_NOT_FOUND);
    assert_int_equal(le_plan_init(&plan, &bounds, top_ns, 1), WERR_NOT_FOUND);
    assert_int_equal(le_plan_init(&plan, &bounds, descending_ns, 2), WERR_INVALID);
}

static void default_bounds(void **state)
{
    struct split_bounds bounds;

    (void)state;
    assert_int_equal(split_bounds_init(&bounds, bounds_default_ns, bounds_default_count), 0);
    assert_int_equal(bounds.bound_count, 16);
    assert_int_equal(bounds.bounds_ns[0], 500000);
    assert_int_equal(bounds.bounds_ns[15], UINT64_C(60000000000));
    assert_memory_equal(bounds.bounds_ns, bounds_default_ns, 16 * sizeof(uint64_t)); /* ascending already */
    assert_int_equal(bounds.slot_count, 13); /* not 0.25 s, 0.5 s and 1 s */
}

/* Records random values with random weights under these bounds and compares each le count with counting one
 * by one. */
static void check_against_brute_force(const uint64_t *le_ns, size_t le_count, uint64_t seed)
{
    struct budget budget = {.cap_bytes = 1 << 24};
    struct page_slab *slab = malloc(sizeof(*slab));
    struct histogram histogram = {.count = 0};
    struct split_bounds bounds;
    struct le_plan plan;
    uint64_t expected[BOUNDS_COUNT_MAX] = {0};
    uint64_t counts[BOUNDS_COUNT_MAX];
    uint64_t total = 0;

    assert_non_null(slab);
    page_slab_init(slab, &budget);
    assert_int_equal(split_bounds_init(&bounds, le_ns, le_count), 0);
    assert_int_equal(le_plan_init(&plan, &bounds, bounds.bounds_ns, bounds.bound_count), 0);
    for (unsigned i = 0; i < VALUE_COUNT; i++) {
        uint64_t value_ns = random_near_bound_ns(&seed, &bounds);
        uint64_t weight = 1 + random_u64(&seed) % 3;

        assert_int_equal(histogram_record(&histogram, slab, &bounds, value_ns, weight), 0);
        total += weight;
        for (uint32_t j = 0; j < bounds.bound_count; j++) {
            expected[j] += value_ns <= bounds.bounds_ns[j] ? weight : 0;
        }
    }
    histogram_le_counts(&histogram, slab, &plan, counts);
    for (uint32_t j = 0; j < bounds.bound_count; j++) {
        assert_int_equal(counts[j], expected[j]);
    }
    assert_int_equal(histogram.count, total);
    histogram_release(&histogram, slab);
    page_slab_deinit(slab);
    free(slab);
}

static void le_counts_default(void **state)
{
    (void)state;
    check_against_brute_force(bounds_default_ns, bounds_default_count, 2);
}

/* Several bounds in one cell, in the zero bucket, on bounds of the lattice, at the top and above it. */
static void le_counts_at_odd_places(void **state)
{
    const uint64_t le_ns[] = {0, 1, 500, 953, 954, 1000, 1953125, 1960000, 1970000, 1980000, 1995000, 2000000,
        LATTICE_TOP_NS - 1, LATTICE_TOP_NS, LATTICE_TOP_NS + 1, 2 * LATTICE_TOP_NS};

    (void)state;
    check_against_brute_force(le_ns, sizeof(le_ns) / sizeof(le_ns[0]), 3);
}

static void le_counts_of_random_bounds(void **state)
{
    uint64_t random = 4;

    (void)state;
    for (unsigned round = 0; round < 20; round++) {
        uint64_t le_ns[BOUNDS_COUNT_MAX];
        size_t le_count = 1 + random_u64(&random) % BOUNDS_COUNT_MAX;

        for (size_t i = 0; i < le_count; i++) {
            le_ns[i] = random_duration_ns(&random);
        }
        check_against_brute_force(le_ns, le_count, random_u64(&random));
    }
}

/* A plan may ask for fewer bounds than are in force, mixed with bounds of the lattice. */
static void plan_of_some_bounds(void **state)
{
    const uint64_t some_ns[] = {1000000, 1953125, 250000000};
    const uint64_t values_ns[] = {999999, 1000000, 1000001, 1953125, 1953126, 250000000, 250000001};
    struct budget budget = {.cap_bytes = 1 << 24};
    struct page_slab *slab = malloc(sizeof(*slab));
    struct histogram histogram = {.count = 0};
    struct split_bounds bounds;
    struct le_plan plan;
    uint64_t counts[3];

    (void)state;
    assert_non_null(slab);
    page_slab_init(slab, &budget);
    assert_int_equal(split_bounds_init(&bounds, bounds_default_ns, bounds_default_count), 0);
    assert_int_equal(le_plan_init(&plan, &bounds, some_ns, 3), 0);
    for (size_t i = 0; i < sizeof(values_ns) / sizeof(values_ns[0]); i++) {
        assert_int_equal(histogram_record(&histogram, slab, &bounds, values_ns[i], 1), 0);
    }
    histogram_le_counts(&histogram, slab, &plan, counts);
    assert_int_equal(counts[0], 2);
    assert_int_equal(counts[1], 4);
    assert_int_equal(counts[2], 6);
    page_slab_deinit(slab);
    free(slab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(union_is_sorted_without_duplicates),
        cmocka_unit_test(too_many_bounds),
        cmocka_unit_test(plan_takes_only_bounds_in_force),
        cmocka_unit_test(default_bounds),
        cmocka_unit_test(le_counts_default),
        cmocka_unit_test(le_counts_at_odd_places),
        cmocka_unit_test(le_counts_of_random_bounds),
        cmocka_unit_test(plan_of_some_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
