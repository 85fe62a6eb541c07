/* OTLP traces: scanned, put into context, counted, and passed on as the bytes that came. */
#include <stdio.h>
#include <string.h>

#include "context/span_request.h"
#include "core/error.h"
#include "decode/otlp_rewrite.h"
#include "decode/wire_write.h"
#include "pipeline/pipeline.h"

/* One message on its way through. */
struct otlp_pass {
    struct pipeline *pipeline;
    const struct sender *sender;
    uint32_t conflict_count; /* spans whose resource claims to be another than the sender */
    bool stored;             /* its spans will be exported, and so may become exemplars */
    struct otlp_outcome *outcome;
    uint64_t now_monotonic_ns;
    struct pending_attempts_sink attempts;
};

enum metric_id pipeline_dropped_metric(enum record_error reason)
{
    static const enum metric_id ids[RECORD_ERROR_COUNT] = {
        [RECORD_ERROR_NONE] = METRIC_SPANS_DROPPED_MALFORMED,
        [RECORD_ERROR_MALFORMED] = METRIC_SPANS_DROPPED_MALFORMED,
        [RECORD_ERROR_TRACE_ID] = METRIC_SPANS_DROPPED_TRACE_ID,
        [RECORD_ERROR_SPAN_ID] = METRIC_SPANS_DROPPED_SPAN_ID,
        [RECORD_ERROR_END] = METRIC_SPANS_DROPPED_END,
        [RECORD_ERROR_TIME] = METRIC_SPANS_DROPPED_TIME,
        [RECORD_ERROR_UTF8] = METRIC_SPANS_DROPPED_UTF8,
        [RECORD_ERROR_DICTIONARY] = METRIC_SPANS_DROPPED_DICTIONARY,
    };

    return ids[reason];
}

/* Ids are not held while an attempt waits: a string may have been given up meanwhile. */
static uint32_t live_id(const struct pipeline *pipeline, uint32_t id)
{
    return id == INTERNED_FULL || interner_text(pipeline->interner, id).ptr != NULL ? id : INTERNED_UNKNOWN;
}

/* Attempts that no request came for. */
static void on_attempts(void *user, const struct attempt *attempt, uint32_t count)
{
    struct pipeline *pipeline = user;
    struct attempt live = *attempt;

    if (count_source_verdict(pipeline->counts, REQUEST_FROM_SPAN, attempt->voice,
            clock_monotonic_ns(pipeline->clock), pipeline->cells) == COUNT_SUPERSEDED) {
        return; /* the access log tells how many there were */
    }
    live.source = live_id(pipeline, attempt->source);
    live.source_namespace = live_id(pipeline, attempt->source_namespace);
    live.destination = live_id(pipeline, attempt->destination);
    live.destination_namespace = live_id(pipeline, attempt->destination_namespace);
    live.route = live_id(pipeline, attempt->route);
    live.sender = live_id(pipeline, attempt->sender);
    for (uint32_t i = 0; i < count; i++) {
        directory_record_attempt(pipeline->directory, &live);
    }
}

void pipeline_expire_attempts(struct pipeline *pipeline, bool all)
{
    struct pending_attempts_sink sink = {.out = on_attempts, .user = pipeline};

    pending_attempts_expire(pipeline->pending, all ? UINT64_MAX : clock_monotonic_ns(pipeline->clock), &sink);
}

static void on_span(void *user, const struct span *span, uint32_t record)
{
    struct otlp_pass *pass = user;
    struct pipeline *pipeline = pass->pipeline;
    struct request request;
    struct attempt attempt;

    (void)record;
    LEDGER_ADD(pipeline->cells, METRIC_SPANS_RECEIVED, 1);
    ring_expect(pipeline->ring, span->trace_id);
    switch (span_to_request(&pipeline->context, span, pass->sender, &request, &attempt)) {
    case SPAN_IS_REQUEST:
        if (request.attempts == 0) {
            request.attempts = pending_attempts_take(pipeline->pending, span);
        }
        request.stored = pipeline_store_request_span(pipeline, span, &request) || pass->stored;
        pipeline_keep_span(pipeline, span, &request, pipeline_count_request(pipeline, &request));
        break;
    case SPAN_IS_ATTEMPT:
        LEDGER_ADD(pipeline->cells, METRIC_SPANS_ATTEMPTS, 1);
        (void)pipeline_store_attempt_span(pipeline, span, &attempt);
        pipeline_keep_span(pipeline, span, NULL, (struct record_note){.p90_ns = 0});
        pending_attempts_add(pipeline->pending, span, &attempt, pass->now_monotonic_ns, &pass->attempts);
        break;
    case SPAN_IS_REFUSED:
        LEDGER_ADD(pipeline->cells, METRIC_SPANS_DROPPED_IDENTITY, 1);
        pass->conflict_count++;
        break;
    case SPAN_IS_NEITHER:
    default:
        LEDGER_ADD(pipeline->cells, METRIC_SPANS_NOT_A_REQUEST, 1);
        (void)pipeline_store_other_span(pipeline, span, attempt.source);
        pipeline_keep_span(pipeline, span, NULL, (struct record_note){.p90_ns = 0});
        break;
    }
}

