/* Spans to requests; see span_request.h. One shard's thread. */
#include "context/span_request.h"

#include <string.h>

#include "context/count_source.h"
#include "context/outcome.h"
#include "context/response_flags.h"
#include "context/sampling.h"
#include "context/span_identity.h"

#define HAS(id) (1ull << SPAN_ATTRIBUTE_##id)
#define HTTP_ATTRIBUTES                                                                                      \
    (HAS(HTTP_METHOD) | HAS(HTTP_STATUS) | HAS(HTTP_PROTOCOL) | HAS(HTTP_URL) | HAS(HTTP_TARGET) |           \
        HAS(HTTP_ROUTE))

/* Of those that differ within a pattern, what is read of them. */
#define ENDING_ATTRIBUTES (HAS(HTTP_STATUS) | HAS(GRPC_STATUS) | HAS(ENVOY_RESPONSE_FLAGS))
#define BODY_ATTRIBUTES                                                                                      \
    (HAS(ENVOY_REQUEST_SIZE) | HAS(ENVOY_RESPONSE_SIZE) | HAS(HTTP_REQUEST_SIZE) | HAS(HTTP_RESPONSE_SIZE))
#define ROUTE_ATTRIBUTES (HAS(HTTP_ROUTE) | HAS(GRPC_PATH) | HAS(HTTP_TARGET) | HAS(HTTP_URL))

enum { DECIMAL_DIGITS_MAX = 19 };

/* A span on its way: what several steps need. */
struct span_case {
    struct context *context;
    const struct span *span;
    const struct sender *sender;
    const struct context_resource *resource;
    enum span_emitter emitter;
    struct span_role role;
    struct service_ids cluster;
    bool is_particular; /* its sides were told by an attribute of SPAN_ATTRIBUTES_OF_REQUEST */
};

/* An attribute that is a number, as an integer or in decimal digits. False when it is not there or neither.
 */
static bool number_of(const struct span *span, enum span_attribute_id id, int64_t *ret_number)
{
    const struct span_value *value = span_attribute(span, id);
    int64_t number = 0;

    if (value == NULL) {
        return false;
    }
    if (value->is_integer) {
        *ret_number = value->integer;
        return true;
    }
    if (value->text.length == 0 || value->text.length >= DECIMAL_DIGITS_MAX) {
        return false;
    }
    const uint8_t *end = value->text.ptr + value->text.length;
    for (const uint8_t *at = value->text.ptr; at < end; at++) {
        unsigned digit = (unsigned)*at - '0';
        if (digit > 9) {
            return false;
        }
        number = number * 10 + digit;
    }
    *ret_number = number;
    return true;
}

static uint16_t response_code_of(const struct span *span)
{
    int64_t code;

    if (!number_of(span, SPAN_ATTRIBUTE_HTTP_STATUS, &code) || code < HTTP_STATUS_MIN ||
        code > HTTP_STATUS_MAX) {
        return 0;
    }
    return (uint16_t)code;
}

static int16_t grpc_status_of_span(const struct span *span)
{
    const struct span_value *value = span_attribute(span, SPAN_ATTRIBUTE_GRPC_STATUS);

    if (value == NULL) {
        return GRPC_STATUS_NONE;
    }
    return value->is_integer ? grpc_status_of_number(value->integer) : grpc_status_of(value->text);
}

/* "HTTP/1.1", "1.1", "2", "2.0", "3", and the flavours "SPDY" and "QUIC". */
static enum protocol protocol_of_version(struct slice text)
{
    if (slice_has_prefix(text, SLICE_LITERAL("HTTP/"))) {
        text = slice_sub(text, 5, text.length);
    }
    if (text.length == 0) {
        return PROTOCOL_UNKNOWN;
    }
    switch (text.ptr[0]) {
    case '1':
        return PROTOCOL_HTTP1;
    case '2':
    case 'S':
        return PROTOCOL_HTTP2;
    case '3':
    case 'Q':
        return PROTOCOL_HTTP3;
    default:
        return PROTOCOL_UNKNOWN;
    }
}

static bool is_grpc(const struct span *span)
{
    struct slice system = span_text(span, SPAN_ATTRIBUTE_RPC_SYSTEM);

    if (system.length > 0) {
        return slice_equal(system, SLICE_LITERAL("grpc"));
    }
    return (span->attribute_set & (HAS(GRPC_STATUS) | HAS(GRPC_PATH))) != 0;
}

static enum protocol protocol_of(const struct span *span)
{
    struct slice name = span_text(span, SPAN_ATTRIBUTE_PROTOCOL_NAME);

