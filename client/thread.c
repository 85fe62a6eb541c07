/*
 * Which ring a thread writes to, what happens when a thread ends, and when the process forks. This needs the
 * library's only process-wide state: fork handlers and a thread's end get no argument.
 */
#include <pthread.h>

#include "client/client.h"

struct thread_slot {
    uint64_t serial; /* of the client that the ring belongs to */
    struct ring *ring;
};

struct thread_slots {
    struct thread_slot slot[WEFT_CLIENTS_COUNT_MAX];
};

/* Initial-exec: found by one instruction, never allocated at first use. */
static _Thread_local struct thread_slots slots __attribute__((tls_model("initial-exec")));

static struct {
    pthread_once_t once;
    pthread_mutex_t lock; /* taken before any client's lock */
    pthread_key_t key;    /* runs on_thread_end */
    bool ready;
    uint64_t last_serial;
    struct weft_client *clients[WEFT_CLIENTS_COUNT_MAX];
} process = {.once = PTHREAD_ONCE_INIT, .lock = PTHREAD_MUTEX_INITIALIZER};

static void on_thread_end(void *user)
{
    struct thread_slots *ending = user;

    for (size_t i = 0; i < WEFT_CLIENTS_COUNT_MAX; i++) {
        struct ring *ring = ending->slot[i].ring;
        if (ring != NULL) {
            ending->slot[i] = (struct thread_slot){0};
            atomic_store_explicit(&ring->abandoned, true, memory_order_release);
            ring_unref(ring);
        }
    }
}

static void before_fork(void)
{
    pthread_mutex_lock(&process.lock);
    for (size_t i = 0; i < WEFT_CLIENTS_COUNT_MAX; i++) {
        if (process.clients[i] != NULL) {
            pthread_mutex_lock(&process.clients[i]->lock);
            pthread_mutex_lock(&process.clients[i]->logs.lock);
        }
    }
}

static void unlock_all(void)
{
    for (size_t i = WEFT_CLIENTS_COUNT_MAX; i-- > 0;) {
        if (process.clients[i] != NULL) {
            pthread_mutex_unlock(&process.clients[i]->logs.lock);
            pthread_mutex_unlock(&process.clients[i]->lock);
        }
    }
    pthread_mutex_unlock(&process.lock);
}

static void after_fork_in_child(void)
{
    for (size_t i = 0; i < WEFT_CLIENTS_COUNT_MAX; i++) {
        struct weft_client *client = process.clients[i];
        if (client != NULL) {
            client->serial = ++process.last_serial;
            client_after_fork(client, slots.slot[i].ring);
        }
    }
    unlock_all();
}

static void set_up_process(void)
{
    process.ready = pthread_key_create(&process.key, on_thread_end) == 0 &&
                    pthread_atfork(before_fork, unlock_all, after_fork_in_child) == 0;
}

int client_enter_process(struct weft_client *client)
{
    pthread_once(&process.once, set_up_process);
    if (!process.ready) {
        return WEFT_ERROR_IO;
    }
    int error = WEFT_ERROR_FULL;
    pthread_mutex_lock(&process.lock);
    for (uint32_t i = 0; i < WEFT_CLIENTS_COUNT_MAX && error != 0; i++) {
        if (process.clients[i] == NULL) {
            process.clients[i] = client;
            client->slot = i;
            client->serial = ++process.last_serial;
            error = 0;
        }
    }
    pthread_mutex_unlock(&process.lock);
    return error;
}

void client_leave_process(struct weft_client *client)
{
    pthread_mutex_lock(&process.lock);
    process.clients[client->slot] = NULL;
    pthread_mutex_unlock(&process.lock);
}

/* A thread's first record on this client: gives it a ring. */
static __attribute__((noinline, cold)) struct ring *register_thread(struct weft_client *client)
{
    struct thread_slot *slot = &slots.slot[client->slot];
    struct ring *ring = NULL;

    if (pthread_setspecific(process.key, &slots) == 0) {
        ring = ring_new(client->options.thread_spans_count);
    }
    if (ring == NULL) {
        return NULL;
    }
    ring_unref(slot->ring); /* of a client that is closed, or of before fork */
    *slot = (struct thread_slot){.serial = client->serial, .ring = ring};
    pthread_mutex_lock(&client->lock);
    ring->next = client->rings;
    client->rings = ring;
    client_start(client);
    pthread_mutex_unlock(&client->lock);
    return ring;
}

struct ring *client_ring(struct weft_client *client)
{
    const struct thread_slot *slot = &slots.slot[client->slot];

    return __builtin_expect(slot->serial == client->serial, 1) ? slot->ring : register_thread(client);
}
