/*
 * Data points of OTLP metrics from the series of a snapshot: values, temporality, exemplars, attributes.
 * Everything is made in an arena and lives until its reset.
 */
#ifndef WEFT_EXPORTERS_OTLP_POINTS_H
#define WEFT_EXPORTERS_OTLP_POINTS_H

#include <stdbool.h>

#include "core/arena.h"
#include "exporters/otlp/series_memory.h"
#include "opentelemetry/metrics.pb-c.h"
#include "weft/snapshot.h"

struct point_context {
    struct arena *arena;
    struct series_memory *memory; /* NULL: cumulative */
    uint64_t time_unix_ns;
    uint64_t start_unix_ns; /* of the agent, for series that do not know when they began */
    int32_t scale_max;      /* of exponential histograms */
    size_t buckets_max;     /* 0: any number */
    bool exemplars;
    bool exponential; /* preferred to explicit bounds */
};

/* What of the last point there is, in delta temporality; all zero otherwise. */
struct point_base {
    uint64_t start_unix_ns;
    uint64_t exemplars_after_unix_ns;
    const struct series_last *last; /* NULL: counts from zero */
};

/* Each: 0 with *ret_point, or WERR_NOMEM. Counters, gauges and info. */
int point_number(struct point_context *context, const struct snapshot_family *family,
    const struct snapshot_series *series, const struct point_base *base, Otlp__NumberDataPoint **ret_point);
int point_exponential(struct point_context *context, const struct snapshot_series *series,
    const struct point_base *base, Otlp__ExponentialHistogramDataPoint **ret_point);
int point_explicit(struct point_context *context, const struct snapshot_series *series,
    const struct point_base *base, Otlp__HistogramDataPoint **ret_point);

/* Whether the histogram is to leave with exponential buckets: when wanted, or when it has no bounds. */
bool point_is_exponential(const struct point_context *context, const struct snapshot_histogram *histogram);

/* key="value" pairs as attributes, copied. 0 or WERR_NOMEM. */
int point_attributes(
    struct arena *arena, const struct snapshot_label *labels, size_t count, Otlp__KeyValue ***ret_attributes);

/* A copy in the arena, or NULL. */
char *point_text(struct arena *arena, const char *text);

#endif
