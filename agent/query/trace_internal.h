/* What the files of the trace model share; for them alone. */
#ifndef WEFT_QUERY_TRACE_INTERNAL_H
#define WEFT_QUERY_TRACE_INTERNAL_H

#include "decode/otlp_json_schema.h"
#include "query/trace_model.h"

/* The messages that a request for traces holds. */
enum trace_message {
    TRACE_MESSAGE_REQUEST,
    TRACE_MESSAGE_RESOURCE_SPANS,
    TRACE_MESSAGE_RESOURCE,
    TRACE_MESSAGE_SCOPE_SPANS,
    TRACE_MESSAGE_SCOPE,
    TRACE_MESSAGE_SPAN,
};
const struct otlp_json_message *trace_schema(enum trace_message message);

/* The row of a field number, or NULL. */
const struct otlp_json_field *trace_schema_field(const struct otlp_json_message *schema, uint32_t number);

/*
 * Whether a message can be read down to its last field: wire types as the table has them, lengths that fit,
 * at most TRACE_DEPTH_MAX messages within each other. Unknown fields are passed over. 0 or a WERR_ code.
 */
int trace_check(const struct otlp_json_message *schema, struct slice message, uint32_t depth_left);

/* Spans and their order: trace_finish.c. */
int trace_resolve(struct trace_model *model);

#endif
