/* Bodies over HTTP; see http_body.h. */
#include "http/http_body.h"

#include <string.h>
#include <strings.h>

#include "core/error.h"

enum {
    STATUS_BAD_REQUEST = 400,
    STATUS_OVERSIZED = 413,
    STATUS_UNAVAILABLE = 503,
};

typedef void take_body(struct http_routes *routes, struct http_exchange *exchange, struct slice message);

bool http_type_is(const char *content_type, const char *type)
{
    size_t length = strlen(type);

    return content_type != NULL && strncasecmp(content_type, type, length) == 0 &&
           (content_type[length] == '\0' || content_type[length] == ';' || content_type[length] == ' ');
}

/* 0: *ret_format is set; 1: the body is plain; WERR_UNSUPPORTED. */
static int body_format(const char *encoding, enum inflate_format *ret_format)
{
    if (encoding == NULL || strcasecmp(encoding, "identity") == 0 || *encoding == '\0') {
        return 1;
    }
    if (strcasecmp(encoding, "gzip") == 0) {
        *ret_format = INFLATE_GZIP;
    } else if (strcasecmp(encoding, "zstd") == 0) {
        *ret_format = INFLATE_ZSTD;
    } else if (strcasecmp(encoding, "deflate") == 0) {
        *ret_format = INFLATE_ZLIB;
    } else {
        return WERR_UNSUPPORTED;
    }
    return 0;
}

static void refuse_compressed(struct http_routes *routes, struct http_exchange *exchange, int code)
{
    if (code == WERR_OVERSIZED) {
        LEDGER_ADD(routes->cells, METRIC_MESSAGES_REFUSED_OVERSIZED, 1);
        http_reply_status(exchange, STATUS_OVERSIZED, GRPC_RESOURCE_EXHAUSTED, "message is too large");
    } else if (code == WERR_NOMEM) {
        LEDGER_ADD(routes->cells, METRIC_MESSAGES_REFUSED_MEMORY, 1);
        http_reply_status(exchange, STATUS_UNAVAILABLE, GRPC_UNAVAILABLE, "out of memory");
    } else {
        LEDGER_ADD(routes->cells, METRIC_MESSAGES_REFUSED_COMPRESSION, 1);
        http_reply_status(exchange, STATUS_BAD_REQUEST, GRPC_INVALID_ARGUMENT, "damaged compression");
    }
}

/* What is inside a small body is admitted like any message: from the assembly budget. */
static void take_compressed(
    struct http_routes *routes, struct http_exchange *exchange, enum inflate_format format, take_body *take)
{
    struct buffer plain;

    buffer_init(&plain, routes->pipeline->limits->message_bytes_max);
    int code = inflate_all(&routes->inflater, format, http_exchange_body(exchange), routes->assembly, &plain);
    if (code == 0) {
        take(routes, exchange, slice_of(plain.data, plain.length));
    } else {
        refuse_compressed(routes, exchange, code);
    }
    size_t reserved_bytes = plain.length;
    buffer_deinit(&plain);
    budget_release(routes->assembly, reserved_bytes);
}

void http_body_receive(struct http_routes *routes, struct http_exchange *exchange, take_body *take)
{
    enum inflate_format format;

    if (http_exchange_connection_user(exchange) == NULL) {
        LEDGER_ADD(routes->cells, METRIC_MESSAGES_REFUSED_MEMORY, 1);
        http_reply_status(exchange, STATUS_UNAVAILABLE, GRPC_UNAVAILABLE, "out of memory");
        return;
    }
    int plain = body_format(http_exchange_header(exchange, "Content-Encoding"), &format);
    if (plain < 0) {
        LEDGER_ADD(routes->cells, METRIC_MESSAGES_REFUSED_COMPRESSION, 1);
        http_reply_status(exchange, STATUS_BAD_REQUEST, GRPC_INVALID_ARGUMENT,
            "Content-Encoding: expected gzip, zstd, deflate or none");
    } else if (plain > 0) {
        take(routes, exchange, http_exchange_body(exchange));
    } else {
        take_compressed(routes, exchange, format, take);
    }
}

void http_body_refuse(struct http_routes *routes, struct http_exchange *exchange, int code, const char *text)
{
    if (code == WERR_CLOSED) {
        LEDGER_ADD(routes->cells, METRIC_MESSAGES_REFUSED_DRAINING, 1);
        http_reply_status(exchange, STATUS_UNAVAILABLE, GRPC_UNAVAILABLE, "the agent is stopping");
    } else if (code == WERR_NOMEM) {
        LEDGER_ADD(routes->cells, METRIC_MESSAGES_REFUSED_MEMORY, 1);
        http_reply_status(exchange, STATUS_UNAVAILABLE, GRPC_UNAVAILABLE, "memory of values is full");
    } else {
        LEDGER_ADD(routes->cells, METRIC_MESSAGES_REFUSED_MALFORMED, 1);
        http_reply_status(exchange, STATUS_BAD_REQUEST, GRPC_INVALID_ARGUMENT, text);
    }
}
