/* Identities of spans; see span_identity.h. One shard's thread. */
#include "context/span_identity.h"

#include "core/profiles.h"

static struct slice first_of(struct slice a, struct slice b)
{
    return a.length > 0 ? a : b;
}

/* What the sender says of itself; nothing of it where its connection says otherwise. */
static struct identity own_identity(const struct context *context, const struct span *span,
    const struct sender *sender, struct service_ids own)
{
    const struct span_resource *resource = span->resource;
    struct slice revision = span_text(span, SPAN_ATTRIBUTE_ISTIO_REVISION);
    struct slice name = own.service >= INTERNED_FIXED_COUNT ? interner_text(context->interner, own.service)
                                                            : slice_of(NULL, 0);
    struct identity identity = {
        .workload = resource->workload,
        .workload_namespace = first_of(resource->k8s_namespace,
            first_of(span_text(span, SPAN_ATTRIBUTE_ISTIO_NAMESPACE), resource->service_namespace)),
        .version = first_of(resource->version, revision),
        .canonical_service = first_of(span_text(span, SPAN_ATTRIBUTE_ISTIO_SERVICE), name),
        .canonical_revision = first_of(revision, resource->version),
        .cluster = first_of(resource->cluster, span_text(span, SPAN_ATTRIBUTE_ISTIO_CLUSTER)),
        .pod = resource->pod,
    };
    struct sender_claim claim = {.service_namespace = identity.workload_namespace};

    if (sender != NULL && sender_contradicts(sender, &claim)) {
        identity = (struct identity){.workload_namespace = slice_of_string(sender->namespace)};
        identity_complete(&identity, sender, false, slice_of(NULL, 0));
    } else {
        bool is_proxy = slice_equal(resource->sdk_name, SLICE_LITERAL("envoy"));
        identity_complete(&identity, sender, is_proxy, span_text(span, SPAN_ATTRIBUTE_ENVOY_NODE_ID));
    }
    return identity;
}

enum url_scheme span_scheme(const struct span *span)
{
    struct slice scheme = span_text(span, SPAN_ATTRIBUTE_URL_SCHEME);
    struct slice url = span_text(span, SPAN_ATTRIBUTE_HTTP_URL);

    if (slice_equal(scheme, SLICE_LITERAL("https")) || slice_has_prefix(url, SLICE_LITERAL("https://"))) {
        return SCHEME_HTTPS;
    }
    return slice_equal(scheme, SLICE_LITERAL("http")) || slice_has_prefix(url, SLICE_LITERAL("http://"))
               ? SCHEME_HTTP
               : SCHEME_UNKNOWN;
}

/* As an integer or in digits; 0 for anything else. */
static uint16_t port_of(const struct span *span)
{
    const struct span_value *value = span_attribute(span, SPAN_ATTRIBUTE_SERVER_PORT);
    int64_t port = 0;

    if (value == NULL) {
        return 0;
    }
    for (size_t i = 0; !value->is_integer && i < value->text.length && i < 6; i++) {
        if (value->text.ptr[i] < '0' || value->text.ptr[i] > '9') {
            return 0;
        }
        port = port * 10 + (value->text.ptr[i] - '0');
    }
    port = value->is_integer ? value->integer : port;
    return port > 0 && port <= UINT16_MAX ? (uint16_t)port : 0;
}

void span_identify(struct context *context, const struct span *span, const struct sender *sender,
    struct service_ids own, struct request *request)
{
    static const struct identity unknown = {.workload = {.length = 0}};

    if (context->profiles == 0) {
        return;
    }
    struct identity self = own_identity(context, span, sender, own);
    bool is_source = request->reporter == REPORTER_SOURCE;
    bool is_destination = request->reporter == REPORTER_DESTINATION;

    request->parties = context_identify(context, (enum reporter)request->reporter,
        is_source ? &self : &unknown, is_destination ? &self : &unknown, SECURITY_UNKNOWN);
    if ((context->profiles & (PROFILE_BIT(SPANMETRICS) | PROFILE_BIT(TEMPO))) != 0) {
        request->operation = context_intern(context, span->name);
    }
    request->span_kind = (uint8_t)span->kind;
    request->span_status = (uint8_t)span->status;
    request->server_port = port_of(span);
}
