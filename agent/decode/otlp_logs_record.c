/* One OTLP log record: its fields by the map of otlp_logs.h, and what they say of a request. Runs on the
 * shard that received the message; all input is checked. */
#include "decode/access_dialect.h"
#include "decode/otlp_logs.h"
#include "decode/utf8.h"

enum { TRACE_ID_BYTES = 16, SPAN_ID_BYTES = 8, RESPONSE_CODE_MAX = 999 };

#define NS_PER_US 1000u
#define NS_PER_MS 1000000u

static const struct {
    const char *key;
    uint8_t field;
} log_keys[] = {
#define WEFT_LOG_KEY(field, key) {(key), LOG_FIELD_##field},
    WEFT_LOG_KEYS(WEFT_LOG_KEY)
#undef WEFT_LOG_KEY
};

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

_Static_assert(COUNT_OF(log_keys) <= LOG_KEY_SLOT_COUNT / 2, "a half-empty table ends every look-up");

static uint32_t slot_of(struct slice key)
{
    uint64_t first;
    uint64_t last;

    attribute_key_words(key, &first, &last);
    return attribute_slot_index(first, last, key.length);
}

void otlp_logs_scanner_init(struct otlp_logs_scanner *scanner, const struct otlp_trace_scanner *base)
{
    scanner->base = base;
    memset(scanner->slots, LOG_FIELD_NONE, sizeof scanner->slots);
    for (size_t i = 0; i < COUNT_OF(log_keys); i++) {
        uint32_t slot = slot_of(slice_of_string(log_keys[i].key));
        while (scanner->slots[slot] != LOG_FIELD_NONE) {
            slot = (slot + 1) % LOG_KEY_SLOT_COUNT;
        }
        scanner->slots[slot] = (uint8_t)i;
    }
}

/* enum otlp_log_field or LOG_FIELD_NONE */
static uint8_t field_of(const struct otlp_logs_scanner *scanner, struct slice key)
{
    if (key.length < ATTRIBUTE_KEY_BYTES_MIN) {
        return LOG_FIELD_NONE;
    }
    for (uint32_t slot = slot_of(key); scanner->slots[slot] != LOG_FIELD_NONE;
         slot = (slot + 1) % LOG_KEY_SLOT_COUNT) {
        uint8_t at = scanner->slots[slot];
        if (slice_equal(key, slice_of_string(log_keys[at].key))) {
            return log_keys[at].field;
        }
    }
    return LOG_FIELD_NONE;
}

/* What of a record is read before it is judged. */
struct record {
    const struct otlp_logs_scanner *scanner;
    struct slice texts[LOG_FIELD_COUNT]; /* empty: not told */
    int64_t integers[LOG_FIELD_COUNT];
    bool is_integer[LOG_FIELD_COUNT];
    uint32_t attributes_count;
    uint64_t *skipped_count;
    bool is_dirty;
    bool is_map; /* the body */
    uint64_t time_unix_ns;
    uint64_t observed_unix_ns;
    struct slice trace_id;
    struct slice span_id;
};

/* "-" is how Envoy writes what there is not. */
static bool is_told(struct slice text)
{
    return text.length > 0 && !(text.length == 1 && text.ptr[0] == '-');
}

static void keep(struct record *record, const struct attribute *attribute)
{
    const struct attribute_value *value = &attribute->value;
    uint8_t field = field_of(record->scanner, attribute->key);

    if (field == LOG_FIELD_NONE || record->is_integer[field] || record->texts[field].length > 0) {
        return;
    }
    if (value->type == ATTRIBUTE_INTEGER) {
        record->is_integer[field] = true;
        record->integers[field] = value->integer;
    } else if (value->type == ATTRIBUTE_TEXT && is_told(value->text)) {
        if (value->text.length <= record->scanner->base->attribute_bytes_max) {
            record->texts[field] = value->text;
        } else {
            (*record->skipped_count)++;
        }
    }
}

