/*
 * Spans that repeat attributes of the span before are read as if each were alone: every span of a message is
 * compared with its own bytes read by themselves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "decode/otlp_trace.h"
#include "decode/wire_write.h"

enum { MESSAGE_COUNT = 3000, SPANS_MAX = 9, ATTRIBUTES_MAX = 40, MESSAGE_BYTES_MAX = 1 << 20 };

#define NOW_UNIX_NS UINT64_C(1700000000000000000)

struct repeats_case {
    struct limits limits;
    struct redaction redaction;
    struct otlp_trace_scanner scanner;
    uint64_t random;
    uint32_t spans_seen;
    uint64_t skipped_alone;
    uint64_t refused_count; /* of all messages */
    uint64_t read_count;
};

static uint32_t pick(struct repeats_case *c, uint32_t below)
{
    c->random = c->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((c->random >> 33) % below);
}

static void write_attribute(struct repeats_case *c, struct buffer *out)
{
    /* keys that share an id, that have flags, that nobody reads, that are short, long and not plain */
    static const char *const keys[] = {"http.method", "http.request.method", "http.url", "url.full", "zone",
        "component", "upstream_cluster.name", "downstream_cluster", "http.status_code", "cookie", "url.query",
        "error", "k", "", "guid:x-request-id"};
    static const char *const values[] = {"GET", "POST", "", "/a?b=c", "/a",
        "outbound|80||reviews.shop.svc.cluster.local", "x\xc3\xa9y",
        "0123456789012345678901234567890123456789012345678901234567890123456789"};
    struct wire_envelope attribute = wire_envelope_begin(out, 9, 40);

    wire_write_bytes(out, 1, slice_of_string(keys[pick(c, sizeof keys / sizeof keys[0])]));
    struct wire_envelope value = wire_envelope_begin(out, 2, 20);
    if (pick(c, 8) == 0) {
        wire_write_varint(out, 3, pick(c, 3));
    } else {
        wire_write_bytes(out, 1,
            pick(c, 500) == 0 ? SLICE_LITERAL("\xff")
                              : slice_of_string(values[pick(c, sizeof values / sizeof values[0])]));
    }
    wire_envelope_end(out, value);
    wire_envelope_end(out, attribute);
}

static void write_span(struct repeats_case *c, struct buffer *out)
{
    uint8_t id[16] = {1};
    struct wire_envelope span = wire_envelope_begin(out, 2, 300);
    uint64_t seed = c->random;
    uint32_t attributes_count = pick(c, ATTRIBUTES_MAX);

    wire_write_bytes(out, 1, slice_of(id, sizeof id));
    wire_write_bytes(out, 2, slice_of(id, 8));
    wire_write_varint(out, 6, seed % 5);
    wire_write_fixed64(out, 7, NOW_UNIX_NS);
    wire_write_fixed64(out, 8, NOW_UNIX_NS + 1);
    for (uint32_t i = 0; i < attributes_count; i++) {
        /* mostly what stands there in every span */
        uint64_t kept = c->random;
        if (pick(c, 4) != 0) {
            c->random = i * 77 + 1;
            write_attribute(c, out);
            c->random = kept * 3 + 1;
        } else {
            write_attribute(c, out);
        }
    }
    wire_envelope_end(out, span);
}

static void check_span(void *user, const struct span *span, uint32_t record)
{
    struct repeats_case *c = user;
    struct span alone;
    struct decode_error where;

    (void)record;
    assert_int_equal(
        otlp_trace_read_span(&c->scanner, span->raw, NOW_UNIX_NS, &alone, &c->skipped_alone, &where),
        RECORD_ERROR_NONE);
    assert_int_equal(span->attribute_set, alone.attribute_set);
    assert_int_equal(span->needs_rewrite, alone.needs_rewrite);
    for (uint64_t set = alone.attribute_set; set != 0; set &= set - 1) {
        const struct span_value *left = &span->attribute[__builtin_ctzll(set)];
        const struct span_value *right = &alone.attribute[__builtin_ctzll(set)];

        assert_int_equal(left->is_integer, right->is_integer);
        assert_int_equal(left->is_integer ? left->integer : 0, right->is_integer ? right->integer : 0);
        assert_true(slice_equal(left->text, right->text));
        assert_true(left->is_integer || left->text.ptr == right->text.ptr);
    }
    c->spans_seen++;
}

static void check_refused(void *user, const struct decode_error *where)
{
    struct repeats_case *c = user;

    assert_int_equal(where->reason, RECORD_ERROR_UTF8);
    c->spans_seen++;
}

static void check_messages(uint64_t span_attributes_count_max, uint64_t attribute_bytes_max)
{
    struct repeats_case c = {.random = 42};
    const struct otlp_trace_sink sink = {.user = &c, .on_span = check_span, .on_refused = check_refused};
    struct buffer out;

    limits_init(&c.limits);
    c.limits.span_attributes_count_max = span_attributes_count_max;
    c.limits.attribute_bytes_max = attribute_bytes_max;
    redaction_init_default(&c.redaction);
    otlp_trace_scanner_init(&c.scanner, &c.limits, &c.redaction);
    buffer_init(&out, MESSAGE_BYTES_MAX);
    for (int i = 0; i < MESSAGE_COUNT; i++) {
        struct otlp_trace_result result;
        struct decode_error error;
        uint32_t span_count = 1 + pick(&c, SPANS_MAX);

        out.length = 0;
        c.spans_seen = 0;
        c.skipped_alone = 0;
        struct wire_envelope resource_spans = wire_envelope_begin(&out, 1, 3000);
        struct wire_envelope scope_spans = wire_envelope_begin(&out, 2, 3000);
        for (uint32_t k = 0; k < span_count; k++) {
            write_span(&c, &out);
        }
        wire_envelope_end(&out, scope_spans);
        wire_envelope_end(&out, resource_spans);
        assert_int_equal(out.error, 0);
        assert_int_equal(
            otlp_trace_scan(&c.scanner, slice_of(out.data, out.length), NOW_UNIX_NS, &sink, &result, &error),
            0);
        assert_int_equal(c.spans_seen, span_count);
        assert_int_equal(result.spans_count + result.refused_count, span_count);
        c.read_count += result.spans_count;
        c.refused_count += result.refused_count;
        if (result.refused_count == 0) {
            assert_int_equal(result.attributes_skipped_count, c.skipped_alone);
        }
    }
    assert_true(c.read_count > c.refused_count && c.refused_count > 0);
    buffer_deinit(&out);
}

static void test_repeated_attributes_change_nothing(void **state)
{
    (void)state;
    check_messages(512, 8192);
}

static void test_limits_hold_for_repeated_attributes(void **state)
{
    (void)state;
    check_messages(16, 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_repeated_attributes_change_nothing),
        cmocka_unit_test(test_limits_hold_for_repeated_attributes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
