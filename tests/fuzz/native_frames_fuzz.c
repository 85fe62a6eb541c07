/*
 * Fuzz target: the byte stream of a native client, through a real connection on a socket pair and a shard's
 * record path. The first byte says how the rest is cut into pieces, how scarce memory is, how the peer
 * behaves and whether it comes again with the same bytes.
 *
 * Checked besides memory safety: each answer is a whole, readable frame; every record is either recorded or
 * dropped for a reason; the budgets are whole again at the end.
 */
#include "fuzz.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/error.h"
#include "pipeline/pipeline.h"
#include "weft/v1/stream.pb-c.h"

enum fuzz_option {
    FUZZ_SMALL_ASSEMBLY = 1,
    FUZZ_SMALL_LIMITS = 2,
    FUZZ_PEER_READS_NOT = 4,
    FUZZ_SMALL_PIECES = 8,
    FUZZ_DRAIN = 16, /* the agent ends the connection, not the peer */
    FUZZ_AGAIN = 32, /* a second connection sends the same */
    FUZZ_SMALL_SERIES = 64,
    FUZZ_LATER = 128, /* the second connection comes a day later */
};

enum { PIECES_COUNT_MAX = 32, ANSWER_BYTES_MAX = 16384, END_TURNS_COUNT_MAX = 64 };

#define FUZZ_NOW_UNIX_NS 1700000000000000000ull
#define FUZZ_LATER_NS 100000000000000ull

struct fuzz {
    struct clock_manual clock;
    struct limits limits;
    struct budget assembly;
    struct budget series;
    struct split_bounds bounds;
    struct redaction redaction;
    struct metric_registry registry;
    struct metric_cells *cells;
    struct instances *instances;
    uv_loop_t loop;
    struct native_shard *shard;
    struct pipeline pipeline;
};

struct client {
    struct peer peer; /* first member: the handlers' user */
    struct fuzz *fuzz;
    struct native_connection *connection;
    bool closed;
    int fd;
    uint8_t input[2 * ANSWER_BYTES_MAX];
    size_t input_bytes;
};

static void on_closed(void *user, struct native_connection *connection, const char *reason)
{
    struct client *client = user;

    FUZZ_CHECK(connection == client->connection && !client->closed && reason[0] != '\0');
    client->closed = true;
    native_dictionary_deinit(&client->peer.dictionary);
    context_sender_release(&client->fuzz->pipeline.context, &client->peer.sender);
}

static const struct native_handler handler = {
    .hello = pipeline_native_hello,
    .dictionary = pipeline_native_dictionary,
    .spans = pipeline_native_spans,
    .metrics = pipeline_native_metrics,
    .logs = pipeline_native_logs,
    .stats = pipeline_native_stats,
    .closed = on_closed,
};

static void check_answer(struct native_header header, const uint8_t *payload)
{
    if (header.type == NATIVE_TYPE_ACK) {
        Weft__V1__Ack *ack = weft__v1__ack__unpack(NULL, header.payload_bytes, payload);
        FUZZ_CHECK(ack != NULL && ack->credit_bytes > 0);
        weft__v1__ack__free_unpacked(ack, NULL);
        return;
    }
    FUZZ_CHECK(header.type == NATIVE_TYPE_ERROR);
    Weft__V1__Error *error = weft__v1__error__unpack(NULL, header.payload_bytes, payload);
    FUZZ_CHECK(error != NULL && error->code != 0 && error->message[0] != '\0');
    weft__v1__error__free_unpacked(error, NULL);
}

static void read_answers(struct client *client)
{
    for (;;) {
        ssize_t count = recv(client->fd, client->input + client->input_bytes,
            sizeof client->input - client->input_bytes, MSG_DONTWAIT);
        if (count <= 0) {
            return;
        }
        client->input_bytes += (size_t)count;
        size_t at = 0;
        while (client->input_bytes - at >= NATIVE_HEADER_BYTES) {
            struct native_header header = native_header_read(client->input + at);
            FUZZ_CHECK(header.flags == 0 && header.payload_bytes <= ANSWER_BYTES_MAX - NATIVE_HEADER_BYTES);
            if (client->input_bytes - at - NATIVE_HEADER_BYTES < header.payload_bytes) {
                break;
            }
            check_answer(header, client->input + at + NATIVE_HEADER_BYTES);
            at += NATIVE_HEADER_BYTES + header.payload_bytes;
        }
        memmove(client->input, client->input + at, client->input_bytes - at);
        client->input_bytes -= at;
    }
}

static void turn(struct client *client, uint8_t options)
{
    (void)uv_run(&client->fuzz->loop, UV_RUN_NOWAIT);
    if ((options & FUZZ_PEER_READS_NOT) == 0) {
        read_answers(client);
    }
}

static void client_open(struct client *client, struct fuzz *fuzz)
{
    int fds[2];

    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    memset(client, 0, sizeof *client);
    client->fuzz = fuzz;
    client->fd = fds[0];
    client->peer.pipeline = &fuzz->pipeline;
    sender_id_format(&client->peer.sender);
    context_sender_bind(&fuzz->pipeline.context, &client->peer.sender);
    native_dictionary_init(&client->peer.dictionary, &fuzz->pipeline.context, &fuzz->series);
    FUZZ_CHECK(native_connection_new(fuzz->shard, fds[1], &handler, client, &client->connection) == 0);
}

static void client_send(struct client *client, const uint8_t *data, size_t size, uint8_t options)
{
    size_t piece_bytes =
        (options & FUZZ_SMALL_PIECES) == 0 ? size : (size + PIECES_COUNT_MAX - 1) / PIECES_COUNT_MAX;

    for (size_t at = 0; at < size && !client->closed;) {
        size_t bytes = size - at < piece_bytes ? size - at : piece_bytes;
        ssize_t sent = send(client->fd, data + at, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent <= 0) {
            break; /* ended, or a peer that reads nothing is not read any more */
        }
        at += (size_t)sent;
        turn(client, options);
    }
}

