/* The table of instances.h. Any thread, behind its mutex. */
#include "listen/instances.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "core/error.h"

enum { NONE = UINT32_MAX };

struct entry {
    uint8_t id[INSTANCE_ID_BYTES];
    uint64_t last_sequence;
    uint64_t dropped_spans; /* as it said last */
    uint64_t dropped_points;
    uint32_t next_in_slot;
    uint32_t older; /* used less recently */
    uint32_t newer;
};

struct instances {
    pthread_mutex_t lock;
    uint32_t count;
    uint32_t count_max;
    uint32_t slot_mask;
    uint32_t oldest;
    uint32_t newest;
    uint32_t *slots;
    struct entry *entries;
};

int instances_new(uint64_t count_max, struct instances **ret_instances)
{
    uint64_t slot_count = 16;

    if (count_max == 0 || count_max > UINT32_MAX / 2) {
        return WERR_INVALID;
    }
    while (slot_count < count_max) {
        slot_count *= 2;
    }
    struct instances *instances = calloc(1, sizeof *instances);
    if (instances == NULL) {
        return WERR_NOMEM;
    }
    instances->slots = malloc(slot_count * sizeof *instances->slots);
    instances->entries = calloc(count_max, sizeof *instances->entries);
    if (instances->slots == NULL || instances->entries == NULL ||
        pthread_mutex_init(&instances->lock, NULL) != 0) {
        free(instances->slots);
        free(instances->entries);
        free(instances);
        return WERR_NOMEM;
    }
    memset(instances->slots, 0xff, slot_count * sizeof *instances->slots);
    instances->count_max = (uint32_t)count_max;
    instances->slot_mask = (uint32_t)(slot_count - 1);
    instances->oldest = NONE;
    instances->newest = NONE;
    *ret_instances = instances;
    return 0;
}

void instances_free(struct instances *instances)
{
    if (instances == NULL) {
        return;
    }
    pthread_mutex_destroy(&instances->lock);
    free(instances->slots);
    free(instances->entries);
    free(instances);
}

static uint32_t *slot_of(struct instances *instances, const uint8_t *id)
{
    return &instances->slots[(uint32_t)XXH3_64bits(id, INSTANCE_ID_BYTES) & instances->slot_mask];
}

static uint32_t find(struct instances *instances, const uint8_t *id)
{
    uint32_t at = *slot_of(instances, id);

    while (at != NONE && memcmp(instances->entries[at].id, id, INSTANCE_ID_BYTES) != 0) {
        at = instances->entries[at].next_in_slot;
    }
    return at;
}

static void list_remove(struct instances *instances, uint32_t at)
{
    const struct entry *entry = &instances->entries[at];

    *(entry->older == NONE ? &instances->oldest : &instances->entries[entry->older].newer) = entry->newer;
    *(entry->newer == NONE ? &instances->newest : &instances->entries[entry->newer].older) = entry->older;
}

static void list_append(struct instances *instances, uint32_t at)
{
    struct entry *entry = &instances->entries[at];

    entry->older = instances->newest;
    entry->newer = NONE;
    *(instances->newest == NONE ? &instances->oldest : &instances->entries[instances->newest].newer) = at;
    instances->newest = at;
}

/* Takes the entry that was quiet longest out of its slot and the list. */
static uint32_t forget_oldest(struct instances *instances, struct metric_cells *cells)
{
    uint32_t at = instances->oldest;
    uint32_t *link = slot_of(instances, instances->entries[at].id);

    while (*link != at) {
        link = &instances->entries[*link].next_in_slot;
    }
    *link = instances->entries[at].next_in_slot;
    list_remove(instances, at);
    metric_add(cells, METRIC_NATIVE_INSTANCES_FORGOTTEN, 1);
    return at;
}

static struct entry *add(
    struct instances *instances, struct metric_cells *cells, const uint8_t *id, uint64_t last_sequence)
{
    uint32_t at =
        instances->count < instances->count_max ? instances->count++ : forget_oldest(instances, cells);
    struct entry *entry = &instances->entries[at];
    uint32_t *slot = slot_of(instances, id);

    memcpy(entry->id, id, INSTANCE_ID_BYTES);
    entry->last_sequence = last_sequence;
    entry->dropped_spans = 0;
    entry->dropped_points = 0;
    entry->next_in_slot = *slot;
    *slot = at;
    list_append(instances, at);
    return entry;
}

/* The entry, now the most recently used one; made with last_sequence when there is none. */
static struct entry *use(
    struct instances *instances, struct metric_cells *cells, const uint8_t *id, uint64_t last_sequence)
{
    uint32_t at = find(instances, id);

    if (at == NONE) {
        return add(instances, cells, id, last_sequence);
    }
    if (at != instances->newest) {
        list_remove(instances, at);
        list_append(instances, at);
    }
    return &instances->entries[at];
}

uint64_t instances_open(struct instances *instances, struct metric_cells *cells,
    const uint8_t id[static INSTANCE_ID_BYTES], uint64_t next_sequence)
{
    pthread_mutex_lock(&instances->lock);
    uint64_t last = use(instances, cells, id, next_sequence > 0 ? next_sequence - 1 : 0)->last_sequence;
    pthread_mutex_unlock(&instances->lock);
    return last;
}

enum instances_verdict instances_claim(struct instances *instances, struct metric_cells *cells,
    const uint8_t id[static INSTANCE_ID_BYTES], uint64_t sequence, uint64_t *ret_last)
{
    enum instances_verdict verdict = INSTANCES_NEW;

    pthread_mutex_lock(&instances->lock);
    struct entry *entry = use(instances, cells, id, sequence - 1);
    if (sequence <= entry->last_sequence) {
        verdict = INSTANCES_DUPLICATE;
    } else {
        verdict = sequence == entry->last_sequence + 1 ? INSTANCES_NEW : INSTANCES_GAP;
        entry->last_sequence = sequence;
    }
    *ret_last = entry->last_sequence;
    pthread_mutex_unlock(&instances->lock);
    return verdict;
}

static uint64_t rise(uint64_t *last, uint64_t now)
{
    uint64_t risen = now > *last ? now - *last : 0;

    *last += risen;
    return risen;
}

void instances_dropped(struct instances *instances, const uint8_t id[static INSTANCE_ID_BYTES],
    uint64_t dropped_spans, uint64_t dropped_points, uint64_t *ret_spans, uint64_t *ret_points)
{
    pthread_mutex_lock(&instances->lock);
    uint32_t at = find(instances, id);
    if (at != NONE) {
        *ret_spans = rise(&instances->entries[at].dropped_spans, dropped_spans);
        *ret_points = rise(&instances->entries[at].dropped_points, dropped_points);
    } else {
        /* forgotten since its Hello: what it said before is not known any more */
        *ret_spans = 0;
        *ret_points = 0;
    }
    pthread_mutex_unlock(&instances->lock);
}

uint64_t instances_count(struct instances *instances)
{
    pthread_mutex_lock(&instances->lock);
    uint64_t count = instances->count;
    pthread_mutex_unlock(&instances->lock);
    return count;
}
