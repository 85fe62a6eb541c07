/*
 * OTLP over gRPC: one connection (channel.h), one HTTP/2 session on it (core/h2.h), one unary call at a time.
 * A connection that fails, times out or says GOAWAY is closed; the next call makes another. Runs on the
 * exporter's loop.
 *
 * Protocol: gRPC over HTTP/2 (grpc/grpc, doc/PROTOCOL-HTTP2.md).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/h2.h"
#include "exporters/otlp/channel.h"
#include "exporters/otlp/tls.h"
#include "exporters/otlp/transport.h"

enum {
    OWN_HEADERS_COUNT_MAX = 9,
    PREFIX_BYTES = 5,
    TIMEOUT_TEXT_BYTES = 16,
    GRPC_TIMEOUT_VALUE_MAX = 99999999, /* eight digits */
    VALUE_NONE = -1,
};

static const char *const paths[OTLP_SIGNAL_COUNT] = {
    [OTLP_SIGNAL_TRACES] = "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    [OTLP_SIGNAL_METRICS] = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    [OTLP_SIGNAL_LOGS] = "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
};

/* What has come of the answer. */
struct reply {
    int http_status;
    int grpc_status; /* VALUE_NONE until seen */
    bool has_retry_info;
    uint64_t retry_after_ms;
    char text[OTLP_TEXT_BYTES_MAX];
    size_t body_bytes;
    uint8_t body[OTLP_ANSWER_BYTES_MAX];
};

struct grpc_transport {
    struct transport transport; /* first member */
    struct transport_config config;
    struct url url;
    SSL_CTX *tls;
    struct channel *channel; /* NULL: not connected */
    struct h2_session session;
    bool session_open;
    bool busy;        /* a call is under way: `done` is owed */
    bool stream_done; /* its stream has ended */
    bool stream_cut;  /* ... before the answer was complete */
    uint32_t stream_error;
    struct slice body;
    uint8_t prefix[PREFIX_BYTES];
    uv_timer_t timer;
    char timeout_text[TIMEOUT_TEXT_BYTES];
    uint64_t headers_version; /* of what is in `headers` */
    struct h2_header headers[H2_HEADERS_COUNT_MAX];
    size_t header_count;
    struct reply reply;
};

static struct grpc_transport *grpc_of(struct transport *transport)
{
    return (struct grpc_transport *)transport;
}

static void disconnect(struct grpc_transport *self)
{
    channel_close(self->channel);
    self->channel = NULL;
    if (self->session_open) {
        self->session_open = false; /* first: deinit ends the stream, which is no news then */
        h2_session_deinit(&self->session);
    }
}

static void finish(struct grpc_transport *self, const struct otlp_answer *answer)
{
    self->busy = false;
    (void)uv_timer_stop(&self->timer);
    self->config.done(self->config.user, answer);
}

/* No answer came. */
static void finish_without_answer(struct grpc_transport *self, const char *text)
{
    struct otlp_answer answer = {.verdict = OTLP_VERDICT_RETRY};

    answer_set_text(answer.text, slice_of_string(text));
    finish(self, &answer);
}

static void on_timeout(uv_timer_t *timer)
{
    struct grpc_transport *self = timer->data;

    disconnect(self);
    finish_without_answer(self, "timed out");
}

/* ---- the answer ---- */

static int parse_number(struct slice value)
{
    int number = 0;

    if (value.length == 0 || value.length > 3) {
        return VALUE_NONE;
    }
    for (size_t i = 0; i < value.length; i++) {
        if (value.ptr[i] < '0' || value.ptr[i] > '9') {
            return VALUE_NONE;
        }
        number = number * 10 + (value.ptr[i] - '0');
    }
    return number;
}

