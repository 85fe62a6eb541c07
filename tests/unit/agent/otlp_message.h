/* OTLP messages for the tests of the composition: spans of each meaning, and of each fault. */
#ifndef WEFT_TESTS_AGENT_OTLP_MESSAGE_H
#define WEFT_TESTS_AGENT_OTLP_MESSAGE_H

#include "decode/span.h"
#include "decode/wire_write.h"
#include "opentelemetry/collector.pb-c.h"
#include "rig.h"

enum { MESSAGE_BYTES_MAX = 1 << 24 };

enum span_variant {
    SPAN_GOOD, /* a client's request */
    SPAN_INTERNAL,
    SPAN_ATTEMPT_OF_ENVOY,
    SPAN_REQUEST_OF_ENVOY,
    SPAN_NO_TRACE_ID,
    SPAN_SHORT_TRACE_ID,
    SPAN_NO_SPAN_ID,
    SPAN_ENDS_EARLY,
    SPAN_FAR_AWAY,
    SPAN_BAD_UTF8,
    SPAN_BROKEN,
    SPAN_VARIANT_COUNT
};

static inline void put_attribute(struct buffer *out, uint32_t number, const char *key, const char *text)
{
    struct wire_envelope attribute = wire_envelope_begin(out, number, 60);
    wire_write_bytes(out, 1, slice_of_string(key));
    struct wire_envelope value = wire_envelope_begin(out, 2, 30);
    wire_write_bytes(out, 1, slice_of_string(text));
    wire_envelope_end(out, value);
    wire_envelope_end(out, attribute);
}

static inline void put_span_ids(struct buffer *out, enum span_variant variant)
{
    static const uint8_t trace_id[16] = {1, 2, 3};
    static const uint8_t span_id[8] = {4, 5, 6};
    static const uint8_t none[16];

    wire_write_bytes(out, 1,
        slice_of(variant == SPAN_NO_TRACE_ID ? none : trace_id,
            variant == SPAN_SHORT_TRACE_ID ? 8 : sizeof trace_id));
    wire_write_bytes(out, 2, slice_of(variant == SPAN_NO_SPAN_ID ? none : span_id, sizeof span_id));
}

/* now_unix_ns: the time at the receiver. */
static inline void put_span(struct buffer *out, enum span_variant variant, uint64_t now_unix_ns)
{
    struct wire_envelope span = wire_envelope_begin(out, 2, 200);
    uint64_t start_unix_ns = now_unix_ns - 5000000;
    uint64_t end_unix_ns = variant == SPAN_ENDS_EARLY ? start_unix_ns - 1 : now_unix_ns - 1000000;

    if (variant == SPAN_FAR_AWAY) {
        start_unix_ns -= 40 * 86400 * RIG_SECOND_NS;
        end_unix_ns -= 40 * 86400 * RIG_SECOND_NS;
    }
    put_span_ids(out, variant);
    wire_write_bytes(
        out, 5, variant == SPAN_BAD_UTF8 ? SLICE_LITERAL("\xff\xfe") : SLICE_LITERAL("GET /cart"));
    wire_write_varint(out, 6, variant == SPAN_INTERNAL ? SPAN_KIND_INTERNAL : SPAN_KIND_CLIENT);
    wire_write_fixed64(out, 7, start_unix_ns);
    wire_write_fixed64(out, 8, end_unix_ns);
    put_attribute(out, 9, "http.request.method", "GET");
    if (variant == SPAN_REQUEST_OF_ENVOY) {
        put_attribute(out, 9, "guid:x-request-id", "d1d70d4a");
    }
    if (variant == SPAN_ATTEMPT_OF_ENVOY || variant == SPAN_REQUEST_OF_ENVOY) {
        put_attribute(out, 9, "component", "proxy");
        put_attribute(out, 9, "upstream_cluster", "outbound|80||reviews.shop.svc.cluster.local");
        put_attribute(out, 9, "upstream_address", "10.0.0.7:80");
    }
    if (variant == SPAN_BROKEN) {
        wire_write_varint(out, 7, 1); /* a fixed64 as a varint */
    }
    wire_envelope_end(out, span);
}

struct message {
    struct buffer bytes;
    struct wire_envelope resource;
    struct wire_envelope scope;
};

static inline void message_begin(struct message *message, const char *sdk_name)
{
    buffer_init(&message->bytes, MESSAGE_BYTES_MAX);
    message->resource = wire_envelope_begin(&message->bytes, 1, 1000);
    struct wire_envelope resource = wire_envelope_begin(&message->bytes, 1, 100);
    put_attribute(&message->bytes, 1, "service.name", "productpage.shop");
    put_attribute(&message->bytes, 1, "telemetry.sdk.name", sdk_name);
    wire_envelope_end(&message->bytes, resource);
    message->scope = wire_envelope_begin(&message->bytes, 2, 1000);
}

static inline struct slice message_end(struct message *message)
{
    wire_envelope_end(&message->bytes, message->scope);
    wire_envelope_end(&message->bytes, message->resource);
    assert_int_equal(message->bytes.error, 0);
    return slice_of(message->bytes.data, message->bytes.length);
}

static inline void message_deinit(struct message *message)
{
    buffer_deinit(&message->bytes);
}

/* How many spans another implementation reads in a message. */
static inline uint64_t message_span_count(struct slice bytes)
{
    Otlp__ExportTraceServiceRequest *request =
        otlp__export_trace_service_request__unpack(NULL, bytes.length, bytes.ptr);
    uint64_t count = 0;

    assert_non_null(request);
    for (size_t i = 0; i < request->n_resource_spans; i++) {
        for (size_t j = 0; j < request->resource_spans[i]->n_scope_spans; j++) {
            count += request->resource_spans[i]->scope_spans[j]->n_spans;
        }
    }
    otlp__export_trace_service_request__free_unpacked(request, NULL);
    return count;
}

#endif
