/* The structure around data points of OTLP metrics: otlp_metrics.h. Runs on any thread. */
#include "decode/otlp_metrics.h"

#include "decode/attribute_text.h"
#include "decode/wire.h"

/* Where a scan stands. Labels of the resource and the scope stay at the front of the scratch. */
struct walk {
    const struct attribute_table *attributes;
    struct sent_point_scratch *scratch;
    const struct otlp_metrics_sink *sink;
    struct otlp_metrics_result *result;
    struct decode_error where;
    bool is_envoy;
    size_t resource_labels;
    size_t scope_labels; /* those of the resource included */
};

static int fail(struct walk *walk, int code, const char *field)
{
    walk->where.code = code;
    walk->where.reason = RECORD_ERROR_NONE;
    walk->where.field = field;
    return code;
}

/* A field that holds a message or text; negative when it has another wire type. */
static int expect_bytes(uint32_t tag)
{
    return wire_tag_type(tag) == WIRE_BYTES ? 0 : WERR_WIRE_TYPE;
}

static void add_label(struct sent_point_scratch *scratch, size_t *count, const char *name, struct slice value)
{
    if (value.length > 0 && *count < SENT_LABEL_COUNT_MAX) {
        scratch->labels[(*count)++] = (struct sent_label){.name = slice_of_string(name), .value = value};
    }
}

static void deliver(struct walk *walk, const struct otlp_metric *metric, struct slice encoded)
{
    struct sent_point point;

    walk->scratch->text_length = 0;
    if (otlp_point_read(walk->attributes, metric, walk->scratch, walk->scope_labels, encoded, &point,
            &walk->where) == RECORD_ERROR_NONE) {
        walk->result->points_count++;
        walk->sink->on_point(walk->sink->user, &point, walk->where.record);
    } else {
        if (walk->where.reason == RECORD_ERROR_NO_VALUE) {
            walk->result->no_value_count++;
        } else {
            walk->result->refused_count++;
        }
        walk->sink->on_refused(walk->sink->user, &walk->where);
    }
    walk->where.record++;
}

/* Gauge, Sum, Histogram, ExponentialHistogram, Summary: data_points = 1, temporality = 2, is_monotonic = 3 */
static int read_temporality(struct otlp_metric *metric, struct slice encoded)
{
    struct wire_reader reader = wire_reader_of(encoded);
    struct wire_field field;
    int status;

    while ((status = wire_next(&reader, &field)) > 0) {
        if (field.tag == WIRE_TAG(2, WIRE_VARINT)) {
            metric->temporality = field.integer;
        } else if (field.tag == WIRE_TAG(3, WIRE_VARINT)) {
            metric->is_monotonic = field.integer != 0;
        } else if (wire_tag_number(field.tag) == 1) {
            status = expect_bytes(field.tag);
        } else if (wire_tag_number(field.tag) <= 3) {
            status = WERR_WIRE_TYPE;
        }
        if (status < 0) {
            break;
        }
    }
    return status;
}

static void walk_points(struct walk *walk, const struct otlp_metric *metric, struct slice encoded)
{
    struct wire_reader reader = wire_reader_of(encoded);
    struct wire_field field;

    while (wire_next(&reader, &field) > 0) { /* read_temporality has seen that it is sound */
        if (field.tag == WIRE_TAG(1, WIRE_BYTES)) {
            deliver(walk, metric, field.bytes);
        }
    }
}

/* Metric: name = 1, description = 2, unit = 3, data = 5 … 11 */
static int walk_metric(struct walk *walk, struct slice encoded)
{
    struct wire_reader reader = wire_reader_of(encoded);
    struct wire_field field;
    struct otlp_metric metric = {.data = OTLP_METRIC_NO_DATA, .is_bare = walk->is_envoy};
    struct slice data = slice_of(NULL, 0);
    int status;

    while ((status = wire_next(&reader, &field)) > 0) {
        uint32_t number = wire_tag_number(field.tag);

        if (number <= 3 || number == OTLP_METRIC_GAUGE || number == OTLP_METRIC_SUM ||
            (number >= OTLP_METRIC_HISTOGRAM && number <= OTLP_METRIC_SUMMARY)) {
            status = expect_bytes(field.tag);
        }
        if (status < 0) {
            break;
        }
        if (number <= 3) {
            *(number == 1 ? &metric.name : number == 2 ? &metric.help : &metric.unit) = field.bytes;
        } else if (number == OTLP_METRIC_GAUGE || number == OTLP_METRIC_SUM ||
                   (number >= OTLP_METRIC_HISTOGRAM && number <= OTLP_METRIC_SUMMARY)) {
            metric.data = (enum otlp_metric_data)number;
            data = field.bytes;
        }
    }
    if (status == 0) {
        status = read_temporality(&metric, data);
    }
    if (status < 0) {
        return fail(walk, status, "metric");
    }
    walk_points(walk, &metric, data);
    return 0;
}

/* InstrumentationScope: name = 1, version = 2 */
static int read_scope(struct walk *walk, struct slice encoded)
{
    struct wire_reader reader = wire_reader_of(encoded);
    struct wire_field field;
    int status;

    walk->scope_labels = walk->resource_labels;
    while ((status = wire_next(&reader, &field)) > 0) {
        if (wire_tag_number(field.tag) > 2) {
            continue;
        }
        status = expect_bytes(field.tag);
        if (status < 0) {
            break;
        }
        add_label(walk->scratch, &walk->scope_labels,
            wire_tag_number(field.tag) == 1 ? "otel_scope_name" : "otel_scope_version", field.bytes);
    }
    return status;
}

