/* Encoding in slices, under a cap, without memory, and over a snapshot that fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "core/error.h"
#include "encode.h"
#include "failing_memory.h"

/* Room that an encoder may ask for and not use: a number's longest form, a varint's. */
enum { RESERVE_BYTES = 64, MANY_SERIES = 200, SERIES_IN_ALL = 17 };

static const struct fake_family many_families[] = {
    {.family = {.name = "mesh_requests", .type = SNAPSHOT_COUNTER, .unit = "", .help = "Requests."},
        FAKE_SERIES({FAKE_LABELS({"source", "a"}), .integer = 5, .is_integer = 1}),
        .repeat_count = MANY_SERIES},
    {.family = {.name = "mesh_request_duration_seconds",
         .type = SNAPSHOT_HISTOGRAM,
         .unit = "seconds",
         .help = "Durations."},
        FAKE_SERIES({FAKE_LABELS({"source", "a"}), .histogram = &fake_vector}),
        .repeat_count = MANY_SERIES},
};

static void check_slices(
    const struct encoder_type *encoder, const struct fake_family *families, size_t family_count, size_t most)
{
    struct buffer whole;

    encode_families(encoder, &encode_everything, families, family_count, &whole);
    for (size_t series_count = 0; series_count <= most; series_count++) {
        struct fake_snapshot snapshot;
        struct buffer sliced;
        fake_init(&snapshot, families, family_count);
        buffer_init(&sliced, ENCODE_CAP_BYTES);
        assert_int_equal(
            encode_slices(encoder, &encode_everything, &snapshot.base, series_count, &sliced), 0);
        assert_int_equal(sliced.length, whole.length);
        assert_memory_equal(sliced.data, whole.data, whole.length);
        buffer_deinit(&sliced);
    }
    buffer_deinit(&whole);
}

static void test_slices(void **state)
{
    (void)state;
    for (const struct encoder_type *const *each = exporter_prometheus.encoders; *each != NULL; each++) {
        check_slices(*each, fake_families, FAKE_FAMILY_COUNT, SERIES_IN_ALL + 2);
        check_slices(*each, many_families, 2, 2 * MANY_SERIES + 2);
    }
}

static void test_steps(void **state)
{
    (void)state;
    for (const struct encoder_type *const *each = exporter_prometheus.encoders; *each != NULL; each++) {
        struct fake_snapshot snapshot;
        struct buffer out;
        void *encoding = NULL;
        fake_init(&snapshot, fake_families, FAKE_FAMILY_COUNT);
        buffer_init(&out, ENCODE_CAP_BYTES);
        assert_int_equal((*each)->open(&encode_everything, &out, &encoding), 0);
        for (uint64_t i = 0; i < SERIES_IN_ALL; i++) {
            assert_int_equal((*each)->point_count(encoding), i);
            assert_int_equal((*each)->step(encoding, &snapshot.base, 1), 1);
        }
        assert_int_equal((*each)->step(encoding, &snapshot.base, 1), 0);
        assert_int_equal((*each)->point_count(encoding), SERIES_IN_ALL);
        size_t length = out.length;
        assert_int_equal((*each)->step(encoding, &snapshot.base, 1), 0); /* past the end: nothing more */
        assert_int_equal(out.length, length);
        (*each)->close(encoding);
        (*each)->close(NULL);
        buffer_deinit(&out);
    }
}

static void check_empty_snapshot(const struct encoder_type *encoder, const char *expected)
{
    struct buffer out;

    encode_families(encoder, &encode_everything, NULL, 0, &out);
    assert_int_equal(out.length, strlen(expected));
    assert_memory_equal(out.data, expected, out.length);
    buffer_deinit(&out);
}

static void test_empty_snapshot(void **state)
{
    (void)state;
    check_empty_snapshot(&prometheus_openmetrics, "# EOF\n");
    check_empty_snapshot(&prometheus_text, "");
    check_empty_snapshot(&prometheus_protobuf, "");
}

/* One encoding into a buffer of cap_bytes: its result; what was written must fit. */
static int encode_capped(const struct encoder_type *encoder, size_t cap_bytes)
{
    struct fake_snapshot snapshot;
    struct buffer out;
    void *encoding = NULL;
    int more = 1;

    fake_init(&snapshot, fake_families, FAKE_FAMILY_COUNT);
    buffer_init(&out, cap_bytes);
    int error = encoder->open(&encode_everything, &out, &encoding);
    if (error < 0) {
        assert_null(encoding);
        more = error;
    }
    while (more > 0) {
        more = encoder->step(encoding, &snapshot.base, 3);
    }
    assert_true(out.length <= cap_bytes);
    encoder->close(encoding);
    buffer_deinit(&out);
    return more;
}

static void test_cap(void **state)
{
    (void)state;
    for (const struct encoder_type *const *each = exporter_prometheus.encoders; *each != NULL; each++) {
        struct buffer whole;
        encode_families(*each, &encode_everything, fake_families, FAKE_FAMILY_COUNT, &whole);
        for (size_t cap_bytes = 0; cap_bytes < whole.length; cap_bytes++) {
            assert_int_equal(encode_capped(*each, cap_bytes), WERR_OVERSIZED);
        }
        assert_int_equal(encode_capped(*each, whole.length + RESERVE_BYTES), 0);
        buffer_deinit(&whole);
    }
}

static void test_no_memory(void **state)
{
    (void)state;
    for (const struct encoder_type *const *each = exporter_prometheus.encoders; *each != NULL; each++) {
        int result = WERR_NOMEM;
        int count = 0;
        for (; result == WERR_NOMEM && count < 1000; count++) {
            failing_memory_left = count;
            result = encode_capped(*each, ENCODE_CAP_BYTES);
            failing_memory_left = -1;
        }
        assert_int_equal(result, 0);
        assert_true(count > 5);
    }
}

