/* Credentials files and answers of metadata services, good and bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/error.h"
#include "exporters/otlp/aws_credentials.h"

#include "cleansed.h"

static const char file[] = "# written by hand\n"
                           "[default]\n"
                           "aws_access_key_id = AKDEFAULT\n"
                           "aws_secret_access_key=a/b+c=\r\n"
                           "\n"
                           "[ other ]\n"
                           "; a comment\n"
                           "  aws_access_key_id=AKOTHER  \n"
                           "region = eu-west-1\n"
                           "aws_secret_access_key = s\n"
                           "aws_session_token = t==\n"
                           "[empty]\n"
                           "[half]\n"
                           "aws_access_key_id = AK\n";

static void a_profile_is_found_in_a_file(void **state)
{
    (void)state;
    struct aws_credentials found;

    assert_int_equal(aws_parse_file(SLICE_LITERAL(file), "default", &found), 0);
    assert_string_equal(found.access_key_id, "AKDEFAULT");
    assert_string_equal(found.secret_access_key, "a/b+c=");
    assert_string_equal(found.session_token, "");
    assert_int_equal(aws_parse_file(SLICE_LITERAL(file), "other", &found), 0);
    assert_string_equal(found.access_key_id, "AKOTHER");
    assert_string_equal(found.session_token, "t==");
}

static void a_file_without_the_profile_says_so(void **state)
{
    (void)state;
    static const char *const profiles[] = {"empty", "half", "none", "", "defaul", "default]"};
    struct aws_credentials found = {.access_key_id = "untouched"};

    for (size_t i = 0; i < sizeof profiles / sizeof *profiles; i++) {
        assert_int_equal(aws_parse_file(SLICE_LITERAL(file), profiles[i], &found), WERR_NOT_FOUND);
    }
    assert_int_equal(aws_parse_file(slice_of(NULL, 0), "default", &found), WERR_NOT_FOUND);
    assert_int_equal(aws_parse_file(SLICE_LITERAL("[\n=\n[default\n]"), "default", &found), WERR_NOT_FOUND);
    assert_string_equal(found.access_key_id, "untouched");
}

static void a_key_that_is_too_long_is_refused(void **state)
{
    (void)state;
    char text[1024] = "[default]\naws_access_key_id = ";
    struct aws_credentials found;
    size_t length = strlen(text);

    memset(text + length, 'A', AWS_KEY_ID_BYTES_MAX);
    assert_int_equal(
        aws_parse_file(slice_of(text, length + AWS_KEY_ID_BYTES_MAX), "default", &found), WERR_OVERSIZED);
}

static void an_answer_is_read(void **state)
{
    (void)state;
    struct aws_credentials found;

    assert_int_equal(
        aws_parse_answer(
            SLICE_LITERAL("{\"Code\":\"Success\",\"AccessKeyId\":\"AK\",\"SecretAccessKey\":\"SK\","
                          "\"Token\":\"T\",\"Expiration\":\"1970-01-01T00:01:00Z\",\"x\":[1]}"),
            &found),
        0);
    assert_string_equal(found.access_key_id, "AK");
    assert_string_equal(found.secret_access_key, "SK");
    assert_string_equal(found.session_token, "T");
    assert_true(found.expires_unix_ns == 60000000000u);
    assert_int_equal(
        aws_parse_answer(
            SLICE_LITERAL("{\"AccessKeyId\":\"AK\",\"SecretAccessKey\":\"SK\",\"Token\":null}"), &found),
        0);
    assert_string_equal(found.session_token, "");
    assert_true(found.expires_unix_ns == UINT64_MAX);
}

/* Nor of an answer that is refused for another field. */
static void no_value_is_left_in_json(void **state)
{
    (void)state;
    static const char *const expirations[] = {"2999-01-01T00:00:00Z", "soon"};

    for (size_t i = 0; i < 2; i++) {
        struct aws_credentials found;
        char json[256];

        (void)snprintf(json, sizeof json,
            "{\"Expiration\":\"%s\",\"AccessKeyId\":\"AK\",\"SecretAccessKey\":\"escaped\\u002fkey\","
            "\"Token\":\"escaped\\u002ftoken\"}",
            expirations[i]);
        cleansed_forget();
        assert_int_equal(aws_parse_answer(slice_of_string(json), &found), i == 0 ? 0 : WERR_INVALID);
        const char *key = memmem(cleansed, cleansed_bytes, "escaped/key", 11);
        const char *token = memmem(cleansed, cleansed_bytes, "escaped/token", 13);
        assert_true(key == cleansed && token == cleansed + 11); /* each for itself, before the struct */
    }
}

static void bad_answers_are_refused(void **state)
{
    (void)state;
    static const char *const answers[] = {"", "{", "[]", "null", "{}", "{\"AccessKeyId\":\"AK\"}",
        "{\"AccessKeyId\":1,\"SecretAccessKey\":\"SK\"}", "{\"AccessKeyId\":\"\",\"SecretAccessKey\":\"SK\"}",
        "{\"AccessKeyId\":\"AK\",\"SecretAccessKey\":\"SK\",\"Token\":{}}",
        "{\"AccessKeyId\":\"AK\",\"SecretAccessKey\":\"SK\",\"Expiration\":\"soon\"}",
        "{\"AccessKeyId\":\"AK\",\"SecretAccessKey\":\"SK\",\"Expiration\":7}",
        "{\"AccessKeyId\":\"AK\",\"AccessKeyId\":\"AL\",\"SecretAccessKey\":\"SK\"}"};
    struct aws_credentials found = {.access_key_id = "untouched"};

    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        assert_int_equal(aws_parse_answer(slice_of_string(answers[i]), &found), WERR_INVALID);
    }
    assert_string_equal(found.access_key_id, "untouched");
}

static void times_have_one_form(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "now", "2026-11-23", "2026-11-23T11:50:31",
        "2026-11-23T11:50:31+01:00", "2026-13-23T11:50:31Z", "2026-11-23T11:50:31Zx", "1960-01-01T00:00:00Z"};
    uint64_t unix_ns = 1;

    assert_true(aws_parse_time("2015-08-30T12:36:00Z", &unix_ns));
    assert_true(unix_ns == 1440938160000000000u);
    assert_true(aws_parse_time("2015-08-30T12:36:00.123Z", &unix_ns));
    assert_true(unix_ns == 1440938160000000000u);
    assert_true(aws_parse_time("9999-12-31T23:59:59Z", &unix_ns)); /* never, as some providers say it */
    assert_true(unix_ns == UINT64_MAX);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(aws_parse_time(bad[i], &unix_ns));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_profile_is_found_in_a_file),
        cmocka_unit_test(a_file_without_the_profile_says_so),
        cmocka_unit_test(a_key_that_is_too_long_is_refused),
        cmocka_unit_test(an_answer_is_read),
        cmocka_unit_test(no_value_is_left_in_json),
        cmocka_unit_test(bad_answers_are_refused),
        cmocka_unit_test(times_have_one_form),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
