/* Opening datagram sockets (main, at start) and reading them (one shard's loop); see datagram.h. */
#include "listen/datagram.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/error.h"
#include "listen/descriptor.h"

enum { CONTROL_BYTES_MAX = 128, SOCKET_BUFFER_BYTES_MAX = 1 << 30 };

struct datagram_reader {
    uv_poll_t poll;
    struct datagram_reader_config config;
    bool closed;
    uint32_t lost_count; /* the kernel's, of this socket, as last told */
    uint8_t *payloads;   /* DATAGRAM_BATCH_COUNT of payload_bytes_max */
    struct iovec vectors[DATAGRAM_BATCH_COUNT];
    struct mmsghdr messages[DATAGRAM_BATCH_COUNT];
    _Alignas(struct cmsghdr) uint8_t control[DATAGRAM_BATCH_COUNT][CONTROL_BYTES_MAX];
};

/* ---- sockets ---- */

/*
 * Past net.core.rmem_max only a privileged process may go. The kernel doubles what is asked for, and says so;
 * half of what it says is what payloads and their bookkeeping share.
 */
static uint64_t set_buffer(int fd, uint64_t wanted_bytes)
{
    int bytes = wanted_bytes > SOCKET_BUFFER_BYTES_MAX ? SOCKET_BUFFER_BYTES_MAX : (int)wanted_bytes;
    socklen_t length = sizeof bytes;

    if (bytes > 0 && setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    }
    bytes = 0;
    return getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, &length) == 0 && bytes > 0 ? (uint64_t)bytes / 2 : 0;
}

int datagram_open_unix(
    struct datagram_socket *socket, const struct listener_unix_options *options, uint64_t buffer_bytes)
{
    struct datagram_socket opened = {.fd = -1, .lock_fd = -1};
    int yes = 1;

    *socket = opened;
    int error = unix_socket_bind(options, SOCK_DGRAM, &opened.fd, &opened.lock_fd);
    if (error < 0) {
        return error;
    }
    (void)snprintf(opened.path, sizeof opened.path, "%s", options->path);
    if (setsockopt(opened.fd, SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes) != 0) {
        datagram_close(&opened);
        return WERR_IO;
    }
    opened.buffer_bytes = set_buffer(opened.fd, buffer_bytes);
    *socket = opened;
    return 0;
}

static bool is_loopback(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET) {
        return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    }
    return address->ss_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr);
}

int datagram_open_udp(struct datagram_socket *ret_socket, const char *address, uint64_t buffer_bytes)
{
    struct datagram_socket opened = {.fd = -1, .lock_fd = -1, .is_udp = true};
    struct sockaddr_storage parsed;
    socklen_t length;
    int yes = 1;

    *ret_socket = (struct datagram_socket){.fd = -1, .lock_fd = -1};
    int error = listener_parse_address(address, &parsed, &length);
    if (error < 0 || !is_loopback(&parsed)) {
        return WERR_INVALID;
    }
    opened.fd = socket(parsed.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (opened.fd < 0) {
        return WERR_IO;
    }
    if (bind(opened.fd, (struct sockaddr *)&parsed, length) != 0) {
        error = errno == EADDRINUSE ? WERR_EXISTS : errno == EACCES ? WERR_PERMISSION : WERR_IO;
        descriptor_close(&opened.fd);
        return error;
    }
    (void)setsockopt(opened.fd, SOL_SOCKET, SO_RXQ_OVFL, &yes, sizeof yes);
    opened.buffer_bytes = set_buffer(opened.fd, buffer_bytes);
    listener_format_address(opened.fd, opened.address);
    *ret_socket = opened;
    return 0;
}

void datagram_close(struct datagram_socket *socket)
{
    if (socket == NULL) {
        return;
    }
    if (socket->path[0] != '\0') {
        (void)unlink(socket->path); /* the lock file stays, as a listener's does */
        socket->path[0] = '\0';
        descriptor_close(&socket->fd);
        descriptor_close(&socket->lock_fd);
    } else if (socket->address[0] != '\0') {
        socket->address[0] = '\0';
        descriptor_close(&socket->fd);
    }
}

/* ---- the reader ---- */

/* The kernel takes lengths of a call as room and gives back what it used: they are set anew each time. */
static void reset_batch(struct datagram_reader *reader)
{
    for (size_t i = 0; i < DATAGRAM_BATCH_COUNT; i++) {
        reader->messages[i].msg_hdr.msg_controllen = CONTROL_BYTES_MAX;
        reader->messages[i].msg_hdr.msg_flags = 0;
    }
}

static void init_batch(struct datagram_reader *reader)
{
    size_t bytes = reader->config.payload_bytes_max;

    for (size_t i = 0; i < DATAGRAM_BATCH_COUNT; i++) {
        reader->vectors[i] = (struct iovec){.iov_base = reader->payloads + i * bytes, .iov_len = bytes};
        reader->messages[i].msg_hdr = (struct msghdr){
            .msg_iov = &reader->vectors[i], .msg_iovlen = 1, .msg_control = reader->control[i]};
    }
}

/* The credentials of a datagram, if it has any; and notes what the kernel says it lost. */
static bool read_control(struct datagram_reader *reader, struct msghdr *message, struct ucred *ret_sender)
{
    bool found = false;

    for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at != NULL; at = CMSG_NXTHDR(message, at)) {
        if (at->cmsg_level != SOL_SOCKET) {
            continue;
        }
        if (at->cmsg_type == SCM_CREDENTIALS && at->cmsg_len >= CMSG_LEN(sizeof *ret_sender)) {
            memcpy(ret_sender, CMSG_DATA(at), sizeof *ret_sender);
            found = true;
        } else if (at->cmsg_type == SO_RXQ_OVFL && at->cmsg_len >= CMSG_LEN(sizeof(uint32_t))) {
            uint32_t count;

            memcpy(&count, CMSG_DATA(at), sizeof count);
            metric_add(reader->config.cells, reader->config.lost, (uint32_t)(count - reader->lost_count));
            reader->lost_count = count;
        } else if (at->cmsg_type == SCM_RIGHTS) {
            size_t fd_count = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);

            for (size_t i = 0; i < fd_count; i++) { /* descriptors that nobody asked for */
                int fd;

                memcpy(&fd, CMSG_DATA(at) + i * sizeof fd, sizeof fd);
                descriptor_close(&fd);
            }
        }
    }
    return found;
}

