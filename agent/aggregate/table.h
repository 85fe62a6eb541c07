/*
 * Things by a stable number: what a hash index and a cursor refer to. Removing leaves a gap that a later
 * addition fills; no thing moves, so a walk by number survives both. The aggregator's thread.
 */
#ifndef WEFT_AGGREGATE_TABLE_H
#define WEFT_AGGREGATE_TABLE_H

#include <stdint.h>

#include "aggregate/memory.h"
#include "aggregate/slot_array.h"

struct table {
    struct budget *budget; /* borrowed */
    void **items;          /* or, in a gap, (next gap + 1) << 1 | 1 */
    uint32_t used;         /* numbers below it exist */
    uint32_t capacity;
    uint32_t count;
    uint32_t free_head; /* gap + 1; 0: none */
};

enum { TABLE_CAPACITY_MIN = 64 };

static inline void table_init(struct table *table, struct budget *budget)
{
    *table = (struct table){.budget = budget};
}

static inline void table_deinit(struct table *table)
{
    memory_free(table->budget, table->items, table->capacity * sizeof(*table->items));
    table_init(table, table->budget);
}

/* NULL for a gap. `number` is below used. */
static inline void *table_at(const struct table *table, uint32_t number)
{
    void *item = table->items[number];

    return ((uintptr_t)item & 1) == 0 ? item : NULL;
}

/* The number of the new thing, or SLOT_NONE without memory. */
static inline uint32_t table_add(struct table *table, void *item)
{
    uint32_t number = table->free_head - 1;

    if (table->free_head != 0) {
        table->free_head = (uint32_t)((uintptr_t)table->items[number] >> 1);
    } else {
        if (table->used == table->capacity) {
            uint32_t capacity = table->capacity > 0 ? table->capacity * 2 : TABLE_CAPACITY_MIN;
            void **items = (void **)memory_grow(
                table->budget, table->items, table->capacity * sizeof(*items), capacity * sizeof(*items));

            if (items == NULL) {
                return SLOT_NONE;
            }
            table->items = items;
            table->capacity = capacity;
        }
        number = table->used++;
    }
    table->items[number] = item;
    table->count++;
    return number;
}

static inline void table_remove(struct table *table, uint32_t number)
{
    table->items[number] =
        (void *)((uintptr_t)table->free_head << 1 | 1); /* NOLINT(performance-no-int-to-ptr) */
    table->free_head = number + 1;
    table->count--;
}

#endif
