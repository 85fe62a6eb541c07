/*
 * The protobuf wire format, written to the end of a buffer. Errors stick to the buffer: check buffer->error
 * at the end.
 *
 * A nested message whose length is not known yet is an envelope: begin leaves room for a length of the
 * expected width, end fills it in, and moves the content only when the guess was wrong, so that lengths are
 * always in their shortest form.
 */
#ifndef WEFT_DECODE_WIRE_WRITE_H
#define WEFT_DECODE_WIRE_WRITE_H

#include "core/buffer.h"
#include "decode/wire.h"

struct wire_envelope {
    size_t content_at;    /* offset in the buffer */
    uint32_t width_bytes; /* room left for the length */
};

/* How many bytes a varint takes: 1 to 10. */
static inline uint32_t wire_varint_size(uint64_t value)
{
    return (uint32_t)(70 - __builtin_clzll(value | 1)) / 7;
}

/* Writes at `to`, which has room for it; returns the end of what was written. */
static inline uint8_t *wire_put_varint(uint8_t *to, uint64_t value)
{
    while (value >= 0x80) {
        *to++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *to++ = (uint8_t)value;
    return to;
}

void wire_write_varint(struct buffer *buffer, uint32_t number, uint64_t value);
void wire_write_fixed64(struct buffer *buffer, uint32_t number, uint64_t value);
void wire_write_bytes(struct buffer *buffer, uint32_t number, struct slice bytes);

/* expected_bytes: a guess at the content's length. */
struct wire_envelope wire_envelope_begin(struct buffer *buffer, uint32_t number, size_t expected_bytes);

/* Envelopes end in the reverse order of their beginning. */
void wire_envelope_end(struct buffer *buffer, struct wire_envelope envelope);

#endif
