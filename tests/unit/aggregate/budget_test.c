/*
 * What a flood of label sets gets: memory within the budget, totals exact, series that were there before
 * untouched, another sender's series its own. And a day of short-lived workloads, and the memory that many
 * wide histograms take.
 */
#include "fixture.h"

#include <malloc.h>

enum { EARLY_COUNT = 1000, FLOOD_COUNT = 1000000, HONEST_COUNT = 100 };

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

static void record_early(struct fixture *f, unsigned number)
{
    char route[32];
    uint32_t shard = number % f->shard_count;

    (void)snprintf(route, sizeof(route), "/early/%u", number);
    struct request request = fixture_request(f, shard, "early", "web", "api", route);

    directory_record(f->directories[shard], &request);
}

static void record_flood(struct fixture *f, uint64_t random, unsigned number)
{
    char text[32];
    uint32_t shard = number % f->shard_count;

    (void)snprintf(text, sizeof(text), "x%016llx", (unsigned long long)random);
    struct request request = fixture_request(f, shard, "flood", text, text + 4, text + 8);

    request.response_code = (uint16_t)(200 + random % 300);
    request.outcome = (uint8_t)(random % OUTCOME_COUNT);
    request.duration_ns = random % (10 * SECOND_NS);
    directory_record(f->directories[shard], &request);
}

static void record_honest(struct fixture *f, unsigned number)
{
    char route[32];
    uint32_t shard = number % f->shard_count;

    (void)snprintf(route, sizeof(route), "/honest/%u", number);
    struct request request = fixture_request(f, shard, "honest", "shop", "cart", route);

    directory_record(f->directories[shard], &request);
}

static void check_own_series(struct fixture *f, const char *prefix, unsigned count, uint64_t each)
{
    struct snapshot *snapshot = fixture_snapshot(f);
    struct snapshot_cursor cursor = {0};
    const struct snapshot_family *family = NULL;
    struct snapshot_series series;
    unsigned requests = 0;
    unsigned durations = 0;

    while (snapshot_next(snapshot, &cursor, &family, &series) == 1) {
        if (strstr(series.labels_text, prefix) == NULL) {
            continue;
        }
        if (strcmp(family->name, "mesh_requests") == 0) {
            requests++;
            assert_int_equal(series.integer, each);
        } else if (series.histogram != NULL && strstr(series.labels_text, "outcome=\"ok\"") != NULL) {
            durations++;
            assert_int_equal(series.histogram->count, each);
            assert_int_equal(series.histogram->bound_counts[3], each); /* 3 ms is at most 5 ms */
            assert_int_equal(series.histogram->bound_counts[2], 0);
        }
    }
    aggregator_snapshot_free(snapshot);
    assert_int_equal(requests, count);
    assert_int_equal(durations, count);
}

static void flood(struct fixture *f, uint32_t shard_count)
{
    uint64_t seed = 0x9e3779b97f4a7c15ull;
    uint64_t used_bytes_max = 0;

    fixture_start(f, shard_count);
    for (unsigned i = 0; i < EARLY_COUNT; i++) {
        record_early(f, i);
    }
    fixture_advance(f, 10 * SECOND_NS);
    for (unsigned i = 0; i < FLOOD_COUNT; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        record_flood(f, seed, i);
        if (i % 20000 == 0) {
            for (unsigned j = 0; j < HONEST_COUNT; j++) {
                record_honest(f, j);
            }
            for (unsigned j = 0; j < EARLY_COUNT; j++) {
                record_early(f, j);
            }
            fixture_advance(f, 10 * SECOND_NS);
        }
        if (f->budget.used_bytes > used_bytes_max) {
            used_bytes_max = f->budget.used_bytes;
        }
    }
    fixture_advance(f, 10 * SECOND_NS);
    uint64_t rounds = FLOOD_COUNT / 20000;
    uint64_t sent = FLOOD_COUNT + EARLY_COUNT * (rounds + 1) + HONEST_COUNT * rounds;
    struct found requests = fixture_find(f, "mesh_requests", NULL);
    struct found durations = fixture_find(f, "mesh_request_duration_seconds", NULL);

    assert_true(used_bytes_max <= f->limits.series_bytes_max);
    assert_true(aggregator_series_count(f->aggregator) <= f->limits.series_count_max);
    assert_int_equal(requests.sum, sent);
    assert_int_equal(durations.sum, sent);
    assert_true(requests.overflow > FLOOD_COUNT * 9ull / 10);
    check_own_series(f, "/early/", EARLY_COUNT, rounds + 1);
    check_own_series(f, "/honest/", HONEST_COUNT, rounds);
    fixture_check_ledger(f);
    print_message("%u shards: %llu KiB of %llu KiB used, %u series\n", shard_count,
        (unsigned long long)used_bytes_max / 1024, (unsigned long long)f->limits.series_bytes_max / 1024,
        aggregator_series_count(f->aggregator));
}

