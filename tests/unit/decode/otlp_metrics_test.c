/* OTLP metrics: each kind of data point, labels, repairs, what is refused and how much goes with it. */
#include "decode/otlp_metrics.h"

#include <math.h>

#include "decode/attribute_text.h"
#include "opentelemetry/metrics.pb-c.h"
#include "testing.h"
#include "unit/wire_parts.h"

enum { SEEN_MAX = 16, LABELS_MAX = 8 };

struct seen {
    struct sent_point points[SEEN_MAX];
    struct sent_label labels[SEEN_MAX][LABELS_MAX];
    uint64_t buckets[SEEN_MAX][8];
    double bounds[SEEN_MAX][8];
    struct sent_quantile quantiles[SEEN_MAX][4];
    uint32_t point_count;
    struct decode_error refused[SEEN_MAX];
    uint32_t refused_count;
    struct otlp_metrics_result result;
    struct decode_error error;
    int status;
};

static void on_point(void *user, const struct sent_point *point, uint32_t record)
{
    struct seen *seen = user;
    uint32_t i = seen->point_count++;

    assert_int_equal(record, i + seen->refused_count);
    if (i >= SEEN_MAX) {
        return;
    }
    seen->points[i] = *point;
    memcpy(seen->labels[i], point->labels,
        (point->label_count < LABELS_MAX ? point->label_count : LABELS_MAX) * sizeof(struct sent_label));
    memcpy(seen->buckets[i], point->buckets,
        (point->bucket_count < 8 ? point->bucket_count : 8) * sizeof(uint64_t));
    memcpy(
        seen->bounds[i], point->bounds, (point->bound_count < 8 ? point->bound_count : 8) * sizeof(double));
    memcpy(seen->quantiles[i], point->quantiles,
        (point->quantile_count < 4 ? point->quantile_count : 4) * sizeof(struct sent_quantile));
}

static void on_refused(void *user, const struct decode_error *where)
{
    struct seen *seen = user;
    uint32_t i = seen->refused_count++;

    assert_int_equal(where->record, i + seen->point_count);
    assert_true(where->code < 0 && where->reason != RECORD_ERROR_NONE);
    if (i < SEEN_MAX) {
        seen->refused[i] = *where;
    }
}

static struct attribute_table table;
static struct sent_point_scratch scratch;
static struct seen seen;

static int setup(void **state)
{
    struct redaction redaction;

    (void)state;
    redaction_init_default(&redaction);
    attribute_table_init(&table, &redaction, 4);
    return 0;
}

static void scan(struct slice message)
{
    struct otlp_metrics_sink sink = {.user = &seen, .on_point = on_point, .on_refused = on_refused};

    seen = (struct seen){.point_count = 0};
    seen.status = otlp_metrics_scan(&table, &scratch, message, &sink, &seen.result, &seen.error);
    assert_int_equal(seen.result.points_count, seen.point_count);
    assert_int_equal(seen.result.refused_count + seen.result.no_value_count, seen.refused_count);
}

/* ---- messages ---- */

/* A metric that is open at its data; `data`: field number of Metric. */
static void message_begin(struct parts *parts, uint32_t data, uint64_t temporality, bool is_monotonic)
{
    parts_begin(parts);
    begin(parts, 1);
    begin(parts, 1);
    test_text_attribute(&parts->out, 1, "service.name", "shop");
    test_text_attribute(&parts->out, 1, "host.name", "n1");
    end(parts);
    begin(parts, 2);
    begin(parts, 1);
    wire_write_bytes(&parts->out, 1, SLICE_LITERAL("lib"));
    end(parts);
    begin(parts, 2);
    wire_write_bytes(&parts->out, 1, SLICE_LITERAL("rpc.count"));
    wire_write_bytes(&parts->out, 2, SLICE_LITERAL("Calls."));
    wire_write_bytes(&parts->out, 3, SLICE_LITERAL("By"));
    begin(parts, data);
    if (temporality > 0) {
        wire_write_varint(&parts->out, 2, temporality);
    }
    if (is_monotonic) {
        wire_write_varint(&parts->out, 3, 1);
    }
}

static void message_end(struct parts *parts)
{
    scan(parts_end(parts)); /* slices of what was seen stay in the message */
}

