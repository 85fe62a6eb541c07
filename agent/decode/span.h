/*
 * A span as a decoder hands it on: known fields and attributes as borrowed slices, nothing interned, nothing
 * decided. Valid only during the call that delivers it. The receivers differ in what they fill; what is not
 * told is empty.
 */
#ifndef WEFT_DECODE_SPAN_H
#define WEFT_DECODE_SPAN_H

#include <stdbool.h>
#include <stdint.h>

#include "core/slice.h"

enum span_kind {
    SPAN_KIND_UNSPECIFIED,
    SPAN_KIND_INTERNAL,
    SPAN_KIND_SERVER,
    SPAN_KIND_CLIENT,
    SPAN_KIND_PRODUCER,
    SPAN_KIND_CONSUMER,
};

enum span_status { SPAN_STATUS_UNSET, SPAN_STATUS_OK, SPAN_STATUS_ERROR };

/*
 * Attributes that the agent understands: X(ID, key). Old and current OpenTelemetry semantic conventions
 * (HTTP, RPC), and Envoy's own tags. Two keys may share an id when they mean the same; the first one in a
 * span wins.
 */
/* clang-format off */
#define WEFT_SPAN_ATTRIBUTES(X)                                    \
    /* Envoy's tracer */                                           \
    X(ENVOY_REQUEST_ID,      "guid:x-request-id")                  \
    X(ENVOY_DOWNSTREAM_CLUSTER, "downstream_cluster")              \
    X(ENVOY_UPSTREAM_CLUSTER, "upstream_cluster")                  \
    X(ENVOY_UPSTREAM_CLUSTER_NAME, "upstream_cluster.name")        \
    X(ENVOY_UPSTREAM_ADDRESS, "upstream_address")                  \
    X(ENVOY_RESPONSE_FLAGS,  "response_flags")                     \
    X(ENVOY_REQUEST_SIZE,    "request_size")                       \
    X(ENVOY_RESPONSE_SIZE,   "response_size")                      \
    X(ENVOY_RETRY_COUNT,     "retry.count")                        \
    X(ENVOY_NODE_ID,         "node_id")                            \
    X(ENVOY_PEER_ADDRESS,    "peer.address")                       \
    X(COMPONENT,             "component")                          \
    X(ERROR,                 "error")                              \
    X(HTTP_PROTOCOL,         "http.protocol")                      \
    /* HTTP, old and current */                                    \
    X(HTTP_METHOD,           "http.method")                        \
    X(HTTP_METHOD,           "http.request.method")                \
    X(HTTP_STATUS,           "http.status_code")                   \
    X(HTTP_STATUS,           "http.response.status_code")          \
    X(HTTP_URL,              "http.url")                           \
    X(HTTP_URL,              "url.full")                           \
    X(HTTP_TARGET,           "http.target")                        \
    X(HTTP_TARGET,           "url.path")                           \
    X(HTTP_ROUTE,            "http.route")                         \
    X(HTTP_FLAVOR,           "http.flavor")                        \
    X(PROTOCOL_NAME,         "network.protocol.name")              \
    X(PROTOCOL_VERSION,      "network.protocol.version")           \
    X(HTTP_REQUEST_SIZE,     "http.request_content_length")        \
    X(HTTP_REQUEST_SIZE,     "http.request.body.size")             \
    X(HTTP_RESPONSE_SIZE,    "http.response_content_length")       \
    X(HTTP_RESPONSE_SIZE,    "http.response.body.size")            \
    X(ERROR_TYPE,            "error.type")                         \
    /* RPC */                                                      \
    X(RPC_SYSTEM,            "rpc.system")                         \
    X(RPC_SYSTEM,            "rpc.system.name")                    \
    X(RPC_SERVICE,           "rpc.service")                        \
    X(RPC_METHOD,            "rpc.method")                         \
    X(GRPC_STATUS,           "rpc.grpc.status_code")               \
    X(GRPC_STATUS,           "rpc.response.status_code")           \
    X(GRPC_STATUS,           "grpc.status_code")                   \
    X(GRPC_PATH,             "grpc.path")                          \
    /* the other side */                                           \
    X(PEER_SERVICE,          "peer.service")                       \
    X(PEER_SERVICE,          "service.peer.name")                  \
    X(SERVER_ADDRESS,        "server.address")                     \
    X(SERVER_ADDRESS,        "net.peer.name")                      \
    X(SERVER_PORT,           "server.port")                        \
    X(SERVER_PORT,           "net.peer.port")                      \
    X(CLIENT_ADDRESS,        "client.address")                     \
    X(URL_SCHEME,            "url.scheme")                         \
    X(URL_SCHEME,            "http.scheme")                        \
    /* what Istio has its proxies say of themselves */             \
    X(ISTIO_SERVICE,         "istio.canonical_service")            \
    X(ISTIO_REVISION,        "istio.canonical_revision")           \
    X(ISTIO_NAMESPACE,       "istio.namespace")                    \
    X(ISTIO_CLUSTER,         "istio.cluster_id")                   \
    /* somebody wants this trace */                                \
    X(WEFT_KEEP,             "weft.keep")                          \
    X(BAGGAGE,               "baggage")                            \
    X(BAGGAGE,               "http.request.header.baggage")
