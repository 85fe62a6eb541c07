/* The copier: nothing that may not be stored is left, everything else is. */
#include "testing.h"

#include "decode/otlp_rewrite.h"

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

/* Rewrites and scans again: as many spans as the scan said, none refused, nothing left to rewrite. */
static void rewrite_and_check(
    const struct otlp_trace_scanner *scanner, struct slice message, struct buffer *out)
{
    struct test_seen before;
    struct test_seen after;
    uint32_t spans_count = 77;

    test_scan(scanner, message, &before);
    assert_int_equal(otlp_rewrite(scanner, message, TEST_NOW_UNIX_NS, out, &spans_count), 0);
    assert_int_equal(spans_count, before.span_count);
    if (before.status == 0 && before.refused_count == 0) {
        struct buffer other;
        uint32_t other_count = 0;
        buffer_init(&other, TEST_BYTES_MAX);
        assert_int_equal(otlp_rewrite_sound(scanner, message, &other, &other_count), 0);
        assert_int_equal(other_count, spans_count);
        assert_true(slice_equal(test_slice(&other), test_slice(out)));
        buffer_deinit(&other);
    }
    test_scan(scanner, test_slice(out), &after);
    assert_int_equal(after.status, 0);
    assert_int_equal(after.span_count, before.span_count);
    assert_int_equal(after.refused_count, 0);
    assert_false(after.result.needs_rewrite);
    assert_int_equal(test_protobuf_spans(test_slice(out)), before.span_count);
}

static void a_clean_message_comes_back_byte_for_byte(void **state)
{
    struct buffer attributes;
    struct buffer message;
    struct buffer out;

    buffer_init(&attributes, TEST_BYTES_MAX);
    buffer_init(&message, TEST_BYTES_MAX);
    buffer_init(&out, TEST_BYTES_MAX);
    test_text_attribute(&attributes, 9, "http.url", "http://a/b");
    test_text_attribute(&attributes, 9, "authorization", "[redacted]");
    wire_write_bytes(&attributes, 500, SLICE_LITERAL("a field of tomorrow"));
    test_message(&message, test_slice(&attributes));
    test_message(&message, slice_of(NULL, 0));
    rewrite_and_check(*state, test_slice(&message), &out);
    assert_true(slice_equal(test_slice(&out), test_slice(&message)));
    buffer_deinit(&out);
    buffer_deinit(&message);
    buffer_deinit(&attributes);
}

/* Writes a list attribute: a map that holds `key`, within an array. */
static void nested_secret(struct buffer *out, const char *key, const char *text)
{
    struct wire_envelope attribute = wire_envelope_begin(out, 9, 60);
    wire_write_bytes(out, 1, SLICE_LITERAL("request.context"));
    struct wire_envelope value = wire_envelope_begin(out, 2, 60);
    struct wire_envelope array = wire_envelope_begin(out, 5, 60);
    wire_write_bytes(out, 1, SLICE_LITERAL("\x0a\x04kept"));
    wire_write_bytes(out, 1, SLICE_LITERAL("\x21\0\0\0\0\0\0\0\x40")); /* the double 2 */
    struct wire_envelope entry = wire_envelope_begin(out, 1, 60);
    struct wire_envelope map = wire_envelope_begin(out, 6, 60);
    test_text_attribute(out, 1, key, text);
    test_text_attribute(out, 1, "inner", "stays");
    wire_envelope_end(out, map);
    wire_envelope_end(out, entry);
    wire_envelope_end(out, array);
    wire_envelope_end(out, value);
    wire_envelope_end(out, attribute);
}

