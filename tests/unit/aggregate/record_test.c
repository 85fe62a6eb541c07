/* A request's way into its series: counted once, weighted, under every family, merged from several shards
 * exactly. */
#include "fixture.h"

#include "context/response_flags.h"

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

static void every_family_counts_a_request(void **state)
{
    struct fixture *f = *state;

    fixture_start(f, 1);
    struct request request = fixture_request(f, 0, "web", "web", "api", "/users/{id}");

    request.response_flags = RESPONSE_FLAG(URX) | RESPONSE_FLAG(UF);
    request.response_code = 503;
    request.outcome = OUTCOME_SERVER_ERROR;
    request.attempts = 3;
    request.has_bytes = true;
    request.request_bytes = 100;
    request.response_bytes = 7;
    directory_record(f->directories[0], &request);
    assert_int_equal(metric_get(f->shard_cells[0], METRIC_SPANS_RECORDED), 1);
    assert_int_equal(metric_get(f->aggregator_cells, METRIC_SPANS_AGGREGATED), 0);
    fixture_flip_all(f);
    fixture_check_ledger(f);
    assert_int_equal(
        fixture_find(f, "mesh_requests",
            PARTS("reporter=\"source\",source=\"web\",source_namespace=\"shop\",destination=\"api\","
                  "destination_namespace=\"shop\",route=\"/users/{id}\",method=\"GET\","
                  "protocol=\"http1\",response_code=\"503\",outcome=\"server_error\""))
            .sum,
        1);
    assert_int_equal(fixture_find(f, "mesh_response_flags", PARTS("flag=\"URX\"")).sum, 1);
    assert_int_equal(fixture_find(f, "mesh_response_flags", PARTS("flag=\"UF\"")).sum, 1);
    assert_int_equal(fixture_find(f, "mesh_response_flags", NULL).series, 2);
    assert_int_equal(fixture_find(f, "mesh_request_attempts", NULL).sum, 3);
    assert_int_equal(fixture_find(f, "mesh_request_bytes", NULL).sum, 100);
    assert_int_equal(fixture_find(f, "mesh_response_bytes", NULL).sum, 7);
    struct found duration =
        fixture_find(f, "mesh_request_duration_seconds", PARTS("outcome=\"server_error\""));

    assert_int_equal(duration.sum, 1);
    assert_true(duration.histogram.sum > 0.002999 && duration.histogram.sum < 0.003001);
    assert_int_equal(duration.bound_counts[2], 0); /* 2.5 ms */
    assert_int_equal(duration.bound_counts[3], 1); /* 5 ms */
    assert_int_equal(fixture_find(f, "mesh_service", PARTS("cluster=\"east\"")).series, 2);
}

static void every_outcome_of_an_edge_starts_at_zero(void **state)
{
    struct fixture *f = *state;

    fixture_start(f, 1);
    struct request request = fixture_request(f, 0, "web", "web", "api", "/");

    directory_record(f->directories[0], &request);
    fixture_flip_all(f);
    struct found all = fixture_find(f, "mesh_request_duration_seconds", NULL);
    struct found error = fixture_find(f, "mesh_request_duration_seconds", PARTS("outcome=\"server_error\""));

    assert_int_equal(all.series, OUTCOME_COUNT);
    assert_int_equal(all.sum, 1);
    assert_int_equal(error.series, 1);
    assert_int_equal(error.sum, 0);
    assert_int_equal(error.created_unix_ns, START_UNIX_NS);
    assert_int_equal(aggregator_series_count(f->aggregator), 3); /* the zeros are not paid for */
}

static void what_is_not_told_is_absent(void **state)
{
    struct fixture *f = *state;

    fixture_start(f, 1);
    struct request request = fixture_request(f, 0, "web", "web", "api", "");

    request.response_code = 0;
    request.outcome = OUTCOME_NO_RESPONSE;
    directory_record(f->directories[0], &request);
    fixture_flip_all(f);
    assert_int_equal(fixture_find(f, "mesh_request_attempts", NULL).series, 0);
    assert_int_equal(fixture_find(f, "mesh_request_bytes", NULL).series, 0);
    assert_int_equal(fixture_find(f, "mesh_requests", PARTS("response_code=\"0\"")).sum, 1);
    assert_int_equal(fixture_find(f, "mesh_requests", PARTS("grpc_status")).series, 0);
    assert_int_equal(fixture_find(f, "mesh_requests", PARTS("route=")).series, 0);
}

