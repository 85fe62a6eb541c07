/*
 * The gRPC server of grpc.h: calls begin, are matched to methods, end; streams that wait for memory get on.
 * Bytes become messages in grpc_assembly.c. Runs on the shard's thread.
 */
#include "listen/grpc.h"

#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "listen/grpc_internal.h"

static int on_begin(void *user, struct h2_stream *h2)
{
    struct grpc_connection *connection = user;
    struct grpc_stream *stream = h2_stream_user(h2);

    stream->connection = connection;
    stream->h2 = h2;
    stream->call.connection_user = connection->user;
    connection->streams_begun_count++;
    return 0;
}

static const struct grpc_method *find_method(const struct grpc_server *server, struct slice path)
{
    for (size_t i = 0; i < server->config.method_count; i++) {
        const struct grpc_method *method = &server->config.methods[i];
        if (strlen(method->path) == path.length && memcmp(method->path, path.ptr, path.length) == 0) {
            return method;
        }
    }
    return NULL;
}

/* "application/grpc", alone or with "+proto" or parameters; other codecs than protobuf are not for us. */
static bool is_grpc_type(struct slice value)
{
    struct slice base = SLICE_LITERAL("application/grpc");
    struct slice rest = slice_sub(value, base.length, value.length);

    if (!slice_has_prefix(value, base)) {
        return false;
    }
    if (slice_has_prefix(rest, SLICE_LITERAL("+proto"))) {
        rest = slice_sub(rest, 6, rest.length);
    }
    return rest.length == 0 || rest.ptr[0] == ';' || rest.ptr[0] == ' ';
}

static enum grpc_encoding parse_encoding(struct slice value)
{
    if (slice_equal(value, SLICE_LITERAL("gzip"))) {
        return GRPC_ENCODING_GZIP;
    }
    if (slice_equal(value, SLICE_LITERAL("zstd"))) {
        return GRPC_ENCODING_ZSTD;
    }
    return slice_equal(value, SLICE_LITERAL("identity")) ? GRPC_ENCODING_IDENTITY : GRPC_ENCODING_UNKNOWN;
}

static int on_header(void *user, struct h2_stream *h2, struct slice name, struct slice value)
{
    struct grpc_connection *connection = user;
    struct grpc_stream *stream = h2_stream_user(h2);

    if (h2->headers_seen) {
        return 0; /* trailers say nothing to us */
    }
    switch (name.length) {
    case 5:
        if (slice_equal(name, SLICE_LITERAL(":path"))) {
            stream->call.method = find_method(connection->server, value);
        }
        break;
    case 7:
        if (slice_equal(name, SLICE_LITERAL(":method"))) {
            stream->method_post = slice_equal(value, SLICE_LITERAL("POST"));
        }
        break;
    case 12:
        if (slice_equal(name, SLICE_LITERAL("content-type"))) {
            stream->content_type_ok = is_grpc_type(value);
        }
        break;
    case 13:
        if (slice_equal(name, SLICE_LITERAL("grpc-encoding"))) {
            stream->encoding = parse_encoding(value);
        }
        break;
    default:
        break;
    }
    return 0;
}

static int on_headers_end(void *user, struct h2_stream *h2, bool trailers)
{
    static const struct h2_header wrong_type[] = {H2_LITERAL(":status", "415")};
    static const struct h2_header wrong_method[] = {
        H2_LITERAL(":status", "405"), H2_LITERAL("allow", "POST")};
    struct grpc_connection *connection = user;
    struct grpc_stream *stream = h2_stream_user(h2);
    struct metric_cells *cells = connection->server->config.cells;

    if (trailers) {
        return 0;
    }
    if (!stream->method_post) {
        LEDGER_ADD(cells, METRIC_MESSAGES_REFUSED_UNKNOWN, 1);
        grpc_answer_http(stream, wrong_method, 2);
    } else if (!stream->content_type_ok) {
        LEDGER_ADD(cells, METRIC_MESSAGES_REFUSED_UNKNOWN, 1);
        grpc_answer_http(stream, wrong_type, 1);
    } else if (stream->call.method == NULL) {
        LEDGER_ADD(cells, METRIC_MESSAGES_REFUSED_UNKNOWN, 1);
        grpc_answer_error(stream, GRPC_UNIMPLEMENTED, "unknown method", 0);
    } else if (stream->encoding == GRPC_ENCODING_UNKNOWN) {
        LEDGER_ADD(cells, METRIC_MESSAGES_REFUSED_COMPRESSION, 1);
        grpc_answer_error(stream, GRPC_UNIMPLEMENTED, "unknown grpc-encoding", 0);
    }
    return 0;
}

static int on_data(void *user, struct h2_stream *h2, struct slice data)
{
    (void)user;
    grpc_stream_data(h2_stream_user(h2), data);
    return 0;
}

static int on_end(void *user, struct h2_stream *h2)
{
    (void)user;
    grpc_stream_end(h2_stream_user(h2));
    return 0;
}

