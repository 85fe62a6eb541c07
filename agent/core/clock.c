/* The system's clock and the manual clock of tests. No state of its own. */
#include "core/clock.h"

#include <time.h>

static uint64_t read_clock_ns(clockid_t id)
{
    struct timespec now = {0};

    (void)clock_gettime(id, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t system_monotonic_ns(const struct clock *clock)
{
    (void)clock;
    return read_clock_ns(CLOCK_MONOTONIC);
}

static uint64_t system_unix_ns(const struct clock *clock)
{
    (void)clock;
    return read_clock_ns(CLOCK_REALTIME);
}

static const struct clock system_clock = {
    .monotonic_ns = system_monotonic_ns,
    .unix_ns = system_unix_ns,
};

const struct clock *clock_system(void)
{
    return &system_clock;
}

static uint64_t coarse_monotonic_ns(const struct clock *clock)
{
    (void)clock;
    return read_clock_ns(CLOCK_MONOTONIC_COARSE);
}

static uint64_t coarse_unix_ns(const struct clock *clock)
{
    (void)clock;
    return read_clock_ns(CLOCK_REALTIME_COARSE);
}

static const struct clock coarse_clock = {
    .monotonic_ns = coarse_monotonic_ns,
    .unix_ns = coarse_unix_ns,
};

const struct clock *clock_coarse(const struct clock *clock)
{
    return clock == &system_clock ? &coarse_clock : clock;
}

static uint64_t manual_monotonic_ns(const struct clock *clock)
{
    return ((const struct clock_manual *)clock)->now_monotonic_ns;
}

static uint64_t manual_unix_ns(const struct clock *clock)
{
    return ((const struct clock_manual *)clock)->now_unix_ns;
}

void clock_manual_init(struct clock_manual *manual, uint64_t monotonic_ns, uint64_t unix_ns)
{
    *manual = (struct clock_manual){
        .clock = {.monotonic_ns = manual_monotonic_ns, .unix_ns = manual_unix_ns},
        .now_monotonic_ns = monotonic_ns,
        .now_unix_ns = unix_ns,
    };
}

void clock_manual_advance(struct clock_manual *manual, uint64_t by_ns)
{
    manual->now_monotonic_ns += by_ns;
    manual->now_unix_ns += by_ns;
}
