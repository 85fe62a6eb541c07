/* Senders of datagrams by process id; see sender_cache.h. The shard's thread. */
#include "receivers/sender_cache.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "context/pods.h"

struct sender_entry {
    bool used;
    pid_t pid;
    uid_t uid;
    uint64_t read_ns;  /* monotonic: when /proc was last asked */
    uint64_t heard_ns; /* monotonic */
    struct sender sender;
};

struct sender_cache {
    struct context *context;
    const char *proc_root;
    struct sender unknown;
    struct sender_entry entries[SENDER_CACHE_SET_COUNT][SENDER_CACHE_WAY_COUNT];
};

struct sender_cache *sender_cache_new(struct context *context, const char *proc_root)
{
    struct sender_cache *cache = calloc(1, sizeof *cache);

    if (cache != NULL) {
        cache->context = context;
        cache->proc_root = proc_root;
        cache->unknown.kind = SENDER_UNKNOWN;
        sender_id_format(&cache->unknown);
        context_sender_bind(context, &cache->unknown);
    }
    return cache;
}

void sender_cache_free(struct sender_cache *cache)
{
    if (cache == NULL) {
        return;
    }
    for (size_t i = 0; i < SENDER_CACHE_SET_COUNT; i++) {
        for (size_t j = 0; j < SENDER_CACHE_WAY_COUNT; j++) {
            if (cache->entries[i][j].used) {
                context_sender_release(cache->context, &cache->entries[i][j].sender);
            }
        }
    }
    context_sender_release(cache->context, &cache->unknown);
    free(cache);
}

/* What can be told of a process now; one that is gone or out of sight is its user. */
static void describe(
    const struct sender_cache *cache, const struct ucred *credentials, struct sender *ret_sender)
{
    *ret_sender = (struct sender){
        .kind = SENDER_USER, .pid = credentials->pid, .uid = credentials->uid, .gid = credentials->gid};
    if (credentials->pid > 0) {
        (void)sender_read_process(cache->proc_root, credentials->pid, ret_sender);
    } else if (credentials->uid == SENDER_UID_UNMAPPED) {
        ret_sender->kind = SENDER_UNKNOWN; /* the kernel's word for: not told */
    }
    sender_id_format(ret_sender);
    (void)pods_describe(cache->context->pods, ret_sender);
}

static void read_again(struct sender_cache *cache, struct sender_entry *entry,
    const struct ucred *credentials, uint64_t now_monotonic_ns)
{
    struct sender sender;

    entry->read_ns = now_monotonic_ns;
    describe(cache, credentials, &sender);
    bool has_ended = sender.start_ticks == 0 && entry->sender.start_ticks != 0;
    bool is_same = strcmp(sender.id, entry->sender.id) == 0 && entry->sender.interned != INTERNED_OVERFLOW;
    if (has_ended || is_same) {
        return;
    }
    context_sender_release(cache->context, &entry->sender);
    entry->sender = sender;
    context_sender_bind(cache->context, &entry->sender);
}

static void fill(struct sender_cache *cache, struct sender_entry *entry, const struct ucred *credentials,
    uint64_t now_monotonic_ns)
{
    if (entry->used) {
        context_sender_release(cache->context, &entry->sender);
    }
    entry->used = true;
    entry->pid = credentials->pid;
    entry->uid = credentials->uid;
    entry->read_ns = now_monotonic_ns;
    describe(cache, credentials, &entry->sender);
    context_sender_bind(cache->context, &entry->sender);
}

/* The place of one that is not there: an empty one, or that of the one quiet longest. */
static struct sender_entry *choose_place(struct sender_entry *set)
{
    struct sender_entry *place = &set[0];

    for (size_t i = 0; i < SENDER_CACHE_WAY_COUNT; i++) {
        if (!set[i].used) {
            return &set[i];
        }
        if (set[i].heard_ns < place->heard_ns) {
            place = &set[i];
        }
    }
    return place;
}

const struct sender *sender_cache_find(
    struct sender_cache *cache, const struct ucred *credentials, uint64_t now_monotonic_ns)
{
    if (credentials == NULL) {
        return &cache->unknown;
    }
    uint32_t place = (uint32_t)(credentials->pid > 0 ? (uint32_t)credentials->pid : credentials->uid);
    struct sender_entry *set = cache->entries[place % SENDER_CACHE_SET_COUNT];
    struct sender_entry *entry = NULL;

    for (size_t i = 0; i < SENDER_CACHE_WAY_COUNT && entry == NULL; i++) {
        if (set[i].used && set[i].pid == credentials->pid && set[i].uid == credentials->uid) {
            entry = &set[i];
        }
    }
    if (entry == NULL) {
        entry = choose_place(set);
        fill(cache, entry, credentials, now_monotonic_ns);
    } else if (now_monotonic_ns - entry->read_ns > SENDER_CACHE_GOOD_NS) {
        read_again(cache, entry, credentials, now_monotonic_ns);
    }
    entry->heard_ns = now_monotonic_ns;
    return &entry->sender;
}
