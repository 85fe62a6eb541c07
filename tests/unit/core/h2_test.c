/* HTTP/2 sessions against each other, and a server session against hand-made frames. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/error.h"
#include "core/h2.h"

enum { FRAME_HEADER_BYTES = 9, OUT_BYTES = 1 << 20 };

/* What one side saw. */
struct side {
    struct h2_session h2;
    bool is_server;
    bool answer_at_headers;
    bool consume;
    size_t begun_count;
    size_t closed_count;
    size_t ended_count;
    size_t header_count;
    size_t body_bytes;
    uint64_t body_sum;
    bool trailers_seen;
    char status[8];
    char grpc_status[8];
    uint32_t last_error_code;
    size_t goaway_count;
    size_t ping_ack_count;
    struct h2_stream *last;
};

static const struct h2_header response_headers[] = {H2_LITERAL(":status", "200"), H2_LITERAL("x", "y")};
static const struct h2_header response_trailers[] = {H2_LITERAL("grpc-status", "0")};
static const struct slice response_body = {.ptr = (const uint8_t *)"hello", .length = 5};

static void respond(struct side *side, struct h2_stream *stream)
{
    assert_int_equal(
        h2_submit_response(&side->h2, stream, response_headers, 2, &response_body, 1, response_trailers, 1),
        0);
}

static int on_begin(void *user, struct h2_stream *stream)
{
    struct side *side = user;
    side->begun_count++;
    side->last = stream;
    assert_int_equal(((uint8_t *)h2_stream_user(stream))[15], 0);
    memset(h2_stream_user(stream), 0xff, 16);
    return 0;
}

static int on_header(void *user, struct h2_stream *stream, struct slice name, struct slice value)
{
    (void)stream;
    struct side *side = user;
    side->header_count++;
    if (slice_equal(name, SLICE_LITERAL(":status"))) {
        memcpy(side->status, value.ptr, value.length < 7 ? value.length : 7);
    } else if (slice_equal(name, SLICE_LITERAL("grpc-status"))) {
        memcpy(side->grpc_status, value.ptr, value.length < 7 ? value.length : 7);
    }
    return 0;
}

static int on_headers_end(void *user, struct h2_stream *stream, bool trailers)
{
    struct side *side = user;
    side->trailers_seen |= trailers;
    if (side->is_server && side->answer_at_headers) {
        respond(side, stream);
    }
    return 0;
}

static int on_data(void *user, struct h2_stream *stream, struct slice data)
{
    struct side *side = user;
    side->body_bytes += data.length;
    for (size_t i = 0; i < data.length; i++) {
        side->body_sum += data.ptr[i];
    }
    if (side->consume) {
        assert_int_equal(h2_stream_consume(&side->h2, stream, data.length), 0);
    }
    return 0;
}

static int on_end(void *user, struct h2_stream *stream)
{
    struct side *side = user;
    side->ended_count++;
    if (side->is_server && !side->answer_at_headers) {
        respond(side, stream);
    }
    return 0;
}

static void on_close(void *user, struct h2_stream *stream, uint32_t error_code)
{
    (void)stream;
    struct side *side = user;
    side->closed_count++;
    side->last_error_code = error_code;
}

static void on_goaway(void *user, int32_t last_stream_id, uint32_t error_code)
{
    (void)last_stream_id;
    (void)error_code;
    ((struct side *)user)->goaway_count++;
}

static void on_ping_ack(void *user)
{
    ((struct side *)user)->ping_ack_count++;
}

static const struct h2_callbacks callbacks = {
    .on_begin = on_begin,
    .on_header = on_header,
    .on_headers_end = on_headers_end,
    .on_data = on_data,
    .on_end = on_end,
    .on_close = on_close,
    .on_goaway = on_goaway,
    .on_ping_ack = on_ping_ack,
};

static void side_init(struct side *side, bool is_server)
{
    *side = (struct side){.is_server = is_server, .consume = true};
    assert_int_equal(h2_session_init(&side->h2, &(struct h2_config){.role = is_server ? H2_SERVER : H2_CLIENT,
                                                    .stream_user_bytes = 16,
                                                    .callbacks = &callbacks,
                                                    .user = side}),
        0);
}

