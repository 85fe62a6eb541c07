/*
 * Posts recorded Zipkin spans over HTTP/1.1 to the agent's Unix socket as fast as they are answered: a few
 * connections, on each one request under way, as a proxy's pool does. For a fixed time; then waits for the
 * last answers and prints what the agent's process spent.
 *
 *     zipkin_load --socket PATH --pid PID --corpus FILE.bodies --batch SPANS [--connections N] [--name NAME]
 *                 [--seconds S]
 *
 * FILE.bodies is a sequence of [u32 little-endian length][JSON array of SPANS spans]. NAME_sent and
 * NAME_accepted count spans: those of requests begun, and of those answered with 202. One thread, one poll
 * loop, which does not sleep.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/error.h"
#include "core/slice.h"
#include "load.h"

enum { CONNECTIONS_MAX = 64, REQUESTS_MAX = 4096, HEAD_BYTES_MAX = 256, ANSWER_BYTES_MAX = 4096 };

struct connection {
    int fd;
    struct slice request; /* what is unsent of it */
    bool is_busy;
    char answer[ANSWER_BYTES_MAX];
    size_t answer_bytes;
};

struct load {
    struct load_options options;
    struct slice requests[REQUESTS_MAX]; /* each with bytes of its own */
    size_t request_count;
    struct connection connections[CONNECTIONS_MAX];
    uint64_t begun;
    uint64_t accepted;
    uint64_t failed;
    uint64_t last_answer_ns;
};

static uint64_t now_ns(void)
{
    return clock_monotonic_ns(clock_system());
}

/* ---- requests ---- */

