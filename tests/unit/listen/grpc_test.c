/* Calls, answers and errors of the gRPC server. Memory and waiting are in grpc_memory_test.c. */
#include "grpc_peer.h"

#include <zlib.h>
#include <zstd.h>

enum { ASSEMBLY_BYTES = 128 << 20 };

static struct host host;
static struct peer peer;

static int set_up(void **state)
{
    (void)state;
    host_init(&host, ASSEMBLY_BYTES, ASSEMBLY_BYTES);
    peer_init(&peer, host_connect(&host));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    peer_deinit(&peer);
    host_deinit(&host);
    return 0;
}

static void expect_ok(const struct peer_call *call)
{
    static const uint8_t empty[5];
    assert_true(call->closed);
    assert_int_equal(call->error_code, NGHTTP2_NO_ERROR);
    assert_string_equal(call->http_status, "200");
    assert_string_equal(call->grpc_status, "0");
    assert_true(call->trailers);
    assert_int_equal(call->body_bytes, sizeof empty);
    assert_memory_equal(call->body, empty, sizeof empty);
    assert_string_equal(call->accept_encoding, "identity,gzip,zstd");
}

static void expect_error(const struct peer_call *call, const char *grpc_status)
{
    assert_true(call->closed);
    assert_int_equal(call->error_code, NGHTTP2_NO_ERROR);
    assert_string_equal(call->http_status, "200");
    assert_string_equal(call->grpc_status, grpc_status);
    assert_int_equal(call->body_bytes, 0);
}

static void a_unary_call_is_answered_with_message_and_trailers(void **state)
{
    (void)state;
    struct peer_call *call = peer_message(&peer, NULL, NULL, SLICE_LITERAL("hello"));
    peer_exchange(&peer, 65536, 1);
    expect_ok(call);
    assert_int_equal(host.message_count, 1);
    assert_int_equal(host.message_bytes, 5);
    assert_int_equal(host.message_sum, 'h' + 'e' + 'l' + 'l' + 'o');
    assert_int_equal(host.closed_count, 1);
    assert_int_equal(host_count(&host, METRIC_MESSAGES_ACCEPTED_OTLP_GRPC), 1);
    assert_int_equal(host_count(&host, METRIC_MESSAGES_CUT), 0);
}

static void an_empty_message_is_a_message(void **state)
{
    (void)state;
    struct peer_call *call = peer_message(&peer, NULL, NULL, (struct slice){0});
    peer_exchange(&peer, 65536, 1);
    expect_ok(call);
    assert_int_equal(host.message_count, 1);
}

static void messages_pass_at_any_split(void **state)
{
    (void)state;
    static const uint8_t three[] = "\0\0\0\0\3abc\0\0\0\0\0\0\0\0\0\2de";
    for (size_t capacity = 1; capacity <= 120; capacity++) {
        host.message_count = 0;
        host.message_sum = 0;
        struct peer_call *stream = peer_send(
            &peer, &(struct peer_request){.path = "/t/Stream", .first = slice_of(three, sizeof three - 1)});
        struct peer_call *unary = peer_message(&peer, NULL, NULL, SLICE_LITERAL("hello world"));
        peer_exchange(&peer, capacity, 1);
        expect_ok(stream);
        expect_ok(unary);
        assert_int_equal(host.message_count, 4);
        uint64_t sum = 'a' + 'b' + 'c' + 'd' + 'e';
        for (const char *at = "hello world"; *at != '\0'; at++) {
            sum += (uint8_t)*at;
        }
        assert_int_equal(host.message_sum, sum);
    }
    assert_int_equal(host_count(&host, METRIC_MESSAGES_ACCEPTED_OTLP_GRPC), 480);
}

