/*
 * When a span was, between whom and how it ended: what a shard tells about each span that it stored, and all
 * that attribution.h and observations.h read. Names are ids of one table of names, the reader's; which one is
 * not said here. Types and pure functions; any thread.
 */
#ifndef WEFT_TRACE_TIMING_H
#define WEFT_TRACE_TIMING_H

#include <stdint.h>

enum timing_side {
    TIMING_OTHER,   /* in between: internal spans, what a proxy forwards to its own service, a waypoint's */
    TIMING_SERVER,  /* a request as the service that was asked saw it: its reporter is the destination */
    TIMING_CLIENT,  /* a request as its caller saw it, retries included: its reporter is the source */
    TIMING_ATTEMPT, /* one try of a caller's request */
    TIMING_SIDE_COUNT
};

struct timing {
    uint8_t trace_id[16];
    uint8_t span_id[8];
    uint8_t parent_id[8]; /* zeroes: none */
    uint64_t start_unix_ns;
    uint64_t duration_ns;
    uint32_t source; /* ids of names; 0: none */
    uint32_t source_namespace;
    uint32_t destination;
    uint32_t destination_namespace;
    uint32_t route;
    uint32_t sender;         /* who sent the span: its pod, where that is known */
    uint32_t version;        /* of the reporter's workload */
    uint32_t response_flags; /* bits of context/response_flags.h, all of which fit */
    uint16_t response_code;  /* 0: none */
    uint8_t attempts;        /* as the record tells, at most 255; 0: it does not */
    uint8_t side;            /* enum timing_side */
    uint8_t outcome;         /* enum outcome */
    uint8_t mesh;            /* core/mesh_names.h */
    uint8_t protocol;        /* enum protocol */
};

/* When it ended; the end of time for what would be later than that. */
static inline uint64_t timing_end_unix_ns(const struct timing *timing)
{
    return timing->duration_ns > UINT64_MAX - timing->start_unix_ns
               ? UINT64_MAX
               : timing->start_unix_ns + timing->duration_ns;
}

#endif
