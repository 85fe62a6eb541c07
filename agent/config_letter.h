/*
 * A configuration on its way from main to a thread that works by it, and the acknowledgement back. The thread
 * takes over its live keys on its own loop, so nobody reads what another writes; what it points to may be
 * freed once every thread has acknowledged the configuration after it.
 */
#ifndef WEFT_AGENT_CONFIG_LETTER_H
#define WEFT_AGENT_CONFIG_LETTER_H

#include "config/config.h"
#include "core/buffer.h"
#include "core/mailbox.h"

struct config_letter {
    struct mail mail; /* first member; the letter stays main's */
    const struct config *config;
    struct shared_bytes *text; /* what /api/v1/config answers; one reference for the time of the letter */
    struct mailbox *reply_to;
    void (*acknowledged)(struct mail *mail, void *receiver); /* on main's loop */
    void *user;                                              /* of acknowledged */
};

/* From the thread, once it works by the configuration; the letter is not to be used afterwards. */
static inline void config_letter_acknowledge(struct config_letter *letter)
{
    letter->mail = (struct mail){.deliver = letter->acknowledged};
    (void)mailbox_post(letter->reply_to, &letter->mail); /* main's box closes after all threads have ended */
}

/* From main: posts the letter for `deliver`, or acknowledges in the place of a thread that has ended. */
static inline void config_letter_post(
    struct config_letter *letter, struct mailbox *to, void (*deliver)(struct mail *mail, void *receiver))
{
    letter->mail = (struct mail){.deliver = deliver};
    if (!mailbox_post(to, &letter->mail)) {
        config_letter_acknowledge(letter);
    }
}

#endif
