/* Jaeger's answers, byte for byte, and which spans a query finds. */
#include "trace_rig.h"

#include "core/error.h"
#include "query/trace_answer.h"

static void make_model(struct trace_model *model)
{
    trace_model_init(model, trace_id);
    add_json(model, rich_trace);
    add_spans(model, "shared",
        SPAN("0000000000000002", "0000000000000001", "served", 2, 1700000000051000000, 1700000000059000000) //
        "," SPAN(
            "0000000000000003", "00000000000000ee", "orphan", 1, 1700000000052000000, 1700000000052000000) //
        "," SPAN(
            "0000000000000004", "0000000000000004", "itself", 4, 1700000000053000000, 1700000000052000000));
    trace_model_warn(model, "peer http://10.0.0.1:9464 did not answer within 2 s");
    assert_int_equal(trace_model_finish(model), 0);
}

static void write_answer(struct buffer *out, const char *path, const struct trace_model *model,
    const uint8_t (*missing)[TRACE_MODEL_ID_BYTES])
{
    struct trace_answer answer;
    struct trace_query query;

    assert_int_equal(trace_query_parse(&query, path, NULL, 0, 1), 0);
    trace_answer_begin(&answer, &query, out, NULL, 0);
    if (model != NULL) {
        trace_answer_add(&answer, model);
    }
    trace_answer_end(&answer, missing, missing != NULL ? 1 : 0);
}

static void a_trace_is_this(void **state)
{
    const uint8_t short_id[TRACE_MODEL_ID_BYTES] = {[8] = 0xab, [15] = 1};
    struct trace_model model;
    struct buffer out;

    (void)state;
    make_model(&model);
    buffer_init(&out, 1 << 20);
    write_answer(&out, "/api/traces/1", &model, &short_id);
    check_golden("jaeger_trace.json", &out);
    buffer_deinit(&out);
    trace_model_deinit(&model);
}

static void no_traces_are_an_empty_list(void **state)
{
    static const char expected[] = "{\"data\":[],\"total\":0,\"limit\":0,\"offset\":0,\"errors\":null}\n";
    struct buffer out;

    (void)state;
    buffer_init(&out, 1 << 20);
    write_answer(&out, "/api/traces/1", NULL, NULL);
    assert_int_equal(out.length, strlen(expected));
    assert_memory_equal(out.data, expected, out.length);
    buffer_deinit(&out);
}

static void the_third_api_wraps_otlp(void **state)
{
    struct trace_model model;
    struct buffer out;

    (void)state;
    make_model(&model);
    buffer_init(&out, 1 << 20);
    write_answer(&out, "/api/v3/traces/1", &model, NULL);
    check_golden("jaeger_v3.json", &out);
    buffer_deinit(&out);
    trace_model_deinit(&model);
}

static void lists_are_these(void **state)
{
    static const enum trace_endpoint endpoints[] = {TRACE_ENDPOINT_JAEGER_SERVICES,
        TRACE_ENDPOINT_JAEGER_OPERATION_NAMES, TRACE_ENDPOINT_JAEGER_OPERATIONS, TRACE_ENDPOINT_V3_SERVICES,
        TRACE_ENDPOINT_V3_OPERATIONS};
    struct trace_names names;
    struct buffer out;

    (void)state;
    buffer_init(&out, 1 << 20);
    trace_names_init(&names);
    trace_names_add(&names, SLICE_LITERAL("weft"), SPAN_KIND_SERVER);
    trace_names_add(&names, SLICE_LITERAL("a \"quoted\" one"), SPAN_KIND_CLIENT);
    trace_names_add(&names, SLICE_LITERAL("weft"), SPAN_KIND_CLIENT);
    trace_names_add(&names, SLICE_LITERAL("weft"), SPAN_KIND_CLIENT);
    trace_names_add(&names, SLICE_LITERAL(""), SPAN_KIND_CLIENT);
    for (size_t i = 0; i < sizeof endpoints / sizeof endpoints[0]; i++) {
        trace_jaeger_names(&out, endpoints[i], &names);
    }
    check_golden("jaeger_lists.json", &out);
    trace_names_deinit(&names);
    buffer_deinit(&out);
}

static void names_are_limited(void **state)
{
    struct trace_names names;
    struct trace_names copy;
    char text[2 * TRACE_NAME_BYTES_MAX];

    (void)state;
    trace_names_init(&names);
    trace_names_init(&copy);
    for (unsigned i = 0; i < TRACE_NAMES_COUNT_MAX + 5; i++) {
        assert_in_range(snprintf(text, sizeof text, "%u", i * 7919), 1, 32);
        trace_names_add(&names, slice_of_string(text), 0);
    }
    assert_int_equal(names.count, TRACE_NAMES_COUNT_MAX);
    assert_int_equal(names.left_out_count, 5);
    for (size_t i = 1; i < names.count; i++) {
        struct trace_name *a = &names.items[i - 1];
        struct trace_name *b = &names.items[i];
        int order = memcmp(a->text, b->text, a->length < b->length ? a->length : b->length);
        assert_true(order < 0 || (order == 0 && a->length < b->length));
    }
    memset(text, 'x', sizeof text);
    trace_names_add(&copy, slice_of(text, sizeof text), 0);
    assert_int_equal(copy.items[0].length, TRACE_NAME_BYTES_MAX);
    trace_names_merge(&copy, &names);
    assert_int_equal(copy.count, TRACE_NAMES_COUNT_MAX);
    assert_int_equal(copy.left_out_count, 6);
    trace_names_deinit(&copy);
    trace_names_deinit(&names);
}

