/* The tables of otlp_json_schema.h. */
#include "decode/otlp_json_schema.h"

/* clang-format off */
#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])
#define ONE(of) .type = OTLP_JSON_MESSAGE, .message = &of##_message
#define MANY(of) .type = OTLP_JSON_MESSAGE, .is_repeated = true, .message = &of##_message
#define VALUE(of) .type = OTLP_JSON_##of
#define PRESENT(of) .type = OTLP_JSON_##of, .has_presence = true
#define PACKED(of) .type = OTLP_JSON_##of, .is_repeated = true
#define NAMED(of) .type = OTLP_JSON_ENUM, .names = (of), .name_count = COUNT_OF(of)
#define MESSAGE(of) static const struct otlp_json_message of##_message = {.fields = of##_fields, .field_count = COUNT_OF(of##_fields)}

static const char *const span_kinds[] = {
    "SPAN_KIND_UNSPECIFIED", "SPAN_KIND_INTERNAL", "SPAN_KIND_SERVER", "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER", "SPAN_KIND_CONSUMER",
};

static const char *const status_codes[] = {
    "STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR",
};

static const char *const temporalities[] = {
    "AGGREGATION_TEMPORALITY_UNSPECIFIED", "AGGREGATION_TEMPORALITY_DELTA",
    "AGGREGATION_TEMPORALITY_CUMULATIVE",
};

static const char *const severities[] = {
    "SEVERITY_NUMBER_UNSPECIFIED", "SEVERITY_NUMBER_TRACE", "SEVERITY_NUMBER_TRACE2",
    "SEVERITY_NUMBER_TRACE3", "SEVERITY_NUMBER_TRACE4", "SEVERITY_NUMBER_DEBUG", "SEVERITY_NUMBER_DEBUG2",
    "SEVERITY_NUMBER_DEBUG3", "SEVERITY_NUMBER_DEBUG4", "SEVERITY_NUMBER_INFO", "SEVERITY_NUMBER_INFO2",
    "SEVERITY_NUMBER_INFO3", "SEVERITY_NUMBER_INFO4", "SEVERITY_NUMBER_WARN", "SEVERITY_NUMBER_WARN2",
    "SEVERITY_NUMBER_WARN3", "SEVERITY_NUMBER_WARN4", "SEVERITY_NUMBER_ERROR", "SEVERITY_NUMBER_ERROR2",
    "SEVERITY_NUMBER_ERROR3", "SEVERITY_NUMBER_ERROR4", "SEVERITY_NUMBER_FATAL", "SEVERITY_NUMBER_FATAL2",
    "SEVERITY_NUMBER_FATAL3", "SEVERITY_NUMBER_FATAL4",
};

/* An attribute's value may hold values. */
static const struct otlp_json_message any_value_message;
static const struct otlp_json_message key_value_message;

static const struct otlp_json_field array_value_fields[] = {
    {.key = "values", .number = 1, MANY(any_value)},
};
MESSAGE(array_value);

static const struct otlp_json_field key_value_list_fields[] = {
    {.key = "values", .number = 1, MANY(key_value)},
};
MESSAGE(key_value_list);

static const struct otlp_json_field any_value_fields[] = {
    {.key = "stringValue", .number = 1, PRESENT(TEXT)},
    {.key = "boolValue", .number = 2, PRESENT(BOOLEAN)},
    {.key = "intValue", .number = 3, PRESENT(INT64)},
    {.key = "doubleValue", .number = 4, PRESENT(DOUBLE)},
    {.key = "arrayValue", .number = 5, ONE(array_value)},
    {.key = "kvlistValue", .number = 6, ONE(key_value_list)},
    {.key = "bytesValue", .number = 7, PRESENT(BASE64)},
};
MESSAGE(any_value);

static const struct otlp_json_field key_value_fields[] = {
    {.key = "key", .number = 1, VALUE(TEXT)},
    {.key = "value", .number = 2, ONE(any_value)},
};
MESSAGE(key_value);

static const struct otlp_json_field resource_fields[] = {
    {.key = "attributes", .number = 1, MANY(key_value)},
    {.key = "droppedAttributesCount", .number = 2, VALUE(UINT32)},
};
MESSAGE(resource);

