/*
 * An OTLP request that is too large for a destination, taken apart into several: each a whole request with
 * the envelopes (resource, scope, metric) of what is in it. Pure; allocates the pieces.
 *
 *   request ─► resource ─► scope ─► span | log record
 *                                └► metric ─► gauge, sum, histogram … ─► data point
 */
#ifndef WEFT_EXPORTERS_OTLP_SPLIT_H
#define WEFT_EXPORTERS_OTLP_SPLIT_H

#include "core/buffer.h"
#include "exporters/otlp/otlp_exporter.h"

/* Of one request. A zero in bytes_max: no limits at all; in item_bytes_max: bytes_max alone. */
struct split_limits {
    size_t bytes_max; /* before compression */
    uint64_t count_max;
    size_t item_bytes_max; /* of one span, log record or point */
};

/* A piece; the buffer's memory may be taken. What stays in it is freed. */
typedef void (*split_sink)(void *user, struct buffer *piece, uint64_t item_count);

/*
 * Whether a request of that size can break a limit; cheap, and true more often than needed.
 */
static inline bool split_is_needed(const struct split_limits *limits, size_t bytes, uint64_t item_count)
{
    return limits->bytes_max > 0 && (bytes > limits->bytes_max || item_count > limits->count_max ||
                                        (limits->item_bytes_max > 0 && bytes > limits->item_bytes_max));
}

/*
 * Gives every item of `message` to the sink, in pieces within the limits; items that fit no piece are counted
 * in *ret_oversized_count, which is written in any case. 0; WERR_TRUNCATED, WERR_INVALID (no such request) or
 * WERR_NOMEM: what the pieces so far do not hold is lost.
 */
int split_request(enum otlp_signal signal, struct slice message, const struct split_limits *limits,
    split_sink sink, void *user, uint64_t *ret_oversized_count);

#endif
