/* Native batches to requests and metric points: packed, decoded and read as on a connection. */
#include "fixture.h"

#include "context/native_request.h"
#include "context/response_flags.h"
#include "context/sampling.h"
#include "core/arena.h"
#include "core/error.h"

enum { SPANS = 3, STRINGS_MAX = 16 };

struct native_fixture {
    struct fixture base;
    struct arena arena;
    struct native_dictionary dictionary;
    struct sender sender;
};

static void add_strings(
    struct native_fixture *n, uint32_t first_id, const char *const *texts, size_t count, int expected)
{
    ProtobufCBinaryData entries[STRINGS_MAX];
    Weft__V1__Dictionary frame = WEFT__V1__DICTIONARY__INIT;

    for (size_t i = 0; i < count; i++) {
        union {
            const char *text;
            uint8_t *data;
        } entry = {.text = texts[i]};

        entries[i] = (ProtobufCBinaryData){.len = strlen(texts[i]), .data = entry.data};
    }
    frame.first_id = first_id;
    frame.n_entries = count;
    frame.entries = entries;
    assert_int_equal(native_dictionary_add(&n->dictionary, &frame), expected);
}

static const char *const strings[] = {
    "productpage", "shop", "reviews", "/reviews/{id}?token=secret", "GET", "/a", "/b", ""};

static void native_init(struct native_fixture *n)
{
    fixture_init(&n->base, 1000);
    arena_init(&n->arena, 4096, 1u << 20);
    n->sender = (struct sender){.kind = SENDER_PROCESS, .name = "proxy", .id = "process/proxy:1"};
    context_sender_bind(&n->base.context, &n->sender);
    native_dictionary_init(&n->dictionary, &n->base.context, &n->base.budget);
    add_strings(n, 1, strings, COUNT_OF(strings), 0);
}

static void native_deinit(struct native_fixture *n)
{
    native_dictionary_deinit(&n->dictionary);
    native_dictionary_deinit(&n->dictionary);
    native_dictionary_deinit(NULL);
    context_sender_release(&n->base.context, &n->sender);
    arena_deinit(&n->arena);
    context_deinit(&n->base.context);
    for (int i = 0; i < 10; i++) {
        interner_sweep(n->base.interner);
    }
    assert_int_equal(
        interner_count(n->base.interner), INTERNED_FIXED_COUNT); /* every reference was given back */
    fixture_deinit(&n->base);
}

/* Packs and decodes, as from a frame. */
static struct native_spans decoded(struct native_fixture *n, const Weft__V1__SpanBatch *batch)
{
    struct native_spans spans;
    struct decode_error error;
    size_t bytes = weft__v1__span_batch__get_packed_size(batch);
    uint8_t *packed = arena_alloc(&n->arena, bytes);

    assert_non_null(packed);
    weft__v1__span_batch__pack(batch, packed);
    assert_int_equal(native_decode_spans(slice_of(packed, bytes), &n->arena, &spans, &error), 0);
    return spans;
}

static uint8_t ids[SPANS * 16];

#define COLUMN(batch, field, values)                                                                         \
    do {                                                                                                     \
        (batch).field = (values);                                                                            \
        (batch).n_##field = SPANS;                                                                           \
    } while (0)

static void batch_init(Weft__V1__SpanBatch *batch)
{
    for (size_t i = 0; i < sizeof ids; i++) {
        ids[i] = (uint8_t)(i + 1);
    }
    weft__v1__span_batch__init(batch);
    batch->sequence = 1;
    batch->span_count = SPANS;
    batch->base_time_unix_ns = 1700000000000000000;
    batch->trace_ids = (ProtobufCBinaryData){.len = sizeof ids, .data = ids};
    batch->span_ids = (ProtobufCBinaryData){.len = sizeof ids / 2, .data = ids};
}

