/*
 * A rate shared fairly between services: how many traces a second one trigger may keep. Pure, the time is
 * given; one thread.
 *
 *   rate ──► places: one for all newcomers, one for each service that asked lately, equal shares
 *              └─ what a full place cannot take ──► lent: taken by whoever has used up its own
 *
 * A service that floods takes its share and what others leave, never what another's place holds. A newcomer's
 * first trace is paid from the newcomers' place, which nobody who has a place of his own may use. Services
 * past RATE_SHARE_PLACES_COUNT_MAX stay newcomers. Tokens are neither made nor lost by moving them, so that
 * over any time no more pass than rate times that time and one burst.
 */
#ifndef WEFT_TRACE_RATE_SHARE_H
#define WEFT_TRACE_RATE_SHARE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    RATE_SHARE_PLACES_COUNT_MAX = 64, /* services told apart */
    RATE_SHARE_INDEX_COUNT = 256,     /* hash slots; a power of two, at most a quarter in use */
    RATE_SHARE_RATE_MAX = 1000000,    /* per second */
    RATE_SHARE_BURST_MS = 2000,       /* the burst is what the rate gives in this time */
};

struct rate_place {
    uint32_t service;
    uint64_t asked_ns;   /* when it last asked */
    uint64_t nanotokens; /* 10^9 are one trace */
};

struct rate_share {
    uint32_t rate_per_s;
    uint32_t count;      /* places in use, the newcomers' included */
    uint64_t settled_ns; /* what came in until then has been shared out */
    uint64_t lent;       /* nanotokens for anybody */
    struct rate_place places[RATE_SHARE_PLACES_COUNT_MAX + 1]; /* the first is the newcomers' */
    uint8_t index[RATE_SHARE_INDEX_COUNT];                     /* by hash: number of a place; 0: none */
};

/* Begins with a whole burst. rate_per_s: up to RATE_SHARE_RATE_MAX; 0 never grants anything. */
void rate_share_init(struct rate_share *share, uint32_t rate_per_s, uint64_t now_ns);

/* Whether `service` may keep one more trace; takes it. now_ns: monotonic; an earlier one counts as no time
 * passed. */
bool rate_share_take(struct rate_share *share, uint32_t service, uint64_t now_ns);

#endif
