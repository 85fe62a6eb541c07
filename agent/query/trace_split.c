/* See trace_split.h. Neighbours of one trace share their ResourceSpans. */
#include "query/trace_split.h"

#include <stdlib.h>

#include "core/error.h"
#include "decode/wire_write.h"

enum {
    FIELD_RESOURCE_SPANS = 1,
    FIELD_SCOPE_SPANS = 2,
    FIELD_SPAN = 2,
    FIELD_TRACE_ID = 1,
    GROUP_BYTES = 1000
};

struct id_row {
    uint8_t id[TRACE_MODEL_ID_BYTES];
    size_t index;
};

struct splitter {
    struct id_row *rows; /* in order of their ids */
    size_t row_count;
    struct buffer *parts;
    struct buffer *open; /* the part that is being written to; NULL: none */
    struct wire_envelope resource_spans;
    struct wire_envelope scope_spans;
    struct slice resource_message; /* a ResourceSpans; of it all fields but ScopeSpans are copied */
    struct slice scope_message;
};

static int compare_rows(const void *left, const void *right)
{
    return memcmp(
        ((const struct id_row *)left)->id, ((const struct id_row *)right)->id, TRACE_MODEL_ID_BYTES);
}

static struct buffer *find_part(const struct splitter *splitter, struct slice id)
{
    struct id_row wanted = {.index = 0};

    if (id.length != sizeof wanted.id) {
        return NULL;
    }
    memcpy(wanted.id, id.ptr, sizeof wanted.id);
    const struct id_row *row =
        bsearch(&wanted, splitter->rows, splitter->row_count, sizeof wanted, compare_rows);
    return row != NULL ? &splitter->parts[row->index] : NULL;
}

/* All fields of a message but one. */
static void copy_fields(struct buffer *out, struct slice message, uint32_t but)
{
    struct wire_reader reader = wire_reader_of(message);
    struct wire_field field;

    while (wire_next(&reader, &field) > 0) {
        if (wire_tag_number(field.tag) != but) {
            (void)buffer_append_slice(out, field.raw);
        }
    }
}

static void close_group(struct splitter *splitter)
{
    if (splitter->open != NULL) {
        wire_envelope_end(splitter->open, splitter->scope_spans);
        wire_envelope_end(splitter->open, splitter->resource_spans);
        splitter->open = NULL;
    }
}

static void open_group(struct splitter *splitter, struct buffer *part)
{
    close_group(splitter);
    splitter->open = part;
    splitter->resource_spans = wire_envelope_begin(part, FIELD_RESOURCE_SPANS, GROUP_BYTES);
    copy_fields(part, splitter->resource_message, FIELD_SCOPE_SPANS);
    splitter->scope_spans = wire_envelope_begin(part, FIELD_SCOPE_SPANS, GROUP_BYTES);
    copy_fields(part, splitter->scope_message, FIELD_SPAN);
}

static int split_span(struct splitter *splitter, struct slice span)
{
    struct wire_reader reader = wire_reader_of(span);
    struct slice id;

    if (!trace_next_message(&reader, FIELD_TRACE_ID, &id)) {
        return 0;
    }
    struct buffer *part = find_part(splitter, id);
    if (part == NULL || part->error < 0) {
        return 0;
    }
    if (part != splitter->open) {
        open_group(splitter, part);
    }
    wire_write_bytes(part, FIELD_SPAN, span);
    return 0;
}

/* Calls `each` for the messages in field `number`. */
static int for_each(struct splitter *splitter, struct slice message, uint32_t number,
    int (*each)(struct splitter *splitter, struct slice item))
{
    struct wire_reader reader = wire_reader_of(message);
    struct wire_field field;
    int status;

    while ((status = wire_next(&reader, &field)) > 0) {
        int error = field.tag == WIRE_TAG(number, WIRE_BYTES) ? each(splitter, field.bytes) : 0;
        if (error < 0) {
            return error;
        }
    }
    return status;
}

static int split_scope(struct splitter *splitter, struct slice message)
{
    splitter->scope_message = message;
    int error = for_each(splitter, message, FIELD_SPAN, split_span);
    close_group(splitter);
    return error;
}

static int split_resource(struct splitter *splitter, struct slice message)
{
    splitter->resource_message = message;
    return for_each(splitter, message, FIELD_SCOPE_SPANS, split_scope);
}

int trace_split(
    struct slice message, const uint8_t (*ids)[TRACE_MODEL_ID_BYTES], size_t id_count, struct buffer *parts)
{
    struct splitter splitter = {.row_count = id_count, .parts = parts};

    if (id_count == 0) {
        return 0;
    }
    splitter.rows = malloc(id_count * sizeof *splitter.rows);
    if (splitter.rows == NULL) {
        return WERR_NOMEM;
    }
    for (size_t i = 0; i < id_count; i++) {
        memcpy(splitter.rows[i].id, ids[i], sizeof splitter.rows[i].id);
        splitter.rows[i].index = i;
    }
    qsort(splitter.rows, id_count, sizeof *splitter.rows, compare_rows);
    int error = for_each(&splitter, message, FIELD_RESOURCE_SPANS, split_resource);
    free(splitter.rows);
    return error;
}
