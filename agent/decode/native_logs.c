/* Log records of the native stream; see native_logs.h. */
#include "decode/native_logs.h"

#include "decode/native_wire.h"
#include "decode/utf8.h"
#include "decode/wire_write.h"

enum { RECORD_BYTES = 256, PAIR_BYTES = 100 }; /* guesses at lengths: a wrong one costs a move */

static int fail(const char *field, struct decode_error *ret_error)
{
    *ret_error = decode_error_of(WERR_INVALID, field);
    return WERR_INVALID;
}

/* Of the walk, before anything is unpacked. */
static int check_tally(const struct native_tally *tally, struct decode_error *ret_error)
{
    static const uint32_t columns[] = {6, 7, 9};
    const struct native_field *fields = native_logs_shape.fields;
    uint64_t count = tally->number[2];

    if (tally->number[1] == 0) {
        return fail(fields[1].name, ret_error);
    }
    if (count > NATIVE_LOGS_COUNT_MAX || tally->count[8] != count) {
        return fail(fields[8].name, ret_error);
    }
    if (tally->bytes[4] != 0 && tally->bytes[4] != count * NATIVE_TRACE_ID_BYTES) {
        return fail(fields[4].name, ret_error);
    }
    if (tally->bytes[5] != 0 && tally->bytes[5] != count * NATIVE_SPAN_ID_BYTES) {
        return fail(fields[5].name, ret_error);
    }
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
        uint64_t bytes = tally->bytes[columns[i]];
        if (bytes != 0 && (bytes < count || bytes > count * WIRE_VARINT_BYTES_MAX)) {
            return fail(fields[columns[i]].name, ret_error);
        }
    }
    return tally->count[10] == tally->count[11] ? 0 : fail(fields[11].name, ret_error);
}

static const uint32_t zero32[1] = {0};
static const uint64_t zero64[1] = {0};

static struct native_column32 view32(const uint32_t *values, size_t count)
{
    return count > 0 ? (struct native_column32){.values = values, .mask = SIZE_MAX}
                     : (struct native_column32){.values = zero32, .mask = 0};
}

static struct native_column64 view64(const uint64_t *values, size_t count)
{
    return count > 0 ? (struct native_column64){.values = values, .mask = SIZE_MAX}
                     : (struct native_column64){.values = zero64, .mask = 0};
}

static bool fits(size_t count, uint32_t log_count)
{
    return count == 0 || count == log_count;
}

/* Of the unpacked batch: columns have one length, and attributes are as many as their counts say. */
static int check_columns(const Weft__V1__LogBatch *batch, struct decode_error *ret_error)
{
    uint64_t attribute_count = 0;

    if (!fits(batch->n_time_offset_ns, batch->log_count)) {
        return fail("time_offset_ns", ret_error);
    }
    if (!fits(batch->n_severity, batch->log_count)) {
        return fail("severity", ret_error);
    }
    if (!fits(batch->n_attribute_count, batch->log_count)) {
        return fail("attribute_count", ret_error);
    }
    for (size_t i = 0; i < batch->n_attribute_count; i++) {
        attribute_count += batch->attribute_count[i];
    }
    return attribute_count == batch->n_attribute_keys ? 0 : fail("attribute_count", ret_error);
}

int native_decode_logs(
    struct slice payload, struct arena *arena, struct native_logs *ret_logs, struct decode_error *ret_error)
{
    struct native_tally tally;
    void *message = NULL;
    int error = native_walk(payload, &native_logs_shape, 1, &tally, ret_error);

    if (error == 0) {
        error = check_tally(&tally, ret_error);
    }
    if (error == 0) {
        error = native_unpack(payload, &weft__v1__log_batch__descriptor, arena, &message, ret_error);
    }
    if (error < 0 || message == NULL) {
        return error;
    }
    const Weft__V1__LogBatch *batch = message;
    error = check_columns(batch, ret_error);
    if (error < 0) {
        return error;
    }
    *ret_logs = (struct native_logs){.batch = batch,
        .sequence = batch->sequence,
        .log_count = batch->log_count,
        .base_time_unix_ns = batch->base_time_unix_ns,
        .trace_ids = batch->trace_ids.len > 0 ? batch->trace_ids.data : NULL,
        .span_ids = batch->span_ids.len > 0 ? batch->span_ids.data : NULL,
        /* the same bits: int64_t and uint64_t may alias */
        .time_offset_ns = view64((const uint64_t *)batch->time_offset_ns, batch->n_time_offset_ns),
        .severity = view32(batch->severity, batch->n_severity),
        .attribute_count = view32(batch->attribute_count, batch->n_attribute_count)};
    return 0;
}

static struct slice slice_of_data(const ProtobufCBinaryData *data)
{
    return slice_of(data->data, data->len);
}

static enum record_error refuse(enum record_error reason, const char *field, const char **ret_field)
{
    *ret_field = field;
    return reason;
}

