/* statsd lines to points: names, units, labels, weights, buckets, who claims what, and what finds no room. */
#include <math.h>

#include "fixture.h"

#include "context/statsd_points.h"
#include "core/error.h"

#define NOW_UNIX_NS 1700000000000000000ull
#define NOW_S 1700000000

struct rig {
    struct fixture f;
    struct statsd_points *points;
    struct sender sender;
};

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);

    assert_non_null(rig);
    fixture_init(&rig->f, 4096);
    rig->points = statsd_points_new(&rig->f.context);
    assert_non_null(rig->points);
    rig->sender.kind = SENDER_PROCESS;
    (void)snprintf(rig->sender.name, sizeof rig->sender.name, "envoy");
    sender_id_format(&rig->sender);
    context_sender_bind(&rig->f.context, &rig->sender);
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    statsd_points_free(rig->points);
    statsd_points_free(NULL);
    context_sender_release(&rig->f.context, &rig->sender);
    fixture_deinit(&rig->f);
    free(rig);
    return 0;
}

static int begin(struct rig *rig, const char *text, struct statsd_line *ret_line)
{
    assert_int_equal(statsd_parse_line(slice_of_string(text), ret_line), STATSD_METRIC);
    return statsd_points_begin(rig->points, ret_line, &rig->sender, NOW_UNIX_NS);
}

/* The point of a line's first value. */
static struct metric_point point_of(struct rig *rig, const char *text)
{
    struct statsd_line line;
    struct metric_point point;

    assert_int_equal(begin(rig, text, &line), 0);
    statsd_points_next(rig->points, line.first, &point);
    assert_int_equal(point.sender, rig->sender.interned);
    return point;
}

static struct slice text_of(const struct rig *rig, uint32_t id)
{
    return interner_text(rig->f.interner, id);
}

static void expect_labels(const struct rig *rig, const struct metric_point *point, const char *expected)
{
    char told[1024] = "";
    size_t used = 0;

    for (size_t i = 0; i < point->label_count; i++) {
        struct slice key = text_of(rig, point->labels[i].key);
        struct slice value = text_of(rig, point->labels[i].value);

        used += (size_t)snprintf(told + used, sizeof told - used, "%.*s=%.*s;", (int)key.length,
            (const char *)key.ptr, (int)value.length, (const char *)value.ptr);
    }
    assert_string_equal(told, expected);
}

static void counters_tell_what_they_rose_by(void **state)
{
    struct rig *rig = *state;
    struct metric_point point = point_of(rig, "a.b:3|c|#k:v");

    assert_int_equal(point.type, METRIC_POINT_COUNTER);
    assert_true(point.is_delta);
    assert_true(point.value == 3);
    assert_true(point.time_unix_ns == NOW_UNIX_NS);
    assert_text(text_of(rig, point.name), "a.b");
    assert_int_equal(point.unit, INTERNED_NONE);
    expect_labels(rig, &point, "k=v;");
    assert_true(point_of(rig, "a.b:3|c|@0.1|#k:v").value == 30);
    assert_true(point_of(rig, "a.b:1|c|@0.5").value == 2);
}

static void gauges_say_or_change(void **state)
{
    struct rig *rig = *state;
    struct metric_point point = point_of(rig, "g:3|g|@0.1");

    assert_int_equal(point.type, METRIC_POINT_GAUGE);
    assert_false(point.is_delta);
    assert_true(point.value == 3);
    point = point_of(rig, "g:-3|g");
    assert_true(point.is_delta);
    assert_true(point.value == -3);
}

/* What a distribution's name says of its unit; see statsd_points.h. */
static void names_and_units(void **state)
{
    static const struct {
        const char *text;
        const char *name;
        const char *unit;
        double value;
    } rows[] = {
        {"rq_time:250|ms", "rq_time", "s", 0.25},
        {"cx_length_ms:250|ms", "cx_length", "s", 0.25},
        {"envoy.server.initialization.ms:250|ms", "envoy.server.initialization", "s", 0.25},
        {"took_milliseconds:250|ms", "took", "s", 0.25},
        {"loop_duration_us:250|ms", "loop_duration", "s", 0.00025},
        {"poll_microseconds:250|ms", "poll", "s", 0.00025},
        {"took_seconds:250|ms", "took_seconds", "s", 0.25},
        {"upstream_rq_per_cx:250|ms", "upstream_rq_per_cx", "", 250},
        {"connections_accepted_per_socket_event:2|ms", "connections_accepted_per_socket_event", "", 2},
        {"upstream_rq_body_size:250|ms", "upstream_rq_body_size", "", 250},
        {"rx_bytes:250|ms", "rx_bytes", "", 250},
        {"headers.count:250|ms", "headers.count", "", 250},
        {"cpu_percent:25|ms", "cpu_percent", "", 25},
        {"ms:250|ms", "ms", "s", 0.25},
        {"_ms:250|ms", "_ms", "s", 0.25},
        {"items:250|ms", "items", "s", 0.25},
        {"rq_time_ms:250|h", "rq_time_ms", "", 250},
        {"page.load:1.5|d", "page.load", "", 1.5},
    };
    struct rig *rig = *state;

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct metric_point point = point_of(rig, rows[i].text);

        assert_int_equal(point.type, METRIC_POINT_HISTOGRAM);
        assert_text(text_of(rig, point.name), rows[i].name);
        assert_text(text_of(rig, point.unit), rows[i].unit);
        assert_true(point.value == rows[i].value);
        assert_int_equal(point.scale, 5);
        assert_int_equal(point.bucket_count, 1);
        assert_true(point.buckets[0] == 1);
        double lower = exp2(point.offset / 32.0);
        double upper = exp2((point.offset + 1) / 32.0);
        assert_true(lower < rows[i].value && rows[i].value <= upper);
    }
}

