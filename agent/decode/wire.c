/* The rarer paths of the wire reader in wire.h. Pure functions of their input; any thread. */
#include "decode/wire.h"

int wire_varint_long(struct wire_reader *reader, uint64_t *ret_value)
{
    const uint8_t *at = reader->at;
    uint64_t value = 0;

    for (unsigned i = 0; i < WIRE_VARINT_BYTES_MAX; i++) {
        if (at == reader->end) {
            return WERR_TRUNCATED;
        }
        uint64_t byte = *at++;
        value |= (byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            if (i == WIRE_VARINT_BYTES_MAX - 1 && byte > 1) {
                return WERR_VARINT; /* bits above the 64th */
            }
            reader->at = at;
            *ret_value = value;
            return 0;
        }
    }
    return WERR_VARINT;
}

int wire_skip(struct wire_reader *reader, uint32_t tag)
{
    struct slice bytes;
    uint64_t integer;
    uint32_t small;

    switch (wire_tag_type(tag)) {
    case WIRE_VARINT:
        return wire_varint(reader, &integer);
    case WIRE_FIXED64:
        return wire_fixed64(reader, &integer);
    case WIRE_BYTES:
        return wire_bytes(reader, &bytes);
    case WIRE_FIXED32:
        return wire_fixed32(reader, &small);
    default:
        return WERR_WIRE_TYPE;
    }
}

static int read_value(struct wire_reader *reader, struct wire_field *field)
{
    uint32_t small = 0;
    int error;

    switch (wire_tag_type(field->tag)) {
    case WIRE_VARINT:
        return wire_varint(reader, &field->integer);
    case WIRE_FIXED64:
        return wire_fixed64(reader, &field->integer);
    case WIRE_BYTES:
        return wire_bytes(reader, &field->bytes);
    case WIRE_FIXED32:
        error = wire_fixed32(reader, &small);
        field->integer = small;
        return error;
    default:
        return WERR_WIRE_TYPE;
    }
}

int wire_next(struct wire_reader *reader, struct wire_field *ret_field)
{
    const uint8_t *start = reader->at;
    struct wire_field field = {.tag = 0};

    if (reader->at == reader->end) {
        return 0;
    }
    int error = wire_tag(reader, &field.tag);
    if (error == 0) {
        error = read_value(reader, &field);
    }
    if (error != 0) {
        return error;
    }
    field.raw = slice_of(start, (size_t)(reader->at - start));
    *ret_field = field;
    return 1;
}
