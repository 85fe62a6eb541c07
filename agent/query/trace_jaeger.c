/* Jaeger's JSON; see trace_jaeger.h. */
#include "query/trace_jaeger.h"

#include <inttypes.h>
#include <math.h>

#include "query/trace_otlp_json.h"
#include "query/trace_tags.h"

enum {
    NS_PER_US = 1000,
    SHORT_ID_BYTES = 8,
    ID_TEXT_BYTES = TRACE_ID_TEXT_BYTES,
};

/* The largest whole number that JavaScript's numbers hold exactly. */
static const int64_t SAFE_INTEGER = (INT64_C(1) << 53) - 1;

static void put_slice(struct json_list *object, const char *key, struct slice text)
{
    json_list_key(object, key);
    json_put_text(object->out, text);
}

static void put_microseconds(struct json_list *object, const char *key, uint64_t ns)
{
    json_list_key(object, key);
    (void)buffer_append_format(object->out, "%" PRIu64, ns / NS_PER_US);
}

/* Jaeger leaves the upper half of an id out where it is 0. */
static void put_trace_id(struct json_list *object, const uint8_t id[static TRACE_MODEL_ID_BYTES])
{
    static const uint8_t zero[SHORT_ID_BYTES];
    size_t skipped = memcmp(id, zero, sizeof zero) == 0 ? SHORT_ID_BYTES : 0;

    json_list_key(object, "traceID");
    json_put_hex(object->out, slice_of(id + skipped, TRACE_MODEL_ID_BYTES - skipped));
}

static void put_span_id(struct json_list *object, const uint8_t id[static TRACE_SPAN_ID_BYTES])
{
    json_list_key(object, "spanID");
    json_put_hex(object->out, slice_of(id, TRACE_SPAN_ID_BYTES));
}

/* ---- tags ---- */

static const char *type_name(const struct trace_value *value)
{
    switch (value->type) {
    case TRACE_VALUE_BOOLEAN:
        return "bool";
    case TRACE_VALUE_INTEGER:
        return "int64";
    case TRACE_VALUE_REAL:
        return isfinite(value->real) ? "float64" : "string";
    case TRACE_VALUE_BYTES:
        return "binary";
    default:
        return "string";
    }
}

/* Lists and maps are strings that hold JSON. */
static void put_json_as_text(struct buffer *out, const struct trace_value *value)
{
    struct buffer text;

    buffer_init(&text, out->cap_bytes);
    trace_value_text(&text, value);
    out->error = out->error < 0 ? out->error : text.error;
    json_put_text(out, slice_of(text.data, text.length));
    buffer_deinit(&text);
}

static void put_tag_value(struct buffer *out, const struct trace_value *value)
{
    bool is_large = value->type == TRACE_VALUE_INTEGER &&
                    (value->integer > SAFE_INTEGER || value->integer < -SAFE_INTEGER);

    if (is_large || value->type == TRACE_VALUE_ARRAY || value->type == TRACE_VALUE_MAP ||
        value->type == TRACE_VALUE_NONE) {
        put_json_as_text(out, value);
    } else {
        trace_value_json(out, value);
    }
}

static bool put_tag(void *user, struct slice key, const struct trace_value *value)
{
    struct json_list *tags = user;

    json_list_next(tags);
    struct json_list tag = json_list_begin(tags->out, '{');
    put_slice(&tag, "key", key);
    put_slice(&tag, "type", slice_of_string(type_name(value)));
    json_list_key(&tag, "value");
    put_tag_value(tags->out, value);
    json_list_end(&tag, '}');
    return tags->out->error < 0;
}

/* ---- a trace ---- */

static void put_reference(struct json_list *references, const char *type,
    const uint8_t trace_id[static TRACE_MODEL_ID_BYTES], const uint8_t span_id[static TRACE_SPAN_ID_BYTES])
{
    json_list_next(references);
    struct json_list reference = json_list_begin(references->out, '{');
    put_slice(&reference, "refType", slice_of_string(type));
    put_trace_id(&reference, trace_id);
    put_span_id(&reference, span_id);
    json_list_end(&reference, '}');
}

/* The parent comes first: readers take the first CHILD_OF. */
static void put_references(
    struct json_list *object, const struct trace_model *model, const struct trace_span *span)
{
    struct wire_reader reader = wire_reader_of(span->raw);
    struct slice message;

