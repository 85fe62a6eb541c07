/*
 * The mesh that `weft demo` simulates: who calls whom how often, how long that takes and how it fails, as
 * tables; and a generator that walks them, request by request.
 *
 *   gateway ─► frontend ─┬─► catalog ◄── search           namespace shop
 *                        ├─► reviews ─► ratings
 *                        ├─► recommendations ─► catalog   (its circuit breaker opens now and then)
 *                        ├─► cart ─► catalog              (one replica is slow now and then)
 *                        └─► checkout ─► cart
 *                                 └─► payments ─► fraud, accounts     namespace bank (calls are tried again)
 *
 * Pure: no clock, no I/O, no memory but the caller's; one seed and rate give one sequence of requests.
 */
#ifndef WEFT_CLI_DEMO_GRAPH_H
#define WEFT_CLI_DEMO_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum demo_service_id {
    DEMO_GATEWAY,
    DEMO_FRONTEND,
    DEMO_CATALOG,
    DEMO_SEARCH,
    DEMO_REVIEWS,
    DEMO_RATINGS,
    DEMO_RECOMMENDATIONS,
    DEMO_CART,
    DEMO_CHECKOUT,
    DEMO_PAYMENTS,
    DEMO_FRAUD,
    DEMO_ACCOUNTS,
    DEMO_SERVICE_COUNT,
    DEMO_OUTSIDE = DEMO_SERVICE_COUNT /* who calls the gateway */
};

enum {
    DEMO_SPANS_MAX = 64,   /* of a request; the tables stay below it, which their test counts */
    DEMO_DEPTH_MAX = 8,    /* of calls; likewise */
    DEMO_SLOW_REPLICA = 2, /* of the cart */
};

struct demo_service {
    const char *name;
    const char *space; /* its namespace */
    uint8_t replica_count;
};

/* What a service can be asked for. Times are its own, without what it calls. */
struct demo_operation {
    uint8_t service;  /* enum demo_service_id */
    uint8_t protocol; /* enum weft_protocol */
    const char *method;
    const char *route;
    double median_ms;
    double spread; /* of the time's logarithm: log-normal */
    double error_rate;
    double not_found_rate;
};

/* From one operation to another. Those of a caller stand together, in the order in which they are made. */
struct demo_call {
    uint8_t caller; /* indices of operations */
    uint8_t callee;
    double probability;
    double unreachable_rate; /* of each attempt */
    uint8_t attempts_max;
    bool is_needed;     /* its failure is the caller's */
    bool with_previous; /* begins with the call before it */
    bool has_breaker;
};

extern const struct demo_service demo_services[DEMO_SERVICE_COUNT];
extern const struct demo_operation demo_operations[];
extern const size_t demo_operation_count;
extern const struct demo_call demo_calls[];
extern const size_t demo_call_count;

/* One side of a call, as its reporter's proxy saw it. */
struct demo_span {
    uint64_t start_ns; /* since the request began */
    uint64_t duration_ns;
    uint64_t flags; /* response flags, as bits */
    uint32_t request_bytes;
    uint32_t response_bytes;
    uint16_t response_code; /* 0: no response */
    int8_t parent;          /* index of a span before it; -1: none */
    uint8_t operation;      /* that was asked for */
    uint8_t source;         /* service that asked, or DEMO_OUTSIDE */
    uint8_t instance;       /* who reports: demo_instance */
    uint8_t reporter;       /* enum weft_reporter */
    uint8_t grpc_status;    /* the status + 1; 0: not gRPC */
    uint8_t attempts;       /* 0: none was made, or it is not this side's to tell */
};

struct demo_request {
    uint64_t at_ns; /* when it ends, since the demo's beginning */
    uint64_t duration_ns;
    uint32_t span_count;
    struct demo_span spans[DEMO_SPANS_MAX]; /* parents first */
};

struct demo_graph {
    uint64_t random;
    uint64_t at_ns;
    double interval_ns; /* between requests, in the mean */
};

/* requests_per_s: above 0. */
void demo_graph_init(struct demo_graph *graph, uint64_t seed, double requests_per_s);

/* The next request. Times between them are exponential. */
void demo_graph_next(struct demo_graph *graph, struct demo_request *ret_request);

/* What comes and goes, by the time since the beginning. */
bool demo_replica_is_slow(uint64_t at_ns);
bool demo_breaker_is_open(uint64_t at_ns);

/* Replicas of all services in one row: the number of a service's replica, and back. */
uint8_t demo_instance(uint8_t service, uint8_t replica);
uint8_t demo_instance_count(void);
uint8_t demo_instance_service(uint8_t instance, uint8_t *ret_replica);

#endif
