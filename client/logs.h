/*
 * Log records on their way to a batch. A thread that logs copies its record into `pending` behind a lock of
 * its own, held for that copy alone; the sender swaps the table for an empty one and encodes the full one.
 *
 *   weft_log ─► pending ─(swap)─► sealing ─► LogBatch          both are made by the first record
 */
#ifndef WEFT_CLIENT_LOGS_H
#define WEFT_CLIENT_LOGS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/v1/stream.pb-c.h"
#include "weft/weft.h"

enum {
    LOGS_COUNT_MAX = 1024,      /* in one table, so in one batch */
    LOGS_ATTRIBUTES_MAX = 8192, /* of all of them */
    LOGS_TEXT_BYTES_MAX = 262144,
};

struct log_table {
    uint32_t count;
    uint32_t attribute_count;
    size_t text_bytes;
    uint64_t time_unix_ns[LOGS_COUNT_MAX];
    uint32_t severity[LOGS_COUNT_MAX];
    uint8_t trace_ids[LOGS_COUNT_MAX * 16];
    uint8_t span_ids[LOGS_COUNT_MAX * 8];
    uint32_t attributes_of[LOGS_COUNT_MAX];
    ProtobufCBinaryData bodies[LOGS_COUNT_MAX];
    ProtobufCBinaryData keys[LOGS_ATTRIBUTES_MAX];
    ProtobufCBinaryData values[LOGS_ATTRIBUTES_MAX];
    int64_t time_offset_ns[LOGS_COUNT_MAX]; /* filled when the batch is made */
    uint8_t text[LOGS_TEXT_BYTES_MAX];
};

struct logs {
    pthread_mutex_t lock; /* of what follows, but `sealing` */
    struct log_table *pending;
    uint64_t recorded; /* since weft_open or fork */
    uint64_t dropped;
    struct log_table *sealing; /* the sender's, behind the client's lock; with records while a batch of them
                                  finds no room */
    uint64_t sealed;           /* of the recorded ones, in batches; the sender's */
    uint64_t flush_recorded;   /* what a flush waits for; the sender's */
};

int logs_init(struct logs *logs); /* 0 or -1 */
void logs_deinit(struct logs *logs);

/* After fork in the child, which holds the lock: nothing is left of the parent's. */
void logs_reset(struct logs *logs);

/* INVALID, OVERSIZED (more than a table holds), FULL, NOMEM. */
int logs_add(struct logs *logs, const struct weft_log_record *record);

/* The sender: records to be sealed are in `sealing` when true. */
bool logs_take(struct logs *logs);

/* A batch of `sealing`; borrows from it. */
void logs_message(struct log_table *table, uint64_t sequence, Weft__V1__LogBatch *ret_batch);

/* recorded and dropped, as of now. */
void logs_counts(struct logs *logs, uint64_t *ret_recorded, uint64_t *ret_dropped);

#endif