static void put_times(struct parts *parts)
{
    wire_write_fixed64(&parts->out, 2, TEST_NOW_UNIX_NS - 1000);
    wire_write_fixed64(&parts->out, 3, TEST_NOW_UNIX_NS);
}

static void put_number(struct parts *parts, double value)
{
    begin(parts, 1);
    put_times(parts);
    put_double(parts, 4, value);
    end(parts);
}

static void check_label(uint32_t point, size_t i, const char *name, const char *value)
{
    assert_true(i < seen.points[point].label_count);
    assert_true(slice_equal(seen.labels[point][i].name, slice_of_string(name)));
    assert_true(slice_equal(seen.labels[point][i].value, slice_of_string(value)));
}

static void check_refused(uint32_t i, enum record_error reason, const char *field)
{
    assert_true(i < seen.refused_count);
    assert_string_equal(record_error_name(seen.refused[i].reason), record_error_name(reason));
    assert_string_equal(seen.refused[i].field, field);
}

/* ---- numbers ---- */

static void sums_are_counters_or_gauges(void **state)
{
    static const struct {
        uint64_t temporality;
        bool is_monotonic;
        enum sent_point_type type;
    } cases[] = {
        {2, true, SENT_COUNTER}, {1, true, SENT_COUNTER}, {2, false, SENT_GAUGE}, {1, false, SENT_GAUGE}};
    struct parts parts;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        message_begin(&parts, OTLP_METRIC_SUM, cases[i].temporality, cases[i].is_monotonic);
        begin(&parts, 1);
        put_times(&parts);
        wire_write_fixed64(&parts.out, 6, 17); /* as_int */
        test_text_attribute(&parts.out, 7, "method", "GET");
        end(&parts);
        message_end(&parts);
        assert_int_equal(seen.status, 0);
        assert_int_equal(seen.point_count, 1);
        assert_int_equal(seen.points[0].type, cases[i].type);
        assert_int_equal(seen.points[0].is_delta, cases[i].temporality == 1);
        assert_true(seen.points[0].value == 17);
        assert_true(slice_equal(seen.points[0].name, SLICE_LITERAL("rpc.count")));
        assert_true(slice_equal(seen.points[0].unit, SLICE_LITERAL("By")));
        assert_true(slice_equal(seen.points[0].help, SLICE_LITERAL("Calls.")));
        assert_true(seen.points[0].time_unix_ns == TEST_NOW_UNIX_NS);
        assert_true(seen.points[0].start_unix_ns == TEST_NOW_UNIX_NS - 1000);
        check_label(0, 0, "service_name", "shop");
        check_label(0, 1, "otel_scope_name", "lib");
        check_label(0, 2, "method", "GET");
        buffer_deinit(&parts.out);
    }
}

static void gauges_take_any_value_and_counters_do_not(void **state)
{
    struct parts parts;

    (void)state;
    message_begin(&parts, OTLP_METRIC_GAUGE, 0, false);
    put_number(&parts, NAN);
    put_number(&parts, -5);
    begin(&parts, 1); /* no value at all */
    put_times(&parts);
    end(&parts);
    message_end(&parts);
    assert_int_equal(seen.point_count, 2);
    assert_true(isnan(seen.points[0].value) && seen.points[1].value == -5);
    check_refused(0, RECORD_ERROR_MALFORMED, "value");
    buffer_deinit(&parts.out);

    message_begin(&parts, OTLP_METRIC_SUM, 2, true);
    put_number(&parts, NAN);
    put_number(&parts, -5);
    put_number(&parts, INFINITY);
    put_number(&parts, 5);
    message_end(&parts);
    assert_int_equal(seen.point_count, 1);
    assert_int_equal(seen.refused_count, 3);
    buffer_deinit(&parts.out);

    message_begin(&parts, OTLP_METRIC_SUM, 1, false); /* a NaN would stay for ever */
    put_number(&parts, NAN);
    message_end(&parts);
    check_refused(0, RECORD_ERROR_MALFORMED, "value");
    buffer_deinit(&parts.out);
}

