/* Who is told that somebody watches; see tap_hub.h. */
#include "tracing/tap_hub.h"

void tap_hub_enter(
    struct tap_hub *hub, struct mailbox *mailbox, void (*deliver)(struct mail *mail, void *receiver))
{
    hub->members[hub->count++] = (struct tap_member){.mailbox = mailbox, .deliver = deliver};
}

bool tap_hub_admit(struct tap_hub *hub)
{
    if (atomic_fetch_add_explicit(&hub->tap_count, 1, memory_order_relaxed) < hub->taps_count_max) {
        return true;
    }
    tap_hub_leave(hub);
    return false;
}

void tap_hub_leave(struct tap_hub *hub)
{
    atomic_fetch_sub_explicit(&hub->tap_count, 1, memory_order_relaxed);
}
