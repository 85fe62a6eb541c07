/* JSON documents to OTLP messages to requests; see pipeline_json.h. */
#include "pipeline_json.h"

#include "core/error.h"

/* What the decoder left out is counted with what the scanner refuses. */
static void count_refused(
    struct pipeline *pipeline, const struct json_otlp_result *result, struct otlp_outcome *outcome)
{
    LEDGER_ADD(pipeline->cells, METRIC_SPANS_RECEIVED, result->refused_count);
    for (int reason = 0; reason < RECORD_ERROR_COUNT; reason++) {
        if (result->refused[reason] > 0) {
            LEDGER_ADD(
                pipeline->cells, pipeline_dropped_metric((enum record_error)reason), result->refused[reason]);
        }
    }
    outcome->rejected_count += result->refused_count;
    if (outcome->text[0] == '\0' && result->refused_count > 0) {
        (void)decode_error_format(&result->first, outcome->text, sizeof outcome->text);
    }
}

static int take_document(struct pipeline *pipeline, const struct sender *sender,
    pipeline_transcode *transcode, struct slice body, struct buffer *message,
    struct otlp_outcome *ret_outcome)
{
    struct json_otlp_result result;
    struct decode_error error;
    int code = transcode(body, (uint32_t)pipeline->limits->nesting_depth_max, message, &result, &error);

    *ret_outcome = (struct otlp_outcome){.spans_count = 0};
    if (code < 0) {
        (void)decode_error_format(&error, ret_outcome->text, sizeof ret_outcome->text);
        return code == WERR_OVERSIZED ? WERR_NOMEM : code;
    }
    code = pipeline_otlp_traces(pipeline, sender, slice_of(message->data, message->length), ret_outcome);
    if (code == 0) {
        count_refused(pipeline, &result, ret_outcome);
        LEDGER_ADD(pipeline->cells, METRIC_SEGMENTS_IN_PROGRESS, result.ignored_count);
    }
    return code;
}

int pipeline_json_spans(struct pipeline *pipeline, const struct sender *sender, pipeline_transcode *transcode,
    struct slice body, struct budget *assembly, struct otlp_outcome *ret_outcome)
{
    struct buffer message;
    size_t bytes_max = JSON_OTLP_BYTES_MAX(body.length);

    *ret_outcome = (struct otlp_outcome){.spans_count = 0};
    if (pipeline->draining) {
        return WERR_CLOSED;
    }
    if (assembly != NULL && !budget_reserve(assembly, bytes_max)) {
        return WERR_NOMEM;
    }
    buffer_init(&message, bytes_max);
    int code = take_document(pipeline, sender, transcode, body, &message, ret_outcome);
    buffer_deinit(&message);
    if (assembly != NULL) {
        budget_release(assembly, bytes_max);
    }
    return code;
}
