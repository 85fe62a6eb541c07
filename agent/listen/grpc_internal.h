/*
 * A gRPC stream's state, shared by grpc.c (calls), grpc_assembly.c (bytes to messages), grpc_answer.c (what
 * we say) and grpc_pool.c (memory). Nobody else includes it.
 *
 *   READING ──► (no memory) WAITING ──► READING ──► answered: SKIPPING, what still comes is thrown away
 */
#ifndef WEFT_LISTEN_GRPC_INTERNAL_H
#define WEFT_LISTEN_GRPC_INTERNAL_H

#include "listen/grpc.h"

enum grpc_state { GRPC_READING, GRPC_WAITING, GRPC_SKIPPING };

enum grpc_encoding { GRPC_ENCODING_IDENTITY, GRPC_ENCODING_GZIP, GRPC_ENCODING_ZSTD, GRPC_ENCODING_UNKNOWN };

/* Lives in h2_stream.user. */
struct grpc_stream {
    struct grpc_call call;
    struct grpc_connection *connection;
    struct h2_stream *h2;
    enum grpc_state state;
    enum grpc_encoding encoding;
    bool content_type_ok;
    bool method_post;

    uint8_t prefix[GRPC_PREFIX_BYTES];
    uint8_t prefix_bytes; /* received of it; GRPC_PREFIX_BYTES: inside a message */
    uint32_t message_bytes;
    uint8_t *assembly; /* message_bytes of it reserved; NULL until the message is admitted */
    size_t assembly_filled_bytes;

    uint8_t *held; /* delivered while waiting; reserved in the waiting budget by capacity */
    size_t held_bytes;
    size_t held_capacity_bytes;

    uint64_t since_ns;        /* waiting: since when; assembling: of the last byte */
    struct grpc_queue *queue; /* that it stands in, or NULL */
    struct grpc_stream *queue_next;
    struct grpc_stream *queue_previous;

    uint8_t *reply; /* prefix and message, when it is not empty */
};

/* grpc_assembly.c */
void grpc_stream_data(struct grpc_stream *stream, struct slice data);
void grpc_stream_end(
    struct grpc_stream *stream); /* the peer half-closed; waits for its turn when the stream waits */
bool grpc_stream_resume(struct grpc_stream *stream); /* false: waits still */
void grpc_stream_give_up(struct grpc_stream *stream, enum grpc_code code, enum metric_id reason,
    const char *text,
    bool retry); /* from outside the feeding of bytes: answers and frees what the stream holds */
void grpc_stream_release(struct grpc_stream *stream); /* memory and queue places */

/* grpc_answer.c: all of them leave the stream SKIPPING */
void grpc_answer_ok(struct grpc_stream *stream, const struct grpc_answer *answer);
void grpc_answer_error(
    struct grpc_stream *stream, enum grpc_code code, const char *text, uint32_t retry_after_ms);
void grpc_answer_http(struct grpc_stream *stream, const struct h2_header *headers, size_t header_count);

/* grpc_pool.c */
void grpc_queue_append(struct grpc_queue *queue, struct grpc_stream *stream);
void grpc_queue_remove(struct grpc_stream *stream);
uint8_t *grpc_pool_take(struct grpc_server *server, size_t bytes);
void grpc_pool_give_back(struct grpc_server *server, uint8_t *memory, size_t bytes);
void grpc_pool_deinit(struct grpc_server *server);
void grpc_release(struct grpc_server *server, uint64_t bytes);
bool grpc_hold(
    struct grpc_stream *stream, struct slice data); /* appends to what is held; false past the budget */
void grpc_unhold(
    struct grpc_stream *stream, size_t bytes); /* drops from the front; the memory too when empty */
int grpc_inflate(
    struct grpc_stream *stream, struct slice message, struct slice *ret_plain); /* in the scratch memory */
void grpc_scratch_shrink(struct grpc_server *server);

#endif
