/* OTLP metrics: bytes read back by protobuf-c and compared with golden texts; deltas; bucket arithmetic;
 * limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/error.h"
#include "exporters/otlp/buckets.h"
#include "exporters/otlp/otlp_exporter.h"
#include "exporters/otlp/series_memory.h"
#include "fake_snapshot.h"
#include "metrics_dump.h"

#define GOLDEN_DIR WEFT_SOURCE_DIR "/tests/golden/"

enum { START = 1000, CREATED = 2000, FIRST = 5000, SECOND = 9000 };

static const struct snapshot_label labels_a[] = {{"source", "web"}, {"route", "/a\"b"}};
static const struct snapshot_label labels_b[] = {{"source", "api"}};
static const struct snapshot_exemplar exemplars[] = {
    {.trace_id = {0xaa}, .span_id = {0xbb}, .value = 0.25, .time_unix_ns = 4000},
    {.trace_id = {0xcc}, .span_id = {0xdd}, .value = 3, .time_unix_ns = 8000},
};
static const double bounds[] = {0.5, 1};

/* One moment of everything: `step` 0 and 1 are two scrapes. */
struct moment {
    uint64_t buckets[4];
    uint64_t bound_counts[2];
    struct snapshot_histogram histogram;
    struct snapshot_histogram classic;
    struct snapshot_series counters[2];
    struct snapshot_series others[4];
    struct fake_family families[5];
    struct fake_snapshot fake;
};

static void fill_families(struct moment *moment)
{
    const struct fake_family families[] = {
        {{"mesh_requests", SNAPSHOT_COUNTER, "", "Requests."}, moment->counters, 2},
        {{"mesh_up_seconds", SNAPSHOT_GAUGE, "seconds", "Up."}, &moment->others[0], 1},
        {{"mesh_service", SNAPSHOT_INFO, "", "Who."}, &moment->others[1], 1},
        {{"mesh_duration_seconds", SNAPSHOT_HISTOGRAM, "seconds", "Durations."}, &moment->others[2], 1},
        {{"proxy_sizes_bytes", SNAPSHOT_HISTOGRAM, "bytes", "Sizes."}, &moment->others[3], 1},
    };
    memcpy(moment->families, families, sizeof families);
}

static void moment_init(struct moment *moment, uint64_t step)
{
    *moment = (struct moment){
        .buckets = {1, 0, 2 + step, 4},
        .bound_counts = {3, 7 + step},
        .histogram = {.count = 9 + 2 * step,
            .zero_count = 2 + step,
            .zero_threshold = 1e-6,
            .sum = 4.5 + (double)step,
            .scale = 3,
            .offset = -2,
            .bucket_count = 4,
            .bound_count = 2,
            .bounds = bounds,
            .exemplar_count = step + 1,
            .exemplars = exemplars},
        .classic = {.count = 8 + step, .sum = 800, .bound_count = 2, .bounds = bounds},
    };
    moment->histogram.buckets = moment->buckets;
    moment->histogram.bound_counts = moment->bound_counts;
    moment->classic.bound_counts = moment->bound_counts;
    moment->counters[0] = (struct snapshot_series){.labels_text = "source=\"web\",route=\"/a\\\"b\"",
        .labels_text_length = 26,
        .labels = labels_a,
        .label_count = 2,
        .created_unix_ns = CREATED,
        .value = 10 + (double)step * 5,
        .integer = 10 + step * 5,
        .is_integer = 1,
        .exemplar = exemplars};
    moment->counters[1] = (struct snapshot_series){.labels_text = "source=\"api\"",
        .labels_text_length = 12,
        .labels = labels_b,
        .label_count = 1,
        .value = 1.5 + (double)step};
    moment->others[0] = (struct snapshot_series){.labels_text = "", .value = 7.25};
    moment->others[1] = (struct snapshot_series){.labels_text = "source=\"api\"",
        .labels_text_length = 12,
        .labels = labels_b,
        .label_count = 1,
        .value = 1};
    moment->others[2] = (struct snapshot_series){.labels_text = "source=\"api\"",
        .labels_text_length = 12,
        .labels = labels_b,
        .label_count = 1,
        .created_unix_ns = CREATED,
        .histogram = &moment->histogram};
    moment->others[3] = (struct snapshot_series){
        .labels_text = "", .created_unix_ns = CREATED, .histogram = &moment->classic};
    fill_families(moment);
    moment->fake = (struct fake_snapshot){
        .snapshot = {.ops = &fake_ops,
            .time_unix_ns = step == 0 ? FIRST : SECOND,
            .start_unix_ns = START,
            .native_scale = 3,
            .native_buckets_max = 160},
        .families = moment->families,
        .family_count = 5,
    };
}

