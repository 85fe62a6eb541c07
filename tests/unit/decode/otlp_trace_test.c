/* The OTLP trace scanner: fields, conventions, order, and every way in which a span or a message can be bad.
 */
#include "testing.h"

static int setup(void **state)
{
    *state = test_scanner_new();
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static void a_good_span_is_read(void **state)
{
    struct buffer attributes;
    struct buffer message;
    struct test_seen seen;

    buffer_init(&attributes, TEST_BYTES_MAX);
    buffer_init(&message, TEST_BYTES_MAX);
    test_text_attribute(&attributes, 9, "http.method", "GET");
    test_text_attribute(&attributes, 9, "zone", "z");
    test_integer_attribute(&attributes, 9, "http.response.status_code", 404);
    wire_write_bytes(&attributes, 3, SLICE_LITERAL("ot=th:c"));
    wire_write_bytes(&attributes, 4, slice_of(test_span_id, 8));
    wire_write_bytes(&attributes, 15, SLICE_LITERAL("\x18\x02"));
    wire_write_varint(&attributes, 77, 5);
    test_message(&message, test_slice(&attributes));
    test_scan(*state, test_slice(&message), &seen);
    assert_int_equal(seen.status, 0);
    assert_int_equal(seen.span_count, 1);
    const struct span *span = &seen.spans[0];
    assert_true(test_text_is(seen.resources[0].service_name, "shop"));
    assert_true(test_text_is(span->scope_name, "test"));
    assert_true(test_text_is(span->name, "GET /cart"));
    assert_true(test_text_is(span->tracestate, "ot=th:c"));
    assert_memory_equal(span->trace_id, test_trace_id, 16);
    assert_memory_equal(span->span_id, test_span_id, 8);
    assert_memory_equal(span->parent_id, test_span_id, 8);
    assert_true(span->start_unix_ns == TEST_NOW_UNIX_NS - 5000000);
    assert_true(span->end_unix_ns == TEST_NOW_UNIX_NS - 1000000);
    assert_int_equal(span->kind, SPAN_KIND_CLIENT);
    assert_int_equal(span->status, SPAN_STATUS_ERROR);
    assert_true(test_text_is(span_text(span, SPAN_ATTRIBUTE_HTTP_METHOD), "GET"));
    assert_true(span_attribute(span, SPAN_ATTRIBUTE_HTTP_STATUS)->is_integer);
    assert_int_equal(span_attribute(span, SPAN_ATTRIBUTE_HTTP_STATUS)->integer, 404);
    assert_null(span_attribute(span, SPAN_ATTRIBUTE_HTTP_URL));
    assert_false(span->needs_rewrite);
    assert_false(seen.result.needs_rewrite);
    buffer_deinit(&message);
    buffer_deinit(&attributes);
}

/* Whatever convention a sender follows, the agent sees one attribute. */
static void old_and_new_conventions_mean_the_same(void **state)
{
    static const struct {
        const char *key;
        enum span_attribute_id id;
    } rows[] = {
        {"http.method", SPAN_ATTRIBUTE_HTTP_METHOD},
        {"http.request.method", SPAN_ATTRIBUTE_HTTP_METHOD},
        {"http.status_code", SPAN_ATTRIBUTE_HTTP_STATUS},
        {"http.response.status_code", SPAN_ATTRIBUTE_HTTP_STATUS},
        {"http.url", SPAN_ATTRIBUTE_HTTP_URL},
        {"url.full", SPAN_ATTRIBUTE_HTTP_URL},
        {"rpc.grpc.status_code", SPAN_ATTRIBUTE_GRPC_STATUS},
        {"rpc.response.status_code", SPAN_ATTRIBUTE_GRPC_STATUS},
        {"grpc.status_code", SPAN_ATTRIBUTE_GRPC_STATUS},
        {"net.peer.name", SPAN_ATTRIBUTE_SERVER_ADDRESS},
        {"server.address", SPAN_ATTRIBUTE_SERVER_ADDRESS},
        {"guid:x-request-id", SPAN_ATTRIBUTE_ENVOY_REQUEST_ID},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buffer attributes;
        struct buffer message;
        struct test_seen seen;
        buffer_init(&attributes, TEST_BYTES_MAX);
        buffer_init(&message, TEST_BYTES_MAX);
        test_text_attribute(&attributes, 9, rows[i].key, "first");
        test_text_attribute(&attributes, 9, rows[i].key, "second");
        test_message(&message, test_slice(&attributes));
        test_scan(*state, test_slice(&message), &seen);
        assert_int_equal(seen.span_count, 1);
        assert_true(test_text_is(span_text(&seen.spans[0], rows[i].id), "first"));
        assert_true(seen.spans[0].attribute_set == 1ull << rows[i].id);
        buffer_deinit(&message);
        buffer_deinit(&attributes);
    }
}

/* The field order of a message is the sender's choice. */
static void resource_and_scope_may_stand_after_the_spans(void **state)
{
    struct buffer out;
    struct buffer span_fields;
    struct test_seen seen;

    buffer_init(&out, TEST_BYTES_MAX);
    buffer_init(&span_fields, TEST_BYTES_MAX);
    test_span_fields(&span_fields);
    struct wire_envelope resource_spans = wire_envelope_begin(&out, 1, 200);
    struct wire_envelope scope_spans = wire_envelope_begin(&out, 2, 200);
    wire_write_bytes(&out, 2, test_slice(&span_fields));
    wire_write_bytes(&out, 2, test_slice(&span_fields));
    struct wire_envelope scope = wire_envelope_begin(&out, 1, 10);
    wire_write_bytes(&out, 1, SLICE_LITERAL("late"));
    wire_envelope_end(&out, scope);
    wire_envelope_end(&out, scope_spans);
    struct wire_envelope resource = wire_envelope_begin(&out, 1, 10);
    test_text_attribute(&out, 1, "k8s.namespace.name", "prod");
    test_text_attribute(&out, 1, "service.name", "cart");
    test_text_attribute(&out, 1, "service.name", "other");
    test_text_attribute(&out, 1, "k8s.statefulset.name", "cart-0");
    test_text_attribute(&out, 1, "telemetry.sdk.name", "envoy");
    test_text_attribute(&out, 1, "service.namespace", "shop");
    test_text_attribute(&out, 1, "host.name", "n1");
    wire_envelope_end(&out, resource);
    wire_envelope_end(&out, resource_spans);
    test_message(&out, slice_of(NULL, 0));
    test_scan(*state, test_slice(&out), &seen);
    assert_int_equal(seen.status, 0);
    assert_int_equal(seen.span_count, 3);
    for (int i = 0; i < 2; i++) {
        assert_true(test_text_is(seen.resources[i].service_name, "cart"));
        assert_true(test_text_is(seen.resources[i].k8s_namespace, "prod"));
        assert_true(test_text_is(seen.resources[i].workload, "cart-0"));
        assert_true(test_text_is(seen.resources[i].sdk_name, "envoy"));
        assert_true(test_text_is(seen.resources[i].service_namespace, "shop"));
        assert_true(test_text_is(seen.resources[i].node, "n1"));
        assert_true(test_text_is(seen.spans[i].scope_name, "late"));
    }
    assert_true(test_text_is(seen.resources[2].service_name, "shop"));
    assert_int_equal(seen.resources[2].k8s_namespace.length, 0);
    assert_true(test_text_is(seen.spans[2].scope_name, "test"));
    buffer_deinit(&span_fields);
    buffer_deinit(&out);
}

/* A span that is good but for what is appended to it, which later fields override. */
struct refusal {
    const char *appended;
    size_t length;
    enum record_error reason;
    const char *field;
};

#define REFUSAL(bytes, why, where)                                                                           \
    {                                                                                                        \
        bytes, sizeof(bytes) - 1, RECORD_ERROR_##why, where                                                  \
    }

static void each_bad_span_is_refused_with_its_reason(void **state)
{
    static const struct refusal rows[] = {
        REFUSAL("\x0a\x0f"
                "123456789012345",
            TRACE_ID, "trace_id"),
        REFUSAL("\x0a\x00", TRACE_ID, "trace_id"),
        REFUSAL("\x0a\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", TRACE_ID, "trace_id"),
        REFUSAL("\x12\x07"
                "1234567",
            SPAN_ID, "span_id"),
        REFUSAL("\x12\x08\0\0\0\0\0\0\0\0", SPAN_ID, "span_id"),
        REFUSAL("\x22\x04"
                "1234",
            SPAN_ID, "parent_span_id"),
        REFUSAL("\x39\xff\xff\xff\xff\xff\xff\xff\x7f", END, "end_time_unix_nano"),
        REFUSAL("\x41\x01\0\0\0\0\0\0\0", END, "end_time_unix_nano"),
        REFUSAL("\x39\x01\0\0\0\0\0\0\0", TIME, "start_time_unix_nano"),
        REFUSAL("\x41\xff\xff\xff\xff\xff\xff\xff\xff", TIME, "end_time_unix_nano"),
        REFUSAL("\x2a\x02\xc3\x28", UTF8, "name"),
        REFUSAL("\x4a\x12\x0a\x0bhttp.method\x12\x03\x0a\x01\xff", UTF8, "attributes"),
        REFUSAL("\x08\x01", MALFORMED, "trace_id"),
        REFUSAL("\x38\x01", MALFORMED, "start_time_unix_nano"),
        REFUSAL("\x48\x01", MALFORMED, "attributes"),
        REFUSAL("\x7d\x01\x02\x03\x04", MALFORMED, "status"),
        REFUSAL("\x7a\x02\x1d\x01", MALFORMED, "status"),
        REFUSAL("\x7a\x05\x1d\x01\x02\x03\x04", MALFORMED, "status"),
        REFUSAL("\x0b", MALFORMED, "trace_id"),
        REFUSAL("\x4a\x05\x0a\x09zone", MALFORMED, "attributes"),
        REFUSAL("\x4a\x02\x08\x01", MALFORMED, "attributes"),
        REFUSAL("\x4a\x09\x0a\x03key\x12\x02\x08\x01", MALFORMED, "attributes"),
        REFUSAL("\x2a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", MALFORMED, "name"),
        REFUSAL("\x5a\x02\x1a\x7f", MALFORMED, "events"),
        REFUSAL("\x6a\x04\x22\x02\x0a\x7f", MALFORMED, "links"),
        REFUSAL("\x03", MALFORMED, "span"),
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buffer message;
        struct test_seen seen;
        char text[DECODE_ERROR_TEXT_BYTES];
        buffer_init(&message, TEST_BYTES_MAX);
        test_message(&message, slice_of(NULL, 0));
        test_message(&message, slice_of(rows[i].appended, rows[i].length));
        test_message(&message, slice_of(NULL, 0));
        test_scan(*state, test_slice(&message), &seen);
        assert_int_equal(seen.status, 0);
        assert_int_equal(seen.span_count, 2);
        assert_int_equal(seen.refused_count, 1);
        if (seen.refused[0].reason != rows[i].reason || strcmp(seen.refused[0].field, rows[i].field) != 0) {
            fail_msg("row %zu: %s %s", i, record_error_name(seen.refused[0].reason), seen.refused[0].field);
        }
        assert_int_equal(seen.refused[0].record, 1);
        assert_int_equal(seen.refused[0].resource, 1);
        assert_int_equal(seen.refused[0].scope, 0);
        assert_true(seen.result.needs_rewrite);
        assert_true(decode_error_format(&seen.refused[0], text, sizeof text) > 0);
        assert_non_null(strstr(text, "resource 1, scope 0, record 1, "));
        assert_non_null(strstr(text, rows[i].field));
        buffer_deinit(&message);
    }
}

/* Spans of all senders leave in one request: what a strict receiver would refuse stays out of it, also where
 * the agent reads nothing. */
static void every_text_of_a_span_is_judged(void **state)
{
#define ROW(text, expected)                                                                                  \
    {                                                                                                        \
        SLICE_LITERAL(text), (expected)                                                                      \
    }
    static const struct {
        struct slice fields;
        const char *refused_field; /* NULL: accepted */
    } rows[] = {
        ROW("\x4a\x09\x0a\x01k\x12\x04\x0a\x02\xc3\xa9", NULL), /* attributes: k = é */
        ROW("\x4a\x08\x0a\x01k\x12\x03\x0a\x01\xff", "attributes"),
        ROW("\x4a\x08\x0a\x01\xff\x12\x03\x0a\x01k", "attributes"),
        ROW("\x4a\x0c\x0a\x01k\x12\x07\x2a\x05\x0a\x03\x0a\x01\xff", "attributes"), /* in an array */
        ROW("\x4a\x11\x0a\x01k\x12\x0c\x32\x0a\x0a\x08\x0a\x01\xff\x12\x03\x0a\x01k", "attributes"),
        ROW("\x4a\x08\x0a\x01k\x12\x03\x3a\x01\xff", NULL), /* bytes are no text */
        /* behind a good run of attributes and another field */
        ROW("\x4a\x08\x0a\x01k\x12\x03\x0a\x01v\x50\x80\x01\x4a\x08\x0a\x01k\x12\x03\x0a\x01\xff",
            "attributes"),
        ROW("\x1a\x03k=v", NULL),
        ROW("\x1a\x01\xff", "trace_state"),
        ROW("\x2a\x01\xff\x2a\x01k", "name"), /* only the last counts, but both leave */
        ROW("\x5a\x03\x12\x01k", NULL),
        ROW("\x5a\x03\x12\x01\xff", "events"),
        ROW("\x5a\x0a\x1a\x08\x0a\x01k\x12\x03\x0a\x01\xff", "events"),
        ROW("\x6a\x03\x1a\x01\xff", "links"),
        ROW("\x6a\x0a\x22\x08\x0a\x01\xff\x12\x03\x0a\x01k", "links"),
        ROW("\x7a\x03\x12\x01k", NULL),
        ROW("\x7a\x03\x12\x01\xff", "status"),
    };
#undef ROW
    struct buffer message;
    struct test_seen seen;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        buffer_init(&message, TEST_BYTES_MAX);
        test_message(&message, rows[i].fields);
        test_message(&message, slice_of(NULL, 0));
        test_scan(*state, test_slice(&message), &seen);
        assert_int_equal(seen.status, 0);
        assert_int_equal(seen.span_count, rows[i].refused_field == NULL ? 2 : 1);
        if (rows[i].refused_field != NULL) {
            assert_int_equal(seen.refused_count, 1);
            assert_int_equal(seen.refused[0].reason, RECORD_ERROR_UTF8);
            assert_int_equal(seen.refused[0].code, WERR_UTF8);
            assert_string_equal(seen.refused[0].field, rows[i].refused_field);
            assert_true(seen.result.needs_rewrite);
        }
        buffer_deinit(&message);
    }
}

