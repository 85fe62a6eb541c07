/* Reads pieces of an encoded span that was checked: attributes and their values, events, links. */
#include <string.h>

#include "query/trace_internal.h"

const struct otlp_json_field *trace_schema_field(const struct otlp_json_message *schema, uint32_t number)
{
    for (size_t i = 0; i < schema->field_count; i++) {
        if (schema->fields[i].number == number) {
            return &schema->fields[i];
        }
    }
    return NULL;
}

const struct otlp_json_message *trace_schema(enum trace_message message)
{
    const struct otlp_json_message *request = otlp_json_schema_of(OTLP_JSON_TRACES);
    const struct otlp_json_message *resource_spans = trace_schema_field(request, 1)->message;
    const struct otlp_json_message *scope_spans = trace_schema_field(resource_spans, 2)->message;

    switch (message) {
    case TRACE_MESSAGE_RESOURCE_SPANS:
        return resource_spans;
    case TRACE_MESSAGE_RESOURCE:
        return trace_schema_field(resource_spans, 1)->message;
    case TRACE_MESSAGE_SCOPE_SPANS:
        return scope_spans;
    case TRACE_MESSAGE_SCOPE:
        return trace_schema_field(scope_spans, 1)->message;
    case TRACE_MESSAGE_SPAN:
        return trace_schema_field(scope_spans, 2)->message;
    case TRACE_MESSAGE_REQUEST:
    default:
        return request;
    }
}

static uint32_t wire_type_of(enum otlp_json_type type)
{
    switch (type) {
    case OTLP_JSON_MESSAGE:
    case OTLP_JSON_TEXT:
    case OTLP_JSON_ID:
    case OTLP_JSON_BASE64:
        return WIRE_BYTES;
    case OTLP_JSON_FIXED64:
    case OTLP_JSON_SFIXED64:
    case OTLP_JSON_DOUBLE:
        return WIRE_FIXED64;
    case OTLP_JSON_FIXED32:
        return WIRE_FIXED32;
    case OTLP_JSON_BOOLEAN:
    case OTLP_JSON_ENUM:
    case OTLP_JSON_UINT32:
    case OTLP_JSON_UINT64:
    case OTLP_JSON_INT64:
    case OTLP_JSON_SINT32:
    default:
        return WIRE_VARINT;
    }
}

int trace_check(const struct otlp_json_message *schema, struct slice message, uint32_t depth_left)
{
    struct wire_reader reader;
    struct wire_field field;
    int status = wire_open(message, depth_left, &reader);

    if (status < 0) {
        return status;
    }
    while ((status = wire_next(&reader, &field)) > 0) {
        const struct otlp_json_field *row = trace_schema_field(schema, wire_tag_number(field.tag));

        if (row == NULL) {
            continue;
        }
        if (wire_tag_type(field.tag) != wire_type_of(row->type)) {
            return WERR_WIRE_TYPE;
        }
        int error = row->message != NULL ? trace_check(row->message, field.bytes, depth_left - 1) : 0;
        if (error < 0) {
            return error;
        }
    }
    return status;
}

bool trace_next_message(struct wire_reader *reader, uint32_t number, struct slice *ret_message)
{
    struct wire_field field;

    while (wire_next(reader, &field) > 0) {
        if (field.tag == WIRE_TAG(number, WIRE_BYTES)) {
            *ret_message = field.bytes;
            return true;
        }
    }
    return false;
}

/* Of several members of the oneof the last one counts. */
struct trace_value trace_value_of(struct slice any_value)
{
    struct wire_reader reader = wire_reader_of(any_value);
    struct trace_value value = {.type = TRACE_VALUE_NONE};
    struct wire_field field;

    while (wire_next(&reader, &field) > 0) {
        switch (field.tag) {
        case WIRE_TAG(1, WIRE_BYTES):
            value = (struct trace_value){.type = TRACE_VALUE_TEXT, .bytes = field.bytes};
            break;
        case WIRE_TAG(2, WIRE_VARINT):
            value = (struct trace_value){.type = TRACE_VALUE_BOOLEAN, .boolean = field.integer != 0};
            break;
        case WIRE_TAG(3, WIRE_VARINT):
            value = (struct trace_value){.type = TRACE_VALUE_INTEGER, .integer = (int64_t)field.integer};
            break;
        case WIRE_TAG(4, WIRE_FIXED64):
            value = (struct trace_value){.type = TRACE_VALUE_REAL};
            memcpy(&value.real, &field.integer, sizeof value.real);
            break;
        case WIRE_TAG(5, WIRE_BYTES):
            value = (struct trace_value){.type = TRACE_VALUE_ARRAY, .bytes = field.bytes};
            break;
        case WIRE_TAG(6, WIRE_BYTES):
            value = (struct trace_value){.type = TRACE_VALUE_MAP, .bytes = field.bytes};
            break;
        case WIRE_TAG(7, WIRE_BYTES):
            value = (struct trace_value){.type = TRACE_VALUE_BYTES, .bytes = field.bytes};
            break;
        default:
            break;
        }
    }
    return value;
}

bool trace_next_attribute(struct wire_reader *reader, uint32_t number, struct trace_attribute *ret_attribute)
{
    struct slice message;
    struct slice any_value = {0};
    struct wire_field field;

    if (!trace_next_message(reader, number, &message)) {
        return false;
    }
    struct wire_reader inner = wire_reader_of(message);
    *ret_attribute = (struct trace_attribute){.key = slice_of(NULL, 0)};
    while (wire_next(&inner, &field) > 0) {
        if (field.tag == WIRE_TAG(1, WIRE_BYTES)) {
            ret_attribute->key = field.bytes;
        } else if (field.tag == WIRE_TAG(2, WIRE_BYTES)) {
            any_value = field.bytes;
        }
    }
    ret_attribute->value = trace_value_of(any_value);
    return true;
}

struct trace_event trace_event_of(struct slice message)
{
    struct wire_reader reader = wire_reader_of(message);
    struct trace_event event = {0};
    struct wire_field field;

    while (wire_next(&reader, &field) > 0) {
        if (field.tag == WIRE_TAG(1, WIRE_FIXED64)) {
            event.unix_ns = field.integer;
        } else if (field.tag == WIRE_TAG(2, WIRE_BYTES)) {
            event.name = field.bytes;
        }
    }
    return event;
}

struct trace_link trace_link_of(struct slice message)
{
    struct wire_reader reader = wire_reader_of(message);
    struct trace_link link = {0};
    struct wire_field field;

    while (wire_next(&reader, &field) > 0) {
        if (field.tag == WIRE_TAG(1, WIRE_BYTES) && field.bytes.length == sizeof link.trace_id) {
            memcpy(link.trace_id, field.bytes.ptr, sizeof link.trace_id);
        } else if (field.tag == WIRE_TAG(2, WIRE_BYTES) && field.bytes.length == sizeof link.span_id) {
            memcpy(link.span_id, field.bytes.ptr, sizeof link.span_id);
        }
    }
    return link;
}

void trace_id_text(const uint8_t *id, size_t id_bytes, char *text)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < id_bytes; i++) {
        text[2 * i] = digits[id[i] >> 4];
        text[2 * i + 1] = digits[id[i] & 15];
    }
    text[2 * id_bytes] = '\0';
}
