/*
 * From the bytes of a gRPC stream to whole messages, and messages to their handler. Admission to the assembly
 * budget is decided here, before anything of a message is kept. Runs on the shard's thread.
 */
#include "listen/grpc_internal.h"

#include <string.h>

#include "core/error.h"

static struct grpc_server *server_of(struct grpc_stream *stream)
{
    return stream->connection->server;
}

static void count(struct grpc_stream *stream, enum metric_id id)
{
    LEDGER_ADD(server_of(stream)->config.cells, id, 1);
}

static void release_assembly(struct grpc_stream *stream)
{
    if (stream->assembly == NULL) {
        return;
    }
    grpc_pool_give_back(server_of(stream), stream->assembly, stream->message_bytes);
    grpc_release(server_of(stream), stream->message_bytes);
    stream->assembly = NULL;
    stream->assembly_filled_bytes = 0;
}

void grpc_stream_release(struct grpc_stream *stream)
{
    release_assembly(stream);
    grpc_unhold(stream, stream->held_bytes);
    grpc_queue_remove(stream);
}

/* Answers with an error and counts the reason. Bytes that are being fed stay valid; the caller throws them
 * away. */
static void refuse(
    struct grpc_stream *stream, enum grpc_code code, enum metric_id reason, const char *text, bool retry)
{
    uint64_t retry_after_ms = server_of(stream)->config.limits->retry_after_ms;

    count(stream, reason);
    release_assembly(stream);
    grpc_answer_error(stream, code, text, retry ? (uint32_t)retry_after_ms : 0);
}

void grpc_stream_give_up(
    struct grpc_stream *stream, enum grpc_code code, enum metric_id reason, const char *text, bool retry)
{
    size_t held_bytes = stream->held_bytes;

    refuse(stream, code, reason, text, retry);
    grpc_stream_release(stream);
    (void)h2_stream_consume(&stream->connection->h2, stream->h2, held_bytes);
}

/* Joins the queue's end, or keeps its place in it. */
static void wait_for_memory(struct grpc_stream *stream)
{
    struct grpc_server *server = server_of(stream);

    stream->state = GRPC_WAITING;
    if (stream->queue == &server->waiting) {
        return;
    }
    grpc_queue_remove(stream);
    stream->since_ns = server->now_ns;
    grpc_queue_append(&server->waiting, stream);
}

static void refuse_result(struct grpc_stream *stream, int result)
{
    const char *said = server_of(stream)->answer.text;
    const char *text = said[0] != '\0' ? said : werr_text(result);

    switch (result) {
    case WERR_NOMEM:
    case WERR_FULL:
    case WERR_AGAIN:
        refuse(stream, GRPC_UNAVAILABLE, METRIC_MESSAGES_REFUSED_MEMORY, text, true);
        break;
    case WERR_CLOSED:
        refuse(stream, GRPC_UNAVAILABLE, METRIC_MESSAGES_REFUSED_DRAINING, "draining", true);
        break;
    case WERR_PERMISSION:
        refuse(stream, GRPC_PERMISSION_DENIED, METRIC_MESSAGES_REFUSED_MALFORMED, text, false);
        break;
    case WERR_UNSUPPORTED:
        refuse(stream, GRPC_UNIMPLEMENTED, METRIC_MESSAGES_REFUSED_MALFORMED, text, false);
        break;
    case WERR_OVERSIZED:
        refuse(stream, GRPC_RESOURCE_EXHAUSTED, METRIC_MESSAGES_REFUSED_OVERSIZED, text, false);
        break;
    case WERR_COMPRESSION:
        refuse(stream, GRPC_INVALID_ARGUMENT, METRIC_MESSAGES_REFUSED_COMPRESSION, text, false);
        break;
    default:
        refuse(stream, GRPC_INVALID_ARGUMENT, METRIC_MESSAGES_REFUSED_MALFORMED, text, false);
        break;
    }
}

static void reset_answer(struct grpc_answer *answer)
{
    answer->code = GRPC_OK;
    answer->retry_after_ms = 0;
    answer->text[0] = '\0';
    answer->reply_bytes = 0;
}

