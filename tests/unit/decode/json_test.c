/* The JSON reader: what it hands over, and every way in which a text can be broken. */
#include <float.h>
#include <math.h>

#include "testing.h"

#include "core/error.h"
#include "decode/json.h"

enum { DEPTH_MAX = 8, TEXT_BYTES_MAX = 256 };

/* Reads a whole document without looking at it: what comes of it, 0 when it is sound. */
static int check(struct slice text, uint32_t depth_max)
{
    struct json_reader reader = json_reader_of(text, depth_max);
    struct json_value value;
    int status = json_read(&reader, &value);

    if (status > 0) {
        status = json_skip(&reader, &value);
    }
    return status < 0 ? status : json_end(&reader);
}

static int check_text(const char *text)
{
    return check(slice_of_string(text), DEPTH_MAX);
}

static struct json_value read_one(const char *text)
{
    struct json_reader reader = json_reader_of(slice_of_string(text), DEPTH_MAX);
    struct json_value value;

    assert_int_equal(json_read(&reader, &value), 1);
    assert_int_equal(json_skip(&reader, &value), 0);
    assert_int_equal(json_end(&reader), 0);
    return value;
}

static void assert_slice(struct slice slice, const char *text)
{
    assert_int_equal(slice.length, strlen(text));
    assert_memory_equal(slice.ptr, text, slice.length);
}

static void scalars(void **state)
{
    (void)state;
    struct json_value value = read_one(" \t\r\n true ");

    assert_int_equal(value.type, JSON_BOOLEAN);
    assert_true(value.boolean);
    value = read_one("false");
    assert_int_equal(value.type, JSON_BOOLEAN);
    assert_false(value.boolean);
    assert_slice(value.text, "false");
    assert_int_equal(read_one("null").type, JSON_NULL);
    value = read_one("-12.5e+3");
    assert_int_equal(value.type, JSON_NUMBER);
    assert_slice(value.text, "-12.5e+3");
    value = read_one("\"a text\"");
    assert_int_equal(value.type, JSON_STRING);
    assert_false(value.escaped);
    assert_slice(value.text, "a text");
    value = read_one("\"\"");
    assert_int_equal(value.text.length, 0);
    value = read_one("\"a\\\"b\"");
    assert_true(value.escaped);
    assert_slice(value.text, "a\\\"b");
}

static void numbers_as_the_rfc_has_them(void **state)
{
    (void)state;
    static const char *const sound[] = {
        "0", "-0", "10", "1.0", "0.001", "1e5", "1E-5", "-1.25e+10", "123456789"};
    static const char *const broken[] = {"01", "-", "+1", ".5", "1.", "1.e1", "1e", "1e+", "--1", "0x1",
        "1 2", "NaN", "Infinity", "1_0", "00"};

    for (size_t i = 0; i < sizeof sound / sizeof sound[0]; i++) {
        assert_int_equal(check_text(sound[i]), 0);
    }
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        assert_int_equal(check_text(broken[i]), WERR_INVALID);
    }
}

static void objects_and_arrays(void **state)
{
    (void)state;
    const char *text = " { \"a\" : [ 1 , {} , [] , \"x\" ] , \"b\\n\":null,\"c\":{\"d\":2} } ";
    struct json_reader reader = json_reader_of(slice_of_string(text), DEPTH_MAX);
    struct json_value object;
    struct json_value key;
    struct json_value value;
    struct json_value element;

    assert_int_equal(json_read(&reader, &object), 1);
    assert_int_equal(object.type, JSON_OBJECT);
    assert_int_equal(json_member(&reader, &key, &value), 1);
    assert_slice(key.text, "a");
    assert_int_equal(value.type, JSON_ARRAY);
    assert_int_equal(json_element(&reader, &element), 1);
    assert_slice(element.text, "1");
    assert_int_equal(json_element(&reader, &element), 1);
    assert_int_equal(element.type, JSON_OBJECT);
    assert_int_equal(json_skip(&reader, &element), 0);
    assert_slice(element.text, "{}");
    assert_int_equal(json_element(&reader, &element), 1);
    assert_int_equal(element.type, JSON_ARRAY);
    struct json_value nothing;
    assert_int_equal(json_element(&reader, &nothing), 0);
    assert_int_equal(json_element(&reader, &element), 1);
    assert_slice(element.text, "x");
    assert_int_equal(json_element(&reader, &element), 0);
    assert_int_equal(json_member(&reader, &key, &value), 1);
    assert_true(key.escaped);
    assert_int_equal(value.type, JSON_NULL);
    assert_int_equal(json_member(&reader, &key, &value), 1);
    assert_slice(key.text, "c");
    assert_int_equal(json_skip(&reader, &value), 0);
    assert_slice(value.text, "{\"d\":2}");
    assert_int_equal(json_member(&reader, &key, &value), 0);
    assert_int_equal(json_end(&reader), 0);
}

