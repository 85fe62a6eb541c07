/* Names to ids, with what batches repeat remembered. One shard's thread. */
#include "context/context.h"

#include <string.h>
#include <sys/random.h>
#include <xxhash.h>

#include "core/error.h"

int context_init(struct context *context, struct interner *interner, const struct limits *limits,
    struct metric_cells *cells)
{
    uint64_t seed = 0x5bd1e995;

    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed) {
        seed ^= (uint64_t)(uintptr_t)context; /* too early in boot: an address is better than nothing */
    }
    *context = (struct context){.interner = interner, .limits = limits, .cells = cells};
    context->routes = route_table_new(limits->routes_per_destination_max, seed);
    if (context->routes == NULL) {
        return WERR_NOMEM;
    }
    context->route_rest = interner_intern(interner, ROUTE_REST);
    if (context->route_rest == INTERNED_FULL) {
        context->route_rest = INTERNED_OVERFLOW;
    }
    interner_ref(interner, context->route_rest);
    return 0;
}

void context_deinit(struct context *context)
{
    if (context != NULL && context->routes != NULL) {
        interner_unref(context->interner, context->route_rest);
        route_table_free(context->routes);
        context->routes = NULL;
    }
}

void context_batch_begin(struct context *context, bool may_intern, uint64_t now_monotonic_ns)
{
    uint32_t epoch = interner_sweep_count(context->interner) * 2 + may_intern + 1; /* not 0, as memos begin */

    if (context->epoch != epoch) {
        context->epoch = epoch;
        context->may_intern = may_intern;
        context->resource.filled = false;
        for (size_t i = 0; i < CONTEXT_NAMES_COUNT; i++) {
            context->names[i].length = 0;
        }
    }
    context->now_monotonic_ns = now_monotonic_ns;
    route_table_tick(context->routes, now_monotonic_ns);
}

uint32_t context_intern(struct context *context, struct slice text)
{
    uint32_t id;

    text = clean_text(text, (size_t)context->limits->string_bytes_max, &context->clean);
    if (text.length == 0) {
        return INTERNED_UNKNOWN;
    }
    id = context->may_intern ? interner_intern(context->interner, text)
                             : interner_find(context->interner, text);
    return id != INTERNED_FULL ? id : INTERNED_OVERFLOW;
}

struct service_ids context_intern_service(struct context *context, const struct service_name *name)
{
    if (name->external) {
        return (struct service_ids){.service = INTERNED_EXTERNAL, .service_namespace = INTERNED_EXTERNAL};
    }
    return (struct service_ids){.service = context_intern(context, name->service),
        .service_namespace = context_intern(context, name->service_namespace)};
}

struct service_ids context_name_of(
    struct context *context, struct slice text, bool is_host, uint8_t *ret_side)
{
    struct context_name *name;
    struct cluster_name read = {.side = CLUSTER_SIDE_UNTOLD};
    struct service_ids ids;

    *ret_side = CLUSTER_SIDE_UNTOLD;
    if (text.length == 0) {
        return (struct service_ids){.service = INTERNED_UNKNOWN, .service_namespace = INTERNED_UNKNOWN};
    }
    name = &context->names[XXH3_64bits(text.ptr, text.length) % CONTEXT_NAMES_COUNT];
    if (name->length == text.length && name->is_host == is_host &&
        memcmp(name->text, text.ptr, text.length) == 0) {
        *ret_side = name->side;
        return name->ids;
    }
    if (is_host) {
        read.name = service_name_of_host(text);
    } else {
        read = cluster_name_of(text);
    }
    ids = context_intern_service(context, &read.name);
    *ret_side = read.side;
    if (text.length <= CONTEXT_NAME_BYTES_MAX) {
        name->length = (uint8_t)text.length;
        name->is_host = is_host;
        name->side = read.side;
        name->ids = ids;
        memcpy(name->text, text.ptr, text.length);
    }
    return ids;
}

static bool is_same_resource(const struct context_resource *known, const struct slice *texts, uint32_t sender)
{
    const uint8_t *at = known->text;

    if (!known->filled || known->sender != sender || sender == INTERNED_OVERFLOW) {
        return false;
    }
    for (size_t i = 0; i < CONTEXT_RESOURCE_TEXTS_COUNT; i++) {
        if (known->lengths[i] != texts[i].length) {
            return false;
        }
        if (texts[i].length > 0 && memcmp(at, texts[i].ptr, texts[i].length) != 0) {
            return false;
        }
        at += texts[i].length;
    }
    return true;
}

