/* The page slab: handles, the free list, its limits, and what a chain brings back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "histogram/page_slab.h"

static struct page_slab *slab_new(struct budget *budget)
{
    struct page_slab *slab = malloc(sizeof(*slab));

    assert_non_null(slab);
    page_slab_init(slab, budget);
    return slab;
}

static void slab_free(struct page_slab *slab)
{
    page_slab_deinit(slab);
    free(slab);
}

static void pages_start_zeroed_and_distinct(void **state)
{
    enum { COUNT = 3 * SLAB_CHUNK_PAGE_COUNT };
    struct budget budget = {.cap_bytes = 1 << 24};
    struct page_slab *slab = slab_new(&budget);
    uint32_t *handles = calloc(COUNT, sizeof(*handles));

    (void)state;
    assert_non_null(handles);
    for (uint32_t i = 0; i < COUNT; i++) {
        handles[i] = page_slab_alloc(slab);
        assert_int_not_equal(handles[i], PAGE_NONE);
        for (unsigned cell = 0; cell < PAGE_CELL_COUNT; cell++) {
            assert_int_equal(page_slab_page(slab, handles[i])->cells[cell], 0);
            page_slab_page(slab, handles[i])->cells[cell] = i;
        }
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_int_equal(page_slab_page(slab, handles[i])->cells[0], i);
        assert_int_equal(page_slab_page(slab, handles[i])->cells[PAGE_CELL_COUNT - 1], i);
    }
    assert_int_equal(slab->used_count, COUNT);
    free(handles);
    slab_free(slab);
    assert_int_equal(budget.used_bytes, 0);
}

static void chains_come_back_zeroed(void **state)
{
    struct budget budget = {.cap_bytes = SLAB_CHUNK_BYTES};
    struct page_slab *slab = slab_new(&budget);
    struct page_chain chain = {.head = PAGE_NONE};

    (void)state;
    for (unsigned round = 0; round < 5; round++) {
        for (unsigned i = 1; i < SLAB_CHUNK_PAGE_COUNT; i++) {
            uint32_t handle = page_slab_alloc(slab);

            assert_int_not_equal(handle, PAGE_NONE);
            for (unsigned cell = 0; cell < PAGE_CELL_COUNT; cell++) {
                assert_int_equal(page_slab_page(slab, handle)->cells[cell], 0);
                page_slab_page(slab, handle)->cells[cell] = UINT32_MAX;
            }
            page_chain_add(&chain, slab, handle);
        }
        assert_int_equal(page_slab_alloc(slab), PAGE_NONE);
        assert_int_equal(chain.count, SLAB_CHUNK_PAGE_COUNT - 1);
        page_slab_take_back(slab, &chain);
        assert_int_equal(chain.head, PAGE_NONE);
        assert_int_equal(chain.count, 0);
        assert_int_equal(slab->used_count, 0);
    }
    page_slab_take_back(slab, &chain); /* an empty one */
    assert_int_equal(slab->used_count, 0);
    slab_free(slab);
}

static void budget_is_shared_and_kept(void **state)
{
    struct budget budget = {.cap_bytes = 2 * SLAB_CHUNK_BYTES + 100};
    struct page_slab *a = slab_new(&budget);
    struct page_slab *b = slab_new(&budget);
    unsigned count = 0;

    (void)state;
    assert_int_not_equal(page_slab_alloc(b), PAGE_NONE);
    while (page_slab_alloc(a) != PAGE_NONE) {
        count++;
    }
    assert_int_equal(count, SLAB_CHUNK_PAGE_COUNT - 1); /* one chunk; its page 0 is never used */
    assert_int_equal(budget.used_bytes, 2 * SLAB_CHUNK_BYTES);
    slab_free(b);
    assert_int_not_equal(page_slab_alloc(a), PAGE_NONE); /* room again */
    slab_free(a);
    assert_int_equal(budget.used_bytes, 0);
    page_slab_deinit(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_start_zeroed_and_distinct),
        cmocka_unit_test(chains_come_back_zeroed),
        cmocka_unit_test(budget_is_shared_and_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
