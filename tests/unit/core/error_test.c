/* The table of errors as text: a name and a sentence for each, something harmless for every other number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <string.h>

#include "core/error.h"

static void test_each_code(void **state)
{
    (void)state;
#define EXPECT_CODE(name, number, text)                                                                      \
    assert_int_equal(WERR_##name, -(number));                                                                \
    assert_string_equal(werr_name(WERR_##name), #name);                                                      \
    assert_string_equal(werr_text(WERR_##name), text);
    WEFT_ERRORS(EXPECT_CODE)
#undef EXPECT_CODE
}

static void test_other_numbers(void **state)
{
    static const int numbers[] = {0, 1, INT_MAX, -999, -INT_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        assert_true(strlen(werr_text(numbers[i])) > 0);
        assert_string_equal(werr_name(numbers[i]), numbers[i] >= 0 ? "OK" : "UNKNOWN");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_code),
        cmocka_unit_test(test_other_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
