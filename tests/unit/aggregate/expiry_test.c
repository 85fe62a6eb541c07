/* Idle series retire, busy ones are kept, returning ones are newer; strings go with them; a cursor survives
 * all of it. */
#include "fixture.h"

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    limits_init(&f->limits);
    f->limits.series_idle_s = 600;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture_stop(*state);
    free(*state);
    return 0;
}

static void record(struct fixture *f, uint32_t shard, const char *route)
{
    struct request request = fixture_request(f, shard, "web", "web", "api", route);

    directory_record(f->directories[shard], &request);
}

static void idle_series_go_and_return_newer(void **state)
{
    struct fixture *f = *state;

    fixture_start(f, 2);
    record(f, 0, "/once");
    record(f, 1, "/once");
    record(f, 0, "/busy");
    fixture_advance(f, 10 * SECOND_NS);
    uint64_t created = fixture_find(f, "mesh_requests", PARTS("/once")).created_unix_ns;
    uint32_t strings = interner_count(f->interners[0]);

    assert_int_equal(fixture_find(f, "mesh_requests", PARTS("/once")).sum, 2);
    for (int i = 0; i < 70; i++) {
        record(f, 0, "/busy");
        fixture_advance(f, 10 * SECOND_NS);
    }
    assert_int_equal(fixture_find(f, "mesh_requests", PARTS("/once")).series, 0);
    assert_int_equal(fixture_find(f, "mesh_request_duration_seconds", PARTS("/once")).series, 0);
    assert_int_equal(fixture_find(f, "mesh_requests", PARTS("/busy")).sum, 71);
    assert_int_equal(directory_series_count(f->directories[0]), 3);
    assert_int_equal(directory_series_count(f->directories[1]), 0);
    assert_int_equal(aggregator_series_count(f->aggregator), 3);
    assert_true(interner_count(f->interners[0]) < strings);
    assert_int_equal(
        metric_get(f->aggregator_cells, METRIC_SERIES_EXPIRED), 3); /* requests, duration, traffic */
    record(f, 1, "/once");
    fixture_advance(f, 10 * SECOND_NS);
    struct found again = fixture_find(f, "mesh_requests", PARTS("/once"));

    assert_int_equal(again.sum, 1);
    assert_true(again.created_unix_ns > created);
    fixture_check_ledger(f);
}

/* Traffic between the verdict and the flip that would carry it out: the series stays, its values whole. */
static void touched_in_time_is_kept(void **state)
{
    struct fixture *f = *state;

    fixture_start(f, 1);
    record(f, 0, "/late");
    fixture_advance(f, 10 * SECOND_NS);
    uint64_t created = fixture_find(f, "mesh_requests", PARTS("/late")).created_unix_ns;

    clock_manual_advance(&f->clock, 700 * SECOND_NS);
    aggregator_tick(f->aggregator); /* decides */
    fixture_flip_all(f);            /* tells the shard */
    record(f, 0, "/late");
    fixture_flip_all(f); /* the shard says kept */
    fixture_flip_all(f);
    struct found kept = fixture_find(f, "mesh_requests", PARTS("/late"));

    assert_int_equal(kept.sum, 2);
    assert_int_equal(kept.created_unix_ns, created);
    for (int i = 0; i < 64; i++) {
        fixture_advance(f, 10 * SECOND_NS);
    }
    assert_int_equal(fixture_find(f, "mesh_requests", NULL).series, 0);
    assert_int_equal(aggregator_series_count(f->aggregator), 0);
    assert_int_equal(directory_series_count(f->directories[0]), 0);
}

/* A new requests series keeps the duration series that it shares with an idle one. */
static void companions_live_as_long_as_they_are_needed(void **state)
{
    struct fixture *f = *state;

    fixture_start(f, 1);
    for (int i = 0; i < 150; i++) {
        struct request request = fixture_request(f, 0, "web", "web", "api", "/");

        request.method = i < 30 ? METHOD_GET : METHOD_POST;
        directory_record(f->directories[0], &request);
        fixture_advance(f, 10 * SECOND_NS);
    }
    assert_int_equal(fixture_find(f, "mesh_requests", PARTS("GET")).series, 0);
    assert_int_equal(fixture_find(f, "mesh_requests", PARTS("POST")).sum, 120);
    assert_int_equal(fixture_find(f, "mesh_request_duration_seconds", NULL).sum, 150);
}

