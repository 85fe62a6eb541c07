/*
 * A stream of messages on arbitrary bytes, through a socket pair and a loop: nothing handed on is longer than
 * it may be, and the messages do not depend on the pieces in which they came. A quiet stream beside it ends
 * as idle.
 *
 * The first byte chooses the framing and the size of the pieces; the rest is what the sender writes.
 */
#include "fuzz.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "listen/line_stream.h"

enum { LINE_BYTES_MAX = 64, STREAM_BYTES_MAX = 4096 };

struct seen {
    enum line_framing framing;
    uint8_t bytes[STREAM_BYTES_MAX * 2]; /* what was handed on, a mark behind each message */
    size_t length;
    size_t oversized_count;
    size_t closed_count;
    bool cut;
};

static void on_batch(void *user)
{
    (void)user;
}

static void on_lines(void *user, struct slice lines)
{
    struct seen *seen = user;

    FUZZ_CHECK(seen->framing == LINE_FRAMING_NEWLINES || lines.length <= LINE_BYTES_MAX);
    FUZZ_CHECK(seen->closed_count == 0 && seen->length + lines.length + 1 <= sizeof seen->bytes);
    if (lines.length > 0) {
        memcpy(seen->bytes + seen->length, lines.ptr, lines.length);
    }
    seen->length += lines.length;
    if (seen->framing == LINE_FRAMING_OCTETS) {
        seen->bytes[seen->length++] = '|';
    }
}

static void on_oversized(void *user, struct slice start)
{
    struct seen *seen = user;

    FUZZ_CHECK(seen->closed_count == 0 && start.length <= LINE_BYTES_MAX + LINE_STREAM_HEAD_BYTES_MAX + 1);
    seen->oversized_count++;
}

static void on_closed(void *user, bool cut)
{
    struct seen *seen = user;

    seen->closed_count++;
    seen->cut = cut;
}

static const struct line_stream_handler handler = {
    .on_batch = on_batch, .on_lines = on_lines, .on_oversized = on_oversized, .on_closed = on_closed};

static void run(struct seen *seen, enum line_framing framing, struct slice data, size_t piece)
{
    uv_loop_t loop;
    struct metric_cells cells = {0};
    struct line_streams streams = TAILQ_HEAD_INITIALIZER(streams);
    struct line_stream *stream;
    struct line_stream_config config = {.loop = &loop,
        .framing = framing,
        .line_bytes_max = LINE_BYTES_MAX,
        .handler = &handler,
        .streams = &streams,
        .cells = &cells};
    struct seen quiet = {.framing = framing};
    int pair[2];
    int quiet_pair[2];

    memset(seen, 0, sizeof *seen);
    seen->framing = framing;
    FUZZ_CHECK(uv_loop_init(&loop) == 0);
    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, quiet_pair) == 0);
    FUZZ_CHECK(line_stream_new(&config, pair[0], seen, &stream) == 0);
    FUZZ_CHECK(line_stream_new(&config, quiet_pair[0], &quiet, &stream) == 0);
    while (data.length > 0 && seen->closed_count == 0) {
        struct slice some = slice_sub(data, 0, piece);
        ssize_t sent = send(pair[1], some.ptr, some.length, MSG_NOSIGNAL | MSG_DONTWAIT);
        (void)uv_run(&loop, UV_RUN_NOWAIT);
        data = slice_sub(data, sent > 0 ? (size_t)sent : 0, data.length);
    }
    (void)close(pair[1]);
    while (seen->closed_count == 0) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
    FUZZ_CHECK(line_streams_end_idle(&streams, 2, 0) == 1);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    (void)close(quiet_pair[1]);
    FUZZ_CHECK(seen->closed_count == 1 && quiet.closed_count == 1 && quiet.length == 0);
    FUZZ_CHECK(uv_loop_close(&loop) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct seen whole;
    static struct seen pieces;

    if (size == 0 || size > STREAM_BYTES_MAX) {
        return 0;
    }
    enum line_framing framing = (data[0] & 1) != 0 ? LINE_FRAMING_NEWLINES : LINE_FRAMING_OCTETS;
    struct slice rest = slice_of(data + 1, size - 1);
    run(&whole, framing, rest, STREAM_BYTES_MAX);
    run(&pieces, framing, rest, 1 + data[0] / 2 % 97);
    if (framing == LINE_FRAMING_OCTETS) {
        FUZZ_CHECK(whole.length == pieces.length && whole.oversized_count == pieces.oversized_count);
        FUZZ_CHECK(memcmp(whole.bytes, pieces.bytes, whole.length) == 0);
        FUZZ_CHECK(whole.cut == pieces.cut);
    }
    return 0;
}
