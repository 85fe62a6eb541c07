/* The OTLP writer of otlp_encode.h. Field numbers: opentelemetry/proto/{trace,resource,common}/v1. */
#include "decode/otlp_encode.h"

#include <string.h>

#include "decode/span.h"

enum {
    GROUP_BYTES_EXPECTED = 65536, /* leaves three bytes for a length */
    SPAN_BYTES_EXPECTED = 300,    /* leaves two */
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

static void write_text(struct buffer *out, struct slice key, struct slice text)
{
    if (text.length == 0) {
        return;
    }
    struct wire_envelope attribute = wire_envelope_begin(out, 9, key.length + text.length + 6);
    wire_write_bytes(out, 1, key);
    struct wire_envelope value = wire_envelope_begin(out, 2, text.length + 2);
    wire_write_bytes(out, 1, text);
    wire_envelope_end(out, value);
    wire_envelope_end(out, attribute);
}

static void write_integer(struct buffer *out, struct slice key, uint64_t integer)
{
    struct wire_envelope attribute = wire_envelope_begin(out, 9, key.length + 6);

    wire_write_bytes(out, 1, key);
    struct wire_envelope value = wire_envelope_begin(out, 2, 4);
    wire_write_varint(out, 3, integer);
    wire_envelope_end(out, value);
    wire_envelope_end(out, attribute);
}

#define WRITE_TEXT(out, key, text) write_text((out), SLICE_LITERAL(key), (text))
#define WRITE_INTEGER(out, key, integer) write_integer((out), SLICE_LITERAL(key), (integer))

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
static void write_tracestate(struct buffer *out, uint64_t threshold)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t text[TRACESTATE_BYTES_MAX] = "ot=th:";
    size_t length = 6;

    for (unsigned shift = 52; threshold << 8 != 0; shift -= 4) {
        text[length++] = (uint8_t)digits[threshold >> shift & 15];
        threshold &= (1ull << shift) - 1;
    }
    wire_write_bytes(out, 3, slice_of(text, length));
}

/* The name that the conventions give: the RPC's full name, else method and route. */
static void write_name(struct buffer *out, const struct otlp_encode_span *span)
{
    struct slice route = span->route;

    if (span->grpc_status >= 0 && route.length > 1 && route.ptr[0] == '/') {
        wire_write_bytes(out, 5, slice_sub(route, 1, route.length));
        return;
    }
    struct slice method = span->method.length > 0 ? span->method : SLICE_LITERAL("HTTP");
    size_t space = route.length > 0 ? 1 : 0;
    struct wire_envelope name = wire_envelope_begin(out, 5, method.length + space + route.length);
    (void)buffer_append_slice(out, method);
    (void)buffer_append(out, " ", space);
    (void)buffer_append_slice(out, route);
    wire_envelope_end(out, name);
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

static void write_rpc(struct buffer *out, const struct otlp_encode_span *span)
{
    struct slice path = slice_sub(span->route, 1, span->route.length);
    size_t slash = slice_find(path, '/');

    WRITE_TEXT(out, "rpc.system", SLICE_LITERAL("grpc"));
    WRITE_INTEGER(out, "rpc.grpc.status_code", (uint64_t)span->grpc_status);
    if (span->route.length > 0 && span->route.ptr[0] == '/' && slash < path.length) {
        WRITE_TEXT(out, "rpc.service", slice_sub(path, 0, slash));
        WRITE_TEXT(out, "rpc.method", slice_sub(path, slash + 1, path.length));
    }
}

static void write_protocol(struct buffer *out, struct slice protocol)
{
    if (slice_equal(protocol, SLICE_LITERAL("http1"))) {
        WRITE_TEXT(out, "network.protocol.version", SLICE_LITERAL("1.1"));
    } else if (slice_equal(protocol, SLICE_LITERAL("http2")) ||
               slice_equal(protocol, SLICE_LITERAL("grpc"))) {
        WRITE_TEXT(out, "network.protocol.version", SLICE_LITERAL("2"));
    } else if (slice_equal(protocol, SLICE_LITERAL("http3"))) {
        WRITE_TEXT(out, "network.protocol.version", SLICE_LITERAL("3"));
    }
    WRITE_TEXT(out, "weft.protocol", protocol);
}

static void write_attributes(struct buffer *out, const struct otlp_encode_span *span)
{
    bool as_source = reports_as_source(span);

    WRITE_TEXT(out, "http.request.method", span->method);
    WRITE_TEXT(out, "http.route", span->route);
    if (span->response_code > 0) {
        WRITE_INTEGER(out, "http.response.status_code", span->response_code);
    }
    if (span->grpc_status >= 0) {
        write_rpc(out, span);
    }
    write_protocol(out, span->protocol);
    WRITE_TEXT(out, "peer.service", as_source ? span->destination : span->source);
    WRITE_TEXT(out, "weft.peer.namespace", as_source ? span->destination_namespace : span->source_namespace);
    if (span->request_bytes > 0) {
        WRITE_INTEGER(out, "http.request.body.size", span->request_bytes);
    }
    if (span->response_bytes > 0) {
        WRITE_INTEGER(out, "http.response.body.size", span->response_bytes);
    }
    if (span->response_flags != 0) {
        WRITE_INTEGER(out, "weft.response_flags", span->response_flags);
    }
    if (span->attempts > 0) {
        WRITE_INTEGER(out, "weft.attempts", span->attempts);
    }
    if (span->reporter == OTLP_ENCODE_WAYPOINT) {
        WRITE_TEXT(out, "weft.reporter", SLICE_LITERAL("waypoint"));
    }
}

static bool is_zero(const uint8_t *id, size_t id_bytes)
{
    static const uint8_t zero[TRACE_ID_BYTES] = {0};

    return memcmp(id, zero, id_bytes) == 0;
}

static void write_span(struct buffer *out, const struct otlp_encode_span *span)
{
    struct wire_envelope envelope = wire_envelope_begin(out, 2, SPAN_BYTES_EXPECTED);

    wire_write_bytes(out, 1, slice_of(span->trace_id, TRACE_ID_BYTES));
    wire_write_bytes(out, 2, slice_of(span->span_id, SPAN_ID_BYTES));
    if (span->sampling_threshold != 0) {
        write_tracestate(out, span->sampling_threshold);
    }
    if (span->parent_id != NULL && !is_zero(span->parent_id, SPAN_ID_BYTES)) {
        wire_write_bytes(out, 4, slice_of(span->parent_id, SPAN_ID_BYTES));
    }
    write_name(out, span);
    wire_write_varint(out, 6, reports_as_source(span) ? SPAN_KIND_CLIENT : SPAN_KIND_SERVER);
    wire_write_fixed64(out, 7, span->start_unix_ns);
    wire_write_fixed64(out, 8, span->start_unix_ns + span->duration_ns);
    write_attributes(out, span);
    if (is_error(span)) {
        struct wire_envelope status = wire_envelope_begin(out, 15, 2);
        wire_write_varint(out, 3, SPAN_STATUS_ERROR);
        wire_envelope_end(out, status);
    }
    wire_envelope_end(out, envelope);
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
