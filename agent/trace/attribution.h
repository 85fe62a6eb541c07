/*
 * Where the time of a request went: joins timings of one trace by parent and tells, for each request that a
 * service received, its own time and that of the calls it made; for each call, what retries and the network
 * cost. Pure code with fixed memory: no I/O, no clock; whoever owns it gives the time. One thread.
 *
 *   timings ─► entries (a ring, oldest reused) ─► by (trace, span) ─► up: who called
 *                  │                          └─► by (trace, parent) ─► down: what it called
 *                  └─ wait_ns after its arrival an entry is settled: its results go to the sink
 *                     keep_ns after its arrival, or when the ring is full, it is forgotten
 *
 * What is told, all in whole nanoseconds:
 *
 *   self     a server-side request's duration less the union of its calls, clipped to it. Its calls are the
 *            client-side requests (or attempts, where the request was not seen) beneath it. In between may be
 *            TIMING_OTHER and server-side requests of the same service: a proxy's and its application's.
 *   callees  the rest of the duration, shared out among its calls, backwards from the end: of those under
 *            way at an instant the one that began first gets the time back to its begin; then the same
 *            again. Self and callees add up to the duration, exactly.
 *   network  of a caller's request or attempt and the one server-side request beneath it: the difference of
 *            their durations, so no clock of one node is compared with that of another. A server side that
 *            took longer than its client side makes it 0 and is counted.
 *   retries  a client-side request's duration less its last attempt's, when two attempts were seen.
 *
 * Span ids that both sides share (Zipkin) are understood: a child of a shared id belongs to the server side.
 */
#ifndef WEFT_TRACE_ATTRIBUTION_H
#define WEFT_TRACE_ATTRIBUTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace/timing.h"

enum {
    ATTRIBUTION_CALLEE_COUNT = 3, /* told for each request, those with most of its time */
    ATTRIBUTION_CALLEE_COUNT_MAX =
        32, /* told apart while that is found out; the time of more is in child_ns */
    ATTRIBUTION_SPAN_COUNT_MAX = 1024, /* beneath one request that are looked at; past it no self time */
    ATTRIBUTION_VISIT_COUNT_MAX = 8 * ATTRIBUTION_SPAN_COUNT_MAX, /* spans looked at for one span's results */
    ATTRIBUTION_DEPTH_MAX = 16, /* spans between a request and who called it */
};

/* A called service's part of a request's duration: own + network + retry. */
struct attributed_callee {
    uint32_t service;
    uint32_t service_namespace;
    uint64_t own_ns;     /* the called service, and all that is not known to be something else */
    uint64_t network_ns; /* between the two */
    uint64_t retry_ns;   /* before the last attempt */
};

/* A server-side request. Everything is borrowed for the call. */
struct attributed_request {
    const struct timing *timing;
    bool has_self; /* false: too many spans beneath it; then there are no callees either */
    uint64_t self_ns;
    uint64_t child_ns;             /* duration less self */
    const struct timing *blocking; /* the call that ended last (then: began first, then: lower id); or NULL */
    struct attributed_callee callees[ATTRIBUTION_CALLEE_COUNT]; /* most time first */
    uint32_t callee_count;
    uint32_t call_count;
    uint8_t call_attempts;       /* the most attempts of any of its calls */
    uint32_t call_flags;         /* response flags of all of them */
    const struct timing *caller; /* the client-side request or attempt that it answered; NULL: not seen */
    bool has_network;
    uint64_t network_ns;
};

/* A client-side request. */
struct attributed_call {
    const struct timing *timing;
    bool has_retry;
    uint64_t retry_ns;
    uint32_t attempt_count; /* attempts that were seen */
    bool has_network;
    uint64_t network_ns; /* of its last attempt */
};

/* Both ends of one request or attempt. */
struct attributed_network {
    const struct timing *client; /* TIMING_CLIENT or TIMING_ATTEMPT */
    const struct timing *server;
    uint64_t network_ns;
};

/* Who gets results; each is called at most once for a span, from attribution_run and attribution_add. */
struct attribution_sink {
    void (*request)(void *user, const struct attributed_request *request);
    void (*call)(void *user, const struct attributed_call *call);
    void (*network)(void *user, const struct attributed_network *network);
    void *user;
};

struct attribution_settings {
    uint32_t span_count_max; /* entries, about 130 bytes each; rounded up to a power of two */
    uint64_t wait_ns;        /* from a span's arrival to its results */
    uint64_t keep_ns;        /* how long a span can be joined after its arrival; at least wait_ns */
    uint64_t late_ns;        /* a span that arrives longer than this after it ended is not joined */
    uint64_t seed;           /* of the hashes: not to be guessed by those who choose ids */
    struct attribution_sink sink;
};

/* What did not go the usual way. */
struct attribution_counts {
    uint64_t joined;       /* spans taken */
    uint64_t bad_ids;      /* no trace id, no span id or no such side: not taken */
    uint64_t repeated;     /* the same trace, span and side again: not taken, the first one stands */
    uint64_t late;         /* arrived longer than late_ns after its end: not taken */
    uint64_t self_parents; /* its own parent: taken, without parent */
    uint64_t cycles;       /* requests that are beneath themselves, or too deep to say who called */
    uint64_t oversized;    /* walks that would have passed ATTRIBUTION_{SPAN,VISIT}_COUNT_MAX: not told */
    uint64_t early;        /* settled before their wait was over, for want of room */
    uint64_t late_calls;   /* calls that arrived when their request's results had left */
    uint64_t ambiguous;    /* several server sides beneath one client side: no network time */
    uint64_t clock_disagreements; /* a server side longer than its client side: network time 0 */
};

struct attribution;

/* NULL when memory is short or span_count_max is 0. */
struct attribution *attribution_new(const struct attribution_settings *settings);
void attribution_free(struct attribution *attribution);

/*
 * Takes a copy of one timing. now_ns: monotonic, never less than before (else taken as the last one);
 * now_unix_ns: for late_ns. No allocation. When the ring is full its oldest entry is settled first.
 */
void attribution_add(
    struct attribution *attribution, const struct timing *timing, uint64_t now_ns, uint64_t now_unix_ns);

/* Settles what has waited long enough, at most count_max spans; true when more are due. */
bool attribution_run(struct attribution *attribution, uint64_t now_ns, uint32_t count_max);

/* Settles all that is left; for a stop. */
void attribution_finish(struct attribution *attribution);

/* Entries now held, and bytes taken at start. */
uint32_t attribution_span_count(const struct attribution *attribution);
size_t attribution_bytes(const struct attribution *attribution);
size_t attribution_bytes_of(uint32_t span_count_max);

const struct attribution_counts *attribution_counts(const struct attribution *attribution);

#endif
