/*
 * Exemplars of a histogram, dealt to its classic buckets: at most one a bucket, and only one whose value lies
 * in it, as OpenMetrics demands, whatever the snapshot holds. Any thread.
 */
#ifndef WEFT_EXPORTERS_PROMETHEUS_EXEMPLAR_WALK_H
#define WEFT_EXPORTERS_PROMETHEUS_EXEMPLAR_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "weft/snapshot.h"

enum { EXEMPLAR_TRACE_HEX_BYTES = 32 }; /* the longer of the two ids */

struct exemplar_walk {
    const struct snapshot_exemplar *exemplars;
    size_t left_count;
};

static inline struct exemplar_walk exemplar_walk_of(const struct snapshot_histogram *histogram)
{
    return (struct exemplar_walk){.exemplars = histogram->exemplars, .left_count = histogram->exemplar_count};
}

/* The first one of the bucket that ends at `bound`, or NULL. Buckets are asked for in ascending order, each
 * once. */
static inline const struct snapshot_exemplar *exemplar_walk_next(struct exemplar_walk *walk, double bound)
{
    const struct snapshot_exemplar *found = NULL;

    while (walk->left_count > 0 && walk->exemplars->value <= bound) {
        found = found != NULL ? found : walk->exemplars;
        walk->exemplars++;
        walk->left_count--;
    }
    return found;
}

/* Lower-case hex of an id at `to`, which has room; returns its length. */
static inline size_t exemplar_hex(char *to, const uint8_t *id, size_t length)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < length; i++) {
        to[2 * i] = digits[id[i] >> 4];
        to[2 * i + 1] = digits[id[i] & 15];
    }
    return 2 * length;
}

/* False when the span is not told: its id is all zero. */
static inline bool exemplar_has_span(const struct snapshot_exemplar *exemplar)
{
    static const uint8_t none[sizeof exemplar->span_id];

    return memcmp(exemplar->span_id, none, sizeof none) != 0;
}

#endif