static void a_million_label_sets_one_shard(void **state)
{
    flood(*state, 1);
}

static void a_million_label_sets_four_shards(void **state)
{
    flood(*state, 4);
}

/* Here memory, not the count of series, is what runs out. */
static void a_million_label_sets_little_memory(void **state)
{
    struct fixture *f = *state;

    f->limits.series_count_max = 1000000;
    f->limits.series_bytes_max = 32u << 20;
    f->limits.sender_series_percent = 100;
    fixture_start(f, 1);
    uint64_t seed = 0x2545f4914f6cdd1dull;

    for (unsigned i = 0; i < EARLY_COUNT; i++) {
        record_early(f, i);
    }
    fixture_advance(f, 10 * SECOND_NS);
    for (unsigned i = 0; i < 300000; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        record_flood(f, seed, i);
        assert_true(f->budget.used_bytes <= f->budget.cap_bytes);
        if (i % 20000 == 0) {
            fixture_advance(f, 10 * SECOND_NS);
        }
    }
    for (unsigned i = 0; i < EARLY_COUNT; i++) {
        record_early(f, i);
    }
    fixture_advance(f, 10 * SECOND_NS);
    assert_int_equal(fixture_find(f, "mesh_requests", NULL).sum, 300000 + 2 * EARLY_COUNT);
    assert_int_equal(fixture_find(f, "mesh_request_duration_seconds", NULL).sum, 300000 + 2 * EARLY_COUNT);
    check_own_series(f, "/early/", EARLY_COUNT, 2);
    fixture_check_ledger(f);
}

/* What expired series leave behind is used again, though the budget counts it all the while. */
static void memory_comes_back_after_expiry(void **state)
{
    enum { SETS = 2000, OCTAVES = 30 };
    struct fixture *f = *state;

    f->limits.series_count_max = 1000000;
    f->limits.series_bytes_max = 20u << 20;
    f->limits.sender_series_percent = 100;
    f->limits.series_idle_s = 60;
    fixture_start(f, 4);
    for (unsigned i = 0; i < SETS * OCTAVES; i++) {
        char route[32];

        (void)snprintf(route, sizeof(route), "/wide/%u", i % SETS);
        struct request request = fixture_request(f, i % 4, "web", "web", "api", route);

        request.duration_ns = 1000ull << (i / SETS);
        directory_record(f->directories[i % 4], &request);
        if (i == SETS - 1) {
            fixture_advance(f, 10 * SECOND_NS); /* all have their series before memory runs short */
        }
    }
    fixture_advance(f, 10 * SECOND_NS);
    assert_int_equal(fixture_find(f, "mesh_requests", NULL).sum, SETS * OCTAVES);
    assert_int_equal(fixture_find(f, "mesh_request_duration_seconds", NULL).sum, SETS * OCTAVES);
    uint64_t overflow = fixture_find(f, "mesh_requests", NULL).overflow;

    for (int i = 0; i < 20; i++) {
        fixture_advance(f, 10 * SECOND_NS);
    }
    assert_int_equal(aggregator_series_count(f->aggregator), 0);
    assert_true(f->budget.used_bytes > f->budget.cap_bytes / 4 * 3);
    for (unsigned i = 0; i < EARLY_COUNT; i++) {
        record_early(f, i);
    }
    fixture_advance(f, 10 * SECOND_NS);
    check_own_series(f, "/early/", EARLY_COUNT, 1);
    assert_int_equal(fixture_find(f, "mesh_requests", NULL).overflow, overflow);
    fixture_check_ledger(f);
    print_message("%llu of %llu KiB in use for the budget\n", (unsigned long long)f->budget.used_bytes / 1024,
        (unsigned long long)f->budget.cap_bytes / 1024);
}

/* Each workload is a sender of its own and lives for a moment; the defaults hold them all without overflow.
 */