static void handle(struct grpc_stream *stream, struct slice message)
{
    struct grpc_server *server = server_of(stream);
    const struct grpc_method *method = stream->call.method;
    struct grpc_answer *answer = &server->answer;

    reset_answer(answer);
    int result = method->message(server->config.user, &stream->call, message, answer);
    if (result < 0) {
        refuse_result(stream, result);
    } else if (answer->code != GRPC_OK) {
        answer->text[GRPC_TEXT_BYTES_MAX - 1] = '\0';
        grpc_answer_error(stream, answer->code, answer->text, answer->retry_after_ms);
    } else {
        count(stream, method->accepted);
        stream->call.message_count++;
        if (!method->streaming) {
            grpc_answer_ok(stream, answer);
        }
    }
}

/* False: not now, the message must be kept. */
static bool deliver(struct grpc_stream *stream, struct slice message)
{
    if (stream->prefix[0] == 0) {
        handle(stream, message);
        return true;
    }
    struct slice plain = {0};
    int error = grpc_inflate(stream, message, &plain);
    if (error == 0) {
        handle(stream, plain);
    } else if (error != WERR_AGAIN) {
        refuse_result(stream, error);
    }
    grpc_scratch_shrink(server_of(stream));
    return error != WERR_AGAIN;
}

static void end_message(struct grpc_stream *stream)
{
    release_assembly(stream);
    if (stream->queue == &server_of(stream)->assembling) {
        grpc_queue_remove(stream);
    }
    stream->prefix_bytes = 0;
}

/* The prefix is complete: refuses what can never be taken. */
static void begin_message(struct grpc_stream *stream)
{
    struct grpc_server *server = server_of(stream);
    const uint8_t *p = stream->prefix;
    uint64_t bytes_max = server->config.limits->message_bytes_max;

    stream->message_bytes = (uint32_t)p[1] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 8 | p[4];
    if (bytes_max > server->config.assembly->cap_bytes) {
        bytes_max = server->config.assembly->cap_bytes;
    }
    if (server->draining) {
        refuse_result(stream, WERR_CLOSED);
    } else if (p[0] > 1) {
        refuse_result(stream, WERR_INVALID);
    } else if (p[0] == 1 && stream->encoding == GRPC_ENCODING_IDENTITY) {
        refuse(stream, GRPC_INTERNAL, METRIC_MESSAGES_REFUSED_COMPRESSION,
            "compressed message without grpc-encoding", false);
    } else if (stream->message_bytes > bytes_max) {
        refuse_result(stream, WERR_OVERSIZED);
    }
}

/*
 * Memory for the message. Large messages keep to the order of the queue; small ones may pass, so that a few
 * large ones do not hold up everybody.
 */
static bool admit(struct grpc_stream *stream)
{
    struct grpc_server *server = server_of(stream);
    size_t bytes = stream->message_bytes;
    bool my_turn =
        server->waiting.first == NULL || server->waiting.first == stream || bytes <= GRPC_SMALL_BYTES;

    if (!my_turn || !budget_reserve(server->config.assembly, bytes)) {
        return false;
    }
    stream->assembly = grpc_pool_take(server, bytes);
    if (stream->assembly == NULL) {
        grpc_release(server, bytes);
        return false;
    }
    stream->assembly_filled_bytes = 0;
    return true;
}

static void note_progress(struct grpc_stream *stream)
{
    struct grpc_server *server = server_of(stream);

    grpc_queue_remove(stream);
    stream->since_ns = server->now_ns;
    grpc_queue_append(&server->assembling, stream);
}

/* Inside a message that does not lie whole in `data`: copies. Returns the bytes taken. */
static size_t assemble(struct grpc_stream *stream, struct slice data)
{
    size_t missing = stream->message_bytes - stream->assembly_filled_bytes;
    size_t taken = data.length < missing ? data.length : missing;

    if (taken > 0) {
        memcpy(stream->assembly + stream->assembly_filled_bytes, data.ptr, taken);
        stream->assembly_filled_bytes += taken;
    }
    if (taken < missing) {
        note_progress(stream);
        return taken;
    }
    if (deliver(stream, slice_of(stream->assembly, stream->message_bytes))) {
        end_message(stream);
    } else {
        wait_for_memory(stream);
    }
    return taken;
}

