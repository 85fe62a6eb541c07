/* Composing and reading identities; see identity.h. */
#include "context/identity.h"

#include <string.h>

#include "context/clean_text.h"
#include "context/context.h"
#include "context/service_name.h"
#include "core/profiles.h"

enum {
    FIELD_BYTES_MAX = 120,
    POD_RANDOM_BYTES = 5,
    POD_HASH_BYTES_MIN = 6,
    POD_HASH_BYTES_MAX = 10,
};

_Static_assert(IDENTITY_FIELDS_COUNT *(FIELD_BYTES_MAX + 1) <= IDENTITY_BYTES_MAX, "every field has room");

struct composed {
    uint8_t bytes[IDENTITY_BYTES_MAX];
    size_t length;
    size_t field_count;
    bool is_told; /* some field is not empty */
};

static void add_field(struct context *context, struct composed *composed, struct slice text)
{
    size_t length_max = (size_t)context->limits->string_bytes_max;

    text = clean_text(text, length_max < FIELD_BYTES_MAX ? length_max : FIELD_BYTES_MAX, &context->clean);
    if (composed->field_count++ > 0) {
        composed->bytes[composed->length++] = IDENTITY_SEPARATOR;
    }
    if (text.length > 0 && !slice_equal(text, SLICE_LITERAL("unknown"))) {
        memcpy(composed->bytes + composed->length, text.ptr, text.length);
        composed->length += text.length;
        composed->is_told = true;
    }
}

/* INTERNED_NONE when nothing is told. */
static uint32_t intern(struct context *context, const struct composed *composed)
{
    struct slice text = slice_of(composed->bytes, composed->length);

    if (!composed->is_told) {
        return INTERNED_NONE;
    }
    uint32_t id = context->may_intern ? interner_intern(context->interner, text)
                                      : interner_find(context->interner, text);
    return id != INTERNED_FULL ? id : INTERNED_OVERFLOW;
}

/* Neither the configured cluster nor the service's name alone makes anybody known: the name is in the series
 * as it is, and would be there twice. */
static uint32_t identity_id(struct context *context, const struct identity *identity)
{
    const struct slice fields[] = {[IDENTITY_WORKLOAD] = identity->workload,
        [IDENTITY_WORKLOAD_NAMESPACE] = identity->workload_namespace,
        [IDENTITY_PRINCIPAL] = identity->principal,
        [IDENTITY_APP] = identity->app,
        [IDENTITY_VERSION] = identity->version,
        [IDENTITY_CANONICAL_SERVICE] = identity->canonical_service,
        [IDENTITY_CANONICAL_REVISION] = identity->canonical_revision};
    struct composed composed;

    composed.length = composed.field_count = 0;
    composed.is_told = false;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        bool was_told = composed.is_told;
        add_field(context, &composed, fields[i]);
        composed.is_told = i == IDENTITY_CANONICAL_SERVICE ? was_told : composed.is_told;
    }
    if (identity->cluster.length > 0) {
        add_field(context, &composed, identity->cluster);
    } else if (composed.is_told) {
        add_field(context, &composed, context->cluster);
    }
    return intern(context, &composed);
}

static uint32_t place_id(struct context *context, const struct identity *identity)
{
    struct composed composed;

    composed.length = composed.field_count = 0;
    composed.is_told = false;
    add_field(context, &composed, identity->workload);
    add_field(context, &composed, identity->workload_namespace);
    add_field(context, &composed, identity->pod);
    return intern(context, &composed);
}

struct request_parties context_identify(struct context *context, enum reporter reporter,
    const struct identity *source, const struct identity *destination, enum connection_security security)
{
    struct request_parties parties = {.security = (uint8_t)security};

    if (context->profiles == 0) {
        return (struct request_parties){.security = SECURITY_UNKNOWN};
    }
    if ((context->profiles & (PROFILE_BIT(ISTIO) | PROFILE_BIT(SERVICEGRAPH))) != 0) {
        parties.source_identity = identity_id(context, source);
        parties.destination_identity = identity_id(context, destination);
    }
    if ((context->profiles & PROFILE_BIT(LINKERD)) != 0) {
        parties.own_place = place_id(context, reporter == REPORTER_SOURCE ? source : destination);
        if (reporter == REPORTER_SOURCE && destination->workload.length > 0) {
            parties.peer_workload = context_intern(context, destination->workload);
        }
    }
    return parties;
}

