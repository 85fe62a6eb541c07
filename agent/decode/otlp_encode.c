/*
 * The OTLP writer of otlp_encode.h. Field numbers: opentelemetry/proto/{trace,resource,common}/v1.
 *
 * A span is written through a pointer into room that was reserved once: SPAN_FIXED_BYTES_MAX is what it takes
 * besides its texts, and texts_bytes_max says how often each of those occurs.
 */
#include "decode/otlp_encode.h"

#include <string.h>

#include "decode/span.h"

enum {
    GROUP_BYTES_EXPECTED = 65536, /* leaves three bytes for a length */
    SPAN_LENGTH_BYTES = 2,        /* expected of a span's length: 128 to 16,383 */
    SPAN_FIXED_BYTES_MAX = 768,
    FLAG_SAMPLED = 1,
    TRACE_ID_BYTES = 16,
    SPAN_ID_BYTES = 8,
    THRESHOLD_DIGITS = 14,
    TRACESTATE_BYTES_MAX = 6 + THRESHOLD_DIGITS,
};

void otlp_encode_begin(struct otlp_encoder *encoder, struct buffer *out)
{
    *encoder = (struct otlp_encoder){.out = out, .begin_length = out->length};
}

static uint8_t *put(uint8_t *to, const void *bytes, size_t length)
{
    memcpy(to, bytes, length);
    return to + length;
}

/* A field of bytes. Field numbers here are below 16, so a tag is one byte. */
static inline uint8_t *put_bytes(uint8_t *to, uint32_t number, struct slice bytes)
{
    *to++ = (uint8_t)WIRE_TAG(number, WIRE_BYTES);
    to = wire_put_varint(to, bytes.length);
    return bytes.length > 0 ? put(to, bytes.ptr, bytes.length) : to;
}

static inline uint8_t *put_fixed64(uint8_t *to, uint32_t number, uint64_t value)
{
    *to++ = (uint8_t)WIRE_TAG(number, WIRE_FIXED64);
    return put(to, &value, sizeof value);
}

/* Tag, length and key of a span's attribute, and the head of its value of `value_bytes`. */
static inline uint8_t *put_attribute_head(uint8_t *to, struct slice key, size_t value_bytes)
{
    *to++ = (uint8_t)WIRE_TAG(9, WIRE_BYTES);
    to = wire_put_varint(to, 2 + key.length + 1 + wire_varint_size(value_bytes) + value_bytes);
    to = put_bytes(to, 1, key);
    *to++ = (uint8_t)WIRE_TAG(2, WIRE_BYTES);
    return wire_put_varint(to, value_bytes);
}

/* A span's attribute; nothing when the text is not told. */
static inline uint8_t *put_text(uint8_t *to, struct slice key, struct slice text)
{
    if (text.length == 0) {
        return to;
    }
    to = put_attribute_head(to, key, 1 + wire_varint_size(text.length) + text.length);
    return put_bytes(to, 1, text);
}

static inline uint8_t *put_integer(uint8_t *to, struct slice key, uint64_t integer)
{
    to = put_attribute_head(to, key, 1 + wire_varint_size(integer));
    *to++ = (uint8_t)WIRE_TAG(3, WIRE_VARINT);
    return wire_put_varint(to, integer);
}

#define PUT_TEXT(to, key, text) put_text((to), SLICE_LITERAL(key), (text))
#define PUT_INTEGER(to, key, integer) put_integer((to), SLICE_LITERAL(key), (integer))

static bool reports_as_source(const struct otlp_encode_span *span)
{
    return span->reporter == OTLP_ENCODE_SOURCE;
}

static struct slice reporting_service(const struct otlp_encode_span *span)
{
    return reports_as_source(span) ? span->source : span->destination;
}

static struct slice reporting_namespace(const struct otlp_encode_span *span)
{
    return reports_as_source(span) ? span->source_namespace : span->destination_namespace;
}

