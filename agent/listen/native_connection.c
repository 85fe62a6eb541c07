/*
 * Bytes and frames of a native connection (native_connection.h): reading, splitting, writing answers,
 * closing. Runs on the shard's thread. Payloads and answers are native_messages.c's.
 */
#include "listen/native_connection.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/error.h"
#include "listen/native_internal.h"
#include "weft/v1/stream.pb-c.h"

int native_shard_new(const struct native_config *config, uv_loop_t *loop, struct native_shard **ret_shard)
{
    struct native_shard *shard = calloc(1, sizeof *shard);

    if (shard == NULL) {
        return WERR_NOMEM;
    }
    shard->scratch = malloc(NATIVE_SCRATCH_KEPT_BYTES);
    if (shard->scratch == NULL) {
        free(shard);
        return WERR_NOMEM;
    }
    shard->scratch_bytes = NATIVE_SCRATCH_KEPT_BYTES;
    shard->config = *config;
    shard->loop = loop;
    inflater_init(&shard->inflater);
    *ret_shard = shard;
    return 0;
}

void native_shard_free(struct native_shard *shard)
{
    if (shard == NULL) {
        return;
    }
    inflater_deinit(&shard->inflater);
    free(shard->scratch);
    free(shard);
}

static void release_assembly(struct native_connection *connection)
{
    if (connection->assembly != NULL) {
        free(connection->assembly);
        connection->assembly = NULL;
        budget_release(connection->shard->config.assembly, connection->header.payload_bytes);
    }
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct native_connection *connection = handle->data;

    connection->handler->closed(connection->user, connection, connection->close_reason);
    close(connection->fd);
    release_assembly(connection);
    buffer_deinit(&connection->answers);
    free(connection);
}

/* At once, whatever is unsent. */
static void close_now(struct native_connection *connection, const char *reason)
{
    if (uv_is_closing((const uv_handle_t *)&connection->poll)) {
        return;
    }
    if (connection->close_reason[0] == '\0') {
        snprintf(connection->close_reason, sizeof connection->close_reason, "%s", reason);
    }
    bool cut = connection->head_bytes > 0 || connection->state == NATIVE_STATE_PAYLOAD ||
               connection->state == NATIVE_STATE_SKIP;
    if (cut) {
        LEDGER_ADD(connection->shard->config.cells, METRIC_MESSAGES_CUT, 1);
    }
    connection->state = NATIVE_STATE_CLOSING;
    uv_close((uv_handle_t *)&connection->poll, on_handle_closed);
}

void native_finish(struct native_connection *connection, const char *reason)
{
    if (connection->finish) {
        return;
    }
    connection->finish = true;
    snprintf(connection->close_reason, sizeof connection->close_reason, "%s", reason);
}

static void on_poll(uv_poll_t *poll, int status, int events);

/* Reading stops while the peer leaves its answers unread, and for good when the connection is to end. */
static void update_poll(struct native_connection *connection)
{
    size_t unsent = connection->answers.length - connection->answers_sent_bytes;
    int events = 0;

    if (!connection->finish && unsent <= NATIVE_ANSWERS_PAUSE_BYTES) {
        events |= UV_READABLE;
    }
    if (unsent > 0) {
        events |= UV_WRITABLE;
    }
    if (events != connection->poll_events && uv_poll_start(&connection->poll, events, on_poll) == 0) {
        connection->poll_events = events;
    }
}

/* One write for all answers of a read event. */
static void send_answers(struct native_connection *connection)
{
    struct buffer *answers = &connection->answers;

    native_answer_ack(connection);
    if (answers->error != 0) {
        metric_add(connection->shard->config.cells, METRIC_CONNECTIONS_FLOOD, 1);
        close_now(connection, "answers that it does not read");
        return;
    }
    size_t unsent = answers->length - connection->answers_sent_bytes;
    if (unsent > 0) {
        ssize_t sent = send(connection->fd, answers->data + connection->answers_sent_bytes, unsent,
            MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN && errno != EINTR) {
            close_now(connection, "peer is gone");
            return;
        }
        connection->answers_sent_bytes += sent > 0 ? (size_t)sent : 0;
    }
    if (connection->answers_sent_bytes == answers->length) {
        answers->length = 0;
        connection->answers_sent_bytes = 0;
    }
    if (connection->finish && answers->length == 0) {
        close_now(connection, "finished");
        return;
    }
    update_poll(connection);
}

