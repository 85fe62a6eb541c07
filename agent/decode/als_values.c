/* The parts of an access log entry that are messages of their own; see als_internal.h. Any thread. */
#include "decode/als_internal.h"
#include "decode/peer_metadata.h"

static inline bool is_told(struct slice text)
{
    return text.length > 0 && !(text.length == 1 && text.ptr[0] == '-');
}

/* A message whose only field is a number = 1: UInt32Value. */
int als_read_number(struct wire_reader *reader, uint64_t *ret_number)
{
    struct slice encoded;
    struct wire_field field;
    int status = wire_bytes(reader, &encoded);

    if (status != 0) {
        return status;
    }
    struct wire_reader inner = wire_reader_of(encoded);
    while ((status = wire_next(&inner, &field)) > 0) {
        if (field.tag == WIRE_TAG(1, WIRE_VARINT)) {
            *ret_number = field.integer;
        }
    }
    return status;
}

/* Address: socket_address = 1 {address = 2, port_value = 3}, pipe = 2 {path = 1}. */
int als_read_address(struct wire_reader *reader, struct slice *ret_host, uint16_t *ret_port)
{
    struct slice encoded;
    struct wire_field field;
    int status = wire_bytes(reader, &encoded);

    if (status != 0) {
        return status;
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
int als_read_flags(struct wire_reader *reader, uint64_t *ret_flags)
{
    enum { FLAG_FIELDS_COUNT = 27, UNAUTHORIZED = 13 };
    struct slice encoded;
    struct wire_field field;
    uint64_t flags = 0;
    int status = wire_bytes(reader, &encoded);

    if (status != 0) {
        return status;
    }
    struct wire_reader inner = wire_reader_of(encoded);
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

/* An entry of a map<string, string> or map<string, message>: key = 1, value = 2. */
int als_read_map_entry(struct wire_reader *reader, struct slice *ret_key, struct slice *ret_value)
{
    struct slice encoded;
    struct wire_field field;
    int status = wire_bytes(reader, &encoded);

    *ret_key = *ret_value = slice_of(NULL, 0);
    if (status != 0) {
        return status;
    }
    struct wire_reader inner = wire_reader_of(encoded);
    while ((status = wire_next(&inner, &field)) > 0) {
        if (field.tag == WIRE_TAG(1, WIRE_BYTES)) {
            *ret_key = field.bytes;
        } else if (field.tag == WIRE_TAG(2, WIRE_BYTES)) {
            *ret_value = field.bytes;
        }
    }
    return status;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Hex digits into the last bytes of `id`, zeros before them. False: more than fit, an odd number, none, or
 * something else between them. */
static bool read_hex(struct slice text, uint8_t *id, size_t id_bytes)
{
    size_t count = text.length / 2;
    uint8_t any = 0;

    if (text.length % 2 != 0 || count == 0 || count > id_bytes) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        int high = hex_digit(text.ptr[2 * i]);
        int low = hex_digit(text.ptr[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        id[id_bytes - count + i] = (uint8_t)(high << 4 | low);
        any |= id[id_bytes - count + i];
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
    return (text.length == 32 || text.length == 16) && read_hex(text, id, 16);
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

static void take_tag(struct access_log_entry *entry, struct slice key, struct slice value)
{
    if (!is_told(value)) {
        return;
    }
    switch (key.length) {
    case 7:
        if (slice_equal(key, SLICE_LITERAL("span_id"))) {
            entry->has_span = value.length == 16 && read_hex(value, entry->span_id, sizeof entry->span_id);
        }
        break;
    case 8:
        if (slice_equal(key, SLICE_LITERAL("trace_id"))) {
            entry->has_trace = read_trace_id(value, entry->trace_id);
        }
        break;
    case 10:
        if (slice_equal(key, SLICE_LITERAL("weft.route"))) {
            entry->route = value;
        }
        break;
    case 11:
        if (slice_equal(key, SLICE_LITERAL("grpc_status"))) {
            als_take_grpc_status(value, entry);
        }
        break;
    case 13:
        if (slice_equal(key, SLICE_LITERAL("weft.reporter"))) {
            entry->side = side_of(value);
        }
        break;
    case 16:
        if (slice_equal(key, SLICE_LITERAL("upstream_cluster")) && entry->upstream_cluster.length == 0) {
            entry->upstream_cluster = value;
        }
        break;
    case 21:
        if (slice_equal(key, SLICE_LITERAL("upstream_peer_uri_san"))) {
            entry->upstream.identity = slice_sub(value, 0, slice_find(value, ','));
        }
        break;
    default:
        break;
    }
}

int als_read_tag(struct wire_reader *reader, struct access_log_entry *entry)
{
    struct slice key;
    struct slice value;
    int error = als_read_map_entry(reader, &key, &value);

    if (error == 0) {
        take_tag(entry, key, value);
    }
    return error;
}

int als_read_filter_state(struct wire_reader *reader, struct access_log_entry *entry)
{
    struct slice key;
    struct slice value;
    int error = als_read_map_entry(reader, &key, &value);

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

/* CertificateProperties: subject_alt_name = 1 {uri = 1}; the first SPIFFE one. */
static int read_certificate(struct slice encoded, struct slice *ret_uri)
{
    struct wire_reader outer = wire_reader_of(encoded);
    struct wire_field field;
    int status;

    while ((status = wire_next(&outer, &field)) > 0) {
        if (field.tag != WIRE_TAG(1, WIRE_BYTES)) {
            continue;
        }
        struct wire_reader inner = wire_reader_of(field.bytes);
        while ((status = wire_next(&inner, &field)) > 0) {
            if (field.tag == WIRE_TAG(1, WIRE_BYTES) && ret_uri->length == 0 &&
                slice_has_prefix(field.bytes, SLICE_LITERAL("spiffe://"))) {
                *ret_uri = field.bytes;
            }
        }
        if (status < 0) {
            return status;
        }
    }
    return status;
}

/* TLSProperties: local_certificate_properties = 4, peer_certificate_properties = 5. */
int als_read_tls(struct wire_reader *reader, struct access_log_entry *entry)
{
    struct slice encoded;
    struct wire_field field;
    int status = wire_bytes(reader, &encoded);

    if (status != 0) {
        return status;
    }
    struct wire_reader inner = wire_reader_of(encoded);
    while ((status = wire_next(&inner, &field)) > 0) {
        if (field.tag == WIRE_TAG(4, WIRE_BYTES)) {
            status = read_certificate(field.bytes, &entry->local_identity);
        } else if (field.tag == WIRE_TAG(5, WIRE_BYTES)) {
            status = read_certificate(field.bytes, &entry->downstream.identity);
        }
        if (status < 0) {
            return status;
        }
    }
    return status;
}
