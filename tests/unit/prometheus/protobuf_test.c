/*
 * What the protobuf encoder wrote, read back by protobuf-c: the values of the text format, native histograms
 * against a recount, and messages that are never too long.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>

#include "encode.h"
#include "exporters/prometheus/native_histogram.h"
#include "prometheus/metrics.pb-c.h"

typedef Io__Prometheus__Client__MetricFamily Family;
typedef Io__Prometheus__Client__Metric Metric;
typedef Io__Prometheus__Client__Histogram Histogram;

enum { FAMILIES_MAX = 64, TEXT_BYTES_MAX = 65536, INDEX_MAX = 512 };

struct decoded {
    Family *families[FAMILIES_MAX];
    size_t count;
};

static void decode(const struct buffer *bytes, struct decoded *ret_decoded)
{
    size_t at = 0;

    ret_decoded->count = 0;
    while (at < bytes->length) {
        size_t length = 0;
        for (unsigned shift = 0;; shift += 7) {
            assert_true(at < bytes->length && shift < 35);
            length |= (size_t)(bytes->data[at] & 0x7f) << shift;
            if (bytes->data[at++] < 0x80) {
                break;
            }
        }
        assert_true(length <= bytes->length - at && ret_decoded->count < FAMILIES_MAX);
        Family *family = io__prometheus__client__metric_family__unpack(NULL, length, bytes->data + at);
        assert_non_null(family);
        /* Nothing that the schema does not know, and every length in its shortest form. */
        assert_int_equal(io__prometheus__client__metric_family__get_packed_size(family), length);
        assert_int_equal(family->base.n_unknown_fields, 0);
        ret_decoded->families[ret_decoded->count++] = family;
        at += length;
    }
}

static void decoded_free(struct decoded *decoded)
{
    for (size_t i = 0; i < decoded->count; i++) {
        io__prometheus__client__metric_family__free_unpacked(decoded->families[i], NULL);
    }
}

static void encode_and_decode(const struct encoder_options *options, const struct fake_family *families,
    size_t family_count, struct decoded *ret_decoded)
{
    struct buffer out;

    encode_families(&prometheus_protobuf, options, families, family_count, &out);
    decode(&out, ret_decoded);
    buffer_deinit(&out);
}

/* `name{labels} ` as the text has it, with one label more. */
static void sample_head(
    char *to, const char *name, const char *suffix, const Metric *metric, const char *bound)
{
    struct snapshot_label labels[17];
    size_t count = 0;
    size_t length = (size_t)snprintf(to, FAKE_LABELS_BYTES_MAX, "\n%s%s", name, suffix);

    for (; count < metric->n_label; count++) {
        labels[count] = (struct snapshot_label){metric->label[count]->name, metric->label[count]->value};
    }
    if (bound != NULL) {
        labels[count++] = (struct snapshot_label){"le", bound};
    }
    if (count > 0) {
        to[length++] = '{';
        length += fake_render_labels(to + length, labels, count);
        to[length++] = '}';
    }
    to[length++] = ' ';
    to[length] = '\0';
}

static const char *text_value(
    const char *text, const char *name, const char *suffix, const Metric *metric, const char *bound)
{
    char head[FAKE_LABELS_BYTES_MAX];

    sample_head(head, name, suffix, metric, bound);
    const char *found = strstr(text, head);
    if (found == NULL) {
        fail_msg("no %s", head + 1);
    }
    return found + strlen(head);
}

static void assert_same(double a, double b)
{
    assert_true(a == b || (isnan(a) && isnan(b)));
}

static double label_seconds(const Io__Prometheus__Client__Timestamp *time)
{
    return (double)time->seconds + (double)time->nanos / 1e9;
}