static void errors_are_these(void **state)
{
    struct trace_query query;
    struct buffer out;
    const struct query_argument unknown = {.name = "srevice", .value = "a"};

    (void)state;
    buffer_init(&out, 1 << 20);
    assert_int_equal(trace_query_parse(&query, "/api/traces/1", NULL, 0, 1), 0);
    trace_error(&out, &query, 404, "trace not found");
    assert_int_equal(trace_query_parse(&query, "/api/v3/traces/1", NULL, 0, 1), 0);
    trace_error(&out, &query, 404, "trace not found");
    assert_int_equal(trace_query_parse(&query, "/api/v1/traces", &unknown, 1, 1), WERR_INVALID);
    trace_error(&out, &query, 400, query.message);
    assert_int_equal(trace_query_parse(&query, "/api/traces", NULL, 0, 1), WERR_INVALID);
    trace_error(&out, &query, 400, query.message);
    check_golden("jaeger_errors.json", &out);
    buffer_deinit(&out);
}

/* ---- what a query finds ---- */

static bool finds(const char *name, const char *value, const char *more_name, const char *more_value)
{
    const struct query_argument arguments[] = {{.name = "service", .value = "cart"},
        {.name = name, .value = value}, {.name = more_name, .value = more_value}};
    struct trace_query query;
    struct trace_model model;
    bool is_service = strcmp(name, "service") == 0;
    size_t count = more_name != NULL ? 3 : 2;

    make_model(&model);
    assert_int_equal(trace_query_parse(&query, "/api/traces", arguments + (is_service ? 1 : 0),
                         is_service ? count - 1 : count, 1),
        0);
    bool is_found = trace_model_matches(&query, &model);
    trace_model_deinit(&model);
    return is_found;
}

static void services_are_found_by_both_names(void **state)
{
    (void)state;
    assert_true(finds("service", "cart", NULL, NULL));
    assert_true(finds("service", "cart.shop", NULL, NULL));
    assert_true(finds("service", "prices", NULL, NULL));
    assert_true(finds("service", "prices.shop", NULL, NULL));
    assert_false(finds("service", "prices.shop.shop", NULL, NULL));
    assert_false(finds("service", "cart.", NULL, NULL));
    assert_false(finds("service", "shop", NULL, NULL));
    assert_false(finds("service", "car", NULL, NULL));
    assert_true(finds("service", "shared", NULL, NULL));
}

static void operations_are_names_or_routes(void **state)
{
    (void)state;
    assert_true(finds("operation", "GET /cart", NULL, NULL));
    assert_false(finds("operation", "prices", NULL, NULL)); /* another service's */
    assert_false(finds("operation", "GET", NULL, NULL));
}

static void tags_are_compared_as_text(void **state)
{
    static const char *const found[] = {"text:caf\xc3\xa9 \"\\\n\x01 \xe2\x82\xac \xf0\x9f\x98\x80",
        "true:true", "integer:-42", "large:9223372036854775807", "real:0.1", "nan:NaN",
        "bytes:AAECAw==", "list:[\"a\",1,null]", "map:{\"k\":true}", "empty:", "nothing:", "error:true",
        "span.kind:server", "otel.status_code:ERROR", "otel.status_description:no luck",
        "otel.scope.name:http", "process.pid:4711", "event:retry", "attempt:2", "w3c.tracestate:ot=th:8",
        "service.namespace:shop"};
    static const char *const not_found[] = {"text:caf", "true:1", "integer:-4", "service.name:cart",
        "nobody:", "error:false", "span.kind:client"};

    (void)state;
    for (size_t i = 0; i < sizeof found / sizeof found[0]; i++) {
        if (!finds("tag", found[i], NULL, NULL)) {
            fail_msg("not found by %s", found[i]);
        }
    }
    for (size_t i = 0; i < sizeof not_found / sizeof not_found[0]; i++) {
        if (finds("tag", not_found[i], NULL, NULL)) {
            fail_msg("found by %s", not_found[i]);
        }
    }
    assert_true(finds("tags", "{\"error\":\"true\",\"span.kind\":\"server\"}", NULL, NULL));
    assert_false(finds("tags", "{\"error\":\"true\",\"span.kind\":\"client\"}", NULL, NULL));
    assert_false(finds("tag", "error:true", "tag", "nobody:here"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trace_is_this),
        cmocka_unit_test(no_traces_are_an_empty_list),
        cmocka_unit_test(the_third_api_wraps_otlp),
        cmocka_unit_test(lists_are_these),
        cmocka_unit_test(names_are_limited),
        cmocka_unit_test(errors_are_these),
        cmocka_unit_test(services_are_found_by_both_names),
        cmocka_unit_test(operations_are_names_or_routes),
        cmocka_unit_test(tags_are_compared_as_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
