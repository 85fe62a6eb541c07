/* The routes of http_routes.h. */
#include "http/http_routes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "exporters/prometheus/negotiate.h"
#include "http/http_arguments.h"

enum {
    STATUS_OK = 200,
    STATUS_UNAUTHORIZED = 401,
    STATUS_FORBIDDEN = 403,
    STATUS_NOT_FOUND = 404,
    STATUS_METHOD = 405,
    STATUS_OVERSIZED = 413,
    STATUS_UNAVAILABLE = 503,
};

static void on_answered(struct mail *mail, void *receiver)
{
    struct ask *ask = (struct ask *)mail;
    struct http_header headers[3];
    size_t header_count = 0;

    (void)receiver;
    if (ask->body != NULL) {
        headers[header_count++] = (struct http_header){.name = "Content-Type",
            .value = ask->encoder != NULL ? ask->encoder->content_type : "application/json"};
        if (ask->compression != COMPRESSION_NONE) {
            headers[header_count++] =
                (struct http_header){.name = "Content-Encoding", .value = compression_name(ask->compression)};
        }
    }
    if (ask->encoder != NULL) {
        headers[header_count++] = (struct http_header){.name = "Vary", .value = "Accept, Accept-Encoding"};
    }
    http_reply(ask->exchange, ask->status, ask->body, headers, header_count);
    shared_bytes_unref(ask->body);
    free(ask);
}

static struct ask *ask_new(struct http_routes *routes, struct http_exchange *exchange)
{
    struct ask *ask = calloc(1, sizeof *ask);

    if (ask == NULL) {
        http_reply_text(exchange, STATUS_UNAVAILABLE, "out of memory\n");
        return NULL;
    }
    ask->reply_to = routes->mailbox;
    ask->answered = on_answered;
    ask->exchange = exchange;
    ask->profile = PROFILE_COUNT;
    return ask;
}

static void post_ask(struct http_routes *routes, struct ask *ask)
{
    if (!aggregator_thread_ask(routes->aggregator, ask)) {
        http_reply_text(ask->exchange, STATUS_UNAVAILABLE, "the agent is stopping\n");
        free(ask);
    }
}

/* `profile`, PROFILE_COUNT where it is not given. False when it was answered: no such profile here. */
static bool find_profile(
    const struct http_routes *routes, struct http_exchange *exchange, enum profile *ret_profile)
{
    const char *name = http_exchange_argument(exchange, "profile");

    *ret_profile = PROFILE_COUNT;
    if (name == NULL) {
        return true;
    }
    if (profile_of(name, ret_profile) < 0) {
        http_reply_text(exchange, STATUS_NOT_FOUND, "no such profile\n");
        return false;
    }
    if ((routes->profiles >> *ret_profile & 1) == 0) {
        http_reply_text(exchange, STATUS_NOT_FOUND,
            "this profile is not enabled: name it under exporters.prometheus.profiles\n");
        return false;
    }
    return true;
}

static void serve_metrics(struct http_routes *routes, struct http_exchange *exchange)
{
    enum profile profile;

    if (!find_profile(routes, exchange, &profile)) {
        return;
    }
    struct ask *ask = ask_new(routes, exchange);
    if (ask == NULL) {
        return;
    }
    bool is_classic = profile != PROFILE_COUNT && profile_rows[profile].is_milliseconds;
    ask->profile = profile;
    ask->encoder = prometheus_negotiate(http_exchange_header(exchange, "Accept"));
    ask->options = (struct encoder_options){
        .classic_histograms = routes->classic_histograms || is_classic,
        .native_histograms = !is_classic,
        .created = true,
        .exemplars = true,
    };
    if (prometheus_accepts_gzip(http_exchange_header(exchange, "Accept-Encoding"))) {
        ask->compression = COMPRESSION_GZIP;
    }
    post_ask(routes, ask);
}

static void serve_query(struct http_routes *routes, struct http_exchange *exchange)
{
    struct ask *ask = ask_new(routes, exchange);

    if (ask == NULL) {
        return;
    }
    struct http_arguments arguments = {
        .items = ask->arguments, .text = ask->text, .text_bytes = sizeof ask->text};
    ask->path = http_arguments_copy(&arguments, exchange);
    ask->argument_count = arguments.count;
    if (ask->path == NULL) {
        free(ask);
        return;
    }
    post_ask(routes, ask);
}

static void serve_liveness(struct http_routes *routes, struct http_exchange *exchange)
{
    const char *stalled = health_stalled(routes->health);
    char text[96];

    if (stalled == NULL) {
        http_reply_text(exchange, STATUS_OK, "ok\n");
        return;
    }
    (void)snprintf(text, sizeof text, "the loop of %s has not ticked lately\n", stalled);
    http_reply_text(exchange, STATUS_UNAVAILABLE, text);
}

static void serve_readiness(struct http_routes *routes, struct http_exchange *exchange)
{
    if (health_ready(routes->health)) {
        http_reply_text(exchange, STATUS_OK, "ready\n");
    } else {
        http_reply_text(exchange, STATUS_UNAVAILABLE,
            atomic_load(&routes->health->draining) ? "draining\n" : "starting\n");
    }
}