    if (is_grpc(span)) {
        return PROTOCOL_GRPC;
    }
    if ((span->attribute_set & HAS(HTTP_PROTOCOL)) != 0) {
        return protocol_of_version(span_text(span, SPAN_ATTRIBUTE_HTTP_PROTOCOL));
    }
    if ((span->attribute_set & HAS(HTTP_FLAVOR)) != 0) {
        return protocol_of_version(span_text(span, SPAN_ATTRIBUTE_HTTP_FLAVOR));
    }
    if ((span->attribute_set & HTTP_ATTRIBUTES) == 0 ||
        (name.length > 0 && !slice_equal(name, SLICE_LITERAL("http")))) {
        return PROTOCOL_UNKNOWN;
    }
    return protocol_of_version(span_text(span, SPAN_ATTRIBUTE_PROTOCOL_VERSION));
}

static bool body_of(
    const struct span *span, enum span_attribute_id envoy, enum span_attribute_id sdk, uint64_t *bytes)
{
    int64_t number;

    if (!number_of(span, envoy, &number) && !number_of(span, sdk, &number)) {
        return false;
    }
    if (number < 0 || (uint64_t)number > REQUEST_BODY_BYTES_MAX) {
        return false;
    }
    *bytes = (uint64_t)number;
    return true;
}

static void fill_bytes(const struct span *span, struct request *request)
{
    request->request_bytes = request->response_bytes = 0;
    bool in = body_of(
        span, SPAN_ATTRIBUTE_ENVOY_REQUEST_SIZE, SPAN_ATTRIBUTE_HTTP_REQUEST_SIZE, &request->request_bytes);
    bool out = body_of(span, SPAN_ATTRIBUTE_ENVOY_RESPONSE_SIZE, SPAN_ATTRIBUTE_HTTP_RESPONSE_SIZE,
        &request->response_bytes);

    request->has_bytes = in || out;
}

static void fill_ending(const struct span *span, bool expects_code, struct request *request)
{
    request->response_code = response_code_of(span);
    request->grpc_status = request->protocol == PROTOCOL_GRPC ? grpc_status_of_span(span) : GRPC_STATUS_NONE;
    request->response_flags = response_flags_parse(span_text(span, SPAN_ATTRIBUTE_ENVOY_RESPONSE_FLAGS));
    request->outcome = (uint8_t)outcome_of(&(struct outcome_facts){
        .response_code = request->response_code,
        .grpc_status = request->grpc_status,
        .protocol = request->protocol,
        .expects_code = expects_code,
        .failed = span->status == SPAN_STATUS_ERROR,
        .response_flags = request->response_flags,
    });
}

static uint64_t weight_of(const struct context *context, const struct span *span)
{
    uint64_t threshold;
    uint64_t weight;
    bool capped;

    if (span->tracestate.length == 0 || !sampling_threshold_of(span->tracestate, &threshold)) {
        return WEIGHT_ONE;
    }
    weight = sampling_weight(threshold, context->limits->sampling_weight_max, &capped);
    if (capped) {
        metric_add(context->cells, METRIC_WEIGHT_CAPPED, 1);
    }
    return weight;
}

/* "/SERVICE/METHOD", from the two attributes of old or the one of now, in the route buffer; empty when not
 * told. */
static struct slice rpc_route(struct context *context, const struct span *span)
{
    struct slice service = span_text(span, SPAN_ATTRIBUTE_RPC_SERVICE);
    struct slice method = span_text(span, SPAN_ATTRIBUTE_RPC_METHOD);
    uint8_t *out = context->route.bytes;
    size_t used = 0;

    if (method.length == 0 || service.length + method.length + 2 > ROUTE_BYTES_MAX) {
        return slice_of(NULL, 0);
    }
    out[used++] = '/';
    if (service.length > 0 && slice_find(method, '/') == method.length) {
        memcpy(out + used, service.ptr, service.length);
        used += service.length;
        out[used++] = '/';
    } else if (method.ptr[0] == '/') {
        used = 0;
    }
    memcpy(out + used, method.ptr, method.length);
    return slice_of(out, used + method.length);
}

/* What the record calls its route; else the template of its path. */
static struct slice route_of(struct context *context, const struct span *span, const struct request *request)
{
    struct service_ids destination = {
        .service = request->destination, .service_namespace = request->destination_namespace};
    static const enum span_attribute_id paths[] = {
        SPAN_ATTRIBUTE_GRPC_PATH, SPAN_ATTRIBUTE_HTTP_TARGET, SPAN_ATTRIBUTE_HTTP_URL};
    struct slice route = span_text(span, SPAN_ATTRIBUTE_HTTP_ROUTE);

    if (route.length > 0) {
        /* A query string can only follow a path; elsewhere "?" belongs to a pattern. */
        return route.ptr[0] == '/' ? strip_query(route) : route;
    }
    route = rpc_route(context, span);
    if (route.length > 0) {
        return route;
    }
    if (request->method == METHOD_CONNECT) {
        return SLICE_LITERAL("*");
    }
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        route = span_text(span, paths[i]);
        if (route.length > 0) {
            return context_route_of_path(context, destination, route);
        }
    }
    return slice_of(NULL, 0);
}