static void test_a_batch(void **state)
{
    struct native_fixture n;
    Weft__V1__SpanBatch batch;
    uint32_t reporter[SPANS] = {1, 2, 3};
    uint32_t source[SPANS] = {1, 8, 0}, space[SPANS] = {2, 0, 2}, destination[SPANS] = {3, 3, 0};
    uint32_t route[SPANS] = {4, 8, 4}, method[SPANS] = {5, 0, 1}, protocol[SPANS] = {1, 4, 5};
    uint32_t code[SPANS] = {503, 200, 0}, grpc[SPANS] = {0, 6, 0}, attempts[SPANS] = {3, 0, 1};
    int64_t offset[SPANS] = {5, 6, 7};
    uint64_t duration[SPANS] = {1000000, 0, 3}, flags[SPANS] = {RESPONSE_FLAG(URX), 0, UINT64_MAX};
    uint64_t bytes[SPANS] = {1, 2, 3}, threshold[SPANS] = {0, 0xc0000000000000, 0xffffffffffffff};
    struct native_spans spans;
    struct request r;

    (void)state;
    native_init(&n);
    batch_init(&batch);
    COLUMN(batch, reporter, reporter);
    COLUMN(batch, source, source);
    COLUMN(batch, source_namespace, space);
    COLUMN(batch, destination, destination);
    COLUMN(batch, route, route);
    COLUMN(batch, method, method);
    COLUMN(batch, protocol, protocol);
    COLUMN(batch, response_code, code);
    COLUMN(batch, grpc_status, grpc);
    COLUMN(batch, attempts, attempts);
    COLUMN(batch, start_offset_ns, offset);
    COLUMN(batch, duration_ns, duration);
    COLUMN(batch, response_flags, flags);
    COLUMN(batch, request_bytes, bytes);
    COLUMN(batch, sampling_threshold, threshold);
    spans = decoded(&n, &batch);
    assert_int_equal(native_to_request(&n.dictionary, &spans, 0, &n.sender, &r), 0);
    assert_int_equal(r.reporter, REPORTER_SOURCE);
    assert_id(&n.base, r.source, "productpage");
    assert_id(&n.base, r.source_namespace, "shop");
    assert_id(&n.base, r.destination, "reviews");
    assert_int_equal(r.destination_namespace, INTERNED_UNKNOWN);
    assert_id(&n.base, r.route, "/reviews/{id}");
    assert_int_equal(r.method, METHOD_GET);
    assert_int_equal(r.protocol, PROTOCOL_HTTP1);
    assert_int_equal(r.response_code, 503);
    assert_int_equal(r.grpc_status, GRPC_STATUS_NONE);
    assert_int_equal(r.outcome, OUTCOME_SERVER_ERROR);
    assert_true(r.response_flags == RESPONSE_FLAG(URX));
    assert_int_equal(r.attempts, 3);
    assert_true(r.has_bytes && r.request_bytes == 1 && r.response_bytes == 0);
    assert_true(r.start_unix_ns == 1700000000000000005 && r.duration_ns == 1000000);
    assert_true(r.weight == WEIGHT_ONE);
    assert_int_equal(r.sender, n.sender.interned);
    assert_memory_equal(r.trace_id, ids, 16);
    assert_int_equal(native_to_request(&n.dictionary, &spans, 1, NULL, &r), 0);
    assert_int_equal(r.reporter, REPORTER_DESTINATION);
    assert_int_equal(r.source, INTERNED_UNKNOWN);
    assert_int_equal(r.route, INTERNED_UNKNOWN);
    assert_int_equal(r.protocol, PROTOCOL_GRPC);
    assert_int_equal(r.grpc_status, 5);
    assert_int_equal(r.outcome, OUTCOME_CLIENT_ERROR);
    assert_true(r.weight == 4 * WEIGHT_ONE);
    assert_memory_equal(r.trace_id, ids + 16, 16);
    assert_memory_equal(r.span_id, ids + 8, 8);
    assert_int_equal(native_to_request(&n.dictionary, &spans, 2, NULL, &r), 0);
    assert_int_equal(r.reporter, REPORTER_WAYPOINT);
    assert_int_equal(r.method, METHOD_OTHER); /* "productpage" is no method */
    assert_int_equal(r.protocol, PROTOCOL_TCP);
    assert_true(r.response_flags == RESPONSE_FLAGS_ALL);
    assert_true(r.weight == n.base.limits.sampling_weight_max << WEIGHT_FRACTION_BITS);
    assert_int_equal(metric_get(n.base.cells, METRIC_WEIGHT_CAPPED), 1);
    native_deinit(&n);
}

