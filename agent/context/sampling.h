/*
 * How many requests a sampled record stands for: OpenTelemetry's consistent probability sampling, where a
 * record is kept when its 56-bit random value is not below a threshold T, so that it stands for 2^56 / (2^56
 * - T); and what a W3C tracestate says of both. Pure; any thread.
 */
#ifndef WEFT_CONTEXT_SAMPLING_H
#define WEFT_CONTEXT_SAMPLING_H

#include <stdbool.h>
#include <stdint.h>

#include "context/request.h"
#include "core/slice.h"

enum { SAMPLING_THRESHOLD_BITS = 56, SAMPLING_THRESHOLD_DIGITS = 14 };
#define SAMPLING_THRESHOLD_END (1ull << SAMPLING_THRESHOLD_BITS)

/*
 * The threshold in a W3C tracestate: member `ot`, sub-key `th`, 1 to 14 lower-case hex digits with trailing
 * zeros left out
 * ("ot=th:c" is 3/4). False, nothing written, when there is none or it is not well formed.
 */
bool sampling_threshold_of(struct slice tracestate, uint64_t *ret_threshold);

/*
 * The random value that a tracestate gives in place of the trace id's last 56 bits: member `ot`, sub-key
 * `rv`, exactly 14 lower-case hex digits. False, nothing written, when there is none or it is not well
 * formed.
 */
bool sampling_random_of(struct slice tracestate, uint64_t *ret_random);

/* The next piece of a tracestate (separator ',') or of a member (';'), spaces around it left out, taken off
 * the front of *rest. False at the end. */
bool tracestate_next(struct slice *rest, uint8_t separator, struct slice *ret_piece);

/* The value of the first member of that key, spaces around it left out; borrowed. False when there is none.
 */
bool tracestate_member(struct slice tracestate, struct slice key, struct slice *ret_value);

/*
 * The weight in 32.32 fixed point, rounded down, at most weight_max (whole requests, up to 2^20).
 * *ret_capped: it would have been more. A threshold of SAMPLING_THRESHOLD_END or more is no threshold:
 * WEIGHT_ONE.
 */
uint64_t sampling_weight(uint64_t threshold, uint64_t weight_max, bool *ret_capped);

#endif
