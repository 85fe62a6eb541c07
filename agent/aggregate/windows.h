/*
 * Rolling windows of 10 s, 1, 5, 15 minutes and 1 hour over what people ask about: (reporter, source,
 * destination) and (reporter, destination, route). The aggregator's thread.
 *
 *   open (pages) ──10 s──► 6 closed ──6──► 5 of 1 min ──5──► 3 of 5 min ──3──► 4 of 15 min
 *
 * A closed slot is sealed: outcome counts and the sparse form of histogram/sealed.h. A window answers with
 * the open slot and as many closed ones as cover at least its length, the finest ones for the part of a
 * coarser slot that is not over yet.
 */
#ifndef WEFT_AGGREGATE_WINDOWS_H
#define WEFT_AGGREGATE_WINDOWS_H

#include "aggregate/edges.h"
#include "histogram/flat.h"

enum window_span { WINDOW_10S, WINDOW_1M, WINDOW_5M, WINDOW_15M, WINDOW_1H, WINDOW_SPAN_COUNT };

enum {
    WINDOW_SLOT_S = 10,
    WINDOW_LEVEL_COUNT = 4,
    WINDOW_CLOSED_COUNT = 6 + 5 + 3 + 4,
    WINDOW_SLOT_COUNT_MAX = WINDOW_CLOSED_COUNT + 1,
};

struct closed_slot; /* sealed */

struct window {
    struct edge *edge; /* holds a reference; edge->window is this one */
    uint32_t number;
    uint32_t reference_count; /* duration series that feed it */
    uint32_t closed_count;    /* closed slots that are not empty */
    uint64_t p90_ns;          /* thresholds.c: as of p90_slot; 0: too few values */
    uint64_t p90_slot;
    struct histogram open;
    uint64_t open_outcomes[OUTCOME_COUNT];
    struct closed_slot
        *closed[WINDOW_CLOSED_COUNT]; /* by level, then by slot number modulo the level's count */
};

struct windows {
    struct budget *budget;  /* borrowed */
    struct edges *edges;    /* borrowed */
    struct page_slab *slab; /* borrowed; of the open slots */
    struct table windows;
    uint64_t slot;               /* number of the open slot */
    uint64_t start_slot;         /* nothing is older */
    struct histogram_flat *flat; /* scratch */
    uint8_t *sealed;             /* scratch */
};

/* What a window holds. */
struct window_values {
    uint64_t outcomes[OUTCOME_COUNT];
    uint64_t covered_ns; /* how long the slots that were read have lasted by now */
};

/* 0 or WERR_NOMEM. */
int windows_init(struct windows *windows, struct edges *edges, struct page_slab *slab, struct budget *budget,
    uint64_t monotonic_ns);
void windows_deinit(struct windows *windows);

/* The window of the edge of `key`, with a reference for the caller; NULL without memory. */
struct window *windows_obtain(struct windows *windows, const struct edge_key *key);
void windows_release(struct windows *windows, struct window *window); /* NULL is fine */

/* Adds to the open slot. Short of pages it counts outcomes alone. */
void windows_add(struct windows *windows, struct window *window, enum outcome outcome,
    const struct histogram *from, const struct page_slab *from_slab);

/* Closes the slots that are over. Called at least every few seconds, after the merges of the interval. */
void windows_tick(struct windows *windows, uint64_t monotonic_ns);

/* Adds what the window holds to `flat` (NULL: outcomes alone) and `values`, neither of which is reset first.
 */
void windows_read(const struct windows *windows, const struct window *window, enum window_span span,
    uint64_t monotonic_ns, struct histogram_flat *flat, struct window_values *values);

/* The monotonic time from which on slots are counted. */
uint64_t windows_start_ns(const struct windows *windows);

/*
 * The slots of a window one by one, newest first and without a gap: the finest that are still there, so that
 * the last minute is in slots of 10 s, what is before it in slots of a minute, and so on.
 */
struct window_slot {
    uint8_t level;   /* WINDOW_LEVEL_COUNT: the open slot */
    uint64_t number; /* of the level */
    uint64_t start_monotonic_ns;
    uint64_t length_ns; /* of the open slot: so far */
};

/* Their number, at most WINDOW_SLOT_COUNT_MAX. Slots from before the start are left out. */
uint32_t windows_slots(const struct windows *windows, enum window_span span, uint64_t monotonic_ns,
    struct window_slot ret_slots[WINDOW_SLOT_COUNT_MAX]);

/* Adds what the window holds in one slot. */
void windows_read_slot(const struct windows *windows, const struct window *window,
    const struct window_slot *slot, struct histogram_flat *flat, struct window_values *values);

/* "10s", "1m", "5m", "15m", "1h"; WERR_NOT_FOUND for another text. */
int window_span_of(struct slice text, enum window_span *ret_span);

#endif