static void test_which_instance_the_client_is(void **state)
{
    struct native_fixture n;
    Weft__V1__Hello hello = WEFT__V1__HELLO__INIT;
    char node[] = "cart-2";
    char other[] = "cart-3";

    (void)state;
    native_init(&n);
    hello.node = node;
    native_dictionary_set_self(&n.dictionary, &hello, &n.sender);
    assert_id(&n.base, n.dictionary.instance, "cart-2");
    hello.node = other;
    native_dictionary_set_self(&n.dictionary, &hello, NULL);
    assert_id(&n.base, n.dictionary.instance, "cart-3");
    struct sender pod = {.kind = SENDER_POD, .name = "0a1b", .pod = "cart-0"};
    native_dictionary_set_self(&n.dictionary, &hello, &pod); /* the socket says which pod it is */
    assert_int_equal(n.dictionary.instance, INTERNED_NONE);
    hello.node = (char *)(uintptr_t)protobuf_c_empty_string;
    native_dictionary_set_self(&n.dictionary, &hello, &n.sender);
    assert_int_equal(n.dictionary.instance, INTERNED_NONE);
    native_deinit(&n);
}

static void test_the_clients_own_name(void **state)
{
    struct native_fixture n;
    Weft__V1__SpanBatch batch;
    Weft__V1__Hello hello = WEFT__V1__HELLO__INIT;
    char workload[] = "gateway";
    char space[] = "edge";
    uint32_t reporter[SPANS] = {1, 2, 3};
    struct native_spans spans;
    struct request r;

    (void)state;
    native_init(&n);
    hello.workload = workload;
    hello.workload_namespace = space;
    native_dictionary_set_self(&n.dictionary, &hello, &n.sender);
    native_dictionary_set_self(&n.dictionary, &hello, &n.sender);
    batch_init(&batch);
    COLUMN(batch, reporter, reporter);
    spans = decoded(&n, &batch);
    assert_int_equal(native_to_request(&n.dictionary, &spans, 0, NULL, &r), 0);
    assert_id(&n.base, r.source, "gateway");
    assert_id(&n.base, r.source_namespace, "edge");
    assert_int_equal(r.destination, INTERNED_UNKNOWN);
    assert_int_equal(r.outcome, OUTCOME_NO_RESPONSE);
    assert_false(r.has_bytes);
    assert_int_equal(native_to_request(&n.dictionary, &spans, 1, NULL, &r), 0);
    assert_id(&n.base, r.destination, "gateway");
    assert_int_equal(r.source, INTERNED_UNKNOWN);
    assert_int_equal(native_to_request(&n.dictionary, &spans, 2, NULL, &r), 0);
    assert_int_equal(r.source, INTERNED_UNKNOWN);
    assert_int_equal(r.destination, INTERNED_UNKNOWN);
    native_deinit(&n);
}

