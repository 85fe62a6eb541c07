/*
 * A bump allocator for memory with one lifetime: taken piece by piece, given back all at once.
 *
 *   chunk ──► chunk ──► chunk        reset keeps the first chunk, so a steady state allocates nothing
 *   [used|free] ...
 *
 * Capped: past `cap_bytes` an allocation fails with NULL. Not for two threads at once.
 */
#ifndef WEFT_CORE_ARENA_H
#define WEFT_CORE_ARENA_H

#include <stddef.h>
#include <protobuf-c/protobuf-c.h>

struct arena_chunk;

struct arena {
    struct arena_chunk *first;
    struct arena_chunk *current;
    size_t chunk_bytes;
    size_t cap_bytes;
    size_t total_bytes;           /* of all chunks, at most cap_bytes */
    ProtobufCAllocator allocator; /* hands out of this arena; its free does nothing */
};

/* Allocates nothing yet. chunk_bytes: size of the first chunk; cap_bytes: limit for all chunks together. */
void arena_init(struct arena *arena, size_t chunk_bytes, size_t cap_bytes);

/* Frees every chunk. NULL and a zeroed arena are fine. */
void arena_deinit(struct arena *arena);

/* 16-byte aligned, uninitialised; NULL past the cap or when the machine is out of memory. Owned by the arena.
 */
void *arena_alloc(struct arena *arena, size_t bytes);

/* As arena_alloc, zeroed. */
void *arena_zalloc(struct arena *arena, size_t bytes);

/* Forgets all that was handed out; keeps the first chunk. */
void arena_reset(struct arena *arena);

#endif
