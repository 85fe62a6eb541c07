/* Envoy's metrics service: metrics_service.h. Runs on any thread. */
#include "decode/metrics_service.h"

#include <math.h>

#include "decode/wire.h"

/* io.prometheus.client.MetricType */
enum family_type {
    FAMILY_COUNTER = 0,
    FAMILY_GAUGE = 1,
    FAMILY_SUMMARY = 2,
    FAMILY_UNTYPED = 3,
    FAMILY_HISTOGRAM = 4,
};

#define SUMMARY_SUFFIX "_interval"

struct family {
    struct slice name;
    struct slice help;
    struct slice unit;
    uint64_t type;
};

/* One metric on its way. */
struct reading {
    struct sent_point_scratch *scratch;
    struct sent_point *point;
    const char *field; /* what was being read */
    uint64_t count;    /* of a histogram, as it says itself */
    uint64_t upto;     /* the last bucket's cumulative count */
    bool has_value;
};

/* LabelPair { name = 1, value = 2 } */
static int read_label(struct reading *reading, struct slice encoded)
{
    struct wire_reader reader = wire_reader_of(encoded);
    struct sent_label label = {.name = {.ptr = NULL, .length = 0}};
    struct wire_field field;
    int status;

    reading->field = "label";
    while ((status = wire_next(&reader, &field)) > 0) {
        if (field.tag == WIRE_TAG(1, WIRE_BYTES)) {
            label.name = field.bytes;
        } else if (field.tag == WIRE_TAG(2, WIRE_BYTES)) {
            label.value = field.bytes;
        } else if (wire_tag_number(field.tag) <= 2) {
            return WERR_WIRE_TYPE;
        }
    }
    if (status == 0 && reading->point->label_count == SENT_LABEL_COUNT_MAX) {
        return WERR_OVERSIZED;
    }
    if (status == 0) {
        reading->scratch->labels[reading->point->label_count++] = label;
    }
    return status;
}

/* Gauge, Counter, Untyped { double value = 1 } */
static int read_number(struct reading *reading, struct slice encoded)
{
    struct wire_reader reader = wire_reader_of(encoded);
    struct wire_field field;
    int status;

    reading->field = "value";
    reading->has_value = true; /* 0 is not written */
    while ((status = wire_next(&reader, &field)) > 0) {
        if (field.tag == WIRE_TAG(1, WIRE_FIXED64)) {
            reading->point->value = wire_double(field.integer);
        } else if (wire_tag_number(field.tag) == 1) {
            return WERR_WIRE_TYPE;
        }
    }
    return status;
}

/* Summary { sample_count = 1, sample_sum = 2, quantile = 3 } */
static int read_summary(struct reading *reading, struct slice encoded)
{
    struct wire_reader reader = wire_reader_of(encoded);
    struct wire_field field;
    int status;

    reading->has_value = true;
    while ((status = wire_next(&reader, &field)) > 0) {
        reading->field = "summary";
        if (field.tag == WIRE_TAG(1, WIRE_VARINT)) {
            reading->point->count = field.integer;
        } else if (field.tag == WIRE_TAG(2, WIRE_FIXED64)) {
            reading->point->value = wire_double(field.integer);
        } else if (field.tag == WIRE_TAG(3, WIRE_BYTES)) {
            reading->field = "quantile";
            status = sent_point_add_quantile(reading->point, reading->scratch, field.bytes);
        } else if (wire_tag_number(field.tag) <= 3) {
            status = WERR_WIRE_TYPE;
        }
        if (status < 0) {
            break;
        }
    }
    return status;
}

/* Bucket { cumulative_count = 1, upper_bound = 2 }; the one that ends at +Inf is left to the histogram's
 * count. */
static int read_bucket(struct reading *reading, struct slice encoded)
{
    struct sent_point *point = reading->point;
    struct wire_reader reader = wire_reader_of(encoded);
    struct wire_field field;
    uint64_t upto = 0;
    double bound = 0;
    int status;

    reading->field = "bucket";
    while ((status = wire_next(&reader, &field)) > 0) {
        if (field.tag == WIRE_TAG(1, WIRE_VARINT)) {
            upto = field.integer;
        } else if (field.tag == WIRE_TAG(2, WIRE_FIXED64)) {
            bound = wire_double(field.integer);
        } else if (wire_tag_number(field.tag) <= 2) {
            return WERR_WIRE_TYPE;
        }
    }
    if (status < 0 || isinf(bound)) {
        return status;
    }
    if (upto < reading->upto || isnan(bound) ||
        (point->bound_count > 0 && bound <= reading->scratch->bounds[point->bound_count - 1])) {
        return WERR_INVALID;
    }
    if (point->bound_count == SENT_BOUND_COUNT_MAX) {
        return WERR_OVERSIZED;
    }
    reading->scratch->bounds[point->bound_count++] = bound;
    reading->scratch->buckets[point->bucket_count++] = upto - reading->upto;
    reading->upto = upto;
    return 0;
}

