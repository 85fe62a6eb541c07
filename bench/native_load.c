/*
 * Sends native batches over the agent's Unix socket as fast as its credit allows: prebuilt frames of columnar
 * spans with the values that the agent itself reads from the same corpus' OTLP, for a fixed time.
 *
 *     native_load --socket PATH --pid PID --corpus FILE.otlp [--batch 512] [--name NAME] [--seconds S]
 *     native_load … --label-sets N      instead: N label sets of eight octaves each, once
 *
 * NAME_sent and NAME_accepted count spans: of batches written, and of those acknowledged, less rejected ones.
 * One thread, one connection.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/error.h"
#include "native_frames.h"
#include "load.h"

enum { IN_BYTES = 65536, LABEL_SET_OCTAVES = 8 };

struct load {
    struct load_options options;
    struct native_frames frames;
    int fd;
    uint64_t written_frames; /* whole ones */
    size_t written_bytes;    /* of the frame under way */
    bool under_way;
    uint64_t frames_max; /* 0: as many as the time allows */
    uint64_t acknowledged_frames;
    uint64_t unacknowledged_bytes;
    uint64_t credit_bytes;
    uint64_t rejected_spans;
    uint64_t errors;
    uint64_t last_answer_ns;
    uint8_t in[IN_BYTES];
    size_t in_bytes;
    bool stopping;
};

static uint64_t now_ns(void)
{
    return clock_monotonic_ns(clock_system());
}

static struct slice frame_at(const struct load *load, uint64_t number)
{
    return load->frames.frames[number % load->frames.frame_count];
}

/* ---- what the agent says ---- */

static void take_ack(struct load *load, const Weft__V1__Ack *ack)
{
    load->credit_bytes = ack->credit_bytes;
    load->rejected_spans += ack->rejected_spans;
    while (load->acknowledged_frames < load->written_frames &&
           NATIVE_FIRST_SEQUENCE + load->acknowledged_frames <= ack->sequence) {
        load->unacknowledged_bytes -= frame_at(load, load->acknowledged_frames).length;
        load->acknowledged_frames++;
    }
}

static void take_frame(struct load *load, uint8_t type, const uint8_t *payload, size_t length)
{
    if (type == NATIVE_TYPE_ACK) {
        Weft__V1__Ack *ack = weft__v1__ack__unpack(NULL, length, payload);
        if (ack != NULL) {
            take_ack(load, ack);
            weft__v1__ack__free_unpacked(ack, NULL);
        }
    } else if (type == NATIVE_TYPE_ERROR) {
        Weft__V1__Error *error = weft__v1__error__unpack(NULL, length, payload);
        if (error != NULL) {
            (void)fprintf(stderr, "native_load: the agent says: %s\n", error->message);
            weft__v1__error__free_unpacked(error, NULL);
        }
        load->errors++;
    }
}

static int take(struct load *load)
{
    ssize_t length = recv(load->fd, load->in + load->in_bytes, sizeof load->in - load->in_bytes, 0);
    size_t at = 0;

    if (length < 0) {
        return errno == EAGAIN || errno == EINTR ? 0 : WERR_IO;
    }
    if (length == 0) {
        return WERR_CLOSED;
    }
    load->in_bytes += (size_t)length;
    load->last_answer_ns = now_ns();
    while (load->in_bytes - at >= NATIVE_HEADER_BYTES) {
        struct native_header header = native_header_read(load->in + at);
        if (load->in_bytes - at - NATIVE_HEADER_BYTES < header.payload_bytes) {
            break;
        }
        take_frame(load, header.type, load->in + at + NATIVE_HEADER_BYTES, header.payload_bytes);
        at += NATIVE_HEADER_BYTES + header.payload_bytes;
    }
    memmove(load->in, load->in + at, load->in_bytes - at);
    load->in_bytes -= at;
    return 0;
}

/* ---- what we say ---- */

static bool may_begin(const struct load *load)
{
    uint64_t length = frame_at(load, load->written_frames).length;

    return !load->stopping && load->unacknowledged_bytes + length <= load->credit_bytes &&
           (load->frames_max == 0 || load->written_frames < load->frames_max) &&
           load->written_frames - load->acknowledged_frames < load->frames.frame_count;
}

/* Until socket or credit is full. *ret_full: the socket is. */
static int put(struct load *load, bool *ret_full)
{
    *ret_full = false;
    for (;;) {
        if (!load->under_way) {
            if (!may_begin(load)) {
                return 0;
            }
            native_frames_stamp(&load->frames, load->written_frames % load->frames.frame_count,
                NATIVE_FIRST_SEQUENCE + load->written_frames);
            load->under_way = true;
            load->written_bytes = 0;
        }
        struct slice frame = frame_at(load, load->written_frames);
        ssize_t length =
            send(load->fd, frame.ptr + load->written_bytes, frame.length - load->written_bytes, MSG_NOSIGNAL);
        if (length < 0) {
            *ret_full = errno == EAGAIN;
            return errno == EAGAIN || errno == EINTR ? 0 : WERR_IO;
        }
        load->written_bytes += (size_t)length;
        if (load->written_bytes == frame.length) {
            load->under_way = false;
            load->written_frames++;
            load->unacknowledged_bytes += frame.length;
        }
    }
}

