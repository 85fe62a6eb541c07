/* A growable list of ids, its memory in the budget. One thread at a time. */
#ifndef WEFT_AGGREGATE_ID_LIST_H
#define WEFT_AGGREGATE_ID_LIST_H

#include "aggregate/memory.h"

struct id_list {
    uint32_t *ids;
    uint32_t count;
    uint32_t capacity;
};

enum { ID_LIST_CAPACITY_MIN = 64 };

static inline void id_list_deinit(struct id_list *list, struct budget *budget)
{
    memory_free(budget, list->ids, (size_t)list->capacity * sizeof(*list->ids));
    *list = (struct id_list){.ids = NULL};
}

/* False without memory; the list is then as before. */
static inline bool id_list_reserve(struct id_list *list, struct budget *budget, uint32_t more)
{
    uint64_t needed = (uint64_t)list->count + more;
    uint64_t capacity = list->capacity > 0 ? list->capacity : ID_LIST_CAPACITY_MIN;

    if (needed <= list->capacity) {
        return true;
    }
    while (capacity < needed) {
        capacity *= 2;
    }
    uint32_t *ids = capacity > UINT32_MAX ? NULL
                                          : (uint32_t *)memory_grow(budget, list->ids,
                                                list->capacity * sizeof(*ids), capacity * sizeof(*ids));

    if (ids == NULL) {
        return false;
    }
    list->ids = ids;
    list->capacity = (uint32_t)capacity;
    return true;
}

static inline bool id_list_push(struct id_list *list, struct budget *budget, uint32_t id)
{
    if (!id_list_reserve(list, budget, 1)) {
        return false;
    }
    list->ids[list->count++] = id;
    return true;
}

/* Empties it; a large one gives its memory back. */
static inline void id_list_clear(struct id_list *list, struct budget *budget)
{
    if (list->capacity > 16 * ID_LIST_CAPACITY_MIN) {
        id_list_deinit(list, budget);
    }
    list->count = 0;
}

#endif
