/*
 * The spans that a shard received lately, under one budget of bytes: what arrives is kept for as long as
 * there is room, whatever it is, and found again by trace id or by a search. One thread owns a ring, the
 * shard's.
 *
 *   trace id ─hash─► heads ─► newest entry ─previous─► … ─► an entry older than the oldest block: the end
 *
 *   blocks   [ 41 | 42 | 43 | 40 ]    one mapping; when the newest (43) is full the oldest is written over
 *
 * A block (block.h) is self-contained: entries, payloads, and the texts and OTLP envelopes they refer to. A
 * span that came as OTLP lies there as it came, secrets included; every way out of the ring removes those. A
 * request that came otherwise (native spans, access-log entries) lies there in a compact form.
 *
 * With `compresses` closed blocks are made smaller (frozen.h) when the ring is nearly full, and lie packed in
 * what one of them took: the same budget reaches further. That is done by ring_freeze, never by ring_add_*.
 *
 * ring_add_* are the record path: no allocation, no lock, no log. All that is read back is borrowed and good
 * until the next call of any of these; cursors are plain values and stay good for ever.
 */
#ifndef WEFT_TRACE_RING_H
#define WEFT_TRACE_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "context/interner.h"
#include "context/request.h"
#include "core/buffer.h"
#include "core/clock.h"
#include "core/metrics.h"
#include "core/slice.h"
#include "decode/otlp_encode.h"
#include "decode/otlp_trace.h"
#include "decode/span.h"
#include "trace/block.h"

struct ring;

enum { RING_SHARE_BYTES_MIN = 262144, TRACE_ID_BYTES = 16, SPAN_ID_BYTES = 8 };

/* All pointers are borrowed and outlive the ring. */
struct ring_settings {
    uint64_t share_bytes;            /* of limits.trace_ring_bytes; blocks and index lie within */
    uint64_t span_bytes_max;         /* limits.trace_span_bytes_max */
    uint32_t spans_count_max;        /* limits.trace_spans_count_max: of a trace, that are looked at */
    const struct interner *interner; /* of the ids in notes and requests */
    struct metric_cells *cells;      /* METRIC_TRACE_* */
    const struct clock *clock;       /* the exact one */
    const struct otlp_trace_scanner *scanner; /* what must not leave */
    bool compresses;                          /* blocks that have cooled, by ring_freeze */
};

/* WERR_INVALID for a share below RING_SHARE_BYTES_MIN, WERR_NOMEM. Memory becomes resident when it is used.
 */
int ring_new(const struct ring_settings *settings, struct ring **ret_ring);
void ring_free(struct ring *ring);

/* ---- in ---- */

/* What an entry stands for. */
enum ring_role { RING_REQUEST, RING_ATTEMPT, RING_NEITHER };

/* What is known of a span beyond its bytes. */
struct ring_note {
    uint32_t service; /* who reports: interner id; INTERNED_NONE: service_text is taken */
    uint32_t route;   /* interner id; INTERNED_NONE: route_text is taken, which may be a span's name */
    struct slice service_text;
    struct slice route_text;
    uint64_t response_flags;
    uint16_t response_code; /* 0: none */
    uint8_t outcome;        /* enum outcome; OUTCOME_COUNT: none */
    uint8_t role;           /* enum ring_role */
    bool is_error;          /* beyond status error and the outcomes server_error and no_response */
    bool is_kept;           /* its trace is kept already: it leaves by itself, not by ring_write_trace */
};

/*
 * Of a span that is about to be added: the memory where its trace's chain begins is asked for, which takes as
 * long as reading a span does. NULL is fine.
 */
void ring_expect(const struct ring *ring, const uint8_t trace_id[TRACE_ID_BYTES]);

/*
 * Whether the span is in the ring now. Else it is counted as not stored, by reason: larger than
 * span_bytes_max or an empty block with its envelope.
 */
bool ring_add_span(struct ring *ring, const struct span *span, const struct ring_note *note);

