/*
 * An access-log record to a request or a connection: the normal form that everything behind counts, with the
 * names that spans of the same proxy would get. Runs in the shard that received the record, for each record;
 * allocates nothing.
 *
 *   entry + reporter ─► hash of the names in it ─► memo: ids of both sides ─┐
 *                                   not there: read names, intern, keep ────┴─► route, ending ─► request
 */
#ifndef WEFT_CONTEXT_ACCESS_LOG_H
#define WEFT_CONTEXT_ACCESS_LOG_H

#include "context/context.h"
#include "context/request.h"
#include "decode/access_log.h"

enum access_log_meaning {
    ACCESS_LOG_IS_REQUEST,
    ACCESS_LOG_IS_CONNECTION,
    ACCESS_LOG_IS_ATTEMPT, /* LOGS_ATTEMPTS; adds nothing: the request's own record has their number */
    ACCESS_LOG_IS_NEITHER, /* LOGS_NOT_A_REQUEST */
    ACCESS_LOG_IS_REFUSED, /* LOGS_DROPPED_IDENTITY: its writer claims to be somebody else than the peer is */
    ACCESS_LOG_IS_LATE,    /* LOGS_DROPPED_TIME: it ended further from now than limits.time_skew_s */
};

enum {
    ACCESS_LOG_MEMOS_COUNT = 256,
    ACCESS_LOG_MEMO_ROUTE_BYTES_MAX = 63,
    ACCESS_LOG_ATTEMPTS_MAX = 1024, /* more of them are taken as not told */
};

/*
 * A log's writer with what it came to. The caller fills `names` (whose texts live as long as this does) and
 * leaves the rest zeroed; one a stream, a resource or a listener. Change `names` only in a new one.
 */
struct log_reporter {
    struct access_log_reporter names;
    uint8_t mesh; /* core/mesh_names.h; 0: the sender's. The caller's as well */
    /* access_log.c's own */
    uint32_t epoch; /* of the context: later, ids may be stale */
    uint32_t sender;
    uint64_t key; /* of the names */
    struct service_ids ids;
    bool is_conflict; /* it claims to be somebody else than the peer is */
};

/* What the names of an entry came to. */
struct access_log_memo {
    uint64_t hash; /* of the names; 0: empty */
    uint64_t key;  /* of the reporter */
    uint32_t epoch;
    uint32_t sender;
    uint8_t reporter; /* enum reporter */
    uint8_t method;   /* enum method */
    struct service_ids source;
    struct service_ids destination;
    struct request_parties parties; /* for naming profiles */
    struct count_voice voice;
    uint32_t route_id;
    uint8_t route_bytes; /* of the route before; 0: none kept */
    uint8_t route[ACCESS_LOG_MEMO_ROUTE_BYTES_MAX];
};

/* One a shard, beside its context. */
struct access_log_memos {
    uint64_t seed;
    struct access_log_memo memos[ACCESS_LOG_MEMOS_COUNT];
};

void access_log_memos_init(struct access_log_memos *memos);

/*
 * Within a batch (context_batch_begin). Writes *ret_request for ACCESS_LOG_IS_REQUEST, with signal
 * REQUEST_FROM_LOG or REQUEST_FROM_OTLP_LOG, and *ret_connection for ACCESS_LOG_IS_CONNECTION. `sender` is
 * bound (context_sender_bind) or NULL. A request's voice is filled; request.stored is left false. Counts
 * METRIC_ROUTES_LIMITED and METRIC_IDENTITY_CONFLICTS; the ledger's terms are the caller's: LOGS_RECEIVED
 * always, then the one that the meaning names; for a request pipeline_count_request, for a connection
 * directory_record_connection, which count the rest.
 */
enum access_log_meaning access_log_to_request(struct context *context, struct access_log_memos *memos,
    const struct access_log_entry *entry, struct log_reporter *reporter, const struct sender *sender,
    uint64_t now_unix_ns, struct request *ret_request, struct connection *ret_connection);

#endif
