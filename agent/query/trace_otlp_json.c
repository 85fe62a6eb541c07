/* OTLP messages to JSON, by the tables of decode/otlp_json_schema.h; see trace_otlp_json.h. */
#include "query/trace_otlp_json.h"

#include <inttypes.h>
#include <stdlib.h>

#include "core/error.h"
#include "query/trace_internal.h"

static void put_message(struct buffer *out, const struct otlp_json_message *schema, struct slice message);

static void put_integer(struct buffer *out, enum otlp_json_type type, uint64_t integer)
{
    int64_t zigzag = (int64_t)(integer >> 1) ^ -(int64_t)(integer & 1);

    switch (type) {
    case OTLP_JSON_BOOLEAN:
        (void)buffer_append_text(out, integer != 0 ? "true" : "false");
        break;
    case OTLP_JSON_ENUM:
        (void)buffer_append_format(out, "%" PRId32, (int32_t)integer);
        break;
    case OTLP_JSON_SINT32:
        (void)buffer_append_format(out, "%" PRId64, zigzag);
        break;
    case OTLP_JSON_UINT32:
    case OTLP_JSON_FIXED32:
        (void)buffer_append_format(out, "%" PRIu32, (uint32_t)integer);
        break;
    case OTLP_JSON_INT64:
    case OTLP_JSON_SFIXED64:
        (void)buffer_append_format(out, "\"%" PRId64 "\"", (int64_t)integer);
        break;
    default: /* 64 bits without sign */
        (void)buffer_append_format(out, "\"%" PRIu64 "\"", integer);
        break;
    }
}

static void put_value(struct buffer *out, const struct otlp_json_field *row, const struct wire_field *field)
{
    double real;

    switch (row->type) {
    case OTLP_JSON_MESSAGE:
        put_message(out, row->message, field->bytes);
        break;
    case OTLP_JSON_TEXT:
        json_put_text(out, field->bytes);
        break;
    case OTLP_JSON_ID:
        json_put_hex(out, field->bytes);
        break;
    case OTLP_JSON_BASE64:
        json_put_base64(out, field->bytes);
        break;
    case OTLP_JSON_DOUBLE:
        memcpy(&real, &field->integer, sizeof real);
        json_put_real(out, real);
        break;
    default:
        put_integer(out, row->type, field->integer);
        break;
    }
}

/* Whether a field says nothing that its absence would not say. */
static bool is_default(const struct otlp_json_field *row, const struct wire_field *field)
{
    if (row->has_presence || row->type == OTLP_JSON_MESSAGE) {
        return false;
    }
    return wire_tag_type(field->tag) == WIRE_BYTES ? field->bytes.length == 0 : field->integer == 0;
}

static void put_repeated(struct json_list *object, const struct otlp_json_field *row, struct slice message)
{
    struct wire_reader reader = wire_reader_of(message);
    struct json_list array = {.out = object->out};
    struct wire_field field;

    while (wire_next(&reader, &field) > 0) {
        if (wire_tag_number(field.tag) != row->number) {
            continue;
        }
        if (!array.has_items) {
            json_list_key(object, row->key);
            (void)buffer_append_byte(object->out, '[');
        }
        json_list_next(&array);
        put_value(object->out, row, &field);
    }
    if (array.has_items) {
        json_list_end(&array, ']');
    }
}

/* Of a field that is there several times the last one counts. */
static void put_singular(struct json_list *object, const struct otlp_json_field *row, struct slice message)
{
    struct wire_reader reader = wire_reader_of(message);
    struct wire_field field;
    struct wire_field last;
    bool is_there = false;

    while (wire_next(&reader, &field) > 0) {
        if (wire_tag_number(field.tag) == row->number) {
            last = field;
            is_there = true;
        }
    }
    if (is_there && !is_default(row, &last)) {
        json_list_key(object, row->key);
        put_value(object->out, row, &last);
    }
}

/* AnyValue holds one of its fields: the last one. */
static void put_oneof(struct json_list *object, const struct otlp_json_message *schema, struct slice message)
{
    struct wire_reader reader = wire_reader_of(message);
    const struct otlp_json_field *row = NULL;
    struct wire_field field;
    struct wire_field last;

    while (wire_next(&reader, &field) > 0) {
        const struct otlp_json_field *found = trace_schema_field(schema, wire_tag_number(field.tag));
        if (found != NULL) {
            row = found;
            last = field;
        }
    }
    if (row != NULL) {
        json_list_key(object, row->key);
        put_value(object->out, row, &last);
    }
}

