/* Histograms that proxies sent: bounds of their own, cumulative ones, resets, order, several processes, the
 * ledger. */
#include "fixture.h"

#include <math.h>

#include "aggregate/bucket_histogram.h"
#include "aggregate/exp_histogram.h"

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    limits_init(&f->limits);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture_stop(*state);
    free(*state);
    return 0;
}

static struct metric_point point_of(struct fixture *f, uint32_t shard, enum metric_point_type type)
{
    return (struct metric_point){.type = type,
        .name = interner_intern(f->interners[shard], SLICE_LITERAL("rpc.time")),
        .sender = interner_intern(f->interners[shard], SLICE_LITERAL("pod-1")),
        .time_unix_ns = START_UNIX_NS};
}

static const double three_bounds[] = {0.005, 0.01, 1};

/* Counts for three_bounds; cumulative since start_s. */
static void record_explicit(
    struct fixture *f, uint32_t shard, uint64_t time_s, uint64_t start_s, const uint64_t counts[4])
{
    struct metric_point point = point_of(f, shard, METRIC_POINT_EXPLICIT);

    point.is_cumulative = true;
    point.time_unix_ns = START_UNIX_NS + time_s * SECOND_NS;
    point.start_unix_ns = START_UNIX_NS + start_s * SECOND_NS;
    point.bounds = three_bounds;
    point.bound_count = 3;
    point.buckets = counts;
    point.bucket_count = 4;
    point.value = 0.5 * (double)(counts[0] + counts[1] + counts[2] + counts[3]);
    directory_record_point(f->directories[shard], &point);
}

#define COUNTS(a, b, c, d) ((const uint64_t[]){a, b, c, d})

static struct found find(struct fixture *f)
{
    struct found found = fixture_find(f, "rpc_time", PARTS("sender_workload=\"pod-1\""));

    assert_int_equal(found.series, 1);
    assert_true(found.histogram.is_classic);
    assert_int_equal(found.histogram.bucket_count, 0);
    return found;
}

static void check(struct fixture *f, uint64_t a, uint64_t b, uint64_t c, uint64_t count)
{
    struct found found = find(f);

    assert_int_equal(found.histogram.bound_count, 3);
    assert_int_equal(found.bound_counts[0], a);
    assert_int_equal(found.bound_counts[1], b);
    assert_int_equal(found.bound_counts[2], c);
    assert_int_equal(found.histogram.count, count);
    assert_true(found.histogram.sum == 0.5 * (double)count);
}

static void a_cumulative_histogram_counts_once(void **state)
{
    struct fixture *f = *state;

    fixture_start(f, 2);
    record_explicit(f, 0, 1, 0, COUNTS(1, 2, 3, 4));
    record_explicit(f, 0, 2, 0, COUNTS(2, 2, 4, 4)); /* the last of an interval */
    fixture_flip_all(f);
    check(f, 2, 4, 8, 12);
    record_explicit(f, 0, 3, 0, COUNTS(2, 2, 4, 5));
    fixture_flip_all(f);
    check(f, 2, 4, 8, 13);
    record_explicit(f, 1, 4, 0, COUNTS(3, 2, 4, 5)); /* it connects to another shard */
    fixture_flip_all(f);
    check(f, 3, 5, 9, 14);
    record_explicit(f, 0, 3, 0, COUNTS(2, 2, 4, 5)); /* late news */
    fixture_flip_all(f);
    check(f, 3, 5, 9, 14);
    assert_int_equal(metric_registry_sum(&f->registry, METRIC_POINTS_RECORDED), 5);
    fixture_check_ledger(f);
}

static void a_fall_or_a_later_start_is_a_reset(void **state)
{
    struct fixture *f = *state;

    fixture_start(f, 1);
    record_explicit(f, 0, 1, 0, COUNTS(5, 0, 0, 0));
    fixture_flip_all(f);
    record_explicit(f, 0, 2, 0, COUNTS(1, 0, 0, 0)); /* between two intervals */
    fixture_flip_all(f);
    check(f, 6, 6, 6, 6);
    record_explicit(f, 0, 3, 0, COUNTS(2, 0, 0, 0));
    record_explicit(f, 0, 4, 0, COUNTS(0, 1, 0, 0)); /* within one */
    record_explicit(f, 0, 5, 0, COUNTS(0, 3, 0, 0));
    fixture_flip_all(f);
    check(f, 7, 10, 10, 10);
    record_explicit(f, 0, 6, 6, COUNTS(0, 0, 9, 0)); /* another process, beside the first */
    record_explicit(f, 0, 6, 0, COUNTS(0, 3, 0, 1));
    fixture_flip_all(f);
    check(f, 7, 10, 19, 20);
    fixture_check_ledger(f);
}

