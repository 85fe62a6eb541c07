/*
 * What a span stands for: one table of (emitter, form, kind, side of the cluster) → request, attempt or
 * neither, and as whose record. Pure; any thread.
 */
#ifndef WEFT_CONTEXT_SPAN_ROLE_H
#define WEFT_CONTEXT_SPAN_ROLE_H

#include <stdint.h>

#include "context/service_name.h"
#include "decode/span.h"

enum span_meaning {
    SPAN_IS_REQUEST,
    SPAN_IS_ATTEMPT,
    SPAN_IS_NEITHER,
    SPAN_IS_REFUSED /* its resource claims to be somebody else than the peer is; only by configuration */
};

enum span_emitter { SPAN_EMITTER_ENVOY, SPAN_EMITTER_SDK };

/* How a span looks. Only Envoy's have a form; an SDK's are SPAN_FORM_PLAIN. */
enum span_form {
    SPAN_FORM_DOWNSTREAM, /* has guid:x-request-id or downstream_cluster: the side of Envoy that was asked */
    SPAN_FORM_UPSTREAM,   /* "router CLUSTER egress", or has upstream_address: one try at an upstream host */
    SPAN_FORM_PLAIN, /* anything else, also what Envoy's filters ask for themselves ("async … egress") */
};

struct span_role {
    uint8_t meaning;  /* enum span_meaning */
    uint8_t reporter; /* enum reporter; of requests and attempts */
};

enum span_emitter span_emitter_of(const struct span *span, bool resource_is_envoy);
enum span_form span_form_of(const struct span *span, enum span_emitter emitter);

/* cluster_side: of the span's upstream cluster, CLUSTER_SIDE_UNTOLD when it has none. */
struct span_role span_role_of(const struct span *span, enum span_emitter emitter, enum cluster_side side);

#endif
