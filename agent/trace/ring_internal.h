/*
 * The inside of a ring, for the files that make it up and for their tests. Entry numbers: the low 18 bits of
 * the block's sequence, then BLOCK_ENTRY_BITS of the entry's index plus 1; 0 is none. Runs on the ring's
 * thread.
 */
#ifndef WEFT_TRACE_RING_INTERNAL_H
#define WEFT_TRACE_RING_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "trace/block.h"
#include "trace/frozen.h"
#include "trace/ring.h"

enum {
    RING_SEQUENCE_BITS = 32 - BLOCK_ENTRY_BITS,
    RING_BLOCKS_MAX =
        1 << (RING_SEQUENCE_BITS - 1), /* the newest and the oldest are never taken for another */
    RING_PACK_FACTOR = 8,   /* blocks of a ring that compresses, at most, by how many it has room for */
    RING_HOT_FRACTION = 8,  /* of the slots: so many newest blocks are not compressed, */
    RING_HOT_COUNT_MIN = 2, /* at least; and none as long as so many slots are free */
    RING_NAME_SLOTS_COUNT = 4096,
    RING_NAMES_MAX = 3072, /* of one block; then it is full, so that the slots never are */
    RING_ENVELOPE_SLOTS_COUNT = 64,
    RING_WALK_FACTOR = 4, /* entries of other traces, in the same chain, that a walk may pass */
    /* What reading costs, in units of about 100 ns: an entry that is passed is one. */
    RING_WORK_ENTRY = 8,        /* one of the trace more than that, for grouping it … */
    RING_WORK_UNIT_BYTES = 128, /* … and one unit for so many bytes, to look at and to copy */
    RING_WORK_THAW = 1024,      /* a frame of a block that is compressed */
    RING_WORK_SLICE = 2048,     /* of ring_write_some */
};

/* A name that the newest block holds. */
struct ring_name_slot {
    uint32_t key;   /* interner id, or hash of the text */
    uint16_t place; /* 0: empty */
    bool is_text;   /* key is a hash: the text is to be compared */
};

/* An envelope that a block holds, by the hash of both parts. */
struct ring_envelope_slot {
    uint64_t hash;
    uint64_t sequence; /* of the block */
    uint16_t place;
};

/* An entry of a trace that is being read. */
struct ring_ref {
    uint32_t number;
    uint32_t group; /* of trace_write.c */
};

/* Where a block lies. A slot holds one as it was written, or frozen ones, of sequences that follow on each
 * other. */
struct ring_place {
    uint32_t at;           /* in FROZEN_ALIGN_BYTES, from `slots` */
    uint32_t frozen_bytes; /* 0: as it was written */
};

struct ring {
    struct ring_settings settings;
    const struct clock *coarse_clock;
    uint8_t *memory; /* heads, places, free slots; slots; rooms of thaw and freezer */
    uint64_t memory_bytes;
    uint32_t *heads;
    uint32_t heads_mask;
    uint8_t *slots;
    uint32_t block_bytes; /* of a slot */
    uint32_t block_count; /* slots */
    struct ring_place *places;
    uint32_t places_mask;
    uint32_t free_count;
    uint32_t *free_slots; /* the last is taken next */
    uint64_t hash_seed;   /* so that no sender can aim at a chain */
    uint64_t sequence;    /* of the newest block; 0: none yet */
    uint64_t oldest;      /* block that is there; past `sequence`: none is */
    uint8_t *block;       /* the newest; NULL: none yet */
    size_t envelope_bytes_max;
    size_t span_bytes_max;
    uint32_t name_count; /* in the slots */
    struct ring_name_slot names[RING_NAME_SLOTS_COUNT];
    struct ring_envelope_slot envelopes[RING_ENVELOPE_SLOTS_COUNT];
    uint8_t *fields; /* scratch, envelope_bytes_max: of a ResourceSpans, then of a ScopeSpans */
    size_t resource_fields_bytes;
    bool resource_is_too_large; /* for the scratch */
    uint64_t resource_serial;   /* of the ResourceSpans whose fields are in the scratch */
    struct ring_ref *refs;      /* scratch, spans_count_max: the trace that was walked last */
    uint64_t *span_ids;         /* scratch, spans_count_max */
    /* of a ring that compresses */
    struct thaw thaw;
    struct freezer freezer;
    uint64_t freeze_next; /* the sequence of the block that is frozen next */
    bool is_freezing;     /* that one */
    uint32_t pack_bytes;  /* in use of the slot where the block before it lies frozen; 0: it is not */
};

static inline struct ring_place *ring_place_of(const struct ring *ring, uint64_t sequence)
{
    return &ring->places[sequence & ring->places_mask];
}

/* The bytes of a block that is there; they begin with its struct block_header. */
static inline uint8_t *ring_block_of(const struct ring *ring, uint64_t sequence)
{
    return ring->slots + (uint64_t)ring_place_of(ring, sequence)->at * FROZEN_ALIGN_BYTES;
}

/* False when there is none of that sequence, or it is damaged. */
static inline bool ring_open_block(struct ring *ring, uint64_t sequence, struct block_view *ret_view)
{
    if (sequence < ring->oldest || sequence > ring->sequence) {
        return false;
    }
    const struct ring_place *place = ring_place_of(ring, sequence);
    const uint8_t *block = ring_block_of(ring, sequence);
    return place->frozen_bytes == 0
               ? block_open(block, ring->block_bytes, ret_view)
               : frozen_open(block, place->frozen_bytes, ring->block_bytes, sequence, &ring->thaw, ret_view);
}

/* The next block, still to be begun, has a slot from now on; the oldest are given up when none is free. */
uint8_t *ring_next_block(struct ring *ring);

/* What a block held leaves the ledger's "in the ring" before it is written over. */
void ring_expire(struct ring *ring, const struct block_header *header);

/* Where a trace id's chain begins, and what its entries are marked with. */
struct ring_hash {
    uint32_t head;
    uint32_t fingerprint;
};

struct ring_hash ring_hash_of(const struct ring *ring, const uint8_t trace_id[TRACE_ID_BYTES]);

/* The block and index of an entry number; false when it was recycled. */
bool ring_entry_of_number(
    struct ring *ring, uint32_t number, struct block_view *ret_view, uint32_t *ret_index);

/*
 * The next of a trace's entries, newest first, into ring->refs; returns how many. Goes on until the chain is
 * over, or what it has met costs work_max or more: at most RING_WORK_ENTRY and the largest span past it.
 * *ret_is_cut: there may be more, but the walk is over.
 */
uint32_t ring_walk_on(struct ring *ring, const uint8_t trace_id[TRACE_ID_BYTES],
    struct ring_walk_cursor *cursor, uint64_t work_max, bool *ret_is_cut);

/* All of them. */
uint32_t ring_walk(struct ring *ring, const uint8_t trace_id[TRACE_ID_BYTES], bool *ret_is_cut);

/* What a block holds of an entry, made sound. False when its record does not lie within the block. */
bool ring_read_entry(const struct block_view *view, const struct block_entry *entry,
    const struct block_record *record, struct ring_entry *ret_entry);

/* From then on its trace is kept; counted once. */
void ring_mark_kept(struct ring *ring, uint32_t number);

#endif
