/* Numbers in text: known ones, and for random ones that they read back and that no shorter text would. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exporters/prometheus/number.h"

typedef size_t (*double_fn)(char *at, double value);

static void check_double(double_fn function, double value, const char *expected)
{
    char text[NUMBER_BYTES_MAX + 1];

    text[function(text, value)] = '\0';
    assert_string_equal(text, expected);
}

static void test_u64(void **state)
{
    static const uint64_t values[] = {0, 1, 9, 10, 99, 100, 12345, 9007199254740993U, UINT64_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char text[NUMBER_BYTES_MAX + 1];
        char expected[NUMBER_BYTES_MAX];
        text[number_u64(text, values[i])] = '\0';
        (void)snprintf(expected, sizeof expected, "%" PRIu64, values[i]);
        assert_string_equal(text, expected);
    }
}

static void test_values(void **state)
{
    (void)state;
    check_double(number_double, 0, "0");
    check_double(number_double, -0.0, "-0");
    check_double(number_double, 1, "1");
    check_double(number_double, -17, "-17");
    check_double(number_double, 0.1, "0.1");
    check_double(number_double, 0.1 + 0.2, "0.30000000000000004");
    check_double(number_double, 1.0 / 3, "0.3333333333333333");
    check_double(number_double, 1e-4, "0.0001");
    check_double(number_double, 1e-5, "1e-05");
    check_double(number_double, -2.5e-7, "-2.5e-07");
    check_double(number_double, 1e-9, "1e-09");
    check_double(number_double, 4e-10, "4e-10");
    check_double(number_double, 123456.789012345, "123456.789012345");
    check_double(number_double, 999999.999999999, "999999.999999999");
    check_double(number_double, 999999.9999999999, "999999.9999999999");
    check_double(number_double, 12345678901.5, "12345678901.5");
    check_double(number_double, 999999999999999.0, "999999999999999");
    check_double(number_double, 1e15, "1000000000000000");
    check_double(number_double, 1e16, "1e+16");
    check_double(number_double, 1.8446744073709552e19, "1.8446744073709552e+19");
    check_double(number_double, DBL_MAX, "1.7976931348623157e+308");
    check_double(number_double, DBL_MIN, "2.2250738585072014e-308");
    check_double(number_double, 5e-324, "5e-324");
    check_double(number_double, NAN, "NaN");
    check_double(number_double, -NAN, "NaN");
    check_double(number_double, INFINITY, "+Inf");
    check_double(number_double, -INFINITY, "-Inf");
}

/* The powers of ten are the specification's own list. */
static void test_bounds(void **state)
{
    static const struct {
        double bound;
        const char *text;
        const char *canonical;
    } rows[] = {
        {1e-10, "1e-10", "1e-10"},
        {1e-9, "1e-09", "1e-09"},
        {1e-5, "1e-05", "1e-05"},
        {1e-4, "0.0001", "0.0001"},
        {1e-3, "0.001", "0.001"},
        {0.1, "0.1", "0.1"},
        {0, "0", "0.0"},
        {1, "1", "1.0"},
        {10, "10", "10.0"},
        {1e5, "100000", "100000.0"},
        {1e6, "1e+06", "1e+06"},
        {1e10, "1e+10", "1e+10"},
        {1234567, "1.234567e+06", "1.234567e+06"},
        {2.5, "2.5", "2.5"},
        {-1, "-1", "-1.0"},
        {INFINITY, "+Inf", "+Inf"},
        {NAN, "NaN", "NaN"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        check_double(number_bound, rows[i].bound, rows[i].text);
        check_double(number_bound_canonical, rows[i].bound, rows[i].canonical);
    }
}

static void check_seconds(uint64_t time_ns, const char *expected)
{
    char text[NUMBER_BYTES_MAX + 1];

    text[number_seconds(text, time_ns)] = '\0';
    assert_string_equal(text, expected);
}

static void test_seconds(void **state)
{
    (void)state;
    check_seconds(0, "0");
    check_seconds(1, "0.000000001");
    check_seconds(100000000, "0.1");
    check_seconds(1700000000000000000U, "1700000000");
    check_seconds(1700000000123000000U, "1700000000.123");
    check_seconds(1700000000000000010U, "1700000000.00000001");
    check_seconds(UINT64_MAX, "18446744073.709551615");
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Without leading and trailing zeros. */
static int digit_count(const char *text)
{
    int count = 0;
    int last = 0;

    for (; *text != '\0' && *text != 'e'; text++) {
        if (*text >= '0' && *text <= '9' && (count > 0 || *text != '0')) {
            count++;
            last = *text != '0' ? count : last;
        }
    }
    return last;
}

/* The fewest digits with which printf's rounding reads back. */
static int fewest_digits(double value)
{
    char text[64];

    for (int count = 1; count < 17; count++) {
        (void)snprintf(text, sizeof text, "%.*e", count - 1, value);
        if (strtod(text, NULL) == value) {
            return count;
        }
    }
    return 17;
}

static void check_shortest(double value)
{
    char text[NUMBER_BYTES_MAX + 1];

    text[number_double(text, value)] = '\0';
    double back = strtod(text, NULL);
    if (back != value || digit_count(text) > fewest_digits(value)) {
        fail_msg("%.17g became %s", value, text);
    }
}

static void test_random(void **state)
{
    uint64_t random = 88172645463325252U;

    (void)state;
    for (int i = 0; i < 30000; i++) {
        uint64_t bits = next_random(&random);
        double value;
        memcpy(&value, &bits, sizeof value);
        if (isfinite(value)) {
            check_shortest(value);
        }
        check_shortest((double)(next_random(&random) % 2000000000000U) / 1e9); /* whole nanoseconds */
        check_shortest((double)(next_random(&random) >> (next_random(&random) % 60)) / 1e9);
        check_shortest((double)(next_random(&random) % 100000) / 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_u64),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_seconds),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
