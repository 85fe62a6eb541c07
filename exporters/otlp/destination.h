/*
 * One destination: its queue, and a lane per signal that takes batches off it, one request at a time.
 *
 *   lane:  IDLE ──(batch full, or its delay over, or draining)──► SENDING ──► IDLE       sent, or rejected
 * for good ▲                                                         └─────► WAITING    no answer, or "try
 * later" └──────────────────────(backoff over: the batch is made anew)───────┘
 *
 * The ledger of a destination, true at any moment: handed over = sent + queued + dropped. Items under way are
 * queued.
 *
 * Threads: the exporter's loop.
 */
#ifndef WEFT_EXPORTERS_OTLP_DESTINATION_H
#define WEFT_EXPORTERS_OTLP_DESTINATION_H

#include <stdbool.h>

#include "core/compress.h"
#include "exporters/otlp/backoff.h"
#include "exporters/otlp/otlp_exporter.h"
#include "exporters/otlp/split.h"
#include "exporters/otlp/transport.h"
#include "exporters/queue/queue.h"

enum lane_state { LANE_IDLE, LANE_SENDING, LANE_WAITING };

struct destination;

struct lane {
    struct destination *destination;
    enum otlp_signal signal;
    struct transport *transport; /* NULL: this signal is not sent here */
    enum lane_state state;
    uv_timer_t timer; /* a batch's delay, or the wait before the next attempt */
    bool timer_open;
    struct compressor *compressor;
    struct split_limits limits; /* of one request, by the destination's own rules */
    uint64_t batch_count_max;   /* the configuration's and those */
    uint64_t batch_bytes_max;
    struct buffer body;        /* of the request under way */
    size_t batch_entry_count;  /* queue entries in it */
    uint64_t batch_item_count; /* spans or points in it */
    struct backoff backoff;
    bool failing; /* since the last success */
};

struct destination {
    const struct otlp_destination_config *config;
    const struct otlp_exporter_config *exporter;
    struct queue *queue;
    struct aws_provider *aws; /* NULL: requests are not signed */
    struct lane lanes[OTLP_SIGNAL_COUNT];
    bool queue_is_full; /* said once until something was sent again */
    bool draining;
    bool closed;
    void (*emptied)(void *user); /* when a request has ended and the queue is empty */
    void *user;
};

/*
 * Queue, compressors, transports. 0 or an error of otlp_exporter_new. After a failure, and after success as
 * long as it is not started: destination_close, then destination_deinit.
 */
int destination_init(struct destination *self, const struct otlp_destination_config *config,
    const struct otlp_exporter_config *exporter, const char **ret_what);

/* Makes its timers: from here on the loop must run between destination_close and destination_deinit. */
void destination_start(struct destination *self);

void destination_offer(
    struct destination *self, enum otlp_signal signal, struct shared_bytes *bytes, uint64_t item_count);

/* Sends at once from now on, without waiting for batches or backoff. */
void destination_drain(struct destination *self);

bool destination_is_empty(const struct destination *self);

/* What is queued is dropped and counted as shutdown; handles end in the loop's next turns. */
void destination_close(struct destination *self);

void destination_deinit(struct destination *self);

#endif
