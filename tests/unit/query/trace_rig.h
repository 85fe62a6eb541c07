/* What the tests of traces share: parts written as OTLP JSON, models of them, files of what is expected. */
#ifndef WEFT_TESTS_UNIT_QUERY_TRACE_RIG_H
#define WEFT_TESTS_UNIT_QUERY_TRACE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "decode/otlp_json.h"
#include "query/trace_model.h"

#define GOLDEN_DIR WEFT_SOURCE_DIR "/tests/golden/traces/"
#define TRACE "0102030405060708090a0b0c0d0e0f10"

enum { GOLDEN_BYTES_MAX = 65536, PART_BYTES_MAX = 1 << 24 };

static const uint8_t trace_id[TRACE_MODEL_ID_BYTES] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

static inline struct shared_bytes *part_of_text(struct slice json)
{
    struct decode_error where;
    struct buffer out;

    buffer_init(&out, PART_BYTES_MAX);
    assert_int_equal(otlp_json_to_protobuf(json, OTLP_JSON_TRACES, 64, &out, &where), 0);
    struct shared_bytes *part = shared_bytes_copy(slice_of(out.data, out.length));
    assert_non_null(part);
    buffer_deinit(&out);
    return part;
}

/* Adds a part that is written as OTLP JSON. */
static inline void add_json(struct trace_model *model, const char *json)
{
    struct shared_bytes *part = part_of_text(slice_of_string(json));

    assert_int_equal(trace_model_add(model, part), 0);
    shared_bytes_unref(part);
}

/* Adds spans, `{…},{…}`, of one service. */
static inline void add_spans(struct trace_model *model, const char *service, const char *spans)
{
    static char json[1 << 16];

    assert_in_range(
        snprintf(json, sizeof json,
            "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":"
            "{\"stringValue\":\"%s\"}}]},\"scopeSpans\":[{\"scope\":{\"name\":\"test\"},\"spans\":[%s]}]}]}",
            service, spans),
        1, sizeof json - 1);
    add_json(model, json);
}

/* A span's members up to its attributes. */
#define SPAN(id, parent, name, kind, start, end)                                                             \
    "{\"traceId\":\"" TRACE "\",\"spanId\":\"" id "\",\"parentSpanId\":\"" parent "\",\"name\":\"" name      \
    "\",\"kind\":" #kind ",\"startTimeUnixNano\":\"" #start "\",\"endTimeUnixNano\":\"" #end "\"}"

static inline const struct trace_span *span_named(const struct trace_model *model, const char *name)
{
    for (size_t i = 0; i < model->span_count; i++) {
        if (slice_equal(model->spans[i].name, slice_of_string(name))) {
            return &model->spans[i];
        }
    }
    fail_msg("no span is called %s", name);
    return NULL;
}

static inline const char *parent_name(const struct trace_model *model, const char *name)
{
    static char text[64];
    const struct trace_span *span = span_named(model, name);

    if (span->parent < 0) {
        return "";
    }
    struct slice parent = model->spans[span->parent].name;
    assert_true(parent.length < sizeof text);
    memcpy(text, parent.ptr, parent.length);
    text[parent.length] = '\0';
    return text;
}

/* Compares with tests/golden/traces/NAME; WEFT_GOLDEN_UPDATE=1 writes it anew. */
static inline void check_golden(const char *name, const struct buffer *text)
{
    static char expected[GOLDEN_BYTES_MAX];
    char path[512];

    assert_int_equal(text->error, 0);
    assert_in_range(snprintf(path, sizeof path, "%s%s", GOLDEN_DIR, name), 1, sizeof path - 1);
    if (getenv("WEFT_GOLDEN_UPDATE") != NULL) {
        FILE *file = fopen(path, "wb");

        assert_non_null(file);
        assert_int_equal(fwrite(text->data, 1, text->length, file), text->length);
        assert_int_equal(fclose(file), 0);
    }
    FILE *file = fopen(path, "rb");

    assert_non_null(file);
    size_t length = fread(expected, 1, sizeof expected, file);
    assert_int_equal(fclose(file), 0);
    if (length != text->length || memcmp(expected, text->data, length) != 0) {
        fail_msg("%s differs from:\n%.*s", path, (int)text->length, (const char *)text->data);
    }
}

