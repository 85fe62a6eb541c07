/*
 * Parts of an access log entry, shared by als_entry.c and als_values.c. Nobody else includes it. Each reads
 * a value: 0 or a negative code.
 */
#ifndef WEFT_DECODE_ALS_INTERNAL_H
#define WEFT_DECODE_ALS_INTERNAL_H

#include "decode/als.h"
#include "decode/wire.h"

#define ALS_NS_PER_S 1000000000ull

static inline uint64_t als_load8(const uint8_t *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof word);
    return word;
}

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

/* A varint. Where eight bytes can be read, one of up to eight is taken without a branch for each of them. */
static inline int als_varint(struct wire_reader *reader, uint64_t *ret_value)
{
    if (__builtin_expect(reader->end - reader->at >= 8, 1)) {
        uint64_t word = als_load8(reader->at);
        uint64_t ends = ~word & 0x8080808080808080ull;
        if (__builtin_expect(ends != 0, 1)) {
            reader->at += (__builtin_ctzll(ends) >> 3) + 1;
            word &= (ends ^ (ends - 1)) & 0x7f7f7f7f7f7f7f7full;
            word = (word & 0x007f007f007f007full) | (word & 0x7f007f007f007f00ull) >> 1;
            word = (word & 0x00003fff00003fffull) | (word & 0x3fff00003fff0000ull) >> 2;
            *ret_value = (word & 0x0fffffffull) | (word & 0x0fffffff00000000ull) >> 4;
            return 0;
        }
    }
    return wire_varint(reader, ret_value);
}

/* A length of one or two bytes and that many bytes, without a call; others take the long way. */
static inline int als_bytes(struct wire_reader *reader, struct slice *ret_bytes)
{
    const uint8_t *at = reader->at;

    if (__builtin_expect(reader->end - at >= 2, 1)) {
        size_t length = *at++;
        if (length >= 0x80) {
            length = (length & 0x7f) | (size_t)*at++ << 7;
        }
        /* a third byte of a length would make it longer than this */
        if (__builtin_expect(length < 0x80u << 7 && length <= (size_t)(reader->end - at), 1)) {
            *ret_bytes = slice_of(at, length);
            reader->at = at + length;
            return 0;
        }
    }
    return wire_bytes(reader, ret_bytes);
}

/* Passes over a value, a short one without a call. */
static inline int als_skip(struct wire_reader *reader, uint32_t tag)
{
    struct slice bytes;
    uint64_t number;

    if (wire_tag_type(tag) == WIRE_BYTES) {
        return als_bytes(reader, &bytes);
    }
    return wire_tag_type(tag) == WIRE_VARINT ? als_varint(reader, &number) : wire_skip(reader, tag);
}

/* A negative number has its highest bit set. */
static inline uint64_t als_ns_of(uint64_t seconds, uint64_t nanos)
{
    bool fits = seconds < UINT64_MAX / ALS_NS_PER_S && nanos < ALS_NS_PER_S;

    return fits ? seconds * ALS_NS_PER_S + nanos : 0;
}

/* Timestamp and Duration: seconds = 1, nanos = 2. What is before 1970, or negative, becomes 0. */
int als_time_of(struct slice encoded, uint64_t *ret_ns);

/* The same where bytes may be read up to `room`, which is behind it or further on: then both numbers are read
 * as quickly as those that others follow. */
static inline int als_read_time(struct slice encoded, const uint8_t *room, uint64_t *ret_ns)
{
    struct wire_reader inner = {.at = encoded.ptr, .end = room};
    const uint8_t *end = wire_reader_of(encoded).end;
    uint64_t seconds = 0;
    uint64_t nanos = 0;
    int error = 0;

    if (inner.at < end && *inner.at == WIRE_TAG(1, WIRE_VARINT)) {
        inner.at++;
        error = als_varint(&inner, &seconds);
    }
    if (inner.at < end && *inner.at == WIRE_TAG(2, WIRE_VARINT)) {
        inner.at++;
        error |= als_varint(&inner, &nanos);
    }
    if (__builtin_expect(error != 0 || inner.at != end, 0)) {
        return als_time_of(encoded, ret_ns);
    }
    *ret_ns = als_ns_of(seconds, nanos);
    return 0;
}

/* UInt32Value. */
int als_read_number(struct slice encoded, uint64_t *ret_number);

/* Address, its host or path, and its port. */
int als_read_address(struct slice encoded, struct slice *ret_host, uint16_t *ret_port);

/* ResponseFlags as bits of context/response_flags.h. */
int als_read_flags(struct slice encoded, uint64_t *ret_flags);

/* An entry of a map<string, string> or map<string, message>. */
int als_read_map_entry(struct slice encoded, struct slice *ret_key, struct slice *ret_value);

/* Whether an encoded entry of custom_tags tells what is known already, told by how it begins. */
static inline bool als_tag_is_needless(struct slice encoded, bool has_cluster)
{
    uint64_t upstream_cluster;

    if (!has_cluster || encoded.length < sizeof upstream_cluster) {
        return false;
    }
    memcpy(&upstream_cluster, "\n\x10upstre", sizeof upstream_cluster);
    return als_load8(encoded.ptr) == upstream_cluster;
}

/* An entry of custom_tags, of filter_state_objects; tls_properties. */
int als_read_tag(struct slice encoded, struct access_log_entry *entry);
int als_read_filter_state(struct slice encoded, struct access_log_entry *entry);
int als_read_tls(struct slice encoded, struct access_log_entry *entry);

/* A gRPC status in decimal digits; anything else tells nothing. */
void als_take_grpc_status(struct slice text, struct access_log_entry *entry);

#endif
