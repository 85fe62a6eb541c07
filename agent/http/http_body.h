/*
 * Bodies of messages that come over HTTP: their encodings, and the memory of what they hold once inflated,
 * which is admitted like any message. Runs on the shard that holds the connection.
 */
#ifndef WEFT_AGENT_HTTP_BODY_H
#define WEFT_AGENT_HTTP_BODY_H

#include "decode/otlp_json.h"
#include "http/http_routes.h"

/* "TYPE", "TYPE; …" or "TYPE …", in any case; false for NULL. */
bool http_type_is(const char *content_type, const char *type);

/*
 * Calls `take`, once and at once, with the plain body, which is valid until it has replied. What it cannot
 * make plain, or has no memory for, it answers and counts itself; also a connection that nothing is known of
 * for lack of memory: so http_exchange_connection_user is a struct peer in `take`.
 */
void http_body_receive(struct http_routes *routes, struct http_exchange *exchange,
    void (*take)(struct http_routes *routes, struct http_exchange *exchange, struct slice message));

/* An OTLP request in JSON: http_otlp_json.c. */
void http_otlp_json(
    struct http_routes *routes, struct http_exchange *exchange, enum otlp_json_request request);

/*
 * Answers a message that was not taken: WERR_CLOSED (draining), WERR_NOMEM (no memory of values), or any
 * other code, for which `text` says what is wrong with it. Counts it.
 */
void http_body_refuse(struct http_routes *routes, struct http_exchange *exchange, int code, const char *text);

#endif