static void the_flag_for_no_value_is_no_fault(void **state)
{
    struct parts parts;

    (void)state;
    message_begin(&parts, OTLP_METRIC_SUM, 2, true);
    begin(&parts, 1);
    put_times(&parts);
    wire_write_varint(&parts.out, 8, 1);
    end(&parts);
    put_number(&parts, 1);
    message_end(&parts);
    assert_int_equal(seen.point_count, 1);
    assert_int_equal(seen.result.no_value_count, 1);
    assert_int_equal(seen.result.refused_count, 0);
    check_refused(0, RECORD_ERROR_NO_VALUE, "flags");
    buffer_deinit(&parts.out);
}

static void a_sum_without_temporality_or_name_is_refused(void **state)
{
    struct parts parts;

    (void)state;
    message_begin(&parts, OTLP_METRIC_SUM, 0, true);
    put_number(&parts, 1);
    message_end(&parts);
    check_refused(0, RECORD_ERROR_MALFORMED, "aggregation_temporality");
    buffer_deinit(&parts.out);

    parts = (struct parts){.depth = 0};
    buffer_init(&parts.out, TEST_BYTES_MAX);
    begin(&parts, 1);
    begin(&parts, 2);
    begin(&parts, 2);
    begin(&parts, OTLP_METRIC_GAUGE);
    put_number(&parts, 1);
    message_end(&parts);
    check_refused(0, RECORD_ERROR_MALFORMED, "name");
    buffer_deinit(&parts.out);
}

static void starts_in_microseconds_are_repaired(void **state)
{
    struct parts parts;

    (void)state;
    message_begin(&parts, OTLP_METRIC_SUM, 2, true);
    begin(&parts, 1);
    wire_write_fixed64(&parts.out, 2, TEST_NOW_UNIX_NS / 1000 - 7);
    wire_write_fixed64(&parts.out, 3, TEST_NOW_UNIX_NS);
    put_double(&parts, 4, 1);
    end(&parts);
    begin(&parts, 1); /* begins after it was measured */
    wire_write_fixed64(&parts.out, 2, TEST_NOW_UNIX_NS + 1);
    wire_write_fixed64(&parts.out, 3, TEST_NOW_UNIX_NS);
    put_double(&parts, 4, 1);
    end(&parts);
    begin(&parts, 1); /* tells no start */
    wire_write_fixed64(&parts.out, 3, TEST_NOW_UNIX_NS);
    put_double(&parts, 4, 1);
    end(&parts);
    message_end(&parts);
    assert_true(seen.points[0].start_unix_ns == TEST_NOW_UNIX_NS - 7000);
    check_refused(0, RECORD_ERROR_END, "start_time_unix_nano");
    assert_int_equal(seen.point_count, 2);
    assert_int_equal(seen.points[1].start_unix_ns, 0);
    buffer_deinit(&parts.out);
}

/* ---- histograms ---- */

static void put_explicit(struct parts *parts, uint64_t count, const uint64_t *counts, size_t count_count,
    const double *bounds, size_t bound_count)
{
    begin(parts, 1);
    put_times(parts);
    wire_write_fixed64(&parts->out, 4, count);
    put_double(parts, 5, 2.5);
    wire_write_bytes(&parts->out, 6, slice_of(counts, count_count * sizeof *counts));
    wire_write_bytes(&parts->out, 7, slice_of(bounds, bound_count * sizeof *bounds));
    end(parts);
}