static void other_bounds_leave_the_common_ones(void **state)
{
    static const double other_bounds[] = {0.01, 0.5, 1, 2};
    static const uint64_t counts[] = {1, 1, 1, 1, 1};
    struct fixture *f = *state;

    fixture_start(f, 1);
    record_explicit(f, 0, 1, 0, COUNTS(1, 2, 3, 4));
    fixture_flip_all(f);
    struct metric_point point = point_of(f, 0, METRIC_POINT_EXPLICIT);

    point.bounds = other_bounds;
    point.bound_count = 4;
    point.buckets = counts;
    point.bucket_count = 5;
    directory_record_point(f->directories[0], &point); /* what it adds */
    fixture_flip_all(f);
    struct found found = find(f);

    assert_int_equal(found.histogram.bound_count, 2); /* 0.01 and 1 */
    assert_true(found.histogram.bounds[0] == 0.01 && found.histogram.bounds[1] == 1);
    assert_int_equal(found.bound_counts[0], 3 + 1);
    assert_int_equal(found.bound_counts[1], 6 + 3);
    assert_int_equal(found.histogram.count, 10 + 5);
    record_explicit(f, 0, 2, 0, COUNTS(2, 2, 3, 4)); /* goes on with its own */
    fixture_flip_all(f);
    found = find(f);
    assert_int_equal(found.bound_counts[0], 5);
    assert_int_equal(found.bound_counts[1], 10);
    assert_int_equal(found.histogram.count, 16);
    fixture_check_ledger(f);
}

static void bad_bounds_are_malformed(void **state)
{
    static const double falling[] = {1, 0.5};
    static const double twice[] = {1, 1};
    static const double endless[] = {1, INFINITY};
    static const double *const all[] = {falling, twice, endless};
    static const uint64_t counts[METRIC_BOUND_COUNT_MAX + 2] = {1};
    static double many[METRIC_BOUND_COUNT_MAX + 1];
    struct fixture *f = *state;

    fixture_start(f, 1);
    struct metric_point point = point_of(f, 0, METRIC_POINT_EXPLICIT);

    point.buckets = counts;
    for (size_t i = 0; i < 3; i++) {
        point.bounds = all[i];
        point.bound_count = 2;
        point.bucket_count = 3;
        directory_record_point(f->directories[0], &point);
    }
    for (size_t i = 0; i < METRIC_BOUND_COUNT_MAX + 1; i++) {
        many[i] = (double)i;
    }
    point.bounds = many;
    point.bound_count = METRIC_BOUND_COUNT_MAX + 1;
    point.bucket_count = METRIC_BOUND_COUNT_MAX + 2;
    directory_record_point(f->directories[0], &point);
    point.bound_count = 2; /* not one bucket more than bounds */
    directory_record_point(f->directories[0], &point);
    point.bound_count = METRIC_BOUND_COUNT_MAX; /* as many as there may be */
    point.bucket_count = METRIC_BOUND_COUNT_MAX + 1;
    directory_record_point(f->directories[0], &point);
    assert_int_equal(metric_get(f->shard_cells[0], METRIC_POINTS_DROPPED_MALFORMED), 5);
    fixture_flip_all(f);
    assert_int_equal(find(f).histogram.bound_count, METRIC_BOUND_COUNT_MAX);
    fixture_check_ledger(f);
}

static void the_other_kind_of_histogram_is_a_conflict(void **state)
{
    static const uint64_t one[] = {1};
    struct fixture *f = *state;

    fixture_start(f, 1);
    record_explicit(f, 0, 1, 0, COUNTS(1, 2, 3, 4));
    fixture_flip_all(f);
    struct metric_point point = point_of(f, 0, METRIC_POINT_HISTOGRAM);

    point.buckets = one;
    point.bucket_count = 1;
    directory_record_point(f->directories[0], &point);
    point.sender = interner_intern(f->interners[0], SLICE_LITERAL("pod-2")); /* another's series may be */
    directory_record_point(f->directories[0], &point);
    fixture_flip_all(f);
    check(f, 1, 3, 6, 10);
    assert_int_equal(metric_registry_sum(&f->registry, METRIC_POINTS_DROPPED_CONFLICT), 1);
    assert_int_equal(fixture_find(f, "rpc_time", PARTS("sender_workload=\"pod-2\"")).sum, 1);
    fixture_check_ledger(f);
}

