/* Metrics that proxies sent: resets, order, gauges, merged histograms, names, conflicts, budgets, the ledger.
 */
#include "fixture.h"

#include <float.h>
#include <math.h>

#include "aggregate/exp_histogram.h"
#include "aggregate/point_names.h"

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

static uint32_t intern(struct fixture *f, uint32_t shard, const char *text)
{
    return interner_intern(f->interners[shard], slice_of_string(text));
}

static struct metric_point point_of(
    struct fixture *f, uint32_t shard, enum metric_point_type type, const char *name, const char *sender)
{
    return (struct metric_point){.type = type,
        .name = intern(f, shard, name),
        .sender = intern(f, shard, sender),
        .time_unix_ns = START_UNIX_NS};
}

static void record_counter(struct fixture *f, uint32_t shard, uint64_t time_s, uint64_t start_s, double value)
{
    struct metric_point point =
        point_of(f, shard, METRIC_POINT_COUNTER, "cluster.upstream_rq_total", "pod-1");

    point.time_unix_ns = START_UNIX_NS + time_s * SECOND_NS;
    point.start_unix_ns = START_UNIX_NS + start_s * SECOND_NS;
    point.value = value;
    directory_record_point(f->directories[shard], &point);
}

static double counter_value(struct fixture *f)
{
    struct found found = fixture_find(f, "cluster_upstream_rq", PARTS("sender_workload=\"pod-1\""));

    assert_int_equal(found.series, 1);
    return found.value;
}

static void a_counter_never_falls(void **state)
{
    struct fixture *f = *state;

    fixture_start(f, 2);
    record_counter(f, 0, 1, 0, 100);
    record_counter(f, 0, 2, 0, 150);
    fixture_flip_all(f);
    assert_true(counter_value(f) == 150);
    record_counter(f, 0, 3, 0, 30); /* fell: a reset within nothing but the flip */
    fixture_flip_all(f);
    assert_true(counter_value(f) == 180);
    record_counter(f, 0, 4, 0, 40);
    record_counter(f, 0, 5, 0, 5); /* a reset within an interval */
    record_counter(f, 0, 6, 0, 9);
    fixture_flip_all(f);
    assert_true(counter_value(f) == 180 + 10 + 9);
    record_counter(f, 0, 7, 7, 20); /* a later start is a reset, though the value rose */
    fixture_flip_all(f);
    assert_true(counter_value(f) == 199 + 20);
    record_counter(f, 1, 8, 7, 25); /* the proxy connects to another shard: no reset, nothing twice */
    fixture_flip_all(f);
    assert_true(counter_value(f) == 219 + 5);
    record_counter(f, 0, 7, 7, 21); /* late news from the first one */
    fixture_flip_all(f);
    assert_true(counter_value(f) == 224);
    assert_int_equal(metric_registry_sum(&f->registry, METRIC_POINTS_RECORDED), 9);
    fixture_check_ledger(f);
}

/* Workers of one sender count each for itself; their sum is the counter, whatever order they report in. */
static void counters_of_several_processes_add_up(void **state)
{
    struct fixture *f = *state;

    fixture_start(f, 2);
    record_counter(f, 0, 10, 1, 100);
    record_counter(f, 0, 10, 2, 5);
    record_counter(f, 0, 11, 1, 110);
    record_counter(f, 0, 11, 2, 6);
    fixture_flip_all(f);
    assert_true(counter_value(f) == 116);
    record_counter(f, 0, 12, 2, 8);
    record_counter(f, 1, 12, 3, 1000); /* a third one, on another shard */
    fixture_flip_all(f);
    record_counter(f, 1, 13, 1, 120);  /* the first one connects to the other shard */
    record_counter(f, 0, 13, 3, 1001); /* and the third one to this */
    fixture_flip_all(f);
    assert_true(counter_value(f) == 120 + 8 + 1001);
    record_counter(f, 0, 14, 2, 3); /* a fall without a new start is a reset, of this one alone */
    record_counter(f, 0, 14, 1, 121);
    fixture_flip_all(f);
    assert_true(counter_value(f) == 121 + 8 + 3 + 1001);
    fixture_check_ledger(f);
}

