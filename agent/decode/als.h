/*
 * Reads a message of Envoy's gRPC access log service (envoy.service.accesslog.v3, StreamAccessLogsMessage) in
 * place and without allocation, and hands over each entry.
 *
 *   message ─► identifier (only in a stream's first one; its list of extensions is passed over) ─► node's
 * names └► http_logs, tcp_logs ─► entry ─► on_entry | on_refused
 *
 * An entry that is damaged within its own length is refused alone. When the structure around entries is
 * damaged nothing is handed over. Any thread.
 *
 * Custom tags that are read, where the configuration adds them to the logger: trace_id, span_id, grpc_status,
 * upstream_cluster (Envoy leaves it out of entries whose request reached no host), upstream_peer_uri_san,
 * weft.reporter (source, destination or waypoint), weft.route (a template). "-" is not told.
 *
 * Source of the field numbers: envoy/service/accesslog/v3/als.proto, envoy/data/accesslog/v3/accesslog.proto
 * and envoy/config/core/v3/{base,address}.proto of Envoy 1.40.
 */
#ifndef WEFT_DECODE_ALS_H
#define WEFT_DECODE_ALS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/slice.h"
#include "decode/access_log.h"
#include "decode/decode_error.h"

/* What a stream's first message says; slices of it. */
struct als_identifier {
    bool is_there;
    struct access_log_reporter reporter;
};

struct als_memory; /* als_memory.h */

struct als_sink {
    void *user;
    struct als_memory *memory; /* of the thread that scans; NULL: every entry is read for itself */
    bool wants_all; /* else entries hold what requests are counted by: no request ids, addresses, agent,
                       details */
    /* record: index of the entry in the message. The entry and what it borrows are valid during the call. */
    void (*on_entry)(void *user, const struct access_log_entry *entry, uint32_t record);
    /* where->reason says why, where->record which. */
    void (*on_refused)(void *user, const struct decode_error *where);
};

/*
 * The structure of a message: whether it is sound, what its identifier says, how many entries it holds. To be
 * called before als_scan, so that a message is refused before anything of it is applied. Negative, with
 * *ret_error, when it is broken.
 */
int als_read(struct slice message, struct als_identifier *ret_identifier, uint32_t *ret_entries_count,
    struct decode_error *ret_error);

/* Hands over the entries of a message that als_read found sound; of any other it does so until the damage. */
void als_scan(struct slice message, const struct als_sink *sink);

/* Reads one encoded HTTPAccessLogEntry or TCPAccessLogEntry; memory, wants_all: as in the sink. 0, or a
 * negative code with *ret_field. */
int als_read_http(struct slice encoded, struct als_memory *memory, bool wants_all,
    struct access_log_entry *entry, const char **ret_field);
int als_read_tcp(struct slice encoded, struct als_memory *memory, bool wants_all,
    struct access_log_entry *entry, const char **ret_field);

#endif
