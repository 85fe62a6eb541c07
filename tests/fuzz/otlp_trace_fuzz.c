/*
 * The wire reader, the OTLP scanner and the copier on arbitrary bytes. Besides not crashing: the scan never
 * delivers more spans than the message's structure holds, and what the copier writes scans clean, with the
 * same number of spans; and a span that repeats attributes of the one before is read as if it stood alone.
 *
 * The first byte chooses limits; the rest is the message.
 */
#include "fuzz.h"

#include "decode/otlp_rewrite.h"

enum { FUZZ_OUTPUT_BYTES_MAX = 1 << 22 };

#define FUZZ_NOW_UNIX_NS 1700000000000000000ull

enum fuzz_option {
    FUZZ_STRICT_TIME = 1, /* else any time is near enough */
    FUZZ_SMALL_LIMITS = 2,
    FUZZ_SMALL_OUTPUT = 4,
    FUZZ_NO_REDACTION = 8,
};

struct seen {
    uint32_t spans_count;
    uint32_t refused_count;
    uint64_t checksum;
};

static void on_span(void *user, const struct span *span, uint32_t record)
{
    struct seen *seen = user;

    FUZZ_CHECK(record == seen->spans_count + seen->refused_count);
    FUZZ_CHECK(span->end_unix_ns >= span->start_unix_ns);
    seen->spans_count++;
    for (uint64_t set = span->attribute_set; set != 0; set &= set - 1) {
        const struct span_value *value = &span->attribute[__builtin_ctzll(set)];
        for (size_t i = 0; i < value->text.length; i++) {
            seen->checksum += value->text.ptr[i];
        }
    }
    FUZZ_CHECK(slice_find(span_text(span, SPAN_ATTRIBUTE_HTTP_URL), '?') ==
               span_text(span, SPAN_ATTRIBUTE_HTTP_URL).length);
    for (size_t i = 0; i < span->name.length; i++) {
        seen->checksum += span->name.ptr[i];
    }
}

static void on_refused(void *user, const struct decode_error *where)
{
    struct seen *seen = user;
    char text[DECODE_ERROR_TEXT_BYTES];

    FUZZ_CHECK(where->reason != RECORD_ERROR_NONE && where->code < 0);
    FUZZ_CHECK(where->record == seen->spans_count + seen->refused_count);
    FUZZ_CHECK(decode_error_format(where, text, sizeof text) > 0);
    seen->refused_count++;
}

static void scanner_init(struct otlp_trace_scanner *scanner, uint8_t options)
{
    struct limits limits;
    struct redaction redaction;

    limits_init(&limits);
    redaction_init_default(&redaction);
    if ((options & FUZZ_NO_REDACTION) != 0) {
        redaction_init(&redaction);
    }
    if ((options & FUZZ_SMALL_LIMITS) != 0) {
        limits.attribute_bytes_max = 16;
        limits.span_attributes_count_max = 4;
        limits.nesting_depth_max = 2;
    }
    otlp_trace_scanner_init(scanner, &limits, &redaction);
    if ((options & FUZZ_STRICT_TIME) == 0) {
        scanner->time_skew_ns = UINT64_MAX;
    }
}

static int scan(const struct otlp_trace_scanner *scanner, struct slice message, struct seen *seen,
    struct otlp_trace_result *result)
{
    struct otlp_trace_sink sink = {.user = seen, .on_span = on_span, .on_refused = on_refused};
    struct decode_error error;
    char text[DECODE_ERROR_TEXT_BYTES];
    int status = otlp_trace_scan(scanner, message, FUZZ_NOW_UNIX_NS, &sink, result, &error);

    FUZZ_CHECK(result->spans_count == seen->spans_count && result->refused_count == seen->refused_count);
    if (status < 0) {
        FUZZ_CHECK(error.code == status && decode_error_format(&error, text, sizeof text) > 0);
    }
    return status;
}

static void check_copy(
    const struct otlp_trace_scanner *scanner, struct slice message, const struct seen *seen, size_t cap_bytes)
{
    struct buffer out;
    uint32_t spans_count = 0;
    struct seen again = {.spans_count = 0};
    struct otlp_trace_result result;

    buffer_init(&out, cap_bytes);
    int status = otlp_rewrite(scanner, message, FUZZ_NOW_UNIX_NS, &out, &spans_count);
    if (status == 0) {
        FUZZ_CHECK(spans_count == seen->spans_count);
        FUZZ_CHECK(scan(scanner, slice_of(out.data, out.length), &again, &result) == 0);
        FUZZ_CHECK(again.spans_count == spans_count && again.refused_count == 0);
        FUZZ_CHECK(!result.needs_rewrite);
    } else {
        FUZZ_CHECK(out.length == 0);
    }
    buffer_deinit(&out);
}

