/* Ids of spans in OTLP messages; see span_ids.h. */
#include "trace/span_ids.h"

#include <stdlib.h>
#include <string.h>

/* Field numbers of opentelemetry/proto/trace/v1/trace.proto. */
enum { FIELD_RESOURCE_SPANS = 1, FIELD_SCOPE_SPANS = 2, FIELD_SPANS = 2, FIELD_SPAN_ID = 2 };

struct span_ids span_ids_of(struct slice message)
{
    return (struct span_ids){.message = wire_reader_of(message)};
}

/* The next field of that number and bytes; false at the end, or where it is broken: then it is the end. */
static bool next_bytes(struct wire_reader *reader, uint32_t number, struct slice *ret_bytes)
{
    struct wire_field field;

    while (reader->at < reader->end) {
        if (wire_next(reader, &field) < 0) {
            reader->at = reader->end;
            return false;
        }
        if (field.tag == WIRE_TAG(number, WIRE_BYTES)) {
            *ret_bytes = field.bytes;
            return true;
        }
    }
    return false;
}

static bool next_span(struct span_ids *ids, struct slice *ret_span)
{
    struct slice bytes;

    while (!next_bytes(&ids->scope, FIELD_SPANS, ret_span)) {
        if (next_bytes(&ids->resource, FIELD_SCOPE_SPANS, &bytes)) {
            ids->scope = wire_reader_of(bytes);
        } else if (next_bytes(&ids->message, FIELD_RESOURCE_SPANS, &bytes)) {
            ids->resource = wire_reader_of(bytes);
        } else {
            return false;
        }
    }
    return true;
}

const uint8_t *span_ids_next(struct span_ids *ids)
{
    struct slice span;
    struct slice id;

    while (next_span(ids, &span)) {
        struct wire_reader reader = wire_reader_of(span);
        if (next_bytes(&reader, FIELD_SPAN_ID, &id) && id.length == SPAN_ID_LENGTH) {
            return id.ptr;
        }
    }
    return NULL;
}

bool span_ids_have(struct slice message, const uint8_t span_id[static SPAN_ID_LENGTH])
{
    struct span_ids ids = span_ids_of(message);
    const uint8_t *id;

    while ((id = span_ids_next(&ids)) != NULL) {
        if (memcmp(id, span_id, SPAN_ID_LENGTH) == 0) {
            return true;
        }
    }
    return false;
}

static int compare_ids(const void *left, const void *right)
{
    return memcmp(left, right, SPAN_ID_LENGTH);
}

bool span_ids_include(struct slice whole, struct slice part)
{
    struct span_ids ids = span_ids_of(whole);
    const uint8_t *id;
    size_t count = 0;
    bool includes = true;

    while (span_ids_next(&ids) != NULL) {
        count++;
    }
    uint8_t(*sorted)[SPAN_ID_LENGTH] = calloc(count + 1, SPAN_ID_LENGTH);
    if (sorted == NULL) {
        return false;
    }
    ids = span_ids_of(whole);
    for (size_t i = 0; i < count; i++) {
        memcpy(sorted[i], span_ids_next(&ids), SPAN_ID_LENGTH);
    }
    qsort(sorted, count, SPAN_ID_LENGTH, compare_ids);
    ids = span_ids_of(part);
    while (includes && (id = span_ids_next(&ids)) != NULL) {
        includes = bsearch(id, sorted, count, SPAN_ID_LENGTH, compare_ids) != NULL;
    }
    free(sorted);
    return includes;
}
