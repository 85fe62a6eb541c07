/*
 * A thread's buffer of spans: one writer (the thread), one reader (the sender), no lock.
 *
 *   spans[tail & mask] … spans[(head - 1) & mask] are waiting; head and tail only grow
 *
 * Two owners, the thread and the client: the last to let go frees it.
 */
#ifndef WEFT_CLIENT_RING_H
#define WEFT_CLIENT_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "weft/weft.h"

struct ring {
    /* the writer's */
    _Alignas(64) _Atomic uint64_t head;
    uint64_t known_tail;
    _Atomic uint64_t dropped;
    uint64_t mask;
    struct weft_span *spans;
    /* the reader's */
    _Alignas(64) _Atomic uint64_t tail;
    uint64_t flush_head; /* where a flush must get to */
    struct ring *next;
    /* both */
    _Atomic bool abandoned; /* the thread has ended: nothing more comes */
    _Atomic int references;
};

enum { RING_SPANS_COUNT_MIN = 64, RING_SPANS_COUNT_MAX = 1 << 20 };

/* With two references; NULL when out of memory. spans_count is rounded up to a power of two within the bounds
 * above. */
struct ring *ring_new(uint32_t spans_count);
void ring_unref(struct ring *ring); /* NULL is fine */

/* By the writer. False: full, and counted as dropped. */
static inline bool ring_push(struct ring *ring, const struct weft_span *span)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);

    if (head - ring->known_tail > ring->mask) {
        ring->known_tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
        if (head - ring->known_tail > ring->mask) {
            uint64_t dropped = atomic_load_explicit(&ring->dropped, memory_order_relaxed);
            atomic_store_explicit(&ring->dropped, dropped + 1, memory_order_relaxed);
            return false;
        }
    }
    ring->spans[head & ring->mask] = *span;
    atomic_store_explicit(&ring->head, head + 1, memory_order_release);
    return true;
}

/* By the reader: how many are waiting, and the first of them. */
static inline uint64_t ring_waiting(const struct ring *ring)
{
    return atomic_load_explicit(&ring->head, memory_order_acquire) -
           atomic_load_explicit(&ring->tail, memory_order_relaxed);
}

static inline const struct weft_span *ring_first(const struct ring *ring)
{
    return &ring->spans[atomic_load_explicit(&ring->tail, memory_order_relaxed) & ring->mask];
}

static inline void ring_pop(struct ring *ring)
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
}

#endif
