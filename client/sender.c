/*
 * The library's thread: collects, sends, reads answers, waits. It holds the client's lock except while it
 * waits, so that a fork (which takes the lock) never cuts it in the middle of something.
 */
#include <errno.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "client/client.h"

uint64_t client_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void client_check_flush(struct weft_client *client)
{
    struct flush *flush = &client->flush;
    const struct batch *first = backlog_at(&client->backlog, 0);

    if (flush->started == flush->done || !flush->sealed ||
        (first != NULL && first->sequence <= flush->target_sequence)) {
        return;
    }
    if (client->link.told_dropped_spans < flush->dropped_spans ||
        client->link.told_dropped_points < flush->dropped_points || link_wants_write(&client->link)) {
        return;
    }
    flush->done = flush->started;
    pthread_cond_broadcast(&client->flushed);
}

/* No record makes a system call, so nothing wakes this thread for one: it looks, more often while there is
 * something. */
static int wait_ms(const struct weft_client *client, uint64_t now_ns, bool hurry)
{
    if (hurry || client->flush.requested != client->flush.done) {
        return 1;
    }
    bool is_idle = client->backlog.count == 0 &&
                   now_ns - client->columns_since_ns > CLIENT_IDLE_AFTER_MS * UINT64_C(1000000);
    return is_idle ? CLIENT_POLL_IDLE_MS : CLIENT_POLL_MS;
}

/* Gives the lock up for at most timeout_ms, or until the agent or a caller of ours has something. */
static void wait_for_work(struct weft_client *client, int timeout_ms)
{
    struct pollfd fds[2] = {
        {.fd = client->wake_fd, .events = POLLIN},
        {.fd = client->link.fd, .events = POLLIN},
    };
    if (link_wants_write(&client->link)) {
        fds[1].events |= POLLOUT;
    }
    pthread_mutex_unlock(&client->lock);
    int ready = poll(fds, 2, timeout_ms);
    pthread_mutex_lock(&client->lock);
    if (ready <= 0) {
        return;
    }
    if ((fds[0].revents & POLLIN) != 0) {
        uint64_t count;
        (void)!read(client->wake_fd, &count, sizeof count);
    }
    if ((fds[1].revents & (POLLIN | POLLERR | POLLHUP)) != 0 && client->link.fd >= 0) {
        link_read(client, client_now_ns());
    }
}

void *client_sender(void *user)
{
    struct weft_client *client = user;
    bool hurry;

    pthread_setname_np(pthread_self(), "weft-sender");
    pthread_mutex_lock(&client->lock);
    while (!client->stopping) {
        uint64_t now_ns = client_now_ns();
        client_collect(client, now_ns, &hurry);
        link_step(client, now_ns);
        client_check_flush(client);
        wait_for_work(client, wait_ms(client, now_ns, hurry));
        client_check_flush(client);
    }
    pthread_mutex_unlock(&client->lock);
    return NULL;
}
