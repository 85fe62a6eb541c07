/* See spans.h. */
#include "cli/spans.h"

#include <stdlib.h>
#include <string.h>

#include "cli/plain_text.h"

enum { STATUS_ERROR = 2, WARNING_COLUMNS = 200 };

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : "";
}

/* 64-bit integers are strings in this JSON; smaller ones may be either. */
static uint64_t number_of(const json_t *value)
{
    if (json_is_string(value)) {
        return strtoull(json_string_value(value), NULL, 10);
    }
    return json_is_integer(value) && json_integer_value(value) > 0 ? (uint64_t)json_integer_value(value) : 0;
}

static const json_t *find_value(const json_t *attributes, const char *key)
{
    for (size_t i = 0; i < json_array_size(attributes); i++) {
        const json_t *attribute = json_array_get(attributes, i);
        if (strcmp(text_of(attribute, "key"), key) == 0) {
            return json_object_get(attribute, "value");
        }
    }
    return NULL;
}

const char *span_attribute(const struct shown_span *span, const char *key)
{
    return json_string_value(json_object_get(find_value(span->attributes, key), "stringValue"));
}

long span_attribute_number(const struct shown_span *span, const char *key)
{
    const json_t *value = find_value(span->attributes, key);
    const json_t *number = json_object_get(value, "intValue");

    if (number == NULL) {
        number = json_object_get(value, "stringValue");
    }
    return number != NULL ? (long)(number_of(number) & 0x7fffffff) : -1;
}

static struct shown_span read_span(const json_t *json, const char *service)
{
    const json_t *status = json_object_get(json, "status");
    struct shown_span span = {
        .trace_id = text_of(json, "traceId"),
        .id = text_of(json, "spanId"),
        .parent_id = text_of(json, "parentSpanId"),
        .service = service,
        .name = text_of(json, "name"),
        .status_message = text_of(status, "message"),
        .attributes = json_object_get(json, "attributes"),
        .start_unix_ns = number_of(json_object_get(json, "startTimeUnixNano")),
        .end_unix_ns = number_of(json_object_get(json, "endTimeUnixNano")),
        .kind = (int)(number_of(json_object_get(json, "kind")) & 0xff),
        .is_error = number_of(json_object_get(status, "code")) == STATUS_ERROR,
        .parent = -1,
    };

    span.is_attempt =
        span.kind == SPAN_KIND_CLIENT_NUMBER && find_value(span.attributes, "upstream_address") != NULL;
    if (span.end_unix_ns < span.start_unix_ns) {
        span.end_unix_ns = span.start_unix_ns;
    }
    return span;
}

static bool add_span(struct shown_spans *spans, size_t *capacity, const json_t *json, const char *service)
{
    if (spans->count == SPANS_COUNT_MAX) {
        spans->is_cut = true;
        return true;
    }
    if (spans->count == *capacity) {
        size_t wanted = *capacity > 0 ? *capacity * 2 : 64;
        struct shown_span *grown = realloc(spans->items, wanted * sizeof *grown);
        if (grown == NULL) {
            return false;
        }
        spans->items = grown;
        *capacity = wanted;
    }
    spans->items[spans->count] = read_span(json, service);
    spans->items[spans->count].order = spans->count;
    spans->count++;
    return true;
}

static bool add_group(struct shown_spans *spans, size_t *capacity, const json_t *group)
{
    const json_t *attributes = json_object_get(json_object_get(group, "resource"), "attributes");
    const char *service = text_of(find_value(attributes, "service.name"), "stringValue");
    const json_t *scopes = json_object_get(group, "scopeSpans");

    for (size_t i = 0; i < json_array_size(scopes); i++) {
        const json_t *list = json_object_get(json_array_get(scopes, i), "spans");
        for (size_t j = 0; j < json_array_size(list); j++) {
            if (!add_span(spans, capacity, json_array_get(list, j), service)) {
                return false;
            }
        }
    }
    return true;
}

static int by_start(const void *x, const void *y)
{
    const struct shown_span *a = x;
    const struct shown_span *b = y;

    if (a->start_unix_ns != b->start_unix_ns) {
        return a->start_unix_ns < b->start_unix_ns ? -1 : 1;
    }
    if (a->end_unix_ns != b->end_unix_ns) {
        return a->end_unix_ns > b->end_unix_ns ? -1 : 1; /* the longer one holds the other */
    }
    return (a->order > b->order) - (a->order < b->order);
}

struct id_place {
    const char *trace_id;
    const char *id;
    size_t index;
};

static int by_id(const void *x, const void *y)
{
    const struct id_place *a = x;
    const struct id_place *b = y;
    int order = strcmp(a->trace_id, b->trace_id);

    return order != 0 ? order : strcmp(a->id, b->id);
}

/* Whether the walk up from `from` comes by `span`: then it cannot be its parent. */
static bool is_beneath(const struct shown_spans *spans, int from, size_t span)
{
    for (size_t steps = 0; from >= 0 && steps <= spans->count; steps++) {
        if ((size_t)from == span) {
            return true;
        }
        from = spans->items[from].parent;
    }
    return false;
}

static bool find_parents(struct shown_spans *spans)
{
    struct id_place *places = malloc((spans->count + 1) * sizeof *places);

    if (places == NULL) {
        return false;
    }
    for (size_t i = 0; i < spans->count; i++) {
        places[i] =
            (struct id_place){.trace_id = spans->items[i].trace_id, .id = spans->items[i].id, .index = i};
    }
    qsort(places, spans->count, sizeof *places, by_id);
    for (size_t i = 0; i < spans->count; i++) {
        struct shown_span *span = &spans->items[i];
        struct id_place wanted = {.trace_id = span->trace_id, .id = span->parent_id};
        struct id_place *found =
            span->parent_id[0] != '\0' ? bsearch(&wanted, places, spans->count, sizeof wanted, by_id) : NULL;
        if (found != NULL && !is_beneath(spans, (int)found->index, i)) {
            span->parent = (int)found->index;
        }
    }
    free(places);
    return true;
}

bool spans_read(const json_t *answer, struct shown_spans *ret_spans)
{
    const json_t *groups = json_object_get(answer, "resourceSpans");
    struct shown_spans spans = {.items = NULL};
    size_t capacity = 0;

    for (size_t i = 0; i < json_array_size(groups); i++) {
        if (!add_group(&spans, &capacity, json_array_get(groups, i))) {
            spans_free(&spans);
            return false;
        }
    }
    if (spans.count > 0) {
        qsort(spans.items, spans.count, sizeof *spans.items, by_start);
    }
    if (!find_parents(&spans)) {
        spans_free(&spans);
        return false;
    }
    *ret_spans = spans;
    return true;
}

void spans_free(struct shown_spans *spans)
{
    free(spans->items);
    *spans = (struct shown_spans){.items = NULL};
}

void spans_print_warnings(const json_t *answer)
{
    const json_t *warnings = json_object_get(answer, "warnings");

    for (size_t i = 0; i < json_array_size(warnings); i++) {
        printf("warning: ");
        plain_text_write(stdout, json_string_value(json_array_get(warnings, i)), WARNING_COLUMNS);
        printf("\n");
    }
}