static int read_attribute(struct record *record, struct slice encoded)
{
    struct attribute attribute;
    struct attribute_meaning meaning;
    int status = attribute_read(&record->scanner->base->attributes, encoded, &attribute, &meaning);

    if (status < 0) {
        return status;
    }
    /* records of many senders leave in one request, which a strict receiver would refuse for one bad text */
    if (!attribute_texts_are_valid(encoded, record->scanner->base->attributes.depth_max)) {
        return WERR_UTF8;
    }
    record->is_dirty |= status > 0;
    if (record->attributes_count++ < record->scanner->base->attributes_count_max) {
        keep(record, &attribute);
    } else {
        (*record->skipped_count)++;
    }
    return 0;
}

/* Entries of a map are read as attributes are; what is dirty in any body is found as in an attribute. */
static int read_body(struct record *record, struct slice encoded)
{
    const struct attribute_table *table = &record->scanner->base->attributes;
    struct attribute_value value;
    struct wire_reader reader;
    struct wire_field field;
    int status = attribute_value_parse(encoded, &value);

    if (status == 0 && !attribute_value_is_utf8(&value, table->depth_max)) {
        return WERR_UTF8;
    }
    if (status < 0 || (value.type != ATTRIBUTE_MAP && value.type != ATTRIBUTE_ARRAY)) {
        record->is_dirty |= status == 0 && value.irregular;
        return status;
    }
    status = attribute_list_is_dirty(table, &value, table->depth_max);
    record->is_dirty |= status > 0 || value.irregular;
    reader = wire_reader_of(value.text);
    while (status >= 0 && value.type == ATTRIBUTE_MAP && (status = wire_next(&reader, &field)) > 0) {
        if (field.tag == WIRE_TAG(1, WIRE_BYTES)) {
            status = read_attribute(record, field.bytes);
        }
    }
    return status < 0 ? status : 0;
}

static int read_field(struct record *record, const struct wire_field *field)
{
    switch (field->tag) {
    case WIRE_TAG(1, WIRE_FIXED64):
        record->time_unix_ns = field->integer;
        return 0;
    case WIRE_TAG(11, WIRE_FIXED64):
        record->observed_unix_ns = field->integer;
        return 0;
    case WIRE_TAG(3, WIRE_BYTES):  /* severity_text */
    case WIRE_TAG(12, WIRE_BYTES): /* event_name */
        return utf8_is_valid(field->bytes) ? 0 : (int)WERR_UTF8;
    case WIRE_TAG(5, WIRE_BYTES):
        return read_body(record, field->bytes);
    case WIRE_TAG(6, WIRE_BYTES):
        return read_attribute(record, field->bytes);
    case WIRE_TAG(9, WIRE_BYTES):
        record->trace_id = field->bytes;
        return 0;
    case WIRE_TAG(10, WIRE_BYTES):
        record->span_id = field->bytes;
        return 0;
    default:
        break;
    }
    switch (wire_tag_number(field->tag)) {
    case 1:
    case 5:
    case 6:
    case 9:
    case 10:
    case 11:
        return WERR_WIRE_TYPE;
    default:
        return 0;
    }
}

/* ---- from fields to an entry ---- */

static bool number_of(const struct record *record, enum otlp_log_field field, uint64_t *ret_number)
{
    struct slice text = record->texts[field];
    uint64_t number = 0;

    if (record->is_integer[field]) {
        *ret_number = (uint64_t)record->integers[field];
        return record->integers[field] >= 0;
    }
    for (size_t i = 0; i < text.length; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9' || __builtin_mul_overflow(number, 10u, &number) ||
            __builtin_add_overflow(number, (uint64_t)(text.ptr[i] - '0'), &number)) {
            return false;
        }
    }
    *ret_number = number;
    return text.length > 0;
}

static bool duration_of(
    const struct record *record, enum otlp_log_field field, uint64_t unit_ns, uint64_t *ret_ns)
{
    uint64_t number;

    if (record->is_integer[field]) {
        return number_of(record, field, &number) && !__builtin_mul_overflow(number, unit_ns, ret_ns);
    }
    return record->texts[field].length > 0 && access_decimal_ns(record->texts[field], unit_ns, ret_ns);
}

static bool has_duration(const struct record *record)
{
    uint64_t ns;

    return duration_of(record, LOG_FIELD_DURATION_US, NS_PER_US, &ns) ||
           duration_of(record, LOG_FIELD_DURATION_MS, NS_PER_MS, &ns);
}

static bool is_known(const struct record *record, enum otlp_log_field field)
{
    return record->is_integer[field] || record->texts[field].length > 0;
}

