/*
 * The queue of one export destination: items wait here from their hand-over until the destination has
 * answered. An interface, so that a durable queue can stand where the one in memory (queue_memory.c) stands.
 *
 *   push ─► [held | held | waiting | waiting | …] per signal, in order        peek ─► hold ─► request ─► pop
 *                            └── a full queue drops the oldest that waits, of whatever signal
 *
 * Held items are under way to the destination: what happens to them is not known yet, so they are never
 * dropped.
 *
 * Threads: a queue belongs to one, the exporter's.
 */
#ifndef WEFT_EXPORTERS_QUEUE_H
#define WEFT_EXPORTERS_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#include "core/buffer.h"

enum {
    QUEUE_SIGNALS_COUNT_MAX = 4,
    QUEUE_ITEMS_COUNT_MAX = 131072, /* of all signals; past it the oldest is dropped, as for bytes */
};

struct queue_item {
    struct shared_bytes *bytes;
    uint64_t item_count; /* spans or data points in it */
    uint32_t signal;     /* below QUEUE_SIGNALS_COUNT_MAX */
};

/* What waits, held items included. */
struct queue_totals {
    uint64_t bytes;
    uint64_t item_count;  /* spans or data points */
    uint64_t entry_count; /* pushes */
};

struct queue;

struct queue_type {
    const char *name; /* "memory" */

    /*
     * Appends an item, taking a reference of its own to the bytes. When it does not fit, the oldest items
     * that are not held make room, each told to `dropped` before it goes; an item that cannot fit even so is
     * itself the dropped one. 0 (dropped or not), or WERR_NOMEM, WERR_INVALID (signal): then it is not in the
     * queue and `dropped` was not told of it.
     */
    int (*push)(struct queue *queue, const struct queue_item *item);

    /* The oldest items of a signal, held ones first; returns how many. Borrowed until pop, or push when not
     * held. */
    size_t (*peek)(
        const struct queue *queue, uint32_t signal, struct queue_item *ret_items, size_t items_max);

    /* From now on exactly the oldest `count` items of the signal (at most all) are held; 0 lets go. */
    void (*hold)(struct queue *queue, uint32_t signal, size_t count);

    /* Removes the oldest `count` items of the signal (at most all), held or not. */
    void (*pop)(struct queue *queue, uint32_t signal, size_t count);

    struct queue_totals (*totals)(const struct queue *queue, uint32_t signal);

    void (*free)(struct queue *queue);
};

/* The instance's head; types put it first in their own struct. */
struct queue {
    const struct queue_type *type;
    void (*dropped)(void *user, const struct queue_item *item);
    void *user;
};

/* A queue in memory of at most bytes_max bytes. NULL when out of memory. */
struct queue *queue_memory_new(
    uint64_t bytes_max, void (*dropped)(void *user, const struct queue_item *item), void *user);

static inline int queue_push(struct queue *queue, const struct queue_item *item)
{
    return queue->type->push(queue, item);
}

static inline size_t queue_peek(
    const struct queue *queue, uint32_t signal, struct queue_item *ret_items, size_t items_max)
{
    return queue->type->peek(queue, signal, ret_items, items_max);
}

static inline void queue_hold(struct queue *queue, uint32_t signal, size_t count)
{
    queue->type->hold(queue, signal, count);
}

static inline void queue_pop(struct queue *queue, uint32_t signal, size_t count)
{
    queue->type->pop(queue, signal, count);
}

static inline struct queue_totals queue_totals(const struct queue *queue, uint32_t signal)
{
    return queue->type->totals(queue, signal);
}

/* Gives back what is left without telling `dropped`. NULL is fine. */
static inline void queue_free(struct queue *queue)
{
    if (queue != NULL) {
        queue->type->free(queue);
    }
}

#endif
