/* Access-log records to requests and connections; see access_log.h. One shard's thread. */
#include "context/access_log.h"

#include <string.h>
#include <sys/random.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "context/count_source.h"
#include "context/log_identity.h"
#include "context/outcome.h"
#include "context/response_flags.h"
#include "context/identity.h"
#include "context/spiffe.h"
#include "context/span_request.h"
#include "core/zero.h"

/* An entry on its way: what several steps need. */
struct log_case {
    struct context *context;
    const struct access_log_entry *entry;
    struct log_reporter *reporter;
    const struct sender *sender;
};

static const struct service_ids untold = {.service = INTERNED_UNKNOWN, .service_namespace = INTERNED_UNKNOWN};

void access_log_memos_init(struct access_log_memos *memos)
{
    memset(memos, 0, sizeof *memos);
    if (getrandom(&memos->seed, sizeof memos->seed, GRND_NONBLOCK) != (ssize_t)sizeof memos->seed) {
        memos->seed = (uint64_t)(uintptr_t)memos;
    }
}

static uint64_t hash_text(uint64_t hash, struct slice text)
{
    return text.length > 0 ? XXH3_64bits_withSeed(text.ptr, text.length, hash) : hash * 31 + 7;
}

/* What a contradicted writer says is not believed. */
static void note_workload(const struct log_case *c)
{
    const struct access_log_peer *self = &c->reporter->names.self;
    struct slice workload = self->workload.length > 0 ? self->workload : workload_of_pod(self->pod);
    struct slice version = self->version.length > 0 ? self->version : self->revision;
    bool is_believed = !c->reporter->is_conflict;

    context_note_workload(c->context, c->reporter->ids, is_believed ? workload : slice_of(NULL, 0),
        is_believed ? version : slice_of(NULL, 0), c->sender);
}

/* The service that the writer itself belongs to. Who the peer is stands above what it says. */
static void resolve_reporter(struct log_case *c)
{
    struct log_reporter *reporter = c->reporter;
    const struct access_log_reporter *names = &reporter->names;
    uint32_t sender_id = c->sender != NULL ? c->sender->interned : INTERNED_NONE;

    if (reporter->epoch == c->context->epoch && reporter->sender == sender_id &&
        sender_id != INTERNED_OVERFLOW) {
        return;
    }
    struct slice beside =
        names->service_namespace.length > 0 ? names->service_namespace : namespace_of_node_id(names->node_id);
    struct service_name name = service_name_of_resource(names->service, beside, names->is_envoy);
    struct sender_claim claim = {.pod = names->self.pod, .service_namespace = name.service_namespace};
    reporter->is_conflict = c->sender != NULL && sender_contradicts(c->sender, &claim);
    if (reporter->is_conflict) {
        metric_add(c->context->cells, METRIC_IDENTITY_CONFLICTS, 1);
        name.service = slice_of_string(c->sender->id);
        name.service_namespace = slice_of_string(c->sender->namespace);
    }
    if (c->sender != NULL && name.service_namespace.length == 0 && !name.external) {
        name.service_namespace = slice_of_string(c->sender->namespace);
    }
    reporter->ids = context_intern_service(c->context, &name);
    note_workload(c);
    /* Processes that call themselves alike may differ in what they are counted from. */
    uint64_t process = c->sender != NULL ? (uint64_t)c->sender->pid : 0;
    reporter->key = hash_text(hash_text(hash_text(process, names->node_id), names->service), beside);
    reporter->sender = sender_id;
    reporter->epoch = c->context->epoch;
}

/* The host of "10.1.2.3:8080" or "[::1]:8080". */
static struct slice host_of_address(struct slice address)
{
    if (address.length > 0 && address.ptr[0] == '[') {
        return slice_sub(address, 1, slice_find(address, ']'));
    }
    return slice_sub(address, 0, slice_find(address, ':'));
}

/* A sidecar's own workload calls from the sidecar's address. */
static bool is_from_own_address(const struct access_log_entry *entry, const struct access_log_reporter *names)
{
    return names->address.length > 0 &&
           slice_equal(host_of_address(entry->downstream_address), names->address);
}

