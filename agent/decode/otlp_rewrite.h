/*
 * Copies an ExportTraceServiceRequest without what may not be stored: refused spans, query strings, redacted
 * values. For messages of which the scanner said needs_rewrite; all others leave as the bytes that came.
 *
 * A secret's value becomes "[redacted]"; a URL is cut before its '?'; a query string becomes empty; a list
 * that holds any of these is written anew around them; a text of a scope, or a schema's URL, that is not
 * UTF-8 is left out. Everything else, unknown fields included, is copied as it is.
 */
#ifndef WEFT_DECODE_OTLP_REWRITE_H
#define WEFT_DECODE_OTLP_REWRITE_H

#include "core/buffer.h"
#include "decode/otlp_trace.h"

/*
 * Appends to `out`, whose cap bounds the output. now_unix_ns must be what the scan was given, so that the
 * same spans are refused. *ret_spans_count: spans in the copy; with 0 there is nothing to send, and `out`
 * holds what it held.
 *
 * Where the scan ended at a broken structure the copy ends too, closed properly: 0 is returned. Negative,
 * with `out` as it was: WERR_NOMEM or WERR_OVERSIZED.
 */
int otlp_rewrite(const struct otlp_trace_scanner *scanner, struct slice message, uint64_t now_unix_ns,
    struct buffer *out, uint32_t *ret_spans_count);

/*
 * The same, without reading each span again, for a message that was scanned to its end with refused_count 0.
 * With any other message the copy would hold spans that were refused.
 */
int otlp_rewrite_sound(const struct otlp_trace_scanner *scanner, struct slice message, struct buffer *out,
    uint32_t *ret_spans_count);

/*
 * One attribute of which attribute_is_dirty said 1, as field `number` of whatever it is in; flags as given
 * there. Errors stick to the buffer.
 */
void otlp_rewrite_attribute(const struct attribute_table *table, struct buffer *out, uint32_t number,
    const struct attribute *attribute, uint8_t flags);

/* An AnyValue, lists in it without what is dirty in them. */
void otlp_rewrite_value(const struct attribute_table *table, struct buffer *out, uint32_t number,
    const struct attribute_value *value);

#endif
