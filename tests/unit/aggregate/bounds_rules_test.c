/* Series that show other classic bounds than all others: exact counts, their exemplars, and who keeps to the
 * configured ones. */
#include "fixture.h"

static uint64_t pay_bounds[] = {7 * MS_NS, 33 * MS_NS + 1, 700 * MS_NS};
static uint64_t cart_bounds[] = {50 * MS_NS};

static struct bounds_rule rules[] = {
    {.service = "api.shop", .route = "/pay/*", .bounds_ns = {.items = pay_bounds, .count = 3}},
    {.service = "cart*", .bounds_ns = {.items = cart_bounds, .count = 1}, .slow_ms = 3600000},
    {.route = "/pay/*", .slow_ms = 1}, /* has no bounds of its own */
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    limits_init(&f->limits);
    f->bounds_rules = (struct bounds_rules){.items = rules, .count = 3};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture_stop(*state);
    free(*state);
    return 0;
}

static struct request request_of(
    struct fixture *f, uint32_t shard, const char *destination, const char *route, uint64_t duration_ns)
{
    struct request request = fixture_request(f, shard, "web", "web", destination, route);

    request.duration_ns = duration_ns;
    return request;
}

static void record(
    struct fixture *f, uint32_t shard, const char *destination, const char *route, uint64_t duration_ns)
{
    struct request request = request_of(f, shard, destination, route, duration_ns);

    (void)directory_record(f->directories[shard], &request);
}

static void expect_bounds(struct found *found, const uint64_t *bounds_ns, size_t count)
{
    assert_non_null(found->histogram.bounds);
    assert_int_equal(found->histogram.bound_count, count);
    for (size_t i = 0; i < count; i++) {
        assert_true(found->histogram.bounds[i] == (double)bounds_ns[i] / 1e9);
    }
}

/* Of each bound, of all rules and of the configured ones, the bound itself and the nanosecond above it. */
static void counts_are_exact(void **state)
{
    struct fixture *f = *state;
    const char *pay[] = {"destination=\"api\"", "route=\"/pay/now\"", "outcome=\"ok\"", NULL};
    const char *cart[] = {"destination=\"cart\"", "outcome=\"ok\"", NULL};
    const char *others[] = {"destination=\"web\"", "outcome=\"ok\"", NULL};
    uint64_t all[BOUNDS_COUNT_MAX];

    fixture_start(f, 2);
    size_t all_count = f->bounds.bound_count;
    memcpy(all, f->bounds.bounds_ns, sizeof all);
    assert_int_equal(all_count, bounds_default_count + 3); /* 50 ms is one of them already */
    for (size_t i = 0; i < all_count; i++) {
        for (uint64_t more = 0; more < 2; more++) {
            record(f, i % 2, "api", "/pay/now", all[i] + more);
            record(f, i % 2, "cart", "/pay/now", all[i] + more);
            record(f, i % 2, "web", "/pay/now", all[i] + more);
        }
    }
    fixture_flip_all(f);
    fixture_check_ledger(f);

    struct found found = fixture_find(f, "mesh_request_duration_seconds", pay);
    expect_bounds(&found, pay_bounds, 3);
    assert_int_equal(found.sum, 2 * all_count);
    for (size_t b = 0, i = 0; b < 3; b++) {
        while (all[i] < pay_bounds[b]) {
            i++;
        }
        assert_int_equal(found.bound_counts[b], 2 * i + 1);
    }
    found = fixture_find(f, "mesh_request_duration_seconds", cart);
    expect_bounds(&found, cart_bounds, 1);
    assert_int_equal(found.bound_counts[0], 2 * 8 + 1); /* 0.5 1 2.5 5 7 10 25 33.000001 are below 50 */
    found = fixture_find(f, "mesh_request_duration_seconds", others);
    expect_bounds(&found, bounds_default_ns, bounds_default_count);
    for (size_t b = 0, i = 0; b < bounds_default_count; b++) {
        while (all[i] < bounds_default_ns[b]) {
            i++;
        }
        assert_int_equal(found.bound_counts[b], 2 * i + 1);
    }
}

