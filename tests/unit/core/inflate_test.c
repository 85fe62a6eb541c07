/* Decompression: what comes out, whatever the pieces; caps; damage; bombs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/error.h"
#include "core/inflate.h"

enum { PLAIN_BYTES = 200000, PACKED_BYTES_MAX = 400000 };

static uint8_t plain[PLAIN_BYTES];
static uint8_t packed[PACKED_BYTES_MAX];

static void fill_plain(void)
{
    uint32_t x = 12345;
    for (size_t i = 0; i < sizeof plain; i++) {
        x = x * 1664525u + 1013904223u;
        plain[i] = (uint8_t)("abcdefgh"[x >> 29]);
    }
}

static struct slice pack(enum inflate_format format, const uint8_t *data, size_t bytes)
{
    if (format == INFLATE_ZSTD) {
        size_t length = ZSTD_compress(packed, sizeof packed, data, bytes, 1);
        assert_false(ZSTD_isError(length));
        return slice_of(packed, length);
    }
    z_stream z = {.zalloc = NULL};
    assert_int_equal(
        deflateInit2(&z, 1, Z_DEFLATED, format == INFLATE_GZIP ? 31 : 15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    uint8_t *copy = malloc(bytes > 0 ? bytes : 1);
    assert_non_null(copy);
    memcpy(copy, data, bytes);
    z.next_in = copy;
    z.avail_in = (uInt)bytes;
    z.next_out = packed;
    z.avail_out = sizeof packed;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t length = z.total_out;
    deflateEnd(&z);
    free(copy);
    return slice_of(packed, length);
}

/* In pieces of in_bytes to pieces of out_bytes; compares with `plain`. */
static void inflate_in_pieces(struct inflater *inflater, enum inflate_format format, struct slice input,
    size_t in_bytes, size_t out_bytes)
{
    static uint8_t out[PLAIN_BYTES];
    size_t filled = 0;

    assert_int_equal(inflater_start(inflater, format, PLAIN_BYTES), 0);
    for (size_t at = 0; at < input.length; at += in_bytes) {
        struct slice piece = slice_sub(input, at, at + in_bytes);
        for (;;) {
            size_t room = sizeof out - filled < out_bytes ? sizeof out - filled : out_bytes;
            uint8_t spare;
            long written =
                inflater_step(inflater, &piece, room > 0 ? out + filled : &spare, room > 0 ? room : 1);
            assert_true(written >= 0);
            filled += (size_t)written;
            if ((size_t)written < room || room == 0) {
                break;
            }
        }
        assert_int_equal(piece.length, 0);
    }
    assert_int_equal(inflater_finish(inflater), 0);
    assert_int_equal(filled, PLAIN_BYTES);
    assert_memory_equal(out, plain, PLAIN_BYTES);
}

static const enum inflate_format formats[] = {INFLATE_GZIP, INFLATE_ZLIB, INFLATE_ZSTD};

/* The whole of it with at most output_bytes_max, appended to `out`; all that is appended is reserved. */
static int unpack(struct inflater *inflater, enum inflate_format format, struct slice input,
    size_t output_bytes_max, struct buffer *out)
{
    struct budget memory = {.cap_bytes = UINT64_MAX};
    size_t before = out->length;

    out->cap_bytes = before + output_bytes_max;
    int error = inflate_all(inflater, format, input, &memory, out);
    assert_int_equal(memory.used_bytes, out->length - before);
    return error;
}

static void any_pieces_give_the_same(void **state)
{
    (void)state;
    static const size_t pieces[] = {1, 7, 1000, 65536, PACKED_BYTES_MAX};
    struct inflater inflater;
    inflater_init(&inflater);
    for (size_t f = 0; f < 3; f++) {
        struct slice input = pack(formats[f], plain, PLAIN_BYTES);
        for (size_t i = 0; i < 5; i++) {
            for (size_t o = 0; o < 5; o++) {
                inflate_in_pieces(&inflater, formats[f], input, pieces[i], pieces[o]);
            }
        }
    }
    inflater_deinit(&inflater);
}

