/* The native connection fed byte by byte over a socket pair: framing, errors, limits, order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <zstd.h>

#include "core/buffer.h"
#include "core/error.h"
#include "proto/weft/v1/frame.h"
#include "unit/client/fake_agent.h"

enum { ANSWERS_MAX = 4096 };

#define CODE(name) WEFT__V1__ERROR_CODE__ERROR_CODE_##name

/* The other end of a connection, and what came from it. */
struct peer {
    struct fake_agent *agent;
    int fd;
    uint8_t input[262144];
    size_t input_bytes;
    bool ended;
    uint64_t last_ack;
    uint64_t credit_bytes;
    uint64_t rejected_spans;
    size_t ack_count;
    size_t error_count;
    int first_error;
    int last_error;
    uint64_t error_sequence;
    uint32_t retry_after_ms;
};

static void peer_open(struct peer *peer, struct fake_agent *agent)
{
    int fds[2];

    *peer = (struct peer){.agent = agent};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    fake_connect(agent, fds[1]);
    peer->fd = fds[0];
}

static void take_answer(struct peer *peer, struct native_header header, const uint8_t *payload)
{
    if (header.type == NATIVE_TYPE_ACK) {
        Weft__V1__Ack *ack = weft__v1__ack__unpack(NULL, header.payload_bytes, payload);
        assert_non_null(ack);
        peer->last_ack = ack->sequence;
        peer->credit_bytes = ack->credit_bytes;
        peer->rejected_spans += ack->rejected_spans;
        peer->ack_count++;
        weft__v1__ack__free_unpacked(ack, NULL);
    } else {
        assert_int_equal(header.type, NATIVE_TYPE_ERROR);
        Weft__V1__Error *error = weft__v1__error__unpack(NULL, header.payload_bytes, payload);
        assert_non_null(error);
        assert_true(error->message[0] != '\0');
        peer->first_error = peer->error_count++ == 0 ? (int)error->code : peer->first_error;
        peer->last_error = (int)error->code;
        peer->error_sequence = error->sequence;
        peer->retry_after_ms = error->retry_after_ms;
        weft__v1__error__free_unpacked(error, NULL);
    }
}

/* Lets the loop do all there is to do, and reads the answers. */
static void turn(struct peer *peer)
{
    for (int i = 0; i < 3; i++) {
        uv_run(&peer->agent->loop, UV_RUN_NOWAIT);
    }
    for (;;) {
        ssize_t count = recv(
            peer->fd, peer->input + peer->input_bytes, sizeof peer->input - peer->input_bytes, MSG_DONTWAIT);
        if (count <= 0) {
            peer->ended = peer->ended || count == 0 || errno == ECONNRESET;
            break;
        }
        peer->input_bytes += (size_t)count;
    }
    size_t at = 0;
    while (peer->input_bytes - at >= NATIVE_HEADER_BYTES) {
        struct native_header header = native_header_read(peer->input + at);
        if (peer->input_bytes - at - NATIVE_HEADER_BYTES < header.payload_bytes) {
            break;
        }
        take_answer(peer, header, peer->input + at + NATIVE_HEADER_BYTES);
        at += NATIVE_HEADER_BYTES + header.payload_bytes;
    }
    memmove(peer->input, peer->input + at, peer->input_bytes - at);
    peer->input_bytes -= at;
}

/* Sends all, turning the loop whenever the socket is full; less when the agent ends the connection. */
static void peer_send(struct peer *peer, const uint8_t *bytes, size_t length)
{
    for (int idle = 0; length > 0 && idle < 100 && !peer->ended;) {
        ssize_t sent = send(peer->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN) {
            break;
        }
        idle = sent > 0 ? 0 : idle + 1;
        bytes += sent > 0 ? sent : 0;
        length -= sent > 0 ? (size_t)sent : 0;
        turn(peer);
    }
    turn(peer);
}

static void peer_close(struct peer *peer)
{
    close(peer->fd);
    for (int i = 0; i < 3; i++) {
        uv_run(&peer->agent->loop, UV_RUN_NOWAIT);
    }
}

static void put_frame(struct buffer *out, uint8_t type, uint8_t flags, const void *payload, size_t length)
{
    uint8_t header[NATIVE_HEADER_BYTES];

    native_header_write(
        header, (struct native_header){.payload_bytes = (uint32_t)length, .type = type, .flags = flags});
    buffer_append(out, header, sizeof header);
    buffer_append(out, payload, length);
}

