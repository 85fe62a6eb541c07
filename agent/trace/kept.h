/*
 * The traces that a shard keeps: whose spans leave the node, those in the ring and those that still come. A
 * table of fixed size; one thread owns it, the shard's. Every shard holds all kept traces of the process:
 * what one decides it tells the others, and the trace thread, in letters.
 *
 *   entries  [ oldest ─► … ─► newest ]   a ring, in the order in which they were kept and so of their end
 *      ▲
 *   index    open addressing by hash: number of an entry
 *      ▲
 *   filter   two bits a trace, of this linger time and of the one before: most spans are of no kept trace and
 *            are told so by one word
 *
 * A trace is kept for the linger time from when it was first kept. Hearing of it again adds reasons but no
 * time: notices that go round between nodes must not keep it alive for ever.
 */
#ifndef WEFT_TRACE_KEPT_H
#define WEFT_TRACE_KEPT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/mailbox.h"
#include "core/metrics.h"

enum { KEPT_TRACE_ID_BYTES = 16, KEPT_LETTER_COUNT_MAX = 256, KEPT_WAITING_COUNT_MAX = 1024 };

/* That a trace is kept, and why. */
struct kept_notice {
    uint8_t trace_id[KEPT_TRACE_ID_BYTES];
    uint32_t reasons; /* bits 1 << enum trace_trigger */
};

/* Notices on their way from a shard to another thread, which frees it (free). */
struct kept_letter {
    struct mail mail;
    uint32_t count;
    struct kept_notice notices[KEPT_LETTER_COUNT_MAX];
};

struct kept_entry {
    uint8_t trace_id[KEPT_TRACE_ID_BYTES];
    uint64_t until_ns; /* monotonic */
    uint32_t hash;
    uint16_t reasons;
    bool waits; /* in `waiting` */
};

struct kept_settings {
    uint32_t count_max; /* limits.kept_traces_count_max; a power of two is not needed */
    uint64_t linger_ns;
    uint64_t seed;              /* of the hash: what a sender must not know */
    struct metric_cells *cells; /* borrowed; METRIC_TRACE_KEPT_EVICTED */
};

/* Both in one cache line. */
struct kept_filter_word {
    uint64_t turns[2];
};

struct kept {
    struct kept_settings settings;
    struct kept_entry *entries; /* number: place in order of keeping, modulo capacity */
    uint32_t capacity;          /* of entries and index in use: doubled up to count_max when it is full */
    uint32_t first;             /* the oldest one's number */
    uint32_t count;
    uint32_t *index; /* number + 1; 0: empty */
    uint32_t index_mask;
    struct kept_filter_word *filter;
    uint32_t filter_turn; /* which of `turns` is this linger time's; the other is that of the one before */
    uint32_t filter_mask; /* over bits */
    uint64_t filter_end_ns;
    uint32_t batch_count; /* what this shard decided and has not told yet */
    struct kept_notice batch[KEPT_LETTER_COUNT_MAX];
    uint32_t waiting_count; /* traces of which something has come that has not left yet */
    struct kept_notice waiting[KEPT_WAITING_COUNT_MAX];
};

enum kept_verdict {
    KEPT_NEW,     /* from now on */
    KEPT_KNOWN,   /* it was already; reasons may have been added */
    KEPT_REFUSED, /* the trace id is all zero, or there are no reasons */
};

/* 0 or WERR_NOMEM; WERR_INVALID for a count_max of 0. All memory is taken here, and touched as more traces
 * are kept at once. A failed init leaves nothing to undo. */
int kept_init(struct kept *kept, const struct kept_settings *settings);
uint64_t kept_bytes_of(uint32_t count_max); /* that it takes */
void kept_deinit(struct kept *kept);        /* NULL and a zeroed one are fine */

/* How long what is kept from now on is kept. A shorter time holds for what is kept already, too, counted from
 * now: entries end in their order. */
void kept_set_linger(struct kept *kept, uint64_t linger_ns, uint64_t now_ns);

/* The trace's entry, good until the next kept_add or kept_expire; NULL: it is not kept. The record path's.
 * now_ns: monotonic. */
struct kept_entry *kept_find(
    const struct kept *kept, const uint8_t trace_id[KEPT_TRACE_ID_BYTES], uint64_t now_ns);

/* Why the trace is kept; 0: it is not. */
static inline uint32_t kept_reasons(
    const struct kept *kept, const uint8_t trace_id[KEPT_TRACE_ID_BYTES], uint64_t now_ns)
{
    const struct kept_entry *entry = kept_find(kept, trace_id, now_ns);

    return entry != NULL ? entry->reasons : 0;
}

/* Keeps a trace. With the table full the one kept longest goes, counted. */
enum kept_verdict kept_add(
    struct kept *kept, const uint8_t trace_id[KEPT_TRACE_ID_BYTES], uint32_t reasons, uint64_t now_ns);

/* Lets go of traces whose time is over. kept_add does it too; once in a while where none come. */
void kept_expire(struct kept *kept, uint64_t now_ns);

/*
 * Puts a trace that this shard kept of its own accord into the batch of what others are to be told. False
 * when it is full: it is to be sent first.
 */
bool kept_announce(struct kept *kept, const uint8_t trace_id[KEPT_TRACE_ID_BYTES], uint32_t reasons);

/* A letter with the batch, for one receiver: the caller sets `mail` and posts it. NULL when nothing waits or
 * without memory. The batch stays, for further receivers. */
struct kept_letter *kept_letter_new(const struct kept *kept);

/* Notes that spans of the trace are to leave; once, however many come. False when the list is full: what
 * waits is to leave first. */
bool kept_wait(struct kept *kept, struct kept_entry *entry);

/* The first `count` that waited have left. */
void kept_left(struct kept *kept, uint32_t count, uint64_t now_ns);

/* The batch has been sent, or is given up. */
static inline void kept_batch_clear(struct kept *kept)
{
    kept->batch_count = 0;
}

#endif
