/*
 * Payloads and answers of a native connection: unpacking, Hello, handing on to the owner, sequence numbers,
 * Ack and Error. Runs on the shard's thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "listen/native_internal.h"
#include "weft/v1/stream.pb-c.h"

/* Room for an Error: its message and five numbers of at most ten bytes, with tags. */
enum { ANSWER_BYTES_MAX = NATIVE_REPLY_MESSAGE_BYTES_MAX + 80 };

void native_reply_error(struct native_reply *reply, int error_code, const char *message)
{
    reply->error_code = error_code;
    snprintf(reply->message, sizeof reply->message, "%s", message);
}

static bool ends_connection(int error_code)
{
    return error_code == WEFT__V1__ERROR_CODE__ERROR_CODE_VERSION ||
           error_code == WEFT__V1__ERROR_CODE__ERROR_CODE_FRAME ||
           error_code == WEFT__V1__ERROR_CODE__ERROR_CODE_OVERSIZED ||
           error_code == WEFT__V1__ERROR_CODE__ERROR_CODE_LIMIT;
}

static void count_refusal(struct metric_cells *cells, int error_code)
{
    switch (error_code) {
    case WEFT__V1__ERROR_CODE__ERROR_CODE_VERSION:
    case WEFT__V1__ERROR_CODE__ERROR_CODE_FRAME:
        metric_add(cells, METRIC_CONNECTIONS_PROTOCOL, 1);
        break;
    case WEFT__V1__ERROR_CODE__ERROR_CODE_OVERSIZED:
        LEDGER_ADD(cells, METRIC_MESSAGES_REFUSED_OVERSIZED, 1);
        break;
    case WEFT__V1__ERROR_CODE__ERROR_CODE_MALFORMED:
        LEDGER_ADD(cells, METRIC_MESSAGES_REFUSED_MALFORMED, 1);
        break;
    case WEFT__V1__ERROR_CODE__ERROR_CODE_COMPRESSION:
        LEDGER_ADD(cells, METRIC_MESSAGES_REFUSED_COMPRESSION, 1);
        break;
    case WEFT__V1__ERROR_CODE__ERROR_CODE_UNAVAILABLE:
        LEDGER_ADD(cells, METRIC_MESSAGES_REFUSED_MEMORY, 1);
        break;
    case WEFT__V1__ERROR_CODE__ERROR_CODE_LIMIT:
        metric_add(cells, METRIC_CONNECTIONS_LIMITED, 1);
        break;
    default:
        break;
    }
}

static void queue_answer(
    struct native_connection *connection, enum native_type type, const ProtobufCMessage *message)
{
    uint8_t frame[NATIVE_HEADER_BYTES + ANSWER_BYTES_MAX];
    size_t length = protobuf_c_message_get_packed_size(message);

    if (length > ANSWER_BYTES_MAX) {
        return;
    }
    native_header_write(
        frame, (struct native_header){.payload_bytes = (uint32_t)length, .type = (uint8_t)type});
    protobuf_c_message_pack(message, frame + NATIVE_HEADER_BYTES);
    buffer_append(&connection->answers, frame, NATIVE_HEADER_BYTES + length);
}

/* The configured credit; less when the process's assembly memory runs low, never below 64 KiB. */
static uint64_t credit_bytes(const struct native_connection *connection)
{
    const struct native_config *config = &connection->shard->config;
    uint64_t used = atomic_load_explicit(&config->assembly->used_bytes, memory_order_relaxed);
    uint64_t share = used < config->assembly->cap_bytes ? (config->assembly->cap_bytes - used) / 8 : 0;
    uint64_t credit = config->limits->native_credit_bytes;

    credit = share < credit ? share : credit;
    return credit > 65536 ? credit : 65536;
}

void native_answer_ack(struct native_connection *connection)
{
    Weft__V1__Ack ack = WEFT__V1__ACK__INIT;

    if (!connection->ack_due) {
        return;
    }
    ack.sequence = connection->ack_sequence;
    ack.credit_bytes = credit_bytes(connection);
    ack.rejected_spans = connection->rejected_spans;
    ack.rejected_points = connection->rejected_points;
    ack.rejected_logs = connection->rejected_logs;
    queue_answer(connection, NATIVE_TYPE_ACK, &ack.base);
    connection->ack_due = false;
    connection->rejected_spans = 0;
    connection->rejected_points = 0;
    connection->rejected_logs = 0;
}

