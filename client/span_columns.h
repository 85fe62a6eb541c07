/* The span batch being gathered, already in the columns that SpanBatch has. Belongs to the sender. */
#ifndef WEFT_CLIENT_SPAN_COLUMNS_H
#define WEFT_CLIENT_SPAN_COLUMNS_H

#include <stdbool.h>
#include <stdint.h>

#include "weft/v1/stream.pb-c.h"
#include "weft/weft.h"

enum { SPAN_COLUMNS_COUNT_MAX = 1024 };

/* The fields that are copied as they are, by their names in struct weft_span and in SpanBatch. */
#define SPAN_COLUMNS_32(X)                                                                                   \
    X(reporter)                                                                                              \
    X(source)                                                                                                \
    X(source_namespace)                                                                                      \
    X(destination)                                                                                           \
    X(destination_namespace)                                                                                 \
    X(route)                                                                                                 \
    X(method)                                                                                                \
    X(protocol)                                                                                              \
    X(response_code)                                                                                         \
    X(grpc_status)                                                                                           \
    X(attempts)
#define SPAN_COLUMNS_64(X)                                                                                   \
    X(response_flags)                                                                                        \
    X(request_bytes)                                                                                         \
    X(response_bytes)                                                                                        \
    X(sampling_threshold)

struct span_columns {
    uint32_t count;
    uint64_t base_time_unix_ns;
    bool has_parents;
    uint8_t trace_ids[16 * SPAN_COLUMNS_COUNT_MAX];
    uint8_t span_ids[8 * SPAN_COLUMNS_COUNT_MAX];
    uint8_t parent_ids[8 * SPAN_COLUMNS_COUNT_MAX];
    int64_t start_offset_ns[SPAN_COLUMNS_COUNT_MAX];
    uint64_t duration_ns[SPAN_COLUMNS_COUNT_MAX];
/* any_NAME: all values or-ed; a column of zeros is left out */
#define SPAN_COLUMN_FIELDS(name)                                                                             \
    uint32_t any_##name;                                                                                     \
    uint32_t name[SPAN_COLUMNS_COUNT_MAX];
    SPAN_COLUMNS_32(SPAN_COLUMN_FIELDS)
#undef SPAN_COLUMN_FIELDS
#define SPAN_COLUMN_FIELDS(name)                                                                             \
    uint64_t any_##name;                                                                                     \
    uint64_t name[SPAN_COLUMNS_COUNT_MAX];
    SPAN_COLUMNS_64(SPAN_COLUMN_FIELDS)
#undef SPAN_COLUMN_FIELDS
};

/* Forgets what was gathered. */
void span_columns_reset(struct span_columns *columns);

/* Only with count < SPAN_COLUMNS_COUNT_MAX. */
void span_columns_add(struct span_columns *columns, const struct weft_span *span);

/* The message, which borrows the columns. */
void span_columns_message(struct span_columns *columns, uint64_t sequence, Weft__V1__SpanBatch *ret_batch);

#endif
