/* The projections of profile_measures.h. Any thread. */
#include "aggregate/profile_measures.h"

#include "context/interner.h"
#include "context/response_flags.h"
#include "decode/span.h"

/* A name that was not told, in one way. */
static uint32_t told(uint32_t id)
{
    return id == INTERNED_NONE ? (uint32_t)INTERNED_UNKNOWN : id;
}

/* A namespace that only counts where it has a name. */
static uint32_t told_namespace(uint32_t id)
{
    return id == INTERNED_EXTERNAL ? (uint32_t)INTERNED_UNKNOWN : told(id);
}

/* The first two flags by number; a third is told by mesh_response_flags_total alone. */
static void fill_flags(uint64_t flags, struct series_key *key)
{
    flags &= RESPONSE_FLAGS_ALL;
    if (flags != 0) {
        key->flag = (uint8_t)(__builtin_ctzll(flags) + 1);
        flags &= flags - 1;
    }
    if (flags != 0) {
        key->flag2 = (uint8_t)(__builtin_ctzll(flags) + 1);
    }
}

/* Meshes count HTTP and gRPC; an SDK's span of a database call, say, has no status code that were not an
 * error. */
static bool is_http(const struct request *request)
{
    return request->protocol != PROTOCOL_TCP &&
           (request->protocol != PROTOCOL_UNKNOWN || request->method != METHOD_NONE ||
               request->response_code != 0);
}

/* istio */

static uint8_t istio_protocol(uint8_t protocol)
{
    return protocol == PROTOCOL_GRPC || protocol == PROTOCOL_TCP ? protocol : (uint8_t)PROTOCOL_HTTP1;
}

/* The policy is the destination's to know. Where nothing is known of the source but its name, the name stands
 * in `route`, which Istio has no use for. */
static void fill_parties(const struct request_parties *parties, uint32_t source, uint32_t service,
    uint32_t service_namespace, struct series_key *key)
{
    key->route = parties->source_identity == INTERNED_NONE ? told(source) : (uint32_t)INTERNED_NONE;
    key->source = parties->source_identity;
    key->source_namespace = parties->destination_identity;
    key->destination = told(service);
    key->destination_namespace = told(service_namespace);
    key->method = key->reporter == REPORTER_DESTINATION ? parties->security : (uint8_t)SECURITY_UNKNOWN;
}

static bool istio(
    const struct profile_settings *settings, const struct request *request, struct series_key *key)
{
    (void)settings;
    key->reporter = request->reporter;
    fill_parties(
        &request->parties, request->source, request->destination, request->destination_namespace, key);
    fill_flags(request->response_flags, key);
    key->protocol = istio_protocol(request->protocol);
    key->response_code = request->response_code;
    key->grpc_status = request->protocol == PROTOCOL_GRPC ? request->grpc_status : (int16_t)GRPC_STATUS_NONE;
    return is_http(request);
}

static bool istio_bytes(
    const struct profile_settings *settings, const struct request *request, struct series_key *key)
{
    return request->has_bytes && istio(settings, request, key);
}

/* linkerd */

static bool linkerd(
    const struct profile_settings *settings, const struct request *request, struct series_key *key)
{
    (void)settings;
    if (request->reporter == REPORTER_WAYPOINT || !is_http(request)) {
        return false;
    }
    key->reporter = request->reporter;
    key->source = request->parties.own_place;
    key->source_namespace =
        request->reporter == REPORTER_SOURCE ? told(request->parties.peer_workload) : (uint32_t)INTERNED_NONE;
    key->destination = told(request->destination);
    key->destination_namespace = told_namespace(request->destination_namespace);
    key->method = request->parties.security;
    return true;
}

/* What Linkerd calls a failure: server errors, of gRPC likewise, and no answer. */
static uint8_t linkerd_result(const struct request *request)
{
    bool failed = request->outcome == OUTCOME_SERVER_ERROR || request->outcome == OUTCOME_NO_RESPONSE ||
                  (request->outcome == OUTCOME_CANCELLED && request->response_code == 0);

    return failed ? RESULT_FAILURE : RESULT_SUCCESS;
}

static bool linkerd_response(
    const struct profile_settings *settings, const struct request *request, struct series_key *key)
{
    key->response_code = request->response_code;
    key->outcome = linkerd_result(request);
    return linkerd(settings, request, key);
}

static bool linkerd_latency(
    const struct profile_settings *settings, const struct request *request, struct series_key *key)
{
    key->response_code = request->response_code;
    return request->first_byte_ns != 0 && linkerd(settings, request, key);
}

/* Labels of the route families: no authority, tls or dst_*. */
static bool linkerd_route(
    const struct profile_settings *settings, const struct request *request, struct series_key *key)
{
    if (request->route == INTERNED_NONE || request->route == INTERNED_UNKNOWN ||
        !linkerd(settings, request, key)) {
        return false;
    }
    key->source_namespace = INTERNED_NONE;
    key->method = SECURITY_UNKNOWN;
    key->route = request->route;
    return true;
}

