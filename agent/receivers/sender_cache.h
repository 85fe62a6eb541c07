/*
 * Who sends datagrams. A connection is asked once who is at its other end; a datagram says so each time, by
 * process id, and reading /proc for each would cost more than its records. One cache a shard, its thread
 * only.
 *
 * An entry is good for a second, then /proc is read again: a process id may have gone to another process
 * (told by its start time) or the process may have become another program. A process that has ended stays who
 * it was: its last datagrams are read after its end.
 */
#ifndef WEFT_AGENT_SENDER_CACHE_H
#define WEFT_AGENT_SENDER_CACHE_H

#include <stdint.h>

#include "context/context.h"
#include "context/sender.h"

struct ucred; /* <sys/socket.h> with _GNU_SOURCE */

enum {
    SENDER_CACHE_SET_COUNT = 64, /* a power of two */
    SENDER_CACHE_WAY_COUNT = 4,
    SENDER_CACHE_GOOD_NS = 1000000000,
};

struct sender_cache;

/* context and proc_root ("/proc") are borrowed and outlive the cache. NULL when out of memory. */
struct sender_cache *sender_cache_new(struct context *context, const char *proc_root);

/* Gives back what the senders hold in the context. NULL is fine. */
void sender_cache_free(struct sender_cache *cache);

/*
 * The sender of a datagram, bound in the context (sender->interned). NULL stands for one that the kernel does
 * not tell (UDP). Never NULL; good until the next call. With no room for another sender, the one not heard of
 * for longest of those that share its place is forgotten.
 */
const struct sender *sender_cache_find(
    struct sender_cache *cache, const struct ucred *credentials, uint64_t now_monotonic_ns);

#endif
