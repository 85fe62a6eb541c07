/*
 * One entry of the access log service: the hot path of als.h. Any thread.
 *
 * Every field is one step of a switch over the tag as it is on the wire; what is not needed is passed over.
 * A field that is needed and has a wire type that is not its own is damage: no encoder does that.
 */
#include "core/zero.h"
#include "decode/als_internal.h"
#include "decode/als_memory.h"

/* AccessLogType: what wrote the entry and when. */
enum log_type {
    LOG_TYPE_NOT_SET = 0,
    LOG_TYPE_TCP_CONNECTION_END = 3,
    LOG_TYPE_DOWNSTREAM_END = 6,
    LOG_TYPE_UPSTREAM_END = 9,
};

#define FIELD(number) (1ull << (number))
#define COMMON_BYTES                                                                                         \
    (FIELD(4) | FIELD(5) | FIELD(11) | FIELD(12) | FIELD(13) | FIELD(15) | FIELD(16) | FIELD(19) |           \
        FIELD(20) | FIELD(21) | FIELD(22) | FIELD(23) | FIELD(25))
#define COMMON_NUMBERS (FIELD(24) | FIELD(27) | FIELD(33))
#define REQUEST_FIELDS                                                                                       \
    (FIELD(1) | FIELD(3) | FIELD(5) | FIELD(6) | FIELD(9) | FIELD(10) | FIELD(12) | FIELD(13))
#define RESPONSE_FIELDS (FIELD(1) | FIELD(3) | FIELD(4) | FIELD(5) | FIELD(6))
#define ENTRY_FIELDS (FIELD(1) | FIELD(2) | FIELD(3) | FIELD(4))

/* An entry while it is read. */
struct entry_scan {
    struct access_log_entry *entry;
    struct als_memory *memory;
    bool wants_all;
    uint64_t type;        /* enum log_type */
    struct slice last_tx; /* a Duration, for an Envoy that does not tell its own */
    bool has_duration;
    bool is_intermediate;
    struct slice original_path;
    const char *field; /* being read, for errors */
};

/*
 * Encoders write fields in the order of their numbers. So each message is first read straight on, one test a
 * field, in that order: what comes next is then known to the processor before its length is read. A loop
 * behind takes what stands elsewhere or has another shape.
 */

/* Whether the tag is next; it has one or two bytes. */
static inline bool is_next(const uint8_t *at, const uint8_t *end, uint32_t tag)
{
    if (tag < 0x80) {
        return at < end && at[0] == tag;
    }
    return end - at >= 2 && at[0] == (0x80 | (tag & 0x7f)) && at[1] == tag >> 7;
}

/* Behind the field when it is next, is bytes, and is short; else where it stood. */
static inline const uint8_t *pass(const uint8_t *at, const uint8_t *end, uint32_t number)
{
    uint32_t tag = WIRE_TAG(number, WIRE_BYTES);
    uint32_t tag_bytes = tag < 0x80 ? 1 : 2;
    uint32_t head; /* the tag, the length, and what follows */

    if (__builtin_expect((size_t)(end - at) < sizeof head, 0)) {
        return at;
    }
    memcpy(&head, at, sizeof head);
    if (tag < 0x80 ? (head & 0x80ff) != tag : (head & 0x80ffff) != (0x80 | (tag & 0x7f) | tag >> 7 << 8)) {
        return at;
    }
    size_t bytes = tag_bytes + 1 + (head >> 8 * tag_bytes & 0x7f);
    if (__builtin_expect((size_t)(end - at) < bytes, 0)) {
        return at;
    }
    return at + bytes;
}

/* The same of a number. */
static inline const uint8_t *pass_number(const uint8_t *at, const uint8_t *end, uint32_t number)
{
    uint32_t tag = WIRE_TAG(number, WIRE_VARINT);

    if (is_next(at, end, tag)) {
        const uint8_t *value = at + (tag < 0x80 ? 1 : 2);
        while (value < end && *value >= 0x80) {
            value++;
        }
        if (__builtin_expect(value < end && value - at < 9, 1)) {
            return value + 1;
        }
    }
    return at;
}

static inline bool is_one_of(uint64_t fields, uint32_t number)
{
    return number < 64 && (fields >> number & 1) != 0;
}

/* A field that is not needed, or a needed one with a wire type that is not its own. */
static inline int pass_over(struct wire_reader *reader, uint32_t tag, uint64_t needed)
{
    if (is_one_of(needed, wire_tag_number(tag))) {
        return WERR_WIRE_TYPE;
    }
    return als_skip(reader, tag);
}