/* The exemplar after a sample's value, or none in both. */
static void check_exemplar(const char *value, const Io__Prometheus__Client__Exemplar *exemplar)
{
    const char *line_end = strchr(value, '\n');
    const char *mark = strstr(value, " # {");

    assert_non_null(line_end);
    if (exemplar == NULL) {
        assert_true(mark == NULL || mark > line_end);
        return;
    }
    assert_true(mark != NULL && mark < line_end);
    struct snapshot_label labels[2];
    char text[128] = "";
    for (size_t i = 0; i < exemplar->n_label; i++) {
        labels[i] = (struct snapshot_label){exemplar->label[i]->name, exemplar->label[i]->value};
    }
    size_t length = fake_render_labels(text, labels, exemplar->n_label);
    assert_memory_equal(mark + 4, text, length);
    char *end = NULL;
    assert_same(strtod(mark + 4 + length + 2, &end), exemplar->value);
    assert_true(exemplar->has_value);
    assert_float_equal(strtod(end, NULL), label_seconds(exemplar->timestamp), 1e-6);
}

static void check_created(
    const char *text, const char *name, const Metric *metric, const Io__Prometheus__Client__Timestamp *time)
{
    char head[FAKE_LABELS_BYTES_MAX];

    sample_head(head, name, "_created", metric, NULL);
    const char *found = strstr(text, head);
    assert_int_equal(found == NULL, time == NULL);
    if (found != NULL) {
        assert_float_equal(strtod(found + strlen(head), NULL), label_seconds(time), 1e-6);
    }
}

static void check_buckets(const char *text, const char *name, const Metric *metric)
{
    const Histogram *histogram = metric->histogram;

    assert_true(histogram->n_bucket > 0);
    for (size_t i = 0; i < histogram->n_bucket; i++) {
        const Io__Prometheus__Client__Bucket *bucket = histogram->bucket[i];
        char bound[32];
        (void)snprintf(bound, sizeof bound, "%g", bucket->upper_bound);
        if (strpbrk(bound, ".e") == NULL) {
            (void)snprintf(
                bound, sizeof bound, isinf(bucket->upper_bound) ? "+Inf" : "%g.0", bucket->upper_bound);
        }
        const char *value = text_value(text, name, "_bucket", metric, bound);
        assert_int_equal(strtoull(value, NULL, 10), bucket->cumulative_count);
        check_exemplar(value, bucket->exemplar);
    }
    assert_true(isinf(histogram->bucket[histogram->n_bucket - 1]->upper_bound));
}

static void check_metric(const char *text, const Family *family, const char *base_name, const Metric *metric)
{
    assert_false(metric->has_timestamp_ms);
    if (metric->gauge != NULL) {
        assert_same(strtod(text_value(text, family->name, "", metric, NULL), NULL), metric->gauge->value);
    } else if (metric->counter != NULL) {
        const char *value = text_value(text, family->name, "", metric, NULL);
        assert_same(strtod(value, NULL), metric->counter->value);
        check_exemplar(value, metric->counter->exemplar);
        check_created(text, base_name, metric, metric->counter->created_timestamp);
    } else {
        const Histogram *histogram = metric->histogram;
        assert_non_null(histogram);
        assert_int_equal(
            strtoull(text_value(text, base_name, "_count", metric, NULL), NULL, 10), histogram->sample_count);
        assert_same(strtod(text_value(text, base_name, "_sum", metric, NULL), NULL), histogram->sample_sum);
        check_buckets(text, base_name, metric);
        check_created(text, base_name, metric, histogram->created_timestamp);
    }
}

static void test_same_values_as_text(void **state)
{
    struct decoded decoded;
    struct buffer text;
    size_t metric_count = 0;

    (void)state;
    encode_and_decode(&encode_everything, fake_families, FAKE_FAMILY_COUNT, &decoded);
    encode_families(&prometheus_openmetrics, &encode_everything, fake_families, FAKE_FAMILY_COUNT, &text);
    assert_int_equal(buffer_append_byte(&text, 0), 0);
    size_t at = 0;
    for (size_t i = 0; i < decoded.count; i++, at++) {
        const Family *family = decoded.families[i];
        at += fake_families[at].series_count == 0;
        const struct snapshot_family *expected = &fake_families[at].family;
        assert_memory_equal(family->name, expected->name, strlen(expected->name));
        assert_string_equal(family->help, expected->help);
        assert_int_equal(family->n_metric, fake_families[at].series_count);
        for (size_t j = 0; j < family->n_metric; j++) {
            check_metric((const char *)text.data, family, expected->name, family->metric[j]);
            metric_count++;
        }
    }
    assert_int_equal(at, FAKE_FAMILY_COUNT);
    assert_int_equal(metric_count, 17);
    buffer_deinit(&text);
    decoded_free(&decoded);
}

