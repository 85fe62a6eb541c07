/*
 * For the tests of the decoders that write OTLP from JSON: a document's OTLP, unpacked by protobuf-c, so that
 * what is compared was read by other code than ours. Everything is static inline.
 */
#ifndef WEFT_TESTS_UNIT_DECODE_JSON_OTLP_TESTING_H
#define WEFT_TESTS_UNIT_DECODE_JSON_OTLP_TESTING_H

#include "testing.h"

#include "core/error.h"
#include "decode/json_otlp.h"

enum { DEPTH_MAX = 16, SPANS_COUNT_MAX = 8, FIXTURE_BYTES_MAX = 1 << 22 };

struct converted {
    struct buffer bytes;
    struct json_otlp_result result;
    struct decode_error error;
    int status;
    Otlp__ExportTraceServiceRequest *request; /* NULL after an error */
    Otlp__Span *spans[SPANS_COUNT_MAX];
    Otlp__ResourceSpans *resources[SPANS_COUNT_MAX];
    size_t span_count;
};

static inline void converted_collect(struct converted *c)
{
    for (size_t i = 0; i < c->request->n_resource_spans; i++) {
        for (size_t j = 0; j < c->request->resource_spans[i]->n_scope_spans; j++) {
            Otlp__ScopeSpans *scope = c->request->resource_spans[i]->scope_spans[j];
            for (size_t k = 0; k < scope->n_spans && c->span_count < SPANS_COUNT_MAX; k++) {
                c->resources[c->span_count] = c->request->resource_spans[i];
                c->spans[c->span_count++] = scope->spans[k];
            }
        }
    }
}

static inline void convert_with(int (*decode)(struct slice body, uint32_t depth_max, struct buffer *out,
                                    struct json_otlp_result *result, struct decode_error *error),
    struct converted *c, struct slice body)
{
    memset(c, 0, sizeof *c);
    buffer_init(&c->bytes, JSON_OTLP_BYTES_MAX(body.length));
    c->status = decode(body, DEPTH_MAX, &c->bytes, &c->result, &c->error);
    if (c->status == 0) {
        c->request = otlp__export_trace_service_request__unpack(NULL, c->bytes.length, c->bytes.data);
        assert_non_null(c->request);
        converted_collect(c);
        assert_true(c->result.spans_count >= c->span_count);
    }
}

static inline void converted_free(struct converted *c)
{
    if (c->request != NULL) {
        otlp__export_trace_service_request__free_unpacked(c->request, NULL);
    }
    buffer_deinit(&c->bytes);
}

static inline const Otlp__AnyValue *find_attribute(Otlp__KeyValue **attributes, size_t count, const char *key)
{
    const Otlp__AnyValue *found = NULL;

    for (size_t i = 0; i < count; i++) {
        if (strcmp(attributes[i]->key, key) == 0) {
            assert_null(found); /* no key comes twice */
            found = attributes[i]->value;
        }
    }
    return found;
}

static inline const Otlp__AnyValue *attribute_of(const Otlp__Span *span, const char *key)
{
    return find_attribute(span->attributes, span->n_attributes, key);
}

static inline const char *resource_text(const Otlp__ResourceSpans *spans, const char *key)
{
    const Otlp__AnyValue *value =
        find_attribute(spans->resource->attributes, spans->resource->n_attributes, key);

    assert_non_null(value);
    return value->string_value;
}

/* A file of tests/corpus; *ret_bytes is the caller's to free. */
static inline struct slice fixture(const char *name, uint8_t **ret_bytes)
{
    char path[256];

    (void)snprintf(path, sizeof path, WEFT_SOURCE_DIR "/tests/corpus/%s", name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    *ret_bytes = malloc(FIXTURE_BYTES_MAX);
    assert_non_null(*ret_bytes);
    size_t length = fread(*ret_bytes, 1, FIXTURE_BYTES_MAX, file);
    (void)fclose(file);
    assert_true(length > 0 && length < FIXTURE_BYTES_MAX);
    return slice_of(*ret_bytes, length);
}

#endif
