/* Heap memory that counts against the budget of series. Any thread; the budget is shared, the memory is not.
 */
#ifndef WEFT_AGGREGATE_MEMORY_H
#define WEFT_AGGREGATE_MEMORY_H

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "core/budget.h"
#include "histogram/page_slab.h"

/* Zeroed; NULL when the budget or the machine has no more. Freed by memory_free with the same size. */
static inline void *memory_calloc(struct budget *budget, size_t bytes)
{
    if (!budget_reserve(budget, bytes)) {
        return NULL;
    }
    void *memory = calloc(1, bytes);

    if (memory == NULL) {
        budget_release(budget, bytes);
    }
    return memory;
}

static inline void memory_free(struct budget *budget, void *memory, size_t bytes)
{
    if (memory != NULL) {
        free(memory);
        budget_release(budget, bytes);
    }
}

/* `memory` grown from old_bytes to new_bytes, the new part zeroed; NULL, with the old left as it is, when
 * that fails. */
static inline void *memory_grow(struct budget *budget, void *memory, size_t old_bytes, size_t new_bytes)
{
    void *grown = memory_calloc(budget, new_bytes);

    if (grown != NULL && memory != NULL) {
        memcpy(grown, memory, old_bytes);
        memory_free(budget, memory, old_bytes);
    }
    return grown;
}

/*
 * New series are refused once this much of the budget is in use: the rest belongs to the values of those that
 * exist, so that a flood of label sets cannot take the pages of an honest one. spare_bytes of what is in use
 * wait for reuse.
 */
static inline bool memory_is_tight(const struct budget *budget, uint64_t spare_bytes)
{
    uint64_t used_bytes = atomic_load_explicit(&budget->used_bytes, memory_order_relaxed);

    return used_bytes > spare_bytes && used_bytes - spare_bytes > budget->cap_bytes / 4 * 3;
}

/* Pages of a slab that wait for reuse: in use for the budget, but not needed by any series. */
static inline uint64_t memory_spare_bytes(const struct page_slab *slab)
{
    return ((uint64_t)slab->chunk_count * SLAB_CHUNK_PAGE_COUNT - slab->used_count) * sizeof(struct page);
}

#endif
