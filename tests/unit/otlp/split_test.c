/* Requests taken apart: the pieces hold every item once, keep to the limits, and have their envelopes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/error.h"
#include "exporters/otlp/split.h"
#include "opentelemetry/collector.pb-c.h"

enum { SPANS_MAX = 64, PIECES_MAX = 64 };

struct seen {
    const struct split_limits *limits;
    size_t piece_count;
    uint64_t item_count;
    uint64_t counted;
    uint32_t spans[SPANS_MAX]; /* how often a span of that number came */
    uint64_t points;
};

static void on_spans(void *user, struct buffer *piece, uint64_t item_count)
{
    struct seen *seen = user;
    Otlp__ExportTraceServiceRequest *request =
        otlp__export_trace_service_request__unpack(NULL, piece->length, piece->data);

    assert_non_null(request);
    assert_true(piece->length <= seen->limits->bytes_max);
    assert_true(item_count <= seen->limits->count_max);
    seen->piece_count++;
    seen->item_count += item_count;
    for (size_t i = 0; i < request->n_resource_spans; i++) {
        const Otlp__ResourceSpans *resource = request->resource_spans[i];
        assert_non_null(resource->resource);
        assert_true(resource->n_scope_spans > 0);
        for (size_t j = 0; j < resource->n_scope_spans; j++) {
            const Otlp__ScopeSpans *scope = resource->scope_spans[j];
            assert_string_equal(scope->schema_url, "scope-schema");
            assert_true(scope->n_spans > 0);
            for (size_t k = 0; k < scope->n_spans; k++) {
                size_t number = strtoul(scope->spans[k]->name, NULL, 10);
                /* the envelope is the span's own: its resource has as many attributes as the tens tell */
                assert_int_equal(resource->resource->n_attributes, number / 10);
                seen->spans[number]++;
                seen->counted++;
            }
        }
    }
    otlp__export_trace_service_request__free_unpacked(request, NULL);
}

/* resource_count resources with ten spans each; span n is called n, padded to name_bytes by spaces. */
static struct buffer make_spans(size_t resource_count, size_t name_bytes)
{
    static Otlp__KeyValue attribute = OTLP__KEY_VALUE__INIT;
    Otlp__KeyValue *attributes[SPANS_MAX];
    Otlp__Span spans[SPANS_MAX];
    Otlp__Span *span_list[SPANS_MAX];
    Otlp__ScopeSpans scopes[SPANS_MAX / 10];
    Otlp__ScopeSpans *scope_list[SPANS_MAX / 10];
    Otlp__ResourceSpans resources[SPANS_MAX / 10];
    Otlp__ResourceSpans *resource_list[SPANS_MAX / 10];
    Otlp__Resource identities[SPANS_MAX / 10];
    Otlp__ExportTraceServiceRequest request = OTLP__EXPORT_TRACE_SERVICE_REQUEST__INIT;
    char *names = calloc(SPANS_MAX, name_bytes + 1);
    struct buffer out;

    assert_non_null(names);
    assert_true(resource_count * 10 <= SPANS_MAX);
    attribute.key = (char *)(uintptr_t) "k";
    for (size_t i = 0; i < SPANS_MAX; i++) {
        attributes[i] = &attribute;
    }
    for (size_t i = 0; i < resource_count; i++) {
        for (size_t j = 0; j < 10; j++) {
            char *name = names + (i * 10 + j) * (name_bytes + 1);
            otlp__span__init(&spans[i * 10 + j]);
            (void)snprintf(name, name_bytes + 1, "%-*zu", (int)name_bytes, i * 10 + j);
            spans[i * 10 + j].name = name;
            span_list[i * 10 + j] = &spans[i * 10 + j];
        }
        otlp__scope_spans__init(&scopes[i]);
        scopes[i].spans = span_list + i * 10;
        scopes[i].n_spans = 10;
        scopes[i].schema_url = (char *)(uintptr_t) "scope-schema";
        scope_list[i] = &scopes[i];
        otlp__resource__init(&identities[i]);
        identities[i].attributes = attributes;
        identities[i].n_attributes = i;
        otlp__resource_spans__init(&resources[i]);
        resources[i].resource = &identities[i];
        resources[i].scope_spans = scope_list + i;
        resources[i].n_scope_spans = 1;
        resource_list[i] = &resources[i];
    }
    request.resource_spans = resource_list;
    request.n_resource_spans = resource_count;
    buffer_init(&out, SIZE_MAX);
    uint8_t *room = buffer_reserve(&out, otlp__export_trace_service_request__get_packed_size(&request));
    assert_non_null(room);
    out.length = otlp__export_trace_service_request__pack(&request, room);
    free(names);
    return out;
}

