/*
 * Sends OTLP/gRPC over the agent's Unix socket as fast as it is answered (or at --rate): prebuilt messages,
 * many streams in flight on a few connections, for a fixed time. Then waits for the last answers and prints
 * what the agent's process spent.
 *
 *     otlp_load --socket PATH --pid PID --corpus FILE.otlp --batch 5|8|512 [--name NAME] [--seconds S]
 * [--rate SPANS/S [--burst MESSAGES]]
 *
 * Other corpora, by their name's end:
 *   .logs             OTLP log records, --batch a message
 *   .als              access log streams: --batch entries a message, STREAM_ENTRIES or so a stream, which
 * then is ended, so that its answer tells that it was taken .metrics          OTLP metrics, as recorded, a
 * message a call .metrics_service  Envoy's, as recorded: streams of --batch messages, the node in the first
 *
 * NAME_sent and NAME_accepted count records: those of calls begun, and of those answered with grpc-status 0.
 * Of the two last a record is a message: how many points it holds the receiver tells. One thread, one poll
 * loop.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "als_corpus.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/h2.h"
#include "corpus.h"
#include "load.h"

enum {
    CONNECTIONS_MAX = 64,
    OUT_BYTES = 262144,
    IN_BYTES = 65536,
    POOL_BYTES = 32 << 20,
    STREAM_ENTRIES = 2048,
};

struct load;

struct load_connection {
    struct load *load;
    struct h2_session h2;
    int fd;
    uint32_t in_flight;
    uint8_t out[OUT_BYTES];
    size_t out_bytes;
    size_t out_sent_bytes;
};

/* What a corpus is sent as. */
struct kind {
    const char *suffix;
    const char *path;
    bool is_stream;                                              /* has no deadline */
    int (*make_calls)(struct load *load, struct corpus *corpus); /* fills batches and spans_per_call */
};

struct load {
    struct load_options options;
    const struct kind *kind;
    uint32_t spans_per_call;
    struct corpus_batches batches;
    struct load_connection connections[CONNECTIONS_MAX];
    size_t next_message;
    uint64_t sent_messages;
    uint64_t accepted_messages;
    uint64_t failed_messages;
    uint64_t begin_ns;
    uint64_t last_answer_ns;
    bool stopping;
};

/* What a stream remembers. */
struct call {
    bool accepted;
};

static uint64_t now_ns(void)
{
    return clock_monotonic_ns(clock_system());
}

static int on_header(void *user, struct h2_stream *stream, struct slice name, struct slice value)
{
    struct call *call = h2_stream_user(stream);

    (void)user;
    if (slice_equal(name, SLICE_LITERAL("grpc-status"))) {
        call->accepted = slice_equal(value, SLICE_LITERAL("0"));
    }
    return 0;
}

static int on_data(void *user, struct h2_stream *stream, struct slice data)
{
    struct load_connection *connection = user;

    return h2_stream_consume(&connection->h2, stream, data.length);
}

static void on_close(void *user, struct h2_stream *stream, uint32_t error_code)
{
    struct load_connection *connection = user;
    const struct call *call = h2_stream_user(stream);

    connection->in_flight--;
    if (call->accepted && error_code == NGHTTP2_NO_ERROR) {
        connection->load->accepted_messages++;
    } else {
        connection->load->failed_messages++;
    }
}

static const struct h2_callbacks callbacks = {
    .on_header = on_header, .on_data = on_data, .on_close = on_close};

/* Whether the rate that was asked for lets another message go, or a burst has begun. */
static bool is_due(const struct load *load)
{
    double elapsed_s = (double)(now_ns() - load->begin_ns) / 1e9;

    return load->options.rate <= 0 || load->sent_messages % load->options.burst != 0 ||
           (double)(load->sent_messages * load->spans_per_call) < load->options.rate * elapsed_s;
}

