/* Identities of access-log entries; see log_identity.h. One shard's thread. */
#include "context/log_identity.h"

#include "context/spiffe.h"

static struct slice first_of(struct slice a, struct slice b)
{
    return a.length > 0 ? a : b;
}

static struct identity identity_of_peer(const struct access_log_peer *peer)
{
    struct slice proven = service_name_of_spiffe(peer->identity).service_namespace;

    if (proven.length > 0 && peer->workload_namespace.length > 0 &&
        !slice_equal(proven, peer->workload_namespace)) {
        return (struct identity){.workload_namespace = proven, .principal = peer->identity};
    }
    return (struct identity){
        .workload = first_of(peer->workload, workload_of_pod(peer->pod)),
        .workload_namespace = first_of(peer->workload_namespace, proven),
        .principal = peer->identity,
        .app = peer->app,
        .version = first_of(peer->version, peer->revision),
        .canonical_service = first_of(peer->service, peer->app),
        .canonical_revision = first_of(peer->revision, peer->version),
        .cluster = peer->cluster,
        .pod = peer->pod,
    };
}

/* What the writer says of itself; nothing of it where its connection says otherwise. */
static struct identity own_identity(const struct context *context, const struct access_log_reporter *names,
    const struct sender *sender, struct service_ids own)
{
    struct identity identity = identity_of_peer(&names->self);
    struct sender_claim claim = {.service_namespace = identity.workload_namespace};

    if (sender != NULL && sender_contradicts(sender, &claim)) {
        identity = (struct identity){.workload_namespace = slice_of_string(sender->namespace)};
        identity_complete(&identity, sender, names->is_envoy, slice_of(NULL, 0));
        return identity;
    }
    if (identity.canonical_service.length == 0 && own.service >= INTERNED_FIXED_COUNT) {
        identity.canonical_service = interner_text(context->interner, own.service);
    }
    identity_complete(&identity, sender, names->is_envoy, names->node_id);
    return identity;
}

/* A proxy that logs certificates and shows none had a connection in plain text. */
static enum connection_security security_of(
    const struct access_log_entry *entry, const struct access_log_reporter *names, enum reporter reporter)
{
    if (reporter == REPORTER_SOURCE) {
        return entry->upstream.identity.length > 0 ? SECURITY_MUTUAL_TLS : SECURITY_UNKNOWN;
    }
    if (entry->downstream.identity.length > 0) {
        return SECURITY_MUTUAL_TLS;
    }
    return names->is_envoy ? SECURITY_NONE : SECURITY_UNKNOWN;
}

struct request_parties log_identify(struct context *context, const struct access_log_entry *entry,
    const struct access_log_reporter *names, const struct sender *sender, enum reporter reporter,
    struct service_ids own)
{
    if (context->profiles == 0) {
        return (struct request_parties){.security = SECURITY_UNKNOWN};
    }
    struct identity self = own_identity(context, names, sender, own);
    struct identity downstream = identity_of_peer(&entry->downstream);
    struct identity upstream = identity_of_peer(&entry->upstream);

    if (reporter == REPORTER_DESTINATION && entry->local_identity.length > 0) {
        self.principal = entry->local_identity;
    }
    return context_identify(context, reporter, reporter == REPORTER_SOURCE ? &self : &downstream,
        reporter == REPORTER_DESTINATION ? &self : &upstream, security_of(entry, names, reporter));
}