static void explicit_histograms_are_read_or_refused(void **state)
{
    static const uint64_t counts[] = {1, 0, 2};
    static const uint64_t huge[] = {UINT64_MAX, 2, 2};
    static const double bounds[] = {0.5, 1};
    static const double falling[] = {1, 0.5};
    static const double endless[] = {1, INFINITY};
    static uint64_t many_counts[SENT_BOUND_COUNT_MAX + 2];
    static double many[SENT_BOUND_COUNT_MAX + 1];
    struct parts parts;

    (void)state;
    for (size_t i = 0; i < SENT_BOUND_COUNT_MAX + 1; i++) {
        many[i] = (double)i;
    }
    message_begin(&parts, OTLP_METRIC_HISTOGRAM, 2, false);
    put_explicit(&parts, 3, counts, 3, bounds, 2);
    put_explicit(&parts, 4, counts, 3, bounds, 2);
    put_explicit(&parts, 3, counts, 2, bounds, 2);
    put_explicit(&parts, 3, counts, 3, falling, 2);
    put_explicit(&parts, 3, counts, 3, endless, 2);
    put_explicit(&parts, 3, huge, 3, bounds, 2);
    put_explicit(&parts, 0, many_counts, SENT_BOUND_COUNT_MAX + 2, many, SENT_BOUND_COUNT_MAX + 1);
    put_explicit(&parts, 0, many_counts, SENT_BOUND_COUNT_MAX + 1, many, SENT_BOUND_COUNT_MAX);
    put_explicit(&parts, 7, counts, 0, bounds, 0); /* count and sum alone */
    put_explicit(&parts, 7, counts, 0, bounds, 1);
    message_end(&parts);
    assert_int_equal(seen.status, 0);
    assert_int_equal(seen.point_count, 3);
    assert_int_equal(seen.points[0].type, SENT_EXPLICIT);
    assert_false(seen.points[0].is_delta);
    assert_int_equal(seen.points[0].bound_count, 2);
    assert_int_equal(seen.points[0].bucket_count, 3);
    assert_memory_equal(seen.buckets[0], counts, sizeof counts);
    assert_memory_equal(seen.bounds[0], bounds, sizeof bounds);
    assert_true(seen.points[0].value == 2.5);
    assert_int_equal(seen.points[1].bound_count, SENT_BOUND_COUNT_MAX);
    assert_int_equal(seen.points[2].bucket_count, 1);
    assert_int_equal(seen.buckets[2][0], 7);
    check_refused(0, RECORD_ERROR_BUCKETS, "bucket_counts");
    check_refused(1, RECORD_ERROR_BUCKETS, "explicit_bounds");
    check_refused(2, RECORD_ERROR_BUCKETS, "explicit_bounds");
    check_refused(3, RECORD_ERROR_BUCKETS, "explicit_bounds");
    check_refused(4, RECORD_ERROR_BUCKETS, "bucket_counts");
    check_refused(5, RECORD_ERROR_MALFORMED, "bucket_counts");
    check_refused(6, RECORD_ERROR_BUCKETS, "explicit_bounds");
    assert_int_equal(seen.refused_count, 7);
    buffer_deinit(&parts.out);
}

/* Numbers that are not packed, one field each. */
static void unpacked_numbers_are_read(void **state)
{
    struct parts parts;

    (void)state;
    message_begin(&parts, OTLP_METRIC_HISTOGRAM, 1, false);
    begin(&parts, 1);
    put_times(&parts);
    wire_write_fixed64(&parts.out, 4, 3);
    wire_write_fixed64(&parts.out, 6, 1);
    wire_write_fixed64(&parts.out, 6, 2);
    put_double(&parts, 7, 0.5);
    end(&parts);
    message_end(&parts);
    assert_int_equal(seen.point_count, 1);
    assert_true(seen.points[0].is_delta);
    assert_int_equal(seen.buckets[0][1], 2);
    assert_true(seen.bounds[0][0] == 0.5);
    buffer_deinit(&parts.out);
}

static void put_exponential(
    struct parts *parts, uint64_t count, uint64_t scale, uint64_t zero_count, uint64_t negative)
{
    static const uint8_t counts[] = {2, 0, 1};

    begin(parts, 1);
    put_times(parts);
    wire_write_fixed64(&parts->out, 4, count);
    put_double(parts, 5, 2.5);
    wire_write_varint(&parts->out, 6, scale);
    wire_write_fixed64(&parts->out, 7, zero_count);
    begin(parts, 8);
    wire_write_varint(&parts->out, 1, 9); /* zigzag: -5 */
    wire_write_bytes(&parts->out, 2, slice_of(counts, sizeof counts));
    end(parts);
    begin(parts, 9);
    wire_write_varint(&parts->out, 2, negative);
    end(parts);
    end(parts);
}

