/* Attribute values as the text of labels. */
#include "decode/attribute_text.h"

#include "testing.h"

static void values_as_text(void **state)
{
    static const struct {
        enum attribute_type type;
        uint8_t number;
        double real;
        int64_t integer;
        const char *bytes;
        const char *text;
    } cases[] = {
        {ATTRIBUTE_INTEGER, 3, 0, INT64_MIN, NULL, "-9223372036854775808"},
        {ATTRIBUTE_INTEGER, 2, 0, 1, NULL, "true"},
        {ATTRIBUTE_INTEGER, 2, 0, 0, NULL, "false"},
        {ATTRIBUTE_DOUBLE, 4, 0.1, 0, NULL, "0.1"},
        {ATTRIBUTE_DOUBLE, 4, 0.30000000000000004, 0, NULL, "0.30000000000000004"},
        {ATTRIBUTE_BYTES, 7, 0, 0, "f", "Zg=="},
        {ATTRIBUTE_BYTES, 7, 0, 0, "fo", "Zm8="},
        {ATTRIBUTE_BYTES, 7, 0, 0, "foobar", "Zm9vYmFy"},
        {ATTRIBUTE_TEXT, 1, 0, 0, "as is", "as is"},
        {ATTRIBUTE_NONE, 0, 0, 0, NULL, ""},
        {ATTRIBUTE_ARRAY, 5, 0, 0, "", "[]"},
        {ATTRIBUTE_ARRAY, 5, 0, 0, "\x0a\x03\x0a\x01\x07", "[\"\\u0007\"]"},
        {ATTRIBUTE_ARRAY, 5, 0, 0, "\x0a\x03\x3a\x01z", "[\"eg==\"]"},
    };
    char out[64];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct attribute_value value = {
            .type = cases[i].type, .number = cases[i].number, .integer = cases[i].integer};
        size_t used = 3;
        struct slice text;

        if (cases[i].bytes != NULL) {
            value.text = slice_of_string(cases[i].bytes);
        }
        if (value.type == ATTRIBUTE_DOUBLE) {
            memcpy(&value.integer, &cases[i].real, sizeof value.integer);
        }
        assert_int_equal(attribute_text(&value, 2, out, sizeof out, &used, &text), 0);
        assert_true(slice_equal(text, slice_of_string(cases[i].text)));
        assert_true(used >= 3 && used <= 3 + strlen(cases[i].text));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_as_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
