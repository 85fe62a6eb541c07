/* Messages of Envoy's statistics sink as recorded, recounted with the generated classes. */
#include "decode/otlp_metrics.h"

#include "opentelemetry/metrics.pb-c.h"
#include "testing.h"

static struct attribute_table table;
static struct sent_point_scratch scratch;

static int setup(void **state)
{
    struct redaction redaction;

    (void)state;
    redaction_init_default(&redaction);
    attribute_table_init(&table, &redaction, 4);
    return 0;
}

static void on_refused(void *user, const struct decode_error *where)
{
    (void)user;
    (void)where;
    fail();
}

static uint64_t reference_count(const Otlp__ExportMetricsServiceRequest *request, uint64_t *sum)
{
    const Otlp__ScopeMetrics *scope = request->resource_metrics[0]->scope_metrics[0];
    uint64_t count = 0;

    for (size_t i = 0; i < scope->n_metrics; i++) {
        const Otlp__Metric *metric = scope->metrics[i];

        if (metric->data_case == OTLP__METRIC__DATA_GAUGE) {
            count += metric->gauge->n_data_points;
        } else if (metric->data_case == OTLP__METRIC__DATA_SUM) {
            count += metric->sum->n_data_points;
            for (size_t j = 0; j < metric->sum->n_data_points; j++) {
                *sum += (uint64_t)metric->sum->data_points[j]->as_int;
            }
        } else if (metric->data_case == OTLP__METRIC__DATA_HISTOGRAM) {
            count += metric->histogram->n_data_points;
            for (size_t j = 0; j < metric->histogram->n_data_points; j++) {
                *sum += metric->histogram->data_points[j]->count;
            }
        }
    }
    return count;
}

struct recount {
    uint64_t count;
    uint64_t sum;
    bool are_deltas;
};

static void on_recorded(void *user, const struct sent_point *point, uint32_t record)
{
    struct recount *recount = user;

    (void)record;
    recount->count++;
    if (point->type == SENT_COUNTER) {
        recount->sum += (uint64_t)point->value;
        assert_true(point->is_bare);
    }
    for (size_t i = 0; point->type == SENT_EXPLICIT && i < point->bucket_count; i++) {
        recount->sum += point->buckets[i];
    }
    if (point->type != SENT_GAUGE) {
        assert_int_equal(point->is_delta, recount->are_deltas);
        assert_true(point->start_unix_ns > OTLP_START_UNIX_NS_MIN);
        assert_true(point->start_unix_ns <= point->time_unix_ns);
    }
}

static void check_recording(const char *name, bool are_deltas)
{
    char path[256];
    static uint8_t bytes[1 << 18];
    uint32_t length;

    (void)snprintf(path, sizeof path, "%s/tests/corpus/%s", WEFT_SOURCE_DIR, name);
    FILE *file = fopen(path, "rb");

    assert_non_null(file);
    while (fread(&length, 1, sizeof length, file) == sizeof length) {
        struct recount recount = {.are_deltas = are_deltas};
        struct otlp_metrics_sink sink = {.user = &recount, .on_point = on_recorded, .on_refused = on_refused};
        struct otlp_metrics_result result;
        struct decode_error error;
        uint64_t sum = 0;

        assert_true(length <= sizeof bytes && fread(bytes, 1, length, file) == length);
        assert_int_equal(
            otlp_metrics_scan(&table, &scratch, slice_of(bytes, length), &sink, &result, &error), 0);
        Otlp__ExportMetricsServiceRequest *request =
            otlp__export_metrics_service_request__unpack(NULL, length, bytes);

        assert_non_null(request);
        assert_int_equal(recount.count, reference_count(request, &sum));
        assert_int_equal(recount.sum, sum);
        assert_true(sum > 0 || are_deltas);
        otlp__export_metrics_service_request__free_unpacked(request, NULL);
    }
    (void)fclose(file);
}

static void recorded_messages_recount(void **state)
{
    (void)state;
    check_recording("envoy_grpc.metrics", false);
    check_recording("envoy_http.metrics", false);
    check_recording("envoy_delta.metrics", true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_messages_recount),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
