/*
 * Sends DogStatsD lines as datagrams to a Unix socket or to UDP on loopback, for a fixed time, and prints
 * what the receiving process spent.
 *
 *     statsd_load --socket PATH|--udp PORT --pid PID --corpus FILE.datagrams [--bytes N] [--name NAME]
 *                 [--seconds S] [--rate LINES/S]
 *
 * The lines are those of FILE, recorded from a real Envoy, packed anew to at most N bytes a datagram (1: a
 * line each). Without a rate: as fast as they are taken, a refused datagram is offered again at once, without
 * sleeping. With one: evenly in time, a refused datagram is lost, as Envoy's sink loses it. NAME_sent counts
 * lines that the socket took, NAME_refused those it did not. One thread.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/clock.h"
#include "load.h"

enum {
    FILE_BYTES_MAX = 16 << 20,
    POOL_BYTES = 16 << 20,
    DATAGRAM_COUNT_MAX = 1 << 18,
    LINE_COUNT_MAX = 1 << 16
};

struct datagram {
    uint32_t offset;
    uint32_t bytes;
    uint32_t lines;
};

struct options {
    const char *socket_path;
    const char *corpus_path;
    const char *name;
    unsigned long udp_port;
    pid_t pid;
    double seconds;
    double rate;
    size_t bytes_max;
};

struct load {
    struct options options;
    char *pool;
    struct datagram *datagrams;
    size_t datagram_count;
    int fd;
    uint64_t sent_lines;
    uint64_t refused_lines;
};

static int fail(const char *what)
{
    (void)fprintf(stderr, "statsd_load: %s: %s\n", what, errno != 0 ? strerror(errno) : "bad");
    return -1;
}

static int parse(int argc, char **argv, struct options *options)
{
    static const struct option long_options[] = {{"socket", required_argument, NULL, 's'},
        {"udp", required_argument, NULL, 'u'}, {"corpus", required_argument, NULL, 'f'},
        {"name", required_argument, NULL, 'n'}, {"pid", required_argument, NULL, 'p'},
        {"seconds", required_argument, NULL, 't'}, {"rate", required_argument, NULL, 'r'},
        {"bytes", required_argument, NULL, 'b'}, {NULL, 0, NULL, 0}};

    *options = (struct options){.name = "statsd", .seconds = 2, .bytes_max = 8192};
    for (int letter; (letter = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        switch (letter) {
        case 's':
            options->socket_path = optarg;
            break;
        case 'u':
            options->udp_port = strtoul(optarg, NULL, 10);
            break;
        case 'f':
            options->corpus_path = optarg;
            break;
        case 'n':
            options->name = optarg;
            break;
        case 'p':
            options->pid = (pid_t)strtol(optarg, NULL, 10);
            break;
        case 't':
            options->seconds = strtod(optarg, NULL);
            break;
        case 'r':
            options->rate = strtod(optarg, NULL);
            break;
        case 'b':
            options->bytes_max = strtoul(optarg, NULL, 10);
            break;
        default:
            return -1;
        }
    }
    bool has_target = (options->socket_path != NULL) != (options->udp_port != 0);
    errno = 0;
    return has_target && options->corpus_path != NULL && options->pid > 0 ? 0 : fail("options");
}

/* The recorded file's lines, each with its length; the bytes stay in `text`. */
static size_t read_lines(const char *path, char *text, struct datagram *lines)
{
    FILE *file = fopen(path, "re");
    size_t count = 0;

    if (file == NULL) {
        return 0;
    }
    size_t length = fread(text, 1, FILE_BYTES_MAX, file);
    (void)fclose(file);
    for (size_t at = 0; at + 4 < length;) {
        uint32_t bytes;

        memcpy(&bytes, text + at, 4);
        at += 4;
        size_t end = at + bytes;
        while (at < end && end <= length && count < LINE_COUNT_MAX) {
            const char *newline = memchr(text + at, '\n', end - at);
            size_t line_end = newline != NULL ? (size_t)(newline - text) : end;

            if (line_end > at) {
                lines[count++] =
                    (struct datagram){.offset = (uint32_t)at, .bytes = (uint32_t)(line_end - at)};
            }
            at = line_end + 1;
        }
        at = end;
    }
    return count;
}

/* Line after line, over and over, until the pool is full. */
static void pack(struct load *load, const char *text, const struct datagram *lines, size_t line_count)
{
    struct datagram next = {0};

    for (size_t i = 0; load->datagram_count < DATAGRAM_COUNT_MAX; i = (i + 1) % line_count) {
        const struct datagram *line = &lines[i];

        if (next.lines > 0 && next.bytes + 1 + line->bytes > load->options.bytes_max) {
            load->datagrams[load->datagram_count++] = next;
            next = (struct datagram){.offset = next.offset + next.bytes};
        }
        if (next.offset + next.bytes + 1 + line->bytes > POOL_BYTES) {
            return;
        }
        if (next.lines > 0) {
            load->pool[next.offset + next.bytes++] = '\n';
        }
        memcpy(load->pool + next.offset + next.bytes, text + line->offset, line->bytes);
        next.bytes += line->bytes;
        next.lines++;
    }
}