/*
 * What the record says itself; else what the cluster's name says; else whether the caller is the workload at
 * the proxy's own address. When nothing tells: the proxy stands before its service, as for spans.
 */
static enum reporter reporter_of(const struct log_case *c, uint8_t cluster_side)
{
    switch (c->entry->side) {
    case ACCESS_LOG_SIDE_SOURCE:
        return REPORTER_SOURCE;
    case ACCESS_LOG_SIDE_DESTINATION:
        return REPORTER_DESTINATION;
    case ACCESS_LOG_SIDE_WAYPOINT:
        return REPORTER_WAYPOINT;
    case ACCESS_LOG_SIDE_UNTOLD:
    default:
        break;
    }
    if (cluster_side == CLUSTER_SIDE_WAYPOINT) {
        return REPORTER_WAYPOINT;
    }
    if (cluster_side == CLUSTER_SIDE_SOURCE) {
        return REPORTER_SOURCE;
    }
    return cluster_side == CLUSTER_SIDE_UNTOLD && is_from_own_address(c->entry, &c->reporter->names)
               ? REPORTER_SOURCE
               : REPORTER_DESTINATION;
}

/*
 * A peer's service: what the mesh's metadata says, unless its certificate says another namespace; without
 * metadata, what the certificate says.
 */
static struct service_ids peer_service(const struct log_case *c, const struct access_log_peer *peer)
{
    struct service_name proven = service_name_of_spiffe(peer->identity);
    struct service_name told = {.service_namespace = peer->workload_namespace};

    told.service = peer->service.length > 0 ? peer->service
                   : peer->app.length > 0   ? peer->app
                                            : peer->workload;
    if (told.service_namespace.length > 0 && proven.service_namespace.length > 0 &&
        !slice_equal(told.service_namespace, proven.service_namespace)) {
        metric_add(c->context->cells, METRIC_IDENTITY_CONFLICTS, 1);
        told = proven;
    }
    if (told.service.length == 0) {
        told.service = proven.service;
    }
    if (told.service_namespace.length == 0) {
        told.service_namespace = proven.service_namespace;
    }
    return context_intern_service(c->context, &told);
}

static struct service_ids or_else(struct service_ids first, struct service_ids second)
{
    if (first.service == INTERNED_UNKNOWN || first.service == INTERNED_EXTERNAL) {
        return second.service != INTERNED_UNKNOWN ? second : first;
    }
    return first;
}

/* The writer's own service; its certificate knows when its node does not. */
static struct service_ids own_service(const struct log_case *c)
{
    struct service_name proven = service_name_of_spiffe(c->entry->local_identity);

    if (c->reporter->ids.service != INTERNED_UNKNOWN || proven.service.length == 0) {
        return c->reporter->ids;
    }
    return context_intern_service(c->context, &proven);
}

/* The proxy may tell its requests by spans, too. */
static struct count_voice voice_of(const struct log_case *c, enum reporter reporter)
{
    struct context *context = c->context;

    if (context->counts == NULL || c->sender == NULL) {
        return (struct count_voice){.key = 0};
    }
    return count_sources_find(context->counts, c->sender, c->reporter->names.node_id, reporter,
        context->now_monotonic_ns, context->cells);
}

static struct access_log_memo identify(const struct log_case *c)
{
    const struct access_log_entry *entry = c->entry;
    struct access_log_memo memo = {.source = untold,
        .key = c->reporter->key,
        .sender = c->reporter->sender,
        .epoch = c->context->epoch,
        .method = (uint8_t)method_of(entry->method)};
    uint8_t side;
    struct service_ids cluster =
        context_name_of(c->context, entry->upstream_cluster, entry->upstream_is_host, &side);

