/*
 * `/api/v1/tap`: its arguments, and its lines, one JSON object each. Pure; arguments are read by the shard
 * that holds the connection, lines written by the shard that received the request.
 *
 *   service, source, destination   NAME or NAME.NAMESPACE; `service`: on either side
 *   route, reporter, flags, error, min_duration, max_duration   as the search of traces has them
 *   rate                           lines a second, 10 by default; `all`: every one
 *
 *   {"time_unix_ns":"…","reporter":…,"source":…,"source_namespace":…,"destination":…,"destination_namespace":…,
 *    "route":…,"method":…,"protocol":…,"response_code":…,"grpc_status":…,"outcome":…,"response_flags":"UO,URX",
 *    "duration_seconds":…,"attempts":…,"trace_id":…}
 *   {"left_out":N}   let through by the filters, more than the rate
 *   {"dropped":N}    lost: the reader, or the agent, could not keep up
 *
 * Members that a request does not tell are left out. An empty line says that the agent is alive.
 */
#ifndef WEFT_QUERY_TAP_QUERY_H
#define WEFT_QUERY_TAP_QUERY_H

#include <stddef.h>
#include <stdint.h>

#include "context/interner.h"
#include "core/buffer.h"
#include "query/query.h"
#include "trace/tap.h"

#define TAP_PATH "/api/v1/tap"

enum { TAP_QUERY_MESSAGE_BYTES = 160, TAP_RATE = 10, TAP_RATE_MAX = 100000 };

struct tap_query {
    struct tap_filter filter;
    uint32_t rate_per_s;      /* 0: every one */
    const char *bad_argument; /* borrowed from the arguments */
    char message[TAP_QUERY_MESSAGE_BYTES];
};

/* 0, or WERR_INVALID with bad_argument and message set: unknown, repeated or bad. */
int tap_query_parse(
    struct tap_query *ret_query, const struct query_argument *arguments, size_t argument_count);

/* {"error":{"message","argument"}}, as the rest of the API answers; argument NULL: none. */
void tap_error(struct buffer *out, const char *argument, const char *message);

/* A line, its end included. Errors stick to the buffer. */
void tap_line(struct buffer *out, const struct tap_record *record, const struct interner *interner);
void tap_line_dropped(struct buffer *out, uint64_t count);
void tap_line_left_out(struct buffer *out, uint64_t count);

#endif
