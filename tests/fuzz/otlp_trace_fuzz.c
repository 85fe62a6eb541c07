/*
 * The wire reader, the OTLP scanner and the copier on arbitrary bytes. Besides not crashing: the scan never
 * delivers more spans than the message's structure holds, and what the copier writes scans clean, with the
 * same number of spans; and what a memory of the sender makes of a message, met again and again, is what
 * reading it without one does.
 *
 * The first byte chooses limits; the rest is the message.
 */
#include "fuzz.h"

#include "decode/otlp_memory.h"
#include "decode/otlp_rewrite.h"
#include "same_span.h"

enum { FUZZ_OUTPUT_BYTES_MAX = 1 << 22, FUZZ_SPANS_MAX = 64, FUZZ_ROUNDS_COUNT = 6 };

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
    int status = otlp_trace_scan(scanner, NULL, message, FUZZ_NOW_UNIX_NS, &sink, result, &error);

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

/* The first spans of a message, and the last error. */
struct told {
    struct span spans[FUZZ_SPANS_MAX];
    uint32_t spans_count;
    struct decode_error refused;
};

static void tell_span(void *user, const struct span *span, uint32_t record)
{
    struct told *told = user;

    (void)record;
    if (told->spans_count < FUZZ_SPANS_MAX) {
        told->spans[told->spans_count] = *span;
    }
    told->spans_count++;
}

static void check_span(void *user, const struct span *span, uint32_t record)
{
    struct told *told = user;

    (void)record;
    FUZZ_CHECK(told->spans_count >= FUZZ_SPANS_MAX || same_span(span, &told->spans[told->spans_count]));
    told->spans_count++;
}

static void tell_refused(void *user, const struct decode_error *where)
{
    ((struct told *)user)->refused = *where;
}

/* Read with a memory, which comes to know its spans, a message tells what it tells without. */
static void check_memory(const struct otlp_trace_scanner *scanner, struct slice message)
{
    static struct told told;
    struct otlp_trace_sink sink = {.user = &told, .on_span = tell_span, .on_refused = tell_refused};
    struct otlp_memory *memory = otlp_memory_new();
    struct otlp_trace_result alone;
    struct otlp_trace_result result;
    struct decode_error error;

    FUZZ_CHECK(memory != NULL);
    told.spans_count = 0;
    told.refused = decode_error_of(0, "");
    int status = otlp_trace_scan(scanner, NULL, message, FUZZ_NOW_UNIX_NS, &sink, &alone, &error);
    struct decode_error refused = told.refused;
    sink.on_span = check_span;
    for (int round = 0; round < FUZZ_ROUNDS_COUNT; round++) {
        told.spans_count = 0;
        told.refused = decode_error_of(0, "");
        FUZZ_CHECK(
            otlp_trace_scan(scanner, memory, message, FUZZ_NOW_UNIX_NS, &sink, &result, &error) == status);
        FUZZ_CHECK(result.spans_count == alone.spans_count && result.refused_count == alone.refused_count);
        FUZZ_CHECK(result.attributes_skipped_count == alone.attributes_skipped_count);
        FUZZ_CHECK(result.needs_rewrite == alone.needs_rewrite);
        FUZZ_CHECK(told.refused.code == refused.code && told.refused.record == refused.record);
        FUZZ_CHECK(strcmp(told.refused.field, refused.field) == 0);
    }
    otlp_memory_free(memory);
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
    check_memory(&scanner, message);
    check_copy(&scanner, message, &seen, (data[0] & FUZZ_SMALL_OUTPUT) != 0 ? size : FUZZ_OUTPUT_BYTES_MAX);
    if (status == 0 && seen.refused_count == 0) {
        check_sound_copy(&scanner, message);
    }
    return 0;
}