static int turn(struct load *load)
{
    bool full;
    int error = put(load, &full);
    struct pollfd poll_fd = {.fd = load->fd, .events = (short)(full ? POLLIN | POLLOUT : POLLIN)};

    if (error == 0 && poll(&poll_fd, 1, LOAD_POLL_MS) < 0 && errno != EINTR) {
        error = WERR_IO;
    }
    return error == 0 && (poll_fd.revents & (POLLIN | POLLHUP | POLLERR)) != 0 ? take(load) : error;
}

/* Magic, Hello, Dictionary, and the first Ack's credit. */
static int greet(struct load *load)
{
    const struct buffer *greeting = &load->frames.greeting;
    size_t sent = 0;
    int error = 0;

    load->last_answer_ns = now_ns();
    while (error == 0 && (sent < greeting->length || load->credit_bytes == 0)) {
        struct pollfd poll_fd = {
            .fd = load->fd, .events = (short)(sent < greeting->length ? POLLIN | POLLOUT : POLLIN)};
        (void)poll(&poll_fd, 1, LOAD_POLL_MS);
        if ((poll_fd.revents & POLLOUT) != 0) {
            ssize_t length = send(load->fd, greeting->data + sent, greeting->length - sent, MSG_NOSIGNAL);
            error = length < 0 && errno != EAGAIN ? WERR_IO : 0;
            sent += length > 0 ? (size_t)length : 0;
        }
        if (error == 0 && (poll_fd.revents & (POLLIN | POLLHUP)) != 0) {
            error = take(load);
        }
        if (now_ns() - load->last_answer_ns > LOAD_STALL_NS) {
            error = WERR_TIMEOUT;
        }
    }
    return error;
}

static bool is_done(const struct load *load)
{
    bool nothing_more = load->stopping || (load->frames_max != 0 && load->written_frames == load->frames_max);

    return nothing_more && !load->under_way && load->acknowledged_frames == load->written_frames;
}

/* Warm-up, the interval that is measured, the last acknowledgements. A fixed load is measured whole. */
static int run(struct load *load, struct load_interval *interval)
{
    uint64_t begin_ns = now_ns();
    uint64_t warm_up_ns = load->frames_max != 0 ? 0 : LOAD_WARM_UP_NS;
    uint64_t measured_ns = (uint64_t)(load->options.seconds * 1e9);
    uint64_t done_before = 0;
    int error = 0;

    while (error == 0 && !is_done(load)) {
        uint64_t now = now_ns();
        if (interval->start_ns == 0 && now - begin_ns >= warm_up_ns) {
            interval->start_ns = now;
            done_before = load->acknowledged_frames;
            error = process_cost_of(load->options.pid, &interval->before);
        } else if (!load->stopping && load->frames_max == 0 && interval->start_ns != 0 &&
                   now - interval->start_ns > measured_ns) {
            interval->end_ns = now;
            interval->spans = (load->acknowledged_frames - done_before) * load->options.spans_per_message;
            error = process_cost_of(load->options.pid, &interval->after);
            load->stopping = true;
        }
        error = error != 0 ? error : turn(load);
        if (now_ns() - load->last_answer_ns > LOAD_STALL_NS) {
            error = WERR_TIMEOUT;
        }
    }
    if (error == 0 && load->frames_max != 0) {
        interval->end_ns = now_ns();
        interval->spans = load->acknowledged_frames * load->options.spans_per_message;
        error = process_cost_of(load->options.pid, &interval->after);
    }
    return error;
}

static void report(const struct load *load, const struct load_interval *interval)
{
    const char *name = load->options.name;
    uint32_t spans = load->options.spans_per_message;

    load_print(name, load->options.pid, interval);
    (void)printf(
        "%s_message %.0f byte\n", name, (double)load->frames.bytes.length / (double)load->frames.frame_count);
    (void)printf("%s_sent %" PRIu64 " span\n", name, load->written_frames * spans);
    (void)printf(
        "%s_accepted %" PRIu64 " span\n", name, load->acknowledged_frames * spans - load->rejected_spans);
    (void)printf("%s_failed %" PRIu64 " message\n", name, load->errors);
}

static int prepare(struct load *load)
{
    static struct corpus corpus;
    int error = corpus_load(load->options.corpus_path, &corpus);

    if (error == 0 && load->options.label_sets > 0) {
        error = native_frames_of_label_sets(
            load->options.label_sets, LABEL_SET_OCTAVES, load->options.spans_per_message, &load->frames);
        load->frames_max = load->frames.frame_count;
    } else if (error == 0) {
        error = native_frames_of_corpus(&corpus, load->options.spans_per_message, &load->frames);
    }
    corpus_deinit(&corpus);
    if (error == 0) {
        load->fd = load_connect(load->options.socket_path);
        error = load->fd < 0 ? load->fd : greet(load);
    }
    return error;
}

int main(int argc, char **argv)
{
    struct load *load = calloc(1, sizeof *load);
    struct load_interval interval = {.start_ns = 0};

    if (load == NULL || load_options_parse(argc, argv, &load->options) < 0) {
        free(load);
        return 2;
    }
    int error = prepare(load);
    if (error == 0) {
        error = run(load, &interval);
    }
    if (error == 0 && interval.spans > 0) {
        report(load, &interval);
    } else {
        (void)fprintf(stderr, "native_load: %s\n", error < 0 ? werr_text(error) : "nothing was acknowledged");
        error = WERR_IO;
    }
    if (load->fd > 0) {
        (void)close(load->fd);
    }
    native_frames_deinit(&load->frames);
    free(load);
    return error == 0 ? 0 : 1;
}