static void test_names_types_and_units(void **state)
{
    static const struct {
        const char *name;
        Io__Prometheus__Client__MetricType type;
        const char *unit;
    } expected[] = {
        {"weft_records_received_total", IO__PROMETHEUS__CLIENT__METRIC_TYPE__COUNTER, NULL},
        {"proxy_queue_bytes", IO__PROMETHEUS__CLIENT__METRIC_TYPE__GAUGE, "bytes"},
        {"proxy_load", IO__PROMETHEUS__CLIENT__METRIC_TYPE__GAUGE, NULL},
        {"mesh_service_info", IO__PROMETHEUS__CLIENT__METRIC_TYPE__GAUGE, NULL},
        {"mesh_request_duration_seconds", IO__PROMETHEUS__CLIENT__METRIC_TYPE__HISTOGRAM, "seconds"},
    };
    struct decoded decoded;

    (void)state;
    encode_and_decode(&encode_everything, fake_families, FAKE_FAMILY_COUNT, &decoded);
    assert_int_equal(decoded.count, 5);
    for (size_t i = 0; i < decoded.count; i++) {
        assert_string_equal(decoded.families[i]->name, expected[i].name);
        assert_int_equal(decoded.families[i]->type, expected[i].type);
        assert_int_equal(decoded.families[i]->unit == NULL, expected[i].unit == NULL);
        if (expected[i].unit != NULL) {
            assert_string_equal(decoded.families[i]->unit, expected[i].unit);
        }
    }
    decoded_free(&decoded);
}

/* The vector that Prometheus' exporters agree on. */
static void test_spans_of_vector(void **state)
{
    static const int64_t deltas[] = {10, 10, -15, -3};
    struct decoded decoded;

    (void)state;
    encode_and_decode(&encode_everything, &fake_families[5], 1, &decoded);
    const Histogram *vector = decoded.families[0]->metric[0]->histogram;
    assert_int_equal(vector->schema, 3);
    assert_int_equal(vector->zero_count, 3);
    assert_same(vector->zero_threshold, fake_vector.zero_threshold);
    assert_int_equal(vector->n_positive_span, 2);
    assert_int_equal(vector->positive_span[0]->offset, 4);
    assert_int_equal(vector->positive_span[0]->length, 1);
    assert_int_equal(vector->positive_span[1]->offset, 2);
    assert_int_equal(vector->positive_span[1]->length, 3);
    assert_int_equal(vector->n_positive_delta, 4);
    assert_memory_equal(vector->positive_delta, deltas, sizeof deltas);
    assert_int_equal(vector->n_exemplars, 3);
    for (size_t i = 0; i < vector->n_exemplars; i++) {
        assert_same(vector->exemplars[i]->value, fake_exemplars[i].value);
        assert_non_null(vector->exemplars[i]->timestamp);
    }
    decoded_free(&decoded);
}

/* Zeros only, and nothing at all: still native, by a span of nothing. */
static void test_no_op_span(void **state)
{
    struct decoded decoded;

    (void)state;
    encode_and_decode(&encode_everything, &fake_families[5], 1, &decoded);
    for (size_t i = 1; i <= 2; i++) {
        const Histogram *histogram = decoded.families[0]->metric[i]->histogram;
        assert_true(histogram->has_schema);
        assert_int_equal(histogram->n_positive_span, 1);
        assert_int_equal(histogram->positive_span[0]->offset, 0);
        assert_int_equal(histogram->positive_span[0]->length, 0);
        assert_int_equal(histogram->n_positive_delta, 0);
        assert_int_equal(histogram->zero_count, i == 1 ? 7 : 0);
    }
    const Histogram *coarse = decoded.families[0]->metric[4]->histogram;
    assert_false(coarse->has_schema);
    assert_int_equal(coarse->n_positive_span, 0);
    assert_int_equal(coarse->n_bucket, 1);
    decoded_free(&decoded);
}