static int on_header(void *user, struct h2_stream *stream, struct slice name, struct slice value)
{
    struct grpc_transport *self = user;
    struct reply *reply = &self->reply;

    (void)stream;
    if (slice_equal(name, SLICE_LITERAL(":status"))) {
        reply->http_status = parse_number(value);
    } else if (slice_equal(name, SLICE_LITERAL("grpc-status"))) {
        reply->grpc_status = parse_number(value);
    } else if (slice_equal(name, SLICE_LITERAL("grpc-message"))) {
        answer_set_text_percent(reply->text, value);
    } else if (slice_equal(name, SLICE_LITERAL("grpc-status-details-bin"))) {
        reply->has_retry_info = answer_parse_retry_info(value, &reply->retry_after_ms);
    }
    return 0;
}

static int on_data(void *user, struct h2_stream *stream, struct slice data)
{
    struct grpc_transport *self = user;
    struct reply *reply = &self->reply;
    size_t room = sizeof reply->body - reply->body_bytes;
    size_t taken = data.length < room ? data.length : room;

    memcpy(reply->body + reply->body_bytes, data.ptr, taken);
    reply->body_bytes += taken;
    return h2_stream_consume(&self->session, stream, data.length);
}

static void on_close(void *user, struct h2_stream *stream, uint32_t error_code)
{
    struct grpc_transport *self = user;

    if (self->session_open) {
        self->stream_done = true;
        self->stream_cut = !stream->end_received;
        self->stream_error = error_code;
    }
}

/* An answer before the whole request was sent: the rest is of no use. */
static int on_end(void *user, struct h2_stream *stream)
{
    struct grpc_transport *self = user;

    if (!stream->end_sent) {
        h2_stream_reset(&self->session, stream, NGHTTP2_NO_ERROR);
    }
    return 0;
}

static const struct h2_callbacks h2_callbacks = {
    .on_header = on_header,
    .on_data = on_data,
    .on_end = on_end,
    .on_close = on_close,
};

/* The answering message, when it came whole and uncompressed (nothing else was offered to the server). */
static struct slice message_of(const struct reply *reply)
{
    const uint8_t *body = reply->body;

    if (reply->body_bytes < PREFIX_BYTES || body[0] != 0) {
        return (struct slice){0};
    }
    size_t length = (size_t)body[1] << 24 | (size_t)body[2] << 16 | (size_t)body[3] << 8 | body[4];
    return length <= reply->body_bytes - PREFIX_BYTES ? slice_of(body + PREFIX_BYTES, length)
                                                      : (struct slice){0};
}

static void judge(const struct grpc_transport *self, struct otlp_answer *answer)
{
    const struct reply *reply = &self->reply;
    int status = reply->grpc_status;

    if (status == VALUE_NONE && self->stream_cut) {
        answer->verdict = OTLP_VERDICT_RETRY;
        (void)snprintf(answer->text, sizeof answer->text, "stream ended without an answer (HTTP/2 error %u)",
            self->stream_error);
        return;
    }
    if (status == VALUE_NONE) {
        status = answer_grpc_status_of_http(reply->http_status);
        (void)snprintf(
            answer->text, sizeof answer->text, "HTTP status %d without grpc-status", reply->http_status);
    } else {
        memcpy(answer->text, reply->text, sizeof answer->text);
    }
    answer->status = status;
    answer->verdict = answer_verdict_grpc(status, reply->has_retry_info);
    answer->retry_after_ms = reply->retry_after_ms;
    if (answer->verdict == OTLP_VERDICT_SENT) {
        answer_parse_partial_success(message_of(reply), answer);
    }
}

/* ---- the session ---- */

static void fill_headers(struct grpc_transport *self);

static int submit(struct grpc_transport *self)
{
    const uint64_t *version = self->config.destination->headers_version;
    struct h2_stream *stream;
    struct slice parts[] = {slice_of(self->prefix, PREFIX_BYTES), self->body};

    if (version != NULL && *version != self->headers_version) {
        fill_headers(self); /* the old values are gone */
    }
    return h2_submit_request(&self->session, self->headers, self->header_count, parts, 2, &stream);
}

