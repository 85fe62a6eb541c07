/*
 * Synthetic traffic of one service, from a seed: what the scenarios of why_test.c plant their causes in.
 * Service 1 has five pods of two versions, ten routes, four callers, and calls services 501 and 502.
 */
#ifndef WEFT_TESTS_WHY_WORLD_H
#define WEFT_TESTS_WHY_WORLD_H

#include <math.h>
#include <stdlib.h>

#include "../histogram/random.h"
#include "context/request.h"
#include "context/response_flags.h"
#include "trace/why.h"

enum {
    SERVICE = 1,
    POD = 101,
    POD_COUNT = 5,
    VERSION = 201,
    ROUTE = 301,
    ROUTE_COUNT = 10,
    CALLER = 401,
    CALLER_COUNT = 4,
    CALLEE_B = 501,
    CALLEE_C = 502,
    WORLD_REQUEST_MAX = 20000
};

#define WORLD_START_NS 1700000000000000000ull

/* A request before it becomes an observation; times in milliseconds. */
struct planned {
    double at_ms, self_ms, network_ms;
    double b_ms, b_network_ms, b_retry_ms;
    double c_ms, c_network_ms;
    uint32_t pod, version, route, caller;
    uint32_t flags, call_flags;
    uint16_t response_code;
    uint8_t outcome, call_attempts;
};

struct world {
    struct observations *observations;
    struct why *why;
    uint64_t random;
    uint64_t made;
};

static inline double world_uniform(struct world *w)
{
    return (double)(random_u64(&w->random) >> 11) * 0x1p-53;
}

static inline bool world_chance(struct world *w, double p)
{
    return world_uniform(w) < p;
}

static inline uint32_t world_pick(struct world *w, uint32_t first, uint32_t count)
{
    return first + (uint32_t)(random_u64(&w->random) % count);
}

/* Around `median`, as latencies are: log-normal (Box and Muller). */
static inline double world_latency(struct world *w, double median, double sigma)
{
    double u = 1 - world_uniform(w);
    double v = world_uniform(w);

    return median * exp(sigma * sqrt(-2 * log(u)) * cos(6.283185307179586 * v));
}

static inline void world_start(struct world *w, uint64_t seed)
{
    struct observations_settings settings = {.count_max = WORLD_REQUEST_MAX};

    w->observations = observations_new(&settings);
    w->random = seed * 977;
    w->made = 0;
}

static inline struct planned world_plan(struct world *w, double at_ms)
{
    struct planned p = {.at_ms = at_ms, .response_code = 200, .call_attempts = 1};

    p.self_ms = world_latency(w, 4, 0.3);
    p.network_ms = world_latency(w, 0.3, 0.2);
    p.b_ms = world_latency(w, 3, 0.3);
    p.b_network_ms = world_latency(w, 0.3, 0.2);
    p.c_ms = world_latency(w, 2, 0.3);
    p.c_network_ms = world_latency(w, 0.3, 0.2);
    p.pod = world_pick(w, POD, POD_COUNT);
    p.version = p.pod < POD + 3 ? VERSION : VERSION + 1;
    p.route = world_pick(w, ROUTE, ROUTE_COUNT);
    p.caller = world_pick(w, CALLER, CALLER_COUNT);
    return p;
}

static inline uint32_t us_of_ms(double ms)
{
    return (uint32_t)(ms * 1000);
}

static inline void world_add(struct world *w, const struct planned *p)
{
    struct observation o = {
        .self_us = us_of_ms(p->self_ms),
        .network_us = us_of_ms(p->network_ms),
        .callees = {{.service = CALLEE_B,
                        .own_us = us_of_ms(p->b_ms),
                        .network_us = us_of_ms(p->b_network_ms),
                        .retry_us = us_of_ms(p->b_retry_ms)},
            {.service = CALLEE_C, .own_us = us_of_ms(p->c_ms), .network_us = us_of_ms(p->c_network_ms)}},
        .service = SERVICE,
        .caller = p->caller,
        .route = p->route,
        .sender = p->pod,
        .version = p->version,
        .flags = p->flags,
        .call_flags = p->call_flags,
        .response_code = p->response_code,
        .outcome = p->outcome,
        .side = TIMING_SERVER,
        .attempts = 1,
        .call_attempts = p->call_attempts,
        .has_self = true,
        .has_network = true,
    };
    double total_ms = p->self_ms + p->b_ms + p->b_network_ms + p->b_retry_ms + p->c_ms + p->c_network_ms;

    o.duration_ns = (uint64_t)(total_ms * 1e6);
    o.end_unix_ns = WORLD_START_NS + (uint64_t)(p->at_ms * 1e6) + o.duration_ns;
    w->made++;
    o.trace_id[0] = 0xab;
    o.trace_id[14] = (uint8_t)(w->made >> 8);
    o.trace_id[15] = (uint8_t)w->made;
    observations_add(w->observations, &o);
}

#endif
