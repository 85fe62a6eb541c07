/*
 * The record path of one shard, the stages in their order: decode ─► context ─► aggregate, and the bytes to
 * the exporter. Runs on the shard's loop; nothing here allocates, locks or logs per record.
 */
#ifndef WEFT_AGENT_PIPELINE_H
#define WEFT_AGENT_PIPELINE_H

#include <stdbool.h>
#include <stdint.h>

#include "aggregate/directory.h"
#include "context/access_log.h"
#include "context/context.h"
#include "context/count_source.h"
#include "context/held_requests.h"
#include "context/native_request.h"
#include "context/pending_attempts.h"
#include "context/sender.h"
#include "core/arena.h"
#include "core/clock.h"
#include "core/limits.h"
#include "core/metrics.h"
#include "decode/als_memory.h"
#include "decode/native.h"
#include "decode/otlp_logs.h"
#include "decode/otlp_memory.h"
#include "decode/otlp_trace.h"
#include "listen/grpc.h"
#include "listen/native_connection.h"
#include "pipeline/pipeline_keep.h"
#include "pipeline/pipeline_metrics.h"
#include "pipeline/pipeline_timing.h"
#include "pipeline/span_segment.h"
#include "trace/ring.h"
#include "trace/tap.h"

struct config;

enum {
    PIPELINE_ARENA_FIRST_BYTES = 1048576,
    PIPELINE_ARENA_FACTOR = 8, /* columns of one-byte varints unpack to eight bytes each */
};

struct pipeline {
    const struct limits *limits;
    const struct clock *clock; /* the coarse one: it is read for each message */
    struct metric_cells *cells;
    struct interner *interner;
    struct context context;
    struct directory *directory;
    struct pending_attempts *pending;   /* attempts that came before their request */
    struct count_sources *counts;       /* the process's */
    struct held_requests held;          /* told by spans of proxies that may have an access log */
    struct access_log_memos *log_memos; /* names of access-log records; owned */
    struct otlp_trace_scanner scanner;
    struct otlp_logs_scanner logs_scanner; /* on top of it */
    struct otlp_memory *memory;            /* of OTLP senders; owned */
    struct als_memory *als_memory;         /* of access log streams; owned */
    struct ring *ring;                     /* of recent spans; owned; NULL: none */
    struct pipeline_keep keep;             /* which of their traces leave */
    struct pipeline_timing timing;         /* when they were, for the trace thread */
    struct tap_feed *taps;                 /* of those who watch live; NULL: nobody does; borrowed */
    struct span_segment segment;
    struct span_segment log_segment;
    struct arena arena;               /* of one native payload */
    struct pipeline_metrics *metrics; /* of one data point; owned */
    bool counters_are_deltas;         /* those of Envoy's metrics service */
    bool draining;                    /* new messages are refused */
};

/* What a pipeline is made of; everything is borrowed and outlives it. */
struct pipeline_config {
    uint32_t shard;                  /* its index */
    struct sender_mesh_rules meshes; /* of senders */
    struct route_rules route_rules;  /* of paths; borrowed */
    uint32_t dropped_labels;         /* bits 1 << enum droppable_label */
    const struct limits *limits;
    const struct clock *clock;
    const struct split_bounds *bounds;
    const struct redaction *redaction;
    struct count_sources *counts;
    struct budget *series; /* memory of values and strings, shared with the other shards and the aggregator */
    bool refuse_conflicts; /* records whose claims contradict their sender are dropped */
    struct pods *pods;     /* of this node; NULL: known by uid alone */
    struct metric_cells *cells;
    uv_loop_t *loop;
    struct profile_settings profiles; /* the naming profiles that are served; zeroes: none */
    const char *cluster;              /* the configured one, or NULL */
    bool counters_are_deltas;         /* of Envoy's metrics service */
    struct exporter_thread *exporter; /* NULL: spans are not exported */
    uint64_t ring_bytes;              /* of this shard's ring; below RING_SHARE_BYTES_MIN: it has none */
    bool ring_compresses;             /* what lies there for a while; who owns the loop calls ring_freeze */
    struct exporter_thread *log_exporter; /* NULL: log records are not exported */
    struct pipeline_keep_config keep;     /* zeroes: no trace is kept, all spans are exported as they come */
    struct pipeline_timing_config timing; /* zeroes: nobody joins spans */
};

/* Whether spans are exported as they come, kept or not. */
static inline bool pipeline_exports_all(const struct pipeline *pipeline)
{
    return span_segment_wanted(&pipeline->segment) && !pipeline->keep.kept_only;
}

/* 0 or WERR_NOMEM. A failed init leaves nothing to undo. */
int pipeline_init(struct pipeline *pipeline, const struct pipeline_config *config);

/*
 * Takes over the live keys, between messages; limits are the owner's, who has changed them before. `config`
 * outlives the pipeline or the next call.
 */
void pipeline_reconfigure(struct pipeline *pipeline, const struct config *config, size_t shard_count);

/* Hands over what waits for the exporter and closes the pipeline's handle, which ends by the next turn of the
 * loop. */
void pipeline_close(struct pipeline *pipeline);

/* After the handle has ended. A zeroed one is fine. */
void pipeline_deinit(struct pipeline *pipeline);

/* Whether a message may be taken now: 0; WERR_CLOSED, draining; WERR_NOMEM, memory of values is full. */
int pipeline_admits(const struct pipeline *pipeline);

/* Before the records of a message of this sender: context_batch_begin. */
void pipeline_batch_begin(struct pipeline *pipeline, const struct sender *sender);

