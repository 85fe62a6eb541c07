/* Expansion of variables and the scalar types. */
#include "cmocka_all.h"

#include <string.h>

#include "config/value.h"
#include "core/error.h"

static const char *const environment[] = {"HOME=/root", "EMPTY=", "PORT=4317", "_x1=under", "PORTS=no", NULL};

static void expect_expansion(const char *text, const char *expected)
{
    struct arena arena;
    const char *out = NULL;
    struct slice fault;

    arena_init(&arena, 256, 4096);
    assert_int_equal(value_expand(text, environment, &arena, &out, &fault), 0);
    assert_string_equal(out, expected);
    arena_deinit(&arena);
}

static void expect_fault(const char *text, int status, const char *named)
{
    struct arena arena;
    const char *out = NULL;
    struct slice fault;

    arena_init(&arena, 256, 4096);
    assert_int_equal(value_expand(text, environment, &arena, &out, &fault), status);
    assert_true(slice_equal(fault, slice_of_string(named)));
    assert_null(out);
    arena_deinit(&arena);
}

static void test_expand(void **state)
{
    (void)state;
    expect_expansion("", "");
    expect_expansion("plain", "plain");
    expect_expansion("${HOME}", "/root");
    expect_expansion("a${PORT}b${_x1}c", "a4317bunderc");
    expect_expansion("${EMPTY}", "");
    expect_expansion("${EMPTY:-x}", "x");
    expect_expansion("${MISSING:-a:-b $c}", "a:-b $c");
    expect_expansion("${MISSING:-}", "");
    expect_expansion("${PORT:-1}", "4317");
    expect_expansion("$$", "$");
    expect_expansion("$${HOME}", "${HOME}");
    expect_expansion("$$$$${HOME}$", "$$/root$");
    expect_expansion("pa$$word $HOME", "pa$word $HOME");
    expect_expansion("}{", "}{");
}

static void test_expand_faults(void **state)
{
    (void)state;
    expect_fault("x${MISSING}y", WERR_NOT_FOUND, "MISSING");
    expect_fault("${POR}", WERR_NOT_FOUND, "POR");
    expect_fault("${HOME", WERR_INVALID, "HOME");
    expect_fault("${}", WERR_INVALID, "");
    expect_fault("${", WERR_INVALID, "");
    expect_fault("${1A}", WERR_INVALID, "1A");
    expect_fault("${A B}", WERR_INVALID, "A B");
    expect_fault("${A:x}", WERR_INVALID, "A:x");
    expect_fault("${A:", WERR_INVALID, "A:");
    expect_fault("${:-x}", WERR_INVALID, ":-x");
}

static void test_expand_memory(void **state)
{
    static const char *const big[] = {
        "BIG=0123456789012345678901234567890123456789012345678901234567890123456789", NULL};
    struct arena arena;
    const char *out = NULL;
    struct slice fault;

    (void)state;
    arena_init(&arena, 16, 64);
    assert_int_equal(value_expand("${BIG}", big, &arena, &out, &fault), WERR_NOMEM);
    assert_null(out);
    arena_deinit(&arena);
}

static void test_unsigned(void **state)
{
    static const char *const bad[] = {
        "", " 1", "1 ", "+1", "-1", "1.0", "0x1", "1e3", "11", "18446744073709551616", "one"};
    uint64_t value = 7;

    (void)state;
    assert_int_equal(value_unsigned("0", 0, 10, &value), 0);
    assert_int_equal(value, 0);
    assert_int_equal(value_unsigned("0010", 0, 10, &value), 0);
    assert_int_equal(value, 10);
    assert_int_equal(value_unsigned("18446744073709551615", 0, UINT64_MAX, &value), 0);
    assert_true(value == UINT64_MAX);
    value = 7;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(value_unsigned(bad[i], 0, 10, &value), WERR_INVALID);
    }
    assert_int_equal(value_unsigned("18446744073709551616", 0, UINT64_MAX, &value), WERR_INVALID);
    assert_int_equal(value_unsigned("2", 3, 10, &value), WERR_INVALID);
    assert_int_equal(value_unsigned("5", 0, 3, &value), WERR_INVALID);
    assert_int_equal(value, 7);
}