static void record_bare(struct fixture *f, const char *name, uint64_t time_s, double value)
{
    struct metric_point point = point_of(f, 0, METRIC_POINT_BARE_COUNTER, name, "pod-1");

    point.time_unix_ns = START_UNIX_NS + time_s * SECOND_NS;
    point.value = value;
    directory_record_point(f->directories[0], &point);
}

/* Envoy has both NAME and NAME_total, which are two things; and NAME_total is what others tell as NAME. */
static void bare_counters_keep_their_names(void **state)
{
    struct fixture *f = *state;

    fixture_start(f, 1);
    record_bare(f, "cluster_upstream_rq", 1, 3);
    record_bare(f, "cluster_upstream_rq_total", 1, 7);
    fixture_flip_all(f);
    record_bare(f, "cluster_upstream_rq_total", 2, 9);
    fixture_flip_all(f);
    assert_true(fixture_find(f, "cluster_upstream_rq", NULL).value == 3);
    assert_true(fixture_find(f, "cluster_upstream_rq_total", NULL).value == 9);
    record_counter(f, 0, 3, 0, 100); /* cluster.upstream_rq_total: the same series */
    fixture_flip_all(f);
    assert_true(fixture_find(f, "cluster_upstream_rq_total", NULL).value == 109);
    record_bare(f, "cluster_upstream_rq_total", 4, -1);
    assert_int_equal(metric_registry_sum(&f->registry, METRIC_POINTS_DROPPED_MALFORMED), 1);
    fixture_check_ledger(f);
}

/* A counter told in OpenTelemetry's way takes the name that a scrape's sample has, and the reverse. */
static void a_bare_counter_joins_the_counter_of_its_name(void **state)
{
    struct fixture *f = *state;

    fixture_start(f, 1);
    record_counter(f, 0, 1, 0, 100);
    record_bare(f, "cluster_upstream_rq_total", 1, 7);
    fixture_flip_all(f);
    assert_true(counter_value(f) == 107);
    record_bare(f, "cluster_upstream_rq", 1, 7); /* OpenMetrics would have two families of one name */
    fixture_flip_all(f);
    assert_int_equal(metric_registry_sum(&f->registry, METRIC_POINTS_DROPPED_CONFLICT), 1);
    fixture_check_ledger(f);
}

static void a_stale_series_is_hidden_until_it_is_told_of_again(void **state)
{
    struct fixture *f = *state;
    struct metric_point point;

    fixture_start(f, 1);
    point = point_of(f, 0, METRIC_POINT_GAUGE, "memory", "pod-1");
    point.stale_after_s = 30;
    point.value = 5;
    directory_record_point(f->directories[0], &point);
    fixture_flip_all(f);
    assert_int_equal(fixture_find(f, "memory", NULL).series, 1);
    clock_manual_advance(&f->clock, 30 * SECOND_NS);
    assert_int_equal(fixture_find(f, "memory", NULL).series, 1);
    clock_manual_advance(&f->clock, 1 * SECOND_NS);
    assert_int_equal(fixture_find(f, "memory", NULL).series, 0);
    directory_record_point(f->directories[0], &point);
    fixture_flip_all(f);
    assert_int_equal(fixture_find(f, "memory", NULL).series, 1);
    fixture_check_ledger(f);
}

static void record_delta(struct fixture *f, uint32_t shard, enum metric_point_type type, double value)
{
    struct metric_point point = point_of(f, shard, type,
        type == METRIC_POINT_COUNTER ? "cluster.upstream_rq_total" : "cluster.upstream_cx_active", "pod-1");

    point.is_delta = true;
    point.value = value;
    directory_record_point(f->directories[shard], &point);
}