/* Gathers `need` bytes of magic or header that may come in pieces; NULL until they are all there. */
static const uint8_t *take_head(struct native_connection *connection, struct slice *data, size_t need)
{
    if (connection->head_bytes == 0 && data->length >= need) {
        const uint8_t *whole = data->ptr;
        *data = slice_sub(*data, need, data->length);
        return whole;
    }
    size_t missing = need - connection->head_bytes;
    size_t taken = data->length < missing ? data->length : missing;
    memcpy(connection->head + connection->head_bytes, data->ptr, taken);
    connection->head_bytes += taken;
    *data = slice_sub(*data, taken, data->length);
    if (connection->head_bytes < need) {
        return NULL;
    }
    connection->head_bytes = 0;
    return connection->head;
}

static void refuse_frame(
    struct native_connection *connection, enum native_type about, int code, const char *message)
{
    struct native_reply reply = {0};

    native_reply_error(&reply, code, message);
    native_answer_error(connection, &reply, about);
}

static bool type_is_known(const struct native_handler *handler, uint8_t type)
{
    if (type == NATIVE_TYPE_LOGS) {
        return handler->logs != NULL;
    }
    return type == NATIVE_TYPE_HELLO || type == NATIVE_TYPE_DICTIONARY || type == NATIVE_TYPE_SPANS ||
           type == NATIVE_TYPE_METRICS || type == NATIVE_TYPE_CLIENT_STATS;
}

/* The payload is not wholly in `data`: memory for it, or the end of the connection. */
static void start_assembly(struct native_connection *connection)
{
    uint32_t payload_bytes = connection->header.payload_bytes;
    struct budget *budget = connection->shard->config.assembly;

    if (!budget_reserve(budget, payload_bytes)) {
        refuse_frame(connection, connection->header.type, WEFT__V1__ERROR_CODE__ERROR_CODE_UNAVAILABLE,
            "no memory to receive the frame");
        native_finish(connection, "no memory to receive a frame");
        return;
    }
    connection->assembly = malloc(payload_bytes);
    if (connection->assembly == NULL) {
        budget_release(budget, payload_bytes);
        refuse_frame(connection, connection->header.type, WEFT__V1__ERROR_CODE__ERROR_CODE_UNAVAILABLE,
            "no memory to receive the frame");
        native_finish(connection, "no memory to receive a frame");
        return;
    }
    connection->assembly_bytes = 0;
    connection->state = NATIVE_STATE_PAYLOAD;
}

/* A header is complete: what becomes of its payload. */
static void begin_frame(struct native_connection *connection, struct slice *data)
{
    struct native_header header = connection->header;

    if (header.payload_bytes > connection->shard->config.limits->native_frame_bytes_max) {
        refuse_frame(connection, connection->header.type, WEFT__V1__ERROR_CODE__ERROR_CODE_OVERSIZED,
            "frame larger than native_frame_bytes_max");
        return;
    }
    if (!type_is_known(connection->handler, header.type)) {
        LEDGER_ADD(connection->shard->config.cells, METRIC_MESSAGES_REFUSED_UNKNOWN, 1);
        connection->skip_bytes = header.payload_bytes;
        connection->state = NATIVE_STATE_SKIP;
        return;
    }
    if (data->length >= header.payload_bytes) {
        struct slice payload = slice_sub(*data, 0, header.payload_bytes);
        *data = slice_sub(*data, header.payload_bytes, data->length);
        native_take_frame(connection, header, payload);
        return;
    }
    start_assembly(connection);
}

static void take_payload(struct native_connection *connection, struct slice *data)
{
    size_t missing = connection->header.payload_bytes - connection->assembly_bytes;
    size_t taken = data->length < missing ? data->length : missing;

    assert(connection->assembly != NULL);
    if (data->ptr != connection->assembly + connection->assembly_bytes) {
        memcpy(connection->assembly + connection->assembly_bytes, data->ptr, taken);
    }
    connection->assembly_bytes += taken;
    *data = slice_sub(*data, taken, data->length);
    if (taken == missing) {
        connection->state = NATIVE_STATE_HEADER;
        native_take_frame(
            connection, connection->header, slice_of(connection->assembly, connection->header.payload_bytes));
        release_assembly(connection);
    }
}

static void take_magic(struct native_connection *connection, struct slice *data)
{
    const uint8_t *magic = take_head(connection, data, NATIVE_MAGIC_BYTES);

    if (magic == NULL) {
        return;
    }
    connection->state = NATIVE_STATE_HEADER;
    if (memcmp(magic, NATIVE_MAGIC, NATIVE_MAGIC_BYTES) != 0) {
        refuse_frame(connection, NATIVE_TYPE_HELLO, WEFT__V1__ERROR_CODE__ERROR_CODE_FRAME,
            "the connection does not begin with the magic");
    }
}

