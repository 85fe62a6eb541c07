/*
 * From the key of a profile's series back to the labels that the profile's readers expect: the reverse of
 * profile_measures.c, and the one place that knows their names. The aggregator's thread.
 *
 * What is not told is the literal `unknown` where a reader requires the label, and left out elsewhere.
 */
#include <stdio.h>

#include "aggregate/profile_measures.h"
#include "aggregate/snapshot_internal.h"
#include "context/identity.h"
#include "context/response_flags.h"
#include "decode/span.h"

/* A copy with an end, valid until the labels of the next series are begun; "" without room. */
static const char *keep(struct view *view, struct slice text)
{
    if (text.length + 1 > sizeof(view->values) - view->values_length) {
        return "";
    }
    char *kept = view->values + view->values_length;

    if (text.length > 0) {
        memcpy(kept, text.ptr, text.length);
    }
    kept[text.length] = '\0';
    view->values_length += text.length + 1;
    return kept;
}

static const char *or_unknown(const char *text)
{
    return *text != '\0' ? text : "unknown";
}

static const char *field(struct view *view, uint32_t id, unsigned number)
{
    return keep(view, identity_field(interner_text(view->aggregator->interner, id), number));
}

static void add_number(struct view *view, const char *name, int number)
{
    char text[VIEW_NUMBER_BYTES];
    int length = snprintf(text, sizeof(text), "%d", number);

    view_add_label(view, name, keep(view, slice_of(text, (size_t)length)));
}

static bool is_told(uint32_t id)
{
    return id != INTERNED_NONE && id != INTERNED_UNKNOWN && id != INTERNED_EXTERNAL;
}

/* Parts joined by dots. */
static const char *join(struct view *view, uint32_t service, uint32_t service_namespace, const char *domain)
{
    char text[1024];
    int length;

    if (!is_told(service_namespace)) {
        return view_text(view, service);
    }
    length = snprintf(
        text, sizeof(text), "%s.%s%s", view_text(view, service), view_text(view, service_namespace), domain);
    return keep(view, slice_of(text, length < (int)sizeof(text) ? (size_t)length : sizeof(text) - 1));
}

static const char *host_name(struct view *view, const struct series_key *key)
{
    return join(view, key->destination, key->destination_namespace, ".svc.cluster.local");
}

/* istio */

/* The names of one side's labels, by field of the identity; a cluster may be absent. */
static const char *const istio_sides[2][IDENTITY_FIELDS_COUNT] = {
    {"source_workload", "source_workload_namespace", "source_principal", "source_app", "source_version",
        "source_canonical_service", "source_canonical_revision", "source_cluster"},
    {"destination_workload", "destination_workload_namespace", "destination_principal", "destination_app",
        "destination_version", "destination_canonical_service", "destination_canonical_revision",
        "destination_cluster"},
};

static bool tells_cluster(struct view *view, uint32_t identity)
{
    return identity_field(interner_text(view->aggregator->interner, identity), IDENTITY_CLUSTER).length > 0;
}

/* `service`: what is known when there is no identity, an id. A side that nothing is known of is in the
 * cluster `unknown` where the other side has one, as with Istio: Kiali asks for the failures of a service in
 * that cluster or this. A known side without a cluster must not have that word, since Kiali would leave it
 * out. */
static void add_istio_side(
    struct view *view, uint32_t identity, uint32_t service, uint32_t other, const char *const *names)
{
    for (unsigned i = 0; i < IDENTITY_FIELDS_COUNT; i++) {
        const char *value = identity == INTERNED_NONE && i == IDENTITY_CANONICAL_SERVICE
                                ? view_text(view, service)
                                : field(view, identity, i);
        bool as_told = i == IDENTITY_CLUSTER && (identity != INTERNED_NONE || !tells_cluster(view, other));

        view_add_label(view, names[i], as_told ? value : or_unknown(value));
    }
}

/* "UF,URX", in the order of the bits, as Envoy writes them; "-" for none. */
static const char *flags_text(struct view *view, const struct series_key *key)
{
    const char *first = key->flag > 0 ? response_flag_name(key->flag - 1u) : NULL;
    const char *second = key->flag2 > 0 ? response_flag_name(key->flag2 - 1u) : NULL;
    char text[32];
    int length = snprintf(text, sizeof(text), "%s%s%s", first != NULL ? first : "-",
        second != NULL ? "," : "", second != NULL ? second : "");

    return keep(view, slice_of(text, length < (int)sizeof(text) ? (size_t)length : sizeof(text) - 1));
}

