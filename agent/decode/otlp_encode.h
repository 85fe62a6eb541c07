/*
 * Writes OTLP from spans in normal form: the way out for native spans, which have no OTLP bytes of their own.
 * One message holds many spans; neighbours with the same reporter share a ResourceSpans.
 *
 *   begin ─► span ─► span ─► … ─► end         the message is TracesData, on the wire the same as
 * ExportTraceServiceRequest
 *
 * Conventions (OpenTelemetry semantic conventions 1.2x, HTTP and RPC): service.name is the side that reports,
 * peer.service the other one; what has no convention is called weft.*. Runs on the thread that owns the
 * buffer.
 */
#ifndef WEFT_DECODE_OTLP_ENCODE_H
#define WEFT_DECODE_OTLP_ENCODE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buffer.h"
#include "core/slice.h"
#include "decode/wire_write.h"

enum otlp_encode_reporter { OTLP_ENCODE_SOURCE, OTLP_ENCODE_DESTINATION, OTLP_ENCODE_WAYPOINT };

/* Texts are borrowed during the call; an empty one is not told. */
struct otlp_encode_span {
    enum otlp_encode_reporter reporter;
    struct slice source;
    struct slice source_namespace;
    struct slice destination;
    struct slice destination_namespace;
    struct slice route;     /* of gRPC: /package.Service/Method */
    struct slice method;    /* HTTP's */
    struct slice protocol;  /* "http1", "http2", "http3", "grpc", "tcp" or empty */
    uint32_t response_code; /* 0: no response */
    int32_t grpc_status;    /* below 0: not gRPC */
    uint64_t response_flags;
    uint32_t attempts; /* 0: cannot be told */
    uint64_t request_bytes;
    uint64_t response_bytes;
    uint64_t start_unix_ns;
    uint64_t duration_ns;
    uint64_t sampling_threshold; /* 56 bits; 0: every request is sent */
    const uint8_t *trace_id;     /* 16 bytes */
    const uint8_t *span_id;      /* 8 bytes */
    const uint8_t *parent_id;    /* 8 bytes, or NULL; all zero: none */
    bool is_access_log;          /* it was told by an access log: attribute weft.signal */
    struct slice attribute;      /* one more, an encoded KeyValue; empty: none */
};

/* A group that is larger is closed, so that its length fits the three bytes left for it. */
enum { OTLP_ENCODE_GROUP_BYTES_MAX = 1 << 20 };

struct otlp_encoder {
    struct buffer *out; /* borrowed */
    size_t begin_length;
    bool group_is_open;
    size_t service_at; /* the open group's texts in `out`: offsets, since the buffer may move */
    size_t service_length;
    size_t namespace_at;
    size_t namespace_length;
    struct wire_envelope resource_spans;
    struct wire_envelope scope_spans;
    uint32_t spans_count;
};

/* Appends to `out`, whose cap bounds the message. */
void otlp_encode_begin(struct otlp_encoder *encoder, struct buffer *out);

/*
 * 1 when written, 0 when left out because it belongs to no trace (all-zero trace or span id; such a span
 * cannot be OTLP). Negative when the buffer is full: the span is not in it, and the message may be ended and
 * sent without it.
 */
int otlp_encode_span(struct otlp_encoder *encoder, const struct otlp_encode_span *span);

/* Closes the message; returns how many spans it holds. With 0 nothing was appended. */
uint32_t otlp_encode_end(struct otlp_encoder *encoder);

#endif