/* The first field of that number, wherever it stands; empty when there is none. Negative on damage. */
static int find_message(struct slice encoded, uint32_t number, struct slice *ret_message)
{
    struct wire_reader reader = wire_reader_of(encoded);
    struct wire_field field;

    *ret_message = slice_of(NULL, 0);
    while (wire_next(&reader, &field) > 0) {
        if (wire_tag_number(field.tag) == number) {
            if (expect_bytes(field.tag) < 0) {
                return WERR_WIRE_TYPE;
            }
            *ret_message = field.bytes;
            return 0;
        }
    }
    return 0; /* damage behind it is met by those who walk on */
}

/* ScopeMetrics: scope = 1, metrics = 2 */
static int walk_scope_metrics(struct walk *walk, struct slice encoded)
{
    struct wire_reader reader = wire_reader_of(encoded);
    struct wire_field field;
    struct slice scope;
    int status = find_message(encoded, 1, &scope);

    if (status == 0) {
        status = read_scope(walk, scope);
    }
    if (status < 0) {
        return fail(walk, status, "scope");
    }
    while ((status = wire_next(&reader, &field)) > 0) {
        if (wire_tag_number(field.tag) != 2) {
            continue;
        }
        status = expect_bytes(field.tag);
        if (status < 0) {
            break;
        }
        status = walk_metric(walk, field.bytes);
        if (status < 0) {
            return status;
        }
    }
    return status < 0 ? fail(walk, status, "scope_metrics") : 0;
}

/* Who speaks, of what a Resource says: OpenTelemetry's triplet that tells one process from another. */
static const struct {
    struct slice key;
    const char *label;
} resource_keys[] = {
    {{(const uint8_t *)"service.name", 12}, "service_name"},
    {{(const uint8_t *)"service.namespace", 17}, "service_namespace"},
    {{(const uint8_t *)"service.instance.id", 19}, "service_instance_id"},
};

enum { RESOURCE_KEY_COUNT = sizeof resource_keys / sizeof resource_keys[0] };

/* Resource: attributes = 1 */
static int read_resource(struct walk *walk, struct slice encoded)
{
    struct wire_reader reader = wire_reader_of(encoded);
    struct wire_field field;
    struct attribute attribute;
    struct slice values[RESOURCE_KEY_COUNT] = {{.ptr = NULL, .length = 0}};
    int status;

    walk->is_envoy = false;

    while ((status = wire_next(&reader, &field)) > 0) {
        if (wire_tag_number(field.tag) != 1) {
            continue;
        }
        status = expect_bytes(field.tag);
        if (status == 0) {
            status = attribute_parse(field.bytes, &attribute);
        }
        if (status < 0) {
            return status;
        }
        walk->is_envoy |= slice_equal(attribute.key, SLICE_LITERAL("telemetry.sdk.name")) &&
                          slice_equal(attribute.value.text, SLICE_LITERAL("envoy"));
        for (size_t i = 0; i < RESOURCE_KEY_COUNT; i++) {
            if (attribute.value.type == ATTRIBUTE_TEXT && slice_equal(attribute.key, resource_keys[i].key)) {
                values[i] = attribute.value.text;
            }
        }
    }
    walk->resource_labels = 0;
    for (size_t i = 0; i < RESOURCE_KEY_COUNT; i++) {
        add_label(walk->scratch, &walk->resource_labels, resource_keys[i].label, values[i]);
    }
    return status;
}

/* ResourceMetrics: resource = 1, scope_metrics = 2 */
static int walk_resource_metrics(struct walk *walk, struct slice encoded)
{
    struct wire_reader reader = wire_reader_of(encoded);
    struct wire_field field;
    struct slice resource;
    int status = find_message(encoded, 1, &resource);

    walk->where.scope = DECODE_NO_INDEX;
    if (status == 0) {
        status = read_resource(walk, resource);
    }
    if (status < 0) {
        return fail(walk, status, "resource");
    }
    while ((status = wire_next(&reader, &field)) > 0) {
        if (wire_tag_number(field.tag) != 2) {
            continue;
        }
        status = expect_bytes(field.tag);
        if (status < 0) {
            break;
        }
        walk->where.scope++; /* from DECODE_NO_INDEX to 0 */
        status = walk_scope_metrics(walk, field.bytes);
        if (status < 0) {
            return status;
        }
    }
    return status < 0 ? fail(walk, status, "resource_metrics") : 0;
}

int otlp_metrics_scan(const struct attribute_table *attributes, struct sent_point_scratch *scratch,
    struct slice message, const struct otlp_metrics_sink *sink, struct otlp_metrics_result *ret_result,
    struct decode_error *ret_error)
{
    struct wire_reader reader = wire_reader_of(message);
    struct wire_field field;
    struct walk walk = {.attributes = attributes,
        .scratch = scratch,
        .sink = sink,
        .result = ret_result,
        .where = decode_error_of(0, "")};
    int status;

    *ret_result = (struct otlp_metrics_result){.points_count = 0};
    walk.where.record = 0;
    while ((status = wire_next(&reader, &field)) > 0) {
        if (wire_tag_number(field.tag) != 1) {
            continue;
        }
        status = expect_bytes(field.tag);
        if (status == 0) {
            walk.where.resource++; /* from DECODE_NO_INDEX to 0 */
            status = walk_resource_metrics(&walk, field.bytes);
        }
        if (status < 0) {
            break;
        }
    }
    if (status < 0) {
        if (walk.where.code == 0 || walk.where.reason != RECORD_ERROR_NONE) {
            (void)fail(&walk, status, "request");
        }
        *ret_error = walk.where;
    }
    return status;
}
