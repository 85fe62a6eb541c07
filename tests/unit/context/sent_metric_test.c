/* Data points to points in normal form: types, labels in order, summaries taken apart, no room. */
#include "context/sent_metric.h"

#include <math.h>

#include "core/error.h"
#include "fixture.h"

enum { NOW = 1700000000 };

static struct sent_metric metric;

static struct sent_point point_of(enum sent_point_type type)
{
    return (struct sent_point){.type = type,
        .name = SLICE_LITERAL("rpc.time"),
        .unit = SLICE_LITERAL("s"),
        .help = SLICE_LITERAL("How long."),
        .start_unix_ns = 5,
        .value = 17};
}

static struct metric_point read_one(struct fixture *f, const struct sent_point *sent)
{
    struct metric_point point;

    assert_int_equal(sent_metric_read(&f->context, sent, 7, NOW, &metric), 0);
    assert_int_equal(metric.part_count, 1);
    assert_int_equal(sent_metric_part(&f->context, &metric, 0, &point), 0);
    return point;
}

static void types_become_points(void **state)
{
    static const struct {
        enum sent_point_type type;
        bool is_delta;
        bool is_bare;
        enum metric_point_type becomes;
        bool adds; /* is_delta of the point */
        bool is_cumulative;
        uint64_t start_unix_ns;
    } rows[] = {
        {SENT_COUNTER, false, false, METRIC_POINT_COUNTER, false, false, 5},
        {SENT_COUNTER, true, false, METRIC_POINT_COUNTER, true, false, 0},
        {SENT_COUNTER, false, true, METRIC_POINT_BARE_COUNTER, false, false, 5},
        {SENT_GAUGE, false, false, METRIC_POINT_GAUGE, false, false, 0},
        {SENT_GAUGE, true, false, METRIC_POINT_GAUGE, true, false, 0},
        {SENT_EXPLICIT, false, false, METRIC_POINT_EXPLICIT, false, true, 5},
        {SENT_EXPLICIT, true, false, METRIC_POINT_EXPLICIT, false, false, 0},
        {SENT_EXPONENTIAL, false, false, METRIC_POINT_HISTOGRAM, false, true, 5},
    };
    struct fixture f;

    (void)state;
    fixture_init(&f, 1000);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sent_point sent = point_of(rows[i].type);

        sent.is_delta = rows[i].is_delta;
        sent.is_bare = rows[i].is_bare;
        struct metric_point point = read_one(&f, &sent);

        assert_int_equal(point.type, rows[i].becomes);
        assert_int_equal(point.is_delta, rows[i].adds);
        assert_int_equal(point.is_cumulative, rows[i].is_cumulative);
        assert_int_equal(point.start_unix_ns, rows[i].start_unix_ns);
        assert_int_equal(point.time_unix_ns, NOW); /* none was told */
        assert_int_equal(point.sender, 7);
        assert_true(point.value == 17);
        assert_id(&f, point.name, "rpc.time");
        assert_id(&f, point.unit, "s");
        assert_id(&f, point.help, "How long.");
    }
    fixture_deinit(&f);
}

static void labels_are_sorted_and_of_one_name_once(void **state)
{
    const struct sent_label labels[] = {
        {SLICE_LITERAL("b"), SLICE_LITERAL("2")},
        {SLICE_LITERAL("a"), SLICE_LITERAL("1")},
        {SLICE_LITERAL("b"), SLICE_LITERAL("again")},
        {SLICE_LITERAL("ab"), SLICE_LITERAL("3")},
        {SLICE_LITERAL("empty"), SLICE_LITERAL("")},
        {SLICE_LITERAL(""), SLICE_LITERAL("nameless")},
    };
    struct sent_point sent = point_of(SENT_GAUGE);
    struct fixture f;

    (void)state;
    fixture_init(&f, 1000);
    sent.labels = labels;
    sent.label_count = sizeof labels / sizeof labels[0];
    sent.time_unix_ns = 99;
    struct metric_point point = read_one(&f, &sent);

    assert_int_equal(point.time_unix_ns, 99);
    assert_int_equal(point.label_count, 3);
    assert_id(&f, point.labels[0].key, "a");
    assert_id(&f, point.labels[1].key, "ab");
    assert_id(&f, point.labels[2].key, "b");
    assert_id(&f, point.labels[2].value, "2");
    fixture_deinit(&f);
}

