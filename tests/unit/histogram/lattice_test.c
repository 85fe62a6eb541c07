/* Every bound of the lattice against exact big-integer arithmetic, and the cells of durations around them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <math.h>

#include "histogram/lattice.h"
#include "random.h"

/* Natural numbers below 2^4096: enough for (2^64)^32 and for 2^i 10^288 with both sides multiplied by 2^640.
 */
enum { LIMBS = 64 };

struct big {
    uint64_t limbs[LIMBS]; /* lowest first */
};

static void big_multiply(struct big *big, uint64_t factor)
{
    uint64_t carry = 0;

    for (unsigned i = 0; i < LIMBS; i++) {
        unsigned __int128 product = (unsigned __int128)big->limbs[i] * factor + carry;

        big->limbs[i] = (uint64_t)product;
        carry = (uint64_t)(product >> 64);
    }
    assert_int_equal(carry, 0);
}

/* base^exponent 2^shift */
static struct big big_power(uint64_t base, unsigned exponent, unsigned shift)
{
    struct big big = {.limbs = {1}};

    for (unsigned i = 0; i < exponent; i++) {
        big_multiply(&big, base);
    }
    for (unsigned i = 0; i < shift; i++) {
        big_multiply(&big, 2);
    }
    return big;
}

static int big_compare(const struct big *a, const struct big *b)
{
    for (unsigned i = LIMBS; i-- > 0;) {
        if (a->limbs[i] != b->limbs[i]) {
            return a->limbs[i] < b->limbs[i] ? -1 : 1;
        }
    }
    return 0;
}

/* The sign of value_ns - 2^(index/32) s, exactly: value^32 2^-index against 10^(9*32). */
static int compare_with_bound(uint64_t value_ns, int index)
{
    struct big value = big_power(value_ns, 32, index < 0 ? (unsigned)-index : 0);
    struct big bound = big_power(1000000000, 32, index > 0 ? (unsigned)index : 0);

    return big_compare(&value, &bound);
}

static void every_bound_is_exact(void **state)
{
    (void)state;
    for (int cell = LATTICE_CELL_ZERO; cell < LATTICE_CELL_COUNT; cell++) {
        int upper_index = lattice_index(cell) + 1;
        uint64_t upper_ns = lattice_upper_ns(cell);

        assert_true(compare_with_bound(upper_ns, upper_index) <= 0);
        assert_true(compare_with_bound(upper_ns + 1, upper_index) > 0);
    }
    assert_int_equal(lattice_upper_ns(LATTICE_CELL_ZERO), LATTICE_ZERO_NS_MAX);
    assert_int_equal(lattice_upper_ns(LATTICE_CELL_LAST), LATTICE_TOP_NS);
}

/* The cell by definition, from exact comparisons only: lower bound < value <= upper bound, by bisection. */
static int exact_cell(uint64_t value_ns)
{
    int low = LATTICE_CELL_ZERO;
    int high = LATTICE_CELL_LAST;

    while (low < high) {
        int middle = low + (high - low) / 2;

        if (compare_with_bound(value_ns, lattice_index(middle) + 1) <= 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

static void cells_around_every_bound(void **state)
{
    (void)state;
    for (int cell = LATTICE_CELL_ZERO; cell < LATTICE_CELL_COUNT; cell++) {
        for (int beside_ns = -1; beside_ns <= 1; beside_ns++) {
            uint64_t value_ns = lattice_upper_ns(cell) + (uint64_t)beside_ns;

            assert_int_equal(lattice_cell(value_ns), exact_cell(value_ns));
        }
    }
}

static void cells_of_random_values(void **state)
{
    uint64_t random = 1;

    (void)state;
    for (unsigned i = 0; i < 5000; i++) {
        uint64_t value_ns = random_duration_ns(&random);

        assert_int_equal(lattice_cell(value_ns), exact_cell(value_ns));
    }
}

/* Every nanosecond up to 2 ms, and steps of a prime beyond, against a walk over the (verified) bounds. */
static void cells_of_all_small_values(void **state)
{
    int cell = LATTICE_CELL_ZERO;

    (void)state;
    for (uint64_t value_ns = 0; value_ns <= LATTICE_TOP_NS;
         value_ns += value_ns < 2000000 ? 1 : 1 + value_ns / 100003) {
        while (value_ns > lattice_upper_ns(cell)) {
            cell++;
        }
        assert_int_equal(lattice_cell(value_ns), cell);
    }
}

static void named_bounds_belong_to_the_bucket_below(void **state)
{
    static const struct {
        uint64_t value_ns;
        int index; /* of the bucket whose lower bound it is */
    } rows[] = {{500000000, -32}, {1000000000, 0}, {1953125, -288}, {2000000000, 32}, {2048000000000, 352}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(compare_with_bound(rows[i].value_ns, rows[i].index), 0);
        assert_int_equal(lattice_index(lattice_cell(rows[i].value_ns)), rows[i].index - 1);
        assert_int_equal(lattice_index(lattice_cell(rows[i].value_ns + 1)), rows[i].index);
    }
}

static void ends_of_the_lattice(void **state)
{
    (void)state;
    assert_int_equal(lattice_cell(0), LATTICE_CELL_ZERO);
    assert_int_equal(lattice_cell(953), LATTICE_CELL_ZERO);
    assert_int_equal(lattice_cell(954), 0);
    assert_int_equal(lattice_cell(LATTICE_TOP_NS), LATTICE_CELL_LAST);
    assert_int_equal(lattice_cell(LATTICE_TOP_NS + 1), LATTICE_CELL_LAST);
    assert_int_equal(lattice_cell(UINT64_MAX), LATTICE_CELL_LAST);
    assert_false(lattice_is_above_top(LATTICE_TOP_NS));
    assert_true(lattice_is_above_top(LATTICE_TOP_NS + 1));
    assert_true(LATTICE_ZERO_THRESHOLD_SECONDS == lattice_lower_seconds(0));
}

static void bounds_in_seconds(void **state)
{
    (void)state;
    for (int cell = 0; cell < LATTICE_CELL_COUNT; cell++) {
        double lower = (double)exp2l((long double)lattice_index(cell) / 32);
        double middle = (double)exp2l(((long double)lattice_index(cell) + 0.5L) / 32);

        assert_true(lattice_lower_seconds(cell) == lower);
        assert_true(lattice_middle_seconds(cell) == middle);
        assert_true(
            lattice_upper_seconds(cell) == (double)exp2l((long double)(lattice_index(cell) + 1) / 32));
    }
    assert_true(lattice_upper_seconds(lattice_cell(500000000)) == 0.5);
    assert_true(lattice_upper_seconds(LATTICE_CELL_LAST) == 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_bound_is_exact),
        cmocka_unit_test(cells_around_every_bound),
        cmocka_unit_test(cells_of_random_values),
        cmocka_unit_test(cells_of_all_small_values),
        cmocka_unit_test(named_bounds_belong_to_the_bucket_below),
        cmocka_unit_test(ends_of_the_lattice),
        cmocka_unit_test(bounds_in_seconds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