/* The zeros of outcomes that were never seen as well: sums over outcomes have all buckets. */
static void every_outcome_shows_them(void **state)
{
    struct fixture *f = *state;
    const char *errors[] = {"destination=\"cart\"", "outcome=\"server_error\"", NULL};

    fixture_start(f, 1);
    record(f, 0, "cart", "/", MS_NS);
    fixture_flip_all(f);
    struct found found = fixture_find(f, "mesh_request_duration_seconds", errors);

    expect_bounds(&found, cart_bounds, 1);
    assert_int_equal(found.series, 1);
    assert_int_equal(found.sum, 0);
}

static void overflow_shows_the_configured_ones(void **state)
{
    struct fixture *f = *state;
    const char *overflow[] = {"destination=\"_overflow\"", NULL};

    f->limits.series_count_max = 2;
    f->limits.sender_series_percent = 100;
    fixture_start(f, 1);
    for (int i = 0; i < 8; i++) {
        char name[32];

        (void)snprintf(name, sizeof name, "cart-%d", i);
        record(f, 0, name, "/", MS_NS);
    }
    fixture_flip_all(f);
    struct found found = fixture_find(f, "mesh_request_duration_seconds", overflow);

    assert_true(found.sum > 0);
    expect_bounds(&found, bounds_default_ns, bounds_default_count);
}

/* Candidates come by bucket of all bounds; three of them lie between 7 and 33 ms here. */
static void one_exemplar_a_bucket(void **state)
{
    struct fixture *f = *state;
    const uint64_t durations_ms[] = {1, 6, 8, 20, 30, 40, 600, 2000};
    const uint64_t newest_ms[] = {6, 30, 600, 2000};

    fixture_start(f, 1);
    for (size_t i = 0; i < 8; i++) {
        struct request request = request_of(f, 0, "api", "/pay/now", durations_ms[i] * MS_NS);

        request.stored = true;
        request.trace_id[0] = (uint8_t)(i + 1);
        request.start_unix_ns = START_UNIX_NS + (i << 40);
        (void)directory_record(f->directories[0], &request);
    }
    fixture_flip_all(f);

    struct snapshot *snapshot = fixture_snapshot(f);
    struct snapshot_cursor cursor = {0};
    const struct snapshot_family *family = NULL;
    struct snapshot_series series;
    size_t count = 0;

    while (snapshot_next(snapshot, &cursor, &family, &series) == 1) {
        for (size_t i = 0; series.histogram != NULL && i < series.histogram->exemplar_count; i++) {
            assert_true(count < 4);
            assert_true(series.histogram->exemplars[i].value == (double)newest_ms[count] / 1e3);
            count++;
        }
    }
    aggregator_snapshot_free(snapshot);
    assert_int_equal(count, 4);
}

/* What is slow comes back with the flip, to the shards that have the series, and stays while nobody asks. */
static void what_is_slow_comes_back(void **state)
{
    struct fixture *f = *state;
    struct request pay = {.duration_ns = 0};

    fixture_start(f, 2);
    pay = request_of(f, 0, "web", "/pay/x", MS_NS);
    assert_int_equal(directory_record(f->directories[0], &pay).slow_ms, 0);
    struct request cart = request_of(f, 0, "cart", "/", MS_NS);
    assert_true(directory_record(f->directories[0], &cart).is_new);
    struct request other = request_of(f, 0, "api", "/pay/x", MS_NS);
    (void)directory_record(f->directories[0], &other);
    assert_int_equal(directory_note(f->directories[0], &pay).slow_ms, 0);
    fixture_flip_all(f);
    fixture_flip_all(f);
    assert_int_equal(directory_note(f->directories[0], &pay).slow_ms, 1);
    assert_int_equal(directory_record(f->directories[0], &cart).slow_ms, 3600000);
    assert_int_equal(directory_record(f->directories[0], &other).slow_ms, 0);
    /* The note has its counter still: the first five are new. */
    for (int i = 1; i < 9; i++) {
        struct record_note note = directory_record(f->directories[0], &pay);

        assert_int_equal(note.slow_ms, 1);
        assert_int_equal(note.is_new, i < 5);
    }
    pay = request_of(f, 1, "web", "/pay/x", MS_NS);
    assert_int_equal(directory_note(f->directories[1], &pay).slow_ms, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(counts_are_exact, setup, teardown),
        cmocka_unit_test_setup_teardown(every_outcome_shows_them, setup, teardown),
        cmocka_unit_test_setup_teardown(overflow_shows_the_configured_ones, setup, teardown),
        cmocka_unit_test_setup_teardown(one_exemplar_a_bucket, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_slow_comes_back, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
