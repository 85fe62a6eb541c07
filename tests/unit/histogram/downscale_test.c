/* Downscaling against counting the values again at the coarser scale. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <math.h>

#include "core/error.h"
#include "histogram/downscale.h"
#include "histogram/flat.h"
#include "random.h"

static void indexes_round_down(void **state)
{
    (void)state;
    assert_int_equal(downscale_index(5, 1), 2);
    assert_int_equal(downscale_index(-1, 1), -1);
    assert_int_equal(downscale_index(-1, 9), -1);
    assert_int_equal(downscale_index(-2, 1), -1);
    assert_int_equal(downscale_index(-3, 1), -2);
    assert_int_equal(downscale_index(-640, 5), -20);
    assert_int_equal(downscale_index(-641, 5), -21);
    assert_int_equal(downscale_index(-640, 0), -640);
}

/*
 * The bucket of a value at a coarser scale, not by its lattice index but from the bounds of that scale:
 * bucket j ends where the lattice has 2^((j+1) 2^-scale) s, which is one of its bounds.
 */
static int recount_index(uint64_t value_ns, int scale)
{
    int step = 1 << (LATTICE_SCALE - scale); /* lattice buckets in one */
    int j = (LATTICE_INDEX_MIN / step) - 1;

    if (lattice_is_above_top(value_ns)) {
        value_ns = LATTICE_TOP_NS;
    }
    for (;; j++) {
        int last_cell = (j + 1) * step - 1 - LATTICE_INDEX_MIN;

        if (last_cell >= LATTICE_CELL_LAST || (last_cell >= 0 && value_ns <= lattice_upper_ns(last_cell))) {
            return j;
        }
    }
}

/* downscale_histogram of the histogram with these cells. */
static int downscale_cells(
    struct dense_buckets *out, const struct histogram_flat *flat, int scale_max, uint32_t bucket_count_max)
{
    const struct split_bounds none = {.bound_count = 0};
    struct budget budget = {.cap_bytes = 1 << 24};
    struct page_slab *slab = malloc(sizeof *slab);
    struct histogram histogram = {.count = 0};
    uint64_t count;

    assert_non_null(slab);
    page_slab_init(slab, &budget);
    if (flat->zero_count > 0) {
        assert_int_equal(histogram_record(&histogram, slab, &none, 0, flat->zero_count), 0);
    }
    for (int cell = LATTICE_CELL_ZERO; histogram_flat_next(flat, &cell, &count);) {
        assert_int_equal(histogram_record(&histogram, slab, &none, lattice_upper_ns(cell), count), 0);
    }
    assert_int_equal(histogram.count, flat->count);
    int error = downscale_histogram(out, &histogram, slab, scale_max, bucket_count_max);
    page_slab_deinit(slab);
    free(slab);
    return error;
}

static void equals_a_recount(void **state)
{
    enum { VALUE_COUNT = 2000 };
    uint64_t values_ns[VALUE_COUNT];
    const struct split_bounds none = {.bound_count = 0};
    uint64_t random = 10;

    (void)state;
    for (int scale = DOWNSCALE_SCALE_MIN; scale <= LATTICE_SCALE; scale++) {
        struct histogram_flat flat = {.count = 0};
        struct dense_buckets out;
        uint64_t total = 0;

        for (unsigned i = 0; i < VALUE_COUNT; i++) {
            values_ns[i] = random_near_bound_ns(&random, &none);
            histogram_flat_add(&flat, lattice_cell(values_ns[i]), 1);
        }
        assert_int_equal(downscale_cells(&out, &flat, scale, LATTICE_CELL_COUNT), 0);
        assert_int_equal(out.scale, scale);
        assert_true(out.counts[0] > 0 && out.counts[out.bucket_count - 1] > 0);
        for (uint32_t j = 0; j < out.bucket_count; j++) {
            uint64_t expected = 0;

            for (unsigned i = 0; i < VALUE_COUNT; i++) {
                expected += lattice_cell(values_ns[i]) != LATTICE_CELL_ZERO &&
                            recount_index(values_ns[i], scale) == out.first_index + (int)j;
            }
            assert_int_equal(out.counts[j], expected);
            total += expected;
        }
        assert_int_equal(total + flat.zero_count, VALUE_COUNT);
    }
}