static const char *const resource[] = {"service.name", "weft", "host.name", "n1", NULL};

/* Encodes it all in steps and appends the text of each step's bytes; returns the points. */
static uint64_t encode(const struct encoder_options *options, struct moment *moment, size_t series_count,
    struct buffer *text, size_t *ret_steps)
{
    const struct encoder_type *type = exporter_otlp.encoders[0];
    struct buffer out;
    void *state;
    int more = 1;

    buffer_init(&out, SIZE_MAX);
    *ret_steps = 0;
    assert_int_equal(type->open(options, &out, &state), 0);
    while (more == 1) {
        size_t before = out.length;
        more = type->step(state, &moment->fake.snapshot, series_count);
        assert_in_range(more, 0, 1);
        assert_true(
            dump_request(text, slice_of(out.data != NULL ? out.data + before : NULL, out.length - before)));
        (*ret_steps)++;
    }
    uint64_t point_count = type->point_count(state);
    type->close(state);
    buffer_deinit(&out);
    return point_count;
}

static void compare_golden(struct buffer *text, const char *name)
{
    char path[256];
    char golden[16384];

    (void)snprintf(path, sizeof path, "%s%s", GOLDEN_DIR, name);
    if (getenv("WEFT_GOLDEN_UPDATE") != NULL) {
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        assert_int_equal(fwrite(text->data, 1, text->length, file), text->length);
        assert_int_equal(fclose(file), 0);
    }
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t length = fread(golden, 1, sizeof golden - 1, file);
    assert_int_equal(fclose(file), 0);
    golden[length] = '\0';
    assert_int_equal(buffer_append_byte(text, '\0'), 0);
    assert_string_equal((const char *)text->data, golden);
}

static void expect_golden(const struct encoder_options *options, size_t series_count, const char *name)
{
    struct buffer text;
    struct moment moment;
    size_t steps;

    buffer_init(&text, SIZE_MAX);
    for (uint64_t step = 0; step < 2; step++) {
        moment_init(&moment, step);
        assert_int_equal(encode(options, &moment, series_count, &text, &steps), 6);
    }
    compare_golden(&text, name);
    buffer_deinit(&text);
}

static void cumulative_values_keep_their_start(void **state)
{
    (void)state;
    struct encoder_options options = {
        .exponential = true, .exemplars = true, .resource_attributes = resource};
    expect_golden(&options, 100, "otlp_metrics_cumulative.txt");
}

static void deltas_are_what_was_added(void **state)
{
    (void)state;
    const struct encoder_type *type = exporter_otlp.encoders[0];
    struct encoder_options options = {.exponential = true,
        .exemplars = true,
        .delta = true,
        .memory = type->memory_new(),
        .resource_attributes = resource};
    assert_non_null(options.memory);
    expect_golden(&options, 100, "otlp_metrics_delta.txt");
    type->memory_free(options.memory);
}

static void explicit_bounds_for_those_without_exponential(void **state)
{
    (void)state;
    const struct encoder_type *type = exporter_otlp.encoders[0];
    struct encoder_options options = {.delta = true, .memory = type->memory_new()};
    assert_non_null(options.memory);
    expect_golden(&options, 100, "otlp_metrics_explicit.txt");
    type->memory_free(options.memory);
}

