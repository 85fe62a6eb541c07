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
#include "trace/ring.h"

enum {
    RING_SEQUENCE_BITS = 32 - BLOCK_ENTRY_BITS,
    RING_BLOCKS_MAX =
        1 << (RING_SEQUENCE_BITS - 1), /* the newest and the oldest are never taken for another */
    RING_NAME_SLOTS_COUNT = 4096,
    RING_NAMES_MAX = 3072, /* of one block; then it is full, so that the slots never are */
    RING_ENVELOPE_SLOTS_COUNT = 64,
    RING_WALK_FACTOR = 4, /* entries of other traces, in the same chain, that a walk may pass */
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

struct ring {
    struct ring_settings settings;
    const struct clock *coarse_clock;
    uint8_t *memory; /* heads, then blocks */
    uint64_t memory_bytes;
    uint32_t *heads;
    uint32_t heads_mask;
    uint32_t block_bytes;
    uint32_t block_count;
    uint64_t hash_seed; /* so that no sender can aim at a chain */
    uint64_t sequence;  /* of the newest block; 0: none yet */
    uint8_t *block;     /* the newest; NULL: none yet */
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
};

static inline uint8_t *ring_block_of(const struct ring *ring, uint64_t sequence)
{
    return ring->memory + (ring->memory_bytes - (uint64_t)ring->block_count * ring->block_bytes) +
           sequence % ring->block_count * ring->block_bytes;
}

/* The sequence of the oldest block that is still there; 1 when there was none yet. */
static inline uint64_t ring_oldest(const struct ring *ring)
{
    return ring->sequence >= ring->block_count ? ring->sequence - ring->block_count + 1 : 1;
}

/* Where a trace id's chain begins, and what its entries are marked with. */
struct ring_hash {
    uint32_t head;
    uint32_t fingerprint;
};

struct ring_hash ring_hash_of(const struct ring *ring, const uint8_t trace_id[TRACE_ID_BYTES]);

/* The block and index of an entry number; false when it was recycled. */
bool ring_entry_of_number(
    const struct ring *ring, uint32_t number, struct block_view *ret_view, uint32_t *ret_index);

/* A trace's entries, newest first, into ring->refs; returns how many. *ret_is_cut: there may be more. */
uint32_t ring_walk(struct ring *ring, const uint8_t trace_id[TRACE_ID_BYTES], bool *ret_is_cut);

/* What a block holds of an entry, made sound. False when its record does not lie within the block. */
bool ring_read_entry(const struct block_view *view, const struct block_entry *entry,
    const struct block_record *record, struct ring_entry *ret_entry);

/* From then on its trace is kept; counted once. */
void ring_mark_kept(struct ring *ring, uint32_t number);

#endif