static void client_end(struct client *client, uint8_t options)
{
    if ((options & FUZZ_DRAIN) != 0 && !client->closed) {
        native_connection_drain(client->connection, 1000);
        turn(client, options);
    }
    (void)close(client->fd);
    for (int i = 0; i < END_TURNS_COUNT_MAX && !client->closed; i++) {
        (void)uv_run(&client->fuzz->loop, UV_RUN_NOWAIT);
    }
    FUZZ_CHECK(client->closed);
}

static void fuzz_init(struct fuzz *fuzz, uint8_t options)
{
    memset(fuzz, 0, sizeof *fuzz);
    limits_init(&fuzz->limits);
    if ((options & FUZZ_SMALL_LIMITS) != 0) {
        fuzz->limits.native_frame_bytes_max = 4096;
        fuzz->limits.dictionary_count_max = 64;
        fuzz->limits.string_bytes_max = 16;
        fuzz->limits.series_count_max = 64;
    }
    fuzz->limits.native_instances_count_max = 16; /* its table is made whole for each input */
    fuzz->limits.strings_count_max = (options & FUZZ_SMALL_LIMITS) != 0 ? 256 : 4096;
    fuzz->assembly.cap_bytes = (options & FUZZ_SMALL_ASSEMBLY) != 0 ? 64 : fuzz->limits.assembly_bytes_max;
    fuzz->series.cap_bytes = (options & FUZZ_SMALL_SERIES) != 0 ? 1 << 17 : fuzz->limits.series_bytes_max;
    clock_manual_init(&fuzz->clock, 1000000000000ull, FUZZ_NOW_UNIX_NS);
    redaction_init_default(&fuzz->redaction);
    FUZZ_CHECK(split_bounds_init(&fuzz->bounds, bounds_default_ns, bounds_default_count) == 0);
    fuzz->cells = metric_registry_add(&fuzz->registry, METRIC_SCOPE_SHARD, "0");
    FUZZ_CHECK(
        fuzz->cells != NULL && instances_new(fuzz->limits.native_instances_count_max, &fuzz->instances) == 0);
    struct native_config native = {.limits = &fuzz->limits,
        .assembly = &fuzz->assembly,
        .instances = fuzz->instances,
        .cells = fuzz->cells};
    FUZZ_CHECK(uv_loop_init(&fuzz->loop) == 0);
    FUZZ_CHECK(native_shard_new(&native, &fuzz->loop, &fuzz->shard) == 0);
}

static bool fuzz_start(struct fuzz *fuzz)
{
    struct pipeline_config config = {.limits = &fuzz->limits,
        .clock = &fuzz->clock.clock,
        .bounds = &fuzz->bounds,
        .redaction = &fuzz->redaction,
        .series = &fuzz->series,
        .cells = fuzz->cells,
        .loop = &fuzz->loop};
    int code = pipeline_init(&fuzz->pipeline, &config);

    FUZZ_CHECK(code == 0 || code == WERR_NOMEM);
    return code == 0;
}

static void fuzz_stop(struct fuzz *fuzz)
{
    pipeline_close(&fuzz->pipeline);
    (void)uv_run(&fuzz->loop, UV_RUN_DEFAULT);
    pipeline_deinit(&fuzz->pipeline);
}

static void fuzz_deinit(struct fuzz *fuzz)
{
    FUZZ_CHECK(uv_loop_close(&fuzz->loop) == 0);
    native_shard_free(fuzz->shard);
    instances_free(fuzz->instances);
    FUZZ_CHECK(fuzz->assembly.used_bytes == 0 && fuzz->series.used_bytes == 0);
    metric_registry_deinit(&fuzz->registry);
}

/* Of one signal: what came is what was recorded and what was dropped. */
static void check_ledger(const struct fuzz *fuzz, enum metric_id received, enum metric_id recorded,
    enum metric_id first_dropped, enum metric_id last_dropped)
{
    uint64_t sum = metric_get(fuzz->cells, recorded);

    for (int id = (int)first_dropped; id <= (int)last_dropped; id++) {
        sum += metric_get(fuzz->cells, (enum metric_id)id);
    }
    FUZZ_CHECK(metric_get(fuzz->cells, received) == sum);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fuzz fuzz;
    static struct client client;

    if (size < 1) {
        return 0;
    }
    uint8_t options = data[0];
    fuzz_init(&fuzz, options);
    if (fuzz_start(&fuzz)) {
        for (int connections = (options & FUZZ_AGAIN) != 0 ? 2 : 1; connections > 0; connections--) {
            client_open(&client, &fuzz);
            client_send(&client, data + 1, size - 1, options);
            client_end(&client, options);
            clock_manual_advance(&fuzz.clock, (options & FUZZ_LATER) != 0 ? FUZZ_LATER_NS : 1);
        }
        check_ledger(&fuzz, METRIC_SPANS_RECEIVED, METRIC_SPANS_RECORDED, METRIC_SPANS_DROPPED_MALFORMED,
            METRIC_SPANS_DROPPED_DUPLICATE);
        check_ledger(&fuzz, METRIC_POINTS_RECEIVED, METRIC_POINTS_RECORDED, METRIC_POINTS_DROPPED_MALFORMED,
            METRIC_POINTS_DROPPED_CONFLICT);
        fuzz_stop(&fuzz);
    }
    fuzz_deinit(&fuzz);
    return 0;
}
