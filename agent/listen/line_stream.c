/*
 * Streams of messages and lines; see line_stream.h. One shard's thread.
 *
 *   bytes: [ handed on | begun, not whole ─────── used | free ]    a message that is begun is moved to the
 *                                                                  front before the next read
 */
#include "listen/line_stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/error.h"

/* How the stream goes on behind what was handed on. */
enum skip_kind { SKIP_NONE, SKIP_COUNT, SKIP_LINE };

struct line_stream {
    uv_poll_t poll;
    struct line_stream_config config;
    void *user;
    TAILQ_ENTRY(line_stream) link; /* in config.streams */
    uint64_t active_ms;            /* uv_now of the last whole line, or of the beginning */
    bool has_line;                 /* one came with this read */
    int fd;
    bool closing;
    enum skip_kind skip;
    size_t skip_bytes; /* SKIP_COUNT: that are left of an oversized message */
    size_t used_bytes; /* in bytes[] */
    size_t room_bytes; /* of bytes[] */
    uint8_t bytes[];
};

static void on_handle_closed(uv_handle_t *handle)
{
    struct line_stream *stream = handle->data;

    stream->config.handler->on_closed(stream->user, stream->used_bytes > 0 || stream->skip != SKIP_NONE);
    (void)close(stream->fd);
    free(stream);
}

static void close_now(struct line_stream *stream)
{
    if (stream->closing) {
        return;
    }
    stream->closing = true;
    if (stream->config.streams != NULL) {
        TAILQ_REMOVE(stream->config.streams, stream, link);
    }
    uv_close((uv_handle_t *)&stream->poll, on_handle_closed);
}

/*
 * Each of these looks at the beginning of `data`, which is not empty, and returns how many bytes it is done
 * with; 0 when what stands there is not whole.
 */

static size_t skip_some(struct line_stream *stream, struct slice data)
{
    size_t taken = data.length;
    bool done;

    if (stream->skip == SKIP_COUNT) {
        taken = taken < stream->skip_bytes ? taken : stream->skip_bytes;
        stream->skip_bytes -= taken;
        done = stream->skip_bytes == 0;
    } else {
        size_t newline = slice_find(data, '\n');
        done = newline < data.length;
        taken = done ? newline + 1 : data.length;
    }
    if (done) {
        stream->skip = SKIP_NONE;
    }
    return taken;
}

static void hand_on(struct line_stream *stream, struct slice lines)
{
    stream->has_line = true;
    stream->config.handler->on_lines(stream->user, lines);
}

static void note_activity(struct line_stream *stream)
{
    struct line_streams *streams = stream->config.streams;

    stream->has_line = false;
    stream->active_ms = uv_now(stream->config.loop);
    if (streams != NULL && !stream->closing && TAILQ_NEXT(stream, link) != NULL) {
        TAILQ_REMOVE(streams, stream, link);
        TAILQ_INSERT_TAIL(streams, stream, link);
    }
}

/* A line that has no end within what a line may be. */
static size_t give_up_line(struct line_stream *stream, struct slice data)
{
    if (data.length <= stream->config.line_bytes_max) {
        return 0;
    }
    stream->config.handler->on_oversized(stream->user, slice_sub(data, 0, stream->config.line_bytes_max));
    stream->skip = SKIP_LINE;
    return data.length;
}

static size_t take_line(struct line_stream *stream, struct slice data)
{
    size_t newline = slice_find(data, '\n');

    if (newline == data.length) {
        return give_up_line(stream, data);
    }
    if (newline > stream->config.line_bytes_max) {
        stream->config.handler->on_oversized(stream->user, slice_sub(data, 0, newline));
    } else {
        hand_on(stream, slice_sub(data, 0, newline));
    }
    return newline + 1;
}

/* All whole lines there are. The buffer is hardly larger than a line may be: one too long stands alone or
 * after others. */
static size_t take_lines(struct line_stream *stream, struct slice data)
{
    size_t end = data.length;

    while (end > 0 && data.ptr[end - 1] != '\n') {
        end--;
    }
    if (end == 0) {
        return give_up_line(stream, data);
    }
    hand_on(stream, slice_sub(data, 0, end));
    return end;
}

