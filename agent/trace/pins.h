/*
 * Traces that exemplars lead to, held for as long as somebody may follow one: until the retention time R has
 * gone by since the last of its exemplars was shown. What the rings forget is still found here.
 *
 *   want ─► fetched elsewhere ─► hold ─► settle: granted, shown ─► withdrawn ─► R later: dropped
 *     └► refused: no room        (late spans: hold again)
 *
 * A trace is never dropped to make room: room is made by asking that an exemplar be withdrawn (pins_choose),
 * and R later there is some. So that there is always some left for a destination that comes new, each may
 * have no more traces than places are free, and no more bytes than bytes are free: one alone gets half of
 * all, of k equal ones each gets one part of k + 1.
 *
 * Exemplars have numbers, given by who shows them; a number is used again only after pins_withdrawn. Bounded
 * in traces, exemplars and bytes; the time is given. One thread owns the store, the trace thread.
 */
#ifndef WEFT_TRACE_PINS_H
#define WEFT_TRACE_PINS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buffer.h"
#include "core/metrics.h"
#include "core/slice.h"

struct pins;

enum {
    PINS_TRACE_SHARE = 16,      /* a trace may have one such part of all bytes */
    PINS_RETIRED_SHARE = 4,     /* exemplars are withdrawn while no more than one such part is without any */
    PINS_CHOICE_COUNT_MAX = 16, /* exemplars of one trace that are withdrawn at once */
    PINS_FETCHES_COUNT = 2,     /* further ones, for spans that arrive late */
};

struct pins_settings {
    uint32_t traces_count_max;            /* limits.exemplar_traces_max */
    uint32_t exemplars_count_max;         /* their numbers are below */
    uint64_t bytes_max;                   /* limits.exemplar_bytes_max */
    uint64_t retention_ns;                /* R */
    uint64_t late_ns[PINS_FETCHES_COUNT]; /* how long after it was first held a trace is fetched again;
                                             ascending */
    struct metric_cells *cells;           /* METRIC_EXEMPLAR*; not _SHOWN and not _RETENTION */
};

/* 0 or WERR_NOMEM. */
int pins_new(const struct pins_settings *settings, struct pins **ret_pins);
void pins_free(struct pins *pins); /* NULL is fine */

/* R changes, for all that is held now as well. */
void pins_set_retention(struct pins *pins, uint64_t retention_ns);

/* When traces are fetched again (pins_settings.late_ns) from now on. */
void pins_set_late(struct pins *pins, const uint64_t late_ns[PINS_FETCHES_COUNT]);

enum pins_verdict {
    PINS_GRANTED,
    PINS_FETCH, /* fetch the trace, then pins_hold, then pins_settle */
    PINS_REFUSED_FULL,
    PINS_REFUSED_OVERSIZED,
    PINS_REFUSED_GONE, /* the trace has no such span, or nobody has the trace */
};

struct pins_exemplar {
    uint32_t number;
    uint32_t destination; /* who shares fairly: any hash of it */
    const uint8_t *trace_id;
    const uint8_t *span_id;
    bool is_refresh; /* there is one already that it would take the place of: gets no more than a third */
};

/* An exemplar wants to be shown. When granted it is from now on. */
enum pins_verdict pins_want(struct pins *pins, const struct pins_exemplar *exemplar, uint64_t now_ns);

/*
 * What was fetched of a trace: OTLP messages (TracesData), copied. Takes the place of what was held when it
 * has all spans of that, else is added to it. Nothing happens when it does not fit, or the trace is not
 * wanted.
 */
void pins_hold(struct pins *pins, const uint8_t *trace_id, const struct slice *parts, size_t part_count,
    uint64_t now_ns);

/* After the fetch that pins_want asked for: granted or refused. */
enum pins_verdict pins_settle(struct pins *pins, uint32_t number, uint64_t now_ns);

/* An exemplar is not shown any more: since now, at the latest. */
void pins_withdrawn(struct pins *pins, uint32_t number, uint64_t now_ns);

/*
 * Which exemplars should be withdrawn for the sake of `destination`, which was refused room: those of the
 * trace shown longest, of who has the largest share, if that is more than the destination's, or if it has
 * been shown for R. Their count, at most PINS_CHOICE_COUNT_MAX; each is told once.
 */
size_t pins_choose(
    struct pins *pins, uint32_t destination, uint64_t now_ns, uint32_t numbers[static PINS_CHOICE_COUNT_MAX]);

/* Drops what nobody can ask for any more. Once a second or so. */
void pins_tick(struct pins *pins, uint64_t now_ns);

/* Ids of traces whose late spans should be fetched now: at most ids_max, each told once. */
size_t pins_late(struct pins *pins, uint64_t now_ns, uint8_t (*ids)[16], size_t ids_max);

/* What is held of a trace, a reference for the caller; NULL: nothing. */
struct shared_bytes *pins_find(const struct pins *pins, const uint8_t *trace_id);

size_t pins_traces_count(const struct pins *pins);
uint64_t pins_bytes(const struct pins *pins);

#endif
