/* Rolling windows against a list of everything recorded, and the query views over them. */
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

static const uint64_t span_s[WINDOW_SPAN_COUNT] = {10, 60, 300, 900, 3600};

static struct window_values latency(struct fixture *f, enum window_span span, const char *source,
    const char *route, struct histogram_flat *flat)
{
    struct latency_filter filter = {.reporter = REPORTER_SOURCE, .destination = SLICE_LITERAL("api")};
    struct window_values values;

    if (source != NULL) {
        filter.source = slice_of_string(source);
    }
    if (route != NULL) {
        filter.route = slice_of_string(route);
    }
    assert_int_equal(aggregator_latency(f->aggregator, &filter, span, flat, &values), 1);
    return values;
}

/*
 * A request count of its own in each slot, so that a sum tells which slots it was made of: after `slots`
 * whole ones a window must hold at least those that cover its length, at most one coarser slot more.
 */
static void windows_cover_at_least_their_length(void **state)
{
    enum { SLOTS = 1000 };
    static uint64_t counts[SLOTS];
    static struct histogram_flat flat;
    struct fixture *f = *state;

    fixture_start(f, 1);
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        counts[slot] = 1 + slot * 7 % 13;
        for (uint64_t i = 0; i < counts[slot]; i++) {
            struct request request = fixture_request(f, 0, "web", "web", "api", "/orders");

            request.outcome = i == 0 ? OUTCOME_SERVER_ERROR : OUTCOME_OK;
            directory_record(f->directories[0], &request);
        }
        fixture_flip_all(f);
        if (slot % 50 != 49 && slot > 20) {
            fixture_advance(f, WINDOW_SLOT_S * SECOND_NS);
            continue;
        }
        for (int span = 0; span < WINDOW_SPAN_COUNT; span++) {
            struct window_values values = latency(f, (enum window_span)span, "web", NULL, &flat);
            uint64_t newest = 0;
            uint64_t needed =
                span_s[span] / WINDOW_SLOT_S + 1; /* the open slot, and closed ones for the length */
            unsigned made_of = 0;

            while (newest < flat.count && made_of <= slot) {
                newest += counts[slot - made_of++];
            }
            assert_int_equal(newest, flat.count); /* whole slots, the newest ones */
            assert_true(made_of >= (needed < slot + 1 ? needed : slot + 1));
            assert_true(made_of <= needed + span_s[span] / WINDOW_SLOT_S / 3 + 1);
            assert_int_equal(values.outcomes[OUTCOME_SERVER_ERROR], made_of);
            assert_int_equal(values.outcomes[OUTCOME_OK], flat.count - made_of);
            assert_int_equal(values.covered_ns, (made_of - 1) * WINDOW_SLOT_S * SECOND_NS);
        }
        fixture_advance(f, WINDOW_SLOT_S * SECOND_NS);
    }
}

static void flips_on_demand_close_no_slot(void **state)
{
    static struct histogram_flat flat;
    struct fixture *f = *state;

    fixture_start(f, 2);
    for (unsigned i = 0; i < 30; i++) {
        struct request request = fixture_request(f, i % 2, "web", "web", "api", "/orders");

        directory_record(f->directories[i % 2], &request);
        clock_manual_advance(&f->clock, 250 * MS_NS);
        fixture_flip_all(f);
        aggregator_tick(f->aggregator);
    }
    (void)latency(f, WINDOW_10S, "web", NULL, &flat);
    assert_int_equal(flat.count, 30);
    double seconds = 0;

    assert_int_equal(quantile_seconds(&flat, 0.5, &seconds), 0);
    assert_true(seconds > 0.003 * 0.989 && seconds < 0.003 * 1.011);
    clock_manual_advance(&f->clock, 3700 * SECOND_NS);
    aggregator_tick(f->aggregator);
    (void)latency(f, WINDOW_1M, "web", NULL, &flat);
    assert_int_equal(flat.count, 0);
    clock_manual_advance(&f->clock, 3 * 3600 * SECOND_NS);
    aggregator_tick(f->aggregator);
    (void)latency(f, WINDOW_1H, "web", NULL, &flat);
    assert_int_equal(flat.count, 0);
}

static void views_tell_edges_services_and_routes(void **state)
{
    static struct histogram_flat flat;
    struct fixture *f = *state;
    const char *const sources[] = {"web", "mobile"};
    const char *const routes[] = {"/orders", "/users"};
    struct edge_view edge;
    struct service_view service;
    uint32_t cursor = 0;
    unsigned edges = 0;
    unsigned services = 0;

    fixture_start(f, 1);
    for (unsigned i = 0; i < 12; i++) {
        struct request request = fixture_request(f, 0, "web", sources[i % 2], "api", routes[i % 3 == 0]);

        directory_record(f->directories[0], &request);
    }
    fixture_flip_all(f);
    while (aggregator_next_edge(f->aggregator, &cursor, WINDOW_10S, &flat, &edge) == 1) {
        edges++;
        assert_true(slice_equal(edge.destination, SLICE_LITERAL("api")));
        assert_true(slice_equal(edge.destination_namespace, SLICE_LITERAL("shop")));
        assert_int_equal(flat.count, 6);
        assert_int_equal(edge.values.outcomes[OUTCOME_OK], 6);
    }
    assert_int_equal(edges, 2);
    cursor = 0;
    while (aggregator_next_service(f->aggregator, &cursor, &service) == 1) {
        services++;
        assert_true(slice_equal(service.name_space, SLICE_LITERAL("shop")));
    }
    assert_int_equal(services, 3);
    (void)latency(f, WINDOW_1M, NULL, "/users", &flat);
    assert_int_equal(flat.count, 4);
    (void)latency(f, WINDOW_1M, NULL, "/orders", &flat);
    assert_int_equal(flat.count, 8);
    struct latency_filter both = {.source = SLICE_LITERAL("web"), .route = SLICE_LITERAL("/orders")};
    struct window_values values;

    assert_true(aggregator_latency(f->aggregator, &both, WINDOW_1M, &flat, &values) < 0);
    struct latency_filter nobody = {.source = SLICE_LITERAL("nobody")};

    assert_int_equal(aggregator_latency(f->aggregator, &nobody, WINDOW_1M, &flat, &values), 0);
    struct latency_filter all = {.reporter = REPORTER_SOURCE};

    assert_int_equal(aggregator_latency(f->aggregator, &all, WINDOW_1M, &flat, &values), 2);
    assert_int_equal(flat.count, 12);
    enum window_span span = WINDOW_10S;

    assert_int_equal(window_span_of(SLICE_LITERAL("5m"), &span), 0);
    assert_int_equal(span, WINDOW_5M);
    assert_true(window_span_of(SLICE_LITERAL("7m"), &span) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(windows_cover_at_least_their_length, setup, teardown),
        cmocka_unit_test_setup_teardown(flips_on_demand_close_no_slot, setup, teardown),
        cmocka_unit_test_setup_teardown(views_tell_edges_services_and_routes, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