/* Inside a message. Returns the bytes taken; changes the state when it has to wait or has refused. */
static size_t take_message(struct grpc_stream *stream, struct slice data)
{
    if (stream->assembly == NULL && data.length >= stream->message_bytes) {
        if (!deliver(stream, slice_sub(data, 0, stream->message_bytes))) {
            wait_for_memory(stream);
            return 0;
        }
        end_message(stream);
        return stream->message_bytes;
    }
    if (data.length == 0 && stream->assembly == NULL) {
        return 0;
    }
    if (stream->assembly == NULL && !admit(stream)) {
        wait_for_memory(stream);
        return 0;
    }
    return assemble(stream, data);
}

static size_t take_prefix(struct grpc_stream *stream, struct slice data)
{
    size_t missing = (size_t)GRPC_PREFIX_BYTES - stream->prefix_bytes;
    size_t taken = data.length < missing ? data.length : missing;

    memcpy(stream->prefix + stream->prefix_bytes, data.ptr, taken);
    stream->prefix_bytes = (uint8_t)(stream->prefix_bytes + taken);
    if (stream->prefix_bytes == GRPC_PREFIX_BYTES) {
        begin_message(stream);
    }
    return taken;
}

/* Works through bytes of the stream. Returns how many it took: all, unless the stream has to wait. */
static size_t feed(struct grpc_stream *stream, struct slice data)
{
    size_t taken = 0;

    while (stream->state == GRPC_READING) {
        struct slice rest = slice_sub(data, taken, data.length);
        if (stream->prefix_bytes < GRPC_PREFIX_BYTES) {
            if (rest.length == 0) {
                break;
            }
            taken += take_prefix(stream, rest);
            continue;
        }
        taken += take_message(stream, rest);
        if (stream->state == GRPC_READING && stream->prefix_bytes == GRPC_PREFIX_BYTES) {
            break; /* the rest of this message is still to come */
        }
    }
    return stream->state == GRPC_SKIPPING ? data.length : taken;
}

void grpc_stream_data(struct grpc_stream *stream, struct slice data)
{
    size_t taken = 0;

    if (stream->state != GRPC_WAITING) {
        taken = feed(stream, data);
    }
    if (stream->state == GRPC_WAITING && !grpc_hold(stream, slice_sub(data, taken, data.length))) {
        grpc_stream_give_up(
            stream, GRPC_UNAVAILABLE, METRIC_MESSAGES_REFUSED_MEMORY, werr_text(WERR_NOMEM), true);
        taken = data.length;
    }
    if (stream->state == GRPC_SKIPPING && stream->queue != NULL) {
        grpc_queue_remove(stream);
    }
    (void)h2_stream_consume(&stream->connection->h2, stream->h2, taken);
}

void grpc_stream_end(struct grpc_stream *stream)
{
    if (stream->state != GRPC_READING) {
        return; /* answered, or resumed later */
    }
    if (stream->prefix_bytes > 0 || (!stream->call.method->streaming && stream->call.message_count == 0)) {
        refuse_result(stream, WERR_TRUNCATED);
        grpc_queue_remove(stream);
        return;
    }
    reset_answer(&server_of(stream)->answer);
    grpc_answer_ok(stream, &server_of(stream)->answer);
}

bool grpc_stream_resume(struct grpc_stream *stream)
{
    stream->state = GRPC_READING;
    size_t taken = feed(stream, slice_of(stream->held, stream->held_bytes));
    if (taken > 0) {
        stream->since_ns = server_of(stream)->now_ns; /* if it waits again, then for its next message */
        (void)h2_stream_consume(&stream->connection->h2, stream->h2, taken);
    }
    grpc_unhold(stream, taken);
    if (stream->state == GRPC_WAITING) {
        return false;
    }
    if (stream->queue == &server_of(stream)->waiting || stream->state == GRPC_SKIPPING) {
        grpc_queue_remove(stream);
    }
    if (stream->h2->end_received) {
        grpc_stream_end(stream);
    }
    return true;
}
