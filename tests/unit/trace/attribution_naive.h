/*
 * The oracle of attribution_test.c: the same answers in the plainest way, from a plain list of spans, by
 * looking at every span for every question and at every nanosecond for every sum. It shares no code and no
 * idea with agent/trace but the definitions in attribution.h. For times below NAIVE_TIME_MAX.
 */
#ifndef WEFT_TESTS_ATTRIBUTION_NAIVE_H
#define WEFT_TESTS_ATTRIBUTION_NAIVE_H

#include <stdbool.h>
#include <string.h>

#include "trace/attribution.h"

enum { NAIVE_SPAN_MAX = 64, NAIVE_TIME_MAX = 256, NAIVE_SERVICE_MAX = 16 };

struct naive {
    struct timing spans[NAIVE_SPAN_MAX];
    int count;
};

struct naive_call {
    uint64_t retry_ns, network_ns;
    int attempt_count;
    bool has_retry, has_network;
};

struct naive_request {
    uint64_t self_ns, child_ns, network_ns;
    bool has_network;
    int caller;   /* -1: none */
    int blocking; /* -1: none */
    int call_count;
    uint64_t own_ns[NAIVE_SERVICE_MAX], callee_network_ns[NAIVE_SERVICE_MAX], retry_ns[NAIVE_SERVICE_MAX];
};

static inline bool naive_same(const uint8_t *x, const uint8_t *y, size_t length)
{
    return memcmp(x, y, length) == 0;
}

static inline uint64_t naive_end(const struct timing *t)
{
    return t->start_unix_ns + t->duration_ns;
}

/* The first of these sides, in this order, that has the ids. */
static inline int naive_find(
    const struct naive *n, const uint8_t *trace, const uint8_t *id, const int *sides, int side_count)
{
    for (int s = 0; s < side_count; s++) {
        for (int i = 0; i < n->count; i++) {
            if (n->spans[i].side == sides[s] && naive_same(n->spans[i].span_id, id, 8) &&
                naive_same(n->spans[i].trace_id, trace, 16)) {
                return i;
            }
        }
    }
    return -1;
}

static inline int naive_up(const struct naive *n, int i)
{
    static const int callers[] = {TIMING_CLIENT, TIMING_ATTEMPT};
    static const int any[] = {TIMING_SERVER, TIMING_OTHER, TIMING_CLIENT, TIMING_ATTEMPT};
    static const uint8_t none[8];
    const struct timing *t = &n->spans[i];
    int shared = t->side == TIMING_SERVER ? naive_find(n, t->trace_id, t->span_id, callers, 2) : -1;

    if (shared >= 0) {
        return shared;
    }
    if (naive_same(t->parent_id, none, 8) || naive_same(t->parent_id, t->span_id, 8)) {
        return -1;
    }
    return naive_find(n, t->trace_id, t->parent_id, any, 4);
}

/* Whether `i` is beneath `root` with nothing but spans in between that may be passed. */
static inline bool naive_is_beneath(const struct naive *n, int root, int i, bool same_service)
{
    int up = naive_up(n, i);

    for (int steps = 0; up >= 0 && steps < 2 * NAIVE_SPAN_MAX; steps++) {
        const struct timing *t = &n->spans[up];
        if (up == root) {
            return i != root;
        }
        if (t->side != TIMING_OTHER &&
            !(same_service && t->side == TIMING_SERVER && t->destination == n->spans[root].destination)) {
            return false;
        }
        up = naive_up(n, up);
    }
    return false;
}

static inline int naive_servers(const struct naive *n, int root, int *ret_first)
{
    int count = 0;

    for (int i = 0; i < n->count; i++) {
        if (n->spans[i].side == TIMING_SERVER && naive_is_beneath(n, root, i, false)) {
            *ret_first = i;
            count++;
        }
    }
    return count;
}

static inline uint64_t naive_difference(const struct naive *n, int longer, int shorter)
{
    uint64_t x = n->spans[longer].duration_ns;
    uint64_t y = n->spans[shorter].duration_ns;

    return x > y ? x - y : 0;
}

/* The only client side beneath a client side beneath which there is nothing else of a call; else itself. */
static inline int naive_innermost(const struct naive *n, int call)
{
    for (int depth = 0; depth < ATTRIBUTION_DEPTH_MAX && n->spans[call].side == TIMING_CLIENT; depth++) {
        int only = -1;
        int count = 0;
        for (int i = 0; i < n->count; i++) {
            if (n->spans[i].side != TIMING_OTHER && naive_is_beneath(n, call, i, false)) {
                only = i;
                count++;
            }
        }
        if (count != 1 || n->spans[only].side != TIMING_CLIENT) {
            break;
        }
        call = only;
    }
    return call;
}