static const struct otlp_json_field scope_fields[] = {
    {.key = "name", .number = 1, VALUE(TEXT)},
    {.key = "version", .number = 2, VALUE(TEXT)},
    {.key = "attributes", .number = 3, MANY(key_value)},
    {.key = "droppedAttributesCount", .number = 4, VALUE(UINT32)},
};
MESSAGE(scope);

static const struct otlp_json_field span_event_fields[] = {
    {.key = "timeUnixNano", .number = 1, VALUE(FIXED64)},
    {.key = "name", .number = 2, VALUE(TEXT)},
    {.key = "attributes", .number = 3, MANY(key_value)},
    {.key = "droppedAttributesCount", .number = 4, VALUE(UINT32)},
};
MESSAGE(span_event);

static const struct otlp_json_field span_link_fields[] = {
    {.key = "traceId", .number = 1, VALUE(ID)},
    {.key = "spanId", .number = 2, VALUE(ID)},
    {.key = "traceState", .number = 3, VALUE(TEXT)},
    {.key = "attributes", .number = 4, MANY(key_value)},
    {.key = "droppedAttributesCount", .number = 5, VALUE(UINT32)},
    {.key = "flags", .number = 6, VALUE(FIXED32)},
};
MESSAGE(span_link);

static const struct otlp_json_field span_status_fields[] = {
    {.key = "message", .number = 2, VALUE(TEXT)},
    {.key = "code", .number = 3, NAMED(status_codes)},
};
MESSAGE(span_status);

static const struct otlp_json_field span_fields[] = {
    {.key = "traceId", .number = 1, VALUE(ID)},
    {.key = "spanId", .number = 2, VALUE(ID)},
    {.key = "traceState", .number = 3, VALUE(TEXT)},
    {.key = "parentSpanId", .number = 4, VALUE(ID)},
    {.key = "name", .number = 5, VALUE(TEXT)},
    {.key = "kind", .number = 6, NAMED(span_kinds)},
    {.key = "startTimeUnixNano", .number = 7, VALUE(FIXED64)},
    {.key = "endTimeUnixNano", .number = 8, VALUE(FIXED64)},
    {.key = "attributes", .number = 9, MANY(key_value)},
    {.key = "droppedAttributesCount", .number = 10, VALUE(UINT32)},
    {.key = "events", .number = 11, MANY(span_event)},
    {.key = "droppedEventsCount", .number = 12, VALUE(UINT32)},
    {.key = "links", .number = 13, MANY(span_link)},
    {.key = "droppedLinksCount", .number = 14, VALUE(UINT32)},
    {.key = "status", .number = 15, ONE(span_status)},
    {.key = "flags", .number = 16, VALUE(FIXED32)},
};
MESSAGE(span);

static const struct otlp_json_field scope_spans_fields[] = {
    {.key = "scope", .number = 1, ONE(scope)},
    {.key = "spans", .number = 2, MANY(span)},
    {.key = "schemaUrl", .number = 3, VALUE(TEXT)},
};
MESSAGE(scope_spans);

static const struct otlp_json_field resource_spans_fields[] = {
    {.key = "resource", .number = 1, ONE(resource)},
    {.key = "scopeSpans", .number = 2, MANY(scope_spans)},
    {.key = "schemaUrl", .number = 3, VALUE(TEXT)},
};
MESSAGE(resource_spans);

static const struct otlp_json_field traces_request_fields[] = {
    {.key = "resourceSpans", .number = 1, MANY(resource_spans)},
};
MESSAGE(traces_request);

static const struct otlp_json_field exemplar_fields[] = {
    {.key = "filteredAttributes", .number = 7, MANY(key_value)},
    {.key = "timeUnixNano", .number = 2, VALUE(FIXED64)},
    {.key = "asDouble", .number = 3, PRESENT(DOUBLE)},
    {.key = "asInt", .number = 6, PRESENT(SFIXED64)},
    {.key = "spanId", .number = 4, VALUE(ID)},
    {.key = "traceId", .number = 5, VALUE(ID)},
};
MESSAGE(exemplar);

