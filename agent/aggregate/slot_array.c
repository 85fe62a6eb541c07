/* The chunked arrays of slot_array.h. */
#include "aggregate/slot_array.h"

#include "aggregate/memory.h"

enum { TABLE_COUNT_MIN = 16, FREE_CHUNK_COUNT_MAX = 1024 };

void chunk_pool_init(struct chunk_pool *pool, struct budget *budget)
{
    *pool = (struct chunk_pool){.budget = budget};
}

void chunk_pool_deinit(struct chunk_pool *pool)
{
    while (pool->free_chunks != NULL) {
        void *chunk = pool->free_chunks;

        memcpy(&pool->free_chunks, chunk, sizeof(void *));
        memory_free(pool->budget, chunk, SLOT_CHUNK_BYTES);
    }
    pool->free_count = 0;
}

static void *take_chunk(struct chunk_pool *pool)
{
    void *chunk = pool->free_chunks;

    if (chunk == NULL) {
        return memory_calloc(pool->budget, SLOT_CHUNK_BYTES);
    }
    memcpy(&pool->free_chunks, chunk, sizeof(void *));
    pool->free_count--;
    return chunk;
}

static void give_chunk(struct chunk_pool *pool, void *chunk)
{
    if (pool->free_count == FREE_CHUNK_COUNT_MAX) {
        memory_free(pool->budget, chunk, SLOT_CHUNK_BYTES);
        return;
    }
    memcpy(chunk, &pool->free_chunks, sizeof(void *));
    pool->free_chunks = chunk;
    pool->free_count++;
}

void slot_array_init(struct slot_array *array, size_t slot_bytes)
{
    *array = (struct slot_array){.slot_bytes = (uint16_t)slot_bytes};
    while ((slot_bytes << (array->shift + 1)) <= SLOT_CHUNK_BYTES) {
        array->shift++;
    }
}

void slot_array_clear(struct slot_array *array, struct chunk_pool *pool)
{
    while (array->chunk_count > 0) {
        give_chunk(pool, array->chunks[--array->chunk_count]);
    }
    array->count = 0;
}

void slot_array_deinit(struct slot_array *array, struct chunk_pool *pool)
{
    slot_array_clear(array, pool);
    memory_free(pool->budget, array->chunks, array->chunk_capacity * sizeof(*array->chunks));
    array->chunks = NULL;
    array->chunk_capacity = 0;
}

static int add_chunk(struct slot_array *array, struct chunk_pool *pool)
{
    if (array->chunk_count == array->chunk_capacity) {
        uint32_t capacity = array->chunk_capacity > 0 ? array->chunk_capacity * 2 : TABLE_COUNT_MIN;
        void **chunks = memory_grow(
            pool->budget, array->chunks, array->chunk_capacity * sizeof(*chunks), capacity * sizeof(*chunks));

        if (chunks == NULL) {
            return -1;
        }
        array->chunks = chunks;
        array->chunk_capacity = capacity;
    }
    void *chunk = take_chunk(pool);

    if (chunk == NULL) {
        return -1;
    }
    array->chunks[array->chunk_count++] = chunk;
    return 0;
}

uint32_t slot_array_push(struct slot_array *array, struct chunk_pool *pool)
{
    if (array->count >> array->shift == array->chunk_count && add_chunk(array, pool) < 0) {
        return SLOT_NONE;
    }
    uint32_t number = array->count++;

    memset(slot_array_at(array, number), 0, array->slot_bytes);
    return number;
}
