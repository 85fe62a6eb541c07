/*
 * The interner of interner.h. One thread a table: a shard's loop for its own, the aggregator for the
 * process's.
 *
 * Slots hold the hash beside the index, so that a look-up touches an entry's memory only when the hashes
 * agree. A string is taken out by shifting the slots behind it back, so the table has no tombstones. Free
 * entries queue first in, first out: an index rests as long as possible before its generation counts on, and
 * 256 generations last as long as can be.
 */
#include "context/interner.h"

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
    ID_INDEX_BITS = 24,
    CHUNK_ENTRY_COUNT = 1024,
    SLOT_COUNT_MIN = 64,
    CHANGE_COUNT_MIN = 256,
    SWEEP_SLICE_COUNT = 65536, /* entries that one sweep looks at */
    SWEEP_AGE = 2,             /* sweeps that an unused string outlives */
    TEXT_OVERHEAD_BYTES = 16,  /* what malloc keeps for itself and rounds up by, at most, on average */
};

#define ID_INDEX_MASK ((1u << ID_INDEX_BITS) - 1)
#define INDEX_NONE 0xffffffffu

struct entry {
    char *text; /* NULL: free */
    uint32_t length;
    uint32_t hash;
    uint32_t reference_count;
    uint32_t touched; /* the sweep count when it was last asked for */
    uint32_t next_free;
    uint8_t generation;
};

struct slot {
    uint32_t hash;
    uint32_t index_plus_one; /* 0: empty */
};

struct interner {
    struct budget *budget;
    uint32_t count;
    uint32_t count_max;
    uint32_t used_count; /* entries ever used; indexes below it exist */
    uint32_t free_head;
    uint32_t free_tail;
    uint32_t sweep_count;
    uint32_t sweep_at;
    struct entry **chunks;
    uint32_t chunk_count_max;
    struct slot *slots;
    uint32_t slot_mask;
    struct interner_change *changes;
    size_t change_count;
    size_t change_capacity;
};

static struct entry *entry_at(const struct interner *interner, uint32_t index)
{
    return &interner->chunks[index / CHUNK_ENTRY_COUNT][index % CHUNK_ENTRY_COUNT];
}

/* NULL for an id that names nothing, or nothing any more. */
static struct entry *entry_of(const struct interner *interner, uint32_t id)
{
    uint32_t index = id & ID_INDEX_MASK;

    if (index >= interner->used_count) {
        return NULL;
    }
    struct entry *entry = entry_at(interner, index);

    return entry->text != NULL && entry->generation == id >> ID_INDEX_BITS ? entry : NULL;
}

static uint32_t id_of(const struct interner *interner, uint32_t index)
{
    return (uint32_t)entry_at(interner, index)->generation << ID_INDEX_BITS | index;
}

static void *budget_calloc(struct budget *budget, size_t bytes)
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

static void budget_free(struct budget *budget, void *memory, size_t bytes)
{
    if (memory != NULL) {
        free(memory);
        budget_release(budget, bytes);
    }
}

/* Seeded with where the table lies, so that names made to collide in one process do not in another. */
static uint32_t hash_of(const struct interner *interner, struct slice text)
{
    return (uint32_t)XXH3_64bits_withSeed(
        text.length > 0 ? (const void *)text.ptr : "", text.length, (uint64_t)(uintptr_t)interner);
}

/* The index of `text`, or INDEX_NONE. */
static uint32_t look_up(const struct interner *interner, struct slice text, uint32_t hash)
{
    for (uint32_t at = hash & interner->slot_mask;; at = (at + 1) & interner->slot_mask) {
        struct slot slot = interner->slots[at];

        if (slot.index_plus_one == 0) {
            return INDEX_NONE;
        }
        if (slot.hash == hash) {
            const struct entry *entry = entry_at(interner, slot.index_plus_one - 1);

            if (slice_equal(slice_of(entry->text, entry->length), text)) {
                return slot.index_plus_one - 1;
            }
        }
    }
}

static void put_slot(struct slot *slots, uint32_t mask, struct slot slot)
{
    uint32_t at = slot.hash & mask;

    while (slots[at].index_plus_one != 0) {
        at = (at + 1) & mask;
    }
    slots[at] = slot;
}

static bool grow_slots(struct interner *interner)
{
    size_t old_count = (size_t)interner->slot_mask + 1;
    struct slot *slots = budget_calloc(interner->budget, old_count * 2 * sizeof(struct slot));

    if (slots == NULL) {
        return false;
    }
    for (size_t i = 0; i < old_count; i++) {
        if (interner->slots[i].index_plus_one != 0) {
            put_slot(slots, (uint32_t)(old_count * 2 - 1), interner->slots[i]);
        }
    }
    budget_free(interner->budget, interner->slots, old_count * sizeof(struct slot));
    interner->slots = slots;
    interner->slot_mask = (uint32_t)(old_count * 2 - 1);
    return true;
}

