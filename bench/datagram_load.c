/*
 * Sends recorded DogStatsD lines, access log lines or X-Ray segments to a Unix datagram socket, to UDP on
 * loopback or over a Unix stream, for a fixed time, and prints what the receiving process spent.
 *
 *     datagram_load --socket PATH|--udp PORT|--stream PATH --pid PID --corpus FILE.datagrams [--whole]
 *                   [--bytes N] [--name NAME] [--seconds S] [--rate RECORDS/S]
 *
 * The records are FILE's lines, or with --whole its datagrams, packed anew to at most N bytes a datagram (1:
 * one each): lines behind each other, over a stream as octet-counted messages (RFC 6587). Without a rate: as
 * fast as they are taken, a refused datagram is offered again at once, without sleeping. With one: evenly in
 * time, a refused datagram is lost, as Envoy's sink loses it. NAME_sent counts records that the socket took,
 * NAME_refused those it did not. One thread.
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
    LEAD_BYTES_MAX = 16,
    RECORD_COUNT_MAX = 1 << 16
};

struct datagram {
    uint32_t offset;
    uint32_t bytes;
    uint32_t records;
};

struct options {
    const char *socket_path;
    bool is_stream;
    bool is_whole;
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
    size_t next;       /* datagram to be sent */
    size_t sent_bytes; /* of it; of a stream alone it may be taken in parts */
    uint64_t sent_records;
    uint64_t refused_records;
};

static int fail(const char *what)
{
    (void)fprintf(stderr, "datagram_load: %s: %s\n", what, errno != 0 ? strerror(errno) : "bad");
    return -1;
}