static void a_reply_and_a_status_come_from_the_handler(void **state)
{
    (void)state;
    host.answer_set = true;
    host.answer = (struct grpc_answer){.reply_bytes = 3, .reply = "xyz"};
    struct peer_call *call = peer_message(&peer, NULL, NULL, SLICE_LITERAL("a"));
    peer_exchange(&peer, 65536, 1);
    assert_string_equal(call->grpc_status, "0");
    assert_int_equal(call->body_bytes, 8);
    assert_memory_equal(call->body, "\0\0\0\0\3xyz", 8);

    host.answer = (struct grpc_answer){.code = GRPC_PERMISSION_DENIED, .text = "50% \xc3\xa9\n"};
    call = peer_message(&peer, NULL, NULL, SLICE_LITERAL("a"));
    peer_exchange(&peer, 65536, 1);
    expect_error(call, "7");
    assert_string_equal(call->message, "50%25 %C3%A9%0A");
    assert_string_equal(call->details, "");
}

static void what_handlers_return_becomes_a_status_and_a_count(void **state)
{
    (void)state;
    static const struct {
        int result;
        const char *status;
        enum metric_id counted;
        bool retry;
    } rows[] = {
        {WERR_INVALID, "3", METRIC_MESSAGES_REFUSED_MALFORMED, false},
        {WERR_WIRE_TYPE, "3", METRIC_MESSAGES_REFUSED_MALFORMED, false},
        {WERR_NOMEM, "14", METRIC_MESSAGES_REFUSED_MEMORY, true},
        {WERR_FULL, "14", METRIC_MESSAGES_REFUSED_MEMORY, true},
        {WERR_CLOSED, "14", METRIC_MESSAGES_REFUSED_DRAINING, true},
        {WERR_OVERSIZED, "8", METRIC_MESSAGES_REFUSED_OVERSIZED, false},
        {WERR_UNSUPPORTED, "12", METRIC_MESSAGES_REFUSED_MALFORMED, false},
        {WERR_PERMISSION, "7", METRIC_MESSAGES_REFUSED_MALFORMED, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t before = host_count(&host, rows[i].counted);
        host.result = rows[i].result;
        struct peer_call *call = peer_message(&peer, NULL, NULL, SLICE_LITERAL("a"));
        peer_exchange(&peer, 65536, 1);
        expect_error(call, rows[i].status);
        assert_int_equal(host_count(&host, rows[i].counted), before + 1);
        assert_int_equal(call->details[0] != '\0', rows[i].retry);
        assert_string_not_equal(call->message, "");
    }
    assert_int_equal(host_count(&host, METRIC_MESSAGES_ACCEPTED_OTLP_GRPC), 0);
}

/* The bytes, decoded by hand: Status{14, "draining", [Any{RetryInfo{1.5 s}}]}. */
static void retry_info_is_a_google_rpc_status(void **state)
{
    (void)state;
    host.limits.retry_after_ms = 1500;
    grpc_server_drain(&host.server);
    struct peer_call *call = peer_message(&peer, NULL, NULL, SLICE_LITERAL("a"));
    peer_exchange(&peer, 65536, 1);
    expect_error(call, "14");
    assert_string_equal(call->message, "draining");
    assert_int_equal(host_count(&host, METRIC_MESSAGES_REFUSED_DRAINING), 1);
    assert_int_equal(host.message_count, 0);

    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t bytes[256];
    size_t count = 0;
    uint32_t bits = 0;
    unsigned bit_count = 0;
    for (const char *at = call->details; *at != '\0'; at++) {
        const char *digit = strchr(digits, *at);
        assert_non_null(digit);
        bits = bits << 6 | (uint32_t)(digit - digits);
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            bytes[count++] = (uint8_t)(bits >> bit_count);
        }
    }
    static const uint8_t head[] = "\x08\x0e\x12\x08"
                                  "draining\x1a";
    static const uint8_t any[] =
        "\x0a\x28type.googleapis.com/google.rpc.RetryInfo\x12\x0a\x0a\x08\x08\x01\x10";
    assert_true(count > sizeof head + sizeof any);
    assert_memory_equal(bytes, head, sizeof head - 1);
    assert_int_equal(bytes[sizeof head - 1], count - sizeof head); /* length of Any: the rest */
    assert_memory_equal(bytes + sizeof head, any, sizeof any - 1);
    static const uint8_t half_second[] = {0x80, 0xca, 0xb5, 0xee, 0x01}; /* 500,000,000 */
    assert_int_equal(count, sizeof head + sizeof any - 1 + sizeof half_second);
    assert_memory_equal(bytes + sizeof head + sizeof any - 1, half_second, sizeof half_second);
}

