/*
 * A request in the compact form in which a block keeps it when it did not come as OTLP: a record's payload of
 * fixed size, its texts being names of the block. What profiles alone need is not kept. Runs on the ring's
 * thread.
 */
#ifndef WEFT_TRACE_STORED_REQUEST_H
#define WEFT_TRACE_STORED_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "context/request.h"
#include "decode/otlp_encode.h"
#include "trace/block.h"

struct stored_request {
    uint8_t parent_id[8];
    uint64_t request_bytes;
    uint64_t response_bytes;
    uint64_t sampling_threshold;
    uint32_t attempts;
    uint16_t source; /* names */
    uint16_t source_namespace;
    uint16_t destination;
    uint16_t destination_namespace;
    int16_t grpc_status;
    uint8_t reporter; /* enum reporter */
    uint8_t protocol; /* enum protocol */
    uint8_t method;   /* enum method */
    uint8_t reserved[7];
};

_Static_assert(sizeof(struct stored_request) == 56, "no padding whose bytes would be left undefined");

/* What of a request needs no names; the four names are the caller's. parent_id: 8 bytes or NULL. */
static inline void stored_request_fill(struct stored_request *stored, const struct request *request,
    const uint8_t *parent_id, uint64_t sampling_threshold)
{
    static const uint8_t none[sizeof stored->parent_id] = {0};

    memcpy(stored->parent_id, parent_id != NULL ? parent_id : none, sizeof stored->parent_id);
    stored->request_bytes = request->has_bytes ? request->request_bytes : 0;
    stored->response_bytes = request->has_bytes ? request->response_bytes : 0;
    stored->sampling_threshold = sampling_threshold;
    stored->attempts = request->attempts;
    stored->grpc_status = request->grpc_status;
    stored->reporter = request->reporter;
    stored->protocol = request->protocol;
    stored->method = request->method;
    memset(stored->reserved, 0, sizeof stored->reserved);
}

/*
 * The span that a stored request stands for, its texts and ids borrowed from the block. False when the
 * payload is none. Whatever the bytes are, the span's enumerations are within their range.
 */
bool stored_request_read(const struct block_view *view, const struct block_entry *entry,
    const struct block_record *record, struct otlp_encode_span *ret_span);

#endif