/* Empties the slot of `index` and closes the gap. */
static void remove_slot(struct interner *interner, uint32_t hash, uint32_t index)
{
    uint32_t mask = interner->slot_mask;
    uint32_t gap = hash & mask;

    while (interner->slots[gap].index_plus_one != index + 1) {
        gap = (gap + 1) & mask;
    }
    for (uint32_t at = (gap + 1) & mask; interner->slots[at].index_plus_one != 0; at = (at + 1) & mask) {
        uint32_t home = interner->slots[at].hash & mask;

        if (((at - home) & mask) >= ((at - gap) & mask)) {
            interner->slots[gap] = interner->slots[at];
            gap = at;
        }
    }
    interner->slots[gap] = (struct slot){.index_plus_one = 0};
}

static bool reserve_change(struct interner *interner)
{
    if (interner->change_count < interner->change_capacity) {
        return true;
    }
    size_t capacity = interner->change_capacity > 0 ? interner->change_capacity * 2 : CHANGE_COUNT_MIN;
    struct interner_change *changes = budget_calloc(interner->budget, capacity * sizeof(*changes));

    if (changes == NULL) {
        return false;
    }
    if (interner->change_count > 0) {
        memcpy(changes, interner->changes, interner->change_count * sizeof(*changes));
    }
    budget_free(interner->budget, interner->changes, interner->change_capacity * sizeof(*changes));
    interner->changes = changes;
    interner->change_capacity = capacity;
    return true;
}

static bool reserve_chunk(struct interner *interner, uint32_t index)
{
    struct entry **chunk = &interner->chunks[index / CHUNK_ENTRY_COUNT];

    if (*chunk == NULL) {
        *chunk = budget_calloc(interner->budget, CHUNK_ENTRY_COUNT * sizeof(struct entry));
    }
    return *chunk != NULL;
}

/* An entry that the next string may take, left where it is; INDEX_NONE when there is none. */
static uint32_t peek_free(struct interner *interner)
{
    if (interner->free_head != INDEX_NONE) {
        return interner->free_head;
    }
    return interner->used_count < interner->count_max && reserve_chunk(interner, interner->used_count)
               ? interner->used_count
               : INDEX_NONE;
}

static void take_free(struct interner *interner, uint32_t index)
{
    if (interner->free_head != index) {
        interner->used_count++;
        return;
    }
    interner->free_head = entry_at(interner, index)->next_free;
    if (interner->free_head == INDEX_NONE) {
        interner->free_tail = INDEX_NONE;
    }
}

static uint32_t add(struct interner *interner, struct slice text, uint32_t hash)
{
    uint32_t index = interner->count < interner->count_max ? peek_free(interner) : INDEX_NONE;

    if (index == INDEX_NONE || text.length > UINT32_MAX - 1 || !reserve_change(interner)) {
        return INTERNED_FULL;
    }
    if ((uint64_t)interner->count * 3 >= (uint64_t)interner->slot_mask * 2 && !grow_slots(interner)) {
        return INTERNED_FULL;
    }
    char *copy = budget_calloc(interner->budget, text.length + 1 + TEXT_OVERHEAD_BYTES);

    if (copy == NULL) {
        return INTERNED_FULL;
    }
    if (text.length > 0) {
        memcpy(copy, text.ptr, text.length);
    }
    take_free(interner, index);
    struct entry *entry = entry_at(interner, index);

    *entry = (struct entry){
        .text = copy,
        .length = (uint32_t)text.length,
        .hash = hash,
        .touched = interner->sweep_count,
        .generation = entry->generation,
    };
    put_slot(interner->slots, interner->slot_mask, (struct slot){.hash = hash, .index_plus_one = index + 1});
    interner->count++;
    uint32_t id = id_of(interner, index);

    interner->changes[interner->change_count++] = (struct interner_change){.id = id, .added = true};
    return id;
}

static bool add_fixed(struct interner *interner)
{
    static const char *const fixed[INTERNED_FIXED_COUNT] = {
        [INTERNED_NONE] = "",
        [INTERNED_UNKNOWN] = "unknown",
        [INTERNED_EXTERNAL] = "external",
        [INTERNED_OVERFLOW] = "_overflow",
    };

    for (uint32_t i = 0; i < INTERNED_FIXED_COUNT; i++) {
        if (interner_intern(interner, slice_of_string(fixed[i])) != i) {
            return false;
        }
    }
    interner_changes_clear(interner);
    return true;
}

struct interner *interner_new(uint32_t count_max, struct budget *budget)
{
    struct interner *interner = calloc(1, sizeof(*interner));

    if (interner == NULL) {
        return NULL;
    }
    if (count_max > ID_INDEX_MASK) {
        count_max = ID_INDEX_MASK; /* the last index is never used, so that no id is INTERNED_FULL */
    }
    interner->budget = budget;
    interner->count_max = count_max;
    interner->free_head = interner->free_tail = INDEX_NONE;
    interner->chunk_count_max = (count_max + CHUNK_ENTRY_COUNT - 1) / CHUNK_ENTRY_COUNT;
    interner->slot_mask = SLOT_COUNT_MIN - 1;
    interner->chunks = budget_calloc(budget, interner->chunk_count_max * sizeof(*interner->chunks));
    interner->slots = budget_calloc(budget, SLOT_COUNT_MIN * sizeof(struct slot));
    if (interner->chunks == NULL || interner->slots == NULL || !add_fixed(interner)) {
        interner_free(interner);
        return NULL;
    }
    return interner;
}