static void test_bad_records(void **state)
{
    static const uint32_t unknown_ids[] = {COUNT_OF(strings) + 1, UINT32_MAX};
    struct native_fixture n;
    uint32_t reporter[SPANS] = {1, 1, 1};
    struct request r = {.reporter = 77};

    (void)state;
    native_init(&n);
    for (size_t k = 0; k < COUNT_OF(unknown_ids); k++) {
        uint32_t column[SPANS] = {1, unknown_ids[k], 1};

        for (int field = 0; field < 6; field++) {
            Weft__V1__SpanBatch batch;
            struct native_spans spans;

            batch_init(&batch);
            COLUMN(batch, reporter, reporter);
            switch (field) {
            case 0:
                COLUMN(batch, source, column);
                break;
            case 1:
                COLUMN(batch, source_namespace, column);
                break;
            case 2:
                COLUMN(batch, destination, column);
                break;
            case 3:
                COLUMN(batch, destination_namespace, column);
                break;
            case 4:
                COLUMN(batch, route, column);
                break;
            default:
                COLUMN(batch, method, column);
                break;
            }
            spans = decoded(&n, &batch);
            assert_int_equal(native_to_request(&n.dictionary, &spans, 1, NULL, &r), WERR_DICTIONARY);
            assert_int_equal(r.reporter, 77); /* nothing written */
        }
    }
    {
        Weft__V1__SpanBatch batch;
        struct native_spans spans;
        uint32_t bad_reporter[SPANS] = {0, 4, UINT32_MAX}, bad_protocol[SPANS] = {6, 99, UINT32_MAX};
        uint32_t bad_attempts[SPANS] = {NATIVE_ATTEMPTS_MAX + 1, UINT32_MAX, 2000};
        uint64_t bad_bytes[SPANS] = {UINT64_MAX, 1ull << 63, (1ull << 48) + 1};

        batch_init(&batch);
        COLUMN(batch, reporter, bad_reporter);
        spans = decoded(&n, &batch);
        for (size_t i = 0; i < SPANS; i++) {
            assert_int_equal(native_to_request(&n.dictionary, &spans, i, NULL, &r), WERR_INVALID);
        }
        COLUMN(batch, reporter, reporter);
        COLUMN(batch, protocol, bad_protocol);
        spans = decoded(&n, &batch);
        for (size_t i = 0; i < SPANS; i++) {
            assert_int_equal(native_to_request(&n.dictionary, &spans, i, NULL, &r), WERR_INVALID);
        }
        batch_init(&batch);
        COLUMN(batch, reporter, reporter);
        COLUMN(batch, attempts, bad_attempts);
        spans = decoded(&n, &batch);
        for (size_t i = 0; i < SPANS; i++) {
            assert_int_equal(native_to_request(&n.dictionary, &spans, i, NULL, &r), WERR_INVALID);
        }
        batch_init(&batch);
        COLUMN(batch, reporter, reporter);
        COLUMN(batch, response_bytes, bad_bytes);
        spans = decoded(&n, &batch);
        for (size_t i = 0; i < SPANS; i++) {
            assert_int_equal(native_to_request(&n.dictionary, &spans, i, NULL, &r), WERR_INVALID);
        }
    }
    native_deinit(&n);
}

static void test_dictionary_limits(void **state)
{
    static const char *const more[] = {"one", "two", "three"};
    struct native_fixture n;

    (void)state;
    native_init(&n);
    add_strings(&n, 1, more, 3, WERR_DICTIONARY);
    add_strings(&n, 10, more, 3, WERR_DICTIONARY);
    add_strings(&n, 0, more, 3, WERR_DICTIONARY);
    n.base.limits.dictionary_count_max = COUNT_OF(strings) + 2;
    add_strings(&n, 9, more, 3, WERR_FULL);
    assert_int_equal(native_dictionary_count(&n.dictionary), COUNT_OF(strings)); /* nothing was added */
    add_strings(&n, 9, more, 2, 0);
    assert_null(native_dictionary_get(&n.dictionary, 0));
    assert_null(native_dictionary_get(&n.dictionary, 11));
    assert_id(&n.base, native_dictionary_get(&n.dictionary, 10)->id, "two");
    context_batch_begin(&n.base.context, false, 2); /* nothing new may be interned */
    n.base.limits.dictionary_count_max = 100;
    assert_int_equal(n.dictionary.overflowed_count, 0);
    add_strings(&n, 11, &more[2], 1, 0);
    assert_int_equal(native_dictionary_get(&n.dictionary, 11)->id, INTERNED_OVERFLOW);
    assert_int_equal(n.dictionary.overflowed_count, 1);
    n.base.budget.cap_bytes = n.base.budget.used_bytes; /* no more memory */
    for (uint32_t id = 12; id <= 64; id++) {
        add_strings(&n, id, strings, 1, 0);
    }
    add_strings(&n, 65, strings, 1, WERR_NOMEM);
    native_deinit(&n);
}

static void test_routes_of_a_destination_are_limited(void **state)
{
    struct native_fixture n;
    Weft__V1__SpanBatch batch;
    uint32_t reporter[SPANS] = {1, 1, 1}, destination[SPANS] = {3, 3, 3}, route[SPANS] = {4, 6, 7};
    struct native_spans spans;
    struct request r;

    (void)state;
    native_init(&n);
    route_table_free(n.base.context.routes);
    n.base.context.routes = route_table_new(2, 1);
    assert_non_null(n.base.context.routes);
    batch_init(&batch);
    COLUMN(batch, reporter, reporter);
    COLUMN(batch, destination, destination);
    COLUMN(batch, route, route);
    spans = decoded(&n, &batch);
    assert_int_equal(native_to_request(&n.dictionary, &spans, 0, NULL, &r), 0);
    assert_id(&n.base, r.route, "/reviews/{id}");
    assert_int_equal(native_to_request(&n.dictionary, &spans, 1, NULL, &r), 0);
    assert_id(&n.base, r.route, "/a");
    assert_int_equal(native_to_request(&n.dictionary, &spans, 2, NULL, &r), 0);
    assert_id(&n.base, r.route, "/*");
    assert_int_equal(metric_get(n.base.cells, METRIC_ROUTES_LIMITED), 1);
    native_deinit(&n);
}

