/*
 * OTLP logs: scanned, access-log records put into context and counted, all of them passed on as the bytes
 * that came. Runs on the shard's loop.
 */
#include <stdio.h>

#include "core/error.h"
#include "pipeline/pipeline.h"

/* One message on its way through. */
struct logs_pass {
    struct pipeline *pipeline;
    const struct sender *sender;
    struct otlp_outcome *outcome;
    uint32_t conflict_count;      /* entries whose resource claims to be another than the sender */
    struct log_reporter reporter; /* of the resource at hand */
    uint64_t now_unix_ns;
};

static void on_resource(void *user, const struct access_log_reporter *names)
{
    struct logs_pass *pass = user;

    pass->reporter = (struct log_reporter){.names = *names};
    pass->reporter.names.is_otlp = true;
}

static void on_entry(void *user, const struct access_log_entry *entry)
{
    struct logs_pass *pass = user;

    pass->conflict_count += pipeline_count_entry(pass->pipeline, entry, &pass->reporter, pass->sender,
                                pass->now_unix_ns) == ACCESS_LOG_IS_REFUSED;
}

static void on_other(void *user)
{
    struct logs_pass *pass = user;

    LEDGER_ADD(pass->pipeline->cells, METRIC_LOGS_RECEIVED, 1);
    LEDGER_ADD(pass->pipeline->cells, METRIC_LOGS_NOT_A_REQUEST, 1);
}

static void on_refused(void *user, const struct decode_error *where)
{
    struct logs_pass *pass = user;

    LEDGER_ADD(pass->pipeline->cells, METRIC_LOGS_RECEIVED, 1);
    LEDGER_ADD(pass->pipeline->cells, METRIC_LOGS_DROPPED_MALFORMED, 1);
    if (pass->outcome->text[0] == '\0') {
        (void)decode_error_format(where, pass->outcome->text, sizeof pass->outcome->text);
    }
}

/* Whole when nothing in it must be kept back, else a copy without it. */
static void pass_on(struct pipeline *pipeline, struct slice message, const struct otlp_logs_result *result)
{
    uint32_t records_count = 0;

    if (result->records_count == 0) {
        return;
    }
    if (!result->needs_rewrite) {
        span_segment_append(&pipeline->log_segment, message, result->records_count);
        return;
    }
    /* "[redacted]" may be longer than what it stands for. */
    struct buffer *out = span_segment_open(&pipeline->log_segment, message.length * 2, result->records_count);
    if (out == NULL) {
        return;
    }
    if (otlp_logs_rewrite(&pipeline->logs_scanner, message, out, &records_count) < 0) {
        out->error = 0;
        LEDGER_ADD(pipeline->cells, METRIC_LOGS_EXPORT_LOST, result->records_count);
    } else if (records_count > 0) {
        span_segment_added(&pipeline->log_segment, records_count);
    }
}

/* What somebody sends in another's name is not passed on, nor what came with it. */
static void tell_conflict(struct logs_pass *pass, const struct otlp_logs_result *result)
{
    if (span_segment_wanted(&pass->pipeline->log_segment)) {
        LEDGER_ADD(
            pass->pipeline->cells, METRIC_LOGS_EXPORT_LOST, result->records_count - pass->conflict_count);
    }
    if (pass->outcome->text[0] == '\0') {
        (void)snprintf(pass->outcome->text, sizeof pass->outcome->text,
            "resource: it claims to be somebody else than its sender is");
    }
}

int pipeline_otlp_logs(struct pipeline *pipeline, const struct sender *sender, struct slice message,
    struct otlp_outcome *ret_outcome)
{
    struct logs_pass pass = {
        .pipeline = pipeline,
        .sender = sender,
        .outcome = ret_outcome,
        .now_unix_ns = clock_unix_ns(pipeline->clock),
    };
    struct otlp_logs_sink sink = {.user = &pass,
        .on_resource = on_resource,
        .on_entry = on_entry,
        .on_other = on_other,
        .on_refused = on_refused};
    struct otlp_logs_result result;
    struct decode_error error;

    *ret_outcome = (struct otlp_outcome){.spans_count = 0};
    int code = pipeline_admits(pipeline);
    if (code < 0) {
        return code;
    }
    pipeline_batch_begin(pipeline, sender);
    code = otlp_logs_scan(&pipeline->logs_scanner, message, pass.now_unix_ns, &sink, &result, &error);
    if (pass.conflict_count > 0) {
        tell_conflict(&pass, &result);
    } else if (span_segment_wanted(&pipeline->log_segment)) {
        /* Where the structure broke, only a rewritten copy ends properly. */
        result.needs_rewrite = result.needs_rewrite || code < 0;
        pass_on(pipeline, message, &result);
    }
    ret_outcome->spans_count = result.records_count - pass.conflict_count;
    ret_outcome->rejected_count = result.refused_count + pass.conflict_count;
    if (code < 0) {
        (void)decode_error_format(&error, ret_outcome->text, sizeof ret_outcome->text);
    }
    return code;
}
