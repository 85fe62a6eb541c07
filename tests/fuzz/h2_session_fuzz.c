/*
 * Fuzz target: bytes of an HTTP/2 client to a gRPC server. The first byte says how the rest is cut into
 * pieces and how scarce memory is. Checked besides memory safety: the budgets are whole again at the end, and
 * what was accepted is what the handlers took.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/limits.h"
#include "core/metrics.h"
#include "listen/grpc.h"

enum { PIECE_BYTES_MAX = 65536 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz {
    struct grpc_server server;
    struct grpc_connection connection;
    struct limits limits;
    struct budget assembly;
    struct budget waiting;
    struct metric_registry registry;
    uint64_t message_count;
};

static int on_message(void *user, struct grpc_call *call, struct slice message, struct grpc_answer *answer)
{
    (void)call;
    struct fuzz *fuzz = user;

    for (size_t i = 0; i < message.length; i++) { /* touch every byte: the sanitizer checks them */
        answer->reply[0] ^= message.ptr[i];
    }
    answer->reply_bytes = message.length % 3;
    fuzz->message_count++;
    return 0;
}

static void wake(struct grpc_connection *connection)
{
    (void)connection;
}

static void discard_output(struct grpc_connection *connection)
{
    static uint8_t out[65536];

    while (h2_session_send(&connection->h2, out, sizeof out) > 0) {
    }
}

static void feed(struct fuzz *fuzz, const uint8_t *data, size_t size, size_t piece_bytes)
{
    uint64_t now_ns = 1;

    for (size_t at = 0; at < size; at += piece_bytes) {
        size_t bytes = size - at < piece_bytes ? size - at : piece_bytes;
        uint8_t *piece = malloc(bytes); /* of its exact size, so that reading past it is seen */
        if (piece == NULL) {
            return;
        }
        memcpy(piece, data + at, bytes);
        int error = grpc_connection_receive(&fuzz->connection, slice_of(piece, bytes), now_ns);
        free(piece);
        now_ns += 20000000;
        grpc_server_run(&fuzz->server, now_ns);
        discard_output(&fuzz->connection);
        if (error < 0) {
            return;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct grpc_method methods[] = {
        {.path = "/t/Unary", .accepted = METRIC_MESSAGES_ACCEPTED_OTLP_GRPC, .message = on_message},
        {.path = "/t/Stream",
            .streaming = true,
            .accepted = METRIC_MESSAGES_ACCEPTED_OTLP_GRPC,
            .message = on_message},
    };
    static struct fuzz fuzz;

    if (size < 1) {
        return 0;
    }
    memset(&fuzz, 0, sizeof fuzz);
    limits_init(&fuzz.limits);
    fuzz.limits.message_bytes_max = 1 << 20;
    fuzz.assembly.cap_bytes = (data[0] & 1) != 0 ? 1 << 20 : 64;
    fuzz.waiting.cap_bytes = (data[0] & 2) != 0 ? 1 << 20 : 0;
    struct metric_cells *cells = metric_registry_add(&fuzz.registry, METRIC_SCOPE_SHARD, "0");
    struct grpc_server_config config = {.methods = methods,
        .method_count = sizeof methods / sizeof *methods,
        .user = &fuzz,
        .limits = &fuzz.limits,
        .assembly = &fuzz.assembly,
        .waiting = &fuzz.waiting,
        .cells = cells};
    if (cells == NULL || grpc_server_init(&fuzz.server, &config) < 0 ||
        grpc_connection_init(&fuzz.connection, &fuzz.server, NULL, wake) < 0) {
        abort();
    }
    feed(&fuzz, data + 1, size - 1, (data[0] & 4) != 0 ? PIECE_BYTES_MAX : 1u + (data[0] >> 3));
    if (metric_get(cells, METRIC_MESSAGES_ACCEPTED_OTLP_GRPC) != fuzz.message_count) {
        abort();
    }
    grpc_connection_deinit(&fuzz.connection);
    if (grpc_server_busy(&fuzz.server) || fuzz.assembly.used_bytes != 0 || fuzz.waiting.used_bytes != 0) {
        abort();
    }
    grpc_server_deinit(&fuzz.server);
    metric_registry_deinit(&fuzz.registry);
    return 0;
}