static void test_options(void **state)
{
    struct decoded decoded;

    (void)state;
    encode_and_decode(
        &(struct encoder_options){.native_histograms = true}, fake_families, FAKE_FAMILY_COUNT, &decoded);
    const Histogram *histogram = decoded.families[4]->metric[0]->histogram;
    assert_int_equal(histogram->n_bucket, 0);
    assert_int_equal(histogram->n_positive_span, 2);
    assert_int_equal(histogram->n_exemplars, 0);
    assert_null(histogram->created_timestamp);
    assert_null(decoded.families[0]->metric[0]->counter->exemplar);
    assert_null(decoded.families[0]->metric[0]->counter->created_timestamp);
    decoded_free(&decoded);

    encode_and_decode(&(struct encoder_options){.classic_histograms = true}, &fake_families[5], 1, &decoded);
    histogram = decoded.families[0]->metric[0]->histogram;
    assert_int_equal(histogram->n_bucket, 7);
    assert_null(histogram->bucket[3]->exemplar);
    assert_false(histogram->has_schema || histogram->has_zero_threshold);
    assert_int_equal(histogram->n_positive_span + histogram->n_exemplars, 0);
    decoded_free(&decoded);
}

/* A family of many series: messages of one name, in order, none of them long. */
static void test_messages_are_short(void **state)
{
    const struct fake_family families[] = {
        {.family = {.name = "mesh_requests", .type = SNAPSHOT_COUNTER, .unit = "", .help = "Requests."},
            FAKE_SERIES({FAKE_LABELS({"source", "a"}), .integer = 5, .is_integer = 1}),
            .repeat_count = 1000}};
    struct decoded decoded;
    size_t series_count = 0;

    (void)state;
    encode_and_decode(&encode_everything, families, 1, &decoded);
    assert_true(decoded.count > 1);
    for (size_t i = 0; i < decoded.count; i++) {
        assert_string_equal(decoded.families[i]->name, "mesh_requests_total");
        assert_string_equal(decoded.families[i]->help, "Requests.");
        assert_true(decoded.families[i]->n_metric > 0 && decoded.families[i]->n_metric <= 64);
        for (size_t j = 0; j < decoded.families[i]->n_metric; j++, series_count++) {
            char number[24];
            (void)snprintf(number, sizeof number, "%zu", series_count);
            assert_string_equal(decoded.families[i]->metric[j]->label[1]->value, number);
        }
    }
    assert_int_equal(series_count, 1000);
    decoded_free(&decoded);
}

/* Spans and deltas back to counts by index; counts[INDEX_MAX / 2] is index 0. */
static size_t expand(const Histogram *histogram, int64_t counts[static INDEX_MAX])
{
    int64_t index = INDEX_MAX / 2;
    int64_t count = 0;
    size_t delta = 0;

    memset(counts, 0, INDEX_MAX * sizeof counts[0]);
    for (size_t i = 0; i < histogram->n_positive_span; i++) {
        const Io__Prometheus__Client__BucketSpan *span = histogram->positive_span[i];
        assert_true(i == 0 || span->offset > 0);
        assert_true(span->length > 0);
        index += span->offset;
        for (uint32_t j = 0; j < span->length; j++, index++) {
            assert_true(delta < histogram->n_positive_delta && index >= 0 && index < INDEX_MAX);
            count += histogram->positive_delta[delta++];
            assert_true(count > 0);
            counts[index] = count;
        }
    }
    assert_int_equal(delta, histogram->n_positive_delta);
    return delta;
}

/* The same from the buckets: OpenTelemetry index i is one upwards in Prometheus, and half at each scale down.
 */
