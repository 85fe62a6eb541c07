/*
 * LogBatch of the native stream (proto/weft/v1): read into columns, checked record by record, and written as
 * OTLP log records. Runs on the shard that owns the connection; what is read lives in the arena.
 */
#ifndef WEFT_DECODE_NATIVE_LOGS_H
#define WEFT_DECODE_NATIVE_LOGS_H

#include "core/buffer.h"
#include "decode/attribute.h"
#include "decode/native.h"

enum {
    NATIVE_LOGS_COUNT_MAX = 65536,            /* records in one batch */
    NATIVE_LOG_ATTRIBUTES_COUNT_MAX = 524288, /* of all records of a batch */
    NATIVE_LOG_SEVERITY_MAX = 24,
};

/* A batch as columns; an index below log_count is valid in each. */
struct native_logs {
    const Weft__V1__LogBatch *batch;
    uint64_t sequence;
    uint32_t log_count;
    uint64_t base_time_unix_ns;
    const uint8_t *trace_ids; /* NATIVE_TRACE_ID_BYTES each, or NULL */
    const uint8_t *span_ids;  /* NATIVE_SPAN_ID_BYTES each, or NULL */
    struct native_column64 time_offset_ns;
    struct native_column32 severity;
    struct native_column32 attribute_count;
};

/*
 * As native_decode_spans: WERR_INVALID when log_count and the columns contradict each other, or attribute
 * counts do not add up to the attributes.
 */
int native_decode_logs(
    struct slice payload, struct arena *arena, struct native_logs *ret_logs, struct decode_error *ret_error);

/* Record i; meaningless (wrapped) when native_log_check says RECORD_ERROR_TIME. */
static inline uint64_t native_log_unix_ns(const struct native_logs *logs, size_t i)
{
    return logs->base_time_unix_ns + native_get64(logs->time_offset_ns, i);
}

/* Attributes of record i, which begin at `first` of the batch's. */
struct native_log_attributes {
    size_t first;
    size_t count;
};

/* Why record i is refused, or RECORD_ERROR_NONE; *ret_field only of a refused one. */
enum record_error native_log_check(const struct native_logs *logs, size_t i,
    struct native_log_attributes attributes, const struct native_check *check, const char **ret_field);

/*
 * Appends record i as field 2 of a ScopeLogs: an OTLP LogRecord. Secrets and query strings by the table are
 * left out. Errors stick to the buffer.
 */
void native_log_encode(const struct native_logs *logs, size_t i, struct native_log_attributes attributes,
    const struct attribute_table *table, uint64_t observed_unix_ns, struct buffer *out);

#endif
