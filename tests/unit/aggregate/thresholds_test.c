/* What comes back of a request's series: the p90 of its route's last minutes, and that it is new. */
#include "fixture.h"

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

/* `count` requests at once, as one sampled span tells them. */
static struct record_note record(
    struct fixture *f, uint32_t shard, const char *route, uint64_t duration_ns, uint64_t count)
{
    struct request request = fixture_request(f, shard, "web", "web", "api", route);

    request.duration_ns = duration_ns;
    request.weight = count * WEIGHT_ONE;
    return directory_record(f->directories[shard], &request);
}

static uint64_t p90_of(struct fixture *f, uint32_t shard, const char *route)
{
    struct request request = fixture_request(f, shard, "web", "web", "api", route);

    return directory_note(f->directories[shard], &request).p90_ns;
}

/* Of 1 ... 100 ms it is 90 ms; the bucket's middle is at most 1.1 % away. */
static void p90_comes_back_with_the_flip(void **state)
{
    struct fixture *f = *state;

    fixture_start(f, 1);
    for (uint64_t i = 1; i <= 100; i++) {
        assert_int_equal(record(f, 0, "/a", i * MS_NS, 1).p90_ns, 0);
    }
    assert_int_equal(p90_of(f, 0, "/a"), 0);
    fixture_flip(f, 0);
    assert_in_range(p90_of(f, 0, "/a"), 89 * MS_NS, 91 * MS_NS);
    assert_int_equal(record(f, 0, "/a", MS_NS, 1).p90_ns, p90_of(f, 0, "/a"));
    assert_int_equal(p90_of(f, 0, "/other"), 0);
}

static void too_few_say_nothing(void **state)
{
    struct fixture *f = *state;

    fixture_start(f, 1);
    for (uint64_t i = 0; i < 99; i++) {
        (void)record(f, 0, "/a", MS_NS, 1);
    }
    fixture_flip(f, 0);
    assert_int_equal(p90_of(f, 0, "/a"), 0);
    (void)record(f, 0, "/a", MS_NS, 1);
    fixture_advance(f, 10 * SECOND_NS);
    (void)record(f, 0, "/a", MS_NS, 1);
    fixture_advance(f, 10 * SECOND_NS);
    assert_in_range(p90_of(f, 0, "/a"), MS_NS * 98 / 100, MS_NS * 102 / 100);
}

/* Once in each slot of the windows, however often a scrape asks for values. */
static void demand_flips_do_not_count_anew(void **state)
{
    struct fixture *f = *state;

    fixture_start(f, 1);
    (void)record(f, 0, "/a", 10 * MS_NS, 200);
    fixture_advance(f, 10 * SECOND_NS);
    uint64_t first = p90_of(f, 0, "/a");

    assert_in_range(first, 9800 * MS_NS / 1000, 10200 * MS_NS / 1000);
    for (int i = 0; i < 9; i++) {
        (void)record(f, 0, "/a", 500 * MS_NS, 1000);
        fixture_flip(f, 0);
        clock_manual_advance(&f->clock, SECOND_NS);
        assert_true(i == 0 || p90_of(f, 0, "/a") > 0);
        first = i == 0 ? p90_of(f, 0, "/a") : first;
        assert_int_equal(p90_of(f, 0, "/a"), first);
    }
    clock_manual_advance(&f->clock, 10 * SECOND_NS);
    aggregator_tick(f->aggregator);
    (void)record(f, 0, "/a", 100 * MS_NS, 65000);
    (void)record(f, 0, "/a", 100 * MS_NS, 65000);
    fixture_flip(f, 0);
    assert_in_range(p90_of(f, 0, "/a"), 98 * MS_NS, 102 * MS_NS);
}

/* What was slow six minutes ago is not what is usual now. */
static void old_values_are_forgotten(void **state)
{
    struct fixture *f = *state;

    fixture_start(f, 1);
    (void)record(f, 0, "/a", 900 * MS_NS, 1000);
    fixture_advance(f, 10 * SECOND_NS);
    assert_true(p90_of(f, 0, "/a") > 800 * MS_NS);
    for (int i = 0; i < 40; i++) {
        (void)record(f, 0, "/a", 2 * MS_NS, 50);
        fixture_advance(f, 10 * SECOND_NS);
    }
    assert_in_range(p90_of(f, 0, "/a"), MS_NS, 3 * MS_NS);
    /* Nearly nobody asks any more: nothing is usual. */
    for (int i = 0; i < 40; i++) {
        fixture_advance(f, 10 * SECOND_NS);
    }
    (void)record(f, 0, "/a", 2 * MS_NS, 1);
    fixture_advance(f, 10 * SECOND_NS);
    assert_int_equal(p90_of(f, 0, "/a"), 0);
}

