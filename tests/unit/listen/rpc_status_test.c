/* The bytes of google.rpc.Status: with a text, with a RetryInfo, with a text that is too long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "listen/rpc_status.h"

static void code_and_text(void **state)
{
    static const uint8_t expected[] = "\x08\x03\x12\x03"
                                      "bad";
    static const uint8_t without_text[] = "\x08\x0e\x12\x00";
    uint8_t bytes[RPC_STATUS_BYTES_MAX];

    (void)state;
    assert_int_equal(rpc_status_write(bytes, GRPC_INVALID_ARGUMENT, "bad", 0), sizeof expected - 1);
    assert_memory_equal(bytes, expected, sizeof expected - 1);
    assert_int_equal(rpc_status_write(bytes, GRPC_UNAVAILABLE, "", 0), sizeof without_text - 1);
    assert_memory_equal(bytes, without_text, sizeof without_text - 1);
}

static void a_time_to_wait_is_a_detail(void **state)
{
    /* details[0]: Any, 40 + 2 bytes of type_url, 11 + 2 of RetryInfo; its Duration is 1 s, 500,000,000 ns */
    static const uint8_t expected[] =
        "\x08\x0e\x12\x02no\x1a\x36\x0a\x28type.googleapis.com/google.rpc.RetryInfo"
        "\x12\x0a\x0a\x08\x08\x01\x10\x80\xca\xb5\xee\x01";
    uint8_t bytes[RPC_STATUS_BYTES_MAX];

    (void)state;
    assert_int_equal(rpc_status_write(bytes, GRPC_UNAVAILABLE, "no", 1500), sizeof expected - 1);
    assert_memory_equal(bytes, expected, sizeof expected - 1);
}

static void a_long_text_is_cut(void **state)
{
    char text[2 * RPC_STATUS_BYTES_MAX];
    uint8_t bytes[RPC_STATUS_BYTES_MAX];

    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    size_t length = rpc_status_write(bytes, GRPC_INTERNAL, text, 0);
    assert_int_equal(length, 2 + 3 + RPC_STATUS_TEXT_BYTES_MAX); /* its length takes two bytes */
    assert_memory_equal(bytes, "\x08\x0d\x12\xc0\x01", 5);
    assert_memory_equal(bytes + 5, text, RPC_STATUS_TEXT_BYTES_MAX);
    assert_true(rpc_status_write(bytes, GRPC_INTERNAL, text, UINT32_MAX) <= sizeof bytes);
}

static void as_json(void **state)
{
    char text[2 * RPC_STATUS_BYTES_MAX];
    uint8_t bytes[RPC_STATUS_BYTES_MAX];
    static const char expected[] = "{\"code\":3,\"message\":\"a \\\"quoted\\\" \\\\ ??.\"}";

    (void)state;
    size_t length = rpc_status_write_json(bytes, GRPC_INVALID_ARGUMENT, "a \"quoted\" \\ \n\x7f.");
    assert_int_equal(length, sizeof expected - 1);
    assert_memory_equal(bytes, expected, length);
    memset(text, '"', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    length = rpc_status_write_json(bytes, GRPC_INTERNAL, text);
    assert_int_equal(
        length, strlen("{\"code\":13,\"message\":\"\"}") + 2 * (size_t)RPC_STATUS_TEXT_BYTES_MAX);
    assert_true(length <= sizeof bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(code_and_text),
        cmocka_unit_test(a_time_to_wait_is_a_detail),
        cmocka_unit_test(a_long_text_is_cut),
        cmocka_unit_test(as_json),
    };

    return cmocka_run_group_tests_name("rpc_status", tests, NULL, NULL);
}
