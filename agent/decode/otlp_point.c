/* Data points of OTLP metrics: otlp_metrics.h. Runs on any thread. */
#include <math.h>

#include "decode/attribute_text.h"
#include "decode/otlp_metrics.h"
#include "decode/wire.h"

enum { FLAG_NO_RECORDED_VALUE = 1, DELTA = 1, CUMULATIVE = 2 };

enum { SCALE_MIN = -10, SCALE_MAX = 20 }; /* as the data model allows */

/* One point on its way. */
struct reading {
    const struct attribute_table *attributes;
    const struct otlp_metric *metric;
    struct sent_point_scratch *scratch;
    struct sent_point *point;
    const char *field; /* what was being read */
    uint64_t count;    /* of a histogram, as it says itself */
    uint64_t negative_count;
    uint64_t flags;
    bool has_value;
};

int otlp_label_add(const struct attribute_table *attributes, struct sent_point_scratch *scratch,
    struct slice encoded, size_t *label_count)
{
    struct attribute attribute;
    struct attribute_meaning meaning;
    struct slice text;
    int status = attribute_read(attributes, encoded, &attribute, &meaning);

    if (status < 0) {
        return status;
    }
    if (*label_count == SENT_LABEL_COUNT_MAX) {
        return WERR_OVERSIZED;
    }
    if (status == 0) {
        status = attribute_text(&attribute.value, attributes->depth_max, scratch->text, sizeof scratch->text,
            &scratch->text_length, &text);
        if (status < 0) {
            return status;
        }
    } else if ((meaning.flags & (ATTRIBUTE_REDACT | ATTRIBUTE_QUERY)) == 0 &&
               attribute.value.type == ATTRIBUTE_TEXT) {
        text = slice_sub(attribute.value.text, 0, slice_find(attribute.value.text, '?'));
    } else {
        text = SLICE_LITERAL(REDACTED_TEXT);
    }
    scratch->labels[(*label_count)++] = (struct sent_label){.name = attribute.key, .value = text};
    return 0;
}

/* Reads all of `packed` fixed64 numbers; WERR_OVERSIZED past `room`. */
static int read_fixed64(struct slice packed, uint64_t *out, size_t room, size_t *count)
{
    if (packed.length % 8 != 0) {
        return WERR_TRUNCATED;
    }
    if (packed.length / 8 > room - *count) {
        return WERR_OVERSIZED;
    }
    if (packed.length > 0) {
        memcpy(out + *count, packed.ptr, packed.length);
        *count += packed.length / 8;
    }
    return 0;
}

static int read_varints(struct slice packed, uint64_t *out, size_t room, size_t *count)
{
    struct wire_reader reader = wire_reader_of(packed);

    while (reader.at < reader.end) {
        if (*count == room) {
            return WERR_OVERSIZED;
        }
        int status = wire_varint(&reader, &out[*count]);
        if (status < 0) {
            return status;
        }
        (*count)++;
    }
    return 0;
}

static int add_one(uint64_t value, uint64_t *out, size_t room, size_t *count)
{
    if (*count == room) {
        return WERR_OVERSIZED;
    }
    out[(*count)++] = value;
    return 0;
}

static int add_bounds(struct reading *reading, const struct wire_field *field)
{
    _Static_assert(sizeof(double) == sizeof(uint64_t), "bounds are read as they lie in the message");
    struct sent_point *point = reading->point;
    uint64_t bits[SENT_BOUND_COUNT_MAX];
    size_t count = 0;
    int status = wire_tag_type(field->tag) == WIRE_BYTES
                     ? read_fixed64(field->bytes, bits, SENT_BOUND_COUNT_MAX, &count)
                     : add_one(field->integer, bits, SENT_BOUND_COUNT_MAX, &count);

    for (size_t i = 0; status == 0 && i < count; i++) {
        if (point->bound_count == SENT_BOUND_COUNT_MAX) {
            return WERR_OVERSIZED;
        }
        reading->scratch->bounds[point->bound_count++] = wire_double(bits[i]);
    }
    return status;
}

/* The fields that points of all kinds have under the same numbers. 1 when it was one, 0, or negative. */
static int common_field(struct reading *reading, const struct wire_field *field)
{
    switch (field->tag) {
    case WIRE_TAG(2, WIRE_FIXED64):
        reading->point->start_unix_ns = field->integer;
        return 1;
    case WIRE_TAG(3, WIRE_FIXED64):
        reading->point->time_unix_ns = field->integer;
        return 1;
    default:
        return wire_tag_number(field->tag) == 2 || wire_tag_number(field->tag) == 3 ? WERR_WIRE_TYPE : 0;
    }
}