static void put_message(struct buffer *out, uint8_t type, const ProtobufCMessage *message)
{
    uint8_t packed[4096];

    assert_true(protobuf_c_message_get_packed_size(message) <= sizeof packed);
    put_frame(out, type, 0, packed, protobuf_c_message_pack(message, packed));
}

static void put_hello(struct buffer *out, uint8_t instance, uint64_t next_sequence)
{
    uint8_t id[NATIVE_INSTANCE_BYTES] = {instance};
    Weft__V1__Hello hello = WEFT__V1__HELLO__INIT;

    hello.version = NATIVE_VERSION;
    hello.instance_id = (ProtobufCBinaryData){.len = sizeof id, .data = id};
    hello.next_sequence = next_sequence;
    buffer_append(out, NATIVE_MAGIC, NATIVE_MAGIC_BYTES);
    put_message(out, NATIVE_TYPE_HELLO, &hello.base);
}

static size_t pack_spans(uint8_t *to, uint64_t sequence, uint32_t count)
{
    static uint8_t ids[16 * 64];
    static uint64_t durations[64];
    static int64_t offsets[64];
    Weft__V1__SpanBatch batch = WEFT__V1__SPAN_BATCH__INIT;

    batch.sequence = sequence;
    batch.span_count = count;
    batch.trace_ids = (ProtobufCBinaryData){.len = 16 * (size_t)count, .data = ids};
    batch.span_ids = (ProtobufCBinaryData){.len = 8 * (size_t)count, .data = ids};
    batch.n_start_offset_ns = count;
    batch.start_offset_ns = offsets;
    batch.n_duration_ns = count;
    batch.duration_ns = durations;
    return weft__v1__span_batch__pack(&batch, to);
}

static void put_spans(struct buffer *out, uint64_t sequence, uint32_t count)
{
    uint8_t packed[4096];

    put_frame(out, NATIVE_TYPE_SPANS, 0, packed, pack_spans(packed, sequence, count));
}

static void put_dictionary(struct buffer *out)
{
    ProtobufCBinaryData entry = {.len = 7, .data = (uint8_t *)"reviews"};
    Weft__V1__Dictionary dictionary = WEFT__V1__DICTIONARY__INIT;

    dictionary.first_id = 1;
    dictionary.n_entries = 1;
    dictionary.entries = &entry;
    put_message(out, NATIVE_TYPE_DICTIONARY, &dictionary.base);
}

/* Magic, Hello, a dictionary, two batches of two spans each. */
static void put_session(struct buffer *out, uint8_t instance)
{
    put_hello(out, instance, 1);
    put_dictionary(out);
    put_spans(out, 1, 2);
    put_spans(out, 2, 2);
}

struct fixture {
    struct fake_agent agent;
    struct peer peer;
    struct buffer bytes;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    fake_agent_init(&fixture->agent);
    buffer_init(&fixture->bytes, 67108864);
    peer_open(&fixture->peer, &fixture->agent);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    peer_close(&fixture->peer);
    assert_int_equal(atomic_load(&fixture->agent.assembly.used_bytes), 0);
    fake_agent_deinit(&fixture->agent);
    buffer_deinit(&fixture->bytes);
    free(fixture);
    return 0;
}

static void send_bytes(struct fixture *fixture)
{
    peer_send(&fixture->peer, fixture->bytes.data, fixture->bytes.length);
    fixture->bytes.length = 0;
}

static uint64_t metric(const struct fixture *fixture, enum metric_id id)
{
    return metric_get(&fixture->agent.cells, id);
}

static void test_session(void **state)
{
    struct fixture *fixture = *state;

    put_session(&fixture->bytes, 1);
    size_t length = fixture->bytes.length;
    send_bytes(fixture);
    assert_int_equal(fixture->agent.spans, 4);
    assert_int_equal(fixture->peer.last_ack, 2);
    assert_int_equal(fixture->peer.ack_count, 1); /* one answer for all of one read */
    assert_int_equal(fixture->peer.credit_bytes, fixture->agent.limits.native_credit_bytes);
    assert_int_equal(metric(fixture, METRIC_MESSAGES_ACCEPTED_NATIVE), 2);
    assert_int_equal(metric(fixture, METRIC_RECEIVED_BYTES), length);
    assert_false(fixture->peer.ended);
}