/* Who is at the other end of a connection that sends records; one a connection. */
struct peer {
    struct pipeline *pipeline;
    struct sender sender;
    struct peer *next; /* of all peers of the shard */
    struct peer *previous;
    /* the native stream's */
    struct native_dictionary dictionary;
};

/* What is said of an OTLP message. */
struct otlp_outcome {
    uint32_t spans_count; /* or log records, that were taken */
    uint32_t rejected_count;
    char text[DECODE_ERROR_TEXT_BYTES]; /* the first thing that was wrong, or "" */
};

/*
 * Takes an ExportTraceServiceRequest. 0: the outcome says what was rejected. WERR_CLOSED: draining.
 * WERR_NOMEM: memory of values is full, nothing was applied. Any other negative code: the message's structure
 * is broken; spans before the damage were taken.
 */
int pipeline_otlp_traces(struct pipeline *pipeline, const struct sender *sender, struct slice message,
    struct otlp_outcome *ret_outcome);

/* The same for an ExportMetricsServiceRequest. */
int pipeline_otlp_metrics(struct pipeline *pipeline, const struct sender *sender, struct slice message,
    struct otlp_outcome *ret_outcome);

/* The same for an ExportLogsServiceRequest. */
int pipeline_otlp_logs(struct pipeline *pipeline, const struct sender *sender, struct slice message,
    struct otlp_outcome *ret_outcome);

/* A partial success (ExportTraceServiceResponse, ExportMetricsServiceResponse) into out; returns its length,
 * 0 when there is nothing to say. */
size_t pipeline_otlp_reply(const struct otlp_outcome *outcome, uint8_t *out, size_t out_bytes);

/*
 * Counts attempts whose request has not come for a while without a route; `all`: every one, because the shard
 * ends. Once a second or so.
 */
void pipeline_expire_attempts(struct pipeline *pipeline, bool all);

/* Counts a request, holds it, or leaves it to what tells its proxy's requests better. What is known of its
 * series: whether it is new only where it is counted now. */
struct record_note pipeline_count_request(struct pipeline *pipeline, const struct request *request);

/* Shows a request to those who watch. */
static inline void pipeline_tap(const struct pipeline *pipeline, const struct request *request)
{
    if (pipeline->taps != NULL) {
        tap_feeds_offer(pipeline->taps, request, pipeline->interner, pipeline->context.now_monotonic_ns);
    }
}

/*
 * Takes one access-log record, whatever it came as: counts it as received and as what it is. Within a batch
 * (context_batch_begin); the sender is bound.
 */
void pipeline_take_log(struct pipeline *pipeline, const struct access_log_entry *entry,
    struct log_reporter *reporter, const struct sender *sender, uint64_t now_unix_ns);

/* The same for a record that its receiver passes on itself. */
enum access_log_meaning pipeline_count_entry(struct pipeline *pipeline, const struct access_log_entry *entry,
    struct log_reporter *reporter, const struct sender *sender, uint64_t now_unix_ns);

/*
 * Into the ring of traces; false, counted, when it is not there then. A span by what it stands for: a
 * request, an attempt, neither, of the service with that id; a native one; an access-log entry, false also
 * for one without trace and span id.
 */
bool pipeline_store_request_span(
    struct pipeline *pipeline, const struct span *span, const struct request *request);
bool pipeline_store_attempt_span(
    struct pipeline *pipeline, const struct span *span, const struct attempt *attempt);
bool pipeline_store_other_span(struct pipeline *pipeline, const struct span *span, uint32_t service);
bool pipeline_store_native(struct pipeline *pipeline, const struct native_dictionary *dictionary,
    const struct request *request, const uint8_t *parent_id, uint64_t sampling_threshold);
bool pipeline_store_log(struct pipeline *pipeline, const struct request *request);

/* Settles the held requests whose proxy is decided; `all`: every one, because the shard ends. Once a second
 * or so. */
void pipeline_settle_held(struct pipeline *pipeline, bool all);

/* Hands what the context noted of workloads to the values. At the end of each message. */
void pipeline_take_workloads(struct pipeline *pipeline);

/* The gRPC methods that the agent serves; `user` is the pipeline, connection_user a struct peer. */
extern const struct grpc_method pipeline_grpc_methods[];
extern const size_t pipeline_grpc_method_count;

/* The access log service's stream: what it carries, and its end (grpc_method.message, .closed). */
int pipeline_als_message(
    void *user, struct grpc_call *call, struct slice message, struct grpc_answer *answer);
void pipeline_als_closed(void *user, struct grpc_call *call);

/* The native stream's handlers, but `closed`, which is the shard's; `user` is a struct peer. */
void pipeline_native_hello(
    void *user, struct native_connection *connection, struct slice payload, struct native_reply *reply);
void pipeline_native_dictionary(
    void *user, struct native_connection *connection, struct slice payload, struct native_reply *reply);
void pipeline_native_spans(
    void *user, struct native_connection *connection, struct slice payload, struct native_reply *reply);
void pipeline_native_metrics(
    void *user, struct native_connection *connection, struct slice payload, struct native_reply *reply);
void pipeline_native_logs(
    void *user, struct native_connection *connection, struct slice payload, struct native_reply *reply);
void pipeline_native_stats(
    void *user, struct native_connection *connection, struct slice payload, struct native_reply *reply);

/* Of a refused span, by reason. */
enum metric_id pipeline_dropped_metric(enum record_error reason);

#endif