/* What a counter rose by adds up, over shards and intervals, whatever the points' order and times. */
static void deltas_of_a_counter_add_up(void **state)
{
    struct fixture *f = *state;

    fixture_start(f, 2);
    record_delta(f, 0, METRIC_POINT_COUNTER, 5);
    record_delta(f, 0, METRIC_POINT_COUNTER, 5);
    record_delta(f, 1, METRIC_POINT_COUNTER, 0.5);
    fixture_flip_all(f);
    assert_true(counter_value(f) == 10.5);
    record_delta(f, 1, METRIC_POINT_COUNTER, 0);
    record_delta(f, 0, METRIC_POINT_COUNTER, 3);
    fixture_flip_all(f);
    assert_true(counter_value(f) == 13.5);
    record_counter(f, 0, 1, 0, 100); /* another process tells its own count, beside them */
    fixture_flip_all(f);
    record_delta(f, 0, METRIC_POINT_COUNTER, 1);
    record_counter(f, 0, 2, 0, 110);
    record_counter(f, 0, 2, UINT64_MAX / SECOND_NS, 7); /* a start as late as there is */
    fixture_flip_all(f);
    assert_true(counter_value(f) == 13.5 + 110 + 1 + 7);
    record_delta(f, 0, METRIC_POINT_COUNTER, -1); /* malformed */
    record_delta(f, 0, METRIC_POINT_COUNTER, INFINITY);
    fixture_flip_all(f);
    assert_true(counter_value(f) == 13.5 + 110 + 1 + 7);
    assert_int_equal(metric_registry_sum(&f->registry, METRIC_POINTS_DROPPED_MALFORMED), 2);
    fixture_check_ledger(f);
}

static double gauge_value(struct fixture *f)
{
    struct found found = fixture_find(f, "cluster_upstream_cx_active", PARTS("sender_workload=\"pod-1\""));

    assert_int_equal(found.series, 1);
    return found.value;
}

static void record_gauge(struct fixture *f, double value)
{
    struct metric_point point = point_of(f, 0, METRIC_POINT_GAUGE, "cluster.upstream_cx_active", "pod-1");

    point.value = value;
    directory_record_point(f->directories[0], &point);
}

/* Within an interval and between intervals, up and down, and back; infinity that was told stays. */
static void sums_stay_numbers(void **state)
{
    struct fixture *f = *state;

    fixture_start(f, 1);
    for (int i = 0; i < 2; i++) {
        record_delta(f, 0, METRIC_POINT_GAUGE, 1e308);
        record_delta(f, 0, METRIC_POINT_GAUGE, 1e308);
        fixture_flip_all(f);
        assert_true(gauge_value(f) == DBL_MAX);
        assert_int_equal(metric_registry_sum(&f->registry, METRIC_POINT_SUMS_HELD), 1 + 2 * i);
    }
    record_delta(f, 0, METRIC_POINT_GAUGE, -1e308);
    fixture_flip_all(f);
    assert_true(gauge_value(f) == DBL_MAX - 1e308);
    record_gauge(f, -INFINITY);
    record_delta(f, 0, METRIC_POINT_GAUGE, 1e308);
    fixture_flip_all(f);
    assert_true(gauge_value(f) == -INFINITY);
    record_gauge(f, -1e308);
    record_delta(f, 0, METRIC_POINT_GAUGE, -1e308);
    fixture_flip_all(f);
    assert_true(gauge_value(f) == -DBL_MAX);
    fixture_check_ledger(f);
}

static void a_counters_sum_stays_a_number(void **state)
{
    struct fixture *f = *state;

    fixture_start(f, 1);
    record_delta(f, 0, METRIC_POINT_COUNTER, 1.5e308);
    record_delta(f, 0, METRIC_POINT_COUNTER, 1.5e308);
    fixture_flip_all(f);
    record_delta(f, 0, METRIC_POINT_COUNTER, 1);
    fixture_flip_all(f);
    assert_true(counter_value(f) == DBL_MAX);
    assert_int_equal(metric_registry_sum(&f->registry, METRIC_POINT_SUMS_HELD), 1);
    fixture_check_ledger(f);
}