/* The largest scale that fits, never one more than needed, whatever the span. */
static void keeps_to_a_bucket_limit(void **state)
{
    uint64_t random = 11;

    (void)state;
    for (unsigned round = 0; round < 2000; round++) {
        struct histogram_flat flat = {.count = 0};
        struct dense_buckets out;
        struct dense_buckets finer;
        uint32_t limit = DOWNSCALE_BUCKET_COUNT_MIN + (uint32_t)(random_u64(&random) % 300);
        uint64_t total = 0;

        for (unsigned i = 0; i < 2; i++) {
            histogram_flat_add(
                &flat, (int)(random_u64(&random) % LATTICE_CELL_COUNT), 1 + random_u64(&random) % 9);
        }
        assert_int_equal(downscale_cells(&out, &flat, LATTICE_SCALE, limit), 0);
        assert_in_range(out.bucket_count, 1, limit);
        for (uint32_t j = 0; j < out.bucket_count; j++) {
            total += out.counts[j];
        }
        assert_int_equal(total, flat.count);
        if (out.scale < LATTICE_SCALE) {
            assert_int_equal(downscale_cells(&finer, &flat, out.scale + 1, LATTICE_CELL_COUNT), 0);
            assert_true(finer.bucket_count > limit);
        }
    }
}

static void the_whole_lattice(void **state)
{
    struct histogram_flat flat = {.count = 0};
    struct dense_buckets out;

    (void)state;
    for (int cell = 0; cell < LATTICE_CELL_COUNT; cell++) {
        histogram_flat_add(&flat, cell, 1);
    }
    assert_int_equal(downscale_cells(&out, &flat, 5, 1024), 0);
    assert_int_equal(out.first_index, -640);
    assert_int_equal(out.bucket_count, 1024);
    assert_int_equal(downscale_cells(&out, &flat, 3, 160), 0);
    assert_int_equal(out.scale, 2);
    assert_int_equal(out.first_index, -80);
    assert_int_equal(out.bucket_count, 128);
    assert_int_equal(out.counts[127], 8);
    assert_int_equal(downscale_cells(&out, &flat, 5, DOWNSCALE_BUCKET_COUNT_MIN), 0);
    assert_int_equal(out.scale, DOWNSCALE_SCALE_MIN);
    assert_int_equal(out.first_index, -2);
    assert_int_equal(out.bucket_count, 3);
    assert_int_equal(out.counts[0], 128); /* octaves -20 ... -17 */
    assert_int_equal(out.counts[1], 512);
    assert_int_equal(out.counts[2], 384);
}

static void empty_and_bad_arguments(void **state)
{
    struct histogram_flat flat = {.count = 0};
    struct dense_buckets out = {.scale = 77};

    (void)state;
    assert_int_equal(downscale_cells(&out, &flat, 6, 160), WERR_INVALID);
    assert_int_equal(downscale_cells(&out, &flat, -5, 160), WERR_INVALID);
    assert_int_equal(downscale_cells(&out, &flat, 3, 2), WERR_INVALID);
    assert_int_equal(out.scale, 77);
    histogram_flat_add(&flat, LATTICE_CELL_ZERO, 5);
    assert_int_equal(downscale_cells(&out, &flat, 3, 160), 0);
    assert_int_equal(out.scale, 3);
    assert_int_equal(out.bucket_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(indexes_round_down),
        cmocka_unit_test(equals_a_recount),
        cmocka_unit_test(keeps_to_a_bucket_limit),
        cmocka_unit_test(the_whole_lattice),
        cmocka_unit_test(empty_and_bad_arguments),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
