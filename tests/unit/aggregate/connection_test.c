/* A connection's way into mesh_tcp_*: counted once, apart from requests, its flags with those of requests. */
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

static struct connection connection_of(
    struct fixture *f, uint32_t shard, const char *sender, const char *destination)
{
    struct request names = fixture_request(f, shard, sender, "web", destination, "");

    return (struct connection){.reporter = REPORTER_SOURCE,
        .source = names.source,
        .source_namespace = names.source_namespace,
        .destination = names.destination,
        .destination_namespace = names.destination_namespace,
        .sent_bytes = 1000,
        .received_bytes = 70,
        .sender = names.sender};
}

static void check_logs_ledger(struct fixture *f, uint64_t count)
{
    assert_int_equal(metric_registry_sum(&f->registry, METRIC_LOGS_RECORDED), count);
    assert_int_equal(metric_registry_sum(&f->registry, METRIC_LOGS_AGGREGATED), count);
    fixture_check_ledger(f);
}

static void a_connection_adds_to_its_own_families_alone(void **state)
{
    struct fixture *f = *state;

    fixture_start(f, 2);
    struct connection first = connection_of(f, 0, "web", "redis");
    struct connection second = connection_of(f, 1, "web", "redis");

    second.response_flags = RESPONSE_FLAG(UF) | RESPONSE_FLAG(URX);
    directory_record_connection(f->directories[0], &first);
    directory_record_connection(f->directories[1], &second);
    assert_int_equal(metric_registry_sum(&f->registry, METRIC_LOGS_AGGREGATED), 0);
    fixture_flip_all(f);
    const char *const *edge =
        PARTS("reporter=\"source\",source=\"web\",source_namespace=\"shop\",destination=\"redis\","
              "destination_namespace=\"shop\"");

    assert_int_equal(fixture_find(f, "mesh_tcp_connections_opened", edge).sum, 2);
    assert_int_equal(fixture_find(f, "mesh_tcp_connections_closed", edge).sum, 2);
    assert_int_equal(fixture_find(f, "mesh_tcp_sent_bytes", edge).sum, 2000);
    assert_int_equal(fixture_find(f, "mesh_tcp_received_bytes", edge).sum, 140);
    assert_int_equal(fixture_find(f, "mesh_tcp_received_bytes", NULL).series, 1);
    assert_int_equal(fixture_find(f, "mesh_response_flags", PARTS("flag=\"UF\"")).sum, 1);
    assert_int_equal(fixture_find(f, "mesh_response_flags", NULL).sum, 2);
    assert_int_equal(fixture_find(f, "mesh_requests", NULL).series, 0);
    assert_int_equal(fixture_find(f, "mesh_request_duration_seconds", NULL).series, 0);
    assert_int_equal(metric_registry_sum(&f->registry, METRIC_SPANS_RECORDED), 0);
    check_logs_ledger(f, 2);
}

static void a_request_from_a_log_counts_among_logs(void **state)
{
    struct fixture *f = *state;

    fixture_start(f, 1);
    struct request request = fixture_request(f, 0, "web", "web", "api", "/");

    request.signal = REQUEST_FROM_LOG;
    directory_record(f->directories[0], &request);
    fixture_flip_all(f);
    assert_int_equal(fixture_find(f, "mesh_requests", NULL).sum, 1);
    assert_int_equal(metric_registry_sum(&f->registry, METRIC_SPANS_RECORDED), 0);
    check_logs_ledger(f, 1);
}

/* A flood of destinations: the totals stay exact. */
static void past_the_limit_connections_count_as_overflow(void **state)
{
    enum { FLOOD_COUNT = 500 };
    struct fixture *f = *state;

    f->limits.series_count_max = 64;
    fixture_start(f, 1);
    for (int i = 0; i < FLOOD_COUNT; i++) {
        char name[24];

        (void)snprintf(name, sizeof(name), "redis-%d", i);
        struct connection connection = connection_of(f, 0, "web", name);

        directory_record_connection(f->directories[0], &connection);
        if (i % 50 == 0) {
            fixture_flip_all(f);
        }
    }
    fixture_flip_all(f);
    struct found opened = fixture_find(f, "mesh_tcp_connections_opened", NULL);

    assert_int_equal(opened.sum, FLOOD_COUNT);
    assert_true(opened.overflow > FLOOD_COUNT / 2);
    assert_int_equal(fixture_find(f, "mesh_tcp_sent_bytes", NULL).sum, FLOOD_COUNT * 1000);
    assert_int_equal(fixture_find(f, "mesh_tcp_received_bytes", NULL).sum, FLOOD_COUNT * 70);
    assert_int_equal(
        fixture_find(f, "mesh_tcp_connections_closed", PARTS("otel_metric_overflow=\"true\"")).sum,
        opened.overflow);
    check_logs_ledger(f, FLOOD_COUNT);
}

static void a_series_without_connections_expires(void **state)
{
    struct fixture *f = *state;

    f->limits.series_idle_s = 60;
    fixture_start(f, 1);
    struct connection connection = connection_of(f, 0, "web", "redis");

    directory_record_connection(f->directories[0], &connection);
    fixture_advance(f, SECOND_NS);
    assert_int_equal(fixture_find(f, "mesh_tcp_connections_opened", NULL).series, 1);
    for (int i = 0; i < 20; i++) {
        fixture_advance(f, 10 * SECOND_NS);
    }
    assert_int_equal(fixture_find(f, "mesh_tcp_connections_opened", NULL).series, 0);
    assert_int_equal(aggregator_series_count(f->aggregator), 0);
    connection = connection_of(f, 0, "web", "redis");
    directory_record_connection(f->directories[0], &connection);
    fixture_advance(f, SECOND_NS);
    assert_int_equal(fixture_find(f, "mesh_tcp_connections_opened", NULL).sum, 1);
    check_logs_ledger(f, 2);
}

static void a_reporter_that_does_not_exist_counts_nothing(void **state)
{
    struct fixture *f = *state;

    fixture_start(f, 1);
    struct connection connection = connection_of(f, 0, "web", "redis");

    connection.reporter = REPORTER_COUNT;
    directory_record_connection(f->directories[0], &connection);
    fixture_flip_all(f);
    assert_int_equal(fixture_find(f, "mesh_tcp_connections_opened", NULL).series, 0);
    check_logs_ledger(f, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_connection_adds_to_its_own_families_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(a_request_from_a_log_counts_among_logs, setup, teardown),
        cmocka_unit_test_setup_teardown(past_the_limit_connections_count_as_overflow, setup, teardown),
        cmocka_unit_test_setup_teardown(a_series_without_connections_expires, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reporter_that_does_not_exist_counts_nothing, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
