/*
 * Memory of the gRPC server: assembly buffers with their reservation, what waiting streams hold, and the
 * scratch memory that compressed messages are inflated into. Runs on the shard's thread; the budgets are
 * shared by all shards.
 */
#include "listen/grpc_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"

enum { POOL_CLASS_BYTES_MIN = 16384, HELD_BYTES_MIN = 16384 };

struct grpc_buffer {
    struct grpc_buffer *next;
};

void grpc_queue_append(struct grpc_queue *queue, struct grpc_stream *stream)
{
    stream->queue = queue;
    stream->queue_next = NULL;
    stream->queue_previous = queue->last;
    if (queue->last != NULL) {
        queue->last->queue_next = stream;
    } else {
        queue->first = stream;
    }
    queue->last = stream;
    queue->count++;
}

void grpc_queue_remove(struct grpc_stream *stream)
{
    struct grpc_queue *queue = stream->queue;

    if (queue == NULL) {
        return;
    }
    if (stream->queue_previous != NULL) {
        stream->queue_previous->queue_next = stream->queue_next;
    } else {
        queue->first = stream->queue_next;
    }
    if (stream->queue_next != NULL) {
        stream->queue_next->queue_previous = stream->queue_previous;
    } else {
        queue->last = stream->queue_previous;
    }
    queue->count--;
    stream->queue = NULL;
}

void grpc_release(struct grpc_server *server, uint64_t bytes)
{
    budget_release(server->config.assembly, bytes);
    server->released = true;
}

/* GRPC_POOL_CLASS_COUNT for sizes that are not pooled. */
static size_t pool_class(size_t bytes, size_t *ret_class_bytes)
{
    size_t class_bytes = POOL_CLASS_BYTES_MIN;
    size_t index = 0;

    while (class_bytes < bytes && index < GRPC_POOL_CLASS_COUNT) {
        class_bytes *= 2;
        index++;
    }
    *ret_class_bytes = index < GRPC_POOL_CLASS_COUNT ? class_bytes : bytes;
    return index;
}

uint8_t *grpc_pool_take(struct grpc_server *server, size_t bytes)
{
    size_t class_bytes;
    size_t index = pool_class(bytes, &class_bytes);

    if (index < GRPC_POOL_CLASS_COUNT && server->pool[index] != NULL) {
        struct grpc_buffer *buffer = server->pool[index];
        server->pool[index] = buffer->next;
        server->pool_bytes -= class_bytes;
        return (uint8_t *)buffer;
    }
    return malloc(class_bytes);
}

void grpc_pool_give_back(struct grpc_server *server, uint8_t *memory, size_t bytes)
{
    size_t class_bytes;
    size_t index = pool_class(bytes, &class_bytes);

    if (index == GRPC_POOL_CLASS_COUNT || server->pool_bytes + class_bytes > GRPC_POOL_BYTES_MAX) {
        free(memory);
        return;
    }
    struct grpc_buffer *buffer = (struct grpc_buffer *)(void *)memory;
    buffer->next = server->pool[index];
    server->pool[index] = buffer;
    server->pool_bytes += class_bytes;
}

void grpc_pool_deinit(struct grpc_server *server)
{
    for (size_t i = 0; i < GRPC_POOL_CLASS_COUNT; i++) {
        while (server->pool[i] != NULL) {
            struct grpc_buffer *next = server->pool[i]->next;
            free(server->pool[i]);
            server->pool[i] = next;
        }
    }
    server->pool_bytes = 0;
}

bool grpc_hold(struct grpc_stream *stream, struct slice data)
{
    size_t capacity_bytes = stream->held_capacity_bytes > 0 ? stream->held_capacity_bytes : HELD_BYTES_MIN;

    while (capacity_bytes < stream->held_bytes + data.length) {
        capacity_bytes *= 2; /* ends: a stream's window bounds what it can deliver */
    }
    size_t more_bytes = capacity_bytes - stream->held_capacity_bytes;
    if (more_bytes > 0) {
        struct budget *waiting = stream->connection->server->config.waiting;
        if (!budget_reserve(waiting, more_bytes)) {
            return false;
        }
        uint8_t *held = realloc(stream->held, capacity_bytes);
        if (held == NULL) {
            budget_release(waiting, more_bytes);
            return false;
        }
        stream->held = held;
        stream->held_capacity_bytes = capacity_bytes;
    }
    if (data.length > 0) {
        memcpy(stream->held + stream->held_bytes, data.ptr, data.length);
        stream->held_bytes += data.length;
    }
    return true;
}

void grpc_unhold(struct grpc_stream *stream, size_t bytes)
{
    stream->held_bytes -= bytes;
    if (stream->held_bytes > 0) {
        memmove(stream->held, stream->held + bytes, stream->held_bytes);
        return;
    }
    if (stream->held_capacity_bytes > 0) {
        budget_release(stream->connection->server->config.waiting, stream->held_capacity_bytes);
    }
    free(stream->held);
    stream->held = NULL;
    stream->held_capacity_bytes = 0;
}

/* Doubles the scratch memory, all of the growth reserved. */
static int scratch_grow(struct grpc_server *server)
{
    assert(server->scratch_bytes >= GRPC_SCRATCH_BYTES);
    if (!budget_reserve(server->config.assembly, server->scratch_bytes)) {
        return WERR_AGAIN;
    }
    uint8_t *scratch = realloc(server->scratch, server->scratch_bytes * 2);
    if (scratch == NULL) {
        grpc_release(server, server->scratch_bytes);
        return WERR_AGAIN;
    }
    server->scratch = scratch;
    server->scratch_bytes *= 2;
    return 0;
}

void grpc_scratch_shrink(struct grpc_server *server)
{
    if (server->scratch_bytes <= GRPC_SCRATCH_BYTES) {
        return;
    }
    grpc_release(server, server->scratch_bytes - GRPC_SCRATCH_BYTES);
    server->scratch_bytes = GRPC_SCRATCH_BYTES;
    uint8_t *scratch = realloc(server->scratch, GRPC_SCRATCH_BYTES);
    if (scratch != NULL) {
        server->scratch = scratch;
    }
}

/* 0, WERR_AGAIN (no memory now), WERR_COMPRESSION, WERR_OVERSIZED, WERR_NOMEM. */
int grpc_inflate(struct grpc_stream *stream, struct slice message, struct slice *ret_plain)
{
    struct grpc_server *server = stream->connection->server;
    enum inflate_format format = stream->encoding == GRPC_ENCODING_ZSTD ? INFLATE_ZSTD : INFLATE_GZIP;
    uint64_t bytes_max = server->config.limits->message_bytes_max;
    int error = inflater_start(&server->inflater, format, bytes_max);
    size_t filled = 0;

    while (error == 0) {
        uint8_t probe; /* at the cap nothing more may come, so nothing is written */
        bool at_cap = filled >= bytes_max;
        if (filled == server->scratch_bytes && !at_cap) {
            error = scratch_grow(server);
            continue;
        }
        size_t room = at_cap ? 1 : server->scratch_bytes - filled;
        long written =
            inflater_step(&server->inflater, &message, at_cap ? &probe : server->scratch + filled, room);
        if (written < 0) {
            return (int)written;
        }
        filled += (size_t)written;
        if ((size_t)written < room) {
            *ret_plain = slice_of(server->scratch, filled);
            return inflater_finish(&server->inflater);
        }
    }
    return error;
}
