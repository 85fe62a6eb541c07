/* The reader of Prometheus text and OpenMetrics: what proxies write, and what nobody should. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/buffer.h"
#include "core/error.h"
#include "decode/prom_text.h"

enum { ARENA_FIRST_BYTES = 65536, ARENA_CAP_BYTES = 8388608, SERIES_MAX = 1000 };

struct fixture {
    struct arena arena;
    struct buffer told; /* a line for each point */
    struct prom_result result;
};

static const char *const type_names[] = {
    [PROM_UNTYPED] = "untyped",
    [PROM_COUNTER] = "counter",
    [PROM_GAUGE] = "gauge",
    [PROM_HISTOGRAM] = "histogram",
    [PROM_SUMMARY] = "summary",
};

static void tell(void *user, const struct prom_point *point)
{
    struct buffer *told = &((struct fixture *)user)->told;

    (void)buffer_append_format(
        told, "%s %.*s", type_names[point->type], (int)point->name.length, point->name.ptr);
    for (size_t i = 0; i < point->label_count; i++) {
        (void)buffer_append_format(told, " %.*s=%.*s", (int)point->labels[i].name.length,
            point->labels[i].name.ptr, (int)point->labels[i].value.length, point->labels[i].value.ptr);
    }
    (void)buffer_append_format(told, " : %g", point->value);
    if (point->type == PROM_HISTOGRAM || point->type == PROM_SUMMARY) {
        (void)buffer_append_format(told, " of %llu", (unsigned long long)point->count);
    }
    for (size_t i = 0; i < point->bound_count; i++) {
        (void)buffer_append_format(
            told, " <=%g:%llu", point->bounds[i], (unsigned long long)point->bound_counts[i]);
    }
    for (size_t i = 0; i < point->quantile_count; i++) {
        (void)buffer_append_format(told, " q%g:%g", point->quantiles[i].quantile, point->quantiles[i].value);
    }
    if (point->time_unix_ns > 0) {
        (void)buffer_append_format(told, " @%llu", (unsigned long long)point->time_unix_ns);
    }
    if (point->unit.length > 0) {
        (void)buffer_append_format(told, " [%.*s]", (int)point->unit.length, point->unit.ptr);
    }
    (void)buffer_append_byte(told, '\n');
}

static int read_limited(
    struct fixture *fixture, enum prom_format format, const char *text, uint64_t series_count_max)
{
    struct prom_sink sink = {.on_point = tell, .user = fixture};

    fixture->told.length = 0;
    arena_reset(&fixture->arena);
    int error = prom_text_read(
        slice_of_string(text), format, series_count_max, &fixture->arena, &sink, &fixture->result);
    (void)buffer_append_byte(&fixture->told, '\0');
    assert_int_equal(fixture->told.error, 0);
    return error;
}

static void expect(struct fixture *fixture, enum prom_format format, const char *text, const char *told)
{
    assert_int_equal(read_limited(fixture, format, text, SERIES_MAX), 0);
    assert_string_equal((const char *)fixture->told.data, told);
}

static void expect_bad(struct fixture *fixture, uint64_t samples, uint64_t lines, uint64_t points)
{
    assert_int_equal(fixture->result.sample_bad_count, samples);
    assert_int_equal(fixture->result.line_bad_count, lines);
    assert_int_equal(fixture->result.point_bad_count, points);
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    arena_init(&fixture->arena, ARENA_FIRST_BYTES, ARENA_CAP_BYTES);
    buffer_init(&fixture->told, 1048576);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    arena_deinit(&fixture->arena);
    buffer_deinit(&fixture->told);
    free(fixture);
    return 0;
}

