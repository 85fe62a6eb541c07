/*
 * The protobuf format: MetricFamily messages, each behind its length (proto/prometheus/metrics.proto). Runs
 * where the encoding runs.
 *
 * A family's length stands before it, so a large family cannot be handed out piece by piece. It is written as
 * several messages of the same name instead, METRICS_PER_MESSAGE_MAX series each: readers take families one
 * by one as they come, and a slice never has more than one message to hold back.
 */
#include <math.h>

#include "core/error.h"
#include "exporters/prometheus/exemplar_walk.h"
#include "exporters/prometheus/exposition.h"
#include "exporters/prometheus/native_histogram.h"
#include "exporters/prometheus/prometheus_exporter.h"
#include "exporters/prometheus/wire_out.h"

enum { METRICS_PER_MESSAGE_MAX = 64 };

enum { /* field numbers, by message */
    FAMILY_NAME = 1,
    FAMILY_HELP = 2,
    FAMILY_TYPE = 3,
    FAMILY_METRIC = 4,
    FAMILY_UNIT = 5,
    METRIC_LABEL = 1,
    METRIC_GAUGE = 2,
    METRIC_COUNTER = 3,
    METRIC_HISTOGRAM = 7,
    LABEL_NAME = 1,
    LABEL_VALUE = 2,
    GAUGE_VALUE = 1,
    COUNTER_VALUE = 1,
    COUNTER_EXEMPLAR = 2,
    COUNTER_CREATED = 3,
    HISTOGRAM_COUNT = 1,
    HISTOGRAM_SUM = 2,
    HISTOGRAM_BUCKET = 3,
    HISTOGRAM_CREATED = 15,
    HISTOGRAM_EXEMPLARS = 16,
    BUCKET_COUNT = 1,
    BUCKET_BOUND = 2,
    BUCKET_EXEMPLAR = 3,
    EXEMPLAR_LABEL = 1,
    EXEMPLAR_VALUE = 2,
    EXEMPLAR_TIME = 3,
    TIME_SECONDS = 1,
    TIME_NANOS = 2
};

/* enum MetricType, and what a family's name ends in, by enum snapshot_type */
static const struct {
    const char *suffix;
    uint64_t type;
} types[] = {
    [SNAPSHOT_COUNTER] = {.suffix = "_total", .type = 0},
    [SNAPSHOT_GAUGE] = {.suffix = "", .type = 1},
    [SNAPSHOT_INFO] = {.suffix = "_info", .type = 1},
    [SNAPSHOT_HISTOGRAM] = {.suffix = "", .type = 4},
    [SNAPSHOT_BARE_COUNTER] = {.suffix = "", .type = 0},
};

struct protobuf_exposition {
    struct exposition base;
    struct buffer message; /* the family being written, without its length */
    size_t head_length;    /* of name, help, type and unit, kept from message to message */
    size_t metric_count;
};

static int init(struct exposition *exposition)
{
    struct protobuf_exposition *self = (struct protobuf_exposition *)exposition;

    buffer_init(&self->message, exposition->out->cap_bytes);
    return 0;
}

static void deinit(struct exposition *exposition)
{
    buffer_deinit(&((struct protobuf_exposition *)exposition)->message);
}

/* Hands out the message, if it has any series. */
static int flush(struct protobuf_exposition *self)
{
    if (self->metric_count > 0 && self->message.error == 0) {
        wire_out_varint(self->base.out, self->message.length);
        buffer_append(self->base.out, self->message.data, self->message.length);
        self->message.length = self->head_length;
        self->metric_count = 0;
    }
    return self->message.error < 0 ? self->message.error : self->base.out->error;
}

static int family_begin(struct exposition *exposition, const struct snapshot_family *family)
{
    struct protobuf_exposition *self = (struct protobuf_exposition *)exposition;
    struct buffer *message = &self->message;
    int error = flush(self);

    if (error < 0) {
        return error;
    }
    message->length = 0;
    wire_out_tag(message, FAMILY_NAME, WIRE_OUT_BYTES);
    wire_out_varint(message, strlen(family->name) + strlen(types[family->type].suffix));
    buffer_append_text(message, family->name);
    buffer_append_text(message, types[family->type].suffix);
    if (family->help != NULL && family->help[0] != '\0') {
        wire_out_text(message, FAMILY_HELP, family->help);
    }
    wire_out_u64(message, FAMILY_TYPE, types[family->type].type);
    if (exposition_has_unit(family)) {
        wire_out_text(message, FAMILY_UNIT, family->unit);
    }
    self->head_length = message->length;
    return message->error;
}

static void write_label(struct buffer *out, uint32_t field, const char *name, struct slice value)
{
    size_t label = wire_out_begin(out, field);

    wire_out_text(out, LABEL_NAME, name);
    wire_out_bytes(out, LABEL_VALUE, value.ptr, value.length);
    wire_out_end(out, label);
}

static void write_time(struct buffer *out, uint32_t field, uint64_t time_unix_ns)
{
    size_t time = wire_out_begin(out, field);

    wire_out_u64(out, TIME_SECONDS, time_unix_ns / 1000000000U);
    wire_out_u64(out, TIME_NANOS, time_unix_ns % 1000000000U);
    wire_out_end(out, time);
}

static void write_exemplar(struct buffer *out, uint32_t field, const struct snapshot_exemplar *exemplar)
{
    char hex[EXEMPLAR_TRACE_HEX_BYTES];
    size_t start = wire_out_begin(out, field);
    size_t length = exemplar_hex(hex, exemplar->trace_id, sizeof exemplar->trace_id);

    write_label(out, EXEMPLAR_LABEL, "trace_id", slice_of(hex, length));
    if (exemplar_has_span(exemplar)) {
        length = exemplar_hex(hex, exemplar->span_id, sizeof exemplar->span_id);
        write_label(out, EXEMPLAR_LABEL, "span_id", slice_of(hex, length));
    }
    wire_out_double(out, EXEMPLAR_VALUE, exemplar->value);
    write_time(out, EXEMPLAR_TIME, exemplar->time_unix_ns);
    wire_out_end(out, start);
}

