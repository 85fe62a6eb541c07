/* See logs.h. */
#include "client/logs.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

int logs_init(struct logs *logs)
{
    *logs = (struct logs){0};
    return pthread_mutex_init(&logs->lock, NULL) == 0 ? 0 : -1;
}

void logs_deinit(struct logs *logs)
{
    free(logs->pending);
    free(logs->sealing);
    pthread_mutex_destroy(&logs->lock);
}

static void empty(struct log_table *table)
{
    table->count = 0;
    table->attribute_count = 0;
    table->text_bytes = 0;
}

void logs_reset(struct logs *logs)
{
    if (logs->pending != NULL) {
        empty(logs->pending);
        empty(logs->sealing);
    }
    logs->recorded = logs->dropped = logs->sealed = logs->flush_recorded = 0;
}

/* Both tables or none. */
static int make_tables(struct logs *logs)
{
    logs->pending = malloc(sizeof *logs->pending);
    logs->sealing = malloc(sizeof *logs->sealing);
    if (logs->pending == NULL || logs->sealing == NULL) {
        free(logs->pending);
        free(logs->sealing);
        logs->pending = logs->sealing = NULL;
        return WEFT_ERROR_NOMEM;
    }
    empty(logs->pending);
    empty(logs->sealing);
    return 0;
}

static size_t length_of(const char *text)
{
    return text != NULL ? strlen(text) : 0;
}

/* How much text a record has; SIZE_MAX for an attribute without a key. */
static size_t text_bytes_of(const struct weft_log_record *record)
{
    size_t bytes = length_of(record->body);

    for (size_t i = 0; i < record->attribute_count; i++) {
        if (length_of(record->attributes[i].key) == 0) {
            return SIZE_MAX;
        }
        bytes += strlen(record->attributes[i].key) + length_of(record->attributes[i].value);
    }
    return bytes;
}

static ProtobufCBinaryData keep(struct log_table *table, const char *text)
{
    uint8_t *at = table->text + table->text_bytes;
    size_t length = length_of(text);

    if (length > 0) {
        memcpy(at, text, length);
    }
    table->text_bytes += length;
    return (ProtobufCBinaryData){.len = length, .data = at};
}

static uint64_t unix_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void append(struct log_table *table, const struct weft_log_record *record, uint64_t time_unix_ns)
{
    uint32_t at = table->count++;

    table->time_unix_ns[at] = time_unix_ns;
    table->severity[at] = record->severity;
    memcpy(table->trace_ids + (size_t)at * 16, record->trace_id, 16);
    memcpy(table->span_ids + (size_t)at * 8, record->span_id, 8);
    table->bodies[at] = keep(table, record->body);
    table->attributes_of[at] = (uint32_t)record->attribute_count;
    for (size_t i = 0; i < record->attribute_count; i++) {
        table->keys[table->attribute_count] = keep(table, record->attributes[i].key);
        table->values[table->attribute_count] = keep(table, record->attributes[i].value);
        table->attribute_count++;
    }
}

int logs_add(struct logs *logs, const struct weft_log_record *record)
{
    size_t text_bytes = text_bytes_of(record);
    uint64_t time_unix_ns = record->time_unix_ns != 0 ? record->time_unix_ns : unix_now_ns();
    int error = 0;

    if (text_bytes == SIZE_MAX || record->severity > WEFT_SEVERITY_MAX) {
        return WEFT_ERROR_INVALID;
    }
    if (text_bytes > LOGS_TEXT_BYTES_MAX || record->attribute_count > LOGS_ATTRIBUTES_MAX) {
        return WEFT_ERROR_OVERSIZED;
    }
    pthread_mutex_lock(&logs->lock);
    if (logs->pending == NULL) {
        error = make_tables(logs);
    }
    struct log_table *table = logs->pending;
    if (error == 0 && (table->count == LOGS_COUNT_MAX ||
                          table->attribute_count + record->attribute_count > LOGS_ATTRIBUTES_MAX ||
                          table->text_bytes + text_bytes > LOGS_TEXT_BYTES_MAX)) {
        error = WEFT_ERROR_FULL;
    }
    if (error == 0) {
        append(table, record, time_unix_ns);
        logs->recorded++;
    } else {
        logs->dropped++;
    }
    pthread_mutex_unlock(&logs->lock);
    return error;
}

bool logs_take(struct logs *logs)
{
    pthread_mutex_lock(&logs->lock);
    if (logs->pending != NULL && logs->sealing->count == 0) {
        struct log_table *full = logs->pending;
        logs->pending = logs->sealing;
        logs->sealing = full;
    }
    bool has_some = logs->sealing != NULL && logs->sealing->count > 0;
    pthread_mutex_unlock(&logs->lock);
    return has_some;
}

void logs_message(struct log_table *table, uint64_t sequence, Weft__V1__LogBatch *ret_batch)
{
    uint64_t base_unix_ns = table->time_unix_ns[0];

    for (uint32_t i = 0; i < table->count; i++) {
        table->time_offset_ns[i] = (int64_t)(table->time_unix_ns[i] - base_unix_ns);
    }
    weft__v1__log_batch__init(ret_batch);
    ret_batch->sequence = sequence;
    ret_batch->log_count = table->count;
    ret_batch->base_time_unix_ns = base_unix_ns;
    ret_batch->trace_ids = (ProtobufCBinaryData){.len = (size_t)table->count * 16, .data = table->trace_ids};
    ret_batch->span_ids = (ProtobufCBinaryData){.len = (size_t)table->count * 8, .data = table->span_ids};
    ret_batch->n_time_offset_ns = ret_batch->n_severity = table->count;
    ret_batch->n_attribute_count = ret_batch->n_bodies = table->count;
    ret_batch->time_offset_ns = table->time_offset_ns;
    ret_batch->severity = table->severity;
    ret_batch->attribute_count = table->attributes_of;
    ret_batch->bodies = table->bodies;
    ret_batch->n_attribute_keys = ret_batch->n_attribute_values = table->attribute_count;
    ret_batch->attribute_keys = table->keys;
    ret_batch->attribute_values = table->values;
}

void logs_counts(struct logs *logs, uint64_t *ret_recorded, uint64_t *ret_dropped)
{
    pthread_mutex_lock(&logs->lock);
    *ret_recorded = logs->recorded;
    *ret_dropped = logs->dropped;
    pthread_mutex_unlock(&logs->lock);
}
