/* What attribution.c and attribution_sums.c share; for them alone. */
#ifndef WEFT_TRACE_ATTRIBUTION_INTERNAL_H
#define WEFT_TRACE_ATTRIBUTION_INTERNAL_H

#include <string.h>

#include "trace/attribution.h"

enum { COLLECTED_TOO_MANY = ATTRIBUTION_SPAN_COUNT_MAX + 1 };

#define SIDE(name) (1u << TIMING_##name)

struct entry {
    struct timing timing;
    uint64_t arrived_ns;
    uint32_t number; /* attribution.c */
    bool has_parent;
    bool is_shared; /* there was another side of the same ids: which one has the children must be looked up */
    bool is_paired; /* a server side whose network time was told, or never will be */
};

/* What a look-up reads of an entry before it reads the entry: small, so that it is in the cache. */
struct entry_link {
    uint32_t id_hash; /* of trace and span id */
    uint32_t parent_hash;
    uint32_t previous_of_id; /* numbers of entries */
    uint32_t previous_of_parent;
};

/* A call's part of the request that made it. */
struct call_interval {
    uint64_t start_ns; /* clipped to the request */
    uint64_t end_ns;
    struct entry *call;
};

/* Which spans between a root and what is looked for beneath it are passed through. */
enum through {
    THROUGH_OTHER,       /* TIMING_OTHER */
    THROUGH_SAME_SERVICE /* and server-side requests of the root's service */
};

struct attribution {
    struct attribution_settings settings;
    struct attribution_counts counts;
    struct entry *entries;
    struct entry_link *links; /* by the same places */
    uint32_t *by_id;
    uint32_t *by_parent;
    uint32_t mask; /* capacity - 1, of all four */
    uint32_t tail, settled, head;
    uint64_t now_ns;
    uint32_t visits_left; /* of ATTRIBUTION_VISIT_COUNT_MAX, for the span being settled */
    /* scratch: of one walk down, and of one request's calls */
    struct entry *stack[ATTRIBUTION_SPAN_COUNT_MAX];
    struct entry *found[ATTRIBUTION_SPAN_COUNT_MAX];
    struct call_interval intervals[ATTRIBUTION_SPAN_COUNT_MAX];
};

/* The entry of these ids on one of `sides` (bits by SIDE); of several the one that has the children. */
struct entry *attribution_find(
    const struct attribution *a, const uint8_t *trace_id, const uint8_t *span_id, unsigned sides);

/* Entries that name `parent` as theirs, newest first. */
struct entry *attribution_first_child(const struct attribution *a, const struct entry *parent);
struct entry *attribution_next_child(
    const struct attribution *a, const struct entry *parent, const struct entry *child);

static inline bool attribution_is_under(const struct entry *entry, const struct entry *parent)
{
    return entry->has_parent && memcmp(entry->timing.parent_id, parent->timing.span_id, 8) == 0 &&
           memcmp(entry->timing.trace_id, parent->timing.trace_id, 16) == 0;
}

/* The span that an entry is directly beneath: the client side that shares its id, else its parent; or NULL.
 */
struct entry *attribution_up(const struct attribution *a, const struct entry *entry);

/*
 * Into a->found: entries beneath `root` on one of `sides`, not looking beneath those. Their number, or
 * COLLECTED_TOO_MANY, counted, when more spans would have to be looked at: then found is of no use.
 */
size_t attribution_collect(struct attribution *a, struct entry *root, unsigned sides, enum through through);

/* The client-side request or attempt that a server side answers, or NULL. */
struct entry *attribution_caller(struct attribution *a, const struct entry *server);

static inline uint64_t attribution_network_ns(const struct entry *client, const struct entry *server)
{
    return client->timing.duration_ns > server->timing.duration_ns
               ? client->timing.duration_ns - server->timing.duration_ns
               : 0;
}

/* All but caller and network. */
void attribution_sum_request(
    struct attribution *a, struct entry *server, struct attributed_request *ret_result);

void attribution_sum_call(struct attribution *a, struct entry *call, struct attributed_call *ret_result);

#endif