/* A series of the given names; ids are those of `strings`. */
static int add_series(struct native_fixture *n, uint32_t id, Weft__V1__MetricType type, uint32_t name,
    uint32_t *keys, uint32_t *values, size_t label_count)
{
    Weft__V1__Series series = WEFT__V1__SERIES__INIT;

    series.id = id;
    series.type = type;
    series.name = name;
    series.label_keys = keys;
    series.n_label_keys = label_count;
    series.label_values = values;
    series.n_label_values = label_count;
    return native_series_add(&n->dictionary, &series);
}

#define COUNTER WEFT__V1__METRIC_TYPE__METRIC_TYPE_COUNTER
#define GAUGE WEFT__V1__METRIC_TYPE__METRIC_TYPE_GAUGE
#define HISTOGRAM WEFT__V1__METRIC_TYPE__METRIC_TYPE_HISTOGRAM

static void test_series(void **state)
{
    struct native_fixture n;
    uint32_t keys[40] = {3, 1, 2};
    uint32_t values[40] = {5, 0, 5};
    uint32_t twice[2] = {1, 1};
    uint32_t unknown[1] = {99};
    uint32_t none[1] = {0};

    (void)state;
    native_init(&n);
    assert_int_equal(add_series(&n, 2, COUNTER, 1, keys, values, 3), WERR_DICTIONARY);
    assert_int_equal(add_series(&n, 1, COUNTER, 1, keys, values, 3), 0);
    assert_int_equal(add_series(&n, 2, GAUGE, 1, keys, values, 0), 0);
    assert_int_equal(add_series(&n, 3, HISTOGRAM, 1, keys, values, 0), 0);
    assert_int_equal(add_series(&n, 4, COUNTER, 1, twice, values, 2), WERR_INVALID);
    assert_int_equal(add_series(&n, 5, COUNTER, 1, unknown, values, 1), WERR_DICTIONARY);
    assert_int_equal(add_series(&n, 6, COUNTER, 1, values, unknown, 1), WERR_DICTIONARY);
    assert_int_equal(add_series(&n, 7, COUNTER, 99, keys, values, 0), WERR_DICTIONARY);
    assert_int_equal(add_series(&n, 8, COUNTER, 0, keys, values, 0), WERR_INVALID);
    assert_int_equal(add_series(&n, 9, COUNTER, 1, none, values, 1), WERR_INVALID);
    assert_int_equal(add_series(&n, 10, (Weft__V1__MetricType)0, 1, keys, values, 0), WERR_INVALID);
    assert_int_equal(add_series(&n, 11, (Weft__V1__MetricType)9, 1, keys, values, 0), WERR_INVALID);
    assert_int_equal(add_series(&n, 12, COUNTER, 1, keys, values, 33), WERR_OVERSIZED);
    n.base.budget.cap_bytes = n.base.budget.used_bytes;
    assert_int_equal(add_series(&n, 13, COUNTER, 1, keys, values, 1), WERR_NOMEM);
    assert_int_equal(n.dictionary.overflowed_count, 1);
    native_deinit(&n);
}

