/*
 * What a settled span is told: walks up and down the tree of its trace, and the sums over a request's calls.
 * On the thread of attribution's owner.
 *
 * attribution_up gives each entry at most one entry above it, so that what is beneath a root is a tree, and a
 * cycle can only lead back to the root itself: a walk down visits nothing twice.
 */
#include <stdlib.h>

#include "trace/attribution_internal.h"

enum { SIDES_ALL = (1u << TIMING_SIDE_COUNT) - 1 };

/* ---- the tree ---- */

struct entry *attribution_up(const struct attribution *a, const struct entry *entry)
{
    if (entry->timing.side == TIMING_SERVER) {
        struct entry *client =
            attribution_find(a, entry->timing.trace_id, entry->timing.span_id, SIDE(CLIENT) | SIDE(ATTEMPT));
        if (client != NULL) {
            return client;
        }
    }
    return entry->has_parent ? attribution_find(a, entry->timing.trace_id, entry->timing.parent_id, SIDES_ALL)
                             : NULL;
}

static bool is_same_service(const struct entry *x, const struct entry *y)
{
    return x->timing.destination == y->timing.destination &&
           x->timing.destination_namespace == y->timing.destination_namespace;
}

static bool is_passed(const struct entry *root, const struct entry *entry, enum through through)
{
    return entry->timing.side == TIMING_OTHER ||
           (through == THROUGH_SAME_SERVICE && entry->timing.side == TIMING_SERVER &&
               is_same_service(root, entry));
}

/* One walk down. */
struct walk {
    struct attribution *a;
    const struct entry *root;
    unsigned sides;
    enum through through;
    size_t visited_count;
    size_t stack_count;
    size_t found_count;
};

/* False past the limit. */
static bool visit(struct walk *walk, struct entry *entry)
{
    if (entry == walk->root) {
        walk->a->counts.cycles++;
        return true;
    }
    if (walk->visited_count == ATTRIBUTION_SPAN_COUNT_MAX || walk->a->visits_left == 0) {
        return false;
    }
    walk->visited_count++;
    walk->a->visits_left--;
    if ((walk->sides >> entry->timing.side & 1) != 0 && !is_passed(walk->root, entry, walk->through)) {
        walk->a->found[walk->found_count++] = entry;
    } else if (is_passed(walk->root, entry, walk->through)) {
        walk->a->stack[walk->stack_count++] = entry;
    }
    return true;
}

/* Of several spans of one id only one has the children. */
static bool has_children(const struct attribution *a, const struct entry *parent)
{
    return !parent->is_shared ||
           attribution_find(a, parent->timing.trace_id, parent->timing.span_id, SIDES_ALL) == parent;
}

/* Whether a child is beneath its parent, and not beneath the client side that shares its id. */
static bool is_direct(const struct attribution *a, const struct entry *child)
{
    return child->timing.side != TIMING_SERVER || !child->is_shared ||
           attribution_find(a, child->timing.trace_id, child->timing.span_id, SIDE(CLIENT) | SIDE(ATTEMPT)) ==
               NULL;
}

static bool visit_children(struct walk *walk, struct entry *parent)
{
    struct attribution *a = walk->a;

    if (parent->is_shared &&
        (parent->timing.side == TIMING_CLIENT || parent->timing.side == TIMING_ATTEMPT)) {
        struct entry *shared =
            attribution_find(a, parent->timing.trace_id, parent->timing.span_id, SIDE(SERVER));
        if (shared != NULL && attribution_up(a, shared) == parent && !visit(walk, shared)) {
            return false;
        }
    }
    if (!has_children(a, parent)) {
        return true;
    }
    struct entry *child = attribution_first_child(a, parent);
    for (; child != NULL; child = attribution_next_child(a, parent, child)) {
        if (is_direct(a, child) && !visit(walk, child)) {
            return false;
        }
    }
    return true;
}

size_t attribution_collect(struct attribution *a, struct entry *root, unsigned sides, enum through through)
{
    struct walk walk = {.a = a, .root = root, .sides = sides, .through = through};
    bool is_whole = visit_children(&walk, root);

    while (is_whole && walk.stack_count > 0) {
        is_whole = visit_children(&walk, a->stack[--walk.stack_count]);
    }
    if (!is_whole) {
        a->counts.oversized++;
        return COLLECTED_TOO_MANY;
    }
    return walk.found_count;
}

struct entry *attribution_caller(struct attribution *a, const struct entry *server)
{
    struct entry *up = attribution_up(a, server);

    for (int depth = 0; up != NULL && up->timing.side == TIMING_OTHER; depth++) {
        if (depth == ATTRIBUTION_DEPTH_MAX) {
            a->counts.cycles++;
            return NULL;
        }
        up = attribution_up(a, up);
    }
    return up != NULL && up->timing.side != TIMING_SERVER ? up : NULL;
}

/* ---- one call ---- */

