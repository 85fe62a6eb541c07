/* Edges out of what Linkerd and Istio tell when they are scraped: parties, outcomes, rises, quantiles. */
#include "fixture.h"

#include "aggregate/scraped_edges.h"
#include "aggregate/view.h"
#include "histogram/quantile.h"

enum { LABELS_MAX = 12, STALE_S = 40 };

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    limits_init(&f->limits);
    fixture_start(f, 1);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture_stop(*state);
    free(*state);
    return 0;
}

static uint32_t intern(struct fixture *f, const char *text)
{
    return interner_intern(f->interners[0], slice_of_string(text));
}

/* labels: name, value, …, NULL; names in order. */
static void record(struct fixture *f, struct metric_point point, const char *name, const char *const *labels)
{
    struct metric_label interned[LABELS_MAX];
    size_t count = 0;

    for (; labels[0] != NULL; labels += 2) {
        interned[count++] = (struct metric_label){.key = intern(f, labels[0]), .value = intern(f, labels[1])};
    }
    point.name = intern(f, name);
    point.sender = intern(f, "web-proxy");
    point.labels = interned;
    point.label_count = count;
    point.time_unix_ns = clock_unix_ns(&f->clock.clock);
    point.stale_after_s = STALE_S;
    directory_record_point(f->directories[0], &point);
}

static void count(struct fixture *f, const char *name, double value, const char *const *labels)
{
    record(f, (struct metric_point){.type = METRIC_POINT_BARE_COUNTER, .value = value}, name, labels);
}

static const double bounds_ms[] = {10, 20, 50};

static void durations(
    struct fixture *f, const char *name, const uint64_t buckets[static 4], const char *const *labels)
{
    struct metric_point point = {.type = METRIC_POINT_EXPLICIT,
        .is_cumulative = true,
        .bounds = bounds_ms,
        .bound_count = 3,
        .buckets = buckets,
        .bucket_count = 4};

    record(f, point, name, labels);
}

#define LABELS(...) ((const char *const[]){__VA_ARGS__, NULL})

static const char *const outbound[] = {"classification", "success", "direction", "outbound", "dst_namespace",
    "shop", "dst_service", "reviews", "status_code", "200", NULL};
static const char *const outbound_failed[] = {"classification", "failure", "direction", "outbound",
    "dst_namespace", "shop", "dst_service", "reviews", "status_code", "503", NULL};

/* The next scrape, a second later. */
static void next_scrape(struct fixture *f)
{
    fixture_flip_all(f);
    clock_manual_advance(&f->clock, SECOND_NS);
}

/* The only scraped edge; its durations are in *flat. */
static struct edge_view only_edge(struct fixture *f, struct histogram_flat *flat)
{
    struct edge_view edge = {.is_scraped = false};
    struct edge_view next;
    static struct histogram_flat scratch; /* zeroed: a reset clears only what is marked */
    uint32_t cursor = 0;

    histogram_flat_reset(flat);
    while (aggregator_next_edge(f->aggregator, &cursor, WINDOW_1M, &scratch, &next) > 0) {
        assert_true(next.is_scraped);
        assert_false(edge.is_scraped);
        edge = next;
        *flat = scratch;
    }
    return edge;
}

static void expect_text(struct slice text, const char *wanted)
{
    assert_int_equal(text.length, strlen(wanted));
    assert_memory_equal(text.ptr, wanted, text.length);
}

static double median_of(const struct histogram_flat *flat)
{
    double seconds = -1;

    assert_int_equal(quantile_seconds(flat, 0.5, &seconds), 0);
    return seconds;
}

static void linkerd_2_outbound(void **state)
{
    static struct histogram_flat flat;
    struct fixture *f = *state;

    count(f, "response_total", 1000, outbound); /* before the first scrape: in no window */
    durations(f, "response_latency_ms", (const uint64_t[]){900, 100, 0, 0}, outbound);
    next_scrape(f);
    assert_false(only_edge(f, &flat).is_scraped);
    count(f, "response_total", 1010, outbound);
    count(f, "response_total", 3, outbound_failed); /* began after it: from 0 */
    durations(f, "response_latency_ms", (const uint64_t[]){900, 110, 0, 0}, outbound);
    next_scrape(f);

    struct edge_view edge = only_edge(f, &flat);
    assert_true(edge.is_scraped);
    assert_int_equal(edge.reporter, REPORTER_SOURCE);
    expect_text(edge.source, "web-proxy");
    expect_text(edge.destination, "reviews");
    expect_text(edge.destination_namespace, "shop");
    assert_int_equal(edge.values.outcomes[OUTCOME_OK], 10);
    assert_int_equal(edge.values.outcomes[OUTCOME_SERVER_ERROR], 3);
    /* All ten between 10 and 20 ms, spread evenly. */
    double median = median_of(&flat);
    assert_true(median > 0.010 && median < 0.020);
    fixture_check_ledger(f);
}

