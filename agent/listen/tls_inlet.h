/*
 * TLS before the servers of a shard: a connection that arrives encrypted is taken out of TLS here and goes
 * on, plain, through a socket pair, as if it had come so. What sniffs and serves it need not know.
 *
 *   peer ══TLS══► outer ─ SSL_read ─► [16 KiB] ─► inner ══socket pair══► handed ─► sniffer, HTTP/2, HTTP/1.1
 *        ◄═══════       ◄─ SSL_write ─ [16 KiB] ◄─       ◄════════════
 *
 * Each direction holds at most one buffer: what its receiver does not take is not read. Nothing is handed on
 * before the handshake is done, which may take limits.sniff_timeout_ms. The price is a copy and two system
 * calls for 16 KiB; senders that count it use the Unix socket.
 *
 * Threads: an inlet belongs to one shard's loop.
 */
#ifndef WEFT_LISTEN_TLS_INLET_H
#define WEFT_LISTEN_TLS_INLET_H

#include <openssl/ssl.h>
#include <stdint.h>
#include <sys/socket.h>
#include <uv.h>

#include "core/metrics.h"

enum {
    TLS_BUFFER_BYTES = 16384,
    TLS_NAME_BYTES = 256,
    TLS_ROUNDS_MAX = 16,
    TLS_LOOK_MS = 500,
    TLS_LINGER_MS = 5000, /* for a peer to read what the servers said last; then it is cut */
};

/* Who is at the other end of a handed descriptor. */
struct tls_peer {
    char name[TLS_NAME_BYTES]; /* of its verified certificate; "" without one */
    struct sockaddr_storage address;
};

struct tls_inlet;

struct tls_inlet_config {
    uv_loop_t *loop;
    SSL_CTX *context; /* borrowed; outlives the inlet */
    uint64_t handshake_ms_max;
    uint64_t linger_ms_max; /* TLS_LINGER_MS, but for tests */
    struct metric_cells *cells;
    /* Owns fd; -1: the handshake failed, nothing comes. Never from inside tls_inlet_add. */
    void (*done)(void *user, int fd);
    void *user;
};

/* 0, WERR_NOMEM or WERR_IO. */
int tls_inlet_new(const struct tls_inlet_config *config, struct tls_inlet **ret_inlet);

/* Takes over a connected, non-blocking fd. 0, or WERR_NOMEM, WERR_IO: then it is still the caller's. */
int tls_inlet_add(struct tls_inlet *inlet, int fd);

/* Who is behind a descriptor that `done` was given, as long as it is open; NULL for any other. */
const struct tls_peer *tls_inlet_peer(const struct tls_inlet *inlet, int fd);

/* Sends what the servers have said and ends all connections; handles end by the next turns of the loop. NULL
 * is fine. */
void tls_inlet_close(struct tls_inlet *inlet);

/* After the loop has ended. NULL is fine. */
void tls_inlet_free(struct tls_inlet *inlet);

#endif