static int read_bool(struct wire_reader *reader, bool *ret_value)
{
    uint64_t value = 0;
    int error = als_varint(reader, &value);

    *ret_value = value != 0;
    return error;
}

static int read_attempts(struct wire_reader *reader, struct access_log_entry *entry)
{
    uint64_t value = 0;
    int error = als_varint(reader, &value);

    entry->attempts = value <= UINT32_MAX ? (uint32_t)value : UINT32_MAX;
    entry->has_attempts = true;
    return error;
}

static inline int read_tag(struct entry_scan *scan, struct slice encoded)
{
    if (als_tag_is_needless(encoded, scan->entry->upstream_cluster.length > 0)) {
        return 0;
    }
    return als_read_tag(encoded, scan->entry);
}

/* For what is called with a constant tag or field number in each of many places: there hardly anything is
 * left of it, but the whole of it is too much for the compiler's taste. */
#define FOLDED static inline __attribute__((always_inline))

/* A field of bytes, which may be read up to `room`. */
FOLDED int take_common(struct entry_scan *scan, uint32_t number, struct slice bytes, const uint8_t *room)
{
    struct access_log_entry *entry = scan->entry;

    switch (number) {
    case 4:
        return als_memory_read(scan->memory, bytes, als_read_tls, entry);
    case 5:
        return als_read_time(bytes, room, &entry->start_unix_ns);
    case 11:
        return als_read_time(bytes, room, &entry->first_byte_ns);
    case 12:
        scan->last_tx = bytes;
        return 0;
    case 13:
        return als_read_address(bytes, &entry->upstream_address, &entry->upstream_port);
    case 15:
        entry->upstream_cluster = bytes;
        return 0;
    case 16:
        return als_read_flags(bytes, &entry->response_flags);
    case 19:
        entry->route_name = bytes;
        return 0;
    case 20:
        return als_read_address(bytes, &entry->downstream_address, &entry->downstream_port);
    case 21:
        return als_memory_read(scan->memory, bytes, als_read_filter_state, entry);
    case 22:
        return read_tag(scan, bytes);
    case 23:
        scan->has_duration = true;
        return als_read_time(bytes, room, &entry->duration_ns);
    default:
        entry->details = bytes;
        return 0;
    }
}

FOLDED int read_common_field(struct entry_scan *scan, struct wire_reader *reader, uint32_t tag)
{
    uint32_t number = wire_tag_number(tag);
    struct slice bytes;
    int error;

    if (wire_tag_type(tag) == WIRE_BYTES && is_one_of(COMMON_BYTES, number)) {
        error = als_bytes(reader, &bytes);
        return error != 0 ? error : take_common(scan, number, bytes, reader->end);
    }
    switch (tag) {
    case WIRE_TAG(24, WIRE_VARINT):
        return read_attempts(reader, scan->entry);
    case WIRE_TAG(27, WIRE_VARINT):
        return read_bool(reader, &scan->is_intermediate);
    case WIRE_TAG(33, WIRE_VARINT):
        return als_varint(reader, &scan->type);
    default:
        return pass_over(reader, tag, COMMON_BYTES | COMMON_NUMBERS);
    }
}

/* Takes the field when it is next; TAKE_ALL: as often as it is. */
#define TAKE_BY(keyword, read, number, type)                                                                 \
    keyword(is_next(at, end, WIRE_TAG(number, type)) && error == 0)                                          \
    {                                                                                                        \
        struct wire_reader reader = {.at = at + ((number) < 16 ? 1 : 2), .end = end};                        \
        error = read(scan, &reader, WIRE_TAG(number, type));                                                 \
        at = reader.at;                                                                                      \
    }
#define TAKE(read, number, type) TAKE_BY(if, read, number, type)
#define TAKE_ALL(read, number, type) TAKE_BY(while, read, number, type)
/* The same of bytes that counting does without. */
#define TAKE_DETAIL(read, number)                                                                            \
    at = scan->wants_all ? at : pass(at, end, number);                                                       \
    TAKE(read, number, WIRE_BYTES)
#define PASS(number) at = pass(at, end, number)
#define PASS_NUMBER(number) at = pass_number(at, end, number)

