/* The parts of an access log entry that are messages of their own; see als_internal.h. Any thread. */
#include "decode/als_internal.h"
#include "decode/peer_metadata.h"

static inline bool is_told(struct slice text)
{
    return text.length > 0 && !(text.length == 1 && text.ptr[0] == '-');
}

int als_time_of(struct slice encoded, uint64_t *ret_ns)
{
    struct wire_reader reader = wire_reader_of(encoded);
    uint64_t seconds = 0;
    uint64_t nanos = 0;

    while (reader.at < reader.end) {
        uint32_t tag = *reader.at++;
        int error = WERR_INVALID;
        if (tag == WIRE_TAG(2, WIRE_VARINT)) {
            error = als_varint(&reader, &nanos);
        } else if (tag == WIRE_TAG(1, WIRE_VARINT)) {
            error = als_varint(&reader, &seconds);
        }
        if (error != 0) {
            return error;
        }
    }
    *ret_ns = als_ns_of(seconds, nanos);
    return 0;
}

/* A message whose only field is a number = 1: UInt32Value. */
int als_read_number(struct slice encoded, uint64_t *ret_number)
{
    struct wire_reader inner = wire_reader_of(encoded);
    struct wire_field field;
    int status;

    if (encoded.length == 3 && inner.at[0] == WIRE_TAG(1, WIRE_VARINT) && inner.at[1] >= 0x80 &&
        inner.at[2] < 0x80) { /* every status code */
        *ret_number = (inner.at[1] & 0x7fu) | (uint64_t)inner.at[2] << 7;
        return 0;
    }
    while ((status = wire_next(&inner, &field)) > 0) {
        if (field.tag == WIRE_TAG(1, WIRE_VARINT)) {
            *ret_number = field.integer;
        }
    }
    return status;
}

/* The usual shape of an Address: a socket address of a host shorter than 120 bytes and a port. False, and
 * nothing written, for all others. */
static inline bool read_plain_address(struct slice encoded, struct slice *ret_host, uint16_t *ret_port)
{
    const uint8_t *at = encoded.ptr;

    if (encoded.length < 6 || encoded.length > 127 || at[0] != WIRE_TAG(1, WIRE_BYTES) ||
        at[1] != encoded.length - 2 || at[2] != WIRE_TAG(2, WIRE_BYTES) || at[3] + 6u > encoded.length) {
        return false;
    }
    struct wire_reader rest = {.at = at + 4 + at[3], .end = at + encoded.length};
    uint64_t port = 0;
    if (*rest.at++ != WIRE_TAG(3, WIRE_VARINT) || als_varint(&rest, &port) != 0 || rest.at != rest.end ||
        port > UINT16_MAX) {
        return false;
    }
    *ret_host = slice_of(at + 4, at[3]);
    *ret_port = (uint16_t)port;
    return true;
}

/* Address: socket_address = 1 {address = 2, port_value = 3}, pipe = 2 {path = 1}. */
int als_read_address(struct slice encoded, struct slice *ret_host, uint16_t *ret_port)
{
    struct wire_field field;
    int status;

    if (__builtin_expect(read_plain_address(encoded, ret_host, ret_port), 1)) {
        return 0;
    }
    struct wire_reader outer = wire_reader_of(encoded);
    while ((status = wire_next(&outer, &field)) > 0) {
        if (wire_tag_type(field.tag) != WIRE_BYTES) {
            continue;
        }
        bool is_socket = wire_tag_number(field.tag) == 1;
        struct wire_reader inner = wire_reader_of(field.bytes);
        while ((status = wire_next(&inner, &field)) > 0) {
            if (field.tag == WIRE_TAG(is_socket ? 2 : 1, WIRE_BYTES)) {
                *ret_host = field.bytes;
            } else if (is_socket && field.tag == WIRE_TAG(3, WIRE_VARINT)) {
                *ret_port = field.integer <= UINT16_MAX ? (uint16_t)field.integer : 0;
            }
        }
        if (status < 0) {
            return status;
        }
    }
    return status;
}

/*
 * ResponseFlags: field n is bit n - 1 of Envoy's CoreResponseFlag (context/response_flags.h) up to 27; the
 * proto has no later ones. unauthorized_details = 13 is a message, all others are booleans.
 */
int als_read_flags(struct slice encoded, uint64_t *ret_flags)
{
    enum { FLAG_FIELDS_COUNT = 27, UNAUTHORIZED = 13 };
    struct wire_reader inner = wire_reader_of(encoded);
    struct wire_field field;
    uint64_t flags = 0;
    int status;

    while ((status = wire_next(&inner, &field)) > 0) {
        uint32_t number = wire_tag_number(field.tag);
        bool is_set =
            number == UNAUTHORIZED || (wire_tag_type(field.tag) == WIRE_VARINT && field.integer != 0);

        if (number <= FLAG_FIELDS_COUNT && is_set) {
            flags |= 1ull << (number - 1);
        }
    }
    *ret_flags = flags;
    return status;
}

