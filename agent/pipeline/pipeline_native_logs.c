/*
 * Log records of the native stream: they are nobody's requests (those come as spans), so they are counted as
 * received and, where a destination takes logs, leave as OTLP. Runs on the shard that holds the connection.
 */
#include <stdio.h>

#include "core/error.h"
#include "decode/native_logs.h"
#include "decode/wire_write.h"
#include "pipeline/pipeline.h"

enum { ENVELOPE_BYTES = 256, RECORD_BYTES = 128, LENGTH_GUESS = 1 << 15 };

struct logs_pass {
    struct peer *peer;
    const struct native_logs *logs;
    struct native_check check;
    struct native_reply *reply;
    struct buffer *out; /* NULL: nothing is exported */
    uint32_t encoded_count;
};

static enum metric_id dropped_metric(enum record_error reason)
{
    return reason == RECORD_ERROR_TIME ? METRIC_LOGS_DROPPED_TIME : METRIC_LOGS_DROPPED_MALFORMED;
}

/* The first refused record of a batch is told, the others are only counted. */
static void refuse_record(
    struct logs_pass *pass, uint32_t record, enum record_error reason, const char *field)
{
    struct native_reply *reply = pass->reply;
    char text[NATIVE_REPLY_MESSAGE_BYTES_MAX];

    LEDGER_ADD(pass->peer->pipeline->cells, dropped_metric(reason), 1);
    reply->rejected_logs++;
    if (reply->error_code == 0) {
        (void)snprintf(text, sizeof text, "record %u, %s: %s", record, field, record_error_name(reason));
        native_reply_error(reply, WEFT__V1__ERROR_CODE__ERROR_CODE_RECORD, text);
        reply->record = record + 1;
    }
}

static void take_record(struct logs_pass *pass, uint32_t i, struct native_log_attributes attributes)
{
    struct pipeline *pipeline = pass->peer->pipeline;
    const char *field = "";
    enum record_error reason = native_log_check(pass->logs, i, attributes, &pass->check, &field);

    LEDGER_ADD(pipeline->cells, METRIC_LOGS_RECEIVED, 1);
    if (reason != RECORD_ERROR_NONE) {
        refuse_record(pass, i, reason, field);
        return;
    }
    LEDGER_ADD(pipeline->cells, METRIC_LOGS_NOT_A_REQUEST, 1);
    if (pass->out != NULL) {
        native_log_encode(
            pass->logs, i, attributes, &pipeline->scanner.attributes, pass->check.now_unix_ns, pass->out);
        pass->encoded_count++;
    }
}

static void write_text(struct buffer *out, const char *key, struct slice text)
{
    if (text.length > 0) {
        struct wire_envelope attribute = wire_envelope_begin(out, 1, text.length + 32);
        wire_write_bytes(out, 1, slice_of_string(key));
        struct wire_envelope value = wire_envelope_begin(out, 2, text.length + 2);
        wire_write_bytes(out, 1, text);
        wire_envelope_end(out, value);
        wire_envelope_end(out, attribute);
    }
}

/* Who the client is, as the agent names it. */
static void write_resource(const struct peer *peer, struct buffer *out)
{
    const struct interner *interner = peer->pipeline->interner;
    const struct service_ids *self = &peer->dictionary.self;
    struct wire_envelope resource = wire_envelope_begin(out, 1, ENVELOPE_BYTES / 2);

    write_text(out, "service.name", interner_text(interner, self->service));
    write_text(out, "service.namespace", interner_text(interner, self->service_namespace));
    wire_envelope_end(out, resource);
}

static void take_records(struct logs_pass *pass)
{
    struct native_log_attributes attributes = {0};

    for (uint32_t i = 0; i < pass->logs->log_count; i++) {
        attributes.count = native_get32(pass->logs->attribute_count, i);
        take_record(pass, i, attributes);
        attributes.first += attributes.count;
    }
}

/* The batch as one message around its records. */
static void take_and_ship(struct logs_pass *pass, size_t payload_bytes)
{
    struct pipeline *pipeline = pass->peer->pipeline;
    uint32_t log_count = pass->logs->log_count;
    struct buffer *out = span_segment_open(&pipeline->log_segment,
        payload_bytes * 2 + ENVELOPE_BYTES + (size_t)log_count * RECORD_BYTES, log_count);

    pass->out = out;
    if (out == NULL) {
        take_records(pass);
        return;
    }
    size_t length = out->length;
    struct wire_envelope resource_logs = wire_envelope_begin(out, 1, LENGTH_GUESS);
    write_resource(pass->peer, out);
    struct wire_envelope scope_logs = wire_envelope_begin(out, 2, LENGTH_GUESS);
    take_records(pass);
    wire_envelope_end(out, scope_logs);
    wire_envelope_end(out, resource_logs);
    if (out->error < 0 || pass->encoded_count == 0) {
        LEDGER_ADD(pipeline->cells, METRIC_LOGS_EXPORT_LOST, pass->encoded_count);
        out->error = 0;
        out->length = length;
    } else {
        span_segment_added(&pipeline->log_segment, pass->encoded_count);
    }
}

static void take_batch(
    struct peer *peer, const struct native_logs *logs, size_t payload_bytes, struct native_reply *reply)
{
    struct pipeline *pipeline = peer->pipeline;
    struct logs_pass pass = {.peer = peer,
        .logs = logs,
        .reply = reply,
        .check = {.now_unix_ns = clock_unix_ns(pipeline->clock),
            .time_skew_ns = pipeline->limits->time_skew_s * 1000000000u}};

    if (span_segment_wanted(&pipeline->log_segment) && logs->log_count > 0) {
        take_and_ship(&pass, payload_bytes);
    } else {
        take_records(&pass);
    }
}

void pipeline_native_logs(
    void *user, struct native_connection *connection, struct slice payload, struct native_reply *reply)
{
    struct peer *peer = user;
    struct pipeline *pipeline = peer->pipeline;
    struct native_logs logs;
    struct decode_error error;
    char text[DECODE_ERROR_TEXT_BYTES];

    arena_reset(&pipeline->arena);
    int code = native_decode_logs(payload, &pipeline->arena, &logs, &error);
    if (code < 0) {
        (void)decode_error_format(&error, text, sizeof text);
        native_reply_error(reply,
            code == WERR_NOMEM ? WEFT__V1__ERROR_CODE__ERROR_CODE_UNAVAILABLE
                               : WEFT__V1__ERROR_CODE__ERROR_CODE_MALFORMED,
            text);
        return;
    }
    if (directory_is_full(pipeline->directory)) {
        native_reply_error(reply, WEFT__V1__ERROR_CODE__ERROR_CODE_UNAVAILABLE, "memory of values is full");
        reply->sequence = logs.sequence;
        return;
    }
    switch (native_connection_claim(connection, logs.sequence, reply)) {
    case NATIVE_CLAIM_NEW:
        take_batch(peer, &logs, payload.length, reply);
        break;
    case NATIVE_CLAIM_DUPLICATE:
        LEDGER_ADD(pipeline->cells, METRIC_LOGS_RECEIVED, logs.log_count);
        LEDGER_ADD(pipeline->cells, METRIC_LOGS_DROPPED_DUPLICATE, logs.log_count);
        break;
    case NATIVE_CLAIM_REFUSED:
    default:
        break; /* it comes again */
    }
}
