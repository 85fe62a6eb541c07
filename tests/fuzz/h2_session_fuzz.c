/*
 * Fuzz target: bytes of a peer to an HTTP/2 session: a client's to the gRPC server, or a server's to a client
 * like our exporter's. The first byte says how the rest is cut into pieces and how scarce memory is, the
 * second who we are and what else goes on meanwhile.
 *
 * Checked besides memory safety: the budgets are whole again at the end, what was accepted is what the
 * handlers took, and each stream that begins ends once.
 */
#include "fuzz.h"

#include <string.h>

#include "core/error.h"
#include "core/limits.h"
#include "core/metrics.h"
#include "listen/grpc.h"

enum {
    PIECE_BYTES_MAX = 65536,
    OUTPUT_BYTES = 65536,
    OUTPUT_BYTES_SMALL = 24,
    REQUEST_COUNT = 3,
    DRAIN_PIECE = 1,
    DRAIN_NOW_PIECE = 16
};
enum { MEMORY_BYTES = 4 * GRPC_SCRATCH_BYTES };

#define STEP_NS 20000000ull
#define STEP_NS_LONG 900000000ull

enum fuzz_memory {
    FUZZ_ASSEMBLY = 1, /* else there is next to none */
    FUZZ_WAITING = 2,  /* else none */
    FUZZ_WHOLE = 4,    /* one piece; else pieces of 1 + (byte >> 3) */
};

enum fuzz_option {
    FUZZ_CLIENT = 1,
    FUZZ_VERDICTS = 2, /* handlers refuse what a message's first byte says */
    FUZZ_DRAIN = 4,    /* from the second piece on */
    FUZZ_SLOW = 8,     /* pieces are far apart */
    FUZZ_SMALL_OUTPUT = 16,
    FUZZ_TAKEN = 32, /* another shard has the memory until half of the pieces are in */
    FUZZ_SMALL_LIMITS = 64,
    FUZZ_PING = 128,
};

struct fuzz {
    struct grpc_server server;
    struct grpc_connection connection;
    struct limits limits;
    struct budget assembly;
    struct budget waiting;
    struct metric_registry registry;
    uint8_t options;
    uint64_t message_count;
    uint64_t closed_count;
    uint64_t begun_count;
};

/* ---- our server ---- */

static const int verdicts[] = {0, WERR_NOMEM, WERR_FULL, WERR_AGAIN, WERR_CLOSED, WERR_PERMISSION,
    WERR_UNSUPPORTED, WERR_OVERSIZED, WERR_COMPRESSION, WERR_INVALID};

static int on_message(void *user, struct grpc_call *call, struct slice message, struct grpc_answer *answer)
{
    static const char text[] = "50 % \xc3\xa4rger\n";
    struct fuzz *fuzz = user;
    uint8_t sum = 0;

    (void)call;
    for (size_t i = 0; i < message.length; i++) { /* touch every byte: the sanitizer checks them */
        sum ^= message.ptr[i];
    }
    answer->reply[0] = sum;
    answer->reply_bytes = message.length % 3;
    size_t verdict = (fuzz->options & FUZZ_VERDICTS) != 0 && message.length > 0 ? message.ptr[0] & 15 : 0;
    if (verdict >= sizeof verdicts / sizeof *verdicts) {
        answer->code = GRPC_UNAVAILABLE;
        answer->retry_after_ms = message.ptr[0] >> 4;
        memcpy(answer->text, text, sizeof text);
        return 0;
    }
    fuzz->message_count += verdicts[verdict] == 0;
    return verdicts[verdict];
}

static void on_call_closed(void *user, struct grpc_call *call)
{
    struct fuzz *fuzz = user;

    (void)call;
    fuzz->closed_count++;
}

static const struct grpc_method methods[] = {
    {.path = "/t/Unary",
        .accepted = METRIC_MESSAGES_ACCEPTED_OTLP_GRPC,
        .message = on_message,
        .closed = on_call_closed},
    {.path = "/t/Stream",
        .streaming = true,
        .accepted = METRIC_MESSAGES_ACCEPTED_OTLP_GRPC,
        .message = on_message,
        .closed = on_call_closed},
};

static void wake(struct grpc_connection *connection)
{
    (void)connection;
}

/* ---- our client ---- */

static int on_header(void *user, struct h2_stream *stream, struct slice name, struct slice value)
{
    struct fuzz *fuzz = user;

    (void)stream;
    for (size_t i = 0; i < value.length; i++) {
        fuzz->message_count += value.ptr[i];
    }
    /* as an owner that refuses an answer would */
    return (fuzz->options & FUZZ_VERDICTS) != 0 && slice_equal(name, SLICE_LITERAL("refuse")) ? WERR_INVALID
                                                                                              : 0;
}

static int on_headers_end(void *user, struct h2_stream *stream, bool trailers)
{
    const struct fuzz *fuzz = user;

    (void)stream;
    return trailers && (fuzz->options & FUZZ_VERDICTS) != 0 ? WERR_INVALID : 0;
}

