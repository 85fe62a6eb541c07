/*
 * The worked example of proto/README.md is what libweft encodes, byte for byte: a client in another language
 * can be checked against it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/encode.h"
#include "client/span_columns.h"

enum { README_BYTES_MAX = 262144, BYTES_PER_LINE = 16 };

static char *read_readme(void)
{
    char *text = calloc(1, README_BYTES_MAX);
    FILE *file = fopen(WEFT_SOURCE_DIR "/proto/README.md", "r");

    assert_non_null(text);
    assert_non_null(file);
    assert_true(fread(text, 1, README_BYTES_MAX - 1, file) > 0);
    fclose(file);
    return text;
}

/* The bytes as the README shows them: lines of 16, two hex digits each, spaces between. */
static void assert_shown(const struct buffer *bytes, const char *what)
{
    struct buffer text;
    char *readme = read_readme();

    buffer_init(&text, README_BYTES_MAX);
    for (size_t i = 0; i < bytes->length; i++) {
        bool at_end = i % BYTES_PER_LINE == BYTES_PER_LINE - 1 || i + 1 == bytes->length;
        buffer_append_format(&text, "%02x%s", bytes->data[i], at_end ? "\n" : " ");
    }
    buffer_append_byte(&text, '\0');
    assert_int_equal(text.error, 0);
    if (strstr(readme, (const char *)text.data) == NULL) {
        print_message("%s is not in proto/README.md:\n%s", what, (const char *)text.data);
        fail();
    }
    buffer_deinit(&text);
    free(readme);
}

static void test_hello(void **state)
{
    uint8_t id[NATIVE_INSTANCE_BYTES];
    Weft__V1__Hello hello = WEFT__V1__HELLO__INIT;
    struct buffer bytes;
    (void)state;

    for (uint8_t i = 0; i < sizeof id; i++) {
        id[i] = i;
    }
    hello.version = NATIVE_VERSION;
    hello.instance_id = (ProtobufCBinaryData){.len = sizeof id, .data = id};
    hello.next_sequence = 1;
    hello.workload = "productpage";
    hello.start_time_unix_ns = 1700000000000000000u;
    buffer_init(&bytes, 4096);
    buffer_append(&bytes, NATIVE_MAGIC, NATIVE_MAGIC_BYTES);
    encode_message(&bytes, NATIVE_TYPE_HELLO, &hello.base);
    assert_shown(&bytes, "the magic and Hello");
    buffer_deinit(&bytes);
}

static void test_dictionary_and_spans(void **state)
{
    static const char *const texts[] = {"productpage", "reviews", "/reviews/{id}", "GET"};
    struct strings strings;
    struct buffer bytes;
    struct span_columns *columns = malloc(sizeof *columns);
    struct weft_span span = {
        .start_time_unix_ns = 1700000001000000000u,
        .duration_ns = 12500000,
        .source = 1,
        .destination = 2,
        .route = 3,
        .method = 4,
        .response_code = 200,
        .reporter = WEFT_REPORTER_SOURCE,
        .protocol = WEFT_PROTOCOL_HTTP2,
        .attempts = 1,
    };
    Weft__V1__SpanBatch batch;
    size_t frame_bytes;
    (void)state;

    assert_non_null(columns);
    strings_init(&strings, 16);
    buffer_init(&bytes, 4096);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(strings_intern(&strings, slice_of_string(texts[i])), i + 1);
    }
    assert_int_equal(encode_dictionary(&bytes, &strings, 0), 4);
    assert_shown(&bytes, "the dictionary");
    bytes.length = 0;
    memset(span.trace_id, 0xaa, sizeof span.trace_id);
    memset(span.span_id, 0xb1, sizeof span.span_id);
    span_columns_reset(columns);
    span_columns_add(columns, &span);
    memset(span.span_id, 0xb2, sizeof span.span_id);
    span.start_time_unix_ns -= 1000000;
    span.duration_ns = 30000000;
    span.response_code = 503;
    span.response_flags = 1u << 5;
    span.attempts = 3;
    span_columns_add(columns, &span);
    span_columns_message(columns, 1, &batch);
    uint8_t *frame = encode_frame(NATIVE_TYPE_SPANS, &batch.base, NULL, 0, &frame_bytes);
    assert_non_null(frame);
    buffer_append(&bytes, frame, frame_bytes);
    assert_shown(&bytes, "the span batch");
    free(frame);
    free(columns);
    strings_deinit(&strings);
    buffer_deinit(&bytes);
}

static void test_answer(void **state)
{
    Weft__V1__Ack ack = WEFT__V1__ACK__INIT;
    struct buffer bytes;
    (void)state;

    ack.sequence = 1;
    ack.credit_bytes = 4194304;
    buffer_init(&bytes, 4096);
    encode_message(&bytes, NATIVE_TYPE_ACK, &ack.base);
    assert_shown(&bytes, "the Ack");
    buffer_deinit(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hello),
        cmocka_unit_test(test_dictionary_and_spans),
        cmocka_unit_test(test_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
