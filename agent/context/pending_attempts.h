/*
 * Attempts that wait for their request. An Envoy sends a span for each attempt, before the request's own span
 * and without the route; both carry the trace's id, and the attempt's parent is the request's span. So
 * attempts are held for a moment and counted with their request, under its route.
 *
 *   attempt ─► place by (trace id, parent id) ─► request with that span id: takes the count
 *                                              └► 5 s later, or pushed out: counted without a route
 *
 * One shard owns it: a proxy's worker sends a request and its attempts on one gRPC connection. Over HTTP/1
 * it uses several, so there an attempt may come after its request, or to another shard: it is then counted
 * without a route. Nothing is allocated.
 */
#ifndef WEFT_CONTEXT_PENDING_ATTEMPTS_H
#define WEFT_CONTEXT_PENDING_ATTEMPTS_H

#include <stdint.h>

#include "context/request.h"
#include "decode/span.h"

enum { PENDING_ATTEMPTS_COUNT_MAX = 4096, PENDING_ATTEMPTS_PROBES = 8 };
#define PENDING_ATTEMPTS_AGE_NS 5000000000ull

struct pending_attempt {
    uint64_t key; /* of trace id and parent id; 0: free */
    uint64_t since_ns;
    uint32_t count;
    struct attempt attempt; /* of the first; the others are alike. Names of ids: whoever takes it out may find
                               them stale */
};

struct pending_attempts {
    uint32_t held_count; /* attempts, not places */
    struct pending_attempt places[PENDING_ATTEMPTS_COUNT_MAX];
};

/* What comes out without its request: `count` times `attempt`. */
struct pending_attempts_sink {
    void (*out)(void *user, const struct attempt *attempt, uint32_t count);
    void *user;
};

/* Holds an attempt; when there is no place for it, the oldest nearby comes out. A span without a parent comes
 * out at once. */
void pending_attempts_add(struct pending_attempts *pending, const struct span *span,
    const struct attempt *attempt, uint64_t now_monotonic_ns, const struct pending_attempts_sink *sink);

/* How many attempts wait for this request; they are taken out. 0: none, or it cannot be told. */
uint32_t pending_attempts_take(struct pending_attempts *pending, const struct span *span);

/* Brings out what is older than PENDING_ATTEMPTS_AGE_NS; with now_monotonic_ns UINT64_MAX, everything. */
void pending_attempts_expire(
    struct pending_attempts *pending, uint64_t now_monotonic_ns, const struct pending_attempts_sink *sink);

#endif
