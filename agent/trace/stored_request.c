/* Reading a request back from its compact form; see stored_request.h. */
#include "trace/stored_request.h"

#include <string.h>

#include "context/interner.h"

/* The agent's own word for "not told" is no name of anybody. */
static struct slice told_name(const struct block_view *view, uint16_t place)
{
    struct slice name = block_view_name(view, place);

    return slice_equal(name, SLICE_LITERAL("unknown")) ? slice_of(NULL, 0) : name;
}

static enum otlp_encode_reporter reporter_of(const struct stored_request *stored)
{
    return stored->reporter < REPORTER_COUNT ? (enum otlp_encode_reporter)stored->reporter
                                             : OTLP_ENCODE_SOURCE;
}

static struct slice method_of_stored(const struct stored_request *stored)
{
    return stored->method < METHOD_COUNT ? slice_of_string(method_name((enum method)stored->method))
                                         : slice_of(NULL, 0);
}

static struct slice protocol_of_stored(const struct stored_request *stored)
{
    return stored->protocol < PROTOCOL_COUNT && stored->protocol != PROTOCOL_UNKNOWN
               ? slice_of_string(protocol_name((enum protocol)stored->protocol))
               : slice_of(NULL, 0);
}

bool stored_request_read(const struct block_view *view, const struct block_entry *entry,
    const struct block_record *record, struct otlp_encode_span *ret_span)
{
    uint64_t response_flags;
    struct slice payload = block_view_payload(entry, record, &response_flags);

    if (payload.length != sizeof(struct stored_request)) {
        return false;
    }
    /* a record lies at a place and is, with its flags, a multiple of 8 long: so its payload is aligned */
    const struct stored_request *stored = (const struct stored_request *)(const void *)payload.ptr;
    *ret_span = (struct otlp_encode_span){
        .reporter = reporter_of(stored),
        .source = told_name(view, stored->source),
        .source_namespace = told_name(view, stored->source_namespace),
        .destination = told_name(view, stored->destination),
        .destination_namespace = told_name(view, stored->destination_namespace),
        .route = told_name(view, entry->route),
        .method = method_of_stored(stored),
        .protocol = protocol_of_stored(stored),
        .response_code = record->response_code,
        .grpc_status = stored->grpc_status,
        .response_flags = response_flags,
        .attempts = stored->attempts,
        .request_bytes = stored->request_bytes,
        .response_bytes = stored->response_bytes,
        .start_unix_ns = record->start_unix_ns,
        .duration_ns = record->duration_ns,
        .sampling_threshold = stored->sampling_threshold,
        .trace_id = record->trace_id,
        .span_id = record->span_id,
        .parent_id = stored->parent_id,
    };
    return true;
}
