/*
 * `/api/v1/why?service=&namespace=&window=&slow=`: its arguments, and the answer of trace/why.h as JSON.
 * Pure; runs on the thread that owns the observations.
 *
 *   service    the service asked about; required
 *   namespace  its namespace; default: any
 *   window     how far back, a duration as "10s" or "1m30s", at most an hour; default 5m
 *   slow       a duration: slow is longer than this; default: above p99
 */
#ifndef WEFT_QUERY_WHY_JSON_H
#define WEFT_QUERY_WHY_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buffer.h"
#include "core/slice.h"
#include "query/query.h"
#include "trace/why.h"

#define WHY_PATH "/api/v1/why"

enum { WHY_QUERY_MESSAGE_BYTES = 160, WHY_QUERY_WINDOW_S_MAX = 3600 };

/* Borrows the arguments' texts. */
struct why_query {
    struct slice service;
    struct slice service_namespace;
    bool any_namespace;
    uint64_t window_ns;
    uint64_t slow_ns; /* 0: by quantile */
    const char *bad_argument;
    char message[WHY_QUERY_MESSAGE_BYTES];
};

/* 0, or WERR_INVALID with bad_argument and message set: unknown, repeated, missing or bad. */
int why_query_parse(
    struct why_query *ret_query, const struct query_argument *arguments, size_t argument_count);

/* {"error":{"message","argument"}}, as the rest of the API answers; status 400 goes with it. */
void why_query_error(struct buffer *out, const struct why_query *query);

/* Where ids have their texts; an empty slice for one that is gone. */
struct why_names {
    struct slice (*text)(const void *user, uint32_t id);
    const void *user;
};

/* The answer. Errors stick to the buffer. */
void why_json(struct buffer *out, const struct why_query *query, const struct why_result *result,
    const struct why_names *names);

/* What a cause is, in a few words: "pod cart-1", "the network to db". For people; no format. */
void why_cause_text(struct buffer *out, const struct why_result *result, const struct why_cause *cause,
    const struct why_names *names);

#endif
