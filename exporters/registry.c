/*
 * The list of exporters: a new one is a folder, a const struct and a line here. Read-only, so any thread may
 * look.
 */
#include "weft/exporter.h"

#include "exporters/otlp/otlp_exporter.h"
#include "exporters/prometheus/prometheus_exporter.h"

const struct exporter_type *const exporter_registry[] = {
    &exporter_prometheus,
    &exporter_otlp,
    NULL,
};
