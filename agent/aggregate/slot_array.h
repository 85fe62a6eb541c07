/*
 * Value pages: arrays of slots in chunks of 16 KiB from a pool. A delta appends a slot for each series that
 * an interval touches, so that it is a compact list of what happened. The shard's thread appends and clears;
 * the aggregator reads.
 *
 *   chunks[0] ──► [slot 0][slot 1] ... [slot 2^shift - 1]
 *   chunks[1] ──► ...                                        slots never move until the array is cleared
 */
#ifndef WEFT_AGGREGATE_SLOT_ARRAY_H
#define WEFT_AGGREGATE_SLOT_ARRAY_H

#include <stddef.h>
#include <stdint.h>

#include "core/budget.h"

enum { SLOT_CHUNK_BYTES = 16384 };

#define SLOT_NONE 0xffffffffu

/* Chunks that are not in use; owned by the shard. */
struct chunk_pool {
    struct budget *budget; /* borrowed */
    void *free_chunks;     /* linked through their first bytes */
    uint32_t free_count;
};

struct slot_array {
    void **chunks;
    uint32_t chunk_count;
    uint32_t chunk_capacity;
    uint32_t count;
    uint16_t slot_bytes;
    uint8_t shift;
};

void chunk_pool_init(struct chunk_pool *pool, struct budget *budget);

/* Frees the free chunks; those in use are given back by slot_array_clear before. */
void chunk_pool_deinit(struct chunk_pool *pool);

/* Allocates nothing. */
void slot_array_init(struct slot_array *array, size_t slot_bytes);

/* Gives the chunks back to the pool. */
void slot_array_clear(struct slot_array *array, struct chunk_pool *pool);

/* Clears it and frees its table. */
void slot_array_deinit(struct slot_array *array, struct chunk_pool *pool);

/* The number of a new, zeroed slot at the end; SLOT_NONE without memory. */
uint32_t slot_array_push(struct slot_array *array, struct chunk_pool *pool);

static inline void *slot_array_at(const struct slot_array *array, uint32_t number)
{
    uint8_t *chunk = (uint8_t *)array->chunks[number >> array->shift];

    return chunk + (size_t)(number & ((1u << array->shift) - 1)) * array->slot_bytes;
}

#endif
