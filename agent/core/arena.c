/* The bump allocator of arena.h. Runs on whichever thread owns the arena. */
#include "core/arena.h"

#include <stdlib.h>
#include <string.h>

enum { ARENA_ALIGN = 16 };

struct arena_chunk {
    struct arena_chunk *next;
    size_t size_bytes;
    size_t used_bytes;
    size_t padding; /* keeps data 16-byte aligned */
    unsigned char data[];
};

_Static_assert(offsetof(struct arena_chunk, data) % ARENA_ALIGN == 0, "chunk data must be aligned");

static void *allocate_for_protobuf(void *user, size_t bytes)
{
    return arena_alloc(user, bytes);
}

static void free_for_protobuf(void *user, void *pointer)
{
    (void)user;
    (void)pointer;
}

void arena_init(struct arena *arena, size_t chunk_bytes, size_t cap_bytes)
{
    *arena = (struct arena){
        .chunk_bytes = chunk_bytes,
        .cap_bytes = cap_bytes,
        .allocator = {.alloc = allocate_for_protobuf, .free = free_for_protobuf, .allocator_data = arena},
    };
}

static void free_chunks(struct arena_chunk *chunk)
{
    while (chunk != NULL) {
        struct arena_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
}

void arena_deinit(struct arena *arena)
{
    if (arena == NULL) {
        return;
    }
    free_chunks(arena->first);
    arena->first = NULL;
    arena->current = NULL;
    arena->total_bytes = 0;
}

/* Each new chunk doubles, so that n bytes need O(log n) of them. */
static struct arena_chunk *add_chunk(struct arena *arena, size_t need_bytes)
{
    size_t size_bytes = arena->current != NULL ? arena->current->size_bytes * 2 : arena->chunk_bytes;
    size_t left_bytes = arena->cap_bytes - arena->total_bytes;

    if (need_bytes > left_bytes || need_bytes > SIZE_MAX / 2) {
        return NULL;
    }
    if (size_bytes < need_bytes) {
        size_bytes = need_bytes;
    }
    if (size_bytes > left_bytes || size_bytes > SIZE_MAX / 2) {
        size_bytes = need_bytes;
    }
    struct arena_chunk *chunk = malloc(sizeof *chunk + size_bytes);
    if (chunk == NULL) {
        return NULL;
    }
    chunk->next = NULL;
    chunk->size_bytes = size_bytes;
    chunk->used_bytes = 0;
    if (arena->current != NULL) {
        arena->current->next = chunk;
    } else {
        arena->first = chunk;
    }
    arena->current = chunk;
    arena->total_bytes += size_bytes;
    return chunk;
}

void *arena_alloc(struct arena *arena, size_t bytes)
{
    if (bytes > SIZE_MAX - ARENA_ALIGN) {
        return NULL;
    }
    size_t rounded_bytes = (bytes + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    struct arena_chunk *chunk = arena->current;

    if (chunk == NULL || chunk->size_bytes - chunk->used_bytes < rounded_bytes) {
        chunk = add_chunk(arena, rounded_bytes);
        if (chunk == NULL) {
            return NULL;
        }
    }
    void *pointer = chunk->data + chunk->used_bytes;
    chunk->used_bytes += rounded_bytes;
    return pointer;
}

void *arena_zalloc(struct arena *arena, size_t bytes)
{
    void *pointer = arena_alloc(arena, bytes);

    if (pointer != NULL) {
        memset(pointer, 0, bytes);
    }
    return pointer;
}

void arena_reset(struct arena *arena)
{
    if (arena->first == NULL) {
        return;
    }
    free_chunks(arena->first->next);
    arena->first->next = NULL;
    arena->first->used_bytes = 0;
    arena->current = arena->first;
    arena->total_bytes = arena->first->size_bytes;
}