static int submit(struct load_connection *connection)
{
    struct load *load = connection->load;

    const struct h2_header headers[] = {
        H2_LITERAL(":method", "POST"),
        H2_LITERAL(":scheme", "http"),
        {.name = SLICE_LITERAL(":path"), .value = slice_of_string(load->kind->path), .lasting = true},
        H2_LITERAL(":authority", "agent_grpc"),
        H2_LITERAL("te", "trailers"),
        H2_LITERAL("content-type", "application/grpc"),
        H2_LITERAL("x-envoy-internal", "true"),
        H2_LITERAL("x-forwarded-for", "127.0.0.1"),
        H2_LITERAL("grpc-timeout", "250m"),
    };
    size_t header_count = sizeof headers / sizeof headers[0] - load->kind->is_stream;

    while (!load->stopping && is_due(load) && connection->in_flight < load->options.streams) {
        struct h2_stream *stream;
        int error = h2_submit_request(
            &connection->h2, headers, header_count, &load->batches.messages[load->next_message], 1, &stream);
        if (error < 0) {
            return error;
        }
        load->next_message = (load->next_message + 1) % load->batches.message_count;
        load->sent_messages++;
        connection->in_flight++;
    }
    return 0;
}

/* Until the socket is full or nothing is due. */
static int flush(struct load_connection *connection)
{
    for (;;) {
        if (connection->out_sent_bytes == connection->out_bytes) {
            long due = h2_session_send(&connection->h2, connection->out, OUT_BYTES);
            if (due <= 0) {
                return (int)due;
            }
            connection->out_bytes = (size_t)due;
            connection->out_sent_bytes = 0;
        }
        ssize_t length = send(connection->fd, connection->out + connection->out_sent_bytes,
            connection->out_bytes - connection->out_sent_bytes, MSG_NOSIGNAL);
        if (length < 0) {
            return errno == EAGAIN || errno == EINTR ? 0 : WERR_IO;
        }
        connection->out_sent_bytes += (size_t)length;
    }
}

static int take(struct load_connection *connection)
{
    static uint8_t in[IN_BYTES];
    ssize_t length = recv(connection->fd, in, sizeof in, 0);

    if (length < 0) {
        return errno == EAGAIN || errno == EINTR ? 0 : WERR_IO;
    }
    if (length == 0) {
        return WERR_CLOSED;
    }
    connection->load->last_answer_ns = now_ns();
    return h2_session_receive(
        &connection->h2, slice_of(in, (size_t)length), connection->load->last_answer_ns);
}

static int turn(struct load *load)
{
    struct pollfd polls[CONNECTIONS_MAX];
    uint32_t count = load->options.connections;
    int error = 0;

    for (uint32_t i = 0; i < count; i++) {
        const struct load_connection *connection = &load->connections[i];
        bool unsent = connection->out_sent_bytes < connection->out_bytes;
        polls[i] =
            (struct pollfd){.fd = connection->fd, .events = (short)(unsent ? POLLIN | POLLOUT : POLLIN)};
    }
    if (poll(polls, count, load->options.rate > 0 ? LOAD_PACED_POLL_MS : LOAD_POLL_MS) < 0 &&
        errno != EINTR) {
        return WERR_IO;
    }
    for (uint32_t i = 0; i < count && error == 0; i++) {
        struct load_connection *connection = &load->connections[i];
        if ((polls[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
            error = take(connection);
        }
        if (error == 0) {
            error = submit(connection);
        }
        if (error == 0) {
            error = flush(connection);
        }
    }
    return error;
}

static int open_connections(struct load *load)
{
    const struct h2_config config = {
        .role = H2_CLIENT, .stream_user_bytes = sizeof(struct call), .callbacks = &callbacks};

    for (uint32_t i = 0; i < load->options.connections; i++) {
        struct load_connection *connection = &load->connections[i];
        struct h2_config own = config;

        own.user = connection;
        connection->load = load;
        connection->fd = load_connect(load->options.socket_path);
        if (connection->fd < 0) {
            return connection->fd;
        }
        int error = h2_session_init(&connection->h2, &own);
        if (error < 0) {
            return error;
        }
    }
    return 0;
}

static uint32_t in_flight(const struct load *load)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i < load->options.connections; i++) {
        sum += load->connections[i].in_flight;
    }
    return sum;
}