/* A gauge that is told by how much it changed: from 0, from what it was before, from what was just said. */
static void deltas_of_a_gauge_are_added(void **state)
{
    struct fixture *f = *state;

    fixture_start(f, 1);
    record_delta(f, 0, METRIC_POINT_GAUGE, 4);
    record_delta(f, 0, METRIC_POINT_GAUGE, -1);
    fixture_flip_all(f);
    assert_true(gauge_value(f) == 3);
    record_delta(f, 0, METRIC_POINT_GAUGE, -5);
    fixture_flip_all(f);
    assert_true(gauge_value(f) == -2);
    record_delta(f, 0, METRIC_POINT_GAUGE, 100);
    record_gauge(f, 10);
    record_delta(f, 0, METRIC_POINT_GAUGE, 1);
    fixture_flip_all(f);
    assert_true(gauge_value(f) == 11);
    record_gauge(f, 7);
    fixture_flip_all(f);
    assert_true(gauge_value(f) == 7);
    fixture_check_ledger(f);
}

/* More processes than can be told apart at once: nothing is counted twice. */
static void forgotten_processes_count_no_more_than_they_did(void **state)
{
    struct fixture *f = *state;

    fixture_start(f, 1);
    for (uint64_t start_s = 1; start_s <= POINT_STREAM_COUNT_MAX + 10; start_s++) {
        record_counter(f, 0, 1000 + start_s, start_s, 7);
        fixture_flip_all(f);
    }
    assert_true(counter_value(f) == 7 * (POINT_STREAM_COUNT_MAX + 10));
    record_counter(f, 0, 5000, 1, 8); /* forgotten: from where did it rise? */
    fixture_flip_all(f);
    assert_true(counter_value(f) == 7 * (POINT_STREAM_COUNT_MAX + 10));
    record_counter(f, 0, 5001, 1, 10);
    record_counter(f, 0, 5001, POINT_STREAM_COUNT_MAX + 10, 9);
    fixture_flip_all(f);
    assert_true(counter_value(f) == 7 * (POINT_STREAM_COUNT_MAX + 10) + 2 + 2);

    /* in one interval a shard tells as many apart; what is past it is dropped, and counted */
    for (uint64_t start_s = 1; start_s <= POINT_STREAM_COUNT_MAX + 3; start_s++) {
        record_counter(f, 0, 6000, 10000 + start_s, 1);
    }
    assert_int_equal(metric_get(f->shard_cells[0], METRIC_POINTS_DROPPED_SERIES), 3);
    fixture_flip_all(f);
    fixture_check_ledger(f);
}

static void a_gauge_is_its_last_value_by_time(void **state)
{
    struct fixture *f = *state;

    fixture_start(f, 2);
    struct metric_point point = point_of(f, 0, METRIC_POINT_GAUGE, "memory", "pod-1");

    point.unit = intern(f, 0, "By");
    point.time_unix_ns += 5;
    point.value = 7;
    directory_record_point(f->directories[0], &point);
    point.time_unix_ns -= 1;
    point.value = 9;
    directory_record_point(f->directories[0], &point);
    fixture_flip_all(f);
    assert_true(fixture_find(f, "memory_bytes", NULL).value == 7);
    point = point_of(f, 1, METRIC_POINT_GAUGE, "memory", "pod-1");
    point.unit = intern(f, 1, "By");
    point.time_unix_ns += 6;
    point.value = -1;
    directory_record_point(f->directories[1], &point);
    fixture_flip_all(f);
    assert_true(fixture_find(f, "memory_bytes", NULL).value == -1);
    assert_int_equal(fixture_find(f, "memory_bytes", NULL).series, 1);
}

