/* Envoy's response flags: bits, names, text. */
#include "testing.h"

#include "context/response_flags.h"

static void test_bits_are_those_of_envoy(void **state)
{
    (void)state;
    assert_int_equal(RESPONSE_FLAG_COUNT, 30);
    assert_int_equal(RESPONSE_FLAG(LH), 1);
    assert_int_equal(RESPONSE_FLAG(DC), 1 << 14);
    assert_int_equal(RESPONSE_FLAG(NC), 1 << 24);
    assert_int_equal(RESPONSE_FLAG(UDO), 1 << 29);
    assert_int_equal(RESPONSE_FLAGS_ALL, (1 << 30) - 1);
}

static void test_every_name_reads_back(void **state)
{
    (void)state;
    for (unsigned i = 0; i < RESPONSE_FLAG_COUNT; i++) {
        assert_non_null(response_flag_meaning(i));
        assert_true(response_flags_parse(slice_of_string(response_flag_name(i))) == 1ull << i);
    }
    assert_null(response_flag_name(RESPONSE_FLAG_COUNT));
    assert_null(response_flag_meaning(UINT32_MAX));
}

static void test_lists(void **state)
{
    static const struct {
        const char *text;
        uint64_t flags;
    } rows[] = {
        {"", 0},
        {"-", 0},
        {"UH", RESPONSE_FLAG(UH)},
        {"URX,UF", RESPONSE_FLAG(URX) | RESPONSE_FLAG(UF)},
        {" UH , DC ", RESPONSE_FLAG(UH) | RESPONSE_FLAG(DC)},
        {"UH,UH,,", RESPONSE_FLAG(UH)},
        {",,,", 0},
        {"uh", 0},
        {"UHX", 0},
        {"NEWFLAG,DR", RESPONSE_FLAG(DR)},
        {"UH,U", RESPONSE_FLAG(UH)},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_true(response_flags_parse(slice_of_string(rows[i].text)) == rows[i].flags);
    }
    assert_true(response_flags_parse(slice_of("UH\0DC", 5)) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bits_are_those_of_envoy),
        cmocka_unit_test(test_every_name_reads_back),
        cmocka_unit_test(test_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