static void test_counters_and_gauges(void **state)
{
    expect(*state, PROM_FORMAT_TEXT,
        "# HELP a_total What\\n it \\\\ counts.\n"
        "# TYPE a_total counter\n"
        "a_total{b=\"x\"} 3\n"
        "a_total{b=\"y\",a=\"1\",} 4e2\n"
        "# TYPE g gauge\n"
        "g -1.5\n"
        "g{z=\"\"  , y = \"q\" } +Inf\n"
        "\n"
        "# a comment\n"
        "nobody_told 7 1700000000123\n",
        "counter a_total b=x : 3\n"
        "counter a_total a=1 b=y : 400\n"
        "gauge g : -1.5\n"
        "gauge g y=q : inf\n"
        "untyped nobody_told : 7 @1700000000123000000\n");
    expect_bad(*state, 0, 0, 0);
    assert_int_equal(((struct fixture *)*state)->result.sample_count, 5);
    assert_int_equal(((struct fixture *)*state)->result.point_count, 5);
}

static void test_escapes(void **state)
{
    expect(*state, PROM_FORMAT_TEXT, "m{a=\"q\\\"q\",b=\"\\\\n\",c=\"x\\ny\",d=\"\\x\",e=\"}# ,\"} 1\n",
        "untyped m a=q\"q b=\\n c=x\ny d=\\x e=}# , : 1\n");
    expect_bad(*state, 0, 0, 0);
}

static void test_histogram(void **state)
{
    /* Buckets out of order, lines of two series and of another family in between. */
    expect(*state, PROM_FORMAT_TEXT,
        "# TYPE h histogram\n"
        "h_bucket{le=\"5\",s=\"a\"} 3\n"
        "h_bucket{s=\"b\",le=\"+Inf\"} 1\n"
        "# TYPE g gauge\n"
        "g 1\n"
        "h_bucket{le=\"0.5\",s=\"a\"} 1\n"
        "h_bucket{le=\"+Inf\",s=\"a\"} 4\n"
        "h_sum{s=\"a\"} 12.5\n"
        "h_count{s=\"a\"} 4\n"
        "h_sum{s=\"b\"} 2\n"
        "h_count{s=\"b\"} 1\n"
        "h_created{s=\"b\"} 1700000000\n",
        "histogram h s=a : 12.5 of 4 <=0.5:1 <=5:3\n"
        "histogram h s=b : 2 of 1\n"
        "gauge g : 1\n");
    expect_bad(*state, 0, 0, 0);
}

static void test_inconsistent_histograms(void **state)
{
    expect(*state, PROM_FORMAT_TEXT,
        "# TYPE h histogram\n"
        "h_bucket{le=\"1\",s=\"falls\"} 3\nh_bucket{le=\"2\",s=\"falls\"} 2\nh_count{s=\"falls\"} 3\n"
        "h_bucket{le=\"1\",s=\"inf\"} 3\nh_bucket{le=\"+Inf\",s=\"inf\"} 4\nh_count{s=\"inf\"} 5\n"
        "h_bucket{le=\"1\",s=\"twice\"} 3\nh_bucket{le=\"1\",s=\"twice\"} 3\nh_count{s=\"twice\"} 3\n"
        "h_bucket{le=\"nan\",s=\"nan\"} 3\nh_count{s=\"nan\"} 3\n"
        "h_bucket{le=\"1\",s=\"negative\"} -3\nh_count{s=\"negative\"} 3\n"
        "h_bucket{le=\"1\",s=\"alone\"} 3\n"
        "h_bucket{le=\"1\",s=\"less\"} 3\nh_count{s=\"less\"} 2\n"
        "h_bucket{le=\"-Inf\",s=\"low\"} 3\nh_count{s=\"low\"} 3\n"
        "h_bucket{le=\"1\",s=\"good\"} 3\nh_count{s=\"good\"} 3\n"
        "h_count{s=\"only\"} 2\n",
        "histogram h s=good : nan of 3 <=1:3\n"
        "histogram h s=only : nan of 2\n");
    expect_bad(*state, 0, 0, 8);
}

static void test_histogram_lines_without_place(void **state)
{
    expect(*state, PROM_FORMAT_TEXT,
        "# TYPE h histogram\n"
        "h 1\n"
        "h_bucket{s=\"no le\"} 1\n"
        "h_bucket{le=\"many\"} 1\n"
        "h_count 1\n"
        "h_count 1\n",
        "histogram h : nan of 1\n");
    expect_bad(*state, 4, 4, 0);
}

