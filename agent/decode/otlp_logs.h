/*
 * Scans an OTLP ExportLogsServiceRequest in one pass and without allocation. Records of a proxy's access
 * logger become access_log_entries by a fixed map of keys to fields; all others are only counted and passed
 * on.
 *
 *   request ─► resource_logs ─► resource: who writes ─► scope_logs ─► log_records ─► on_entry | on_other |
 * on_refused
 *
 * The fields of an access-log record are its attributes, or the entries of its body when that is a map. A
 * body that is text is not looked into. Source of the field numbers: opentelemetry/proto/logs/v1/logs.proto.
 */
#ifndef WEFT_DECODE_OTLP_LOGS_H
#define WEFT_DECODE_OTLP_LOGS_H

#include "core/buffer.h"
#include "decode/access_log.h"
#include "decode/otlp_trace.h"

/*
 * Keys that are read: X(FIELD, key). Those of OpenTelemetry's conventions, of Istio's JSON log, and names for
 * what neither has. The first key of a field that a record holds wins.
 */
#define WEFT_LOG_KEYS(X)                                                                                     \
    X(METHOD, "http.request.method")                                                                         \
    X(METHOD, "http.method")                                                                                 \
    X(METHOD, "method")                                                                                      \
    X(PATH, "url.path")                                                                                      \
    X(PATH, "http.target")                                                                                   \
    X(PATH, "path")                                                                                          \
    X(ROUTE, "http.route")                                                                                   \
    X(AUTHORITY, "authority")                                                                                \
    X(AUTHORITY, "server.address")                                                                           \
    X(USER_AGENT, "user_agent.original")                                                                     \
    X(USER_AGENT, "user_agent")                                                                              \
    X(PROTOCOL, "protocol")                                                                                  \
    X(PROTOCOL, "http.protocol")                                                                             \
    X(PROTOCOL_VERSION, "network.protocol.version")                                                          \
    X(CODE, "http.response.status_code")                                                                     \
    X(CODE, "http.status_code")                                                                              \
    X(CODE, "response_code")                                                                                 \
    X(GRPC_STATUS, "rpc.grpc.status_code")                                                                   \
    X(GRPC_STATUS, "rpc.response.status_code")                                                               \
    X(GRPC_STATUS, "grpc_status")                                                                            \
    X(FLAGS, "response_flags")                                                                               \
    X(DETAILS, "response_code_details")                                                                      \
    X(TERMINATION, "connection_termination_details")                                                         \
    X(DURATION_US, "duration_us")                                                                            \
    X(DURATION_MS, "duration")                                                                               \
    X(DURATION_MS, "duration_ms")                                                                            \
    X(RECEIVED, "bytes_received")                                                                            \
    X(RECEIVED, "http.request.body.size")                                                                    \
    X(SENT, "bytes_sent")                                                                                    \
    X(SENT, "http.response.body.size")                                                                       \
    X(ATTEMPTS, "attempt_count")                                                                             \
    X(ATTEMPTS, "upstream_request_attempt_count")                                                            \
    X(ROUTE_NAME, "route_name")                                                                              \
    X(UPSTREAM_CLUSTER, "upstream_cluster")                                                                  \
    X(UPSTREAM_HOST, "upstream_host")                                                                        \
    X(DOWNSTREAM_HOST, "downstream_remote_address")                                                          \
    X(DOWNSTREAM_HOST, "client.address")                                                                     \
    X(REQUEST_ID, "request_id")                                                                              \
    X(REQUEST_ID, "http.request.header.x-request-id")                                                        \
    X(UPSTREAM_IDENTITY, "upstream_peer_uri_san")                                                            \
    X(DOWNSTREAM_IDENTITY, "downstream_peer_uri_san")                                                        \
    X(LOCAL_IDENTITY, "downstream_local_uri_san")                                                            \
    X(TYPE, "access_log_type")                                                                               \
    X(REPORTER, "weft.reporter")