/* The characters that Kubernetes makes names of: no vowels, nothing that looks like another. */
static bool is_generated(struct slice text)
{
    for (size_t i = 0; i < text.length; i++) {
        if (strchr("bcdfghjklmnpqrstvwxz2456789", text.ptr[i]) == NULL || text.ptr[i] == '\0') {
            return false;
        }
    }
    return text.length > 0;
}

static bool is_number(struct slice text)
{
    for (size_t i = 0; i < text.length; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') {
            return false;
        }
    }
    return text.length > 0;
}

/* What stands behind the last dash, and *ret_rest before it; empty without one. */
static struct slice last_part(struct slice text, struct slice *ret_rest)
{
    size_t at = text.length;

    while (at > 0 && text.ptr[at - 1] != '-') {
        at--;
    }
    *ret_rest = slice_sub(text, 0, at > 0 ? at - 1 : 0);
    return at > 1 ? slice_sub(text, at, text.length) : slice_of(NULL, 0);
}

struct slice workload_of_pod(struct slice pod)
{
    struct slice rest;
    struct slice last = last_part(pod, &rest);
    struct slice owner;

    if (is_number(last)) {
        return rest;
    }
    if (last.length != POD_RANDOM_BYTES || !is_generated(last)) {
        return pod;
    }
    struct slice hash = last_part(rest, &owner);
    if (hash.length >= POD_HASH_BYTES_MIN && hash.length <= POD_HASH_BYTES_MAX && is_generated(hash)) {
        return owner;
    }
    return rest;
}

/* The pod of "sidecar~IP~POD.NAMESPACE~DOMAIN". */
static struct slice pod_of_node_id(struct slice node_id)
{
    struct slice name = node_id;

    if (namespace_of_node_id(node_id).length == 0) {
        return slice_of(NULL, 0);
    }
    for (int i = 0; i < 2; i++) {
        name = slice_sub(name, slice_find(name, '~') + 1, name.length);
    }
    name = slice_sub(name, 0, slice_find(name, '~'));
    return slice_sub(name, 0, slice_find(name, '.'));
}

/* A unit without ".service"; others are known by number or by what they run only. */
static struct slice workload_of_sender(const struct sender *sender)
{
    struct slice name = slice_of_string(sender->name);

    if (sender->kind != SENDER_UNIT) {
        return slice_of(NULL, 0);
    }
    return slice_has_suffix(name, SLICE_LITERAL(".service"))
               ? slice_sub(name, 0, name.length - (sizeof ".service" - 1))
               : name;
}

static void fill(struct slice *field, struct slice text)
{
    if (field->length == 0) {
        *field = text;
    }
}

void identity_complete(
    struct identity *identity, const struct sender *sender, bool is_proxy, struct slice node_id)
{
    if (sender != NULL && sender->kind == SENDER_POD) {
        fill(&identity->pod, slice_of_string(sender->pod));
        fill(&identity->workload, slice_of_string(sender->workload));
        fill(&identity->workload_namespace, slice_of_string(sender->namespace));
        fill(&identity->version, slice_of_string(sender->version));
        fill(&identity->canonical_revision, slice_of_string(sender->version));
    }
    fill(&identity->pod, pod_of_node_id(node_id));
    fill(&identity->workload_namespace, namespace_of_node_id(node_id));
    fill(&identity->workload, workload_of_pod(identity->pod));
    if (sender != NULL && !is_proxy) {
        fill(&identity->workload, workload_of_sender(sender));
    }
}

struct slice identity_field(struct slice text, unsigned number)
{
    for (; number > 0; number--) {
        text = slice_sub(text, slice_find(text, IDENTITY_SEPARATOR) + 1, text.length);
    }
    return slice_sub(text, 0, slice_find(text, IDENTITY_SEPARATOR));
}