static void histograms_of_any_scale_merge(void **state)
{
    struct fixture *f = *state;
    const uint64_t fine[] = {0, 4, 0, 2};
    const uint64_t coarse[] = {3, 5};

    fixture_start(f, 2);
    struct metric_point point = point_of(f, 0, METRIC_POINT_HISTOGRAM, "size", "pod-1");

    point.scale = 3;
    point.offset = 16;
    point.buckets = fine;
    point.bucket_count = 4;
    point.zero_count = 2;
    point.value = 30;
    directory_record_point(f->directories[0], &point);
    point = point_of(f, 1, METRIC_POINT_HISTOGRAM, "size", "pod-1");
    point.scale = 1;
    point.offset = 4;
    point.buckets = coarse;
    point.bucket_count = 2;
    point.value = 50;
    directory_record_point(f->directories[1], &point);
    fixture_flip_all(f);
    struct found found = fixture_find(f, "size", NULL);

    assert_int_equal(found.sum, 6 + 2 + 8);
    assert_int_equal(found.histogram.zero_count, 2);
    assert_true(found.histogram.sum == 80);
    assert_int_equal(found.histogram.scale, 1);
    assert_int_equal(found.histogram.offset, 4); /* 16 >> 2 */
    assert_int_equal(found.histogram.bucket_count, 2);
    assert_int_equal(found.histogram.bound_count, 16); /* 1, 4, 16 … 2^30 */
    assert_int_equal(found.bound_counts[0], 2);
    assert_int_equal(found.bound_counts[1], 2);
    assert_int_equal(found.bound_counts[2], 16);
    assert_int_equal(found.bound_counts[15], 16);
}

static struct found find_durations(struct fixture *f, int32_t scale, int32_t offset, const uint64_t *buckets,
    size_t bucket_count, uint64_t zero_count)
{
    struct metric_point point = point_of(f, 0, METRIC_POINT_HISTOGRAM, "took", "pod-1");

    point.unit = intern(f, 0, "s");
    point.scale = scale;
    point.offset = offset;
    point.buckets = buckets;
    point.bucket_count = bucket_count;
    point.zero_count = zero_count;
    directory_record_point(f->directories[0], &point);
    fixture_flip_all(f);
    return fixture_find(f, "took_seconds", NULL);
}

/* Text formats show a proxy's exponential histogram at powers of two, exactly; times from 1 ms to 64 s. */
static void exponential_histograms_have_classic_bounds(void **state)
{
    struct fixture *f = *state;
    const uint64_t buckets[64] = {[0] = 1, [31] = 2, [32] = 4, [63] = 8}; /* 0.5 s to 2 s at scale 5 */
    const uint64_t far[] = {1};

    fixture_start(f, 1);
    struct found found = find_durations(f, 5, 0, NULL, 0, 3);
    assert_int_equal(found.histogram.bound_count, 17);
    assert_true(found.histogram.bounds[0] == 1.0 / 1024 && found.histogram.bounds[16] == 64);
    assert_int_equal(found.bound_counts[0], 3);
    assert_int_equal(found.bound_counts[16], 3);
    found = find_durations(f, 5, -32, buckets, 64, 0);
    assert_int_equal(found.histogram.count, 18);
    assert_int_equal(found.bound_counts[0], 3);       /* 2^-10 s */
    assert_int_equal(found.bound_counts[9], 3);       /* 0.5 s: buckets[0] begins there */
    assert_int_equal(found.bound_counts[10], 3 + 3);  /* 1 s, the upper bound of buckets[31] */
    assert_int_equal(found.bound_counts[11], 3 + 15); /* 2 s */
    assert_int_equal(found.bound_counts[16], 3 + 15);
    found = find_durations(f, 5, 32 * 12, far, 1, 0); /* above all bounds: in +Inf alone */
    assert_int_equal(found.bound_counts[16], 18);
    assert_int_equal(found.histogram.count, 19);
    found = find_durations(f, -1, 300, far, 1, 0); /* too coarse for powers of two: no classic view */
    assert_int_equal(found.histogram.bound_count, 0);
    assert_int_equal(found.histogram.count, 20);
}