/* Everything that `from` has to say, in pieces of chunk_bytes. Returns the bytes carried. */
static size_t carry(struct side *from, struct side *to, size_t chunk_bytes)
{
    static uint8_t out[65536];
    size_t total = 0;

    for (;;) {
        long bytes = h2_session_send(&from->h2, out, chunk_bytes < sizeof out ? chunk_bytes : sizeof out);
        assert_true(bytes >= 0);
        if (bytes == 0) {
            return total;
        }
        total += (size_t)bytes;
        assert_int_equal(h2_session_receive(&to->h2, slice_of(out, (size_t)bytes), 1), 0);
    }
}

static void exchange(struct side *a, struct side *b, size_t chunk_bytes)
{
    while (carry(a, b, chunk_bytes) + carry(b, a, chunk_bytes) > 0) {
    }
}

static const struct h2_header request_headers[] = {
    H2_LITERAL(":method", "POST"),
    H2_LITERAL(":scheme", "http"),
    H2_LITERAL(":path", "/a"),
    H2_LITERAL(":authority", "x"),
};

static struct h2_stream *request(struct side *client, struct slice body)
{
    struct h2_stream *stream = NULL;
    assert_int_equal(
        h2_submit_request(&client->h2, request_headers, 4, &body, body.length > 0 ? 1 : 0, &stream), 0);
    assert_non_null(stream);
    return stream;
}

static void request_and_response_pass_at_any_split(void **state)
{
    (void)state;
    for (size_t chunk_bytes = 1; chunk_bytes < 400; chunk_bytes += chunk_bytes < 40 ? 1 : 90) {
        struct side client;
        struct side server;
        side_init(&client, false);
        side_init(&server, true);
        (void)request(&client, SLICE_LITERAL("abc"));
        exchange(&client, &server, chunk_bytes);
        assert_int_equal(server.body_bytes, 3);
        assert_int_equal(server.body_sum, 'a' + 'b' + 'c');
        assert_int_equal(server.header_count, 4);
        assert_int_equal(server.ended_count, 1);
        assert_int_equal(server.closed_count, 1);
        assert_string_equal(client.status, "200");
        assert_string_equal(client.grpc_status, "0");
        assert_true(client.trailers_seen);
        assert_int_equal(client.body_bytes, 5);
        assert_int_equal(client.closed_count, 1);
        assert_int_equal(client.last_error_code, NGHTTP2_NO_ERROR);
        assert_int_equal(server.h2.resets_unanswered_count, 0);
        h2_session_deinit(&client.h2);
        h2_session_deinit(&server.h2);
    }
}

static void a_stream_that_is_not_consumed_stops_alone(void **state)
{
    (void)state;
    struct side client;
    struct side server;
    size_t body_bytes = 3u << 20;
    uint8_t *body = calloc(1, body_bytes);
    assert_non_null(body);
    side_init(&client, false);
    side_init(&server, true);
    server.consume = false;
    (void)request(&client, slice_of(body, body_bytes));
    exchange(&client, &server, 65536);
    assert_int_equal(server.body_bytes, H2_STREAM_WINDOW_BYTES);
    struct h2_stream *stalled = server.last;

    for (int i = 0; i < 40; i++) { /* more than the connection's window in all */
        (void)request(&client, slice_of(body, 1u << 20));
        exchange(&client, &server, 65536);
    }
    assert_int_equal(server.ended_count, 40);
    assert_int_equal(client.closed_count, 40);

    server.consume = true;
    assert_int_equal(h2_stream_consume(&server.h2, stalled, H2_STREAM_WINDOW_BYTES), 0);
    exchange(&client, &server, 65536);
    assert_int_equal(server.ended_count, 41);
    assert_int_equal(server.body_bytes, body_bytes + (40u << 20));
    h2_session_deinit(&client.h2);
    h2_session_deinit(&server.h2);
    free(body);
}