static void test_snapshot_fails(void **state)
{
    (void)state;
    for (size_t fail_after = 1; fail_after < SERIES_IN_ALL; fail_after++) {
        for (const struct encoder_type *const *each = exporter_prometheus.encoders; *each != NULL; each++) {
            struct fake_snapshot snapshot;
            struct buffer out;
            fake_init(&snapshot, fake_families, FAKE_FAMILY_COUNT);
            snapshot.fail_after = fail_after;
            buffer_init(&out, ENCODE_CAP_BYTES);
            assert_int_equal(
                encode_slices(*each, &encode_everything, &snapshot.base, SIZE_MAX, &out), WERR_NOMEM);
            buffer_deinit(&out);
        }
    }
}

static void test_histogram_that_is_none(void **state)
{
    const struct fake_family families[] = {
        {.family = {.name = "odd", .type = SNAPSHOT_HISTOGRAM}, FAKE_SERIES({.value = 1})}};

    (void)state;
    for (const struct encoder_type *const *each = exporter_prometheus.encoders; *each != NULL; each++) {
        struct fake_snapshot snapshot;
        struct buffer out;
        fake_init(&snapshot, families, 1);
        buffer_init(&out, ENCODE_CAP_BYTES);
        assert_int_equal(
            encode_slices(*each, &encode_everything, &snapshot.base, SIZE_MAX, &out), WERR_INVALID);
        buffer_deinit(&out);
    }
}

/* At most one exemplar a bucket, each inside it, none where it is not a number. */
static void test_exemplars_are_dealt_to_buckets(void **state)
{
    const struct snapshot_exemplar exemplars[] = {{.trace_id = {1}, .value = 0.5},
        {.trace_id = {2}, .value = 1}, {.trace_id = {3}, .value = 2.5}, {.value = NAN}};
    const struct snapshot_histogram histogram = {.count = 4,
        .bound_count = 2,
        .bounds = FAKE_ARRAY(double, 1, 2),
        .bound_counts = FAKE_ARRAY(uint64_t, 2, 2),
        .exemplar_count = 4,
        .exemplars = exemplars};
    const struct fake_family families[] = {
        {.family = {.name = "h", .type = SNAPSHOT_HISTOGRAM}, FAKE_SERIES({.histogram = &histogram})}};
    static const char expected[] =
        "# TYPE h histogram\n# HELP h \n"
        "h_bucket{le=\"1.0\"} 2 # {trace_id=\"01000000000000000000000000000000\"} 0.5 0\n"
        "h_bucket{le=\"2.0\"} 2\n"
        "h_bucket{le=\"+Inf\"} 4 # {trace_id=\"03000000000000000000000000000000\"} 2.5 0\n"
        "h_sum 0\nh_count 4\n# EOF\n";
    struct buffer out;

    (void)state;
    encode_families(&prometheus_openmetrics, &encode_everything, families, 1, &out);
    assert_int_equal(buffer_append_byte(&out, 0), 0);
    assert_string_equal((const char *)out.data, expected);
    buffer_deinit(&out);
}

/* Series whose bounds take turns, more sets than the encoder keeps the texts of. */
static void test_bounds_take_turns(void **state)
{
    enum { SETS = 7, ROUNDS = 3 };
    double bounds[SETS][2];
    const uint64_t counts[] = {1, 2};
    struct snapshot_histogram histograms[SETS];
    struct snapshot_series series[SETS * ROUNDS];
    const struct fake_family family = {
        .family = {.name = "h", .type = SNAPSHOT_HISTOGRAM}, .series = series, .series_count = SETS * ROUNDS};
    char expected[8192];
    size_t used = (size_t)snprintf(expected, sizeof expected, "# HELP h \n# TYPE h histogram\n");
    struct buffer out;

    (void)state;
    for (size_t i = 0; i < SETS; i++) {
        bounds[i][0] = (double)i + 1;
        bounds[i][1] = 10 * ((double)i + 1);
        histograms[i] = (struct snapshot_histogram){
            .count = 3, .bound_count = 1 + i % 2, .bounds = bounds[i], .bound_counts = counts};
    }
    for (size_t i = 0; i < SETS * ROUNDS; i++) {
        size_t set = i < SETS * (ROUNDS - 1) ? i % SETS : i % 3; /* at last among few */

        series[i] = (struct snapshot_series){.histogram = &histograms[set]};
        used +=
            (size_t)snprintf(expected + used, sizeof expected - used, "h_bucket{le=\"%zu\"} 1\n", set + 1);
        if (set % 2 == 1) {
            used += (size_t)snprintf(
                expected + used, sizeof expected - used, "h_bucket{le=\"%zu\"} 2\n", 10 * (set + 1));
        }
        used += (size_t)snprintf(
            expected + used, sizeof expected - used, "h_bucket{le=\"+Inf\"} 3\nh_sum 0\nh_count 3\n");
        assert_true(used < sizeof expected);
    }
    encode_families(&prometheus_text, &encode_everything, &family, 1, &out);
    assert_int_equal(buffer_append_byte(&out, 0), 0);
    assert_string_equal((const char *)out.data, expected);
    buffer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slices),
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_empty_snapshot),
        cmocka_unit_test(test_cap),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_snapshot_fails),
        cmocka_unit_test(test_histogram_that_is_none),
        cmocka_unit_test(test_exemplars_are_dealt_to_buckets),
        cmocka_unit_test(test_bounds_take_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