    memo.reporter = (uint8_t)reporter_of(c, side);
    switch ((enum reporter)memo.reporter) {
    case REPORTER_SOURCE:
        memo.source = own_service(c);
        memo.destination = or_else(cluster, peer_service(c, &entry->upstream));
        break;
    case REPORTER_DESTINATION:
        memo.source = peer_service(c, &entry->downstream);
        memo.destination = or_else(own_service(c), cluster);
        break;
    case REPORTER_WAYPOINT:
    case REPORTER_COUNT:
        memo.source = peer_service(c, &entry->downstream);
        memo.destination = or_else(cluster, peer_service(c, &entry->upstream));
        break;
    }
    memo.voice = voice_of(c, (enum reporter)memo.reporter);
    memo.parties = log_identify(c->context, entry, &c->reporter->names, c->sender,
        (enum reporter)memo.reporter, memo.reporter == REPORTER_SOURCE ? memo.source : memo.destination);
    return memo;
}

/* A text's share in a hash of several. None waits for the one before; each has an odd factor of its own. */
static inline uint64_t share_of(uint64_t seed, uint64_t place, struct slice text)
{
    uint64_t factor = (place * 2 + 1) * 0x9e3779b97f4a7c15ull;

    return text.length > 0 ? XXH3_64bits_withSeed(text.ptr, text.length, seed) * factor : 0;
}

static uint64_t hash_peer(uint64_t seed, uint64_t place, const struct access_log_peer *peer)
{
    uint64_t hash = share_of(seed, place, peer->service) + share_of(seed, place + 1, peer->identity) +
                    share_of(seed, place + 2, peer->workload_namespace);

    if (peer->service.length == 0) {
        hash += share_of(seed, place + 3, peer->app) + share_of(seed, place + 4, peer->workload);
    }
    return hash;
}

/* The rest of a peer, which only naming profiles look at. */
static uint64_t hash_workload(uint64_t seed, uint64_t place, const struct access_log_peer *peer)
{
    return share_of(seed, place, peer->app) + share_of(seed, place + 1, peer->workload) +
           share_of(seed, place + 2, peer->version) + share_of(seed, place + 3, peer->revision) +
           share_of(seed, place + 4, peer->pod) + share_of(seed, place + 5, peer->cluster);
}

/* Of everything that identify reads. The seed is secret, and a collision could only misname the records of
 * the one sender and proxy that made it. */
static uint64_t hash_names(const struct access_log_memos *memos, const struct log_case *c)
{
    enum { CLUSTER, METHOD, LOCAL, UPSTREAM, DOWNSTREAM = 8, UPSTREAM_REST = 16, DOWNSTREAM_REST = 24 };
    const struct access_log_entry *entry = c->entry;
    uint64_t seed = memos->seed;
    uint64_t hash = (uint64_t)entry->side * 4 + (uint64_t)entry->upstream_is_host * 2;

    if (entry->side == ACCESS_LOG_SIDE_UNTOLD) {
        hash += is_from_own_address(entry, &c->reporter->names);
    }
    hash += share_of(seed, CLUSTER, entry->upstream_cluster) + share_of(seed, METHOD, entry->method) +
            share_of(seed, LOCAL, entry->local_identity) + hash_peer(seed, UPSTREAM, &entry->upstream) +
            hash_peer(seed, DOWNSTREAM, &entry->downstream);
    if (c->context->profiles != 0) {
        hash += hash_workload(seed, UPSTREAM_REST, &entry->upstream) +
                hash_workload(seed, DOWNSTREAM_REST, &entry->downstream);
    }
    return (hash * 0x9fb21c651e98df25ull) | 1;
}

static struct access_log_memo *memo_of(struct access_log_memos *memos, struct log_case *c)
{
    uint64_t hash = hash_names(memos, c);
    struct access_log_memo *memo =
        &memos->memos[(hash ^ c->reporter->key) >> 8 & (ACCESS_LOG_MEMOS_COUNT - 1)];

    if (memo->hash != hash || memo->epoch != c->context->epoch || memo->key != c->reporter->key ||
        memo->sender != c->reporter->sender) {
        *memo = identify(c);
        /* Ids that were refused for want of room are asked for again. */
        memo->hash = c->reporter->sender != INTERNED_OVERFLOW ? hash : 0;
    }
    return memo;
}

