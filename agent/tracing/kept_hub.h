/*
 * Who is told that a trace is kept: every shard, so that each keeps its part, and whoever else has entered
 * itself. Entered before any thread starts, then only read; letters go by the receivers' mailboxes.
 */
#ifndef WEFT_AGENT_KEPT_HUB_H
#define WEFT_AGENT_KEPT_HUB_H

#include <stdbool.h>
#include <stddef.h>

#include "core/mailbox.h"
#include "trace/kept.h"

enum { KEPT_HUB_MEMBERS_MAX = 72 };

struct kept_hub {
    struct kept_member {
        struct mailbox *mailbox;
        void (*deliver)(struct mail *mail, void *receiver); /* of a struct kept_letter, which it frees */
    } members[KEPT_HUB_MEMBERS_MAX];
    size_t count;
};

/* False when there is no room. The mailbox outlives every thread that may send: it is closed before. */
bool kept_hub_enter(
    struct kept_hub *hub, struct mailbox *mailbox, void (*deliver)(struct mail *mail, void *receiver));

/*
 * From any thread: a letter with the batch for everybody but the owner of `from` (NULL: for all). Counts
 * METRIC_TRACE_LETTERS_LOST for letters that found no memory; to a closed mailbox none is sent.
 */
void kept_hub_send(const struct kept_hub *hub, const struct mailbox *from, const struct kept *kept,
    struct metric_cells *cells);

#endif
