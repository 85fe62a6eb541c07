/* What http_server.c and http_exchange.c share; for them alone. */
#ifndef WEFT_LISTEN_HTTP_EXCHANGE_H
#define WEFT_LISTEN_HTTP_EXCHANGE_H

#include <microhttpd.h>
#include <sys/queue.h>

#include "listen/http_server.h"

/* What libmicrohttpd keeps for us with each connection. */
struct http_connection {
    enum listener_kind kind;
    void *user; /* of the handler */
    bool begun; /* a request's head was read */
    bool cut;   /* the last request ended before it was whole */
    bool refused;
};

struct http_server {
    struct http_server_config config;
    struct MHD_Daemon *daemon;
    uv_poll_t poll;
    uv_timer_t timer;
    uv_timer_cb on_timer;
    LIST_HEAD(http_exchange_list, http_exchange) suspended; /* handed out and not answered yet */
    struct http_connection *arriving;                       /* being added, until libmicrohttpd tells of it */
    LIST_HEAD(http_stream_list, http_stream) streams;       /* answers that have not ended */
    size_t connection_count;
    size_t ended_count;    /* connections that were reported as closed, ever */
    uint64_t answer_bytes; /* of answers that libmicrohttpd holds and their readers have not taken */
};

void http_server_run_soon(struct http_server *server);

struct http_server *http_exchange_server(const struct http_exchange *exchange);
struct MHD_Connection *http_exchange_connection(const struct http_exchange *exchange);

/* Answers with status 200 and a response, which it takes over. */
void http_exchange_answer_stream(struct http_exchange *exchange, struct MHD_Response *response);

/* Ends all streams: when the server closes. */
void http_streams_end(struct http_server *server);

/* libmicrohttpd's callbacks. */
enum MHD_Result http_exchange_on_request(void *cls, struct MHD_Connection *connection, const char *url,
    const char *method, const char *version, const char *upload, size_t *upload_bytes, void **context);
void http_exchange_on_completed(
    void *cls, struct MHD_Connection *connection, void **context, enum MHD_RequestTerminationCode code);

#endif
