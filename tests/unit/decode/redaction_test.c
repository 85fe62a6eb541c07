/* Redacted names in all their spellings, and the limits of the set. */
#include "testing.h"

#include "decode/redaction.h"

static bool matches(const struct redaction *redaction, const char *key)
{
    return redaction_matches(redaction, slice_of_string(key));
}

static void default_names_in_all_spellings(void **state)
{
    (void)state;
    struct redaction redaction;

    redaction_init_default(&redaction);
    assert_true(matches(&redaction, "authorization"));
    assert_true(matches(&redaction, "Authorization"));
    assert_true(matches(&redaction, "http.request.header.authorization"));
    assert_true(matches(&redaction, "rpc.grpc.request.metadata.authorization"));
    assert_true(matches(&redaction, "http.response.header.set-cookie"));
    assert_true(matches(&redaction, "http.response.header.set_cookie"));
    assert_true(matches(&redaction, "http.request.header.X-API-Key"));
    assert_true(matches(&redaction, "x_amz_security_token"));
    assert_false(matches(&redaction, ""));
    assert_false(matches(&redaction, "cooki"));
    assert_false(matches(&redaction, "mycookie"));
    assert_false(matches(&redaction, "cookie.count"));
    assert_false(matches(&redaction, "http.method"));
}

static void names_of_one_byte_and_the_limits(void **state)
{
    (void)state;
    struct redaction redaction;
    char name[REDACTION_NAME_BYTES_MAX + 2];

    redaction_init(&redaction);
    assert_false(matches(&redaction, "authorization"));
    assert_int_equal(redaction_add(&redaction, ""), WERR_INVALID);
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    assert_int_equal(redaction_add(&redaction, name), WERR_OVERSIZED);
    name[REDACTION_NAME_BYTES_MAX] = '\0';
    assert_int_equal(redaction_add(&redaction, name), 0);
    assert_true(matches(&redaction, name));
    assert_int_equal(redaction_add(&redaction, "k"), 0);
    assert_true(matches(&redaction, "k"));
    assert_true(matches(&redaction, "K"));
    assert_true(matches(&redaction, "a.k"));
    assert_false(matches(&redaction, "ak"));
    while (redaction.name_count < REDACTION_NAMES_MAX) {
        assert_int_equal(redaction_add(&redaction, "user.email"), 0);
    }
    assert_int_equal(redaction_add(&redaction, "one.more"), WERR_FULL);
    assert_true(matches(&redaction, "app.user.email"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(default_names_in_all_spellings),
        cmocka_unit_test(names_of_one_byte_and_the_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