/* Takes all of `data`, or as much as the connection lives to take. */
static void take_bytes(struct native_connection *connection, struct slice data)
{
    while (data.length > 0 && !connection->finish && connection->state != NATIVE_STATE_CLOSING) {
        switch (connection->state) {
        case NATIVE_STATE_MAGIC:
            take_magic(connection, &data);
            break;
        case NATIVE_STATE_HEADER: {
            const uint8_t *head = take_head(connection, &data, NATIVE_HEADER_BYTES);
            if (head != NULL) {
                connection->header = native_header_read(head);
                begin_frame(connection, &data);
            }
            break;
        }
        case NATIVE_STATE_PAYLOAD:
            take_payload(connection, &data);
            break;
        case NATIVE_STATE_SKIP: {
            uint64_t taken = data.length < connection->skip_bytes ? data.length : connection->skip_bytes;
            connection->skip_bytes -= taken;
            data = slice_sub(data, taken, data.length);
            break;
        }
        case NATIVE_STATE_CLOSING:
            break;
        }
        if (connection->state == NATIVE_STATE_SKIP && connection->skip_bytes == 0) {
            connection->state = NATIVE_STATE_HEADER;
        }
    }
}

/* One read: straight into the assembly when a frame is being gathered. False when the socket is drained or
 * ended. */
static bool read_once(struct native_connection *connection)
{
    struct native_shard *shard = connection->shard;
    uint8_t *to = shard->receive;
    size_t capacity = sizeof shard->receive;

    if (connection->state == NATIVE_STATE_PAYLOAD) {
        to = connection->assembly + connection->assembly_bytes;
        capacity = connection->header.payload_bytes - connection->assembly_bytes;
    }
    ssize_t count = recv(connection->fd, to, capacity, MSG_DONTWAIT);
    if (count < 0) {
        if (errno != EAGAIN && errno != EINTR) {
            close_now(connection, "peer is gone");
        }
        return false;
    }
    if (count == 0) {
        close_now(connection, "peer has closed");
        return false;
    }
    metric_add(shard->config.cells, METRIC_RECEIVED_BYTES, (uint64_t)count);
    take_bytes(connection, slice_of(to, (size_t)count));
    return (size_t)count == capacity && !connection->finish && connection->state != NATIVE_STATE_CLOSING;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct native_connection *connection = poll->data;

    if (status < 0) {
        close_now(connection, "peer is gone");
        return;
    }
    if ((events & UV_READABLE) != 0 && !connection->finish) {
        connection->in_event = true;
        for (int reads = 0; reads < NATIVE_READS_PER_EVENT_MAX && read_once(connection); reads++) {
        }
        connection->in_event = false;
    }
    if (connection->state != NATIVE_STATE_CLOSING) {
        send_answers(connection);
    }
}

int native_connection_new(struct native_shard *shard, int fd, const struct native_handler *handler,
    void *user, struct native_connection **ret_connection)
{
    struct native_connection *connection = calloc(1, sizeof *connection);

    if (connection == NULL) {
        return WERR_NOMEM;
    }
    connection->shard = shard;
    connection->handler = handler;
    connection->user = user;
    connection->fd = fd;
    buffer_init(&connection->answers, NATIVE_ANSWERS_BYTES_MAX);
    if (uv_poll_init(shard->loop, &connection->poll, fd) != 0) {
        free(connection);
        return WERR_IO;
    }
    connection->poll.data = connection;
    update_poll(connection);
    *ret_connection = connection;
    return 0;
}

void native_connection_close(struct native_connection *connection, const char *reason)
{
    native_finish(connection, reason);
    if (connection->in_event || connection->state == NATIVE_STATE_CLOSING) {
        return;
    }
    send_answers(connection);
    close_now(connection, reason);
}

void native_connection_drain(struct native_connection *connection, uint32_t retry_after_ms)
{
    struct native_reply reply = {.retry_after_ms = retry_after_ms};

    if (connection->state == NATIVE_STATE_CLOSING || connection->finish) {
        return;
    }
    native_reply_error(&reply, WEFT__V1__ERROR_CODE__ERROR_CODE_UNAVAILABLE, "the agent is stopping");
    native_answer_error(connection, &reply, 0);
    native_connection_close(connection, "the agent is stopping");
}
