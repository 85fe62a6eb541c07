/*
 * A growable list of ids, its memory in the budget. One thread at a time. It never has less room than it was
 * made with: what is expired is told through such lists, and that must go on when the budget is exhausted.
 */
#ifndef WEFT_AGGREGATE_ID_LIST_H
#define WEFT_AGGREGATE_ID_LIST_H

#include "aggregate/memory.h"

struct id_list {
    uint32_t *ids;
    uint32_t count;
    uint32_t capacity;
};

enum { ID_LIST_CAPACITY_MIN = 256, ID_LIST_CAPACITY_KEPT = 1024 };

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

/* Room for the first ID_LIST_CAPACITY_MIN, before anything is counted. False without memory. */
static inline bool id_list_init(struct id_list *list, struct budget *budget)
{
    *list = (struct id_list){.ids = NULL};
    return id_list_reserve(list, budget, ID_LIST_CAPACITY_MIN);
}

/* Empties it; a large one gives its memory back, once there is a small one in its place. */
static inline void id_list_clear(struct id_list *list, struct budget *budget)
{
    struct id_list small;

    list->count = 0;
    if (list->capacity > ID_LIST_CAPACITY_KEPT && id_list_init(&small, budget)) {
        id_list_deinit(list, budget);
        *list = small;
    }
}

#endif