/* A resource attribute; returns where its text lies in the buffer. */
static size_t write_resource_text(struct buffer *out, struct slice key, struct slice text)
{
    struct wire_envelope attribute = wire_envelope_begin(out, 1, key.length + text.length + 6);

    wire_write_bytes(out, 1, key);
    struct wire_envelope value = wire_envelope_begin(out, 2, text.length + 2);
    wire_write_bytes(out, 1, text);
    wire_envelope_end(out, value);
    wire_envelope_end(out, attribute);
    return out->length - text.length;
}

static void open_group(struct otlp_encoder *encoder, const struct otlp_encode_span *span)
{
    struct buffer *out = encoder->out;
    struct slice service = reporting_service(span);
    struct slice namespace = reporting_namespace(span);

    encoder->resource_spans = wire_envelope_begin(out, 1, GROUP_BYTES_EXPECTED);
    struct wire_envelope resource = wire_envelope_begin(out, 1, 100);
    /* the specification wants a service.name in every resource */
    size_t service_at = write_resource_text(
        out, SLICE_LITERAL("service.name"), service.length > 0 ? service : SLICE_LITERAL("unknown_service"));
    size_t namespace_at = out->length;
    if (namespace.length > 0) {
        namespace_at = write_resource_text(out, SLICE_LITERAL("service.namespace"), namespace);
    }
    size_t before_end = out->length;
    wire_envelope_end(out, resource);
    size_t moved =
        before_end - out->length; /* by a length shorter or longer than expected; wraps in the latter case */
    encoder->service_at = service_at - moved;
    encoder->service_length = service.length;
    encoder->namespace_at = namespace_at - moved;
    encoder->namespace_length = namespace.length;
    encoder->scope_spans = wire_envelope_begin(out, 2, GROUP_BYTES_EXPECTED);
    struct wire_envelope scope = wire_envelope_begin(out, 1, 20);
    wire_write_bytes(out, 1, SLICE_LITERAL("weft"));
    wire_write_bytes(out, 2, SLICE_LITERAL(WEFT_VERSION));
    wire_envelope_end(out, scope);
    encoder->group_is_open = true;
}

static void close_group(struct otlp_encoder *encoder)
{
    if (encoder->group_is_open) {
        wire_envelope_end(encoder->out, encoder->scope_spans);
        wire_envelope_end(encoder->out, encoder->resource_spans);
        encoder->group_is_open = false;
    }
}

static bool belongs_to_group(const struct otlp_encoder *encoder, const struct otlp_encode_span *span)
{
    const uint8_t *data = encoder->out->data;

    return encoder->group_is_open &&
           encoder->out->length - encoder->resource_spans.content_at <= OTLP_ENCODE_GROUP_BYTES_MAX &&
           slice_equal(
               reporting_service(span), slice_of(data + encoder->service_at, encoder->service_length)) &&
           slice_equal(
               reporting_namespace(span), slice_of(data + encoder->namespace_at, encoder->namespace_length));
}

/* OpenTelemetry's tracestate for a sampled span: `ot=th:` and the threshold in hex without trailing zeros. */
static uint8_t *put_tracestate(uint8_t *to, uint64_t threshold)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t text[TRACESTATE_BYTES_MAX] = "ot=th:";
    size_t length = 6;

    for (unsigned shift = 52; threshold << 8 != 0; shift -= 4) {
        text[length++] = (uint8_t)digits[threshold >> shift & 15];
        threshold &= (1ull << shift) - 1;
    }
    return put_bytes(to, 3, slice_of(text, length));
}

/* The name that the conventions give: the RPC's full name, else method and route. */
static uint8_t *put_name(uint8_t *to, const struct otlp_encode_span *span)
{
    struct slice route = span->route;

    if (span->grpc_status >= 0 && route.length > 1 && route.ptr[0] == '/') {
        return put_bytes(to, 5, slice_sub(route, 1, route.length));
    }
    struct slice method = span->method.length > 0 ? span->method : SLICE_LITERAL("HTTP");
    *to++ = (uint8_t)WIRE_TAG(5, WIRE_BYTES);
    to = wire_put_varint(to, method.length + (route.length > 0 ? 1 + route.length : 0));
    to = put(to, method.ptr, method.length);
    if (route.length > 0) {
        *to++ = ' ';
        to = put(to, route.ptr, route.length);
    }
    return to;
}