/* Secrets are masked in it, but what is left is the operator's, not the network's. */
static void serve_config(struct http_routes *routes, struct http_exchange *exchange)
{
    const struct http_header type = {.name = "Content-Type", .value = "application/yaml"};

    if (!http_is_from_here(http_exchange_connection_user(exchange))) {
        http_reply_text(exchange, STATUS_FORBIDDEN, "the configuration is told on this machine only\n");
    } else {
        http_reply(exchange, STATUS_OK, routes->config_text, &type, 1);
    }
}

static void serve_index(struct http_exchange *exchange)
{
    http_reply_text(exchange, STATUS_OK,
        "weft " WEFT_VERSION "\n\n"
        "/metrics            Prometheus and OpenMetrics; ?profile=NAME: other tools' names\n"
        "/api/v1/services    services and their rates\n"
        "/api/v1/edges       who calls whom\n"
        "/api/v1/top         the busiest, worst or slowest destinations, routes or edges\n"
        "/api/v1/latency     quantiles of one route or edge\n"
        "/api/v1/heatmap     latencies by time\n"
        "/api/v1/why         why a service is slow\n"
        "/api/v1/tap         requests as they arrive\n"
        "/api/v1/ledger      what became of every record\n"
        "/api/v1/config      the configuration in force, on this machine only\n"
        "/api/v1/traces      recent traces: a search, or /ID for one; POST /api/v1/keep keeps some\n"
        "/api/traces …       the same as Jaeger's query API: /api/services, /api/operations, /api/v3\n"
        "/apis/metrics.smi-spec.io/v1alpha1   the Service Mesh Interface's traffic metrics\n"
        "/healthz /readyz    liveness, readiness\n");
}

static bool is_path(const struct http_exchange *exchange, const char *path)
{
    return strcmp(http_exchange_path(exchange), path) == 0;
}

/* What a listener that may be public has. */
static bool is_for_everybody(const struct http_exchange *exchange)
{
    return is_path(exchange, "/metrics") || is_path(exchange, "/healthz") || is_path(exchange, "/readyz");
}

/* weft.sock takes records and answers no reads; the other listeners answer reads and take no records. */
void http_routes_handle(struct http_routes *routes, struct http_exchange *exchange)
{
    const char *method = http_exchange_method(exchange);

    if (listener_takes_records(http_exchange_kind(exchange))) {
        if (strcmp(method, "POST") == 0 && is_path(exchange, "/v1/traces")) {
            http_otlp_traces(routes, exchange);
        } else if (strcmp(method, "POST") == 0 && is_path(exchange, "/v1/logs")) {
            http_otlp_logs(routes, exchange);
        } else if (strcmp(method, "POST") == 0 && is_path(exchange, "/v1/metrics")) {
            http_otlp_metrics(routes, exchange);
        } else if (strcmp(method, "POST") == 0 && is_path(exchange, "/api/v2/spans")) {
            http_zipkin_spans(routes, exchange);
        } else {
            http_reply_text(exchange, STATUS_FORBIDDEN,
                "this socket takes records: POST /v1/traces, /v1/metrics, /v1/logs or /api/v2/spans\n");
        }
        return;
    }
    if (!http_gate_allows(routes->gate, exchange)) {
        http_reply(exchange, STATUS_UNAUTHORIZED, NULL,
            &(struct http_header){.name = "WWW-Authenticate", .value = "Bearer realm=\"weft\""}, 1);
    } else if (http_exchange_kind(exchange) == LISTENER_METRICS && !is_for_everybody(exchange)) {
        http_reply_text(
            exchange, STATUS_NOT_FOUND, "this listener has /metrics, /healthz and /readyz alone\n");
    } else if (strcmp(method, "POST") == 0 && is_path(exchange, "/api/v1/keep")) {
        http_traces_keep(routes, exchange);
    } else if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
        http_reply(
            exchange, STATUS_METHOD, NULL, &(struct http_header){.name = "Allow", .value = "GET, HEAD"}, 1);
    } else if (is_path(exchange, "/metrics")) {
        serve_metrics(routes, exchange);
    } else if (is_path(exchange, "/healthz")) {
        serve_liveness(routes, exchange);
    } else if (is_path(exchange, "/readyz")) {
        serve_readiness(routes, exchange);
    } else if (is_path(exchange, "/api/v1/config")) {
        serve_config(routes, exchange);
    } else if (is_path(exchange, "/")) {
        serve_index(exchange);
    } else if (is_path(exchange, TAP_PATH)) {
        http_tap(routes, exchange);
    } else if (query_knows(http_exchange_path(exchange))) {
        serve_query(routes, exchange);
    } else if (trace_endpoint_of(http_exchange_path(exchange)) != TRACE_ENDPOINT_NONE ||
               trace_join_knows(http_exchange_path(exchange))) {
        http_traces_ask(routes, exchange);
    } else {
        http_reply_text(exchange, STATUS_NOT_FOUND, "no such path\n");
    }
}
