/* The last values of series: open addressing over a power of two of pointers. Runs on the aggregator's
 * thread. */
#include "exporters/otlp/series_memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { SLOTS_COUNT_FIRST = 256 };

struct series_memory {
    struct series_last **slots;
    size_t slot_count; /* a power of two, or 0 */
    size_t used_count;
    size_t bytes;
    uint32_t sweep;
    uint64_t refused_count;
};

struct series_memory *series_memory_new(void)
{
    return calloc(1, sizeof(struct series_memory));
}

static size_t bytes_of(const struct series_last *last)
{
    return sizeof *last + last->key_length + last->number_count_max * sizeof *last->numbers;
}

static void free_last(struct series_last *last)
{
    if (last != NULL) {
        free(last->numbers);
        free(last);
    }
}

void series_memory_free(struct series_memory *memory)
{
    if (memory == NULL) {
        return;
    }
    for (size_t i = 0; i < memory->slot_count; i++) {
        free_last(memory->slots[i]);
    }
    free(memory->slots);
    free(memory);
}

/* A free slot for the hash; there always is one, since at most three quarters are used. */
static struct series_last **free_slot(struct series_last **slots, size_t slot_count, uint64_t hash)
{
    size_t at = (size_t)hash & (slot_count - 1);

    while (slots[at] != NULL) {
        at = (at + 1) & (slot_count - 1);
    }
    return &slots[at];
}

/* Moves every entry that `keep_sweep` does not rule out into a table of slot_count. False when out of memory.
 */
static bool rebuild(struct series_memory *memory, size_t slot_count, bool forget_unseen)
{
    struct series_last **slots = calloc(slot_count, sizeof(struct series_last *));

    if (slots == NULL) {
        return false;
    }
    for (size_t i = 0; i < memory->slot_count; i++) {
        struct series_last *last = memory->slots[i];
        if (last != NULL && forget_unseen && last->sweep != memory->sweep) {
            memory->bytes -= bytes_of(last);
            memory->used_count--;
            free_last(last);
        } else if (last != NULL) {
            *free_slot(slots, slot_count, last->hash) = last;
        }
    }
    free(memory->slots);
    memory->slots = slots;
    memory->slot_count = slot_count;
    return true;
}

static uint64_t hash_key(const char *name, size_t name_length, const char *labels, size_t labels_length)
{
    uint64_t seed = XXH3_64bits(name, name_length);

    return XXH3_64bits_withSeed(labels, labels_length, seed);
}

static struct series_last *make_last(struct series_memory *memory, const char *name, size_t name_length,
    const char *labels, size_t labels_length)
{
    size_t key_length = name_length + 1 + labels_length;

    if (memory->used_count >= SERIES_MEMORY_COUNT_MAX ||
        memory->bytes + sizeof(struct series_last) + key_length > SERIES_MEMORY_BYTES_MAX) {
        return NULL;
    }
    if ((memory->used_count + 1) * 4 > memory->slot_count * 3 &&
        !rebuild(memory, memory->slot_count > 0 ? memory->slot_count * 2 : SLOTS_COUNT_FIRST, false)) {
        return NULL;
    }
    struct series_last *last = calloc(1, sizeof *last + key_length);
    if (last == NULL) {
        return NULL;
    }
    last->hash = hash_key(name, name_length, labels, labels_length);
    last->is_new = true;
    last->key_length = key_length;
    memcpy(last->key, name, name_length + 1);
    if (labels_length > 0) {
        memcpy(last->key + name_length + 1, labels, labels_length);
    }
    *free_slot(memory->slots, memory->slot_count, last->hash) = last;
    memory->used_count++;
    memory->bytes += bytes_of(last);
    return last;
}