static bool linkerd_route_response(
    const struct profile_settings *settings, const struct request *request, struct series_key *key)
{
    key->response_code = request->response_code;
    key->outcome = linkerd_result(request);
    return linkerd_route(settings, request, key);
}

static bool linkerd_route_latency(
    const struct profile_settings *settings, const struct request *request, struct series_key *key)
{
    key->response_code = request->response_code;
    return request->first_byte_ns != 0 && linkerd_route(settings, request, key);
}

static bool linkerd_process(
    const struct profile_settings *settings, const struct request *request, struct series_key *key)
{
    (void)settings;
    key->source = request->parties.own_place;
    return key->source != INTERNED_NONE;
}

/* spanmetrics, tempo */

/* Of a log record, what OpenTelemetry's conventions would have made of it: a client's span is an error from
 * 400 on, a server's from 500 on. */
static uint8_t status_of(const struct request *request)
{
    if (request->signal == REQUEST_FROM_SPAN && request->span_kind != SPAN_KIND_UNSPECIFIED) {
        return request->span_status;
    }
    if (request->outcome == OUTCOME_SERVER_ERROR || request->outcome == OUTCOME_NO_RESPONSE ||
        (request->outcome == OUTCOME_CLIENT_ERROR && request->reporter == REPORTER_SOURCE)) {
        return SPAN_STATUS_ERROR;
    }
    return SPAN_STATUS_UNSET;
}

static bool span(
    const struct profile_settings *settings, const struct request *request, struct series_key *key)
{
    uint8_t by_side = request->reporter == REPORTER_SOURCE ? SPAN_KIND_CLIENT : SPAN_KIND_SERVER;

    (void)settings;
    key->source = told(request->reporter == REPORTER_SOURCE ? request->source : request->destination);
    key->route = told(request->operation != INTERNED_NONE ? request->operation : request->route);
    key->method = request->span_kind != SPAN_KIND_UNSPECIFIED ? request->span_kind : by_side;
    key->outcome = status_of(request);
    return request->reporter != REPORTER_WAYPOINT; /* it is neither end's service */
}

static bool span_size(
    const struct profile_settings *settings, const struct request *request, struct series_key *key)
{
    return request->record_bytes > 0 && span(settings, request, key);
}

/* servicegraph */

static bool shows_no_mesh(const struct request *request)
{
    return request->destination == INTERNED_EXTERNAL ||
           (request->signal != REQUEST_FROM_SPAN && request->parties.destination_identity == INTERNED_NONE &&
               request->parties.security != SECURITY_MUTUAL_TLS);
}

/* An edge is counted at its destination; at its source only where nobody at the destination will. */
static bool counts_edge(const struct profile_settings *settings, const struct request *request)
{
    if (settings->graph_side == PROFILE_GRAPH_SOURCE) {
        return request->reporter == REPORTER_SOURCE;
    }
    return request->reporter == REPORTER_DESTINATION ||
           (request->reporter == REPORTER_SOURCE && shows_no_mesh(request));
}

static void fill_edge(const struct request *request, struct series_key *key)
{
    key->source = told(request->source);
    key->destination = told(request->destination);
    key->outcome = key->source == INTERNED_UNKNOWN || key->source == INTERNED_EXTERNAL ||
                           key->destination == INTERNED_EXTERNAL
                       ? GRAPH_VIRTUAL
                       : GRAPH_PLAIN;
    if (key->source == INTERNED_EXTERNAL) {
        key->source = INTERNED_UNKNOWN; /* both are shown as "user" */
    }
}

static bool graph_server(
    const struct profile_settings *settings, const struct request *request, struct series_key *key)
{
    fill_edge(request, key);
    return counts_edge(settings, request);
}

static bool graph_failed(
    const struct profile_settings *settings, const struct request *request, struct series_key *key)
{
    return (request->outcome == OUTCOME_SERVER_ERROR || request->outcome == OUTCOME_NO_RESPONSE) &&
           graph_server(settings, request, key);
}

static bool graph_client(
    const struct profile_settings *settings, const struct request *request, struct series_key *key)
{
    (void)settings;
    fill_edge(request, key);
    return request->reporter == REPORTER_SOURCE;
}

/* otel */

static bool otel(const struct request *request, uint16_t error_code_min, struct series_key *key)
{
    if (request->protocol == PROTOCOL_TCP ||
        (request->method == METHOD_NONE && request->response_code == 0)) {
        return false;
    }
    key->method = request->method != METHOD_NONE ? request->method : (uint8_t)METHOD_OTHER;
    key->protocol = request->protocol == PROTOCOL_GRPC ? (uint8_t)PROTOCOL_HTTP2 : request->protocol;
    key->response_code = request->response_code;
    key->flag = request->scheme;
    key->outcome = request->response_code >= error_code_min ? ERROR_CODE
                   : request->response_code == 0            ? ERROR_OTHER
                                                            : ERROR_NONE;
    return true;
}