static void drain_finishes_open_streams_and_refuses_new_ones(void **state)
{
    (void)state;
    struct side client;
    struct side server;
    side_init(&client, false);
    side_init(&server, true);
    (void)request(&client, SLICE_LITERAL("abc"));
    (void)carry(&client, &server, 65536); /* requested, not answered yet on the wire */
    h2_session_drain(&server.h2);
    server.consume = false;
    static uint8_t body[2 * H2_STREAM_WINDOW_BYTES]; /* under way while the server says so, and long */
    (void)request(&client, slice_of(body, sizeof body));
    exchange(&client, &server, 65536);
    assert_int_equal(client.closed_count, 1);
    assert_int_equal(client.goaway_count, 2); /* the PING's answer brought the second */
    assert_false(h2_session_finished(&server.h2));
    server.consume = true;
    assert_int_equal(h2_stream_consume(&server.h2, server.last, H2_STREAM_WINDOW_BYTES), 0);
    exchange(&server, &client, 65536);
    assert_int_equal(client.closed_count, 2);
    assert_int_equal(client.last_error_code, NGHTTP2_NO_ERROR);
    assert_string_equal(client.grpc_status, "0");
    struct h2_stream *stream;
    assert_int_equal(h2_submit_request(&client.h2, request_headers, 4, NULL, 0, &stream), WERR_CLOSED);
    assert_true(h2_session_finished(&server.h2));
    assert_int_equal(server.h2.failure, 0);
    h2_session_deinit(&client.h2);
    h2_session_deinit(&server.h2);
}

static void an_idle_client_is_drained_by_a_second_call(void **state)
{
    (void)state;
    struct side client;
    struct side server;
    side_init(&client, false);
    side_init(&server, true);
    exchange(&client, &server, 65536);
    h2_session_drain(&server.h2);
    exchange(&server, &client, 65536);
    assert_int_equal(client.goaway_count, 1);
    assert_false(h2_session_finished(&server.h2));
    h2_session_drain(&server.h2);
    exchange(&server, &client, 65536);
    assert_true(h2_session_finished(&server.h2));
    h2_session_deinit(&client.h2);
    h2_session_deinit(&server.h2);
}

static void deinit_closes_what_is_open(void **state)
{
    (void)state;
    struct side client;
    side_init(&client, false);
    (void)request(&client, SLICE_LITERAL("abc"));
    (void)request(&client, SLICE_LITERAL("abc"));
    h2_session_deinit(&client.h2);
    assert_int_equal(client.closed_count, 2);
    assert_int_equal(client.last_error_code, NGHTTP2_CANCEL);
    h2_session_deinit(&client.h2);
    h2_session_deinit(NULL);
}

static void a_request_that_waits_inside_is_closed_by_goaway(void **state)
{
    (void)state;
    struct side client;
    struct side server;
    side_init(&client, false);
    side_init(&server, true);
    exchange(&client, &server, 65536);
    (void)request(&client, SLICE_LITERAL("abc"));
    h2_session_drain(&server.h2);
    (void)carry(&server, &client, 65536);
    (void)carry(&client, &server, 65536);
    assert_int_equal(client.closed_count, 1);
    assert_int_equal(client.last_error_code, NGHTTP2_REFUSED_STREAM);
    assert_int_equal(client.h2.open_count, 0);
    h2_session_deinit(&client.h2);
    h2_session_deinit(&server.h2);
}

static void ping_is_answered(void **state)
{
    (void)state;
    struct side client;
    struct side server;
    side_init(&client, false);
    side_init(&server, true);
    assert_int_equal(h2_session_ping(&client.h2), 0);
    exchange(&client, &server, 65536);
    assert_int_equal(client.ping_ack_count, 1);
    h2_session_deinit(&client.h2);
    h2_session_deinit(&server.h2);
}

/* Hand-made frames. */
struct wire {
    uint8_t bytes[OUT_BYTES];
    size_t length;
};

static struct wire wire;

static void put(const void *bytes, size_t length)
{
    assert_true(wire.length + length <= sizeof wire.bytes);
    memcpy(wire.bytes + wire.length, bytes, length);
    wire.length += length;
}

