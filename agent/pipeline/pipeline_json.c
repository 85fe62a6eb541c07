/* JSON documents to OTLP messages to records; see pipeline_json.h. */
#include "pipeline/pipeline_json.h"

#include "core/error.h"

enum { ROOM_BYTES_MIN = 4096 };

/* A document on its way to OTLP. */
struct conversion {
    struct pipeline *pipeline;
    struct slice body;
    struct budget *assembly;
    pipeline_transcode *transcode; /* NULL: an OTLP request */
    enum otlp_json_request request;
    struct buffer message;
    size_t reserved_bytes;
    struct json_otlp_result result;
    struct decode_error error;
};

static int open_room(struct conversion *c, size_t bytes_max)
{
    if (c->assembly != NULL && !budget_reserve(c->assembly, bytes_max)) {
        return WERR_NOMEM;
    }
    c->reserved_bytes = bytes_max;
    buffer_init(&c->message, bytes_max);
    return 0;
}

static void close_room(struct conversion *c)
{
    buffer_deinit(&c->message);
    if (c->assembly != NULL) {
        budget_release(c->assembly, c->reserved_bytes);
    }
}

static int convert_within(struct conversion *c, size_t bytes_max)
{
    uint32_t depth_max = (uint32_t)c->pipeline->limits->nesting_depth_max;
    int code = open_room(c, bytes_max);

    if (code < 0) {
        return code;
    }
    code = c->transcode != NULL
               ? c->transcode(c->body, depth_max, &c->message, &c->result, &c->error)
               : otlp_json_to_protobuf(c->body, c->request, depth_max, &c->message, &c->error);
    if (code < 0) {
        close_room(c);
    }
    return code;
}

/* OTLP is nearly always shorter than the JSON was; only where it is not, all the room it can need is asked
 * for. After 0, close_room is due. */
static int convert(struct conversion *c, struct otlp_outcome *ret_outcome)
{
    *ret_outcome = (struct otlp_outcome){.spans_count = 0};
    c->error = decode_error_of(WERR_NOMEM, "JSON");
    if (c->pipeline->draining) {
        return WERR_CLOSED;
    }
    int code = convert_within(c, c->body.length + ROOM_BYTES_MIN);
    if (code == WERR_OVERSIZED) {
        code = convert_within(c, JSON_OTLP_BYTES_MAX(c->body.length));
    }
    if (code < 0) {
        (void)decode_error_format(&c->error, ret_outcome->text, sizeof ret_outcome->text);
    }
    return code == WERR_OVERSIZED ? WERR_NOMEM : code;
}

/* What the decoder left out is counted with what the scanner refuses. */
static void count_left_out(
    struct pipeline *pipeline, const struct json_otlp_result *result, struct otlp_outcome *outcome)
{
    LEDGER_ADD(pipeline->cells, METRIC_SPANS_RECEIVED, result->refused_count);
    for (int reason = 0; reason < RECORD_ERROR_COUNT; reason++) {
        if (result->refused[reason] > 0) {
            LEDGER_ADD(
                pipeline->cells, pipeline_dropped_metric((enum record_error)reason), result->refused[reason]);
        }
    }
    LEDGER_ADD(pipeline->cells, METRIC_SEGMENTS_IN_PROGRESS, result->ignored_count);
    outcome->rejected_count += result->refused_count;
    if (outcome->text[0] == '\0' && result->refused_count > 0) {
        (void)decode_error_format(&result->first, outcome->text, sizeof outcome->text);
    }
}

int pipeline_json_spans(struct pipeline *pipeline, const struct sender *sender, pipeline_transcode *transcode,
    struct slice body, struct budget *assembly, struct otlp_outcome *ret_outcome)
{
    struct conversion c = {.pipeline = pipeline, .body = body, .assembly = assembly, .transcode = transcode};
    int code = convert(&c, ret_outcome);

    if (code < 0) {
        return code;
    }
    code = pipeline_otlp_traces(pipeline, sender, slice_of(c.message.data, c.message.length), ret_outcome);
    close_room(&c);
    if (code == 0) {
        count_left_out(pipeline, &c.result, ret_outcome);
    }
    return code;
}

int pipeline_json_otlp(struct pipeline *pipeline, const struct sender *sender, enum otlp_json_request request,
    struct slice body, struct budget *assembly, struct otlp_outcome *ret_outcome)
{
    struct conversion c = {.pipeline = pipeline, .body = body, .assembly = assembly, .request = request};
    int code = convert(&c, ret_outcome);

    if (code < 0) {
        return code;
    }
    struct slice message = slice_of(c.message.data, c.message.length);
    switch (request) {
    case OTLP_JSON_METRICS:
        code = pipeline_otlp_metrics(pipeline, sender, message, ret_outcome);
        break;
    case OTLP_JSON_LOGS:
        code = pipeline_otlp_logs(pipeline, sender, message, ret_outcome);
        break;
    case OTLP_JSON_TRACES:
    default:
        code = pipeline_otlp_traces(pipeline, sender, message, ret_outcome);
        break;
    }
    close_room(&c);
    return code;
}