static inline struct naive_call naive_sum_call(const struct naive *n, int call)
{
    struct naive_call result = {.attempt_count = 0};
    int inner = naive_innermost(n, call);
    int last = inner;
    int server = -1;

    for (int i = 0; n->spans[inner].side == TIMING_CLIENT && i < n->count; i++) {
        const struct timing *t = &n->spans[i];
        const struct timing *l = &n->spans[last];
        if (t->side != TIMING_ATTEMPT || !naive_is_beneath(n, inner, i, false)) {
            continue;
        }
        result.attempt_count++;
        if (last == inner || t->start_unix_ns > l->start_unix_ns ||
            (t->start_unix_ns == l->start_unix_ns &&
                (naive_end(t) > naive_end(l) ||
                    (naive_end(t) == naive_end(l) && memcmp(t->span_id, l->span_id, 8) > 0)))) {
            last = i;
        }
    }
    if (result.attempt_count >= 2) {
        result.has_retry = true;
        result.retry_ns = naive_difference(n, inner, last);
    }
    if (naive_servers(n, last, &server) == 1) {
        result.has_network = true;
        result.network_ns = naive_difference(n, last, server);
    }
    return result;
}

static inline int naive_caller(const struct naive *n, int server)
{
    int up = naive_up(n, server);

    for (int depth = 0; up >= 0 && n->spans[up].side == TIMING_OTHER; depth++) {
        if (depth == ATTRIBUTION_DEPTH_MAX) {
            return -1;
        }
        up = naive_up(n, up);
    }
    return up >= 0 && n->spans[up].side != TIMING_SERVER ? up : -1;
}

static inline bool naive_is_active(const struct timing *t, uint64_t at_ns)
{
    return t->start_unix_ns <= at_ns && at_ns < naive_end(t);
}

/* Of the calls under way at this nanosecond the one that began first within the request, or -1. */
static inline int naive_first_active(
    const struct naive *n, const bool *is_call, uint64_t request_start_ns, uint64_t at_ns)
{
    int best = -1;
    uint64_t best_start_ns = 0;

    for (int i = 0; i < n->count; i++) {
        const struct timing *t = &n->spans[i];
        uint64_t start_ns = t->start_unix_ns < request_start_ns ? request_start_ns : t->start_unix_ns;
        if (!is_call[i] || !naive_is_active(t, at_ns)) {
            continue;
        }
        int order = best >= 0 ? memcmp(t->span_id, n->spans[best].span_id, 8) : -1;
        if (best < 0 || start_ns < best_start_ns ||
            (start_ns == best_start_ns && (order < 0 || (order == 0 && t->side < n->spans[best].side)))) {
            best = i;
            best_start_ns = start_ns;
        }
    }
    return best;
}

static inline int naive_blocking(const struct naive *n, const bool *is_call)
{
    int best = -1;

    for (int i = 0; i < n->count; i++) {
        const struct timing *t = &n->spans[i];
        const struct timing *b = best >= 0 ? &n->spans[best] : NULL;
        if (is_call[i] &&
            (b == NULL || naive_end(t) > naive_end(b) ||
                (naive_end(t) == naive_end(b) &&
                    (t->start_unix_ns < b->start_unix_ns ||
                        (t->start_unix_ns == b->start_unix_ns && memcmp(t->span_id, b->span_id, 8) < 0))))) {
            best = i;
        }
    }
    return best;
}

static inline void naive_charge(const struct naive *n, const uint64_t *part_ns, struct naive_request *result)
{
    for (int i = 0; i < n->count; i++) {
        if (part_ns[i] == 0) {
            continue;
        }
        struct naive_call call = naive_sum_call(n, i);
        uint32_t service = n->spans[i].destination;
        uint64_t left_ns = part_ns[i];
        uint64_t retry_ns = call.retry_ns < left_ns ? call.retry_ns : left_ns;
        left_ns -= retry_ns;
        uint64_t network_ns = call.network_ns < left_ns ? call.network_ns : left_ns;
        left_ns -= network_ns;
        result->retry_ns[service] += retry_ns;
        result->callee_network_ns[service] += network_ns;
        result->own_ns[service] += left_ns;
    }
}

static inline struct naive_request naive_sum_request(const struct naive *n, int server)
{
    const struct timing *request = &n->spans[server];
    struct naive_request result = {.caller = naive_caller(n, server)};
    bool is_call[NAIVE_SPAN_MAX] = {false};
    uint64_t part_ns[NAIVE_SPAN_MAX] = {0};
    int current = -1;

    for (int i = 0; i < n->count; i++) {
        int side = n->spans[i].side;
        is_call[i] =
            (side == TIMING_CLIENT || side == TIMING_ATTEMPT) && naive_is_beneath(n, server, i, true);
        result.call_count += is_call[i];
    }
    result.blocking = naive_blocking(n, is_call);
    for (uint64_t at_ns = naive_end(request); at_ns-- > request->start_unix_ns;) {
        if (current < 0 || !naive_is_active(&n->spans[current], at_ns)) {
            current = naive_first_active(n, is_call, request->start_unix_ns, at_ns);
        }
        if (current >= 0) {
            part_ns[current]++;
            result.child_ns++;
        } else {
            result.self_ns++;
        }
    }
    naive_charge(n, part_ns, &result);
    if (result.caller >= 0) {
        int first;
        result.has_network = naive_servers(n, result.caller, &first) == 1;
        result.network_ns = result.has_network ? naive_difference(n, result.caller, server) : 0;
    }
    return result;
}

#endif