static void free_text(struct interner *interner, struct entry *entry)
{
    budget_free(interner->budget, entry->text, (size_t)entry->length + 1 + TEXT_OVERHEAD_BYTES);
    entry->text = NULL;
}

void interner_free(struct interner *interner)
{
    if (interner == NULL) {
        return;
    }
    for (uint32_t i = 0; i < interner->used_count; i++) {
        free_text(interner, entry_at(interner, i));
    }
    if (interner->chunks != NULL) {
        for (uint32_t i = 0; i < interner->chunk_count_max; i++) {
            budget_free(interner->budget, interner->chunks[i], CHUNK_ENTRY_COUNT * sizeof(struct entry));
        }
    }
    budget_free(interner->budget, interner->chunks, interner->chunk_count_max * sizeof(*interner->chunks));
    budget_free(interner->budget, interner->slots, ((size_t)interner->slot_mask + 1) * sizeof(struct slot));
    budget_free(interner->budget, interner->changes, interner->change_capacity * sizeof(*interner->changes));
    free(interner);
}

uint32_t interner_intern(struct interner *interner, struct slice text)
{
    uint32_t hash = hash_of(interner, text);
    uint32_t index = look_up(interner, text, hash);

    if (index == INDEX_NONE) {
        return add(interner, text, hash);
    }
    entry_at(interner, index)->touched = interner->sweep_count;
    return id_of(interner, index);
}

uint32_t interner_find(struct interner *interner, struct slice text)
{
    uint32_t index = look_up(interner, text, hash_of(interner, text));

    if (index == INDEX_NONE) {
        return INTERNED_FULL;
    }
    entry_at(interner, index)->touched = interner->sweep_count;
    return id_of(interner, index);
}

struct slice interner_text(const struct interner *interner, uint32_t id)
{
    const struct entry *entry = entry_of(interner, id);

    return entry != NULL ? slice_of(entry->text, entry->length) : slice_of(NULL, 0);
}

void interner_ref(struct interner *interner, uint32_t id)
{
    struct entry *entry = entry_of(interner, id);

    if (entry != NULL && id >= INTERNED_FIXED_COUNT) {
        entry->reference_count++;
    }
}

void interner_unref(struct interner *interner, uint32_t id)
{
    struct entry *entry = entry_of(interner, id);

    if (entry != NULL && id >= INTERNED_FIXED_COUNT && entry->reference_count > 0) {
        entry->reference_count--;
        entry->touched = interner->sweep_count;
    }
}

uint32_t interner_count(const struct interner *interner)
{
    return interner->count;
}

static void free_entry(struct interner *interner, uint32_t index)
{
    struct entry *entry = entry_at(interner, index);

    interner->changes[interner->change_count++] =
        (struct interner_change){.id = id_of(interner, index), .added = false};
    remove_slot(interner, entry->hash, index);
    free_text(interner, entry);
    entry->generation++;
    entry->next_free = INDEX_NONE;
    if (interner->free_tail == INDEX_NONE) {
        interner->free_head = index;
    } else {
        entry_at(interner, interner->free_tail)->next_free = index;
    }
    interner->free_tail = index;
    interner->count--;
}

uint32_t interner_sweep_count(const struct interner *interner)
{
    return interner->sweep_count;
}

void interner_sweep(struct interner *interner)
{
    uint32_t slice_count =
        interner->used_count < SWEEP_SLICE_COUNT ? interner->used_count : (uint32_t)SWEEP_SLICE_COUNT;

    interner->sweep_count++;
    for (uint32_t i = 0; i < slice_count; i++) {
        uint32_t index = interner->sweep_at < interner->used_count ? interner->sweep_at : 0;
        const struct entry *entry = entry_at(interner, index);

        interner->sweep_at = index + 1;
        if (index < INTERNED_FIXED_COUNT || entry->text == NULL || entry->reference_count > 0 ||
            interner->sweep_count - entry->touched <= SWEEP_AGE) {
            continue;
        }
        if (!reserve_change(interner)) {
            return;
        }
        free_entry(interner, index);
    }
}

const struct interner_change *interner_changes(const struct interner *interner, size_t *ret_count)
{
    *ret_count = interner->change_count;
    return interner->changes;
}

void interner_changes_clear(struct interner *interner)
{
    interner->change_count = 0;
    if (interner->change_capacity > CHANGE_COUNT_MIN) {
        budget_free(
            interner->budget, interner->changes, interner->change_capacity * sizeof(*interner->changes));
        interner->changes = NULL;
        interner->change_capacity = 0;
    }
}