/* Whom an SDK's client says that it called. */
static struct service_ids sdk_destination(struct span_case *c)
{
    struct slice peer = span_text(c->span, SPAN_ATTRIBUTE_PEER_SERVICE);
    uint8_t side;

    if (peer.length == 0) {
        peer = span_text(c->span, SPAN_ATTRIBUTE_SERVER_ADDRESS);
    }
    if (peer.length == 0) {
        c->is_particular = true;
        peer = host_of_url(span_text(c->span, SPAN_ATTRIBUTE_HTTP_URL));
    }
    return context_name_of(c->context, peer, true, &side);
}

/* The service that the proxy or process itself belongs to; its node id may know the namespace when the
 * resource does not. */
static struct service_ids own_service(const struct span_case *c)
{
    struct service_ids own = c->resource->ids;

    if (own.service_namespace == INTERNED_UNKNOWN && c->emitter == SPAN_EMITTER_ENVOY) {
        own.service_namespace = context_intern(
            c->context, namespace_of_node_id(span_text(c->span, SPAN_ATTRIBUTE_ENVOY_NODE_ID)));
    }
    return own;
}

static void find_sides(struct span_case *c, struct service_ids *source, struct service_ids *destination)
{
    const struct service_ids unknown = {.service = INTERNED_UNKNOWN, .service_namespace = INTERNED_UNKNOWN};
    struct service_ids own = own_service(c);

    *source = unknown;
    switch ((enum reporter)c->role.reporter) {
    case REPORTER_SOURCE:
        *source = own;
        *destination = c->emitter == SPAN_EMITTER_ENVOY ? c->cluster : sdk_destination(c);
        break;
    case REPORTER_DESTINATION:
        *destination = own.service != INTERNED_UNKNOWN ? own : c->cluster;
        break;
    case REPORTER_WAYPOINT:
    case REPORTER_COUNT:
        *destination = c->cluster;
        break;
    }
}

/* A proxy may tell its requests by an access log, too; an SDK does not. */
static struct count_voice voice_of(const struct span_case *c)
{
    struct context *context = c->context;

    if (context->counts == NULL || c->sender == NULL || c->emitter != SPAN_EMITTER_ENVOY ||
        c->role.meaning == SPAN_IS_NEITHER) {
        return (struct count_voice){.key = 0};
    }
    return count_sources_find(context->counts, c->sender, span_text(c->span, SPAN_ATTRIBUTE_ENVOY_NODE_ID),
        (enum reporter)c->role.reporter, context->now_monotonic_ns, context->cells);
}

/* An SDK speaks for its own workload, and so does a sidecar; what a contradicted one says is not believed. */
static void note_workload(const struct span_case *c)
{
    bool is_believed = !c->resource->is_conflict;
    const struct span_resource *resource = c->span->resource;

    context_note_workload(c->context, own_service(c), is_believed ? resource->workload : slice_of(NULL, 0),
        is_believed ? resource->version : slice_of(NULL, 0), c->sender);
}

/* What the spans of a pattern agree in. Sets c->is_particular when this one's does not hold for all. */
static struct span_memo identify(struct span_case *c)
{
    const struct span *span = c->span;
    struct slice cluster = span_text(span, SPAN_ATTRIBUTE_ENVOY_UPSTREAM_CLUSTER_NAME);
    struct service_ids source = {.service = INTERNED_UNKNOWN};
    struct service_ids destination = source;
    uint8_t side = CLUSTER_SIDE_UNTOLD;

    c->resource = context_resource_of(c->context, span->resource, c->sender);
    c->emitter = span_emitter_of(span, c->resource->is_envoy);
    if (c->emitter == SPAN_EMITTER_ENVOY) {
        if (cluster.length == 0) {
            cluster = span_text(span, SPAN_ATTRIBUTE_ENVOY_UPSTREAM_CLUSTER);
        }
        c->cluster = context_name_of(c->context, cluster, false, &side);
    }
    c->role = span_role_of(span, c->emitter, (enum cluster_side)side);
    if (c->resource->is_conflict && c->context->refuse_conflicts) {
        return (struct span_memo){.meaning = SPAN_IS_REFUSED};
    }
    if (c->role.meaning != SPAN_IS_NEITHER) {
        find_sides(c, &source, &destination);
    } else {
        source = c->resource->ids;
    }
    enum protocol protocol = protocol_of(span);
    struct span_memo memo = {.meaning = c->role.meaning,
        .expects_code = c->emitter == SPAN_EMITTER_ENVOY || protocol == PROTOCOL_GRPC ||
                        (span->attribute_set & HTTP_ATTRIBUTES) != 0,
        .request = {.reporter = c->role.reporter,
            .protocol = (uint8_t)protocol,
            .method = (uint8_t)method_of(span_text(span, SPAN_ATTRIBUTE_HTTP_METHOD)),
            .source = source.service,
            .source_namespace = source.service_namespace,
            .destination = destination.service,
            .destination_namespace = destination.service_namespace,
            .sender = c->sender != NULL ? c->sender->interned : INTERNED_UNKNOWN,
            .mesh = c->sender != NULL ? c->sender->mesh : 0,
            .voice = voice_of(c)}};
    if (c->role.meaning == SPAN_IS_REQUEST) {
        span_identify(c->context, span, c->sender, own_service(c), &memo.request);
        note_workload(c);
    }
    return memo;
}