/* gRPC codes that are the server's fault (semantic conventions for gRPC): UNKNOWN, DEADLINE_EXCEEDED,
 * UNIMPLEMENTED, … */
static bool is_grpc_server_error(int32_t status)
{
    return status == 2 || status == 4 || (status >= 12 && status <= 15);
}

static bool is_error(const struct otlp_encode_span *span)
{
    bool as_client = reports_as_source(span);

    if (span->grpc_status >= 0) {
        return as_client ? span->grpc_status != 0 : is_grpc_server_error(span->grpc_status);
    }
    return span->response_code == 0 || span->response_code >= (as_client ? 400u : 500u);
}

static uint8_t *put_rpc(uint8_t *to, const struct otlp_encode_span *span)
{
    to = PUT_TEXT(to, "rpc.system", SLICE_LITERAL("grpc"));
    to = PUT_INTEGER(to, "rpc.grpc.status_code", (uint64_t)span->grpc_status);
    if (span->route.length == 0 || span->route.ptr[0] != '/') {
        return to;
    }
    struct slice path = slice_sub(span->route, 1, span->route.length);
    size_t slash = slice_find(path, '/');
    if (slash < path.length) {
        to = PUT_TEXT(to, "rpc.service", slice_sub(path, 0, slash));
        to = PUT_TEXT(to, "rpc.method", slice_sub(path, slash + 1, path.length));
    }
    return to;
}

static uint8_t *put_protocol(uint8_t *to, struct slice protocol)
{
    if (slice_equal(protocol, SLICE_LITERAL("http1"))) {
        to = PUT_TEXT(to, "network.protocol.version", SLICE_LITERAL("1.1"));
    } else if (slice_equal(protocol, SLICE_LITERAL("http2")) ||
               slice_equal(protocol, SLICE_LITERAL("grpc"))) {
        to = PUT_TEXT(to, "network.protocol.version", SLICE_LITERAL("2"));
    } else if (slice_equal(protocol, SLICE_LITERAL("http3"))) {
        to = PUT_TEXT(to, "network.protocol.version", SLICE_LITERAL("3"));
    }
    return PUT_TEXT(to, "weft.protocol", protocol);
}

static uint8_t *put_attributes(uint8_t *to, const struct otlp_encode_span *span)
{
    bool as_source = reports_as_source(span);

    to = PUT_TEXT(to, "http.request.method", span->method);
    to = PUT_TEXT(to, "http.route", span->route);
    if (span->response_code > 0) {
        to = PUT_INTEGER(to, "http.response.status_code", span->response_code);
    }
    if (span->grpc_status >= 0) {
        to = put_rpc(to, span);
    }
    to = put_protocol(to, span->protocol);
    to = PUT_TEXT(to, "peer.service", as_source ? span->destination : span->source);
    to =
        PUT_TEXT(to, "weft.peer.namespace", as_source ? span->destination_namespace : span->source_namespace);
    if (span->request_bytes > 0) {
        to = PUT_INTEGER(to, "http.request.body.size", span->request_bytes);
    }
    if (span->response_bytes > 0) {
        to = PUT_INTEGER(to, "http.response.body.size", span->response_bytes);
    }
    if (span->response_flags != 0) {
        to = PUT_INTEGER(to, "weft.response_flags", span->response_flags);
    }
    if (span->attempts > 0) {
        to = PUT_INTEGER(to, "weft.attempts", span->attempts);
    }
    if (span->reporter == OTLP_ENCODE_WAYPOINT) {
        to = PUT_TEXT(to, "weft.reporter", SLICE_LITERAL("waypoint"));
    }
    if (span->is_access_log) {
        to = PUT_TEXT(to, "weft.signal", SLICE_LITERAL("access_log"));
    }
    return span->attribute.length > 0 ? put_bytes(to, 9, span->attribute) : to;
}