/* Histogram { sample_count = 1, sample_sum = 2, bucket = 3 }; of several in a metric the last counts. */
static int read_histogram(struct reading *reading, struct slice encoded)
{
    struct wire_reader reader = wire_reader_of(encoded);
    struct wire_field field;
    int status;

    reading->has_value = true;
    reading->count = reading->upto = 0;
    reading->point->value = 0;
    reading->point->bound_count = reading->point->bucket_count = 0;
    while ((status = wire_next(&reader, &field)) > 0) {
        reading->field = "histogram";
        if (field.tag == WIRE_TAG(1, WIRE_VARINT)) {
            reading->count = field.integer;
        } else if (field.tag == WIRE_TAG(2, WIRE_FIXED64)) {
            reading->point->value = wire_double(field.integer);
        } else if (field.tag == WIRE_TAG(3, WIRE_BYTES)) {
            status = read_bucket(reading, field.bytes);
        } else if (wire_tag_number(field.tag) <= 3) {
            status = WERR_WIRE_TYPE;
        }
        if (status < 0) {
            return status;
        }
    }
    reading->field = "bucket";
    if (reading->count < reading->upto) {
        return WERR_INVALID;
    }
    reading->scratch->buckets[reading->point->bucket_count++] = reading->count - reading->upto;
    return status;
}

/* Metric { label = 1, gauge = 2, counter = 3, summary = 4, untyped = 5, timestamp_ms = 6, histogram = 7 };
 * `number`: the field that the family's type names. */
static int metric_field(struct reading *reading, const struct wire_field *field, uint32_t number)
{
    if (field->tag == WIRE_TAG(1, WIRE_BYTES)) {
        return read_label(reading, field->bytes);
    }
    if (field->tag == WIRE_TAG(6, WIRE_VARINT)) {
        reading->field = "timestamp_ms";
        return __builtin_mul_overflow(field->integer, 1000000u, &reading->point->time_unix_ns) ? WERR_INVALID
                                                                                               : 0;
    }
    if (field->tag != WIRE_TAG(number, WIRE_BYTES)) {
        return 0;
    }
    switch (number) {
    case 4:
        return read_summary(reading, field->bytes);
    case 7:
        return read_histogram(reading, field->bytes);
    default:
        return read_number(reading, field->bytes);
    }
}

/* The point's type, and the number of the field that holds its value; 0 for a type that is not known. */
static uint32_t begin(const struct family *family, struct sent_point *point)
{
    switch (family->type) {
    case FAMILY_COUNTER:
        point->type = SENT_COUNTER;
        point->is_bare = true;
        return 3;
    case FAMILY_GAUGE:
        point->type = SENT_GAUGE;
        return 2;
    case FAMILY_SUMMARY:
        point->type = SENT_SUMMARY;
        point->is_delta = true;
        return 4;
    case FAMILY_UNTYPED:
        point->type = SENT_GAUGE;
        return 5;
    case FAMILY_HISTOGRAM:
        point->type = SENT_EXPLICIT;
        point->is_delta = true;
        return 7;
    default:
        return 0;
    }
}

static int check(const struct family *family, struct reading *reading, uint32_t number)
{
    const struct sent_point *point = reading->point;

    reading->field = "name";
    if (family->name.length == 0) {
        return WERR_INVALID;
    }
    reading->field = "type";
    if (number == 0 || !reading->has_value) {
        return WERR_INVALID; /* the family is of one type, and the metric of another */
    }
    reading->field = "value";
    if (point->type != SENT_GAUGE && !isfinite(point->value)) {
        return WERR_INVALID;
    }
    return (point->type == SENT_COUNTER || point->type == SENT_SUMMARY) && point->value < 0 ? WERR_INVALID
                                                                                            : 0;
}

/* A summary's name, NAME_interval, in the scratch. */
static int name_summary(struct sent_point_scratch *scratch, struct sent_point *point)
{
    size_t suffix_bytes = sizeof SUMMARY_SUFFIX - 1;

    if (point->name.length + suffix_bytes > sizeof scratch->text) {
        return WERR_OVERSIZED;
    }
    memcpy(scratch->text, point->name.ptr, point->name.length);
    memcpy(scratch->text + point->name.length, SUMMARY_SUFFIX, suffix_bytes);
    point->name = slice_of(scratch->text, point->name.length + suffix_bytes);
    return 0;
}

static bool is_about_buckets(const struct reading *reading)
{
    return strcmp(reading->field, "bucket") == 0;
}

/* 0 with *ret_point, or negative with what and why in *where. */
static int read_metric(const struct family *family, struct sent_point_scratch *scratch, struct slice encoded,
    struct sent_point *ret_point, struct decode_error *where)
{
    struct sent_point point = {.name = family->name,
        .unit = family->unit,
        .help = family->help,
        .labels = scratch->labels,
        .buckets = scratch->buckets,
        .bounds = scratch->bounds,
        .quantiles = scratch->quantiles};
    struct reading reading = {.scratch = scratch, .point = &point, .field = "metric"};
    struct wire_reader reader = wire_reader_of(encoded);
    struct wire_field field;
    uint32_t number = begin(family, &point);
    int status;