static void broken_texts(void **state)
{
    (void)state;
    static const char *const broken[] = {"]", "}", ",", ":", "[1 2]", "[,1]", "[1,]", "[1,,2]", "{,}",
        "{\"a\"}x", "{\"a\" 1}", "{\"a\":1,}", "{a:1}", "{1:1}", "{\"a\":}", "{\"a\":1 \"b\":2}", "[1}",
        "{\"a\":1]", "tru", "nul", "True", "'a'", "\"a\nb\"", "\"\\x\"", "\"\\u12g4\"", "[] []", "{}x",
        "\"a\"\"b\"", "\\"};

    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        assert_int_equal(check_text(broken[i]), WERR_INVALID);
    }
    assert_int_equal(check(slice_of("\"a\0b\"", 5), DEPTH_MAX), WERR_INVALID);
}

/* Every sound text, cut anywhere, is broken; nothing behind the cut is read (the sanitizers see to that). */
static void cut_anywhere(void **state)
{
    (void)state;
    const char *text =
        "{\"key\\u00e4\":[true,false,null,-12.5e+3,\"text \\ud83d\\ude00 that is longer\"],\"b\":{}}";
    size_t length = strlen(text);

    assert_int_equal(check_text(text), 0);
    for (size_t cut = 0; cut < length; cut++) {
        uint8_t *copy = malloc(cut + 1);
        memcpy(copy, text, cut);
        int status = check(slice_of(copy, cut), DEPTH_MAX);
        assert_true(status == WERR_TRUNCATED || status == WERR_INVALID);
        free(copy);
    }
    assert_int_equal(check(slice_of(NULL, 0), DEPTH_MAX), WERR_TRUNCATED);
}

static void no_deeper_than_the_limit(void **state)
{
    (void)state;
    char text[4 * DEPTH_MAX] = "";

    for (uint32_t depth = 1; depth <= DEPTH_MAX + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        text[2 * depth] = '\0';
        assert_int_equal(check_text(text), depth <= DEPTH_MAX ? 0 : WERR_DEPTH);
    }
    assert_int_equal(check_text("[[],[],[],[],[],[],[],[],[],[],{},{}]"), 0);
    assert_int_equal(check(SLICE_LITERAL("[]"), 0), WERR_DEPTH);
    assert_int_equal(check(SLICE_LITERAL("7"), 0), 0);
}

static void assert_unescaped(const char *text, const char *expected)
{
    struct json_value value = read_one(text);
    uint8_t out[TEXT_BYTES_MAX];
    size_t length = json_unescape(value.text, out);

    assert_true(length <= value.text.length);
    assert_slice(slice_of(out, length), expected);
}

static void escapes(void **state)
{
    (void)state;
    assert_unescaped("\"\"", "");
    assert_unescaped("\"plain\"", "plain");
    assert_unescaped("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t");
    assert_unescaped("\"a\\u0041\\u00e4\\u20AC\\uD83D\\uDE00z\"", "aA\u00e4\u20ac\U0001f600z");
    /* halves of pairs */
    assert_unescaped("\"\\ud83dx\"", "\xef\xbf\xbdx");
    assert_unescaped("\"\\ude00\"", "\xef\xbf\xbd");
    assert_unescaped("\"\\ud83d\\u0041\"", "\xef\xbf\xbd"
                                           "A");
    assert_unescaped("\"\\ud83d\\n\"", "\xef\xbf\xbd\n");
}