void native_answer_error(
    struct native_connection *connection, const struct native_reply *reply, enum native_type about)
{
    Weft__V1__Error error = WEFT__V1__ERROR__INIT;
    char message[NATIVE_REPLY_MESSAGE_BYTES_MAX];

    native_answer_ack(connection);
    memcpy(message, reply->message, sizeof message);
    error.code = (Weft__V1__ErrorCode)reply->error_code;
    error.message = message;
    error.sequence = reply->sequence;
    error.record = reply->record;
    error.retry_after_ms = reply->retry_after_ms;
    if (error.code == WEFT__V1__ERROR_CODE__ERROR_CODE_UNAVAILABLE && error.retry_after_ms == 0) {
        error.retry_after_ms = (uint32_t)connection->shard->config.limits->retry_after_ms;
    }
    queue_answer(connection, NATIVE_TYPE_ERROR, &error.base);
    if (about != 0) {
        count_refusal(connection->shard->config.cells, reply->error_code);
    }
    if (ends_connection(reply->error_code) || about == NATIVE_TYPE_HELLO) {
        native_finish(connection, message);
    }
}

static enum instances_verdict claim_instance(struct native_connection *connection, uint64_t sequence)
{
    const struct native_config *config = &connection->shard->config;

    return instances_claim(
        config->instances, config->cells, connection->instance, sequence, &connection->last_sequence);
}

enum native_claim native_connection_claim(
    struct native_connection *connection, uint64_t sequence, struct native_reply *reply)
{
    reply->sequence = sequence;
    if (connection->hole_sequence != 0 && sequence > connection->hole_sequence) {
        native_reply_error(
            reply, WEFT__V1__ERROR_CODE__ERROR_CODE_UNAVAILABLE, "an earlier batch must come first");
        return NATIVE_CLAIM_REFUSED;
    }
    if (sequence == connection->hole_sequence) {
        connection->hole_sequence = 0;
    }
    enum instances_verdict verdict = claim_instance(connection, sequence);
    if (verdict == INSTANCES_GAP) {
        native_reply_error(
            reply, WEFT__V1__ERROR_CODE__ERROR_CODE_SEQUENCE, "batches before this one are missing");
    }
    return verdict == INSTANCES_DUPLICATE ? NATIVE_CLAIM_DUPLICATE : NATIVE_CLAIM_NEW;
}

void native_connection_dropped(struct native_connection *connection, uint64_t dropped_spans,
    uint64_t dropped_points, uint64_t *ret_spans, uint64_t *ret_points)
{
    instances_dropped(connection->shard->config.instances, connection->instance, dropped_spans,
        dropped_points, ret_spans, ret_points);
}

/* What a batch's reply means for sequence numbers, the Ack and the counters. */
static void settle_batch(struct native_connection *connection, const struct native_reply *reply)
{
    connection->rejected_spans += reply->rejected_spans;
    connection->rejected_points += reply->rejected_points;
    connection->rejected_logs += reply->rejected_logs;
    switch (reply->error_code) {
    case WEFT__V1__ERROR_CODE__ERROR_CODE_UNAVAILABLE:
        if (reply->sequence == 0) {
            native_finish(
                connection, "a batch refused that cannot be named"); /* order returns with a new Hello */
        } else if (connection->hole_sequence == 0 || reply->sequence < connection->hole_sequence) {
            connection->hole_sequence = reply->sequence;
        }
        return;
    case WEFT__V1__ERROR_CODE__ERROR_CODE_MALFORMED:
        if (reply->sequence > 0) {
            (void)claim_instance(connection, reply->sequence);
            connection->ack_sequence = connection->last_sequence;
            connection->ack_due = true;
        }
        return;
    case WEFT__V1__ERROR_CODE__ERROR_CODE_COMPRESSION:
    case WEFT__V1__ERROR_CODE__ERROR_CODE_VERSION:
    case WEFT__V1__ERROR_CODE__ERROR_CODE_FRAME:
    case WEFT__V1__ERROR_CODE__ERROR_CODE_OVERSIZED:
    case WEFT__V1__ERROR_CODE__ERROR_CODE_LIMIT:
        return;
    default:
        LEDGER_ADD(connection->shard->config.cells, METRIC_MESSAGES_ACCEPTED_NATIVE, 1);
        if (reply->sequence > 0) {
            connection->ack_sequence = connection->last_sequence;
            connection->ack_due = true;
        }
        return;
    }
}

