/*
 * Metrics that proxies send under their own names: OTLP's and Envoy's metrics service. Scanned, brought to
 * the points' normal form, recorded. Runs on the shard's loop; nothing is allocated per point.
 */
#include "pipeline/pipeline_metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "core/error.h"
#include "decode/metrics_service.h"
#include "decode/otlp_metrics.h"
#include "pipeline/pipeline.h"

struct pipeline_metrics {
    struct sent_point_scratch scratch;
    struct sent_metric metric;
};

struct pipeline_metrics *pipeline_metrics_new(void)
{
    return calloc(1, sizeof(struct pipeline_metrics));
}

void pipeline_metrics_free(struct pipeline_metrics *metrics)
{
    free(metrics);
}

/* One message on its way through. */
struct metrics_pass {
    struct pipeline *pipeline;
    const struct sender *sender;
    struct otlp_outcome *outcome;
    uint64_t now_unix_ns;
    uint64_t start_unix_ns; /* stands in for that of counters that tell none */
    bool counters_are_deltas;
};

static enum metric_id dropped_metric(enum record_error reason)
{
    switch (reason) {
    case RECORD_ERROR_BUCKETS:
        return METRIC_POINTS_DROPPED_BUCKETS;
    case RECORD_ERROR_END:
        return METRIC_POINTS_DROPPED_START;
    case RECORD_ERROR_NO_VALUE:
        return METRIC_POINTS_DROPPED_NO_VALUE;
    case RECORD_ERROR_TIME:
        return METRIC_POINTS_DROPPED_TIME;
    default:
        return METRIC_POINTS_DROPPED_MALFORMED;
    }
}

/* What is told to the sender: the first thing that was wrong. */
static void reject(struct metrics_pass *pass, const struct decode_error *where)
{
    pass->outcome->rejected_count++;
    if (pass->outcome->text[0] == '\0') {
        (void)decode_error_format(where, pass->outcome->text, sizeof pass->outcome->text);
    }
}

static void drop(
    struct metrics_pass *pass, uint32_t record, size_t part_count, enum metric_id metric, const char *field)
{
    struct decode_error where = decode_error_of(WERR_INVALID, field);

    LEDGER_ADD(pass->pipeline->cells, metric, part_count);
    where.reason = metric == METRIC_POINTS_DROPPED_TIME ? RECORD_ERROR_TIME : RECORD_ERROR_MALFORMED;
    where.record = record;
    reject(pass, &where);
}

static bool is_far_away(const struct metrics_pass *pass, uint64_t time_unix_ns)
{
    uint64_t now_unix_ns = pass->now_unix_ns;
    uint64_t distance_ns =
        time_unix_ns > now_unix_ns ? time_unix_ns - now_unix_ns : now_unix_ns - time_unix_ns;

    return time_unix_ns > 0 && distance_ns > pass->pipeline->limits->time_skew_s * 1000000000u;
}

static void record_parts(struct metrics_pass *pass, struct sent_metric *metric, uint32_t record)
{
    struct pipeline *pipeline = pass->pipeline;
    struct metric_point point;

    for (size_t i = 0; i < metric->part_count; i++) {
        if (sent_metric_part(&pipeline->context, metric, i, &point) < 0) {
            drop(pass, record, 1, METRIC_POINTS_DROPPED_SERIES, "no room for its series");
        } else {
            directory_record_point(pipeline->directory, &point);
        }
    }
}

static void on_point(void *user, const struct sent_point *sent, uint32_t record)
{
    struct metrics_pass *pass = user;
    struct pipeline *pipeline = pass->pipeline;
    struct sent_metric *metric = &pipeline->metrics->metric;
    size_t part_count = sent_metric_part_count(sent);

    LEDGER_ADD(pipeline->cells, METRIC_POINTS_RECEIVED, part_count);
    if (is_far_away(pass, sent->time_unix_ns)) {
        drop(pass, record, part_count, METRIC_POINTS_DROPPED_TIME, "time_unix_nano");
        return;
    }
    int code = sent_metric_read(&pipeline->context, sent, pass->sender->interned, pass->now_unix_ns, metric);
    if (code == WERR_FULL) {
        drop(pass, record, part_count, METRIC_POINTS_DROPPED_SERIES, "no room for its series");
    } else if (code < 0) {
        drop(pass, record, part_count, METRIC_POINTS_DROPPED_MALFORMED, "labels");
    } else {
        record_parts(pass, metric, record);
    }
}

static void on_refused(void *user, const struct decode_error *where)
{
    struct metrics_pass *pass = user;

    LEDGER_ADD(pass->pipeline->cells, METRIC_POINTS_RECEIVED, 1);
    LEDGER_ADD(pass->pipeline->cells, dropped_metric(where->reason), 1);
    if (where->reason != RECORD_ERROR_NO_VALUE) {
        reject(pass, where);
    }
}

