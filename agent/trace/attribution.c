/*
 * The ring of entries, its two indexes, and when what is told; the sums are in attribution_sums.c. On the
 * thread of its owner.
 *
 *   tail ≤ settled ≤ head   numbers of entries; number modulo the capacity is the place
 *   [tail, settled)         results have left; still found by those that come later
 *   [settled, head)         wait
 *
 * An index is a table of the newest entry of each hash, and each entry's link names the one before it under
 * the same place of the table. Numbers only grow, so that a chain ends where a number is older than the tail,
 * and nothing needs to be taken out of it. A number that was left in a table for 2^32 entries may look alive:
 * it leads to entries of other keys, which a look-up passes over.
 */
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "trace/attribution_internal.h"

enum { ENTRY_COUNT_MIN = 16, ENTRY_COUNT_MAX = 1 << 26 };

static const uint8_t no_id[16];

/* ---- the indexes ---- */

static uint32_t hash_of(const struct attribution *a, const uint8_t *trace_id, const uint8_t *id)
{
    uint8_t key[24];

    memcpy(key, trace_id, 16);
    memcpy(key + 16, id, 8);
    return (uint32_t)XXH3_64bits_withSeed(key, sizeof key, a->settings.seed);
}

static bool is_alive(const struct attribution *a, uint32_t number)
{
    return number - a->tail < a->head - a->tail;
}

static bool is_settled(const struct attribution *a, const struct entry *entry)
{
    return entry->number - a->tail < a->settled - a->tail;
}

/* The next entry from `number` on whose ids may be those of the hash; NULL at the chain's end. */
static struct entry *next_of_id(const struct attribution *a, uint32_t number, uint32_t hash)
{
    for (; is_alive(a, number); number = a->links[number & a->mask].previous_of_id) {
        if (a->links[number & a->mask].id_hash == hash) {
            return &a->entries[number & a->mask];
        }
    }
    return NULL;
}

static struct entry *first_of_id(const struct attribution *a, uint32_t hash)
{
    return next_of_id(a, a->by_id[hash & a->mask], hash);
}

static struct entry *after_of_id(const struct attribution *a, const struct entry *entry, uint32_t hash)
{
    return next_of_id(a, a->links[entry->number & a->mask].previous_of_id, hash);
}

static bool has_id(const struct entry *entry, const uint8_t *trace_id, const uint8_t *span_id)
{
    return memcmp(entry->timing.span_id, span_id, 8) == 0 &&
           memcmp(entry->timing.trace_id, trace_id, 16) == 0;
}

struct entry *attribution_find(
    const struct attribution *a, const uint8_t *trace_id, const uint8_t *span_id, unsigned sides)
{
    /* Of several spans of one id the children belong to the innermost: what the server did. */
    static const uint8_t rank[TIMING_SIDE_COUNT] = {
        [TIMING_SERVER] = 0,
        [TIMING_OTHER] = 1,
        [TIMING_CLIENT] = 2,
        [TIMING_ATTEMPT] = 3,
    };
    uint32_t hash = hash_of(a, trace_id, span_id);
    struct entry *best = NULL;

    for (struct entry *entry = first_of_id(a, hash); entry != NULL; entry = after_of_id(a, entry, hash)) {
        if ((sides >> entry->timing.side & 1) != 0 && has_id(entry, trace_id, span_id) &&
            (best == NULL || rank[entry->timing.side] < rank[best->timing.side])) {
            best = entry;
        }
    }
    return best;
}

/* The next from `number` on that is under the parent, whose id has this hash. */
static struct entry *next_under(
    const struct attribution *a, uint32_t number, uint32_t hash, const struct entry *parent)
{
    for (; is_alive(a, number); number = a->links[number & a->mask].previous_of_parent) {
        struct entry *entry = &a->entries[number & a->mask];
        if (a->links[number & a->mask].parent_hash == hash && attribution_is_under(entry, parent)) {
            return entry;
        }
    }
    return NULL;
}

static uint32_t id_hash_of(const struct attribution *a, const struct entry *entry)
{
    return a->links[entry->number & a->mask].id_hash;
}

struct entry *attribution_first_child(const struct attribution *a, const struct entry *parent)
{
    uint32_t hash = id_hash_of(a, parent);

    return next_under(a, a->by_parent[hash & a->mask], hash, parent);
}

struct entry *attribution_next_child(
    const struct attribution *a, const struct entry *parent, const struct entry *child)
{
    return next_under(a, a->links[child->number & a->mask].previous_of_parent, id_hash_of(a, parent), parent);
}

/* ---- settling ---- */

