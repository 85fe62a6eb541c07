/*
 * A good client's bytes, damaged at random (the same random every time): the server must stay in its memory,
 * in its budget, and count every call once. To be run under sanitizers.
 */
#include "grpc_peer.h"

enum { ROUND_COUNT = 3000, RECORD_BYTES_MAX = 1 << 18, MESSAGE_BYTES = 40000 };

static uint8_t record[RECORD_BYTES_MAX];
static size_t record_bytes;
static uint32_t random_state = 1;

static uint32_t next_random(uint32_t below)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % below;
}

/* What the client says when the server only acknowledges. */
static void make_record(void)
{
    static uint8_t body[MESSAGE_BYTES];
    static const uint8_t messages[] = "\0\0\0\0\3abc\0\0\0\0\0\0\0\0\0\2de";
    static struct host host;
    struct peer peer;

    host_init(&host, 1 << 20, 1 << 20);
    peer_init(&peer, host_connect(&host));
    for (int i = 0; i < 4; i++) {
        (void)peer_message(&peer, NULL, NULL, SLICE_LITERAL("hello"));
        (void)peer_message(&peer, NULL, "gzip", SLICE_LITERAL("not gzip"));
        (void)peer_message(&peer, NULL, NULL, slice_of(body, i == 1 ? sizeof body : 9));
        (void)peer_send(&peer,
            &(struct peer_request){.path = "/t/Stream", .first = slice_of(messages, sizeof messages - 1)});
    }
    for (;;) {
        long bytes = h2_session_send(&peer.h2, record + record_bytes, sizeof record - record_bytes);
        assert_true(bytes >= 0);
        if (bytes == 0) {
            break;
        }
        record_bytes += (size_t)bytes;
    }
    assert_true(record_bytes > MESSAGE_BYTES);
    peer_deinit(&peer);
    host_deinit(&host);
}

static void damage(uint8_t *bytes, size_t length)
{
    for (uint32_t i = next_random(4); i > 0; i--) {
        size_t at = next_random(2) == 0 ? next_random((uint32_t)length) : next_random(600);
        bytes[at] = (uint8_t)next_random(256);
    }
}

/* Returns false when the server ended the session. */
static bool feed_in_pieces(struct grpc_connection *connection, const uint8_t *bytes, size_t length)
{
    static uint8_t out[65536];
    size_t at = 0;
    int result = 0;

    while (at < length && result == 0) {
        size_t piece = 1 + next_random(next_random(4) == 0 ? 40 : 20000);
        piece = piece < length - at ? piece : length - at;
        uint8_t *exact = malloc(piece);
        assert_non_null(exact);
        memcpy(exact, bytes + at, piece);
        result = grpc_connection_receive(connection, slice_of(exact, piece), at);
        free(exact);
        grpc_server_run(connection->server, at);
        while (h2_session_send(&connection->h2, out, sizeof out) > 0) {
        }
        at += piece;
    }
    return result == 0 && connection->h2.failure == 0;
}

static void damaged_bytes_do_no_harm(void **state)
{
    (void)state;
    static uint8_t bytes[RECORD_BYTES_MAX];
    static struct host host;
    size_t survived_count = 0;
    size_t accepted_count = 0;

    make_record();
    for (int round = 0; round < ROUND_COUNT; round++) {
        host_init(&host, round % 2 == 0 ? 1 << 20 : 30000, round % 3 == 0 ? 1 << 20 : 0);
        struct grpc_connection *connection = host_connect(&host);
        size_t length = next_random(3) == 0 ? 1 + next_random((uint32_t)record_bytes) : record_bytes;
        memcpy(bytes, record, length);
        if (round > 0) {
            damage(bytes, length);
        }
        survived_count += feed_in_pieces(connection, bytes, length);
        accepted_count += host_count(&host, METRIC_MESSAGES_ACCEPTED_OTLP_GRPC);
        assert_int_equal(host_count(&host, METRIC_MESSAGES_ACCEPTED_OTLP_GRPC), host.message_count);
        host_deinit(&host); /* checks budgets and queues */
    }
    assert_true(survived_count > ROUND_COUNT / 10);
    assert_true(survived_count < ROUND_COUNT);
    assert_true(accepted_count > ROUND_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(damaged_bytes_do_no_harm)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