static void test_byte_by_byte(void **state)
{
    struct fixture *fixture = *state;

    put_session(&fixture->bytes, 1);
    for (size_t i = 0; i < fixture->bytes.length; i++) {
        peer_send(&fixture->peer, fixture->bytes.data + i, 1);
    }
    assert_int_equal(fixture->agent.spans, 4);
    assert_int_equal(fixture->peer.last_ack, 2);
    assert_int_equal(fixture->peer.ack_count, 3); /* Hello, and each batch */
    assert_int_equal(fixture->peer.error_count, 0);
    assert_int_equal(metric(fixture, METRIC_MESSAGES_CUT), 0);
}

/* Ends of connection at every byte: nothing but whole batches counts. */
static void test_cut_at_every_byte(void **state)
{
    struct fixture *fixture = *state;
    struct buffer *bytes = &fixture->bytes;

    put_session(bytes, 1);
    uint8_t packed[4096];
    size_t batch_bytes = NATIVE_HEADER_BYTES + pack_spans(packed, 2, 2);
    uint64_t expected = 0;
    for (size_t length = 0; length < bytes->length; length++) {
        struct peer peer;
        peer_open(&peer, &fixture->agent);
        bytes->data[NATIVE_MAGIC_BYTES + NATIVE_HEADER_BYTES + 4] =
            (uint8_t)(length + 1); /* another instance id */
        bytes->data[NATIVE_MAGIC_BYTES + NATIVE_HEADER_BYTES + 5] = (uint8_t)(length >> 8);
        peer_send(&peer, bytes->data, length);
        peer_close(&peer);
        expected += bytes->length - length <= batch_bytes ? 2 : 0;
        assert_int_equal(fixture->agent.spans, expected);
    }
    assert_true(metric(fixture, METRIC_MESSAGES_CUT) > bytes->length / 2);
}

/* One bit wrong at every place, in turn: the agent lives, the other connection does not notice, memory is
 * given back. */
static void test_damage_at_every_byte(void **state)
{
    struct fixture *fixture = *state;
    struct buffer *bytes = &fixture->bytes;
    struct buffer good = {0};
    uint64_t sequence = 1;

    buffer_init(&good, 1 << 20);
    put_hello(&good, 99, 1);
    peer_send(&fixture->peer, good.data, good.length);
    put_session(bytes, 1);
    for (size_t at = 0; at < bytes->length * 8; at++) {
        struct peer peer;
        peer_open(&peer, &fixture->agent);
        bytes->data[at / 8] ^= (uint8_t)(1 << at % 8);
        peer_send(&peer, bytes->data, bytes->length);
        bytes->data[at / 8] ^= (uint8_t)(1 << at % 8);
        peer_close(&peer);
        good.length = 0;
        put_spans(&good, sequence, 1);
        peer_send(&fixture->peer, good.data, good.length);
        assert_int_equal(fixture->peer.last_ack, sequence);
        sequence++;
    }
    assert_int_equal(fixture->peer.error_count, 0);
    assert_false(fixture->peer.ended);
    buffer_deinit(&good);
}

static void test_bad_magic(void **state)
{
    struct fixture *fixture = *state;

    peer_send(&fixture->peer, (const uint8_t *)"GET / HTTP/1.1\r\n", 16);
    assert_int_equal(fixture->peer.last_error, CODE(FRAME));
    assert_true(fixture->peer.ended);
    assert_int_equal(metric(fixture, METRIC_CONNECTIONS_PROTOCOL), 1);
}

static void test_hello_comes_first_and_once(void **state)
{
    struct fixture *fixture = *state;
    struct peer second;

    buffer_append(&fixture->bytes, NATIVE_MAGIC, NATIVE_MAGIC_BYTES);
    put_spans(&fixture->bytes, 1, 1);
    send_bytes(fixture);
    assert_int_equal(fixture->peer.last_error, CODE(FRAME));
    assert_true(fixture->peer.ended);
    assert_int_equal(fixture->agent.spans, 0);
    peer_open(&second, &fixture->agent);
    put_hello(&fixture->bytes, 1, 1);
    Weft__V1__Hello hello = WEFT__V1__HELLO__INIT;
    put_message(&fixture->bytes, NATIVE_TYPE_HELLO, &hello.base);
    peer_send(&second, fixture->bytes.data, fixture->bytes.length);
    assert_int_equal(second.ack_count, 1);
    assert_int_equal(second.last_error, CODE(FRAME));
    assert_true(second.ended);
    peer_close(&second);
}