/* A trace with all that a span can have, of two services in two namespaces. */
static const char rich_trace[] =
    "{\"resourceSpans\":[{\"resource\":{\"attributes\":["
    "{\"key\":\"service.name\",\"value\":{\"stringValue\":\"cart\"}},"
    "{\"key\":\"service.namespace\",\"value\":{\"stringValue\":\"shop\"}},"
    "{\"key\":\"process.pid\",\"value\":{\"intValue\":\"4711\"}}]},"
    "\"schemaUrl\":\"https://opentelemetry.io/schemas/1.27.0\","
    "\"scopeSpans\":[{\"scope\":{\"name\":\"http\",\"version\":\"1.2\"},\"schemaUrl\":\"urn:scope\","
    "\"spans\":["
    "{\"traceId\":\"" TRACE "\",\"spanId\":\"0000000000000001\",\"name\":\"GET /cart\",\"kind\":2,"
    "\"startTimeUnixNano\":\"1700000000000001234\",\"endTimeUnixNano\":\"1700000000250000000\","
    "\"traceState\":\"ot=th:8\",\"flags\":257,\"attributes\":["
    "{\"key\":\"text\",\"value\":{\"stringValue\":\"caf\\u00e9 \\\"\\\\\\n\\u0001 \\u20ac \\ud83d\\ude00\"}},"
    "{\"key\":\"true\",\"value\":{\"boolValue\":true}},"
    "{\"key\":\"false\",\"value\":{\"boolValue\":false}},"
    "{\"key\":\"integer\",\"value\":{\"intValue\":\"-42\"}},"
    "{\"key\":\"large\",\"value\":{\"intValue\":\"9223372036854775807\"}},"
    "{\"key\":\"real\",\"value\":{\"doubleValue\":0.1}},"
    "{\"key\":\"nan\",\"value\":{\"doubleValue\":\"NaN\"}},"
    "{\"key\":\"bytes\",\"value\":{\"bytesValue\":\"AAECAw==\"}},"
    "{\"key\":\"list\",\"value\":{\"arrayValue\":{\"values\":[{\"stringValue\":\"a\"},{\"intValue\":\"1\"},{}"
    "]}}},"
    "{\"key\":\"map\",\"value\":{\"kvlistValue\":{\"values\":[{\"key\":\"k\",\"value\":{\"boolValue\":true}}]"
    "}}},"
    "{\"key\":\"empty\",\"value\":{\"stringValue\":\"\"}},"
    "{\"key\":\"nothing\"}],\"droppedAttributesCount\":3,"
    "\"events\":[{\"timeUnixNano\":\"1700000000100000000\",\"name\":\"retry\",\"attributes\":["
    "{\"key\":\"attempt\",\"value\":{\"intValue\":\"2\"}}]},{\"timeUnixNano\":\"1700000000200000000\"}],"
    "\"links\":[{\"traceId\":\"ffffffffffffffffffffffffffffffff\",\"spanId\":\"00000000000000aa\"}],"
    "\"status\":{\"message\":\"no luck\",\"code\":2}}]}]},"
    "{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{\"stringValue\":\"prices.shop\"}},"
    "{\"key\":\"k8s.namespace.name\",\"value\":{\"stringValue\":\"shop\"}}]},"
    "\"scopeSpans\":[{\"spans\":["
    "{\"traceId\":\"" TRACE "\",\"spanId\":\"0000000000000002\",\"parentSpanId\":\"0000000000000001\","
    "\"name\":\"prices\",\"kind\":3,\"startTimeUnixNano\":\"1700000000050000000\","
    "\"endTimeUnixNano\":\"1700000000060000999\",\"status\":{\"code\":1}}]}]}]}";

#endif
