/* The directory's inside, for directory*.c only. */
#ifndef WEFT_AGGREGATE_DIRECTORY_INTERNAL_H
#define WEFT_AGGREGATE_DIRECTORY_INTERNAL_H

#include "aggregate/directory.h"
#include "aggregate/hash_index.h"
#include "aggregate/profile_measures.h"
#include "aggregate/senders.h"
#include "core/bounds_rules.h"

enum { RECENT_COUNT = 256, SERIES_NOTE_SHIFT = 10, SLOW_MS_MASK = (1 << 24) - 1 };

/* What is kept beside each series, whose own line is full: of a duration series its p90 and what is slow, of
 * a requests series how many it has had. */
struct series_note {
    uint32_t p90;             /* in units of 2^SERIES_NOTE_SHIFT ns, rounded up; 0: none */
    uint32_t early_count : 8; /* at most rare_count */
    uint32_t slow_ms : 24;    /* as in struct record_note */
};

_Static_assert(sizeof(struct series_note) == 8, "there is one for each series of a shard");
_Static_assert((int)BOUNDS_SLOW_MS_MAX <= (int)SLOW_MS_MASK, "it fits into a note");

/*
 * A requests series that was recorded into lately, and where its values are in the active delta: what a
 * look-up and three first touches would find again. Good for one generation.
 */
struct recent_series {
    struct series_key key;
    uint32_t generation; /* 0: empty */
    struct shard_series *series;
    struct requests_slot *requests;
    struct duration_slot *durations;         /* NULL: overflow */
    struct traffic_slot *traffic;            /* NULL: not asked for yet, or overflow */
    struct series_note *note;                /* of the requests series */
    const struct series_note *duration_note; /* NULL: it has no duration series */
};

struct directory {
    struct directory_settings settings;
    uint32_t series_count; /* live and refused */
    uint32_t series_count_max;
    uint32_t sender_series_max;
    uint32_t free_head; /* first free id + 1, linked through `slot`; 0: none */
    uint64_t weight_max;
    bool is_full;   /* since the last flip values of a series that exists found no memory */
    uint32_t now_s; /* monotonic, of the last flip */
    struct chunk_pool pool;
    struct slot_array series; /* struct shard_series by id; only ever grows */
    struct slot_array notes;  /* struct series_note, likewise */
    struct hash_index index;
    struct senders senders;
    struct page_slab *slab;
    struct page_slab *overflow_slab;
    struct budget overflow_budget;
    uint32_t overflow_fractions[OVERFLOW_SET_COUNT];
    uint32_t overflow_attempt_fractions[REPORTER_COUNT];
    struct id_list retire_asked;
    struct id_list refused; /* ids of refused series, for their expiry */
    uint32_t refused_at;    /* where the next look goes on */
    uint64_t spare_elsewhere_bytes;
    uint32_t generation;             /* of recent: a new one when slots or verdicts change */
    uint8_t measures[MEASURE_COUNT]; /* enum profile_measure: those of enabled profiles */
    uint32_t measure_count;
    struct recent_series recent[RECENT_COUNT];
    struct delta deltas[2];
    struct delta *active;
    struct delta *spare; /* NULL while the aggregator has it */
};

static inline struct shard_series *series_at(const struct directory *directory, uint32_t id)
{
    return (struct shard_series *)slot_array_at(&directory->series, id);
}

static inline struct series_note *note_at(const struct directory *directory, uint32_t id)
{
    return (struct series_note *)slot_array_at(&directory->notes, id);
}

/* What this shard holds of the budget without need. */
static inline uint64_t directory_spare_bytes(const struct directory *directory)
{
    return memory_spare_bytes(directory->slab) + (uint64_t)directory->pool.free_count * SLOT_CHUNK_BYTES;
}

/* Whether a series of this sender may be added. */
bool directory_has_room(const struct directory *directory, uint32_t sender);

/*
 * A new entry, in the index, announced in the active delta, counted for its sender; strings not yet
 * referenced. The caller fills the key first. SLOT_NONE when there is no memory; nothing changed then.
 */
uint32_t directory_add_series(struct directory *directory, const struct shard_series *made);

/* The series of `key`, made when it is new and there is room; else SLOT_NONE, which means overflow. */
uint32_t directory_obtain_series(struct directory *directory, const struct series_key *key, uint32_t sender);

/* Room for this interval's values of a series; NULL when it has none: it does not take any, or memory is
 * full. */
void *directory_value_slot(struct directory *directory, uint32_t id, struct slot_array *values);

/* The whole part of the weight, the rest kept for the next record. */
uint64_t directory_whole_weight(uint32_t *fraction, uint64_t weight);

/* The first stored span of each classic bucket in an interval is the candidate. Without memory there is none.
 */
void directory_note_exemplar(
    struct directory *directory, struct duration_slot *slot, const struct request *request);

/* directory_profiles.c: the measures of the enabled profiles. Call the latter two only where there are any.
 */
void directory_init_measures(struct directory *directory);
void directory_record_measures(struct directory *directory, const struct request *request, uint64_t weight);
void directory_record_connection_measures(struct directory *directory, const struct connection *connection);

/* Nothing found before is good any more. */
static inline void directory_forget_recent(struct directory *directory)
{
    if (++directory->generation == 0) {
        memset(directory->recent, 0, sizeof directory->recent);
        directory->generation = 1;
    }
}

/* Takes a series out of the index, its strings and its count given back, its id free for the next interval.
 */
void directory_remove_series(struct directory *directory, uint32_t id);

#endif