static struct seen split_spans(
    const struct buffer *message, const struct split_limits *limits, uint64_t *oversized)
{
    struct seen seen = {.limits = limits};

    assert_int_equal(split_request(OTLP_SIGNAL_TRACES, slice_of(message->data, message->length), limits,
                         on_spans, &seen, oversized),
        0);
    assert_int_equal(seen.counted, seen.item_count);
    return seen;
}

static void every_span_is_in_one_piece(void **state)
{
    (void)state;
    static const struct split_limits rows[] = {{.bytes_max = 1000, .count_max = 100},
        {.bytes_max = 100000, .count_max = 7}, {.bytes_max = 300, .count_max = 1},
        {.bytes_max = 300, .count_max = 3}, {.bytes_max = 100000, .count_max = 1000}};
    struct buffer message = make_spans(6, 90);

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t oversized = 7;
        struct seen seen = split_spans(&message, &rows[i], &oversized);
        assert_int_equal(oversized, 0);
        assert_int_equal(seen.item_count, 60);
        for (size_t j = 0; j < 60; j++) {
            assert_int_equal(seen.spans[j], 1);
        }
        assert_true(seen.piece_count >= (60 + rows[i].count_max - 1) / rows[i].count_max);
    }
    buffer_deinit(&message);
}

static void pieces_are_nearly_full(void **state)
{
    (void)state;
    static const struct split_limits limits = {.bytes_max = 2000, .count_max = 1000};
    struct buffer message = make_spans(6, 90);
    uint64_t oversized;
    struct seen seen = split_spans(&message, &limits, &oversized);

    assert_in_range(seen.piece_count, message.length / 2000, message.length / 2000 + 2);
    buffer_deinit(&message);
}

static void what_fits_nowhere_is_counted(void **state)
{
    (void)state;
    static const struct split_limits small = {.bytes_max = 100, .count_max = 1000};
    static const struct split_limits by_item = {.bytes_max = 100000, .count_max = 1000, .item_bytes_max = 80};
    struct buffer message = make_spans(2, 90);
    uint64_t oversized;
    struct seen seen = split_spans(&message, &small, &oversized);

    assert_int_equal(oversized, 20);
    assert_int_equal(seen.piece_count, 0);
    seen = split_spans(&message, &by_item, &oversized);
    assert_int_equal(oversized, 20);
    assert_int_equal(seen.piece_count, 0);
    assert_true(split_is_needed(&by_item, 81, 1));
    assert_false(split_is_needed(&by_item, 80, 1));
    assert_false(split_is_needed(&small, 100, 1000));
    assert_true(split_is_needed(&small, 1, 1001));
    assert_false(split_is_needed(&(struct split_limits){0}, SIZE_MAX, UINT64_MAX));
    buffer_deinit(&message);
}

static void on_points(void *user, struct buffer *piece, uint64_t item_count)
{
    struct seen *seen = user;
    Otlp__ExportMetricsServiceRequest *request =
        otlp__export_metrics_service_request__unpack(NULL, piece->length, piece->data);

    assert_non_null(request);
    assert_true(item_count <= seen->limits->count_max);
    seen->piece_count++;
    seen->item_count += item_count;
    for (size_t i = 0; i < request->n_resource_metrics; i++) {
        for (size_t j = 0; j < request->resource_metrics[i]->n_scope_metrics; j++) {
            const Otlp__ScopeMetrics *scope = request->resource_metrics[i]->scope_metrics[j];
            for (size_t k = 0; k < scope->n_metrics; k++) {
                const Otlp__Metric *metric = scope->metrics[k];
                assert_string_equal(metric->name, "requests");
                assert_int_equal(metric->data_case, OTLP__METRIC__DATA_SUM);
                assert_int_equal(metric->sum->is_monotonic, 1);
                assert_int_equal(metric->sum->aggregation_temporality, 2);
                for (size_t l = 0; l < metric->sum->n_data_points; l++) {
                    seen->spans[metric->sum->data_points[l]->as_int]++;
                }
            }
        }
    }
    otlp__export_metrics_service_request__free_unpacked(request, NULL);
}

