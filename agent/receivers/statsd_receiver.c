/* The statsd receiver of a shard; see statsd_receiver.h. */
#include "receivers/statsd_receiver.h"

#include <stdlib.h>

#include "context/statsd_points.h"
#include "core/error.h"
#include "receivers/sender_cache.h"
#include "receivers/sender_stream.h"

struct statsd_receiver {
    struct pipeline *pipeline;
    uv_loop_t *loop;
    const char *proc_root;
    struct line_streams *open_streams; /* of the shard */
    struct sender_cache *senders;
    struct statsd_points *points;
    struct datagram_reader *readers[STATSD_SOCKET_COUNT_MAX];
    size_t reader_count;
    struct sender_streams streams;
    uint64_t now_monotonic_ns; /* of the batch */
    uint64_t now_unix_ns;
};

/* ---- lines ---- */

static void drop(struct metric_cells *cells, enum metric_id reason)
{
    LEDGER_ADD(cells, METRIC_POINTS_RECEIVED, 1);
    LEDGER_ADD(cells, reason, 1);
}

static enum metric_id dropped_form(enum statsd_form form)
{
    switch (form) {
    case STATSD_NOT_A_METRIC:
        return METRIC_POINTS_DROPPED_NOT_A_METRIC;
    case STATSD_UNSUPPORTED:
        return METRIC_POINTS_DROPPED_UNSUPPORTED;
    case STATSD_OVERSIZED:
        return METRIC_POINTS_DROPPED_OVERSIZED;
    case STATSD_METRIC:
    case STATSD_MALFORMED:
    default:
        return METRIC_POINTS_DROPPED_MALFORMED;
    }
}

static enum metric_id dropped_error(int error)
{
    switch (error) {
    case WERR_OVERSIZED:
        return METRIC_POINTS_DROPPED_OVERSIZED;
    case WERR_INVALID:
        return METRIC_POINTS_DROPPED_TIME;
    default:
        return METRIC_POINTS_DROPPED_SERIES;
    }
}

static void record_values(struct statsd_receiver *receiver, const struct statsd_line *line)
{
    struct directory *directory = receiver->pipeline->directory;
    struct slice rest = line->values;
    struct statsd_value value = line->first;
    struct metric_point point;

    if (line->value_count == 1) {
        statsd_points_next(receiver->points, value, &point);
        directory_record_point(directory, &point);
        return;
    }
    while (statsd_next_value(&rest, &value)) {
        statsd_points_next(receiver->points, value, &point);
        directory_record_point(directory, &point);
    }
}

static void take_line(struct statsd_receiver *receiver, const struct sender *sender, struct slice text)
{
    struct metric_cells *cells = receiver->pipeline->cells;
    struct statsd_line line;
    enum statsd_form form = statsd_parse_line(text, &line);

    if (form != STATSD_METRIC) {
        drop(cells, dropped_form(form));
        return;
    }
    LEDGER_ADD(cells, METRIC_POINTS_RECEIVED, line.value_count);
    int error = statsd_points_begin(receiver->points, &line, sender, receiver->now_unix_ns);
    if (error < 0) {
        LEDGER_ADD(cells, dropped_error(error), line.value_count);
        return;
    }
    record_values(receiver, &line);
}

/* What was not refused whole. */
static void take_lines(struct statsd_receiver *receiver, const struct sender *sender, struct slice text)
{
    struct pipeline *pipeline = receiver->pipeline;
    struct slice line;

    if (directory_is_full(pipeline->directory)) {
        LEDGER_ADD(pipeline->cells, METRIC_MESSAGES_REFUSED_MEMORY, 1);
        return;
    }
    context_batch_begin(&pipeline->context, directory_may_intern(pipeline->directory, sender->interned),
        receiver->now_monotonic_ns);
    while (statsd_next_line(&text, &line)) {
        take_line(receiver, sender, line);
    }
}

static void on_batch(struct statsd_receiver *receiver)
{
    receiver->now_monotonic_ns = clock_monotonic_ns(receiver->pipeline->clock);
    receiver->now_unix_ns = clock_unix_ns(receiver->pipeline->clock);
}

/* ---- datagrams ---- */

static void on_datagram_batch(void *user)
{
    on_batch(user);
}

/* Of one that was cut, the line in which it was cut may say anything: it is not read. */
static struct slice whole_lines(struct slice payload)
{
    const uint8_t *end = payload.length > 0 ? memrchr(payload.ptr, '\n', payload.length) : NULL;

    return slice_sub(payload, 0, end != NULL ? (size_t)(end - payload.ptr) : 0);
}