static int parse(int argc, char **argv, struct options *options)
{
    static const struct option long_options[] = {{"socket", required_argument, NULL, 's'},
        {"udp", required_argument, NULL, 'u'}, {"stream", required_argument, NULL, 'o'},
        {"whole", no_argument, NULL, 'w'}, {"corpus", required_argument, NULL, 'f'},
        {"name", required_argument, NULL, 'n'}, {"pid", required_argument, NULL, 'p'},
        {"seconds", required_argument, NULL, 't'}, {"rate", required_argument, NULL, 'r'},
        {"bytes", required_argument, NULL, 'b'}, {NULL, 0, NULL, 0}};

    *options = (struct options){.name = "datagram", .seconds = 2, .bytes_max = 8192};
    for (int letter; (letter = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        switch (letter) {
        case 's':
        case 'o':
            options->socket_path = optarg;
            options->is_stream = letter == 'o';
            break;
        case 'w':
            options->is_whole = true;
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

/* The recorded file's lines or whole datagrams, each with its length; the bytes stay in `text`. */
static size_t read_records(const char *path, bool is_whole, char *text, struct datagram *records)
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
        while (at < end && end <= length && count < RECORD_COUNT_MAX) {
            const char *newline = is_whole ? NULL : memchr(text + at, '\n', end - at);
            size_t line_end = newline != NULL ? (size_t)(newline - text) : end;

            if (line_end > at) {
                records[count++] =
                    (struct datagram){.offset = (uint32_t)at, .bytes = (uint32_t)(line_end - at)};
            }
            at = line_end + 1;
        }
        at = end;
    }
    return count;
}

/* What goes before a record. */
static size_t write_lead(const struct load *load, const struct datagram *next, uint32_t bytes, char *out)
{
    if (load->options.is_stream) {
        return (size_t)snprintf(out, LEAD_BYTES_MAX, "%" PRIu32 " ", bytes);
    }
    *out = '\n';
    return next->records > 0;
}

/* Record after record, over and over, until the pool is full. */
static void pack(struct load *load, const char *text, const struct datagram *records, size_t record_count)
{
    struct datagram next = {0};

    for (size_t i = 0; load->datagram_count < DATAGRAM_COUNT_MAX; i = (i + 1) % record_count) {
        const struct datagram *record = &records[i];

        if (next.records > 0 && next.bytes + 1 + record->bytes > load->options.bytes_max) {
            load->datagrams[load->datagram_count++] = next;
            next = (struct datagram){.offset = next.offset + next.bytes};
        }
        if (next.offset + next.bytes + LEAD_BYTES_MAX + record->bytes > POOL_BYTES) {
            return;
        }
        char *out = load->pool + next.offset + next.bytes;
        size_t lead_bytes = write_lead(load, &next, record->bytes, out);
        memcpy(out + lead_bytes, text + record->offset, record->bytes);
        next.bytes += (uint32_t)lead_bytes + record->bytes;
        next.records++;
    }
}

static int prepare(struct load *load)
{
    char *text = malloc(FILE_BYTES_MAX);
    struct datagram *records = calloc(RECORD_COUNT_MAX, sizeof *records);

    load->pool = malloc(POOL_BYTES);
    load->datagrams = calloc(DATAGRAM_COUNT_MAX, sizeof *load->datagrams);
    errno = 0;
    if (text != NULL && records != NULL && load->pool != NULL && load->datagrams != NULL) {
        size_t count = read_records(load->options.corpus_path, load->options.is_whole, text, records);
        if (count > 0) {
            pack(load, text, records, count);
        }
    }
    free(text);
    free(records);
    return load->datagram_count > 0 ? 0 : fail("the corpus");
}

static int open_socket(const struct options *options)
{
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    struct sockaddr_in loopback = {.sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons((uint16_t)options->udp_port)};
    bool is_udp = options->socket_path == NULL;
    int fd = socket(is_udp ? AF_INET : AF_UNIX,
        (options->is_stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
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

/* Offers the next datagram, of a stream what is left of it. False when the socket is gone. */
static bool offer(struct load *load)
{
    const struct datagram *datagram = &load->datagrams[load->next % load->datagram_count];
    ssize_t taken = send(load->fd, load->pool + datagram->offset + load->sent_bytes,
        datagram->bytes - load->sent_bytes, MSG_NOSIGNAL);
    bool is_lossy = load->options.rate > 0 && !load->options.is_stream;

    if (taken < 0 && errno != EAGAIN && errno != ENOBUFS) {
        (void)fail("send");
        return false;
    }
    load->sent_bytes += taken > 0 ? (size_t)taken : 0;
    if (load->sent_bytes < datagram->bytes && !(taken < 0 && is_lossy)) {
        return true;
    }
    *(taken < 0 ? &load->refused_records : &load->sent_records) += datagram->records;
    load->sent_bytes = 0;
    load->next++;
    return true;
}

/* Sends until end_ns, and a stream's message to its end. False when the socket is gone. */
static bool send_until(struct load *load, uint64_t end_ns)
{
    uint64_t begin_ns = now_ns();
    uint64_t before = load->sent_records + load->refused_records;

    for (uint64_t now; (now = now_ns()) < end_ns || load->sent_bytes > 0;) {
        uint64_t offered = load->sent_records + load->refused_records - before;
        double due = load->options.rate * (double)(now - begin_ns) / 1e9;

        if (load->options.rate > 0 && (double)offered > due) {
            continue;
        }
        if (now > end_ns + LOAD_STALL_NS) {
            errno = ETIMEDOUT;
            (void)fail("send");
            return false;
        }
        if (!offer(load)) {
            return false;
        }
    }
    return true;
}

static double mean_bytes(const struct load *load)
{
    const struct datagram *last = &load->datagrams[load->datagram_count - 1];

    return (double)(last->offset + last->bytes) / (double)load->datagram_count;
}

static void print(const struct load *load, uint64_t records, const struct process_cost *before,
    const struct process_cost *after, double elapsed_s)
{
    const char *name = load->options.name;
    double millions = (double)records / 1e6;
    double user_s = after->user_s - before->user_s;
    double kernel_s = after->kernel_s - before->kernel_s;

    (void)printf("%s_cpu %.4f s/Mrecord\n", name, (user_s + kernel_s) / millions);
    (void)printf("%s_kernel %.4f s/Mrecord\n", name, kernel_s / millions);
    (void)printf("%s_busy %.0f %%\n", name, 100 * (user_s + kernel_s) / elapsed_s);
    (void)printf("%s_rate %.0f record/s\n", name, (double)records / elapsed_s);
    (void)printf("%s_records_a_datagram %.1f record\n", name, (double)load->datagrams[0].records);
    (void)printf("%s_datagram %.0f byte\n", name, mean_bytes(load));
    (void)printf("%s_sent %" PRIu64 " record\n", name, load->sent_records);
    (void)printf("%s_refused %" PRIu64 " record\n", name, load->refused_records);
}

static int run(struct load *load)
{
    struct process_cost before;
    struct process_cost after;

    if (!send_until(load, now_ns() + LOAD_WARM_UP_NS) || process_cost_of(load->options.pid, &before) < 0) {
        return -1;
    }
    uint64_t start_ns = now_ns();
    uint64_t start_records = load->sent_records;
    if (!send_until(load, start_ns + (uint64_t)(load->options.seconds * 1e9)) ||
        process_cost_of(load->options.pid, &after) < 0) {
        return -1;
    }
    print(load, load->sent_records - start_records, &before, &after, (double)(now_ns() - start_ns) / 1e9);
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
