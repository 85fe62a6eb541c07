/*
 * OTLP/JSON on arbitrary bytes. Whatever is taken must be protobuf that the scanner of traces follows to its
 * end, and that is sound down to each record for metrics and logs, within the room that is promised to be
 * enough; taking it again gives the same.
 *
 * The first byte chooses the signal (its two lowest bits) and the depth of lists; the rest is the document.
 */
#include "json_document.h"

#include "decode/otlp_json.h"
#include "decode/wire.h"

enum { FUZZ_LISTS_MAX = 16, FUZZ_LEVELS_OF_RECORD = 3 };

/* Resources, scopes and records: all of them messages with sound fields. */
static void walk(struct slice message, int level)
{
    struct wire_reader reader = wire_reader_of(message);
    struct wire_field field;
    int status;

    while ((status = wire_next(&reader, &field)) > 0) {
        uint32_t child = level == 0 ? WIRE_TAG(1, WIRE_BYTES) : WIRE_TAG(2, WIRE_BYTES);
        if (level < FUZZ_LEVELS_OF_RECORD && field.tag == child) {
            walk(field.bytes, level + 1);
        }
    }
    FUZZ_CHECK(status == 0);
}

static uint32_t count_spans(struct slice message)
{
    uint32_t count = 0;
    struct decode_error error;

    FUZZ_CHECK(otlp_trace_count_spans(message, &count, &error) == 0);
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct decode_error error;
    struct buffer first;
    struct buffer second;
    char text[DECODE_ERROR_TEXT_BYTES];

    if (size == 0) {
        return 0;
    }
    enum otlp_json_request request = (enum otlp_json_request)((data[0] & 3) % 3);
    uint32_t depth_max = (data[0] >> 2) % FUZZ_LISTS_MAX;
    struct slice body = slice_of(data + 1, size - 1);
    buffer_init(&first, JSON_OTLP_BYTES_MAX(body.length));
    buffer_init(&second, JSON_OTLP_BYTES_MAX(body.length));
    int status = otlp_json_to_protobuf(body, request, depth_max, &first, &error);
    FUZZ_CHECK(status <= 0 && status != WERR_OVERSIZED && status != WERR_NOMEM);
    if (status < 0) {
        FUZZ_CHECK(error.code == status && decode_error_format(&error, text, sizeof text) > 0);
    } else {
        struct slice message = slice_of(first.data, first.length);
        FUZZ_CHECK(otlp_json_to_protobuf(body, request, depth_max, &second, &error) == 0);
        FUZZ_CHECK(slice_equal(message, slice_of(second.data, second.length)));
        walk(message, 0);
        if (request == OTLP_JSON_TRACES) {
            fuzz_scan(message, count_spans(message));
        }
    }
    buffer_deinit(&first);
    buffer_deinit(&second);
    return 0;
}
