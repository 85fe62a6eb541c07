/*
 * The native stream's payloads: unpacked, checked, put into context, counted; spans are encoded to OTLP when
 * something is exported. Runs on the shard that holds the connection.
 */
#include <stdio.h>
#include <string.h>

#include "core/error.h"
#include "decode/otlp_encode.h"
#include "pipeline/pipeline.h"

enum {
    SPAN_ENCODED_BYTES_MAX =
        512, /* of a native span in OTLP, without its texts, which share the string limit */
    TEXTS_PER_SPAN = 8,
    SPANS_AHEAD = 2, /* of the one at hand: about as long as memory takes */
};

static void begin_payload(struct pipeline *pipeline, const struct peer *peer)
{
    arena_reset(&pipeline->arena);
    pipeline_batch_begin(pipeline, &peer->sender);
}

/* Of a payload that is refused whole. */
static void refuse(struct native_reply *reply, int code, const struct decode_error *error)
{
    char text[DECODE_ERROR_TEXT_BYTES];

    (void)decode_error_format(error, text, sizeof text);
    native_reply_error(reply,
        code == WERR_NOMEM ? WEFT__V1__ERROR_CODE__ERROR_CODE_UNAVAILABLE
                           : WEFT__V1__ERROR_CODE__ERROR_CODE_MALFORMED,
        text);
    reply->record = error->record != DECODE_NO_INDEX ? error->record + 1 : 0;
}

/* Of a batch that finds memory full: it comes again after the next flip. True when it was refused. */
static bool refuse_when_full(const struct pipeline *pipeline, uint64_t sequence, struct native_reply *reply)
{
    if (!directory_is_full(pipeline->directory)) {
        return false;
    }
    native_reply_error(reply, WEFT__V1__ERROR_CODE__ERROR_CODE_UNAVAILABLE, "memory of values is full");
    reply->sequence = sequence;
    return true;
}

/* The first refused record of a batch is told, the others are only counted. */
static void tell_first(struct native_reply *reply, uint32_t record, const char *reason, const char *field)
{
    char text[NATIVE_REPLY_MESSAGE_BYTES_MAX];

    if (reply->error_code != 0) {
        return;
    }
    (void)snprintf(text, sizeof text, "record %u, %s: %s", record, field, reason);
    native_reply_error(reply, WEFT__V1__ERROR_CODE__ERROR_CODE_RECORD, text);
    reply->record = record + 1;
}

void pipeline_native_hello(
    void *user, struct native_connection *connection, struct slice payload, struct native_reply *reply)
{
    struct peer *peer = user;
    struct pipeline *pipeline = peer->pipeline;
    Weft__V1__Hello *hello;
    struct decode_error error;

    (void)connection;
    begin_payload(pipeline, peer);
    int code = native_decode_hello(payload, &pipeline->arena, &hello, &error);
    if (code < 0) {
        refuse(reply, code, &error);
        if (code == WERR_UNSUPPORTED) {
            reply->error_code = WEFT__V1__ERROR_CODE__ERROR_CODE_VERSION;
        }
        return;
    }
    native_dictionary_set_self(&peer->dictionary, hello, &peer->sender);
}

void pipeline_native_dictionary(
    void *user, struct native_connection *connection, struct slice payload, struct native_reply *reply)
{
    struct peer *peer = user;
    struct pipeline *pipeline = peer->pipeline;
    Weft__V1__Dictionary *frame;
    struct decode_error error;

    (void)connection;
    begin_payload(pipeline, peer);
    int code = native_decode_dictionary(
        payload, (uint32_t)pipeline->limits->dictionary_count_max, &pipeline->arena, &frame, &error);
    if (code < 0) {
        refuse(reply, code, &error);
        return;
    }
    code = native_dictionary_add(&peer->dictionary, frame);
    if (code < 0) {
        /* Without memory the ids could not be kept in order: the client is to come again with all of them. */
        native_reply_error(reply,
            code == WERR_NOMEM ? WEFT__V1__ERROR_CODE__ERROR_CODE_UNAVAILABLE
                               : WEFT__V1__ERROR_CODE__ERROR_CODE_DICTIONARY,
            code == WERR_FULL ? "more strings than limits.dictionary_count_max" : werr_text(code));
    }
}

/* ---- spans ---- */

struct native_pass {
    struct peer *peer;
    const struct native_spans *spans;
    struct native_check check;
    struct native_reply *reply;
    struct otlp_encoder *encoder; /* NULL: nothing is exported */
    uint32_t encoded_count;
};

