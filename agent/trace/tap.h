/*
 * Live requests for whoever watches: a filter, a rate that a person can read, and records of fixed size that
 * wait to be written out. One feed for each who watches and each shard.
 *
 *   request ─► tap_feed_offer: filter ─► rate ─► records ─► tap_feed_first, tap_feed_pop
 *
 * A shard's thread owns its feeds; while there are none a request costs one look at a pointer of the shard's
 * own. Offering takes no memory and no lock: without room a record is dropped, and counted.
 */
#ifndef WEFT_TRACE_TAP_H
#define WEFT_TRACE_TAP_H

#include <stdbool.h>
#include <stdint.h>

#include "context/interner.h"
#include "context/request.h"
#include "core/slice.h"

enum { TAP_NAME_BYTES_MAX = 256 };

struct tap_name {
    uint16_t length; /* 0: any */
    char text[TAP_NAME_BYTES_MAX];
};

/* Zeroes let everything through. Services: NAME, or NAME.NAMESPACE. */
struct tap_filter {
    struct tap_name service; /* on either side */
    struct tap_name source;
    struct tap_name destination;
    struct tap_name route;
    uint64_t response_flags; /* any of these bits; 0: whatever flags */
    uint64_t duration_min_ns;
    uint64_t duration_max_ns; /* 0: no bound */
    uint8_t reporters;        /* bits 1 << enum reporter; 0: any */
    bool only_errors;         /* the server failed or did not answer */
};

/* False, and nothing set, for a text that is too long. */
bool tap_name_set(struct tap_name *name, struct slice text);

bool tap_filter_passes(
    const struct tap_filter *filter, const struct request *request, const struct interner *interner);

/* So many a second, at most a second's worth at once. */
struct tap_gate {
    uint32_t rate_per_s; /* 0: no limit */
    uint64_t credit_ns;
    uint64_t last_ns;
};

void tap_gate_init(struct tap_gate *gate, uint32_t rate_per_s, uint64_t now_monotonic_ns);
bool tap_gate_pass(struct tap_gate *gate, uint64_t now_monotonic_ns);

/* What is told of a request. Names are ids of the shard's interner. */
struct tap_record {
    uint64_t start_unix_ns;
    uint64_t duration_ns;
    uint64_t response_flags;
    uint32_t source;
    uint32_t source_namespace;
    uint32_t destination;
    uint32_t destination_namespace;
    uint32_t route;
    uint32_t attempts; /* 0: cannot be told */
    uint16_t response_code;
    int16_t grpc_status;
    uint8_t reporter;
    uint8_t method;
    uint8_t protocol;
    uint8_t outcome;
    uint8_t trace_id[16];
};

struct tap_feed {
    struct tap_feed *next; /* of the shard's */
    struct tap_filter filter;
    struct tap_gate gate;
    uint32_t count_max;
    uint32_t first;
    uint32_t count;
    uint64_t left_out_count; /* for the rate; since whoever reads it set it to 0 */
    uint64_t dropped_count;  /* for want of room; likewise */
    struct tap_record *records;
};

/* 0 or WERR_NOMEM, WERR_INVALID for a count_max of 0. A failed init leaves nothing to undo. */
int tap_feed_init(struct tap_feed *feed, const struct tap_filter *filter, uint32_t rate_per_s,
    uint32_t count_max, uint64_t now_monotonic_ns);
void tap_feed_deinit(struct tap_feed *feed); /* a zeroed one is fine */

/* To all feeds of a list. The record path's. */
void tap_feeds_offer(struct tap_feed *feeds, const struct request *request, const struct interner *interner,
    uint64_t now_monotonic_ns);

/* The oldest record, NULL when there is none; and done with it. */
const struct tap_record *tap_feed_first(const struct tap_feed *feed);
void tap_feed_pop(struct tap_feed *feed);

#endif