/* Powers of two are bounds: they belong to the bucket below. */
static void values_on_bounds(void **state)
{
    static const struct {
        const char *text;
        int32_t index;
    } rows[] = {
        {"t:1000|ms", -1},
        {"t:500|ms", -33},
        {"t:2000|ms", 31},
        {"t:1.953125|ms", -289},
        {"t:4096000|ms", 383},
        {"d:1|d", -1},
        {"d:1024|d", 319},
        {"d:1.0000001|d", 0},
        {"d:1e300|d", 31890},
        {"d:5e-324|d", -34369},
    };
    struct rig *rig = *state;

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct metric_point point = point_of(rig, rows[i].text);

        assert_int_equal(point.bucket_count, 1);
        assert_int_equal(point.offset, rows[i].index);
    }
}

static void timers_stay_in_the_lattice(void **state)
{
    struct rig *rig = *state;
    struct metric_point point = point_of(rig, "t:0|ms");

    assert_int_equal(point.bucket_count, 0);
    assert_true(point.zero_count == 1);
    point = point_of(rig, "t:0.0009|ms"); /* 900 ns, below 2^-20 s */
    assert_true(point.zero_count == 1 && point.bucket_count == 0 && point.value > 0);
    point = point_of(rig, "t:5000000|ms"); /* above 2^12 s */
    assert_int_equal(point.offset, 383);
    assert_true(point.value == 5000);
    assert_int_equal(metric_get(rig->f.cells, METRIC_LATENCY_CLAMPED), 1);
    point = point_of(rig, "bytes:0|h");
    assert_true(point.zero_count == 1 && point.bucket_count == 0);
    point = point_of(rig, "bytes:0.0000001|h"); /* no time: no threshold */
    assert_true(point.zero_count == 0 && point.bucket_count == 1);
}

/* One of three was told of: three counts each on average, whatever the line's fraction. */
static void weights_keep_their_sum(void **state)
{
    struct rig *rig = *state;
    uint64_t count = 0;
    double sum = 0;

    for (int i = 0; i < 300; i++) {
        struct metric_point point = point_of(rig, "t:100|ms|@0.3|#a:b");

        count += point.buckets[0];
        sum += point.value;
    }
    assert_int_equal(count, 1000);
    assert_true(fabs(sum - 100) < 1e-9);
    assert_true(point_of(rig, "u:100|ms|@0.1").buckets[0] == 10);
    assert_true(point_of(rig, "u:0|ms|@0.1").zero_count == 10);
    assert_int_equal(metric_get(rig->f.cells, METRIC_WEIGHT_CAPPED), 0);
    assert_true(point_of(rig, "u:100|ms|@0.000001").buckets[0] == rig->f.limits.sampling_weight_max);
    assert_true(point_of(rig, "c:1|c|@0.000001").value == (double)rig->f.limits.sampling_weight_max);
    assert_int_equal(metric_get(rig->f.cells, METRIC_WEIGHT_CAPPED), 2);
}

static void labels_are_sorted_and_single(void **state)
{
    struct rig *rig = *state;
    struct metric_point point = point_of(rig, "a:1|c|#z:1,b:2,flag,aa:3,b:other,a:4");

    expect_labels(rig, &point, "a=4;aa=3;b=2;flag=true;z=1;");
    point = point_of(rig, "a:1|c|#envoy.cluster_name:outbound|80||reviews,\xff:\x01");
    expect_labels(rig, &point, "envoy.cluster_name=outbound|80||reviews;\xef\xbf\xbd=\xef\xbf\xbd;");
}

static void too_many_tags(void **state)
{
    struct rig *rig = *state;
    char text[1024] = "a:1|c|#";
    size_t used = strlen(text);
    struct statsd_line line;

    for (int i = 0; i < METRIC_LABEL_COUNT_MAX; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "k%d:v,", i);
    }
    assert_int_equal(point_of(rig, text).label_count, METRIC_LABEL_COUNT_MAX);
    (void)snprintf(text + used, sizeof text - used, "k0:again");
    assert_int_equal(point_of(rig, text).label_count, METRIC_LABEL_COUNT_MAX);
    (void)snprintf(text + used, sizeof text - used, "more:v");
    assert_int_equal(begin(rig, text, &line), WERR_OVERSIZED);
}

