/* Waits between attempts; runs on the exporter's thread. */
#include "exporters/otlp/backoff.h"

enum { DOUBLINGS_MAX = 30 };

/* splitmix64, from Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators (2014). */
static uint64_t next_random(struct backoff *backoff)
{
    uint64_t z = backoff->random += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void backoff_reset(struct backoff *backoff)
{
    backoff->failure_count = 0;
}

uint64_t backoff_next_ms(struct backoff *backoff, uint64_t retry_after_ms)
{
    uint32_t doublings = backoff->failure_count < DOUBLINGS_MAX ? backoff->failure_count : DOUBLINGS_MAX;
    uint64_t delay_ms = backoff->initial_ms;

    for (uint32_t i = 0; i < doublings && delay_ms < backoff->max_ms; i++) {
        delay_ms *= 2;
    }
    delay_ms = delay_ms < backoff->max_ms ? delay_ms : backoff->max_ms;
    backoff->failure_count++;
    if (retry_after_ms > 0) {
        uint64_t bounded_ms =
            retry_after_ms < backoff->retry_after_max_ms ? retry_after_ms : backoff->retry_after_max_ms;
        return bounded_ms + next_random(backoff) % (bounded_ms / 10 + 1);
    }
    return delay_ms - next_random(backoff) % (delay_ms / 2 + 1);
}