    while ((status = wire_next(&reader, &field)) > 0) {
        status = metric_field(&reading, &field, number);
        if (status < 0) {
            break;
        }
        reading.field = "metric";
    }
    if (status == 0) {
        status = check(family, &reading, number);
    }
    if (status == 0 && point.type == SENT_SUMMARY) {
        status = name_summary(scratch, &point);
    }
    if (status == 0) {
        *ret_point = point;
        return 0;
    }
    where->code = status;
    where->reason =
        status == WERR_INVALID && is_about_buckets(&reading) ? RECORD_ERROR_BUCKETS : RECORD_ERROR_MALFORMED;
    where->field = reading.field;
    return status;
}

/* MetricFamily { name = 1, help = 2, type = 3, metric = 4, unit = 5 } without its metrics. */
static int read_family(struct slice encoded, struct family *family)
{
    struct wire_reader reader = wire_reader_of(encoded);
    struct wire_field field;
    int status;

    while ((status = wire_next(&reader, &field)) > 0) {
        switch (wire_tag_number(field.tag)) {
        case 1:
            family->name = field.bytes;
            break;
        case 2:
            family->help = field.bytes;
            break;
        case 3:
            family->type = field.integer;
            break;
        case 5:
            family->unit = field.bytes;
            break;
        default:
            break;
        }
        uint32_t number = wire_tag_number(field.tag);
        if (number <= 5 && wire_tag_type(field.tag) != (number == 3 ? WIRE_VARINT : WIRE_BYTES)) {
            return WERR_WIRE_TYPE;
        }
    }
    return status;
}

static int walk_family(struct sent_point_scratch *scratch, struct slice encoded,
    const struct metrics_service_sink *sink, struct decode_error *where)
{
    struct wire_reader reader = wire_reader_of(encoded);
    struct family family = {.type = FAMILY_COUNTER};
    struct wire_field field;
    struct sent_point point;
    int status = read_family(encoded, &family);

    if (status < 0) {
        return status;
    }
    while (wire_next(&reader, &field) > 0) { /* read_family has seen that it is sound */
        if (field.tag != WIRE_TAG(4, WIRE_BYTES)) {
            continue;
        }
        if (read_metric(&family, scratch, field.bytes, &point, where) == 0) {
            sink->on_point(sink->user, &point, where->record);
        } else {
            sink->on_refused(sink->user, where);
        }
        where->record++;
    }
    return 0;
}

int metrics_service_scan(struct sent_point_scratch *scratch, struct slice message,
    const struct metrics_service_sink *sink, struct decode_error *ret_error)
{
    struct wire_reader reader = wire_reader_of(message);
    struct decode_error where = decode_error_of(0, "");
    struct wire_field field;
    int status;

    where.record = 0;
    while ((status = wire_next(&reader, &field)) > 0) {
        if (wire_tag_number(field.tag) != 2) {
            continue;
        }
        status = wire_tag_type(field.tag) == WIRE_BYTES ? walk_family(scratch, field.bytes, sink, &where)
                                                        : WERR_WIRE_TYPE;
        if (status < 0) {
            break;
        }
    }
    if (status < 0) {
        where.code = status;
        where.reason = RECORD_ERROR_NONE;
        where.field = "envoy_metrics";
        *ret_error = where;
    }
    return status;
}

/* Node { id = 1, cluster = 2 } */
static int read_node(struct slice encoded, struct metrics_service_identifier *identifier)
{
    struct wire_reader reader = wire_reader_of(encoded);
    struct wire_field field;
    int status;

    identifier->is_there = true;
    while ((status = wire_next(&reader, &field)) > 0) {
        if (field.tag == WIRE_TAG(1, WIRE_BYTES)) {
            identifier->node_id = field.bytes;
        } else if (field.tag == WIRE_TAG(2, WIRE_BYTES)) {
            identifier->cluster = field.bytes;
        } else if (wire_tag_number(field.tag) <= 2) {
            return WERR_WIRE_TYPE;
        }
    }
    return status;
}

/* Identifier { node = 1 } */
static int read_identifier(struct slice encoded, struct metrics_service_identifier *identifier)
{
    struct wire_reader reader = wire_reader_of(encoded);
    struct wire_field field;
    int status;

    while ((status = wire_next(&reader, &field)) > 0) {
        if (wire_tag_number(field.tag) != 1) {
            continue;
        }
        status = wire_tag_type(field.tag) == WIRE_BYTES ? read_node(field.bytes, identifier) : WERR_WIRE_TYPE;
        if (status < 0) {
            break;
        }
    }
    return status;
}

int metrics_service_identify(struct slice message, struct metrics_service_identifier *ret_identifier)
{
    struct wire_reader reader = wire_reader_of(message);
    struct metrics_service_identifier identifier = {.is_there = false};
    struct wire_field field;
    int status;

    while ((status = wire_next(&reader, &field)) > 0) {
        if (wire_tag_number(field.tag) != 1) {
            continue;
        }
        status = wire_tag_type(field.tag) == WIRE_BYTES ? read_identifier(field.bytes, &identifier)
                                                        : WERR_WIRE_TYPE;
        if (status < 0) {
            break;
        }
    }
    if (status == 0) {
        *ret_identifier = identifier;
    }
    return status;
}