static void check_bad_resource(const struct otlp_trace_scanner *scanner, struct slice fields)
{
    struct buffer out;
    struct buffer span_fields;
    struct test_seen seen;

    buffer_init(&out, TEST_BYTES_MAX);
    buffer_init(&span_fields, TEST_BYTES_MAX);
    test_span_fields(&span_fields);
    struct wire_envelope resource_spans = wire_envelope_begin(&out, 1, 200);
    struct wire_envelope resource = wire_envelope_begin(&out, 1, 10);
    (void)buffer_append_slice(&out, fields);
    wire_envelope_end(&out, resource);
    struct wire_envelope scope_spans = wire_envelope_begin(&out, 2, 200);
    wire_write_bytes(&out, 2, test_slice(&span_fields));
    wire_envelope_end(&out, scope_spans);
    wire_envelope_end(&out, resource_spans);
    test_message(&out, slice_of(NULL, 0));
    test_scan(scanner, test_slice(&out), &seen);
    assert_int_equal(seen.status, 0);
    assert_int_equal(seen.refused_count, 1);
    assert_int_equal(seen.refused[0].reason, RECORD_ERROR_UTF8);
    assert_string_equal(seen.refused[0].field, "resource");
    assert_int_equal(seen.span_count, 1);
    buffer_deinit(&span_fields);
    buffer_deinit(&out);
}

