/* What the agent answers: Ack and Error. The sender's thread, with the client's lock held. */
#include <stdio.h>

#include "client/client.h"

/* Lets go of what is answered for good: up to `sequence`, and refused ones at the front. */
static void release(struct weft_client *client, uint64_t sequence)
{
    for (;;) {
        const struct batch *batch = backlog_at(&client->backlog, 0);
        if (batch == NULL || (batch->sequence > sequence && !batch->refused)) {
            return;
        }
        client->stats.acknowledged_spans += batch->span_count;
        client->stats.acknowledged_points += batch->point_count;
        client->stats.acknowledged_logs += batch->log_count;
        backlog_pop(&client->backlog);
    }
}

static bool take_ack(struct weft_client *client, const uint8_t *payload, size_t length)
{
    struct link *link = &client->link;
    Weft__V1__Ack *ack = weft__v1__ack__unpack(NULL, length, payload);

    if (ack == NULL) {
        return false;
    }
    if (link->state == LINK_HELLO) {
        link->state = LINK_READY;
        client->stats.connects++;
        client->stats.last_error[0] = '\0';
        metrics_tell_again(&client->metrics);
    }
    link->backoff_ms = CLIENT_BACKOFF_MS_MIN;
    link->credit_bytes = ack->credit_bytes;
    client->stats.rejected_spans += ack->rejected_spans;
    client->stats.rejected_points += ack->rejected_points;
    client->stats.rejected_logs += ack->rejected_logs;
    release(client, ack->sequence);
    weft__v1__ack__free_unpacked(ack, NULL);
    return true;
}

/* The agent will never take this batch: its records are rejected, it is not sent again. sequence 0: the first
 * under way. */
static void refuse(struct weft_client *client, uint64_t sequence)
{
    struct backlog *backlog = &client->backlog;
    struct batch *batch = sequence != 0             ? backlog_find(backlog, sequence)
                          : backlog->sent_count > 0 ? backlog_at(backlog, 0)
                                                    : NULL;

    if (batch == NULL || batch->refused) {
        return;
    }
    batch->refused = true;
    client->stats.rejected_spans += batch->span_count;
    client->stats.rejected_points += batch->point_count;
    client->stats.rejected_logs += batch->log_count;
    release(client, 0);
}

static void take_error(struct weft_client *client, const Weft__V1__Error *error, uint64_t now_ns)
{
    struct link *link = &client->link;

    client->stats.errors++;
    snprintf(client->stats.last_error, sizeof client->stats.last_error, "%s", error->message);
    switch (error->code) {
    case WEFT__V1__ERROR_CODE__ERROR_CODE_UNAVAILABLE:
        link->pause_until_ns = now_ns + error->retry_after_ms * UINT64_C(1000000);
        if (error->sequence != 0) {
            backlog_unsend(&client->backlog, error->sequence);
        }
        break;
    case WEFT__V1__ERROR_CODE__ERROR_CODE_MALFORMED:
    case WEFT__V1__ERROR_CODE__ERROR_CODE_COMPRESSION:
    case WEFT__V1__ERROR_CODE__ERROR_CODE_OVERSIZED:
        refuse(client, error->sequence);
        break;
    case WEFT__V1__ERROR_CODE__ERROR_CODE_VERSION:
    case WEFT__V1__ERROR_CODE__ERROR_CODE_FRAME:
    case WEFT__V1__ERROR_CODE__ERROR_CODE_LIMIT:
        link->backoff_ms = CLIENT_BACKOFF_MS_MAX; /* trying again soon will not help */
        break;
    default:
        break; /* told, not refused */
    }
}

bool client_take_answer(
    struct weft_client *client, struct native_header header, const uint8_t *payload, uint64_t now_ns)
{
    if (header.type == NATIVE_TYPE_ACK) {
        return take_ack(client, payload, header.payload_bytes);
    }
    if (header.type == NATIVE_TYPE_ERROR) {
        Weft__V1__Error *error = weft__v1__error__unpack(NULL, header.payload_bytes, payload);
        if (error == NULL) {
            return false;
        }
        take_error(client, error, now_ns);
        weft__v1__error__free_unpacked(error, NULL);
    }
    return true;
}
