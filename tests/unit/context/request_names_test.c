/* Label values of a request's enumerations. */
#include "testing.h"

#include "context/request.h"

static void test_every_value_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int i = 0; i < METHOD_COUNT; i++) {
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(method_name((enum method)i), method_name((enum method)j));
        }
    }
    assert_string_equal(reporter_name(REPORTER_SOURCE), "source");
    assert_string_equal(reporter_name(REPORTER_DESTINATION), "destination");
    assert_string_equal(reporter_name(REPORTER_WAYPOINT), "waypoint");
    assert_string_equal(outcome_name(OUTCOME_OK), "ok");
    assert_string_equal(outcome_name(OUTCOME_CLIENT_ERROR), "client_error");
    assert_string_equal(outcome_name(OUTCOME_SERVER_ERROR), "server_error");
    assert_string_equal(outcome_name(OUTCOME_NO_RESPONSE), "no_response");
    assert_string_equal(outcome_name(OUTCOME_CANCELLED), "cancelled");
    assert_string_equal(protocol_name(PROTOCOL_UNKNOWN), "unknown");
    assert_string_equal(protocol_name(PROTOCOL_HTTP1), "http1");
    assert_string_equal(protocol_name(PROTOCOL_TCP), "tcp");
}

static void test_out_of_range_values_still_have_a_name(void **state)
{
    (void)state;
    assert_string_equal(reporter_name((enum reporter)200), "unknown");
    assert_string_equal(outcome_name((enum outcome)200), "unknown");
    assert_string_equal(protocol_name((enum protocol)200), "unknown");
    assert_string_equal(method_name((enum method)200), "_OTHER");
}

static void test_methods_are_read_as_they_are_written(void **state)
{
    (void)state;
    for (int i = METHOD_CONNECT; i < METHOD_OTHER; i++) {
        assert_int_equal(method_of(slice_of_string(method_name((enum method)i))), i);
    }
    assert_int_equal(method_of(SLICE_LITERAL("")), METHOD_NONE);
    assert_int_equal(method_of(SLICE_LITERAL("get")), METHOD_OTHER);
    assert_int_equal(method_of(SLICE_LITERAL("GETX")), METHOD_OTHER);
    assert_int_equal(method_of(SLICE_LITERAL("_OTHER")), METHOD_OTHER);
    assert_int_equal(method_of(SLICE_LITERAL("\xff\x00")), METHOD_OTHER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_value_has_a_name_of_its_own),
        cmocka_unit_test(test_out_of_range_values_still_have_a_name),
        cmocka_unit_test(test_methods_are_read_as_they_are_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