static void drop_span(struct native_pass *pass, uint32_t record, enum record_error reason, const char *field)
{
    LEDGER_ADD(pass->peer->pipeline->cells, pipeline_dropped_metric(reason), 1);
    pass->reply->rejected_spans++;
    tell_first(pass->reply, record, record_error_name(reason), field);
}

static struct slice text_of(const struct pipeline *pipeline, uint32_t id)
{
    return id == INTERNED_UNKNOWN ? slice_of(NULL, 0) : interner_text(pipeline->interner, id);
}

static bool has_trace(const struct request *request)
{
    static const uint8_t none[sizeof request->trace_id];

    return memcmp(request->trace_id, none, sizeof none) != 0;
}

/* Whether the span is in the segment now. */
static bool encode_span(struct native_pass *pass, uint32_t i, const struct request *request)
{
    const struct pipeline *pipeline = pass->peer->pipeline;
    const struct native_spans *spans = pass->spans;
    struct otlp_encode_span out = {
        .reporter = (enum otlp_encode_reporter)request->reporter,
        .source = text_of(pipeline, request->source),
        .source_namespace = text_of(pipeline, request->source_namespace),
        .destination = text_of(pipeline, request->destination),
        .destination_namespace = text_of(pipeline, request->destination_namespace),
        .route = text_of(pipeline, request->route),
        .method = slice_of_string(method_name((enum method)request->method)),
        .protocol = request->protocol == PROTOCOL_UNKNOWN
                        ? slice_of(NULL, 0)
                        : slice_of_string(protocol_name((enum protocol)request->protocol)),
        .response_code = request->response_code,
        .grpc_status = request->grpc_status,
        .response_flags = request->response_flags,
        .attempts = request->attempts,
        .request_bytes = request->request_bytes,
        .response_bytes = request->response_bytes,
        .start_unix_ns = request->start_unix_ns,
        .duration_ns = request->duration_ns,
        .sampling_threshold = native_get64(spans->sampling_threshold, i),
        .trace_id = request->trace_id,
        .span_id = request->span_id,
        .parent_id = spans->parent_ids != NULL ? spans->parent_ids + (size_t)i * NATIVE_SPAN_ID_BYTES : NULL,
    };

    if (otlp_encode_span(pass->encoder, &out) <= 0) {
        return false;
    }
    pass->encoded_count++;
    return true;
}

static void take_span(struct native_pass *pass, uint32_t i)
{
    struct peer *peer = pass->peer;
    struct pipeline *pipeline = peer->pipeline;
    struct request request;
    const char *field = "";
    enum record_error reason = native_span_check(pass->spans, i, &pass->check, &field);

    LEDGER_ADD(pipeline->cells, METRIC_SPANS_RECEIVED, 1);
    if (peer->dictionary.is_conflict && pipeline->context.refuse_conflicts) {
        LEDGER_ADD(pipeline->cells, METRIC_SPANS_DROPPED_IDENTITY, 1);
        pass->reply->rejected_spans++;
        tell_first(pass->reply, i, "claims to be somebody else than its sender is", "hello");
        return;
    }
    if (reason != RECORD_ERROR_NONE) {
        drop_span(pass, i, reason, field);
        return;
    }
    int code = native_to_request(&peer->dictionary, pass->spans, i, &peer->sender, &request);
    if (code < 0) {
        drop_span(
            pass, i, code == WERR_DICTIONARY ? RECORD_ERROR_DICTIONARY : RECORD_ERROR_MALFORMED, "value");
        return;
    }
    const uint8_t *parent_ids = pass->spans->parent_ids;
    request.stored = pipeline_store_native(pipeline, &peer->dictionary, &request,
        parent_ids != NULL ? parent_ids + (size_t)i * NATIVE_SPAN_ID_BYTES : NULL,
        native_get64(pass->spans->sampling_threshold, i));
    if (pass->encoder != NULL && has_trace(&request)) {
        request.stored |= encode_span(pass, i, &request);
    }
    pipeline_tap(pipeline, &request);
    pipeline_keep_request(pipeline, &request, directory_record(pipeline->directory, &request));
}

