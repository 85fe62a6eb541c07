/*
 * Time as a parameter. Everything that asks for the time is given a clock, so that a test can run a day in a
 * second. Monotonic and wall-clock time never share a name: `monotonic_ns` counts from an arbitrary start,
 * `unix_ns` since 1970.
 */
#ifndef WEFT_CORE_CLOCK_H
#define WEFT_CORE_CLOCK_H

#include <stdint.h>

struct clock {
    uint64_t (*monotonic_ns)(const struct clock *clock);
    uint64_t (*unix_ns)(const struct clock *clock);
};

/* The machine's clock; static, never freed. */
const struct clock *clock_system(void);

/*
 * The same time, as the kernel last noted it: at most a tick (1 to 10 ms) behind, for a quarter of the cost.
 * A clock that is not the system's is its own.
 */
const struct clock *clock_coarse(const struct clock *clock);

/* A clock that moves only when told. Not for two threads at once. */
struct clock_manual {
    struct clock clock; /* first member */
    uint64_t now_monotonic_ns;
    uint64_t now_unix_ns;
};

void clock_manual_init(struct clock_manual *manual, uint64_t monotonic_ns, uint64_t unix_ns);
void clock_manual_advance(struct clock_manual *manual, uint64_t by_ns);

static inline uint64_t clock_monotonic_ns(const struct clock *clock)
{
    return clock->monotonic_ns(clock);
}

static inline uint64_t clock_unix_ns(const struct clock *clock)
{
    return clock->unix_ns(clock);
}

#endif