/* Random merges against a recount of every value at the final scale. */
static void exponential_merges_are_exact(void **state)
{
    enum { POINTS = 400 };
    static struct {
        int scale;
        int64_t index;
        uint64_t count;
    } all[POINTS];
    uint64_t seed = 12345;

    (void)state;
    for (int round = 0; round < 200; round++) {
        struct exp_histogram merged = {.count = 0};
        uint64_t total = 0;

        for (int i = 0; i < POINTS; i++) {
            seed = seed * 6364136223846793005ull + 1442695040888963407ull;
            all[i].scale = (int)(seed >> 60) - 4;
            all[i].index = (int64_t)((seed >> 40) & 0x3ff) - 512;
            all[i].count = 1 + (seed >> 20 & 7);
            uint64_t buckets[3] = {0, all[i].count, 0};

            exp_histogram_add(&merged, all[i].scale, (int32_t)all[i].index - 1, buckets, 3, 0, 1);
            total += all[i].count;
            assert_true(merged.bucket_count <= EXP_BUCKET_COUNT_MAX);
        }
        uint64_t recount[EXP_BUCKET_COUNT_MAX] = {0};

        for (int i = 0; i < POINTS; i++) {
            int by = all[i].scale - merged.scale;

            assert_true(by >= 0);
            int64_t index = by > 40 ? (all[i].index < 0 ? -1 : 0) : all[i].index >> by;

            assert_in_range(index - merged.offset, 0, merged.bucket_count - 1);
            recount[index - merged.offset] += all[i].count;
        }
        assert_int_equal(merged.count, total);
        assert_memory_equal(recount, merged.buckets, merged.bucket_count * sizeof(uint64_t));
    }
}

static void extreme_scales_and_offsets_do_no_harm(void **state)
{
    const int32_t extremes[] = {INT32_MIN, -1000, -10, 0, 20, 1000, INT32_MAX};
    const uint64_t buckets[] = {1, 0, 2};

    (void)state;
    for (size_t i = 0; i < 7; i++) {
        for (size_t j = 0; j < 7; j++) {
            struct exp_histogram histogram = {.count = 0};

            exp_histogram_add(&histogram, 3, 100, buckets, 3, 0, 0);
            exp_histogram_add(&histogram, extremes[i], extremes[j], buckets, 3, 1, 0);
            exp_histogram_add(&histogram, extremes[j], extremes[i], buckets, 3, 1, 0);
            assert_int_equal(histogram.count, 11);
            uint64_t sum = 0;

            for (uint32_t k = 0; k < histogram.bucket_count; k++) {
                sum += histogram.buckets[k];
            }
            assert_int_equal(sum, 9);
            exp_histogram_downscale(&histogram, -4, 20);
            assert_true(histogram.bucket_count <= 20 && histogram.scale <= -4);
        }
    }
}

static void names_are_made_fit(void **state)
{
    char name[POINT_NAME_BYTES_MAX];
    const char *unit = NULL;

    (void)state;
    point_family_name(
        SLICE_LITERAL("http.requests_total"), SLICE_LITERAL("1"), METRIC_POINT_COUNTER, name, &unit);
    assert_string_equal(name, "http_requests");
    assert_string_equal(unit, "");
    point_family_name(SLICE_LITERAL("9lives"), SLICE_LITERAL("ms"), METRIC_POINT_GAUGE, name, &unit);
    assert_string_equal(name, "_9lives_milliseconds");
    assert_string_equal(unit, "milliseconds");
    point_family_name(SLICE_LITERAL("x_seconds"), SLICE_LITERAL("s"), METRIC_POINT_HISTOGRAM, name, &unit);
    assert_string_equal(name, "x_seconds");
    point_family_name(SLICE_LITERAL("disk..io"), SLICE_LITERAL("By/s"), METRIC_POINT_GAUGE, name, &unit);
    assert_string_equal(name, "disk_io_bytes_per_second");
    assert_string_equal(unit, "");
    point_family_name(SLICE_LITERAL("calls"), SLICE_LITERAL("{call}/s"), METRIC_POINT_GAUGE, name, &unit);
    assert_string_equal(name, "calls_per_second");
    point_family_name(SLICE_LITERAL("calls"), SLICE_LITERAL("{call}"), METRIC_POINT_GAUGE, name, &unit);
    assert_string_equal(name, "calls");
    point_family_name(SLICE_LITERAL("cpu.use"), SLICE_LITERAL("1"), METRIC_POINT_GAUGE, name, &unit);
    assert_string_equal(name, "cpu_use_ratio");
    assert_string_equal(unit, "ratio");
    point_family_name(
        SLICE_LITERAL("odd"), SLICE_LITERAL("furlong/fortnight"), METRIC_POINT_GAUGE, name, &unit);
    assert_string_equal(name, "odd");
    point_label_name(SLICE_LITERAL("quantile"), name);
    assert_string_equal(name, "quantile");
    point_label_name(SLICE_LITERAL("le"), name);
    assert_string_equal(name, "exported_le");
    point_label_name(SLICE_LITERAL("__name__"), name);
    assert_string_equal(name, "exported___name__");
    point_label_name(SLICE_LITERAL("a.b:c"), name);
    assert_string_equal(name, "a_b_c");
    assert_true(point_names_clash("x", METRIC_POINT_COUNTER, "x_total", METRIC_POINT_GAUGE));
    assert_true(point_names_clash("x_count", METRIC_POINT_GAUGE, "x", METRIC_POINT_HISTOGRAM));
    assert_true(point_names_clash("x", METRIC_POINT_GAUGE, "x", METRIC_POINT_COUNTER));
    assert_false(point_names_clash("x", METRIC_POINT_GAUGE, "x_total", METRIC_POINT_GAUGE));
    assert_false(point_names_clash("xa", METRIC_POINT_HISTOGRAM, "x", METRIC_POINT_HISTOGRAM));
    assert_true(point_name_is_reserved("mesh_requests") && !point_name_is_reserved("meshy"));
}

