/* Whether a span is what a query looks for, and how services are called; see trace_jaeger.h. */
#include "query/trace_jaeger.h"
#include "query/trace_tags.h"

enum { VALUE_TEXT_BYTES_MAX = 65536 };

struct slice trace_kind_name(enum span_kind kind)
{
    switch (kind) {
    case SPAN_KIND_CLIENT:
        return SLICE_LITERAL("client");
    case SPAN_KIND_SERVER:
        return SLICE_LITERAL("server");
    case SPAN_KIND_PRODUCER:
        return SLICE_LITERAL("producer");
    case SPAN_KIND_CONSUMER:
        return SLICE_LITERAL("consumer");
    case SPAN_KIND_INTERNAL:
        return SLICE_LITERAL("internal");
    case SPAN_KIND_UNSPECIFIED:
    default:
        return slice_of(NULL, 0);
    }
}

/* Whether a name ends with its namespace: "cart.shop" of "shop". */
static bool tells_namespace(struct slice name, struct slice name_space)
{
    return name_space.length > 0 && name.length > name_space.length + 1 &&
           slice_has_suffix(name, name_space) && name.ptr[name.length - name_space.length - 1] == '.';
}

void trace_service_name_of(struct buffer *out, struct slice name, struct slice name_space)
{
    if (name.length == 0) {
        (void)buffer_append_text(out, "OTLPResourceNoServiceName"); /* what Jaeger's translator says */
        return;
    }
    (void)buffer_append_slice(out, name);
    if (name_space.length > 0 && !tells_namespace(name, name_space)) {
        (void)buffer_append_byte(out, '.');
        (void)buffer_append_slice(out, name_space);
    }
}

void trace_service_name(struct buffer *out, const struct trace_group *group)
{
    trace_service_name_of(out, group->service_name, group->service_namespace);
}

bool trace_is_service(const struct trace_group *group, struct slice wanted)
{
    struct slice name = group->service_name;
    struct slice name_space = group->service_namespace;

    if (slice_equal(name, wanted)) {
        return true;
    }
    if (tells_namespace(name, name_space)) {
        return slice_equal(slice_sub(name, 0, name.length - name_space.length - 1), wanted);
    }
    return name_space.length > 0 && wanted.length == name.length + 1 + name_space.length &&
           slice_has_prefix(wanted, name) && slice_has_suffix(wanted, name_space) &&
           wanted.ptr[name.length] == '.';
}

struct tag_search {
    struct slice key;
    struct slice value;
};

static bool is_tag(void *user, struct slice key, const struct trace_value *value)
{
    const struct tag_search *search = user;
    struct buffer text;

    if (!slice_equal(key, search->key)) {
        return false;
    }
    if (value->type == TRACE_VALUE_TEXT) {
        return slice_equal(value->bytes, search->value);
    }
    buffer_init(&text, VALUE_TEXT_BYTES_MAX);
    trace_value_text(&text, value);
    bool is_equal = text.error == 0 && slice_equal(slice_of(text.data, text.length), search->value);
    buffer_deinit(&text);
    return is_equal;
}

static bool has_tag(
    const struct trace_group *group, const struct trace_span *span, const struct trace_tag *tag)
{
    struct tag_search search = {.key = tag->key, .value = tag->value};
    struct wire_reader reader = wire_reader_of(span->raw);
    struct slice event;

    if (trace_each_span_tag(group, span, is_tag, &search) || trace_each_process_tag(group, is_tag, &search)) {
        return true;
    }
    while (trace_next_message(&reader, TRACE_FIELD_SPAN_EVENTS, &event)) {
        if (trace_each_event_tag(event, is_tag, &search)) {
            return true;
        }
    }
    return false;
}

static bool is_operation(const struct trace_group *group, const struct trace_span *span, struct slice wanted)
{
    struct trace_tag route = {.key = SLICE_LITERAL("http.route"), .value = wanted};

    return slice_equal(span->name, wanted) || has_tag(group, span, &route);
}

bool trace_span_matches(
    const struct trace_query *query, const struct trace_group *group, const struct trace_span *span)
{
    if (query->service.length > 0 && !trace_is_service(group, query->service)) {
        return false;
    }
    if (query->operation.length > 0 && !is_operation(group, span, query->operation)) {
        return false;
    }
    for (size_t i = 0; i < query->tag_count; i++) {
        if (!has_tag(group, span, &query->tags[i])) {
            return false;
        }
    }
    return true;
}

bool trace_model_matches(const struct trace_query *query, const struct trace_model *model)
{
    for (size_t i = 0; i < model->span_count; i++) {
        const struct trace_span *span = &model->spans[i];
        if (trace_span_matches(query, &model->groups[span->group], span)) {
            return true;
        }
    }
    return false;
}