enum otlp_log_field {
    LOG_FIELD_METHOD,
    LOG_FIELD_PATH,
    LOG_FIELD_ROUTE,
    LOG_FIELD_AUTHORITY,
    LOG_FIELD_USER_AGENT,
    LOG_FIELD_PROTOCOL,
    LOG_FIELD_PROTOCOL_VERSION,
    LOG_FIELD_CODE,
    LOG_FIELD_GRPC_STATUS,
    LOG_FIELD_FLAGS,
    LOG_FIELD_DETAILS,
    LOG_FIELD_TERMINATION,
    LOG_FIELD_DURATION_US,
    LOG_FIELD_DURATION_MS,
    LOG_FIELD_RECEIVED,
    LOG_FIELD_SENT,
    LOG_FIELD_ATTEMPTS,
    LOG_FIELD_ROUTE_NAME,
    LOG_FIELD_UPSTREAM_CLUSTER,
    LOG_FIELD_UPSTREAM_HOST,
    LOG_FIELD_DOWNSTREAM_HOST,
    LOG_FIELD_REQUEST_ID,
    LOG_FIELD_UPSTREAM_IDENTITY,
    LOG_FIELD_DOWNSTREAM_IDENTITY,
    LOG_FIELD_LOCAL_IDENTITY,
    LOG_FIELD_TYPE,
    LOG_FIELD_REPORTER,
    LOG_FIELD_COUNT
};

enum { LOG_KEY_SLOT_COUNT = 256, LOG_FIELD_NONE = 255 };

struct otlp_logs_scanner {
    const struct otlp_trace_scanner *base; /* its attribute table and limits */
    uint8_t slots[LOG_KEY_SLOT_COUNT];     /* index of a key, or LOG_FIELD_NONE */
};

/* `base` is borrowed and must outlive the scanner, which is then only read. */
void otlp_logs_scanner_init(struct otlp_logs_scanner *scanner, const struct otlp_trace_scanner *base);

struct otlp_logs_sink {
    void *user;
    /* Before the records of each resource. */
    void (*on_resource)(void *user, const struct access_log_reporter *reporter);
    /* An access-log record. */
    void (*on_entry)(void *user, const struct access_log_entry *entry);
    /* A record that is none. */
    void (*on_other)(void *user);
    /* where->reason says why, where->record which. */
    void (*on_refused)(void *user, const struct decode_error *where);
};

struct otlp_logs_result {
    uint32_t records_count;            /* handed over, those that are no access log included */
    uint32_t refused_count;            /* refused one by one */
    uint64_t attributes_skipped_count; /* not looked at because of a limit */
    bool needs_rewrite;                /* something to redact, or a refused record, is in the message */
};

/* As otlp_trace_scan. */
int otlp_logs_scan(const struct otlp_logs_scanner *scanner, struct slice message, uint64_t now_unix_ns,
    const struct otlp_logs_sink *sink, struct otlp_logs_result *ret_result, struct decode_error *ret_error);

/*
 * Reads one encoded LogRecord; is_envoy: its resource is a proxy's. RECORD_ERROR_NONE with
 * *ret_is_access_log, or the reason with `where` filled.
 */
enum record_error otlp_logs_read_record(const struct otlp_logs_scanner *scanner, struct slice encoded,
    uint64_t now_unix_ns, bool is_envoy, struct access_log_entry *ret_entry, bool *ret_is_access_log,
    bool *ret_is_dirty, uint64_t *skipped_count, struct decode_error *where);

/*
 * Appends a copy of the message without refused records, query strings and redacted values; for messages of
 * which the scan said needs_rewrite. *ret_records_count: records in the copy. Where the scan ended at a
 * broken structure the copy ends too, closed properly: 0 is returned. WERR_NOMEM or WERR_OVERSIZED with `out`
 * as it was.
 */
int otlp_logs_rewrite(const struct otlp_logs_scanner *scanner, struct slice message, struct buffer *out,
    uint32_t *ret_records_count);

#endif