static void exponential_histograms_are_read_or_refused(void **state)
{
    struct parts parts;

    (void)state;
    message_begin(&parts, OTLP_METRIC_EXPONENTIAL, 2, false);
    put_exponential(&parts, 4, 3 /* -2 */, 1, 0);
    put_exponential(&parts, 5, 3, 1, 0);
    put_exponential(&parts, 5, 3, 1, 1);
    put_exponential(&parts, 4, 42 /* 21 */, 1, 0);
    put_exponential(&parts, 4, 21 /* -11 */, 1, 0);
    put_exponential(&parts, 4, 40 /* 20 */, 1, 0);
    message_end(&parts);
    assert_int_equal(seen.point_count, 2);
    assert_int_equal(seen.points[0].type, SENT_EXPONENTIAL);
    assert_int_equal(seen.points[0].scale, -2);
    assert_int_equal(seen.points[0].offset, -5);
    assert_int_equal(seen.points[0].zero_count, 1);
    assert_int_equal(seen.points[0].bucket_count, 3);
    assert_int_equal(seen.buckets[0][0], 2);
    assert_int_equal(seen.points[1].scale, 20);
    check_refused(0, RECORD_ERROR_BUCKETS, "positive");
    check_refused(1, RECORD_ERROR_BUCKETS, "negative");
    check_refused(2, RECORD_ERROR_BUCKETS, "scale");
    check_refused(3, RECORD_ERROR_BUCKETS, "scale");
    buffer_deinit(&parts.out);
}

static void too_many_exponential_buckets_are_refused(void **state)
{
    static uint8_t counts[SENT_BUCKET_COUNT_MAX + 1];
    struct parts parts;

    (void)state;
    for (size_t more = 0; more < 2; more++) {
        message_begin(&parts, OTLP_METRIC_EXPONENTIAL, 2, false);
        begin(&parts, 1);
        begin(&parts, 8);
        wire_write_bytes(&parts.out, 2, slice_of(counts, SENT_BUCKET_COUNT_MAX + more));
        end(&parts);
        end(&parts);
        message_end(&parts);
        assert_int_equal(seen.point_count, more == 0);
        assert_int_equal(seen.refused_count, more);
        buffer_deinit(&parts.out);
    }
    check_refused(0, RECORD_ERROR_MALFORMED, "positive");
}

static void put_quantile(struct parts *parts, double quantile, double value)
{
    begin(parts, 6);
    put_double(parts, 1, quantile);
    put_double(parts, 2, value);
    end(parts);
}

static void summaries_are_read_or_refused(void **state)
{
    struct parts parts;

    (void)state;
    message_begin(&parts, OTLP_METRIC_SUMMARY, 0, false);
    begin(&parts, 1);
    put_times(&parts);
    wire_write_fixed64(&parts.out, 4, 9);
    put_double(&parts, 5, 1.5);
    put_quantile(&parts, 0.5, 0.1);
    put_quantile(&parts, 0.99, NAN);
    end(&parts);
    begin(&parts, 1);
    put_quantile(&parts, 1.5, 1);
    end(&parts);
    begin(&parts, 1);
    put_double(&parts, 5, -1);
    end(&parts);
    message_end(&parts);
    assert_int_equal(seen.point_count, 1);
    assert_int_equal(seen.points[0].type, SENT_SUMMARY);
    assert_int_equal(seen.points[0].count, 9);
    assert_int_equal(seen.points[0].quantile_count, 2);
    assert_true(seen.quantiles[0][0].quantile == 0.5 && seen.quantiles[0][0].value == 0.1);
    assert_true(isnan(seen.quantiles[0][1].value));
    check_refused(0, RECORD_ERROR_MALFORMED, "quantile_values");
    check_refused(1, RECORD_ERROR_MALFORMED, "sum");
    buffer_deinit(&parts.out);
}

/* ---- labels ---- */