static void keep_resource(struct context_resource *known, const struct slice *texts)
{
    size_t used = 0;

    for (size_t i = 0; i < CONTEXT_RESOURCE_TEXTS_COUNT; i++) {
        if (texts[i].length > sizeof known->text - used) {
            return; /* stays not filled: read anew for each span */
        }
        if (texts[i].length > 0) {
            memcpy(known->text + used, texts[i].ptr, texts[i].length);
        }
        known->lengths[i] = (uint16_t)texts[i].length;
        used += texts[i].length;
    }
    known->filled = true;
}

/* Who the peer is stands above what its records say. */
static struct service_ids ids_of_resource(struct context *context, const struct span_resource *resource,
    const struct sender *sender, bool is_envoy, bool *ret_conflict)
{
    struct slice beside =
        resource->k8s_namespace.length > 0 ? resource->k8s_namespace : resource->service_namespace;
    struct service_name name = service_name_of_resource(resource->service_name, beside, is_envoy);
    struct sender_claim claim = {
        .pod_uid = resource->pod_uid, .pod = resource->pod, .service_namespace = name.service_namespace};

    *ret_conflict = sender != NULL && sender_contradicts(sender, &claim);
    if (*ret_conflict) {
        metric_add(context->cells, METRIC_IDENTITY_CONFLICTS, 1);
        name.service = slice_of_string(sender->id);
        name.service_namespace = slice_of_string(sender->namespace);
    }
    if (sender != NULL && name.service_namespace.length == 0 && !name.external) {
        name.service_namespace =
            slice_of_string(sender->namespace); /* what its pod is in, when that is known */
    }
    return context_intern_service(context, &name);
}

const struct context_resource *context_resource_of(
    struct context *context, const struct span_resource *resource, const struct sender *sender)
{
    const struct slice texts[CONTEXT_RESOURCE_TEXTS_COUNT] = {resource->service_name,
        resource->service_namespace, resource->k8s_namespace, resource->sdk_name, resource->pod,
        resource->pod_uid};
    struct context_resource *known = &context->resource;
    uint32_t sender_id = sender != NULL ? sender->interned : INTERNED_NONE;

    if (is_same_resource(known, texts, sender_id)) {
        return known;
    }
    known->filled = false;
    known->sender = sender_id;
    known->is_envoy = slice_equal(resource->sdk_name, SLICE_LITERAL("envoy"));
    known->ids = ids_of_resource(context, resource, sender, known->is_envoy, &known->is_conflict);
    keep_resource(known, texts);
    return known;
}

/* The id for what has no template of its own. */
static uint32_t route_rest(struct context *context)
{
    metric_add(context->cells, METRIC_ROUTES_LIMITED, 1);
    return context->route_rest;
}

static uint64_t destination_key(struct service_ids destination)
{
    return (uint64_t)destination.service << 32 | destination.service_namespace;
}

struct slice context_route_of_path(struct context *context, struct service_ids destination, struct slice path)
{
    struct slice route = slice_of(NULL, 0);

    if (context->route_rules.count > 0 && path.length > 0) {
        struct slice namespace = destination.service_namespace != INTERNED_NONE
                                     ? interner_text(context->interner, destination.service_namespace)
                                     : route;

        route = route_rules_find(
            &context->route_rules, path, interner_text(context->interner, destination.service), namespace);
    }
    return route.length > 0 ? route : route_template(path, context->limits, &context->route);
}

uint32_t context_route(struct context *context, struct service_ids destination, struct slice text)
{
    if (text.length == 0) {
        return INTERNED_UNKNOWN;
    }
    /* Whoever names routes has as many as he names: a flood of paths shall not take their place. */
    if (context->route_rules.count > 0 && route_rules_own(&context->route_rules, text)) {
        return context_intern(context, text);
    }
    struct route_known *known =
        route_table_admit(context->routes, destination_key(destination), route_hash(context->routes, text));
    if (known == NULL) {
        return route_rest(context);
    }
    if (known->epoch != context->epoch) {
        *known = (struct route_known){.id = context_intern(context, text), .epoch = context->epoch};
    }
    return known->id;
}

uint32_t context_route_known(
    struct context *context, struct service_ids destination, uint64_t hash, uint32_t id)
{
    if (id < INTERNED_FIXED_COUNT) {
        return id;
    }
    return route_table_admit(context->routes, destination_key(destination), hash) != NULL
               ? id
               : route_rest(context);
}

void context_sender_bind(struct context *context, struct sender *sender)
{
    uint32_t id = interner_intern(context->interner, slice_of_string(sender->id));

    sender->interned = id != INTERNED_FULL ? id : INTERNED_OVERFLOW;
    sender->mesh = sender_mesh_of(&context->meshes, sender->id);
    interner_ref(context->interner, sender->interned);
}

void context_sender_release(struct context *context, struct sender *sender)
{
    interner_unref(context->interner, sender->interned);
    sender->interned = INTERNED_NONE;
}