static void what_is_not_ours_is_refused(void **state)
{
    (void)state;
    static const uint8_t message[] = "\0\0\0\0\1a";
    struct slice body = slice_of(message, 6);
    struct peer_call *unknown = peer_send(&peer, &(struct peer_request){.path = "/t/Nope", .first = body});
    struct peer_call *json =
        peer_send(&peer, &(struct peer_request){.content_type = "application/json", .first = body});
    struct peer_call *web =
        peer_send(&peer, &(struct peer_request){.content_type = "application/grpc-web", .first = body});
    struct peer_call *get = peer_send(&peer, &(struct peer_request){.method = "GET"});
    struct peer_call *snappy = peer_send(&peer, &(struct peer_request){.encoding = "snappy", .first = body});
    struct peer_call *proto =
        peer_send(&peer, &(struct peer_request){.content_type = "application/grpc+proto", .first = body});
    peer_exchange(&peer, 65536, 1);
    expect_error(unknown, "12");
    assert_string_equal(json->http_status, "415");
    assert_string_equal(web->http_status, "415");
    assert_string_equal(get->http_status, "405");
    expect_error(snappy, "12");
    assert_string_equal(snappy->accept_encoding, "identity,gzip,zstd");
    expect_ok(proto);
    assert_int_equal(host_count(&host, METRIC_MESSAGES_REFUSED_UNKNOWN), 4);
    assert_int_equal(host_count(&host, METRIC_MESSAGES_REFUSED_COMPRESSION), 1);
    assert_int_equal(host.message_count, 1);
}

static void bad_framing_is_refused(void **state)
{
    (void)state;
    struct peer_call *none = peer_send(&peer, &(struct peer_request){.path = NULL});
    struct peer_call *cut = peer_send(&peer, &(struct peer_request){.first = slice_of("\0\0\0\0\5abc", 8)});
    struct peer_call *half_prefix = peer_send(&peer, &(struct peer_request){.first = slice_of("\0\0", 2)});
    struct peer_call *flag = peer_send(&peer, &(struct peer_request){.first = slice_of("\7\0\0\0\1a", 6)});
    struct peer_call *unencoded =
        peer_send(&peer, &(struct peer_request){.first = slice_of("\1\0\0\0\1a", 6)});
    struct peer_call *stream_cut = peer_send(
        &peer, &(struct peer_request){.path = "/t/Stream", .first = slice_of("\0\0\0\0\1a\0\0", 8)});
    struct peer_call *stream_empty = peer_send(&peer, &(struct peer_request){.path = "/t/Stream"});
    peer_exchange(&peer, 65536, 1);
    expect_error(none, "3");
    expect_error(cut, "3");
    expect_error(half_prefix, "3");
    expect_error(flag, "3");
    expect_error(unencoded, "13");
    expect_error(stream_cut, "3");
    expect_ok(stream_empty);
    assert_int_equal(host_count(&host, METRIC_MESSAGES_REFUSED_MALFORMED), 5);
    assert_int_equal(host_count(&host, METRIC_MESSAGES_REFUSED_COMPRESSION), 1);
    assert_int_equal(host_count(&host, METRIC_MESSAGES_CUT), 0);
}