static void secrets_and_query_strings_go_from_every_place(void **state)
{
    struct buffer attributes;
    struct buffer message;
    struct buffer out;

    buffer_init(&attributes, TEST_BYTES_MAX);
    buffer_init(&message, TEST_BYTES_MAX);
    buffer_init(&out, TEST_BYTES_MAX);
    test_text_attribute(&attributes, 9, "http.url", "http://a/b?SECRET=1");
    test_text_attribute(&attributes, 9, "url.full", "http://a/c?SECRET=2");
    test_text_attribute(&attributes, 9, "http.target", "/d?SECRET");
    test_text_attribute(&attributes, 9, "url.query", "SECRET=3");
    test_text_attribute(&attributes, 9, "http.request.header.authorization", "Bearer SECRET");
    test_integer_attribute(&attributes, 9, "x-api-key", 12345);
    test_text_attribute(&attributes, 9, "component", "kept-one");
    nested_secret(&attributes, "cookie", "SECRET");
    nested_secret(&attributes, "http.url", "http://a/?SECRET");
    for (uint32_t field = 11; field <= 13; field += 2) { /* an event, a link */
        struct wire_envelope nested = wire_envelope_begin(&attributes, field, 60);
        wire_write_bytes(&attributes, field == 11 ? 2 : 3, SLICE_LITERAL("kept-two"));
        test_text_attribute(&attributes, field == 11 ? 3 : 4, "set-cookie", "SECRET");
        wire_envelope_end(&attributes, nested);
    }
    /* one attribute twice in itself: the first value would be dead weight, but readable */
    wire_write_bytes(&attributes, 9, SLICE_LITERAL("\x0a\x01k\x12\x08\x0a\x06SECRET\x12\x06\x0a\x04kept"));
    wire_write_bytes(&attributes, 9, SLICE_LITERAL("\x0a\x01m\x12\x0a\x0a\x06SECRET\x18\x07"));
    /* a header with several values is an array */
    wire_write_bytes(&attributes, 9,
        SLICE_LITERAL("\x0a\x1bhttp.request.header.referer\x12\x0d\x2a\x0b\x0a\x09\x0a\x07?SECRET"));
    struct wire_envelope resource_spans = wire_envelope_begin(&message, 1, 60);
    struct wire_envelope resource = wire_envelope_begin(&message, 1, 60);
    test_text_attribute(&message, 1, "service.name", "shop");
    test_text_attribute(&message, 1, "authorization", "SECRET");
    wire_envelope_end(&message, resource);
    struct wire_envelope scope_spans = wire_envelope_begin(&message, 2, 60);
    struct wire_envelope scope = wire_envelope_begin(&message, 1, 60);
    test_text_attribute(&message, 3, "x-amz-security-token", "SECRET");
    wire_envelope_end(&message, scope);
    struct wire_envelope span = wire_envelope_begin(&message, 2, 60);
    test_span_fields(&message);
    (void)buffer_append_slice(&message, test_slice(&attributes));
    wire_envelope_end(&message, span);
    wire_envelope_end(&message, scope_spans);
    wire_envelope_end(&message, resource_spans);

    struct test_seen seen;
    test_scan(*state, test_slice(&message), &seen);
    assert_true(seen.spans[0].needs_rewrite);
    assert_true(test_text_is(span_text(&seen.spans[0], SPAN_ATTRIBUTE_HTTP_URL), "http://a/b"));
    rewrite_and_check(*state, test_slice(&message), &out);
    assert_false(test_contains(test_slice(&out), "SECRET"));
    assert_false(test_contains(test_slice(&out), "?"));
    assert_false(test_contains(test_slice(&out), "12345"));
    assert_true(test_contains(test_slice(&out), "[redacted]"));
    assert_true(test_contains(test_slice(&out), "http://a/c"));
    assert_true(test_contains(test_slice(&out), "kept-one"));
    assert_true(test_contains(test_slice(&out), "kept-two"));
    assert_true(test_contains(test_slice(&out), "stays"));
    assert_true(test_contains(test_slice(&out), "\x0a\x04kept"));
    assert_true(test_contains(test_slice(&out), "\x18\x07"));
    buffer_deinit(&out);
    buffer_deinit(&message);
    buffer_deinit(&attributes);
}

static void refused_spans_are_left_out(void **state)
{
    struct buffer message;
    struct buffer expected;
    struct buffer out;

    buffer_init(&message, TEST_BYTES_MAX);
    buffer_init(&expected, TEST_BYTES_MAX);
    buffer_init(&out, TEST_BYTES_MAX);
    test_message(&message, slice_of(NULL, 0));
    test_message(
        &message, SLICE_LITERAL("\x0a\x01x")); /* trace id of one byte: nothing of this group is left */
    test_message(&message, slice_of(NULL, 0));
    test_message(&expected, slice_of(NULL, 0));
    test_message(&expected, slice_of(NULL, 0));
    rewrite_and_check(*state, test_slice(&message), &out);
    assert_true(slice_equal(test_slice(&out), test_slice(&expected)));
    out.length = 0;
    message.length = 0;
    test_message(&message, SLICE_LITERAL("\x0a\x01x"));
    rewrite_and_check(*state, test_slice(&message), &out);
    assert_int_equal(out.length, 0);
    buffer_deinit(&out);
    buffer_deinit(&expected);
    buffer_deinit(&message);
}

/* One span under a scope and two schemas with bad texts, before and behind what they belong to. */
static void put_bad_envelope(struct buffer *out, struct slice scope_fields, bool is_last)
{
    struct buffer span;

    buffer_init(&span, TEST_BYTES_MAX);
    test_span_fields(&span);
    struct wire_envelope resource_spans = wire_envelope_begin(out, 1, 300);
    struct wire_envelope scope_spans = wire_envelope_begin(out, 2, 300);
    if (!is_last) {
        wire_write_bytes(out, 1, scope_fields);
    }
    wire_write_bytes(out, 2, test_slice(&span));
    if (is_last) {
        wire_write_bytes(out, 1, scope_fields);
    }
    wire_write_bytes(out, 3, SLICE_LITERAL("u\xfe"));
    wire_envelope_end(out, scope_spans);
    wire_write_bytes(out, 3, SLICE_LITERAL("\xfdu"));
    wire_envelope_end(out, resource_spans);
    buffer_deinit(&span);
}

