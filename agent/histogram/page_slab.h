/*
 * Pages of 32 cells: what histograms keep their counts in. One slab has one owning thread, which allocates
 * and frees; another thread may read and zero pages that it was handed, while the owner goes on.
 *
 *   handle = chunk number, page number          0 = no page
 *
 *   chunks (fixed table)        chunk: 1024 pages of 128 bytes, never moved or freed before the end
 *   +---+---+---+------+        +--------+--------+--------+------
 *   | * | * | - | ...  |  ----> | (none) | page 1 | page 2 | ...        all cells of a page that is handed
 * out start at 0
 *   +---+---+---+------+        +--------+--------+--------+------
 *
 *   free list   head -> page -> page -> 0       the first cell of a free page holds the next handle, the
 * others are 0
 *
 * Handing pages over, without a lock or an atomic here: the letter that carries the handles orders the
 * owner's writes before the other thread's reads, the way back likewise. Growing writes only table entries
 * that no page handed out before uses. The other thread gives pages back as a `page_chain`, already zeroed;
 * the owner splices it into the free list at once.
 */
#ifndef WEFT_HISTOGRAM_PAGE_SLAB_H
#define WEFT_HISTOGRAM_PAGE_SLAB_H

#include <stdint.h>

#include "core/budget.h"

enum {
    PAGE_CELL_COUNT = 32,
    SLAB_CHUNK_PAGE_COUNT = 1024,
    SLAB_CHUNK_COUNT_MAX = 8192, /* 1 GiB a slab, whatever the budget allows */
    PAGE_NONE = 0,
};

struct page {
    uint32_t cells[PAGE_CELL_COUNT];
};

enum { SLAB_CHUNK_BYTES = SLAB_CHUNK_PAGE_COUNT * (int)sizeof(struct page) };

struct page_slab {
    struct budget *budget; /* borrowed; may be shared by several slabs */
    uint32_t chunk_count;
    uint32_t next_handle; /* the first one never handed out */
    uint32_t free_head;
    uint32_t used_count; /* pages handed out */
    struct page *chunks[SLAB_CHUNK_COUNT_MAX];
};

/* Zeroed pages on their way back to the slab's owner. Start from {0}. */
struct page_chain {
    uint32_t head;
    uint32_t tail;
    uint32_t count;
};

/* Allocates nothing yet; chunks are reserved from `budget` as they come. The slab is 64 KiB: not for a stack.
 */
void page_slab_init(struct page_slab *slab, struct budget *budget);

/* Frees all chunks, used or not, and returns them to the budget. NULL is fine. */
void page_slab_deinit(struct page_slab *slab);

/* Owner only. A handle to a zeroed page; PAGE_NONE at the budget's or the table's end, or without memory. */
uint32_t page_slab_alloc(struct page_slab *slab);

/* The page behind a handle that is not PAGE_NONE. */
static inline struct page *page_slab_page(const struct page_slab *slab, uint32_t handle)
{
    return &slab->chunks[handle / SLAB_CHUNK_PAGE_COUNT][handle % SLAB_CHUNK_PAGE_COUNT];
}

/* Whoever holds the page: zeroes it and puts it into the chain. */
void page_chain_add(struct page_chain *chain, const struct page_slab *slab, uint32_t handle);

/* Owner only: takes the chain's pages back, in constant time, and empties it. */
void page_slab_take_back(struct page_slab *slab, struct page_chain *chain);

#endif