static void recount(
    const struct snapshot_histogram *histogram, int32_t schema, int64_t counts[static INDEX_MAX])
{
    memset(counts, 0, INDEX_MAX * sizeof counts[0]);
    for (size_t i = 0; i < histogram->bucket_count; i++) {
        double width = ldexp(1, histogram->scale - schema);
        double index = floor((double)(histogram->offset + (int32_t)i) / width) + 1;
        counts[(size_t)(index + INDEX_MAX / 2)] += (int64_t)histogram->buckets[i];
    }
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void check_native(
    const struct snapshot_histogram *histogram, int32_t native_scale, uint32_t native_buckets_max)
{
    static int64_t found[INDEX_MAX];
    static int64_t expected[INDEX_MAX];
    const struct snapshot snapshot = {.native_scale = native_scale, .native_buckets_max = native_buckets_max};
    struct buffer out;

    buffer_init(&out, ENCODE_CAP_BYTES);
    int32_t shift = native_shift(&snapshot, histogram);
    native_histogram_write(&out, histogram, shift);
    assert_int_equal(out.error, 0);
    Histogram *decoded = io__prometheus__client__histogram__unpack(NULL, out.length, out.data);
    assert_non_null(decoded);
    int32_t schema = decoded->schema;
    assert_true(schema <= native_scale && schema <= histogram->scale && schema >= NATIVE_SCHEMA_MIN);
    size_t bucket_count = expand(decoded, found);
    recount(histogram, schema, expected);
    assert_memory_equal(found, expected, sizeof found);
    assert_true(bucket_count <= native_buckets_max || schema == NATIVE_SCHEMA_MIN);
    int32_t wanted = native_scale < histogram->scale ? native_scale : histogram->scale;
    if (schema < wanted) { /* no lower than needed */
        struct native_walk walk = native_walk_of(histogram, shift - 1);
        bucket_count = 0;
        while (native_walk_next(&walk)) {
            bucket_count++;
        }
        assert_true(bucket_count > native_buckets_max);
    }
    io__prometheus__client__histogram__free_unpacked(decoded, NULL);
    buffer_deinit(&out);
}

static void test_native_equals_recount(void **state)
{
    uint64_t random = 88172645463325252U;
    uint64_t buckets[200];

    (void)state;
    for (int round = 0; round < 20000; round++) {
        size_t bucket_count = 1 + next_random(&random) % 200;
        uint64_t density = 1 + next_random(&random) % 8;
        for (size_t i = 0; i < bucket_count; i++) {
            bool empty = next_random(&random) % 8 >= density;
            buckets[i] = empty ? 0 : next_random(&random) >> (next_random(&random) % 56 + 8);
        }
        buckets[next_random(&random) % bucket_count] = 1;
        const struct snapshot_histogram histogram = {.scale = (int32_t)(next_random(&random) % 13) - 4,
            .offset = (int32_t)(next_random(&random) % 240) - 220,
            .bucket_count = bucket_count,
            .buckets = buckets};
        check_native(
            &histogram, (int32_t)(next_random(&random) % 13) - 4, (uint32_t)(1 + next_random(&random) % 160));
    }
}

/* Scales and offsets that nobody sends on purpose: no crash, and everything still counted. */
static void test_native_extremes(void **state)
{
    static const int32_t scales[] = {INT32_MIN, -5, -4, 8, 20, NATIVE_SCALE_MAX, INT32_MAX};
    static const int32_t offsets[] = {INT32_MIN, -1, 0, INT32_MAX - 2};

    (void)state;
    for (size_t i = 0; i < 7 * 4; i++) {
        const struct snapshot_histogram histogram = {.scale = scales[i / 4],
            .offset = offsets[i % 4],
            .bucket_count = 2,
            .buckets = FAKE_ARRAY(uint64_t, 1, 2)};
        const struct snapshot snapshot = {.native_scale = INT32_MAX, .native_buckets_max = 0};
        int32_t shift = native_shift(&snapshot, &histogram);
        bool readable = histogram.scale >= NATIVE_SCHEMA_MIN && histogram.scale <= NATIVE_SCALE_MAX;
        assert_int_equal(shift >= 0, readable);
        if (shift >= 0) {
            struct native_walk walk = native_walk_of(&histogram, shift);
            uint64_t count = 0;
            while (native_walk_next(&walk)) {
                count += walk.count;
            }
            assert_int_equal(count, 3);
            assert_int_equal(histogram.scale - shift, NATIVE_SCHEMA_MIN);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_values_as_text),
        cmocka_unit_test(test_names_types_and_units),
        cmocka_unit_test(test_spans_of_vector),
        cmocka_unit_test(test_no_op_span),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_messages_are_short),
        cmocka_unit_test(test_native_equals_recount),
        cmocka_unit_test(test_native_extremes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