static void take_spans(struct peer *peer, const struct native_spans *spans, struct native_reply *reply)
{
    struct pipeline *pipeline = peer->pipeline;
    struct otlp_encoder encoder;
    struct native_pass pass = {
        .peer = peer,
        .spans = spans,
        .reply = reply,
        .check = {.now_unix_ns = clock_unix_ns(pipeline->clock),
            .time_skew_ns = pipeline->limits->time_skew_s * 1000000000u,
            .dictionary_count = native_dictionary_count(&peer->dictionary) + 1},
    };
    size_t span_bytes = SPAN_ENCODED_BYTES_MAX + TEXTS_PER_SPAN * (size_t)pipeline->limits->string_bytes_max;

    if (pipeline_exports_all(pipeline)) {
        struct buffer *out =
            span_segment_open(&pipeline->segment, spans->span_count * span_bytes, spans->span_count);
        if (out != NULL) {
            otlp_encode_begin(&encoder, out);
            pass.encoder = &encoder;
        }
    }
    for (uint32_t i = 0; i < spans->span_count; i++) {
        if (i + SPANS_AHEAD < spans->span_count) {
            ring_expect(pipeline->ring, spans->trace_ids + (size_t)(i + SPANS_AHEAD) * TRACE_ID_BYTES);
        }
        take_span(&pass, i);
    }
    if (pass.encoder != NULL && otlp_encode_end(&encoder) > 0) {
        span_segment_added(&pipeline->segment, pass.encoded_count);
    }
}

void pipeline_native_spans(
    void *user, struct native_connection *connection, struct slice payload, struct native_reply *reply)
{
    struct peer *peer = user;
    struct pipeline *pipeline = peer->pipeline;
    struct native_spans spans;
    struct decode_error error;

    begin_payload(pipeline, peer);
    int code = native_decode_spans(payload, &pipeline->arena, &spans, &error);
    if (code < 0) {
        refuse(reply, code, &error);
        return;
    }
    if (spans.sequence == 0) {
        native_reply_error(reply, WEFT__V1__ERROR_CODE__ERROR_CODE_MALFORMED, "sequence: expected 1 or more");
        return;
    }
    if (refuse_when_full(pipeline, spans.sequence, reply)) {
        return;
    }
    switch (native_connection_claim(connection, spans.sequence, reply)) {
    case NATIVE_CLAIM_NEW:
        take_spans(peer, &spans, reply);
        break;
    case NATIVE_CLAIM_DUPLICATE:
        LEDGER_ADD(pipeline->cells, METRIC_SPANS_RECEIVED, spans.span_count);
        LEDGER_ADD(pipeline->cells, METRIC_SPANS_DROPPED_DUPLICATE, spans.span_count);
        break;
    case NATIVE_CLAIM_REFUSED:
    default:
        break; /* it comes again */
    }
}

/* ---- metrics ---- */

static enum record_error check_point(const Weft__V1__MetricBatch *batch, size_t i, const char **ret_field)
{
    if (i < batch->n_counter_values) {
        return native_counter_check(batch->counter_values[i], ret_field);
    }
    i -= batch->n_counter_values;
    if (i < batch->n_gauge_values) {
        return RECORD_ERROR_NONE; /* any value is a gauge's */
    }
    return native_histogram_check(batch->histograms[i - batch->n_gauge_values], ret_field);
}

static void drop_point(
    struct peer *peer, struct native_reply *reply, size_t i, enum metric_id metric, const char *reason)
{
    LEDGER_ADD(peer->pipeline->cells, metric, 1);
    reply->rejected_points++;
    tell_first(reply, (uint32_t)i, reason, "point");
}

static void take_point(
    struct peer *peer, const Weft__V1__MetricBatch *batch, size_t i, struct native_reply *reply)
{
    struct pipeline *pipeline = peer->pipeline;
    struct metric_point point;
    const char *field = "";

    LEDGER_ADD(pipeline->cells, METRIC_POINTS_RECEIVED, 1);
    if (check_point(batch, i, &field) != RECORD_ERROR_NONE) {
        drop_point(peer, reply, i, METRIC_POINTS_DROPPED_MALFORMED, field);
        return;
    }
    int code = native_to_point(&peer->dictionary, batch, i, &peer->sender, &point);
    if (code == WERR_DICTIONARY) {
        drop_point(peer, reply, i, METRIC_POINTS_DROPPED_DICTIONARY, "unknown series");
    } else if (code == WERR_FULL) {
        drop_point(peer, reply, i, METRIC_POINTS_DROPPED_SERIES, "no room for its series");
    } else if (code < 0) {
        drop_point(peer, reply, i, METRIC_POINTS_DROPPED_MALFORMED, "malformed");
    } else {
        directory_record_point(pipeline->directory, &point);
    }
}

