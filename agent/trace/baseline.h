/*
 * A share of all traces that is kept whatever happened in them: OpenTelemetry's consistent probability
 * sampling, as a downstream, equalizing sampler. A trace is kept when its 56-bit random value R (tracestate
 * `ot=rv:…`, else the trace id's last 56 bits) is not below the threshold, so that every node with the same
 * probability decides alike, without a word between them. Pure; any thread.
 *
 * Source: OpenTelemetry specification, "TraceState: Probability Sampling" and "TraceState Handling".
 */
#ifndef WEFT_TRACE_BASELINE_H
#define WEFT_TRACE_BASELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "context/sampling.h"
#include "core/slice.h"

enum {
    BASELINE_PRECISION_DIGITS = 4,       /* of the threshold, after the leading f: what SDKs use */
    BASELINE_TRACESTATE_BYTES_MAX = 512, /* W3C: what has to be passed on at least */
    BASELINE_MEMBER_BYTES_MAX = 256,     /* W3C: of a member's value */
};

/* Parts of a probability: 10^9 is 1. */
#define BASELINE_PARTS_ONE 1000000000u

/*
 * The threshold of a probability, rounded to BASELINE_PRECISION_DIGITS: 0 for 1 and above,
 * SAMPLING_THRESHOLD_END, which keeps nothing, for 0.
 */
uint64_t baseline_threshold(uint64_t probability_parts);

/* The random value of a trace. */
uint64_t baseline_random(const uint8_t trace_id[16], struct slice tracestate);

/*
 * Whether a span's trace is of the share. One that was sampled before with a threshold above ours always is,
 * as its random value is not below its own.
 */
static inline bool baseline_keeps(uint64_t threshold, const uint8_t trace_id[16], struct slice tracestate)
{
    return threshold < SAMPLING_THRESHOLD_END && baseline_random(trace_id, tracestate) >= threshold;
}

/*
 * The tracestate with which a span of a kept trace leaves. Of the share: `ot=th` says the greater of its own
 * threshold and ours, so that its weight is right. Not of the share, kept for what happened in it: how
 * probable that was is not known, and `th` is taken out, as the specification asks; likewise where `th`
 * contradicts the random value. All else stays; `ot` comes first where it changed.
 *
 * Writes to `out` and returns its length, 0 when nothing is left. -1, with `out` undefined: the span leaves
 * with its own, which is right as it is, or what is right cannot be said within W3C's limits.
 */
int baseline_tracestate(uint64_t threshold, const uint8_t trace_id[16], struct slice tracestate,
    char out[BASELINE_TRACESTATE_BYTES_MAX]);

/* The same for a record whose own threshold is a number, 0: all of its kind are told. 0: none is to be told.
 */
uint64_t baseline_outgoing(uint64_t threshold, const uint8_t trace_id[16], uint64_t own);

#endif