static void write_gauge(struct buffer *out, double value)
{
    size_t gauge = wire_out_begin(out, METRIC_GAUGE);

    wire_out_double(out, GAUGE_VALUE, value);
    wire_out_end(out, gauge);
}

static void write_counter(
    struct buffer *out, const struct encoder_options *options, const struct snapshot_series *series)
{
    size_t counter = wire_out_begin(out, METRIC_COUNTER);

    wire_out_double(out, COUNTER_VALUE, series->is_integer ? (double)series->integer : series->value);
    if (options->exemplars && series->exemplar != NULL) {
        write_exemplar(out, COUNTER_EXEMPLAR, series->exemplar);
    }
    if (options->created && series->created_unix_ns != 0) {
        write_time(out, COUNTER_CREATED, series->created_unix_ns);
    }
    wire_out_end(out, counter);
}

static void write_bucket(
    struct buffer *out, double bound, uint64_t count, const struct snapshot_exemplar *exemplar)
{
    size_t bucket = wire_out_begin(out, HISTOGRAM_BUCKET);

    wire_out_u64(out, BUCKET_COUNT, count);
    wire_out_double(out, BUCKET_BOUND, bound);
    if (exemplar != NULL) {
        write_exemplar(out, BUCKET_EXEMPLAR, exemplar);
    }
    wire_out_end(out, bucket);
}

static void write_classic(struct buffer *out, const struct snapshot_histogram *histogram, bool exemplars)
{
    struct exemplar_walk walk = exemplar_walk_of(histogram);

    if (!exemplars) {
        walk.left_count = 0;
    }
    for (size_t i = 0; i < classic_bound_count(histogram); i++) {
        double bound = histogram->bounds[i];
        write_bucket(out, bound, histogram->bound_counts[i], exemplar_walk_next(&walk, bound));
    }
    write_bucket(out, INFINITY, histogram->count, exemplar_walk_next(&walk, INFINITY));
}

/* Classic buckets also stand in where no native histogram is wanted or can be. */
static void write_histogram(
    struct protobuf_exposition *self, const struct snapshot *snapshot, const struct snapshot_series *series)
{
    const struct snapshot_histogram *histogram = series->histogram;
    const struct encoder_options *options = self->base.options;
    struct buffer *out = &self->message;
    int32_t shift = options->native_histograms ? native_shift(snapshot, histogram) : -1;
    size_t start = wire_out_begin(out, METRIC_HISTOGRAM);

    wire_out_u64(out, HISTOGRAM_COUNT, histogram->count);
    wire_out_double(out, HISTOGRAM_SUM, histogram->sum);
    if (options->classic_histograms || shift < 0) {
        write_classic(out, histogram, options->exemplars);
    }
    if (shift >= 0) {
        native_histogram_write(out, histogram, shift);
    }
    if (options->created && series->created_unix_ns != 0) {
        write_time(out, HISTOGRAM_CREATED, series->created_unix_ns);
    }
    for (size_t i = 0; shift >= 0 && options->exemplars && i < histogram->exemplar_count; i++) {
        write_exemplar(out, HISTOGRAM_EXEMPLARS, &histogram->exemplars[i]);
    }
    wire_out_end(out, start);
}

static void write_metric(struct protobuf_exposition *self, enum snapshot_type type,
    const struct snapshot *snapshot, const struct snapshot_series *series)
{
    struct buffer *out = &self->message;
    size_t metric = wire_out_begin(out, FAMILY_METRIC);

    for (size_t i = 0; i < series->label_count; i++) {
        const struct snapshot_label *label = &series->labels[i];
        write_label(out, METRIC_LABEL, label->name, slice_of_string(label->value));
    }
    switch (type) {
    case SNAPSHOT_COUNTER:
    case SNAPSHOT_BARE_COUNTER:
        write_counter(out, self->base.options, series);
        break;
    case SNAPSHOT_GAUGE:
        write_gauge(out, series->value);
        break;
    case SNAPSHOT_INFO:
        write_gauge(out, 1);
        break;
    case SNAPSHOT_HISTOGRAM:
        write_histogram(self, snapshot, series);
        break;
    }
    wire_out_end(out, metric);
}

static int put_series(struct exposition *exposition, const struct snapshot_family *family,
    const struct snapshot *snapshot, const struct snapshot_series *series)
{
    struct protobuf_exposition *self = (struct protobuf_exposition *)exposition;

    if (family->type == SNAPSHOT_HISTOGRAM && series->histogram == NULL) {
        return WERR_INVALID;
    }
    write_metric(self, family->type, snapshot, series);
    self->metric_count++;
    return self->metric_count == METRICS_PER_MESSAGE_MAX ? flush(self) : self->message.error;
}

static int end(struct exposition *exposition)
{
    return flush((struct protobuf_exposition *)exposition);
}

static const struct exposition_format format = {
    .state_bytes = sizeof(struct protobuf_exposition),
    .init = init,
    .deinit = deinit,
    .family = family_begin,
    .series = put_series,
    .end = end,
};

static int protobuf_open(const struct encoder_options *options, struct buffer *out, void **ret_state)
{
    return exposition_open(&format, options, out, ret_state);
}

const struct encoder_type prometheus_protobuf = EXPOSITION_ENCODER("protobuf",
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
    protobuf_open);
