/* Thresholds from tracestate, weights from thresholds. */
#include "testing.h"

#include "context/sampling.h"

#define CAP (1u << 20)

static void test_thresholds(void **state)
{
    static const struct {
        const char *tracestate;
        bool ok;
        uint64_t threshold;
    } rows[] = {
        {"ot=th:c", true, 0xc0000000000000},
        {"ot=th:0", true, 0},
        {"ot=th:8", true, 0x80000000000000},
        {"ot=th:fffffffffffffe", true, 0xfffffffffffffe},
        {"ot=th:123456789abcde", true, 0x123456789abcde},
        {"ot=rv:abcdef;th:c", true, 0xc0000000000000},
        {"vendor=x, ot=th:c", true, 0xc0000000000000},
        {"vendor=x,\tot=th:c;rv:0 ,other=y", true, 0xc0000000000000},
        {"vendor=ot=th:c", false, 0},
        {"", false, 0},
        {"ot=", false, 0},
        {"ot=th:", false, 0},
        {"ot=th:g", false, 0},
        {"ot=th:C", false, 0},
        {"ot=th:123456789abcdef", false, 0},
        {"ot=rv:c", false, 0},
        {"ot=th:c c", false, 0},
        {"not=th:c", false, 0},
        {"ot=rv:1,ot=th:c", false, 0},
        {",,,;;;", false, 0},
        {"ot=th:-1", false, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t threshold = 77;

        assert_int_equal(sampling_threshold_of(slice_of_string(rows[i].tracestate), &threshold), rows[i].ok);
        assert_true(threshold == (rows[i].ok ? rows[i].threshold : 77));
    }
}

static void test_randoms(void **state)
{
    static const struct {
        const char *tracestate;
        bool ok;
        uint64_t random;
    } rows[] = {
        {"ot=rv:0123456789abcd", true, 0x0123456789abcd},
        {"ot=th:c;rv:ffffffffffffff", true, 0xffffffffffffff},
        {"weft=keep , ot=rv:00000000000000;th:0", true, 0},
        {"ot=rv:0123456789abc", false, 0},   /* 13 digits */
        {"ot=rv:0123456789abcde", false, 0}, /* 15 */
        {"ot=rv:0123456789ABCD", false, 0},
        {"ot=rv:", false, 0},
        {"ot=th:c", false, 0},
        {"rv:0123456789abcd", false, 0},
        {"", false, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t value = 77;

        assert_int_equal(sampling_random_of(slice_of_string(rows[i].tracestate), &value), rows[i].ok);
        assert_true(value == (rows[i].ok ? rows[i].random : 77));
    }
}

static void test_members(void **state)
{
    struct slice value = SLICE_LITERAL("as it was");

    (void)state;
    assert_true(tracestate_member(SLICE_LITERAL("a=1, weft=keep ,b=2"), SLICE_LITERAL("weft"), &value));
    assert_text(value, "keep");
    assert_true(tracestate_member(SLICE_LITERAL("weft="), SLICE_LITERAL("weft"), &value));
    assert_text(value, "");
    value = SLICE_LITERAL("as it was");
    assert_false(
        tracestate_member(SLICE_LITERAL("weft,xweft=keep,weftx=keep"), SLICE_LITERAL("weft"), &value));
    assert_false(tracestate_member(SLICE_LITERAL(""), SLICE_LITERAL("weft"), &value));
    assert_text(value, "as it was");
}

static void test_weights(void **state)
{
    bool capped = true;

    (void)state;
    assert_true(sampling_weight(0, CAP, &capped) == WEIGHT_ONE);
    assert_false(capped);
    assert_true(sampling_weight(0xc0000000000000, CAP, &capped) == 4 * WEIGHT_ONE);
    assert_true(sampling_weight(0x80000000000000, CAP, &capped) == 2 * WEIGHT_ONE);
    /* One in three: 2^56 / (2^56 - T), T = 0xaaaaaaaaaaaaaa, is 3 - 3·2^-56 and a bit: rounds down below 3.
     */
    assert_true(sampling_weight(0xaaaaaaaaaaaaaa, CAP, &capped) == 3 * WEIGHT_ONE - 1);
    assert_false(capped);
    assert_true(sampling_weight(SAMPLING_THRESHOLD_END - 1, CAP, &capped) == (uint64_t)CAP << 32);
    assert_true(capped);
    assert_true(sampling_weight(0xc0000000000000, 4, &capped) == 4 * WEIGHT_ONE);
    assert_false(capped);
    assert_true(sampling_weight(0xc0000000000001, 4, &capped) == 4 * WEIGHT_ONE);
    assert_true(sampling_weight(0xd0000000000000, 4, &capped) == 4 * WEIGHT_ONE);
    assert_true(capped);
    assert_true(sampling_weight(SAMPLING_THRESHOLD_END, CAP, &capped) == WEIGHT_ONE);
    assert_true(sampling_weight(UINT64_MAX, CAP, &capped) == WEIGHT_ONE);
    assert_false(capped);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thresholds),
        cmocka_unit_test(test_randoms),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
