/*
 * HTTP/1.1 of one shard: a libmicrohttpd daemon without threads or listening socket, driven by the shard's
 * loop. Connections come from the acceptor or the sniffer; requests go to the owner's handler, which answers
 * at once or later.
 *
 * libmicrohttpd's epoll descriptor sits in a uv_poll_t. After *every* run its own idea of a timeout must be
 * asked for and a timer armed (0: at once), or chunked uploads and streams hang. Suspend and resume happen on
 * the loop's thread only.
 */
#ifndef WEFT_LISTEN_HTTP_SERVER_H
#define WEFT_LISTEN_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "core/budget.h"
#include "core/buffer.h"
#include "core/limits.h"
#include "core/metrics.h"
#include "listen/listener.h"
#include "listen/rpc_status.h"

enum {
    HTTP_HEADER_COUNT_MAX = 8,
    HTTP_DISCARD_FACTOR = 4,      /* times message_bytes_max: of a refused body, before the connection ends */
    HTTP_READ_BODY_BYTES = 65536, /* of a body that comes to a listener that takes no records */
    HTTP_SMALL_ANSWER_BYTES = 4096, /* is sent however much others have not taken */
    HTTP_READER_STALL_S = 30,       /* a reader that takes nothing of a larger answer for so long is left */
};

/* One request and its answer. Belongs to the server; the handler may keep it until it has replied. */
struct http_exchange;

struct http_header {
    const char *name;
    const char *value; /* copied by http_reply */
};

struct http_handler {
    /* Called when the whole request, body included, is there. Replies now, or keeps `exchange` and replies
     * later. */
    void (*request)(void *user, struct http_exchange *exchange);
    /* A connection begins: what its exchanges shall know of it (may be NULL). fd is the server's. */
    void *(*connection_opened)(void *user, int fd, enum listener_kind kind);
    /* It has ended; connection_user as connection_opened gave it, NULL when it was never called. kind: as
     * given to http_server_add. */
    void (*connection_closed)(void *user, void *connection_user, enum listener_kind kind);
    /* Whether the body of a request to a listener that takes no records is wanted: asked once, when its first
     * bytes come; at most HTTP_READ_BODY_BYTES of it. NULL: never, it is passed over. */
    bool (*takes_body)(void *user, struct http_exchange *exchange);
    void *user;
};

struct http_server;

struct http_server_config {
    uv_loop_t *loop;
    const struct limits *limits;
    struct budget *assembly; /* memory of request bodies */
    struct metric_cells *cells;
    struct http_handler handler;
    const char *const *hosts; /* further names that a Host header may hold; borrowed */
    size_t host_count;
};

/* NULL when out of memory or descriptors. */
struct http_server *http_server_new(const struct http_server_config *config);

/* Other names that a Host header may hold, from the next request on; borrowed. */
void http_server_set_hosts(struct http_server *server, const char *const *hosts, size_t host_count);

/* Takes over fd (non-blocking, connected); when that fails it is closed and connection_closed called. */
void http_server_add(struct http_server *server, int fd, enum listener_kind kind);

/* Answers what is suspended with 503, ends every connection. Handles end by the next turn of the loop; then
 * free. */
void http_server_close(struct http_server *server);
void http_server_free(struct http_server *server);

void *http_exchange_connection_user(const struct http_exchange *exchange);
enum listener_kind http_exchange_kind(const struct http_exchange *exchange);
const char *http_exchange_method(const struct http_exchange *exchange);
const char *http_exchange_path(const struct http_exchange *exchange);                 /* without the query */
const char *http_exchange_argument(struct http_exchange *exchange, const char *name); /* decoded, or NULL */
const char *http_exchange_header(struct http_exchange *exchange, const char *name);   /* or NULL */
struct slice http_exchange_body(const struct http_exchange *exchange); /* valid until the reply */

/* Calls `each` for every query argument; used to refuse unknown ones. */
void http_exchange_each_argument(struct http_exchange *exchange,
    void (*each)(void *user, const char *name, const char *value), void *user);

/*
 * Answers, once, on the loop's thread. `body` is referenced for as long as it is needed (NULL: empty). At
 * most HTTP_HEADER_COUNT_MAX headers. The exchange is not to be used afterwards. When other answers that are
 * not read hold limits.answers_bytes_max, a large one becomes 503 with Retry-After, and is counted.
 */
void http_reply(struct http_exchange *exchange, unsigned status, struct shared_bytes *body,
    const struct http_header *headers, size_t header_count);

/* A short text answer ("text/plain; charset=utf-8"). */
void http_reply_text(struct http_exchange *exchange, unsigned status, const char *text);

/* An error as OTLP/HTTP wants it: a google.rpc.Status, as JSON when the request says that it is JSON, and
 * with 503 Retry-After. */
void http_reply_status(
    struct http_exchange *exchange, unsigned status, enum grpc_code code, const char *text);

/*
 * Whether a Host header may be served from a TCP listener: localhost, an IP literal, this machine's name, or
 * one of `hosts`. A name that somebody else's DNS could point here is refused (DNS rebinding).
 */
bool http_host_is_known(const char *host, const char *const *hosts, size_t host_count);

#endif
