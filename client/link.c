/*
 * The connection to the agent: connecting with backoff, what is written and when, splitting what is read into
 * frames. The sender's thread, with the client's lock held; nothing here blocks.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "client/client.h"
#include "client/encode.h"

enum { WRITES_PER_STEP_MAX = 16 };

static uint64_t next_random(struct weft_client *client)
{
    /* xorshift64 (Marsaglia): jitter only */
    client->random ^= client->random << 13;
    client->random ^= client->random >> 7;
    client->random ^= client->random << 17;
    return client->random;
}

static void set_error(struct weft_client *client, const char *text)
{
    snprintf(client->stats.last_error, sizeof client->stats.last_error, "%s", text);
}

/* The next attempt after a random part of a time that doubles, or when the agent said. */
static void back_off(struct weft_client *client, uint64_t now_ns)
{
    struct link *link = &client->link;
    uint64_t half_ms = link->backoff_ms / 2;
    uint64_t wait_ms = half_ms + next_random(client) % (half_ms + 1);

    link->next_try_ns = now_ns + wait_ms * 1000000;
    if (link->next_try_ns < link->pause_until_ns) {
        link->next_try_ns = link->pause_until_ns;
    }
    link->backoff_ms =
        link->backoff_ms * 2 < CLIENT_BACKOFF_MS_MAX ? link->backoff_ms * 2 : CLIENT_BACKOFF_MS_MAX;
}

void link_drop(struct weft_client *client, uint64_t now_ns, const char *why)
{
    struct link *link = &client->link;

    if (link->fd >= 0) {
        close(link->fd);
        link->fd = -1;
    }
    link->state = LINK_DOWN;
    link->output.length = 0;
    link->output.error = 0;
    link->output_sent_bytes = 0;
    link->input_bytes = 0;
    backlog_unsend(&client->backlog, 0);
    if (why != NULL) {
        set_error(client, why);
    }
    back_off(client, now_ns);
}

static void write_hello(struct weft_client *client)
{
    Weft__V1__Hello hello = WEFT__V1__HELLO__INIT;
    const struct batch *first = backlog_at(&client->backlog, 0);

    hello.version = NATIVE_VERSION;
    hello.instance_id = (ProtobufCBinaryData){.len = sizeof client->instance, .data = client->instance};
    hello.next_sequence = first != NULL ? first->sequence : client->next_sequence;
    hello.node = client->node;
    hello.workload = client->workload;
    hello.workload_namespace = client->workload_namespace;
    hello.start_time_unix_ns = client->start_time_unix_ns;
    buffer_append(&client->link.output, NATIVE_MAGIC, NATIVE_MAGIC_BYTES);
    encode_message(&client->link.output, NATIVE_TYPE_HELLO, &hello.base);
}

static bool connect_now(struct weft_client *client, uint64_t now_ns)
{
    struct link *link = &client->link;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char why[100];

    memcpy(address.sun_path, client->socket_path, sizeof address.sun_path);
    link->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (link->fd < 0 || connect(link->fd, (const struct sockaddr *)&address, sizeof address) < 0) {
        snprintf(why, sizeof why, "cannot connect: %s", strerrordesc_np(errno));
        link_drop(client, now_ns, why);
        return false;
    }
    link->state = LINK_HELLO;
    link->credit_bytes = 0;
    link->strings_sent = 0;
    link->metrics_sent = 0;
    link->told = false;
    link->told_dropped_spans = 0;
    link->told_dropped_points = 0;
    write_hello(client);
    return true;
}

/* ClientStats, when something was dropped since the agent was told: at once for a flush, else once in a
 * while. */
static bool write_stats(struct weft_client *client, uint64_t now_ns)
{
    Weft__V1__ClientStats stats = WEFT__V1__CLIENT_STATS__INIT;
    struct link *link = &client->link;

    client_dropped(client, &stats.dropped_spans, &stats.dropped_points);
    if (stats.dropped_spans == link->told_dropped_spans &&
        stats.dropped_points == link->told_dropped_points) {
        return false;
    }
    bool is_due = !link->told || client->flush.requested != client->flush.done ||
                  now_ns - link->told_ns >= CLIENT_STATS_INTERVAL_MS * UINT64_C(1000000);
    if (!is_due) {
        return false;
    }
    encode_message(&link->output, NATIVE_TYPE_CLIENT_STATS, &stats.base);
    link->told = true;
    link->told_ns = now_ns;
    link->told_dropped_spans = stats.dropped_spans;
    link->told_dropped_points = stats.dropped_points;
    return true;
}