static void a_metric_is_cut_between_its_points(void **state)
{
    (void)state;
    static const struct split_limits limits = {.bytes_max = 1000000, .count_max = 7};
    Otlp__NumberDataPoint points[SPANS_MAX];
    Otlp__NumberDataPoint *point_list[SPANS_MAX];
    Otlp__Sum sum = OTLP__SUM__INIT;
    Otlp__Metric metric = OTLP__METRIC__INIT;
    Otlp__Metric *metrics[] = {&metric};
    Otlp__ScopeMetrics scope = OTLP__SCOPE_METRICS__INIT;
    Otlp__ScopeMetrics *scopes[] = {&scope};
    Otlp__ResourceMetrics resource = OTLP__RESOURCE_METRICS__INIT;
    Otlp__ResourceMetrics *resources[] = {&resource};
    Otlp__ExportMetricsServiceRequest request = OTLP__EXPORT_METRICS_SERVICE_REQUEST__INIT;
    struct seen seen = {.limits = &limits};
    uint8_t bytes[4096];
    uint64_t oversized;

    for (size_t i = 0; i < SPANS_MAX; i++) {
        otlp__number_data_point__init(&points[i]);
        points[i].value_case = OTLP__NUMBER_DATA_POINT__VALUE_AS_INT;
        points[i].as_int = (int64_t)i;
        point_list[i] = &points[i];
    }
    sum.data_points = point_list;
    sum.n_data_points = SPANS_MAX;
    sum.is_monotonic = 1;
    sum.aggregation_temporality = 2;
    metric.name = (char *)(uintptr_t) "requests";
    metric.data_case = OTLP__METRIC__DATA_SUM;
    metric.sum = &sum;
    scope.metrics = metrics;
    scope.n_metrics = 1;
    resource.scope_metrics = scopes;
    resource.n_scope_metrics = 1;
    request.resource_metrics = resources;
    request.n_resource_metrics = 1;
    assert_in_range(otlp__export_metrics_service_request__get_packed_size(&request), 1, sizeof bytes);
    size_t length = otlp__export_metrics_service_request__pack(&request, bytes);
    assert_int_equal(
        split_request(OTLP_SIGNAL_METRICS, slice_of(bytes, length), &limits, on_points, &seen, &oversized),
        0);
    assert_int_equal(oversized, 0);
    assert_int_equal(seen.item_count, SPANS_MAX);
    assert_int_equal(seen.piece_count, (SPANS_MAX + 6) / 7);
    for (size_t i = 0; i < SPANS_MAX; i++) {
        assert_int_equal(seen.spans[i], 1);
    }
}

/* Whatever is cut off or changed, nothing is read past the end and what comes out is sound. */
static void on_any(void *user, struct buffer *piece, uint64_t item_count)
{
    (void)item_count;
    *(size_t *)user += piece->length;
}

static void damage_is_no_crash(void **state)
{
    (void)state;
    static const struct split_limits limits = {.bytes_max = 400, .count_max = 3};
    struct buffer message = make_spans(2, 20);
    uint64_t oversized;
    size_t bytes = 0;

    for (size_t cut = 0; cut < message.length; cut++) {
        uint8_t *copy = malloc(cut + 1); /* its own, so that the sanitizer sees its end */
        assert_non_null(copy);
        memcpy(copy, message.data, cut);
        int error =
            split_request(OTLP_SIGNAL_TRACES, slice_of(copy, cut), &limits, on_any, &bytes, &oversized);
        assert_true(error == 0 || error == WERR_TRUNCATED || error == WERR_INVALID);
        free(copy);
        uint8_t kept = message.data[cut];
        message.data[cut] = 0xff;
        (void)split_request(
            OTLP_SIGNAL_METRICS, slice_of(message.data, message.length), &limits, on_any, &bytes, &oversized);
        message.data[cut] = kept;
    }
    assert_true(bytes > 0);
    buffer_deinit(&message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_span_is_in_one_piece),
        cmocka_unit_test(pieces_are_nearly_full),
        cmocka_unit_test(what_fits_nowhere_is_counted),
        cmocka_unit_test(a_metric_is_cut_between_its_points),
        cmocka_unit_test(damage_is_no_crash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