static void the_cap_is_exact(void **state)
{
    (void)state;
    struct inflater inflater;
    inflater_init(&inflater);
    for (size_t f = 0; f < 3; f++) {
        struct slice input = pack(formats[f], plain, PLAIN_BYTES);
        struct buffer out;
        buffer_init(&out, 0);
        assert_int_equal(unpack(&inflater, formats[f], input, PLAIN_BYTES, &out), 0);
        assert_int_equal(out.length, PLAIN_BYTES);
        assert_memory_equal(out.data, plain, PLAIN_BYTES);
        /* what is there already does not count */
        assert_int_equal(unpack(&inflater, formats[f], input, PLAIN_BYTES, &out), 0);
        assert_int_equal(out.length, 2 * PLAIN_BYTES);
        assert_memory_equal(out.data + PLAIN_BYTES, plain, PLAIN_BYTES);
        buffer_deinit(&out);
        assert_int_equal(unpack(&inflater, formats[f], input, PLAIN_BYTES - 1, &out), WERR_OVERSIZED);
        buffer_deinit(&out);
        assert_int_equal(unpack(&inflater, formats[f], input, 0, &out), WERR_OVERSIZED);
        buffer_deinit(&out);
    }
    inflater_deinit(&inflater);
}

/* Memory is reserved before it is filled: a budget that the output does not fit in stops it. */
static void a_full_budget_stops_it(void **state)
{
    static const uint64_t held[] = {1, PLAIN_BYTES / 2, PLAIN_BYTES - 1, PLAIN_BYTES};
    struct inflater inflater;

    (void)state;
    inflater_init(&inflater);
    for (size_t f = 0; f < 3; f++) {
        struct slice input = pack(formats[f], plain, PLAIN_BYTES);
        for (size_t i = 0; i < sizeof held / sizeof held[0]; i++) {
            struct budget memory = {.cap_bytes = PLAIN_BYTES, .used_bytes = held[i]};
            struct buffer out;
            buffer_init(&out, PLAIN_BYTES);
            assert_int_equal(inflate_all(&inflater, formats[f], input, &memory, &out), WERR_NOMEM);
            assert_true(out.length <= PLAIN_BYTES - held[i]);
            assert_int_equal(memory.used_bytes, held[i] + out.length);
            assert_memory_equal(out.data != NULL ? out.data : plain, plain, out.length);
            buffer_deinit(&out);
        }
        struct budget memory = {.cap_bytes = PLAIN_BYTES}; /* just enough: the end needs none */
        struct buffer out;
        buffer_init(&out, PLAIN_BYTES);
        assert_int_equal(inflate_all(&inflater, formats[f], input, &memory, &out), 0);
        assert_int_equal(memory.used_bytes, PLAIN_BYTES);
        buffer_deinit(&out);
    }
    inflater_deinit(&inflater);
}

static void nothing_compressed_is_nothing(void **state)
{
    (void)state;
    struct inflater inflater;
    struct buffer out;
    inflater_init(&inflater);
    buffer_init(&out, 100);
    for (size_t f = 0; f < 3; f++) {
        assert_int_equal(unpack(&inflater, formats[f], pack(formats[f], plain, 0), 100, &out), 0);
        assert_int_equal(unpack(&inflater, formats[f], pack(formats[f], plain, 0), 0, &out), 0);
        assert_int_equal(out.length, 0);
        assert_int_equal(unpack(&inflater, formats[f], (struct slice){0}, 100, &out), WERR_COMPRESSION);
    }
    buffer_deinit(&out);
    inflater_deinit(&inflater);
}

static void cut_short_or_damaged_is_an_error(void **state)
{
    (void)state;
    struct inflater inflater;
    inflater_init(&inflater);
    for (size_t f = 0; f < 3; f++) {
        struct slice input = pack(formats[f], plain, 2000);
        for (size_t length = 0; length < input.length; length++) {
            struct buffer out;
            buffer_init(&out, PLAIN_BYTES);
            assert_int_equal(unpack(&inflater, formats[f], slice_sub(input, 0, length), PLAIN_BYTES, &out),
                WERR_COMPRESSION);
            buffer_deinit(&out);
        }
        packed[0] ^= 0x5a;
        struct buffer out;
        buffer_init(&out, PLAIN_BYTES);
        assert_int_equal(unpack(&inflater, formats[f], input, PLAIN_BYTES, &out), WERR_COMPRESSION);
        buffer_deinit(&out);
    }
    inflater_deinit(&inflater);
}