static int prepare(struct load *load)
{
    char *text = malloc(FILE_BYTES_MAX);
    struct datagram *lines = calloc(LINE_COUNT_MAX, sizeof *lines);

    load->pool = malloc(POOL_BYTES);
    load->datagrams = calloc(DATAGRAM_COUNT_MAX, sizeof *load->datagrams);
    errno = 0;
    if (text != NULL && lines != NULL && load->pool != NULL && load->datagrams != NULL) {
        size_t count = read_lines(load->options.corpus_path, text, lines);
        if (count > 0) {
            pack(load, text, lines, count);
        }
    }
    free(text);
    free(lines);
    return load->datagram_count > 0 ? 0 : fail("the corpus");
}

static int open_socket(const struct options *options)
{
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    struct sockaddr_in loopback = {.sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons((uint16_t)options->udp_port)};
    bool is_udp = options->socket_path == NULL;
    int fd = socket(is_udp ? AF_INET : AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int room = 1 << 20;

    if (!is_udp) {
        (void)snprintf(path.sun_path, sizeof path.sun_path, "%s", options->socket_path);
    }
    int connected = is_udp ? connect(fd, (struct sockaddr *)&loopback, sizeof loopback)
                           : connect(fd, (struct sockaddr *)&path, sizeof path);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    return connected == 0 ? fd : fail("connect");
}

static uint64_t now_ns(void)
{
    return clock_monotonic_ns(clock_system());
}

/* Sends until end_ns. False when the socket is gone. */
static bool send_until(struct load *load, uint64_t end_ns, size_t *next)
{
    uint64_t begin_ns = now_ns();
    uint64_t offered_lines = 0;

    for (uint64_t now; (now = now_ns()) < end_ns;) {
        const struct datagram *datagram = &load->datagrams[*next % load->datagram_count];
        double due_lines = load->options.rate * (double)(now - begin_ns) / 1e9;

        if (load->options.rate > 0 && (double)offered_lines > due_lines) {
            continue;
        }
        bool taken = send(load->fd, load->pool + datagram->offset, datagram->bytes, 0) >= 0;
        if (!taken && errno != EAGAIN && errno != ENOBUFS) {
            (void)fail("send");
            return false;
        }
        load->sent_lines += taken ? datagram->lines : 0;
        if (!taken && load->options.rate <= 0) {
            continue;
        }
        load->refused_lines += taken ? 0 : datagram->lines;
        offered_lines += datagram->lines;
        (*next)++;
    }
    return true;
}

static void print(const struct load *load, uint64_t lines, const struct process_cost *before,
    const struct process_cost *after, double elapsed_s)
{
    const char *name = load->options.name;
    double millions = (double)lines / 1e6;
    double user_s = after->user_s - before->user_s;
    double kernel_s = after->kernel_s - before->kernel_s;

    (void)printf("%s_cpu %.4f s/Mline\n", name, (user_s + kernel_s) / millions);
    (void)printf("%s_kernel %.4f s/Mline\n", name, kernel_s / millions);
    (void)printf("%s_busy %.0f %%\n", name, 100 * (user_s + kernel_s) / elapsed_s);
    (void)printf("%s_rate %.0f line/s\n", name, (double)lines / elapsed_s);
    (void)printf("%s_lines_a_datagram %.1f line\n", name, (double)load->datagrams[0].lines);
    (void)printf("%s_sent %" PRIu64 " line\n", name, load->sent_lines);
    (void)printf("%s_refused %" PRIu64 " line\n", name, load->refused_lines);
}

static int run(struct load *load)
{
    struct process_cost before;
    struct process_cost after;
    size_t next = 0;

    if (!send_until(load, now_ns() + LOAD_WARM_UP_NS, &next) ||
        process_cost_of(load->options.pid, &before) < 0) {
        return -1;
    }
    uint64_t start_ns = now_ns();
    uint64_t start_lines = load->sent_lines;
    if (!send_until(load, start_ns + (uint64_t)(load->options.seconds * 1e9), &next) ||
        process_cost_of(load->options.pid, &after) < 0) {
        return -1;
    }
    print(load, load->sent_lines - start_lines, &before, &after, (double)(now_ns() - start_ns) / 1e9);
    return 0;
}

int main(int argc, char **argv)
{
    struct load load = {.fd = -1};
    int error = parse(argc, argv, &load.options);

    if (error == 0) {
        error = prepare(&load);
    }
    if (error == 0) {
        load.fd = open_socket(&load.options);
        error = load.fd >= 0 ? run(&load) : -1;
    }
    if (load.fd >= 0) {
        (void)close(load.fd);
    }
    free(load.pool);
    free(load.datagrams);
    return error == 0 ? 0 : 1;
}
