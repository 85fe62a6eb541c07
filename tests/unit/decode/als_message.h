/* Access log messages for tests: built from parts, so that a test changes one thing of an entry that is
 * otherwise good. */
#ifndef WEFT_TESTS_UNIT_DECODE_ALS_MESSAGE_H
#define WEFT_TESTS_UNIT_DECODE_ALS_MESSAGE_H

#include "core/buffer.h"
#include "core/slice.h"
#include "decode/wire_write.h"

#define ALS_START_S 1700000000ull
enum { ALS_HTTP = 2, ALS_TCP = 3, ALS_DURATION_US = 2500 };

static inline struct slice als_bytes(const struct buffer *buffer)
{
    return slice_of(buffer->data, buffer->length);
}

static inline void als_put_time(struct buffer *out, uint32_t number, uint64_t seconds, uint64_t nanos)
{
    struct wire_envelope time = wire_envelope_begin(out, number, 16);
    if (seconds != 0) {
        wire_write_varint(out, 1, seconds);
    }
    if (nanos != 0) {
        wire_write_varint(out, 2, nanos);
    }
    wire_envelope_end(out, time);
}

/* An entry of a map<string, string>. */
static inline void als_put_pair(struct buffer *out, uint32_t number, const char *key, const char *value)
{
    struct wire_envelope pair = wire_envelope_begin(out, number, 64);
    wire_write_bytes(out, 1, slice_of_string(key));
    wire_write_bytes(out, 2, slice_of_string(value));
    wire_envelope_end(out, pair);
}

static inline void als_put_address(struct buffer *out, uint32_t number, const char *host, uint64_t port)
{
    struct wire_envelope address = wire_envelope_begin(out, number, 32);
    struct wire_envelope inner = wire_envelope_begin(out, 1, 32);
    wire_write_bytes(out, 2, slice_of_string(host));
    wire_write_varint(out, 3, port);
    wire_envelope_end(out, inner);
    wire_envelope_end(out, address);
}

/* google.protobuf.Struct.fields: a string. */
static inline void als_put_field(struct buffer *out, const char *key, const char *text)
{
    struct wire_envelope pair = wire_envelope_begin(out, 1, 64);
    wire_write_bytes(out, 1, slice_of_string(key));
    struct wire_envelope value = wire_envelope_begin(out, 2, 64);
    wire_write_bytes(out, 3, slice_of_string(text));
    wire_envelope_end(out, value);
    wire_envelope_end(out, pair);
}

/* An identifier of a node with metadata, and what makes a real one large. */
static inline void als_put_identifier(struct buffer *out, const char *node_id, const char *cluster)
{
    struct wire_envelope identifier = wire_envelope_begin(out, 1, 256);
    struct wire_envelope node = wire_envelope_begin(out, 1, 256);
    wire_write_bytes(out, 1, slice_of_string(node_id));
    wire_write_bytes(out, 2, slice_of_string(cluster));
    struct wire_envelope extension = wire_envelope_begin(out, 9, 32);
    wire_write_bytes(out, 1, SLICE_LITERAL("envoy.statsd"));
    wire_envelope_end(out, extension);
    wire_envelope_end(out, node);
    wire_write_bytes(out, 2, SLICE_LITERAL("http"));
    wire_envelope_end(out, identifier);
}

struct als_entry_options {
    uint64_t start_s;        /* 0: ALS_START_S */
    uint64_t code;           /* 0: none */
    uint64_t flag;           /* number of its field, or 0 */
    uint64_t type;           /* AccessLogType */
    uint64_t attempts;       /* 0: not told */
    const char *cluster;     /* NULL: none */
    const char *tag, *value; /* a custom tag */
    struct slice common;     /* further fields of common_properties, encoded */
};

static inline void als_put_common(struct buffer *out, const struct als_entry_options *options)
{
    struct wire_envelope common = wire_envelope_begin(out, 1, 300);
    als_put_time(out, 5, options->start_s != 0 ? options->start_s : ALS_START_S, 250);
    als_put_time(out, 11, 0, 1000000);
    als_put_address(out, 13, "10.1.2.3", 8080);
    if (options->cluster != NULL) {
        wire_write_bytes(out, 15, slice_of_string(options->cluster));
    }
    if (options->flag != 0) {
        struct wire_envelope flags = wire_envelope_begin(out, 16, 4);
        if (options->flag == 13) {
            wire_write_bytes(out, 13, slice_of(NULL, 0));
        } else {
            wire_write_varint(out, (uint32_t)options->flag, 1);
        }
        wire_envelope_end(out, flags);
    }
    wire_write_bytes(out, 19, SLICE_LITERAL("default"));
    als_put_address(out, 20, "10.9.9.9", 50000);
    if (options->tag != NULL) {
        als_put_pair(out, 22, options->tag, options->value);
    }
    als_put_time(out, 23, 0, ALS_DURATION_US * 1000);
    if (options->attempts != 0) {
        wire_write_varint(out, 24, options->attempts);
    }
    wire_write_varint(out, 29, 77);
    wire_write_varint(out, 33, options->type);
    (void)buffer_append_slice(out, options->common);
    wire_envelope_end(out, common);
}

/* What stands inside one HTTPAccessLogEntry. */
static inline void als_put_http(struct buffer *out, const struct als_entry_options *options)
{
    als_put_common(out, options);
    wire_write_varint(out, 2, 2);
    struct wire_envelope request = wire_envelope_begin(out, 3, 200);
    wire_write_varint(out, 1, 1);
    wire_write_bytes(out, 2, SLICE_LITERAL("http"));
    wire_write_bytes(out, 3, SLICE_LITERAL("reviews.shop"));
    wire_write_bytes(out, 5, SLICE_LITERAL("/reviews/275517?token=secret"));
    wire_write_bytes(out, 9, SLICE_LITERAL("74e8944d-b515-987c-8418-1787e62695bb"));
    wire_write_varint(out, 12, 12);
    wire_envelope_end(out, request);
    struct wire_envelope response = wire_envelope_begin(out, 4, 40);
    if (options->code != 0) {
        struct wire_envelope code = wire_envelope_begin(out, 1, 4);
        wire_write_varint(out, 1, options->code);
        wire_envelope_end(out, code);
    }
    wire_write_varint(out, 3, 345);
    wire_write_bytes(out, 6, SLICE_LITERAL("via_upstream"));
    wire_envelope_end(out, response);
}

static inline void als_put_tcp(struct buffer *out, const struct als_entry_options *options)
{
    als_put_common(out, options);
    struct wire_envelope connection = wire_envelope_begin(out, 2, 8);
    wire_write_varint(out, 1, 70);
    wire_write_varint(out, 2, 1000);
    wire_envelope_end(out, connection);
}

/* One logs message of `count` equal entries; kind: ALS_HTTP or ALS_TCP. */
static inline void als_put_logs(
    struct buffer *out, uint32_t kind, const struct als_entry_options *options, uint32_t count)
{
    struct wire_envelope logs = wire_envelope_begin(out, kind, 700 * (size_t)count);
    for (uint32_t i = 0; i < count; i++) {
        struct wire_envelope entry = wire_envelope_begin(out, 1, 700);
        if (kind == ALS_HTTP) {
            als_put_http(out, options);
        } else {
            als_put_tcp(out, options);
        }
        wire_envelope_end(out, entry);
    }
    wire_envelope_end(out, logs);
}

#endif