static void put_frame(uint8_t type, uint8_t flags, uint32_t id, const void *payload, size_t length)
{
    uint8_t header[FRAME_HEADER_BYTES] = {(uint8_t)(length >> 16), (uint8_t)(length >> 8), (uint8_t)length,
        type, flags, (uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id};
    put(header, sizeof header);
    if (length > 0) {
        put(payload, length);
    }
}

/* POST http /, authority "a": static table entries and one literal (RFC 7541). */
static const uint8_t request_block[] = {0x83, 0x86, 0x84, 0x01, 0x01, 'a'};

static void put_request(uint32_t id, uint8_t flags)
{
    put_frame(NGHTTP2_HEADERS, (uint8_t)(flags | NGHTTP2_FLAG_END_HEADERS), id, request_block,
        sizeof request_block);
}

static void put_reset(uint32_t id)
{
    static const uint8_t cancel[4] = {0, 0, 0, NGHTTP2_CANCEL};
    put_frame(NGHTTP2_RST_STREAM, 0, id, cancel, sizeof cancel);
}

static int feed_wire(struct side *server, uint64_t now_ns)
{
    int result = h2_session_receive(&server->h2, slice_of(wire.bytes, wire.length), now_ns);
    wire.length = 0;
    return result;
}

/* Throws away what the server says; notes the error code of a GOAWAY. */
static uint32_t read_goaway(struct side *server)
{
    static uint8_t out[OUT_BYTES];
    uint32_t code = UINT32_MAX;
    size_t filled = 0;

    for (;;) {
        long bytes = h2_session_send(&server->h2, out + filled, sizeof out - filled);
        assert_true(bytes >= 0);
        if (bytes == 0) {
            break;
        }
        filled += (size_t)bytes;
    }
    for (size_t at = 0; at + FRAME_HEADER_BYTES <= filled;) {
        size_t length = (size_t)out[at] << 16 | (size_t)out[at + 1] << 8 | out[at + 2];
        if (out[at + 3] == NGHTTP2_GOAWAY) {
            code = out[at + 9 + 7]; /* low byte of the error code */
        }
        at += FRAME_HEADER_BYTES + length;
    }
    return code;
}

static void server_init(struct side *server)
{
    side_init(server, true);
    wire.length = 0;
    put(H2_CLIENT_MAGIC, H2_CLIENT_MAGIC_BYTES);
    put_frame(NGHTTP2_SETTINGS, 0, 0, NULL, 0);
    assert_int_equal(feed_wire(server, 1), 0);
    assert_int_equal(read_goaway(server), UINT32_MAX);
}

static void expect_flood(struct side *server, enum h2_flood flood)
{
    assert_int_equal(server->h2.failure, WERR_PROTOCOL);
    assert_int_equal(server->h2.flood, flood);
    assert_int_equal(read_goaway(server), NGHTTP2_ENHANCE_YOUR_CALM);
    assert_true(h2_session_finished(&server->h2));
    put_request(1999999, 0);
    assert_int_equal(feed_wire(server, 2), WERR_PROTOCOL);
    h2_session_deinit(&server->h2);
    assert_int_equal(server->begun_count, server->closed_count);
}

static void ten_thousand_answered_then_reset_streams_live(void **state)
{
    (void)state;
    struct side server;
    server_init(&server);
    server.answer_at_headers = true;
    for (uint32_t i = 0; i < 10000; i++) {
        put_request(2 * i + 1, 0); /* the request's own end never comes */
        assert_int_equal(feed_wire(&server, 1), 0);
        assert_int_equal(read_goaway(&server), UINT32_MAX);
        put_reset(2 * i + 1);
        assert_int_equal(feed_wire(&server, 1), 0);
    }
    assert_int_equal(server.closed_count, 10000);
    assert_int_equal(server.h2.resets_unanswered_count, 0);
    assert_int_equal(read_goaway(&server), UINT32_MAX);
    h2_session_deinit(&server.h2);
}

static void two_thousand_rapid_resets_die(void **state)
{
    (void)state;
    struct side server;
    server_init(&server);
    server.answer_at_headers = true; /* submitted, but reset before it could be sent */
    for (uint32_t i = 0; i < 1999; i++) {
        put_request(2 * i + 1, 0);
        put_reset(2 * i + 1);
        assert_int_equal(feed_wire(&server, 1), 0);
        assert_int_equal(read_goaway(&server), UINT32_MAX);
    }
    put_request(2 * 1999 + 1, 0);
    put_reset(2 * 1999 + 1);
    assert_int_equal(feed_wire(&server, 1), WERR_PROTOCOL);
    expect_flood(&server, H2_FLOOD_RESETS);
}

static void slow_resets_live(void **state)
{
    (void)state;
    struct side server;
    server_init(&server);
    for (uint32_t i = 0; i < 4000; i++) {
        put_request(2 * i + 1, 0);
        put_reset(2 * i + 1);
        assert_int_equal(feed_wire(&server, 1 + i / 1000 * H2_FLOOD_WINDOW_NS), 0);
    }
    assert_int_equal(read_goaway(&server), UINT32_MAX);
    h2_session_deinit(&server.h2);
}

/* A peer can also make us reset: by windows that overflow. */
static void resets_that_the_peer_provokes_count(void **state)
{
    (void)state;
    static const uint8_t overflow[4] = {0x7f, 0xff, 0xff, 0xff};
    struct side server;
    server_init(&server);
    uint32_t i = 0;
    for (; i < 3000 && server.h2.failure == 0; i++) {
        put_request(2 * i + 1, 0);
        put_frame(NGHTTP2_WINDOW_UPDATE, 0, 2 * i + 1, overflow, sizeof overflow);
        put_frame(NGHTTP2_WINDOW_UPDATE, 0, 2 * i + 1, overflow, sizeof overflow);
        if (feed_wire(&server, 1) == 0) {
            (void)read_goaway(&server);
        }
    }
    assert_int_equal(i, 2000);
    assert_int_equal(server.h2.flood, H2_FLOOD_RESETS);
    h2_session_deinit(&server.h2);
}

static void continuation_limit(void **state)
{
    (void)state;
    for (unsigned continuation_count = 8; continuation_count <= 9; continuation_count++) {
        struct side server;
        server_init(&server);
        put_frame(NGHTTP2_HEADERS, 0, 1, request_block, sizeof request_block);
        for (unsigned i = 0; i < continuation_count; i++) {
            put_frame(
                NGHTTP2_CONTINUATION, i + 1 == continuation_count ? NGHTTP2_FLAG_END_HEADERS : 0, 1, NULL, 0);
        }
        if (continuation_count == 8) {
            assert_int_equal(feed_wire(&server, 1), 0);
            assert_int_equal(server.header_count, 4);
            h2_session_deinit(&server.h2);
        } else {
            assert_int_equal(feed_wire(&server, 1), WERR_PROTOCOL);
            expect_flood(&server, H2_FLOOD_QUEUE);
        }
    }
}

static void settings_limit(void **state)
{
    (void)state;
    uint8_t entries[33 * 6];
    for (size_t i = 0; i < sizeof entries; i += 6) {
        memcpy(entries + i, (uint8_t[]){0, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0, 0, 0xff, 0xff}, 6);
    }
    struct side server;
    server_init(&server);
    put_frame(NGHTTP2_SETTINGS, 0, 0, entries, 32 * 6);
    assert_int_equal(feed_wire(&server, 1), 0);
    assert_int_equal(read_goaway(&server), UINT32_MAX);
    put_frame(NGHTTP2_SETTINGS, 0, 0, entries, 33 * 6);
    (void)feed_wire(&server, 1);
    assert_int_equal(read_goaway(&server), NGHTTP2_ENHANCE_YOUR_CALM);
    assert_int_equal(server.h2.failure, WERR_PROTOCOL);
    assert_true(h2_session_finished(&server.h2));
    h2_session_deinit(&server.h2);
}

/* One frame again and again, its answers read or not, until the session ends. Returns how many it took. */
static unsigned flood_with(
    struct side *server, uint8_t type, uint32_t id, const void *payload, size_t length, bool read)
{
    unsigned count = 0;
    for (; count < 30000 && server->h2.failure == 0; count++) {
        put_frame(type, 0, id, payload, length);
        if (feed_wire(server, 1) == 0 && read) {
            (void)read_goaway(server);
        }
    }
    return count;
}

static void floods_of_frames_without_content_die(void **state)
{
    (void)state;
    static const uint8_t ping[8];
    static const uint8_t one[4] = {0, 0, 0, 1};
    struct side server;

    server_init(&server);
    assert_in_range(flood_with(&server, NGHTTP2_PING, 0, ping, 8, true), 9000, 10001);
    expect_flood(&server, H2_FLOOD_EMPTY);

    server_init(&server);
    assert_in_range(flood_with(&server, NGHTTP2_PING, 0, ping, 8, false), 900, 1100);
    expect_flood(&server, H2_FLOOD_QUEUE);

    server_init(&server);
    assert_in_range(flood_with(&server, NGHTTP2_SETTINGS, 0, NULL, 0, true), 9000, 10001);
    expect_flood(&server, H2_FLOOD_EMPTY);

    server_init(&server);
    assert_in_range(flood_with(&server, NGHTTP2_WINDOW_UPDATE, 0, one, 4, true), 9000, 10001);
    expect_flood(&server, H2_FLOOD_EMPTY);

    server_init(&server);
    put_request(1, 0);
    assert_int_equal(feed_wire(&server, 1), 0);
    assert_in_range(flood_with(&server, NGHTTP2_DATA, 1, NULL, 0, true), 9000, 10010);
    expect_flood(&server, H2_FLOOD_EMPTY);
}

/* As clients do that probe the bandwidth: a PING and a WINDOW_UPDATE for each request. */
static void frames_that_go_with_requests_live(void **state)
{
    (void)state;
    static const uint8_t ping[8];
    static const uint8_t five[4] = {0, 0, 0, 5}; /* the answer's body */
    struct side server;
    server_init(&server);
    for (uint32_t i = 0; i < 20000; i++) {
        put_request(2 * i + 1, NGHTTP2_FLAG_END_STREAM);
        put_frame(NGHTTP2_PING, 0, 0, ping, 8);
        put_frame(NGHTTP2_WINDOW_UPDATE, 0, 0, five, 4);
        assert_int_equal(feed_wire(&server, 1), 0);
        (void)read_goaway(&server);
    }
    assert_int_equal(server.h2.failure, 0);
    assert_int_equal(server.ended_count, 20000);
    h2_session_deinit(&server.h2);
}

static void a_header_list_over_its_limit_ends_the_stream_only(void **state)
{
    (void)state;
    struct side client;
    struct side server;
    static uint8_t value[5000];
    struct h2_header headers[8];
    memset(value, 'v', sizeof value);
    memcpy(headers, request_headers, sizeof request_headers);
    for (size_t i = 4; i < 8; i++) {
        headers[i] = (struct h2_header){.name = SLICE_LITERAL("n"), .value = slice_of(value, sizeof value)};
    }
    side_init(&client, false);
    side_init(&server, true);
    struct h2_stream *stream;
    assert_int_equal(h2_submit_request(&client.h2, headers, 8, NULL, 0, &stream), 0);
    exchange(&client, &server, 65536);
    assert_int_equal(client.closed_count, 1);
    assert_int_not_equal(client.last_error_code, NGHTTP2_NO_ERROR);
    assert_int_equal(server.ended_count, 0);
    assert_int_equal(h2_submit_request(&client.h2, headers, 7, NULL, 0, &stream), 0);
    exchange(&client, &server, 65536);
    assert_int_equal(client.closed_count, 2);
    assert_string_equal(client.status, "200");
    h2_session_deinit(&client.h2);
    h2_session_deinit(&server.h2);
}

static void an_informational_response_is_skipped(void **state)
{
    (void)state;
    static const uint8_t early_hints[] = {0x08, 0x03, '1', '0', '3'}; /* :status as a literal */
    static const uint8_t ok[] = {0x88};
    struct side client;
    side_init(&client, false);
    (void)request(&client, (struct slice){0});
    uint8_t out[4096];
    assert_true(h2_session_send(&client.h2, out, sizeof out) > 0);
    wire.length = 0;
    put_frame(NGHTTP2_SETTINGS, 0, 0, NULL, 0);
    put_frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, early_hints, sizeof early_hints);
    assert_int_equal(feed_wire(&client, 1), 0);
    assert_int_equal(client.header_count, 0);
    put_frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1, ok, sizeof ok);
    assert_int_equal(feed_wire(&client, 1), 0);
    assert_string_equal(client.status, "200");
    assert_false(client.trailers_seen);
    assert_int_equal(client.ended_count, 1);
    assert_int_equal(client.closed_count, 1);
    h2_session_deinit(&client.h2);
}