static enum access_log_protocol protocol_of(const struct record *record)
{
    struct slice text = record->texts[LOG_FIELD_PROTOCOL];

    if (slice_has_prefix(text, SLICE_LITERAL("HTTP/"))) {
        text = slice_sub(text, 5, text.length);
    } else if (text.length == 0) {
        text = record->texts[LOG_FIELD_PROTOCOL_VERSION];
    }
    if (text.length == 0) {
        return ACCESS_LOG_PROTOCOL_UNTOLD;
    }
    switch (text.ptr[0]) {
    case '1':
        return ACCESS_LOG_PROTOCOL_HTTP1;
    case '2':
        return ACCESS_LOG_PROTOCOL_HTTP2;
    case '3':
        return ACCESS_LOG_PROTOCOL_HTTP3;
    default:
        return ACCESS_LOG_PROTOCOL_UNTOLD;
    }
}

/*
 * What Envoy's %ACCESS_LOG_TYPE% says (envoy/data/accesslog/v3/accesslog.proto, AccessLogType). A type that
 * is not named here is of something that goes on, or of no request.
 */
static enum access_log_kind kind_of_type(struct slice type)
{
    if (slice_equal(type, SLICE_LITERAL("DownstreamEnd"))) {
        return ACCESS_LOG_REQUEST;
    }
    if (slice_equal(type, SLICE_LITERAL("UpstreamEnd"))) {
        return ACCESS_LOG_ATTEMPT;
    }
    return slice_equal(type, SLICE_LITERAL("TcpConnectionEnd")) ? ACCESS_LOG_CONNECTION
                                                                : ACCESS_LOG_INTERMEDIATE;
}

/*
 * Whether the record is an access log's, and of what. An application's own log line may name a method and a
 * status, too: so the writer must be a proxy, or the record say on which side of the request it stands.
 */
