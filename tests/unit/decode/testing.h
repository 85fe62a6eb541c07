/*
 * OTLP messages for the tests of the decoders: built from parts, so that a test changes one thing of a
 * message that is otherwise good. Everything is static inline: each test program has its own copy.
 */
#ifndef WEFT_TESTS_UNIT_DECODE_TESTING_H
#define WEFT_TESTS_UNIT_DECODE_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/buffer.h"
#include "decode/otlp_trace.h"
#include "decode/wire_write.h"
#include "opentelemetry/collector.pb-c.h"

#define TEST_NOW_UNIX_NS 1700000000000000000ull
enum { TEST_BYTES_MAX = 1 << 24, TEST_SPANS_MAX = 4096 };

static const uint8_t test_trace_id[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
static const uint8_t test_span_id[8] = {21, 22, 23, 24, 25, 26, 27, 28};

static inline struct slice test_slice(const struct buffer *buffer)
{
    return slice_of(buffer->data, buffer->length);
}

static inline void test_text_attribute(struct buffer *out, uint32_t number, const char *key, const char *text)
{
    struct wire_envelope attribute = wire_envelope_begin(out, number, 60);
    wire_write_bytes(out, 1, slice_of_string(key));
    struct wire_envelope value = wire_envelope_begin(out, 2, 30);
    wire_write_bytes(out, 1, slice_of_string(text));
    wire_envelope_end(out, value);
    wire_envelope_end(out, attribute);
}

static inline void test_integer_attribute(
    struct buffer *out, uint32_t number, const char *key, uint64_t integer)
{
    struct wire_envelope attribute = wire_envelope_begin(out, number, 60);
    wire_write_bytes(out, 1, slice_of_string(key));
    struct wire_envelope value = wire_envelope_begin(out, 2, 30);
    wire_write_varint(out, 3, integer);
    wire_envelope_end(out, value);
    wire_envelope_end(out, attribute);
}

/* The fields that every good span has, without attributes. */
static inline void test_span_fields(struct buffer *out)
{
    wire_write_bytes(out, 1, slice_of(test_trace_id, sizeof test_trace_id));
    wire_write_bytes(out, 2, slice_of(test_span_id, sizeof test_span_id));
    wire_write_bytes(out, 5, SLICE_LITERAL("GET /cart"));
    wire_write_varint(out, 6, SPAN_KIND_CLIENT);
    wire_write_fixed64(out, 7, TEST_NOW_UNIX_NS - 5000000);
    wire_write_fixed64(out, 8, TEST_NOW_UNIX_NS - 1000000);
}

/* What a scan delivered, copied: borrowed slices still point into the message. */
struct test_seen {
    struct span spans[8];
    struct span_resource resources[8];
    uint32_t span_count;
    struct decode_error refused[8];
    uint32_t refused_count;
    struct otlp_trace_result result;
    struct decode_error error;
    int status;
};

static inline void test_on_span(void *user, const struct span *span, uint32_t record)
{
    struct test_seen *seen = user;

    assert_int_equal(record, seen->span_count + seen->refused_count);
    if (seen->span_count < 8) {
        seen->spans[seen->span_count] = *span;
        seen->resources[seen->span_count] = *span->resource;
    }
    seen->span_count++;
}

static inline void test_on_refused(void *user, const struct decode_error *where)
{
    struct test_seen *seen = user;

    assert_int_not_equal(where->reason, RECORD_ERROR_NONE);
    assert_int_equal(where->record, seen->span_count + seen->refused_count);
    if (seen->refused_count < 8) {
        seen->refused[seen->refused_count] = *where;
    }
    seen->refused_count++;
}

static inline void test_scan(
    const struct otlp_trace_scanner *scanner, struct slice message, struct test_seen *seen)
{
    struct otlp_trace_sink sink = {.user = seen, .on_span = test_on_span, .on_refused = test_on_refused};

    memset(seen, 0, sizeof *seen);
    seen->status =
        otlp_trace_scan(scanner, NULL, message, TEST_NOW_UNIX_NS, &sink, &seen->result, &seen->error);
    assert_int_equal(seen->result.spans_count, seen->span_count);
    assert_int_equal(seen->result.refused_count, seen->refused_count);
}

/* A scanner with default limits and redaction. */
static inline struct otlp_trace_scanner *test_scanner_new(void)
{
    struct otlp_trace_scanner *scanner = malloc(sizeof *scanner);
    struct limits limits;
    struct redaction redaction;

    assert_non_null(scanner);
    limits_init(&limits);
    redaction_init_default(&redaction);
    otlp_trace_scanner_init(scanner, &limits, &redaction);
    return scanner;
}

/* A message of one resource "shop", one scope and one span: the good fields and `attributes`, already
 * encoded. */
static inline void test_message(struct buffer *out, struct slice attributes)
{
    struct wire_envelope resource_spans = wire_envelope_begin(out, 1, 300);
    struct wire_envelope resource = wire_envelope_begin(out, 1, 30);
    test_text_attribute(out, 1, "service.name", "shop");
    wire_envelope_end(out, resource);
    struct wire_envelope scope_spans = wire_envelope_begin(out, 2, 300);
    struct wire_envelope scope = wire_envelope_begin(out, 1, 10);
    wire_write_bytes(out, 1, SLICE_LITERAL("test"));
    wire_envelope_end(out, scope);
    struct wire_envelope span = wire_envelope_begin(out, 2, 200);
    test_span_fields(out);
    (void)buffer_append_slice(out, attributes);
    wire_envelope_end(out, span);
    wire_envelope_end(out, scope_spans);
    wire_envelope_end(out, resource_spans);
}

/* A message of one span whose encoding is given whole. */
static inline void test_message_of_span(struct buffer *out, struct slice encoded)
{
    struct wire_envelope resource_spans = wire_envelope_begin(out, 1, 300);
    struct wire_envelope scope_spans = wire_envelope_begin(out, 2, 300);
    wire_write_bytes(out, 2, encoded);
    wire_envelope_end(out, scope_spans);
    wire_envelope_end(out, resource_spans);
}

/* How many spans protobuf-c reads from a message: an opinion that does not depend on our own reader. */
static inline uint32_t test_protobuf_spans(struct slice message)
{
    Otlp__ExportTraceServiceRequest *request =
        otlp__export_trace_service_request__unpack(NULL, message.length, message.ptr);
    uint32_t count = 0;

    assert_non_null(request);
    for (size_t i = 0; i < request->n_resource_spans; i++) {
        for (size_t k = 0; k < request->resource_spans[i]->n_scope_spans; k++) {
            count += (uint32_t)request->resource_spans[i]->scope_spans[k]->n_spans;
        }
    }
    otlp__export_trace_service_request__free_unpacked(request, NULL);
    return count;
}

static inline bool test_contains(struct slice bytes, const char *text)
{
    return bytes.length > 0 && memmem(bytes.ptr, bytes.length, text, strlen(text)) != NULL;
}

static inline bool test_text_is(struct slice text, const char *expected)
{
    return slice_equal(text, slice_of_string(expected));
}

/* The recorded corpora: reads FILE of tests/corpus into `out`. */
static inline void test_read_corpus(const char *file, struct buffer *out)
{
    char path[512];
    uint8_t block[65536];
    size_t length;

    (void)snprintf(path, sizeof path, "%s/tests/corpus/%s", WEFT_SOURCE_DIR, file);
    FILE *stream = fopen(path, "rb");
    assert_non_null(stream);
    while ((length = fread(block, 1, sizeof block, stream)) > 0) {
        assert_int_equal(buffer_append(out, block, length), 0);
    }
    (void)fclose(stream);
}

/* The next message of a corpus; false at its end. */
static inline bool test_next_message(const struct buffer *corpus, size_t *at, struct slice *ret_message)
{
    uint32_t length;

    if (*at + 4 > corpus->length) {
        return false;
    }
    memcpy(&length, corpus->data + *at, 4);
    assert_true(length <= corpus->length - *at - 4);
    *ret_message = slice_of(corpus->data + *at + 4, length);
    *at += 4 + (size_t)length;
    return true;
}

#endif