/* SDKs lower the scale while they go on counting. */
static void a_cumulative_exponential_histogram_may_coarsen(void **state)
{
    static const uint64_t fine[] = {1, 2, 3, 4};
    static const uint64_t coarse[] = {4, 7, 1};
    struct fixture *f = *state;

    fixture_start(f, 1);
    struct metric_point point = point_of(f, 0, METRIC_POINT_HISTOGRAM);

    point.is_cumulative = true;
    point.scale = 3;
    point.offset = 16;
    point.buckets = fine;
    point.bucket_count = 4;
    point.zero_count = 1;
    point.value = 10;
    directory_record_point(f->directories[0], &point);
    fixture_flip_all(f);
    point.scale = 2;
    point.offset = 8;
    point.buckets = coarse;
    point.bucket_count = 3;
    point.zero_count = 2;
    point.value = 15;
    point.time_unix_ns += SECOND_NS;
    directory_record_point(f->directories[0], &point);
    fixture_flip_all(f);
    struct found found = fixture_find(f, "rpc_time", NULL);

    assert_int_equal(found.histogram.count, 14);
    assert_int_equal(found.histogram.zero_count, 2);
    assert_true(found.histogram.sum == 15);
    assert_int_equal(found.histogram.scale, 2);
    assert_int_equal(found.histogram.offset, 8);
    assert_int_equal(found.histogram.bucket_count, 3);
    fixture_check_ledger(f);
}

static void rises_are_refused_where_a_count_fell(void **state)
{
    static const uint64_t first[] = {3, 1};
    static const uint64_t second[] = {2, 5};
    struct exp_histogram before = {.count = 0};
    struct exp_histogram now = {.count = 0};
    struct exp_histogram rise = {.count = 77};
    struct bucket_histogram less = {.count = 0};
    struct bucket_histogram more = {.count = 0};
    struct bucket_histogram grown = {.count = 77};
    double bound = 1;

    (void)state;
    exp_histogram_add(&before, 0, 0, first, 2, 0, 1);
    exp_histogram_add(&now, 0, 0, second, 2, 0, 1);
    assert_false(exp_histogram_rise(&before, &now, &rise));
    assert_int_equal(rise.count, 77);
    exp_histogram_add(&now, 0, 0, first, 2, 0, 1);
    assert_true(exp_histogram_rise(&before, &now, &rise));
    assert_int_equal(rise.count, 7);
    bucket_histogram_add(&less, &bound, 1, first, 1);
    bucket_histogram_add(&more, &bound, 1, second, 1);
    assert_false(bucket_histogram_rise(&less, &more, &grown));
    assert_int_equal(grown.count, 77);
    bucket_histogram_merge(&more, &less);
    assert_true(bucket_histogram_rise(&less, &more, &grown));
    assert_int_equal(grown.counts[0], 2);
    assert_int_equal(grown.counts[1], 5);
}

/* More processes than can be told apart at once: nothing is counted twice. */
static void forgotten_processes_add_no_more_than_they_did(void **state)
{
    struct fixture *f = *state;
    uint64_t sum = 0;

    fixture_start(f, 1);
    for (uint64_t start_s = 1; start_s <= POINT_STREAM_COUNT_MAX + 5; start_s++) {
        record_explicit(f, 0, 1000 + start_s, start_s, COUNTS(0, 0, 0, 2));
        fixture_flip_all(f);
        sum += 2;
    }
    assert_int_equal(find(f).sum, sum);
    record_explicit(f, 0, 5000, 1, COUNTS(0, 0, 0, 3)); /* forgotten */
    fixture_flip_all(f);
    record_explicit(f, 0, 5001, 1, COUNTS(0, 0, 0, 4)); /* known again */
    fixture_flip_all(f);
    assert_int_equal(find(f).sum, sum + 1);
    fixture_check_ledger(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_cumulative_histogram_counts_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_fall_or_a_later_start_is_a_reset, setup, teardown),
        cmocka_unit_test_setup_teardown(other_bounds_leave_the_common_ones, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_bounds_are_malformed, setup, teardown),
        cmocka_unit_test_setup_teardown(the_other_kind_of_histogram_is_a_conflict, setup, teardown),
        cmocka_unit_test_setup_teardown(a_cumulative_exponential_histogram_may_coarsen, setup, teardown),
        cmocka_unit_test(rises_are_refused_where_a_count_fell),
        cmocka_unit_test_setup_teardown(forgotten_processes_add_no_more_than_they_did, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
