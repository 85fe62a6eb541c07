/* Zipkin's spans to OTLP; see zipkin.h. One pass over the text, on the thread that owns the buffer. */
#include "decode/zipkin.h"

#include "core/error.h"
#include "decode/span.h"

enum {
    FIELD_ATTRIBUTE = 9, /* of Span */
    FIELD_EVENT = 11,
    NS_PER_US = 1000,
};

struct endpoint {
    struct json_value service;
    struct json_value address; /* ipv4, or else ipv6 */
    struct json_value port;
};

/* One span while its members are read. What is JSON_NULL was not there. */
struct zipkin_span {
    struct json_otlp_writer *writer;
    struct json_reader *reader;
    struct json_value trace_id, id, parent_id, name, kind, timestamp, duration, shared, debug;
    struct json_value error; /* the tag */
    struct endpoint local, remote;
    bool is_envoy;
    bool tells_peer;       /* a tag peer.service, which says more than remoteEndpoint */
    const char *bad_field; /* the first one that is not of its type; NULL: none */
};

static void blame(struct zipkin_span *span, const char *field)
{
    if (span->bad_field == NULL) {
        span->bad_field = field;
    }
}

/* Goes on behind a value that is not read; `field` is blamed for one that is not null. */
static int pass_over(struct zipkin_span *span, struct json_value *value, const char *field)
{
    if (value->type != JSON_NULL) {
        blame(span, field);
    }
    return json_skip(span->reader, value);
}

/* ---- endpoints ---- */

static struct json_value *endpoint_member(struct endpoint *endpoint, struct slice key)
{
    if (slice_equal(key, SLICE_LITERAL("serviceName"))) {
        return &endpoint->service;
    }
    if (slice_equal(key, SLICE_LITERAL("port"))) {
        return &endpoint->port;
    }
    bool is_address = slice_equal(key, SLICE_LITERAL("ipv4")) ||
                      (slice_equal(key, SLICE_LITERAL("ipv6")) && endpoint->address.type == JSON_NULL);
    return is_address ? &endpoint->address : NULL;
}

static int read_endpoint(
    struct zipkin_span *span, struct json_value *value, struct endpoint *endpoint, const char *field)
{
    struct json_value key;
    struct json_value member;
    int status;

    if (value->type != JSON_OBJECT) {
        return pass_over(span, value, field);
    }
    while ((status = json_member(span->reader, &key, &member)) > 0) {
        int error = json_skip(span->reader, &member);
        if (error < 0) {
            return error;
        }
        struct json_value *place = endpoint_member(endpoint, key.text);
        if (place != NULL && (member.type == JSON_STRING || member.type == JSON_NUMBER)) {
            *place = member;
        } else if (place != NULL && member.type != JSON_NULL) {
            blame(span, field);
        }
    }
    return status;
}

static void write_address(
    struct buffer *out, const struct endpoint *endpoint, struct slice address_key, struct slice port_key)
{
    const struct json_value address = json_key(address_key);
    const struct json_value port = json_key(port_key);
    uint64_t number = 0;

    if (endpoint->address.type == JSON_STRING && endpoint->address.text.length > 0) {
        json_write_attribute(out, FIELD_ATTRIBUTE, &address, &endpoint->address);
    }
    /* Envoy says 0 for a port that it does not know. */
    if (endpoint->port.type == JSON_NUMBER && json_uint64(endpoint->port.text, &number) == 0 && number > 0) {
        json_write_attribute(out, FIELD_ATTRIBUTE, &port, &endpoint->port);
    }
}

static void write_endpoints(struct zipkin_span *span)
{
    struct buffer *out = &span->writer->span;
    const struct json_value peer = json_key(SLICE_LITERAL("peer.service"));

    write_address(
        out, &span->local, SLICE_LITERAL("network.local.address"), SLICE_LITERAL("network.local.port"));
    write_address(
        out, &span->remote, SLICE_LITERAL("network.peer.address"), SLICE_LITERAL("network.peer.port"));
    if (span->remote.service.type == JSON_STRING && span->remote.service.text.length > 0 &&
        !span->tells_peer) {
        json_write_tag(out, FIELD_ATTRIBUTE, &peer, &span->remote.service);
    }
}

