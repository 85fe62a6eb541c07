/* ExportMetricsServiceRequest bytes as text, for golden files and messages of failing tests. */
#ifndef WEFT_TESTS_OTLP_METRICS_DUMP_H
#define WEFT_TESTS_OTLP_METRICS_DUMP_H

#include "core/buffer.h"
#include "opentelemetry/collector.pb-c.h"

static inline void dump_attributes(struct buffer *out, Otlp__KeyValue **attributes, size_t count)
{
    (void)buffer_append_text(out, " {");
    for (size_t i = 0; i < count; i++) {
        (void)buffer_append_format(out, "%s%s=%s", i > 0 ? "," : "", attributes[i]->key,
            attributes[i]->value->value_case == OTLP__ANY_VALUE__VALUE_STRING_VALUE
                ? attributes[i]->value->string_value
                : "?");
    }
    (void)buffer_append_text(out, "}");
}

static inline void dump_exemplars(struct buffer *out, Otlp__Exemplar **exemplars, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        (void)buffer_append_format(out, " exemplar %g at %llu trace %zu:%02x span %zu:%02x",
            exemplars[i]->as_double, (unsigned long long)exemplars[i]->time_unix_nano,
            exemplars[i]->trace_id.len, exemplars[i]->trace_id.data[0], exemplars[i]->span_id.len,
            exemplars[i]->span_id.data[0]);
    }
}

static inline void dump_numbers(struct buffer *out, Otlp__NumberDataPoint **points, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const Otlp__NumberDataPoint *point = points[i];
        (void)buffer_append_format(out, "  [%llu,%llu]", (unsigned long long)point->start_time_unix_nano,
            (unsigned long long)point->time_unix_nano);
        if (point->value_case == OTLP__NUMBER_DATA_POINT__VALUE_AS_INT) {
            (void)buffer_append_format(out, " int %lld", (long long)point->as_int);
        } else {
            (void)buffer_append_format(out, " double %g", point->as_double);
        }
        dump_attributes(out, point->attributes, point->n_attributes);
        dump_exemplars(out, point->exemplars, point->n_exemplars);
        (void)buffer_append_text(out, "\n");
    }
}

static inline void dump_exponentials(
    struct buffer *out, Otlp__ExponentialHistogramDataPoint **points, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const Otlp__ExponentialHistogramDataPoint *point = points[i];
        (void)buffer_append_format(out, "  [%llu,%llu] count %llu sum %g scale %d zero %llu<=%g from %d:",
            (unsigned long long)point->start_time_unix_nano, (unsigned long long)point->time_unix_nano,
            (unsigned long long)point->count, point->sum, point->scale, (unsigned long long)point->zero_count,
            point->zero_threshold, point->positive->offset);
        for (size_t k = 0; k < point->positive->n_bucket_counts; k++) {
            (void)buffer_append_format(out, " %llu", (unsigned long long)point->positive->bucket_counts[k]);
        }
        dump_attributes(out, point->attributes, point->n_attributes);
        dump_exemplars(out, point->exemplars, point->n_exemplars);
        (void)buffer_append_text(out, "\n");
    }
}

static inline void dump_explicits(struct buffer *out, Otlp__HistogramDataPoint **points, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const Otlp__HistogramDataPoint *point = points[i];
        (void)buffer_append_format(out,
            "  [%llu,%llu] count %llu sum %g:", (unsigned long long)point->start_time_unix_nano,
            (unsigned long long)point->time_unix_nano, (unsigned long long)point->count, point->sum);
        for (size_t k = 0; k < point->n_bucket_counts; k++) {
            (void)buffer_append_format(out, " %llu", (unsigned long long)point->bucket_counts[k]);
            if (k < point->n_explicit_bounds) {
                (void)buffer_append_format(out, " <=%g", point->explicit_bounds[k]);
            }
        }
        dump_attributes(out, point->attributes, point->n_attributes);
        dump_exemplars(out, point->exemplars, point->n_exemplars);
        (void)buffer_append_text(out, "\n");
    }
}

static inline void dump_metric(struct buffer *out, const Otlp__Metric *metric)
{
    (void)buffer_append_format(
        out, " %s unit \"%s\" \"%s\"", metric->name, metric->unit, metric->description);
    switch (metric->data_case) {
    case OTLP__METRIC__DATA_GAUGE:
        (void)buffer_append_text(out, " gauge\n");
        dump_numbers(out, metric->gauge->data_points, metric->gauge->n_data_points);
        break;
    case OTLP__METRIC__DATA_SUM:
        (void)buffer_append_format(out, " sum temporality %d monotonic %d\n",
            metric->sum->aggregation_temporality, metric->sum->is_monotonic);
        dump_numbers(out, metric->sum->data_points, metric->sum->n_data_points);
        break;
    case OTLP__METRIC__DATA_EXPONENTIAL_HISTOGRAM:
        (void)buffer_append_format(
            out, " exponential temporality %d\n", metric->exponential_histogram->aggregation_temporality);
        dump_exponentials(
            out, metric->exponential_histogram->data_points, metric->exponential_histogram->n_data_points);
        break;
    case OTLP__METRIC__DATA_HISTOGRAM:
        (void)buffer_append_format(
            out, " explicit temporality %d\n", metric->histogram->aggregation_temporality);
        dump_explicits(out, metric->histogram->data_points, metric->histogram->n_data_points);
        break;
    default:
        (void)buffer_append_text(out, " without data\n");
    }
}

/* False when the bytes are no request. */
static inline int dump_request(struct buffer *out, struct slice bytes)
{
    Otlp__ExportMetricsServiceRequest *request =
        otlp__export_metrics_service_request__unpack(NULL, bytes.length, bytes.ptr);

    if (request == NULL) {
        return 0;
    }
    for (size_t i = 0; i < request->n_resource_metrics; i++) {
        const Otlp__ResourceMetrics *resource = request->resource_metrics[i];
        (void)buffer_append_text(out, "resource");
        dump_attributes(out, resource->resource->attributes, resource->resource->n_attributes);
        for (size_t k = 0; k < resource->n_scope_metrics; k++) {
            (void)buffer_append_format(out, " scope %s\n", resource->scope_metrics[k]->scope->name);
            for (size_t m = 0; m < resource->scope_metrics[k]->n_metrics; m++) {
                dump_metric(out, resource->scope_metrics[k]->metrics[m]);
            }
        }
    }
    otlp__export_metrics_service_request__free_unpacked(request, NULL);
    return out->error == 0;
}

#endif
