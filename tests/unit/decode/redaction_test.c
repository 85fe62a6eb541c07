/* Redacted names in all their spellings, and the table of attributes against a plain search. */
#include "testing.h"

#include "decode/attribute.h"

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

static void every_known_key_is_found_and_its_neighbours_are_not(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        int span_id;
    } keys[] = {
#define KEY(id, key) {key, SPAN_ATTRIBUTE_##id},
        WEFT_SPAN_ATTRIBUTES(KEY)
#undef KEY
    };
    struct attribute_table *table = malloc(sizeof *table);
    struct redaction redaction;
    char other[64];

    assert_non_null(table);
    redaction_init_default(&redaction);
    attribute_table_init(table, &redaction, 16);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        size_t length = strlen(keys[i].key);
        assert_in_range(length, ATTRIBUTE_KEY_BYTES_MIN, ATTRIBUTE_KEY_BYTES_MAX);
        assert_int_equal(attribute_lookup(table, slice_of_string(keys[i].key)).span_id, keys[i].span_id);
        for (size_t at = 0; at < length; at++) {
            memcpy(other, keys[i].key, length + 1);
            other[at] ^= 0x10;
            assert_int_equal(attribute_lookup(table, slice_of_string(other)).span_id, ATTRIBUTE_UNKNOWN);
        }
    }
    for (size_t length = 0; length < 64; length++) {
        memset(other, 'q', sizeof other);
        assert_int_equal(attribute_lookup(table, slice_of(other, length)).span_id, ATTRIBUTE_UNKNOWN);
    }
    assert_int_equal(
        attribute_lookup(table, SLICE_LITERAL("service.name")).resource_id, RESOURCE_ATTRIBUTE_SERVICE_NAME);
    assert_int_equal(attribute_lookup(table, SLICE_LITERAL("url.query")).flags, ATTRIBUTE_QUERY);
    free(table);
}

static void a_known_key_may_be_redacted(void **state)
{
    (void)state;
    struct attribute_table *table = malloc(sizeof *table);
    struct redaction redaction;

    assert_non_null(table);
    redaction_init(&redaction);
    assert_int_equal(redaction_add(&redaction, "peer.address"), 0);
    attribute_table_init(table, &redaction, 16);
    struct attribute_meaning meaning = attribute_lookup(table, SLICE_LITERAL("peer.address"));
    assert_int_equal(meaning.span_id, SPAN_ATTRIBUTE_ENVOY_PEER_ADDRESS);
    assert_int_equal(meaning.flags, ATTRIBUTE_REDACT);
    free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(default_names_in_all_spellings),
        cmocka_unit_test(names_of_one_byte_and_the_limits),
        cmocka_unit_test(every_known_key_is_found_and_its_neighbours_are_not),
        cmocka_unit_test(a_known_key_may_be_redacted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
