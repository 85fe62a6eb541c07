/* A rate shared fairly between services; see rate_share.h. */
#include "trace/rate_share.h"

#include <string.h>

#define NANOTOKENS_ONE 1000000000ull

/* Places fill up in steps of this length: a step costs one pass over them. */
#define SETTLE_NS 10000000ull

/* More time than this fills everything anyhow. */
#define SETTLE_NS_MAX (RATE_SHARE_BURST_MS * 1000000ull)

/* A service that has not asked for this long gives up its place. */
#define IDLE_NS (30 * 1000000000ull)

enum { NEWCOMERS = 0 };

/* Half of the burst lies in the places, half is lent. At least one whole trace each, however low the rate. */
static uint64_t lent_max(const struct rate_share *share)
{
    uint64_t half = (uint64_t)share->rate_per_s * RATE_SHARE_BURST_MS * 1000000 / 2;

    return half > NANOTOKENS_ONE ? half : NANOTOKENS_ONE;
}

static uint64_t place_max(const struct rate_share *share)
{
    uint64_t part = lent_max(share) / share->count;

    return part > NANOTOKENS_ONE ? part : NANOTOKENS_ONE;
}

static void lend(struct rate_share *share, uint64_t nanotokens)
{
    uint64_t most = lent_max(share);

    share->lent = share->lent + nanotokens < most ? share->lent + nanotokens : most;
}

static uint32_t slot_of(uint32_t service)
{
    return (uint32_t)(((uint64_t)service * 0x9e3779b97f4a7c15ull) >> 56) % RATE_SHARE_INDEX_COUNT;
}

static void enter(struct rate_share *share, uint32_t number)
{
    uint32_t at = slot_of(share->places[number].service);

    while (share->index[at] != 0) {
        at = (at + 1) % RATE_SHARE_INDEX_COUNT;
    }
    share->index[at] = (uint8_t)number;
}

/* The service's place, or the newcomers' when it has none. */
static uint32_t find(const struct rate_share *share, uint32_t service)
{
    uint32_t at = slot_of(service);

    while (share->index[at] != 0 && share->places[share->index[at]].service != service) {
        at = (at + 1) % RATE_SHARE_INDEX_COUNT;
    }
    return share->index[at];
}

void rate_share_init(struct rate_share *share, uint32_t rate_per_s, uint64_t now_ns)
{
    *share = (struct rate_share){
        .rate_per_s = rate_per_s < RATE_SHARE_RATE_MAX ? rate_per_s : (uint32_t)RATE_SHARE_RATE_MAX,
        .count = 1,
        .settled_ns = now_ns,
    };
    share->lent = lent_max(share);
    share->places[NEWCOMERS].nanotokens = place_max(share);
}

static void leave_idle(struct rate_share *share, uint64_t now_ns)
{
    uint32_t before = share->count;

    for (uint32_t i = 1; i < share->count;) {
        if (now_ns - share->places[i].asked_ns < IDLE_NS) {
            i++;
            continue;
        }
        lend(share, share->places[i].nanotokens);
        share->places[i] = share->places[--share->count];
    }
    if (share->count == before) {
        return;
    }
    memset(share->index, 0, sizeof share->index);
    for (uint32_t i = 1; i < share->count; i++) {
        enter(share, i);
    }
}

/* Shares out what has come in since the last time. */
static void settle(struct rate_share *share, uint64_t now_ns)
{
    uint64_t passed_ns = now_ns - share->settled_ns;

    if (now_ns < share->settled_ns || passed_ns < SETTLE_NS) {
        return;
    }
    share->settled_ns = now_ns;
    leave_idle(share, now_ns);

    uint64_t income = (passed_ns < SETTLE_NS_MAX ? passed_ns : SETTLE_NS_MAX) * share->rate_per_s;
    uint64_t part = income / share->count;
    uint64_t most = place_max(share);
    uint64_t rest = income % share->count;

    for (uint32_t i = 0; i < share->count; i++) {
        struct rate_place *place = &share->places[i];

        place->nanotokens += part;
        if (place->nanotokens > most) {
            rest += place->nanotokens - most;
            place->nanotokens = most;
        }
    }
    lend(share, rest);
}

static bool pay(uint64_t *nanotokens)
{
    if (*nanotokens < NANOTOKENS_ONE) {
        return false;
    }
    *nanotokens -= NANOTOKENS_ONE;
    return true;
}

/* A place for the service, empty; the newcomers' when all are taken. */
static uint32_t add_place(struct rate_share *share, uint32_t service)
{
    if (share->count > RATE_SHARE_PLACES_COUNT_MAX) {
        return NEWCOMERS;
    }
    uint32_t number = share->count++;

    share->places[number] = (struct rate_place){.service = service};
    enter(share, number);
    return number;
}

bool rate_share_take(struct rate_share *share, uint32_t service, uint64_t now_ns)
{
    if (share->rate_per_s == 0) {
        return false;
    }
    settle(share, now_ns);
    uint32_t number = find(share, service);
    bool is_new = number == NEWCOMERS;

    if (is_new) {
        number = add_place(share, service);
    }
    struct rate_place *place = &share->places[number];

    place->asked_ns = now_ns > place->asked_ns ? now_ns : place->asked_ns;
    return pay(&place->nanotokens) || pay(&share->lent) ||
           (is_new && pay(&share->places[NEWCOMERS].nanotokens));
}