static void times(void **state)
{
    struct rig *rig = *state;
    struct statsd_line line;

    assert_true(point_of(rig, "a:1|g|T1699999990").time_unix_ns == NOW_UNIX_NS - 10000000000ull);
    assert_int_equal(begin(rig, "a:1|g|T1", &line), WERR_INVALID);
    assert_int_equal(begin(rig, "a:1|g|T999999999999999999", &line), WERR_INVALID);
    assert_true(point_of(rig, "a:1|g|T0").time_unix_ns == NOW_UNIX_NS);
}

#define ID_64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER_64 "ffff456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void claimed_containers(void **state)
{
    struct rig *rig = *state;
    struct metric_point point = point_of(rig, "a:1|c|c:ci-" ID_64);

    expect_labels(rig, &point, ""); /* a process of the node: nothing to compare with */
    assert_int_equal(metric_get(rig->f.cells, METRIC_IDENTITY_CONFLICTS), 0);
    rig->sender.kind = SENDER_POD;
    (void)snprintf(rig->sender.container, sizeof rig->sender.container, "%s", ID_64);
    point = point_of(rig, "b:1|c|c:ci-" ID_64);
    expect_labels(rig, &point, "");
    assert_int_equal(metric_get(rig->f.cells, METRIC_IDENTITY_CONFLICTS), 0);
    point = point_of(rig, "b:1|c|c:" OTHER_64);
    expect_labels(rig, &point, "");
    assert_int_equal(metric_get(rig->f.cells, METRIC_IDENTITY_CONFLICTS), 1);
    (void)point_of(rig, "b:1|c|c:" OTHER_64); /* remembered: counted once */
    assert_int_equal(metric_get(rig->f.cells, METRIC_IDENTITY_CONFLICTS), 1);
    rig->sender.kind = SENDER_UNKNOWN;
    point = point_of(rig, "c:1|c|#k:v|c:ci-" ID_64);
    expect_labels(rig, &point, "claimed_container=0123456789ab;k=v;");
    point = point_of(rig, "c:1|c|#k:v|c:in-4026531835");
    expect_labels(rig, &point, "k=v;");
}

/* The same line again gives the same ids; after a sweep they are looked up again. Long ones are not
 * remembered, and right nevertheless. */
static void what_is_remembered_is_right(void **state)
{
    struct rig *rig = *state;
    char text[1200];
    char long_value[700];

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 3 * STATSD_MEMO_COUNT / 2; i++) {
            (void)snprintf(text, sizeof text, "m%d:1|c|#k:v%d", i % 500, i % 700);
            struct metric_point point = point_of(rig, text);
            char expected[64];

            (void)snprintf(expected, sizeof expected, "m%d", i % 500);
            assert_text(text_of(rig, point.name), expected);
            (void)snprintf(expected, sizeof expected, "k=v%d;", i % 700);
            expect_labels(rig, &point, expected);
        }
        interner_sweep(rig->f.interner);
        context_batch_begin(&rig->f.context, true, 2);
    }
    memset(long_value, 'v', sizeof long_value - 1);
    long_value[sizeof long_value - 1] = '\0';
    (void)snprintf(text, sizeof text, "long:1|c|#k:%s", long_value);
    for (int i = 0; i < 2; i++) {
        struct metric_point point = point_of(rig, text);

        assert_int_equal(point.label_count, 1);
        assert_int_equal(text_of(rig, point.labels[0].value).length, rig->f.limits.string_bytes_max);
    }
}

/* A sender without room for new strings: what is known goes on, what is new is refused. */
static void no_room_for_strings(void **state)
{
    struct rig *rig = *state;
    struct statsd_line line;

    (void)point_of(rig, "known:1|c|#k:v");
    context_batch_begin(&rig->f.context, false, 2);
    assert_int_equal(begin(rig, "known:1|c|#k:v", &line), 0);
    assert_int_equal(begin(rig, "unheard:1|c", &line), WERR_FULL);
    assert_int_equal(begin(rig, "known:1|c|#k:unheard", &line), WERR_FULL);
    assert_int_equal(begin(rig, "known:1|c|#unheard:v", &line), WERR_FULL);
    assert_int_equal(begin(rig, "known:1|ms", &line), WERR_FULL); /* the unit is a string as well */
    context_batch_begin(&rig->f.context, true, 3);
    assert_int_equal(begin(rig, "unheard:1|c", &line), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(counters_tell_what_they_rose_by, setup, teardown),
        cmocka_unit_test_setup_teardown(gauges_say_or_change, setup, teardown),
        cmocka_unit_test_setup_teardown(names_and_units, setup, teardown),
        cmocka_unit_test_setup_teardown(values_on_bounds, setup, teardown),
        cmocka_unit_test_setup_teardown(timers_stay_in_the_lattice, setup, teardown),
        cmocka_unit_test_setup_teardown(weights_keep_their_sum, setup, teardown),
        cmocka_unit_test_setup_teardown(labels_are_sorted_and_single, setup, teardown),
        cmocka_unit_test_setup_teardown(too_many_tags, setup, teardown),
        cmocka_unit_test_setup_teardown(times, setup, teardown),
        cmocka_unit_test_setup_teardown(claimed_containers, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_remembered_is_right, setup, teardown),
        cmocka_unit_test_setup_teardown(no_room_for_strings, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
