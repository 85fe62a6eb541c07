/* Rows to columns; the sender's thread. */
#include "client/span_columns.h"

#include <string.h>

void span_columns_reset(struct span_columns *columns)
{
    columns->count = 0;
    columns->has_parents = false;
#define SPAN_COLUMN_CLEAR(name) columns->any_##name = 0;
    SPAN_COLUMNS_32(SPAN_COLUMN_CLEAR)
    SPAN_COLUMNS_64(SPAN_COLUMN_CLEAR)
#undef SPAN_COLUMN_CLEAR
}

void span_columns_add(struct span_columns *columns, const struct weft_span *span)
{
    static const uint8_t no_parent[8];
    uint32_t at = columns->count++;

    if (at == 0) {
        columns->base_time_unix_ns = span->start_time_unix_ns;
    }
    memcpy(columns->trace_ids + 16 * (size_t)at, span->trace_id, 16);
    memcpy(columns->span_ids + 8 * (size_t)at, span->span_id, 8);
    memcpy(columns->parent_ids + 8 * (size_t)at, span->parent_id, 8);
    columns->has_parents = columns->has_parents || memcmp(span->parent_id, no_parent, 8) != 0;
    columns->start_offset_ns[at] = (int64_t)(span->start_time_unix_ns - columns->base_time_unix_ns);
    columns->duration_ns[at] = span->duration_ns;
#define SPAN_COLUMN_ADD(name)                                                                                \
    columns->name[at] = span->name;                                                                          \
    columns->any_##name |= span->name;
    SPAN_COLUMNS_32(SPAN_COLUMN_ADD)
    SPAN_COLUMNS_64(SPAN_COLUMN_ADD)
#undef SPAN_COLUMN_ADD
}

void span_columns_message(struct span_columns *columns, uint64_t sequence, Weft__V1__SpanBatch *ret_batch)
{
    uint32_t count = columns->count;

    weft__v1__span_batch__init(ret_batch);
    ret_batch->sequence = sequence;
    ret_batch->span_count = count;
    ret_batch->base_time_unix_ns = columns->base_time_unix_ns;
    ret_batch->trace_ids = (ProtobufCBinaryData){.len = 16 * (size_t)count, .data = columns->trace_ids};
    ret_batch->span_ids = (ProtobufCBinaryData){.len = 8 * (size_t)count, .data = columns->span_ids};
    if (columns->has_parents) {
        ret_batch->parent_ids = (ProtobufCBinaryData){.len = 8 * (size_t)count, .data = columns->parent_ids};
    }
    ret_batch->n_start_offset_ns = count;
    ret_batch->start_offset_ns = columns->start_offset_ns;
    ret_batch->n_duration_ns = count;
    ret_batch->duration_ns = columns->duration_ns;
#define SPAN_COLUMN_TELL(name)                                                                               \
    ret_batch->n_##name = columns->any_##name != 0 ? count : 0;                                              \
    ret_batch->name = columns->name;
    SPAN_COLUMNS_32(SPAN_COLUMN_TELL)
    SPAN_COLUMNS_64(SPAN_COLUMN_TELL)
#undef SPAN_COLUMN_TELL
}