static bool kind_of(const struct record *record, bool is_envoy, enum access_log_kind *ret_kind)
{
    struct slice type = record->texts[LOG_FIELD_TYPE];

    if (type.length > 0 && !slice_equal(type, SLICE_LITERAL("NotSet"))) {
        *ret_kind = kind_of_type(type);
        return true;
    }
    if ((!is_envoy && !is_known(record, LOG_FIELD_REPORTER)) || !has_duration(record)) {
        return false;
    }
    bool is_http = is_known(record, LOG_FIELD_METHOD) || protocol_of(record) != ACCESS_LOG_PROTOCOL_UNTOLD;
    *ret_kind = is_http ? ACCESS_LOG_REQUEST : ACCESS_LOG_CONNECTION;
    return is_http || is_known(record, LOG_FIELD_SENT);
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

static void fill_ending(const struct record *record, struct access_log_entry *entry)
{
    uint64_t number;

    if (number_of(record, LOG_FIELD_CODE, &number) && number <= RESPONSE_CODE_MAX) {
        entry->response_code = (uint16_t)number;
    }
    if (number_of(record, LOG_FIELD_GRPC_STATUS, &number) && number <= INT32_MAX) {
        entry->grpc_status = (int32_t)number;
        entry->has_grpc_status = true;
    }
    if (number_of(record, LOG_FIELD_ATTEMPTS, &number) && number <= UINT32_MAX) {
        entry->attempts = (uint32_t)number;
        entry->has_attempts = true;
    }
    if (!duration_of(record, LOG_FIELD_DURATION_US, NS_PER_US, &entry->duration_ns)) {
        (void)duration_of(record, LOG_FIELD_DURATION_MS, NS_PER_MS, &entry->duration_ns);
    }
    entry->has_request_bytes = number_of(record, LOG_FIELD_RECEIVED, &entry->request_bytes);
    entry->has_response_bytes = number_of(record, LOG_FIELD_SENT, &entry->response_bytes);
    entry->response_flags_text = record->texts[LOG_FIELD_FLAGS];
    entry->details = record->texts[LOG_FIELD_DETAILS].length > 0 ? record->texts[LOG_FIELD_DETAILS]
                                                                 : record->texts[LOG_FIELD_TERMINATION];
    entry->protocol = protocol_of(record);
}

static void fill_names(const struct record *record, struct access_log_entry *entry)
{
    entry->side = side_of(record->texts[LOG_FIELD_REPORTER]);
    entry->method = record->texts[LOG_FIELD_METHOD];
    entry->path = record->texts[LOG_FIELD_PATH];
    entry->route = record->texts[LOG_FIELD_ROUTE];
    entry->authority = record->texts[LOG_FIELD_AUTHORITY];
    entry->user_agent = record->texts[LOG_FIELD_USER_AGENT];
    entry->route_name = record->texts[LOG_FIELD_ROUTE_NAME];
    entry->upstream_cluster = record->texts[LOG_FIELD_UPSTREAM_CLUSTER];
    entry->upstream_address = record->texts[LOG_FIELD_UPSTREAM_HOST];
    entry->downstream_address = record->texts[LOG_FIELD_DOWNSTREAM_HOST];
    entry->upstream.identity = record->texts[LOG_FIELD_UPSTREAM_IDENTITY];
    entry->downstream.identity = record->texts[LOG_FIELD_DOWNSTREAM_IDENTITY];
    entry->local_identity = record->texts[LOG_FIELD_LOCAL_IDENTITY];
    entry->request_id = record->texts[LOG_FIELD_REQUEST_ID];
}

static bool is_all_zero(struct slice id)
{
    uint8_t seen = 0;

    for (size_t i = 0; i < id.length; i++) {
        seen |= id.ptr[i];
    }
    return seen == 0;
}

/* Ids may be missing, or be zeros, which is the same; anything else has one length. */
static enum record_error read_ids(const struct record *record, struct access_log_entry *entry)
{
    bool has_trace = !is_all_zero(record->trace_id);
    bool has_span = !is_all_zero(record->span_id);

    if (has_trace && record->trace_id.length != TRACE_ID_BYTES) {
        return RECORD_ERROR_TRACE_ID;
    }
    if (has_span && record->span_id.length != SPAN_ID_BYTES) {
        return RECORD_ERROR_SPAN_ID;
    }
    if (has_trace) {
        memcpy(entry->trace_id, record->trace_id.ptr, TRACE_ID_BYTES);
    }
    if (has_span) {
        memcpy(entry->span_id, record->span_id.ptr, SPAN_ID_BYTES);
    }
    entry->has_trace = has_trace;
    entry->has_span = has_span;
    return RECORD_ERROR_NONE;
}

static enum record_error refuse(
    struct decode_error *where, enum record_error reason, int code, const char *field)
{
    where->code = code;
    where->reason = reason;
    where->field = field;
    return reason;
}

enum record_error otlp_logs_read_record(const struct otlp_logs_scanner *scanner, struct slice encoded,
    uint64_t now_unix_ns, bool is_envoy, struct access_log_entry *ret_entry, bool *ret_is_access_log,
    bool *ret_is_dirty, uint64_t *skipped_count, struct decode_error *where)
{
    struct record record = {.scanner = scanner, .skipped_count = skipped_count};
    struct access_log_entry entry = {.raw = encoded};
    struct wire_reader reader = wire_reader_of(encoded);
    struct wire_field field;
    int status;

    while ((status = wire_next(&reader, &field)) > 0) {
        status = read_field(&record, &field);
        if (status < 0) {
            break;
        }
    }
    if (status < 0) {
        return refuse(
            where, status == WERR_UTF8 ? RECORD_ERROR_UTF8 : RECORD_ERROR_MALFORMED, status, "log_record");
    }
    enum record_error reason = read_ids(&record, &entry);
    if (reason != RECORD_ERROR_NONE) {
        return refuse(where, reason, WERR_INVALID, reason == RECORD_ERROR_TRACE_ID ? "trace_id" : "span_id");
    }
    *ret_is_dirty = record.is_dirty;
    *ret_is_access_log = kind_of(&record, is_envoy, &entry.kind);
    fill_ending(&record, &entry);
    fill_names(&record, &entry);
    entry.start_unix_ns = record.time_unix_ns != 0 ? record.time_unix_ns : record.observed_unix_ns;
    if (entry.start_unix_ns == 0) { /* then it has ended just now */
        entry.start_unix_ns = now_unix_ns > entry.duration_ns ? now_unix_ns - entry.duration_ns : 0;
    }
    *ret_entry = entry;
    return RECORD_ERROR_NONE;
}