static void test_summary(void **state)
{
    expect(*state, PROM_FORMAT_TEXT,
        "# TYPE s summary\n"
        "s{quantile=\"0.5\",x=\"1\"} 0.25\n"
        "s{x=\"1\",quantile=\"0.99\"} NaN\n"
        "s_sum{x=\"1\"} 10\n"
        "s_count{x=\"1\"} 40\n"
        "s{quantile=\"2\",x=\"bad\"} 1\n"
        "s{x=\"none\"} 1\n",
        "summary s x=1 : 10 of 40 q0.5:0.25 q0.99:nan\n");
    expect_bad(*state, 1, 1, 1);
}

static void test_openmetrics(void **state)
{
    struct fixture *fixture = *state;

    expect(fixture, PROM_FORMAT_OPENMETRICS,
        "# TYPE foo_seconds counter\n"
        "# UNIT foo_seconds seconds\n"
        "# HELP foo_seconds Says \\\"it\\\".\n"
        "foo_seconds_total{a=\"b\"} 17.0 1520879607.5 # {trace_id=\"#}\"} 0.5 1520879607\n"
        "foo_seconds_created{a=\"b\"} 1520430000\n"
        "# TYPE build info\n"
        "build_info{version=\"1\"} 1\n"
        "# TYPE h histogram\n"
        "h_bucket{le=\"1.0\"} 2 # {id=\"x\"} 0.7\n"
        "h_bucket{le=\"+Inf\"} 2\n"
        "h_count 2\n"
        "h_sum 1\n"
        "# TYPE u unknown\n"
        "u 1\n"
        "# EOF\n"
        "ignored 1\n",
        "counter foo_seconds_total a=b : 17 @1520879607500000000 [seconds]\n"
        "gauge build_info version=1 : 1\n"
        "histogram h : 1 of 2 <=1:2\n"
        "untyped u : 1\n");
    expect_bad(fixture, 0, 0, 0);
    assert_true(fixture->result.has_ended);
}

static void test_garbage_is_dropped(void **state)
{
    struct fixture *fixture = *state;

    expect(fixture, PROM_FORMAT_TEXT,
        "before 1\n"
        "<html>\n"
        "no_value\n"
        "no_value{a=\"b\"}\n"
        "name{a=b} 1\n"
        "name{a=\"b\" c=\"d\"} 1\n"
        "name{a=\"b\",a=\"c\"} 1\n"
        "name{a=\"b} 1\n"
        "name{a=\"b\"\n"
        "name{a\n"
        "name{=\"x\"} 1\n"
        "name-with 1\n"
        "name{a=\"\xff\"} 1\n"
        "hex 0x10\n"
        "word infinit\n"
        "signed -nan\n"
        "two 1 2 3\n"
        "time 1 soon\n"
        "time 1 -5\n"
        "exemplar 1 # {a=\"b\"} 1\n"
        "# TYPE before histogram\n"
        "# TYPE strange kind\n"
        "# TYPE 9name counter\n"
        "# HELP\n"
        "before 2\n"
        "after 2\r\n"
        "cut 12",
        "untyped before : 1\nuntyped after : 2\n");
    /* 18 bad samples, `before` again, 4 comments, and the line without its end. */
    expect_bad(fixture, 20, 25, 0);
    assert_int_equal(fixture->result.first_bad_line, 2);
    assert_false(fixture->result.has_ended);
}

static void test_duplicate_families(void **state)
{
    /* The same type again is fine, another one is not, and the series of both ends are one family's. */
    expect(*state, PROM_FORMAT_TEXT,
        "# TYPE c counter\nc{a=\"1\"} 1\n"
        "# TYPE c counter\nc{a=\"2\"} 2\n"
        "# TYPE c gauge\nc{a=\"3\"} 3\n"
        "c{a=\"1\"} 9\n"
        "c{a=\"4\"} -4\n",
        "counter c a=1 : 1\ncounter c a=2 : 2\ncounter c a=3 : 3\n");
    expect_bad(*state, 1, 2, 1);
}