static void attributes_of_all_kinds_become_text(void **state)
{
    static const char *const expected[] = {"17", "-2", "true", "false", "0.1", "1e+30", "-Infinity",
        "/wA=", "[\"a\\\"b\",3,{\"k\":null}]", "/cart", "[redacted]"};
    struct parts parts;

    (void)state;
    message_begin(&parts, OTLP_METRIC_GAUGE, 0, false);
    begin(&parts, 1);
    put_double(&parts, 4, 1);
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        begin(&parts, 7);
        wire_write_bytes(&parts.out, 1,
            slice_of_string(i == 9    ? "http.target"
                            : i == 10 ? "authorization"
                                      : "k"));
        begin(&parts, 2);
        switch (i) {
        case 0:
            wire_write_varint(&parts.out, 3, 17);
            break;
        case 1:
            wire_write_varint(&parts.out, 3, (uint64_t)-2);
            break;
        case 2:
        case 3:
            wire_write_varint(&parts.out, 2, i == 2);
            break;
        case 4:
            put_double(&parts, 4, 0.1);
            break;
        case 5:
            put_double(&parts, 4, 1e30);
            break;
        case 6:
            put_double(&parts, 4, -INFINITY);
            break;
        case 7:
            wire_write_bytes(&parts.out, 7, slice_of("\xff\x00", 2));
            break;
        case 8:
            begin(&parts, 5);
            begin(&parts, 1);
            wire_write_bytes(&parts.out, 1, SLICE_LITERAL("a\"b"));
            end(&parts);
            begin(&parts, 1);
            wire_write_varint(&parts.out, 3, 3);
            end(&parts);
            begin(&parts, 1);
            wire_write_bytes(&parts.out, 6, SLICE_LITERAL("\x0a\x05\x0a\x01k\x12\x00"));
            end(&parts);
            end(&parts);
            break;
        case 9:
            wire_write_bytes(&parts.out, 1, SLICE_LITERAL("/cart?token=secret"));
            break;
        default:
            wire_write_bytes(&parts.out, 1, SLICE_LITERAL("Bearer x"));
            break;
        }
        end(&parts);
        end(&parts);
        if (i % 4 == 3 || i == 10) { /* a few a point, for there is room for some */
            end(&parts);
            begin(&parts, 1);
            put_double(&parts, 4, 1);
        }
    }
    message_end(&parts);
    assert_int_equal(seen.status, 0);
    assert_int_equal(seen.point_count, 4);
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        struct slice value = seen.labels[i / 4][2 + i % 4].value;

        if (value.ptr >= (const uint8_t *)&scratch && value.ptr < (const uint8_t *)(&scratch + 1)) {
            assert_int_equal(value.length, strlen(expected[i])); /* the next point wrote over it */
        } else {
            assert_true(slice_equal(value, slice_of_string(expected[i])));
        }
    }
    buffer_deinit(&parts.out);
}

static void lists_too_deep_or_too_long_are_refused(void **state)
{
    struct attribute_value value = {.type = ATTRIBUTE_BYTES, .number = 7};
    uint8_t bytes[100] = {0};
    char out[64];
    size_t used = 0;
    struct slice text;
    struct parts parts;

    (void)state;
    value.text = slice_of(bytes, sizeof bytes);
    assert_int_equal(attribute_text(&value, 2, out, sizeof out, &used, &text), WERR_OVERSIZED);
    assert_int_equal(used, 0);
    for (int levels = 3; levels < 60; levels += 56 / 2) {
        message_begin(&parts, OTLP_METRIC_GAUGE, 0, false);
        struct wire_envelope open[130];
        int depth = 0;

        begin(&parts, 1);
        put_double(&parts, 4, 1);
        begin(&parts, 7);
        wire_write_bytes(&parts.out, 1, SLICE_LITERAL("deep"));
        open[depth++] = wire_envelope_begin(&parts.out, 2, 1000);
        for (int i = 0; i < levels; i++) {
            open[depth++] = wire_envelope_begin(&parts.out, 5, 1000);
            open[depth++] = wire_envelope_begin(&parts.out, 1, 1000);
        }
        while (depth > 0) {
            wire_envelope_end(&parts.out, open[--depth]);
        }
        message_end(&parts);
        assert_int_equal(seen.status, 0);
        assert_int_equal(seen.point_count, levels <= 4);
        assert_int_equal(seen.refused_count, levels > 4);
        buffer_deinit(&parts.out);
    }
    check_refused(0, RECORD_ERROR_MALFORMED, "attributes");
    assert_int_equal(seen.refused[0].code, WERR_DEPTH);
}

static void too_many_labels_are_refused(void **state)
{
    struct parts parts;

    (void)state;
    for (size_t more = 0; more < 2; more++) {
        message_begin(&parts, OTLP_METRIC_GAUGE, 0, false);
        begin(&parts, 1);
        put_double(&parts, 4, 1);
        for (size_t i = 0; i < SENT_LABEL_COUNT_MAX - 2 + more; i++) {
            test_integer_attribute(&parts.out, 7, "k", i);
        }
        end(&parts);
        message_end(&parts);
        assert_int_equal(seen.point_count, more == 0);
        buffer_deinit(&parts.out);
    }
    check_refused(0, RECORD_ERROR_MALFORMED, "attributes");
}

