/*
 * One native connection on a shard's loop: reads frames, unpacks zstd, hands payloads to its owner, answers
 * with Ack and Error. It knows the framing, Hello, sequence numbers and credit of proto/README.md; what is
 * inside dictionaries and batches is the owner's affair.
 *
 *   recv ─► shard's receive buffer ─┬─ whole frame: in place ──────────┐
 *                                   └─ part: memory of its own, taken ─┴─► (zstd) ─► handler ─► reply ─► Ack,
 * Error: one from the assembly budget                                        write a read event
 *
 * Threads: all of it belongs to one shard's thread, but the instances' table and the budget, which all shards
 * share.
 */
#ifndef WEFT_LISTEN_NATIVE_CONNECTION_H
#define WEFT_LISTEN_NATIVE_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "core/budget.h"
#include "core/limits.h"
#include "core/metrics.h"
#include "core/slice.h"
#include "listen/instances.h"
#include "proto/weft/v1/frame.h"

struct native_connection;

enum {
    NATIVE_RECEIVE_BYTES = 262144,       /* the shard's receive buffer */
    NATIVE_SCRATCH_KEPT_BYTES = 1048576, /* of the decompression buffer, kept between frames */
    NATIVE_SCRATCH_STEP_BYTES = 65536,   /* by which it is filled, and reserved from the assembly budget */
    NATIVE_READS_PER_EVENT_MAX = 4,      /* then other connections have their turn */
    NATIVE_ANSWERS_BYTES_MAX = 131072,   /* Acks and Errors that the peer has not read; past it: flood */
    NATIVE_ANSWERS_PAUSE_BYTES = 16384,  /* with more than that unread, its frames are not read either */
    NATIVE_REPLY_MESSAGE_BYTES_MAX = 96,
    NATIVE_HELLO_BYTES_MAX = 65536, /* unpacked: protobuf-c keeps unknown fields, at forty times their size */
};

/* What the handler says of one frame. Zeroed before the call: nothing to say. */
struct native_reply {
    int error_code;                               /* Weft__V1__ErrorCode of weft/v1/stream.pb-c.h; 0: fine */
    char message[NATIVE_REPLY_MESSAGE_BYTES_MAX]; /* text for Error; native_reply_error fills it */
    uint64_t sequence;                            /* of the batch; 0: not a batch, or not readable */
    uint32_t record; /* index + 1 of the first record concerned; 0: the whole frame */
    uint32_t rejected_spans;
    uint32_t rejected_points;
    uint32_t rejected_logs;
    uint32_t retry_after_ms; /* with ERROR_CODE_UNAVAILABLE; 0: the configured one */
};

/* Sets code and message; a longer message is cut. */
void native_reply_error(struct native_reply *reply, int error_code, const char *message);

enum native_claim {
    NATIVE_CLAIM_NEW,       /* apply it (after a gap too: then the reply says so) */
    NATIVE_CLAIM_DUPLICATE, /* count its records as duplicates, apply nothing but its series declarations */
    NATIVE_CLAIM_REFUSED, /* an earlier batch was refused as UNAVAILABLE and must come first: apply nothing */
};

/*
 * For the handler of a batch, once it is read and admitted and before its first record is applied: takes the
 * batch's sequence number (> 0) and sets reply->sequence.
 */
enum native_claim native_connection_claim(
    struct native_connection *connection, uint64_t sequence, struct native_reply *reply);

/*
 * For the handler of ClientStats: of what the client says that it dropped, cumulative for its instance, the
 * part that it has not said before, on this connection or an earlier one.
 */
void native_connection_dropped(struct native_connection *connection, uint64_t dropped_spans,
    uint64_t dropped_points, uint64_t *ret_spans, uint64_t *ret_points);

/*
 * The owner of a connection. `user` is what native_connection_new was given; payloads are protobuf messages
 * of weft/v1/stream.proto, unpacked from zstd, borrowed for the call. The calls may close the connection
 * (native_connection_close) but it stays valid until `closed` has returned.
 *
 * How codes are taken: VERSION, FRAME, OVERSIZED and LIMIT end the connection, and so does any error of
 * hello, and UNAVAILABLE of anything but a batch. UNAVAILABLE with a sequence makes the connection refuse
 * what follows until that batch comes again. MALFORMED with a sequence takes the number. All others are told,
 * and the batch is acknowledged.
 */
struct native_handler {
    void (*hello)(
        void *user, struct native_connection *connection, struct slice payload, struct native_reply *reply);
    void (*dictionary)(
        void *user, struct native_connection *connection, struct slice payload, struct native_reply *reply);
    void (*spans)(
        void *user, struct native_connection *connection, struct slice payload, struct native_reply *reply);
    void (*metrics)(
        void *user, struct native_connection *connection, struct slice payload, struct native_reply *reply);
    /* NULL: frames with logs are skipped as those of an unknown type are. */
    void (*logs)(
        void *user, struct native_connection *connection, struct slice payload, struct native_reply *reply);
    void (*stats)(
        void *user, struct native_connection *connection, struct slice payload, struct native_reply *reply);
    /* Last call; the connection is freed after it. */
    void (*closed)(void *user, struct native_connection *connection, const char *reason);
};

struct native_config {
    const struct limits *limits;
    struct budget *assembly;
    struct instances *instances;
    struct metric_cells *cells; /* of this shard */
};

/* What the connections of one shard share. */
struct native_shard;

/* 0 or WERR_NOMEM. All that config points to must outlive it; freed after its last connection. */
int native_shard_new(const struct native_config *config, uv_loop_t *loop, struct native_shard **ret_shard);
void native_shard_free(struct native_shard *shard); /* NULL is fine */

/*
 * Takes over the non-blocking descriptor (on success only), whose first unread byte is the magic's first. 0,
 * WERR_NOMEM or WERR_IO.
 */
int native_connection_new(struct native_shard *shard, int fd, const struct native_handler *handler,
    void *user, struct native_connection **ret_connection);

/*
 * Ends it from the owner's side: what was admitted is acknowledged first as far as the socket takes it;
 * `closed` runs in a later turn of the loop.
 */
void native_connection_close(struct native_connection *connection, const char *reason);

/* As above, after telling the peer to come again in retry_after_ms (an agent that stops). */
void native_connection_drain(struct native_connection *connection, uint32_t retry_after_ms);

#endif