static bool make_room(struct series_memory *memory, struct series_last *last, size_t number_count)
{
    if (number_count <= last->number_count_max) {
        return true;
    }
    size_t more_bytes = (number_count - last->number_count_max) * sizeof *last->numbers;
    if (memory->bytes + more_bytes > SERIES_MEMORY_BYTES_MAX) {
        return false;
    }
    uint64_t *numbers = realloc(last->numbers, number_count * sizeof *numbers);
    if (numbers == NULL) {
        return false;
    }
    last->histogram.buckets = numbers; /* realloc has kept what is in them */
    last->histogram.bound_counts = numbers + last->histogram.bucket_count;
    last->numbers = numbers;
    last->number_count_max = number_count;
    memory->bytes += more_bytes;
    return true;
}

static struct series_last *look_up(const struct series_memory *memory, uint64_t hash, const char *name,
    size_t name_length, const char *labels, size_t labels_length)
{
    size_t mask = memory->slot_count - 1;

    for (size_t at = (size_t)hash & mask; memory->slot_count > 0 && memory->slots[at] != NULL;
         at = (at + 1) & mask) {
        struct series_last *last = memory->slots[at];
        if (last->hash == hash && last->key_length == name_length + 1 + labels_length &&
            memcmp(last->key, name, name_length + 1) == 0 &&
            (labels_length == 0 || memcmp(last->key + name_length + 1, labels, labels_length) == 0)) {
            return last;
        }
    }
    return NULL;
}

struct series_last *series_memory_find(struct series_memory *memory, const char *family_name,
    const char *labels_text, size_t labels_length, const struct snapshot_histogram *histogram)
{
    size_t name_length = strlen(family_name);
    size_t number_count = histogram != NULL ? histogram->bucket_count + histogram->bound_count : 0;
    uint64_t hash = hash_key(family_name, name_length, labels_text, labels_length);
    struct series_last *last = look_up(memory, hash, family_name, name_length, labels_text, labels_length);

    if (last == NULL) {
        last = make_last(memory, family_name, name_length, labels_text, labels_length);
    }
    if (last != NULL) {
        last->sweep = memory->sweep;
    }
    if (last == NULL || !make_room(memory, last, number_count)) {
        memory->refused_count++;
        return NULL;
    }
    return last;
}

static void store_histogram(struct series_last *last, const struct snapshot_histogram *histogram)
{
    last->histogram = *histogram;
    last->histogram.bounds = NULL;
    last->histogram.exemplars = NULL;
    last->histogram.exemplar_count = 0;
    last->histogram.buckets = last->numbers;
    last->histogram.bound_counts = NULL;
    if (histogram->bucket_count > 0) {
        memcpy(last->numbers, histogram->buckets, histogram->bucket_count * sizeof *last->numbers);
    }
    if (histogram->bound_count > 0) {
        last->histogram.bound_counts = last->numbers + histogram->bucket_count;
        memcpy(last->numbers + histogram->bucket_count, histogram->bound_counts,
            histogram->bound_count * sizeof *last->numbers);
    }
}

void series_memory_store(
    struct series_last *last, const struct snapshot_series *series, uint64_t time_unix_ns)
{
    if (series->histogram != NULL) {
        const struct snapshot_histogram *histogram = series->histogram;
        assert(histogram->bucket_count + histogram->bound_count <= last->number_count_max);
        assert(last->numbers != NULL || last->number_count_max == 0);
        store_histogram(last, histogram);
    }
    last->is_new = false;
    last->created_unix_ns = series->created_unix_ns;
    last->time_unix_ns = time_unix_ns;
    last->value = series->value;
    last->integer = series->integer;
}

void series_memory_sweep(struct series_memory *memory)
{
    if (memory->slot_count > 0) {
        (void)rebuild(memory, memory->slot_count, true); /* out of memory: the next sweep forgets them */
    }
    memory->sweep++;
}

size_t series_memory_count(const struct series_memory *memory)
{
    return memory->used_count;
}

uint64_t series_memory_refused_count(const struct series_memory *memory)
{
    return memory->refused_count;
}
