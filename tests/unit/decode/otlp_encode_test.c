/* The OTLP writer: what it writes is read by the scanner, and one message is compared with bytes made by
 * hand. */
#include "testing.h"

#include "decode/otlp_encode.h"

static const uint8_t zero_id[16] = {0};

static struct otlp_encode_span good_span(void)
{
    return (struct otlp_encode_span){.reporter = OTLP_ENCODE_SOURCE,
        .source = SLICE_LITERAL("web"),
        .source_namespace = SLICE_LITERAL("shop"),
        .destination = SLICE_LITERAL("cart"),
        .destination_namespace = SLICE_LITERAL("prod"),
        .route = SLICE_LITERAL("/cart/{id}"),
        .method = SLICE_LITERAL("GET"),
        .protocol = SLICE_LITERAL("http2"),
        .response_code = 200,
        .grpc_status = -1,
        .request_bytes = 11,
        .response_bytes = 222222,
        .attempts = 2,
        .start_unix_ns = TEST_NOW_UNIX_NS - 3000,
        .duration_ns = 2000,
        .trace_id = test_trace_id,
        .span_id = test_span_id,
        .parent_id = NULL};
}

/* Encodes spans into one message and scans it. The caller deinits `out`. */
static void encode(
    const struct otlp_encode_span *spans, uint32_t span_count, struct buffer *out, struct test_seen *seen)
{
    struct otlp_trace_scanner *scanner = test_scanner_new();
    struct otlp_encoder encoder;
    uint32_t written_count = 0;

    buffer_init(out, TEST_BYTES_MAX);
    otlp_encode_begin(&encoder, out);
    for (uint32_t i = 0; i < span_count; i++) {
        int status = otlp_encode_span(&encoder, &spans[i]);
        assert_true(status >= 0);
        written_count += (uint32_t)status;
    }
    assert_int_equal(otlp_encode_end(&encoder), written_count);
    test_scan(scanner, test_slice(out), seen);
    assert_int_equal(seen->status, 0);
    assert_int_equal(seen->refused_count, 0);
    assert_int_equal(seen->span_count, written_count);
    assert_false(seen->result.needs_rewrite);
    assert_int_equal(test_protobuf_spans(test_slice(out)), written_count);
    free(scanner);
}

static void the_source_is_a_client_span(void **state)
{
    (void)state;
    struct otlp_encode_span span = good_span();
    struct buffer out;
    struct test_seen seen;

    encode(&span, 1, &out, &seen);
    const struct span *read = &seen.spans[0];
    assert_true(test_text_is(seen.resources[0].service_name, "web"));
    assert_true(test_text_is(seen.resources[0].service_namespace, "shop"));
    assert_true(test_text_is(read->scope_name, "weft"));
    assert_true(test_text_is(read->name, "GET /cart/{id}"));
    assert_int_equal(read->kind, SPAN_KIND_CLIENT);
    assert_int_equal(read->status, SPAN_STATUS_UNSET);
    assert_memory_equal(read->trace_id, test_trace_id, 16);
    assert_memory_equal(read->span_id, test_span_id, 8);
    assert_memory_equal(read->parent_id, zero_id, 8);
    assert_true(read->start_unix_ns == TEST_NOW_UNIX_NS - 3000);
    assert_true(read->end_unix_ns == TEST_NOW_UNIX_NS - 1000);
    assert_int_equal(read->tracestate.length, 0);
    assert_true(test_text_is(span_text(read, SPAN_ATTRIBUTE_HTTP_METHOD), "GET"));
    assert_true(test_text_is(span_text(read, SPAN_ATTRIBUTE_HTTP_ROUTE), "/cart/{id}"));
    assert_true(test_text_is(span_text(read, SPAN_ATTRIBUTE_PEER_SERVICE), "cart"));
    assert_true(test_text_is(span_text(read, SPAN_ATTRIBUTE_PROTOCOL_VERSION), "2"));
    assert_int_equal(span_attribute(read, SPAN_ATTRIBUTE_HTTP_STATUS)->integer, 200);
    assert_int_equal(span_attribute(read, SPAN_ATTRIBUTE_HTTP_REQUEST_SIZE)->integer, 11);
    assert_int_equal(span_attribute(read, SPAN_ATTRIBUTE_HTTP_RESPONSE_SIZE)->integer, 222222);
    assert_true(test_contains(test_slice(&out), "weft.attempts\x12\x02\x18\x02"));
    assert_true(test_contains(test_slice(&out), "weft.peer.namespace\x12\x06\x0a\x04prod"));
    buffer_deinit(&out);
}

