/* The list of Prometheus encoders; see prometheus_exporter.h. */
#include "exporters/prometheus/prometheus_exporter.h"

static const struct encoder_type *const encoders[] = {
    &prometheus_protobuf,
    &prometheus_openmetrics,
    &prometheus_openmetrics_0_0_1,
    &prometheus_text,
    NULL,
};

const struct exporter_type exporter_prometheus = {
    .name = "prometheus",
    .encoders = encoders,
};
