/* UTF-8: every code point, every pair of bytes, and every position of damage around the eight-byte steps. */
#include "testing.h"

#include "decode/utf8.h"

static size_t encode(uint32_t code, uint8_t *out)
{
    if (code < 0x80) {
        out[0] = (uint8_t)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (uint8_t)(0xc0 | code >> 6);
        out[1] = (uint8_t)(0x80 | (code & 63));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (uint8_t)(0xe0 | code >> 12);
        out[1] = (uint8_t)(0x80 | (code >> 6 & 63));
        out[2] = (uint8_t)(0x80 | (code & 63));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | code >> 18);
    out[1] = (uint8_t)(0x80 | (code >> 12 & 63));
    out[2] = (uint8_t)(0x80 | (code >> 6 & 63));
    out[3] = (uint8_t)(0x80 | (code & 63));
    return 4;
}

static void every_code_point(void **state)
{
    (void)state;
    uint8_t text[4];

    for (uint32_t code = 0; code < 0x120000; code++) {
        size_t length = encode(code, text);
        bool is_character = code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
        assert_int_equal(utf8_is_valid(slice_of(text, length)), is_character);
        for (size_t cut = 1; cut < length; cut++) {
            assert_false(utf8_is_valid(slice_of(text, cut)));
        }
    }
}

static void two_bytes(void **state)
{
    (void)state;
    for (unsigned a = 0; a < 256; a++) {
        for (unsigned b = 0; b < 256; b++) {
            uint8_t text[2] = {(uint8_t)a, (uint8_t)b};
            bool expected = (a < 0x80 && b < 0x80) || (a >= 0xc2 && a <= 0xdf && b >= 0x80 && b <= 0xbf);
            assert_int_equal(utf8_is_valid(slice_of(text, 2)), expected);
        }
    }
}

static void overlong_forms_are_refused(void **state)
{
    (void)state;
    assert_false(utf8_is_valid(SLICE_LITERAL("\xc0\xaf")));
    assert_false(utf8_is_valid(SLICE_LITERAL("\xe0\x80\xaf")));
    assert_false(utf8_is_valid(SLICE_LITERAL("\xf0\x80\x80\xaf")));
    assert_false(utf8_is_valid(SLICE_LITERAL("\xf8\x88\x80\x80\x80")));
}

static void a_bad_byte_is_found_at_every_position(void **state)
{
    (void)state;
    uint8_t text[80];

    for (size_t length = 0; length <= sizeof text; length++) {
        memset(text, 'a', sizeof text);
        assert_true(utf8_is_valid(slice_of(text, length)));
        assert_true(utf8_is_ascii(slice_of(text, length)));
        for (size_t at = 0; at < length; at++) {
            text[at] = 0xff;
            assert_false(utf8_is_valid(slice_of(text, length)));
            assert_false(utf8_is_ascii(slice_of(text, length)));
            text[at] = 'a';
        }
    }
    assert_true(utf8_is_valid(slice_of(NULL, 0)));
    assert_true(utf8_is_ascii(slice_of(NULL, 0)));
}

static void cutting_keeps_characters_whole(void **state)
{
    (void)state;
    struct slice text = SLICE_LITERAL("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
    const size_t expected[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10};

    for (size_t bytes_max = 0; bytes_max < 12; bytes_max++) {
        assert_int_equal(utf8_cut(text, bytes_max), expected[bytes_max]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point),
        cmocka_unit_test(two_bytes),
        cmocka_unit_test(overlong_forms_are_refused),
        cmocka_unit_test(a_bad_byte_is_found_at_every_position),
        cmocka_unit_test(cutting_keeps_characters_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