int pipeline_otlp_metrics(struct pipeline *pipeline, const struct sender *sender, struct slice message,
    struct otlp_outcome *ret_outcome)
{
    struct metrics_pass pass = {.pipeline = pipeline,
        .sender = sender,
        .outcome = ret_outcome,
        .now_unix_ns = clock_unix_ns(pipeline->clock)};
    struct otlp_metrics_sink sink = {.user = &pass, .on_point = on_point, .on_refused = on_refused};
    struct otlp_metrics_result result;
    struct decode_error error;
    int code = pipeline_admits(pipeline);

    *ret_outcome = (struct otlp_outcome){.spans_count = 0};
    if (code < 0) {
        return code;
    }
    pipeline_batch_begin(pipeline, sender);
    code = otlp_metrics_scan(
        &pipeline->scanner.attributes, &pipeline->metrics->scratch, message, &sink, &result, &error);
    if (code < 0) {
        (void)decode_error_format(&error, ret_outcome->text, sizeof ret_outcome->text);
    }
    return code;
}

/* ---- Envoy's metrics service ---- */

/* What a stream has said of itself. */
struct metrics_stream {
    uint64_t node_hash;
};

/*
 * Counters of this service tell no start. What stands in for it tells processes apart, the same one also on
 * its next stream and on another shard, and is no time (POINT_START_UNIX_NS_MIN).
 */
static uint64_t start_of(const struct sender *sender, uint64_t node_hash)
{
    enum { START_COUNT = 1000000000 };
    const uint64_t who[] = {(uint64_t)sender->pid, sender->start_ticks, node_hash};

    return 1 + XXH3_64bits(who, sizeof who) % START_COUNT;
}

/* The stream's first message has to say who speaks; kept as long as the stream lives. */
static int take_identifier(struct pipeline *pipeline, struct grpc_call *call,
    const struct metrics_service_identifier *identifier, struct grpc_answer *answer)
{
    struct metrics_stream *stream = call->stream_user;

    if (!identifier->is_there) {
        if (stream == NULL) {
            LEDGER_ADD(pipeline->cells, METRIC_MESSAGES_REFUSED_IDENTIFIER, 1);
            answer->code = GRPC_INVALID_ARGUMENT;
            (void)snprintf(answer->text, sizeof answer->text,
                "the stream's first message has no identifier with its node");
        }
        return 0;
    }
    if (stream == NULL) {
        stream = calloc(1, sizeof *stream);
        if (stream == NULL) {
            return WERR_NOMEM;
        }
        call->stream_user = stream;
    }
    stream->node_hash =
        identifier->node_id.length > 0 ? XXH3_64bits(identifier->node_id.ptr, identifier->node_id.length) : 0;
    return 0;
}

static void on_service_point(void *user, const struct sent_point *sent, uint32_t record)
{
    struct metrics_pass *pass = user;
    struct sent_point point = *sent;

    if (point.type == SENT_COUNTER) {
        point.is_delta = pass->counters_are_deltas;
        point.start_unix_ns = pass->start_unix_ns;
    }
    on_point(pass, &point, record);
}

int pipeline_metrics_service_message(
    void *user, struct grpc_call *call, struct slice message, struct grpc_answer *answer)
{
    struct pipeline *pipeline = user;
    const struct peer *peer = call->connection_user;
    struct metrics_service_identifier identifier;
    struct otlp_outcome outcome = {.spans_count = 0};
    struct decode_error error;
    int code = pipeline_admits(pipeline);

    if (code == 0) {
        code = metrics_service_identify(message, &identifier);
    }
    if (code == 0) {
        code = take_identifier(pipeline, call, &identifier, answer);
    }
    if (code < 0 || answer->code != GRPC_OK) {
        return code;
    }
    const struct metrics_stream *stream = call->stream_user;
    struct metrics_pass pass = {.pipeline = pipeline,
        .sender = &peer->sender,
        .outcome = &outcome,
        .now_unix_ns = clock_unix_ns(pipeline->clock),
        .start_unix_ns = start_of(&peer->sender, stream->node_hash),
        .counters_are_deltas = pipeline->counters_are_deltas};
    struct metrics_service_sink sink = {
        .user = &pass, .on_point = on_service_point, .on_refused = on_refused};
    pipeline_batch_begin(pipeline, &peer->sender);
    code = metrics_service_scan(&pipeline->metrics->scratch, message, &sink, &error);
    if (code < 0) {
        (void)decode_error_format(&error, answer->text, sizeof answer->text);
    }
    return code;
}

void pipeline_metrics_service_closed(void *user, struct grpc_call *call)
{
    (void)user;
    free(call->stream_user);
    call->stream_user = NULL;
}
