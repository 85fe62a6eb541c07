/* The wire reader and writer: every length, every limit, every kind of damage. */
#include "testing.h"

static int read_varint(const uint8_t *bytes, size_t length, uint64_t *value)
{
    struct wire_reader reader = wire_reader_of(slice_of(bytes, length));
    int error = wire_varint(&reader, value);

    assert_true(reader.at >= bytes && reader.at <= bytes + length);
    return error;
}

static void varints_of_every_length_come_back(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 64; bit++) {
        for (int delta = -1; delta <= 1; delta++) {
            uint64_t value = (uint64_t)1 << bit;
            value = delta < 0 ? value - 1 : value + (unsigned)delta;
            uint64_t back = ~value;
            uint8_t bytes[WIRE_VARINT_BYTES_MAX];
            size_t length = (size_t)(wire_put_varint(bytes, value) - bytes);
            assert_int_equal(length, wire_varint_size(value));
            assert_int_equal(read_varint(bytes, length, &back), 0);
            assert_true(back == value);
            for (size_t cut = 0; cut < length; cut++) {
                assert_int_equal(read_varint(bytes, cut, &back), WERR_TRUNCATED);
            }
        }
    }
}

static void overlong_varints_are_refused(void **state)
{
    (void)state;
    uint64_t value = 7;
    const uint8_t eleven[11] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00};
    const uint8_t overflow[10] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02};
    const uint8_t largest[10] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01};
    const uint8_t padded[3] = {0x81, 0x80, 0x00};

    assert_int_equal(read_varint(eleven, sizeof eleven, &value), WERR_VARINT);
    assert_int_equal(read_varint(overflow, sizeof overflow, &value), WERR_VARINT);
    assert_int_equal(value, 7);
    assert_int_equal(read_varint(largest, sizeof largest, &value), 0);
    assert_true(value == UINT64_MAX);
    assert_int_equal(read_varint(padded, sizeof padded, &value), 0); /* longer than needed, but a varint */
    assert_int_equal(value, 1);
}

