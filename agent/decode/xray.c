/* X-Ray's segments to OTLP; see xray.h. On the thread that owns the buffer. */
#include "decode/xray.h"

#include <math.h>

#include "core/error.h"
#include "decode/span.h"

enum {
    FIELD_ATTRIBUTE = 9, /* of Span */
    TRACE_EPOCH_DIGITS = 8,
    TRACE_REST_DIGITS = 24,
    SPAN_ID_DIGITS = 16,
    FRACTION_DIGITS = 9, /* of a second that are read */
    SECOND_DIGITS_MAX = 10,
};
#define NS_PER_S 1000000000ull

/* What a nested subsegment has from what holds it; all NULL for a document's own segment. */
struct xray_parent {
    const struct json_otlp_head *head;
    const struct json_value *service;
    struct slice sdk;
};

/* One segment or subsegment while its members are read. What is JSON_NULL was not there. */
struct xray_segment {
    struct json_otlp_writer *writer;
    struct json_reader *reader;
    struct json_value name, id, trace_id, parent_id, start, end, type, namespace;
    struct json_value fault, error, throttle, in_progress;
    struct json_value subsegments; /* skipped, to be read when this one is written */
    uint32_t depth_left;           /* where those began */
    bool is_envoy;
    bool is_egress;
    const char *bad_field; /* the first one that is not of its type; NULL: none */
};

struct xray_pass {
    struct json_otlp_writer *writer;
    struct json_otlp_result *result;
    uint32_t record; /* segments and subsegments so far */
};

static void blame(struct xray_segment *segment, const char *field)
{
    if (segment->bad_field == NULL) {
        segment->bad_field = field;
    }
}

static int pass_over(struct xray_segment *segment, struct json_value *value, const char *field)
{
    if (value->type != JSON_NULL) {
        blame(segment, field);
    }
    return json_skip(segment->reader, value);
}

/* ---- what is inside a segment ---- */

static int take_annotation(
    struct xray_segment *segment, const struct json_value *key, const struct json_value *value)
{
    if (slice_equal(key->text, SLICE_LITERAL("component"))) {
        segment->is_envoy = slice_equal(value->text, SLICE_LITERAL("proxy"));
    } else if (slice_equal(key->text, SLICE_LITERAL("direction"))) {
        segment->is_egress = slice_equal(value->text, SLICE_LITERAL("egress"));
    }
    return json_write_any(segment->reader, &segment->writer->span, FIELD_ATTRIBUTE, key, value);
}

/* The attribute that a member of http.request or http.response becomes; empty for one that is not read. */
static struct slice http_attribute(struct slice key)
{
    static const struct {
        const char *key;
        const char *attribute;
    } rows[] = {
        {"method", "http.request.method"},
        {"url", "url.full"},
        {"user_agent", "user_agent.original"},
        {"client_ip", "client.address"},
        {"status", "http.response.status_code"},
        {"content_length", "http.response.body.size"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (slice_equal(key, slice_of_string(rows[i].key))) {
            return slice_of_string(rows[i].attribute);
        }
    }
    return slice_of(NULL, 0);
}

static int take_http(struct xray_segment *segment, const struct json_value *key, struct json_value *value)
{
    const struct json_value attribute = json_key(http_attribute(key->text));

    if (value->type == JSON_ARRAY || value->type == JSON_OBJECT) {
        return pass_over(segment, value, "http");
    }
    if (attribute.text.length > 0) {
        json_write_attribute(&segment->writer->span, FIELD_ATTRIBUTE, &attribute, value);
    }
    return 0;
}

/* http: {"request": {…}, "response": {…}} */
static int read_http_side(struct xray_segment *segment, struct json_value *side)
{
    struct json_value key;
    struct json_value value;
    int status;

    if (side->type != JSON_OBJECT) {
        return pass_over(segment, side, "http");
    }
    while ((status = json_member(segment->reader, &key, &value)) > 0) {
        int error = take_http(segment, &key, &value);
        if (error < 0) {
            return error;
        }
    }
    return status;
}

static int read_http(struct xray_segment *segment)
{
    struct json_value key;
    struct json_value side;
    int status;

    while ((status = json_member(segment->reader, &key, &side)) > 0) {
        int error = read_http_side(segment, &side);
        if (error < 0) {
            return error;
        }
    }
    return status;
}

static int read_annotations(struct xray_segment *segment)
{
    struct json_value key;
    struct json_value value;
    int status;

    while ((status = json_member(segment->reader, &key, &value)) > 0) {
        int error = take_annotation(segment, &key, &value);
        if (error < 0) {
            return error;
        }
    }
    return status;
}

/* ---- the segment's members ---- */

static int read_scalar(struct xray_segment *segment, struct slice key, struct json_value *value)
{
    const struct {
        const char *key;
        struct json_value *place;
        enum json_type type;
    } members[] = {
        {"name", &segment->name, JSON_STRING},
        {"id", &segment->id, JSON_STRING},
        {"trace_id", &segment->trace_id, JSON_STRING},
        {"parent_id", &segment->parent_id, JSON_STRING},
        {"start_time", &segment->start, JSON_NUMBER},
        {"end_time", &segment->end, JSON_NUMBER},
        {"type", &segment->type, JSON_STRING},
        {"namespace", &segment->namespace, JSON_STRING},
        {"fault", &segment->fault, JSON_BOOLEAN},
        {"error", &segment->error, JSON_BOOLEAN},
        {"throttle", &segment->throttle, JSON_BOOLEAN},
        {"in_progress", &segment->in_progress, JSON_BOOLEAN},
    };

    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        if (!slice_equal(key, slice_of_string(members[i].key))) {
            continue;
        }
        if (value->type != members[i].type) {
            return pass_over(segment, value, members[i].key);
        }
        *members[i].place = *value;
        return 0;
    }
    return json_skip(segment->reader, value);
}

