/*
 * How many traces' spans are joined: all of them up to a rate, half of the traces past it, a quarter past
 * twice the rate, and so on, so that joining costs a busy node no more than a quiet one. The same traces are
 * left out on every shard, whole: by a hash of the trace id, so that it decides apart from samplers that look
 * at some of its bits.
 *
 *   shards: thinning_keeps ─► timings ─► joining thread: thinning_count, thinning_tick ─► bits ─► shards
 *
 * One for a process. Counted and decided by the joining thread; any thread may ask thinning_keeps.
 */
#ifndef WEFT_TRACE_THINNING_H
#define WEFT_TRACE_THINNING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { THINNING_BITS_MAX = 16 };

struct thinning {
    _Atomic uint32_t mask; /* of 16 bits of the hash; 0: every trace is joined */
    uint32_t bits;
    uint64_t rate_max; /* spans a second */
    uint64_t since_ns; /* of the second that is being counted; 0: none yet */
    uint64_t count;    /* in it */
};

void thinning_init(struct thinning *thinning, uint64_t rate_max);

/* So many spans came to be joined. */
void thinning_count(struct thinning *thinning, uint64_t count);

/* Decides anew: at once when more came than a second may bring, else once a second. At least every second. */
void thinning_tick(struct thinning *thinning, uint64_t now_ns);

/* Whether the spans of a trace (16 bytes) are joined now. */
static inline bool thinning_keeps(const struct thinning *thinning, const uint8_t *trace_id)
{
    uint64_t first;
    uint64_t last;

    memcpy(&first, trace_id, sizeof first);
    memcpy(&last, trace_id + sizeof first, sizeof last);
    uint64_t hash = (first * 0x9fb21c651e98df25ull + last * 0xd6e8feb86659fd93ull) >> 48;
    return (hash & atomic_load_explicit(&thinning->mask, memory_order_relaxed)) == 0;
}

#endif