/* After the session was fed or emptied: what has become of the call and of the connection. */
static void settle(struct grpc_transport *self)
{
    bool is_over = self->session.failure != 0 || h2_session_finished(&self->session);

    if (self->busy && self->stream_done) {
        struct otlp_answer answer = {0};
        judge(self, &answer);
        if (is_over || self->session.goaway_received) {
            disconnect(self);
        } else if (h2_session_wants_send(&self->session)) {
            channel_flush(self->channel);
        }
        finish(self, &answer);
        return;
    }
    if (is_over || (!self->busy && self->session.goaway_received)) {
        disconnect(self);
        if (self->busy) {
            finish_without_answer(self, "HTTP/2 session ended");
        }
        return;
    }
    if (h2_session_wants_send(&self->session)) {
        channel_flush(self->channel);
    }
}

static void on_ready(void *user)
{
    struct grpc_transport *self = user;
    struct h2_config config = {.role = H2_CLIENT, .callbacks = &h2_callbacks, .user = self};
    int error = h2_session_init(&self->session, &config);

    if (error == 0) {
        self->session_open = true;
        error = self->busy ? submit(self) : 0;
    }
    if (error < 0) {
        disconnect(self);
        if (self->busy) {
            finish_without_answer(self, werr_text(error));
        }
    }
}

static void on_bytes(void *user, struct slice bytes)
{
    struct grpc_transport *self = user;

    (void)h2_session_receive(&self->session, bytes, clock_monotonic_ns(self->config.clock));
    settle(self);
}

static size_t on_fill(void *user, uint8_t *out, size_t capacity)
{
    struct grpc_transport *self = user;
    long filled = h2_session_send(&self->session, out, capacity);

    if (filled <= 0) {
        settle(self); /* which may have ended this session, or begun the next call on it */
        filled = self->session_open ? h2_session_send(&self->session, out, capacity) : 0;
    }
    return filled > 0 ? (size_t)filled : 0;
}

static void on_channel_closed(void *user, const char *text)
{
    struct grpc_transport *self = user;
    char kept[OTLP_TEXT_BYTES_MAX];

    (void)snprintf(kept, sizeof kept, "%s", text);
    self->channel = NULL;
    disconnect(self);
    if (self->busy) {
        finish_without_answer(self, kept);
    }
}

static const struct channel_callbacks channel_callbacks = {
    .ready = on_ready,
    .bytes = on_bytes,
    .fill = on_fill,
    .closed = on_channel_closed,
};

/* ---- the transport ---- */

static int connect_channel(struct grpc_transport *self)
{
    struct channel_config config = {
        .loop = self->config.loop,
        .url = &self->url,
        .tls = self->tls,
        .server_name = self->config.destination->server_name,
        .connect_timeout_ms = self->config.connect_timeout_ms,
        .callbacks = &channel_callbacks,
        .user = self,
    };

    return channel_new(&config, &self->channel);
}

static int grpc_send(struct transport *transport, struct slice body)
{
    struct grpc_transport *self = grpc_of(transport);
    int error = 0;

    if (body.length > UINT32_MAX) {
        return WERR_OVERSIZED;
    }
    self->body = body;
    self->prefix[0] = self->config.destination->compression != COMPRESSION_NONE;
    for (size_t i = 1; i < PREFIX_BYTES; i++) {
        self->prefix[i] = (uint8_t)(body.length >> (8 * (PREFIX_BYTES - 1 - i)));
    }
    self->reply.http_status = 0;
    self->reply.grpc_status = VALUE_NONE;
    self->reply.has_retry_info = false;
    self->reply.retry_after_ms = 0;
    self->reply.text[0] = '\0';
    self->reply.body_bytes = 0;
    self->stream_done = false;
    if (self->session_open) {
        error = submit(self);
        if (error < 0) {
            disconnect(self); /* stream ids used up, or the session is ending: take a new connection */
            error = connect_channel(self);
        } else {
            channel_flush(self->channel);
        }
    } else if (self->channel == NULL) {
        error = connect_channel(self);
    }
    if (error < 0) {
        return error;
    }
    self->busy = true;
    (void)uv_timer_start(&self->timer, on_timeout, self->config.destination->timeout_ms, 0);
    return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct grpc_transport *self = handle->data;

    SSL_CTX_free(self->tls);
    free(self);
}

