/*
 * Datagram sockets that take records: a Unix socket with its directory, lock, mode and group, or UDP on
 * loopback. Main opens and closes them; a reader runs on one shard's loop and hands out each datagram with
 * the sender's credentials. No payload is looked at.
 *
 *   socket ─poll─► recvmmsg (a batch) ─► on_batch, then on_datagram for each
 *
 * What is lost before it is read: UDP counts it in the kernel (SO_RXQ_OVFL), which is shown. A Unix socket
 * never loses what was accepted; once net.unix.max_dgram_qlen datagrams wait, its senders block or drop by
 * themselves, and nobody can tell how much.
 */
#ifndef WEFT_LISTEN_DATAGRAM_H
#define WEFT_LISTEN_DATAGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "core/metrics.h"
#include "core/slice.h"
#include "listen/listener.h"
#include "listen/unix_socket.h"

struct ucred; /* <sys/socket.h> with _GNU_SOURCE */

enum {
    DATAGRAM_BATCH_COUNT = 32,          /* datagrams that one system call reads */
    DATAGRAM_BATCHES_PER_TURN = 8,      /* before the loop's other handles have their turn */
    DATAGRAM_DRAIN_BATCHES_COUNT = 256, /* that a stop still reads */
    DATAGRAM_PAYLOAD_BYTES_MAX = 65536,
};

struct datagram_socket {
    int fd;      /* non-blocking, close-on-exec; -1: not open */
    int lock_fd; /* Unix: held for as long as the socket is open */
    bool is_udp;
    uint64_t buffer_bytes;                    /* of the kernel's receive buffer, as granted */
    char path[UNIX_SOCKET_PATH_BYTES_MAX];    /* Unix; empty for UDP */
    char address[LISTENER_ADDRESS_BYTES_MAX]; /* UDP as bound, "127.0.0.1:8125" */
};

/*
 * Binds a Unix datagram socket; errors as unix_socket_bind. buffer_bytes: what is asked for as SO_RCVBUF; 0
 * leaves the system's.
 */
int datagram_open_unix(
    struct datagram_socket *socket, const struct listener_unix_options *options, uint64_t buffer_bytes);

/* Binds UDP: "127.0.0.1:8125", "[::1]:0". WERR_INVALID when it does not parse or is no loopback address,
 * WERR_EXISTS when in use, WERR_PERMISSION, WERR_IO. */
int datagram_open_udp(struct datagram_socket *socket, const char *address, uint64_t buffer_bytes);

/* Closes the socket and removes its file. After the reader has ended. A zeroed or closed one is fine. */
void datagram_close(struct datagram_socket *socket);

struct datagram_handler {
    /* Before the datagrams of a batch. */
    void (*on_batch)(void *user);
    /* payload is valid during the call; of a truncated one it is the beginning. sender: who sent it, by the
     * kernel's word; NULL when that cannot be known (UDP). */
    void (*on_datagram)(void *user, struct slice payload, bool truncated, const struct ucred *sender);
};

struct datagram_reader;

struct datagram_reader_config {
    uv_loop_t *loop;
    const struct datagram_socket *socket; /* outlives the reader */
    const struct datagram_handler *handler;
    void *user;
    struct metric_cells *cells;
    size_t payload_bytes_max; /* at most DATAGRAM_PAYLOAD_BYTES_MAX; of a longer one the rest is cut */
    enum metric_id received;  /* datagrams */
    enum metric_id truncated; /* of them, those cut */
    enum metric_id lost;      /* UDP: that the kernel dropped for want of room */
    enum metric_id buffer;    /* gauge: socket->buffer_bytes; with several sockets, of the last */
};

/* Starts reading by the next turn of the loop. 0, WERR_NOMEM or WERR_IO. */
int datagram_reader_new(const struct datagram_reader_config *config, struct datagram_reader **ret_reader);

/*
 * On the loop's thread, before a stop: reads what lies in the socket, at most DATAGRAM_DRAIN_BATCHES_COUNT
 * batches, then closes the handle, which ends by the next turn of the loop. A second call does nothing; NULL
 * is fine.
 */
void datagram_reader_drain(struct datagram_reader *reader);

/* The same without reading. */
void datagram_reader_close(struct datagram_reader *reader);

/* After the handle has ended. NULL is fine. */
void datagram_reader_free(struct datagram_reader *reader);

#endif