/* Reads what this layer needs of Hello, then lets the owner have it. */
static void take_hello(struct native_connection *connection, struct slice payload, struct native_reply *reply)
{
    const struct native_config *config = &connection->shard->config;

    if (payload.length > NATIVE_HELLO_BYTES_MAX) {
        native_reply_error(reply, WEFT__V1__ERROR_CODE__ERROR_CODE_OVERSIZED, "Hello larger than 64 KiB");
        return;
    }
    Weft__V1__Hello *hello = weft__v1__hello__unpack(NULL, payload.length, payload.ptr);

    if (hello == NULL || hello->instance_id.len != NATIVE_INSTANCE_BYTES || hello->next_sequence == 0) {
        native_reply_error(reply, WEFT__V1__ERROR_CODE__ERROR_CODE_MALFORMED,
            "Hello needs an instance_id of 16 bytes and a next_sequence above 0");
    } else if (hello->version != NATIVE_VERSION) {
        native_reply_error(reply, WEFT__V1__ERROR_CODE__ERROR_CODE_VERSION, "this agent speaks version 1");
    } else {
        memcpy(connection->instance, hello->instance_id.data, NATIVE_INSTANCE_BYTES);
        connection->handler->hello(connection->user, connection, payload, reply);
    }
    if (hello != NULL && reply->error_code == 0) {
        connection->hello_seen = true;
        connection->last_sequence =
            instances_open(config->instances, config->cells, connection->instance, hello->next_sequence);
        connection->ack_sequence = connection->last_sequence;
        connection->ack_due = true;
    }
    if (hello != NULL) {
        weft__v1__hello__free_unpacked(hello, NULL);
    }
}

static void take_payload(struct native_connection *connection, enum native_type type, struct slice payload,
    struct native_reply *reply)
{
    const struct native_handler *handler = connection->handler;

    if ((type == NATIVE_TYPE_HELLO) == connection->hello_seen) {
        native_reply_error(reply, WEFT__V1__ERROR_CODE__ERROR_CODE_FRAME,
            type == NATIVE_TYPE_HELLO ? "a second Hello" : "the first frame must be Hello");
        return;
    }
    switch (type) {
    case NATIVE_TYPE_HELLO:
        take_hello(connection, payload, reply);
        break;
    case NATIVE_TYPE_DICTIONARY:
        handler->dictionary(connection->user, connection, payload, reply);
        break;
    case NATIVE_TYPE_SPANS:
        handler->spans(connection->user, connection, payload, reply);
        break;
    case NATIVE_TYPE_METRICS:
        handler->metrics(connection->user, connection, payload, reply);
        break;
    case NATIVE_TYPE_LOGS:
        handler->logs(connection->user, connection, payload, reply);
        break;
    default:
        handler->stats(connection->user, connection, payload, reply);
        break;
    }
}

/* Twice the scratch memory, at most the frame limit; what is above the kept size comes from the assembly
 * budget. */
static int grow_scratch(struct native_shard *shard, size_t limit_bytes)
{
    size_t wanted = shard->scratch_bytes * 2 < limit_bytes ? shard->scratch_bytes * 2 : limit_bytes;

    if (wanted <= shard->scratch_bytes) {
        return WERR_OVERSIZED;
    }
    if (!budget_reserve(shard->config.assembly, wanted - shard->scratch_bytes)) {
        return WERR_NOMEM;
    }
    uint8_t *grown = realloc(shard->scratch, wanted);
    if (grown == NULL) {
        budget_release(shard->config.assembly, wanted - shard->scratch_bytes);
        return WERR_NOMEM;
    }
    shard->scratch = grown;
    shard->scratch_bytes = wanted;
    return 0;
}