static void tell_network(struct attribution *a, struct entry *server, const struct entry *client)
{
    struct attributed_network result = {
        .client = &client->timing,
        .server = &server->timing,
        .network_ns = attribution_network_ns(client, server),
    };

    if (server->timing.duration_ns > client->timing.duration_ns) {
        a->counts.clock_disagreements++;
    }
    server->is_paired = true;
    if (a->settings.sink.network != NULL) {
        a->settings.sink.network(a->settings.sink.user, &result);
    }
}

static void settle_server(struct attribution *a, struct entry *server)
{
    struct attributed_request result;
    struct entry *client = attribution_caller(a, server);

    attribution_sum_request(a, server, &result);
    if (client != NULL) {
        size_t server_count = attribution_collect(a, client, SIDE(SERVER), THROUGH_OTHER);
        result.caller = &client->timing;
        if (server_count == 1) {
            result.has_network = true;
            result.network_ns = attribution_network_ns(client, server);
            tell_network(a, server, client);
        } else {
            a->counts.ambiguous++;
            server->is_paired = true; /* with nobody, for good */
        }
    }
    if (a->settings.sink.request != NULL) {
        a->settings.sink.request(a->settings.sink.user, &result);
    }
}

/* Server sides whose own results left before this client side came. */
static void settle_client(struct attribution *a, struct entry *client)
{
    size_t server_count = attribution_collect(a, client, SIDE(SERVER), THROUGH_OTHER);

    for (size_t i = 0; server_count != COLLECTED_TOO_MANY && i < server_count; i++) {
        struct entry *server = a->found[i];
        if (server->is_paired || !is_settled(a, server)) {
            continue;
        }
        if (server_count == 1) {
            tell_network(a, server, client);
        } else {
            a->counts.ambiguous++;
            server->is_paired = true;
        }
    }
    if (client->timing.side == TIMING_CLIENT && a->settings.sink.call != NULL) {
        struct attributed_call result;
        attribution_sum_call(a, client, &result);
        a->settings.sink.call(a->settings.sink.user, &result);
    }
}

static void settle_next(struct attribution *a)
{
    struct entry *entry = &a->entries[a->settled & a->mask];

    a->visits_left = ATTRIBUTION_VISIT_COUNT_MAX;
    if (entry->timing.side == TIMING_SERVER) {
        settle_server(a, entry);
    } else if (entry->timing.side != TIMING_OTHER) {
        settle_client(a, entry);
    }
    a->settled++;
}

static void forget_oldest(struct attribution *a)
{
    if (a->settled == a->tail) {
        a->counts.early++;
        settle_next(a);
    }
    a->tail++;
}

static void advance(struct attribution *a, uint64_t now_ns)
{
    if (now_ns > a->now_ns) {
        a->now_ns = now_ns;
    }
}

static bool is_due(const struct attribution *a)
{
    return a->settled != a->head &&
           a->now_ns - a->entries[a->settled & a->mask].arrived_ns >= a->settings.wait_ns;
}

bool attribution_run(struct attribution *a, uint64_t now_ns, uint32_t count_max)
{
    advance(a, now_ns);
    for (; count_max > 0 && is_due(a); count_max--) {
        settle_next(a);
    }
    while (a->tail != a->settled &&
           a->now_ns - a->entries[a->tail & a->mask].arrived_ns >= a->settings.keep_ns) {
        a->tail++;
    }
    return is_due(a);
}

void attribution_finish(struct attribution *a)
{
    while (a->settled != a->head) {
        settle_next(a);
    }
}

/* ---- taking spans ---- */

static bool has_good_ids(const struct timing *timing)
{
    return memcmp(timing->trace_id, no_id, 16) != 0 && memcmp(timing->span_id, no_id, 8) != 0 &&
           timing->side < TIMING_SIDE_COUNT;
}

/* A call whose request has told its results already: known when it comes, as the parent is there. */
static void note_late_call(struct attribution *a, struct entry *entry)
{
    const struct entry *up = attribution_up(a, entry);

    for (int depth = 0; up != NULL && up->timing.side == TIMING_OTHER && depth < ATTRIBUTION_DEPTH_MAX;
         depth++) {
        up = attribution_up(a, up);
    }
    if (up != NULL && up->timing.side == TIMING_SERVER && is_settled(a, up)) {
        a->counts.late_calls++;
    }
}

/* Other sides of the same ids are marked; false when there is the same side. */
static bool meet_others(struct attribution *a, const struct timing *timing, uint32_t hash, bool *ret_shared)
{
    struct entry *entry = first_of_id(a, hash);

    for (; entry != NULL; entry = after_of_id(a, entry, hash)) {
        if (!has_id(entry, timing->trace_id, timing->span_id)) {
            continue;
        }
        if (entry->timing.side == timing->side) {
            return false;
        }
        entry->is_shared = true;
        *ret_shared = true;
    }
    return true;
}