static void every_step_is_a_request_by_itself(void **state)
{
    (void)state;
    struct encoder_options options = {.exponential = true, .resource_attributes = resource};
    struct moment moment;
    struct buffer text;
    size_t steps;

    buffer_init(&text, SIZE_MAX);
    moment_init(&moment, 0);
    assert_int_equal(encode(&options, &moment, 1, &text, &steps), 6);
    assert_int_equal(steps, 7);
    compare_golden(&text, "otlp_metrics_sliced.txt");
    buffer_deinit(&text);
}

static void a_series_that_began_anew_is_sent_whole(void **state)
{
    (void)state;
    const struct encoder_type *type = exporter_otlp.encoders[0];
    struct encoder_options options = {.delta = true, .memory = type->memory_new()};
    struct moment moment;
    struct buffer text;
    size_t steps;

    buffer_init(&text, SIZE_MAX);
    moment_init(&moment, 0);
    (void)encode(&options, &moment, 100, &text, &steps);
    moment_init(&moment, 1);
    moment.counters[0].created_unix_ns = 7000;
    moment.counters[0].integer = 3;
    text.length = 0;
    (void)encode(&options, &moment, 100, &text, &steps);
    assert_int_equal(buffer_append_byte(&text, '\0'), 0);
    assert_non_null(strstr((const char *)text.data, "[7000,9000] int 3 {source=web"));
    buffer_deinit(&text);
    type->memory_free(options.memory);
}

static void a_gone_series_is_forgotten(void **state)
{
    (void)state;
    const struct encoder_type *type = exporter_otlp.encoders[0];
    struct encoder_options options = {.delta = true, .memory = type->memory_new()};
    struct moment moment;
    struct buffer text;
    size_t steps;

    buffer_init(&text, SIZE_MAX);
    moment_init(&moment, 0);
    (void)encode(&options, &moment, 100, &text, &steps);
    assert_int_equal(series_memory_count(options.memory), 4);
    moment.fake.family_count = 1;
    moment.families[0].series_count = 1;
    (void)encode(&options, &moment, 100, &text, &steps);
    assert_int_equal(series_memory_count(options.memory), 1);
    buffer_deinit(&text);
    type->memory_free(options.memory);
}

/* What a classic histogram (proxies' own bounds) grew by, also when it lost a bound in between. */
static void deltas_of_classic_histograms(void **state)
{
    static const double two_bounds[] = {1, 2};
    static const uint64_t first_counts[] = {1, 3};
    static const uint64_t then_counts[] = {2, 5};
    static const uint64_t last_counts[] = {6};
    static const struct {
        uint64_t count;
        const uint64_t *counts;
        size_t bound_count;
        uint64_t grown[3];
        size_t grown_count;
    } rows[] = {
        {4, first_counts, 2, {1, 2, 1}, 3}, {7, then_counts, 2, {1, 1, 1}, 3}, {9, last_counts, 1, {2}, 1}};
    const struct encoder_type *type = exporter_otlp.encoders[0];
    struct encoder_options options = {.delta = true, .exponential = true, .memory = type->memory_new()};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct snapshot_histogram histogram = {.is_classic = 1,
            .count = rows[i].count,
            .sum = (double)rows[i].count,
            .bound_count = rows[i].bound_count,
            .bounds = two_bounds,
            .bound_counts = rows[i].counts};
        const struct snapshot_series series = {
            .labels_text = "", .created_unix_ns = 1, .histogram = &histogram};
        const struct fake_family family = {
            .family = {.name = "f", .type = SNAPSHOT_HISTOGRAM, .unit = "", .help = ""},
            .series = &series,
            .series_count = 1};
        struct fake_snapshot fake = {
            .snapshot = {.ops = &fake_ops, .time_unix_ns = 100 + i}, .families = &family, .family_count = 1};
        struct buffer out;
        void *encoder = NULL;

        buffer_init(&out, SIZE_MAX);
        assert_int_equal(type->open(&options, &out, &encoder), 0);
        assert_int_equal(type->step(encoder, &fake.snapshot, 100), 0);
        type->close(encoder);
        Otlp__ExportMetricsServiceRequest *request =
            otlp__export_metrics_service_request__unpack(NULL, out.length, out.data);
        assert_non_null(request);
        const Otlp__Metric *metric = request->resource_metrics[0]->scope_metrics[0]->metrics[0];
        assert_int_equal(metric->data_case, OTLP__METRIC__DATA_HISTOGRAM);
        const Otlp__HistogramDataPoint *point = metric->histogram->data_points[0];
        assert_int_equal(point->count, rows[i].count - (i > 0 ? rows[i - 1].count : 0));
        assert_int_equal(point->n_bucket_counts, rows[i].grown_count);
        assert_int_equal(point->n_explicit_bounds, rows[i].grown_count - 1);
        assert_memory_equal(point->bucket_counts, rows[i].grown, rows[i].grown_count * sizeof(uint64_t));
        otlp__export_metrics_service_request__free_unpacked(request, NULL);
        buffer_deinit(&out);
    }
    type->memory_free(options.memory);
}