/* ---- structure ---- */

static void damage_around_points_ends_the_scan(void **state)
{
    struct parts parts;
    struct slice whole;

    (void)state;
    message_begin(&parts, OTLP_METRIC_SUM, 2, true);
    put_number(&parts, 1);
    put_number(&parts, 2);
    message_end(&parts);
    whole = test_slice(&parts.out);
    for (size_t length = 1; length < whole.length; length++) {
        scan(slice_of(whole.ptr, length)); /* cut anywhere: the outermost length is never right */
        assert_true(seen.status < 0);
        assert_int_equal(seen.point_count, 0);
        assert_int_equal(seen.error.code, seen.status);
    }
    scan(slice_of(NULL, 0));
    assert_int_equal(seen.status, 0);
    buffer_deinit(&parts.out);
}

static void fields_of_a_wrong_wire_type_are_damage(void **state)
{
    struct parts parts;

    (void)state;
    for (int where = 0; where < 6; where++) {
        parts = (struct parts){.depth = 0};
        buffer_init(&parts.out, TEST_BYTES_MAX);
        if (where > 0) {
            begin(&parts, 1);
        }
        if (where > 1) {
            begin(&parts, 2);
        }
        if (where > 2) {
            begin(&parts, 2);
        }
        if (where > 3) {
            begin(&parts, where == 4 ? OTLP_METRIC_SUM : OTLP_METRIC_HISTOGRAM);
        }
        wire_write_varint(&parts.out, where == 3 ? 7 : where == 1 || where == 2 ? 2 : 1, 5);
        message_end(&parts);
        assert_int_equal(seen.status, WERR_WIRE_TYPE);
        buffer_deinit(&parts.out);
    }
}

static void resource_and_scope_may_stand_behind(void **state)
{
    struct parts parts = {.depth = 0};

    (void)state;
    buffer_init(&parts.out, TEST_BYTES_MAX);
    begin(&parts, 1);
    begin(&parts, 2);
    begin(&parts, 2);
    begin(&parts, OTLP_METRIC_GAUGE);
    put_number(&parts, 1);
    end(&parts);
    wire_write_bytes(&parts.out, 1, SLICE_LITERAL("late"));
    end(&parts);
    begin(&parts, 1);
    wire_write_bytes(&parts.out, 2, SLICE_LITERAL("2.0"));
    end(&parts);
    end(&parts);
    begin(&parts, 1);
    test_text_attribute(&parts.out, 1, "service.instance.id", "i-1");
    end(&parts);
    message_end(&parts);
    assert_int_equal(seen.point_count, 1);
    check_label(0, 0, "service_instance_id", "i-1");
    check_label(0, 1, "otel_scope_version", "2.0");
    assert_true(slice_equal(seen.points[0].name, SLICE_LITERAL("late")));
    buffer_deinit(&parts.out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_counters_or_gauges),
        cmocka_unit_test(gauges_take_any_value_and_counters_do_not),
        cmocka_unit_test(the_flag_for_no_value_is_no_fault),
        cmocka_unit_test(a_sum_without_temporality_or_name_is_refused),
        cmocka_unit_test(starts_in_microseconds_are_repaired),
        cmocka_unit_test(explicit_histograms_are_read_or_refused),
        cmocka_unit_test(unpacked_numbers_are_read),
        cmocka_unit_test(exponential_histograms_are_read_or_refused),
        cmocka_unit_test(too_many_exponential_buckets_are_refused),
        cmocka_unit_test(summaries_are_read_or_refused),
        cmocka_unit_test(attributes_of_all_kinds_become_text),
        cmocka_unit_test(lists_too_deep_or_too_long_are_refused),
        cmocka_unit_test(too_many_labels_are_refused),
        cmocka_unit_test(damage_around_points_ends_the_scan),
        cmocka_unit_test(fields_of_a_wrong_wire_type_are_damage),
        cmocka_unit_test(resource_and_scope_may_stand_behind),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
