/* The table of outcomes. */
#include "testing.h"

#include "context/outcome.h"
#include "context/response_flags.h"

static enum outcome http(uint16_t code, uint64_t flags)
{
    return outcome_of(&(struct outcome_facts){.response_code = code,
        .grpc_status = GRPC_STATUS_NONE,
        .protocol = PROTOCOL_HTTP1,
        .expects_code = true,
        .response_flags = flags});
}

static enum outcome grpc(uint16_t code, int16_t status, uint64_t flags, bool failed)
{
    return outcome_of(&(struct outcome_facts){.response_code = code,
        .grpc_status = status,
        .protocol = PROTOCOL_GRPC,
        .expects_code = true,
        .failed = failed,
        .response_flags = flags});
}

static void test_http(void **state)
{
    (void)state;
    for (uint16_t code = HTTP_STATUS_MIN; code <= HTTP_STATUS_MAX; code++) {
        enum outcome expected = code == 499   ? OUTCOME_CANCELLED
                                : code >= 500 ? OUTCOME_SERVER_ERROR
                                : code >= 400 ? OUTCOME_CLIENT_ERROR
                                              : OUTCOME_OK;
        assert_int_equal(http(code, 0), expected);
    }
    assert_int_equal(http(0, 0), OUTCOME_NO_RESPONSE);
    assert_int_equal(http(0, RESPONSE_FLAG(UC)), OUTCOME_NO_RESPONSE);
    assert_int_equal(http(0, RESPONSE_FLAG(DC)), OUTCOME_CANCELLED);
    assert_int_equal(http(0, RESPONSE_FLAG(DR)), OUTCOME_CANCELLED);
    assert_int_equal(http(200, RESPONSE_FLAG(DC)), OUTCOME_CANCELLED);
    assert_int_equal(http(200, RESPONSE_FLAG(DI)), OUTCOME_OK);
    /* The caller closed after it had seen the error. */
    assert_int_equal(http(503, RESPONSE_FLAG(DC)), OUTCOME_SERVER_ERROR);
    assert_int_equal(http(404, RESPONSE_FLAG(NR)), OUTCOME_CLIENT_ERROR);
    assert_int_equal(http(504, RESPONSE_FLAG(UT)), OUTCOME_SERVER_ERROR);
}

static void test_grpc(void **state)
{
    static const char expected[] =
        "oxscscccccccsssscs"; /* o ok, x cancelled, c client, s server; 17: undefined */

    (void)state;
    for (int16_t status = 0; status <= 17; status++) {
        char c = expected[status];
        enum outcome outcome = c == 'o'   ? OUTCOME_OK
                               : c == 'x' ? OUTCOME_CANCELLED
                               : c == 'c' ? OUTCOME_CLIENT_ERROR
                                          : OUTCOME_SERVER_ERROR;
        assert_int_equal(grpc(200, status, 0, false), outcome);
        assert_int_equal(grpc(0, status, 0, false), outcome);
    }
    assert_int_equal(grpc(503, 14, 0, false), OUTCOME_SERVER_ERROR);
    assert_int_equal(grpc(404, 12, 0, false), OUTCOME_CLIENT_ERROR);
    assert_int_equal(grpc(0, GRPC_STATUS_NONE, RESPONSE_FLAG(DR), false), OUTCOME_CANCELLED);
    assert_int_equal(grpc(0, GRPC_STATUS_NONE, 0, false), OUTCOME_NO_RESPONSE);
    assert_int_equal(grpc(200, GRPC_STATUS_NONE, 0, false), OUTCOME_OK);
    assert_int_equal(grpc(200, GRPC_STATUS_NONE, 0, true), OUTCOME_SERVER_ERROR);
    assert_int_equal(grpc(200, GRPC_STATUS_NONE, RESPONSE_FLAG(UR), false), OUTCOME_SERVER_ERROR);
    /* A complete answer is an answer, whoever closed afterwards. */
    assert_int_equal(grpc(200, 0, RESPONSE_FLAG(DR), false), OUTCOME_OK);
}

static void test_protocols_without_codes(void **state)
{
    struct outcome_facts facts = {.grpc_status = GRPC_STATUS_NONE, .protocol = PROTOCOL_TCP};

    (void)state;
    assert_int_equal(outcome_of(&facts), OUTCOME_OK);
    facts.failed = true;
    assert_int_equal(outcome_of(&facts), OUTCOME_SERVER_ERROR);
    facts.response_flags = RESPONSE_FLAG(UF);
    assert_int_equal(outcome_of(&facts), OUTCOME_NO_RESPONSE);
    facts.response_flags = RESPONSE_FLAG(DC);
    assert_int_equal(outcome_of(&facts), OUTCOME_CANCELLED);
}

static void test_grpc_status_texts(void **state)
{
    static const struct {
        const char *text;
        int16_t status;
    } rows[] = {
        {"", GRPC_STATUS_NONE},
        {"0", 0},
        {"14", 14},
        {"016", 16},
        {"17", 2},
        {"9999", 2},
        {"99999", GRPC_STATUS_NONE},
        {"18446744073709551617", GRPC_STATUS_NONE},
        {"-1", GRPC_STATUS_NONE},
        {"1x", GRPC_STATUS_NONE},
        {"OK", 0},
        {"NOT_FOUND", 5},
        {"not_found", 5},
        {"UNAUTHENTICATED", 16},
        {"NOT_FOUN", GRPC_STATUS_NONE},
        {"\xff", GRPC_STATUS_NONE},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(grpc_status_of(slice_of_string(rows[i].text)), rows[i].status);
    }
    assert_int_equal(grpc_status_of_number(INT64_MIN), GRPC_STATUS_NONE);
    assert_int_equal(grpc_status_of_number(INT64_MAX), GRPC_STATUS_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http),
        cmocka_unit_test(test_grpc),
        cmocka_unit_test(test_protocols_without_codes),
        cmocka_unit_test(test_grpc_status_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
