/* Cleaning of senders' texts. */
#include "testing.h"

#include "context/clean_text.h"

#define BAD "\xef\xbf\xbd"

static void test_clean_text_is_not_copied(void **state)
{
    static const char *const texts[] = {"", "reviews", "caf\xc3\xa9", "\xf0\x9f\x98\x80", "a b~"};
    struct clean_text_buffer buffer;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct slice text = slice_of_string(texts[i]);
        struct slice got = clean_text(text, 256, &buffer);

        assert_ptr_equal(got.ptr, text.ptr);
        assert_int_equal(got.length, text.length);
    }
}

static void test_what_is_replaced(void **state)
{
    static const struct {
        const char *text;
        const char *clean;
    } rows[] = {
        {"a\nb", "a" BAD "b"},
        {"\x7f", BAD},
        {"a\xc2\x85z", "a" BAD "z"},           /* C1 control */
        {"\xff\xfe", BAD BAD},                 /* never in UTF-8 */
        {"\xc0\xaf", BAD BAD},                 /* over-long slash */
        {"\xe0\x80\xaf", BAD BAD BAD},         /* over-long, three bytes */
        {"\xed\xa0\x80", BAD BAD BAD},         /* surrogate */
        {"\xf4\x90\x80\x80", BAD BAD BAD BAD}, /* above U+10FFFF */
        {"x\xe2\x82", "x" BAD BAD},            /* cut off */
        {"\x80ok", BAD "ok"},
    };
    struct clean_text_buffer buffer;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_text(clean_text(slice_of_string(rows[i].text), 256, &buffer), rows[i].clean);
    }
    assert_text(clean_text(slice_of("a\0b", 3), 256, &buffer), "a" BAD "b");
}

static void test_cut_at_a_character(void **state)
{
    struct clean_text_buffer buffer;
    uint8_t large[CLEAN_TEXT_BYTES_MAX + 100];

    (void)state;
    assert_text(clean_text(SLICE_LITERAL("abcdef"), 3, &buffer), "abc");
    assert_text(clean_text(SLICE_LITERAL("ab\xc3\xa9z"), 3, &buffer), "ab");
    assert_text(clean_text(SLICE_LITERAL("ab\xc3\xa9z"), 4, &buffer), "ab\xc3\xa9");
    assert_text(clean_text(SLICE_LITERAL("ab\n"), 4, &buffer), "ab");
    assert_text(clean_text(SLICE_LITERAL("abc"), 0, &buffer), "");
    memset(large, 'x', sizeof large);
    assert_int_equal(
        clean_text(slice_of(large, sizeof large), SIZE_MAX, &buffer).length, CLEAN_TEXT_BYTES_MAX);
}

static void test_queries(void **state)
{
    (void)state;
    assert_text(strip_query(SLICE_LITERAL("/a?b=c")), "/a");
    assert_text(strip_query(SLICE_LITERAL("/a#f?b")), "/a");
    assert_text(strip_query(SLICE_LITERAL("?x")), "");
    assert_text(strip_query(SLICE_LITERAL("/a")), "/a");
    assert_text(strip_query(SLICE_LITERAL("")), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clean_text_is_not_copied),
        cmocka_unit_test(test_what_is_replaced),
        cmocka_unit_test(test_cut_at_a_character),
        cmocka_unit_test(test_queries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