static void what_follows_the_payload(void **state)
{
    (void)state;
    struct inflater inflater;
    inflater_init(&inflater);
    for (size_t f = 0; f < 3; f++) {
        struct slice one = pack(formats[f], plain, 1000);
        uint8_t two[8192];
        assert_true(2 * one.length + 9 <= sizeof two);
        memcpy(two, one.ptr, one.length);
        memcpy(two + one.length, one.ptr, one.length);
        struct buffer out;
        buffer_init(&out, PLAIN_BYTES);
        int error = unpack(&inflater, formats[f], slice_of(two, 2 * one.length), PLAIN_BYTES, &out);
        if (formats[f] == INFLATE_ZLIB) { /* a single stream by its format */
            assert_int_equal(error, WERR_COMPRESSION);
        } else {
            assert_int_equal(error, 0);
            assert_int_equal(out.length, 2000);
        }
        buffer_deinit(&out);
        memcpy(two + one.length, "trailing", 9);
        assert_int_equal(unpack(&inflater, formats[f], slice_of(two, one.length + 9), PLAIN_BYTES, &out),
            WERR_COMPRESSION);
        buffer_deinit(&out);
    }
    inflater_deinit(&inflater);
}

static void bombs_stop_at_the_cap(void **state)
{
    (void)state;
    enum { BOMB_BYTES = 64 << 20, CAP_BYTES = 1 << 20 };
    uint8_t *zeros = calloc(1, BOMB_BYTES);
    assert_non_null(zeros);
    struct inflater inflater;
    inflater_init(&inflater);
    for (size_t f = 0; f < 3; f++) {
        struct slice input = pack(formats[f], zeros, BOMB_BYTES);
        struct buffer out;
        buffer_init(&out, BOMB_BYTES);
        assert_int_equal(unpack(&inflater, formats[f], input, CAP_BYTES, &out), WERR_OVERSIZED);
        assert_true(out.capacity_bytes <= 2 * CAP_BYTES);
        buffer_deinit(&out);
    }
    inflater_deinit(&inflater);
    free(zeros);
}

static void a_zstd_window_over_8_mib_is_refused(void **state)
{
    (void)state;
    /* magic; no single segment; window 2^27 (exponent 17, mantissa 0); an empty last raw block */
    static const uint8_t frame[] = {0x28, 0xb5, 0x2f, 0xfd, 0x00, 17 << 3, 0x01, 0x00, 0x00};
    uint8_t small[sizeof frame];
    struct inflater inflater;
    struct buffer out;
    inflater_init(&inflater);
    buffer_init(&out, 1000);
    assert_int_equal(
        unpack(&inflater, INFLATE_ZSTD, slice_of(frame, sizeof frame), 1000, &out), WERR_COMPRESSION);
    memcpy(small, frame, sizeof frame);
    small[5] = 13 << 3; /* 2^23 */
    assert_int_equal(unpack(&inflater, INFLATE_ZSTD, slice_of(small, sizeof small), 1000, &out), 0);
    buffer_deinit(&out);
    inflater_deinit(&inflater);
    inflater_deinit(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_pieces_give_the_same),
        cmocka_unit_test(the_cap_is_exact),
        cmocka_unit_test(a_full_budget_stops_it),
        cmocka_unit_test(nothing_compressed_is_nothing),
        cmocka_unit_test(cut_short_or_damaged_is_an_error),
        cmocka_unit_test(what_follows_the_payload),
        cmocka_unit_test(bombs_stop_at_the_cap),
        cmocka_unit_test(a_zstd_window_over_8_mib_is_refused),
    };
    fill_plain();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