/* Which of two attempts is the later one: began later, then ended later, then higher id. */
static bool is_later(const struct timing *x, const struct timing *y)
{
    if (x->start_unix_ns != y->start_unix_ns) {
        return x->start_unix_ns > y->start_unix_ns;
    }
    if (x->duration_ns != y->duration_ns) {
        return x->duration_ns > y->duration_ns;
    }
    return memcmp(x->span_id, y->span_id, 8) > 0;
}

/* What is directly beneath a client side. */
struct beneath {
    size_t count; /* of all; COLLECTED_TOO_MANY: nothing is known */
    size_t attempt_count;
    size_t server_count;
    struct entry *last_attempt; /* NULL: none */
    struct entry *server;       /* any */
    struct entry *client;       /* any */
};

static struct beneath look_beneath(struct attribution *a, struct entry *call)
{
    struct beneath beneath = {
        .count = attribution_collect(a, call, SIDE(CLIENT) | SIDE(ATTEMPT) | SIDE(SERVER), THROUGH_OTHER)};

    for (size_t i = 0; beneath.count != COLLECTED_TOO_MANY && i < beneath.count; i++) {
        struct entry *entry = a->found[i];
        if (entry->timing.side == TIMING_SERVER) {
            beneath.server = entry;
            beneath.server_count++;
        } else if (entry->timing.side == TIMING_CLIENT) {
            beneath.client = entry;
        } else {
            bool is_last =
                beneath.last_attempt == NULL || is_later(&entry->timing, &beneath.last_attempt->timing);
            beneath.last_attempt = is_last ? entry : beneath.last_attempt;
            beneath.attempt_count++;
        }
    }
    return beneath;
}

/*
 * The innermost of client sides that are each other's only child: an application's span around its proxy's.
 * That one knows attempts and meets the server.
 */
static struct entry *innermost_client(struct attribution *a, struct entry *call, struct beneath *ret_beneath)
{
    *ret_beneath = look_beneath(a, call);
    for (int depth = 0; depth < ATTRIBUTION_DEPTH_MAX && call->timing.side == TIMING_CLIENT; depth++) {
        if (ret_beneath->count != 1 || ret_beneath->client == NULL) {
            break;
        }
        call = ret_beneath->client;
        *ret_beneath = look_beneath(a, call);
    }
    return call;
}

void attribution_sum_call(struct attribution *a, struct entry *call, struct attributed_call *ret_result)
{
    struct beneath beneath;
    struct attributed_call result = {.timing = &call->timing};
    struct entry *inner = innermost_client(a, call, &beneath);
    struct entry *last = inner;

    if (inner->timing.side == TIMING_CLIENT && beneath.last_attempt != NULL) {
        last = beneath.last_attempt;
        result.attempt_count = (uint32_t)beneath.attempt_count;
    }
    if (result.attempt_count >= 2) {
        result.has_retry = true;
        result.retry_ns = attribution_network_ns(inner, last); /* the same difference, not below 0 */
    }
    if (last != inner) {
        beneath = look_beneath(a, last);
    }
    if (beneath.server_count == 1) {
        result.has_network = true;
        result.network_ns = attribution_network_ns(last, beneath.server);
    }
    *ret_result = result;
}

/* ---- one request's calls ---- */

static int by_end_descending(const void *x, const void *y)
{
    const struct call_interval *a = x;
    const struct call_interval *b = y;

    return (a->end_ns < b->end_ns) - (a->end_ns > b->end_ns);
}

/* Began first, then lower id, then the request before its attempt. */
static bool is_before(const struct call_interval *x, const struct call_interval *y)
{
    int order = memcmp(x->call->timing.span_id, y->call->timing.span_id, 8);

    if (x->start_ns != y->start_ns) {
        return x->start_ns < y->start_ns;
    }
    return order != 0 ? order < 0 : x->call->timing.side < y->call->timing.side;
}

/* Into a->intervals, what is left of each call within the request; calls beside it are left out. */
static size_t clip_calls(struct attribution *a, const struct timing *request, size_t found_count)
{
    uint64_t start_ns = request->start_unix_ns;
    uint64_t end_ns = timing_end_unix_ns(request);
    size_t count = 0;

    for (size_t i = 0; i < found_count; i++) {
        const struct timing *call = &a->found[i]->timing;
        struct call_interval interval = {
            .start_ns = call->start_unix_ns,
            .end_ns = timing_end_unix_ns(call),
            .call = a->found[i],
        };
        interval.start_ns = interval.start_ns < start_ns ? start_ns : interval.start_ns;
        interval.end_ns = interval.end_ns > end_ns ? end_ns : interval.end_ns;
        if (interval.start_ns < interval.end_ns) {
            a->intervals[count++] = interval;
        }
    }
    return count;
}

struct callee_sums {
    struct attributed_callee callees[ATTRIBUTION_CALLEE_COUNT_MAX];
    size_t count;
};

