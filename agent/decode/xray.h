/*
 * AWS X-Ray segment documents, as SDKs and Envoy send them to the X-Ray daemon: a datagram of a header line
 * and one segment or subsegment, written anew as OTLP. Format:
 * https://docs.aws.amazon.com/xray/latest/devguide/xray-api-segmentdocuments.html
 *
 *   {"format":"json","version":1}\n{"name":"shop","id":"…","trace_id":"1-XXXXXXXX-24 hex", … }
 *
 *   trace_id                  the 8 and 24 hex digits together; 32 hex digits as well
 *   start_time, end_time      seconds ─► ns, digit by digit
 *   segment                   kind SERVER, its name is the service's name
 *   subsegment                CLIENT with namespace "remote" or "aws", where its name is peer.service; else
 *                             INTERNAL. Nested ones belong to the service and trace of what holds them
 *   http.request, .response   http.request.method, url.full, http.response.status_code, …
 *   fault, error              status; throttle ─► aws.xray.throttle
 *   annotations               attributes; aws, metadata, cause, sql, … ─► aws.xray.*
 *   in_progress               not a span yet: ignored, and counted
 *
 * Envoy's segments (annotation component=proxy) tell by `direction` which side of a hop they are: egress is
 * CLIENT. Its subsegments are attempts, and do not say whose they are.
 */
#ifndef WEFT_DECODE_XRAY_H
#define WEFT_DECODE_XRAY_H

#include "decode/json_otlp.h"

/* As zipkin_to_otlp; WERR_INVALID also for a header that announces something else. */
int xray_to_otlp(struct slice datagram, uint32_t depth_max, struct buffer *out,
    struct json_otlp_result *ret_result, struct decode_error *ret_error);

#endif