/* The usual shape of an entry of a map: a key and a value, both shorter than 128 bytes. False, and nothing
 * written, for all others. */
static inline bool read_plain_pair(struct slice encoded, struct slice *ret_key, struct slice *ret_value)
{
    const uint8_t *at = encoded.ptr;

    if (encoded.length < 4 || at[0] != WIRE_TAG(1, WIRE_BYTES) || at[1] >= 0x80) {
        return false;
    }
    size_t key_bytes = at[1];
    if (key_bytes + 4 > encoded.length || at[2 + key_bytes] != WIRE_TAG(2, WIRE_BYTES) ||
        at[3 + key_bytes] >= 0x80 || at[3 + key_bytes] + key_bytes + 4 != encoded.length) {
        return false;
    }
    *ret_key = slice_of(at + 2, key_bytes);
    *ret_value = slice_of(at + 4 + key_bytes, at[3 + key_bytes]);
    return true;
}

/* An entry of a map<string, string> or map<string, message>: key = 1, value = 2. */
static int read_pair(struct slice encoded, struct slice *ret_key, struct slice *ret_value)
{
    struct wire_reader inner = wire_reader_of(encoded);
    struct wire_field field;
    int status;

    *ret_key = *ret_value = slice_of(NULL, 0);
    while ((status = wire_next(&inner, &field)) > 0) {
        if (field.tag == WIRE_TAG(1, WIRE_BYTES)) {
            *ret_key = field.bytes;
        } else if (field.tag == WIRE_TAG(2, WIRE_BYTES)) {
            *ret_value = field.bytes;
        }
    }
    return status;
}

int als_read_map_entry(struct slice encoded, struct slice *ret_key, struct slice *ret_value)
{
    return read_plain_pair(encoded, ret_key, ret_value) ? 0 : read_pair(encoded, ret_key, ret_value);
}

/* Eight hex digits as four bytes; false when one of them is none. */
static inline bool read_hex_word(const uint8_t *text, uint8_t *out)
{
    uint64_t word;

    memcpy(&word, text, 8);
    uint64_t low = word | 0x2020202020202020ull; /* letters in lower case; digits stay */
    uint64_t is_letter = (low >> 6) & 0x0101010101010101ull;
    uint64_t nibbles = (low & 0x0f0f0f0f0f0f0f0full) + is_letter * 9;
    uint64_t upper = (word ^ low) >> 5; /* only letters may have been written large */
    if (((upper & ~is_letter) | (nibbles & 0xf0f0f0f0f0f0f0f0ull)) != 0) {
        return false;
    }
    /* back to text: what is not the same was no digit */
    uint64_t tens = ((nibbles + 0x0606060606060606ull) >> 4) & 0x0101010101010101ull;
    uint64_t again = nibbles + 0x3030303030303030ull + tens * 0x27;
    if (again != low) {
        return false;
    }
    uint64_t pairs = (nibbles << 4 | nibbles >> 8) & 0x00ff00ff00ff00ffull;
    pairs = (pairs | pairs >> 8) & 0x0000ffff0000ffffull;
    uint32_t bytes = (uint32_t)(pairs | pairs >> 16);
    memcpy(out, &bytes, 4);
    return true;
}

/* 16 or 32 hex digits into the last bytes of `id`. False: something else, or all of them 0. */
static bool read_hex(struct slice text, uint8_t *id, size_t id_bytes)
{
    uint32_t any = 0;

    if (text.length != 16 && text.length != 32) {
        return false;
    }
    uint8_t *out = id + id_bytes - text.length / 2;
    for (size_t at = 0; at < text.length; at += 8) {
        uint32_t word;
        if (!read_hex_word(text.ptr + at, out + at / 2)) {
            return false;
        }
        memcpy(&word, out + at / 2, sizeof word);
        any |= word;
    }
    return any != 0;
}

/* 32 or 16 hex digits, or X-Ray's "1-5759e988-bd862e3fe1be46a994272793". */
static bool read_trace_id(struct slice text, uint8_t id[16])
{
    uint8_t digits[32];

    if (text.length == 35 && text.ptr[0] == '1' && text.ptr[1] == '-' && text.ptr[10] == '-') {
        memcpy(digits, text.ptr + 2, 8);
        memcpy(digits + 8, text.ptr + 11, 24);
        return read_hex(slice_of(digits, sizeof digits), id, 16);
    }
    return read_hex(text, id, 16);
}

void als_take_grpc_status(struct slice text, struct access_log_entry *entry)
{
    int32_t number = 0;

    if (!is_told(text) || text.length > 4) {
        return;
    }
    for (size_t i = 0; i < text.length; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') {
            return;
        }
        number = number * 10 + (text.ptr[i] - '0');
    }
    entry->grpc_status = number;
    entry->has_grpc_status = true;
}

static enum access_log_side side_of(struct slice text)
{
    if (slice_equal(text, SLICE_LITERAL("source"))) {
        return ACCESS_LOG_SIDE_SOURCE;
    }
    if (slice_equal(text, SLICE_LITERAL("destination"))) {
        return ACCESS_LOG_SIDE_DESTINATION;
    }
    return slice_equal(text, SLICE_LITERAL("waypoint")) ? ACCESS_LOG_SIDE_WAYPOINT : ACCESS_LOG_SIDE_UNTOLD;
}