static bool has_parent(struct attribution *a, const struct timing *timing)
{
    if (memcmp(timing->parent_id, no_id, 8) == 0) {
        return false;
    }
    if (memcmp(timing->parent_id, timing->span_id, 8) == 0) {
        a->counts.self_parents++;
        return false;
    }
    return true;
}

/* NULL when it is there already. */
static struct entry *take(struct attribution *a, const struct timing *timing)
{
    uint32_t hash = hash_of(a, timing->trace_id, timing->span_id);
    bool is_shared = false;

    if (!meet_others(a, timing, hash, &is_shared)) {
        a->counts.repeated++;
        return NULL;
    }
    if (a->head - a->tail > a->mask) {
        forget_oldest(a);
    }
    uint32_t number = a->head;
    struct entry *entry = &a->entries[number & a->mask];
    struct entry_link *link = &a->links[number & a->mask];

    *entry = (struct entry){
        .timing = *timing,
        .arrived_ns = a->now_ns,
        .number = number,
        .has_parent = has_parent(a, timing),
        .is_shared = is_shared,
    };
    *link = (struct entry_link){
        .id_hash = hash, .previous_of_id = a->by_id[hash & a->mask], .previous_of_parent = a->tail - 1};
    a->by_id[hash & a->mask] = number;
    if (entry->has_parent) {
        link->parent_hash = hash_of(a, timing->trace_id, timing->parent_id);
        link->previous_of_parent = a->by_parent[link->parent_hash & a->mask];
        a->by_parent[link->parent_hash & a->mask] = number;
    }
    a->head++;
    return entry;
}

void attribution_add(
    struct attribution *a, const struct timing *timing, uint64_t now_ns, uint64_t now_unix_ns)
{
    uint64_t end_unix_ns = timing_end_unix_ns(timing);

    advance(a, now_ns);
    if (!has_good_ids(timing)) {
        a->counts.bad_ids++;
    } else if (now_unix_ns > end_unix_ns && now_unix_ns - end_unix_ns > a->settings.late_ns) {
        a->counts.late++;
    } else {
        struct entry *entry = take(a, timing);
        a->counts.joined += entry != NULL;
        if (entry != NULL && ((SIDE(CLIENT) | SIDE(ATTEMPT)) >> timing->side & 1) != 0) {
            note_late_call(a, entry);
        }
    }
}

/* ---- start and stop ---- */

static uint32_t capacity_of(uint32_t span_count_max)
{
    uint32_t capacity = ENTRY_COUNT_MIN;

    while (capacity < span_count_max && capacity < ENTRY_COUNT_MAX) {
        capacity *= 2;
    }
    return capacity;
}

struct attribution *attribution_new(const struct attribution_settings *settings)
{
    struct attribution *a = settings->span_count_max > 0 ? calloc(1, sizeof *a) : NULL;

    if (a == NULL) {
        return NULL;
    }
    uint32_t capacity = capacity_of(settings->span_count_max);
    a->settings = *settings;
    if (a->settings.keep_ns < a->settings.wait_ns) {
        a->settings.keep_ns = a->settings.wait_ns;
    }
    a->mask = capacity - 1;
    a->entries = calloc(capacity, sizeof *a->entries);
    a->links = calloc(capacity, sizeof *a->links);
    a->by_id = calloc(capacity, sizeof *a->by_id);
    a->by_parent = calloc(capacity, sizeof *a->by_parent);
    /* No number of an empty table is alive: the first is 1, and 0 is older than the tail. */
    a->head = a->tail = a->settled = 1;
    if (a->entries == NULL || a->links == NULL || a->by_id == NULL || a->by_parent == NULL) {
        attribution_free(a);
        return NULL;
    }
    return a;
}

void attribution_free(struct attribution *a)
{
    if (a != NULL) {
        free(a->entries);
        free(a->links);
        free(a->by_id);
        free(a->by_parent);
        free(a);
    }
}

uint32_t attribution_span_count(const struct attribution *a)
{
    return a->head - a->tail;
}

size_t attribution_bytes_of(uint32_t span_count_max)
{
    size_t span_bytes = sizeof(struct entry) + sizeof(struct entry_link) + 2 * sizeof(uint32_t);

    return sizeof(struct attribution) + capacity_of(span_count_max) * span_bytes;
}

size_t attribution_bytes(const struct attribution *a)
{
    return attribution_bytes_of(a->mask + 1);
}

const struct attribution_counts *attribution_counts(const struct attribution *a)
{
    return &a->counts;
}