static void test_signed(void **state)
{
    int64_t value = 7;

    (void)state;
    assert_int_equal(value_signed("-4", -4, 5, &value), 0);
    assert_int_equal(value, -4);
    assert_int_equal(value_signed("5", -4, 5, &value), 0);
    assert_int_equal(value, 5);
    assert_int_equal(value_signed("-5", -4, 5, &value), WERR_INVALID);
    assert_int_equal(value_signed("6", -4, 5, &value), WERR_INVALID);
    assert_int_equal(value_signed("--1", -4, 5, &value), WERR_INVALID);
    assert_int_equal(value_signed("-", -4, 5, &value), WERR_INVALID);
    assert_int_equal(value_signed("9223372036854775808", INT64_MIN, INT64_MAX, &value), WERR_INVALID);
    assert_int_equal(value, 5);
}

static void test_mode(void **state)
{
    uint32_t mode = 1;

    (void)state;
    assert_int_equal(value_mode("0660", &mode), 0);
    assert_int_equal(mode, 0660);
    assert_int_equal(value_mode("0o750", &mode), 0);
    assert_int_equal(mode, 0750);
    assert_int_equal(value_mode("0", &mode), 0);
    assert_int_equal(mode, 0);
    assert_int_equal(value_mode("0888", &mode), WERR_INVALID);
    assert_int_equal(value_mode("01000", &mode), WERR_INVALID);
    assert_int_equal(value_mode("", &mode), WERR_INVALID);
    assert_int_equal(value_mode("u=rw", &mode), WERR_INVALID);
}

static void test_bool(void **state)
{
    bool value = false;

    (void)state;
    assert_int_equal(value_bool("true", &value), 0);
    assert_true(value);
    assert_int_equal(value_bool("off", &value), 0);
    assert_false(value);
    assert_int_equal(value_bool("yes", &value), 0);
    assert_true(value);
    assert_int_equal(value_bool("1", &value), WERR_INVALID);
    assert_int_equal(value_bool("True ", &value), WERR_INVALID);
    assert_int_equal(value_bool("", &value), WERR_INVALID);
}

static void test_milliseconds(void **state)
{
    static const char *const bad[] = {"", ".", "0", "0.0", "-1", "1e3", "1.2.3", "1,5", "0.0000001",
        "86400000.000001", "99999999999999999999"};
    uint64_t ns = 7;

    (void)state;
    assert_int_equal(value_milliseconds("0.5", &ns), 0);
    assert_int_equal(ns, 500000);
    assert_int_equal(value_milliseconds("2.5", &ns), 0);
    assert_int_equal(ns, 2500000);
    assert_int_equal(value_milliseconds("60000", &ns), 0);
    assert_true(ns == 60000000000ull);
    assert_int_equal(value_milliseconds("1.953125", &ns), 0);
    assert_int_equal(ns, 1953125);
    assert_int_equal(value_milliseconds("0.000001", &ns), 0);
    assert_int_equal(ns, 1);
    assert_int_equal(value_milliseconds("86400000", &ns), 0);
    assert_true(ns == 86400000000000ull);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(value_milliseconds(bad[i], &ns), WERR_INVALID);
    }
}

static void test_fraction(void **state)
{
    static const char *const bad[] = {"", "2", "1.0001", "1.000000001", ".5", "0.", "1.", "-0.5",
        "0.0000000001", "0.5x", "0,5", "00.5", "1e-3", "0x1", " 0.5", "0.5 ", "10", "nan"};
    static const struct {
        const char *text;
        uint64_t parts;
    } rows[] = {{"0", 0}, {"1", 1000000000}, {"0.001", 1000000}, {"0.5", 500000000}, {"0.000000001", 1},
        {"1.000", 1000000000}, {"0.999999999", 999999999}};
    uint64_t parts = 7;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(value_fraction(bad[i], &parts), WERR_INVALID);
        assert_int_equal(parts, 7);
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(value_fraction(rows[i].text, &parts), 0);
        assert_true(parts == rows[i].parts);
    }
}

static void test_choice(void **state)
{
    static const char *const names[] = {"a", "bc", NULL};
    int index = -1;

    (void)state;
    assert_int_equal(value_choice("bc", names, &index), 0);
    assert_int_equal(index, 1);
    assert_int_equal(value_choice("b", names, &index), WERR_INVALID);
    assert_int_equal(value_choice("BC", names, &index), WERR_INVALID);
    assert_int_equal(value_choice("", names, &index), WERR_INVALID);
    assert_int_equal(index, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expand),
        cmocka_unit_test(test_expand_faults),
        cmocka_unit_test(test_expand_memory),
        cmocka_unit_test(test_unsigned),
        cmocka_unit_test(test_signed),
        cmocka_unit_test(test_mode),
        cmocka_unit_test(test_bool),
        cmocka_unit_test(test_milliseconds),
        cmocka_unit_test(test_fraction),
        cmocka_unit_test(test_choice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
