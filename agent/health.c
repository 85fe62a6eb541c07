/* Who watches the loops; see health.h. */
#include "health.h"

void health_watch(struct health *health, const char *name, const _Atomic uint64_t *ticks)
{
    if (health->loop_count == HEALTH_LOOP_COUNT_MAX) {
        return;
    }
    health->ticks[health->loop_count] = ticks;
    health->names[health->loop_count] = name;
    health->loop_count++;
}

void health_check(struct health *health, uint64_t monotonic_ns)
{
    int stalled = 0;

    for (size_t i = 0; i < health->loop_count; i++) {
        uint64_t ticks = atomic_load_explicit(health->ticks[i], memory_order_relaxed);
        if (ticks != health->seen_ticks[i] || health->seen_ns[i] == 0) {
            health->seen_ticks[i] = ticks;
            health->seen_ns[i] = monotonic_ns;
        } else if (monotonic_ns - health->seen_ns[i] > HEALTH_STALL_MS * 1000000ull) {
            stalled = (int)i + 1;
        }
    }
    atomic_store(&health->stalled, stalled);
}

const char *health_stalled(const struct health *health)
{
    int stalled = atomic_load(&health->stalled);

    return stalled > 0 ? health->names[stalled - 1] : NULL;
}
