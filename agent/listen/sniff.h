/*
 * Tells by its first bytes what a connection to weft.sock speaks, without taking them from the socket.
 *
 * A level-triggered poll would spin on an incomplete prefix that is only peeked at. So: poll until something
 * is there; when that does not tell yet, stop polling and look again by one 10 ms timer for all such
 * connections of the shard.
 */
#ifndef WEFT_LISTEN_SNIFF_H
#define WEFT_LISTEN_SNIFF_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uv.h>

#include "core/metrics.h"
#include "core/slice.h"

enum sniffed { SNIFFED_INCOMPLETE, SNIFFED_UNKNOWN, SNIFFED_NATIVE, SNIFFED_HTTP1, SNIFFED_HTTP2 };

enum { SNIFF_PEEK_BYTES = 24, SNIFF_AGAIN_MS = 10, SNIFF_QUIET_MS = 500 };

/* What these first bytes of a connection begin. Pure. */
enum sniffed sniff_bytes(struct slice prefix);

struct sniff_connection;

struct sniffer {
    uv_loop_t *loop;
    uv_timer_t timer;
    LIST_HEAD(sniff_list, sniff_connection) pending;
    size_t pending_count;
    size_t partial_count; /* of these, how many have sent something that does not tell */
    uint64_t timer_ms;    /* period now; 0: stopped */
    uint64_t timeout_ms;
    struct metric_cells *cells;
    /* Owns fd from here on. `sniffed` is never INCOMPLETE; UNKNOWN stands for a timeout or an early end, too.
     */
    void (*done)(void *user, int fd, enum sniffed sniffed);
    void *user;
};

void sniffer_init(struct sniffer *sniffer, uv_loop_t *loop, uint64_t timeout_ms, struct metric_cells *cells,
    void (*done)(void *user, int fd, enum sniffed sniffed), void *user);

/* Takes over fd. On an error it is closed by `done(…, SNIFFED_UNKNOWN)` as well. */
void sniffer_add(struct sniffer *sniffer, int fd);

/* Gives every pending connection to `done` as UNKNOWN and closes the timer; handles end by the next turn of
 * the loop. */
void sniffer_close(struct sniffer *sniffer);

#endif