/* The next batch if the agent has credit for it; one may always be under way. */
static bool write_batch(struct weft_client *client, uint64_t now_ns)
{
    struct backlog *backlog = &client->backlog;
    struct batch *batch = backlog_next(backlog);

    if (batch == NULL || now_ns < client->link.pause_until_ns) {
        return false;
    }
    if (backlog->sent_bytes > 0 && backlog->sent_bytes + batch->frame_bytes > client->link.credit_bytes) {
        return false;
    }
    if (!batch->refused) {
        buffer_append(&client->link.output, batch->frame, batch->frame_bytes);
        client->stats.batches_resent += batch->was_sent ? 1 : 0;
    }
    backlog_sent(backlog);
    return true;
}

/* Strings before the series and batches that refer to them, series before their points. */
static bool write_next(struct weft_client *client, uint64_t now_ns)
{
    struct link *link = &client->link;

    if (link->state != LINK_READY) {
        return false;
    }
    if (link->strings_sent < client->strings.count) {
        link->strings_sent = encode_dictionary(&link->output, &client->strings, link->strings_sent);
        return true;
    }
    if (link->metrics_sent < client->metrics.count) {
        link->metrics_sent = encode_series(&link->output, &client->metrics, link->metrics_sent);
        return true;
    }
    return write_stats(client, now_ns) || write_batch(client, now_ns);
}

static void fill_output(struct weft_client *client, uint64_t now_ns)
{
    struct link *link = &client->link;

    if (link->output_sent_bytes > 0) {
        link->output.length -= link->output_sent_bytes;
        memmove(link->output.data, link->output.data + link->output_sent_bytes, link->output.length);
        link->output_sent_bytes = 0;
    }
    while (
        link->output.length < CLIENT_OUTPUT_BYTES && link->output.error == 0 && write_next(client, now_ns)) {
    }
}

void link_step(struct weft_client *client, uint64_t now_ns)
{
    struct link *link = &client->link;

    if (link->state == LINK_DOWN && (now_ns < link->next_try_ns || !connect_now(client, now_ns))) {
        return;
    }
    for (int writes = 0; writes < WRITES_PER_STEP_MAX; writes++) {
        fill_output(client, now_ns);
        if (link->output.error != 0) {
            link_drop(client, now_ns, "out of memory");
            return;
        }
        if (link->output.length == 0) {
            return;
        }
        ssize_t sent = send(link->fd, link->output.data, link->output.length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0) {
            if (errno != EAGAIN && errno != EINTR) {
                /* what the agent said before it left may still be there to read */
                link_read(client, now_ns);
                if (link->state != LINK_DOWN) {
                    link_drop(client, now_ns, "the agent has closed the connection");
                }
            }
            return;
        }
        link->output_sent_bytes = (size_t)sent;
    }
}

bool link_wants_write(const struct link *link)
{
    return link->output.length > link->output_sent_bytes;
}

/* Acts on the whole frames in the input; false when the connection cannot go on. */
static bool take_frames(struct weft_client *client, uint64_t now_ns)
{
    struct link *link = &client->link;
    size_t at = 0;

    while (link->input_bytes - at >= NATIVE_HEADER_BYTES) {
        struct native_header header = native_header_read(link->input + at);
        if (header.payload_bytes > CLIENT_ANSWER_BYTES_MAX || header.flags != 0) {
            return false;
        }
        if (link->input_bytes - at - NATIVE_HEADER_BYTES < header.payload_bytes) {
            break;
        }
        if (!client_take_answer(client, header, link->input + at + NATIVE_HEADER_BYTES, now_ns)) {
            return false;
        }
        at += NATIVE_HEADER_BYTES + header.payload_bytes;
    }
    link->input_bytes -= at;
    memmove(link->input, link->input + at, link->input_bytes);
    return true;
}

void link_read(struct weft_client *client, uint64_t now_ns)
{
    struct link *link = &client->link;

    for (;;) {
        ssize_t count = recv(
            link->fd, link->input + link->input_bytes, sizeof link->input - link->input_bytes, MSG_DONTWAIT);
        if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (count <= 0) {
            /* an Error that came before tells more than this */
            link_drop(client, now_ns,
                client->stats.last_error[0] != '\0' ? NULL : "the agent has closed the connection");
            return;
        }
        link->input_bytes += (size_t)count;
        if (!take_frames(client, now_ns)) {
            link_drop(client, now_ns, "the agent's answer is not understood");
            return;
        }
    }
}
