/*
 * What is asked about traces: a request's path and arguments, in the agent's own API, in Jaeger's (the paths
 * and names that its UI, Grafana and Kiali use), and in Jaeger's third, as one struct.
 *
 *   /api/v1/traces                      search; OTLP JSON
 *   /api/v1/traces/{id}                 one trace
 *   /api/services                       Jaeger: names
 *   /api/services/{service}/operations  names
 *   /api/operations                     names with span kinds
 *   /api/traces, /api/traces/{id}       search, one trace
 *   /api/dependencies
 *   /api/v3/{services,operations,traces,traces/{id}}
 *
 * In our own API an unknown or repeated argument is refused, so that a misspelt one never widens a question;
 * Jaeger's ignores what it does not know, and so does this where its clients ask. Pure; any thread.
 */
#ifndef WEFT_QUERY_TRACE_QUERY_H
#define WEFT_QUERY_TRACE_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "query/query.h"
#include "query/trace_model.h"

enum {
    TRACE_QUERY_TAGS_COUNT_MAX = 16,
    TRACE_QUERY_IDS_COUNT_MAX = 100,
    TRACE_QUERY_LIMIT = 20,         /* traces that a search gives by default */
    TRACE_QUERY_JAEGER_LIMIT = 100, /* the same in Jaeger's APIs */
    TRACE_QUERY_LIMIT_MAX = 1500,   /* what Jaeger's UI lets one ask for */
    TRACE_QUERY_TEXT_BYTES = 4096,  /* of all texts of a query */
    TRACE_QUERY_MESSAGE_BYTES = 256,
    TRACE_QUERY_LOOKBACK_S = 172800, /* Jaeger's: where a search begins that does not say */
    TRACE_QUERY_DEPENDENCIES_LOOKBACK_S = 86400,
};

enum trace_endpoint {
    TRACE_ENDPOINT_NONE,
    TRACE_ENDPOINT_SEARCH,
    TRACE_ENDPOINT_TRACE,
    TRACE_ENDPOINT_JAEGER_SERVICES,
    TRACE_ENDPOINT_JAEGER_OPERATION_NAMES,
    TRACE_ENDPOINT_JAEGER_OPERATIONS,
    TRACE_ENDPOINT_JAEGER_SEARCH,
    TRACE_ENDPOINT_JAEGER_TRACE,
    TRACE_ENDPOINT_JAEGER_DEPENDENCIES,
    TRACE_ENDPOINT_V3_SERVICES,
    TRACE_ENDPOINT_V3_OPERATIONS,
    TRACE_ENDPOINT_V3_SEARCH,
    TRACE_ENDPOINT_V3_TRACE,
};

struct trace_tag {
    struct slice key;
    struct slice value;
};

/* Texts lie in `text`: a query is not copied. */
struct trace_query {
    enum trace_endpoint endpoint;
    struct slice service;   /* as Jaeger shows it, trace_jaeger.h; empty: any */
    struct slice operation; /* a span's name, or a route; empty: any */
    struct slice span_kind; /* of operations; empty: any */
    struct trace_tag tags[TRACE_QUERY_TAGS_COUNT_MAX];
    size_t tag_count;
    uint64_t now_unix_ns;
    uint64_t start_min_unix_ns;
    uint64_t start_max_unix_ns; /* 0: no bound */
    uint64_t duration_min_ns;
    uint64_t duration_max_ns; /* 0: no bound */
    uint64_t response_flags;  /* any of these bits; 0: whatever flags */
    bool only_errors;
    bool without_peers; /* the answer is this agent's alone */
    bool without_spans; /* of a search: what was found, not the traces themselves */
    uint32_t limit;     /* traces */
    uint8_t trace_ids[TRACE_QUERY_IDS_COUNT_MAX][TRACE_MODEL_ID_BYTES];
    size_t trace_id_count;
    char text[TRACE_QUERY_TEXT_BYTES];
    size_t text_bytes;
    char message[TRACE_QUERY_MESSAGE_BYTES]; /* what is wrong with it */
    struct slice argument;                   /* with which of its arguments; empty: none of them */
};

/* TRACE_ENDPOINT_NONE for any other path. path: percent-decoded, without the query string. */
enum trace_endpoint trace_endpoint_of(const char *path);

/* Whether errors, and the rest of the answer, have Jaeger's form. */
bool trace_endpoint_is_jaeger(enum trace_endpoint endpoint);
bool trace_endpoint_is_v3(enum trace_endpoint endpoint);

/*
 * Fills *query, which need not be set before. 0; WERR_NOT_FOUND for a path that is none; WERR_INVALID with
 * query->message, and query->endpoint set so that the error can be answered in its form.
 */
int trace_query_parse(struct trace_query *query, const char *path, const struct query_argument *arguments,
    size_t argument_count, uint64_t now_unix_ns);

/*
 * A duration as Go writes it: numbers with a unit each, "1h2m3.5s", "100ms", "250us", "0". At most 2^63 - 1
 * ns. 0, or WERR_INVALID with what is wrong in Go's words in `message`.
 */
int trace_parse_duration(struct slice text, uint64_t *ret_ns, char *message, size_t message_bytes);

/* A time in RFC 3339, with up to nanoseconds; before 1970 it is 1970. 0 or WERR_INVALID. */
int trace_parse_rfc3339(struct slice text, uint64_t *ret_unix_ns);

/* 1 to 32 hex digits, leading zeros left out or not; WERR_INVALID, also for the id of zeros. */
int trace_parse_id(struct slice text, uint8_t trace_id[static TRACE_MODEL_ID_BYTES]);

#endif
