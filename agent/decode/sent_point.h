/*
 * The seam between formats of metrics and context/: one data point as its sender put it, whatever format it
 * came in. Slices and arrays are borrowed: from the message, or from the scratch that the decoder was given.
 */
#ifndef WEFT_DECODE_SENT_POINT_H
#define WEFT_DECODE_SENT_POINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/slice.h"

enum sent_point_type {
    SENT_COUNTER, /* never falls while it is cumulative */
    SENT_GAUGE,
    SENT_EXPLICIT,    /* histogram with bounds of its own */
    SENT_EXPONENTIAL, /* histogram with base-2 exponential buckets */
    SENT_SUMMARY,
};

enum {
    SENT_LABEL_COUNT_MAX = 32,
    SENT_BUCKET_COUNT_MAX = 1024,
    SENT_BOUND_COUNT_MAX = 64,
    SENT_QUANTILE_COUNT_MAX = 32,
    SENT_TEXT_BYTES_MAX = 4096, /* of one point's label values that are not text in the message */
};

struct sent_label {
    struct slice name;
    struct slice value;
};

struct sent_quantile {
    double quantile; /* 0 … 1 */
    double value;    /* NaN: nothing was observed */
};

struct sent_point {
    enum sent_point_type type;
    bool is_bare;  /* a counter whose name is to be kept, without _total appended */
    bool is_delta; /* it tells what was added since the point before; a gauge's value is added, too */
    struct slice name;
    struct slice unit;
    struct slice help;
    const struct sent_label *labels; /* in the sender's order; names may come twice */
    size_t label_count;
    uint64_t time_unix_ns;  /* 0: not told */
    uint64_t start_unix_ns; /* 0: not told */
    double value;           /* counter, gauge; sum of the others, 0 when not told */
    uint64_t count;         /* summary: of observations */
    const uint64_t
        *buckets; /* explicit: bound_count + 1, the last above all bounds; not cumulative over bounds */
    size_t bucket_count;
    int32_t scale;  /* exponential */
    int32_t offset; /* index of buckets[0] */
    uint64_t zero_count;
    const double *bounds; /* explicit: ascending, finite */
    size_t bound_count;
    const struct sent_quantile *quantiles;
    size_t quantile_count;
};

/* What a decoder puts a point's parts into; one a thread. */
struct sent_point_scratch {
    struct sent_label labels[SENT_LABEL_COUNT_MAX];
    uint64_t buckets[SENT_BUCKET_COUNT_MAX];
    double bounds[SENT_BOUND_COUNT_MAX];
    struct sent_quantile quantiles[SENT_QUANTILE_COUNT_MAX];
    size_t text_length;
    char text[SENT_TEXT_BYTES_MAX];
};

/*
 * Adds a quantile of a summary: OTLP's ValueAtQuantile or Prometheus' Quantile, both { quantile = 1, value =
 * 2 } (opentelemetry/proto/metrics/v1/metrics.proto, io/prometheus/client/metrics.proto). Negative when it is
 * damaged, WERR_INVALID when it is none of 0 … 1, WERR_OVERSIZED for one more than SENT_QUANTILE_COUNT_MAX.
 */
int sent_point_add_quantile(
    struct sent_point *point, struct sent_point_scratch *scratch, struct slice encoded);

#endif