static void test_bad_hello(void **state)
{
    struct fixture *fixture = *state;
    uint8_t id[NATIVE_INSTANCE_BYTES] = {1};
    struct peer second;

    for (int which = 0; which < 4; which++) {
        Weft__V1__Hello hello = WEFT__V1__HELLO__INIT;
        hello.version = which == 0 ? 2 : 1;
        hello.instance_id = (ProtobufCBinaryData){.len = which == 1 ? 15 : 16, .data = id};
        hello.next_sequence = which == 2 ? 0 : 1;
        fixture->bytes.length = 0;
        buffer_append(&fixture->bytes, NATIVE_MAGIC, NATIVE_MAGIC_BYTES);
        if (which == 3) {
            put_frame(&fixture->bytes, NATIVE_TYPE_HELLO, 0, "\xff\xff\xff", 3);
        } else {
            put_message(&fixture->bytes, NATIVE_TYPE_HELLO, &hello.base);
        }
        peer_open(&second, &fixture->agent);
        peer_send(&second, fixture->bytes.data, fixture->bytes.length);
        assert_int_equal(second.last_error, which == 0 ? CODE(VERSION) : CODE(MALFORMED));
        assert_true(second.ended);
        peer_close(&second);
    }
    assert_int_equal(fixture->agent.hellos, 0);
    fixture->bytes.length = 0;
}

/* protobuf-c keeps unknown fields: 16 MiB of them would become 700, before any limit of ours is asked. */
static void test_large_hello_ends(void **state)
{
    struct fixture *fixture = *state;
    struct buffer *bytes = &fixture->bytes;
    size_t payload_at = NATIVE_MAGIC_BYTES + NATIVE_HEADER_BYTES;

    for (int large = 0; large < 2; large++) {
        struct peer peer;
        peer_open(&peer, &fixture->agent);
        bytes->length = 0;
        put_hello(bytes, (uint8_t)(1 + large), 1);
        while (bytes->length + 2 - payload_at <= NATIVE_HELLO_BYTES_MAX) {
            buffer_append(bytes, "\x78\x01", 2); /* field 15, which there is not */
        }
        if (large != 0) {
            buffer_append(bytes, "\x78\x01", 2);
        }
        native_header_write(bytes->data + NATIVE_MAGIC_BYTES,
            (struct native_header){
                .payload_bytes = (uint32_t)(bytes->length - payload_at), .type = NATIVE_TYPE_HELLO});
        peer_send(&peer, bytes->data, bytes->length);
        assert_int_equal(peer.ended, large != 0);
        assert_int_equal(peer.last_error, large != 0 ? CODE(OVERSIZED) : 0);
        peer_close(&peer);
    }
    assert_int_equal(fixture->agent.hellos, 1);
    assert_int_equal(metric(fixture, METRIC_MESSAGES_REFUSED_OVERSIZED), 1);
}

static void test_unknown_type_is_skipped(void **state)
{
    struct fixture *fixture = *state;
    static const uint8_t zeros[300000];

    put_hello(&fixture->bytes, 1, 1);
    put_frame(&fixture->bytes, 7, 0, zeros, sizeof zeros); /* larger than one read */
    put_frame(&fixture->bytes, 77, 0x80, NULL, 0);
    put_spans(&fixture->bytes, 1, 1);
    send_bytes(fixture);
    assert_int_equal(metric(fixture, METRIC_MESSAGES_REFUSED_UNKNOWN), 2);
    assert_int_equal(fixture->peer.error_count, 0);
    assert_int_equal(fixture->peer.last_ack, 1);
}

static void test_malformed_payloads_go_on(void **state)
{
    struct fixture *fixture = *state;

    put_hello(&fixture->bytes, 1, 1);
    put_frame(&fixture->bytes, NATIVE_TYPE_SPANS, 0, "\x0a\xff", 2);
    put_frame(&fixture->bytes, NATIVE_TYPE_METRICS, 0, "\x08", 1);
    put_frame(&fixture->bytes, NATIVE_TYPE_DICTIONARY, 0, "\x12\x05", 2);
    put_frame(
        &fixture->bytes, NATIVE_TYPE_CLIENT_STATS, 0, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12);
    put_frame(&fixture->bytes, NATIVE_TYPE_SPANS, 4, NULL, 0);
    put_spans(&fixture->bytes, 1, 3);
    send_bytes(fixture);
    assert_int_equal(fixture->peer.error_count, 5);
    assert_int_equal(fixture->peer.first_error, CODE(MALFORMED));
    assert_int_equal(metric(fixture, METRIC_MESSAGES_REFUSED_MALFORMED), 5);
    assert_int_equal(fixture->peer.last_ack, 1);
    assert_int_equal(fixture->agent.spans, 3);
}

