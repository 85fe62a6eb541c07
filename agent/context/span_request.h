/*
 * A span to a request, an attempt, or neither: the normal form that everything behind counts. Runs in the
 * shard that received the span, for each span; allocates nothing.
 */
#ifndef WEFT_CONTEXT_SPAN_REQUEST_H
#define WEFT_CONTEXT_SPAN_REQUEST_H

#include "context/context.h"
#include "context/request.h"
#include "context/span_role.h"
#include "decode/span.h"

/* A body larger than this is taken as not told: sums of what no proxy can have moved would wrap. */
#define REQUEST_BODY_BYTES_MAX (1ull << 48)

/*
 * Within a batch (context_batch_begin). Writes *ret_request for SPAN_IS_REQUEST, *ret_attempt for
 * SPAN_IS_ATTEMPT, and for SPAN_IS_NEITHER an attempt of which only `source` tells anything: the service that
 * speaks. `sender` is bound (context_sender_bind) or NULL. request.stored is left false. Counts
 * METRIC_WEIGHT_CAPPED, METRIC_ROUTES_LIMITED and METRIC_IDENTITY_CONFLICTS; the ledger's terms are the
 * caller's.
 */
enum span_meaning span_to_request(struct context *context, const struct span *span,
    const struct sender *sender, struct request *ret_request, struct attempt *ret_attempt);

#endif
