/*
 * Hashes to numbers, open addressing: the caller keeps the things themselves and compares them. One thread a
 * table.
 *
 *   slots: (hash, number + 1)   linear probing, at most 2/3 full, grows by doubling
 *                               no tombstones: a removal closes the gap
 *
 *   uint32_t at = hash_index_first(&index, hash);
 *   for (uint32_t number; hash_index_next(&index, hash, &at, &number);)
 *       if (same(things[number], key)) ...
 */
#ifndef WEFT_AGGREGATE_HASH_INDEX_H
#define WEFT_AGGREGATE_HASH_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "core/budget.h"

struct hash_slot {
    uint32_t hash;
    uint32_t number_plus_one; /* 0: empty */
};

struct hash_index {
    struct budget *budget; /* borrowed */
    struct hash_slot *slots;
    uint32_t mask;
    uint32_t count;
};

/* 0 or WERR_NOMEM. */
int hash_index_init(struct hash_index *index, struct budget *budget);

/* NULL and a zeroed one are fine. */
void hash_index_deinit(struct hash_index *index);

/* Adds a pair, which must not be there. WERR_NOMEM: nothing changed. */
int hash_index_add(struct hash_index *index, uint32_t hash, uint32_t number);

/* Takes out a pair, which must be there. */
void hash_index_remove(struct hash_index *index, uint32_t hash, uint32_t number);

static inline uint32_t hash_index_first(const struct hash_index *index, uint32_t hash)
{
    return hash & index->mask;
}

/* Steps to the next number under `hash`. */
static inline bool hash_index_next(
    const struct hash_index *index, uint32_t hash, uint32_t *at, uint32_t *ret_number)
{
    for (;;) {
        struct hash_slot slot = index->slots[*at];

        if (slot.number_plus_one == 0) {
            return false;
        }
        *at = (*at + 1) & index->mask;
        if (slot.hash == hash) {
            *ret_number = slot.number_plus_one - 1;
            return true;
        }
    }
}

#endif