/* "356 " and so many bytes. */
static size_t take_counted(struct line_stream *stream, struct slice data)
{
    size_t length = 0;
    size_t head = 0;

    while (head < data.length && head < LINE_STREAM_HEAD_BYTES_MAX && data.ptr[head] >= '0' &&
           data.ptr[head] <= '9') {
        length = length * 10 + (size_t)(data.ptr[head++] - '0');
    }
    if (head == data.length && head < LINE_STREAM_HEAD_BYTES_MAX) {
        return 0;
    }
    if (length == 0 || head == LINE_STREAM_HEAD_BYTES_MAX || data.ptr[head] != ' ') {
        metric_add(stream->config.cells, METRIC_CONNECTIONS_PROTOCOL, 1);
        close_now(stream);
        return data.length;
    }
    struct slice rest = slice_sub(data, head + 1, data.length);
    if (length > stream->config.line_bytes_max) {
        stream->config.handler->on_oversized(stream->user, slice_sub(rest, 0, length));
        stream->skip = SKIP_COUNT;
        stream->skip_bytes = length;
        return head + 1;
    }
    if (rest.length < length) {
        return 0;
    }
    hand_on(stream, slice_sub(rest, 0, length));
    return head + 1 + length;
}

static size_t take_one(struct line_stream *stream, struct slice data)
{
    if (stream->skip != SKIP_NONE) {
        return skip_some(stream, data);
    }
    if (stream->config.framing == LINE_FRAMING_NEWLINES) {
        return take_lines(stream, data);
    }
    /* Between messages some senders write a newline. */
    if (data.ptr[0] == '\n' || data.ptr[0] == '\0') {
        return 1;
    }
    return data.ptr[0] == '<' ? take_line(stream, data) : take_counted(stream, data);
}

static void take_bytes(struct line_stream *stream)
{
    size_t done = 0;

    stream->config.handler->on_batch(stream->user);
    while (done < stream->used_bytes && !stream->closing) {
        size_t taken = take_one(stream, slice_of(stream->bytes + done, stream->used_bytes - done));
        if (taken == 0) {
            break;
        }
        done += taken;
    }
    if (stream->has_line) {
        note_activity(stream);
    }
    stream->used_bytes -= done;
    memmove(stream->bytes, stream->bytes + done, stream->used_bytes);
}

/* False when there is nothing more to read now. */
static bool read_once(struct line_stream *stream)
{
    size_t room = stream->room_bytes - stream->used_bytes;
    ssize_t count = recv(stream->fd, stream->bytes + stream->used_bytes, room, MSG_DONTWAIT);

    if (count <= 0) {
        if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
            close_now(stream);
        }
        return false;
    }
    metric_add(stream->config.cells, METRIC_RECEIVED_BYTES, (uint64_t)count);
    stream->used_bytes += (size_t)count;
    take_bytes(stream);
    return (size_t)count == room && !stream->closing;
}

static void read_some(struct line_stream *stream, int reads_max)
{
    for (int i = 0; i < reads_max && read_once(stream); i++) {
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct line_stream *stream = poll->data;

    (void)events;
    if (status < 0) {
        close_now(stream);
        return;
    }
    read_some(stream, LINE_STREAM_READS_PER_TURN);
}

int line_stream_new(
    const struct line_stream_config *config, int fd, void *user, struct line_stream **ret_stream)
{
    /* One byte more than a message may have: so that one too long is seen to be, never a full buffer. */
    size_t room_bytes = config->line_bytes_max + LINE_STREAM_HEAD_BYTES_MAX + 1;
    struct line_stream *stream = malloc(sizeof *stream + room_bytes);

    if (stream == NULL) {
        return WERR_NOMEM;
    }
    *stream = (struct line_stream){.config = *config, .user = user, .fd = fd, .room_bytes = room_bytes};
    if (uv_poll_init(config->loop, &stream->poll, fd) != 0) {
        free(stream);
        return WERR_IO;
    }
    stream->poll.data = stream;
    stream->active_ms = uv_now(config->loop);
    if (config->streams != NULL) {
        TAILQ_INSERT_TAIL(config->streams, stream, link);
    }
    (void)uv_poll_start(&stream->poll, UV_READABLE, on_poll); /* cannot fail on a handle just made */
    *ret_stream = stream;
    return 0;
}

void line_stream_close(struct line_stream *stream)
{
    if (!stream->closing) {
        read_some(stream, LINE_STREAM_DRAIN_READS_COUNT);
    }
    close_now(stream);
}

size_t line_streams_end_idle(struct line_streams *streams, size_t count_max, uint64_t idle_ms)
{
    struct line_stream *stream;
    size_t count = 0;

    while (count < count_max && (stream = TAILQ_FIRST(streams)) != NULL &&
           uv_now(stream->config.loop) - stream->active_ms >= idle_ms) {
        metric_add(stream->config.cells, METRIC_CONNECTIONS_IDLE, 1);
        line_stream_close(stream);
        count++;
    }
    return count;
}
