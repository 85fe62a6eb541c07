/*
 * The table of templates per destination. One shard owns it. Two open-addressed tables of fixed size; both
 * are rebuilt in place when an epoch ends, which is the only time that anything is removed.
 */
#include "context/route.h"

#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

struct route_entry {
    uint64_t key;   /* of destination and template; 0: empty */
    uint32_t slot;  /* of its destination's count */
    uint32_t epoch; /* last seen */
    struct route_known known;
};

struct route_destination {
    uint64_t key; /* 0: empty */
    uint64_t count;
};

struct route_table {
    uint64_t templates_max;
    uint64_t seed;
    uint64_t epoch_end_ns; /* 0: not told the time yet */
    uint32_t epoch;
    uint32_t entry_count;
    uint32_t destination_count;
    struct route_entry entries[ROUTE_TABLE_ENTRIES_COUNT];
    struct route_destination destinations[ROUTE_TABLE_DESTINATIONS_COUNT];
    struct route_entry kept[ROUTE_TABLE_ENTRIES_COUNT * 3 / 4];    /* only while an epoch ends */
    uint64_t kept_destinations[ROUTE_TABLE_ENTRIES_COUNT * 3 / 4]; /* their destinations' keys */
};

struct route_table *route_table_new(uint64_t templates_max, uint64_t seed)
{
    struct route_table *table = calloc(1, sizeof *table);

    if (table != NULL) {
        table->templates_max = templates_max;
        table->seed = seed;
        table->epoch = 1;
    }
    return table;
}

void route_table_free(struct route_table *table)
{
    free(table);
}

uint64_t route_hash(const struct route_table *table, struct slice template_text)
{
    return XXH3_64bits_withSeed(template_text.ptr, template_text.length, table->seed);
}

/* A bijection of 64 bits (the finaliser of a multiply-xorshift hash), so that near numbers land far apart. */
static uint64_t mixed(uint64_t x)
{
    x = (x ^ (x >> 31)) * 0x9e3779b97f4a7c15ull;
    x = (x ^ (x >> 29)) * 0xbf58476d1ce4e5b9ull;
    return (x ^ (x >> 32)) | 1; /* never the empty mark */
}

/* The slot of `key`, or the empty one where it belongs: there always is one, as the table is never filled. */
static struct route_entry *find_entry(struct route_table *table, uint64_t key)
{
    uint64_t at = key >> 16;

    while (true) {
        struct route_entry *entry = &table->entries[at++ & (ROUTE_TABLE_ENTRIES_COUNT - 1)];

        if (entry->key == key || entry->key == 0) {
            return entry;
        }
    }
}

/* NULL when it is new and there is no room. */
static struct route_destination *find_destination(struct route_table *table, uint64_t key)
{
    uint64_t at = key >> 16;

    while (true) {
        struct route_destination *destination =
            &table->destinations[at++ & (ROUTE_TABLE_DESTINATIONS_COUNT - 1)];

        if (destination->key == key) {
            return destination;
        }
        if (destination->key == 0) {
            if (table->destination_count >= ROUTE_TABLE_DESTINATIONS_COUNT * 3 / 4) {
                return NULL;
            }
            table->destination_count++;
            destination->key = key;
            return destination;
        }
    }
}

struct route_known *route_table_admit(struct route_table *table, uint64_t destination, uint64_t hash)
{
    uint64_t owner_key = mixed(destination ^ table->seed);
    uint64_t key = mixed(owner_key ^ (hash * 0x9fb21c651e98df25ull));
    struct route_entry *entry = find_entry(table, key);
    struct route_destination *owner;

    if (entry->key == key) {
        entry->epoch = table->epoch;
        return &entry->known;
    }
    if (table->entry_count >= ROUTE_TABLE_ENTRIES_COUNT * 3 / 4) {
        return NULL;
    }
    owner = find_destination(table, owner_key);
    if (owner == NULL || owner->count >= table->templates_max) {
        return NULL;
    }
    owner->count++;
    table->entry_count++;
    *entry = (struct route_entry){
        .key = key, .slot = (uint32_t)(owner - table->destinations), .epoch = table->epoch};
    return &entry->known;
}

/* Keeps what was seen in the epoch that ends, in tables made anew. */
static void end_epoch(struct route_table *table)
{
    uint32_t kept_count = 0;

    for (size_t i = 0; i < ROUTE_TABLE_ENTRIES_COUNT; i++) {
        const struct route_entry *entry = &table->entries[i];

        if (entry->key != 0 && entry->epoch == table->epoch) {
            table->kept_destinations[kept_count] = table->destinations[entry->slot].key;
            table->kept[kept_count++] = *entry;
        }
    }
    memset(table->entries, 0, sizeof table->entries);
    memset(table->destinations, 0, sizeof table->destinations);
    table->destination_count = 0;
    for (uint32_t i = 0; i < kept_count; i++) {
        struct route_destination *owner = find_destination(table, table->kept_destinations[i]);
        struct route_entry *entry = find_entry(table, table->kept[i].key);

        owner->count++;
        *entry = table->kept[i];
        entry->slot = (uint32_t)(owner - table->destinations);
    }
    table->entry_count = kept_count;
    table->epoch++;
}

void route_table_tick(struct route_table *table, uint64_t now_monotonic_ns)
{
    if (table->epoch_end_ns == 0) {
        table->epoch_end_ns = now_monotonic_ns + ROUTE_EPOCH_NS;
        return;
    }
    if (now_monotonic_ns < table->epoch_end_ns) {
        return;
    }
    end_epoch(table);
    if (now_monotonic_ns - table->epoch_end_ns >= ROUTE_EPOCH_NS) {
        end_epoch(table); /* a whole epoch went by in silence */
    }
    table->epoch_end_ns = now_monotonic_ns + ROUTE_EPOCH_NS;
}