static void a_message_over_the_limit_is_skipped(void **state)
{
    (void)state;
    size_t bytes = 5u << 20;
    uint8_t *big = calloc(1, bytes);
    assert_non_null(big);
    host.limits.message_bytes_max = bytes - 1;
    struct peer_call *call = peer_message(&peer, NULL, NULL, slice_of(big, bytes));
    peer_exchange(&peer, 65536, 1);
    expect_error(call, "8");
    assert_string_equal(call->details, "");
    assert_int_equal(host_count(&host, METRIC_MESSAGES_REFUSED_OVERSIZED), 1);
    assert_int_equal(atomic_load(&host.assembly.used_bytes), 0);

    call = peer_message(&peer, NULL, NULL, slice_of(big, bytes - 1));
    peer_exchange(&peer, 65536, 1);
    expect_ok(call);
    assert_int_equal(host.message_bytes, bytes - 1);
    free(big);
}

/* A call that the client never ends: each message is handled as it comes. */
static void a_stream_without_end_is_handled_message_by_message(void **state)
{
    (void)state;
    static const uint8_t messages[] = "\0\0\0\0\3abc\0\0\0\0\2de\0\0\0\0\2f";
    struct peer_call *call = peer_send(
        &peer, &(struct peer_request){.path = "/t/Stream", .first = slice_of(messages, sizeof messages - 1)});
    static uint8_t out[65536];
    long bytes = h2_session_send(&peer.h2, out, sizeof out);
    assert_true(bytes > 0);
    out[bytes - (long)sizeof messages + 1 - 9 + 4] &=
        (uint8_t)~NGHTTP2_FLAG_END_STREAM; /* of the DATA frame */
    assert_int_equal(grpc_connection_receive(peer.server, slice_of(out, (size_t)bytes), 1), 0);
    assert_int_equal(host.message_count, 2);
    assert_int_equal(host.message_bytes, 5);
    assert_false(call->closed);
    assert_int_equal(host.closed_count, 0);
    assert_int_equal(host_count(&host, METRIC_MESSAGES_ACCEPTED_OTLP_GRPC), 2);

    grpc_connection_deinit(peer.server); /* the connection breaks in the third */
    assert_int_equal(host.closed_count, 1);
    assert_int_equal(host_count(&host, METRIC_MESSAGES_CUT), 1);
}

static void a_bad_message_ends_a_stream(void **state)
{
    (void)state;
    static const uint8_t messages[] = "\0\0\0\0\3abc\0\0\0\0\2de";
    host.result = WERR_INVALID;
    struct peer_call *call = peer_send(
        &peer, &(struct peer_request){.path = "/t/Stream", .first = slice_of(messages, sizeof messages - 1)});
    peer_exchange(&peer, 65536, 1);
    expect_error(call, "3");
    assert_int_equal(host.message_count, 1);
}

static void a_broken_connection_counts_what_it_cut(void **state)
{
    (void)state;
    static uint8_t body[100000];
    (void)peer_message(&peer, NULL, NULL, slice_of(body, sizeof body));
    static uint8_t out[65536];
    long bytes = h2_session_send(&peer.h2, out, 50000);
    assert_int_equal(bytes, 50000);
    assert_int_equal(grpc_connection_receive(peer.server, slice_of(out, 50000), 1), 0);
    assert_int_equal(atomic_load(&host.assembly.used_bytes), sizeof body);
    grpc_connection_deinit(peer.server);
    assert_int_equal(host_count(&host, METRIC_MESSAGES_CUT), 1);
    assert_int_equal(atomic_load(&host.assembly.used_bytes), 0);
    assert_int_equal(host.message_count, 0);
}