static void add_istio(struct view *view, const struct series_key *key)
{
    static const char *const policies[SECURITY_COUNT] = {
        [SECURITY_UNKNOWN] = "unknown", [SECURITY_NONE] = "none", [SECURITY_MUTUAL_TLS] = "mutual_tls"};

    view_add_label(view, "reporter", reporter_name((enum reporter)key->reporter));
    add_istio_side(view, key->source, key->route, key->source_namespace, istio_sides[0]);
    add_istio_side(view, key->source_namespace,
        key->reporter == REPORTER_DESTINATION ? key->destination : (uint32_t)INTERNED_UNKNOWN, key->source,
        istio_sides[1]);
    view_add_label(view, "destination_service", host_name(view, key));
    view_add_label(view, "destination_service_name", view_text(view, key->destination));
    view_add_label(view, "destination_service_namespace", view_text(view, key->destination_namespace));
    view_add_label(view, "request_protocol",
        key->protocol == PROTOCOL_GRPC  ? "grpc"
        : key->protocol == PROTOCOL_TCP ? "tcp"
                                        : "http");
    if (key->family != FAMILY_PROFILE_TCP) {
        add_number(view, "response_code", key->response_code);
    }
    if (key->grpc_status != GRPC_STATUS_NONE) {
        add_number(view, "grpc_response_status", key->grpc_status);
    }
    view_add_label(view, "response_flags", flags_text(view, key));
    view_add_label(view, "connection_security_policy", policies[key->method]);
}

/* linkerd */

static void add_linkerd_place(struct view *view, const struct series_key *key)
{
    view_add_label(view, "namespace", or_unknown(field(view, key->source, PLACE_NAMESPACE)));
    view_add_label(view, "deployment", or_unknown(field(view, key->source, PLACE_WORKLOAD)));
    view_add_label(view, "pod", or_unknown(field(view, key->source, PLACE_POD)));
}

static const char *linkerd_tls(const struct series_key *key)
{
    return key->method == SECURITY_MUTUAL_TLS ? "true"
           : key->method == SECURITY_NONE     ? "disabled"
                                              : "unknown";
}

static const char *linkerd_direction(const struct series_key *key)
{
    return key->reporter == REPORTER_SOURCE ? "outbound" : "inbound";
}

static void add_linkerd(struct view *view, const struct series_key *key)
{
    view_add_label(view, "direction", linkerd_direction(key));
    add_linkerd_place(view, key);
    if (key->reporter == REPORTER_SOURCE) {
        view_add_label(view, "dst_namespace", view_text(view, key->destination_namespace));
        view_add_label(view, "dst_deployment", view_text(view, key->source_namespace));
        view_add_label(view, "dst_service", view_text(view, key->destination));
    }
    view_add_label(view, "authority", host_name(view, key));
    view_add_label(view, "tls", linkerd_tls(key));
}

static void add_linkerd_route(struct view *view, const struct series_key *key)
{
    view_add_label(view, "direction", linkerd_direction(key));
    add_linkerd_place(view, key);
    view_add_label(view, "dst", host_name(view, key));
    view_add_label(view, "rt_route", view_text(view, key->route));
}

static void add_linkerd_result(struct view *view, const struct series_key *key)
{
    if (key->outcome != RESULT_NONE) {
        view_add_label(view, "classification", key->outcome == RESULT_SUCCESS ? "success" : "failure");
    }
    add_number(view, "status_code", key->response_code);
}

static void add_linkerd_tcp(struct view *view, const struct series_key *key)
{
    view_add_label(view, "direction", linkerd_direction(key));
    add_linkerd_place(view, key);
    view_add_label(view, "peer", "src");
    view_add_label(view, "tls", linkerd_tls(key));
}

/* spanmetrics, tempo */

static void add_span(struct view *view, const struct series_key *key, const char *service_label)
{
    static const char *const kinds[] = {
        [SPAN_KIND_UNSPECIFIED] = "SPAN_KIND_UNSPECIFIED",
        [SPAN_KIND_INTERNAL] = "SPAN_KIND_INTERNAL",
        [SPAN_KIND_SERVER] = "SPAN_KIND_SERVER",
        [SPAN_KIND_CLIENT] = "SPAN_KIND_CLIENT",
        [SPAN_KIND_PRODUCER] = "SPAN_KIND_PRODUCER",
        [SPAN_KIND_CONSUMER] = "SPAN_KIND_CONSUMER",
    };
    static const char *const statuses[] = {
        [SPAN_STATUS_UNSET] = "STATUS_CODE_UNSET",
        [SPAN_STATUS_OK] = "STATUS_CODE_OK",
        [SPAN_STATUS_ERROR] = "STATUS_CODE_ERROR",
    };

    view_add_label(view, service_label, view_text(view, key->source));
    view_add_label(view, "span_name", view_text(view, key->route));
    view_add_label(view, "span_kind", key->method <= SPAN_KIND_CONSUMER ? kinds[key->method] : kinds[0]);
    view_add_label(
        view, "status_code", key->outcome <= SPAN_STATUS_ERROR ? statuses[key->outcome] : statuses[0]);
}