static void delta_without_memory_is_refused(void **state)
{
    (void)state;
    struct encoder_options options = {.delta = true};
    struct buffer out;
    void *encoder = NULL;

    buffer_init(&out, SIZE_MAX);
    assert_int_equal(exporter_otlp.encoders[0]->open(&options, &out, &encoder), WERR_NOMEM);
    assert_null(encoder);
    exporter_otlp.encoders[0]->close(NULL);
}

static void a_full_buffer_is_an_error(void **state)
{
    (void)state;
    struct encoder_options options = {.exponential = true};
    struct moment moment;
    struct buffer out;
    void *encoder;

    buffer_init(&out, 64);
    moment_init(&moment, 0);
    assert_int_equal(exporter_otlp.encoders[0]->open(&options, &out, &encoder), 0);
    assert_int_equal(exporter_otlp.encoders[0]->step(encoder, &moment.fake.snapshot, 100), WERR_OVERSIZED);
    exporter_otlp.encoders[0]->close(encoder);
    buffer_deinit(&out);
}

static void the_memory_of_series_is_bounded_and_says_so(void **state)
{
    (void)state;
    struct series_memory *memory = series_memory_new();
    char labels[32];

    assert_non_null(memory);
    for (size_t i = 0; i < SERIES_MEMORY_COUNT_MAX + 3; i++) {
        int length = snprintf(labels, sizeof labels, "n=\"%zu\"", i);
        struct series_last *last = series_memory_find(memory, "f", labels, (size_t)length, NULL);
        assert_int_equal(last == NULL, i >= SERIES_MEMORY_COUNT_MAX);
    }
    assert_int_equal(series_memory_count(memory), SERIES_MEMORY_COUNT_MAX);
    assert_int_equal(series_memory_refused_count(memory), 3);
    series_memory_sweep(memory); /* all were seen in it */
    assert_int_equal(series_memory_count(memory), SERIES_MEMORY_COUNT_MAX);
    assert_non_null(series_memory_find(memory, "f", "n=\"7\"", 5, NULL));
    series_memory_sweep(memory);
    assert_int_equal(series_memory_count(memory), 1);
    series_memory_free(memory);
}

/* A histogram that would need more than the memory has is refused, and what was known of it stays. */
static void a_refused_histogram_keeps_what_is_known(void **state)
{
    (void)state;
    struct series_memory *memory = series_memory_new();
    struct moment moment;

    assert_non_null(memory);
    moment_init(&moment, 0);
    struct series_last *last = series_memory_find(memory, "f", "", 0, &moment.histogram);
    assert_non_null(last);
    series_memory_store(last, &moment.others[2], FIRST);
    struct snapshot_histogram huge = moment.histogram;
    huge.bucket_count = SERIES_MEMORY_BYTES_MAX / 8 + 1;
    assert_null(series_memory_find(memory, "f", "", 0, &huge));
    assert_int_equal(series_memory_refused_count(memory), 1);
    huge.bucket_count = 1000;
    assert_ptr_equal(series_memory_find(memory, "f", "", 0, &huge), last);
    assert_int_equal(last->time_unix_ns, FIRST);
    assert_int_equal(last->histogram.bucket_count, 4);
    assert_memory_equal(last->histogram.buckets, moment.buckets, sizeof moment.buckets);
    assert_memory_equal(last->histogram.bound_counts, moment.bound_counts, sizeof moment.bound_counts);
    series_memory_free(memory);
}