static int on_data(void *user, struct h2_stream *stream, struct slice data)
{
    struct fuzz *fuzz = user;

    for (size_t i = 0; i < data.length; i++) {
        fuzz->message_count += data.ptr[i];
    }
    (void)h2_stream_consume(&fuzz->connection.h2, stream, data.length);
    return (fuzz->options & FUZZ_VERDICTS) != 0 && data.length == 13 ? WERR_INVALID : 0;
}

static int on_end(void *user, struct h2_stream *stream)
{
    (void)user;
    FUZZ_CHECK(stream->end_received);
    return 0;
}

static void on_close(void *user, struct h2_stream *stream, uint32_t error_code)
{
    struct fuzz *fuzz = user;

    (void)stream;
    (void)error_code;
    fuzz->closed_count++;
}

static void on_goaway(void *user, int32_t last_stream_id, uint32_t error_code)
{
    (void)user;
    (void)last_stream_id;
    (void)error_code;
}

static void on_ping_ack(void *user)
{
    struct fuzz *fuzz = user;

    fuzz->message_count++;
}

static const struct h2_callbacks client_callbacks = {
    .on_header = on_header,
    .on_headers_end = on_headers_end,
    .on_data = on_data,
    .on_end = on_end,
    .on_close = on_close,
    .on_goaway = on_goaway,
    .on_ping_ack = on_ping_ack,
};

/* ---- both ---- */

static void submit_request(struct fuzz *fuzz)
{
    static const uint8_t body[40000];
    static const struct h2_header headers[] = {H2_LITERAL(":method", "POST"), H2_LITERAL(":scheme", "http"),
        H2_LITERAL(":path", "/t/Unary"), H2_LITERAL(":authority", "x"), H2_LITERAL("te", "trailers")};
    struct slice parts[] = {slice_of(body, 5), slice_of(body, sizeof body)};
    struct h2_stream *stream = NULL;
    int code = h2_submit_request(&fuzz->connection.h2, headers, sizeof headers / sizeof *headers, parts,
        fuzz->begun_count % 3, &stream);

    FUZZ_CHECK(code == 0 || code == WERR_CLOSED);
    if (code == 0) {
        fuzz->begun_count++;
        if (fuzz->begun_count == 2 * REQUEST_COUNT) {
            h2_stream_reset(&fuzz->connection.h2, stream, NGHTTP2_CANCEL);
            h2_stream_reset(&fuzz->connection.h2, stream, NGHTTP2_CANCEL); /* once is enough */
        }
    }
}

/* A request that is refused leaves nothing behind. */
static void submit_too_large(struct fuzz *fuzz)
{
    struct h2_header headers[H2_HEADERS_COUNT_MAX + 1] = {H2_LITERAL("a", "b")};
    struct h2_stream *stream = NULL;

    FUZZ_CHECK(h2_submit_request(&fuzz->connection.h2, headers, sizeof headers / sizeof *headers, NULL, 0,
                   &stream) == WERR_OVERSIZED);
    FUZZ_CHECK(stream == NULL);
}

static void send_output(struct fuzz *fuzz)
{
    static uint8_t out[OUTPUT_BYTES];
    struct h2_session *h2 = &fuzz->connection.h2;
    size_t capacity = (fuzz->options & FUZZ_SMALL_OUTPUT) != 0 ? OUTPUT_BYTES_SMALL : sizeof out;

    while (h2_session_send(h2, out, capacity) > 0) {
    }
    FUZZ_CHECK(h2->failure != 0 || !h2_session_wants_send(h2));
    (void)h2_session_finished(h2);
}

static void between_pieces(struct fuzz *fuzz, size_t piece, bool halfway)
{
    struct h2_session *h2 = &fuzz->connection.h2;

    if (halfway && (fuzz->options & FUZZ_TAKEN) != 0) {
        budget_release(&fuzz->assembly, fuzz->assembly.cap_bytes - 64);
        fuzz->options &= (uint8_t)~FUZZ_TAKEN;
    }
    if ((fuzz->options & FUZZ_PING) != 0) {
        (void)h2_session_ping(h2);
    }
    if ((fuzz->options & FUZZ_CLIENT) != 0) {
        if (piece < REQUEST_COUNT) {
            submit_request(fuzz);
        }
    } else if ((fuzz->options & FUZZ_DRAIN) != 0) {
        if (piece == DRAIN_PIECE) {
            grpc_server_drain(&fuzz->server);
        }
        if (piece == DRAIN_PIECE || piece == DRAIN_NOW_PIECE) {
            h2_session_drain(h2);
        }
    }
}

static void feed(struct fuzz *fuzz, const uint8_t *data, size_t size, size_t piece_bytes)
{
    bool is_client = (fuzz->options & FUZZ_CLIENT) != 0;
    uint64_t now_ns = 1;

    for (size_t at = 0, piece = 0; at < size; at += piece_bytes, piece++) {
        size_t bytes = size - at < piece_bytes ? size - at : piece_bytes;
        uint8_t *copy = malloc(bytes); /* of its exact size, so that reading past it is seen */
        FUZZ_CHECK(copy != NULL);
        memcpy(copy, data + at, bytes);
        int error = is_client ? h2_session_receive(&fuzz->connection.h2, slice_of(copy, bytes), now_ns)
                              : grpc_connection_receive(&fuzz->connection, slice_of(copy, bytes), now_ns);
        free(copy);
        now_ns += (fuzz->options & FUZZ_SLOW) != 0 ? STEP_NS_LONG : STEP_NS;
        between_pieces(fuzz, piece, at + bytes >= size / 2);
        if (!is_client) {
            grpc_server_run(&fuzz->server, now_ns);
        }
        send_output(fuzz);
        if (error < 0) {
            return;
        }
    }
}