/* Members that are passed on as they are, under another name; empty for all others. */
static struct slice attribute_of_member(struct slice key)
{
    static const struct {
        const char *key;
        const char *attribute;
    } rows[] = {
        {"user", "enduser.id"},
        {"origin", "aws.xray.origin"},
        {"aws", "aws.xray.aws"},
        {"sql", "aws.xray.sql"},
        {"cause", "aws.xray.cause"},
        {"metadata", "aws.xray.metadata"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (slice_equal(key, slice_of_string(rows[i].key))) {
            return slice_of_string(rows[i].attribute);
        }
    }
    return slice_of(NULL, 0);
}

static int read_subsegments(struct xray_segment *segment, struct json_value *value)
{
    segment->depth_left = segment->reader->depth_left + 1;
    if (value->type != JSON_ARRAY) {
        return pass_over(segment, value, "subsegments");
    }
    int status = json_skip(segment->reader, value);
    segment->subsegments = *value;
    return status;
}

static int read_member(struct xray_segment *segment, struct slice key, struct json_value *value)
{
    const struct json_value attribute = json_key(attribute_of_member(key));
    bool is_object = value->type == JSON_OBJECT;

    if (attribute.text.length > 0) {
        return json_write_any(segment->reader, &segment->writer->span, FIELD_ATTRIBUTE, &attribute, value);
    }
    if (slice_equal(key, SLICE_LITERAL("http"))) {
        return is_object ? read_http(segment) : pass_over(segment, value, "http");
    }
    if (slice_equal(key, SLICE_LITERAL("annotations"))) {
        return is_object ? read_annotations(segment) : pass_over(segment, value, "annotations");
    }
    if (slice_equal(key, SLICE_LITERAL("subsegments"))) {
        return read_subsegments(segment, value);
    }
    return read_scalar(segment, key, value);
}

static int read_members(struct xray_segment *segment)
{
    struct json_value key;
    struct json_value value;
    int status;

    while ((status = json_member(segment->reader, &key, &value)) > 0) {
        int error = read_member(segment, key.text, &value);
        if (error < 0) {
            return error;
        }
    }
    return status;
}

/* ---- what they come to ---- */

/* Seconds as nanoseconds, exactly where they are written without an exponent. */
static int seconds_of(struct slice text, uint64_t *ret_ns)
{
    size_t point = slice_find(text, '.');
    uint64_t seconds = 0;
    uint64_t fraction = 0;
    double number;

    if (text.length == 0 || text.ptr[0] == '-') {
        return WERR_INVALID;
    }
    if (slice_find(text, 'e') < text.length || slice_find(text, 'E') < text.length) {
        if (json_double(text, &number) < 0 || number >= 0x1p63 / 1e9) {
            return WERR_INVALID;
        }
        *ret_ns = (uint64_t)(number * 1e9);
        return 0;
    }
    if (point > SECOND_DIGITS_MAX || json_uint64(slice_sub(text, 0, point), &seconds) < 0) {
        return WERR_INVALID;
    }
    for (size_t i = 1; i <= FRACTION_DIGITS; i++) {
        fraction = fraction * 10 + (point + i < text.length ? (uint64_t)(text.ptr[point + i] - '0') : 0);
    }
    *ret_ns = seconds * NS_PER_S + fraction;
    return 0;
}

/* "1-XXXXXXXX-24 hex", or 32 hex digits. */
static int trace_id_of(struct slice text, uint8_t ret_id[static 16])
{
    enum { EPOCH_AT = 2, REST_AT = EPOCH_AT + TRACE_EPOCH_DIGITS + 1 };

    if (text.length == TRACE_EPOCH_DIGITS + TRACE_REST_DIGITS) {
        return json_hex_id(text, ret_id, 16);
    }
    if (text.length != REST_AT + TRACE_REST_DIGITS || text.ptr[0] != '1' || text.ptr[1] != '-' ||
        text.ptr[REST_AT - 1] != '-') {
        return WERR_INVALID;
    }
    int error = json_hex_id(slice_sub(text, EPOCH_AT, EPOCH_AT + TRACE_EPOCH_DIGITS), ret_id, 4);
    return error < 0 ? error : json_hex_id(slice_sub(text, REST_AT, text.length), ret_id + 4, 12);
}

static int segment_id_of(struct slice text, uint8_t ret_id[static 8])
{
    return text.length == SPAN_ID_DIGITS ? json_hex_id(text, ret_id, 8) : WERR_INVALID;
}

static bool is_subsegment(const struct xray_segment *segment, const struct xray_parent *parent)
{
    return parent->head != NULL || slice_equal(segment->type.text, SLICE_LITERAL("subsegment"));
}

static bool is_true(const struct json_value *value)
{
    return value->type == JSON_BOOLEAN && value->boolean;
}

/* Whether it says that it called something outside of its service. */
static bool is_call(const struct xray_segment *segment)
{
    return slice_equal(segment->namespace.text, SLICE_LITERAL("remote")) ||
           slice_equal(segment->namespace.text, SLICE_LITERAL("aws"));
}

static uint8_t kind_of(const struct xray_segment *segment, const struct xray_parent *parent)
{
    if (segment->is_envoy) {
        return is_subsegment(segment, parent) || segment->is_egress ? SPAN_KIND_CLIENT : SPAN_KIND_SERVER;
    }
    if (!is_subsegment(segment, parent)) {
        return SPAN_KIND_SERVER;
    }
    return is_call(segment) ? SPAN_KIND_CLIENT : SPAN_KIND_INTERNAL;
}

/* The ids that a nested subsegment does not repeat are those of what holds it. */
static enum record_error ids_of(const struct xray_segment *segment, const struct xray_parent *parent,
    struct json_otlp_head *head, const char **ret_field)
{
    *ret_field = "trace_id";
    if (parent->head != NULL) {
        memcpy(head->trace_id, parent->head->trace_id, sizeof head->trace_id);
        memcpy(head->parent_id, parent->head->span_id, sizeof head->parent_id);
    } else if (trace_id_of(segment->trace_id.text, head->trace_id) < 0) {
        return RECORD_ERROR_TRACE_ID;
    }
    *ret_field = "id";
    if (segment_id_of(segment->id.text, head->span_id) < 0) {
        return RECORD_ERROR_SPAN_ID;
    }
    *ret_field = "parent_id";
    if (segment->parent_id.text.length > 0 && segment_id_of(segment->parent_id.text, head->parent_id) < 0) {
        return RECORD_ERROR_SPAN_ID;
    }
    return RECORD_ERROR_NONE;
}

static enum record_error head_of(const struct xray_segment *segment, const struct xray_parent *parent,
    struct json_otlp_head *ret_head, const char **ret_field)
{
    struct json_otlp_head head = {.kind = kind_of(segment, parent)};
    enum record_error reason = ids_of(segment, parent, &head, ret_field);

