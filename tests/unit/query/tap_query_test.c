/* Arguments and lines of /api/v1/tap. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <jansson.h>

#include "context/response_flags.h"
#include "core/error.h"
#include "query/tap_query.h"

static int parse(struct tap_query *query, const char *name, const char *value)
{
    const struct query_argument argument = {.name = name, .value = value};

    return tap_query_parse(query, &argument, 1);
}

static void defaults(void **state)
{
    struct tap_query query;
    static const struct tap_filter none;

    (void)state;
    assert_int_equal(tap_query_parse(&query, NULL, 0), 0);
    assert_int_equal(query.rate_per_s, TAP_RATE);
    assert_memory_equal(&query.filter, &none, sizeof none);
}

static void every_argument(void **state)
{
    const struct query_argument arguments[] = {
        {"service", "cart"},
        {"source", "web.shop"},
        {"destination", "db"},
        {"route", "/items/{id}"},
        {"reporter", "destination"},
        {"flags", "UO,URX"},
        {"error", "true"},
        {"min_duration", "250ms"},
        {"max_duration", "1.5s"},
        {"rate", "all"},
    };
    struct tap_query query;

    (void)state;
    assert_int_equal(tap_query_parse(&query, arguments, sizeof arguments / sizeof arguments[0]), 0);
    assert_memory_equal(query.filter.service.text, "cart", 4);
    assert_int_equal(query.filter.service.length, 4);
    assert_memory_equal(query.filter.source.text, "web.shop", 8);
    assert_memory_equal(query.filter.destination.text, "db", 2);
    assert_memory_equal(query.filter.route.text, "/items/{id}", 11);
    assert_int_equal(query.filter.reporters, 1u << REPORTER_DESTINATION);
    assert_int_equal(query.filter.response_flags, RESPONSE_FLAG(UO) | RESPONSE_FLAG(URX));
    assert_true(query.filter.only_errors);
    assert_int_equal(query.filter.duration_min_ns, 250000000);
    assert_int_equal(query.filter.duration_max_ns, 1500000000);
    assert_int_equal(query.rate_per_s, 0);
    assert_int_equal(parse(&query, "rate", "100000"), 0);
    assert_int_equal(query.rate_per_s, 100000);
    assert_int_equal(parse(&query, "error", "false"), 0);
    assert_false(query.filter.only_errors);
}

static void bad_arguments_are_named(void **state)
{
    char long_name[TAP_NAME_BYTES_MAX + 2];
    const struct query_argument bad[] = {
        {"service", ""},
        {"service", long_name},
        {"colour", "red"},
        {"reporter", "me"},
        {"flags", "NOPE"},
        {"error", "yes"},
        {"min_duration", "soon"},
        {"min_duration", "-1s"},
        {"max_duration", "5"},
        {"rate", "0"},
        {"rate", "100001"},
        {"rate", "-1"},
        {"rate", "10/s"},
        {"rate", ""},
        {"rate", "99999999999999999999999"},
    };
    const struct query_argument none[] = {{"min_duration", "2s"}, {"max_duration", "1s"}};
    const struct query_argument twice[] = {{"route", "/a"}, {"route", "/a"}};
    struct tap_query query;

    (void)state;
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(tap_query_parse(&query, &bad[i], 1), WERR_INVALID);
        assert_string_equal(query.bad_argument, bad[i].name);
        assert_true(query.message[0] != '\0');
    }
    assert_int_equal(tap_query_parse(&query, none, 2), WERR_INVALID);
    assert_string_equal(query.bad_argument, "max_duration");
    assert_int_equal(tap_query_parse(&query, twice, 2), WERR_INVALID);
    assert_string_equal(query.message, "given twice");
}

static json_t *read_line(struct buffer *out)
{
    json_error_t error;

    assert_int_equal(out->error, 0);
    assert_true(out->length > 0 && out->data[out->length - 1] == '\n');
    assert_null(memchr(out->data, '\n', out->length - 1));
    json_t *object = json_loadb((char *)out->data, out->length, 0, &error);
    assert_non_null(object);
    return object;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    assert_non_null(text);
    return text;
}

static void a_line_tells_all(void **state)
{
    struct budget budget = {.cap_bytes = 1 << 20};
    struct interner *interner = interner_new(64, &budget);
    struct tap_record record = {
        .start_unix_ns = 1795458317804755874,
        .duration_ns = 1234567890123,
        .response_flags = RESPONSE_FLAG(UO) | RESPONSE_FLAG(URX),
        .source = interner_intern(interner, SLICE_LITERAL("we\"b\n\xff")),
        .source_namespace = INTERNED_UNKNOWN,
        .destination = interner_intern(interner, SLICE_LITERAL("cart")),
        .destination_namespace = interner_intern(interner, SLICE_LITERAL("shop")),
        .route = interner_intern(interner, SLICE_LITERAL("/items/{id}")),
        .attempts = 3,
        .response_code = 503,
        .grpc_status = 14,
        .reporter = REPORTER_DESTINATION,
        .method = METHOD_GET,
        .protocol = PROTOCOL_GRPC,
        .outcome = OUTCOME_SERVER_ERROR,
        .trace_id = {0xab, [15] = 0xcd},
    };
    struct buffer out;

    (void)state;
    buffer_init(&out, 4096);
    tap_line(&out, &record, interner);
    json_t *line = read_line(&out);
    assert_string_equal(text_of(line, "time_unix_ns"), "1795458317804755874");
    assert_string_equal(text_of(line, "reporter"), "destination");
    assert_string_equal(text_of(line, "source"), "we\"b\n\xef\xbf\xbd");
    assert_null(json_object_get(line, "source_namespace"));
    assert_string_equal(text_of(line, "destination"), "cart");
    assert_string_equal(text_of(line, "destination_namespace"), "shop");
    assert_string_equal(text_of(line, "route"), "/items/{id}");
    assert_string_equal(text_of(line, "method"), "GET");
    assert_string_equal(text_of(line, "protocol"), "grpc");
    assert_string_equal(text_of(line, "outcome"), "server_error");
    assert_string_equal(text_of(line, "response_flags"), "UO,URX");
    assert_string_equal(text_of(line, "trace_id"), "ab0000000000000000000000000000cd");
    assert_int_equal(json_integer_value(json_object_get(line, "response_code")), 503);
    assert_int_equal(json_integer_value(json_object_get(line, "grpc_status")), 14);
    assert_int_equal(json_integer_value(json_object_get(line, "attempts")), 3);
    assert_non_null(strstr((char *)out.data, "\"duration_seconds\":1234.567890123,"));
    json_decref(line);
    buffer_deinit(&out);
    interner_free(interner);
}

static void what_is_not_told_is_left_out(void **state)
{
    struct budget budget = {.cap_bytes = 1 << 20};
    struct interner *interner = interner_new(64, &budget);
    const struct tap_record record = {.source = INTERNED_UNKNOWN,
        .destination = 0x7f000123 /* long gone */,
        .grpc_status = GRPC_STATUS_NONE};
    struct buffer out;

    (void)state;
    buffer_init(&out, 4096);
    tap_line(&out, &record, interner);
    assert_int_equal(buffer_append_byte(&out, 0), 0);
    assert_string_equal((char *)out.data,
        "{\"time_unix_ns\":\"0\",\"reporter\":\"source\",\"source\":\"unknown\",\"outcome\":\"ok\","
        "\"duration_seconds\":0.000000000}\n");
    buffer_deinit(&out);
    interner_free(interner);
}

static void counts_and_errors(void **state)
{
    struct buffer out;

    (void)state;
    buffer_init(&out, 4096);
    tap_line_dropped(&out, UINT64_MAX);
    tap_line_left_out(&out, 7);
    tap_error(&out, "rate", "a \"b\"");
    tap_error(&out, NULL, "c");
    assert_int_equal(buffer_append_byte(&out, 0), 0);
    assert_string_equal((char *)out.data,
        "{\"dropped\":18446744073709551615}\n{\"left_out\":7}\n"
        "{\"error\":{\"message\":\"a \\\"b\\\"\",\"argument\":\"rate\"}}\n{\"error\":{\"message\":\"c\"}}\n");
    buffer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(every_argument),
        cmocka_unit_test(bad_arguments_are_named),
        cmocka_unit_test(a_line_tells_all),
        cmocka_unit_test(what_is_not_told_is_left_out),
        cmocka_unit_test(counts_and_errors),
    };
    return cmocka_run_group_tests_name("tap_query", tests, NULL, NULL);
}