/* Most routes are the one before. One that was refused is asked for, and counted, each time. */
static uint32_t route_of(
    struct context *context, const struct access_log_entry *entry, struct access_log_memo *memo)
{
    struct slice route = entry->route;

    if (route.length == 0 && memo->method == METHOD_CONNECT) {
        route = SLICE_LITERAL("*");
    } else if (route.length == 0) {
        route = context_route_of_path(context, memo->destination, entry->path);
    }
    if (memo->route_bytes != 0 && slice_equal(route, slice_of(memo->route, memo->route_bytes))) {
        return memo->route_id;
    }
    memo->route_id = context_route(context, memo->destination, route);
    memo->route_bytes = 0;
    if (memo->route_id != context->route_rest && route.length > 0 && route.length <= sizeof memo->route) {
        memo->route_bytes = (uint8_t)route.length;
        memcpy(memo->route, route.ptr, route.length);
    }
    return memo->route_id;
}

static enum protocol protocol_of(const struct access_log_entry *entry)
{
    static const uint8_t protocols[] = {
        [ACCESS_LOG_PROTOCOL_UNTOLD] = PROTOCOL_UNKNOWN,
        [ACCESS_LOG_PROTOCOL_HTTP1] = PROTOCOL_HTTP1,
        [ACCESS_LOG_PROTOCOL_HTTP2] = PROTOCOL_HTTP2,
        [ACCESS_LOG_PROTOCOL_HTTP3] = PROTOCOL_HTTP3,
    };

    return entry->is_grpc || entry->has_grpc_status ? PROTOCOL_GRPC
                                                    : (enum protocol)protocols[entry->protocol];
}

static uint64_t flags_of(const struct access_log_entry *entry)
{
    uint64_t flags = entry->response_flags;

    if (entry->response_flags_text.length > 0) {
        flags |= response_flags_parse(entry->response_flags_text);
    }
    return flags & RESPONSE_FLAGS_ALL;
}

static void fill_ending(const struct access_log_entry *entry, struct request *request)
{
    bool has_code = entry->response_code >= HTTP_STATUS_MIN && entry->response_code <= HTTP_STATUS_MAX;

    request->protocol = (uint8_t)protocol_of(entry);
    request->response_code = has_code ? entry->response_code : 0;
    request->grpc_status =
        entry->has_grpc_status ? grpc_status_of_number(entry->grpc_status) : (int16_t)GRPC_STATUS_NONE;
    request->response_flags = flags_of(entry);
    request->outcome = (uint8_t)outcome_of(&(struct outcome_facts){
        .response_code = request->response_code,
        .grpc_status = request->grpc_status,
        .protocol = request->protocol,
        .expects_code = true,
        .response_flags = request->response_flags,
    });
}

static void fill_bytes(const struct access_log_entry *entry, struct request *request)
{
    if (entry->has_request_bytes && entry->request_bytes <= REQUEST_BODY_BYTES_MAX) {
        request->request_bytes = entry->request_bytes;
        request->has_bytes = true;
    }
    if (entry->has_response_bytes && entry->response_bytes <= REQUEST_BODY_BYTES_MAX) {
        request->response_bytes = entry->response_bytes;
        request->has_bytes = true;
    }
}

/* The writer's own, as its listener is configured; else its sender's. */
static uint8_t mesh_of(const struct log_case *c)
{
    if (c->reporter->mesh != 0 || c->sender == NULL) {
        return c->reporter->mesh;
    }
    return c->sender->mesh;
}