    if (reason != RECORD_ERROR_NONE) {
        return reason;
    }
    *ret_field = "start_time";
    if (seconds_of(segment->start.text, &head.start_unix_ns) < 0) {
        return RECORD_ERROR_TIME;
    }
    *ret_field = "end_time";
    if (seconds_of(segment->end.text, &head.end_unix_ns) < 0) {
        return RECORD_ERROR_TIME;
    }
    *ret_field = segment->bad_field;
    *ret_head = head;
    return segment->bad_field != NULL ? RECORD_ERROR_MALFORMED : RECORD_ERROR_NONE;
}

static void write_member(struct xray_segment *segment, struct slice name, const struct json_value *value)
{
    const struct json_value key = json_key(name);

    json_write_attribute(&segment->writer->span, FIELD_ATTRIBUTE, &key, value);
}

static void write_segment(
    struct xray_segment *segment, const struct json_otlp_head *head, const struct xray_parent *own)
{
    static const struct json_value nothing = {.type = JSON_NULL};

    if (is_call(segment)) {
        write_member(segment, SLICE_LITERAL("peer.service"), &segment->name);
    }
    write_member(segment, SLICE_LITERAL("aws.xray.namespace"), &segment->namespace);
    if (is_true(&segment->throttle)) {
        write_member(segment, SLICE_LITERAL("aws.xray.throttle"), &segment->throttle);
    }
    json_otlp_head(segment->writer, head);
    if (segment->name.text.length > 0) {
        json_write_text(&segment->writer->span, 5, &segment->name);
    }
    if (is_true(&segment->fault) || is_true(&segment->error)) {
        json_otlp_failed(segment->writer, &nothing);
    }
    json_otlp_span_end(segment->writer, own->service, own->sdk);
}

static int read_segment(struct xray_pass *pass, struct json_reader *reader, const struct xray_parent *parent);

static int read_nested(
    struct xray_pass *pass, const struct xray_segment *segment, const struct xray_parent *own)
{
    struct json_reader reader = json_reader_of(segment->subsegments.text, segment->depth_left);
    struct json_value array;
    struct json_value element;
    int status = segment->subsegments.type == JSON_ARRAY ? json_read(&reader, &array) : 0;