static int add_label(struct reading *reading, struct slice encoded)
{
    reading->field = "attributes";
    return otlp_label_add(reading->attributes, reading->scratch, encoded, &reading->point->label_count);
}

/* NumberDataPoint */
static int number_field(struct reading *reading, const struct wire_field *field)
{
    switch (field->tag) {
    case WIRE_TAG(7, WIRE_BYTES):
        return add_label(reading, field->bytes);
    case WIRE_TAG(4, WIRE_FIXED64):
        reading->point->value = wire_double(field->integer);
        reading->has_value = true;
        return 0;
    case WIRE_TAG(6, WIRE_FIXED64):
        reading->point->value = (double)(int64_t)field->integer;
        reading->has_value = true;
        return 0;
    case WIRE_TAG(8, WIRE_VARINT):
        reading->flags = field->integer;
        return 0;
    default:
        return 0;
    }
}

/* HistogramDataPoint */
static int explicit_field(struct reading *reading, const struct wire_field *field)
{
    struct sent_point *point = reading->point;
    struct sent_point_scratch *scratch = reading->scratch;

    switch (field->tag) {
    case WIRE_TAG(9, WIRE_BYTES):
        return add_label(reading, field->bytes);
    case WIRE_TAG(4, WIRE_FIXED64):
        reading->count = field->integer;
        return 0;
    case WIRE_TAG(5, WIRE_FIXED64):
        point->value = wire_double(field->integer);
        return 0;
    case WIRE_TAG(6, WIRE_BYTES):
        reading->field = "bucket_counts";
        return read_fixed64(field->bytes, scratch->buckets, SENT_BOUND_COUNT_MAX + 1, &point->bucket_count);
    case WIRE_TAG(6, WIRE_FIXED64):
        reading->field = "bucket_counts";
        return add_one(field->integer, scratch->buckets, SENT_BOUND_COUNT_MAX + 1, &point->bucket_count);
    case WIRE_TAG(7, WIRE_BYTES):
    case WIRE_TAG(7, WIRE_FIXED64):
        reading->field = "explicit_bounds";
        return add_bounds(reading, field);
    case WIRE_TAG(10, WIRE_VARINT):
        reading->flags = field->integer;
        return 0;
    default:
        return 0;
    }
}

static int32_t zigzag(uint64_t value)
{
    return (int32_t)((uint32_t)value >> 1 ^ -((uint32_t)value & 1));
}

/* Buckets { offset = 1, bucket_counts = 2 }, the positive ones into the scratch. */
static int read_buckets(struct reading *reading, struct slice encoded)
{
    struct wire_reader reader = wire_reader_of(encoded);
    struct wire_field field;
    int status;

    reading->field = "positive";
    while ((status = wire_next(&reader, &field)) > 0) {
        if (field.tag == WIRE_TAG(1, WIRE_VARINT)) {
            reading->point->offset = zigzag(field.integer);
        } else if (field.tag == WIRE_TAG(2, WIRE_BYTES)) {
            status = read_varints(
                field.bytes, reading->scratch->buckets, SENT_BUCKET_COUNT_MAX, &reading->point->bucket_count);
        } else if (field.tag == WIRE_TAG(2, WIRE_VARINT)) {
            status = add_one(field.integer, reading->scratch->buckets, SENT_BUCKET_COUNT_MAX,
                &reading->point->bucket_count);
        }
        if (status < 0) {
            break;
        }
    }
    return status;
}

/* Negative values cannot be shown on a scale that begins at 0: a point that has some is refused. */
static int count_negative(struct reading *reading, struct slice encoded)
{
    struct wire_reader reader = wire_reader_of(encoded);
    struct wire_field field;
    int status;

    reading->field = "negative";
    while ((status = wire_next(&reader, &field)) > 0) {
        struct wire_reader counts = wire_reader_of(field.bytes);
        uint64_t count = field.integer;

        if (wire_tag_number(field.tag) != 2) {
            continue;
        }
        if (field.tag == WIRE_TAG(2, WIRE_VARINT)) {
            reading->negative_count |= count;
            continue;
        }
        while (field.tag == WIRE_TAG(2, WIRE_BYTES) && counts.at < counts.end) {
            status = wire_varint(&counts, &count);
            if (status < 0) {
                return status;
            }
            reading->negative_count |= count;
        }
    }
    return status;
}

