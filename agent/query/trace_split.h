/*
 * One message with the spans of many traces into one message for each: what a peer answers is one document.
 * Spans of other traces are passed over. Pure; runs on the thread that owns the buffers.
 */
#ifndef WEFT_QUERY_TRACE_SPLIT_H
#define WEFT_QUERY_TRACE_SPLIT_H

#include "core/buffer.h"
#include "query/trace_model.h"

/*
 * Appends to parts[i] what the message (TracesData) has of ids[i], with its resources and scopes. 0;
 * WERR_NOMEM; or the code of broken structure: what came before it is there. What finds no room in a buffer
 * is left out, and the buffer's error says so.
 */
int trace_split(
    struct slice message, const uint8_t (*ids)[TRACE_MODEL_ID_BYTES], size_t id_count, struct buffer *parts);

#endif
