/*
 * Listening sockets: a Unix socket with its directory, lock, mode and group, or a TCP address. Opening and
 * closing only; who accepts from them is acceptor.h.
 */
#ifndef WEFT_LISTEN_LISTENER_H
#define WEFT_LISTEN_LISTENER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "listen/unix_socket.h"

enum listener_kind {
    LISTENER_INGEST, /* weft.sock: takes records, its first bytes tell the protocol */
    LISTENER_API,    /* api.sock: HTTP queries */
    LISTENER_HTTP,   /* TCP: /metrics, health, queries */
    LISTENER_STATSD, /* Unix stream: statsd lines */
    LISTENER_LOG,    /* Unix stream: access log lines, as entry `receiver` of the configuration says */
    LISTENER_OTLP,   /* TCP, perhaps TLS: takes records as weft.sock does */
    LISTENER_METRICS /* TCP: /metrics and health alone */
};

static inline bool listener_takes_records(enum listener_kind kind)
{
    return kind != LISTENER_API && kind != LISTENER_HTTP && kind != LISTENER_METRICS;
}

enum {
    LISTENER_PATH_BYTES_MAX = UNIX_SOCKET_PATH_BYTES_MAX,
    LISTENER_ADDRESS_BYTES_MAX = 64,
    LISTENER_BACKLOG_COUNT = 512
};

struct listener {
    enum listener_kind kind;
    uint32_t receiver; /* LISTENER_LOG: set by the caller once it is open */
    int fd;
    int lock_fd;                              /* Unix: held for as long as we listen */
    char path[LISTENER_PATH_BYTES_MAX];       /* Unix; empty for TCP */
    char address[LISTENER_ADDRESS_BYTES_MAX]; /* TCP as bound, "127.0.0.1:9464" */
    bool is_passed; /* a service manager's, which made the socket file and keeps it */
};

/*
 * Binds and listens. A stale socket file is replaced. Errors: WERR_EXISTS when another instance is live on
 * the path or a file that is not a socket lies there, WERR_OVERSIZED when the path is too long,
 * WERR_NOT_FOUND for an unknown group, WERR_PERMISSION, WERR_IO (errno is kept). A failed open leaves nothing
 * behind.
 */
int listener_open_unix(
    struct listener *listener, enum listener_kind kind, const struct listener_unix_options *options);

/* address: "127.0.0.1:9464", "[::1]:0". WERR_INVALID when it does not parse, WERR_EXISTS when in use,
 * WERR_IO. */
int listener_open_tcp(struct listener *listener, enum listener_kind kind, const char *address);

/*
 * Takes over a socket that a service manager listens on already; address, mode and group are its maker's. The
 * descriptor becomes non-blocking, and the listener's on success; a failure leaves it the caller's.
 * WERR_INVALID when it is not a listening stream socket of the kind's family (Unix for weft.sock, api.sock
 * and streams of lines, else IPv4 or IPv6) or when it is a Unix socket without a path, which no permissions
 * would guard; WERR_IO.
 */
int listener_adopt(struct listener *listener, enum listener_kind kind, int fd);

/* "HOST:PORT" with a numeric host, an IPv6 one in brackets. WERR_INVALID when it does not parse. */
int listener_parse_address(const char *text, struct sockaddr_storage *ret_address, socklen_t *ret_length);

/* The address of a bound socket in that form, with the port that the kernel chose for port 0; out is left
 * alone when that cannot be told. */
void listener_format_address(int fd, char out[static LISTENER_ADDRESS_BYTES_MAX]);

/* Stops listening; removes the socket file unless it was passed. A zeroed or closed listener is fine. */
void listener_close(struct listener *listener);

#endif
