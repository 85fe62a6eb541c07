/*
 * Requests told by spans of a proxy that may tell them by an access log as well: held until that is decided
 * (count_source.h), at most some seconds. One shard's. Strings of held requests are kept alive.
 *
 *   held_requests_add ──► chunks, in order of arrival ──► held_requests_settle: counted, superseded, or held
 * on
 *
 * Memory is taken in chunks as it is needed and given back when nothing is held: a proxy is undecided only
 * after it or the agent has started.
 */
#ifndef WEFT_CONTEXT_HELD_REQUESTS_H
#define WEFT_CONTEXT_HELD_REQUESTS_H

#include <stddef.h>

#include "context/interner.h"
#include "context/request.h"

enum { HELD_REQUESTS_CHUNK_COUNT = 1024 };

struct held_chunk;

struct held_requests {
    struct interner *interner; /* borrowed */
    size_t count;
    size_t count_max;
    struct held_chunk *first, *last;
};

void held_requests_init(struct held_requests *held, struct interner *interner, size_t count_max);
void held_requests_deinit(struct held_requests *held);

/* A copy is held. WERR_FULL past count_max, WERR_NOMEM; then nothing is. */
int held_requests_add(struct held_requests *held, const struct request *request);

/*
 * Asks `settled` about each, oldest first; those that it says true to are let go of. It may record them, and
 * must not add any here.
 */
void held_requests_settle(
    struct held_requests *held, bool (*settled)(void *user, const struct request *request), void *user);

#endif
