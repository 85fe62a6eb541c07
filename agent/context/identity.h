/*
 * Who stood on each side of a request, in the words that naming profiles use: workload, version, principal
 * and so on. Such a set is interned as one text, so that a series can hold it as one id:
 *
 *   workload US namespace US principal US app US version US service US revision US cluster      (US: 0x1f)
 *
 * Cleaned texts hold no control characters, so that the fields come apart again. A field that is empty was
 * not told; "unknown" counts as that. Composing runs in a shard, only where a profile is enabled; taking
 * apart is pure.
 */
#ifndef WEFT_CONTEXT_IDENTITY_H
#define WEFT_CONTEXT_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "context/request.h"
#include "core/slice.h"

struct context;
struct sender;

enum { IDENTITY_FIELDS_COUNT = 8, IDENTITY_BYTES_MAX = 1024, IDENTITY_SEPARATOR = 0x1f };

/* What is known of one side; an empty slice: not told. */
struct identity {
    struct slice workload; /* the Deployment or its like; on a VM the unit */
    struct slice workload_namespace;
    struct slice principal; /* SPIFFE id of the certificate, with its scheme */
    struct slice app;
    struct slice version;
    struct slice canonical_service;
    struct slice canonical_revision;
    struct slice cluster; /* when not told: the configured one */
    struct slice pod;     /* of the reporter's own side: its pod or host; else not looked at */
};

/*
 * The ids of both sides, for request.parties and connection.parties. `reporter`: which of them wrote the
 * record. All zero where no profile is enabled. Within a batch, as context_intern; ids that find no room are
 * INTERNED_OVERFLOW.
 */
struct request_parties context_identify(struct context *context, enum reporter reporter,
    const struct identity *source, const struct identity *destination, enum connection_security security);

/*
 * Fills in what an identity of the sender's own side leaves open and other names tell: the pod as Kubernetes
 * knows it (pods.h); the pod in Istio's node id (may be empty), whose name gives the workload; the systemd
 * unit, unless the sender is_proxy: a unit of its own beside the workload. sender may be NULL.
 */
void identity_complete(
    struct identity *identity, const struct sender *sender, bool is_proxy, struct slice node_id);

/* "reviews-v1-7d5b9c4b6d-x2x4z" → "reviews-v1", "db-0" → "db", any other text as it is. */
struct slice workload_of_pod(struct slice pod);

/* Field `number`, 0 ... IDENTITY_FIELDS_COUNT - 1, of a composed text; empty when it was not told. */
struct slice identity_field(struct slice text, unsigned number);

enum identity_field_number {
    IDENTITY_WORKLOAD,
    IDENTITY_WORKLOAD_NAMESPACE,
    IDENTITY_PRINCIPAL,
    IDENTITY_APP,
    IDENTITY_VERSION,
    IDENTITY_CANONICAL_SERVICE,
    IDENTITY_CANONICAL_REVISION,
    IDENTITY_CLUSTER,
};

/* Fields of request_parties.own_place. */
enum place_field_number { PLACE_WORKLOAD, PLACE_NAMESPACE, PLACE_POD, PLACE_FIELDS_COUNT };

#endif
