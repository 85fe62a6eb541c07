/* Counting series by sender: senders.h. */
#include "aggregate/senders.h"

#include "aggregate/memory.h"
#include "core/error.h"

#define NUMBER_NONE 0xffffffffu

static uint32_t hash_of(uint32_t sender)
{
    uint64_t mixed = sender * 0x9e3779b97f4a7c15ull;

    return (uint32_t)(mixed >> 32);
}

static uint32_t find(const struct senders *senders, uint32_t sender)
{
    uint32_t hash = hash_of(sender);
    uint32_t at = hash_index_first(&senders->index, hash);

    for (uint32_t number; hash_index_next(&senders->index, hash, &at, &number);) {
        if (senders->counts[number].sender == sender) {
            return number;
        }
    }
    return NUMBER_NONE;
}

int senders_init(struct senders *senders, struct interner *interner, struct budget *budget)
{
    *senders = (struct senders){.interner = interner, .budget = budget};
    return hash_index_init(&senders->index, budget);
}

void senders_deinit(struct senders *senders)
{
    if (senders == NULL || senders->index.slots == NULL) {
        return;
    }
    for (uint32_t i = 0; i < senders->count; i++) {
        interner_unref(senders->interner, senders->counts[i].sender);
    }
    hash_index_deinit(&senders->index);
    memory_free(senders->budget, senders->counts, senders->capacity * sizeof(*senders->counts));
    senders->counts = NULL;
    senders->count = senders->capacity = 0;
}

uint32_t senders_series_count(const struct senders *senders, uint32_t sender)
{
    uint32_t number = find(senders, sender);

    return number != NUMBER_NONE ? senders->counts[number].series_count : 0;
}

static int reserve(struct senders *senders)
{
    if (senders->count < senders->capacity) {
        return 0;
    }
    uint32_t capacity = senders->capacity > 0 ? senders->capacity * 2 : 16;
    struct sender_count *counts = memory_grow(
        senders->budget, senders->counts, senders->capacity * sizeof(*counts), capacity * sizeof(*counts));

    if (counts == NULL) {
        return WERR_NOMEM;
    }
    senders->counts = counts;
    senders->capacity = capacity;
    return 0;
}

int senders_add(struct senders *senders, uint32_t sender)
{
    uint32_t number = find(senders, sender);

    if (number == NUMBER_NONE) {
        int error = reserve(senders);

        if (error == 0) {
            error = hash_index_add(&senders->index, hash_of(sender), senders->count);
        }
        if (error < 0) {
            return error;
        }
        number = senders->count++;
        senders->counts[number] = (struct sender_count){.sender = sender};
        interner_ref(senders->interner, sender);
    }
    senders->counts[number].series_count++;
    return 0;
}

void senders_remove(struct senders *senders, uint32_t sender)
{
    uint32_t number = find(senders, sender);

    if (number == NUMBER_NONE || --senders->counts[number].series_count > 0) {
        return;
    }
    uint32_t last = --senders->count;

    hash_index_remove(&senders->index, hash_of(sender), number);
    interner_unref(senders->interner, sender);
    if (last != number) {
        struct sender_count moved = senders->counts[last];

        hash_index_remove(&senders->index, hash_of(moved.sender), last);
        senders->counts[number] = moved;
        (void)hash_index_add(
            &senders->index, hash_of(moved.sender), number); /* one was just taken out: there is room */
    }
}