static void the_destination_is_a_server_span(void **state)
{
    (void)state;
    struct otlp_encode_span span = good_span();
    struct buffer out;
    struct test_seen seen;

    span.reporter = OTLP_ENCODE_DESTINATION;
    span.grpc_status = 14;
    span.route = SLICE_LITERAL("/shop.Cart/Get");
    span.protocol = SLICE_LITERAL("grpc");
    span.parent_id = test_span_id;
    span.sampling_threshold = 0xc0000000000000ull;
    encode(&span, 1, &out, &seen);
    const struct span *read = &seen.spans[0];
    assert_true(test_text_is(seen.resources[0].service_name, "cart"));
    assert_int_equal(read->kind, SPAN_KIND_SERVER);
    assert_int_equal(read->status, SPAN_STATUS_ERROR);
    assert_true(test_text_is(read->name, "shop.Cart/Get"));
    assert_memory_equal(read->parent_id, test_span_id, 8);
    assert_true(test_text_is(read->tracestate, "ot=th:c"));
    assert_true(test_text_is(span_text(read, SPAN_ATTRIBUTE_RPC_SYSTEM), "grpc"));
    assert_true(test_text_is(span_text(read, SPAN_ATTRIBUTE_RPC_SERVICE), "shop.Cart"));
    assert_true(test_text_is(span_text(read, SPAN_ATTRIBUTE_RPC_METHOD), "Get"));
    assert_int_equal(span_attribute(read, SPAN_ATTRIBUTE_GRPC_STATUS)->integer, 14);
    assert_true(test_text_is(span_text(read, SPAN_ATTRIBUTE_PEER_SERVICE), "web"));
    buffer_deinit(&out);
}

static void thresholds_become_hex_without_trailing_zeros(void **state)
{
    (void)state;
    static const struct {
        uint64_t threshold;
        const char *text;
    } rows[] = {{0, ""}, {1, "ot=th:00000000000001"}, {0x80000000000000ull, "ot=th:8"},
        {0xfd70a3d70a3d71ull, "ot=th:fd70a3d70a3d71"}, {0x0a000000000000ull, "ot=th:0a"}};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct otlp_encode_span span = good_span();
        struct buffer out;
        struct test_seen seen;
        span.sampling_threshold = rows[i].threshold;
        encode(&span, 1, &out, &seen);
        assert_true(test_text_is(seen.spans[0].tracestate, rows[i].text));
        buffer_deinit(&out);
    }
}

static void status_follows_the_side_that_reports(void **state)
{
    (void)state;
    static const struct {
        uint32_t code;
        int32_t grpc_status;
        bool client_error;
        bool server_error;
    } rows[] = {{200, -1, false, false}, {404, -1, true, false}, {503, -1, true, true}, {0, -1, true, true},
        {200, 0, false, false}, {200, 5, true, false}, {200, 2, true, true}, {0, 4, true, true}};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct otlp_encode_span spans[2] = {good_span(), good_span()};
        struct buffer out;
        struct test_seen seen;
        for (int k = 0; k < 2; k++) {
            spans[k].response_code = rows[i].code;
            spans[k].grpc_status = rows[i].grpc_status;
        }
        spans[1].reporter = OTLP_ENCODE_DESTINATION;
        encode(spans, 2, &out, &seen);
        assert_int_equal(seen.spans[0].status == SPAN_STATUS_ERROR, rows[i].client_error);
        assert_int_equal(seen.spans[1].status == SPAN_STATUS_ERROR, rows[i].server_error);
        buffer_deinit(&out);
    }
}

static uint32_t groups_of(const struct buffer *out)
{
    struct wire_reader reader = wire_reader_of(test_slice(out));
    struct wire_field field;
    uint32_t count = 0;

    while (wire_next(&reader, &field) > 0) {
        count++;
    }
    return count;
}

static void neighbours_share_a_resource(void **state)
{
    (void)state;
    struct otlp_encode_span spans[6];
    struct buffer out;
    struct test_seen seen;
    static const char *const expected[] = {"web", "web", "unknown_service", "web", "web"};

    for (int i = 0; i < 6; i++) {
        spans[i] = good_span();
    }
    spans[1].trace_id = zero_id; /* of no trace: left out */
    spans[3].source = slice_of(NULL, 0);
    spans[5].source_namespace = SLICE_LITERAL("shoq");
    encode(spans, 6, &out, &seen);
    assert_int_equal(seen.span_count, 5);
    assert_int_equal(groups_of(&out), 4); /* web/shop, unknown, web/shop, web/shoq */
    for (int i = 0; i < 5; i++) {
        assert_true(test_text_is(seen.resources[i].service_name, expected[i]));
    }
    assert_true(test_text_is(seen.resources[4].service_namespace, "shoq"));
    buffer_deinit(&out);
}