/* clang-format on */

enum span_attribute_id {
    SPAN_ATTRIBUTE_ENVOY_REQUEST_ID,
    SPAN_ATTRIBUTE_ENVOY_DOWNSTREAM_CLUSTER,
    SPAN_ATTRIBUTE_ENVOY_UPSTREAM_CLUSTER,
    SPAN_ATTRIBUTE_ENVOY_UPSTREAM_CLUSTER_NAME,
    SPAN_ATTRIBUTE_ENVOY_UPSTREAM_ADDRESS,
    SPAN_ATTRIBUTE_ENVOY_RESPONSE_FLAGS,
    SPAN_ATTRIBUTE_ENVOY_REQUEST_SIZE,
    SPAN_ATTRIBUTE_ENVOY_RESPONSE_SIZE,
    SPAN_ATTRIBUTE_ENVOY_RETRY_COUNT,
    SPAN_ATTRIBUTE_ENVOY_NODE_ID,
    SPAN_ATTRIBUTE_ENVOY_PEER_ADDRESS,
    SPAN_ATTRIBUTE_COMPONENT,
    SPAN_ATTRIBUTE_ERROR,
    SPAN_ATTRIBUTE_HTTP_PROTOCOL,
    SPAN_ATTRIBUTE_HTTP_METHOD,
    SPAN_ATTRIBUTE_HTTP_STATUS,
    SPAN_ATTRIBUTE_HTTP_URL,
    SPAN_ATTRIBUTE_HTTP_TARGET,
    SPAN_ATTRIBUTE_HTTP_ROUTE,
    SPAN_ATTRIBUTE_HTTP_FLAVOR,
    SPAN_ATTRIBUTE_PROTOCOL_NAME,
    SPAN_ATTRIBUTE_PROTOCOL_VERSION,
    SPAN_ATTRIBUTE_HTTP_REQUEST_SIZE,
    SPAN_ATTRIBUTE_HTTP_RESPONSE_SIZE,
    SPAN_ATTRIBUTE_ERROR_TYPE,
    SPAN_ATTRIBUTE_RPC_SYSTEM,
    SPAN_ATTRIBUTE_RPC_SERVICE,
    SPAN_ATTRIBUTE_RPC_METHOD,
    SPAN_ATTRIBUTE_GRPC_STATUS,
    SPAN_ATTRIBUTE_GRPC_PATH,
    SPAN_ATTRIBUTE_PEER_SERVICE,
    SPAN_ATTRIBUTE_SERVER_ADDRESS,
    SPAN_ATTRIBUTE_SERVER_PORT,
    SPAN_ATTRIBUTE_CLIENT_ADDRESS,
    SPAN_ATTRIBUTE_URL_SCHEME,
    SPAN_ATTRIBUTE_ISTIO_SERVICE,
    SPAN_ATTRIBUTE_ISTIO_REVISION,
    SPAN_ATTRIBUTE_ISTIO_NAMESPACE,
    SPAN_ATTRIBUTE_ISTIO_CLUSTER,
    SPAN_ATTRIBUTE_WEFT_KEEP,
    SPAN_ATTRIBUTE_BAGGAGE,
    SPAN_ATTRIBUTE_COUNT
};

/*
 * Attributes that may differ between requests of the same kind to the same place: where they came from and
 * went to on this node, how they ended, how large they were. All others name what was called.
 */
