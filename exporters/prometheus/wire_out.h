/*
 * The protobuf wire format, written at the end of a buffer. Errors stick to the buffer, so a writer looks
 * once at its end. Any thread.
 *
 * The length of a nested message is known only when it is complete: wire_begin leaves one byte for it, and
 * wire_end moves the content up when that was too little.
 */
#ifndef WEFT_EXPORTERS_PROMETHEUS_WIRE_OUT_H
#define WEFT_EXPORTERS_PROMETHEUS_WIRE_OUT_H

#include <stdint.h>
#include <string.h>

#include "core/buffer.h"

enum { WIRE_VARINT_BYTES_MAX = 10 };
enum wire_out_type { WIRE_OUT_VARINT = 0, WIRE_OUT_FIXED64 = 1, WIRE_OUT_BYTES = 2 };

static inline void wire_out_varint(struct buffer *out, uint64_t value)
{
    uint8_t *at = buffer_reserve(out, WIRE_VARINT_BYTES_MAX);

    if (at == NULL) {
        return;
    }
    while (value >= 0x80) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    out->length = (size_t)(at - out->data);
}

static inline void wire_out_tag(struct buffer *out, uint32_t field, enum wire_out_type type)
{
    wire_out_varint(out, (uint64_t)field << 3 | type);
}

static inline void wire_out_u64(struct buffer *out, uint32_t field, uint64_t value)
{
    wire_out_tag(out, field, WIRE_OUT_VARINT);
    wire_out_varint(out, value);
}

/* sint32 and sint64: small magnitudes are short */
static inline uint64_t wire_out_zigzag(int64_t value)
{
    return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}

static inline void wire_out_double(struct buffer *out, uint32_t field, double value)
{
    uint64_t bits;
    uint8_t bytes[8];

    memcpy(&bits, &value, sizeof bits);
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(bits >> (8 * i));
    }
    wire_out_tag(out, field, WIRE_OUT_FIXED64);
    buffer_append(out, bytes, sizeof bytes);
}

static inline void wire_out_bytes(struct buffer *out, uint32_t field, const void *bytes, size_t length)
{
    wire_out_tag(out, field, WIRE_OUT_BYTES);
    wire_out_varint(out, length);
    buffer_append(out, bytes, length);
}

static inline void wire_out_text(struct buffer *out, uint32_t field, const char *text)
{
    wire_out_bytes(out, field, text, strlen(text));
}

/* Returns what wire_out_end wants: where the content begins. Ends nest as begins do. */
static inline size_t wire_out_begin(struct buffer *out, uint32_t field)
{
    wire_out_tag(out, field, WIRE_OUT_BYTES);
    buffer_append_byte(out, 0);
    return out->length;
}

static inline void wire_out_end(struct buffer *out, size_t content_at)
{
    if (out->error < 0) {
        return; /* content_at may mean nothing */
    }
    size_t length = out->length - content_at;
    size_t more_bytes = 0;
    for (size_t rest = length >> 7; rest > 0; rest >>= 7) {
        more_bytes++;
    }
    if (more_bytes > 0) {
        if (buffer_reserve(out, more_bytes) == NULL) {
            return;
        }
        memmove(out->data + content_at + more_bytes, out->data + content_at, length);
        out->length += more_bytes;
    }
    uint8_t *at = out->data + content_at - 1;
    for (; length >= 0x80; length >>= 7) {
        *at++ = (uint8_t)(length | 0x80);
    }
    *at = (uint8_t)length;
}

#endif