/* Downscaling equals sorting every count anew into index >> k. */
static void downscale_equals_recount(void **state)
{
    (void)state;
    uint64_t random = 42;
    struct arena arena;

    arena_init(&arena, 65536, 1 << 24);
    for (int round = 0; round < 300; round++) {
        uint64_t counts[100];
        uint64_t expected[400] = {0};
        int32_t offset = (int32_t)(random % 200) - 100;
        size_t count = 1 + (random >> 10) % 100;
        int32_t shift = (int32_t)((random >> 20) % 7);
        for (size_t i = 0; i < count; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            counts[i] = random >> 60;
            /* arithmetic shift as floor division, independently of the code under test */
            int64_t index = (int64_t)offset + (int64_t)i + (1 << 20);
            expected[(index >> shift) - ((1 << 20) >> shift) + 200] += counts[i];
        }
        struct buckets buckets;
        assert_int_equal(buckets_copy(&arena, 6, offset, counts, count, &buckets), 0);
        buckets_downscale(&buckets, 6 - shift, 0);
        assert_int_equal(buckets.scale, 6 - shift);
        uint64_t sum = 0;
        for (size_t i = 0; i < buckets.count; i++) {
            assert_int_equal(buckets.counts[i], expected[buckets.offset + (int32_t)i + 200]);
            sum += buckets.counts[i];
        }
        for (size_t i = 0; i < 400; i++) {
            sum -= expected[i];
        }
        assert_int_equal(sum, 0);
        arena_reset(&arena);
        random = random * 6364136223846793005u + 1442695040888963407u;
    }
    arena_deinit(&arena);
}

static void buckets_are_limited_subtracted_and_trimmed(void **state)
{
    (void)state;
    struct arena arena;
    struct buckets buckets;
    struct buckets less;

    arena_init(&arena, 4096, 1 << 20);
    assert_int_equal(buckets_copy(&arena, 5, -4, (const uint64_t[]){1, 2, 3, 4, 5, 6, 7, 8}, 8, &buckets), 0);
    buckets_downscale(&buckets, 20, 2);
    assert_int_equal(buckets.scale, 3);
    assert_int_equal(buckets.offset, -1);
    assert_int_equal(buckets.counts[0], 10);
    assert_int_equal(buckets.counts[1], 26);
    buckets_downscale(&buckets, 20, 1); /* -1 and 0 never meet: it must end all the same */
    assert_int_equal(buckets.count, 2);
    assert_int_equal(buckets_copy(&arena, 5, 10, (const uint64_t[]){5, 5, 5, 5}, 4, &buckets), 0);
    assert_int_equal(buckets_copy(&arena, 4, 5, (const uint64_t[]){10, 4}, 2, &less), 0);
    buckets_subtract(&buckets, &less);
    buckets_trim(&buckets);
    assert_int_equal(buckets.scale, 4);
    assert_int_equal(buckets.offset, 6);
    assert_int_equal(buckets.count, 1);
    assert_int_equal(buckets.counts[0], 6);
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cumulative_values_keep_their_start),
        cmocka_unit_test(deltas_are_what_was_added),
        cmocka_unit_test(explicit_bounds_for_those_without_exponential),
        cmocka_unit_test(every_step_is_a_request_by_itself),
        cmocka_unit_test(a_series_that_began_anew_is_sent_whole),
        cmocka_unit_test(a_gone_series_is_forgotten),
        cmocka_unit_test(deltas_of_classic_histograms),
        cmocka_unit_test(delta_without_memory_is_refused),
        cmocka_unit_test(a_full_buffer_is_an_error),
        cmocka_unit_test(the_memory_of_series_is_bounded_and_says_so),
        cmocka_unit_test(a_refused_histogram_keeps_what_is_known),
        cmocka_unit_test(downscale_equals_recount),
        cmocka_unit_test(buckets_are_limited_subtracted_and_trimmed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
