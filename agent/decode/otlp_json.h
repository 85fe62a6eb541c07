/*
 * OTLP as JSON (opentelemetry-proto docs/specification.md, "JSON Protobuf Encoding"), written anew as OTLP
 * protobuf, the way of which it then goes.
 *
 * ProtoJSON with OTLP's exceptions: trace and span ids are hex in any case, enums are numbers (names are
 * taken too), keys are lowerCamelCase, unknown keys are skipped, 64-bit integers are strings or numbers,
 * bytes are base64, null is absent. An id that is not hex becomes one that every scanner refuses, so that it
 * costs its own record only; any other value of a wrong type makes the document invalid.
 *
 * Driven by tables: a row a field, of opentelemetry/proto/{trace,metrics,logs,common,resource}/v1. Pure; runs
 * on the thread that owns the buffer.
 */
#ifndef WEFT_DECODE_OTLP_JSON_H
#define WEFT_DECODE_OTLP_JSON_H

#include "core/buffer.h"
#include "core/slice.h"
#include "decode/decode_error.h"

enum otlp_json_request { OTLP_JSON_TRACES, OTLP_JSON_METRICS, OTLP_JSON_LOGS };

/* JSON levels that a request has around an attribute's value, and that each list in such a value adds. */
enum { OTLP_JSON_DEPTH = 16, OTLP_JSON_DEPTH_OF_LIST = 4 };

/*
 * Appends the request to `out`, which has room for JSON_OTLP_BYTES_MAX(text.length) (json_otlp.h). depth_max:
 * of lists in an attribute's value. 0, or WERR_INVALID, WERR_TRUNCATED, WERR_DEPTH of the document, with
 * *ret_error naming the field, or WERR_NOMEM, WERR_OVERSIZED of the buffer. After an error nothing in `out`
 * is of use.
 */
int otlp_json_to_protobuf(struct slice text, enum otlp_json_request request, uint32_t depth_max,
    struct buffer *out, struct decode_error *ret_error);

#endif
