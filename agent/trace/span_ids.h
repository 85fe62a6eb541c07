/*
 * Which spans an OTLP message (TracesData) has: their ids, read in place. Messages may stand one behind the
 * other, as protobuf has it: together they are one. Pure; any thread.
 */
#ifndef WEFT_TRACE_SPAN_IDS_H
#define WEFT_TRACE_SPAN_IDS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/slice.h"
#include "decode/wire.h"

enum { SPAN_ID_LENGTH = 8 };

/* Zeroed but for the message: span_ids_of. */
struct span_ids {
    struct wire_reader message;
    struct wire_reader resource;
    struct wire_reader scope;
};

struct span_ids span_ids_of(struct slice message);

/* The next span's id, borrowed from the message; NULL at the end, and where the message is broken. A span
 * whose id is not 8 bytes long is passed over. */
const uint8_t *span_ids_next(struct span_ids *ids);

/* Whether the message has a span of that id. */
bool span_ids_have(struct slice message, const uint8_t span_id[static SPAN_ID_LENGTH]);

/* Whether all spans of `part` are in `whole`. False when there is no memory to tell. */
bool span_ids_include(struct slice whole, struct slice part);

#endif
