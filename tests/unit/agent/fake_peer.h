/*
 * Another agent, as the test plays it: an HTTP server on loopback that answers questions about traces as it
 * is told, and keeps the notices that it was sent.
 */
#ifndef WEFT_TESTS_AGENT_FAKE_PEER_H
#define WEFT_TESTS_AGENT_FAKE_PEER_H

#include "daemon_rig.h"

enum { PEER_TEXT_BYTES = 65536, PEER_CONNECTIONS_MAX = 16 };

/* One peer: answers by the path that it is asked, one connection at a time, and keeps what it was sent. */
struct fake_peer {
    int fd;
    uint16_t port;
    uv_thread_t thread;
    _Atomic bool stopping;
    _Atomic unsigned keeps_count;
    _Atomic unsigned failures; /* notices that are still to be refused */
    bool is_silent;
    const char *spans;   /* answer to ids */
    const char *matches; /* answer to a search */
    unsigned status;
    char last_keep[PEER_TEXT_BYTES]; /* head and body of the last notice that was taken */
    char last_search[4096];
};

static inline void peer_reply(int fd, unsigned status, const char *body)
{
    char head[256];
    int length = snprintf(head, sizeof head,
        "HTTP/1.1 %u X\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n", status,
        strlen(body));

    send_all(fd, head, (size_t)length);
    send_all(fd, body, strlen(body));
}

static inline void peer_answer(struct fake_peer *peer, int fd, const char *request)
{
    if (strncmp(request, "POST /api/v1/keep ", 18) == 0) {
        if (atomic_load(&peer->failures) > 0) {
            atomic_fetch_sub(&peer->failures, 1);
            peer_reply(fd, 503, "");
            return;
        }
        (void)snprintf(peer->last_keep, sizeof peer->last_keep, "%s", request);
        peer_reply(fd, 200, "{\"accepted\":1}");
        atomic_fetch_add(&peer->keeps_count, 1);
    } else if (strstr(request, "ids=") != NULL) {
        peer_reply(fd, peer->status, peer->spans);
    } else if (strncmp(request, "GET /api/v1/traces?", 19) == 0) {
        (void)snprintf(
            peer->last_search, sizeof peer->last_search, "%.*s", (int)strcspn(request, "\r"), request);
        peer_reply(fd, peer->status, peer->matches);
    } else {
        peer_reply(fd, peer->status,
            strstr(request, "peers=no") != NULL
                ? "{\"data\":[\"of-peer\",{\"name\":\"op\",\"spanKind\":\"client\"}]}"
                : "{}");
    }
}

/* Whole requests of one connection, until it ends or the peer is stopped. */
static inline void peer_serve(struct fake_peer *peer, int fd)
{
    struct buffer bytes;
    char piece[4096];

    buffer_init(&bytes, PEER_TEXT_BYTES - 1);
    while (!atomic_load(&peer->stopping)) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        if (poll(&poll_fd, 1, 10) <= 0) {
            continue;
        }
        ssize_t length = recv(fd, piece, sizeof piece, 0);
        if (length <= 0 || buffer_append(&bytes, piece, (size_t)length) < 0 ||
            buffer_append_byte(&bytes, 0) < 0) {
            break;
        }
        bytes.length--;
        char *end = strstr((char *)bytes.data, "\r\n\r\n");
        const char *body = strcasestr((char *)bytes.data, "content-length:");
        size_t body_bytes = body != NULL ? strtoul(body + 15, NULL, 10) : 0;
        if (end != NULL && bytes.length >= (size_t)(end + 4 - (char *)bytes.data) + body_bytes &&
            !peer->is_silent) {
            peer_answer(peer, fd, (const char *)bytes.data);
            bytes.length = 0;
        }
    }
    buffer_deinit(&bytes);
}

/* Connections of questions and of notices at the same time. */
static inline void peer_connection(void *argument)
{
    void **pair = argument;
    int fd = (int)(intptr_t)pair[1];

    peer_serve(pair[0], fd);
    (void)close(fd);
    free(pair);
}

static inline void peer_run(void *argument)
{
    struct fake_peer *peer = argument;
    uv_thread_t threads[PEER_CONNECTIONS_MAX];
    size_t count = 0;

    while (!atomic_load(&peer->stopping)) {
        struct pollfd poll_fd = {.fd = peer->fd, .events = POLLIN};
        if (count < PEER_CONNECTIONS_MAX && poll(&poll_fd, 1, 10) > 0) {
            void **pair = calloc(2, sizeof *pair);
            assert_non_null(pair);
            pair[0] = peer;
            pair[1] = (void *)(intptr_t)accept4(peer->fd, NULL, NULL, SOCK_CLOEXEC);
            assert_int_equal(uv_thread_create(&threads[count++], peer_connection, pair), 0);
        }
    }
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(uv_thread_join(&threads[i]), 0);
    }
}

static inline void peer_start(struct fake_peer *peer)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;

    memset(peer, 0, sizeof *peer);
    peer->spans = "{}";
    peer->matches = "{}";
    peer->status = 200;
    peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(peer->fd >= 0);
    assert_int_equal(bind(peer->fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(peer->fd, 16), 0);
    assert_int_equal(getsockname(peer->fd, (struct sockaddr *)&address, &length), 0);
    peer->port = ntohs(address.sin_port);
    assert_int_equal(uv_thread_create(&peer->thread, peer_run, peer), 0);
}

static inline void peer_stop(struct fake_peer *peer)
{
    atomic_store(&peer->stopping, true);
    assert_int_equal(uv_thread_join(&peer->thread), 0);
    (void)close(peer->fd);
}

#endif
