/*
 * What HTTP paths mean: scrapes, health, queries, and OTLP over HTTP. Runs on the shard that holds the
 * connection; whatever needs the aggregator's state is asked of its thread, and answered when the answer
 * comes back.
 */
#ifndef WEFT_AGENT_HTTP_ROUTES_H
#define WEFT_AGENT_HTTP_ROUTES_H

#include <stdbool.h>

#include "aggregator_thread.h"
#include "core/inflate.h"
#include "health.h"
#include "http/http_gate.h"
#include "tracing/kept_hub.h"
#include "listen/http_server.h"
#include "tracing/notice_gate.h"
#include "pipeline/pipeline.h"
#include "tracing/tap_shard.h"
#include "tracing/trace_thread.h"

struct http_routes {
    struct aggregator_thread *aggregator;
    struct mailbox *mailbox; /* of the shard */
    const struct health *health;
    struct pipeline *pipeline;
    struct metric_cells *cells;
    uint32_t profiles;       /* bits 1 << enum profile: naming profiles that are served */
    bool classic_histograms; /* beside native ones, as metrics.classic says */
    struct inflater inflater;
    struct budget *assembly; /* of messages being received */
    struct trace_thread *traces;
    struct tap_shard *taps; /* NULL: nobody can watch */
    const struct kept_hub *kept_hub;
    struct notice_gate *notice_gate;  /* how many traces others may have kept; NULL: any number */
    struct shared_bytes *config_text; /* the configuration in force; one reference, the shard's */
    const struct http_gate *gate;     /* who may ask over TCP, and keep traces */
};

/* What hangs on a connection that takes no records: whether it comes from this machine, else from which.
 * Static, never freed. */
const void *http_origin(int fd, const struct tls_peer *peer); /* peer: NULL, but of one that came by TLS */
bool http_is_origin(const void *connection_user);
bool http_is_from_here(const void *connection_user);

/* A handler for struct http_handler.request; `user` is a struct http_routes. */
void http_routes_handle(struct http_routes *routes, struct http_exchange *exchange);

/* POST /v1/traces and /v1/metrics (OTLP/HTTP, protobuf): http_otlp.c. The connection's user is a struct peer.
 */
void http_otlp_traces(struct http_routes *routes, struct http_exchange *exchange);
void http_otlp_metrics(struct http_routes *routes, struct http_exchange *exchange);
void http_otlp_logs(struct http_routes *routes, struct http_exchange *exchange);

/* POST /api/v2/spans (Zipkin v2, JSON): http_zipkin.c. The same. */
void http_zipkin_spans(struct http_routes *routes, struct http_exchange *exchange);

/*
 * http_traces.c: GET of all that trace_query.h lists, and POST /api/v1/keep: `{"traceIds":["hex",…]}`, which
 * keeps traces here and on all peers; with `"from":"peer"` here alone. The latter from this machine, or with
 * the token.
 */
void http_traces_ask(struct http_routes *routes, struct http_exchange *exchange);
void http_traces_keep(struct http_routes *routes, struct http_exchange *exchange);

/* GET /api/v1/tap: http_tap.c. */
void http_tap(struct http_routes *routes, struct http_exchange *exchange);

/* Whether the body of a request to a listener that takes no records is wanted: http_handler.takes_body. */
bool http_traces_takes_body(struct http_routes *routes, struct http_exchange *exchange);

#endif
