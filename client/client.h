/*
 * The inside of libweft. Who touches what:
 *
 *   recording threads   ring.head, ring.spans[]  ─► (SPSC) ─►  ring.tail     sender thread
 *                       metric cells (atomics)   ──────────►  read, or exchanged with 0
 *                       everything else: behind client->lock, which the sender holds while it works and gives
 * up while it waits in poll; recording takes it only for a thread's first record
 *
 * fork takes the lock first, so the child finds whole structures.
 */
#ifndef WEFT_CLIENT_CLIENT_H
#define WEFT_CLIENT_CLIENT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <zstd.h>

#include "client/backlog.h"
#include "client/logs.h"
#include "client/metrics.h"
#include "client/ring.h"
#include "client/span_columns.h"
#include "client/strings.h"
#include "core/buffer.h"
#include "core/paths.h"
#include "proto/weft/v1/frame.h"
#include "weft/weft.h"

enum {
    CLIENT_NAME_BYTES_MAX = 256,        /* node, workload, namespace */
    CLIENT_OUTPUT_BYTES = 262144,       /* of frames waiting for the socket, before more are put there */
    CLIENT_OUTPUT_BYTES_MAX = 33554432, /* … and with the one that passed it */
    CLIENT_ANSWER_BYTES_MAX = 16384,    /* one frame of the agent; proto/README.md */
    CLIENT_CYCLE_SPANS_MAX = 65536,     /* drained before the lock is given up */
    CLIENT_POLL_MS = 10,
    CLIENT_POLL_IDLE_MS = 50,
    CLIENT_IDLE_AFTER_MS = 2000, /* without a span */
    CLIENT_BACKOFF_MS_MIN = 20,
    CLIENT_BACKOFF_MS_MAX = 2000,
    CLIENT_STATS_INTERVAL_MS = 1000,
};

enum link_state {
    LINK_DOWN,
    LINK_HELLO, /* Hello written, no answer yet: no credit */
    LINK_READY,
};

/* The connection to the agent. */
struct link {
    enum link_state state;
    int fd;               /* -1: none */
    uint64_t next_try_ns; /* monotonic */
    uint32_t backoff_ms;
    uint64_t pause_until_ns; /* told by the agent: no batches before */
    struct buffer output;
    size_t output_sent_bytes;
    uint8_t input[NATIVE_HEADER_BYTES + CLIENT_ANSWER_BYTES_MAX];
    size_t input_bytes;
    uint64_t credit_bytes;
    uint32_t strings_sent;
    uint32_t metrics_sent;
    uint64_t told_dropped_spans; /* last ClientStats of this connection */
    uint64_t told_dropped_points;
    bool told;
    uint64_t told_ns;
};

struct flush {
    uint64_t requested; /* tickets */
    uint64_t started;
    uint64_t done;
    bool sealed;            /* all that was recorded before `started` is in batches up to target_sequence */
    uint64_t dropped_spans; /* as of `started`; the agent must have been told */
    uint64_t dropped_points;
    uint64_t target_sequence;
};

struct weft_client {
    pthread_mutex_t lock;
    pthread_cond_t flushed;
    uint64_t serial; /* never used twice; new after fork, so that threads register again */
    uint32_t slot;   /* index in each thread's table */
    /* options */
    char socket_path[PATHS_BYTES_MAX];
    char node[CLIENT_NAME_BYTES_MAX];
    char workload[CLIENT_NAME_BYTES_MAX];
    char workload_namespace[CLIENT_NAME_BYTES_MAX];
    struct weft_options options;
    /* the sender */
    _Atomic bool thread_running; /* written behind the lock */
    bool stopping;
    pthread_t thread;
    int wake_fd;
    uint64_t random;
    struct flush flush;
    uint8_t instance[NATIVE_INSTANCE_BYTES];
    uint64_t start_time_unix_ns;
    uint64_t next_sequence;
    struct ring *rings;
    struct strings strings;
    struct metrics metrics;
    struct span_columns *columns; /* the batch being gathered */
    struct metric_points *points; /* NULL until a metric is registered */
    struct logs logs;             /* its own lock comes after the client's */
    uint64_t logs_since_ns;       /* when a batch of them was made last */
    uint64_t columns_since_ns;    /* when its first span was taken; of the last one begun when it is empty */
    uint64_t metrics_collected_ns;
    ZSTD_CCtx *zstd; /* NULL without compression */
    struct backlog backlog;
    struct link link;
    struct weft_stats stats;         /* without what is still in rings */
    _Atomic uint64_t homeless_spans; /* dropped because the thread has no ring */
};

/* thread.c — the calling thread's ring; NULL when there is no memory or no slot for one. */
struct ring *client_ring(struct weft_client *client);
int client_enter_process(struct weft_client *client); /* 0, WEFT_ERROR_FULL or _IO; sets slot and serial */
void client_leave_process(struct weft_client *client);

/* client.c — with the lock held. */
int client_start(struct weft_client *client); /* the sender, when it does not run; 0 or WEFT_ERROR_IO */
void client_after_fork(
    struct weft_client *client, const struct ring *own); /* in the child; own: this thread's ring */
void client_new_instance(struct weft_client *client);
void client_wake(struct weft_client *client);
void client_dropped(const struct weft_client *client, uint64_t *ret_spans, uint64_t *ret_points);

/* sender.c */
void *client_sender(void *client);
uint64_t client_now_ns(void);

/* collect.c — rings and metric cells into the backlog. *ret_hurry: rings fill quickly. */
void client_collect(struct weft_client *client, uint64_t now_ns, bool *ret_hurry);

/* link.c — connects, writes; reads. Both with the lock held, neither blocks. */
void link_step(struct weft_client *client, uint64_t now_ns);
void link_read(struct weft_client *client, uint64_t now_ns);
void link_drop(struct weft_client *client, uint64_t now_ns, const char *why);
bool link_wants_write(const struct link *link);

/* sender.c — ends the flush that is under way when all of it is answered. */
void client_check_flush(struct weft_client *client);

/* answer.c — acts on one frame of the agent; false when the connection cannot go on. */
bool client_take_answer(
    struct weft_client *client, struct native_header header, const uint8_t *payload, uint64_t now_ns);

#endif
