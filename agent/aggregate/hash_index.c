/* The table of hash_index.h. */
#include "aggregate/hash_index.h"

#include "aggregate/memory.h"
#include "core/error.h"

enum { SLOT_COUNT_MIN = 64 };

int hash_index_init(struct hash_index *index, struct budget *budget)
{
    struct hash_slot *slots = memory_calloc(budget, SLOT_COUNT_MIN * sizeof(*slots));

    if (slots == NULL) {
        return WERR_NOMEM;
    }
    *index = (struct hash_index){.budget = budget, .slots = slots, .mask = SLOT_COUNT_MIN - 1};
    return 0;
}

static size_t slots_bytes(const struct hash_index *index)
{
    return ((size_t)index->mask + 1) * sizeof(struct hash_slot);
}

void hash_index_deinit(struct hash_index *index)
{
    if (index != NULL && index->slots != NULL) {
        memory_free(index->budget, index->slots, slots_bytes(index));
        *index = (struct hash_index){.slots = NULL};
    }
}

static void put(struct hash_slot *slots, uint32_t mask, struct hash_slot slot)
{
    uint32_t at = slot.hash & mask;

    while (slots[at].number_plus_one != 0) {
        at = (at + 1) & mask;
    }
    slots[at] = slot;
}

static int grow(struct hash_index *index)
{
    size_t count = (size_t)index->mask + 1;
    struct hash_slot *slots = memory_calloc(index->budget, 2 * slots_bytes(index));

    if (slots == NULL) {
        return WERR_NOMEM;
    }
    uint32_t mask = (uint32_t)(2 * count - 1);

    for (size_t i = 0; i < count; i++) {
        if (index->slots[i].number_plus_one != 0) {
            put(slots, mask, index->slots[i]);
        }
    }
    memory_free(index->budget, index->slots, slots_bytes(index));
    index->slots = slots;
    index->mask = mask;
    return 0;
}

int hash_index_add(struct hash_index *index, uint32_t hash, uint32_t number)
{
    if ((uint64_t)index->count * 3 >= (uint64_t)index->mask * 2) {
        int error = grow(index);

        if (error < 0) {
            return error;
        }
    }
    put(index->slots, index->mask, (struct hash_slot){.hash = hash, .number_plus_one = number + 1});
    index->count++;
    return 0;
}

void hash_index_remove(struct hash_index *index, uint32_t hash, uint32_t number)
{
    uint32_t mask = index->mask;
    uint32_t gap = hash & mask;

    while (index->slots[gap].number_plus_one != number + 1) {
        gap = (gap + 1) & mask;
    }
    for (uint32_t at = (gap + 1) & mask; index->slots[at].number_plus_one != 0; at = (at + 1) & mask) {
        uint32_t home = index->slots[at].hash & mask;

        if (((at - home) & mask) >= ((at - gap) & mask)) {
            index->slots[gap] = index->slots[at];
            gap = at;
        }
    }
    index->slots[gap] = (struct hash_slot){.number_plus_one = 0};
    index->count--;
}
