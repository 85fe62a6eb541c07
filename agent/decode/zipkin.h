/*
 * Zipkin v2 JSON, the body of POST /api/v2/spans (https://zipkin.io/zipkin-api/#/default/post_spans): an
 * array of spans, written anew as an OTLP ExportTraceServiceRequest.
 *
 *   traceId, id, parentId     hex; a trace id of 64 bits gets zeroes in front, as Zipkin's own storage does
 *   timestamp, duration       µs ─► start and end in ns; without a duration the span ends as it starts
 *   kind                      CLIENT, SERVER, PRODUCER, CONSUMER; without one, no kind
 *   localEndpoint             serviceName ─► service.name; address ─► network.local.*
 *   remoteEndpoint            serviceName ─► peer.service; address ─► network.peer.*
 *   tags                      attributes, all of them texts; `error` ─► status
 *   annotations               events
 *   shared, debug             attributes zipkin.shared, zipkin.debug
 *
 * The resource of an Envoy's spans (tag component=proxy) says telemetry.sdk.name=envoy, as that of Envoy's
 * own OTLP tracer does: attempts have no other mark that a proxy sent them. Both sides of a shared span keep
 * the one id that they were sent with.
 */
#ifndef WEFT_DECODE_ZIPKIN_H
#define WEFT_DECODE_ZIPKIN_H

#include "decode/json_otlp.h"

/*
 * Appends to `out`, which has room for JSON_OTLP_BYTES_MAX(body.length). A span whose ids or values are not
 * what they should be is left out alone. 0; WERR_INVALID, WERR_TRUNCATED or WERR_DEPTH (lists nested deeper
 * than depth_max) when the document is broken, with *ret_error telling near which span; WERR_NOMEM or
 * WERR_OVERSIZED of the buffer. After an error nothing in `out` is of use.
 */
int zipkin_to_otlp(struct slice body, uint32_t depth_max, struct buffer *out,
    struct json_otlp_result *ret_result, struct decode_error *ret_error);

#endif
