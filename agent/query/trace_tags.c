/* The tags of trace_tags.h. Names of derived tags: OpenTelemetry's translator to Jaeger. */
#include "query/trace_tags.h"

#include <inttypes.h>

#include "query/trace_jaeger.h"

static bool tell_text(trace_tag_fn *each, void *user, struct slice key, struct slice text)
{
    struct trace_value value = {.type = TRACE_VALUE_TEXT, .bytes = text};

    return text.length > 0 && each(user, key, &value);
}

static bool each_attribute(struct slice message, uint32_t number, trace_tag_fn *each, void *user)
{
    struct wire_reader reader = wire_reader_of(message);
    struct trace_attribute attribute;

    while (trace_next_attribute(&reader, number, &attribute)) {
        if (each(user, attribute.key, &attribute.value)) {
            return true;
        }
    }
    return false;
}

static bool tell_status(const struct trace_span *span, trace_tag_fn *each, void *user)
{
    struct trace_value yes = {.type = TRACE_VALUE_BOOLEAN, .boolean = true};
    struct slice code = span->status == SPAN_STATUS_ERROR ? SLICE_LITERAL("ERROR")
                        : span->status == SPAN_STATUS_OK  ? SLICE_LITERAL("OK")
                                                          : slice_of(NULL, 0);

    return tell_text(each, user, SLICE_LITERAL("otel.status_code"), code) ||
           (span->status == SPAN_STATUS_ERROR && each(user, SLICE_LITERAL("error"), &yes)) ||
           tell_text(each, user, SLICE_LITERAL("otel.status_description"), span->status_message);
}

bool trace_each_span_tag(
    const struct trace_group *group, const struct trace_span *span, trace_tag_fn *each, void *user)
{
    return tell_text(each, user, SLICE_LITERAL("otel.scope.name"), group->scope_name) ||
           tell_text(each, user, SLICE_LITERAL("otel.scope.version"), group->scope_version) ||
           each_attribute(span->raw, TRACE_FIELD_SPAN_ATTRIBUTES, each, user) ||
           tell_text(each, user, SLICE_LITERAL("span.kind"), trace_kind_name(span->kind)) ||
           tell_status(span, each, user) ||
           tell_text(each, user, SLICE_LITERAL("w3c.tracestate"), span->tracestate);
}

struct process_tags {
    trace_tag_fn *each;
    void *user;
};

/* The service's name is no tag. */
static bool tell_process_tag(void *user, struct slice key, const struct trace_value *value)
{
    const struct process_tags *tags = user;

    return !slice_equal(key, SLICE_LITERAL("service.name")) && tags->each(tags->user, key, value);
}

bool trace_each_process_tag(const struct trace_group *group, trace_tag_fn *each, void *user)
{
    struct process_tags tags = {.each = each, .user = user};

    return each_attribute(group->resource, TRACE_FIELD_RESOURCE_ATTRIBUTES, tell_process_tag, &tags);
}

bool trace_each_event_tag(struct slice event, trace_tag_fn *each, void *user)
{
    return tell_text(each, user, SLICE_LITERAL("event"), trace_event_of(event).name) ||
           each_attribute(event, TRACE_FIELD_EVENT_ATTRIBUTES, each, user);
}

/* ---- values ---- */

static void put_array(struct buffer *out, struct slice message)
{
    struct wire_reader reader = wire_reader_of(message);
    struct json_list list = json_list_begin(out, '[');
    struct slice item;

    while (out->error == 0 && trace_next_message(&reader, TRACE_FIELD_ARRAY_VALUES, &item)) {
        struct trace_value value = trace_value_of(item);
        json_list_next(&list);
        trace_value_json(out, &value);
    }
    json_list_end(&list, ']');
}

static void put_map(struct buffer *out, struct slice message)
{
    struct wire_reader reader = wire_reader_of(message);
    struct json_list list = json_list_begin(out, '{');
    struct trace_attribute attribute;

    while (out->error == 0 && trace_next_attribute(&reader, TRACE_FIELD_MAP_VALUES, &attribute)) {
        json_list_next(&list);
        json_put_text(out, attribute.key);
        (void)buffer_append_byte(out, ':');
        trace_value_json(out, &attribute.value);
    }
    json_list_end(&list, '}');
}

/* As deep as the span was checked: TRACE_DEPTH_MAX. */
void trace_value_json(struct buffer *out, const struct trace_value *value)
{
    switch (value->type) {
    case TRACE_VALUE_TEXT:
        json_put_text(out, value->bytes);
        break;
    case TRACE_VALUE_BOOLEAN:
        (void)buffer_append_text(out, value->boolean ? "true" : "false");
        break;
    case TRACE_VALUE_INTEGER:
        (void)buffer_append_format(out, "%" PRId64, value->integer);
        break;
    case TRACE_VALUE_REAL:
        json_put_real(out, value->real);
        break;
    case TRACE_VALUE_ARRAY:
        put_array(out, value->bytes);
        break;
    case TRACE_VALUE_MAP:
        put_map(out, value->bytes);
        break;
    case TRACE_VALUE_BYTES:
        json_put_base64(out, value->bytes);
        break;
    case TRACE_VALUE_NONE:
    default:
        (void)buffer_append_text(out, "null");
        break;
    }
}

void trace_value_text(struct buffer *out, const struct trace_value *value)
{
    size_t from = out->length;

    if (value->type == TRACE_VALUE_TEXT) {
        (void)buffer_append_slice(out, value->bytes);
        return;
    }
    if (value->type == TRACE_VALUE_NONE) {
        return;
    }
    trace_value_json(out, value);
    bool has_quotes = out->error == 0 && out->length > from + 1 && out->data[from] == '"';
    if (has_quotes) { /* NaN, base64: nothing in them is escaped */
        memmove(out->data + from, out->data + from + 1, out->length - from - 2);
        out->length -= 2;
    }
}