static void conflicts_are_dropped_and_counted(void **state)
{
    struct fixture *f = *state;
    struct metric_label first = {0};
    struct metric_label second = {0};

    fixture_start(f, 1);
    struct metric_point point = point_of(f, 0, METRIC_POINT_COUNTER, "jobs", "pod-1");

    directory_record_point(f->directories[0], &point);
    fixture_flip_all(f);
    point = point_of(f, 0, METRIC_POINT_GAUGE, "jobs", "pod-1"); /* one type a name */
    directory_record_point(f->directories[0], &point);
    directory_record_point(f->directories[0], &point);
    point = point_of(f, 0, METRIC_POINT_GAUGE, "mesh_requests_total", "pod-1"); /* ours */
    directory_record_point(f->directories[0], &point);
    first = (struct metric_label){.key = intern(f, 0, "a.b"), .value = intern(f, 0, "1")};
    second = (struct metric_label){.key = intern(f, 0, "a_b"), .value = intern(f, 0, "1")};
    point = point_of(f, 0, METRIC_POINT_GAUGE, "queue", "pod-1");
    point.labels = &first;
    point.label_count = 1;
    directory_record_point(f->directories[0], &point);
    point.labels = &second; /* would read the same */
    directory_record_point(f->directories[0], &point);
    fixture_flip_all(f);
    assert_int_equal(metric_registry_sum(&f->registry, METRIC_POINTS_DROPPED_CONFLICT), 4);
    assert_int_equal(metric_registry_sum(&f->registry, METRIC_POINTS_AGGREGATED), 2);
    assert_int_equal(fixture_find(f, "queue", PARTS("a_b=\"1\"")).series, 1);
    assert_int_equal(fixture_find(f, "jobs", NULL).series, 1);
    fixture_check_ledger(f);
    point = point_of(f, 0, METRIC_POINT_COUNTER, "jobs", "pod-1");
    point.value = NAN;
    directory_record_point(f->directories[0], &point);
    point.value = -1;
    directory_record_point(f->directories[0], &point);
    assert_int_equal(metric_registry_sum(&f->registry, METRIC_POINTS_DROPPED_MALFORMED), 2);
}