static void test_limits(void **state)
{
    struct fixture *fixture = *state;
    struct buffer text;

    assert_int_equal(read_limited(fixture, PROM_FORMAT_TEXT, "a 1\nb 2\nc 3\na 4\n", 2), 0);
    assert_string_equal((const char *)fixture->told.data, "untyped a : 1\nuntyped b : 2\n");
    assert_int_equal(fixture->result.point_over_count, 1);
    /* Families are bounded as well, though nobody counts those without samples. */
    assert_int_equal(read_limited(fixture, PROM_FORMAT_TEXT,
                         "# TYPE a gauge\n# TYPE b gauge\n# TYPE c gauge\n# HELP d D.\nc 3\nb 2\nd 4\n", 2),
        0);
    assert_string_equal((const char *)fixture->told.data, "gauge b : 2\n");
    assert_int_equal(fixture->result.point_over_count, 2);
    expect_bad(fixture, 0, 0, 0);

    buffer_init(&text, 1048576);
    (void)buffer_append_text(&text, "ok 1\nm{");
    for (int i = 0; i <= PROM_LABEL_COUNT_MAX; i++) {
        (void)buffer_append_format(&text, "l%d=\"v\",", i);
    }
    (void)buffer_append_text(&text, "} 1\n# TYPE h histogram\n");
    for (int i = 0; i <= PROM_BUCKET_COUNT_MAX; i++) {
        (void)buffer_append_format(&text, "h_bucket{le=\"%d\"} 1\n", i);
    }
    (void)buffer_append_text(&text, "h_bucket{le=\"+Inf\"} 1\n");
    for (int i = 0; i <= PROM_NAME_BYTES_MAX; i++) {
        (void)buffer_append_byte(&text, 'n');
    }
    (void)buffer_append_text(&text, " 1\nlong 1.");
    for (int i = 0; i <= PROM_NUMBER_BYTES_MAX; i++) {
        (void)buffer_append_byte(&text, '0');
    }
    (void)buffer_append(&text, "\n", 2);
    assert_int_equal(text.error, 0);
    expect(fixture, PROM_FORMAT_TEXT, (const char *)text.data, "untyped ok : 1\n");
    expect_bad(fixture, 4, 4, 1);
    buffer_deinit(&text);
}

static void test_memory(void **state)
{
    struct fixture *fixture = *state;
    struct arena small;
    struct prom_sink sink = {.on_point = tell, .user = fixture};
    struct slice body =
        SLICE_LITERAL("a{b=\"\\n\"} 1\n# HELP a \\n\n# TYPE s summary\ns{quantile=\"1\"} 1\n");

    for (size_t cap_bytes = 1024; cap_bytes <= 131072; cap_bytes *= 2) {
        arena_init(&small, 1024, cap_bytes);
        fixture->told.length = 0;
        int error = prom_text_read(body, PROM_FORMAT_TEXT, SERIES_MAX, &small, &sink, &fixture->result);
        assert_true(error == 0 || error == WERR_NOMEM);
        assert_int_equal(fixture->told.length > 0, error == 0);
        arena_deinit(&small);
    }
    assert_int_equal(fixture->result.point_count, 2);
}

static void test_empty(void **state)
{
    expect(*state, PROM_FORMAT_TEXT, "", "");
    expect(*state, PROM_FORMAT_TEXT, "\n\n# EOF\n", "");
    assert_false(((struct fixture *)*state)->result.has_ended);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_counters_and_gauges, setup, teardown),
        cmocka_unit_test_setup_teardown(test_escapes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_histogram, setup, teardown),
        cmocka_unit_test_setup_teardown(test_inconsistent_histograms, setup, teardown),
        cmocka_unit_test_setup_teardown(test_histogram_lines_without_place, setup, teardown),
        cmocka_unit_test_setup_teardown(test_summary, setup, teardown),
        cmocka_unit_test_setup_teardown(test_openmetrics, setup, teardown),
        cmocka_unit_test_setup_teardown(test_garbage_is_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_duplicate_families, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_empty, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