static void hand_out(struct datagram_reader *reader, struct mmsghdr *message)
{
    const struct datagram_reader_config *config = &reader->config;
    bool truncated = (message->msg_hdr.msg_flags & MSG_TRUNC) != 0;
    struct ucred sender;
    bool known = read_control(reader, &message->msg_hdr, &sender);

    metric_add(config->cells, config->received, 1);
    metric_add(config->cells, METRIC_RECEIVED_BYTES, message->msg_len);
    if (truncated) {
        metric_add(config->cells, config->truncated, 1);
    }
    config->handler->on_datagram(config->user, slice_of(message->msg_hdr.msg_iov->iov_base, message->msg_len),
        truncated, known ? &sender : NULL);
}

/* How many datagrams there were; 0 when there is none (or when the socket says why not: that is taken note of
 * by asking). */
static size_t read_batch(struct datagram_reader *reader)
{
    const struct datagram_reader_config *config = &reader->config;

    reset_batch(reader);
    int count = recvmmsg(
        config->socket->fd, reader->messages, DATAGRAM_BATCH_COUNT, MSG_DONTWAIT | MSG_CMSG_CLOEXEC, NULL);
    if (count <= 0) {
        return 0;
    }
    config->handler->on_batch(config->user);
    for (int i = 0; i < count; i++) {
        hand_out(reader, &reader->messages[i]);
    }
    return (size_t)count;
}

static void read_batches(struct datagram_reader *reader, size_t batch_count_max)
{
    for (size_t i = 0; i < batch_count_max && !reader->closed; i++) {
        if (read_batch(reader) == 0) {
            return;
        }
    }
}

/* Level-triggered: what is left after a turn makes the loop call again. */
static void on_poll(uv_poll_t *poll, int status, int events)
{
    (void)status; /* an error of the socket is taken off it by reading */
    (void)events;
    read_batches(poll->data, DATAGRAM_BATCHES_PER_TURN);
}

int datagram_reader_new(const struct datagram_reader_config *config, struct datagram_reader **ret_reader)
{
    struct datagram_reader *reader = calloc(1, sizeof *reader);

    if (reader == NULL) {
        return WERR_NOMEM;
    }
    reader->config = *config;
    if (config->payload_bytes_max > DATAGRAM_PAYLOAD_BYTES_MAX) {
        reader->config.payload_bytes_max = DATAGRAM_PAYLOAD_BYTES_MAX;
    }
    reader->payloads = malloc(DATAGRAM_BATCH_COUNT * reader->config.payload_bytes_max);
    if (reader->payloads == NULL) {
        free(reader);
        return WERR_NOMEM;
    }
    init_batch(reader);
    if (uv_poll_init(config->loop, &reader->poll, config->socket->fd) != 0) {
        datagram_reader_free(reader);
        return WERR_IO;
    }
    reader->poll.data = reader;
    (void)uv_poll_start(&reader->poll, UV_READABLE, on_poll);
    metric_set(config->cells, config->buffer, config->socket->buffer_bytes);
    *ret_reader = reader;
    return 0;
}

void datagram_reader_close(struct datagram_reader *reader)
{
    if (reader != NULL && !reader->closed) {
        reader->closed = true;
        (void)uv_poll_stop(&reader->poll);
        uv_close((uv_handle_t *)&reader->poll, NULL);
    }
}

void datagram_reader_drain(struct datagram_reader *reader)
{
    if (reader != NULL && !reader->closed) {
        read_batches(reader, DATAGRAM_DRAIN_BATCHES_COUNT);
        datagram_reader_close(reader);
    }
}

void datagram_reader_free(struct datagram_reader *reader)
{
    if (reader != NULL) {
        free(reader->payloads);
        free(reader);
    }
}