static void linkerd_2_inbound_and_restarted(void **state)
{
    static struct histogram_flat flat;
    struct fixture *f = *state;
    const char *const *inbound =
        LABELS("classification", "success", "direction", "inbound", "status_code", "404");

    count(f, "response_total", 50, inbound);
    next_scrape(f);
    count(f, "response_total", 5, inbound); /* the proxy was started anew */
    next_scrape(f);
    struct edge_view edge = only_edge(f, &flat);
    assert_int_equal(edge.reporter, REPORTER_DESTINATION);
    expect_text(edge.source, "unknown");
    expect_text(edge.destination, "web-proxy");
    assert_int_equal(edge.values.outcomes[OUTCOME_CLIENT_ERROR], 5);
}

static void istio(void **state)
{
    static struct histogram_flat flat;
    struct fixture *f = *state;
    const char *const *labels = LABELS("destination_service_name", "reviews", "destination_service_namespace",
        "shop", "grpc_response_status", "14", "reporter", "waypoint", "response_code", "200",
        "source_workload", "front-v1", "source_workload_namespace", "web");

    count(f, "istio_requests_total", 1, labels);
    durations(f, "istio_request_duration_milliseconds", (const uint64_t[]){1, 0, 0, 0}, labels);
    next_scrape(f);
    count(f, "istio_requests_total", 5, labels);
    durations(f, "istio_request_duration_milliseconds", (const uint64_t[]){1, 0, 0, 4}, labels);
    next_scrape(f);
    struct edge_view edge = only_edge(f, &flat);
    assert_int_equal(edge.reporter, REPORTER_WAYPOINT);
    expect_text(edge.source, "front-v1");
    expect_text(edge.source_namespace, "web");
    expect_text(edge.destination, "reviews");
    assert_int_equal(edge.values.outcomes[OUTCOME_SERVER_ERROR], 4); /* gRPC's UNAVAILABLE */
    double median = median_of(&flat);
    assert_true(median > 0.049 && median < 0.051); /* above all bounds: the last one */
}

/* It writes no TYPE: what it counts comes as gauges. */
static void linkerd_1(void **state)
{
    static struct histogram_flat flat;
    struct fixture *f = *state;
    const char *const *labels = LABELS("client", "/#/io.l5d.fs/books", "rt", "outgoing");

    for (int value = 10; value <= 14; value += 4) {
        record(f, (struct metric_point){.type = METRIC_POINT_GAUGE, .value = value}, "rt:client:success",
            labels);
        record(
            f, (struct metric_point){.type = METRIC_POINT_GAUGE, .value = 2}, "rt:client:failures", labels);
        next_scrape(f);
    }
    struct edge_view edge = only_edge(f, &flat);
    expect_text(edge.destination, "books");
    assert_int_equal(edge.values.outcomes[OUTCOME_OK], 4);
    assert_int_equal(edge.values.outcomes[OUTCOME_SERVER_ERROR], 0);
}

static void what_is_no_edge(void **state)
{
    static struct histogram_flat flat;
    struct fixture *f = *state;

    for (int value = 1; value < 3; value++) {
        count(f, "response_total", value, LABELS("direction", "sideways"));
        count(f, "response_latency_ms", value, outbound); /* no histogram */
        count(f, "response_totals", value, outbound);
        count(f, "istio_requests_total", value, LABELS("reporter", "nobody"));
        count(f, "rt:client:success", value, LABELS("rt", "x"));
        next_scrape(f);
    }
    assert_false(only_edge(f, &flat).is_scraped);
}

/* A target that was away for long tells on its return of what nobody knows when it was. */
static void a_target_that_was_away(void **state)
{
    static struct histogram_flat flat;
    struct fixture *f = *state;

    count(f, "response_total", 1, outbound);
    next_scrape(f);
    clock_manual_advance(&f->clock, (SCRAPED_TARGET_GAP_S + 1) * SECOND_NS);
    count(f, "response_total", 500, outbound_failed);
    next_scrape(f);
    assert_false(only_edge(f, &flat).is_scraped);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(linkerd_2_outbound, setup, teardown),
        cmocka_unit_test_setup_teardown(linkerd_2_inbound_and_restarted, setup, teardown),
        cmocka_unit_test_setup_teardown(istio, setup, teardown),
        cmocka_unit_test_setup_teardown(linkerd_1, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_edge, setup, teardown),
        cmocka_unit_test_setup_teardown(a_target_that_was_away, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