    while (status > 0 && (status = json_element(&reader, &element)) > 0) {
        int error = 0;
        if (element.type == JSON_OBJECT) {
            error = read_segment(pass, &reader, own);
        } else {
            json_otlp_refuse(pass->result, pass->record++, RECORD_ERROR_MALFORMED, "subsegments");
            error = json_skip(&reader, &element);
        }
        status = error < 0 ? error : status;
    }
    return status;
}

/* An object that was just opened. Goes as deep as the reader's limit lets it. */
static int read_segment(struct xray_pass *pass, struct json_reader *reader, const struct xray_parent *parent)
{
    struct xray_segment segment = {.writer = pass->writer, .reader = reader};
    static const struct json_value nothing = {.type = JSON_NULL};
    struct json_otlp_head head;
    const char *field;

    json_otlp_span_begin(pass->writer);
    int status = read_members(&segment);
    if (status < 0) {
        return status;
    }
    uint32_t record = pass->record++;
    if (is_true(&segment.in_progress)) {
        pass->result->ignored_count++;
        return 0;
    }
    enum record_error reason = head_of(&segment, parent, &head, &field);
    if (reason != RECORD_ERROR_NONE) {
        json_otlp_refuse(pass->result, record, reason, field);
        return 0; /* what it holds has no trace, or no parent */
    }
    struct xray_parent own = *parent;
    own.head = &head;
    if (parent->head == NULL) {
        own.service = is_subsegment(&segment, parent) ? &nothing : &segment.name;
        own.sdk = segment.is_envoy ? SLICE_LITERAL("envoy") : slice_of(NULL, 0);
    }
    write_segment(&segment, &head, &own);
    pass->result->spans_count++;
    return read_nested(pass, &segment, &own);
}

/* ---- the datagram ---- */

/* {"format":"json","version":1} */
static int read_header(struct slice line)
{
    struct json_reader reader = json_reader_of(line, 1);
    struct json_value object;
    struct json_value key;
    struct json_value value;
    bool is_json = false;
    bool is_first_version = false;
    int status = json_read(&reader, &object);

    if (status < 0 || object.type != JSON_OBJECT) {
        return status < 0 ? status : WERR_INVALID;
    }
    while ((status = json_member(&reader, &key, &value)) > 0) {
        if (slice_equal(key.text, SLICE_LITERAL("format"))) {
            is_json = value.type == JSON_STRING && slice_equal(value.text, SLICE_LITERAL("json"));
        } else if (slice_equal(key.text, SLICE_LITERAL("version"))) {
            is_first_version = value.type == JSON_NUMBER && slice_equal(value.text, SLICE_LITERAL("1"));
        }
    }
    if (status < 0) {
        return status;
    }
    return is_json && is_first_version ? json_end(&reader) : WERR_INVALID;
}

static int read_document(struct xray_pass *pass, struct json_reader *reader)
{
    static const struct json_value nothing = {.type = JSON_NULL};
    const struct xray_parent none = {.service = &nothing};
    struct json_value document;
    int status = json_read(reader, &document);

    if (status < 0) {
        return status;
    }
    if (document.type != JSON_OBJECT) {
        return WERR_INVALID;
    }
    status = read_segment(pass, reader, &none);
    return status < 0 ? status : json_end(reader);
}

int xray_to_otlp(struct slice datagram, uint32_t depth_max, struct buffer *out,
    struct json_otlp_result *ret_result, struct decode_error *ret_error)
{
    size_t line_end = slice_find(datagram, '\n');
    struct json_reader reader = json_reader_of(slice_sub(datagram, line_end + 1, datagram.length), depth_max);
    struct json_otlp_result result = {.spans_count = 0};
    struct json_otlp_writer writer;
    struct xray_pass pass = {.writer = &writer, .result = &result};

    int status = read_header(slice_sub(datagram, 0, line_end));
    if (status < 0) {
        *ret_error = decode_error_of(status, "header");
        return status;
    }
    json_otlp_begin(&writer, out);
    status = read_document(&pass, &reader);
    int written = json_otlp_end(&writer);
    status = status < 0 ? status : written;
    if (status < 0) {
        *ret_error = decode_error_of(status, "JSON");
        ret_error->record = pass.record;
        return status;
    }
    *ret_result = result;
    return 0;
}