    json_list_key(object, "references");
    struct json_list references = json_list_begin(object->out, '[');
    if (span->parent >= 0) {
        put_reference(&references, "CHILD_OF", model->trace_id, model->spans[span->parent].shown_id);
    } else if (span->parent_is_missing) {
        put_reference(&references, "CHILD_OF", model->trace_id, span->parent_id);
    }
    while (object->out->error == 0 && trace_next_message(&reader, TRACE_FIELD_SPAN_LINKS, &message)) {
        struct trace_link link = trace_link_of(message);
        put_reference(&references, "FOLLOWS_FROM", link.trace_id, link.span_id);
    }
    json_list_end(&references, ']');
}

static void put_logs(struct json_list *object, const struct trace_span *span)
{
    struct wire_reader reader = wire_reader_of(span->raw);
    struct slice event;

    json_list_key(object, "logs");
    struct json_list logs = json_list_begin(object->out, '[');
    while (object->out->error == 0 && trace_next_message(&reader, TRACE_FIELD_SPAN_EVENTS, &event)) {
        json_list_next(&logs);
        struct json_list log = json_list_begin(object->out, '{');
        put_microseconds(&log, "timestamp", trace_event_of(event).unix_ns);
        json_list_key(&log, "fields");
        struct json_list fields = json_list_begin(object->out, '[');
        (void)trace_each_event_tag(event, put_tag, &fields);
        json_list_end(&fields, ']');
        json_list_end(&log, '}');
    }
    json_list_end(&logs, ']');
}

static void put_span(struct json_list *spans, const struct trace_model *model, const struct trace_span *span)
{
    const struct trace_group *group = &model->groups[span->group];
    struct buffer *out = spans->out;

    json_list_next(spans);
    struct json_list object = json_list_begin(out, '{');
    put_trace_id(&object, model->trace_id);
    put_span_id(&object, span->shown_id);
    put_slice(&object, "operationName", span->name);
    put_references(&object, model, span);
    put_microseconds(&object, "startTime", span->start_unix_ns);
    put_microseconds(&object, "duration", span->end_unix_ns - span->start_unix_ns);
    json_list_key(&object, "tags");
    struct json_list tags = json_list_begin(out, '[');
    (void)trace_each_span_tag(group, span, put_tag, &tags);
    json_list_end(&tags, ']');
    put_logs(&object, span);
    json_list_key(&object, "processID");
    (void)buffer_append_format(out, "\"p%" PRIu32 "\"", group->process + 1);
    json_list_key(&object, "warnings");
    (void)buffer_append_text(
        out, span->is_cut_loose ? "[\"shown without its parent, which is also its descendant\"]" : "null");
    json_list_end(&object, '}');
}

static void put_process(struct json_list *processes, const struct trace_group *group)
{
    struct buffer *out = processes->out;
    struct buffer name;

    json_list_next(processes);
    (void)buffer_append_format(out, "\"p%" PRIu32 "\":", group->process + 1);
    struct json_list process = json_list_begin(out, '{');
    buffer_init(&name, (size_t)2 * TRACE_GROUP_BYTES_MAX);
    trace_service_name(&name, group);
    put_slice(&process, "serviceName", slice_of(name.data, name.length));
    buffer_deinit(&name);
    json_list_key(&process, "tags");
    struct json_list tags = json_list_begin(out, '[');
    (void)trace_each_process_tag(group, put_tag, &tags);
    json_list_end(&tags, ']');
    json_list_end(&process, '}');
}

static void put_warnings(struct json_list *object, const struct trace_model *model)
{
    json_list_key(object, "warnings");
    if (model->warning_count == 0) {
        (void)buffer_append_text(object->out, "null");
        return;
    }
    struct json_list warnings = json_list_begin(object->out, '[');
    trace_json_warnings(&warnings, model);
    json_list_end(&warnings, ']');
}

void trace_jaeger_put(struct json_list *traces, const struct trace_model *model)
{
    struct buffer *out = traces->out;
    uint32_t process = 0;

    json_list_next(traces);
    struct json_list object = json_list_begin(out, '{');
    put_trace_id(&object, model->trace_id);
    json_list_key(&object, "spans");
    struct json_list spans = json_list_begin(out, '[');
    for (size_t i = 0; i < model->span_count && out->error == 0; i++) {
        put_span(&spans, model, &model->spans[i]);
    }
    json_list_end(&spans, ']');
    json_list_key(&object, "processes");
    struct json_list processes = json_list_begin(out, '{');
    for (size_t i = 0; i < model->group_count; i++) {
        if (model->groups[i].process == process) { /* they were numbered in this order */
            put_process(&processes, &model->groups[i]);
            process++;
        }
    }
    json_list_end(&processes, '}');
    put_warnings(&object, model);
    json_list_end(&object, '}');
}

