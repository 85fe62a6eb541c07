/* Who is told that a trace is kept; see kept_hub.h. */
#include "tracing/kept_hub.h"

#include <stdlib.h>

bool kept_hub_enter(
    struct kept_hub *hub, struct mailbox *mailbox, void (*deliver)(struct mail *mail, void *receiver))
{
    if (hub->count == KEPT_HUB_MEMBERS_MAX) {
        return false;
    }
    hub->members[hub->count++] = (struct kept_member){.mailbox = mailbox, .deliver = deliver};
    return true;
}

void kept_hub_send(const struct kept_hub *hub, const struct mailbox *from, const struct kept *kept,
    struct metric_cells *cells)
{
    for (size_t i = 0; i < hub->count; i++) {
        const struct kept_member *member = &hub->members[i];

        if (member->mailbox == from) {
            continue;
        }
        struct kept_letter *letter = kept_letter_new(kept);
        if (letter == NULL) {
            metric_add(cells, METRIC_TRACE_LETTERS_LOST, kept->batch_count);
            continue;
        }
        letter->mail.deliver = member->deliver;
        if (!mailbox_post(member->mailbox, &letter->mail)) {
            free(letter);
        }
    }
}
