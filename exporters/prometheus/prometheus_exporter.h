/*
 * The Prometheus exporter: the exposition formats that Prometheus and its kin scrape, as encoders over a
 * snapshot. The encoders are stateless tables; what an encoding knows belongs to whoever opened it, the
 * aggregator's thread in the agent.
 */
#ifndef WEFT_EXPORTERS_PROMETHEUS_EXPORTER_H
#define WEFT_EXPORTERS_PROMETHEUS_EXPORTER_H

#include "weft/exporter.h"

extern const struct encoder_type prometheus_text;        /* 0.0.4 */
extern const struct encoder_type prometheus_openmetrics; /* 1.0.0 */
extern const struct encoder_type
    prometheus_openmetrics_0_0_1;                     /* the same body under the old version's name */
extern const struct encoder_type prometheus_protobuf; /* delimited MetricFamily messages */

extern const struct exporter_type exporter_prometheus;

#endif