static bool is_zero(const uint8_t *id, size_t id_bytes)
{
    static const uint8_t zero[TRACE_ID_BYTES] = {0};

    return memcmp(id, zero, id_bytes) == 0;
}

static uint8_t *put_span(uint8_t *to, const struct otlp_encode_span *span)
{
    to = put_bytes(to, 1, slice_of(span->trace_id, TRACE_ID_BYTES));
    to = put_bytes(to, 2, slice_of(span->span_id, SPAN_ID_BYTES));
    if (span->sampling_threshold != 0) {
        to = put_tracestate(to, span->sampling_threshold);
    }
    if (span->parent_id != NULL && !is_zero(span->parent_id, SPAN_ID_BYTES)) {
        to = put_bytes(to, 4, slice_of(span->parent_id, SPAN_ID_BYTES));
    }
    to = put_name(to, span);
    *to++ = (uint8_t)WIRE_TAG(6, WIRE_VARINT);
    *to++ = reports_as_source(span) ? SPAN_KIND_CLIENT : SPAN_KIND_SERVER;
    to = put_fixed64(to, 7, span->start_unix_ns);
    to = put_fixed64(to, 8, span->start_unix_ns + span->duration_ns);
    to = put_attributes(to, span);
    if (is_error(span)) {
        const uint8_t status[] = {WIRE_TAG(15, WIRE_BYTES), 2, WIRE_TAG(3, WIRE_VARINT), SPAN_STATUS_ERROR};
        to = put(to, status, sizeof status);
    }
    return to;
}

/* A route is written in up to three places, a method in two, each name in one. */
static size_t texts_bytes_max(const struct otlp_encode_span *span)
{
    return 3 * span->route.length + 2 * span->method.length + span->protocol.length + span->source.length +
           span->source_namespace.length + span->destination.length + span->destination_namespace.length +
           span->attribute.length;
}

static void write_span(struct buffer *out, const struct otlp_encode_span *span)
{
    uint8_t *room = buffer_reserve(out, SPAN_FIXED_BYTES_MAX + texts_bytes_max(span));

    if (room == NULL) {
        return;
    }
    uint8_t *content = room + 1 + SPAN_LENGTH_BYTES;
    size_t length = (size_t)(put_span(content, span) - content);
    size_t length_bytes = wire_varint_size(length);
    if (length_bytes != SPAN_LENGTH_BYTES) {
        memmove(room + 1 + length_bytes, content, length);
    }
    room[0] = WIRE_TAG(2, WIRE_BYTES);
    (void)wire_put_varint(room + 1, length);
    out->length += 1 + length_bytes + length;
}

int otlp_encode_span(struct otlp_encoder *encoder, const struct otlp_encode_span *span)
{
    struct buffer *out = encoder->out;

    if (is_zero(span->trace_id, TRACE_ID_BYTES) || is_zero(span->span_id, SPAN_ID_BYTES)) {
        return 0;
    }
    if (out->error < 0) {
        return out->error;
    }
    if (!belongs_to_group(encoder, span)) {
        close_group(encoder);
    }
    size_t length = out->length;
    bool group_was_open = encoder->group_is_open;
    if (!group_was_open) {
        open_group(encoder, span);
    }
    write_span(out, span);
    if (out->error < 0) {
        int error = out->error;
        out->error = 0;
        out->length = length;
        encoder->group_is_open = group_was_open;
        return error;
    }
    encoder->spans_count++;
    return 1;
}

uint32_t otlp_encode_end(struct otlp_encoder *encoder)
{
    close_group(encoder);
    if (encoder->spans_count == 0) {
        encoder->out->length = encoder->begin_length;
    }
    return encoder->spans_count;
}