static void fill_request(struct log_case *c, struct access_log_memo *memo, struct request *request)
{
    const struct access_log_entry *entry = c->entry;

    zero_bytes(request, sizeof *request);
    request->reporter = memo->reporter;
    request->method = memo->method;
    request->signal = c->reporter->names.is_otlp ? REQUEST_FROM_OTLP_LOG : REQUEST_FROM_LOG;
    request->source = memo->source.service;
    request->source_namespace = memo->source.service_namespace;
    request->destination = memo->destination.service;
    request->destination_namespace = memo->destination.service_namespace;
    request->route = route_of(c->context, entry, memo);
    request->attempts =
        entry->has_attempts && entry->attempts <= ACCESS_LOG_ATTEMPTS_MAX ? entry->attempts : 0;
    request->start_unix_ns = entry->start_unix_ns;
    request->duration_ns = entry->duration_ns;
    request->weight = WEIGHT_ONE;
    request->parties = memo->parties;
    request->first_byte_ns = entry->first_byte_ns;
    request->sender = c->sender != NULL ? c->sender->interned : (uint32_t)INTERNED_UNKNOWN;
    request->mesh = mesh_of(c);
    request->voice = memo->voice;
    fill_ending(entry, request);
    fill_bytes(entry, request);
    if (entry->has_trace) {
        memcpy(request->trace_id, entry->trace_id, sizeof request->trace_id);
    }
    if (entry->has_span) {
        memcpy(request->span_id, entry->span_id, sizeof request->span_id);
    }
}

static void fill_connection(
    const struct log_case *c, const struct access_log_memo *memo, struct connection *connection)
{
    const struct access_log_entry *entry = c->entry;

    *connection = (struct connection){
        .reporter = memo->reporter,
        .source = memo->source.service,
        .source_namespace = memo->source.service_namespace,
        .destination = memo->destination.service,
        .destination_namespace = memo->destination.service_namespace,
        .sent_bytes = entry->response_bytes <= REQUEST_BODY_BYTES_MAX ? entry->response_bytes : 0,
        .received_bytes = entry->request_bytes <= REQUEST_BODY_BYTES_MAX ? entry->request_bytes : 0,
        .duration_ns = entry->duration_ns,
        .response_flags = flags_of(entry),
        .sender = c->sender != NULL ? c->sender->interned : (uint32_t)INTERNED_UNKNOWN,
        .mesh = mesh_of(c),
        .parties = memo->parties,
    };
}

/* A connection may have begun long ago: its end counts. */
static bool is_late(const struct context *context, const struct access_log_entry *entry, uint64_t now_unix_ns)
{
    uint64_t skew_ns = context->limits->time_skew_s * 1000000000ull;
    uint64_t end_ns;

    if (__builtin_add_overflow(entry->start_unix_ns, entry->duration_ns, &end_ns)) {
        return true;
    }
    return end_ns > now_unix_ns ? end_ns - now_unix_ns > skew_ns : now_unix_ns - end_ns > skew_ns;
}

enum access_log_meaning access_log_to_request(struct context *context, struct access_log_memos *memos,
    const struct access_log_entry *entry, struct log_reporter *reporter, const struct sender *sender,
    uint64_t now_unix_ns, struct request *ret_request, struct connection *ret_connection)
{
    struct log_case c = {.context = context, .entry = entry, .reporter = reporter, .sender = sender};

    if (entry->kind == ACCESS_LOG_INTERMEDIATE) {
        return ACCESS_LOG_IS_NEITHER;
    }
    if (is_late(context, entry, now_unix_ns)) {
        return ACCESS_LOG_IS_LATE;
    }
    if (context->refuse_conflicts) {
        resolve_reporter(&c);
        if (reporter->is_conflict) {
            return ACCESS_LOG_IS_REFUSED;
        }
    }
    if (entry->kind == ACCESS_LOG_ATTEMPT) {
        return ACCESS_LOG_IS_ATTEMPT;
    }
    resolve_reporter(&c);
    struct access_log_memo *memo = memo_of(memos, &c);
    if (entry->kind == ACCESS_LOG_CONNECTION) {
        fill_connection(&c, memo, ret_connection);
        return ACCESS_LOG_IS_CONNECTION;
    }
    fill_request(&c, memo, ret_request);
    return ACCESS_LOG_IS_REQUEST;
}
