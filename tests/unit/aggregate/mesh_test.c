/* Services of one name in several meshes: series, windows and services of their own, and one view over all.
 */
#include "fixture.h"

#include "aggregate/view.h"
#include "context/response_flags.h"

static const char *const names[] = {"east", "west"};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    limits_init(&f->limits);
    f->meshes = (struct mesh_names){.items = names, .count = 2};
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

/* As many requests as the mesh's number and one, with something for each family. */
static void record_all(struct fixture *f)
{
    for (uint8_t mesh = 0; mesh <= 2; mesh++) {
        for (int i = 0; i <= mesh; i++) {
            struct request request = fixture_request(f, 0, "web", "web", "api", "/orders");

            request.mesh = mesh;
            request.attempts = 1;
            request.has_bytes = true;
            request.response_flags = RESPONSE_FLAG(DC);
            directory_record(f->directories[0], &request);
        }
        struct request of = fixture_request(f, 0, "web", "web", "api", "/orders");
        struct connection connection = {.reporter = REPORTER_SOURCE,
            .mesh = mesh,
            .source = of.source,
            .source_namespace = of.source_namespace,
            .destination = of.destination,
            .destination_namespace = of.destination_namespace,
            .sender = of.sender};
        struct attempt attempt = {.reporter = REPORTER_SOURCE,
            .mesh = mesh,
            .source = of.source,
            .source_namespace = of.source_namespace,
            .destination = of.destination,
            .destination_namespace = of.destination_namespace,
            .route = of.route,
            .weight = WEIGHT_ONE,
            .sender = of.sender};
        directory_record_connection(f->directories[0], &connection);
        directory_record_attempt(f->directories[0], &attempt);
    }
    fixture_flip_all(f);
}

static void each_mesh_has_its_series(void **state)
{
    static const struct {
        const char *family;
        uint64_t east, west, all;
    } rows[] = {
        {"mesh_requests", 2, 3, 6},
        {"mesh_request_duration_seconds", 2, 3, 6},
        {"mesh_response_flags", 2, 3, 6},
        {"mesh_request_attempts", 3, 4, 9},
        {"mesh_tcp_connections_closed", 1, 1, 3},
    };
    struct fixture *f = *state;

    record_all(f);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(fixture_find(f, rows[i].family, PARTS("mesh=\"east\"")).sum, rows[i].east);
        assert_int_equal(fixture_find(f, rows[i].family, PARTS("mesh=\"west\"")).sum, rows[i].west);
        assert_int_equal(fixture_find(f, rows[i].family, NULL).sum, rows[i].all);
    }
    assert_int_equal(fixture_find(f, "mesh_service", PARTS("mesh_service=\"api\"")).series, 3);
    assert_int_equal(
        fixture_find(f, "mesh_service", PARTS("mesh_service=\"api\"", "mesh=\"west\"")).series, 1);
}

static uint64_t ok_in(struct fixture *f, const char *mesh)
{
    static struct histogram_flat flat;
    struct window_values values;
    struct latency_filter filter = {.reporter = REPORTER_SOURCE, .destination = SLICE_LITERAL("api")};

    if (mesh != NULL) {
        filter.mesh = slice_of_string(mesh);
    }
    assert_true(aggregator_latency(f->aggregator, &filter, WINDOW_1M, &flat, &values) > 0);
    return values.outcomes[OUTCOME_OK];
}

static void queries_tell_them_apart_and_add_them_up(void **state)
{
    static struct histogram_flat flat;
    struct fixture *f = *state;
    struct edge_view edge;
    uint32_t cursor = 0;
    size_t edge_count = 0;

    record_all(f);
    uint64_t none = ok_in(f, "");
    uint64_t east = ok_in(f, "east");
    uint64_t west = ok_in(f, "west");
    assert_int_equal(ok_in(f, NULL), none + east + west);
    assert_true(none < east && east < west);
    while (aggregator_next_edge(f->aggregator, &cursor, WINDOW_1M, &flat, &edge) > 0) {
        uint64_t expected = edge.mesh.length == 0 ? none : edge.mesh.ptr[0] == 'e' ? east : west;
        assert_int_equal(edge.values.outcomes[OUTCOME_OK], expected);
        edge_count++;
    }
    assert_int_equal(edge_count, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_mesh_has_its_series, setup, teardown),
        cmocka_unit_test_setup_teardown(queries_tell_them_apart_and_add_them_up, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