static void on_datagram(void *user, struct slice payload, bool truncated, const struct ucred *credentials)
{
    struct statsd_receiver *receiver = user;
    const struct sender *sender =
        sender_cache_find(receiver->senders, credentials, receiver->now_monotonic_ns);

    take_lines(receiver, sender, truncated ? whole_lines(payload) : payload);
    if (truncated) {
        drop(receiver->pipeline->cells, METRIC_POINTS_DROPPED_OVERSIZED);
    }
}

static const struct datagram_handler datagram_handler = {
    .on_batch = on_datagram_batch,
    .on_datagram = on_datagram,
};

int statsd_receiver_add_socket(struct statsd_receiver *receiver, const struct datagram_socket *socket)
{
    struct datagram_reader_config config = {
        .loop = receiver->loop,
        .socket = socket,
        .handler = &datagram_handler,
        .user = receiver,
        .cells = receiver->pipeline->cells,
        .payload_bytes_max = DATAGRAM_PAYLOAD_BYTES_MAX,
        .received = METRIC_DATAGRAMS_STATSD,
        .truncated = METRIC_DATAGRAMS_TRUNCATED_STATSD,
        .lost = METRIC_DATAGRAMS_LOST_STATSD,
        .buffer = METRIC_DATAGRAM_BUFFER_STATSD,
    };

    if (receiver->reader_count == STATSD_SOCKET_COUNT_MAX) {
        return WERR_FULL;
    }
    int error = datagram_reader_new(&config, &receiver->readers[receiver->reader_count]);
    if (error == 0) {
        receiver->reader_count++;
    }
    return error;
}

/* ---- streams ---- */

static void on_stream_batch(void *user)
{
    on_batch(((struct sender_stream *)user)->owner);
}

static void on_lines(void *user, struct slice lines)
{
    struct sender_stream *stream = user;

    take_lines(stream->owner, &stream->sender, lines);
}

static void on_oversized(void *user, struct slice start)
{
    const struct statsd_receiver *receiver = ((struct sender_stream *)user)->owner;

    (void)start;
    drop(receiver->pipeline->cells, METRIC_POINTS_DROPPED_OVERSIZED);
}

static const struct line_stream_handler stream_handler = {
    .on_batch = on_stream_batch,
    .on_lines = on_lines,
    .on_oversized = on_oversized,
    .on_closed = sender_stream_on_closed,
};

int statsd_receiver_add_stream(
    struct statsd_receiver *receiver, int fd, void (*on_ended)(void *user), void *user)
{
    const struct sender_stream_config config = {
        .pipeline = receiver->pipeline,
        .proc_root = receiver->proc_root,
        .lines = {.loop = receiver->loop,
            .streams = receiver->open_streams,
            .framing = LINE_FRAMING_NEWLINES,
            .line_bytes_max = STATSD_LINE_BYTES_MAX,
            .handler = &stream_handler,
            .cells = receiver->pipeline->cells},
        .owner = receiver,
        .on_ended = on_ended,
        .user = user,
    };

    return sender_stream_add(&receiver->streams, &config, fd);
}

/* ---- start and stop ---- */

int statsd_receiver_new(struct pipeline *pipeline, uv_loop_t *loop, const char *proc_root,
    struct line_streams *streams, struct statsd_receiver **ret_receiver)
{
    struct statsd_receiver *receiver = calloc(1, sizeof *receiver);

    if (receiver == NULL) {
        return WERR_NOMEM;
    }
    receiver->pipeline = pipeline;
    receiver->loop = loop;
    receiver->proc_root = proc_root;
    receiver->open_streams = streams;
    LIST_INIT(&receiver->streams);
    receiver->senders = sender_cache_new(&pipeline->context, proc_root);
    receiver->points = statsd_points_new(&pipeline->context);
    if (receiver->senders == NULL || receiver->points == NULL) {
        statsd_receiver_free(receiver);
        return WERR_NOMEM;
    }
    *ret_receiver = receiver;
    return 0;
}

void statsd_receiver_close(struct statsd_receiver *receiver)
{
    if (receiver == NULL) {
        return;
    }
    for (size_t i = 0; i < receiver->reader_count; i++) {
        datagram_reader_drain(receiver->readers[i]);
    }
    sender_streams_close(&receiver->streams);
}

void statsd_receiver_free(struct statsd_receiver *receiver)
{
    if (receiver == NULL) {
        return;
    }
    for (size_t i = 0; i < receiver->reader_count; i++) {
        datagram_reader_free(receiver->readers[i]);
    }
    sender_cache_free(receiver->senders);
    statsd_points_free(receiver->points);
    free(receiver);
}
