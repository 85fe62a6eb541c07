/*
 * statsd lines to metric points: names and tags to ids of the shard's interner, values to what they stand
 * for. One shard's thread; nothing allocates after statsd_points_new.
 *
 * A counter's line tells what it rose by, a gauge's with a sign what it changed by. A timer (ms) and a
 * distribution (h, d) become a histogram of scale 5, the agent's lattice, one bucket a value; never a
 * summary, whose quantiles could not be merged.
 *
 * Timers are shown in seconds, Prometheus' base unit: values are divided by 1,000, an ending `_ms` goes from
 * the name and `_seconds` comes in its place. statsd has one word for all distributions, and Envoy writes
 * `ms` behind counts, sizes and microseconds, too; what the name's ending says goes before the type:
 *
 *   _us, _microseconds                                            microseconds
 *   _per_cx, _per_socket_event, _size, _bytes, _count, _percent   as they are, without a unit
 *
 * Tags become labels (one without a value: "true"; of two with one key the first). The container that a
 * sender claims to be in becomes the label `claimed_container` where the kernel tells no better; one that
 * contradicts what the kernel tells is counted (IDENTITY_CONFLICTS) and not shown.
 */
#ifndef WEFT_CONTEXT_STATSD_POINTS_H
#define WEFT_CONTEXT_STATSD_POINTS_H

#include "context/context.h"
#include "context/metric_point.h"
#include "decode/statsd.h"

enum {
    STATSD_SCALE = 5,         /* of histograms */
    STATSD_MEMO_COUNT = 4096, /* names with their tags that were seen lately; a power of two */
    STATSD_KEY_BYTES_MAX =
        232, /* of name, tags and container that are remembered; longer ones are read anew */
};

struct statsd_points;

/* The context is borrowed and outlives it. NULL when out of memory. */
struct statsd_points *statsd_points_new(struct context *context);
void statsd_points_free(struct statsd_points *points);

/*
 * Before a line's values: what its points share. After context_batch_begin for that sender. 0, or why the
 * line is dropped: WERR_OVERSIZED (more than METRIC_LABEL_COUNT_MAX tags), WERR_FULL (no room for its
 * strings), WERR_INVALID (a time further than limits.time_skew_s from now).
 */
int statsd_points_begin(struct statsd_points *points, const struct statsd_line *line,
    const struct sender *sender, uint64_t now_unix_ns);

/* The point of one value of that line; it borrows from `points` until the next call. */
void statsd_points_next(
    struct statsd_points *points, struct statsd_value value, struct metric_point *ret_point);

#endif