static void test_oversized_frame_ends(void **state)
{
    struct fixture *fixture = *state;
    uint8_t header[NATIVE_HEADER_BYTES];

    put_hello(&fixture->bytes, 1, 1);
    native_header_write(header, (struct native_header){.payload_bytes = 16777217, .type = NATIVE_TYPE_SPANS});
    buffer_append(&fixture->bytes, header, sizeof header);
    send_bytes(fixture);
    assert_int_equal(fixture->peer.last_error, CODE(OVERSIZED));
    assert_true(fixture->peer.ended);
    assert_int_equal(metric(fixture, METRIC_MESSAGES_REFUSED_OVERSIZED), 1);
    assert_int_equal(metric(fixture, METRIC_MESSAGES_CUT), 0);
}

/* A zstd frame of `length` zeros with that window, whose size is not told in it. Returns its bytes, in `to`.
 */
static size_t pack_zeros(uint8_t *to, size_t to_bytes, size_t length, int window_log)
{
    static const uint8_t zeros[65536];
    ZSTD_CCtx *context = ZSTD_createCCtx();
    ZSTD_outBuffer out = {.dst = to, .size = to_bytes};

    ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, window_log);
    while (length > 0) {
        ZSTD_inBuffer in = {.src = zeros, .size = length < sizeof zeros ? length : sizeof zeros};
        length -= in.size;
        ZSTD_EndDirective end = length > 0 ? ZSTD_e_continue : ZSTD_e_end;
        size_t left;
        do {
            left = ZSTD_compressStream2(context, &out, &in, end);
            assert_false(ZSTD_isError(left));
        } while (in.pos < in.size || (end == ZSTD_e_end && left != 0));
    }
    ZSTD_freeCCtx(context);
    return out.pos;
}

static void test_zstd_bomb_ends(void **state)
{
    struct fixture *fixture = *state;
    static uint8_t packed[65536];

    put_hello(&fixture->bytes, 1, 1);
    put_frame(&fixture->bytes, NATIVE_TYPE_SPANS, NATIVE_FLAG_ZSTD, packed,
        pack_zeros(packed, sizeof packed, 64 << 20, 20));
    send_bytes(fixture);
    assert_int_equal(fixture->peer.last_error, CODE(OVERSIZED));
    assert_true(fixture->peer.ended);
    assert_int_equal(metric(fixture, METRIC_MESSAGES_REFUSED_OVERSIZED), 1);
}

static void test_zstd_window_and_damage_go_on(void **state)
{
    struct fixture *fixture = *state;
    static uint8_t packed[65536];
    uint8_t batch[4096];

    put_hello(&fixture->bytes, 1, 1);
    put_frame(&fixture->bytes, NATIVE_TYPE_SPANS, NATIVE_FLAG_ZSTD, packed,
        pack_zeros(packed, sizeof packed, 1 << 20, 24));
    size_t packed_bytes = ZSTD_compress(packed, sizeof packed, batch, pack_spans(batch, 1, 20), 1);
    assert_false(ZSTD_isError(packed_bytes));
    put_frame(&fixture->bytes, NATIVE_TYPE_SPANS, NATIVE_FLAG_ZSTD, packed, packed_bytes - 3);
    put_frame(&fixture->bytes, NATIVE_TYPE_SPANS, NATIVE_FLAG_ZSTD, "not zstd", 8);
    put_frame(&fixture->bytes, NATIVE_TYPE_SPANS, NATIVE_FLAG_ZSTD, NULL, 0);
    put_frame(&fixture->bytes, NATIVE_TYPE_SPANS, NATIVE_FLAG_ZSTD, packed, packed_bytes);
    send_bytes(fixture);
    assert_int_equal(fixture->peer.error_count, 4);
    assert_int_equal(fixture->peer.first_error, CODE(COMPRESSION));
    assert_int_equal(fixture->peer.last_error, CODE(COMPRESSION));
    assert_int_equal(metric(fixture, METRIC_MESSAGES_REFUSED_COMPRESSION), 4);
    assert_int_equal(fixture->agent.spans, 20);
    assert_int_equal(fixture->peer.last_ack, 1);
}

