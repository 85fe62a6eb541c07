/* Heap memory that counts against the budget of series. Any thread; the budget is shared, the memory is not.
 */
#ifndef WEFT_AGGREGATE_MEMORY_H
#define WEFT_AGGREGATE_MEMORY_H

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "core/budget.h"

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
 * exist, so that a flood of label sets cannot take the pages of an honest one.
 */
static inline bool memory_is_tight(const struct budget *budget)
{
    return atomic_load_explicit(&budget->used_bytes, memory_order_relaxed) > budget->cap_bytes / 4 * 3;
}

#endif
