/* Attempts that wait for their request; see pending_attempts.h. Runs on the shard's loop. */
#include "context/pending_attempts.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* 64 bits of 192: two requests of the same five seconds that collide would share their attempts' routes, no
 * more. */
static uint64_t key_of(const uint8_t trace_id[static 16], const uint8_t span_id[static 8])
{
    uint8_t ids[24];

    memcpy(ids, trace_id, 16);
    memcpy(ids + 16, span_id, 8);
    uint64_t key = XXH3_64bits(ids, sizeof ids);
    return key != 0 ? key : 1;
}

static struct pending_attempt *place_of(struct pending_attempts *pending, uint64_t key, uint32_t probe)
{
    return &pending->places[(key + probe) & (PENDING_ATTEMPTS_COUNT_MAX - 1)];
}

static struct pending_attempt *find(struct pending_attempts *pending, uint64_t key)
{
    for (uint32_t probe = 0; probe < PENDING_ATTEMPTS_PROBES; probe++) {
        struct pending_attempt *place = place_of(pending, key, probe);
        if (place->key == key) {
            return place;
        }
    }
    return NULL;
}

static void bring_out(
    struct pending_attempts *pending, struct pending_attempt *place, const struct pending_attempts_sink *sink)
{
    sink->out(sink->user, &place->attempt, place->count);
    pending->held_count -= place->count;
    place->key = 0;
}

/* A free place among those that a look-up visits, else the oldest of them, emptied. */
static struct pending_attempt *make_place(
    struct pending_attempts *pending, uint64_t key, const struct pending_attempts_sink *sink)
{
    struct pending_attempt *oldest = place_of(pending, key, 0);

    for (uint32_t probe = 0; probe < PENDING_ATTEMPTS_PROBES; probe++) {
        struct pending_attempt *place = place_of(pending, key, probe);
        if (place->key == 0) {
            return place;
        }
        if (place->since_ns < oldest->since_ns) {
            oldest = place;
        }
    }
    bring_out(pending, oldest, sink);
    return oldest;
}

void pending_attempts_add(struct pending_attempts *pending, const struct span *span,
    const struct attempt *attempt, uint64_t now_monotonic_ns, const struct pending_attempts_sink *sink)
{
    static const uint8_t no_parent[sizeof span->parent_id];

    if (memcmp(span->parent_id, no_parent, sizeof no_parent) == 0) {
        sink->out(sink->user, attempt, 1);
        return;
    }
    uint64_t key = key_of(span->trace_id, span->parent_id);
    struct pending_attempt *place = find(pending, key);
    if (place == NULL) {
        place = make_place(pending, key, sink);
        *place = (struct pending_attempt){.key = key, .since_ns = now_monotonic_ns, .attempt = *attempt};
    }
    place->count++;
    pending->held_count++;
}

uint32_t pending_attempts_take(struct pending_attempts *pending, const struct span *span)
{
    if (pending->held_count == 0) {
        return 0;
    }
    struct pending_attempt *place = find(pending, key_of(span->trace_id, span->span_id));
    if (place == NULL) {
        return 0;
    }
    pending->held_count -= place->count;
    place->key = 0;
    return place->count;
}

void pending_attempts_expire(
    struct pending_attempts *pending, uint64_t now_monotonic_ns, const struct pending_attempts_sink *sink)
{
    for (uint32_t i = 0; pending->held_count > 0 && i < PENDING_ATTEMPTS_COUNT_MAX; i++) {
        struct pending_attempt *place = &pending->places[i];
        if (place->key != 0 && now_monotonic_ns - place->since_ns > PENDING_ATTEMPTS_AGE_NS) {
            bring_out(pending, place, sink);
        }
    }
}
