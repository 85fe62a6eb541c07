/*
 * Scans an OTLP ExportMetricsServiceRequest (or MetricsData, the same on the wire) in one pass and without
 * allocation, and hands over each data point.
 *
 *   request ─► resource_metrics ─► resource ─► scope_metrics ─► scope ─► metric ─► name, unit, temporality
 *                                                                          └─► data point ─► on_point |
 * on_refused
 *
 * What becomes of each kind:
 *   gauge, and a sum that is not monotonic     a gauge; with delta temporality its value is added
 *   monotonic sum                              a counter, cumulative or delta
 *   histogram                                  explicit; exponential histogram: exponential
 *   summary                                    quantiles, count and sum
 *
 * Counters of Envoy's sink keep their names: it has `upstream_rq`, by response code, and `upstream_rq_total`,
 * which with the usual suffix would become one.
 *
 * Labels are the point's attributes, then service_name, service_namespace and service_instance_id of the
 * resource and otel_scope_name and otel_scope_version, where they are told; values that are secrets are
 * redacted as in spans. Exemplars are passed over: those of the agent's own histograms refer to traces that
 * the agent keeps, these to any.
 *
 * A point that is damaged within its own length, or that contradicts itself, is refused alone, with a reason.
 * When the structure around points is damaged the scan ends with an error; the points handed over before stay
 * good. Source of the fields: opentelemetry/proto/metrics/v1/metrics.proto.
 */
#ifndef WEFT_DECODE_OTLP_METRICS_H
#define WEFT_DECODE_OTLP_METRICS_H

#include <stdint.h>

#include "core/slice.h"
#include "decode/attribute.h"
#include "decode/decode_error.h"
#include "decode/sent_point.h"

/* A start before it (1973) is taken for microseconds: Envoy's statistics sink writes them so. */
#define OTLP_START_UNIX_NS_MIN 100000000000000000ull

struct otlp_metrics_sink {
    void *user;
    /* record: index of the data point in the message. The point is valid during the call. */
    void (*on_point)(void *user, const struct sent_point *point, uint32_t record);
    /* where->reason says why, where->record which. RECORD_ERROR_NO_VALUE is no fault: the sender says that a
     * series has ended. */
    void (*on_refused)(void *user, const struct decode_error *where);
};

struct otlp_metrics_result {
    uint32_t points_count;   /* handed over */
    uint32_t refused_count;  /* refused one by one, without those that had no value */
    uint32_t no_value_count; /* with the flag no_recorded_value */
};

/*
 * Returns 0, or the WERR_ code of the broken structure with *ret_error filled. The result is written in both
 * cases. `attributes` tells which values are secrets; it and the scratch are borrowed.
 */
int otlp_metrics_scan(const struct attribute_table *attributes, struct sent_point_scratch *scratch,
    struct slice message, const struct otlp_metrics_sink *sink, struct otlp_metrics_result *ret_result,
    struct decode_error *ret_error);

/* ---- for otlp_metrics.c and otlp_point.c ---- */

enum otlp_metric_data {
    OTLP_METRIC_NO_DATA = 0,
    OTLP_METRIC_GAUGE = 5, /* numbers of the field in Metric */
    OTLP_METRIC_SUM = 7,
    OTLP_METRIC_HISTOGRAM = 9,
    OTLP_METRIC_EXPONENTIAL = 10,
    OTLP_METRIC_SUMMARY = 11,
};

/* What the points of a metric share. */
struct otlp_metric {
    enum otlp_metric_data data;
    uint64_t temporality; /* 1: delta, 2: cumulative */
    bool is_monotonic;
    bool is_bare; /* a counter's name is kept as it is */
    struct slice name;
    struct slice unit;
    struct slice help;
};

/*
 * Reads one data point of `metric`; scratch->labels begins with `label_count` that all points of the scope
 * have. RECORD_ERROR_NONE with *ret_point, or the reason with where->code, where->reason and where->field.
 */
enum record_error otlp_point_read(const struct attribute_table *attributes, const struct otlp_metric *metric,
    struct sent_point_scratch *scratch, size_t label_count, struct slice encoded,
    struct sent_point *ret_point, struct decode_error *where);

/* Adds an attribute as a label. 0, or negative: damage, too many, or too long. */
int otlp_label_add(const struct attribute_table *attributes, struct sent_point_scratch *scratch,
    struct slice encoded, size_t *label_count);

#endif
