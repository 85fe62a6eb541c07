/* The arena: alignment, the cap, reset, growth, and a malloc that fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/arena.h"

/* Lets the sanitizers' malloc answer NULL to what no machine has, as the C library's does. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static void test_alignment_and_separation(void **state)
{
    struct arena arena;
    unsigned char *pieces[64];

    (void)state;
    arena_init(&arena, 64, 65536);
    for (size_t i = 0; i < 64; i++) {
        pieces[i] = arena_alloc(&arena, i + 1);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % 16, 0);
        memset(pieces[i], (int)i, i + 1);
    }
    for (size_t i = 0; i < 64; i++) {
        for (size_t j = 0; j <= i; j++) {
            assert_int_equal(pieces[i][j], i);
        }
    }
    arena_deinit(&arena);
}

static void test_cap(void **state)
{
    struct arena arena;
    size_t total = 0;

    (void)state;
    arena_init(&arena, 64, 1024);
    assert_null(arena_alloc(&arena, 1025));
    while (arena_alloc(&arena, 16) != NULL) {
        total += 16;
        assert_true(total <= 1024);
    }
    assert_int_equal(total, 1024);
    assert_int_equal(arena.total_bytes, 1024);
    assert_null(arena_alloc(&arena, 1));
    assert_null(arena_alloc(&arena, SIZE_MAX));
    arena_deinit(&arena);
}

static void test_reset_keeps_the_first_chunk(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena, 256, 65536);
    void *first = arena_alloc(&arena, 100);
    assert_non_null(arena_alloc(&arena, 5000));
    assert_true(arena.total_bytes > 256);
    arena_reset(&arena);
    assert_int_equal(arena.total_bytes, 256);
    assert_ptr_equal(arena_alloc(&arena, 100), first);
    for (int i = 0; i < 1000; i++) {
        assert_non_null(arena_alloc(&arena, 200));
        arena_reset(&arena);
        assert_int_equal(arena.total_bytes, 256);
    }
    arena_deinit(&arena);
}

static void test_empty(void **state)
{
    struct arena arena = {.chunk_bytes = 0};

    (void)state;
    arena_deinit(NULL);
    arena_deinit(&arena);
    arena_init(&arena, 64, 64);
    arena_reset(&arena);
    assert_int_equal(arena.total_bytes, 0);
    arena_deinit(&arena);
    arena_deinit(&arena);
}

static void test_zalloc(void **state)
{
    static const unsigned char zeros[100];
    struct arena arena;

    (void)state;
    arena_init(&arena, 256, 256);
    memset(arena_alloc(&arena, 100), 0xff, 100);
    arena_reset(&arena);
    assert_memory_equal(arena_zalloc(&arena, 100), zeros, 100);
    assert_null(arena_zalloc(&arena, 1000));
    arena_deinit(&arena);
}

static void test_failing_malloc(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena, 64, SIZE_MAX / 2);
    unsigned char *before = arena_alloc(&arena, 16);
    assert_non_null(before);
    memset(before, 7, 16);
    assert_null(arena_alloc(&arena, SIZE_MAX / 4));
    assert_null(arena_zalloc(&arena, SIZE_MAX / 4));
    assert_int_equal(arena.total_bytes, 64);
    assert_int_equal(before[15], 7);
    assert_non_null(arena_alloc(&arena, 16));
    arena_deinit(&arena);
}

static void test_protobuf_allocator(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena, 64, 128);
    ProtobufCAllocator *allocator = &arena.allocator;
    void *piece = allocator->alloc(allocator->allocator_data, 32);
    assert_non_null(piece);
    allocator->free(allocator->allocator_data, piece);
    assert_ptr_not_equal(allocator->alloc(allocator->allocator_data, 32), piece);
    assert_null(allocator->alloc(allocator->allocator_data, 128));
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alignment_and_separation),
        cmocka_unit_test(test_cap),
        cmocka_unit_test(test_reset_keeps_the_first_chunk),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_zalloc),
        cmocka_unit_test(test_failing_malloc),
        cmocka_unit_test(test_protobuf_allocator),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
