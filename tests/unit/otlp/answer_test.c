/* Answers, URLs and backoff: pure functions, good and bad input. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/error.h"
#include "exporters/otlp/answer.h"
#include "exporters/otlp/backoff.h"
#include "exporters/otlp/url.h"

static void retry_after_is_seconds_or_a_date(void **state)
{
    (void)state;
    static const uint64_t now_ns = 784111777u * 1000000000ull; /* Sun, 06 Nov 1994 08:49:37 GMT */
    uint64_t ms = 7;

    assert_true(answer_parse_retry_after(SLICE_LITERAL("120"), now_ns, &ms));
    assert_int_equal(ms, 120000);
    assert_true(answer_parse_retry_after(SLICE_LITERAL("0"), now_ns, &ms));
    assert_int_equal(ms, 0);
    assert_true(answer_parse_retry_after(SLICE_LITERAL("Sun, 06 Nov 1994 08:49:47 GMT"), now_ns, &ms));
    assert_int_equal(ms, 10000);
    assert_true(answer_parse_retry_after(SLICE_LITERAL("Sun, 06 Nov 1994 08:00:00 GMT"), now_ns, &ms));
    assert_int_equal(ms, 0);
    assert_true(answer_parse_retry_after(SLICE_LITERAL("99999999999999999999999999"), now_ns, &ms));
    assert_int_equal(ms, 1000000000000u);
    ms = 7;
    assert_false(answer_parse_retry_after(SLICE_LITERAL(""), now_ns, &ms));
    assert_false(answer_parse_retry_after(SLICE_LITERAL("soon"), now_ns, &ms));
    assert_false(answer_parse_retry_after(SLICE_LITERAL("-1"), now_ns, &ms));
    assert_int_equal(ms, 7);
}

static void retry_info_is_read_from_status_details(void **state)
{
    (void)state;
    uint64_t ms = 7;
    char text[8192 + 64];

    /* Status{details{type_url "t/google.rpc.RetryInfo", value RetryInfo{retry_delay{seconds 2, nanos
     * 500000000}}}} */
    struct slice two_and_a_half = SLICE_LITERAL("GiQKFnQvZ29vZ2xlLnJwYy5SZXRyeUluZm8SCgoICAIQgMq17gE=");
    assert_true(answer_parse_retry_info(two_and_a_half, &ms));
    assert_int_equal(ms, 2500);
    assert_true(answer_parse_retry_info(slice_sub(two_and_a_half, 0, two_and_a_half.length - 1), &ms));
    ms = 7;
    assert_false(answer_parse_retry_info(SLICE_LITERAL(""), &ms));
    assert_false(answer_parse_retry_info(SLICE_LITERAL("===="), &ms));
    assert_false(answer_parse_retry_info(SLICE_LITERAL("A"), &ms));
    assert_false(answer_parse_retry_info(SLICE_LITERAL("!!!!"), &ms));
    assert_false(answer_parse_retry_info(SLICE_LITERAL("CAg="), &ms)); /* Status{code 8}, no details */
    memset(text, 'A', sizeof text);
    assert_false(answer_parse_retry_info(slice_of(text, sizeof text), &ms));
    assert_int_equal(ms, 7);
}

static void texts_are_cleaned_and_cut_at_a_character(void **state)
{
    (void)state;
    char text[OTLP_TEXT_BYTES_MAX];
    char input[OTLP_TEXT_BYTES_MAX + 10];

    answer_set_text(text, SLICE_LITERAL("a\nb\x7f\tc"));
    assert_string_equal(text, "a b  c");
    memset(input, 'x', sizeof input);
    memcpy(input + OTLP_TEXT_BYTES_MAX - 2, "\xc3\xa9", 2);
    answer_set_text(text, slice_of(input, sizeof input));
    assert_int_equal(strlen(text), OTLP_TEXT_BYTES_MAX - 2);
    answer_set_text_percent(text, SLICE_LITERAL("50%25 %zz %4"));
    assert_string_equal(text, "50% %zz %4");
    answer_set_text_percent(text, SLICE_LITERAL("%00%0a%41"));
    assert_string_equal(text, "  A");
}

static void urls_are_taken_apart(void **state)
{
    (void)state;
    struct url url;

    assert_int_equal(url_parse("http://collector.obs:4317", &url), 0);
    assert_false(url.is_tls || url.is_unix || url.host_is_ip);
    assert_string_equal(url.host, "collector.obs");
    assert_string_equal(url.port, "4317");
    assert_string_equal(url.authority, "collector.obs:4317");
    assert_int_equal(url.path.length, 0);
    assert_int_equal(url_parse("https://[::1]/v1/traces?x=1", &url), 0);
    assert_true(url.is_tls && url.host_is_ip);
    assert_string_equal(url.host, "::1");
    assert_string_equal(url.port, "443");
    assert_string_equal(url.authority, "[::1]");
    assert_true(slice_equal(url.path, SLICE_LITERAL("/v1/traces?x=1")));
    assert_int_equal(url_parse("unix:/run/c.sock", &url), 0);
    assert_true(url.is_unix);
    assert_string_equal(url.socket_path, "/run/c.sock");
    assert_int_equal(url_parse("unix:///run/c.sock", &url), 0);
    assert_string_equal(url.socket_path, "/run/c.sock");
    char long_host[400] = "http://";
    memset(long_host + 7, 'h', 300);
    assert_int_equal(url_parse(long_host, &url), WERR_OVERSIZED);
    assert_int_equal(url_parse("unix:/"
                               "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                               "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                         &url),
        WERR_OVERSIZED);
}

static void backoff_doubles_with_jitter_within_bounds(void **state)
{
    (void)state;
    struct backoff backoff = {.initial_ms = 1000, .max_ms = 30000, .retry_after_max_ms = 300000, .random = 1};
    uint64_t expected_ms = 1000;
    uint64_t first_ms = 0;
    bool differs = false;

    for (int i = 0; i < 100; i++) {
        uint64_t delay_ms = backoff_next_ms(&backoff, 0);
        assert_in_range(delay_ms, expected_ms / 2, expected_ms);
        expected_ms = expected_ms * 2 < 30000 ? expected_ms * 2 : 30000;
        first_ms = i == 50 ? delay_ms : first_ms;
        differs = differs || (i > 50 && delay_ms != first_ms);
    }
    assert_true(differs);
    assert_in_range(backoff_next_ms(&backoff, 5000), 5000, 5500);
    assert_in_range(backoff_next_ms(&backoff, UINT64_MAX), 300000, 330000);
    backoff_reset(&backoff);
    assert_in_range(backoff_next_ms(&backoff, 0), 500, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(retry_after_is_seconds_or_a_date),
        cmocka_unit_test(retry_info_is_read_from_status_details),
        cmocka_unit_test(texts_are_cleaned_and_cut_at_a_character),
        cmocka_unit_test(urls_are_taken_apart),
        cmocka_unit_test(backoff_doubles_with_jitter_within_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