static void test_points(void **state)
{
    struct native_fixture n;
    uint32_t keys[3] = {3, 1, 2};   /* reviews, productpage, shop: to be sorted */
    uint32_t values[3] = {5, 8, 6}; /* GET, "", /a */
    Weft__V1__MetricBatch batch = WEFT__V1__METRIC_BATCH__INIT;
    Weft__V1__HistogramPoint histogram = WEFT__V1__HISTOGRAM_POINT__INIT;
    Weft__V1__HistogramPoint *histograms[1] = {&histogram};
    Weft__V1__Hello hello = WEFT__V1__HELLO__INIT;
    uint32_t counter_series[5] = {1, 2, 9, 0, 4};
    double counter_values[5] = {12.5, 1, 1, 1, 1};
    uint32_t gauge_series[1] = {2};
    double gauge_values[1] = {-3};
    uint64_t buckets[2] = {4, 5};
    struct metric_point point = {.name = 7777};

    (void)state;
    native_init(&n);
    hello.start_time_unix_ns = 1699999999000000000;
    native_dictionary_set_self(&n.dictionary, &hello, NULL);
    assert_int_equal(add_series(&n, 1, COUNTER, 4, keys, values, 3), 0);
    assert_int_equal(add_series(&n, 2, GAUGE, 4, keys, values, 0), 0);
    assert_int_equal(add_series(&n, 3, HISTOGRAM, 4, keys, values, 0), 0);
    assert_int_equal(add_series(&n, 4, COUNTER, 0, keys, values, 0), WERR_INVALID);
    batch.time_unix_ns = 1700000000000000000;
    batch.counter_series = counter_series;
    batch.n_counter_series = 5;
    batch.counter_values = counter_values;
    batch.n_counter_values = 5;
    batch.gauge_series = gauge_series;
    batch.n_gauge_series = 1;
    batch.gauge_values = gauge_values;
    batch.n_gauge_values = 1;
    batch.histograms = histograms;
    batch.n_histograms = 1;
    histogram.series = 3;
    histogram.scale = 5;
    histogram.offset = -7;
    histogram.sum = 1.5;
    histogram.zero_count = 3;
    histogram.buckets = buckets;
    histogram.n_buckets = 2;
    assert_int_equal(native_point_count(&batch), 7);
    assert_int_equal(
        native_to_point(&n.dictionary, &batch, 1, NULL, &point), WERR_INVALID); /* a gauge's series */
    assert_int_equal(native_to_point(&n.dictionary, &batch, 2, NULL, &point), WERR_DICTIONARY);
    assert_int_equal(native_to_point(&n.dictionary, &batch, 3, NULL, &point), WERR_DICTIONARY);
    assert_int_equal(
        native_to_point(&n.dictionary, &batch, 4, NULL, &point), WERR_INVALID); /* refused before */
    assert_int_equal(
        native_to_point(&n.dictionary, &batch, 7, NULL, &point), WERR_DICTIONARY); /* past the end */
    assert_int_equal(point.name, 7777);
    assert_int_equal(native_to_point(&n.dictionary, &batch, 0, &n.sender, &point), 0);
    assert_int_equal(point.type, METRIC_POINT_COUNTER);
    assert_true(point.value == 12.5);
    assert_true(point.start_unix_ns == hello.start_time_unix_ns && point.time_unix_ns == batch.time_unix_ns);
    assert_int_equal(point.sender, n.sender.interned);
    assert_int_equal(point.label_count, 3);
    assert_id(&n.base, point.labels[0].key, "productpage");
    assert_int_equal(point.labels[0].value, INTERNED_NONE);
    assert_id(&n.base, point.labels[1].key, "reviews");
    assert_id(&n.base, point.labels[1].value, "GET");
    assert_id(&n.base, point.labels[2].key, "shop");
    assert_id(&n.base, point.labels[2].value, "/a");
    assert_int_equal(native_to_point(&n.dictionary, &batch, 5, NULL, &point), 0);
    assert_int_equal(point.type, METRIC_POINT_GAUGE);
    assert_true(point.value == -3 && point.start_unix_ns == 0);
    assert_int_equal(native_to_point(&n.dictionary, &batch, 6, NULL, &point), 0);
    assert_int_equal(point.type, METRIC_POINT_HISTOGRAM);
    assert_true(point.value == 1.5 && point.scale == 5 && point.offset == -7 && point.zero_count == 3);
    assert_int_equal(point.bucket_count, 2);
    assert_int_equal(point.buckets[1], 5);
    histogram.n_buckets = METRIC_BUCKET_COUNT_MAX + 1;
    assert_int_equal(native_to_point(&n.dictionary, &batch, 6, NULL, &point), WERR_INVALID);
    native_deinit(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_batch),
        cmocka_unit_test(test_which_instance_the_client_is),
        cmocka_unit_test(test_the_clients_own_name),
        cmocka_unit_test(test_bad_records),
        cmocka_unit_test(test_dictionary_limits),
        cmocka_unit_test(test_routes_of_a_destination_are_limited),
        cmocka_unit_test(test_series),
        cmocka_unit_test(test_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
