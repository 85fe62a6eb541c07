/*
 * What a shard remembers from message to message of the senders of OTLP spans: their resources, and the
 * patterns of their spans. Both are looked up by content, so nothing has to be told when a sender goes: what
 * is no longer met is written over.
 *
 *   encoded Resource ─hash─► resources[i]   the same bytes: read already
 *   resource, scope, span's name and kind ─hash─► sets[i] ─► 4 patterns, tried in turn
 *
 * Hostile input can at most have its own and its neighbours' spans read the slow way. One thread owns it; it
 * allocates nothing after it was made.
 */
#ifndef WEFT_DECODE_OTLP_MEMORY_H
#define WEFT_DECODE_OTLP_MEMORY_H

#include <stdint.h>

#include "decode/otlp_pattern.h"
#include "decode/otlp_trace.h"

enum {
    OTLP_MEMORY_RESOURCES_COUNT = 64,
    OTLP_MEMORY_RESOURCE_BYTES_MAX = 1024,
    OTLP_MEMORY_SETS_COUNT = 64,
    OTLP_MEMORY_WAYS_COUNT = 4,
    OTLP_MEMORY_PATTERNS_COUNT = OTLP_MEMORY_SETS_COUNT * OTLP_MEMORY_WAYS_COUNT,
    OTLP_MEMORY_PATIENCE_MAX = 256, /* spans that fit no pattern before the next is learnt from, at most */
};

struct otlp_known_resource {
    uint64_t id; /* 0: empty; never the same again for another */
    size_t length_bytes;
    struct otlp_resource read; /* its slices lie in bytes */
    uint8_t bytes[OTLP_MEMORY_RESOURCE_BYTES_MAX];
};

struct otlp_pattern_set {
    struct otlp_pattern patterns[OTLP_MEMORY_WAYS_COUNT];
    uint8_t order[OTLP_MEMORY_WAYS_COUNT]; /* of trying: the longest common tail first, it excludes most */
    uint32_t patience; /* doubles with each span that was learnt from, falls with each that matched */
    uint32_t wait;     /* spans still to let pass */
};

struct otlp_memory {
    uint64_t last_id;
    struct otlp_known_resource *last_resource; /* NULL at first */
    struct otlp_known_resource resources[OTLP_MEMORY_RESOURCES_COUNT];
    struct otlp_pattern_set sets[OTLP_MEMORY_SETS_COUNT];
    struct otlp_pattern draft;
};

/* About 1 MiB, of which only what is used becomes resident. NULL without memory. */
struct otlp_memory *otlp_memory_new(void);
void otlp_memory_free(struct otlp_memory *memory);

/* Forgets everything: what was read by other rules. Ids of resources are not given twice. */
void otlp_memory_clear(struct otlp_memory *memory);

/*
 * Reads an encoded Resource, or finds it read. *ret_id: never 0 and the same as long as the bytes are; 0 when
 * it is too long to be remembered, then *ret_resource is `room`, and its slices lie in `encoded`. Negative
 * when it is damaged.
 */
int otlp_memory_resource(struct otlp_memory *memory, const struct otlp_trace_scanner *scanner,
    struct slice encoded, struct otlp_resource *room, const struct otlp_resource **ret_resource,
    uint64_t *ret_id);

/* The set that a span belongs to. envelope: stands for its resource and scope, not 0. */
struct otlp_pattern_set *otlp_memory_set(struct otlp_memory *memory, uint64_t envelope, struct slice encoded);

/* The span, read, or NULL when it fits no pattern; see otlp_pattern_match. */
struct span *otlp_memory_match(struct otlp_memory *memory, struct otlp_pattern_set *set, uint64_t envelope,
    struct slice encoded, uint64_t attribute_bytes_max);

/* Learns from a span that no pattern fitted; what is asked of it see otlp_pattern_describe. */
void otlp_memory_learn(struct otlp_memory *memory, struct otlp_pattern_set *set,
    const struct attribute_table *table, uint64_t envelope, struct slice encoded, const struct span *read);

#endif
