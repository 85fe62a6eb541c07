/* Resources and patterns by their content, see otlp_memory.h. Runs on the shard that owns the memory. */
#include "decode/otlp_memory.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
    IDS_BYTES = 28,    /* trace and span id with their tags and lengths, as every exporter writes them */
    PARENT_BYTES = 10, /* the same of the parent id */
    KIND_BYTES = 2,    /* the kind, which follows the name */
};

static void init_orders(struct otlp_memory *memory)
{
    for (size_t i = 0; i < OTLP_MEMORY_SETS_COUNT; i++) {
        for (size_t k = 0; k < OTLP_MEMORY_WAYS_COUNT; k++) {
            memory->sets[i].order[k] = (uint8_t)k;
        }
    }
}

struct otlp_memory *otlp_memory_new(void)
{
    struct otlp_memory *memory = calloc(1, sizeof *memory);

    if (memory != NULL) {
        init_orders(memory);
    }
    return memory;
}

void otlp_memory_clear(struct otlp_memory *memory)
{
    uint64_t last_id = memory->last_id;

    memset(memory, 0, sizeof *memory);
    memory->last_id = last_id;
    init_orders(memory);
}

void otlp_memory_free(struct otlp_memory *memory)
{
    free(memory);
}

static bool is_known(const struct otlp_known_resource *known, struct slice encoded)
{
    return known->id != 0 && slice_equal(slice_of(known->bytes, known->length_bytes), encoded);
}

static int know(struct otlp_memory *memory, struct otlp_known_resource *known,
    const struct otlp_trace_scanner *scanner, struct slice encoded)
{
    known->id = 0;
    known->length_bytes = encoded.length;
    known->read = (struct otlp_resource){.texts_are_valid = true};
    memcpy(known->bytes, encoded.ptr, encoded.length);
    int error = otlp_resource_read(scanner, slice_of(known->bytes, known->length_bytes), &known->read);
    if (error < 0) {
        return error;
    }
    known->id = ++memory->last_id;
    return 0;
}

int otlp_memory_resource(struct otlp_memory *memory, const struct otlp_trace_scanner *scanner,
    struct slice encoded, struct otlp_resource *room, const struct otlp_resource **ret_resource,
    uint64_t *ret_id)
{
    if (memory == NULL || encoded.length > OTLP_MEMORY_RESOURCE_BYTES_MAX || encoded.length == 0) {
        *ret_id = 0;
        *ret_resource = room;
        *room = (struct otlp_resource){.texts_are_valid = true};
        return otlp_resource_read(scanner, encoded, room);
    }
    struct otlp_known_resource *known = memory->last_resource;
    if (known == NULL || !is_known(known, encoded)) {
        known = &memory->resources[XXH3_64bits(encoded.ptr, encoded.length) % OTLP_MEMORY_RESOURCES_COUNT];
        memory->last_resource = known;
        if (!is_known(known, encoded)) {
            int error = know(memory, known, scanner, encoded);
            if (error < 0) {
                return error;
            }
        }
    }
    *ret_id = known->id;
    *ret_resource = &known->read;
    return 0;
}

static uint64_t load8(const uint8_t *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof word);
    return word;
}

/*
 * Of the length, the begin and the end of the span's name, and of its kind, where they stand in spans that
 * begin as most do. It only chooses the set: spans that it cannot tell apart share one.
 */
static uint64_t name_hash(struct slice encoded)
{
    size_t at = IDS_BYTES;

    if (encoded.length < IDS_BYTES + PARENT_BYTES + 8) {
        return 0;
    }
    if (encoded.ptr[at] == WIRE_TAG(4, WIRE_BYTES)) {
        at += PARENT_BYTES;
    }
    size_t end = at + 2 + encoded.ptr[at + 1] + KIND_BYTES;
    if (encoded.ptr[at] != WIRE_TAG(5, WIRE_BYTES) || encoded.length < end) {
        return 0;
    }
    return load8(encoded.ptr + at) * 0x9fb21c651e98df25ull ^ load8(encoded.ptr + end - 8);
}

struct otlp_pattern_set *otlp_memory_set(struct otlp_memory *memory, uint64_t envelope, struct slice encoded)
{
    uint64_t hash = (name_hash(encoded) ^ envelope) * 0x9e3779b97f4a7c15ull;

    return &memory->sets[(hash >> 32) % OTLP_MEMORY_SETS_COUNT];
}

struct span *otlp_memory_match(struct otlp_memory *memory, struct otlp_pattern_set *set, uint64_t envelope,
    struct slice encoded, uint64_t attribute_bytes_max)
{
    for (size_t i = 0; i < OTLP_MEMORY_WAYS_COUNT; i++) {
        struct otlp_pattern *pattern = &set->patterns[set->order[i]];
        if (pattern->id != 0 && pattern->envelope == envelope &&
            otlp_pattern_match(pattern, encoded, attribute_bytes_max)) {
            pattern->used_at = memory->last_id;
            set->patience -= set->patience > 0;
            return &pattern->span;
        }
    }
    return NULL;
}

/* The pattern of the same skeleton, else an empty one, else the one not used for longest. */
static struct otlp_pattern *place_for(
    struct otlp_pattern_set *set, const struct otlp_pattern *draft, uint64_t envelope)
{
    struct otlp_pattern *oldest = &set->patterns[0];

    for (size_t i = 0; i < OTLP_MEMORY_WAYS_COUNT; i++) {
        struct otlp_pattern *pattern = &set->patterns[i];
        if (pattern->id != 0 && pattern->envelope == envelope && pattern->skeleton == draft->skeleton) {
            return pattern;
        }
        if (pattern->used_at < oldest->used_at) {
            oldest = pattern;
        }
    }
    return oldest;
}

static void sort(struct otlp_pattern_set *set)
{
    for (size_t i = 1; i < OTLP_MEMORY_WAYS_COUNT; i++) {
        for (size_t k = i; k > 0; k--) {
            uint8_t left = set->order[k - 1];
            uint8_t right = set->order[k];
            if (set->patterns[left].tail_mask >= set->patterns[right].tail_mask) {
                break;
            }
            set->order[k - 1] = right;
            set->order[k] = left;
        }
    }
}

void otlp_memory_learn(struct otlp_memory *memory, struct otlp_pattern_set *set,
    const struct attribute_table *table, uint64_t envelope, struct slice encoded, const struct span *read)
{
    struct otlp_pattern *draft = &memory->draft;

    if (set->wait > 0) {
        set->wait--;
        return;
    }
    set->patience =
        set->patience < OTLP_MEMORY_PATIENCE_MAX / 2 ? set->patience * 2 + 1 : OTLP_MEMORY_PATIENCE_MAX;
    set->wait = set->patience;
    if (!otlp_pattern_describe(draft, table, encoded, read)) {
        return;
    }
    struct otlp_pattern *pattern = place_for(set, draft, envelope);
    if (pattern->id != 0 && pattern->envelope == envelope && pattern->skeleton == draft->skeleton) {
        otlp_pattern_merge(draft, pattern);
    }
    otlp_pattern_keep(draft, pattern);
    pattern->id = pattern->span.pattern = ++memory->last_id;
    pattern->span.pattern_slot =
        (uint16_t)((size_t)(set - memory->sets) * OTLP_MEMORY_WAYS_COUNT + (size_t)(pattern - set->patterns));
    pattern->envelope = envelope;
    pattern->used_at = memory->last_id;
    sort(set);
}
