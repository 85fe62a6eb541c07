/* Headers of syslog messages: both RFCs, what nginx and HAProxy make of them, and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/error.h"
#include "decode/syslog.h"

static void assert_text(struct slice text, const char *expected)
{
    assert_int_equal(text.length, strlen(expected));
    assert_memory_equal(text.ptr == NULL ? (const uint8_t *)"" : text.ptr, expected, text.length);
}

struct good {
    const char *message;
    unsigned facility, severity;
    const char *host, *tag, *process_id, *body;
};

static const struct good good[] = {
    {"<190>Nov 23 11:55:05 nginx: {\"a\":1}", 23, 6, "", "nginx", "", "{\"a\":1}"},
    {"<190>Nov  3 01:05:05 web-1 nginx: {}\n", 23, 6, "web-1", "nginx", "", "{}"},
    {"<134>Nov 23 11:55:05 haproxy[20096]: {}", 16, 6, "", "haproxy", "20096", "{}"},
    {"<134>Nov 23 11:55:05 edge haproxy[20096]: {} \r\n", 16, 6, "edge", "haproxy", "20096", "{}"},
    {"<134>1 2026-11-23T11:53:18.993634+00:00 - haproxy 20096 - - {\"b\":2}\n", 16, 6, "", "haproxy", "20096",
        "{\"b\":2}"},
    {"<0>1 - host app - ID7 [a@1 b=\"c]\\\"d\\\\\" e=\"\"][f] body here", 0, 0, "host", "app", "",
        "body here"},
    {"<34>1 - - - - - - \xef\xbb\xbftext", 4, 2, "", "", "", "text"},
    {"<34>1 - - - - - -", 4, 2, "", "", "", ""},
    {"<34>1 - - - - - [x]", 4, 2, "", "", "", ""},
    {"<134>{\"raw\":true}", 16, 6, "", "", "", "{\"raw\":true}"},
    {"<5>", 0, 5, "", "", "", ""},
    {"<13>Nov 23 11:55:05 just words", 1, 5, "", "", "", "just words"},
    {"<13>Nov 23 11:55:05 a:", 1, 5, "", "a", "", ""},
    {"<13>Now 23 11:55 no time", 1, 5, "", "", "", "Now 23 11:55 no time"},
};

static void test_headers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct syslog_message message;
        assert_int_equal(syslog_read(slice_of_string(good[i].message), &message), 0);
        assert_int_equal(message.facility, good[i].facility);
        assert_int_equal(message.severity, good[i].severity);
        assert_text(message.host, good[i].host);
        assert_text(message.tag, good[i].tag);
        assert_text(message.process_id, good[i].process_id);
        assert_text(message.body, good[i].body);
    }
}

static void test_what_is_no_header(void **state)
{
    static const struct {
        const char *message;
        int error;
    } bad[] = {
        {"", WERR_INVALID},
        {"{}", WERR_INVALID},
        {"<", WERR_TRUNCATED},
        {"<12", WERR_TRUNCATED},
        {"<>x", WERR_INVALID},
        {"<192>Nov 23 11:55:05 nginx: {}", WERR_INVALID},
        {"<99999999999999999999>x", WERR_INVALID},
        {"<-1>x", WERR_INVALID},
        {"<1a>x", WERR_INVALID},
        {"<34>2 - - - - - -", WERR_INVALID},
        {"<34>11 - - - - - -", WERR_INVALID},
        {"<34>1", WERR_INVALID},
        {"<34>1 ", WERR_TRUNCATED},
        {"<34>1 - - - -", WERR_TRUNCATED},
        {"<34>1 - - - - - ", WERR_TRUNCATED},
        {"<34>1 -  - - - - x", WERR_INVALID},
        {"<34>1 - - - - - x", WERR_INVALID},
        {"<34>1 - - - - - [a b=\"", WERR_TRUNCATED},
        {"<34>1 - - - - - [a b=\"\\", WERR_TRUNCATED},
        {"<34>1 - - - - - [a b=\"]\"", WERR_TRUNCATED},
        {"<34>1 - - - - - [a]x", WERR_INVALID},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct syslog_message message = {.severity = 99};
        assert_int_equal(syslog_read(slice_of_string(bad[i].message), &message), bad[i].error);
        assert_int_equal(message.severity, 99); /* untouched */
    }
}

/* Every beginning of a good message is read without a byte behind it (the sanitizers watch). */
static void test_every_beginning(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        for (size_t length = 0; length <= strlen(good[i].message); length++) {
            char *copy = malloc(length + 1);
            struct syslog_message message;
            assert_non_null(copy);
            memcpy(copy + 1, good[i].message, length);
            int error = syslog_read(slice_of(copy + 1, length), &message);
            assert_true(error == 0 || error == WERR_TRUNCATED || error == WERR_INVALID);
            if (error == 0 && message.body.length > 0) {
                assert_true(message.body.ptr + message.body.length <= (uint8_t *)copy + 1 + length);
            }
            free(copy);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_what_is_no_header),
        cmocka_unit_test(test_every_beginning),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