static void attempts_add_to_their_edge_alone(void **state)
{
    struct fixture *f = *state;

    fixture_start(f, 1);
    struct request request = fixture_request(f, 0, "web", "web", "api", "/");
    struct attempt attempt = {.reporter = REPORTER_SOURCE,
        .source = request.source,
        .source_namespace = request.source_namespace,
        .destination = request.destination,
        .destination_namespace = request.destination_namespace,
        .route = request.route,
        .weight = WEIGHT_ONE,
        .sender = request.sender};

    directory_record_attempt(f->directories[0], &attempt);
    directory_record_attempt(f->directories[0], &attempt);
    directory_record(f->directories[0], &request);
    fixture_flip_all(f);
    assert_int_equal(fixture_find(f, "mesh_request_attempts", PARTS("source=\"web\"")).sum, 2);
    assert_int_equal(fixture_find(f, "mesh_requests", NULL).sum, 1);
    assert_int_equal(metric_get(f->shard_cells[0], METRIC_SPANS_RECORDED), 1);
}

static void weights_are_whole_in_the_long_run_and_capped(void **state)
{
    struct fixture *f = *state;

    f->limits.sampling_weight_max = 1000;
    fixture_start(f, 1);
    struct request request = fixture_request(f, 0, "web", "web", "api", "/");

    request.weight = WEIGHT_ONE * 5 / 2; /* 2.5 */
    for (int i = 0; i < 1000; i++) {
        directory_record(f->directories[0], &request);
        if (i % 7 == 0) {
            fixture_flip_all(f);
        }
    }
    fixture_flip_all(f);
    assert_int_equal(fixture_find(f, "mesh_requests", NULL).sum, 2500);
    assert_int_equal(fixture_find(f, "mesh_request_duration_seconds", NULL).sum, 2500);
    assert_int_equal(metric_get(f->shard_cells[0], METRIC_SPANS_RECORDED), 1000);
    assert_int_equal(metric_get(f->aggregator_cells, METRIC_SPANS_AGGREGATED), 1000);
    request.weight = UINT64_MAX;
    directory_record(f->directories[0], &request);
    request.weight = 0; /* less than one request is one */
    directory_record(f->directories[0], &request);
    fixture_flip_all(f);
    assert_int_equal(fixture_find(f, "mesh_requests", NULL).sum, 2500 + 1000 + 1);
    assert_int_equal(metric_get(f->shard_cells[0], METRIC_WEIGHT_CAPPED), 1);
}

static void no_spare_means_later_not_lost(void **state)
{
    struct fixture *f = *state;

    fixture_start(f, 1);
    struct request request = fixture_request(f, 0, "web", "web", "api", "/");

    directory_record(f->directories[0], &request);
    struct delta *first = directory_flip(f->directories[0]);

    assert_non_null(first);
    directory_record(f->directories[0], &request);
    assert_null(directory_flip(f->directories[0]));
    assert_int_equal(metric_get(f->shard_cells[0], METRIC_FLIPS_SKIPPED), 1);
    directory_record(f->directories[0], &request);
    aggregator_merge(f->aggregator, first);
    directory_give_back(f->directories[0], first);
    fixture_flip_all(f);
    assert_int_equal(fixture_find(f, "mesh_requests", NULL).sum, 3);
    fixture_check_ledger(f);
    struct delta *unmerged = directory_flip(f->directories[0]);

    directory_give_back(f->directories[0], unmerged); /* as at the end: its pages are not lost */
}

static void durations_above_the_top_are_counted(void **state)
{
    struct fixture *f = *state;

    fixture_start(f, 1);
    struct request request = fixture_request(f, 0, "web", "web", "api", "/");

    request.duration_ns = 5000 * SECOND_NS;
    directory_record(f->directories[0], &request);
    request.duration_ns = 0;
    directory_record(f->directories[0], &request);
    fixture_flip_all(f);
    assert_int_equal(metric_get(f->shard_cells[0], METRIC_LATENCY_CLAMPED), 1);
    struct found ok = fixture_find(f, "mesh_request_duration_seconds", PARTS("outcome=\"ok\""));

    assert_int_equal(ok.sum, 2);
    assert_int_equal(ok.histogram.zero_count, 1);
    assert_int_equal(ok.bound_counts[bounds_default_count - 1], 1);
}

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* The same stream, spread over 4 shards with random flips, and in one: the same exposition, but for created
 * times. */