/* Padding, and DATA that comes too late for its stream, are given back too, or the connection would dry up.
 */
static void bytes_that_nobody_sees_are_given_back(void **state)
{
    (void)state;
    static uint8_t payload[16384];
    struct side server;
    server_init(&server);
    put_request(1, 0);
    payload[0] = 255; /* of 256 bytes only the padding's length is not padding */
    for (size_t i = 0; i < 2 * H2_CONNECTION_WINDOW_BYTES / 256; i++) {
        put_frame(NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, 1, payload, 256);
        if (i % 1000 == 0) {
            put_request(1 + 2 * ((uint32_t)i / 1000 + 1), NGHTTP2_FLAG_END_STREAM);
            server.h2.empty_frame_count = 0; /* another test's subject */
            assert_int_equal(feed_wire(&server, 1), 0);
            assert_int_equal(read_goaway(&server), UINT32_MAX);
        }
    }
    wire.length = 0;
    put_request(100001, 0);
    put_reset(100001);
    for (size_t i = 0; i < 2 * H2_CONNECTION_WINDOW_BYTES / sizeof payload; i++) {
        put_frame(NGHTTP2_DATA, 0, 100001, payload, sizeof payload);
        assert_int_equal(feed_wire(&server, 1), 0);
        assert_int_equal(read_goaway(&server), UINT32_MAX);
    }
    assert_int_equal(server.h2.failure, 0);
    h2_session_deinit(&server.h2);
}

