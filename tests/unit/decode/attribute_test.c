/* Attributes: the table of keys against a plain search, and values of every type and shape. */
#include "testing.h"

#include "decode/attribute.h"

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

static void values_of_every_type_are_read(void **state)
{
    (void)state;
    static const struct {
        struct slice encoded;
        enum attribute_type type;
        int64_t integer;
        bool irregular;
    } rows[] = {
#define VALUE(bytes, kind, number, twice) {{(const uint8_t *)(bytes), sizeof(bytes) - 1}, kind, number, twice}
        VALUE("", ATTRIBUTE_NONE, 0, false),
        VALUE("\x0a\x01x", ATTRIBUTE_TEXT, 0, false),
        VALUE("\x10\x01", ATTRIBUTE_INTEGER, 1, false),
        VALUE("\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", ATTRIBUTE_INTEGER, -1, false),
        VALUE("\x21\1\0\0\0\0\0\0\0", ATTRIBUTE_DOUBLE, 1, false),
        VALUE("\x2a\x00", ATTRIBUTE_ARRAY, 0, false),
        VALUE("\x32\x00", ATTRIBUTE_MAP, 0, false),
        VALUE("\x3a\x01\xff", ATTRIBUTE_BYTES, 0, false),
        VALUE("\x40\x05", ATTRIBUTE_NONE, 0, false), /* a type of tomorrow */
        VALUE("\x0a\x01x\x18\x07", ATTRIBUTE_INTEGER, 7, true),
#undef VALUE
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct attribute_value value;
        assert_int_equal(attribute_value_parse(rows[i].encoded, &value), 0);
        assert_int_equal(value.type, rows[i].type);
        assert_int_equal(value.integer, rows[i].integer);
        assert_int_equal(value.irregular, rows[i].irregular);
    }
}

static void wrong_types_and_cut_values_are_refused(void **state)
{
    (void)state;
    struct attribute_value value;
    struct attribute attribute;

    assert_int_equal(attribute_value_parse(SLICE_LITERAL("\x08\x01"), &value), WERR_WIRE_TYPE);
    assert_int_equal(attribute_value_parse(SLICE_LITERAL("\x20\x01"), &value), WERR_WIRE_TYPE);
    assert_int_equal(attribute_value_parse(SLICE_LITERAL("\x2a\x01"), &value), WERR_TRUNCATED);
    assert_int_equal(attribute_parse(SLICE_LITERAL("\x08\x01"), &attribute), WERR_WIRE_TYPE);
    assert_int_equal(attribute_parse(SLICE_LITERAL("\x0a\x01k\x12\x02\x08\x01"), &attribute), WERR_WIRE_TYPE);
    assert_int_equal(attribute_parse(SLICE_LITERAL("\x0a\x02k"), &attribute), WERR_TRUNCATED);
}

/* The quick way and the general one agree wherever the quick one answers, for every byte of a good attribute.
 */
static void both_ways_of_reading_agree(void **state)
{
    (void)state;
    static const uint8_t good[] = "\x0a\x08http.url\x12\x06\x0a\x04text";
    uint8_t bytes[sizeof good - 1];
    unsigned plain_count = 0;

    for (size_t at = 0; at < sizeof bytes; at++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            struct slice key;
            struct slice text;
            struct attribute attribute;
            memcpy(bytes, good, sizeof bytes);
            bytes[at] = (uint8_t)byte;
            if (!attribute_parse_plain(bytes, sizeof bytes, &key, &text)) {
                continue;
            }
            plain_count++;
            assert_int_equal(attribute_parse(slice_of(bytes, sizeof bytes), &attribute), 0);
            assert_int_equal(attribute.value.type, ATTRIBUTE_TEXT);
            assert_false(attribute.value.irregular);
            assert_true(slice_equal(attribute.key, key));
            assert_true(slice_equal(attribute.value.text, text));
        }
    }
    assert_true(plain_count >= 12 * 256);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_known_key_is_found_and_its_neighbours_are_not),
        cmocka_unit_test(a_known_key_may_be_redacted),
        cmocka_unit_test(values_of_every_type_are_read),
        cmocka_unit_test(wrong_types_and_cut_values_are_refused),
        cmocka_unit_test(both_ways_of_reading_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