static void a_resource_text_that_is_not_utf8_refuses_its_spans(void **state)
{
    check_bad_resource(*state, SLICE_LITERAL("\x0a\x13\x0a\x0cservice.name\x12\x03\x0a\x01\xff"));
    check_bad_resource(*state, SLICE_LITERAL("\x0a\x08\x0a\x01k\x12\x03\x0a\x01\xff"));
    check_bad_resource(*state, SLICE_LITERAL("\x0a\x08\x0a\x01\xff\x12\x03\x0a\x01k"));
    check_bad_resource(*state, SLICE_LITERAL("\x1a\x03\x12\x01\xff")); /* entity_refs: type */
}

/* Damage around the spans ends the scan; what came before stays. */
static void a_broken_structure_says_where(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
        int code;
        uint32_t resource;
        const char *field;
    } rows[] = {
        {"\x0a\x7f", 2, WERR_TRUNCATED, 0, "request"},
        {"\x08\x01", 2, WERR_WIRE_TYPE, 0, "request"},
        {"\x0b", 1, WERR_WIRE_TYPE, 0, "request"},
        {"\x0a\x02\x12\x7f", 4, WERR_TRUNCATED, 1, "resource_spans"},
        {"\x0a\x02\x10\x01", 4, WERR_WIRE_TYPE, 1, "resource_spans"},
        {"\x0a\x02\x08\x01", 4, WERR_WIRE_TYPE, 1, "resource_spans"},
        {"\x0a\x04\x0a\x02\x0a\x7f", 6, WERR_TRUNCATED, 1, "resource"},
        {"\x0a\x04\x0a\x02\x08\x01", 6, WERR_WIRE_TYPE, 1, "resource"},
        {"\x0a\x04\x12\x02\x12\x7f", 6, WERR_TRUNCATED, 1, "scope_spans"},
        {"\x0a\x04\x12\x02\x10\x01", 6, WERR_WIRE_TYPE, 1, "scope_spans"},
        {"\x0a\x06\x12\x04\x0a\x02\x08\x01", 8, WERR_WIRE_TYPE, 1, "scope"},
        {"\x0a\x06\x12\x04\x0a\x02\x1a\x7f", 8, WERR_TRUNCATED, 1, "scope"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buffer message;
        struct test_seen seen;
        struct decode_error error;
        uint32_t count = 99;
        char text[DECODE_ERROR_TEXT_BYTES];
        buffer_init(&message, TEST_BYTES_MAX);
        test_message(&message, slice_of(NULL, 0));
        (void)buffer_append(&message, rows[i].bytes, rows[i].length);
        test_scan(*state, test_slice(&message), &seen);
        assert_int_equal(seen.status, rows[i].code);
        assert_int_equal(seen.error.code, rows[i].code);
        assert_int_equal(seen.span_count, 1);
        assert_int_equal(seen.error.resource, rows[i].resource);
        assert_string_equal(seen.error.field, rows[i].field);
        assert_int_equal(seen.error.reason, RECORD_ERROR_NONE);
        assert_true(decode_error_format(&seen.error, text, sizeof text) > 0);
        assert_non_null(strstr(text, werr_text(rows[i].code)));
        /* counting looks at the structure only down to the spans */
        int status = otlp_trace_count_spans(test_slice(&message), &count, &error);
        bool inside = strcmp(rows[i].field, "resource") == 0 || strcmp(rows[i].field, "scope") == 0;
        assert_int_equal(status, inside ? 0 : rows[i].code);
        assert_int_equal(count, inside ? 1 : 99);
        buffer_deinit(&message);
    }
}