/* A unary call that was not answered, or a message that had begun, is lost to us: the sender knows, and so
 * must the ledger. */
static void on_close(void *user, struct h2_stream *h2, uint32_t error_code)
{
    (void)error_code;
    struct grpc_connection *connection = user;
    struct grpc_stream *stream = h2_stream_user(h2);
    const struct grpc_method *method = stream->call.method;
    struct grpc_server *server = connection->server;

    if (method != NULL && h2->headers_seen && stream->state != GRPC_SKIPPING &&
        (!method->streaming || stream->prefix_bytes > 0)) {
        LEDGER_ADD(server->config.cells, METRIC_MESSAGES_CUT, 1);
    }
    grpc_stream_release(stream);
    free(stream->reply);
    if (method != NULL && method->closed != NULL) {
        method->closed(server->config.user, &stream->call);
    }
}

static const struct h2_callbacks callbacks = {
    .on_begin = on_begin,
    .on_header = on_header,
    .on_headers_end = on_headers_end,
    .on_data = on_data,
    .on_end = on_end,
    .on_close = on_close,
};

int grpc_server_init(struct grpc_server *server, const struct grpc_server_config *config)
{
    *server = (struct grpc_server){.config = *config, .scratch_bytes = GRPC_SCRATCH_BYTES};
    inflater_init(&server->inflater);
    server->scratch = malloc(GRPC_SCRATCH_BYTES);
    return server->scratch != NULL ? 0 : WERR_NOMEM;
}

void grpc_server_deinit(struct grpc_server *server)
{
    if (server == NULL) {
        return;
    }
    grpc_pool_deinit(server);
    inflater_deinit(&server->inflater);
    free(server->scratch);
    server->scratch = NULL;
}

void grpc_server_drain(struct grpc_server *server)
{
    server->draining = true;
}

/* One waiting stream gets on or is refused. False: nothing more to be done now. */
static bool run_waiting(struct grpc_server *server)
{
    struct grpc_stream *stream = server->waiting.first;

    if (stream == NULL) {
        return false;
    }
    struct grpc_connection *connection = stream->connection;
    uint64_t wait_ns = server->config.limits->admission_wait_ms * 1000000u;
    if (!grpc_stream_resume(stream)) {
        if (server->now_ns - stream->since_ns < wait_ns) {
            return false;
        }
        grpc_stream_give_up(
            stream, GRPC_UNAVAILABLE, METRIC_MESSAGES_REFUSED_MEMORY, "no memory for the message now", true);
    }
    connection->wake(connection); /* may end the connection: nothing of it is touched below */
    return true;
}

static bool run_stalled(struct grpc_server *server)
{
    struct grpc_stream *stream = server->assembling.first;

    if (stream == NULL || server->now_ns - stream->since_ns < GRPC_STALL_NS) {
        return false;
    }
    struct grpc_connection *connection = stream->connection;
    grpc_stream_give_up(
        stream, GRPC_DEADLINE_EXCEEDED, METRIC_MESSAGES_CUT, "the message stopped arriving", false);
    connection->wake(connection);
    return true;
}

static void advance(struct grpc_server *server, uint64_t clock_ns)
{
    uint64_t step_ns = clock_ns - server->clock_ns;

    server->clock_ns = clock_ns;
    server->now_ns += step_ns < GRPC_STEP_NS_MAX ? step_ns : GRPC_STEP_NS_MAX;
}

void grpc_server_run(struct grpc_server *server, uint64_t now_ns)
{
    advance(server, now_ns);
    while (run_stalled(server)) {
    }
    if (!server->released && server->now_ns < server->next_look_ns) {
        return;
    }
    server->released = false;
    server->next_look_ns = server->now_ns + GRPC_LOOK_INTERVAL_NS;
    while (run_waiting(server)) {
    }
}

int grpc_connection_init(struct grpc_connection *connection, struct grpc_server *server,
    void *connection_user, void (*wake)(struct grpc_connection *connection))
{
    const struct limits *limits = server->config.limits;

    *connection = (struct grpc_connection){.server = server, .user = connection_user, .wake = wake};
    return h2_session_init(
        &connection->h2, &(struct h2_config){
                             .role = H2_SERVER,
                             .streams_count_max = (uint32_t)limits->h2_streams_count_max,
                             .resets_unanswered_max = (uint32_t)limits->h2_resets_unanswered_max,
                             .stream_user_bytes = sizeof(struct grpc_stream),
                             .callbacks = &callbacks,
                             .user = connection,
                         });
}

void grpc_connection_deinit(struct grpc_connection *connection)
{
    if (connection != NULL) {
        h2_session_deinit(&connection->h2);
    }
}

int grpc_connection_receive(struct grpc_connection *connection, struct slice bytes, uint64_t now_ns)
{
    advance(connection->server, now_ns);
    return h2_session_receive(&connection->h2, bytes, now_ns);
}