static void a_day_of_a_million_workloads(void **state)
{
    enum { WORKLOADS = 1000000, DAY_S = 86400, FLIP_S = 10, A_FLIP = WORKLOADS * FLIP_S / DAY_S };
    struct fixture *f = *state;
    unsigned made = 0;
    uint32_t strings_max = 0;

    fixture_start(f, 2);
    for (unsigned flip = 0; made < WORKLOADS; flip++) {
        for (unsigned i = 0; i <= A_FLIP && made < WORKLOADS; i++, made++) {
            char name[32];
            uint32_t shard = made % 2;

            (void)snprintf(name, sizeof(name), "job-%u", made);
            struct request request = fixture_request(f, shard, name, name, "api", "/run");

            directory_record(f->directories[shard], &request);
            directory_record(f->directories[shard], &request);
        }
        fixture_advance(f, FLIP_S * SECOND_NS);
        for (uint32_t shard = 0; shard < 2; shard++) {
            uint32_t strings = interner_count(f->interners[shard]);

            strings_max = strings > strings_max ? strings : strings_max;
        }
        assert_true(aggregator_series_count(f->aggregator) <= f->limits.series_count_max);
    }
    assert_true(strings_max < f->limits.strings_count_max / 4);
    assert_int_equal(metric_registry_sum(&f->registry, METRIC_SERIES_OVERFLOW_RECORDS), 0);
    assert_int_equal(metric_registry_sum(&f->registry, METRIC_SERIES_REFUSED), 0);
    assert_int_equal(fixture_find(f, "mesh_requests", NULL).overflow, 0);
    assert_true(metric_registry_sum(&f->registry, METRIC_SERIES_EXPIRED) > WORKLOADS);
    assert_int_equal(metric_registry_sum(&f->registry, METRIC_SPANS_AGGREGATED), 2 * WORKLOADS);
    fixture_check_ledger(f);
    print_message("at most %u strings in a shard, %u series live\n", strings_max,
        aggregator_series_count(f->aggregator));
}

/* 10,000 label sets of the duration histogram, 8 octaves each, every one touched in every shard, two deltas
 * at once. */
static void check_wide_histograms(struct fixture *f, uint32_t shard_count, size_t limit_mib)
{
    enum { SETS = 10000, OCTAVES = 8 };
    size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;

    f->limits.series_count_max = 40000;
    f->limits.sender_series_percent = 100;
    f->limits.series_bytes_max = 256u << 20;
    fixture_start(f, shard_count);
    for (uint32_t shard = 0; shard < shard_count; shard++) {
        for (unsigned set = 0; set < SETS; set++) {
            char source[32];
            char destination[32];
            char route[32];

            (void)snprintf(source, sizeof(source), "caller-%u", set / 1000);
            (void)snprintf(destination, sizeof(destination), "service-%u", set / 100 % 10);
            (void)snprintf(route, sizeof(route), "/orders/%u", set / OUTCOME_COUNT % 20);
            struct request request = fixture_request(f, shard, "web", source, destination, route);

            request.outcome = (uint8_t)(set % OUTCOME_COUNT);
            for (unsigned octave = 0; octave < OCTAVES; octave++) {
                request.duration_ns = MS_NS << octave;
                directory_record(f->directories[shard], &request);
            }
        }
    }
    size_t peak = mallinfo2().uordblks + mallinfo2().hblkhd;

    fixture_advance(f, 10 * SECOND_NS);
    size_t after = mallinfo2().uordblks + mallinfo2().hblkhd;

    peak = after > peak ? after : peak;
    print_message("%u shards: %zu KiB, budget %llu KiB\n", shard_count, (peak - before) / 1024,
        (unsigned long long)f->budget.used_bytes / 1024);
    assert_int_equal(
        fixture_find(f, "mesh_request_duration_seconds", NULL).sum, (uint64_t)SETS * OCTAVES * shard_count);
    assert_int_equal(fixture_find(f, "mesh_request_duration_seconds", NULL).overflow, 0);
    assert_true(f->budget.used_bytes <= (uint64_t)limit_mib << 20);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true(peak - before <= limit_mib << 20);
#endif
}

static void wide_histograms_one_shard(void **state)
{
    check_wide_histograms(*state, 1, 48);
}

static void wide_histograms_four_shards(void **state)
{
    check_wide_histograms(*state, 4, 96);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(wide_histograms_one_shard, setup, teardown),
        cmocka_unit_test_setup_teardown(wide_histograms_four_shards, setup, teardown),
        cmocka_unit_test_setup_teardown(a_million_label_sets_one_shard, setup, teardown),
        cmocka_unit_test_setup_teardown(a_million_label_sets_four_shards, setup, teardown),
        cmocka_unit_test_setup_teardown(a_million_label_sets_little_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_comes_back_after_expiry, setup, teardown),
        cmocka_unit_test_setup_teardown(a_day_of_a_million_workloads, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