/* The eight-byte steps find what ends a string at every place. */
static void every_byte_at_every_place(void **state)
{
    (void)state;
    for (unsigned place = 0; place < 24; place++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            uint8_t text[27];
            memset(text, 'a', sizeof text);
            text[0] = '"';
            text[1 + place] = (uint8_t)byte;
            text[25] = '"';
            int status = check(slice_of(text, 26), DEPTH_MAX);
            /* a quote in the last place leaves an empty rest */
            bool sound = byte >= 0x20 && byte != '"' && byte != '\\';
            assert_int_equal(status == 0, sound);
        }
    }
}

static void integers(void **state)
{
    (void)state;
    uint64_t number = 7;
    int64_t with_sign = 7;

    assert_int_equal(json_uint64(SLICE_LITERAL("18446744073709551615"), &number), 0);
    assert_true(number == UINT64_MAX);
    assert_int_equal(json_uint64(SLICE_LITERAL("1795432915790622"), &number), 0);
    assert_true(number == 1795432915790622u);
    assert_int_equal(json_uint64(SLICE_LITERAL("1.5e3"), &number), 0);
    assert_true(number == 1500);
    assert_int_equal(json_uint64(SLICE_LITERAL("2.0"), &number), 0);
    assert_true(number == 2);
    static const char *const broken[] = {"", "-1", "1.5", "18446744073709551616", "1e20", "abc", "0x10", "1e",
        " 1", "1 ", "nan", "inf", "1e999",
        "1.00000000000000000000000000000000000000000000000000000000000000000000000000000000000"};
    number = 7;
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        assert_int_equal(json_uint64(slice_of_string(broken[i]), &number), WERR_INVALID);
        assert_true(number == 7);
    }
    assert_int_equal(json_int64(SLICE_LITERAL("-9223372036854775808"), &with_sign), 0);
    assert_true(with_sign == INT64_MIN);
    assert_int_equal(json_int64(SLICE_LITERAL("9223372036854775807"), &with_sign), 0);
    assert_true(with_sign == INT64_MAX);
    assert_int_equal(json_int64(SLICE_LITERAL("-0"), &with_sign), 0);
    assert_true(with_sign == 0);
    assert_int_equal(json_int64(SLICE_LITERAL("9223372036854775808"), &with_sign), WERR_INVALID);
    assert_int_equal(json_int64(SLICE_LITERAL("-9223372036854775809"), &with_sign), WERR_INVALID);
    assert_int_equal(json_int64(SLICE_LITERAL("--1"), &with_sign), WERR_INVALID);
    assert_int_equal(json_int64(SLICE_LITERAL("-"), &with_sign), WERR_INVALID);
    assert_int_equal(json_int64(slice_of(NULL, 0), &with_sign), WERR_INVALID);
}

static void fractions(void **state)
{
    (void)state;
    double number = 7;

    assert_int_equal(json_double(SLICE_LITERAL("0.002"), &number), 0);
    assert_true(fabs(number - 0.002) < DBL_EPSILON);
    assert_int_equal(json_double(SLICE_LITERAL("-1.5e3"), &number), 0);
    assert_true(fabs(number + 1500) < DBL_EPSILON);
    number = 7;
    assert_int_equal(json_double(SLICE_LITERAL("1e999"), &number), WERR_INVALID);
    assert_int_equal(json_double(SLICE_LITERAL("0.002s"), &number), WERR_INVALID);
    assert_int_equal(json_double(slice_of(NULL, 0), &number), WERR_INVALID);
    assert_true(fabs(number - 7) < DBL_EPSILON);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars),
        cmocka_unit_test(numbers_as_the_rfc_has_them),
        cmocka_unit_test(objects_and_arrays),
        cmocka_unit_test(broken_texts),
        cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(no_deeper_than_the_limit),
        cmocka_unit_test(escapes),
        cmocka_unit_test(every_byte_at_every_place),
        cmocka_unit_test(integers),
        cmocka_unit_test(fractions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