static void on_refused(void *user, const struct decode_error *where)
{
    struct otlp_pass *pass = user;

    LEDGER_ADD(pass->pipeline->cells, METRIC_SPANS_RECEIVED, 1);
    LEDGER_ADD(pass->pipeline->cells, pipeline_dropped_metric(where->reason), 1);
    if (pass->outcome->text[0] == '\0') {
        (void)decode_error_format(where, pass->outcome->text, sizeof pass->outcome->text);
    }
}

/* Whole when nothing in it must be kept back, else a copy without it. `scanned`: what the scan returned. */
static void pass_on(struct pipeline *pipeline, struct slice message, uint64_t now_unix_ns, int scanned,
    const struct otlp_trace_result *result)
{
    if (result->spans_count == 0) {
        return;
    }
    if (!result->needs_rewrite) {
        span_segment_append(&pipeline->segment, message, result->spans_count);
        return;
    }
    /* "[redacted]" may be longer than what it stands for; twice the message is room for all that can be
     * refused. */
    struct buffer *out = span_segment_open(&pipeline->segment, message.length * 2, result->spans_count);
    uint32_t spans_count = 0;
    if (out == NULL) {
        return;
    }
    int code = result->refused_count == 0 && scanned == 0
                   ? otlp_rewrite_sound(&pipeline->scanner, message, out, &spans_count)
                   : otlp_rewrite(&pipeline->scanner, message, now_unix_ns, out, &spans_count);
    if (code < 0) {
        out->error = 0;
        LEDGER_ADD(pipeline->cells, METRIC_SPANS_EXPORT_LOST, result->spans_count);
    } else if (spans_count > 0) {
        span_segment_added(&pipeline->segment, spans_count);
    }
}

/* What somebody sends in another's name is not passed on, nor what came with it. */
static void tell_conflict(struct otlp_pass *pass, const struct otlp_trace_result *result)
{
    if (pass->stored) {
        LEDGER_ADD(
            pass->pipeline->cells, METRIC_SPANS_EXPORT_LOST, result->spans_count - pass->conflict_count);
    }
    if (pass->outcome->text[0] == '\0') {
        (void)snprintf(pass->outcome->text, sizeof pass->outcome->text,
            "resource: it claims to be somebody else than its sender is");
    }
}

int pipeline_otlp_traces(struct pipeline *pipeline, const struct sender *sender, struct slice message,
    struct otlp_outcome *ret_outcome)
{
    uint64_t now_unix_ns = clock_unix_ns(pipeline->clock);
    struct otlp_pass pass = {
        .pipeline = pipeline,
        .sender = sender,
        .stored = pipeline_exports_all(pipeline),
        .outcome = ret_outcome,
        .now_monotonic_ns = clock_monotonic_ns(pipeline->clock),
        .attempts = {.out = on_attempts, .user = pipeline},
    };
    struct otlp_trace_sink sink = {.user = &pass, .on_span = on_span, .on_refused = on_refused};
    struct otlp_trace_result result;
    struct decode_error error;

