/*
 * One block of the ring: a slotted page that explains itself. The ring writes it; readers never trust what
 * lies in it: every offset and length is checked against the block, so that arbitrary bytes can be read.
 *
 *   0        64                         front                        bytes - 24 * entry_count      bytes
 *   [ header | names, envelopes, records … |   free   | … entry 2 | entry 1 | entry 0 ]
 *
 *   entry    first 16 bytes: all that a search reads; then where the record lies, and the entry before it of
 *            the same hash chain
 *   record   ids, times, the payload's length and its envelope; response flags when there are any; payload
 *   name     a text, once a block; envelope: the fields of ResourceSpans and ScopeSpans around a span
 *
 * Records, names and envelopes begin at multiples of 16, so that two bytes name a place in a block of 1 MiB;
 * place 0 is the header's and stands for none. Integers as they lie in memory. Runs on the ring's thread.
 */
#ifndef WEFT_TRACE_BLOCK_H
#define WEFT_TRACE_BLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "core/slice.h"

enum {
    BLOCK_BYTES_MAX = 1 << 20,
    BLOCK_BYTES_MIN = 1 << 14,
    BLOCK_PLACE_BYTES = 16,
    BLOCK_ENTRY_BITS = 14, /* of an entry number: which entry of the block, from 1 */
    BLOCK_ENTRIES_MAX = (1 << BLOCK_ENTRY_BITS) - 1,
    BLOCK_NAME_BYTES_MAX = 1024,
    BLOCK_OUTCOME_NONE = 5,
};

struct block_header {
    uint64_t sequence; /* of blocks, from 1 */
    uint64_t opened_unix_ns;
    uint64_t base_unix_ns; /* what the entries' start_ms count from */
    uint64_t start_min_unix_ns;
    uint64_t start_max_unix_ns;
    uint32_t front;
    uint32_t entry_count;
    uint32_t spans_not_kept_count; /* entries that are neither kept nor access-log ones */
    uint32_t logs_count;           /* access-log entries */
    uint8_t reserved[8];
};

enum block_entry_flag {
    BLOCK_ENTRY_ERROR = 1,
    BLOCK_ENTRY_KEPT = 2,
    BLOCK_ENTRY_NEEDS_REWRITE = 4,
    BLOCK_ENTRY_HAS_FLAGS = 8,
    BLOCK_ENTRY_ROLE_SHIFT = 4, /* two bits of enum ring_role */
    BLOCK_ENTRY_ROLE_MASK = 3,
};

/* kinds: bits 0–2 enum outcome, or BLOCK_OUTCOME_NONE; 3–5 enum span_kind; 6–7 enum ring_form. */
struct block_entry {
    uint32_t fingerprint; /* of the trace id */
    int32_t start_ms;     /* from the block's base; clamped */
    uint16_t service;     /* names */
    uint16_t route;
    uint16_t duration_code;
    uint8_t kinds;
    uint8_t flags; /* of enum block_entry_flag */
    uint32_t record_at;
    uint32_t previous; /* entry number; 0: none */
};

struct block_record {
    uint8_t trace_id[16];
    uint8_t span_id[8];
    uint64_t start_unix_ns;
    uint64_t duration_ns;
    uint32_t payload_bytes;
    uint16_t envelope;
    uint16_t response_code;
};

_Static_assert(sizeof(struct block_header) == 64, "the header is a cache line, and 64 names no place");
_Static_assert(sizeof(struct block_entry) == 24, "16 bytes of summary, 8 of links");
_Static_assert(sizeof(struct block_record) == 48, "a multiple of a place");

static inline uint8_t block_kinds(unsigned outcome, unsigned span_kind, unsigned form)
{
    return (uint8_t)((outcome & 7) | (span_kind & 7) << 3 | (form & 3) << 6);
}

static inline unsigned block_kinds_outcome(uint8_t kinds)
{
    return kinds & 7;
}

static inline unsigned block_kinds_span_kind(uint8_t kinds)
{
    return kinds >> 3 & 7;
}

static inline unsigned block_kinds_form(uint8_t kinds)
{
    return kinds >> 6;
}

/*
 * A duration in 16 bits: an exponent and ten bits of mantissa, exact below 1,024 ns and within 0.1 % above.
 * Rises with the duration, so that codes compare as durations do unless they are equal.
 */
static inline uint16_t block_duration_code(uint64_t ns)
{
    if (ns < 1024) {
        return (uint16_t)ns;
    }
    unsigned exponent = 63 - (unsigned)__builtin_clzll(ns);
    return (uint16_t)((exponent - 9) << 10 | (ns >> (exponent - 10) & 1023));
}

/* ---- writing: `block` has `bytes` bytes, a multiple of 16, and is 16-byte aligned ---- */

void block_begin(uint8_t *block, uint64_t sequence, uint64_t now_unix_ns, uint64_t base_unix_ns);

static inline struct block_header *block_header(uint8_t *block)
{
    return (struct block_header *)(void *)block;
}

static inline struct block_entry *block_entry_at(uint8_t *block, uint32_t bytes, uint32_t index)
{
    return (struct block_entry *)(void *)(block + bytes) - 1 - index;
}

/* Room for `length` bytes at a new place, whose offset is returned; 0 when the block is full. An entry more
 * still fits afterwards. */
uint32_t block_reserve(uint8_t *block, uint32_t bytes, size_t length);

/* A name's place; 0 when the block is full. The text is cut to BLOCK_NAME_BYTES_MAX. */
uint16_t block_put_name(uint8_t *block, uint32_t bytes, struct slice text);

/* An envelope's place; 0 when the block is full. */
uint16_t block_put_envelope(
    uint8_t *block, uint32_t bytes, struct slice resource_fields, struct slice scope_fields);

/* ---- reading ---- */

struct frozen_head;
struct thaw;

/*
 * A block as far as it can be believed, as it was written or frozen (frozen.h). What lies before the front of
 * a frozen one is thawed when it is asked for, and good until two other frozen blocks were read.
 */
struct block_view {
    const uint8_t *data; /* NULL: frozen */
    uint32_t bytes;      /* as it was written */
    uint32_t front;      /* names, envelopes and records lie before it */
    uint32_t entry_count;
    const struct block_header *header;
    const struct block_entry *entries_end; /* after entry 0 */
    const struct frozen_head *frozen;      /* NULL: as it was written */
    struct thaw *thaw;
    uint64_t sequence; /* of a frozen one */
};

/* Any bytes at all; false when they are too few, too many or not aligned for a block. */
bool block_open(const uint8_t *block, size_t bytes, struct block_view *ret_view);

/* index below view->entry_count. */
static inline const struct block_entry *block_view_entry(const struct block_view *view, uint32_t index)
{
    return view->entries_end - 1 - index;
}

/* The record of an entry, or NULL when it does not lie within the block or cannot be thawed. */
const struct block_record *block_view_record(const struct block_view *view, const struct block_entry *entry);

/* What follows it. */
struct slice block_view_payload(
    const struct block_entry *entry, const struct block_record *record, uint64_t *ret_response_flags);

/* A name's text; empty for place 0 and for what does not lie within the block. */
struct slice block_view_name(const struct block_view *view, uint16_t place);

/* Both empty for place 0 and for what does not lie within the block. */
void block_view_envelope(const struct block_view *view, uint16_t place, struct slice *ret_resource_fields,
    struct slice *ret_scope_fields);

#endif