/* As much as the limit allows unpacks, from pieces and in one go, and the memory for it is given back. */
static void test_zstd_up_to_the_limit(void **state)
{
    struct fixture *fixture = *state;
    static uint8_t packed[65536];

    put_hello(&fixture->bytes, 1, 1);
    size_t packed_bytes = pack_zeros(packed, sizeof packed, 16777216, 20);
    put_frame(&fixture->bytes, NATIVE_TYPE_CLIENT_STATS, NATIVE_FLAG_ZSTD, packed, packed_bytes);
    packed_bytes = pack_zeros(packed, sizeof packed, 16777217, 20);
    send_bytes(fixture);
    /* zeros are no message */
    assert_int_equal(fixture->peer.last_error, CODE(MALFORMED));
    assert_int_equal(atomic_load(&fixture->agent.assembly.used_bytes), 0);
    put_frame(&fixture->bytes, NATIVE_TYPE_CLIENT_STATS, NATIVE_FLAG_ZSTD, packed, packed_bytes);
    send_bytes(fixture);
    assert_int_equal(fixture->peer.last_error, CODE(OVERSIZED));
}

static void test_duplicates_and_gaps(void **state)
{
    struct fixture *fixture = *state;
    struct peer second;

    put_session(&fixture->bytes, 1);
    send_bytes(fixture);
    peer_open(&second, &fixture->agent);
    put_hello(&fixture->bytes, 1, 1);
    peer_send(&second, fixture->bytes.data, fixture->bytes.length);
    assert_int_equal(second.last_ack, 2); /* what came on the first connection is known on the second */
    fixture->bytes.length = 0;
    put_spans(&fixture->bytes, 2, 5);
    put_spans(&fixture->bytes, 3, 7);
    put_spans(&fixture->bytes, 9, 1);
    peer_send(&second, fixture->bytes.data, fixture->bytes.length);
    assert_int_equal(fixture->agent.duplicate_spans, 5);
    assert_int_equal(fixture->agent.spans, 4 + 7 + 1);
    assert_int_equal(second.error_count, 1);
    assert_int_equal(second.last_error, CODE(SEQUENCE));
    assert_int_equal(second.error_sequence, 9);
    assert_int_equal(second.last_ack, 9);
    fixture->bytes.length = 0;
    peer_close(&second);
}

static void test_unavailable_keeps_order(void **state)
{
    struct fixture *fixture = *state;

    atomic_store(&fixture->agent.unavailable_count, 1);
    put_hello(&fixture->bytes, 1, 1);
    put_spans(&fixture->bytes, 1, 1); /* refused */
    put_spans(&fixture->bytes, 2, 1); /* must wait for 1 */
    put_spans(&fixture->bytes, 3, 1);
    send_bytes(fixture);
    assert_int_equal(fixture->agent.spans, 0);
    assert_int_equal(fixture->peer.error_count, 3);
    assert_int_equal(fixture->peer.last_error, CODE(UNAVAILABLE));
    assert_true(fixture->peer.retry_after_ms > 0);
    assert_int_equal(fixture->peer.last_ack, 0);
    put_spans(&fixture->bytes, 1, 1);
    put_spans(&fixture->bytes, 2, 1);
    put_spans(&fixture->bytes, 3, 1);
    send_bytes(fixture);
    assert_int_equal(fixture->agent.spans, 3);
    assert_int_equal(fixture->peer.last_ack, 3);
    assert_int_equal(fixture->agent.gaps, 0);
    assert_int_equal(metric(fixture, METRIC_MESSAGES_REFUSED_MEMORY), 3);
}