/* Every prefix of a message: no crash, no read past the end, and no span that the whole does not have. */
static void truncated_at_every_byte(void **state)
{
    struct buffer attributes;
    struct buffer message;
    struct test_seen seen;

    buffer_init(&attributes, TEST_BYTES_MAX);
    buffer_init(&message, TEST_BYTES_MAX);
    test_text_attribute(&attributes, 9, "http.url", "http://a/b?c");
    test_integer_attribute(&attributes, 9, "http.status_code", 200);
    wire_write_bytes(&attributes, 11, SLICE_LITERAL("\x1a\x09\x0a\x01k\x12\x04\x0a\x02vv"));
    test_message(&message, test_slice(&attributes));
    size_t one_length = message.length;
    test_message(&message, slice_of(NULL, 0));
    for (size_t cut = 0; cut < message.length; cut++) {
        uint8_t *copy = malloc(cut + 1); /* a block of its own, so that a sanitizer sees its end */
        assert_non_null(copy);
        memcpy(copy, message.data, cut);
        test_scan(*state, slice_of(copy, cut), &seen);
        assert_int_equal(seen.span_count, cut >= one_length ? 1 : 0);
        assert_int_equal(seen.status, cut == 0 || cut == one_length ? 0 : WERR_TRUNCATED);
        free(copy);
    }
    /* and every prefix of the span alone, in a message that is whole */
    struct slice span = seen.spans[0].raw;
    test_scan(*state, test_slice(&message), &seen);
    span = seen.spans[0].raw;
    for (size_t cut = 0; cut < span.length; cut++) {
        struct buffer outer;
        struct test_seen inner;
        buffer_init(&outer, TEST_BYTES_MAX);
        test_message_of_span(&outer, slice_of(span.ptr, cut));
        test_message(&outer, slice_of(NULL, 0));
        test_scan(*state, test_slice(&outer), &inner);
        assert_int_equal(inner.status, 0);
        assert_int_equal(inner.span_count + inner.refused_count, 2);
        assert_true(inner.span_count >= 1);
        buffer_deinit(&outer);
    }
    buffer_deinit(&message);
    buffer_deinit(&attributes);
}

