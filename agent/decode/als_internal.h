/*
 * Parts of an access log entry, shared by als_entry.c and als_values.c. Nobody else includes it. Each reads
 * the value behind a tag that was read; 0 or a negative code.
 */
#ifndef WEFT_DECODE_ALS_INTERNAL_H
#define WEFT_DECODE_ALS_INTERNAL_H

#include "decode/als.h"
#include "decode/wire.h"

#define ALS_NS_PER_S 1000000000ull

/* A tag of one or two bytes, which all of them are here; others take the long way. */
static inline int als_tag(struct wire_reader *reader, uint32_t *ret_tag)
{
    const uint8_t *at = reader->at;

    if (__builtin_expect(reader->end - at >= 2, 1)) {
        if (at[0] < 0x80 && at[0] >= 8) {
            *ret_tag = at[0];
            reader->at = at + 1;
            return 0;
        }
        if (at[0] >= 0x80 && at[1] < 0x80 && at[1] != 0) {
            *ret_tag = (at[0] & 0x7fu) | (uint32_t)at[1] << 7;
            reader->at = at + 2;
            return 0;
        }
    }
    return wire_tag(reader, ret_tag);
}

/* Passes over a value, a short one without a call. */
static inline int als_skip(struct wire_reader *reader, uint32_t tag)
{
    const uint8_t *at = reader->at;

    if (__builtin_expect(at < reader->end && *at < 0x80, 1)) {
        if (wire_tag_type(tag) == WIRE_VARINT) {
            reader->at = at + 1;
            return 0;
        }
        if (wire_tag_type(tag) == WIRE_BYTES && (size_t)(reader->end - at - 1) >= *at) {
            reader->at = at + 1 + *at;
            return 0;
        }
    }
    return wire_skip(reader, tag);
}

/* A varint of up to five bytes without a call. */
static inline int als_varint(struct wire_reader *reader, uint64_t *ret_value)
{
    const uint8_t *at = reader->at;

    if (__builtin_expect(reader->end - at >= 5, 1)) {
        uint64_t value = 0;
        for (unsigned shift = 0; shift < 35; shift += 7) {
            uint64_t byte = *at++;
            value |= (byte & 0x7f) << shift;
            if (byte < 0x80) {
                *ret_value = value;
                reader->at = at;
                return 0;
            }
        }
    }
    return wire_varint(reader, ret_value);
}

/* Timestamp and Duration: seconds = 1, nanos = 2. What is before 1970, or negative, becomes 0. */
int als_time_of(struct slice encoded, uint64_t *ret_ns);

static inline int als_read_time(struct wire_reader *reader, uint64_t *ret_ns)
{
    struct slice encoded;
    int error = wire_bytes(reader, &encoded);

    return error != 0 ? error : als_time_of(encoded, ret_ns);
}

/* UInt32Value. */
int als_read_number(struct wire_reader *reader, uint64_t *ret_number);

/* Address, its host or path, and its port. */
int als_read_address(struct wire_reader *reader, struct slice *ret_host, uint16_t *ret_port);

/* ResponseFlags as bits of context/response_flags.h. */
int als_read_flags(struct wire_reader *reader, uint64_t *ret_flags);

/* An entry of a map<string, string> or map<string, message>. */
int als_read_map_entry(struct wire_reader *reader, struct slice *ret_key, struct slice *ret_value);

/* An entry of custom_tags, of filter_state_objects; tls_properties. */
int als_read_tag(struct wire_reader *reader, struct access_log_entry *entry);
int als_read_filter_state(struct wire_reader *reader, struct access_log_entry *entry);
int als_read_tls(struct wire_reader *reader, struct access_log_entry *entry);

/* A gRPC status in decimal digits; anything else tells nothing. */
void als_take_grpc_status(struct slice text, struct access_log_entry *entry);

#endif
