/* Reads the parts of a trace; see trace_model.h. What is done when all are there is in trace_finish.c. */
#include "query/trace_model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/error.h"
#include "query/trace_internal.h"

enum { SPANS_COUNT_FIRST = 64, GROUPS_COUNT_FIRST = 16 };

static const uint64_t HASH_START = 0xcbf29ce484222325u;

void trace_model_init(struct trace_model *model, const uint8_t trace_id[static TRACE_MODEL_ID_BYTES])
{
    *model = (struct trace_model){.span_count = 0};
    memcpy(model->trace_id, trace_id, sizeof model->trace_id);
}

void trace_model_deinit(struct trace_model *model)
{
    if (model == NULL) {
        return;
    }
    for (size_t i = 0; i < model->part_count; i++) {
        shared_bytes_unref(model->parts[i]);
    }
    free(model->spans);
    free(model->groups);
    free(model->by_id);
    *model = (struct trace_model){.span_count = 0};
}

void trace_model_warn(struct trace_model *model, const char *format, ...)
{
    va_list arguments;

    if (model->warning_count == TRACE_WARNINGS_COUNT_MAX) {
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf(model->warnings[model->warning_count++], sizeof model->warnings[0], format, arguments);
    va_end(arguments);
}

/* ---- resources and scopes ---- */

static uint64_t hash_of(uint64_t hash, struct slice bytes)
{
    for (size_t i = 0; i < bytes.length; i++) {
        hash = (hash ^ bytes.ptr[i]) * 0x100000001b3u; /* FNV-1a */
    }
    return (hash ^ bytes.length) * 0x100000001b3u;
}

static bool is_same_group(const struct trace_group *a, const struct trace_group *b)
{
    return a->hash == b->hash && a->resource_hash == b->resource_hash &&
           slice_equal(a->resource, b->resource) && slice_equal(a->scope, b->scope) &&
           slice_equal(a->resource_schema_url, b->resource_schema_url) &&
           slice_equal(a->scope_schema_url, b->scope_schema_url);
}

static void name_group(struct trace_group *group)
{
    struct wire_reader reader = wire_reader_of(group->resource);
    struct trace_attribute attribute;
    struct slice kubernetes = {0};
    struct wire_field field;

    while (trace_next_attribute(&reader, TRACE_FIELD_RESOURCE_ATTRIBUTES, &attribute)) {
        if (attribute.value.type != TRACE_VALUE_TEXT) {
            continue;
        }
        if (slice_equal(attribute.key, SLICE_LITERAL("service.name"))) {
            group->service_name = attribute.value.bytes;
        } else if (slice_equal(attribute.key, SLICE_LITERAL("service.namespace"))) {
            group->service_namespace = attribute.value.bytes;
        } else if (slice_equal(attribute.key, SLICE_LITERAL("k8s.namespace.name"))) {
            kubernetes = attribute.value.bytes;
        }
    }
    if (group->service_namespace.length == 0) {
        group->service_namespace = kubernetes;
    }
    reader = wire_reader_of(group->scope);
    while (wire_next(&reader, &field) > 0) {
        if (field.tag == WIRE_TAG(1, WIRE_BYTES)) {
            group->scope_name = field.bytes;
        } else if (field.tag == WIRE_TAG(2, WIRE_BYTES)) {
            group->scope_version = field.bytes;
        }
    }
}

static uint32_t process_of(struct trace_model *model, const struct trace_group *group)
{
    for (size_t i = 0; i < model->group_count; i++) {
        if (model->groups[i].resource_hash == group->resource_hash &&
            slice_equal(model->groups[i].resource, group->resource)) {
            return model->groups[i].process;
        }
    }
    return (uint32_t)model->process_count++;
}

static bool make_room(void **items, size_t item_bytes, size_t count, size_t first)
{
    /* a power of two from `first` on: full when the count is one */
    if (count != 0 && (count < first || (count & (count - 1)) != 0)) {
        return true;
    }
    void *grown = realloc(*items, (count == 0 ? first : 2 * count) * item_bytes);
    if (grown != NULL) {
        *items = grown;
    }
    return grown != NULL;
}

static int check_group(const struct trace_group *group)
{
    if (group->resource.length > TRACE_GROUP_BYTES_MAX || group->scope.length > TRACE_GROUP_BYTES_MAX) {
        return WERR_OVERSIZED;
    }
    int error = trace_check(trace_schema(TRACE_MESSAGE_RESOURCE), group->resource, TRACE_DEPTH_MAX);
    return error < 0 ? error : trace_check(trace_schema(TRACE_MESSAGE_SCOPE), group->scope, TRACE_DEPTH_MAX);
}

/* Index of the group, made when it is new; WERR_FULL, WERR_NOMEM, or what is wrong with it. */
static int obtain_group(struct trace_model *model, const struct trace_group *wanted)
{
    struct trace_group group = *wanted;
    void *groups = model->groups;
    int error = check_group(&group);

    if (error < 0) {
        return error;
    }
    group.hash = hash_of(hash_of(hash_of(group.resource_hash, group.resource_schema_url), group.scope),
        group.scope_schema_url);
    for (size_t i = 0; i < model->group_count; i++) {
        if (is_same_group(&model->groups[i], &group)) {
            return (int)i;
        }
    }
    if (model->group_count == TRACE_GROUPS_COUNT_MAX) {
        return WERR_FULL;
    }
    if (!make_room(&groups, sizeof group, model->group_count, GROUPS_COUNT_FIRST)) {
        return WERR_NOMEM;
    }
    model->groups = groups;
    group.process = process_of(model, &group);
    name_group(&group);
    model->groups[model->group_count] = group;
    return (int)model->group_count++;
}

/* ---- spans ---- */

static void read_status(struct trace_span *span, struct slice message)
{
    struct wire_reader reader = wire_reader_of(message);
    struct wire_field field;

    while (wire_next(&reader, &field) > 0) {
        if (field.tag == WIRE_TAG(2, WIRE_BYTES)) {
            span->status_message = field.bytes;
        } else if (field.tag == WIRE_TAG(3, WIRE_VARINT) && field.integer <= SPAN_STATUS_ERROR) {
            span->status = (enum span_status)field.integer;
        }
    }
}

static bool take_id(uint8_t *id, size_t id_bytes, struct slice from)
{
    if (from.length != id_bytes) {
        return false;
    }
    memcpy(id, from.ptr, id_bytes);
    return true;
}

static bool is_zero(const uint8_t *id, size_t id_bytes)
{
    static const uint8_t zero[TRACE_MODEL_ID_BYTES];

    return memcmp(id, zero, id_bytes) == 0;
}

/* A field of a Span; false for a parent id that is none. */
static bool read_span_field(
    struct trace_span *span, uint8_t trace_id[static TRACE_MODEL_ID_BYTES], const struct wire_field *field)
{
    switch (wire_tag_number(field->tag)) {
    case 1:
        return take_id(trace_id, TRACE_MODEL_ID_BYTES, field->bytes);
    case 2:
        return take_id(span->span_id, sizeof span->span_id, field->bytes);
    case 3:
        span->tracestate = field->bytes;
        return true;
    case 4:
        return field->bytes.length == 0 || take_id(span->parent_id, sizeof span->parent_id, field->bytes);
    case 5:
        span->name = field->bytes;
        return true;
    case 6:
        span->kind =
            field->integer <= SPAN_KIND_CONSUMER ? (enum span_kind)field->integer : SPAN_KIND_UNSPECIFIED;
        return true;
    case 7:
        span->start_unix_ns = field->integer;
        return true;
    case 8:
        span->end_unix_ns = field->integer;
        return true;
    case 15:
        read_status(span, field->bytes);
        return true;
    default:
        return true;
    }
}

static bool is_access_log(struct slice raw)
{
    struct wire_reader reader = wire_reader_of(raw);
    struct trace_attribute attribute;

    while (trace_next_attribute(&reader, TRACE_FIELD_SPAN_ATTRIBUTES, &attribute)) {
        if (slice_equal(attribute.key, SLICE_LITERAL(TRACE_RECORD_KEY))) {
            return attribute.value.type == TRACE_VALUE_TEXT &&
                   slice_equal(attribute.value.bytes, SLICE_LITERAL(TRACE_RECORD_ACCESS_LOG));
        }
    }
    return false;
}

bool trace_read_span(struct slice raw, struct trace_span *span, uint8_t trace_id[static TRACE_MODEL_ID_BYTES])
{
    struct wire_reader reader = wire_reader_of(raw);
    struct wire_field field;

    memset(trace_id, 0, TRACE_MODEL_ID_BYTES);
    if (trace_check(trace_schema(TRACE_MESSAGE_SPAN), raw, TRACE_DEPTH_MAX) < 0) {
        return false;
    }
    *span = (struct trace_span){.raw = raw, .parent = -1};
    while (wire_next(&reader, &field) > 0) {
        if (!read_span_field(span, trace_id, &field)) {
            return false;
        }
    }
    if (span->end_unix_ns < span->start_unix_ns) {
        span->end_unix_ns = span->start_unix_ns;
    }
    span->is_access_log = is_access_log(raw);
    return !is_zero(trace_id, TRACE_MODEL_ID_BYTES) && !is_zero(span->span_id, sizeof span->span_id);
}

/* Where the reading of one part stands. */
struct part_reader {
    struct trace_model *model;
    struct trace_group group;
    int group_index; /* below 0: not looked for yet, or refused */
    bool group_is_refused;
};

/* 0 or WERR_NOMEM; what is wrong with the span is counted. */
static int take_span(struct part_reader *part, struct slice raw)
{
    struct trace_model *model = part->model;
    struct trace_span span;
    uint8_t trace_id[TRACE_MODEL_ID_BYTES];
    void *spans = model->spans;

    if (!trace_read_span(raw, &span, trace_id)) {
        model->refused_count++;
        return 0;
    }
    if (memcmp(trace_id, model->trace_id, sizeof trace_id) != 0) {
        model->foreign_count++;
        return 0;
    }
    if (model->span_count == TRACE_READ_SPANS_COUNT_MAX || part->group_is_refused) {
        model->left_out_count++;
        return 0;
    }
    if (part->group_index < 0) {
        part->group_index = obtain_group(model, &part->group);
        if (part->group_index < 0) {
            part->group_is_refused = true;
            model->left_out_count++;
            return part->group_index == WERR_NOMEM ? WERR_NOMEM : 0;
        }
    }
    if (!make_room(&spans, sizeof span, model->span_count, SPANS_COUNT_FIRST)) {
        return WERR_NOMEM;
    }
    model->spans = spans;
    span.group = (uint32_t)part->group_index;
    model->spans[model->span_count++] = span;
    return 0;
}

/* The last field of bytes with that number; scopes and resources may stand behind the spans. */
static int find_bytes(struct slice message, uint32_t number, struct slice *ret_bytes)
{
    struct wire_reader reader = wire_reader_of(message);
    struct wire_field field;
    int status;

    *ret_bytes = slice_of(NULL, 0);
    while ((status = wire_next(&reader, &field)) > 0) {
        if (wire_tag_number(field.tag) == number) {
            if (wire_tag_type(field.tag) != WIRE_BYTES) {
                return WERR_WIRE_TYPE;
            }
            *ret_bytes = field.bytes;
        }
    }
    return status;
}

bool trace_read_group(struct slice resource_fields, struct slice scope_fields, struct trace_group *ret_group)
{
    struct trace_group group = {.hash = 0};

    if (find_bytes(resource_fields, 1, &group.resource) < 0 ||
        find_bytes(scope_fields, 1, &group.scope) < 0 || check_group(&group) < 0) {
        return false;
    }
    name_group(&group);
    *ret_group = group;
    return true;
}

/* Calls `each` for every message in field `number`. */
static int for_each(struct part_reader *part, struct slice message, uint32_t number,
    int (*each)(struct part_reader *part, struct slice item))
{
    struct wire_reader reader = wire_reader_of(message);
    struct wire_field field;
    int status;

    while ((status = wire_next(&reader, &field)) > 0) {
        if (wire_tag_number(field.tag) != number) {
            continue;
        }
        if (wire_tag_type(field.tag) != WIRE_BYTES) {
            return WERR_WIRE_TYPE;
        }
        int error = each(part, field.bytes);
        if (error < 0) {
            return error;
        }
    }
    return status;
}

static int take_scope_spans(struct part_reader *part, struct slice message)
{
    int error = find_bytes(message, 1, &part->group.scope);

    if (error == 0) {
        error = find_bytes(message, 3, &part->group.scope_schema_url);
    }
    part->group_index = -1;
    part->group_is_refused = false;
    return error < 0 ? error : for_each(part, message, 2, take_span);
}

static int take_resource_spans(struct part_reader *part, struct slice message)
{
    int error = find_bytes(message, 1, &part->group.resource);

    if (error == 0) {
        error = find_bytes(message, 3, &part->group.resource_schema_url);
    }
    part->group.resource_hash = hash_of(HASH_START, part->group.resource);
    return error < 0 ? error : for_each(part, message, 2, take_scope_spans);
}

int trace_model_add(struct trace_model *model, struct shared_bytes *part)
{
    struct part_reader reader = {.model = model};

    if (model->part_count == TRACE_PARTS_COUNT_MAX ||
        part->length > TRACE_PART_BYTES_MAX - model->part_bytes) {
        trace_model_warn(model, "an answer of %zu bytes is left out: too many or too large", part->length);
        return WERR_FULL;
    }
    model->parts[model->part_count++] = shared_bytes_ref(part);
    model->part_bytes += part->length;
    int error = for_each(&reader, slice_of(part->data, part->length), 1, take_resource_spans);
    if (error < 0) {
        trace_model_warn(model, "an answer is left out from where it is broken: %s", werr_text(error));
    }
    return error;
}

static void warn_of_counts(struct trace_model *model)
{
    if (model->refused_count > 0) {
        trace_model_warn(model, "%zu spans are left out: they cannot be read", model->refused_count);
    }
    if (model->foreign_count > 0) {
        trace_model_warn(model, "%zu spans are left out: they belong to other traces", model->foreign_count);
    }
    if (model->left_out_count > 0) {
        trace_model_warn(model, "%zu spans are left out: a trace shows at most %d, of %d scopes",
            model->left_out_count, TRACE_SPANS_COUNT_MAX, TRACE_GROUPS_COUNT_MAX);
    }
    if (model->missing_parent_count > 0 && !model->is_part) {
        trace_model_warn(model, "%zu spans name a parent that is not here", model->missing_parent_count);
    }
    if (model->loose_count > 0) {
        trace_model_warn(
            model, "%zu spans were their own ancestors: they are shown without parent", model->loose_count);
    }
}

int trace_model_finish(struct trace_model *model)
{
    int error = trace_resolve(model);

    if (error == 0) {
        warn_of_counts(model);
    }
    return error;
}
