/* Sealed slots: round trip, the bytes of a known one, size, and every kind of damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/error.h"
#include "histogram/sealed.h"
#include "random.h"

static void fill(struct histogram_flat *flat, uint64_t *random, unsigned bucket_count)
{
    histogram_flat_add(flat, LATTICE_CELL_ZERO, random_u64(random) % 100);
    for (unsigned i = 0; i < bucket_count; i++) {
        uint64_t count = 1 + (random_u64(random) >> (14 + random_u64(random) % 50));
        histogram_flat_add(flat, (int)(random_u64(random) % LATTICE_CELL_COUNT), count);
    }
    flat->sum_ns_low = random_u64(random);
    flat->sum_ns_high = random_u64(random) % 4;
}

static void round_trip(void **state)
{
    uint8_t bytes[SEALED_BYTES_MAX];
    uint64_t random = 13;

    (void)state;
    for (unsigned round = 0; round < 300; round++) {
        struct histogram_flat flat = {.count = 0};
        struct histogram_flat back = {.count = 0};

        fill(&flat, &random, round);
        int length = sealed_write(&flat, bytes, sizeof(bytes));
        assert_true(length > 0);
        assert_int_equal(sealed_merge(&back, slice_of(bytes, (size_t)length)), 0);
        assert_memory_equal(&back, &flat, sizeof(flat));
        assert_int_equal(sealed_merge(&back, slice_of(bytes, (size_t)length)), 0);
        assert_int_equal(back.count, 2 * flat.count);
        for (int cell = 0; cell < LATTICE_CELL_COUNT; cell++) {
            assert_int_equal(back.cells[cell], 2 * flat.cells[cell]);
        }
    }
}

static void known_bytes(void **state)
{
    const uint8_t expected[] = {1, 2, 0xac, 2, 0, 3, 0, 5, 2, 1, 0xfb, 7, 0x80, 1};
    struct histogram_flat flat = {.sum_ns_low = 300};
    struct histogram_flat back = {.count = 0};
    uint8_t bytes[64];

    (void)state;
    histogram_flat_add(&flat, LATTICE_CELL_ZERO, 2);
    histogram_flat_add(&flat, 0, 5);
    histogram_flat_add(&flat, 3, 1);
    histogram_flat_add(&flat, 1023, 128);
    assert_int_equal(sealed_write(&flat, bytes, sizeof(bytes)), sizeof(expected));
    assert_memory_equal(bytes, expected, sizeof(expected));
    assert_int_equal(sealed_merge(&back, slice_of(expected, sizeof(expected))), 0);
    assert_memory_equal(&back, &flat, sizeof(flat));
}

static void from_pages_and_small(void **state)
{
    struct budget budget = {.cap_bytes = 1 << 24};
    struct page_slab *slab = malloc(sizeof(*slab));
    struct histogram histogram = {.count = 0};
    struct histogram_flat flat = {.count = 0};
    struct split_bounds bounds;
    uint8_t from_pages[SEALED_BYTES_MAX];
    uint8_t from_flat[SEALED_BYTES_MAX];
    uint64_t random = 14;

    (void)state;
    assert_non_null(slab);
    page_slab_init(slab, &budget);
    assert_int_equal(split_bounds_init(&bounds, bounds_default_ns, bounds_default_count), 0);
    for (unsigned i = 0; i < 2000; i++) {
        uint64_t duration_ns = 4000000 + random_u64(&random) % 5000000; /* 38 cells at most */
        assert_int_equal(histogram_record(&histogram, slab, &bounds, duration_ns, 1), 0);
    }
    histogram_flat_merge(&flat, &histogram, slab);
    int length = sealed_write_histogram(&histogram, slab, from_pages, sizeof(from_pages));
    assert_in_range(length, 1, 110);
    assert_int_equal(sealed_write(&flat, from_flat, sizeof(from_flat)), length);
    assert_memory_equal(from_pages, from_flat, (size_t)length);
    page_slab_deinit(slab);
    free(slab);
}

static void the_largest_fits(void **state)
{
    struct histogram_flat flat = {.sum_ns_low = UINT64_MAX, .sum_ns_high = UINT64_MAX, .octaves = UINT32_MAX};
    uint8_t bytes[SEALED_BYTES_MAX];

    (void)state;
    flat.zero_count = UINT64_MAX; /* more than a histogram can hold: only the room counts here */
    for (int cell = 0; cell < LATTICE_CELL_COUNT; cell++) {
        flat.cells[cell] = UINT64_MAX;
    }
    int length = sealed_write(&flat, bytes, sizeof(bytes));
    assert_in_range(length, 1, SEALED_BYTES_MAX);
    assert_int_equal(sealed_write(&flat, bytes, (size_t)length - 1), WERR_OVERSIZED);
    assert_int_equal(sealed_write(&flat, bytes, (size_t)length), length);
    assert_int_equal(sealed_write(&flat, NULL, 0), WERR_OVERSIZED);
}

