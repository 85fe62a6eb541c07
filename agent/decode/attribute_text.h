/*
 * An attribute's value as the text of a label: texts as they are, numbers and booleans in decimal, bytes in
 * base64, lists and maps as JSON (OpenTelemetry's "AnyValue representation for non-OTLP protocols"). Pure;
 * any thread.
 */
#ifndef WEFT_DECODE_ATTRIBUTE_TEXT_H
#define WEFT_DECODE_ATTRIBUTE_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "decode/attribute.h"

/*
 * The text, either in the message or in `out`, of which *used bytes are taken and advanced. depth_left:
 * levels of lists that may be opened. 0, or negative: WERR_OVERSIZED past out_bytes, WERR_DEPTH, or damage.
 */
int attribute_text(const struct attribute_value *value, uint32_t depth_left, char *out, size_t out_bytes,
    size_t *used, struct slice *ret_text);

#endif
