/*
 * Parts of an access log entry, shared by als_entry.c and als_values.c. Nobody else includes it. Each reads
 * the value behind a tag that was read; 0 or a negative code.
 */
#ifndef WEFT_DECODE_ALS_INTERNAL_H
#define WEFT_DECODE_ALS_INTERNAL_H

#include "decode/als.h"
#include "decode/wire.h"

#define ALS_NS_PER_S 1000000000ull

/* Timestamp and Duration: seconds = 1, nanos = 2. What is before 1970, or negative, becomes 0. */
static inline int als_read_time(struct wire_reader *reader, uint64_t *ret_ns)
{
    struct slice encoded;
    int error = wire_bytes(reader, &encoded);
    uint64_t seconds = 0;
    uint64_t nanos = 0;

    if (error != 0) {
        return error;
    }
    struct wire_reader inner = wire_reader_of(encoded);
    while (inner.at < inner.end) {
        uint32_t tag = *inner.at++;
        if (tag == WIRE_TAG(1, WIRE_VARINT)) {
            error = wire_varint(&inner, &seconds);
        } else if (tag == WIRE_TAG(2, WIRE_VARINT)) {
            error = wire_varint(&inner, &nanos);
        } else {
            return WERR_INVALID;
        }
        if (error != 0) {
            return error;
        }
    }
    /* a negative number has its highest bit set */
    bool fits = seconds < UINT64_MAX / ALS_NS_PER_S && nanos < ALS_NS_PER_S;
    *ret_ns = fits ? seconds * ALS_NS_PER_S + nanos : 0;
    return 0;
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