static void refused_series_are_forgotten_and_may_ask_anew(void **state)
{
    struct fixture *f = *state;

    f->limits.series_count_max = 64;
    f->limits.sender_series_percent = 100;
    fixture_start(f, 2);
    for (int i = 0; i < 120; i++) {
        for (unsigned route = 0; route < 20; route++) {
            char text[32];

            (void)snprintf(text, sizeof(text), "/a/%u", route);
            if (i < 10) {
                record(f, 0, text); /* fills 60 of 64 */
            }
            text[1] = 'b';
            if (i >= 3) {
                record(f, 1, text); /* each shard has room, the process has not */
            }
        }
        fixture_advance(f, 10 * SECOND_NS);
        assert_true(aggregator_series_count(f->aggregator) <= 64);
        if (i == 9) {
            assert_int_equal(fixture_find(f, "mesh_requests", PARTS("/a/")).sum, 200);
            assert_true(fixture_find(f, "mesh_requests", NULL).overflow > 0);
        }
    }
    assert_int_equal(
        fixture_find(f, "mesh_requests", NULL).overflow + fixture_find(f, "mesh_requests", PARTS("/b/")).sum,
        20 * 117);
    assert_int_equal(fixture_find(f, "mesh_requests", PARTS("/a/")).series, 0); /* idle */
    uint64_t overflow = fixture_find(f, "mesh_requests", NULL).overflow;

    for (int i = 0; i < 70; i++) {
        fixture_advance(f, 10 * SECOND_NS); /* all forgotten */
    }
    for (unsigned route = 0; route < 20; route++) {
        char text[32];

        (void)snprintf(text, sizeof(text), "/b/%u", route);
        record(f, 1, text);
    }
    fixture_advance(f, 10 * SECOND_NS);
    assert_int_equal(fixture_find(f, "mesh_requests", NULL).overflow, overflow);
    assert_int_equal(fixture_find(f, "mesh_requests", PARTS("/b/")).series, 20);
    fixture_check_ledger(f);
}

/* Series that stay are seen exactly once by a walk during which others come and go. */
static void a_cursor_survives_changes(void **state)
{
    struct fixture *f = *state;
    struct snapshot_cursor cursor = {0};
    const struct snapshot_family *family = NULL;
    struct snapshot_series series;
    unsigned stays = 0;
    unsigned step = 0;

    f->limits.series_idle_s = 60;
    fixture_start(f, 1);
    for (unsigned i = 0; i < 300; i++) {
        char text[32];

        (void)snprintf(text, sizeof(text), i % 3 == 0 ? "/stays/%u" : "/goes/%u", i);
        record(f, 0, text);
    }
    fixture_advance(f, 10 * SECOND_NS);
    struct snapshot *snapshot = fixture_snapshot(f);

    while (snapshot_next(snapshot, &cursor, &family, &series) == 1) {
        if (strcmp(family->name, "mesh_requests") != 0) {
            break;
        }
        stays += strstr(series.labels_text, "/stays/") != NULL;
        if (step++ % 5 != 0) {
            continue;
        }
        for (unsigned i = 0; i < 300; i += 3) {
            char text[32];

            (void)snprintf(text, sizeof(text), "/stays/%u", i);
            record(f, 0, text);
            (void)snprintf(text, sizeof(text), "/comes/%u/%u", step, i);
            record(f, 0, text);
        }
        fixture_advance(f, 10 * SECOND_NS);
    }
    assert_true(step > 100);
    assert_int_equal(stays, 100);
    aggregator_snapshot_free(snapshot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(idle_series_go_and_return_newer, setup, teardown),
        cmocka_unit_test_setup_teardown(touched_in_time_is_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(companions_live_as_long_as_they_are_needed, setup, teardown),
        cmocka_unit_test_setup_teardown(refused_series_are_forgotten_and_may_ask_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(a_cursor_survives_changes, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
