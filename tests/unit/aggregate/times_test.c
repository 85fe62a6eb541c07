/* Self and network times: families and windows of their own, which no other family or query meets. */
#include "fixture.h"

#include "aggregate/view.h"
#include "histogram/quantile.h"

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

static void record(struct fixture *f, uint32_t shard, enum time_of_request which, uint64_t ns, bool stored)
{
    struct request request = fixture_request(f, shard, "proxy", "web", "api", "/orders");

    request.duration_ns = ns;
    request.stored = stored;
    request.trace_id[0] = 7;
    directory_record_time(f->directories[shard], which, &request);
}

static const char *const api[] = {"mesh_service=\"api\",mesh_service_namespace=\"shop\"", NULL};
static const char *const edge[] = {
    "source=\"web\",source_namespace=\"shop\",destination=\"api\",destination_namespace=\"shop\"", NULL};

static void two_families_from_all_shards(void **state)
{
    struct fixture *f = *state;

    fixture_start(f, 2);
    record(f, 0, TIME_OF_SERVICE, 4 * MS_NS, false);
    record(f, 1, TIME_OF_SERVICE, 8 * MS_NS, false);
    record(f, 1, TIME_OF_NETWORK, 1 * MS_NS, false);
    fixture_flip_all(f);
    record(f, 0, TIME_OF_SERVICE, 16 * MS_NS, true);
    fixture_flip_all(f);
    struct found self = fixture_find(f, "mesh_service_self_seconds", NULL);
    assert_int_equal(self.series, 1);
    assert_int_equal(self.sum, 3);
    assert_true(self.histogram.sum > 0.0279 && self.histogram.sum < 0.0281);
    assert_int_equal(self.histogram.exemplar_count, 1);
    assert_int_equal(fixture_find(f, "mesh_service_self_seconds", api).sum, 3);
    assert_int_equal(fixture_find(f, "mesh_edge_network_seconds", edge).sum, 1);
    assert_int_equal(fixture_find(f, "mesh_edge_network_seconds", NULL).series, 1);
    assert_int_equal(fixture_find(f, "mesh_requests", NULL).sum, 0);
    assert_int_equal(fixture_find(f, "mesh_request_duration_seconds", NULL).sum, 0);
    assert_int_equal(metric_registry_sum(&f->registry, METRIC_TRACE_TIMES_LOST), 0);
}

static void windows_of_their_own(void **state)
{
    static struct histogram_flat flat;
    struct fixture *f = *state;
    struct latency_filter filter = {.time_of = TIME_OF_SERVICE, .destination = SLICE_LITERAL("api")};
    struct window_values values;
    struct edge_view view;
    uint32_t cursor = 0;
    double seconds;

    fixture_start(f, 1);
    struct request request = fixture_request(f, 0, "proxy", "web", "api", "/orders");
    directory_record(f->directories[0], &request);
    record(f, 0, TIME_OF_SERVICE, 100 * MS_NS, false);
    record(f, 0, TIME_OF_NETWORK, 1000 * MS_NS, false);
    fixture_flip_all(f);
    assert_int_equal(aggregator_latency(f->aggregator, &filter, WINDOW_1M, &flat, &values), 1);
    assert_int_equal(flat.count, 1);
    assert_int_equal(quantile_seconds(&flat, 0.5, &seconds), 0);
    assert_true(seconds > 0.098 && seconds < 0.102);
    filter.time_of = TIME_OF_NETWORK;
    filter.source = SLICE_LITERAL("web");
    assert_int_equal(aggregator_latency(f->aggregator, &filter, WINDOW_1M, &flat, &values), 1);
    assert_int_equal(quantile_seconds(&flat, 0.5, &seconds), 0);
    assert_true(seconds > 0.98 && seconds < 1.02);
    filter = (struct latency_filter){.reporter = REPORTER_SOURCE, .destination = SLICE_LITERAL("api")};
    assert_int_equal(aggregator_latency(f->aggregator, &filter, WINDOW_1M, &flat, &values), 1);
    assert_int_equal(flat.count, 1); /* the request's duration alone */
    assert_int_equal(aggregator_next_edge(f->aggregator, &cursor, WINDOW_1M, &flat, &view), 1);
    assert_int_equal(view.reporter, REPORTER_SOURCE);
    assert_int_equal(aggregator_next_edge(f->aggregator, &cursor, WINDOW_1M, &flat, &view), 0);
}

static void without_room_they_are_counted_as_lost(void **state)
{
    struct fixture *f = *state;

    f->limits.series_count_max = 2;
    f->limits.sender_series_percent = 100;
    fixture_start(f, 1);
    for (int i = 0; i < 10; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "service-%d", i);
        struct request request = fixture_request(f, 0, "proxy", "web", name, "/");
        request.destination = interner_intern(f->interners[0], slice_of_string(name));
        directory_record_time(f->directories[0], TIME_OF_SERVICE, &request);
    }
    fixture_flip_all(f);
    assert_int_equal(fixture_find(f, "mesh_service_self_seconds", NULL).sum, 2);
    assert_int_equal(metric_registry_sum(&f->registry, METRIC_TRACE_TIMES_LOST), 8);
    assert_int_equal(fixture_find(f, "mesh_request_duration_seconds", NULL).overflow, 0);
}

/* Two shards have room for their one; the aggregator for one of both. */
static void what_the_aggregator_refuses_is_lost(void **state)
{
    struct fixture *f = *state;

    f->limits.series_count_max = 1;
    f->limits.sender_series_percent = 100;
    fixture_start(f, 2);
    for (uint32_t shard = 0; shard < 2; shard++) {
        struct request request = fixture_request(f, shard, "proxy", "web", shard == 0 ? "a" : "b", "/");
        directory_record_time(f->directories[shard], TIME_OF_SERVICE, &request);
    }
    fixture_flip_all(f);
    assert_int_equal(fixture_find(f, "mesh_service_self_seconds", NULL).sum, 1);
    assert_int_equal(metric_registry_sum(&f->registry, METRIC_TRACE_TIMES_LOST), 1);
}

static void idle_ones_expire(void **state)
{
    struct fixture *f = *state;

    f->limits.series_idle_s = 60;
    fixture_start(f, 1);
    record(f, 0, TIME_OF_SERVICE, 4 * MS_NS, true);
    record(f, 0, TIME_OF_NETWORK, 4 * MS_NS, true);
    fixture_flip_all(f);
    assert_int_equal(aggregator_series_count(f->aggregator), 2);
    for (int i = 0; i < 20; i++) {
        fixture_advance(f, 10 * SECOND_NS);
    }
    assert_int_equal(aggregator_series_count(f->aggregator), 0);
    assert_int_equal(fixture_find(f, "mesh_service_self_seconds", NULL).series, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(two_families_from_all_shards, setup, teardown),
        cmocka_unit_test_setup_teardown(windows_of_their_own, setup, teardown),
        cmocka_unit_test_setup_teardown(without_room_they_are_counted_as_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(what_the_aggregator_refuses_is_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(idle_ones_expire, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