static void all_shards_and_outcomes_count(void **state)
{
    struct fixture *f = *state;
    struct request failed;

    fixture_start(f, 2);
    (void)record(f, 0, "/a", 10 * MS_NS, 1000);
    failed = fixture_request(f, 1, "web", "web", "api", "/a");
    failed.outcome = OUTCOME_SERVER_ERROR;
    failed.response_code = 503;
    failed.duration_ns = MS_NS;
    (void)directory_record(f->directories[1], &failed);
    fixture_flip(f, 0);
    fixture_flip(f, 1);
    assert_in_range(
        directory_note(f->directories[1], &failed).p90_ns, 9800 * MS_NS / 1000, 10200 * MS_NS / 1000);
    assert_int_equal(p90_of(f, 1, "/a"), 0); /* this shard has no such series */
}

/* More routes than one merge reads: the next ones go on. */
static void many_routes_take_turns(void **state)
{
    enum { ROUTES = 1300 };
    struct fixture *f = *state;
    uint32_t known[3] = {0};

    fixture_start(f, 1);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < ROUTES; i++) {
            char route[32];

            (void)snprintf(route, sizeof route, "/route/%d", i);
            (void)record(f, 0, route, 5 * MS_NS, 200);
        }
        fixture_flip(f, 0);
        for (int i = 0; i < ROUTES; i++) {
            char route[32];

            (void)snprintf(route, sizeof route, "/route/%d", i);
            known[round] += p90_of(f, 0, route) > 0;
        }
    }
    assert_in_range(known[0], 1, ROUTES - 1);
    assert_in_range(known[1], known[0] + 1, ROUTES - 1);
    assert_int_equal(known[2], ROUTES);
}

static void first_requests_of_a_series_are_new(void **state)
{
    struct fixture *f = *state;
    struct request other;

    fixture_start(f, 1);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(record(f, 0, "/a", MS_NS, 1).is_new, i < 5);
        if (i % 3 == 0) {
            fixture_flip(f, 0);
        }
    }
    assert_true(record(f, 0, "/b", MS_NS, 1).is_new);
    other = fixture_request(f, 0, "web", "web", "api", "/a");
    other.response_code = 418; /* a series of its own */
    assert_true(directory_record(f->directories[0], &other).is_new);
    other.outcome = OUTCOME_COUNT; /* no request */
    assert_false(directory_record(f->directories[0], &other).is_new);
}

/* A series that went and came again is new, whatever its place held before. */
static void places_are_clean_for_the_next_one(void **state)
{
    struct fixture *f = *state;

    f->limits.series_idle_s = 60;
    fixture_start(f, 1);
    (void)record(f, 0, "/a", 100 * MS_NS, 1000);
    fixture_flip(f, 0);
    assert_true(p90_of(f, 0, "/a") > 0);
    for (int i = 0; i < 30; i++) {
        fixture_advance(f, 10 * SECOND_NS);
    }
    assert_int_equal(directory_series_count(f->directories[0]), 0);
    struct record_note note = record(f, 0, "/z", MS_NS, 1);

    assert_int_equal(note.p90_ns, 0);
    assert_true(note.is_new);
}

/* Nothing is known of what goes to overflow, nor of what a full budget refused. */
static void overflow_has_no_note(void **state)
{
    struct fixture *f = *state;

    f->limits.series_count_max = 64;
    f->limits.sender_series_percent = 100;
    fixture_start(f, 1);
    for (int i = 0; i < 200; i++) {
        char route[32];

        (void)snprintf(route, sizeof route, "/route/%d", i);
        (void)record(f, 0, route, MS_NS, 200);
        fixture_flip(f, 0);
    }
    struct record_note note = record(f, 0, "/route/150", 3000 * MS_NS, 1);

    assert_int_equal(note.p90_ns, 0);
    assert_false(note.is_new);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(p90_comes_back_with_the_flip),
        CASE(too_few_say_nothing),
        CASE(demand_flips_do_not_count_anew),
        CASE(old_values_are_forgotten),
        CASE(all_shards_and_outcomes_count),
        CASE(many_routes_take_turns),
        CASE(first_requests_of_a_series_are_new),
        CASE(places_are_clean_for_the_next_one),
        CASE(overflow_has_no_note),
    };
#undef CASE

    return cmocka_run_group_tests(tests, NULL, NULL);
}
