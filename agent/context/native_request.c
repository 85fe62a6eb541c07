/* Native spans to requests; see native_request.h. One shard's thread. */
#include "context/native_request.h"

#include <string.h>

#include "context/outcome.h"
#include "context/response_flags.h"
#include "context/sampling.h"
#include "context/span_request.h"
#include "core/error.h"

_Static_assert(
    (int)WEFT__V1__PROTOCOL__PROTOCOL_HTTP1 == (int)PROTOCOL_HTTP1, "the schema's protocols are ours");
_Static_assert((int)WEFT__V1__PROTOCOL__PROTOCOL_TCP == (int)PROTOCOL_TCP, "the schema's protocols are ours");
_Static_assert((int)WEFT__V1__REPORTER__REPORTER_SOURCE == (int)REPORTER_SOURCE + 1, "reporters are one off");
_Static_assert(
    (int)WEFT__V1__REPORTER__REPORTER_WAYPOINT == (int)REPORTER_WAYPOINT + 1, "reporters are one off");

/* A dictionary id as the interner's; 0 and an empty text, not told, become `untold`. False when it is not
 * known. */
static bool resolve(const struct native_dictionary *dictionary, uint32_t id, uint32_t untold, uint32_t *out)
{
    const struct native_string *string = native_dictionary_get(dictionary, id);

    *out = string != NULL && string->id != INTERNED_NONE ? string->id : untold;
    return string != NULL || id == 0;
}

/* Both sides; the client's own where the record leaves it out. */
static bool fill_sides(
    const struct native_dictionary *d, const struct native_spans *spans, size_t i, struct request *r)
{
    const struct service_ids unknown = {.service = INTERNED_UNKNOWN, .service_namespace = INTERNED_UNKNOWN};
    uint32_t source = native_get32(spans->source, i);
    uint32_t destination = native_get32(spans->destination, i);
    struct service_ids from = source == 0 && r->reporter == REPORTER_SOURCE ? d->self : unknown;
    struct service_ids to = destination == 0 && r->reporter == REPORTER_DESTINATION ? d->self : unknown;

    return resolve(d, source, from.service, &r->source) &&
           resolve(
               d, native_get32(spans->source_namespace, i), from.service_namespace, &r->source_namespace) &&
           resolve(d, destination, to.service, &r->destination) &&
           resolve(d, native_get32(spans->destination_namespace, i), to.service_namespace,
               &r->destination_namespace);
}

static bool fill_route_and_method(
    const struct native_dictionary *d, const struct native_spans *spans, size_t i, struct request *r)
{
    uint32_t route_id = native_get32(spans->route, i);
    uint32_t method_id = native_get32(spans->method, i);
    const struct native_string *route = native_dictionary_get(d, route_id);
    const struct native_string *method = native_dictionary_get(d, method_id);
    const struct service_ids destination = {
        .service = r->destination, .service_namespace = r->destination_namespace};

    if ((route == NULL && route_id != 0) || (method == NULL && method_id != 0)) {
        return false;
    }
    r->method = method != NULL ? method->method : METHOD_NONE;
    r->route = route != NULL && route->id != INTERNED_NONE
                   ? context_route_known(d->context, destination, route->route_hash, route->id)
                   : INTERNED_UNKNOWN;
    return true;
}

static int fill_ending(const struct native_spans *spans, size_t i, struct request *r)
{
    uint32_t code = native_get32(spans->response_code, i);
    uint32_t protocol = native_get32(spans->protocol, i);

    if (protocol >= PROTOCOL_COUNT) {
        return WERR_INVALID;
    }
    r->protocol = (uint8_t)protocol;
    r->response_code = code >= HTTP_STATUS_MIN && code <= HTTP_STATUS_MAX ? (uint16_t)code : 0;
    r->grpc_status = grpc_status_of_number((int64_t)native_get32(spans->grpc_status, i) - 1);
    r->response_flags = native_get64(spans->response_flags, i) & RESPONSE_FLAGS_ALL;
    r->outcome = (uint8_t)outcome_of(&(struct outcome_facts){.response_code = r->response_code,
        .grpc_status = r->grpc_status,
        .protocol = r->protocol,
        .expects_code = protocol != PROTOCOL_TCP,
        .response_flags = r->response_flags});
    return 0;
}

static int fill_counts(
    const struct native_dictionary *d, const struct native_spans *spans, size_t i, struct request *r)
{
    uint64_t threshold = native_get64(spans->sampling_threshold, i);
    bool capped;

    r->attempts = native_get32(spans->attempts, i);
    r->request_bytes = native_get64(spans->request_bytes, i);
    r->response_bytes = native_get64(spans->response_bytes, i);
    if (r->attempts > NATIVE_ATTEMPTS_MAX || threshold >= SAMPLING_THRESHOLD_END ||
        r->request_bytes > REQUEST_BODY_BYTES_MAX || r->response_bytes > REQUEST_BODY_BYTES_MAX) {
        return WERR_INVALID;
    }
    r->has_bytes = spans->batch->n_request_bytes > 0 || spans->batch->n_response_bytes > 0;
    r->weight = sampling_weight(threshold, d->context->limits->sampling_weight_max, &capped);
    if (capped) {
        metric_add(d->context->cells, METRIC_WEIGHT_CAPPED, 1);
    }
    return 0;
}

/* The client's own identity, where the record is its own and not relayed. */
static void fill_parties(const struct native_dictionary *d, struct request *r)
{
    if (r->reporter == REPORTER_SOURCE && r->source == d->self.service) {
        r->parties = d->parties[0];
    } else if (r->reporter == REPORTER_DESTINATION && r->destination == d->self.service) {
        r->parties = d->parties[1];
    }
}

int native_to_request(const struct native_dictionary *dictionary, const struct native_spans *spans, size_t i,
    const struct sender *sender, struct request *ret_request)
{
    uint32_t reporter = native_get32(spans->reporter, i) - 1;
    struct request request = {.reporter = (uint8_t)reporter,
        .start_unix_ns = native_start_unix_ns(spans, i),
        .duration_ns = native_get64(spans->duration_ns, i),
        .sender = sender != NULL ? sender->interned : INTERNED_UNKNOWN,
        .mesh = sender != NULL ? sender->mesh : 0};

    if (reporter >= REPORTER_COUNT || fill_ending(spans, i, &request) != 0) {
        return WERR_INVALID;
    }
    if (!fill_sides(dictionary, spans, i, &request)) {
        return WERR_DICTIONARY;
    }
    if (fill_counts(dictionary, spans, i, &request) != 0) {
        return WERR_INVALID;
    }
    if (!fill_route_and_method(dictionary, spans, i, &request)) {
        return WERR_DICTIONARY;
    }
    fill_parties(dictionary, &request);
    memcpy(request.trace_id, spans->trace_ids + i * sizeof request.trace_id, sizeof request.trace_id);
    memcpy(request.span_id, spans->span_ids + i * sizeof request.span_id, sizeof request.span_id);
    *ret_request = request;
    return 0;
}