/* Who sent a metric is what its connection says: a label of that name is the sender's own affair. */
static void a_sender_cannot_be_claimed(void **state)
{
    struct fixture *f = *state;

    fixture_start(f, 1);
    struct metric_point point = point_of(f, 0, METRIC_POINT_GAUGE, "memory", "pod-1");
    const struct metric_label claim = {
        .key = intern(f, 0, "sender_workload"), .value = intern(f, 0, "pod-2")};

    point.labels = &claim;
    point.label_count = 1;
    point.value = 1;
    directory_record_point(f->directories[0], &point);
    fixture_flip_all(f);
    point = point_of(f, 0, METRIC_POINT_GAUGE, "memory", "pod-2");
    point.value = 2;
    directory_record_point(f->directories[0], &point);
    fixture_flip_all(f);
    struct found claimed =
        fixture_find(f, "memory", PARTS("sender_workload=\"pod-1\"", "exported_sender_workload=\"pod-2\""));
    struct found honest = fixture_find(f, "memory", PARTS("sender_workload=\"pod-2\""));

    assert_int_equal(fixture_find(f, "memory", NULL).series, 2);
    assert_int_equal(claimed.series, 1);
    assert_true(claimed.value == 1);
    assert_int_equal(honest.series, 2); /* the claim's text contains it, too */
    assert_int_equal(metric_registry_sum(&f->registry, METRIC_POINTS_DROPPED_CONFLICT), 0);
}

static void a_flood_of_points_leaves_others_alone(void **state)
{
    enum { FLOOD = 200000 };
    struct fixture *f = *state;

    f->limits.series_count_max = 2000;
    fixture_start(f, 2);
    for (unsigned i = 0; i < FLOOD; i++) {
        char text[32];
        uint32_t shard = i % 2;

        (void)snprintf(text, sizeof(text), "value-%u", i);
        struct metric_point point = point_of(f, shard, METRIC_POINT_COUNTER, "flood", "bad");
        struct metric_label label = {
            .key = intern(f, shard, "key"), .value = fixture_string(f, shard, point.sender, text)};

        point.labels = &label;
        point.label_count = 1;
        point.value = 1;
        directory_record_point(f->directories[shard], &point);
        if (i % 10000 == 9999) {
            record_counter(f, 0, 1 + i, 0, 1 + i);
            fixture_advance(f, 10 * SECOND_NS);
        }
    }
    struct found flood = fixture_find(f, "flood", NULL);
    uint64_t dropped = metric_registry_sum(&f->registry, METRIC_POINTS_DROPPED_SERIES);

    assert_true(flood.series <= 1000);
    assert_int_equal(
        dropped + metric_registry_sum(&f->registry, METRIC_POINTS_AGGREGATED), FLOOD + FLOOD / 10000);
    assert_true(counter_value(f) == FLOOD);
    fixture_check_ledger(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_counter_never_falls, setup, teardown),
        cmocka_unit_test_setup_teardown(bare_counters_keep_their_names, setup, teardown),
        cmocka_unit_test_setup_teardown(a_bare_counter_joins_the_counter_of_its_name, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stale_series_is_hidden_until_it_is_told_of_again, setup, teardown),
        cmocka_unit_test_setup_teardown(counters_of_several_processes_add_up, setup, teardown),
        cmocka_unit_test_setup_teardown(deltas_of_a_counter_add_up, setup, teardown),
        cmocka_unit_test_setup_teardown(deltas_of_a_gauge_are_added, setup, teardown),
        cmocka_unit_test_setup_teardown(sums_stay_numbers, setup, teardown),
        cmocka_unit_test_setup_teardown(a_counters_sum_stays_a_number, setup, teardown),
        cmocka_unit_test_setup_teardown(forgotten_processes_count_no_more_than_they_did, setup, teardown),
        cmocka_unit_test_setup_teardown(a_gauge_is_its_last_value_by_time, setup, teardown),
        cmocka_unit_test_setup_teardown(histograms_of_any_scale_merge, setup, teardown),
        cmocka_unit_test_setup_teardown(exponential_histograms_have_classic_bounds, setup, teardown),
        cmocka_unit_test(exponential_merges_are_exact),
        cmocka_unit_test(extreme_scales_and_offsets_do_no_harm),
        cmocka_unit_test(names_are_made_fit),
        cmocka_unit_test_setup_teardown(conflicts_are_dropped_and_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(a_sender_cannot_be_claimed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_flood_of_points_leaves_others_alone, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