static inline int read_common_on(struct entry_scan *scan, struct wire_reader *whole)
{
    const uint8_t *at = whole->at;
    const uint8_t *end = whole->end;
    int error = 0;

    PASS(2);
    PASS(3);
    TAKE(read_common_field, 4, WIRE_BYTES)
    TAKE(read_common_field, 5, WIRE_BYTES)
    PASS(6);
    PASS(7);
    PASS(8);
    PASS(9);
    PASS(10);
    TAKE_DETAIL(read_common_field, 11)
    TAKE(read_common_field, 12, WIRE_BYTES)
    TAKE_DETAIL(read_common_field, 13)
    PASS(14);
    TAKE(read_common_field, 15, WIRE_BYTES)
    TAKE(read_common_field, 16, WIRE_BYTES)
    TAKE_DETAIL(read_common_field, 19)
    TAKE(read_common_field, 20, WIRE_BYTES)
    TAKE_ALL(read_common_field, 21, WIRE_BYTES)
    TAKE_ALL(read_common_field, 22, WIRE_BYTES)
    TAKE(read_common_field, 23, WIRE_BYTES)
    TAKE(read_common_field, 24, WIRE_VARINT)
    PASS(26);
    PASS_NUMBER(29);
    PASS_NUMBER(30);
    PASS_NUMBER(31);
    PASS_NUMBER(32);
    TAKE(read_common_field, 33, WIRE_VARINT)
    whole->at = at;
    return error;
}

/* AccessLogCommon. */
static int read_common(struct entry_scan *scan, struct slice encoded)
{
    struct wire_reader reader = wire_reader_of(encoded);
    int error = read_common_on(scan, &reader);

    while (error == 0 && reader.at < reader.end) {
        uint32_t tag;
        error = als_tag(&reader, &tag);
        error = error == 0 ? read_common_field(scan, &reader, tag) : error;
    }
    if (error != 0 || scan->has_duration) {
        return error;
    }
    return als_time_of(scan->last_tx, &scan->entry->duration_ns);
}

/* RequestMethod of envoy/config/core/v3/base.proto. */
static int read_method(struct wire_reader *reader, struct slice *ret_method)
{
    static const struct slice methods[] = {
#define METHOD(text) {.ptr = (const uint8_t *)(text), .length = sizeof(text) - 1}
        METHOD(""),
        METHOD("GET"),
        METHOD("HEAD"),
        METHOD("POST"),
        METHOD("PUT"),
        METHOD("DELETE"),
        METHOD("CONNECT"),
        METHOD("OPTIONS"),
        METHOD("TRACE"),
        METHOD("PATCH"),
#undef METHOD
    };
    uint64_t number = 0;
    int error = als_varint(reader, &number);

    /* a method that the enumeration does not know comes as 0 */
    *ret_method = number < sizeof methods / sizeof methods[0] ? methods[number] : methods[0];
    return error;
}

/* request_headers, where the configuration adds them: content-type tells gRPC. */
static int read_request_header(struct wire_reader *reader, struct access_log_entry *entry)
{
    struct slice encoded;
    struct slice key;
    struct slice value;
    int error = als_bytes(reader, &encoded);

    error = error == 0 ? als_read_map_entry(encoded, &key, &value) : error;

    if (error == 0 && slice_equal(key, SLICE_LITERAL("content-type")) &&
        slice_has_prefix(value, SLICE_LITERAL("application/grpc"))) {
        entry->is_grpc = true;
    }
    return error;
}

FOLDED int read_request_field(struct entry_scan *scan, struct wire_reader *reader, uint32_t tag)
{
    struct access_log_entry *entry = scan->entry;

    switch (tag) {
    case WIRE_TAG(1, WIRE_VARINT):
        return read_method(reader, &entry->method);
    case WIRE_TAG(3, WIRE_BYTES):
        return als_bytes(reader, &entry->authority);
    case WIRE_TAG(5, WIRE_BYTES):
        return als_bytes(reader, &entry->path);
    case WIRE_TAG(6, WIRE_BYTES):
        return als_bytes(reader, &entry->user_agent);
    case WIRE_TAG(9, WIRE_BYTES):
        return als_bytes(reader, &entry->request_id);
    case WIRE_TAG(10, WIRE_BYTES):
        return als_bytes(reader, &scan->original_path);
    case WIRE_TAG(12, WIRE_VARINT):
        return als_varint(reader, &entry->request_bytes);
    case WIRE_TAG(13, WIRE_BYTES):
        return read_request_header(reader, entry);
    default:
        return pass_over(reader, tag, REQUEST_FIELDS);
    }
}

