/* Signature Version 4 against AWS's own test suite, and against what botocore makes of our requests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/error.h"
#include "exporters/otlp/aws_sign.h"

#include "cleansed.h"

static const struct aws_credentials example = {
    .access_key_id = "AKIDEXAMPLE", .secret_access_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"};

#define DATE "20150830T123600Z"

static void expect_signed(const struct aws_request *request, const char *names, const char *signature)
{
    char authorization[AWS_AUTHORIZATION_BYTES_MAX];
    char expected[AWS_AUTHORIZATION_BYTES_MAX];

    assert_int_equal(aws_sign(request, &example, authorization), 0);
    (void)snprintf(expected, sizeof expected,
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        "SignedHeaders=%s, Signature=%s",
        names, signature);
    assert_string_equal(authorization, expected);
}

static struct aws_request request_of(const struct aws_header *headers, size_t count)
{
    return (struct aws_request){
        .region = "us-east-1", .service = "service", .headers = headers, .header_count = count, .date = DATE};
}

/* aws-sig-v4-test-suite: post-vanilla, post-header-key-sort, post-header-value-case */
static void the_test_suite_of_aws(void **state)
{
    (void)state;
    static const struct aws_header vanilla[] = {{"x-amz-date", DATE}, {"host", "example.amazonaws.com"}};
    static const struct aws_header sorted[] = {
        {"host", "example.amazonaws.com"}, {"my-header1", "value1"}, {"x-amz-date", DATE}};
    static const struct aws_header cased[] = {
        {"host", "example.amazonaws.com"}, {"my-header1", "VALUE1"}, {"x-amz-date", DATE}};
    struct aws_request request = request_of(vanilla, 2);

    expect_signed(
        &request, "host;x-amz-date", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
    request.path = SLICE_LITERAL("/");
    expect_signed(
        &request, "host;x-amz-date", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
    request = request_of(sorted, 3);
    expect_signed(&request, "host;my-header1;x-amz-date",
        "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c");
    request = request_of(cased, 3);
    expect_signed(&request, "host;my-header1;x-amz-date",
        "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d");
}

/* Values that libcurl 7.88 gets wrong: empty ones, and names of which one begins another. */
static void headers_are_sorted_by_name_and_spaces_folded(void **state)
{
    (void)state;
    static const struct aws_header headers[] = {{"x-log", "s"}, {"x-log-a", "  g  h "}, {"x-empty", ""},
        {"host", "example.amazonaws.com"}, {"x-amz-date", DATE}};
    struct aws_request request = request_of(headers, 5);

    request.path = SLICE_LITERAL("/v1/traces");
    request.body = SLICE_LITERAL("a\0b");
    expect_signed(&request, "host;x-amz-date;x-empty;x-log;x-log-a",
        "d48ed993e0de3b2b61b1f8c631d07c0b21650ee9dac5df2faf048db4e7b5bc8c");
}

/* The secret, what is derived from it, and the session token, which is a header that is signed. */
static void no_secret_is_left_behind(void **state)
{
    (void)state;
    static const struct aws_header headers[] = {
        {"host", "example.amazonaws.com"}, {"x-amz-date", DATE}, {"x-amz-security-token", "a-session-token"}};
    struct aws_request request = request_of(headers, 3);
    char authorization[AWS_AUTHORIZATION_BYTES_MAX];

    cleansed_forget();
    assert_int_equal(aws_sign(&request, &example, authorization), 0);
    assert_true(cleansed_has("AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"));
    assert_true(cleansed_has("x-amz-security-token:a-session-token"));
}

static void a_date_is_utc(void **state)
{
    (void)state;
    char date[AWS_DATE_BYTES];

    aws_format_date(1440938160999999999u, date);
    assert_string_equal(date, DATE);
    aws_format_date(0, date);
    assert_string_equal(date, "19700101T000000Z");
}

static void too_much_is_refused(void **state)
{
    (void)state;
    struct aws_header headers[AWS_HEADERS_COUNT_MAX + 1];
    char authorization[AWS_AUTHORIZATION_BYTES_MAX];
    char *value = malloc(AWS_CANONICAL_BYTES_MAX + 1);

    assert_non_null(value);
    memset(value, 'x', AWS_CANONICAL_BYTES_MAX);
    value[AWS_CANONICAL_BYTES_MAX] = '\0';
    for (size_t i = 0; i < AWS_HEADERS_COUNT_MAX + 1; i++) {
        headers[i] = (struct aws_header){"name", "value"};
    }
    struct aws_request request = request_of(headers, AWS_HEADERS_COUNT_MAX + 1);
    assert_int_equal(aws_sign(&request, &example, authorization), WERR_FULL);
    headers[0].value = value;
    request.header_count = 1;
    assert_int_equal(aws_sign(&request, &example, authorization), WERR_OVERSIZED);
    headers[0].value = "value";
    value[300] = '\0';
    request.region = value;
    assert_int_equal(aws_sign(&request, &example, authorization), WERR_OVERSIZED);
    free(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_test_suite_of_aws),
        cmocka_unit_test(headers_are_sorted_by_name_and_spaces_folded),
        cmocka_unit_test(no_secret_is_left_behind),
        cmocka_unit_test(a_date_is_utc),
        cmocka_unit_test(too_much_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