    *ret_outcome = (struct otlp_outcome){.spans_count = 0};
    int code = pipeline_admits(pipeline);
    if (code < 0) {
        return code;
    }
    pipeline_batch_begin(pipeline, sender);
    code =
        otlp_trace_scan(&pipeline->scanner, pipeline->memory, message, now_unix_ns, &sink, &result, &error);
    pipeline_take_workloads(pipeline);
    if (pass.conflict_count > 0) {
        tell_conflict(&pass, &result);
    } else if (pass.stored) {
        /* Where the structure broke, only a rewritten copy ends properly. */
        result.needs_rewrite = result.needs_rewrite || code < 0;
        pass_on(pipeline, message, now_unix_ns, code, &result);
    }
    ret_outcome->spans_count = result.spans_count - pass.conflict_count;
    ret_outcome->rejected_count = result.refused_count + pass.conflict_count;
    if (code < 0) {
        (void)decode_error_format(&error, ret_outcome->text, sizeof ret_outcome->text);
    }
    return code;
}

/* ExportTraceServiceResponse { partial_success = 1 { rejected_spans = 1, error_message = 2 } }, and the same
 * of metrics. */
size_t pipeline_otlp_reply(const struct otlp_outcome *outcome, uint8_t *out, size_t out_bytes)
{
    struct buffer buffer;
    size_t length = 0;

    if (outcome->rejected_count == 0) {
        return 0;
    }
    buffer_init(&buffer, out_bytes);
    struct wire_envelope partial = wire_envelope_begin(&buffer, 1, DECODE_ERROR_TEXT_BYTES);
    wire_write_varint(&buffer, 1, outcome->rejected_count);
    wire_write_bytes(&buffer, 2, slice_of_string(outcome->text));
    wire_envelope_end(&buffer, partial);
    if (buffer.error == 0 && buffer.length <= out_bytes) {
        memcpy(out, buffer.data, buffer.length);
        length = buffer.length;
    }
    buffer_deinit(&buffer);
    return length;
}

/* One Export call of any signal: what `take` says of the message, as gRPC answers it. */
static int answer_export(int (*take)(struct pipeline *pipeline, const struct sender *sender,
                             struct slice message, struct otlp_outcome *ret_outcome),
    struct pipeline *pipeline, const struct grpc_call *call, struct slice message, struct grpc_answer *answer)
{
    const struct peer *peer = call->connection_user;
    struct otlp_outcome outcome;
    int code = take(pipeline, &peer->sender, message, &outcome);

    if (code == WERR_CLOSED || code == WERR_NOMEM) {
        return code;
    }
    if (code < 0) {
        (void)snprintf(answer->text, sizeof answer->text, "%.*s", (int)sizeof answer->text - 1, outcome.text);
        return code;
    }
    answer->reply_bytes = pipeline_otlp_reply(&outcome, answer->reply, sizeof answer->reply);
    return 0;
}

static int on_grpc_traces(
    void *user, struct grpc_call *call, struct slice message, struct grpc_answer *answer)
{
    return answer_export(pipeline_otlp_traces, user, call, message, answer);
}

static int on_grpc_metrics(
    void *user, struct grpc_call *call, struct slice message, struct grpc_answer *answer)
{
    return answer_export(pipeline_otlp_metrics, user, call, message, answer);
}

static int on_grpc_logs(void *user, struct grpc_call *call, struct slice message, struct grpc_answer *answer)
{
    return answer_export(pipeline_otlp_logs, user, call, message, answer);
}

const struct grpc_method pipeline_grpc_methods[] = {
    {
        .path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        .accepted = METRIC_MESSAGES_ACCEPTED_OTLP_GRPC,
        .message = on_grpc_traces,
    },
    {
        .path = "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        .accepted = METRIC_MESSAGES_ACCEPTED_OTLP_GRPC,
        .message = on_grpc_logs,
    },
    {
        .path = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        .accepted = METRIC_MESSAGES_ACCEPTED_OTLP_GRPC,
        .message = on_grpc_metrics,
    },
    {
        .path = "/envoy.service.metrics.v3.MetricsService/StreamMetrics",
        .streaming = true,
        .accepted = METRIC_MESSAGES_ACCEPTED_METRICS,
        .message = pipeline_metrics_service_message,
        .closed = pipeline_metrics_service_closed,
    },
    {
        .path = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs",
        .streaming = true,
        .accepted = METRIC_MESSAGES_ACCEPTED_ALS,
        .message = pipeline_als_message,
        .closed = pipeline_als_closed,
    },
};
const size_t pipeline_grpc_method_count = sizeof pipeline_grpc_methods / sizeof pipeline_grpc_methods[0];
