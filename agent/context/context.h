/*
 * What a shard needs to turn records into requests: its interner, its route table, and what was looked up
 * lately. One thread owns it. Nothing here allocates after context_init.
 */
#ifndef WEFT_CONTEXT_CONTEXT_H
#define WEFT_CONTEXT_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "context/clean_text.h"
#include "context/interner.h"
#include "context/request.h"
#include "context/route.h"
#include "core/route_rules.h"
#include "context/sender.h"
#include "context/sender_mesh.h"
#include "context/service_name.h"
#include "context/workload_note.h"
#include "core/limits.h"
#include "core/metrics.h"
#include "core/slice.h"
#include "decode/span.h"

enum {
    CONTEXT_RESOURCE_TEXTS_COUNT = 6,
    CONTEXT_RESOURCE_BYTES_MAX =
        512, /* of a resource's names that are compared; longer ones are read each time */
    CONTEXT_NAMES_COUNT = 16,
    CONTEXT_NAME_BYTES_MAX = 104,
    CONTEXT_MEMO_ROUTE_BYTES_MAX = 63,
};

/* A service as ids. */
struct service_ids {
    uint32_t service; /* INTERNED_UNKNOWN, INTERNED_EXTERNAL, INTERNED_OVERFLOW or a name */
    uint32_t service_namespace;
};

/*
 * What the spans of a pattern are: who called whom and how. The request is that of the span before, so that
 * only what differs has to be read of the next.
 */
struct span_memo {
    uint64_t pattern;       /* 0: empty */
    uint32_t epoch;         /* of the context: later, its ids may be stale */
    uint32_t sender;        /* interner id */
    int32_t pid;            /* its process: proxies of one sender may differ in what they are counted from */
    uint8_t meaning;        /* enum span_meaning */
    bool expects_code;      /* a request that ends well has a status code */
    struct request request; /* of an attempt, too: the names and the weight */
    uint8_t route_bytes;    /* of request.route's text below; 0: not kept */
    uint8_t route[CONTEXT_MEMO_ROUTE_BYTES_MAX];
};

/* The resource of the span before, with what it came to. */
struct context_resource {
    bool filled;
    bool is_envoy;
    bool is_conflict; /* it claims to be somebody else than the peer is */
    struct service_ids ids;
    uint32_t sender; /* interner id, INTERNED_NONE for none */
    uint16_t lengths[CONTEXT_RESOURCE_TEXTS_COUNT];
    uint8_t text[CONTEXT_RESOURCE_BYTES_MAX];
};

/* A cluster or host seen in this epoch. */
struct context_name {
    uint8_t length; /* 0: empty */
    bool is_host;
    uint8_t side; /* enum cluster_side */
    struct service_ids ids;
    uint8_t text[CONTEXT_NAME_BYTES_MAX];
};

struct pods;

struct context {
    struct interner *interner;
    const struct limits *limits;
    struct metric_cells *cells;
    struct pods *pods;               /* NULL: pods are known by uid alone */
    struct sender_mesh_rules meshes; /* borrowed; set by the owner after context_init, none at first */
    struct route_rules route_rules;  /* likewise */
    struct count_sources *counts;    /* the process's, borrowed; NULL: all records count. Set by the owner */
    uint64_t now_monotonic_ns;       /* of the batch */
    struct route_table *routes;      /* owned */
    uint32_t route_rest; /* id of ROUTE_REST, a reference held: it is needed when nothing may be added */
    bool may_intern;
    bool refuse_conflicts; /* records whose claims contradict their sender are refused */
    uint32_t epoch; /* a new one after each sweep of the interner, and when may_intern changes: until then ids
                       that were looked up stay good */
    struct context_resource resource;
    struct context_name names[CONTEXT_NAMES_COUNT];
    struct span_memo memos[SPAN_PATTERNS_COUNT];                   /* by pattern_slot */
    struct workload_note workload_notes[WORKLOAD_NOTES_COUNT_MAX]; /* until they are taken */
    uint32_t workload_note_count;
    struct clean_text_buffer clean; /* scratch */
    struct route_buffer route;      /* scratch */
    uint32_t profiles;    /* bits 1 << enum profile (core/profiles.h) that are enabled; set after init */
    struct slice cluster; /* the configured one, borrowed; likewise */
};

/* interner, limits and cells are borrowed and outlive the context. WERR_NOMEM. */
int context_init(struct context *context, struct interner *interner, const struct limits *limits,
    struct metric_cells *cells);
void context_deinit(struct context *context);

/*
 * Before the first record of each batch. may_intern: whether its strings may be added to the interner (the
 * aggregate stage decides); if not, names that are not there yet become INTERNED_OVERFLOW.
 */
void context_batch_begin(struct context *context, bool may_intern, uint64_t now_monotonic_ns);

/* The id of a sender's text, cleaned: INTERNED_UNKNOWN when empty, INTERNED_OVERFLOW when it is new and
 * cannot be added. */
uint32_t context_intern(struct context *context, struct slice text);

struct service_ids context_intern_service(struct context *context, const struct service_name *name);

/* An Envoy cluster, or with is_host a host name, as ids; remembered for the epoch. *ret_side: enum
 * cluster_side. */
struct service_ids context_name_of(
    struct context *context, struct slice text, bool is_host, uint8_t *ret_side);

/* The resource of a span as ids, and whether an Envoy speaks; remembered while it stays the same within the
 * epoch. */
const struct context_resource *context_resource_of(
    struct context *context, const struct span_resource *resource, const struct sender *sender);

/* The template of a path, an absolute URL or "*": of a configured rule for the destination, else
 * route_template's. Good until the next call. */
struct slice context_route_of_path(
    struct context *context, struct service_ids destination, struct slice path);

/*
 * The route's id: `text` (already a template) when its destination still has room for it, else ROUTE_REST's.
 * INTERNED_UNKNOWN when empty.
 */
uint32_t context_route(struct context *context, struct service_ids destination, struct slice text);

/* The same with route_hash(text) and the text's id at hand. */
uint32_t context_route_known(
    struct context *context, struct service_ids destination, uint64_t hash, uint32_t id);

/*
 * Notes what stands behind a service, where something is told: by the records, else by what is known of the
 * sender. Within a batch; the notes are taken before it ends.
 */
void context_note_workload(struct context *context, struct service_ids service, struct slice workload,
    struct slice version, const struct sender *sender);

/* Interns the sender's id and holds a reference: once for each connection, on its shard. No room:
 * INTERNED_OVERFLOW. */
void context_sender_bind(struct context *context, struct sender *sender);
void context_sender_release(struct context *context, struct sender *sender);

#endif
