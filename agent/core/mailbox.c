/* The mailbox of mailbox.h: posted to from any thread, drained on the receiver's loop. */
#include "core/mailbox.h"

#include "core/error.h"

static void on_wake(uv_async_t *handle)
{
    mailbox_drain(handle->data);
}

int mailbox_init(struct mailbox *box, uv_loop_t *loop, void *receiver)
{
    *box = (struct mailbox){.receiver = receiver};
    if (pthread_mutex_init(&box->lock, NULL) != 0) {
        return WERR_IO;
    }
    if (uv_async_init(loop, &box->wake, on_wake) != 0) {
        pthread_mutex_destroy(&box->lock);
        return WERR_IO;
    }
    box->wake.data = box;
    return 0;
}

bool mailbox_post(struct mailbox *box, struct mail *mail)
{
    mail->next = NULL;
    pthread_mutex_lock(&box->lock);
    if (box->closed) {
        pthread_mutex_unlock(&box->lock);
        return false;
    }
    bool was_empty = box->head == NULL;
    if (was_empty) {
        box->head = mail;
    } else {
        box->tail->next = mail;
    }
    box->tail = mail;
    if (was_empty) {
        /* Under the lock, so that mailbox_close cannot close the handle in between. */
        (void)uv_async_send(&box->wake);
    }
    pthread_mutex_unlock(&box->lock);
    return true;
}

void mailbox_drain(struct mailbox *box)
{
    pthread_mutex_lock(&box->lock);
    struct mail *mail = box->head;
    box->head = NULL;
    box->tail = NULL;
    pthread_mutex_unlock(&box->lock);

    while (mail != NULL) {
        struct mail *next = mail->next;
        mail->deliver(mail, box->receiver);
        mail = next;
    }
}

void mailbox_close(struct mailbox *box)
{
    pthread_mutex_lock(&box->lock);
    bool was_closed = box->closed;
    box->closed = true;
    pthread_mutex_unlock(&box->lock);
    if (was_closed) {
        return;
    }
    mailbox_drain(box);
    uv_close((uv_handle_t *)&box->wake, NULL);
}

void mailbox_deinit(struct mailbox *box)
{
    pthread_mutex_destroy(&box->lock);
}