static void check_same_span(const struct span *a, const struct span *b)
{
    FUZZ_CHECK(slice_equal(a->name, b->name) && slice_equal(a->tracestate, b->tracestate));
    FUZZ_CHECK(memcmp(a->trace_id, b->trace_id, sizeof a->trace_id) == 0);
    FUZZ_CHECK(memcmp(a->span_id, b->span_id, sizeof a->span_id) == 0);
    FUZZ_CHECK(memcmp(a->parent_id, b->parent_id, sizeof a->parent_id) == 0);
    FUZZ_CHECK(a->start_unix_ns == b->start_unix_ns && a->end_unix_ns == b->end_unix_ns);
    FUZZ_CHECK(a->kind == b->kind && a->status == b->status && a->needs_rewrite == b->needs_rewrite);
    FUZZ_CHECK(a->attribute_set == b->attribute_set);
    for (uint64_t set = a->attribute_set; set != 0; set &= set - 1) {
        const struct span_value *of_a = &a->attribute[__builtin_ctzll(set)];
        const struct span_value *of_b = &b->attribute[__builtin_ctzll(set)];
        FUZZ_CHECK(of_a->is_integer == of_b->is_integer && slice_equal(of_a->text, of_b->text));
        FUZZ_CHECK(!of_a->is_integer || of_a->integer == of_b->integer);
    }
}

/* A span read after others says what it says when read alone. */
static void check_span(
    const struct otlp_trace_scanner *scanner, struct slice encoded, struct otlp_repeats *repeats)
{
    static struct span next;
    static struct span alone;
    struct decode_error next_where = decode_error_of(0, "");
    struct decode_error alone_where = decode_error_of(0, "");
    uint64_t next_skipped = 0;
    uint64_t alone_skipped = 0;
    enum record_error next_reason = otlp_trace_read_next_span(
        scanner, encoded, FUZZ_NOW_UNIX_NS, &next, repeats, &next_skipped, &next_where);
    enum record_error alone_reason =
        otlp_trace_read_span(scanner, encoded, FUZZ_NOW_UNIX_NS, &alone, &alone_skipped, &alone_where);

    FUZZ_CHECK(next_reason == alone_reason && next_skipped == alone_skipped);
    FUZZ_CHECK(next_where.code == alone_where.code && strcmp(next_where.field, alone_where.field) == 0);
    if (next_reason == RECORD_ERROR_NONE) {
        check_same_span(&next, &alone);
    }
}

/* Every span of a message, as far as its structure can be followed. */
static void check_spans(const struct otlp_trace_scanner *scanner, struct slice message)
{
    struct otlp_repeats repeats;
    struct wire_field resource = {0};
    struct wire_field scope = {0};
    struct wire_field span = {0};

    otlp_repeats_init(&repeats);
    struct wire_reader in_message = wire_reader_of(message);
    while (wire_next(&in_message, &resource) > 0) {
        struct wire_reader in_resource = wire_reader_of(resource.bytes);
        while (resource.tag == WIRE_TAG(1, WIRE_BYTES) && wire_next(&in_resource, &scope) > 0) {
            struct wire_reader in_scope = wire_reader_of(scope.bytes);
            while (scope.tag == WIRE_TAG(2, WIRE_BYTES) && wire_next(&in_scope, &span) > 0) {
                if (span.tag == WIRE_TAG(2, WIRE_BYTES)) {
                    check_span(scanner, span.bytes, &repeats);
                }
            }
        }
    }
}

/* Both copiers write the same where both may be used. */
static void check_sound_copy(const struct otlp_trace_scanner *scanner, struct slice message)
{
    struct buffer out;
    struct buffer other;
    uint32_t spans_count = 0;
    uint32_t other_count = 0;

    buffer_init(&out, FUZZ_OUTPUT_BYTES_MAX);
    buffer_init(&other, FUZZ_OUTPUT_BYTES_MAX);
    FUZZ_CHECK(otlp_rewrite(scanner, message, FUZZ_NOW_UNIX_NS, &out, &spans_count) ==
               otlp_rewrite_sound(scanner, message, &other, &other_count));
    FUZZ_CHECK(spans_count == other_count && out.length == other.length);
    FUZZ_CHECK(out.length == 0 || memcmp(out.data, other.data, out.length) == 0);
    buffer_deinit(&other);
    buffer_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct otlp_trace_scanner scanner;
    struct seen seen = {.spans_count = 0};
    struct otlp_trace_result result;
    struct decode_error error;
    uint32_t count = 0;

    if (size == 0) {
        return 0;
    }
    struct slice message = slice_of(data + 1, size - 1);
    scanner_init(&scanner, data[0]);
    int status = scan(&scanner, message, &seen, &result);
    if (otlp_trace_count_spans(message, &count, &error) == 0) {
        FUZZ_CHECK(seen.spans_count + seen.refused_count <= count);
        FUZZ_CHECK(status != 0 || seen.spans_count + seen.refused_count == count);
    } else {
        FUZZ_CHECK(status < 0);
    }
    check_spans(&scanner, message);
    check_copy(&scanner, message, &seen, (data[0] & FUZZ_SMALL_OUTPUT) != 0 ? size : FUZZ_OUTPUT_BYTES_MAX);
    if (status == 0 && seen.refused_count == 0) {
        check_sound_copy(&scanner, message);
    }
    return 0;
}