enum record_error native_log_check(const struct native_logs *logs, size_t i,
    struct native_log_attributes attributes, const struct native_check *check, const char **ret_field)
{
    const Weft__V1__LogBatch *batch = logs->batch;
    int64_t offset_ns = (int64_t)native_get64(logs->time_offset_ns, i);
    int64_t base_ns;
    int64_t at_ns;

    if (native_get32(logs->severity, i) > NATIVE_LOG_SEVERITY_MAX) {
        return refuse(RECORD_ERROR_MALFORMED, "severity", ret_field);
    }
    if (__builtin_sub_overflow(logs->base_time_unix_ns, check->now_unix_ns, &base_ns) ||
        __builtin_add_overflow(base_ns, offset_ns, &at_ns) ||
        (at_ns < 0 ? 0 - (uint64_t)at_ns : (uint64_t)at_ns) > check->time_skew_ns) {
        return refuse(RECORD_ERROR_TIME, "time_offset_ns", ret_field);
    }
    if (!utf8_is_valid(slice_of_data(&batch->bodies[i]))) {
        return refuse(RECORD_ERROR_UTF8, "bodies", ret_field);
    }
    for (size_t k = attributes.first; k < attributes.first + attributes.count; k++) {
        struct slice key = slice_of_data(&batch->attribute_keys[k]);
        if (key.length == 0 || !utf8_is_valid(key)) {
            return refuse(RECORD_ERROR_UTF8, "attribute_keys", ret_field);
        }
        if (!utf8_is_valid(slice_of_data(&batch->attribute_values[k]))) {
            return refuse(RECORD_ERROR_UTF8, "attribute_values", ret_field);
        }
    }
    return RECORD_ERROR_NONE;
}

static struct slice without_secrets(const struct attribute_table *table, struct slice key, struct slice value)
{
    uint8_t flags = attribute_lookup(table, key).flags;

    if ((flags & ATTRIBUTE_REDACT) != 0) {
        return SLICE_LITERAL(REDACTED_TEXT);
    }
    if ((flags & ATTRIBUTE_QUERY) != 0) {
        return slice_of(NULL, 0);
    }
    return (flags & ATTRIBUTE_URL) != 0 ? slice_sub(value, 0, slice_find(value, '?')) : value;
}

static void write_text(struct buffer *out, uint32_t number, struct slice text)
{
    struct wire_envelope value = wire_envelope_begin(out, number, text.length + 2);

    wire_write_bytes(out, 1, text);
    wire_envelope_end(out, value);
}

static bool is_told(const uint8_t *id, size_t length)
{
    uint8_t seen = 0;

    for (size_t i = 0; i < length; i++) {
        seen |= id[i];
    }
    return seen != 0;
}

static void write_ids(const struct native_logs *logs, size_t i, struct buffer *out)
{
    const uint8_t *trace_id = logs->trace_ids != NULL ? logs->trace_ids + i * NATIVE_TRACE_ID_BYTES : NULL;
    const uint8_t *span_id = logs->span_ids != NULL ? logs->span_ids + i * NATIVE_SPAN_ID_BYTES : NULL;

    if (trace_id != NULL && is_told(trace_id, NATIVE_TRACE_ID_BYTES)) {
        wire_write_bytes(out, 9, slice_of(trace_id, NATIVE_TRACE_ID_BYTES));
    }
    if (span_id != NULL && is_told(span_id, NATIVE_SPAN_ID_BYTES)) {
        wire_write_bytes(out, 10, slice_of(span_id, NATIVE_SPAN_ID_BYTES));
    }
}

void native_log_encode(const struct native_logs *logs, size_t i, struct native_log_attributes attributes,
    const struct attribute_table *table, uint64_t observed_unix_ns, struct buffer *out)
{
    const Weft__V1__LogBatch *batch = logs->batch;
    uint32_t severity = native_get32(logs->severity, i);
    struct wire_envelope record = wire_envelope_begin(out, 2, RECORD_BYTES);

    wire_write_fixed64(out, 1, native_log_unix_ns(logs, i));
    wire_write_fixed64(out, 11, observed_unix_ns);
    if (severity != 0) {
        wire_write_varint(out, 2, severity);
    }
    write_text(out, 5, slice_of_data(&batch->bodies[i]));
    for (size_t k = attributes.first; k < attributes.first + attributes.count; k++) {
        struct slice key = slice_of_data(&batch->attribute_keys[k]);
        struct wire_envelope attribute = wire_envelope_begin(out, 6, PAIR_BYTES);
        wire_write_bytes(out, 1, key);
        write_text(out, 2, without_secrets(table, key, slice_of_data(&batch->attribute_values[k])));
        wire_envelope_end(out, attribute);
    }
    write_ids(logs, i, out);
    wire_envelope_end(out, record);
}
