/*
 * A gRPC server over HTTP/2 sessions (core/h2.h): messages in, answers out, no I/O.
 *
 *   h2 DATA ─► 5-byte prefix ─► whole message in one chunk? ─► handler, without a copy
 *                                else memory from the process's assembly budget, reserved by the prefix
 *                                else the stream waits: its window stays shut, others go on
 *
 * A message that waits is retried, oldest first, when memory is released (grpc_server_run), and refused with
 * UNAVAILABLE and RetryInfo after limits.admission_wait_ms. What a waiting stream had under way (at most its
 * window) is held in memory of a second budget; when that is full too, the stream is refused at once.
 * Messages of at most GRPC_SMALL_BYTES may overtake.
 *
 * Compressed messages (gzip, zstd) are assembled, then inflated into the server's scratch memory, which grows
 * in the budget.
 *
 * Threads: a server and its connections belong to one shard's thread. The budgets are the process's.
 */
#ifndef WEFT_LISTEN_GRPC_H
#define WEFT_LISTEN_GRPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/budget.h"
#include "core/h2.h"
#include "core/inflate.h"
#include "core/limits.h"
#include "core/metrics.h"
#include "core/slice.h"
#include "listen/rpc_status.h"

enum {
    GRPC_PREFIX_BYTES = 5,
    GRPC_REPLY_BYTES_MAX = 1024,
    GRPC_TEXT_BYTES_MAX = 160,
    GRPC_SMALL_BYTES = 65536,
    GRPC_SCRATCH_BYTES =
        1048576, /* kept for inflated messages; what a larger one needs comes from the budget */
    GRPC_POOL_BYTES_MAX = 8388608, /* assembly buffers kept for reuse */
    GRPC_POOL_CLASS_COUNT = 7,     /* 16 KiB, 32 KiB … 1 MiB */
};
#define GRPC_LOOK_INTERVAL_NS 10000000ull
#define GRPC_STEP_NS_MAX 1000000000ull /* a longer pause between two calls was ours, not the senders' */
#define GRPC_STALL_NS                                                                                        \
    30000000000ull /* a message that holds memory and does not arrive for so long is given up */

/* What the handler says. Zeroed before the call, which means: OK with an empty message. */
struct grpc_answer {
    enum grpc_code code;
    uint32_t retry_after_ms;        /* above 0: RetryInfo goes with the code */
    char text[GRPC_TEXT_BYTES_MAX]; /* grpc-message, UTF-8, NUL-terminated; may be empty */
    size_t reply_bytes;             /* with GRPC_OK: the answering message, e.g. a partial success */
    uint8_t reply[GRPC_REPLY_BYTES_MAX];
};

/* One call, as handlers see it. */
struct grpc_call {
    const struct grpc_method *method;
    void *connection_user;  /* of grpc_connection_init */
    void *stream_user;      /* the handler's own, NULL at first; freed in `closed` */
    uint64_t message_count; /* messages before this one: 0 for the first */
};

struct grpc_method {
    const char *path; /* "/package.Service/Method" */
    bool streaming; /* the client sends any number of messages and is answered when it ends; else exactly one
                     */
    enum metric_id accepted; /* counted for each message that the handler takes */
    /*
     * Applies one message; the bytes are valid during the call only. 0: answer->code counts (OK if
     * untouched). Negative, with answer->text or the error's own: WERR_NOMEM, WERR_FULL, WERR_AGAIN
     * UNAVAILABLE + RetryInfo, counted as refused for memory; nothing was applied WERR_CLOSED the same,
     * counted as draining WERR_PERMISSION, WERR_UNSUPPORTED  PERMISSION_DENIED, UNIMPLEMENTED WERR_OVERSIZED
     * RESOURCE_EXHAUSTED any other                          INVALID_ARGUMENT; the last four are counted as
     * malformed or oversized
     */
    int (*message)(void *user, struct grpc_call *call, struct slice message, struct grpc_answer *answer);
    /* The call is over; may be NULL. */
    void (*closed)(void *user, struct grpc_call *call);
};

struct grpc_server_config {
    const struct grpc_method *methods; /* outlive the server */
    size_t method_count;
    void *user; /* first argument of handlers */
    const struct limits *limits;
    struct budget *assembly;    /* the process's: limits.assembly_bytes_max */
    struct budget *waiting;     /* the process's: what waiting streams hold, limits.waiting_bytes_max */
    struct metric_cells *cells; /* the shard's */
};

struct grpc_stream; /* grpc_internal.h */

/* Streams in order of arrival; grpc_internal.h. */
struct grpc_queue {
    struct grpc_stream *first;
    struct grpc_stream *last;
    size_t count;
};

struct grpc_buffer; /* a free assembly buffer */

struct grpc_server {
    struct grpc_server_config config;
    struct grpc_queue waiting;    /* for memory, oldest first */
    struct grpc_queue assembling; /* hold memory, longest without a byte first */
    uint64_t clock_ns;            /* of the last receive or run */
    uint64_t now_ns;       /* the time that streams are timed by: stands still while the process does */
    bool released;         /* memory came back since the last look at the queue */
    uint64_t next_look_ns; /* when to look even so: another shard may have released some */
    bool draining;         /* new messages get UNAVAILABLE */
    struct inflater inflater;
    uint8_t *scratch;
    size_t scratch_bytes; /* above GRPC_SCRATCH_BYTES only during a message, and then reserved */
    struct grpc_buffer *pool[GRPC_POOL_CLASS_COUNT];
    size_t pool_bytes;
    struct grpc_answer answer; /* of the message being handled */
};

struct grpc_connection {
    struct h2_session h2; /* the owner sends from it */
    struct grpc_server *server;
    void *user;
    void (*wake)(struct grpc_connection *connection);
    uint64_t streams_begun_count;
};

/* 0 or WERR_NOMEM; a failed init needs no undo. */
int grpc_server_init(struct grpc_server *server, const struct grpc_server_config *config);

/* After its last connection. NULL and a zeroed server are fine. */
void grpc_server_deinit(struct grpc_server *server);

/*
 * Goes on with streams that waited for memory, refuses those that waited too long, gives up stalled ones. To
 * be called on the shard's thread after every grpc_connection_receive (cheap when nothing waits) and, while
 * grpc_server_busy, by a timer: memory that another shard released shows only then. A process that was
 * stopped does not hold that time against its senders. Never from inside a handler.
 */
void grpc_server_run(struct grpc_server *server, uint64_t now_ns);

/* Whether streams wait or hold memory, so that the timer is needed. */
static inline bool grpc_server_busy(const struct grpc_server *server)
{
    return server->waiting.count > 0 || server->assembling.count > 0;
}

/* From now on messages that begin get UNAVAILABLE + RetryInfo. */
void grpc_server_drain(struct grpc_server *server);

/*
 * connection_user: handlers see it in grpc_call (who the peer is). wake: told when grpc_server_run has made
 * output for this connection (it may send, and may even deinit the connection); never called from inside
 * receive. 0 or WERR_NOMEM.
 */
int grpc_connection_init(struct grpc_connection *connection, struct grpc_server *server,
    void *connection_user, void (*wake)(struct grpc_connection *connection));

/* Calls in progress end (`closed`), incomplete messages are counted as cut. Half-built and NULL are fine. */
void grpc_connection_deinit(struct grpc_connection *connection);

/* Bytes from the peer. Errors as h2_session_receive; then send what there is, and close. */
int grpc_connection_receive(struct grpc_connection *connection, struct slice bytes, uint64_t now_ns);

#endif