static void shrink_scratch(struct native_shard *shard)
{
    if (shard->scratch_bytes <= NATIVE_SCRATCH_KEPT_BYTES) {
        return;
    }
    uint8_t *shrunk = realloc(shard->scratch, NATIVE_SCRATCH_KEPT_BYTES);
    if (shrunk != NULL) {
        budget_release(shard->config.assembly, shard->scratch_bytes - NATIVE_SCRATCH_KEPT_BYTES);
        shard->scratch = shrunk;
        shard->scratch_bytes = NATIVE_SCRATCH_KEPT_BYTES;
    }
}

/* 0 with *ret_payload in the scratch memory; WERR_COMPRESSION, WERR_OVERSIZED or WERR_NOMEM. */
static int unpack_zstd(struct native_shard *shard, struct slice packed, struct slice *ret_payload)
{
    size_t limit_bytes = shard->config.limits->native_frame_bytes_max;
    size_t length = 0;
    int error = inflater_start(&shard->inflater, INFLATE_ZSTD, limit_bytes);

    while (error == 0) {
        size_t room = shard->scratch_bytes - length;
        if (room == 0) {
            /* at the limit one more byte tells an end from an excess, and the inflater refuses the latter */
            uint8_t excess;
            if (length >= limit_bytes) {
                long more = inflater_step(&shard->inflater, &packed, &excess, 1);
                error = more < 0 ? (int)more : more > 0 ? WERR_OVERSIZED : 0;
                break;
            }
            error = grow_scratch(shard, limit_bytes);
            continue;
        }
        long count = inflater_step(&shard->inflater, &packed, shard->scratch + length, room);
        if (count < 0) {
            error = (int)count;
            break;
        }
        length += (size_t)count;
        if ((size_t)count < room) {
            break;
        }
    }
    error = error == 0 ? inflater_finish(&shard->inflater) : error;
    if (error == 0) {
        *ret_payload = slice_of(shard->scratch, length);
    }
    return error;
}

static void refuse_packed(struct native_connection *connection, int error, struct native_reply *reply)
{
    if (error == WERR_OVERSIZED) {
        native_reply_error(reply, WEFT__V1__ERROR_CODE__ERROR_CODE_OVERSIZED,
            "unpacked frame larger than native_frame_bytes_max");
    } else if (error == WERR_NOMEM) {
        /* which batch it is cannot be told, so what follows could not be kept in order: resent after a new
         * Hello */
        native_reply_error(
            reply, WEFT__V1__ERROR_CODE__ERROR_CODE_UNAVAILABLE, "no memory to unpack the frame");
        native_finish(connection, "no memory to unpack a frame");
    } else {
        native_reply_error(
            reply, WEFT__V1__ERROR_CODE__ERROR_CODE_COMPRESSION, "damaged zstd, or a window over 8 MiB");
    }
}

void native_take_frame(
    struct native_connection *connection, struct native_header header, struct slice payload)
{
    struct native_shard *shard = connection->shard;
    struct native_reply reply = {0};
    int error = 0;

    if ((header.flags & ~NATIVE_FLAG_ZSTD) != 0) {
        native_reply_error(
            &reply, WEFT__V1__ERROR_CODE__ERROR_CODE_MALFORMED, "flags that this agent does not know");
    } else if ((header.flags & NATIVE_FLAG_ZSTD) != 0 &&
               (error = unpack_zstd(shard, payload, &payload)) != 0) {
        refuse_packed(connection, error, &reply);
    } else {
        take_payload(connection, header.type, payload, &reply);
    }
    shrink_scratch(shard);
    if (reply.error_code != 0) {
        native_answer_error(connection, &reply, header.type);
    }
    /* after the Error: an Ack that covers this batch follows what there is to say of it */
    if (header.type == NATIVE_TYPE_SPANS || header.type == NATIVE_TYPE_METRICS ||
        header.type == NATIVE_TYPE_LOGS) {
        settle_batch(connection, &reply);
    } else if (reply.error_code == WEFT__V1__ERROR_CODE__ERROR_CODE_UNAVAILABLE) {
        /* strings that are missing would have every later record refused: told again after a new Hello */
        native_finish(connection, "a frame refused that cannot be sent again");
    }
}