static bool is_any_value(const struct otlp_json_message *schema)
{
    return schema->fields[0].has_presence; /* of the messages of traces none else has such fields */
}

static void put_fields(struct json_list *object, const struct otlp_json_message *schema, struct slice message)
{
    if (is_any_value(schema)) {
        put_oneof(object, schema, message);
        return;
    }
    for (size_t i = 0; i < schema->field_count && object->out->error == 0; i++) {
        if (schema->fields[i].is_repeated) {
            put_repeated(object, &schema->fields[i], message);
        } else {
            put_singular(object, &schema->fields[i], message);
        }
    }
}

/* As deep as trace_check let it. */
static void put_message(struct buffer *out, const struct otlp_json_message *schema, struct slice message)
{
    struct json_list object = json_list_begin(out, '{');

    put_fields(&object, schema, message);
    json_list_end(&object, '}');
}

static void put_schema_url(struct json_list *object, struct slice url)
{
    if (url.length > 0) {
        json_list_key(object, "schemaUrl");
        json_put_text(object->out, url);
    }
}

/* One ResourceSpans with one ScopeSpans: the spans at positions [from, to) of `order`. */
static void put_group(struct json_list *resource_spans, const struct trace_model *model,
    const uint32_t *order, size_t from, size_t to)
{
    const struct trace_group *group = &model->groups[model->spans[order[from]].group];
    struct buffer *out = resource_spans->out;

    json_list_next(resource_spans);
    struct json_list outer = json_list_begin(out, '{');
    json_list_key(&outer, "resource");
    put_message(out, trace_schema(TRACE_MESSAGE_RESOURCE), group->resource);
    json_list_key(&outer, "scopeSpans");
    (void)buffer_append_byte(out, '[');
    struct json_list inner = json_list_begin(out, '{');
    if (group->scope.length > 0) {
        json_list_key(&inner, "scope");
        put_message(out, trace_schema(TRACE_MESSAGE_SCOPE), group->scope);
    }
    json_list_key(&inner, "spans");
    struct json_list spans = json_list_begin(out, '[');
    for (size_t i = from; i < to && out->error == 0; i++) {
        json_list_next(&spans);
        put_message(out, trace_schema(TRACE_MESSAGE_SPAN), model->spans[order[i]].raw);
    }
    json_list_end(&spans, ']');
    put_schema_url(&inner, group->scope_schema_url);
    json_list_end(&inner, '}');
    (void)buffer_append_byte(out, ']');
    put_schema_url(&outer, group->resource_schema_url);
    json_list_end(&outer, '}');
}

/* Indices of spans by group, in each in the model's order; NULL when out of memory. `begins` has a place for
 * each group and one more. */
static uint32_t *order_by_group(const struct trace_model *model, size_t *begins)
{
    uint32_t *order = malloc((model->span_count + 1) * sizeof *order);

    if (order == NULL) {
        return NULL;
    }
    memset(begins, 0, (model->group_count + 2) * sizeof *begins);
    for (size_t i = 0; i < model->span_count; i++) {
        begins[model->spans[i].group + 2]++;
    }
    for (size_t g = 2; g < model->group_count + 2; g++) {
        begins[g] += begins[g - 1];
    }
    for (size_t i = 0; i < model->span_count; i++) {
        order[begins[model->spans[i].group + 1]++] = (uint32_t)i; /* ends where the next one begins */
    }
    return order;
}

void trace_otlp_json_spans(struct json_list *resource_spans, const struct trace_model *model)
{
    size_t *begins = calloc(model->group_count + 2, sizeof *begins);
    uint32_t *order = begins != NULL ? order_by_group(model, begins) : NULL;

    if (order == NULL) {
        resource_spans->out->error = resource_spans->out->error < 0 ? resource_spans->out->error : WERR_NOMEM;
    }
    for (size_t g = 0; order != NULL && g < model->group_count; g++) {
        if (begins[g] < begins[g + 1]) {
            put_group(resource_spans, model, order, begins[g], begins[g + 1]);
        }
    }
    free(order);
    free(begins);
}

void trace_json_warnings(struct json_list *warnings, const struct trace_model *model)
{
    for (size_t i = 0; i < model->warning_count; i++) {
        json_list_next(warnings);
        json_put_text(warnings->out, slice_of_string(model->warnings[i]));
    }
}
