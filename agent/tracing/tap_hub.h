/*
 * Who is told that somebody watches live requests: every shard; and how many may watch at once. Entered
 * before any thread starts, then only read, but for the count; any thread.
 */
#ifndef WEFT_AGENT_TAP_HUB_H
#define WEFT_AGENT_TAP_HUB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "core/mailbox.h"

struct tap_hub {
    struct tap_member {
        struct mailbox *mailbox;
        void (*deliver)(struct mail *mail, void *receiver); /* hands it to tap_shard_take */
    } members[CONFIG_SHARD_COUNT_MAX];
    size_t count;
    uint32_t taps_count_max; /* limits.taps_count_max */
    atomic_uint tap_count;   /* whose memory is not free yet */
};

/* The mailbox of a shard, of which there are at most CONFIG_SHARD_COUNT_MAX; it outlives every thread. */
void tap_hub_enter(
    struct tap_hub *hub, struct mailbox *mailbox, void (*deliver)(struct mail *mail, void *receiver));

/* Whether one more may watch; who may is to leave. */
bool tap_hub_admit(struct tap_hub *hub);
void tap_hub_leave(struct tap_hub *hub);

#endif