/*
 * The memo of a span's pattern; *room, filled, for a span without one. *ret_changed: the attributes that may
 * not be as they were in the span that memo->request is of.
 */
static struct span_memo *memo_of(struct context *context, const struct span *span,
    const struct sender *sender, struct span_memo *room, uint64_t *ret_changed)
{
    uint32_t sender_id = sender != NULL ? sender->interned : INTERNED_NONE;
    int32_t pid = sender != NULL ? sender->pid : 0;
    struct span_memo *memo = span->pattern != 0 ? &context->memos[span->pattern_slot] : room;
    struct span_case c = {.context = context, .span = span, .sender = sender};

    if (__builtin_expect(memo != room && memo->pattern == span->pattern && memo->epoch == context->epoch &&
                             memo->sender == sender_id && memo->pid == pid,
            1)) {
        *ret_changed = span->varying_set;
        return memo;
    }
    *memo = identify(&c);
    *ret_changed = UINT64_MAX;
    if (!c.is_particular && sender_id != INTERNED_OVERFLOW) {
        memo->pattern = span->pattern;
        memo->epoch = context->epoch;
        memo->sender = sender_id;
        memo->pid = pid;
    }
    return memo;
}

/* Of one pattern, most routes are the one before. One that was refused is asked for, and counted, each time.
 */
static void fill_route(struct context *context, struct slice route, struct span_memo *memo)
{
    struct request *request = &memo->request;
    struct service_ids destination = {
        .service = request->destination, .service_namespace = request->destination_namespace};

    if (memo->route_bytes != 0 && slice_equal(route, slice_of(memo->route, memo->route_bytes))) {
        return;
    }
    request->route = context_route(context, destination, route);
    memo->route_bytes = 0;
    if (request->route != context->route_rest && route.length > 0 && route.length <= sizeof memo->route) {
        memo->route_bytes = (uint8_t)route.length;
        memcpy(memo->route, route.ptr, route.length);
    }
}

static void fill_request(
    struct context *context, const struct span *span, uint64_t changed, struct span_memo *memo)
{
    struct request *request = &memo->request;

    request->start_unix_ns = span->start_unix_ns;
    request->duration_ns =
        span->end_unix_ns > span->start_unix_ns ? span->end_unix_ns - span->start_unix_ns : 0;
    memcpy(request->trace_id, span->trace_id, sizeof request->trace_id);
    memcpy(request->span_id, span->span_id, sizeof request->span_id);
    if ((changed & ENDING_ATTRIBUTES) != 0) {
        fill_ending(span, memo->expects_code, request);
    }
    if ((changed & BODY_ATTRIBUTES) != 0) {
        fill_bytes(span, request);
    }
    if ((changed & ROUTE_ATTRIBUTES) != 0) {
        fill_route(context, route_of(context, span, request), memo);
    }
    span_note_record(context, span, request);
}

static void fill_attempt(const struct request *request, struct attempt *attempt)
{
    *attempt = (struct attempt){.reporter = request->reporter,
        .source = request->source,
        .source_namespace = request->source_namespace,
        .destination = request->destination,
        .destination_namespace = request->destination_namespace,
        .route = INTERNED_UNKNOWN,
        .weight = request->weight,
        .sender = request->sender,
        .mesh = request->mesh,
        .voice = request->voice};
}

enum span_meaning span_to_request(struct context *context, const struct span *span,
    const struct sender *sender, struct request *ret_request, struct attempt *ret_attempt)
{
    struct span_memo room;
    uint64_t changed;
    struct span_memo *memo = memo_of(context, span, sender, &room, &changed);

    memo->request.weight = weight_of(context, span);
    if (memo->meaning == SPAN_IS_REQUEST) {
        fill_request(context, span, changed, memo);
        *ret_request = memo->request;
    } else if (memo->meaning != SPAN_IS_REFUSED) {
        fill_attempt(&memo->request, ret_attempt);
    }
    return (enum span_meaning)memo->meaning;
}