/* ---- answers ---- */

static struct json_list begin_answer(struct buffer *out)
{
    struct json_list object = json_list_begin(out, '{');

    json_list_key(&object, "data");
    return object;
}

static void end_answer(struct json_list *object, size_t total)
{
    (void)buffer_append_format(object->out, ",\"total\":%zu,\"limit\":0,\"offset\":0", total);
    json_list_key(object, "errors");
}

static void close_answer(struct json_list *object)
{
    json_list_end(object, '}');
    (void)buffer_append_byte(object->out, '\n');
}

void trace_jaeger_put_missing(
    struct buffer *out, const uint8_t (*missing)[TRACE_MODEL_ID_BYTES], size_t missing_count)
{
    if (missing_count == 0) {
        (void)buffer_append_text(out, "null");
        return;
    }
    struct json_list errors = json_list_begin(out, '[');
    for (size_t i = 0; i < missing_count; i++) {
        json_list_next(&errors);
        struct json_list error = json_list_begin(out, '{');
        put_slice(&error, "msg", SLICE_LITERAL("trace not found"));
        put_trace_id(&error, missing[i]);
        json_list_end(&error, '}');
    }
    json_list_end(&errors, ']');
}

static struct slice text_of(const struct trace_name *name)
{
    return slice_of(name->text, name->length);
}

/* Names, each once; returns how many. */
static size_t put_names(struct buffer *out, const struct trace_names *names)
{
    struct json_list list = json_list_begin(out, '[');
    size_t count = 0;

    for (size_t i = 0; i < names->count; i++) {
        if (i == 0 || !slice_equal(text_of(&names->items[i - 1]), text_of(&names->items[i]))) {
            json_list_next(&list);
            json_put_text(out, text_of(&names->items[i]));
            count++;
        }
    }
    json_list_end(&list, ']');
    return count;
}

static void put_operations(struct buffer *out, const struct trace_names *names)
{
    struct json_list list = json_list_begin(out, '[');

    for (size_t i = 0; i < names->count; i++) {
        json_list_next(&list);
        struct json_list operation = json_list_begin(out, '{');
        put_slice(&operation, "name", text_of(&names->items[i]));
        put_slice(&operation, "spanKind", trace_kind_name((enum span_kind)names->items[i].kind));
        json_list_end(&operation, '}');
    }
    json_list_end(&list, ']');
}

void trace_jaeger_names(struct buffer *out, enum trace_endpoint endpoint, const struct trace_names *names)
{
    bool are_services = endpoint == TRACE_ENDPOINT_V3_SERVICES;

    if (trace_endpoint_is_v3(endpoint)) {
        struct json_list object = json_list_begin(out, '{');
        json_list_key(&object, are_services ? "services" : "operations");
        if (are_services) {
            (void)put_names(out, names);
        } else {
            put_operations(out, names);
        }
        close_answer(&object);
        return;
    }
    struct json_list answer = begin_answer(out);
    size_t count = names->count;
    if (endpoint == TRACE_ENDPOINT_JAEGER_OPERATIONS) {
        put_operations(out, names);
    } else {
        count = put_names(out, names);
    }
    end_answer(&answer, count);
    (void)buffer_append_text(out, "null");
    close_answer(&answer);
}

static void put_status(struct json_list *object, const char *key, unsigned status)
{
    json_list_key(object, key);
    (void)buffer_append_format(object->out, "%u", status);
}

void trace_error(struct buffer *out, const struct trace_query *query, unsigned status, const char *message)
{
    bool is_v3 = trace_endpoint_is_v3(query->endpoint);

    if (trace_endpoint_is_jaeger(query->endpoint) && !is_v3) {
        struct json_list answer = begin_answer(out);
        (void)buffer_append_text(out, "null");
        end_answer(&answer, 0);
        struct json_list errors = json_list_begin(out, '[');
        struct json_list error = json_list_begin(out, '{');
        put_status(&error, "code", status);
        put_slice(&error, "msg", slice_of_string(message));
        json_list_end(&error, '}');
        json_list_end(&errors, ']');
        close_answer(&answer);
        return;
    }
    struct json_list answer = json_list_begin(out, '{');
    json_list_key(&answer, "error");
    struct json_list error = json_list_begin(out, '{');
    if (is_v3) {
        put_status(&error, "httpCode", status);
    }
    put_slice(&error, "message", slice_of_string(message));
    if (!is_v3 && query->argument.length > 0) {
        put_slice(&error, "argument", query->argument);
    }
    json_list_end(&error, '}');
    close_answer(&answer);
}