/*
 * A native span (request->signal REQUEST_FROM_SPAN) or an access-log entry (any other signal). parent_id: 8
 * bytes or NULL; sampling_threshold as in struct otlp_encode_span. False for one without a trace id, which is
 * counted; an access-log entry may lack a span id.
 */
bool ring_add_request(struct ring *ring, const struct request *request, const uint8_t *parent_id,
    uint64_t sampling_threshold, bool is_kept);

/* Sets the gauges that age by themselves (METRIC_TRACE_REACH, METRIC_TRACE_RING_BYTES). Once a second or so.
 * NULL is fine. */
void ring_tick(struct ring *ring);

/* ---- making room ---- */

/* Whether ring_freeze has something to do. Cheap: asked once a turn of the loop. NULL is fine. */
bool ring_freeze_is_due(const struct ring *ring);

/* One slice: a frame of a block is compressed, 64 KiB, or a block that is done is put in its place. */
void ring_freeze(struct ring *ring);

/* ---- a trace ---- */

struct ring_trace {
    uint32_t spans_count; /* entries, access-log ones included; at most spans_count_max */
    uint32_t not_kept_count;
    bool is_cut; /* there may be more: spans_count_max, or the walk's own bound; METRIC_TRACE_WALKS_CUT */
    uint64_t start_unix_ns; /* the first start */
    uint64_t end_unix_ns;   /* the last end */
};

/* 0, or WERR_NOT_FOUND when the ring has nothing of the trace. ret_trace may be NULL. */
int ring_find_trace(struct ring *ring, const uint8_t trace_id[TRACE_ID_BYTES], struct ring_trace *ret_trace);

/* Whether the trace has an entry of this span id. */
bool ring_has_span(
    struct ring *ring, const uint8_t trace_id[TRACE_ID_BYTES], const uint8_t span_id[SPAN_ID_BYTES]);

struct ring_write {
    struct slice attribute;   /* an encoded KeyValue added to each span; empty: none */
    bool only_not_kept;       /* spans that were written so before, or noted as kept, are left out */
    bool marks_kept;          /* those written are kept from now on */
    bool without_access_logs; /* for export: an access-log entry is no span of the sender's */
    bool tells_weight;        /* tracestates say `ot=th` as baseline.h has it */
    uint64_t baseline_threshold;
};

struct ring_written {
    uint32_t spans_count;    /* written */
    uint32_t left_out_count; /* that found no room in `out`; they are not marked */
    bool is_cut;             /* as in struct ring_trace */
};

/*
 * Appends what the ring holds of a trace to `out`, as one OTLP message (TracesData, which is
 * ExportTraceServiceRequest on the wire), grouped by resource and scope, redacted. An access-log entry is
 * left out when there is a span of the same id; one without a span id gets one made of what it tells.
 *
 * 0, also when nothing was to be written (spans_count 0); WERR_NOT_FOUND; WERR_NOMEM, with `out` and marks as
 * they were. `out`'s cap bounds the message: what does not fit is counted in left_out_count.
 */
int ring_write_trace(struct ring *ring, const uint8_t trace_id[TRACE_ID_BYTES], const struct ring_write *how,
    struct buffer *out, struct ring_written *ret_written);

/* Where a walk along a trace goes on; zeroed: at its newest entry. A plain value, good for ever. */
struct ring_walk_cursor {
    uint32_t next;        /* entry number */
    uint32_t found_count; /* entries of the trace, until now */
    uint64_t passed_count;
    bool has_begun;
    bool is_over;
};

/*
 * The same in slices of bounded work (about a fifth of a millisecond, or one large span): appends what the
 * next entries hold, newest slices first, until cursor->is_over. Each slice is grouped by itself, an
 * access-log entry is compared with the spans of its slice alone, and what was recycled meanwhile is passed
 * over. WERR_NOT_FOUND: at the end, when there was nothing at all.
 */