/* servicegraph */

static void add_edge(struct view *view, const struct series_key *key)
{
    view_add_label(view, "client", key->source == INTERNED_UNKNOWN ? "user" : view_text(view, key->source));
    view_add_label(view, "server", view_text(view, key->destination));
    view_add_label(view, "connection_type", key->outcome == GRAPH_VIRTUAL ? "virtual_node" : "");
}

/* otel */

static void add_otel(struct view *view, const struct series_key *key)
{
    static const char *const versions[PROTOCOL_COUNT] = {
        [PROTOCOL_HTTP1] = "1.1", [PROTOCOL_HTTP2] = "2", [PROTOCOL_HTTP3] = "3"};
    static const char *const schemes[SCHEME_COUNT] = {
        [SCHEME_UNKNOWN] = "", [SCHEME_HTTP] = "http", [SCHEME_HTTPS] = "https"};
    const char *version = versions[key->protocol];

    view_add_label(view, "service_name", view_text(view, key->source));
    view_add_label(view, "service_namespace",
        is_told(key->source_namespace) ? view_text(view, key->source_namespace) : "");
    view_add_label(view, "http_request_method", method_name((enum method)key->method));
    if (key->response_code != 0) {
        add_number(view, "http_response_status_code", key->response_code);
    }
    view_add_label(view, "url_scheme", schemes[key->flag]);
    view_add_label(view, "network_protocol_version", version != NULL ? version : "");
    if (key->outcome == ERROR_CODE) {
        add_number(view, "error_type", key->response_code);
    } else if (key->outcome == ERROR_OTHER) {
        view_add_label(view, "error_type", "_OTHER");
    }
}

static void add_otel_client(struct view *view, const struct series_key *key)
{
    add_otel(view, key);
    view_add_label(view, "server_address", join(view, key->destination, key->destination_namespace, ""));
    if (key->grpc_status != 0) {
        add_number(view, "server_port", (uint16_t)key->grpc_status);
    }
}

static void add_otel_server(struct view *view, const struct series_key *key)
{
    add_otel(view, key);
    view_add_label(view, "http_route", is_told(key->route) ? view_text(view, key->route) : "");
}

void view_add_profile_labels(struct view *view, const struct series_key *key)
{
    view->values_length = 0;
    switch ((enum profile_measure)key->measure) {
    case MEASURE_ISTIO_REQUESTS:
    case MEASURE_ISTIO_REQUEST_BYTES:
    case MEASURE_ISTIO_RESPONSE_BYTES:
    case MEASURE_ISTIO_TCP:
        add_istio(view, key);
        break;
    case MEASURE_LINKERD_REQUESTS:
        add_linkerd(view, key);
        break;
    case MEASURE_LINKERD_RESPONSES:
    case MEASURE_LINKERD_LATENCY:
        add_linkerd(view, key);
        add_linkerd_result(view, key);
        break;
    case MEASURE_LINKERD_ROUTE_REQUESTS:
        add_linkerd_route(view, key);
        break;
    case MEASURE_LINKERD_ROUTE_RESPONSES:
    case MEASURE_LINKERD_ROUTE_LATENCY:
        add_linkerd_route(view, key);
        add_linkerd_result(view, key);
        break;
    case MEASURE_LINKERD_PROCESS:
        add_linkerd_place(view, key);
        break;
    case MEASURE_LINKERD_TCP:
    case MEASURE_LINKERD_TCP_DURATION:
        add_linkerd_tcp(view, key);
        break;
    case MEASURE_SPANMETRICS:
        add_span(view, key, "service_name");
        break;
    case MEASURE_TEMPO:
    case MEASURE_TEMPO_SIZE:
        add_span(view, key, "service");
        break;
    case MEASURE_GRAPH_SERVER:
    case MEASURE_GRAPH_FAILED:
    case MEASURE_GRAPH_CLIENT:
        add_edge(view, key);
        break;
    case MEASURE_OTEL_SERVER:
        add_otel_server(view, key);
        break;
    case MEASURE_OTEL_CLIENT:
        add_otel_client(view, key);
        break;
    case MEASURE_NONE:
    case MEASURE_COUNT:
        break;
    }
}