/* ExponentialHistogramDataPoint */
static int exponential_field(struct reading *reading, const struct wire_field *field)
{
    struct sent_point *point = reading->point;

    switch (field->tag) {
    case WIRE_TAG(1, WIRE_BYTES):
        return add_label(reading, field->bytes);
    case WIRE_TAG(4, WIRE_FIXED64):
        reading->count = field->integer;
        return 0;
    case WIRE_TAG(5, WIRE_FIXED64):
        point->value = wire_double(field->integer);
        return 0;
    case WIRE_TAG(6, WIRE_VARINT):
        point->scale = zigzag(field->integer);
        return 0;
    case WIRE_TAG(7, WIRE_FIXED64):
        point->zero_count = field->integer;
        return 0;
    case WIRE_TAG(8, WIRE_BYTES):
        return read_buckets(reading, field->bytes);
    case WIRE_TAG(9, WIRE_BYTES):
        return count_negative(reading, field->bytes);
    case WIRE_TAG(10, WIRE_VARINT):
        reading->flags = field->integer;
        return 0;
    default:
        return 0;
    }
}

/* SummaryDataPoint */
static int summary_field(struct reading *reading, const struct wire_field *field)
{
    switch (field->tag) {
    case WIRE_TAG(7, WIRE_BYTES):
        return add_label(reading, field->bytes);
    case WIRE_TAG(4, WIRE_FIXED64):
        reading->point->count = field->integer;
        return 0;
    case WIRE_TAG(5, WIRE_FIXED64):
        reading->point->value = wire_double(field->integer);
        return 0;
    case WIRE_TAG(6, WIRE_BYTES):
        reading->field = "quantile_values";
        return sent_point_add_quantile(reading->point, reading->scratch, field->bytes);
    case WIRE_TAG(8, WIRE_VARINT):
        reading->flags = field->integer;
        return 0;
    default:
        return 0;
    }
}

static int read_fields(struct reading *reading, struct slice encoded,
    int (*one)(struct reading *reading, const struct wire_field *field))
{
    struct wire_reader reader = wire_reader_of(encoded);
    struct wire_field field;
    int status;

    reading->field = "data_point";
    while ((status = wire_next(&reader, &field)) > 0) {
        status = common_field(reading, &field);
        if (status == 0) {
            status = one(reading, &field);
        }
        if (status < 0) {
            break;
        }
        reading->field = "data_point";
    }
    return status;
}

/* Whether the buckets, and `sum` beside them, are as many as the count says. */
static enum record_error check_sum(const struct reading *reading, uint64_t sum)
{
    for (size_t i = 0; i < reading->point->bucket_count; i++) {
        if (__builtin_add_overflow(sum, reading->point->buckets[i], &sum)) {
            return RECORD_ERROR_BUCKETS;
        }
    }
    return sum == reading->count ? RECORD_ERROR_NONE : RECORD_ERROR_BUCKETS;
}

/* RECORD_ERROR_NONE, or why, with reading->field. */
static enum record_error check_explicit(struct reading *reading)
{
    struct sent_point *point = reading->point;

    if (point->bucket_count == 0 && point->bound_count == 0) {
        reading->scratch->buckets[point->bucket_count++] = reading->count; /* count and sum alone */
    }
    reading->field = "explicit_bounds";
    if (point->bucket_count != point->bound_count + 1) {
        return RECORD_ERROR_BUCKETS;
    }
    for (size_t i = 0; i < point->bound_count; i++) {
        if (!isfinite(point->bounds[i]) || (i > 0 && point->bounds[i] <= point->bounds[i - 1])) {
            return RECORD_ERROR_BUCKETS;
        }
    }
    reading->field = "bucket_counts";
    return check_sum(reading, 0);
}

static enum record_error check_exponential(struct reading *reading)
{
    const struct sent_point *point = reading->point;

    reading->field = "scale";
    if (point->scale < SCALE_MIN || point->scale > SCALE_MAX) {
        return RECORD_ERROR_BUCKETS;
    }
    reading->field = "negative";
    if (reading->negative_count > 0) {
        return RECORD_ERROR_BUCKETS;
    }
    reading->field = "positive";
    return check_sum(reading, point->zero_count);
}

static enum record_error check_number(struct reading *reading)
{
    const struct sent_point *point = reading->point;