static void a_summary_is_called_as_prometheus_calls_it(void **state)
{
    const struct sent_quantile quantiles[] = {
        {.quantile = 0.5, .value = 1.5}, {.quantile = 0.999, .value = NAN}};
    const struct sent_label labels[] = {{SLICE_LITERAL("z"), SLICE_LITERAL("1")}};
    struct sent_point sent = point_of(SENT_SUMMARY);
    struct metric_point point;
    struct fixture f;

    (void)state;
    fixture_init(&f, 1000);
    sent.quantiles = quantiles;
    sent.quantile_count = 2;
    sent.count = 9;
    sent.labels = labels;
    sent.label_count = 1;
    assert_int_equal(sent_metric_part_count(&sent), 4);
    assert_int_equal(sent_metric_read(&f.context, &sent, 7, NOW, &metric), 0);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(sent_metric_part(&f.context, &metric, i, &point), 0);
        assert_int_equal(point.type, METRIC_POINT_GAUGE);
        assert_id(&f, point.name, "rpc.time");
        assert_int_equal(point.unit, INTERNED_NONE);
        assert_int_equal(point.label_count, 2);
        assert_id(&f, point.labels[0].key, "quantile");
        assert_id(&f, point.labels[0].value, i == 0 ? "0.5" : "0.999");
        assert_id(&f, point.labels[1].key, "z");
        assert_true(i == 0 ? point.value == 1.5 : isnan(point.value));
    }
    assert_int_equal(sent_metric_part(&f.context, &metric, 2, &point), 0);
    assert_int_equal(point.type, METRIC_POINT_BARE_COUNTER);
    assert_id(&f, point.name, "rpc.time_sum");
    assert_true(point.value == 17);
    assert_int_equal(point.label_count, 1);
    assert_int_equal(sent_metric_part(&f.context, &metric, 3, &point), 0);
    assert_id(&f, point.name, "rpc.time_count");
    assert_true(point.value == 9);
    assert_int_equal(point.start_unix_ns, 5);
    fixture_deinit(&f);
}

static void without_room_nothing_is_made_up(void **state)
{
    struct sent_label labels[SENT_LABEL_COUNT_MAX];
    char names[SENT_LABEL_COUNT_MAX][8];
    struct sent_quantile quantile = {.quantile = 0.5};
    struct sent_point sent = point_of(SENT_SUMMARY);
    struct metric_point point;
    struct fixture f;

    (void)state;
    fixture_init(&f, 1000);
    for (size_t i = 0; i < SENT_LABEL_COUNT_MAX; i++) {
        (void)snprintf(names[i], sizeof names[i], "k%zu", i);
        labels[i] = (struct sent_label){.name = slice_of_string(names[i]), .value = SLICE_LITERAL("v")};
    }
    sent.labels = labels;
    sent.label_count = SENT_LABEL_COUNT_MAX;
    sent.quantiles = &quantile;
    sent.quantile_count = 1;
    assert_int_equal(sent_metric_read(&f.context, &sent, 7, NOW, &metric), 0);
    assert_int_equal(sent_metric_part(&f.context, &metric, 0, &point), WERR_OVERSIZED); /* for its quantile */
    assert_int_equal(sent_metric_part(&f.context, &metric, 1, &point), 0);

    context_batch_begin(&f.context, false, 2); /* nothing new may be interned */
    struct sent_point other = point_of(SENT_GAUGE);

    other.name = SLICE_LITERAL("new.name");
    assert_int_equal(sent_metric_read(&f.context, &other, 7, NOW, &metric), WERR_FULL);
    other.name = SLICE_LITERAL("rpc.time");
    other.unit = SLICE_LITERAL("");
    assert_int_equal(sent_metric_read(&f.context, &other, 7, NOW, &metric), 0);
    fixture_deinit(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_become_points),
        cmocka_unit_test(labels_are_sorted_and_of_one_name_once),
        cmocka_unit_test(a_summary_is_called_as_prometheus_calls_it),
        cmocka_unit_test(without_room_nothing_is_made_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
