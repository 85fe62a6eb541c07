/* What native_connection.c (bytes and frames) and native_messages.c (payloads and answers) share. */
#ifndef WEFT_LISTEN_NATIVE_INTERNAL_H
#define WEFT_LISTEN_NATIVE_INTERNAL_H

#include <stddef.h>

#include "core/buffer.h"
#include "core/inflate.h"
#include "listen/native_connection.h"

struct native_shard {
    struct native_config config;
    uv_loop_t *loop;
    struct inflater inflater;
    uint8_t *scratch; /* unpacked payloads: NATIVE_SCRATCH_KEPT_BYTES, more for the time of one frame */
    size_t scratch_bytes;
    uint8_t receive[NATIVE_RECEIVE_BYTES];
};

enum native_state {
    NATIVE_STATE_MAGIC,
    NATIVE_STATE_HEADER,
    NATIVE_STATE_PAYLOAD, /* gathered in `assembly` */
    NATIVE_STATE_SKIP,    /* of a type that we do not know */
    NATIVE_STATE_CLOSING,
};

struct native_connection {
    struct native_shard *shard;
    const struct native_handler *handler;
    void *user;
    int fd;
    uv_poll_t poll;
    int poll_events;
    enum native_state state;
    bool in_event; /* reading: answers are sent at its end */
    bool finish;   /* end it once the answers are out */
    char close_reason[NATIVE_REPLY_MESSAGE_BYTES_MAX];
    /* framing */
    uint8_t head[NATIVE_MAGIC_BYTES]; /* magic or header that came in pieces */
    size_t head_bytes;
    struct native_header header;
    uint8_t *assembly; /* header.payload_bytes, reserved from the budget */
    size_t assembly_bytes;
    uint64_t skip_bytes;
    /* the session */
    bool hello_seen;
    uint8_t instance[NATIVE_INSTANCE_BYTES];
    uint64_t last_sequence; /* of the instance, as of the last batch here */
    uint64_t ack_sequence;  /* of the last batch that is settled: what an Ack says */
    uint64_t hole_sequence; /* refused as UNAVAILABLE, must come again first; 0: none */
    bool ack_due;
    uint64_t rejected_spans; /* since the last Ack */
    uint64_t rejected_points;
    uint64_t rejected_logs;
    struct buffer answers;
    size_t answers_sent_bytes;
};

/* Acts on one whole frame; payload as it came. */
void native_take_frame(
    struct native_connection *connection, struct native_header header, struct slice payload);

/* Queues an Error (an Ack that is due goes before it), counts it and, when the code ends connections,
 * finishes this one. */
void native_answer_error(
    struct native_connection *connection, const struct native_reply *reply, enum native_type about);

/* Queues the Ack that is due, if any. */
void native_answer_ack(struct native_connection *connection);

/* Nothing more is read; closed when the answers are out. The first reason stays. */
void native_finish(struct native_connection *connection, const char *reason);

#endif