/* Without its strings nothing of a connection could be counted: it ends, and the client comes again. */
static void test_unavailable_dictionary_ends(void **state)
{
    struct fixture *fixture = *state;

    fixture->agent.dictionary_unavailable_count = 1;
    put_session(&fixture->bytes, 1);
    send_bytes(fixture);
    assert_int_equal(fixture->peer.last_error, CODE(UNAVAILABLE));
    assert_int_equal(fixture->peer.retry_after_ms, 20);
    assert_true(fixture->peer.ended);
    assert_int_equal(fixture->agent.spans, 0);
    assert_int_equal(fixture->peer.last_ack, 0); /* nothing but Hello */

    struct peer again;
    peer_open(&again, &fixture->agent);
    put_session(&fixture->bytes, 1);
    peer_send(&again, fixture->bytes.data, fixture->bytes.length);
    assert_int_equal(fixture->agent.spans, 4);
    peer_close(&again);
}

static void test_no_assembly_memory(void **state)
{
    struct fixture *fixture = *state;
    uint8_t header[NATIVE_HEADER_BYTES];

    fixture->agent.assembly.cap_bytes = 100000;
    put_hello(&fixture->bytes, 1, 1);
    native_header_write(header, (struct native_header){.payload_bytes = 100001, .type = NATIVE_TYPE_SPANS});
    buffer_append(&fixture->bytes, header, sizeof header);
    buffer_append(&fixture->bytes, "\0\0\0", 3);
    send_bytes(fixture);
    assert_int_equal(fixture->peer.last_error, CODE(UNAVAILABLE));
    assert_int_equal(fixture->peer.retry_after_ms, fixture->agent.limits.retry_after_ms);
    assert_true(fixture->peer.ended);
    assert_int_equal(metric(fixture, METRIC_MESSAGES_REFUSED_MEMORY), 1);
}

static void test_unread_errors_are_a_flood(void **state)
{
    struct fixture *fixture = *state;
    uint8_t many[6 * 40000];

    put_hello(&fixture->bytes, 1, 1);
    send_bytes(fixture);
    for (size_t i = 0; i < 40000; i++) {
        native_header_write(many + 6 * i, (struct native_header){.type = NATIVE_TYPE_SPANS});
    }
    size_t sent = 0;
    while (sent < sizeof many && atomic_load(&fixture->agent.closed) == 0) {
        ssize_t count = send(fixture->peer.fd, many + sent, sizeof many - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        sent += count > 0 ? (size_t)count : 0;
        uv_run(&fixture->agent.loop, UV_RUN_NOWAIT);
        if (count < 0 && errno != EAGAIN) {
            break;
        }
    }
    uv_run(&fixture->agent.loop, UV_RUN_NOWAIT);
    assert_int_equal(atomic_load(&fixture->agent.closed), 1);
    assert_int_equal(metric(fixture, METRIC_CONNECTIONS_FLOOD), 1);
}

static void test_owner_drains(void **state)
{
    struct fixture *fixture = *state;

    put_session(&fixture->bytes, 1);
    send_bytes(fixture);
    native_connection_drain(fixture->agent.connections[0]->native, 1234);
    turn(&fixture->peer);
    assert_int_equal(fixture->peer.last_error, CODE(UNAVAILABLE));
    assert_int_equal(fixture->peer.retry_after_ms, 1234);
    assert_true(fixture->peer.ended);
    assert_string_equal(fixture->agent.close_reason, "the agent is stopping");
    assert_int_equal(metric(fixture, METRIC_MESSAGES_REFUSED_MEMORY), 0);
}

int main(void)
{
#define NATIVE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        NATIVE_TEST(test_session),
        NATIVE_TEST(test_byte_by_byte),
        NATIVE_TEST(test_cut_at_every_byte),
        NATIVE_TEST(test_damage_at_every_byte),
        NATIVE_TEST(test_bad_magic),
        NATIVE_TEST(test_hello_comes_first_and_once),
        NATIVE_TEST(test_bad_hello),
        NATIVE_TEST(test_large_hello_ends),
        NATIVE_TEST(test_unknown_type_is_skipped),
        NATIVE_TEST(test_malformed_payloads_go_on),
        NATIVE_TEST(test_oversized_frame_ends),
        NATIVE_TEST(test_zstd_bomb_ends),
        NATIVE_TEST(test_zstd_window_and_damage_go_on),
        NATIVE_TEST(test_zstd_up_to_the_limit),
        NATIVE_TEST(test_duplicates_and_gaps),
        NATIVE_TEST(test_unavailable_keeps_order),
        NATIVE_TEST(test_unavailable_dictionary_ends),
        NATIVE_TEST(test_no_assembly_memory),
        NATIVE_TEST(test_unread_errors_are_a_flood),
        NATIVE_TEST(test_owner_drains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