/* For a key whose length is known: a constant one compares without a call. */
#define KEY_IS(text) (memcmp(key.ptr, (text), sizeof(text) - 1) == 0)

static inline void take_tag(struct access_log_entry *entry, struct slice key, struct slice value)
{
    if (!is_told(value)) {
        return;
    }
    switch (key.length) {
    case 7:
        if (KEY_IS("span_id")) {
            entry->has_span = value.length == 16 && read_hex(value, entry->span_id, sizeof entry->span_id);
        }
        break;
    case 8:
        if (KEY_IS("trace_id")) {
            entry->has_trace = read_trace_id(value, entry->trace_id);
        }
        break;
    case 10:
        if (KEY_IS("weft.route")) {
            entry->route = value;
        }
        break;
    case 11:
        if (KEY_IS("grpc_status")) {
            als_take_grpc_status(value, entry);
        }
        break;
    case 13:
        if (KEY_IS("weft.reporter")) {
            entry->side = side_of(value);
        }
        break;
    case 16:
        if (KEY_IS("upstream_cluster") && entry->upstream_cluster.length == 0) {
            entry->upstream_cluster = value;
        }
        break;
    case 21:
        if (KEY_IS("upstream_peer_uri_san")) {
            entry->upstream.identity = slice_sub(value, 0, slice_find(value, ','));
        }
        break;
    default:
        break;
    }
}

int als_read_tag(struct slice encoded, struct access_log_entry *entry)
{
    struct slice key;
    struct slice value;
    int error = als_read_map_entry(encoded, &key, &value);

    if (error == 0) {
        take_tag(entry, key, value);
    }
    return error;
}

int als_read_filter_state(struct slice encoded, struct access_log_entry *entry)
{
    struct slice key;
    struct slice value;
    int error = als_read_map_entry(encoded, &key, &value);

    if (error != 0) {
        return error;
    }
    if (slice_has_prefix(key, SLICE_LITERAL("wasm."))) {
        key = slice_sub(key, 5, key.length);
    }
    if (slice_equal(key, SLICE_LITERAL("upstream_peer"))) {
        return peer_metadata_read(value, &entry->upstream);
    }
    return slice_equal(key, SLICE_LITERAL("downstream_peer")) ? peer_metadata_read(value, &entry->downstream)
                                                              : 0;
}

/* On to the next field whose tag, without the bits of `either`, is `wanted`, of bytes: its tag; 0 at the end,
 * negative on damage. */
static inline int next_of(
    struct wire_reader *reader, uint32_t wanted, uint32_t either, struct slice *ret_bytes)
{
    while (reader->at < reader->end) {
        uint32_t tag;
        int error = als_tag(reader, &tag);

        if (error == 0 && (tag & ~either) == wanted) {
            error = als_bytes(reader, ret_bytes);
            return error != 0 ? error : (int)tag;
        }
        error = error == 0 ? als_skip(reader, tag) : error;
        if (error != 0) {
            return error;
        }
    }
    return 0;
}

/* SubjectAltName: uri = 1; the first SPIFFE one of a certificate counts. */
static inline int read_alternative(struct slice encoded, struct slice *ret_uri)
{
    struct wire_reader reader = wire_reader_of(encoded);
    struct slice uri = {.length = 0};
    int status;

    while ((status = next_of(&reader, WIRE_TAG(1, WIRE_BYTES), 0, &uri)) > 0) {
        if (ret_uri->length == 0 && uri.length > 9 && memcmp(uri.ptr, "spiffe://", 9) == 0) {
            *ret_uri = uri;
        }
    }
    return status;
}

/* CertificateProperties: subject_alt_name = 1. */
static int read_certificate(struct slice encoded, struct slice *ret_uri)
{
    struct wire_reader reader = wire_reader_of(encoded);
    struct slice alternative = {.length = 0};
    int status;

    while ((status = next_of(&reader, WIRE_TAG(1, WIRE_BYTES), 0, &alternative)) > 0) {
        status = read_alternative(alternative, ret_uri);
        if (status < 0) {
            break;
        }
    }
    return status;
}

/* TLSProperties: local_certificate_properties = 4, peer_certificate_properties = 5. */
int als_read_tls(struct slice encoded, struct access_log_entry *entry)
{
    enum { LOCAL = WIRE_TAG(4, WIRE_BYTES), PEER = WIRE_TAG(5, WIRE_BYTES) }; /* they differ in one bit */
    struct wire_reader reader = wire_reader_of(encoded);
    struct slice certificate = {.length = 0};
    int status;

    while ((status = next_of(&reader, LOCAL, LOCAL ^ PEER, &certificate)) > 0) {
        status = read_certificate(
            certificate, status == LOCAL ? &entry->local_identity : &entry->downstream.identity);
        if (status < 0) {
            break;
        }
    }
    return status;
}
