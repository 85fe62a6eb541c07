/* What the configuration leaves out of metrics and adds to them, as exporters see it. */
#include "fixture.h"

enum { TEXT_BYTES = 65536 };

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

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

/* Every series as "family{labels} value" and a line feed, with the labels apart compared to their text. */
static void show(struct fixture *f, const struct snapshot_settings *settings, char *text)
{
    struct snapshot_cursor cursor = {0};
    const struct snapshot_family *family = NULL;
    struct snapshot_series series;
    struct snapshot *snapshot = NULL;
    size_t used = 0;

    assert_int_equal(aggregator_snapshot_new(f->aggregator, &f->registry, settings, &snapshot), 0);
    while (snapshot_next(snapshot, &cursor, &family, &series) == 1) {
        size_t commas = series.labels_text_length > 0;

        for (size_t i = 0; i < series.labels_text_length; i++) {
            commas += series.labels_text[i] == ',';
        }
        assert_int_equal(series.label_count, commas); /* no test's value holds one */
        used += (size_t)snprintf(text + used, TEXT_BYTES - used, "%s{%s} %g\n", family->name,
            series.labels_text, series.histogram != NULL ? (double)series.histogram->count : series.value);
        assert_true(used < TEXT_BYTES);
    }
    aggregator_snapshot_free(snapshot);
}

static void record(struct fixture *f, uint8_t method, uint16_t code, int16_t grpc_status, uint8_t protocol)
{
    struct request request = fixture_request(f, 0, "web", "web", "api", "/a");

    request.method = method;
    request.response_code = code;
    request.grpc_status = grpc_status;
    request.protocol = protocol;
    directory_record(f->directories[0], &request);
}

static void test_dropped_labels_make_series_one(void **state)
{
    struct fixture *f = *state;
    struct snapshot_settings settings = {.native_scale = 5, .native_buckets_max = 1000};
    char *text = malloc(TEXT_BYTES);

    assert_non_null(text);
    f->dropped_labels = (1u << DROPPABLE_COUNT) - 1;
    settings.dropped_labels = f->dropped_labels;
    fixture_start(f, 1);
    record(f, METHOD_GET, 200, GRPC_STATUS_NONE, PROTOCOL_HTTP1);
    record(f, METHOD_POST, 201, GRPC_STATUS_NONE, PROTOCOL_HTTP2);
    record(f, METHOD_POST, 200, 0, PROTOCOL_GRPC);
    fixture_flip_all(f);
    fixture_check_ledger(f);
    show(f, &settings, text);
    assert_non_null(strstr(text, "mesh_requests{reporter=\"source\",source=\"web\",source_namespace=\"shop\","
                                 "destination=\"api\",destination_namespace=\"shop\",route=\"/a\","
                                 "outcome=\"ok\"} 3\n"));
    assert_non_null(strstr(text, "mesh_request_duration_seconds{reporter=\"source\",source=\"web\","
                                 "source_namespace=\"shop\",destination=\"api\","
                                 "destination_namespace=\"shop\",route=\"/a\",outcome=\"ok\"} 3\n"));
    assert_null(strstr(text, "method="));
    assert_null(strstr(text, ",protocol=\"http"));
    assert_null(strstr(text, "response_code="));
    assert_null(strstr(text, "grpc_status="));
    free(text);
}

static void test_families_are_kept_and_dropped(void **state)
{
    struct fixture *f = *state;
    const char *keep[] = {"mesh_requests_total", "mesh_service", "weft_records_*"};
    const char *drop[] = {"weft_records_dropped*"};
    struct snapshot_settings settings = {
        .native_scale = 5,
        .native_buckets_max = 1000,
        .filter = {.keep = {.items = keep, .count = 3}, .drop = {.items = drop, .count = 1}},
    };
    char *text = malloc(TEXT_BYTES);

    assert_non_null(text);
    fixture_start(f, 1);
    record(f, METHOD_GET, 200, GRPC_STATUS_NONE, PROTOCOL_HTTP1);
    fixture_flip_all(f);
    show(f, &settings, text);
    assert_non_null(strstr(text, "mesh_requests{"));
    assert_non_null(strstr(text, "mesh_service{"));
    assert_non_null(strstr(text, "weft_records_received{"));
    assert_null(strstr(text, "weft_records_dropped"));
    assert_null(strstr(text, "mesh_request_duration_seconds"));
    assert_null(strstr(text, "weft_build"));
    settings.filter.keep.count = 0;
    show(f, &settings, text);
    assert_non_null(strstr(text, "weft_build"));
    assert_null(strstr(text, "weft_records_dropped"));
    free(text);
}

static void test_static_labels_are_on_every_series(void **state)
{
    struct fixture *f = *state;
    struct snapshot_settings settings = {
        .native_scale = 5,
        .native_buckets_max = 1000,
        .labels = {{.name = "zone", .value = "\"a\""}, {.name = "method", .value = "none"}},
        .label_count = 2,
    };
    char *text = malloc(TEXT_BYTES);
    size_t lines = 0;
    size_t labelled = 0;

    assert_non_null(text);
    fixture_start(f, 1);
    record(f, METHOD_GET, 200, GRPC_STATUS_NONE, PROTOCOL_HTTP1);
    fixture_flip_all(f);
    show(f, &settings, text);
    for (char *at = text; (at = strchr(at, '\n')) != NULL; at++) {
        lines++;
    }
    for (char *at = text; (at = strstr(at, "zone=\"\\\"a\\\"\"")) != NULL; at++) {
        labelled++;
    }
    assert_true(lines > 20);
    assert_int_equal(labelled, lines);
    /* Its own stays. */
    assert_non_null(
        strstr(text, "method=\"GET\",protocol=\"http1\",response_code=\"200\",outcome=\"ok\",zone="));
    assert_non_null(strstr(text, "outcome=\"ok\",zone=\"\\\"a\\\"\",method=\"none\"} 1\n"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_dropped_labels_make_series_one, setup, teardown),
        cmocka_unit_test_setup_teardown(test_families_are_kept_and_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_static_labels_are_on_every_series, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
