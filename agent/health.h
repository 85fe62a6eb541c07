/*
 * What /healthz and /readyz answer from. Liveness is that every loop ticked lately, never the state of a
 * back-end; readiness is that the sockets are bound and the agent is not draining.
 */
#ifndef WEFT_AGENT_HEALTH_H
#define WEFT_AGENT_HEALTH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HEALTH_LOOP_COUNT_MAX = 80, HEALTH_STALL_MS = 10000 };

struct health {
    const _Atomic uint64_t *ticks[HEALTH_LOOP_COUNT_MAX]; /* one counter a loop */
    const char *names[HEALTH_LOOP_COUNT_MAX];
    uint64_t seen_ticks[HEALTH_LOOP_COUNT_MAX]; /* of the last check, by main */
    uint64_t seen_ns[HEALTH_LOOP_COUNT_MAX];    /* when that last moved */
    size_t loop_count;
    _Atomic int stalled; /* index + 1 of a loop that does not tick; 0: all do */
    _Atomic bool bound;
    _Atomic bool draining;
};

/* At start, before any thread reads it. Ignored past HEALTH_LOOP_COUNT_MAX. `name` is borrowed. */
void health_watch(struct health *health, const char *name, const _Atomic uint64_t *ticks);

/* By main's timer: compares the counters with those of before. */
void health_check(struct health *health, uint64_t monotonic_ns);

/* The name of a loop that stalled, or NULL. From any thread. */
const char *health_stalled(const struct health *health);

static inline bool health_ready(const struct health *health)
{
    return atomic_load(&health->bound) && !atomic_load(&health->draining);
}

#endif