static const struct otlp_json_field number_point_fields[] = {
    {.key = "attributes", .number = 7, MANY(key_value)},
    {.key = "startTimeUnixNano", .number = 2, VALUE(FIXED64)},
    {.key = "timeUnixNano", .number = 3, VALUE(FIXED64)},
    {.key = "asDouble", .number = 4, PRESENT(DOUBLE)},
    {.key = "asInt", .number = 6, PRESENT(SFIXED64)},
    {.key = "exemplars", .number = 5, MANY(exemplar)},
    {.key = "flags", .number = 8, VALUE(UINT32)},
};
MESSAGE(number_point);

static const struct otlp_json_field histogram_point_fields[] = {
    {.key = "attributes", .number = 9, MANY(key_value)},
    {.key = "startTimeUnixNano", .number = 2, VALUE(FIXED64)},
    {.key = "timeUnixNano", .number = 3, VALUE(FIXED64)},
    {.key = "count", .number = 4, VALUE(FIXED64)},
    {.key = "sum", .number = 5, PRESENT(DOUBLE)},
    {.key = "bucketCounts", .number = 6, PACKED(FIXED64)},
    {.key = "explicitBounds", .number = 7, PACKED(DOUBLE)},
    {.key = "exemplars", .number = 8, MANY(exemplar)},
    {.key = "flags", .number = 10, VALUE(UINT32)},
    {.key = "min", .number = 11, PRESENT(DOUBLE)},
    {.key = "max", .number = 12, PRESENT(DOUBLE)},
};
MESSAGE(histogram_point);

static const struct otlp_json_field exponential_buckets_fields[] = {
    {.key = "offset", .number = 1, VALUE(SINT32)},
    {.key = "bucketCounts", .number = 2, PACKED(UINT64)},
};
MESSAGE(exponential_buckets);

static const struct otlp_json_field exponential_point_fields[] = {
    {.key = "attributes", .number = 1, MANY(key_value)},
    {.key = "startTimeUnixNano", .number = 2, VALUE(FIXED64)},
    {.key = "timeUnixNano", .number = 3, VALUE(FIXED64)},
    {.key = "count", .number = 4, VALUE(FIXED64)},
    {.key = "sum", .number = 5, PRESENT(DOUBLE)},
    {.key = "scale", .number = 6, VALUE(SINT32)},
    {.key = "zeroCount", .number = 7, VALUE(FIXED64)},
    {.key = "positive", .number = 8, ONE(exponential_buckets)},
    {.key = "negative", .number = 9, ONE(exponential_buckets)},
    {.key = "flags", .number = 10, VALUE(UINT32)},
    {.key = "exemplars", .number = 11, MANY(exemplar)},
    {.key = "min", .number = 12, PRESENT(DOUBLE)},
    {.key = "max", .number = 13, PRESENT(DOUBLE)},
    {.key = "zeroThreshold", .number = 14, VALUE(DOUBLE)},
};
MESSAGE(exponential_point);

static const struct otlp_json_field quantile_value_fields[] = {
    {.key = "quantile", .number = 1, VALUE(DOUBLE)},
    {.key = "value", .number = 2, VALUE(DOUBLE)},
};
MESSAGE(quantile_value);

static const struct otlp_json_field summary_point_fields[] = {
    {.key = "attributes", .number = 7, MANY(key_value)},
    {.key = "startTimeUnixNano", .number = 2, VALUE(FIXED64)},
    {.key = "timeUnixNano", .number = 3, VALUE(FIXED64)},
    {.key = "count", .number = 4, VALUE(FIXED64)},
    {.key = "sum", .number = 5, VALUE(DOUBLE)},
    {.key = "quantileValues", .number = 6, MANY(quantile_value)},
    {.key = "flags", .number = 8, VALUE(UINT32)},
};
MESSAGE(summary_point);

static const struct otlp_json_field gauge_fields[] = {
    {.key = "dataPoints", .number = 1, MANY(number_point)},
};
MESSAGE(gauge);

static const struct otlp_json_field sum_fields[] = {
    {.key = "dataPoints", .number = 1, MANY(number_point)},
    {.key = "aggregationTemporality", .number = 2, NAMED(temporalities)},
    {.key = "isMonotonic", .number = 3, VALUE(BOOLEAN)},
};
MESSAGE(sum);