/* HTTPRequestProperties. */
static int read_request(struct entry_scan *scan, struct slice encoded)
{
    const uint8_t *at = encoded.ptr;
    const uint8_t *end = wire_reader_of(encoded).end;
    int error = 0;

    TAKE(read_request_field, 1, WIRE_VARINT)
    PASS(2);
    TAKE_DETAIL(read_request_field, 3)
    TAKE(read_request_field, 5, WIRE_BYTES)
    TAKE_DETAIL(read_request_field, 6)
    TAKE_DETAIL(read_request_field, 9)
    PASS_NUMBER(11);
    TAKE(read_request_field, 12, WIRE_VARINT)
    PASS_NUMBER(14);
    PASS_NUMBER(15);
    struct wire_reader reader = {.at = at, .end = end};
    while (error == 0 && reader.at < reader.end) {
        uint32_t tag;
        error = als_tag(&reader, &tag);
        error = error == 0 ? read_request_field(scan, &reader, tag) : error;
    }
    if (scan->original_path.length > 0) {
        scan->entry->path = scan->original_path; /* a route may have rewritten it */
    }
    return error;
}

/* response_headers or response_trailers: either may hold the status of a gRPC call. */
static int read_response_header(struct wire_reader *reader, struct access_log_entry *entry)
{
    struct slice encoded;
    struct slice key;
    struct slice value;
    int error = als_bytes(reader, &encoded);

    error = error == 0 ? als_read_map_entry(encoded, &key, &value) : error;

    if (error == 0 && slice_equal(key, SLICE_LITERAL("grpc-status"))) {
        als_take_grpc_status(value, entry);
    }
    return error;
}

static inline int read_code(struct wire_reader *reader, uint16_t *ret_code)
{
    struct slice encoded;
    uint64_t code = 0;
    int error = als_bytes(reader, &encoded);

    error = error == 0 ? als_read_number(encoded, &code) : error;
    *ret_code = code <= UINT16_MAX ? (uint16_t)code : 0;
    return error;
}

FOLDED int read_response_field(struct entry_scan *scan, struct wire_reader *reader, uint32_t tag)
{
    struct access_log_entry *entry = scan->entry;

    switch (tag) {
    case WIRE_TAG(1, WIRE_BYTES):
        return read_code(reader, &entry->response_code);
    case WIRE_TAG(3, WIRE_VARINT):
        return als_varint(reader, &entry->response_bytes);
    case WIRE_TAG(4, WIRE_BYTES):
    case WIRE_TAG(5, WIRE_BYTES):
        return read_response_header(reader, entry);
    case WIRE_TAG(6, WIRE_BYTES):
        return als_bytes(reader, &entry->details);
    default:
        return pass_over(reader, tag, RESPONSE_FIELDS);
    }
}

/* HTTPResponseProperties. */
static int read_response(struct entry_scan *scan, struct slice encoded)
{
    const uint8_t *at = encoded.ptr;
    const uint8_t *end = wire_reader_of(encoded).end;
    int error = 0;

    TAKE(read_response_field, 1, WIRE_BYTES)
    PASS_NUMBER(2);
    TAKE(read_response_field, 3, WIRE_VARINT)
    TAKE_DETAIL(read_response_field, 6)
    PASS_NUMBER(7);
    PASS_NUMBER(8);
    struct wire_reader reader = {.at = at, .end = end};
    while (error == 0 && reader.at < reader.end) {
        uint32_t tag;
        error = als_tag(&reader, &tag);
        error = error == 0 ? read_response_field(scan, &reader, tag) : error;
    }
    return error;
}

static int read_version(struct wire_reader *reader, struct access_log_entry *entry)
{
    static const uint8_t protocols[] = {ACCESS_LOG_PROTOCOL_UNTOLD, ACCESS_LOG_PROTOCOL_HTTP1,
        ACCESS_LOG_PROTOCOL_HTTP1, ACCESS_LOG_PROTOCOL_HTTP2, ACCESS_LOG_PROTOCOL_HTTP3};
    uint64_t number = 0;
    int error = als_varint(reader, &number);

    entry->protocol =
        number < sizeof protocols ? (enum access_log_protocol)protocols[number] : ACCESS_LOG_PROTOCOL_UNTOLD;
    return error;
}

/* ConnectionProperties: received_bytes = 1, sent_bytes = 2, as the one who opened the connection sent and got
 * them. */
static int read_connection(struct entry_scan *scan, struct slice encoded)
{
    struct wire_reader reader = wire_reader_of(encoded);
    struct wire_field field;
    int status;

    while ((status = wire_next(&reader, &field)) > 0) {
        if (field.tag == WIRE_TAG(1, WIRE_VARINT)) {
            scan->entry->request_bytes = field.integer;
        } else if (field.tag == WIRE_TAG(2, WIRE_VARINT)) {
            scan->entry->response_bytes = field.integer;
        }
    }
    return status;
}

