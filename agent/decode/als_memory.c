/* Parts of access log entries by their content; see als_memory.h. Runs on the shard that owns the memory. */
#include "decode/als_memory.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { PART_BYTES_MIN = 32, SAMPLE_STEP_BYTES = 24 };

/* Where the texts are that a part may set. */
static const uint16_t text_offsets[] = {
#define TEXT(side, text) (offsetof(struct access_log_entry, side) + offsetof(struct access_log_peer, text))
#define PEER(side)                                                                                           \
    TEXT(side, service), TEXT(side, app), TEXT(side, workload), TEXT(side, workload_namespace),              \
        TEXT(side, version), TEXT(side, revision), TEXT(side, pod), TEXT(side, cluster),                     \
        TEXT(side, identity)
    PEER(upstream),
    PEER(downstream),
    offsetof(struct access_log_entry, local_identity),
#undef PEER
#undef TEXT
};

struct als_memory *als_memory_new(void)
{
    return calloc(1, sizeof(struct als_memory));
}

void als_memory_free(struct als_memory *memory)
{
    free(memory);
}

static uint64_t load8(const uint8_t *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof word);
    return word;
}

/* By a sample of its bytes: it only chooses the place. */
static struct als_part *place_of(struct als_memory *memory, struct slice encoded)
{
    uint64_t hash = encoded.length;

    for (size_t at = 0; at + sizeof hash <= encoded.length; at += SAMPLE_STEP_BYTES) {
        hash = (hash ^ load8(encoded.ptr + at)) * 0x9e3779b97f4a7c15ull;
        hash ^= hash >> 32;
    }
    hash = (hash ^ load8(encoded.ptr + encoded.length - sizeof hash)) * 0x9fb21c651e98df25ull;
    return &memory->parts[(hash >> 32) % ALS_MEMORY_PARTS_COUNT];
}

static struct slice *text_at(struct access_log_entry *entry, uint16_t to)
{
    return (struct slice *)(void *)((char *)entry + to);
}

/* Keeps the part when what it says fits. */
static void learn(struct als_part *part, struct slice encoded, als_part_reader *read)
{
    struct access_log_entry alone = {.raw = encoded};
    uint32_t count = 0;

    part->read = NULL;
    if (read(encoded, &alone) != 0) {
        return;
    }
    for (size_t i = 0; i < sizeof text_offsets / sizeof text_offsets[0]; i++) {
        struct slice text = *text_at(&alone, text_offsets[i]);
        if (text.length == 0) {
            continue;
        }
        if (count == ALS_MEMORY_TEXTS_MAX) {
            return;
        }
        part->texts[count++] = (struct als_text){.to = text_offsets[i],
            .at = (uint16_t)(text.ptr - encoded.ptr),
            .length_bytes = (uint16_t)text.length};
    }
    memcpy(part->bytes, encoded.ptr, encoded.length);
    part->read = read;
    part->text_count = count;
    part->length_bytes = (uint32_t)encoded.length;
}

int als_memory_read(
    struct als_memory *memory, struct slice encoded, als_part_reader *read, struct access_log_entry *entry)
{
    if (memory == NULL || encoded.length < PART_BYTES_MIN || encoded.length > ALS_MEMORY_PART_BYTES_MAX) {
        return read(encoded, entry);
    }
    struct als_part *part = place_of(memory, encoded);
    if (part->read != read || part->length_bytes != encoded.length ||
        memcmp(part->bytes, encoded.ptr, encoded.length) != 0) {
        if (memory->unknown_count++ % ALS_MEMORY_PATIENCE == 0) {
            learn(part, encoded, read);
        }
        return read(encoded, entry);
    }
    for (uint32_t i = 0; i < part->text_count; i++) {
        const struct als_text *text = &part->texts[i];
        struct slice *to = text_at(entry, text->to);
        if (to->length == 0) {
            *to = slice_of(encoded.ptr + text->at, text->length_bytes);
        }
    }
    return 0;
}