static void shards_merge_to_what_one_would_have_counted(void **state)
{
    struct fixture *one = calloc(1, sizeof(*one));
    struct fixture *four = *state;
    uint64_t seed = 88172645463325252ull;

    assert_non_null(one);
    limits_init(&one->limits);
    fixture_start(one, 1);
    fixture_start(four, 4);
    for (int i = 0; i < 20000; i++) {
        uint64_t random = next_random(&seed);
        char route[32];

        (void)snprintf(route, sizeof(route), "/r/%u", (unsigned)(random % 50));
        for (int side = 0; side < 2; side++) {
            struct fixture *f = side == 0 ? one : four;
            uint32_t shard = side == 0 ? 0 : (uint32_t)(random >> 8) % 4;
            struct request request = fixture_request(f, shard, "web", "web", "api", route);

            request.outcome = (uint8_t)((random >> 16) % OUTCOME_COUNT);
            request.response_code = (uint16_t)(200 + (random >> 20) % 4 * 100);
            request.duration_ns = (random >> 24) % (20 * SECOND_NS);
            request.response_flags = (random >> 30) % 10 == 0 ? RESPONSE_FLAG(UH) : 0;
            directory_record(f->directories[shard], &request);
            if ((random >> 40) % 500 == 0) {
                fixture_flip(f, shard);
            }
        }
    }
    fixture_flip_all(one);
    fixture_flip_all(four);
    fixture_check_ledger(one);
    fixture_check_ledger(four);
    struct snapshot *snapshot = fixture_snapshot(one);
    struct snapshot_cursor cursor = {0};
    const struct snapshot_family *family = NULL;
    struct snapshot_series series;
    size_t compared = 0;

    while (
        snapshot_next(snapshot, &cursor, &family, &series) == 1 && strncmp(family->name, "mesh_", 5) == 0) {
        struct found found = fixture_find(four, family->name, PARTS(series.labels_text));

        assert_int_equal(found.series, 1);
        assert_int_equal(found.sum, series.histogram != NULL ? series.histogram->count : series.integer);
        if (series.histogram != NULL) {
            assert_memory_equal(found.bound_counts, series.histogram->bound_counts,
                series.histogram->bound_count * sizeof(uint64_t));
            assert_int_equal(found.histogram.bucket_count, series.histogram->bucket_count);
            assert_true(found.histogram.sum == series.histogram->sum);
        }
        compared++;
        if (compared > 400) {
            break; /* the walk is quadratic */
        }
    }
    assert_true(compared > 300);
    aggregator_snapshot_free(snapshot);
    fixture_stop(one);
    free(one);
}

static void stored_spans_become_exemplars(void **state)
{
    struct fixture *f = *state;

    fixture_start(f, 1);
    for (unsigned i = 0; i < 300; i++) {
        struct request request = fixture_request(f, 0, "web", "web", "api", "/");

        request.duration_ns = (i % 3 == 0 ? 1 : i % 3 == 1 ? 40 : 90000) * MS_NS;
        request.start_unix_ns = START_UNIX_NS + i * SECOND_NS;
        request.stored = i % 2 == 0;
        request.trace_id[0] = (uint8_t)(i + 1);
        directory_record(f->directories[0], &request);
        if (i % 50 == 49) {
            fixture_flip_all(f);
        }
    }
    struct snapshot *snapshot = fixture_snapshot(f);
    struct snapshot_cursor cursor = {0};
    const struct snapshot_family *family = NULL;
    struct snapshot_series series;
    bool seen = false;

    while (snapshot_next(snapshot, &cursor, &family, &series) == 1) {
        if (series.histogram == NULL || series.histogram->exemplar_count == 0) {
            continue;
        }
        const struct snapshot_exemplar *exemplars = series.histogram->exemplars;

        seen = true;
        assert_int_equal(series.histogram->exemplar_count, 3);
        assert_true(exemplars[0].value == 0.001 && exemplars[1].value == 0.04 && exemplars[2].value == 90);
        for (int i = 0; i < 3; i++) {
            assert_true(exemplars[i].time_unix_ns >= START_UNIX_NS + 250 * SECOND_NS); /* of the last flip */
            assert_int_equal(exemplars[i].trace_id[0] % 2, 1);                         /* i even: stored */
        }
    }
    assert_true(seen);
    aggregator_snapshot_free(snapshot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_family_counts_a_request, setup, teardown),
        cmocka_unit_test_setup_teardown(every_outcome_of_an_edge_starts_at_zero, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_not_told_is_absent, setup, teardown),
        cmocka_unit_test_setup_teardown(attempts_add_to_their_edge_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(weights_are_whole_in_the_long_run_and_capped, setup, teardown),
        cmocka_unit_test_setup_teardown(no_spare_means_later_not_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(durations_above_the_top_are_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(shards_merge_to_what_one_would_have_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(stored_spans_become_exemplars, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