static void limits_are_kept_and_counted(void **state)
{
    struct otlp_trace_scanner *scanner = *state;
    struct buffer attributes;
    struct buffer message;
    struct test_seen seen;
    char *long_text = malloc(scanner->attribute_bytes_max + 2);

    assert_non_null(long_text);
    buffer_init(&attributes, TEST_BYTES_MAX);
    buffer_init(&message, TEST_BYTES_MAX);
    memset(long_text, 'a', scanner->attribute_bytes_max + 1);
    long_text[scanner->attribute_bytes_max + 1] = '\0';
    test_text_attribute(&attributes, 9, "http.route", long_text);
    for (uint32_t i = 1; i < scanner->attributes_count_max; i++) {
        test_text_attribute(&attributes, 9, "zone", "");
    }
    test_text_attribute(&attributes, 9, "http.method", "GET");          /* one too many */
    test_text_attribute(&attributes, 9, "authorization", "Bearer xyz"); /* and still redacted */
    test_message(&message, test_slice(&attributes));
    test_scan(scanner, test_slice(&message), &seen);
    assert_int_equal(seen.span_count, 1);
    assert_true(seen.spans[0].attribute_set == 0);
    assert_int_equal(seen.result.attributes_skipped_count, 2);
    assert_true(seen.spans[0].needs_rewrite);
    free(long_text);
    buffer_deinit(&message);
    buffer_deinit(&attributes);
}