/* Every text long, every number large: the room that is reserved must do. */
static void the_largest_span_fits_its_room(void **state)
{
    (void)state;
    static char text[20001];
    const size_t lengths[] = {1, 127, 128, 4096, 20000};

    memset(text, 't', sizeof text);
    text[0] = '/';
    text[1] = 's';
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct otlp_encode_span span = good_span();
        struct buffer out;
        struct test_seen seen;
        struct slice longest = slice_of(text, lengths[i]);
        text[lengths[i] / 2] = '/';
        span.route = span.method = span.source = span.source_namespace = longest;
        span.destination = span.destination_namespace = longest;
        span.protocol = SLICE_LITERAL("http3");
        span.grpc_status = 15;
        span.response_code = UINT32_MAX;
        span.response_flags = span.request_bytes = span.response_bytes = UINT64_MAX;
        span.attempts = UINT32_MAX;
        span.sampling_threshold = 0xffffffffffffffull;
        span.parent_id = test_span_id;
        for (int reporter = OTLP_ENCODE_SOURCE; reporter <= OTLP_ENCODE_WAYPOINT; reporter++) {
            span.reporter = (enum otlp_encode_reporter)reporter;
            encode(&span, 1, &out, &seen);
            assert_int_equal(seen.span_count, 1);
            assert_int_equal(seen.spans[0].status, SPAN_STATUS_ERROR);
            buffer_deinit(&out);
        }
    }
}

static void nothing_is_written_for_nothing(void **state)
{
    (void)state;
    struct otlp_encode_span span = good_span();
    struct buffer out;
    struct test_seen seen;

    span.span_id = zero_id;
    encode(&span, 1, &out, &seen);
    assert_int_equal(out.length, 0);
    buffer_deinit(&out);
}

/* Enough spans for several groups, and names of every length around the one-byte limit of a varint. */
static void large_messages_are_split_into_groups(void **state)
{
    (void)state;
    struct otlp_trace_scanner *scanner = test_scanner_new();
    struct otlp_encoder encoder;
    struct buffer out;
    struct test_seen seen;
    char route[300];
    enum { COUNT = 8000 };

    memset(route, 'r', sizeof route);
    buffer_init(&out, TEST_BYTES_MAX);
    otlp_encode_begin(&encoder, &out);
    for (uint32_t i = 0; i < COUNT; i++) {
        struct otlp_encode_span span = good_span();
        span.route = slice_of(route, i % sizeof route);
        span.method = i % 7 == 0 ? slice_of(NULL, 0) : span.method;
        assert_int_equal(otlp_encode_span(&encoder, &span), 1);
    }
    assert_int_equal(otlp_encode_end(&encoder), COUNT);
    assert_true(groups_of(&out) > 1);
    test_scan(scanner, test_slice(&out), &seen);
    assert_int_equal(seen.status, 0);
    assert_int_equal(seen.span_count, COUNT);
    free(scanner);
    buffer_deinit(&out);
}

/* Whatever the cap, the message that is ended is whole and holds the spans that were accepted. */
static void a_full_buffer_keeps_what_was_written(void **state)
{
    (void)state;
    struct otlp_trace_scanner *scanner = test_scanner_new();

    for (size_t cap_bytes = 0; cap_bytes < 4000; cap_bytes += 19) {
        struct otlp_encoder encoder;
        struct buffer out;
        struct test_seen seen;
        uint32_t written_count = 0;
        buffer_init(&out, cap_bytes);
        otlp_encode_begin(&encoder, &out);
        for (int i = 0; i < 5; i++) {
            struct otlp_encode_span span = good_span();
            span.reporter = i % 3 == 0 ? OTLP_ENCODE_DESTINATION : OTLP_ENCODE_SOURCE;
            int status = otlp_encode_span(&encoder, &span);
            assert_true(status == 1 || status == WERR_OVERSIZED);
            written_count += status == 1;
        }
        assert_int_equal(otlp_encode_end(&encoder), written_count);
        assert_int_equal(out.error, 0);
        test_scan(scanner, test_slice(&out), &seen);
        assert_int_equal(seen.status, 0);
        assert_int_equal(seen.span_count, written_count);
        buffer_deinit(&out);
    }
    free(scanner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_source_is_a_client_span),
        cmocka_unit_test(the_destination_is_a_server_span),
        cmocka_unit_test(thresholds_become_hex_without_trailing_zeros),
        cmocka_unit_test(status_follows_the_side_that_reports),
        cmocka_unit_test(neighbours_share_a_resource),
        cmocka_unit_test(the_largest_span_fits_its_room),
        cmocka_unit_test(nothing_is_written_for_nothing),
        cmocka_unit_test(large_messages_are_split_into_groups),
        cmocka_unit_test(a_full_buffer_keeps_what_was_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
