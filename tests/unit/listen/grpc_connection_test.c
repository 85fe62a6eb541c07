/* gRPC connections on real sockets; loop and client take turns on one thread. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "grpc_peer.h"
#include "listen/h2_connection.h"

struct fixture {
    struct host host; /* only its budgets, limits and counters: the server is the endpoint's */
    uv_loop_t loop;
    struct h2_endpoint endpoint;
    struct h2_connection *connection;
    int client_fd;
    int close_count;
    enum h2_close_reason reason;
    uint8_t out[65536]; /* what the client has yet to send */
    size_t left;
    size_t at;
};

static struct fixture fixture;

static void on_connection_closed(void *user, enum h2_close_reason reason)
{
    (void)user;
    fixture.close_count++;
    fixture.reason = reason;
}

static int set_up(void **state)
{
    (void)state;
    memset(&fixture, 0, sizeof fixture);
    host_init(&fixture.host, 8 << 20, 64 << 20);
    grpc_server_deinit(&fixture.host.server);
    assert_int_equal(uv_loop_init(&fixture.loop), 0);
    assert_int_equal(h2_endpoint_init(&fixture.endpoint, &(struct h2_endpoint_config){.loop = &fixture.loop,
                                                             .clock = clock_system(),
                                                             .grpc = {.methods = host_methods,
                                                                 .method_count = 2,
                                                                 .user = &fixture.host,
                                                                 .limits = &fixture.host.limits,
                                                                 .assembly = &fixture.host.assembly,
                                                                 .waiting = &fixture.host.waiting,
                                                                 .cells = fixture.host.cells}}),
        0);
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(h2_connection_new(&fixture.endpoint, fds[0], (struct slice){0}, &fixture,
                         on_connection_closed, &fixture.connection),
        0);
    fixture.client_fd = fds[1];
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    h2_endpoint_close(&fixture.endpoint);
    assert_int_equal(uv_run(&fixture.loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(fixture.close_count, 1);
    assert_int_equal(fixture.endpoint.connection_count, 0);
    assert_int_equal(uv_loop_close(&fixture.loop), 0);
    assert_int_equal(atomic_load(&fixture.host.assembly.used_bytes), 0);
    assert_int_equal(atomic_load(&fixture.host.waiting.used_bytes), 0);
    h2_endpoint_deinit(&fixture.endpoint);
    metric_registry_deinit(&fixture.host.registry);
    (void)close(fixture.client_fd);
    return 0;
}

/* One turn of both: the loop without waiting, the client without blocking. False when the server has closed.
 */
static bool turn(struct peer *peer)
{
    (void)uv_run(&fixture.loop, UV_RUN_NOWAIT);
    for (;;) {
        if (fixture.left == 0) {
            long bytes = h2_session_send(&peer->h2, fixture.out, sizeof fixture.out);
            assert_true(bytes >= 0);
            fixture.left = (size_t)bytes;
            fixture.at = 0;
        }
        if (fixture.left == 0) {
            break;
        }
        ssize_t sent =
            send(fixture.client_fd, fixture.out + fixture.at, fixture.left, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent <= 0) {
            fixture.left = sent < 0 && errno == EPIPE ? 0 : fixture.left;
            break;
        }
        fixture.at += (size_t)sent;
        fixture.left -= (size_t)sent;
    }
    uint8_t in[4096];
    ssize_t got = recv(fixture.client_fd, in, sizeof in, MSG_DONTWAIT);
    if (got > 0) {
        (void)h2_session_receive(&peer->h2, slice_of(in, (size_t)got), 1);
    }
    return got != 0;
}

static void until_closed(struct peer *peer, const struct peer_call *call)
{
    for (int i = 0; i < 2000000 && !call->closed; i++) {
        assert_true(turn(peer));
    }
    assert_true(call->closed);
}

static void calls_are_answered_and_a_hangup_is_noticed(void **state)
{
    (void)state;
    struct peer peer;
    peer_init(&peer, NULL);
    uint8_t *body = calloc(1, 7 << 20);
    assert_non_null(body);
    struct peer_call *small = peer_message(&peer, NULL, NULL, SLICE_LITERAL("hello"));
    struct peer_call *large = peer_message(&peer, NULL, NULL, slice_of(body, 7 << 20));
    until_closed(&peer, small);
    until_closed(&peer, large);
    assert_string_equal(small->grpc_status, "0");
    assert_string_equal(large->grpc_status, "0");
    assert_int_equal(fixture.host.message_bytes, 5 + (7 << 20));
    assert_true(host_count(&fixture.host, METRIC_RECEIVED_BYTES) > (7 << 20));

    (void)peer_message(&peer, NULL, NULL, slice_of(body, 7 << 20)); /* cut in the middle */
    for (int i = 0; i < 5; i++) {
        (void)turn(&peer);
    }
    assert_true(grpc_server_busy(&fixture.endpoint.server));
    assert_true(fixture.endpoint.timer_active);
    assert_int_equal(shutdown(fixture.client_fd, SHUT_RDWR), 0);
    for (int i = 0; i < 1000 && fixture.close_count == 0; i++) {
        (void)uv_run(&fixture.loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(fixture.close_count, 1);
    assert_int_equal(fixture.reason, H2_CLOSE_PEER);
    assert_int_equal(host_count(&fixture.host, METRIC_MESSAGES_CUT), 1);
    peer_deinit(&peer);
    free(body);
}

/* Answers pile up; the server stops reading instead of keeping them, and goes on when the peer reads. */
static void a_peer_that_does_not_read_is_not_read(void **state)
{
    (void)state;
    enum { COUNT = 3000 };
    struct peer peer;
    peer_init(&peer, NULL);
    int small = 4608;
    assert_int_equal(setsockopt(fixture.client_fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    size_t sent_count = 0;
    fixture.host.answer_set = true; /* answers much larger than requests */
    fixture.host.answer = (struct grpc_answer){.reply_bytes = GRPC_REPLY_BYTES_MAX};
    static uint8_t out[65536];
    bool writing = false;
    while (sent_count < COUNT && !writing) {
        (void)peer_message(&peer, NULL, NULL, SLICE_LITERAL("hello"));
        sent_count++;
        long bytes = h2_session_send(&peer.h2, out, sizeof out);
        size_t at = 0;
        for (int tries = 0; at < (size_t)bytes && tries < 100; tries++) {
            ssize_t sent = send(fixture.client_fd, out + at, (size_t)bytes - at, MSG_DONTWAIT | MSG_NOSIGNAL);
            at += sent > 0 ? (size_t)sent : 0;
            (void)uv_run(&fixture.loop, UV_RUN_NOWAIT);
        }
        writing = fixture.host.message_count < sent_count && at == (size_t)bytes;
        assert_int_equal(at, bytes);
    }
    assert_int_equal(fixture.close_count, 0);
    for (size_t i = 0; i < peer.call_count; i++) {
        until_closed(&peer, &peer.calls[i]);
        assert_string_equal(peer.calls[i].grpc_status, "0");
        assert_int_equal(peer.calls[i].body_bytes, GRPC_PREFIX_BYTES + GRPC_REPLY_BYTES_MAX);
    }
    assert_int_equal(fixture.host.message_count, sent_count);
    peer_deinit(&peer);
}

static void drain_answers_what_is_open_then_closes(void **state)
{
    (void)state;
    struct peer peer;
    peer_init(&peer, NULL);
    uint8_t *body = calloc(1, 2 << 20);
    assert_non_null(body);
    struct peer_call *open = peer_message(&peer, NULL, NULL, slice_of(body, 2 << 20));
    for (int i = 0; i < 3; i++) {
        (void)turn(&peer);
    }
    assert_int_equal(fixture.endpoint.server.assembling.count, 1);
    h2_endpoint_drain(&fixture.endpoint);
    until_closed(&peer, open);
    assert_string_equal(open->grpc_status, "0");
    for (int i = 0; i < 1000 && fixture.close_count == 0; i++) {
        (void)turn(&peer);
    }
    assert_int_equal(fixture.close_count, 1);
    assert_int_equal(fixture.reason, H2_CLOSE_DRAINED);
    peer_deinit(&peer);
    free(body);
}

/* It may still send while it has not heard; after that only its hanging up, or a short wait, ends the
 * connection. */
static void drain_refuses_what_is_under_way_and_ends_idle_connections(void **state)
{
    (void)state;
    struct peer peer;
    peer_init(&peer, NULL);
    h2_endpoint_drain(&fixture.endpoint);
    struct peer_call *late = peer_message(&peer, NULL, NULL, SLICE_LITERAL("hello"));
    until_closed(&peer, late);
    assert_string_equal(late->grpc_status, "14");
    assert_int_equal(host_count(&fixture.host, METRIC_MESSAGES_REFUSED_DRAINING), 1);
    while (fixture.close_count == 0) {
        (void)uv_run(&fixture.loop, UV_RUN_ONCE); /* the timer turns it */
    }
    assert_int_equal(fixture.reason, H2_CLOSE_DRAINED);
    peer_deinit(&peer);
}

static void raw(const void *bytes, size_t length)
{
    assert_int_equal(send(fixture.client_fd, bytes, length, MSG_NOSIGNAL), (ssize_t)length);
    for (int i = 0; i < 100 && fixture.close_count == 0; i++) {
        (void)uv_run(&fixture.loop, UV_RUN_NOWAIT);
    }
}

static void protocol_errors_are_closed_and_counted(void **state)
{
    (void)state;
    raw("GET / HTTP/1.1\r\n\r\n        ", 26);
    assert_int_equal(fixture.close_count, 1);
    assert_int_equal(fixture.reason, H2_CLOSE_PROTOCOL);
    assert_int_equal(host_count(&fixture.host, METRIC_CONNECTIONS_PROTOCOL), 1);
}

static void floods_are_closed_and_counted(void **state)
{
    (void)state;
    static uint8_t resets[24 + 9 + 2000 * (9 + 6 + 13)];
    size_t at = 0;
    memcpy(resets, H2_CLIENT_MAGIC "\0\0\0\4\0\0\0\0", 33);
    at = 33;
    for (uint32_t i = 0; i < 2000; i++) {
        uint32_t id = 2 * i + 1;
        uint8_t frames[28] = {0, 0, 6, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 0, 0, (uint8_t)(id >> 8),
            (uint8_t)id, 0x83, 0x86, 0x84, 0x01, 0x01, 'a', 0, 0, 4, NGHTTP2_RST_STREAM, 0, 0, 0,
            (uint8_t)(id >> 8), (uint8_t)id, 0, 0, 0, NGHTTP2_CANCEL};
        memcpy(resets + at, frames, sizeof frames);
        at += sizeof frames;
    }
    raw(resets, at - 28);
    assert_int_equal(fixture.close_count, 0);
    raw(resets + at - 28, 28);
    assert_int_equal(fixture.close_count, 1);
    assert_int_equal(fixture.reason, H2_CLOSE_FLOOD);
    assert_int_equal(host_count(&fixture.host, METRIC_CONNECTIONS_FLOOD), 1);
}

static void memory_that_comes_back_elsewhere_is_noticed(void **state)
{
    (void)state;
    struct peer peer;
    peer_init(&peer, NULL);
    uint8_t *body = calloc(1, 6 << 20);
    assert_non_null(body);
    assert_true(budget_reserve(&fixture.host.assembly, 4 << 20));
    struct peer_call *call = peer_message(&peer, NULL, NULL, slice_of(body, 6 << 20));
    for (int i = 0; i < 50; i++) {
        (void)turn(&peer);
    }
    assert_int_equal(fixture.endpoint.server.waiting.count, 1);
    assert_true(fixture.endpoint.timer_active);
    budget_release(&fixture.host.assembly, 4 << 20); /* nobody tells: the timer finds it */
    until_closed(&peer, call);
    assert_string_equal(call->grpc_status, "0");
    for (int i = 0; i < 100 && fixture.endpoint.timer_active; i++) {
        (void)uv_run(&fixture.loop, UV_RUN_ONCE);
    }
    assert_false(fixture.endpoint.timer_active);
    peer_deinit(&peer);
    free(body);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(calls_are_answered_and_a_hangup_is_noticed),
        TEST(a_peer_that_does_not_read_is_not_read),
        TEST(drain_answers_what_is_open_then_closes),
        TEST(drain_refuses_what_is_under_way_and_ends_idle_connections),
        TEST(protocol_errors_are_closed_and_counted),
        TEST(floods_are_closed_and_counted),
        TEST(memory_that_comes_back_elsewhere_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
