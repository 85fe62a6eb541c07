/* The wire writer of wire_write.h. Runs on whichever thread owns the buffer. */
#include "decode/wire_write.h"

#include <string.h>

void wire_write_varint(struct buffer *buffer, uint32_t number, uint64_t value)
{
    uint8_t bytes[2 * WIRE_VARINT_BYTES_MAX];
    uint8_t *end = wire_put_varint(wire_put_varint(bytes, WIRE_TAG(number, WIRE_VARINT)), value);

    (void)buffer_append(buffer, bytes, (size_t)(end - bytes));
}

void wire_write_fixed64(struct buffer *buffer, uint32_t number, uint64_t value)
{
    uint8_t bytes[WIRE_VARINT_BYTES_MAX + 8];
    uint8_t *end = wire_put_varint(bytes, WIRE_TAG(number, WIRE_FIXED64));

    memcpy(end, &value, sizeof value);
    (void)buffer_append(buffer, bytes, (size_t)(end - bytes) + sizeof value);
}

void wire_write_bytes(struct buffer *buffer, uint32_t number, struct slice bytes)
{
    uint8_t head[2 * WIRE_VARINT_BYTES_MAX];
    uint8_t *end = wire_put_varint(wire_put_varint(head, WIRE_TAG(number, WIRE_BYTES)), bytes.length);

    (void)buffer_append(buffer, head, (size_t)(end - head));
    (void)buffer_append_slice(buffer, bytes);
}

struct wire_envelope wire_envelope_begin(struct buffer *buffer, uint32_t number, size_t expected_bytes)
{
    static const uint8_t room[WIRE_VARINT_BYTES_MAX] = {0};
    uint8_t head[WIRE_VARINT_BYTES_MAX];
    uint8_t *end = wire_put_varint(head, WIRE_TAG(number, WIRE_BYTES));
    uint32_t width_bytes = wire_varint_size(expected_bytes);

    (void)buffer_append(buffer, head, (size_t)(end - head));
    (void)buffer_append(buffer, room, width_bytes);
    return (struct wire_envelope){.content_at = buffer->length, .width_bytes = width_bytes};
}

void wire_envelope_end(struct buffer *buffer, struct wire_envelope envelope)
{
    if (buffer->error != 0) {
        return;
    }
    size_t content_bytes = buffer->length - envelope.content_at;
    uint32_t width_bytes = wire_varint_size(content_bytes);
    size_t content_at = envelope.content_at - envelope.width_bytes + width_bytes;

    if (width_bytes > envelope.width_bytes &&
        buffer_reserve(buffer, width_bytes - envelope.width_bytes) == NULL) {
        return;
    }
    if (width_bytes != envelope.width_bytes) {
        memmove(buffer->data + content_at, buffer->data + envelope.content_at, content_bytes);
        buffer->length = content_at + content_bytes;
    }
    (void)wire_put_varint(buffer->data + (content_at - width_bytes), content_bytes);
}