/* ---- tags and annotations ---- */

static void take_tag(struct zipkin_span *span, const struct json_value *key, const struct json_value *value)
{
    if (slice_equal(key->text, SLICE_LITERAL("component"))) {
        span->is_envoy = slice_equal(value->text, SLICE_LITERAL("proxy"));
    } else if (slice_equal(key->text, SLICE_LITERAL("error"))) {
        span->error = *value;
    } else if (slice_equal(key->text, SLICE_LITERAL("peer.service"))) {
        span->tells_peer = true;
    }
    json_write_tag(&span->writer->span, FIELD_ATTRIBUTE, key, value);
}

static int read_tags(struct zipkin_span *span, struct json_value *value)
{
    struct json_value key;
    struct json_value member;
    int status;

    if (value->type != JSON_OBJECT) {
        return pass_over(span, value, "tags");
    }
    while ((status = json_member(span->reader, &key, &member)) > 0) {
        if (member.type == JSON_ARRAY || member.type == JSON_OBJECT) {
            status = pass_over(span, &member, "tags");
            if (status < 0) {
                return status;
            }
        } else {
            take_tag(span, &key, &member);
        }
    }
    return status;
}

/* Microseconds as nanoseconds; what is too large for those stays so large that it is no good time. */
static uint64_t ns_of_us(uint64_t us)
{
    return us <= UINT64_MAX / NS_PER_US ? us * NS_PER_US : UINT64_MAX;
}

/* An absent one is 0. False when it is something else than a number of microseconds. */
static bool time_of(const struct json_value *value, uint64_t *ret_ns)
{
    uint64_t us = 0;

    if (value->type != JSON_NULL && json_uint64(value->text, &us) < 0) {
        return false;
    }
    *ret_ns = ns_of_us(us);
    return true;
}

static int read_annotation(struct zipkin_span *span)
{
    struct json_value key;
    struct json_value member;
    struct json_value text = {.type = JSON_NULL};
    struct json_value time = {.type = JSON_NULL};
    struct buffer *out = &span->writer->span;
    uint64_t time_ns = 0;
    int status;

    while ((status = json_member(span->reader, &key, &member)) > 0) {
        int error = json_skip(span->reader, &member);
        if (error < 0) {
            return error;
        }
        if (slice_equal(key.text, SLICE_LITERAL("value"))) {
            text = member;
        } else if (slice_equal(key.text, SLICE_LITERAL("timestamp"))) {
            time = member;
        }
    }
    if (status < 0) {
        return status;
    }
    if (text.type != JSON_STRING || !time_of(&time, &time_ns)) {
        blame(span, "annotations");
        return 0;
    }
    struct wire_envelope event = wire_envelope_begin(out, FIELD_EVENT, text.text.length + 11);
    wire_write_fixed64(out, 1, time_ns);
    json_write_text(out, 2, &text);
    wire_envelope_end(out, event);
    return 0;
}

static int read_annotations(struct zipkin_span *span, struct json_value *value)
{
    struct json_value element;
    int status;

    if (value->type != JSON_ARRAY) {
        return pass_over(span, value, "annotations");
    }
    while ((status = json_element(span->reader, &element)) > 0) {
        int error =
            element.type == JSON_OBJECT ? read_annotation(span) : pass_over(span, &element, "annotations");
        if (error < 0) {
            return error;
        }
    }
    return status;
}

/* ---- the span ---- */

#define MEMBER(text, member, json_type)                                                                      \
    {                                                                                                        \
        .key = (text), .key_bytes = sizeof(text) - 1, .at = offsetof(struct zipkin_span, member),            \
        .type = JSON_##json_type                                                                             \
    }