static void begin(struct entry_scan *scan, struct access_log_entry *entry, struct als_memory *memory,
    bool wants_all, struct slice encoded)
{
    zero_bytes(entry, sizeof *entry);
    entry->raw = encoded;
    entry->has_request_bytes = entry->has_response_bytes = true;
    *scan = (struct entry_scan){.entry = entry, .memory = memory, .wants_all = wants_all, .field = "entry"};
}

static enum access_log_kind http_kind(const struct entry_scan *scan)
{
    if (scan->type == LOG_TYPE_UPSTREAM_END) {
        return ACCESS_LOG_ATTEMPT;
    }
    return !scan->is_intermediate && (scan->type == LOG_TYPE_DOWNSTREAM_END || scan->type == LOG_TYPE_NOT_SET)
               ? ACCESS_LOG_REQUEST
               : ACCESS_LOG_INTERMEDIATE;
}

/* An entry without a type is an old Envoy's TCP proxy's, which names a cluster, or a listener's own log,
 * which tells HTTP connections as well and does not. */
static enum access_log_kind tcp_kind(const struct entry_scan *scan)
{
    bool is_end = scan->type == LOG_TYPE_TCP_CONNECTION_END ||
                  (scan->type == LOG_TYPE_NOT_SET && scan->entry->upstream_cluster.length > 0);

    return is_end && !scan->is_intermediate ? ACCESS_LOG_CONNECTION : ACCESS_LOG_INTERMEDIATE;
}

FOLDED int read_http_field(struct entry_scan *scan, struct wire_reader *reader, uint32_t tag)
{
    struct slice encoded;
    int error;

    switch (tag) {
    case WIRE_TAG(1, WIRE_BYTES):
        scan->field = "common_properties";
        error = als_bytes(reader, &encoded);
        return error != 0 ? error : read_common(scan, encoded);
    case WIRE_TAG(2, WIRE_VARINT):
        scan->field = "protocol_version";
        return read_version(reader, scan->entry);
    case WIRE_TAG(3, WIRE_BYTES):
        scan->field = "request";
        error = als_bytes(reader, &encoded);
        return error != 0 ? error : read_request(scan, encoded);
    case WIRE_TAG(4, WIRE_BYTES):
        scan->field = "response";
        error = als_bytes(reader, &encoded);
        return error != 0 ? error : read_response(scan, encoded);
    default:
        scan->field = "entry";
        return pass_over(reader, tag, ENTRY_FIELDS);
    }
}

int als_read_http(struct slice encoded, struct als_memory *memory, bool wants_all,
    struct access_log_entry *entry, const char **ret_field)
{
    const uint8_t *at = encoded.ptr;
    const uint8_t *end = wire_reader_of(encoded).end;
    struct entry_scan room;
    struct entry_scan *scan = &room;
    int error = 0;

    begin(scan, entry, memory, wants_all, encoded);
    TAKE(read_http_field, 1, WIRE_BYTES)
    TAKE(read_http_field, 2, WIRE_VARINT)
    TAKE(read_http_field, 3, WIRE_BYTES)
    TAKE(read_http_field, 4, WIRE_BYTES)
    struct wire_reader reader = {.at = at, .end = end};
    while (error == 0 && reader.at < reader.end) {
        uint32_t tag;
        error = als_tag(&reader, &tag);
        error = error == 0 ? read_http_field(scan, &reader, tag) : error;
    }
    *ret_field = scan->field;
    entry->kind = http_kind(scan);
    return error;
}

int als_read_tcp(struct slice encoded, struct als_memory *memory, bool wants_all,
    struct access_log_entry *entry, const char **ret_field)
{
    struct wire_reader reader = wire_reader_of(encoded);
    struct entry_scan scan;
    struct wire_field field;
    int status;

    begin(&scan, entry, memory, wants_all, encoded);
    while ((status = wire_next(&reader, &field)) > 0) {
        uint32_t number = wire_tag_number(field.tag);

        scan.field = number == 1 ? "common_properties" : "connection_properties";
        if ((number == 1 || number == 2) && wire_tag_type(field.tag) != WIRE_BYTES) {
            status = WERR_WIRE_TYPE;
        } else if (number == 1) {
            status = read_common(&scan, field.bytes);
        } else if (number == 2) {
            status = read_connection(&scan, field.bytes);
        }
        if (status < 0) {
            break;
        }
    }
    *ret_field = scan.field;
    entry->kind = tcp_kind(&scan);
    return status;
}