/* Warm-up, the interval that is measured, and the last answers. */
static int run(struct load *load, struct load_interval *interval)
{
    uint64_t begin_ns = now_ns();
    uint64_t measured_ns = (uint64_t)(load->options.seconds * 1e9);
    uint64_t done_before = 0;
    int error = 0;

    load->begin_ns = load->last_answer_ns = begin_ns;
    while (error == 0 && (!load->stopping || in_flight(load) > 0)) {
        error = turn(load);
        uint64_t now = now_ns();
        if (interval->start_ns == 0 && now - begin_ns > LOAD_WARM_UP_NS) {
            interval->start_ns = now;
            done_before = load->accepted_messages;
            error = error != 0 ? error : process_cost_of(load->options.pid, &interval->before);
        } else if (!load->stopping && interval->start_ns != 0 && now - interval->start_ns > measured_ns) {
            interval->end_ns = now;
            interval->spans = (load->accepted_messages - done_before) * load->spans_per_call;
            error = error != 0 ? error : process_cost_of(load->options.pid, &interval->after);
            load->stopping = true;
        }
        if (now - load->last_answer_ns > LOAD_STALL_NS) {
            error = WERR_TIMEOUT;
        }
    }
    return error;
}

static void report(const struct load *load, const struct load_interval *interval)
{
    const char *name = load->options.name;
    uint32_t spans = load->spans_per_call;

    load_print(name, load->options.pid, interval);
    (void)printf("%s_message %.0f byte\n", name,
        (double)load->batches.bytes.length / (double)load->batches.message_count);
    (void)printf("%s_sent %" PRIu64 " span\n", name, load->sent_messages * spans);
    (void)printf("%s_accepted %" PRIu64 " span\n", name, load->accepted_messages * spans);
    (void)printf("%s_failed %" PRIu64 " message\n", name, load->failed_messages);
}

static int make_export_calls(struct load *load, struct corpus *corpus)
{
    struct corpus_shape shape = {
        .spans_per_message = load->options.spans_per_message, .bytes_min = POOL_BYTES, .prefixed = true};
    int error = corpus_load(load->options.corpus_path, corpus);

    load->spans_per_call = shape.spans_per_message;
    return error == 0 ? corpus_batch(corpus, &shape, &load->batches) : error;
}

static int make_als_calls(struct load *load, struct corpus *corpus)
{
    uint32_t batch = load->options.spans_per_message;

    (void)corpus;
    load->spans_per_call = (STREAM_ENTRIES + batch - 1) / batch * batch;
    return als_corpus_batch(
        load->options.corpus_path, batch, load->spans_per_call, POOL_BYTES, &load->batches);
}

static int make_metrics_calls(struct load *load, struct corpus *corpus)
{
    (void)corpus;
    load->spans_per_call = load->options.spans_per_message;
    return corpus_replay(load->options.corpus_path, load->spans_per_call, &load->batches);
}

static const struct kind kinds[] = {
    {".als", "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs", true, make_als_calls},
    {".logs", "/opentelemetry.proto.collector.logs.v1.LogsService/Export", false, make_export_calls},
    {".metrics", "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", false,
        make_metrics_calls},
    {".metrics_service", "/envoy.service.metrics.v3.MetricsService/StreamMetrics", true, make_metrics_calls},
    {"", "/opentelemetry.proto.collector.trace.v1.TraceService/Export", false, make_export_calls},
};

/* The bodies of all calls. */
static int make_calls(struct load *load, struct corpus *corpus)
{
    load->kind = kinds; /* the last one takes any name */
    while (
        !slice_has_suffix(slice_of_string(load->options.corpus_path), slice_of_string(load->kind->suffix))) {
        load->kind++;
    }
    return load->kind->make_calls(load, corpus);
}

int main(int argc, char **argv)
{
    struct load *load = calloc(1, sizeof *load);
    static struct corpus corpus;
    struct load_interval interval = {.start_ns = 0};

    if (load == NULL || load_options_parse(argc, argv, &load->options) < 0 ||
        load->options.connections > CONNECTIONS_MAX) {
        free(load);
        return 2;
    }
    int error = make_calls(load, &corpus);
    if (error == 0) {
        error = open_connections(load);
    }
    if (error == 0) {
        error = run(load, &interval);
    }
    if (error == 0 && interval.spans > 0) {
        report(load, &interval);
    } else {
        (void)fprintf(stderr, "otlp_load: %s\n", error < 0 ? werr_text(error) : "nothing was answered");
    }
    for (uint32_t i = 0; i < load->options.connections; i++) {
        load->stopping = true;
        h2_session_deinit(&load->connections[i].h2);
        if (load->connections[i].fd > 0) {
            (void)close(load->connections[i].fd);
        }
    }
    corpus_batches_deinit(&load->batches);
    corpus_deinit(&corpus);
    free(load);
    return error == 0 ? 0 : 1;
}