/* An attribute `k` whose value is `levels` lists in each other. */
static void nested_attribute(struct buffer *out, uint32_t levels)
{
    struct wire_envelope open[128];
    uint32_t count = 0;

    open[count++] = wire_envelope_begin(out, 9, 300);
    wire_write_bytes(out, 1, SLICE_LITERAL("k"));
    open[count++] = wire_envelope_begin(out, 2, 300);
    for (uint32_t i = 0; i < levels; i++) {
        open[count++] = wire_envelope_begin(out, 5, 300);
        open[count++] = wire_envelope_begin(out, 1, 300);
    }
    while (count > 0) {
        wire_envelope_end(out, open[--count]);
    }
}

static void deep_nesting_refuses_the_span(void **state)
{
    struct otlp_trace_scanner *scanner = *state;

    for (uint32_t levels = 1; levels <= 40; levels++) {
        struct buffer attributes;
        struct buffer message;
        struct test_seen seen;
        buffer_init(&attributes, TEST_BYTES_MAX);
        buffer_init(&message, TEST_BYTES_MAX);
        nested_attribute(&attributes, levels);
        test_message(&message, test_slice(&attributes));
        test_scan(scanner, test_slice(&message), &seen);
        bool fits = levels <= scanner->attributes.depth_max;
        assert_int_equal(seen.span_count, fits ? 1 : 0);
        assert_int_equal(seen.refused_count, fits ? 0 : 1);
        if (!fits) {
            assert_int_equal(seen.refused[0].code, WERR_DEPTH);
            assert_int_equal(seen.refused[0].reason, RECORD_ERROR_MALFORMED);
        }
        buffer_deinit(&message);
        buffer_deinit(&attributes);
    }
}