    reading->field = "value";
    if (!reading->has_value) {
        return RECORD_ERROR_MALFORMED;
    }
    if (point->type == SENT_COUNTER && !(isfinite(point->value) && point->value >= 0)) {
        return RECORD_ERROR_MALFORMED;
    }
    /* one such sum and the gauge would be no number for ever */
    return !point->is_delta || isfinite(point->value) ? RECORD_ERROR_NONE : RECORD_ERROR_MALFORMED;
}

static enum record_error check_values(struct reading *reading)
{
    switch (reading->point->type) {
    case SENT_EXPLICIT:
    case SENT_EXPONENTIAL:
        if (!isfinite(reading->point->value)) {
            reading->field = "sum";
            return RECORD_ERROR_MALFORMED;
        }
        return reading->point->type == SENT_EXPLICIT ? check_explicit(reading) : check_exponential(reading);
    case SENT_SUMMARY:
        reading->field = "sum";
        return isfinite(reading->point->value) && reading->point->value >= 0 ? RECORD_ERROR_NONE
                                                                             : RECORD_ERROR_MALFORMED;
    case SENT_COUNTER:
    case SENT_GAUGE:
    default:
        return check_number(reading);
    }
}

static enum record_error check(struct reading *reading)
{
    struct sent_point *point = reading->point;
    const struct otlp_metric *metric = reading->metric;
    bool needs_temporality = metric->data != OTLP_METRIC_GAUGE && metric->data != OTLP_METRIC_SUMMARY;

    reading->field = "name";
    if (metric->name.length == 0) {
        return RECORD_ERROR_MALFORMED;
    }
    reading->field = "aggregation_temporality";
    if (needs_temporality && metric->temporality != DELTA && metric->temporality != CUMULATIVE) {
        return RECORD_ERROR_MALFORMED;
    }
    if ((reading->flags & FLAG_NO_RECORDED_VALUE) != 0) {
        reading->field = "flags";
        return RECORD_ERROR_NO_VALUE;
    }
    if (point->start_unix_ns > 0 && point->start_unix_ns < OTLP_START_UNIX_NS_MIN) {
        point->start_unix_ns *= 1000;
    }
    reading->field = "start_time_unix_nano";
    if (metric->data != OTLP_METRIC_GAUGE && point->time_unix_ns > 0 &&
        point->time_unix_ns < point->start_unix_ns) {
        return RECORD_ERROR_END;
    }
    return check_values(reading);
}

typedef int otlp_field_reader(struct reading *reading, const struct wire_field *field);

static otlp_field_reader *begin(const struct otlp_metric *metric, struct sent_point *point)
{
    switch (metric->data) {
    case OTLP_METRIC_SUM:
        point->type = metric->is_monotonic ? SENT_COUNTER : SENT_GAUGE;
        break;
    case OTLP_METRIC_HISTOGRAM:
        point->type = SENT_EXPLICIT;
        return explicit_field;
    case OTLP_METRIC_EXPONENTIAL:
        point->type = SENT_EXPONENTIAL;
        return exponential_field;
    case OTLP_METRIC_SUMMARY:
        point->type = SENT_SUMMARY;
        point->is_delta = false;
        return summary_field;
    case OTLP_METRIC_GAUGE:
    case OTLP_METRIC_NO_DATA:
    default:
        point->type = SENT_GAUGE;
        point->is_delta = false;
        break;
    }
    return number_field;
}

enum record_error otlp_point_read(const struct attribute_table *attributes, const struct otlp_metric *metric,
    struct sent_point_scratch *scratch, size_t label_count, struct slice encoded,
    struct sent_point *ret_point, struct decode_error *where)
{
    struct sent_point point = {.is_delta = metric->temporality == DELTA,
        .name = metric->name,
        .is_bare = metric->is_bare && metric->data == OTLP_METRIC_SUM && metric->is_monotonic,
        .unit = metric->unit,
        .help = metric->help,
        .labels = scratch->labels,
        .label_count = label_count,
        .buckets = scratch->buckets,
        .bounds = scratch->bounds,
        .quantiles = scratch->quantiles};
    struct reading reading = {
        .attributes = attributes, .metric = metric, .scratch = scratch, .point = &point};
    int status = read_fields(&reading, encoded, begin(metric, &point));
    enum record_error reason = status < 0 ? RECORD_ERROR_MALFORMED : check(&reading);

    if (reason == RECORD_ERROR_NONE) {
        *ret_point = point;
        return reason;
    }
    where->code = status < 0 ? status : WERR_INVALID;
    where->reason = reason;
    where->field = reading.field;
    return reason;
}