/* Members that are scalars: where they go, and what they must be. */
static const struct scalar_member {
    const char *key;
    size_t key_bytes;
    size_t at; /* in struct zipkin_span */
    enum json_type type;
} scalar_members[] = {
    MEMBER("traceId", trace_id, STRING),
    MEMBER("id", id, STRING),
    MEMBER("parentId", parent_id, STRING),
    MEMBER("name", name, STRING),
    MEMBER("kind", kind, STRING),
    MEMBER("timestamp", timestamp, NUMBER),
    MEMBER("duration", duration, NUMBER),
    MEMBER("shared", shared, BOOLEAN),
    MEMBER("debug", debug, BOOLEAN),
};

static int read_scalar(struct zipkin_span *span, struct slice key, struct json_value *value)
{
    for (size_t i = 0; i < sizeof scalar_members / sizeof scalar_members[0]; i++) {
        const struct scalar_member *member = &scalar_members[i];
        if (!slice_equal(key, slice_of(member->key, member->key_bytes))) {
            continue;
        }
        if (value->type != member->type) {
            return pass_over(span, value, member->key);
        }
        memcpy((uint8_t *)span + member->at, value, sizeof *value);
        return 0;
    }
    return json_skip(span->reader, value);
}

static int read_members(struct zipkin_span *span)
{
    struct json_value key;
    struct json_value value;
    int status;

    while ((status = json_member(span->reader, &key, &value)) > 0) {
        int error;
        if (slice_equal(key.text, SLICE_LITERAL("tags"))) {
            error = read_tags(span, &value);
        } else if (slice_equal(key.text, SLICE_LITERAL("annotations"))) {
            error = read_annotations(span, &value);
        } else if (slice_equal(key.text, SLICE_LITERAL("localEndpoint"))) {
            error = read_endpoint(span, &value, &span->local, "localEndpoint");
        } else if (slice_equal(key.text, SLICE_LITERAL("remoteEndpoint"))) {
            error = read_endpoint(span, &value, &span->remote, "remoteEndpoint");
        } else {
            error = read_scalar(span, key.text, &value);
        }
        if (error < 0) {
            return error;
        }
    }
    return status;
}

static uint8_t kind_of(struct slice text)
{
    static const struct {
        struct slice text;
        uint8_t kind;
    } kinds[] = {
        {{(const uint8_t *)"CLIENT", 6}, SPAN_KIND_CLIENT},
        {{(const uint8_t *)"SERVER", 6}, SPAN_KIND_SERVER},
        {{(const uint8_t *)"PRODUCER", 8}, SPAN_KIND_PRODUCER},
        {{(const uint8_t *)"CONSUMER", 8}, SPAN_KIND_CONSUMER},
    };

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (slice_equal(text, kinds[i].text)) {
            return kinds[i].kind;
        }
    }
    return SPAN_KIND_UNSPECIFIED;
}

/* RECORD_ERROR_NONE, or why the span is left out, with its field. */
static enum record_error head_of(
    const struct zipkin_span *span, struct json_otlp_head *ret_head, const char **ret_field)
{
    struct json_otlp_head head = {.kind = kind_of(span->kind.text)};
    uint64_t duration_ns;

    *ret_field = "traceId";
    if (json_hex_id(span->trace_id.text, head.trace_id, sizeof head.trace_id) < 0) {
        return RECORD_ERROR_TRACE_ID;
    }
    *ret_field = "id";
    if (json_hex_id(span->id.text, head.span_id, sizeof head.span_id) < 0) {
        return RECORD_ERROR_SPAN_ID;
    }
    *ret_field = "parentId";
    if (span->parent_id.text.length > 0 &&
        json_hex_id(span->parent_id.text, head.parent_id, sizeof head.parent_id) < 0) {
        return RECORD_ERROR_SPAN_ID;
    }
    *ret_field = "timestamp";
    if (!time_of(&span->timestamp, &head.start_unix_ns) || !time_of(&span->duration, &duration_ns)) {
        return RECORD_ERROR_TIME;
    }
    if (__builtin_add_overflow(head.start_unix_ns, duration_ns, &head.end_unix_ns)) {
        return RECORD_ERROR_TIME;
    }
    *ret_field = span->bad_field;
    *ret_head = head;
    return span->bad_field != NULL ? RECORD_ERROR_MALFORMED : RECORD_ERROR_NONE;
}

