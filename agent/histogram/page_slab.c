/* The page allocator of page_slab.h: a bump pointer over chunks, and a free list. */
#include "histogram/page_slab.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(struct page) == 128, "a page is two cache lines");

void page_slab_init(struct page_slab *slab, struct budget *budget)
{
    memset(slab, 0, sizeof(*slab)); /* no literal: it would stand on the stack */
    slab->budget = budget;
    slab->next_handle = 1; /* 0 is PAGE_NONE */
}

void page_slab_deinit(struct page_slab *slab)
{
    if (slab == NULL) {
        return;
    }
    for (uint32_t i = 0; i < slab->chunk_count; i++) {
        free(slab->chunks[i]);
        budget_release(slab->budget, SLAB_CHUNK_BYTES);
    }
    page_slab_init(slab, slab->budget);
}

static bool grow(struct page_slab *slab)
{
    if (slab->chunk_count == SLAB_CHUNK_COUNT_MAX || !budget_reserve(slab->budget, SLAB_CHUNK_BYTES)) {
        return false;
    }
    struct page *chunk = aligned_alloc(sizeof(struct page), SLAB_CHUNK_BYTES);

    if (chunk == NULL) {
        budget_release(slab->budget, SLAB_CHUNK_BYTES);
        return false;
    }
    memset(chunk, 0, SLAB_CHUNK_BYTES);
    slab->chunks[slab->chunk_count++] = chunk;
    return true;
}

uint32_t page_slab_alloc(struct page_slab *slab)
{
    uint32_t handle = slab->free_head;

    if (handle != PAGE_NONE) {
        struct page *page = page_slab_page(slab, handle);

        slab->free_head = page->cells[0];
        page->cells[0] = 0;
    } else {
        if (slab->next_handle / SLAB_CHUNK_PAGE_COUNT >= slab->chunk_count && !grow(slab)) {
            return PAGE_NONE;
        }
        handle = slab->next_handle++;
    }
    slab->used_count++;
    return handle;
}

void page_chain_add(struct page_chain *chain, const struct page_slab *slab, uint32_t handle)
{
    struct page *page = page_slab_page(slab, handle);

    memset(page, 0, sizeof(*page));
    page->cells[0] = chain->head;
    if (chain->head == PAGE_NONE) {
        chain->tail = handle;
    }
    chain->head = handle;
    chain->count++;
}

void page_slab_take_back(struct page_slab *slab, struct page_chain *chain)
{
    if (chain->head != PAGE_NONE) {
        page_slab_page(slab, chain->tail)->cells[0] = slab->free_head;
        slab->free_head = chain->head;
        slab->used_count -= chain->count;
    }
    *chain = (struct page_chain){.head = PAGE_NONE};
}
