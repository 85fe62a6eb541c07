/* A client of the native stream against a rig's record path, on the test's thread: frames out, answers in. */
#ifndef WEFT_TESTS_AGENT_NATIVE_CLIENT_H
#define WEFT_TESTS_AGENT_NATIVE_CLIENT_H

#include "rig.h"

#include <errno.h>
#include <math.h>
#include "aggregate/directory_internal.h"
#include "proto/weft/v1/frame.h"

enum { BATCH_COUNT_MAX = 512, ANSWERS_MAX = 64, SERIES_MAX = 512 };

/* A connection: the agent's end on the rig's loop, the client's end in the test's hand. */
struct client {
    struct peer peer; /* first member: the handlers' user */
    struct rig *rig;
    struct native_connection *connection;
    bool closed;
    int fd;
    uint64_t next_sequence;
    uint64_t base_count; /* strings told */
    /* what was answered */
    uint64_t rejected_spans;
    uint64_t rejected_points;
    uint64_t rejected_logs;
    int last_error;
    uint32_t last_record;
};

/* What the rig's connections share. */
struct native_rig {
    struct rig rig;
    struct budget assembly;
    struct instances *instances;
    struct native_shard *shard;
};

static inline void on_closed(void *user, struct native_connection *connection, const char *reason)
{
    struct client *client = user;

    (void)connection;
    (void)reason;
    client->closed = true;
    native_dictionary_deinit(&client->peer.dictionary);
    context_sender_release(&client->rig->pipeline.context, &client->peer.sender);
}

static const struct native_handler handler = {
    .hello = pipeline_native_hello,
    .dictionary = pipeline_native_dictionary,
    .spans = pipeline_native_spans,
    .metrics = pipeline_native_metrics,
    .logs = pipeline_native_logs,
    .stats = pipeline_native_stats,
    .closed = on_closed,
};

static inline void native_rig_start(struct native_rig *n, const char *config)
{
    rig_start(&n->rig, config);
    n->assembly = (struct budget){.cap_bytes = n->rig.limits.assembly_bytes_max};
    assert_int_equal(instances_new(n->rig.limits.native_instances_count_max, &n->instances), 0);
    struct native_config native = {
        .limits = &n->rig.limits,
        .assembly = &n->assembly,
        .instances = n->instances,
        .cells = n->rig.shard_cells,
    };
    assert_int_equal(native_shard_new(&native, &n->rig.loop, &n->shard), 0);
}

static inline void native_rig_stop(struct native_rig *n)
{
    rig_turn(&n->rig);
    native_shard_free(n->shard);
    instances_free(n->instances);
    rig_stop(&n->rig);
    assert_int_equal(n->assembly.used_bytes, 0);
}

/* ---- frames ---- */

static inline void read_answers(struct client *client)
{
    uint8_t bytes[65536];
    ssize_t count = recv(client->fd, bytes, sizeof bytes, MSG_DONTWAIT);

    for (ssize_t at = 0; at + (ssize_t)NATIVE_HEADER_BYTES <= count;) {
        struct native_header header = native_header_read(bytes + at);
        const uint8_t *payload = bytes + at + NATIVE_HEADER_BYTES;
        if (header.type == NATIVE_TYPE_ACK) {
            Weft__V1__Ack *ack = weft__v1__ack__unpack(NULL, header.payload_bytes, payload);
            assert_non_null(ack);
            client->rejected_spans += ack->rejected_spans;
            client->rejected_points += ack->rejected_points;
            client->rejected_logs += ack->rejected_logs;
            weft__v1__ack__free_unpacked(ack, NULL);
        } else {
            Weft__V1__Error *error = weft__v1__error__unpack(NULL, header.payload_bytes, payload);
            assert_non_null(error);
            client->last_error = (int)error->code;
            client->last_record = error->record;
            weft__v1__error__free_unpacked(error, NULL);
        }
        at += (ssize_t)(NATIVE_HEADER_BYTES + header.payload_bytes);
    }
}

static inline void send_bytes(struct client *client, const void *bytes, size_t length)
{
    const uint8_t *at = bytes;

    for (int idle = 0; length > 0 && idle < 1000;) {
        ssize_t sent = send(client->fd, at, length, MSG_NOSIGNAL | MSG_DONTWAIT);
        rig_turn(client->rig);
        idle = sent > 0 ? 0 : idle + 1;
        at += sent > 0 ? sent : 0;
        length -= sent > 0 ? (size_t)sent : 0;
    }
    assert_int_equal(length, 0);
    rig_turn(client->rig);
    read_answers(client);
}

static inline void send_frame(
    struct client *client, enum native_type type, const void *payload, size_t length)
{
    uint8_t header[NATIVE_HEADER_BYTES];

    native_header_write(
        header, (struct native_header){.payload_bytes = (uint32_t)length, .type = (uint8_t)type});
    send_bytes(client, header, sizeof header);
    send_bytes(client, payload, length);
}

/* Counted as one accepted message when `accepted`. */
static inline void send_message(
    struct client *client, enum native_type type, const ProtobufCMessage *message, bool accepted)
{
    size_t length = protobuf_c_message_get_packed_size(message);
    uint8_t *packed = malloc(length + 1);

    assert_non_null(packed);
    (void)protobuf_c_message_pack(message, packed);
    send_frame(client, type, packed, length);
    free(packed);
    if (accepted) {
        rig_expect(client->rig, METRIC_MESSAGES_ACCEPTED_NATIVE, 1);
    }
}

static inline void client_open(
    struct native_rig *n, struct client *client, uint8_t instance, const char *sender)
{
    int fds[2];
    uint8_t id[NATIVE_INSTANCE_BYTES] = {instance};
    Weft__V1__Hello hello = WEFT__V1__HELLO__INIT;

    *client = (struct client){.rig = &n->rig, .next_sequence = 1};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    client->fd = fds[0];
    client->peer.pipeline = &n->rig.pipeline;
    (void)snprintf(client->peer.sender.id, sizeof client->peer.sender.id, "%s", sender);
    context_sender_bind(&n->rig.pipeline.context, &client->peer.sender);
    native_dictionary_init(&client->peer.dictionary, &n->rig.pipeline.context, &n->rig.series);
    assert_int_equal(native_connection_new(n->shard, fds[1], &handler, client, &client->connection), 0);
    hello.version = NATIVE_VERSION;
    hello.instance_id = (ProtobufCBinaryData){.len = sizeof id, .data = id};
    hello.next_sequence = 1;
    hello.workload = (char *)(uintptr_t) "productpage";
    send_bytes(client, NATIVE_MAGIC, NATIVE_MAGIC_BYTES);
    send_message(client, NATIVE_TYPE_HELLO, &hello.base, false);
    assert_int_equal(client->last_error, 0);
}

static inline void client_close(struct client *client)
{
    (void)close(client->fd);
    for (int i = 0; i < 100 && !client->closed; i++) {
        rig_turn(client->rig);
    }
    assert_true(client->closed);
}

/* A shard with the default limits and one client of it. */
static inline void native_begin(struct native_rig *n, struct client *client, const char *config)
{
    rig_init(&n->rig);
    native_rig_start(n, config);
    client_open(n, client, 1, "process/a:1");
}

static inline void native_end(struct native_rig *n, struct client *client)
{
    client_close(client);
    native_rig_stop(n);
}

#endif
