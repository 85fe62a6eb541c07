/*
 * OTLP over HTTP, protobuf, and whose requests are JSON: content types and answers, and google.rpc.Status
 * bodies as the specification wants them (opentelemetry-proto docs/specification.md, OTLP/HTTP).
 */
#include "core/error.h"
#include "http/http_body.h"

enum {
    STATUS_OK = 200,
    STATUS_MEDIA_TYPE = 415,
    REPLY_BYTES_MAX = 512,
};

static const char protobuf_type[] = "application/x-protobuf";
static const char json_type[] = "application/json";

/* Says what became of a message: `code` and the outcome are pipeline_otlp_traces'. */
static void answer(
    struct http_routes *routes, struct http_exchange *exchange, int code, const struct otlp_outcome *outcome)
{
    if (code < 0) {
        http_body_refuse(routes, exchange, code, outcome->text);
        return;
    }
    uint8_t reply[REPLY_BYTES_MAX];
    size_t length = pipeline_otlp_reply(outcome, reply, sizeof reply);
    struct shared_bytes *body = shared_bytes_copy(slice_of(reply, length));
    const struct http_header type = {.name = "Content-Type", .value = protobuf_type};
    LEDGER_ADD(routes->cells, METRIC_MESSAGES_ACCEPTED_OTLP_HTTP, 1);
    http_reply(exchange, STATUS_OK, body, &type, 1);
    shared_bytes_unref(body);
}

static void take_traces(struct http_routes *routes, struct http_exchange *exchange, struct slice message)
{
    const struct peer *peer = http_exchange_connection_user(exchange);
    struct otlp_outcome outcome;
    int code = pipeline_otlp_traces(routes->pipeline, &peer->sender, message, &outcome);

    answer(routes, exchange, code, &outcome);
}

static void take_metrics(struct http_routes *routes, struct http_exchange *exchange, struct slice message)
{
    const struct peer *peer = http_exchange_connection_user(exchange);
    struct otlp_outcome outcome;
    int code = pipeline_otlp_metrics(routes->pipeline, &peer->sender, message, &outcome);

    answer(routes, exchange, code, &outcome);
}

static void take_logs(struct http_routes *routes, struct http_exchange *exchange, struct slice message)
{
    const struct peer *peer = http_exchange_connection_user(exchange);
    struct otlp_outcome outcome;
    int code = pipeline_otlp_logs(routes->pipeline, &peer->sender, message, &outcome);

    answer(routes, exchange, code, &outcome);
}

static void receive(struct http_routes *routes, struct http_exchange *exchange,
    enum otlp_json_request request,
    void (*take)(struct http_routes *routes, struct http_exchange *exchange, struct slice message))
{
    const char *type = http_exchange_header(exchange, "Content-Type");

    if (http_type_is(type, json_type)) {
        http_otlp_json(routes, exchange, request);
        return;
    }
    if (!http_type_is(type, protobuf_type)) {
        LEDGER_ADD(routes->cells, METRIC_MESSAGES_REFUSED_UNKNOWN, 1);
        http_reply_status(exchange, STATUS_MEDIA_TYPE, GRPC_INVALID_ARGUMENT,
            "Content-Type: expected application/x-protobuf or application/json");
        return;
    }
    http_body_receive(routes, exchange, take);
}

void http_otlp_traces(struct http_routes *routes, struct http_exchange *exchange)
{
    receive(routes, exchange, OTLP_JSON_TRACES, take_traces);
}

void http_otlp_metrics(struct http_routes *routes, struct http_exchange *exchange)
{
    receive(routes, exchange, OTLP_JSON_METRICS, take_metrics);
}

void http_otlp_logs(struct http_routes *routes, struct http_exchange *exchange)
{
    receive(routes, exchange, OTLP_JSON_LOGS, take_logs);
}