#define SPAN_ATTRIBUTE_BIT(id) (1ull << SPAN_ATTRIBUTE_##id)
#define SPAN_ATTRIBUTES_OF_REQUEST                                                                           \
    (SPAN_ATTRIBUTE_BIT(ENVOY_REQUEST_ID) | SPAN_ATTRIBUTE_BIT(ENVOY_UPSTREAM_ADDRESS) |                     \
        SPAN_ATTRIBUTE_BIT(ENVOY_RESPONSE_FLAGS) | SPAN_ATTRIBUTE_BIT(ENVOY_REQUEST_SIZE) |                  \
        SPAN_ATTRIBUTE_BIT(ENVOY_RESPONSE_SIZE) | SPAN_ATTRIBUTE_BIT(ENVOY_RETRY_COUNT) |                    \
        SPAN_ATTRIBUTE_BIT(ENVOY_PEER_ADDRESS) | SPAN_ATTRIBUTE_BIT(HTTP_STATUS) |                           \
        SPAN_ATTRIBUTE_BIT(HTTP_URL) | SPAN_ATTRIBUTE_BIT(HTTP_TARGET) | SPAN_ATTRIBUTE_BIT(HTTP_ROUTE) |    \
        SPAN_ATTRIBUTE_BIT(HTTP_REQUEST_SIZE) | SPAN_ATTRIBUTE_BIT(HTTP_RESPONSE_SIZE) |                     \
        SPAN_ATTRIBUTE_BIT(GRPC_STATUS) | SPAN_ATTRIBUTE_BIT(GRPC_PATH) |                                    \
        SPAN_ATTRIBUTE_BIT(CLIENT_ADDRESS) | SPAN_ATTRIBUTE_BIT(WEFT_KEEP) | SPAN_ATTRIBUTE_BIT(BAGGAGE))

/* An attribute's value: a string, or an integer (booleans are 0 and 1). Doubles, arrays and maps are left
 * out. */
struct span_value {
    struct slice text; /* empty when it came as an integer */
    int64_t integer;
    bool is_integer;
};

/* What ResourceSpans say of the sender: the attributes that name it. Strings are borrowed. */
struct span_resource {
    struct slice service_name;
    struct slice service_namespace;
    struct slice k8s_namespace;
    struct slice workload; /* k8s.deployment.name or its like */
    struct slice sdk_name; /* telemetry.sdk.name; Envoy says "envoy" or leaves it out */
    struct slice node;
    struct slice version; /* service.version */
    struct slice pod;     /* k8s.pod.name */
    struct slice pod_uid; /* k8s.pod.uid */
    struct slice cluster; /* k8s.cluster.name */
};

/*
 * What stands around a span that came as OTLP: the encoded messages that it lies in, for whoever keeps it.
 * Valid as long as the span is. The notes are 0 when the message is one that was not met before; who keeps
 * spans may write there, and finds it again in the next span of the same message.
 */
struct span_around {
    struct slice resource_spans; /* ResourceSpans */
    struct slice scope_spans;    /* ScopeSpans */
    uint64_t resource_note;
    uint64_t scope_note;
};

enum { SPAN_PATTERNS_COUNT = 256 };

struct span {
    const struct span_resource *resource;
    struct slice scope_name;
    struct slice name;
    struct slice tracestate;
    uint8_t trace_id[16];
    uint8_t span_id[8];
    uint8_t parent_id[8]; /* all zero: none */
    uint64_t start_unix_ns;
    uint64_t end_unix_ns; /* not before start */
    enum span_kind kind;
    enum span_status status;
    uint64_t attribute_set; /* bit i: attribute[i] is filled */
    struct span_value attribute[SPAN_ATTRIBUTE_COUNT];
    struct slice raw;           /* the encoded Span message */
    struct span_around *around; /* NULL: it lies in nothing */
    bool needs_rewrite;         /* it holds a query string or an attribute to redact */
    /*
     * Spans with the same pattern, which is not 0, agree in resource, scope, name, kind, status, the set of
     * attributes, and the values of all but SPAN_ATTRIBUTES_OF_REQUEST. Spans met at the same time differ in
     * pattern_slot when they differ in pattern; 0 ... SPAN_PATTERNS_COUNT - 1. varying_set: the attributes
     * that may differ at all within the pattern.
     */
    uint64_t pattern;
    uint64_t varying_set;
    uint16_t pattern_slot;
};

_Static_assert(SPAN_ATTRIBUTE_COUNT <= 64, "attribute_set has one bit an attribute");

static inline const struct span_value *span_attribute(const struct span *span, enum span_attribute_id id)
{
    return (span->attribute_set >> id & 1) != 0 ? &span->attribute[id] : NULL;
}

/* The attribute's text, or an empty slice. */
static inline struct slice span_text(const struct span *span, enum span_attribute_id id)
{
    return (span->attribute_set >> id & 1) != 0 ? span->attribute[id].text : slice_of(NULL, 0);
}

#endif