static void tags_outside_the_format_are_refused(void **state)
{
    (void)state;
    const struct {
        uint8_t bytes[8];
        size_t length;
        int error;
    } rows[] = {
        {{0x00}, 1, WERR_INVALID},   /* field 0 */
        {{0x07}, 1, WERR_INVALID},   /* field 0 */
        {{0x0b}, 1, WERR_WIRE_TYPE}, /* group starts */
        {{0x0c}, 1, WERR_WIRE_TYPE}, /* group ends */
        {{0x0e}, 1, WERR_WIRE_TYPE}, /* no such type */
        {{0x0f}, 1, WERR_WIRE_TYPE},
        {{0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, 6, WERR_INVALID}, /* field number above 2^29 - 1 */
        {{0x08}, 1, WERR_TRUNCATED},
        {{0x09, 1, 2, 3, 4, 5, 6, 7}, 8, WERR_TRUNCATED},
        {{0x0d, 1, 2, 3}, 4, WERR_TRUNCATED},
        {{0x0a}, 1, WERR_TRUNCATED},
        {{0x0a, 3, 'a', 'b'}, 4, WERR_TRUNCATED},
        {{0x80}, 1, WERR_TRUNCATED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct wire_reader reader = wire_reader_of(slice_of(rows[i].bytes, rows[i].length));
        struct wire_field field;
        uint32_t tag;
        assert_int_equal(wire_next(&reader, &field), rows[i].error);
        reader = wire_reader_of(slice_of(rows[i].bytes, rows[i].length));
        int error = wire_tag(&reader, &tag);
        if (error == 0) {
            error = wire_skip(&reader, tag);
        }
        assert_int_equal(error, rows[i].error);
    }
}

static void a_length_near_the_end_of_memory_is_truncated(void **state)
{
    (void)state;
    uint8_t bytes[1 + WIRE_VARINT_BYTES_MAX] = {0x0a};
    size_t length = (size_t)(wire_put_varint(bytes + 1, UINT64_MAX) - bytes);
    struct wire_reader reader = wire_reader_of(slice_of(bytes, length));
    struct wire_field field;

    assert_int_equal(wire_next(&reader, &field), WERR_TRUNCATED);
}

static void fields_of_every_type_are_read_and_skipped(void **state)
{
    (void)state;
    struct buffer out;
    struct wire_field field;

    buffer_init(&out, TEST_BYTES_MAX);
    wire_write_varint(&out, 1, 300);
    wire_write_fixed64(&out, 2, 0x1122334455667788ull);
    wire_write_bytes(&out, 3, SLICE_LITERAL("abc"));
    (void)buffer_append(&out, "\x25\x01\x02\x03\x04", 5); /* field 4, fixed32 */
    wire_write_bytes(&out, 536870911, slice_of(NULL, 0));
    struct wire_reader reader = wire_reader_of(test_slice(&out));
    assert_int_equal(wire_next(&reader, &field), 1);
    assert_true(field.tag == WIRE_TAG(1, WIRE_VARINT) && field.integer == 300);
    assert_int_equal(field.raw.length, 3);
    assert_int_equal(wire_next(&reader, &field), 1);
    assert_true(field.tag == WIRE_TAG(2, WIRE_FIXED64) && field.integer == 0x1122334455667788ull);
    assert_int_equal(wire_next(&reader, &field), 1);
    assert_true(test_text_is(field.bytes, "abc"));
    assert_int_equal(wire_next(&reader, &field), 1);
    assert_true(field.tag == WIRE_TAG(4, WIRE_FIXED32) && field.integer == 0x04030201);
    assert_int_equal(wire_next(&reader, &field), 1);
    assert_int_equal(wire_tag_number(field.tag), 536870911);
    assert_int_equal(wire_next(&reader, &field), 0);
    reader = wire_reader_of(test_slice(&out));
    for (int i = 0; i < 5; i++) {
        uint32_t tag = 0;
        assert_int_equal(wire_tag(&reader, &tag), 0);
        assert_int_equal(wire_skip(&reader, tag), 0);
    }
    assert_ptr_equal(reader.at, reader.end);
    buffer_deinit(&out);
}

static void depth_is_bounded(void **state)
{
    (void)state;
    struct wire_reader reader = {.at = NULL};

    assert_int_equal(wire_open(SLICE_LITERAL("x"), 0, &reader), WERR_DEPTH);
    assert_null(reader.at);
    assert_int_equal(wire_open(SLICE_LITERAL("x"), 1, &reader), 0);
    assert_int_equal(reader.end - reader.at, 1);
}

/* Whatever was expected, the length is in its shortest form and the content is whole. */
static void envelopes_fit_every_guess(void **state)
{
    (void)state;
    const size_t sizes[] = {0, 1, 127, 128, 16383, 16384, 70000};
    const size_t guesses[] = {0, 127, 128, 16384, 2097152};
    static uint8_t content[70000];

    for (size_t i = 0; i < sizeof content; i++) {
        content[i] = (uint8_t)(i * 31);
    }
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        for (size_t g = 0; g < sizeof guesses / sizeof guesses[0]; g++) {
            struct buffer guessed;
            struct buffer exact;
            buffer_init(&guessed, TEST_BYTES_MAX);
            buffer_init(&exact, TEST_BYTES_MAX);
            struct wire_envelope outer = wire_envelope_begin(&guessed, 1, guesses[g]);
            struct wire_envelope inner = wire_envelope_begin(&guessed, 2, guesses[g]);
            (void)buffer_append(&guessed, content, sizes[s]);
            wire_envelope_end(&guessed, inner);
            wire_envelope_end(&guessed, outer);
            wire_write_bytes(&exact, 2, slice_of(content, sizes[s]));
            struct wire_reader reader = wire_reader_of(test_slice(&guessed));
            struct wire_field field;
            assert_int_equal(wire_next(&reader, &field), 1);
            assert_true(slice_equal(field.bytes, test_slice(&exact)));
            assert_ptr_equal(reader.at, reader.end);
            assert_int_equal(guessed.length, 1 + wire_varint_size(exact.length) + exact.length);
            buffer_deinit(&exact);
            buffer_deinit(&guessed);
        }
    }
}

static void a_full_buffer_stops_an_envelope(void **state)
{
    (void)state;
    struct buffer out;

    buffer_init(&out, 200);
    struct wire_envelope envelope = wire_envelope_begin(&out, 1, 10); /* one byte for the length */
    uint8_t content[198] = {0};
    assert_int_equal(buffer_append(&out, content, sizeof content), 0);
    wire_envelope_end(&out, envelope); /* needs two */
    assert_int_equal(out.error, WERR_OVERSIZED);
    wire_envelope_end(&out, envelope);
    assert_true(out.length <= 200);
    buffer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(varints_of_every_length_come_back),
        cmocka_unit_test(overlong_varints_are_refused),
        cmocka_unit_test(tags_outside_the_format_are_refused),
        cmocka_unit_test(a_length_near_the_end_of_memory_is_truncated),
        cmocka_unit_test(fields_of_every_type_are_read_and_skipped),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(envelopes_fit_every_guess),
        cmocka_unit_test(a_full_buffer_stops_an_envelope),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