/* Each damaged form is refused with its own error and changes nothing. */
static void known_damage(void **state)
{
    static const struct {
        uint8_t bytes[24];
        size_t length;
        int error;
    } rows[] = {
        {{0}, 0, WERR_TRUNCATED}, {{2, 0, 0, 0, 0}, 5, WERR_UNSUPPORTED}, {{1, 0, 0, 0}, 4, WERR_TRUNCATED},
        {{1, 0, 0, 0, 0, 0}, 6, WERR_INVALID},                                       /* left over */
        {{1, 0, 0, 0, 1, 0}, 6, WERR_TRUNCATED},                                     /* no count */
        {{1, 0, 0, 0, 1, 0, 0}, 7, WERR_INVALID},                                    /* an empty bucket */
        {{1, 0, 0, 0, 1, 0x80, 8, 1}, 8, WERR_INVALID},                              /* cell 1024 */
        {{1, 0, 0, 0, 2, 0xff, 7, 1, 0, 1}, 10, WERR_INVALID},                       /* beyond cell 1023 */
        {{1, 0, 0, 0, 0x81, 8}, 6, WERR_INVALID},                                    /* 1025 buckets */
        {{1, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2, 0}, 12, WERR_VARINT},   /* 65 bits */
        {{1, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0}, 12, WERR_VARINT}, /* 11 bytes */
        {{1, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 0, 0, 1, 0, 1}, 16,
            WERR_INVALID}, /* 2^64 in all */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct histogram_flat flat = {.count = 0};
        const struct histogram_flat empty = {.count = 0};

        assert_int_equal(sealed_merge(&flat, slice_of(rows[i].bytes, rows[i].length)), rows[i].error);
        assert_memory_equal(&flat, &empty, sizeof(flat));
    }
}

/* Cut anywhere: refused. A bit flipped anywhere: refused without a change, or read as some other valid slot.
 */
static void random_damage(void **state)
{
    uint64_t random = 15;

    (void)state;
    for (unsigned round = 0; round < 20; round++) {
        struct histogram_flat flat = {.count = 0};
        const struct histogram_flat empty = {.count = 0};
        uint8_t bytes[SEALED_BYTES_MAX];

        fill(&flat, &random, 20);
        int length = sealed_write(&flat, bytes, sizeof(bytes));
        assert_true(length > 0);
        for (size_t cut = 0; cut < (size_t)length; cut++) {
            uint8_t *copy = malloc(cut + 1); /* of just this size, so that a read past the end is seen */
            struct histogram_flat back = {.count = 0};

            assert_non_null(copy);
            memcpy(copy, bytes, cut);
            assert_int_equal(sealed_merge(&back, slice_of(copy, cut)), WERR_TRUNCATED);
            assert_memory_equal(&back, &empty, sizeof(back));
            free(copy);
        }
        for (size_t bit = 0; bit < 8 * (size_t)length; bit++) {
            struct histogram_flat back = {.count = 0};
            uint64_t total = 0;

            bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
            if (sealed_merge(&back, slice_of(bytes, (size_t)length)) != 0) {
                assert_memory_equal(&back, &empty, sizeof(back));
            } else {
                for (int cell = 0; cell < LATTICE_CELL_COUNT; cell++) {
                    total += back.cells[cell];
                }
                assert_int_equal(back.count, total + back.zero_count);
            }
            bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        }
    }
}

/* A slot whose counts would not fit beside those already there. */
static void overflow_of_the_merged_count(void **state)
{
    const uint8_t one[] = {1, 1, 0, 0, 0};
    struct histogram_flat flat = {.count = 0};

    (void)state;
    histogram_flat_add(&flat, 5, UINT64_MAX - 1);
    assert_int_equal(sealed_merge(&flat, slice_of(one, sizeof(one))), 0);
    assert_int_equal(flat.count, UINT64_MAX);
    assert_int_equal(sealed_merge(&flat, slice_of(one, sizeof(one))), WERR_INVALID);
    assert_int_equal(flat.count, UINT64_MAX);
    assert_int_equal(flat.zero_count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(known_bytes),
        cmocka_unit_test(from_pages_and_small),
        cmocka_unit_test(the_largest_fits),
        cmocka_unit_test(known_damage),
        cmocka_unit_test(random_damage),
        cmocka_unit_test(overflow_of_the_merged_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