int ring_write_some(struct ring *ring, const uint8_t trace_id[TRACE_ID_BYTES], const struct ring_write *how,
    struct ring_walk_cursor *cursor, struct buffer *out, struct ring_written *ret_written);

/* ---- search ---- */

/* Which form an entry lies in. */
enum ring_form { RING_FORM_OTLP, RING_FORM_NATIVE, RING_FORM_ACCESS_LOG };

/* An entry as it lies in the ring; texts are borrowed, as is all else. */
struct ring_entry {
    const uint8_t *trace_id;
    const uint8_t *span_id; /* all zero for some access-log entries */
    uint64_t start_unix_ns;
    uint64_t duration_ns;
    uint64_t response_flags;
    struct slice service;
    struct slice route;
    uint16_t response_code;
    uint8_t outcome;   /* enum outcome, OUTCOME_COUNT */
    uint8_t role;      /* enum ring_role */
    uint8_t span_kind; /* enum span_kind */
    uint8_t form;      /* enum ring_form */
    bool is_error;
    bool is_kept;
    struct slice raw; /* RING_FORM_OTLP: the encoded Span, NOT redacted; else the compact form */
    /* of RING_FORM_OTLP: fields of ResourceSpans and ScopeSpans, but scopes and spans; NOT redacted */
    struct slice resource_fields;
    struct slice scope_fields;
    /* the ring's own */
    struct block_view view;
    const struct block_entry *entry;
};

/*
 * The whole of an entry in compact form; false for RING_FORM_OTLP, or when it is damaged. Texts and ids are
 * borrowed like the entry's.
 */
bool ring_entry_request(const struct ring_entry *entry, struct otlp_encode_span *ret_span);

/* Zeroes let everything through. Texts are borrowed for the call alone. */
struct ring_filter {
    struct slice service; /* empty: any */
    struct slice route;   /* empty: any; */
    bool route_is_prefix; /* `route` is how it begins */
    uint64_t duration_min_ns;
    uint64_t duration_max_ns;   /* 0: no bound */
    uint64_t start_min_unix_ns; /* of the entry's start */
    uint64_t start_max_unix_ns; /* 0: no bound */
    uint64_t response_flags;    /* any of these bits; 0: whatever flags */
    uint32_t outcomes;          /* bits 1 << enum outcome (OUTCOME_COUNT: none told); 0: any */
    uint32_t roles;             /* bits 1 << enum ring_role; 0: any */
    bool only_errors;
};

/* Where a search goes on. Make one by ring_cursor_newest. A plain value. */
struct ring_cursor {
    uint64_t block; /* number of a block; RING_CURSOR_END: over */
    uint32_t entry; /* how many of its entries are still to be looked at */
};

#define RING_CURSOR_END UINT64_MAX

/* Before the newest entry. */
struct ring_cursor ring_cursor_newest(const struct ring *ring);

enum ring_step {
    RING_MATCH, /* *ret_entry is the next one that the filter lets through */
    RING_PAUSE, /* the deadline has come; the cursor is further on, call again later */
    RING_END,   /* nothing is left; what was recycled meanwhile was passed over */
};

/*
 * The next match, newest arrival first. Returns soon after deadline_monotonic_ns (of the settings' clock), so
 * that no caller holds its shard for long: give it a millisecond.
 */
enum ring_step ring_search(struct ring *ring, struct ring_cursor *cursor, const struct ring_filter *filter,
    uint64_t deadline_monotonic_ns, struct ring_entry *ret_entry);

/* ---- counts ---- */

struct ring_counts {
    uint64_t spans_count;    /* in the ring now, in all forms */
    uint64_t bytes;          /* of blocks in use */
    uint64_t saved_bytes;    /* that they would take more if none were compressed */
    uint64_t budget_bytes;   /* share_bytes */
    uint64_t reach_ns;       /* how long ago the oldest entry that is still there arrived; 0: empty */
    uint64_t oldest_unix_ns; /* when that was; 0: empty */
};

void ring_count(const struct ring *ring, struct ring_counts *ret_counts);

#endif
