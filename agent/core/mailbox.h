/*
 * Letters from any thread to one loop. A locked list that wakes the loop only when it was empty; letters are
 * delivered outside the lock, in the order in which they were posted. Not on the record path: a shard posts a
 * few letters a flip.
 */
#ifndef WEFT_CORE_MAILBOX_H
#define WEFT_CORE_MAILBOX_H

#include <pthread.h>
#include <stdbool.h>
#include <uv.h>

/* Embed as the first member of what is sent. `deliver` runs on the receiving loop and then owns the letter.
 */
struct mail {
    struct mail *next;
    void (*deliver)(struct mail *mail, void *receiver);
};

struct mailbox {
    pthread_mutex_t lock;
    struct mail *head;
    struct mail *tail;
    bool closed;
    uv_async_t wake;
    void *receiver;
};

/* Attaches to `loop`; `receiver` is passed to each deliver. 0 or WERR_IO. A failed init leaves nothing to
 * undo. */
int mailbox_init(struct mailbox *box, uv_loop_t *loop, void *receiver);

/* From any thread. Never fails and allocates nothing. False when the box is closed: the caller keeps the
 * letter. */
bool mailbox_post(struct mailbox *box, struct mail *mail);

/* On the loop's thread: delivers what is there now (also letters posted before this call but not yet woken
 * for). */
void mailbox_drain(struct mailbox *box);

/* On the loop's thread: refuses further letters, delivers the rest, closes the handle (finished by the next
 * loop turn). */
void mailbox_close(struct mailbox *box);

/* After the loop has ended. */
void mailbox_deinit(struct mailbox *box);

#endif