/* protobuf-c does not check UTF-8, so the bytes are looked for. */
static void bad_texts_around_spans_are_left_out(void **state)
{
    static const struct slice scopes[] = {SLICE_LITERAL("\x0a\x01\xff"), SLICE_LITERAL("\x12\x01\xff"),
        SLICE_LITERAL("\x1a\x08\x0a\x01k\x12\x03\x0a\x01\xff"),
        SLICE_LITERAL("\x1a\x0d\x0a\x06"
                      "cookie\x12\x03\x0a\x01\xff"),
        SLICE_LITERAL("\x0a\x01k")};
    static const char *const bad[] = {"\xff", "u\xfe", "\xfdu"};

    for (size_t i = 0; i < 2 * sizeof scopes / sizeof scopes[0]; i++) {
        struct buffer message;
        struct buffer out;
        buffer_init(&message, TEST_BYTES_MAX);
        buffer_init(&out, TEST_BYTES_MAX);
        put_bad_envelope(&message, scopes[i / 2], i % 2 != 0);
        rewrite_and_check(*state, test_slice(&message), &out);
        assert_int_equal(test_protobuf_spans(test_slice(&out)), 1);
        for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
            assert_false(test_contains(test_slice(&out), bad[k]));
        }
        buffer_deinit(&out);
        buffer_deinit(&message);
    }
}

/* Cut anywhere: the copy holds what the scan delivered, in a message that is whole. */
static void a_broken_message_gives_a_whole_copy(void **state)
{
    struct buffer attributes;
    struct buffer message;

    buffer_init(&attributes, TEST_BYTES_MAX);
    buffer_init(&message, TEST_BYTES_MAX);
    test_text_attribute(&attributes, 9, "http.url", "http://a/b?c");
    test_message(&message, test_slice(&attributes));
    test_message(&message, test_slice(&attributes));
    test_message(&message, slice_of(NULL, 0));
    for (size_t cut = 0; cut <= message.length; cut++) {
        struct buffer out;
        buffer_init(&out, TEST_BYTES_MAX);
        rewrite_and_check(*state, slice_of(message.data, cut), &out);
        buffer_deinit(&out);
    }
    buffer_deinit(&message);
    buffer_deinit(&attributes);
}

static void output_is_bounded(void **state)
{
    struct buffer attributes;
    struct buffer message;

    buffer_init(&attributes, TEST_BYTES_MAX);
    buffer_init(&message, TEST_BYTES_MAX);
    test_text_attribute(&attributes, 9, "cookie", "x");
    test_message(&message, test_slice(&attributes));
    for (size_t cap_bytes = 10; cap_bytes < message.length + 20; cap_bytes++) {
        struct buffer out;
        uint32_t spans_count = 0;
        buffer_init(&out, cap_bytes);
        assert_int_equal(buffer_append_text(&out, "before"), 0);
        int error = otlp_rewrite(*state, test_slice(&message), TEST_NOW_UNIX_NS, &out, &spans_count);
        assert_true(error == 0 || error == WERR_OVERSIZED);
        assert_int_equal(error == 0, spans_count == 1);
        assert_true(out.length <= cap_bytes);
        if (error < 0) {
            assert_true(test_text_is(test_slice(&out), "before"));
        }
        buffer_deinit(&out);
    }
    buffer_deinit(&message);
    buffer_deinit(&attributes);
}

/* Envoy's and the SDKs' recordings hold query strings on purpose. */
static void recorded_corpora_leave_clean(void **state)
{
    static const char *const files[] = {"envoy_spawn_on.otlp", "envoy_spawn_off.otlp", "sdk_http_old.otlp",
        "sdk_http_new.otlp", "sdk_http_both.otlp", "sdk_grpc_old.otlp"};
    struct otlp_trace_scanner *scanner = *state;

    scanner->time_skew_ns = UINT64_MAX;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct buffer corpus;
        struct slice message;
        size_t at = 0;
        buffer_init(&corpus, TEST_BYTES_MAX);
        test_read_corpus(files[i], &corpus);
        while (test_next_message(&corpus, &at, &message)) {
            struct buffer out;
            buffer_init(&out, TEST_BYTES_MAX);
            rewrite_and_check(scanner, message, &out);
            assert_false(test_contains(test_slice(&out), "?token="));
            assert_false(test_contains(test_slice(&out), "secret-"));
            buffer_deinit(&out);
        }
        buffer_deinit(&corpus);
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_clean_message_comes_back_byte_for_byte),
        TEST(bad_texts_around_spans_are_left_out),
        TEST(secrets_and_query_strings_go_from_every_place),
        TEST(refused_spans_are_left_out),
        TEST(a_broken_message_gives_a_whole_copy),
        TEST(output_is_bounded),
        TEST(recorded_corpora_leave_clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
