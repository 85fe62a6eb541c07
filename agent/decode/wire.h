/*
 * The protobuf wire format, read in place: tags, varints, fixed-width numbers and length-delimited runs, each
 * checked against the end of its message. No allocation, no copies; slices borrow from the message. Runs on
 * any thread.
 *
 * Stricter than the format where leniency hides damage: a varint that does not fit 64 bits is refused instead
 * of cut, field number 0 and groups (wire types 3 and 4, which proto3 does not have) are refused. A field
 * with an unknown number is skipped. Recursive readers open each nested message with wire_open and so carry
 * their depth.
 */
#ifndef WEFT_DECODE_WIRE_H
#define WEFT_DECODE_WIRE_H

#include <stdint.h>
#include <string.h>

#include "core/error.h"
#include "core/slice.h"

_Static_assert(
    __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "fixed-width fields are read as they lie in memory");

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

enum { WIRE_VARINT_BYTES_MAX = 10 };

/* A field's tag as it is on the wire: usable as a case label. */
#define WIRE_TAG(number, type) ((uint32_t)(number) << 3 | (uint32_t)(type))

struct wire_reader {
    const uint8_t *at; /* next byte to read */
    const uint8_t *end;
};

/* One field; which member counts depends on the type. */
struct wire_field {
    uint32_t tag;
    uint64_t integer;   /* WIRE_VARINT, WIRE_FIXED64, WIRE_FIXED32 */
    struct slice bytes; /* WIRE_BYTES */
    struct slice raw;   /* tag and value as they came */
};

static inline struct wire_reader wire_reader_of(struct slice message)
{
    /* an empty slice may have no pointer, to which not even 0 may be added */
    return (struct wire_reader){
        .at = message.ptr, .end = message.length > 0 ? message.ptr + message.length : message.ptr};
}

static inline uint32_t wire_tag_number(uint32_t tag)
{
    return tag >> 3;
}

static inline uint32_t wire_tag_type(uint32_t tag)
{
    return tag & 7;
}

/* The integer of a WIRE_FIXED64 that is a double. */
static inline double wire_double(uint64_t bits)
{
    double value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

/* A reader for a nested message; WERR_DEPTH when no level is left. depth_left: levels that may still be
 * opened. */
static inline int wire_open(struct slice message, uint32_t depth_left, struct wire_reader *ret_reader)
{
    if (depth_left == 0) {
        return WERR_DEPTH;
    }
    *ret_reader = wire_reader_of(message);
    return 0;
}

/* The part of wire_varint for two bytes and more. */
int wire_varint_long(struct wire_reader *reader, uint64_t *ret_value);

/* WERR_TRUNCATED, or WERR_VARINT past ten bytes or 64 bits. */
static inline int wire_varint(struct wire_reader *reader, uint64_t *ret_value)
{
    if (__builtin_expect(reader->at < reader->end && *reader->at < 0x80, 1)) {
        *ret_value = *reader->at++;
        return 0;
    }
    return wire_varint_long(reader, ret_value);
}

/* WERR_TRUNCATED, WERR_VARINT, or WERR_INVALID for field number 0 or one above 2^29 - 1. */
static inline int wire_tag(struct wire_reader *reader, uint32_t *ret_tag)
{
    uint64_t tag;
    int error = wire_varint(reader, &tag);

    if (__builtin_expect(error != 0, 0)) {
        return error;
    }
    if (__builtin_expect(tag < 8 || tag > UINT32_MAX, 0)) {
        return WERR_INVALID;
    }
    *ret_tag = (uint32_t)tag;
    return 0;
}

/* A length and that many bytes. WERR_TRUNCATED when the message is shorter. */
static inline int wire_bytes(struct wire_reader *reader, struct slice *ret_bytes)
{
    uint64_t length;
    int error = wire_varint(reader, &length);

    if (__builtin_expect(error != 0, 0)) {
        return error;
    }
    if (__builtin_expect(length > (size_t)(reader->end - reader->at), 0)) {
        return WERR_TRUNCATED;
    }
    *ret_bytes = slice_of(reader->at, (size_t)length);
    reader->at += length;
    return 0;
}

static inline int wire_fixed64(struct wire_reader *reader, uint64_t *ret_value)
{
    if (__builtin_expect(reader->end - reader->at < 8, 0)) {
        return WERR_TRUNCATED;
    }
    memcpy(ret_value, reader->at, 8);
    reader->at += 8;
    return 0;
}

static inline int wire_fixed32(struct wire_reader *reader, uint32_t *ret_value)
{
    if (__builtin_expect(reader->end - reader->at < 4, 0)) {
        return WERR_TRUNCATED;
    }
    memcpy(ret_value, reader->at, 4);
    reader->at += 4;
    return 0;
}

/* Passes over a value whose tag was read. WERR_WIRE_TYPE for groups and the types that do not exist. */
int wire_skip(struct wire_reader *reader, uint32_t tag);

/* The next field of any kind: 1, 0 at the end of the message, negative on damage. For paths that are not hot.
 */
int wire_next(struct wire_reader *reader, struct wire_field *ret_field);

#endif
