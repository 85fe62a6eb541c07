/*
 * Data points as proxies sent them → points in normal form: names and labels to ids, summaries taken apart.
 * One shard's thread; nothing is allocated.
 */
#ifndef WEFT_CONTEXT_SENT_METRIC_H
#define WEFT_CONTEXT_SENT_METRIC_H

#include <stddef.h>
#include <stdint.h>

#include "context/context.h"
#include "context/metric_point.h"
#include "decode/sent_point.h"

enum { SENT_METRIC_PART_COUNT_MAX = SENT_QUANTILE_COUNT_MAX + 2 };

/* Points of one data point. */
struct sent_metric {
    struct metric_label labels[METRIC_LABEL_COUNT_MAX];          /* sorted */
    struct metric_label quantile_labels[METRIC_LABEL_COUNT_MAX]; /* with the quantile of the part asked for */
    size_t label_count;
    size_t part_count;
    struct metric_point point; /* what the parts share */
    const struct sent_point *sent;
    uint32_t part_names[3]; /* of a summary: its own, _sum, _count */
};

/* How many points a data point becomes: 1; of a summary one for each quantile, its sum and its count. */
size_t sent_metric_part_count(const struct sent_point *sent);

/*
 * Reads a data point. `time_unix_ns` stands in where it tells none. *ret_metric borrows from `sent`, and its
 * ids live as those of context_intern. 0, or WERR_FULL: no room for a new name or label; WERR_OVERSIZED: too
 * many labels.
 */
int sent_metric_read(struct context *context, const struct sent_point *sent, uint32_t sender,
    uint64_t time_unix_ns, struct sent_metric *ret_metric);

/*
 * Part i. Of a summary NAME they are called as Prometheus calls its summary's samples: gauges
 * NAME{quantile="…"}, counters NAME_sum and NAME_count. Borrows from the metric until the next call. 0 or
 * WERR_FULL, WERR_OVERSIZED.
 */
int sent_metric_part(
    struct context *context, struct sent_metric *metric, size_t i, struct metric_point *ret_point);

#endif
