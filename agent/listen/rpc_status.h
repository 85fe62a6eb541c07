/*
 * google.rpc.Status, which gRPC sends in grpc-status-details-bin and OTLP/HTTP as the body of an error
 * (google/rpc/status.proto, error_details.proto). Pure.
 */
#ifndef WEFT_LISTEN_RPC_STATUS_H
#define WEFT_LISTEN_RPC_STATUS_H

#include <stddef.h>
#include <stdint.h>

/* google.rpc.Code: all that we send. */
enum grpc_code {
    GRPC_OK = 0,
    GRPC_INVALID_ARGUMENT = 3,
    GRPC_DEADLINE_EXCEEDED = 4,
    GRPC_PERMISSION_DENIED = 7,
    GRPC_RESOURCE_EXHAUSTED = 8,
    GRPC_UNIMPLEMENTED = 12,
    GRPC_INTERNAL = 13,
    GRPC_UNAVAILABLE = 14,
};

enum { RPC_STATUS_TEXT_BYTES_MAX = 192, RPC_STATUS_BYTES_MAX = 256 + 2 * RPC_STATUS_TEXT_BYTES_MAX };

/* Returns the length. A longer text is cut; retry_after_ms above 0: a RetryInfo is among the details. */
size_t rpc_status_write(
    uint8_t out[static RPC_STATUS_BYTES_MAX], enum grpc_code code, const char *text, uint32_t retry_after_ms);

/* The same as JSON (RFC 8259): {"code":3,"message":"…"}. What is not printable ASCII becomes '?'. */
size_t rpc_status_write_json(uint8_t out[static RPC_STATUS_BYTES_MAX], enum grpc_code code, const char *text);

#endif