static void values_outside_enums_are_unspecified(void **state)
{
    struct buffer attributes;
    struct buffer message;
    struct test_seen seen;

    buffer_init(&attributes, TEST_BYTES_MAX);
    buffer_init(&message, TEST_BYTES_MAX);
    wire_write_varint(&attributes, 6, 6);
    wire_write_bytes(&attributes, 15, SLICE_LITERAL("\x18\x09"));
    test_message(&message, test_slice(&attributes));
    test_scan(*state, test_slice(&message), &seen);
    assert_int_equal(seen.spans[0].kind, SPAN_KIND_UNSPECIFIED);
    assert_int_equal(seen.spans[0].status, SPAN_STATUS_UNSET);
    buffer_deinit(&message);
    buffer_deinit(&attributes);
}

static void an_empty_message_is_fine(void **state)
{
    struct test_seen seen;
    struct decode_error error;
    uint32_t count = 7;

    test_scan(*state, slice_of(NULL, 0), &seen);
    assert_int_equal(seen.status, 0);
    assert_int_equal(seen.span_count, 0);
    assert_int_equal(otlp_trace_count_spans(slice_of(NULL, 0), &count, &error), 0);
    assert_int_equal(count, 0);
}

/* What was recorded from real senders is read without a refusal, and the count agrees. */
static void recorded_corpora_are_read_whole(void **state)
{
    static const char *const files[] = {"envoy_spawn_on.otlp", "envoy_spawn_off.otlp", "sdk_http_old.otlp",
        "sdk_http_new.otlp", "sdk_grpc_old.otlp", "sdk_rpc_new.otlp", "sdk_weighted_new.otlp"};
    struct otlp_trace_scanner *scanner = *state;
    uint64_t skew_ns = scanner->time_skew_ns;

    scanner->time_skew_ns = UINT64_MAX;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct buffer corpus;
        struct slice message;
        size_t at = 0;
        uint32_t spans_count = 0;
        buffer_init(&corpus, TEST_BYTES_MAX);
        test_read_corpus(files[i], &corpus);
        while (test_next_message(&corpus, &at, &message)) {
            struct test_seen seen;
            struct decode_error error;
            uint32_t count = 0;
            test_scan(scanner, message, &seen);
            assert_int_equal(seen.status, 0);
            assert_int_equal(seen.refused_count, 0);
            assert_int_equal(otlp_trace_count_spans(message, &count, &error), 0);
            assert_int_equal(count, seen.span_count);
            assert_true(seen.resources[0].service_name.length > 0);
            for (uint32_t k = 0; k < seen.span_count && k < 8; k++) {
                assert_true(seen.spans[k].attribute_set != 0);
                assert_false(test_contains(span_text(&seen.spans[k], SPAN_ATTRIBUTE_HTTP_URL), "?"));
            }
            spans_count += count;
        }
        assert_true(spans_count > 0);
        buffer_deinit(&corpus);
    }
    scanner->time_skew_ns = skew_ns;
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_good_span_is_read),
        TEST(old_and_new_conventions_mean_the_same),
        TEST(resource_and_scope_may_stand_after_the_spans),
        TEST(each_bad_span_is_refused_with_its_reason),
        TEST(every_text_of_a_span_is_judged),
        TEST(a_resource_text_that_is_not_utf8_refuses_its_spans),
        TEST(a_broken_structure_says_where),
        TEST(truncated_at_every_byte),
        TEST(limits_are_kept_and_counted),
        TEST(deep_nesting_refuses_the_span),
        TEST(values_outside_enums_are_unspecified),
        TEST(an_empty_message_is_fine),
        TEST(recorded_corpora_are_read_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