static int read_requests(struct load *load)
{
    FILE *file = fopen(load->options.corpus_path, "re");
    uint32_t length;

    while (file != NULL && load->request_count < REQUESTS_MAX &&
           fread(&length, sizeof length, 1, file) == 1 && length < INT32_MAX) {
        char *bytes = malloc(HEAD_BYTES_MAX + (size_t)length);
        if (bytes == NULL) {
            break;
        }
        size_t head = (size_t)snprintf(bytes, HEAD_BYTES_MAX,
            "POST /api/v2/spans HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            "x-envoy-internal: true\r\nx-forwarded-for: 127.0.0.1\r\ncontent-length: %" PRIu32 "\r\n\r\n",
            length);
        load->requests[load->request_count++] = slice_of(bytes, head + length);
        if (fread(bytes + head, 1, length, file) != length) {
            load->request_count = 0;
            break;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return load->request_count > 0 ? 0 : WERR_INVALID;
}

/* ---- connections ---- */

static int send_rest(struct connection *connection)
{
    ssize_t taken = send(connection->fd, connection->request.ptr, connection->request.length, MSG_NOSIGNAL);

    if (taken < 0) {
        return errno == EAGAIN || errno == EINTR ? 0 : WERR_IO;
    }
    connection->request = slice_sub(connection->request, (size_t)taken, connection->request.length);
    return 0;
}

static int begin(struct load *load, struct connection *connection)
{
    connection->request = load->requests[load->begun++ % load->request_count];
    connection->is_busy = true;
    connection->answer_bytes = 0;
    return send_rest(connection);
}

/* An answer is whole with its empty line: a 202 has no body, and with another status nothing goes on. */
static int take(struct load *load, struct connection *connection)
{
    static const char end[] = "\r\n\r\n";
    size_t room = sizeof connection->answer - connection->answer_bytes;
    ssize_t length = recv(connection->fd, connection->answer + connection->answer_bytes, room, 0);

    if (length < 0 && (errno == EAGAIN || errno == EINTR)) {
        return 0;
    }
    if (length <= 0) {
        return WERR_CLOSED;
    }
    connection->answer_bytes += (size_t)length;
    if (memmem(connection->answer, connection->answer_bytes, end, sizeof end - 1) == NULL) {
        return 0;
    }
    load->last_answer_ns = now_ns();
    connection->is_busy = false;
    bool is_accepted = memcmp(connection->answer, "HTTP/1.1 202", 12) == 0;
    (*(is_accepted ? &load->accepted : &load->failed))++;
    return is_accepted ? 0 : WERR_INVALID;
}

/* Returns how many requests are under way, or a negative code. */
static int turn(struct load *load, bool stopping)
{
    struct pollfd polls[CONNECTIONS_MAX];
    uint32_t count = load->options.connections;
    int busy_count = 0;

    for (uint32_t i = 0; i < count; i++) {
        polls[i] = (struct pollfd){.fd = load->connections[i].fd, .events = POLLIN};
    }
    if (poll(polls, count, LOAD_POLL_MS) < 0 && errno != EINTR) {
        return WERR_IO;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct connection *connection = &load->connections[i];
        int error = polls[i].revents != 0 ? take(load, connection) : 0;
        if (error == 0 && connection->request.length > 0) {
            error = send_rest(connection);
        }
        if (error == 0 && !connection->is_busy && !stopping) {
            error = begin(load, connection);
        }
        if (error < 0) {
            return error;
        }
        busy_count += connection->is_busy;
    }
    return busy_count;
}

static int open_connections(struct load *load)
{
    for (uint32_t i = 0; i < load->options.connections; i++) {
        load->connections[i].fd = load_connect(load->options.socket_path);
        if (load->connections[i].fd < 0) {
            return load->connections[i].fd;
        }
    }
    return 0;
}

/* ---- a run ---- */

static int turn_until(struct load *load, uint64_t end_ns, bool stopping)
{
    int busy_count;

    do {
        busy_count = turn(load, stopping);
        if (busy_count >= 0 && now_ns() > load->last_answer_ns + LOAD_STALL_NS) {
            busy_count = WERR_TIMEOUT;
        }
    } while (stopping ? busy_count > 0 : busy_count >= 0 && now_ns() < end_ns);
    return busy_count < 0 ? busy_count : 0;
}

/* Warm-up, the interval that is measured, and the last answers. */
static int run(struct load *load, struct load_interval *interval)
{
    load->last_answer_ns = now_ns();
    int error = turn_until(load, load->last_answer_ns + LOAD_WARM_UP_NS, false);
    uint64_t before = load->accepted;
    if (error == 0) {
        error = process_cost_of(load->options.pid, &interval->before);
    }
    interval->start_ns = now_ns();
    if (error == 0) {
        error = turn_until(load, interval->start_ns + (uint64_t)(load->options.seconds * 1e9), false);
    }
    interval->end_ns = now_ns();
    interval->spans = (load->accepted - before) * load->options.spans_per_message;
    if (error == 0) {
        error = process_cost_of(load->options.pid, &interval->after);
    }
    return error == 0 ? turn_until(load, 0, true) : error;
}

static void report(const struct load *load, const struct load_interval *interval)
{
    const char *name = load->options.name;
    uint32_t spans = load->options.spans_per_message;

    load_print(name, load->options.pid, interval);
    (void)printf("%s_sent %" PRIu64 " span\n", name, load->begun * spans);
    (void)printf("%s_accepted %" PRIu64 " span\n", name, load->accepted * spans);
    (void)printf("%s_failed %" PRIu64 " request\n", name, load->failed);
}

int main(int argc, char **argv)
{
    struct load *load = calloc(1, sizeof *load);
    struct load_interval interval = {.start_ns = 0};

    if (load == NULL || load_options_parse(argc, argv, &load->options) < 0 ||
        load->options.connections > CONNECTIONS_MAX) {
        free(load);
        return 2;
    }
    int error = read_requests(load);
    if (error == 0) {
        error = open_connections(load);
    }
    if (error == 0) {
        error = run(load, &interval);
    }
    if (error == 0) {
        report(load, &interval);
    } else {
        (void)fprintf(stderr, "zipkin_load: %s\n", werr_text(error));
    }
    for (uint32_t i = 0; i < load->options.connections; i++) {
        if (load->connections[i].fd > 0) {
            (void)close(load->connections[i].fd);
        }
    }
    for (size_t i = 0; i < load->request_count; i++) {
        free((void *)(uintptr_t)load->requests[i].ptr);
    }
    free(load);
    return error == 0 ? 0 : 1;
}
