/*
 * Envoy's metrics service: one StreamMetricsMessage, scanned in one pass and without allocation, each metric
 * handed over as a data point.
 *
 *   message ─► identifier ─► node ─► id (61 to 79 KB, of which `extensions` are nearly all: passed over)
 *          └─► MetricFamily ─► Metric ─► on_point | on_refused
 *
 * What becomes of each type: a counter is one, cumulative or delta as the proxy is configured, which the
 * message does not tell, under the name that Envoy gives it; gauges and untyped ones are gauges; a histogram,
 * whose buckets say what the proxy's last flush interval held, is an explicit one that adds; a summary, of
 * the same interval, likewise, and is called NAME_interval: Envoy sends it beside the histogram under one
 * name.
 *
 * A metric that is damaged within its own length, or contradicts itself, is refused alone. When the structure
 * around metrics is damaged the scan ends with an error. Source of the fields:
 * envoy/service/metrics/v3/metrics_service.proto, envoy/config/core/v3/base.proto,
 * io/prometheus/client/metrics.proto.
 */
#ifndef WEFT_DECODE_METRICS_SERVICE_H
#define WEFT_DECODE_METRICS_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/slice.h"
#include "decode/decode_error.h"
#include "decode/sent_point.h"

struct metrics_service_sink {
    void *user;
    /* record: index of the metric in the message. The point is valid during the call; a counter's is_delta is
     * the sink's to decide. */
    void (*on_point)(void *user, const struct sent_point *point, uint32_t record);
    void (*on_refused)(void *user, const struct decode_error *where);
};

struct metrics_service_identifier {
    bool is_there; /* the message has one, with a node */
    struct slice node_id;
    struct slice cluster;
};

/* The identifier alone, which a stream's first message has. 0, or negative on damage. */
int metrics_service_identify(struct slice message, struct metrics_service_identifier *ret_identifier);

/* Returns 0, or the WERR_ code of the broken structure with *ret_error filled. */
int metrics_service_scan(struct sent_point_scratch *scratch, struct slice message,
    const struct metrics_service_sink *sink, struct decode_error *ret_error);

#endif