static size_t gzip(const uint8_t *data, size_t bytes, uint8_t *out, size_t capacity)
{
    z_stream z = {.zalloc = NULL};
    assert_int_equal(deflateInit2(&z, 1, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    uint8_t *copy = malloc(bytes);
    assert_non_null(copy);
    memcpy(copy, data, bytes);
    z.next_in = copy;
    z.avail_in = (uInt)bytes;
    z.next_out = out;
    z.avail_out = (uInt)capacity;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t length = z.total_out;
    deflateEnd(&z);
    free(copy);
    return length;
}

static void compressed_messages_are_inflated(void **state)
{
    (void)state;
    enum { PLAIN_BYTES = 3 << 20 };
    uint8_t *plain = malloc(PLAIN_BYTES);
    uint8_t *packed = malloc(PLAIN_BYTES);
    assert_non_null(plain);
    assert_non_null(packed);
    for (size_t i = 0; i < PLAIN_BYTES; i++) {
        plain[i] = (uint8_t)(i * i >> 7);
    }
    size_t length = gzip(plain, PLAIN_BYTES, packed, PLAIN_BYTES);
    struct peer_call *call = peer_message(&peer, NULL, "gzip", slice_of(packed, length));
    peer_exchange(&peer, 65536, 1);
    expect_ok(call);
    assert_int_equal(host.message_bytes, PLAIN_BYTES);
    uint64_t sum = 0;
    for (size_t i = 0; i < PLAIN_BYTES; i += 4099) {
        sum += plain[i];
    }
    assert_int_equal(host.message_sum, sum);
    assert_int_equal(atomic_load(&host.assembly.used_bytes), 0);

    length = ZSTD_compress(packed, PLAIN_BYTES, "hello", 5, 1);
    host.message_bytes = 0;
    call = peer_message(&peer, NULL, "zstd", slice_of(packed, length));
    peer_exchange(&peer, 1, 1);
    expect_ok(call);
    assert_int_equal(host.message_bytes, 5);

    length = gzip((const uint8_t *)"hello", 5, packed, PLAIN_BYTES);
    packed[length / 2] ^= 0xff;
    call = peer_message(&peer, NULL, "gzip", slice_of(packed, length));
    peer_exchange(&peer, 65536, 1);
    expect_error(call, "3");
    assert_int_equal(host_count(&host, METRIC_MESSAGES_REFUSED_COMPRESSION), 1);
    free(plain);
    free(packed);
}

static void a_bomb_ends_at_the_cap(void **state)
{
    (void)state;
    enum { BOMB_BYTES = 32 << 20 };
    uint8_t *zeros = calloc(1, BOMB_BYTES);
    uint8_t *packed = malloc(BOMB_BYTES / 100);
    assert_non_null(zeros);
    assert_non_null(packed);
    host.limits.message_bytes_max = BOMB_BYTES / 4;
    size_t length = gzip(zeros, BOMB_BYTES, packed, BOMB_BYTES / 100);
    struct peer_call *call = peer_message(&peer, NULL, "gzip", slice_of(packed, length));
    peer_exchange(&peer, 65536, 1);
    expect_error(call, "8");
    assert_int_equal(host_count(&host, METRIC_MESSAGES_REFUSED_OVERSIZED), 1);
    assert_int_equal(atomic_load(&host.assembly.used_bytes), 0);
    assert_int_equal(host.server.scratch_bytes, GRPC_SCRATCH_BYTES);

    length = gzip(zeros, BOMB_BYTES / 4, packed, BOMB_BYTES / 100); /* exactly the limit is no bomb */
    call = peer_message(&peer, NULL, "gzip", slice_of(packed, length));
    peer_exchange(&peer, 65536, 1);
    expect_ok(call);
    free(zeros);
    free(packed);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_unary_call_is_answered_with_message_and_trailers),
        TEST(an_empty_message_is_a_message),
        TEST(messages_pass_at_any_split),
        TEST(a_reply_and_a_status_come_from_the_handler),
        TEST(what_handlers_return_becomes_a_status_and_a_count),
        TEST(retry_info_is_a_google_rpc_status),
        TEST(what_is_not_ours_is_refused),
        TEST(bad_framing_is_refused),
        TEST(a_message_over_the_limit_is_skipped),
        TEST(a_stream_without_end_is_handled_message_by_message),
        TEST(a_bad_message_ends_a_stream),
        TEST(a_broken_connection_counts_what_it_cut),
        TEST(compressed_messages_are_inflated),
        TEST(a_bomb_ends_at_the_cap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