static const struct otlp_json_field histogram_fields[] = {
    {.key = "dataPoints", .number = 1, MANY(histogram_point)},
    {.key = "aggregationTemporality", .number = 2, NAMED(temporalities)},
};
MESSAGE(histogram);

static const struct otlp_json_field exponential_histogram_fields[] = {
    {.key = "dataPoints", .number = 1, MANY(exponential_point)},
    {.key = "aggregationTemporality", .number = 2, NAMED(temporalities)},
};
MESSAGE(exponential_histogram);

static const struct otlp_json_field summary_fields[] = {
    {.key = "dataPoints", .number = 1, MANY(summary_point)},
};
MESSAGE(summary);

static const struct otlp_json_field metric_fields[] = {
    {.key = "name", .number = 1, VALUE(TEXT)},
    {.key = "description", .number = 2, VALUE(TEXT)},
    {.key = "unit", .number = 3, VALUE(TEXT)},
    {.key = "gauge", .number = 5, ONE(gauge)},
    {.key = "sum", .number = 7, ONE(sum)},
    {.key = "histogram", .number = 9, ONE(histogram)},
    {.key = "exponentialHistogram", .number = 10, ONE(exponential_histogram)},
    {.key = "summary", .number = 11, ONE(summary)},
    {.key = "metadata", .number = 12, MANY(key_value)},
};
MESSAGE(metric);

static const struct otlp_json_field scope_metrics_fields[] = {
    {.key = "scope", .number = 1, ONE(scope)},
    {.key = "metrics", .number = 2, MANY(metric)},
    {.key = "schemaUrl", .number = 3, VALUE(TEXT)},
};
MESSAGE(scope_metrics);

static const struct otlp_json_field resource_metrics_fields[] = {
    {.key = "resource", .number = 1, ONE(resource)},
    {.key = "scopeMetrics", .number = 2, MANY(scope_metrics)},
    {.key = "schemaUrl", .number = 3, VALUE(TEXT)},
};
MESSAGE(resource_metrics);

static const struct otlp_json_field metrics_request_fields[] = {
    {.key = "resourceMetrics", .number = 1, MANY(resource_metrics)},
};
MESSAGE(metrics_request);

static const struct otlp_json_field log_record_fields[] = {
    {.key = "timeUnixNano", .number = 1, VALUE(FIXED64)},
    {.key = "observedTimeUnixNano", .number = 11, VALUE(FIXED64)},
    {.key = "severityNumber", .number = 2, NAMED(severities)},
    {.key = "severityText", .number = 3, VALUE(TEXT)},
    {.key = "body", .number = 5, ONE(any_value)},
    {.key = "attributes", .number = 6, MANY(key_value)},
    {.key = "droppedAttributesCount", .number = 7, VALUE(UINT32)},
    {.key = "flags", .number = 8, VALUE(FIXED32)},
    {.key = "traceId", .number = 9, VALUE(ID)},
    {.key = "spanId", .number = 10, VALUE(ID)},
    {.key = "eventName", .number = 12, VALUE(TEXT)},
};
MESSAGE(log_record);

static const struct otlp_json_field scope_logs_fields[] = {
    {.key = "scope", .number = 1, ONE(scope)},
    {.key = "logRecords", .number = 2, MANY(log_record)},
    {.key = "schemaUrl", .number = 3, VALUE(TEXT)},
};
MESSAGE(scope_logs);

static const struct otlp_json_field resource_logs_fields[] = {
    {.key = "resource", .number = 1, ONE(resource)},
    {.key = "scopeLogs", .number = 2, MANY(scope_logs)},
    {.key = "schemaUrl", .number = 3, VALUE(TEXT)},
};
MESSAGE(resource_logs);

static const struct otlp_json_field logs_request_fields[] = {
    {.key = "resourceLogs", .number = 1, MANY(resource_logs)},
};
MESSAGE(logs_request);

/* clang-format on */

const struct otlp_json_message *otlp_json_schema_of(enum otlp_json_request request)
{
    switch (request) {
    case OTLP_JSON_METRICS:
        return &metrics_request_message;
    case OTLP_JSON_LOGS:
        return &logs_request_message;
    case OTLP_JSON_TRACES:
    default:
        return &traces_request_message;
    }
}