static struct attributed_callee *callee_of(struct callee_sums *sums, const struct timing *call)
{
    for (size_t i = 0; i < sums->count; i++) {
        struct attributed_callee *callee = &sums->callees[i];
        if (callee->service == call->destination &&
            callee->service_namespace == call->destination_namespace) {
            return callee;
        }
    }
    if (sums->count == ATTRIBUTION_CALLEE_COUNT_MAX) {
        return NULL;
    }
    sums->callees[sums->count] = (struct attributed_callee){
        .service = call->destination,
        .service_namespace = call->destination_namespace,
    };
    return &sums->callees[sums->count++];
}

static uint64_t at_most(uint64_t value, uint64_t most)
{
    return value < most ? value : most;
}

/* The call's part of the request, told apart: first what its retries took, then its network. */
static void charge(struct attribution *a, struct callee_sums *sums, struct entry *call, uint64_t part_ns)
{
    struct attributed_callee *callee = callee_of(sums, &call->timing);
    struct attributed_call sum;

    if (callee == NULL) {
        return;
    }
    attribution_sum_call(a, call, &sum);
    uint64_t retry_ns = at_most(sum.retry_ns, part_ns);
    uint64_t network_ns = at_most(sum.network_ns, part_ns - retry_ns);
    callee->retry_ns += retry_ns;
    callee->network_ns += network_ns;
    callee->own_ns += part_ns - retry_ns - network_ns;
}

/*
 * Backwards from the end: each instant goes to the call under way that began first. Taking one ends the
 * others that began after it, so every call is looked at once. The sum of the parts is the calls' union.
 */
static uint64_t share_out(struct attribution *a, size_t count, struct callee_sums *sums)
{
    uint64_t until_ns = UINT64_MAX;
    uint64_t sum_ns = 0;
    size_t i = 0;

    qsort(a->intervals, count, sizeof a->intervals[0], by_end_descending);
    while (i < count) {
        struct call_interval best = a->intervals[i++];
        uint64_t end_ns = at_most(best.end_ns, until_ns);
        while (i < count && a->intervals[i].end_ns >= end_ns) {
            if (is_before(&a->intervals[i], &best)) {
                best = a->intervals[i];
            }
            i++;
        }
        if (best.start_ns < end_ns) {
            charge(a, sums, best.call, end_ns - best.start_ns);
            sum_ns += end_ns - best.start_ns;
            until_ns = best.start_ns;
        }
    }
    return sum_ns;
}

static uint64_t callee_ns(const struct attributed_callee *callee)
{
    return callee->own_ns + callee->network_ns + callee->retry_ns;
}

/* The callees with most time, the one met first where two have the same. */
static void pick_callees(struct callee_sums *sums, struct attributed_request *result)
{
    while (result->callee_count < ATTRIBUTION_CALLEE_COUNT) {
        struct attributed_callee *most = NULL;
        for (size_t i = 0; i < sums->count; i++) {
            if (callee_ns(&sums->callees[i]) > 0 &&
                (most == NULL || callee_ns(&sums->callees[i]) > callee_ns(most))) {
                most = &sums->callees[i];
            }
        }
        if (most == NULL) {
            return;
        }
        result->callees[result->callee_count++] = *most;
        *most = (struct attributed_callee){.own_ns = 0};
    }
}

/* Ended last, then began first, then lower id, all as the spans say, not clipped. */
static const struct timing *later_end(const struct timing *x, const struct timing *y)
{
    uint64_t x_end_ns = timing_end_unix_ns(x);
    uint64_t y_end_ns = timing_end_unix_ns(y);

    if (x_end_ns != y_end_ns) {
        return x_end_ns > y_end_ns ? x : y;
    }
    if (x->start_unix_ns != y->start_unix_ns) {
        return x->start_unix_ns < y->start_unix_ns ? x : y;
    }
    return memcmp(x->span_id, y->span_id, 8) < 0 ? x : y;
}

static void describe_calls(struct attribution *a, size_t count, struct attributed_request *result)
{
    for (size_t i = 0; i < count; i++) {
        const struct timing *call = &a->found[i]->timing;
        result->blocking = result->blocking != NULL ? later_end(call, result->blocking) : call;
        result->call_flags |= call->response_flags;
        if (call->attempts > result->call_attempts) {
            result->call_attempts = call->attempts;
        }
    }
    result->call_count = (uint32_t)count;
}

void attribution_sum_request(
    struct attribution *a, struct entry *server, struct attributed_request *ret_result)
{
    struct attributed_request result = {.timing = &server->timing};
    struct callee_sums sums = {.count = 0};
    size_t count = attribution_collect(a, server, SIDE(CLIENT) | SIDE(ATTEMPT), THROUGH_SAME_SERVICE);

    if (count != COLLECTED_TOO_MANY) {
        describe_calls(a, count, &result);
        result.has_self = true;
        result.child_ns = share_out(a, clip_calls(a, &server->timing, count), &sums);
        result.self_ns = server->timing.duration_ns - result.child_ns;
        pick_callees(&sums, &result);
    }
    *ret_result = result;
}