static bool otel_server(
    const struct profile_settings *settings, const struct request *request, struct series_key *key)
{
    (void)settings;
    key->source = told(request->destination);
    key->source_namespace = told_namespace(request->destination_namespace);
    key->route = told(request->route);
    return request->reporter == REPORTER_DESTINATION && otel(request, 500, key);
}

static bool otel_client(
    const struct profile_settings *settings, const struct request *request, struct series_key *key)
{
    (void)settings;
    key->source = told(request->source);
    key->source_namespace = told_namespace(request->source_namespace);
    key->destination = told(request->destination);
    key->destination_namespace = told_namespace(request->destination_namespace);
    key->grpc_status = (int16_t)request->server_port; /* gRPC's status is no label here */
    return request->reporter == REPORTER_SOURCE && otel(request, 400, key);
}

#define ROW(id, its_profile, its_value, its_family, its_project)                                             \
    [MEASURE_##id] = {.profile = PROFILE_##its_profile,                                                      \
        .value = MEASURES_##its_value,                                                                       \
        .family = FAMILY_PROFILE_##its_family,                                                               \
        .project = (its_project)}

const struct measure_row measure_rows[MEASURE_COUNT] = {
    ROW(ISTIO_REQUESTS, ISTIO, DURATION, HISTOGRAMS, istio),
    ROW(ISTIO_REQUEST_BYTES, ISTIO, REQUEST_BYTES, HISTOGRAMS, istio_bytes),
    ROW(ISTIO_RESPONSE_BYTES, ISTIO, RESPONSE_BYTES, HISTOGRAMS, istio_bytes),
    ROW(ISTIO_TCP, ISTIO, CONNECTION, TCP, NULL),
    ROW(LINKERD_REQUESTS, LINKERD, REQUESTS, COUNTS, linkerd),
    ROW(LINKERD_RESPONSES, LINKERD, REQUESTS, COUNTS, linkerd_response),
    ROW(LINKERD_LATENCY, LINKERD, FIRST_BYTE, HISTOGRAMS, linkerd_latency),
    ROW(LINKERD_ROUTE_REQUESTS, LINKERD, REQUESTS, COUNTS, linkerd_route),
    ROW(LINKERD_ROUTE_RESPONSES, LINKERD, REQUESTS, COUNTS, linkerd_route_response),
    ROW(LINKERD_ROUTE_LATENCY, LINKERD, FIRST_BYTE, HISTOGRAMS, linkerd_route_latency),
    ROW(LINKERD_PROCESS, LINKERD, REQUESTS, COUNTS, linkerd_process),
    ROW(LINKERD_TCP, LINKERD, CONNECTION, TCP, NULL),
    ROW(LINKERD_TCP_DURATION, LINKERD, CONNECTION_DURATION, HISTOGRAMS, NULL),
    ROW(SPANMETRICS, SPANMETRICS, DURATION, HISTOGRAMS, span),
    ROW(TEMPO, TEMPO, DURATION, HISTOGRAMS, span),
    ROW(TEMPO_SIZE, TEMPO, RECORD_BYTES, COUNTS, span_size),
    ROW(GRAPH_SERVER, SERVICEGRAPH, DURATION, HISTOGRAMS, graph_server),
    ROW(GRAPH_FAILED, SERVICEGRAPH, REQUESTS, COUNTS, graph_failed),
    ROW(GRAPH_CLIENT, SERVICEGRAPH, DURATION, HISTOGRAMS, graph_client),
    ROW(OTEL_SERVER, OTEL, DURATION, HISTOGRAMS, otel_server),
    ROW(OTEL_CLIENT, OTEL, DURATION, HISTOGRAMS, otel_client),
};

bool measure_key(const struct profile_settings *settings, enum profile_measure measure,
    const struct request *request, struct series_key *ret_key)
{
    const struct measure_row *row = &measure_rows[measure];
    struct series_key key = {.family = row->family, .measure = (uint8_t)measure};

    if (row->project == NULL || !row->project(settings, request, &key)) {
        return false;
    }
    *ret_key = key;
    return true;
}

bool measure_connection_key(
    enum profile_measure measure, const struct connection *connection, struct series_key *ret_key)
{
    struct series_key key = {.family = measure_rows[measure].family,
        .measure = (uint8_t)measure,
        .reporter = connection->reporter};

    if (measure_rows[measure].value == MEASURES_CONNECTION_DURATION && connection->duration_ns == 0) {
        return false;
    }
    if (measure == MEASURE_ISTIO_TCP) {
        fill_parties(&connection->parties, connection->source, connection->destination,
            connection->destination_namespace, &key);
        fill_flags(connection->response_flags, &key);
        key.protocol = PROTOCOL_TCP;
        key.grpc_status = GRPC_STATUS_NONE;
    } else if (connection->reporter != REPORTER_WAYPOINT) {
        key.source = connection->parties.own_place;
        key.method = connection->parties.security;
    } else {
        return false;
    }
    *ret_key = key;
    return true;
}