static void grpc_close(struct transport *transport)
{
    struct grpc_transport *self = grpc_of(transport);

    self->busy = false;
    disconnect(self);
    uv_close((uv_handle_t *)&self->timer, on_timer_closed);
}

static void add_header(struct grpc_transport *self, const char *name, const char *value)
{
    self->headers[self->header_count++] =
        (struct h2_header){.name = slice_of_string(name), .value = slice_of_string(value), .lasting = true};
}

/* One of the configuration, whose value a reload may change: nghttp2 gets a copy. */
static void add_configured(struct grpc_transport *self, const struct otlp_header *header)
{
    add_header(self, header->name, header->value);
    self->headers[self->header_count - 1].lasting = false;
}

static void fill_headers(struct grpc_transport *self)
{
    const struct otlp_destination_config *destination = self->config.destination;
    uint64_t timeout_ms = destination->timeout_ms;

    self->header_count = 0;
    self->headers_version = destination->headers_version != NULL ? *destination->headers_version : 0;
    if (timeout_ms <= GRPC_TIMEOUT_VALUE_MAX) {
        (void)snprintf(self->timeout_text, sizeof self->timeout_text, "%um", (unsigned)timeout_ms);
    } else {
        (void)snprintf(self->timeout_text, sizeof self->timeout_text, "%uS", GRPC_TIMEOUT_VALUE_MAX);
    }
    add_header(self, ":method", "POST");
    add_header(self, ":scheme", self->url.is_tls ? "https" : "http");
    add_header(self, ":path", paths[self->config.signal]);
    add_header(self, ":authority", self->url.authority);
    add_header(self, "te", "trailers");
    add_header(self, "grpc-timeout", self->timeout_text);
    add_header(self, "content-type", "application/grpc");
    add_header(self, "user-agent", OTLP_USER_AGENT);
    if (destination->compression != COMPRESSION_NONE) {
        add_header(self, "grpc-encoding", compression_name(destination->compression));
    }
    for (size_t i = 0; i < destination->header_count; i++) {
        add_configured(self, &destination->headers[i]);
    }
}

static int check_config(const struct transport_config *config, struct url *ret_url, const char **ret_what)
{
    if (url_parse(config->destination->url[config->signal], ret_url) < 0) {
        *ret_what = "endpoint: expected http://HOST:PORT, https://HOST:PORT or unix:/PATH";
        return WERR_CONFIG;
    }
    if (config->destination->header_count > H2_HEADERS_COUNT_MAX - OWN_HEADERS_COUNT_MAX) {
        *ret_what = "headers: too many";
        return WERR_CONFIG;
    }
    return 0;
}

static int grpc_make(
    const struct transport_config *config, struct transport **ret_transport, const char **ret_what)
{
    struct grpc_transport *self = calloc(1, sizeof *self);

    if (self == NULL) {
        return WERR_NOMEM;
    }
    self->transport.type = &transport_grpc;
    self->config = *config;
    int error = check_config(config, &self->url, ret_what);
    if (error == 0 && self->url.is_tls) {
        error = tls_context_new(config->destination, &self->tls, ret_what);
    }
    if (error < 0) {
        free(self);
        return error;
    }
    fill_headers(self);
    (void)uv_timer_init(config->loop, &self->timer);
    self->timer.data = self;
    *ret_transport = &self->transport;
    return 0;
}

const struct transport_type transport_grpc = {
    .make = grpc_make,
    .send = grpc_send,
    .close = grpc_close,
};