static bool is_far_away(const struct pipeline *pipeline, uint64_t time_unix_ns)
{
    uint64_t now_unix_ns = clock_unix_ns(pipeline->clock);
    uint64_t distance_ns =
        time_unix_ns > now_unix_ns ? time_unix_ns - now_unix_ns : now_unix_ns - time_unix_ns;

    return distance_ns > pipeline->limits->time_skew_s * 1000000000u;
}

static void take_points(struct peer *peer, const Weft__V1__MetricBatch *batch, struct native_reply *reply)
{
    struct pipeline *pipeline = peer->pipeline;
    size_t point_count = native_point_count(batch);

    if (is_far_away(pipeline, batch->time_unix_ns)) {
        LEDGER_ADD(pipeline->cells, METRIC_POINTS_RECEIVED, point_count);
        LEDGER_ADD(pipeline->cells, METRIC_POINTS_DROPPED_TIME, point_count);
        reply->rejected_points = (uint32_t)point_count;
        tell_first(reply, 0, record_error_name(RECORD_ERROR_TIME), "time_unix_ns");
        return;
    }
    for (size_t i = 0; i < point_count; i++) {
        take_point(peer, batch, i, reply);
    }
}

/* Series are declared once a connection: a duplicate batch on a new connection still declares its own. */
static void declare_series(struct peer *peer, const Weft__V1__MetricBatch *batch, struct native_reply *reply)
{
    for (size_t i = 0; i < batch->n_series; i++) {
        int code = native_series_add(&peer->dictionary, batch->series[i]);
        if (code < 0 && reply->error_code == 0) {
            native_reply_error(reply, WEFT__V1__ERROR_CODE__ERROR_CODE_DICTIONARY, werr_text(code));
            reply->record = (uint32_t)i + 1;
        }
    }
}

void pipeline_native_metrics(
    void *user, struct native_connection *connection, struct slice payload, struct native_reply *reply)
{
    struct peer *peer = user;
    struct pipeline *pipeline = peer->pipeline;
    Weft__V1__MetricBatch *batch;
    struct decode_error error;

    begin_payload(pipeline, peer);
    int code = native_decode_metrics(payload, &pipeline->arena, &batch, &error);
    if (code < 0) {
        refuse(reply, code, &error);
        return;
    }
    if (batch->sequence == 0) {
        /* Outside the sequence only declarations may come: nothing is counted, so nothing is acknowledged. */
        if (native_point_count(batch) > 0) {
            native_reply_error(
                reply, WEFT__V1__ERROR_CODE__ERROR_CODE_MALFORMED, "sequence: expected 1 or more");
        } else {
            declare_series(peer, batch, reply);
        }
        return;
    }
    if (refuse_when_full(pipeline, batch->sequence, reply)) {
        return;
    }
    switch (native_connection_claim(connection, batch->sequence, reply)) {
    case NATIVE_CLAIM_NEW:
        declare_series(peer, batch, reply);
        take_points(peer, batch, reply);
        break;
    case NATIVE_CLAIM_DUPLICATE:
        declare_series(peer, batch, reply);
        LEDGER_ADD(pipeline->cells, METRIC_POINTS_RECEIVED, native_point_count(batch));
        LEDGER_ADD(pipeline->cells, METRIC_POINTS_DROPPED_DUPLICATE, native_point_count(batch));
        break;
    case NATIVE_CLAIM_REFUSED:
    default:
        break;
    }
}

/* The client's own count of losses is cumulative for its instance, and said again on each connection. */
void pipeline_native_stats(
    void *user, struct native_connection *connection, struct slice payload, struct native_reply *reply)
{
    struct peer *peer = user;
    struct pipeline *pipeline = peer->pipeline;
    Weft__V1__ClientStats *stats;
    struct decode_error error;

    begin_payload(pipeline, peer);
    int code = native_decode_stats(payload, &pipeline->arena, &stats, &error);
    if (code < 0) {
        refuse(reply, code, &error);
        return;
    }
    uint64_t dropped_spans;
    uint64_t dropped_points;
    native_connection_dropped(
        connection, stats->dropped_spans, stats->dropped_points, &dropped_spans, &dropped_points);
    LEDGER_ADD(pipeline->cells, METRIC_CLIENT_DROPPED_SPANS, dropped_spans);
    LEDGER_ADD(pipeline->cells, METRIC_CLIENT_DROPPED_POINTS, dropped_points);
}