/* Time goes on without bytes, until whoever waited is refused. */
static void idle(struct fuzz *fuzz, uint64_t now_ns)
{
    for (int i = 0; i < 100 && grpc_server_busy(&fuzz->server); i++) {
        now_ns += STEP_NS_LONG;
        grpc_server_run(&fuzz->server, now_ns);
        send_output(fuzz);
    }
    FUZZ_CHECK(!grpc_server_busy(&fuzz->server));
}

static void run_server(struct fuzz *fuzz, const uint8_t *data, size_t size, size_t piece_bytes)
{
    struct metric_cells *cells = metric_registry_add(&fuzz->registry, METRIC_SCOPE_SHARD, "0");
    struct grpc_server_config config = {.methods = methods,
        .method_count = sizeof methods / sizeof *methods,
        .user = fuzz,
        .limits = &fuzz->limits,
        .assembly = &fuzz->assembly,
        .waiting = &fuzz->waiting,
        .cells = cells};

    FUZZ_CHECK(cells != NULL && grpc_server_init(&fuzz->server, &config) == 0);
    FUZZ_CHECK(grpc_connection_init(&fuzz->connection, &fuzz->server, NULL, wake) == 0);
    feed(fuzz, data, size, piece_bytes);
    if ((fuzz->options & FUZZ_SLOW) != 0) {
        idle(fuzz, STEP_NS_LONG * (size / piece_bytes + 2));
    }
    FUZZ_CHECK(metric_get(cells, METRIC_MESSAGES_ACCEPTED_OTLP_GRPC) == fuzz->message_count);
    grpc_connection_deinit(&fuzz->connection);
    FUZZ_CHECK(!grpc_server_busy(&fuzz->server) && fuzz->waiting.used_bytes == 0);
    FUZZ_CHECK(fuzz->closed_count <= fuzz->connection.streams_begun_count);
    uint64_t taken_bytes = (fuzz->options & FUZZ_TAKEN) != 0 ? fuzz->assembly.cap_bytes - 64 : 0;
    FUZZ_CHECK(fuzz->assembly.used_bytes == taken_bytes);
    grpc_server_deinit(&fuzz->server);
    metric_registry_deinit(&fuzz->registry);
}

static void run_client(struct fuzz *fuzz, const uint8_t *data, size_t size, size_t piece_bytes)
{
    struct h2_config config = {.role = H2_CLIENT, .callbacks = &client_callbacks, .user = fuzz};
    struct h2_session *h2 = &fuzz->connection.h2;

    FUZZ_CHECK(h2_session_init(h2, &config) == 0);
    submit_too_large(fuzz);
    for (int i = 0; i < REQUEST_COUNT; i++) {
        submit_request(fuzz);
    }
    send_output(fuzz);
    feed(fuzz, data, size, piece_bytes);
    if ((fuzz->options & FUZZ_DRAIN) != 0) {
        h2_session_terminate(h2, NGHTTP2_NO_ERROR);
        send_output(fuzz);
        submit_request(fuzz);
        send_output(fuzz);
    }
    h2_session_deinit(h2);
    FUZZ_CHECK(fuzz->closed_count == fuzz->begun_count && h2->open_count == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fuzz fuzz;

    if (size < 2) {
        return 0;
    }
    memset(&fuzz, 0, sizeof fuzz);
    fuzz.options = data[1];
    limits_init(&fuzz.limits);
    fuzz.limits.message_bytes_max = MEMORY_BYTES;
    if ((data[1] & FUZZ_SMALL_LIMITS) != 0) {
        fuzz.limits.message_bytes_max = 4096;
        fuzz.limits.h2_streams_count_max = 4;
        fuzz.limits.h2_resets_unanswered_max = 10;
    }
    fuzz.assembly.cap_bytes = (data[0] & FUZZ_ASSEMBLY) != 0 ? MEMORY_BYTES : 64;
    fuzz.waiting.cap_bytes = (data[0] & FUZZ_WAITING) != 0 ? MEMORY_BYTES : 0;
    if ((data[1] & FUZZ_TAKEN) != 0) {
        fuzz.assembly.used_bytes = fuzz.assembly.cap_bytes - 64;
    }
    size_t piece_bytes = (data[0] & FUZZ_WHOLE) != 0 ? PIECE_BYTES_MAX : 1u + (data[0] >> 3);
    if ((data[1] & FUZZ_CLIENT) != 0) {
        run_client(&fuzz, data + 2, size - 2, piece_bytes);
    } else {
        run_server(&fuzz, data + 2, size - 2, piece_bytes);
    }
    return 0;
}