static void garbage_ends_the_session(void **state)
{
    (void)state;
    struct side server;
    side_init(&server, true);
    assert_int_equal(
        h2_session_receive(&server.h2, SLICE_LITERAL("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 1), WERR_PROTOCOL);
    h2_session_deinit(&server.h2);

    server_init(&server);
    put_frame(NGHTTP2_DATA, 0, 0, "abc", 3); /* DATA on stream 0 */
    (void)feed_wire(&server, 1);
    assert_int_equal(read_goaway(&server), NGHTTP2_PROTOCOL_ERROR);
    assert_int_equal(server.h2.failure, WERR_PROTOCOL);
    assert_int_equal(server.h2.flood, H2_FLOOD_NONE);
    assert_true(h2_session_finished(&server.h2));
    h2_session_deinit(&server.h2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_and_response_pass_at_any_split),
        cmocka_unit_test(a_stream_that_is_not_consumed_stops_alone),
        cmocka_unit_test(drain_finishes_open_streams_and_refuses_new_ones),
        cmocka_unit_test(an_idle_client_is_drained_by_a_second_call),
        cmocka_unit_test(deinit_closes_what_is_open),
        cmocka_unit_test(a_request_that_waits_inside_is_closed_by_goaway),
        cmocka_unit_test(ping_is_answered),
        cmocka_unit_test(ten_thousand_answered_then_reset_streams_live),
        cmocka_unit_test(two_thousand_rapid_resets_die),
        cmocka_unit_test(slow_resets_live),
        cmocka_unit_test(resets_that_the_peer_provokes_count),
        cmocka_unit_test(continuation_limit),
        cmocka_unit_test(settings_limit),
        cmocka_unit_test(floods_of_frames_without_content_die),
        cmocka_unit_test(frames_that_go_with_requests_live),
        cmocka_unit_test(a_header_list_over_its_limit_ends_the_stream_only),
        cmocka_unit_test(an_informational_response_is_skipped),
        cmocka_unit_test(bytes_that_nobody_sees_are_given_back),
        cmocka_unit_test(garbage_ends_the_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
