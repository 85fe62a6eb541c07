/*
 * POST /api/v2/spans, as Zipkin's own server answers it: 202 without a body for an array of spans, whatever
 * becomes of single ones. Only JSON is read; Zipkin's protobuf and Thrift forms get 415.
 */
#include "core/error.h"
#include "decode/zipkin.h"
#include "http/http_body.h"
#include "pipeline/pipeline_json.h"

enum { STATUS_ACCEPTED = 202, STATUS_MEDIA_TYPE = 415 };

static void take_spans(struct http_routes *routes, struct http_exchange *exchange, struct slice message)
{
    const struct peer *peer = http_exchange_connection_user(exchange);
    struct otlp_outcome outcome;
    int code = pipeline_json_spans(
        routes->pipeline, &peer->sender, zipkin_to_otlp, message, routes->assembly, &outcome);

    if (code < 0) {
        http_body_refuse(routes, exchange, code, outcome.text);
        return;
    }
    LEDGER_ADD(routes->cells, METRIC_MESSAGES_ACCEPTED_ZIPKIN, 1);
    http_reply(exchange, STATUS_ACCEPTED, NULL, NULL, 0);
}

void http_zipkin_spans(struct http_routes *routes, struct http_exchange *exchange)
{
    const char *type = http_exchange_header(exchange, "Content-Type");

    /* Some senders do not say what they send. */
    if (type != NULL && !http_type_is(type, "application/json")) {
        LEDGER_ADD(routes->cells, METRIC_MESSAGES_REFUSED_UNKNOWN, 1);
        http_reply_status(
            exchange, STATUS_MEDIA_TYPE, GRPC_INVALID_ARGUMENT, "Content-Type: expected application/json");
        return;
    }
    http_body_receive(routes, exchange, take_spans);
}
