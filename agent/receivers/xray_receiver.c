/* The X-Ray receiver of a shard; see xray_receiver.h. */
#include "receivers/xray_receiver.h"

#include <stdlib.h>

#include "core/error.h"
#include "decode/xray.h"
#include "pipeline/pipeline_json.h"
#include "receivers/sender_cache.h"

struct xray_receiver {
    struct pipeline *pipeline;
    struct sender_cache *senders;
    struct datagram_reader *reader;
    uint64_t now_monotonic_ns; /* of the batch */
};

static void on_batch(void *user)
{
    struct xray_receiver *receiver = user;

    receiver->now_monotonic_ns = clock_monotonic_ns(receiver->pipeline->clock);
}

static enum metric_id counted_as(int code)
{
    switch (code) {
    case 0:
        return METRIC_MESSAGES_ACCEPTED_XRAY;
    case WERR_NOMEM:
        return METRIC_MESSAGES_REFUSED_MEMORY;
    case WERR_CLOSED:
        return METRIC_MESSAGES_REFUSED_DRAINING;
    default:
        return METRIC_MESSAGES_REFUSED_MALFORMED;
    }
}

static void on_datagram(void *user, struct slice payload, bool truncated, const struct ucred *credentials)
{
    struct xray_receiver *receiver = user;
    struct pipeline *pipeline = receiver->pipeline;
    const struct sender *sender =
        sender_cache_find(receiver->senders, credentials, receiver->now_monotonic_ns);
    struct otlp_outcome outcome;

    (void)truncated; /* no UDP datagram is longer than what is read of one; a cut one would not be JSON */
    int code = pipeline_json_spans(pipeline, sender, xray_to_otlp, payload, NULL, &outcome);
    LEDGER_ADD(pipeline->cells, counted_as(code), 1);
}

static const struct datagram_handler handler = {.on_batch = on_batch, .on_datagram = on_datagram};

int xray_receiver_new(struct pipeline *pipeline, uv_loop_t *loop, const struct datagram_socket *socket,
    struct xray_receiver **ret_receiver)
{
    struct xray_receiver *receiver = calloc(1, sizeof *receiver);
    struct datagram_reader_config config = {
        .loop = loop,
        .socket = socket,
        .handler = &handler,
        .user = receiver,
        .cells = pipeline->cells,
        .payload_bytes_max = DATAGRAM_PAYLOAD_BYTES_MAX,
        .received = METRIC_DATAGRAMS_XRAY,
        .truncated = METRIC_DATAGRAMS_TRUNCATED_XRAY,
        .lost = METRIC_DATAGRAMS_LOST_XRAY,
        .buffer = METRIC_DATAGRAM_BUFFER_XRAY,
    };

    if (receiver == NULL) {
        return WERR_NOMEM;
    }
    receiver->pipeline = pipeline;
    receiver->senders = sender_cache_new(&pipeline->context, "/proc");
    int error = receiver->senders != NULL ? datagram_reader_new(&config, &receiver->reader) : (int)WERR_NOMEM;
    if (error < 0) {
        xray_receiver_free(receiver);
        return error;
    }
    *ret_receiver = receiver;
    return 0;
}

void xray_receiver_close(struct xray_receiver *receiver)
{
    if (receiver != NULL) {
        datagram_reader_drain(receiver->reader);
    }
}

void xray_receiver_free(struct xray_receiver *receiver)
{
    if (receiver == NULL) {
        return;
    }
    datagram_reader_free(receiver->reader);
    sender_cache_free(receiver->senders);
    free(receiver);
}
