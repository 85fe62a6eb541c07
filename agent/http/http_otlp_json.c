/*
 * OTLP over HTTP as JSON: a request in JSON is answered in JSON (opentelemetry-proto docs/specification.md,
 * OTLP/HTTP). Refusals are http_reply_status', which follows the request's Content-Type.
 */
#include "core/error.h"
#include "http/http_body.h"
#include "pipeline/pipeline_json.h"

enum {
    STATUS_OK = 200,
    REPLY_BYTES_MAX = 128 + 2 * DECODE_ERROR_TEXT_BYTES,
};

static const char *rejected_key(enum otlp_json_request request)
{
    switch (request) {
    case OTLP_JSON_METRICS:
        return "rejectedDataPoints";
    case OTLP_JSON_LOGS:
        return "rejectedLogRecords";
    case OTLP_JSON_TRACES:
    default:
        return "rejectedSpans";
    }
}

/* The texts are our own, but for names in them. */
static void write_escaped(struct buffer *out, const char *text)
{
    for (; *text != '\0'; text++) {
        char byte = *text >= ' ' && *text <= '~' ? *text : '?';
        if (byte == '"' || byte == '\\') {
            (void)buffer_append_byte(out, '\\');
        }
        (void)buffer_append_byte(out, (uint8_t)byte);
    }
}

/* An Export…ServiceResponse: empty, or with a partial success. */
static void write_reply(
    struct buffer *out, enum otlp_json_request request, const struct otlp_outcome *outcome)
{
    if (outcome->rejected_count == 0) {
        (void)buffer_append_text(out, "{}");
        return;
    }
    (void)buffer_append_format(out, "{\"partialSuccess\":{\"%s\":\"%u\",\"errorMessage\":\"",
        rejected_key(request), (unsigned)outcome->rejected_count);
    write_escaped(out, outcome->text);
    (void)buffer_append_text(out, "\"}}");
}

static void take(struct http_routes *routes, struct http_exchange *exchange, enum otlp_json_request request,
    struct slice message)
{
    const struct peer *peer = http_exchange_connection_user(exchange);
    const struct http_header type = {.name = "Content-Type", .value = "application/json"};
    struct otlp_outcome outcome;
    struct buffer reply;
    int code =
        pipeline_json_otlp(routes->pipeline, &peer->sender, request, message, routes->assembly, &outcome);

    if (code < 0) {
        http_body_refuse(routes, exchange, code, outcome.text);
        return;
    }
    buffer_init(&reply, REPLY_BYTES_MAX);
    write_reply(&reply, request, &outcome);
    struct shared_bytes *body = shared_bytes_take(&reply);
    LEDGER_ADD(routes->cells, METRIC_MESSAGES_ACCEPTED_OTLP_HTTP, 1);
    http_reply(exchange, STATUS_OK, body, &type, 1);
    shared_bytes_unref(body);
    buffer_deinit(&reply);
}

static void take_traces(struct http_routes *routes, struct http_exchange *exchange, struct slice message)
{
    take(routes, exchange, OTLP_JSON_TRACES, message);
}

static void take_metrics(struct http_routes *routes, struct http_exchange *exchange, struct slice message)
{
    take(routes, exchange, OTLP_JSON_METRICS, message);
}

static void take_logs(struct http_routes *routes, struct http_exchange *exchange, struct slice message)
{
    take(routes, exchange, OTLP_JSON_LOGS, message);
}

void http_otlp_json(
    struct http_routes *routes, struct http_exchange *exchange, enum otlp_json_request request)
{
    switch (request) {
    case OTLP_JSON_METRICS:
        http_body_receive(routes, exchange, take_metrics);
        break;
    case OTLP_JSON_LOGS:
        http_body_receive(routes, exchange, take_logs);
        break;
    case OTLP_JSON_TRACES:
    default:
        http_body_receive(routes, exchange, take_traces);
        break;
    }
}
