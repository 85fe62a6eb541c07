/*
 * OTLP written from JSON: what the decoders of Zipkin and X-Ray share. Each of them turns a whole document
 * into one ExportTraceServiceRequest, which then goes the way of all OTLP messages: it is scanned, put into
 * context, counted, redacted and exported as if an OTLP sender had written it. So nothing of a document is
 * applied before all of it was read, and a document that is broken anywhere is refused whole.
 *
 *   span_begin ─► attributes, events, fields into writer->span ─► span_end(service, sdk)
 *
 * Neighbours of one service share a ResourceSpans. Texts stay as they were sent but for their escapes. Field
 * numbers: opentelemetry/proto/{trace,resource,common}/v1. Runs on the thread that owns the buffer.
 */
#ifndef WEFT_DECODE_JSON_OTLP_H
#define WEFT_DECODE_JSON_OTLP_H

#include "core/buffer.h"
#include "decode/decode_error.h"
#include "decode/json.h"
#include "decode/wire_write.h"

/*
 * Room for what a document of `bytes` can become at worst: a service is named anew for each change of it, and
 * an integer below 0 takes ten bytes. Nearly all become smaller than they came.
 */
#define JSON_OTLP_BYTES_MAX(bytes) (4096 + 6 * (bytes))

/* What became of a document's records. */
struct json_otlp_result {
    uint32_t spans_count;                 /* written; the scanner may still refuse some of them */
    uint32_t refused_count;               /* left out, one by one */
    uint32_t ignored_count;               /* records that are no spans yet (X-Ray's in_progress) */
    uint32_t refused[RECORD_ERROR_COUNT]; /* the same by reason */
    struct decode_error first;            /* which was the first refused, and why */
};

struct json_otlp_writer {
    struct buffer *out; /* borrowed */
    struct buffer span; /* the one being written */
    struct wire_envelope resource_spans;
    struct wire_envelope scope_spans;
    bool group_is_open;
    struct slice service; /* of the open group, as the document writes it */
    struct slice sdk;
};

/* Appends to `out`, which has room for JSON_OTLP_BYTES_MAX. */
void json_otlp_begin(struct json_otlp_writer *writer, struct buffer *out);

/* Closes the message; returns the first error of either buffer, or 0. */
int json_otlp_end(struct json_otlp_writer *writer);

/* Forgets a span that was begun and is not to be written. */
void json_otlp_span_begin(struct json_otlp_writer *writer);

/* service: a string, or anything else where it is not told. sdk: what the resource calls telemetry.sdk.name,
 * or empty. */
void json_otlp_span_end(struct json_otlp_writer *writer, const struct json_value *service, struct slice sdk);

/* A string without its escapes, as a field of bytes. */
void json_write_text(struct buffer *out, uint32_t number, const struct json_value *string);

/*
 * Attributes (KeyValue) of scalars: strings, booleans, integers, doubles; null is left out. write_tag writes
 * every value as text: Zipkin's tags are. `number` is below 16.
 */
void json_write_attribute(
    struct buffer *out, uint32_t number, const struct json_value *key, const struct json_value *value);
void json_write_tag(
    struct buffer *out, uint32_t number, const struct json_value *key, const struct json_value *value);

/*
 * An attribute of any value that `reader` has just returned: objects and arrays become KeyValueList and
 * ArrayValue, so that what is secret in them is found; empty ones are left out. 0, or the reader's error.
 */
int json_write_any(struct json_reader *reader, struct buffer *out, uint32_t number,
    const struct json_value *key, const struct json_value *value);

/* A key that the decoder gives. */
static inline struct json_value json_key(struct slice text)
{
    return (struct json_value){.type = JSON_STRING, .text = text};
}

/*
 * A span's ids, times and kind into writer->span. Times in nanoseconds; parent: 8 bytes, all zero for none.
 */
struct json_otlp_head {
    uint8_t trace_id[16];
    uint8_t span_id[8];
    uint8_t parent_id[8];
    uint64_t start_unix_ns;
    uint64_t end_unix_ns;
    uint8_t kind; /* enum span_kind */
};
void json_otlp_head(struct json_otlp_writer *writer, const struct json_otlp_head *head);

/* Status: code 2, an error, with a message where `message` is a string that is not empty. */
void json_otlp_failed(struct json_otlp_writer *writer, const struct json_value *message);

enum { JSON_HEX_ID_BYTES_MAX = 16 };

/*
 * Hex digits of any case into `id`, zeroes in front of a short one. WERR_INVALID: none, too many, or others;
 * nothing is written then.
 */
int json_hex_id(struct slice digits, uint8_t *ret_id, size_t id_bytes);

/* Counts a record that is left out. */
void json_otlp_refuse(
    struct json_otlp_result *result, uint32_t record, enum record_error reason, const char *field);

#endif
