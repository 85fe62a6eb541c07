/*
 * How long to wait before the next attempt: exponential with jitter, or what the destination asked for. Pure,
 * so that tests need no clock. Belongs to one thread.
 */
#ifndef WEFT_EXPORTERS_OTLP_BACKOFF_H
#define WEFT_EXPORTERS_OTLP_BACKOFF_H

#include <stdint.h>

struct backoff {
    uint64_t initial_ms;
    uint64_t max_ms;
    uint64_t retry_after_max_ms;
    uint64_t random;        /* state of a splitmix64 generator */
    uint32_t failure_count; /* in a row */
};

/* After a success. */
void backoff_reset(struct backoff *backoff);

/*
 * Counts a failure and returns the wait in milliseconds: after the nth one a random value in [d/2, d] with
 * d = min(initial · 2^(n−1), max). A wait that the destination asked for (retry_after_ms above 0) takes its
 * place, bounded, with up to a tenth more so that clients do not return all at once.
 */
uint64_t backoff_next_ms(struct backoff *backoff, uint64_t retry_after_ms);

#endif
