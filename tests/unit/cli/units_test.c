/* Figures in few columns: what they look like at their limits, and that they never take more room. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/plain_text.h"
#include "cli/units.h"

static void durations(void **state)
{
    static const struct {
        double seconds;
        const char *text;
    } cases[] = {
        {0, "0us"},
        {1e-6, "1us"},
        {999.4e-6, "999us"},
        {999.6e-6, "1.00ms"},
        {9.994e-3, "9.99ms"},
        {9.996e-3, "10.0ms"},
        {0.09994, "99.9ms"},
        {0.0996, "99.6ms"},
        {0.9994, "999ms"},
        {0.9996, "1.00s"},
        {59.96, "60.0s"},
        {3600, "3600s"},
        {1e12, "99999s"},
        {-1, "-"},
        {NAN, "-"},
        {INFINITY, "-"},
    };
    char text[UNITS_BYTES];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        units_duration(cases[i].seconds, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void numbers(void **state)
{
    static const struct {
        double number;
        const char *text;
    } cases[] = {
        {0, "0"},
        {7, "7"},
        {0.25, "0.25"},
        {9.996, "10.0"},
        {999.6, "1000"},
        {9999, "9999"},
        {12345, "12.3k"},
        {999949, "1000k"},
        {1.5e6, "1.50M"},
        {2e11, "200G"},
        {1e16, "-"},
        {-3, "-"},
        {NAN, "-"},
    };
    char text[UNITS_BYTES];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        units_number(cases[i].number, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void parts(void **state)
{
    static const struct {
        double part;
        double whole;
        const char *text;
    } cases[] = {
        {0, 100, "0"},
        {1, 1e9, "<0.01"},
        {1, 1e3, "0.10"},
        {99, 100, "99.0"},
        {99999, 100000, ">99.9"},
        {5, 5, "100"},
        {0, 0, "-"},
    };
    char text[UNITS_BYTES];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        units_percent(cases[i].part, cases[i].whole, text);
        assert_string_equal(text, cases[i].text);
    }
}

/* Whatever the number: a column of six never overflows. */
static void never_wider_than_a_column(void **state)
{
    char text[UNITS_BYTES];

    (void)state;
    for (double number = 1e-12; number < 1e20; number *= 1.0137) {
        units_duration(number, text);
        assert_true(strlen(text) <= 6);
        units_number(number, text);
        assert_true(strlen(text) <= 6);
        units_percent(number, 1e9, text);
        assert_true(strlen(text) <= 5);
    }
}

static void names_are_inert_and_cut(void **state)
{
    char text[33];
    char *million = malloc(1 << 20);

    (void)state;
    plain_text_fill(text, "cart", 8);
    assert_string_equal(text, "cart    ");
    plain_text_fill(text, "checkout", 8);
    assert_string_equal(text, "checkout");
    plain_text_fill(text, "checkouts", 8);
    assert_string_equal(text, "checkou~");
    plain_text_fill(text, "\x1b[31ma\x07\n\t\x7f", 12);
    assert_string_equal(text, "?[31ma????  ");
    plain_text_fill(text, "x\xe2\x80\xaey\xc3\xa9z", 8); /* a right-to-left mark, é */
    assert_string_equal(text, "x?y?z   ");
    plain_text_fill(text, "\x80\x80\xff", 4); /* no UTF-8 at all */
    assert_string_equal(text, "??  ");
    assert_int_equal(plain_text_cut(text, "abc", 0), 0);
    assert_non_null(million);
    memset(million, 'a', (1 << 20) - 1);
    million[(1 << 20) - 1] = '\0';
    plain_text_fill(text, million, 32);
    assert_int_equal(strlen(text), 32);
    assert_int_equal(text[31], '~');
    free(million);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations),
        cmocka_unit_test(numbers),
        cmocka_unit_test(parts),
        cmocka_unit_test(never_wider_than_a_column),
        cmocka_unit_test(names_are_inert_and_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