static void write_mark(struct buffer *out, struct slice text, const struct json_value *mark)
{
    const struct json_value key = json_key(text);

    if (mark->type == JSON_BOOLEAN && mark->boolean) {
        json_write_attribute(out, FIELD_ATTRIBUTE, &key, mark);
    }
}

/* Zipkin: a span with the tag has failed, whatever it says; some senders write "false" nevertheless. */
static void write_status(struct zipkin_span *span)
{
    static const struct json_value nothing = {.type = JSON_NULL};
    struct slice text = span->error.text;

    if (span->error.type == JSON_NULL || slice_equal(text, SLICE_LITERAL("false"))) {
        return;
    }
    json_otlp_failed(span->writer, slice_equal(text, SLICE_LITERAL("true")) ? &nothing : &span->error);
}

static void write_span(struct zipkin_span *span, const struct json_otlp_head *head)
{
    struct buffer *out = &span->writer->span;

    write_endpoints(span);
    write_mark(out, SLICE_LITERAL("zipkin.shared"), &span->shared);
    write_mark(out, SLICE_LITERAL("zipkin.debug"), &span->debug);
    json_otlp_head(span->writer, head);
    if (span->name.text.length > 0) {
        json_write_text(out, 5, &span->name);
    }
    write_status(span);
    json_otlp_span_end(
        span->writer, &span->local.service, span->is_envoy ? SLICE_LITERAL("envoy") : slice_of(NULL, 0));
}

/* An element of the array, which is the record'th. */
static int read_span(struct json_otlp_writer *writer, struct json_reader *reader, struct json_value *element,
    uint32_t record, struct json_otlp_result *result)
{
    struct zipkin_span span = {.writer = writer, .reader = reader};
    struct json_otlp_head head;
    const char *field;

    if (element->type != JSON_OBJECT) {
        json_otlp_refuse(result, record, RECORD_ERROR_MALFORMED, "span");
        return json_skip(reader, element);
    }
    json_otlp_span_begin(writer);
    int status = read_members(&span);
    if (status < 0) {
        return status;
    }
    enum record_error reason = head_of(&span, &head, &field);
    if (reason != RECORD_ERROR_NONE) {
        json_otlp_refuse(result, record, reason, field);
        return 0;
    }
    write_span(&span, &head);
    result->spans_count++;
    return 0;
}

static int read_spans(struct json_otlp_writer *writer, struct json_reader *reader,
    struct json_otlp_result *result, uint32_t *record)
{
    struct json_value array;
    struct json_value element;
    int status = json_read(reader, &array);

    if (status < 0) {
        return status;
    }
    if (array.type != JSON_ARRAY) {
        return WERR_INVALID;
    }
    for (*record = 0; (status = json_element(reader, &element)) > 0; (*record)++) {
        status = read_span(writer, reader, &element, *record, result);
        if (status < 0) {
            return status;
        }
    }
    return status < 0 ? status : json_end(reader);
}

int zipkin_to_otlp(struct slice body, uint32_t depth_max, struct buffer *out,
    struct json_otlp_result *ret_result, struct decode_error *ret_error)
{
    struct json_reader reader = json_reader_of(body, depth_max);
    struct json_otlp_result result = {.spans_count = 0};
    struct json_otlp_writer writer;
    uint32_t record = DECODE_NO_INDEX;

    json_otlp_begin(&writer, out);
    int status = read_spans(&writer, &reader, &result, &record);
    int written = json_otlp_end(&writer);
    status = status < 0 ? status : written;
    if (status < 0) {
        *ret_error = decode_error_of(status, "JSON");
        ret_error->record = record;
        return status;
    }
    *ret_result = result;
    return 0;
}
