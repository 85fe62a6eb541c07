/*
 * What the fuzz targets of decoders share that write OTLP from JSON: whatever they take must be a message
 * that the OTLP scanner follows to its end, with as many spans as they say, within the room that is promised
 * to be enough; and taking it again gives the same.
 *
 * The first byte chooses the depth; the rest is the document.
 */
#ifndef WEFT_TESTS_FUZZ_JSON_DOCUMENT_H
#define WEFT_TESTS_FUZZ_JSON_DOCUMENT_H

#include "fuzz.h"

#include "core/error.h"
#include "decode/json_otlp.h"
#include "decode/otlp_trace.h"

enum { FUZZ_DEPTH_MAX = 32 };

typedef int fuzz_decode(struct slice body, uint32_t depth_max, struct buffer *out,
    struct json_otlp_result *ret_result, struct decode_error *ret_error);

static inline void fuzz_on_span(void *user, const struct span *span, uint32_t record)
{
    uint32_t *count = user;

    (void)record;
    FUZZ_CHECK(span->end_unix_ns >= span->start_unix_ns);
    (*count)++;
}

static inline void fuzz_on_refused(void *user, const struct decode_error *where)
{
    uint32_t *count = user;

    FUZZ_CHECK(where->reason != RECORD_ERROR_NONE);
    (*count)++;
}

static inline void fuzz_scan(struct slice message, uint32_t spans_count)
{
    static struct otlp_trace_scanner scanner;
    struct limits limits;
    struct redaction redaction;
    struct otlp_trace_result result;
    struct decode_error error;
    uint32_t count = 0;
    struct otlp_trace_sink sink = {.user = &count, .on_span = fuzz_on_span, .on_refused = fuzz_on_refused};

    limits_init(&limits);
    limits.nesting_depth_max = FUZZ_DEPTH_MAX; /* lists were as deep as the document was allowed to be */
    redaction_init_default(&redaction);
    otlp_trace_scanner_init(&scanner, &limits, &redaction);
    scanner.time_skew_ns = UINT64_MAX;
    FUZZ_CHECK(otlp_trace_scan(&scanner, NULL, message, 1700000000000000000u, &sink, &result, &error) == 0);
    FUZZ_CHECK(count == spans_count);
}

static inline void fuzz_document(fuzz_decode *decode, const uint8_t *data, size_t size)
{
    struct json_otlp_result result;
    struct json_otlp_result again;
    struct decode_error error;
    struct buffer first;
    struct buffer second;
    char text[DECODE_ERROR_TEXT_BYTES];

    if (size == 0) {
        return;
    }
    struct slice body = slice_of(data + 1, size - 1);
    uint32_t depth_max = data[0] % FUZZ_DEPTH_MAX;
    buffer_init(&first, JSON_OTLP_BYTES_MAX(body.length));
    buffer_init(&second, JSON_OTLP_BYTES_MAX(body.length));
    int status = decode(body, depth_max, &first, &result, &error);
    FUZZ_CHECK(status <= 0 && status != WERR_OVERSIZED && status != WERR_NOMEM);
    if (status < 0) {
        FUZZ_CHECK(error.code == status && decode_error_format(&error, text, sizeof text) > 0);
    } else {
        FUZZ_CHECK(decode(body, depth_max, &second, &again, &error) == 0);
        FUZZ_CHECK(slice_equal(slice_of(first.data, first.length), slice_of(second.data, second.length)));
        FUZZ_CHECK(result.refused_count == 0 || decode_error_format(&result.first, text, sizeof text) > 0);
        fuzz_scan(slice_of(first.data, first.length), result.spans_count);
    }
    buffer_deinit(&first);
    buffer_deinit(&second);
}

#endif
