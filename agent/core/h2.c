/*
 * The HTTP/2 session of h2.h: nghttp2's callbacks turned into ours, streams from a free list, flood counting.
 * No I/O. Runs on the thread that owns the session. Submitting and sending are in h2_submit.c.
 */
#include "core/h2.h"

#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/h2_internal.h"

enum { FREE_STREAMS_MAX = 256 }; /* kept for reuse; a burst's others go back to the machine */

static struct h2_stream *stream_of(struct h2_session *session, int32_t id)
{
    return nghttp2_session_get_stream_user_data(session->nghttp2, id);
}

struct h2_stream *h2_stream_take(struct h2_session *session)
{
    struct h2_stream *stream = session->free;

    if (stream != NULL) {
        session->free = stream->next;
        session->free_count--;
    } else {
        stream = malloc(sizeof *stream + session->config.stream_user_bytes);
        if (stream == NULL) {
            return NULL;
        }
    }
    memset(stream, 0, sizeof *stream + session->config.stream_user_bytes);
    stream->next = session->live;
    if (session->live != NULL) {
        session->live->previous = stream;
    }
    session->live = stream;
    session->open_count++;
    return stream;
}

void h2_stream_give_back(struct h2_session *session, struct h2_stream *stream)
{
    if (stream->previous != NULL) {
        stream->previous->next = stream->next;
    } else {
        session->live = stream->next;
    }
    if (stream->next != NULL) {
        stream->next->previous = stream->previous;
    }
    session->open_count--;
    if (session->free_count == FREE_STREAMS_MAX) {
        free(stream);
        return;
    }
    stream->next = session->free;
    session->free = stream;
    session->free_count++;
}

void h2_stream_finish(struct h2_session *session, struct h2_stream *stream, uint32_t error_code)
{
    if (session->callbacks->on_close != NULL) {
        session->callbacks->on_close(session->user, stream, error_code);
    }
    h2_stream_give_back(session, stream);
}

static int fail_flood(struct h2_session *session, enum h2_flood flood)
{
    if (session->failure == 0) {
        session->flood = flood;
        session->failure = WERR_PROTOCOL;
    }
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* A frame that asks for nothing. */
static int count_empty_frame(struct h2_session *session)
{
    if (++session->empty_frame_count > H2_EMPTY_FRAMES_MAX) {
        return fail_flood(session, H2_FLOOD_EMPTY);
    }
    return 0;
}

static void count_useful_frame(struct h2_session *session)
{
    uint32_t earned_count = H2_EMPTY_FRAMES_PER_USEFUL;

    session->empty_frame_count -=
        session->empty_frame_count < earned_count ? session->empty_frame_count : earned_count;
}

/* The owner's verdict on a stream, in nghttp2's words: the stream is reset, the session lives. */
static int verdict(int result)
{
    return result < 0 ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE : 0;
}

static int on_begin_headers(nghttp2_session *nghttp2, const nghttp2_frame *frame, void *user)
{
    struct h2_session *session = user;
    struct h2_stream *stream = stream_of(session, frame->hd.stream_id);

    if (stream != NULL) {
        stream->header_bytes = 0;
        stream->informational = false;
        return 0;
    }
    if (session->config.role != H2_SERVER || frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
        return 0;
    }
    stream = h2_stream_take(session);
    if (stream == NULL) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    stream->id = frame->hd.stream_id;
    (void)nghttp2_session_set_stream_user_data(nghttp2, stream->id, stream);
    if (session->callbacks->on_begin != NULL) {
        return verdict(session->callbacks->on_begin(session->user, stream));
    }
    return 0;
}

static int on_header(nghttp2_session *nghttp2, const nghttp2_frame *frame, const uint8_t *name,
    size_t name_bytes, const uint8_t *value, size_t value_bytes, uint8_t flags, void *user)
{
    (void)nghttp2;
    (void)flags;
    struct h2_session *session = user;
    struct h2_stream *stream = stream_of(session, frame->hd.stream_id);

    if (stream == NULL) {
        return 0;
    }
    size_t field_bytes = name_bytes + value_bytes + 32; /* as RFC 9113 6.5.2 counts */
    if (field_bytes > session->config.header_list_bytes_max - stream->header_bytes) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    stream->header_bytes += (uint32_t)field_bytes;
    if (session->config.role == H2_CLIENT && value_bytes == 3 && value[0] == '1' &&
        slice_equal(slice_of(name, name_bytes), SLICE_LITERAL(":status"))) {
        stream->informational = true;
    }
    if (stream->informational || session->callbacks->on_header == NULL) {
        return 0;
    }
    return verdict(session->callbacks->on_header(
        session->user, stream, slice_of(name, name_bytes), slice_of(value, value_bytes)));
}

/* Nothing of a stream that we are resetting reaches the owner. */
static int reset_on_error(struct h2_session *session, struct h2_stream *stream, int result)
{
    if (result < 0) {
        h2_stream_reset(session, stream, NGHTTP2_INTERNAL_ERROR);
    }
    return 0;
}

static int headers_received(struct h2_session *session, struct h2_stream *stream)
{
    bool trailers = stream->headers_seen;

    count_useful_frame(session);
    if (stream->informational) {
        return 0;
    }
    stream->headers_seen = true;
    if (session->callbacks->on_headers_end == NULL) {
        return 0;
    }
    return session->callbacks->on_headers_end(session->user, stream, trailers);
}

static int end_received(struct h2_session *session, struct h2_stream *stream)
{
    stream->end_received = true;
    return session->callbacks->on_end != NULL ? session->callbacks->on_end(session->user, stream) : 0;
}

static int stream_frame_received(struct h2_session *session, const nghttp2_frame *frame)
{
    struct h2_stream *stream = stream_of(session, frame->hd.stream_id);
    bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;

    if (frame->hd.type == NGHTTP2_DATA) {
        if (frame->hd.length > frame->data.padlen) {
            count_useful_frame(session);
        } else if (!end && count_empty_frame(session) != 0) {
            return NGHTTP2_ERR_CALLBACK_FAILURE;
        }
    }
    if (stream == NULL || stream->resetting) {
        return 0;
    }
    if (frame->hd.type == NGHTTP2_HEADERS) {
        int error = headers_received(session, stream);
        if (error < 0) {
            return reset_on_error(session, stream, error);
        }
    }
    return end && !stream->resetting ? reset_on_error(session, stream, end_received(session, stream)) : 0;
}

/* The peer has read our first GOAWAY: what it has not asked for by now it will not ask for. */
static void ping_answered(struct h2_session *session, const uint8_t payload[8])
{
    static const uint8_t drain_payload[8] = H2_DRAIN_PING;

    if (session->draining && memcmp(payload, drain_payload, sizeof drain_payload) == 0) {
        h2_session_drain_now(session);
    } else if (session->callbacks->on_ping_ack != NULL) {
        session->callbacks->on_ping_ack(session->user);
    }
}

static int on_frame_recv(nghttp2_session *nghttp2, const nghttp2_frame *frame, void *user)
{
    (void)nghttp2;
    struct h2_session *session = user;

    switch (frame->hd.type) {
    case NGHTTP2_DATA:
    case NGHTTP2_HEADERS:
        return stream_frame_received(session, frame);
    case NGHTTP2_PING:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) {
            ping_answered(session, frame->ping.opaque_data);
        }
        return count_empty_frame(session);
    case NGHTTP2_GOAWAY:
        session->goaway_received = true;
        if (session->callbacks->on_goaway != NULL) {
            session->callbacks->on_goaway(
                session->user, frame->goaway.last_stream_id, frame->goaway.error_code);
        }
        return count_empty_frame(session);
    case NGHTTP2_RST_STREAM:
        return 0; /* counted when the stream closes */
    default:
        return count_empty_frame(session);
    }
}

static int on_data_chunk(
    nghttp2_session *nghttp2, uint8_t flags, int32_t stream_id, const uint8_t *data, size_t bytes, void *user)
{
    (void)flags;
    struct h2_session *session = user;
    struct h2_stream *stream = stream_of(session, stream_id);

    if (nghttp2_session_consume_connection(nghttp2, bytes) == NGHTTP2_ERR_NOMEM) {
        session->failure = WERR_NOMEM;
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    if (stream == NULL || stream->resetting || session->callbacks->on_data == NULL) {
        return 0;
    }
    return reset_on_error(
        session, stream, session->callbacks->on_data(session->user, stream, slice_of(data, bytes)));
}

/*
 * Also resets that we sent count: a peer can make us send them by breaking the protocol on a stream. Those
 * that the owner asked for do not.
 */
static int on_stream_close(nghttp2_session *nghttp2, int32_t stream_id, uint32_t error_code, void *user)
{
    struct h2_session *session = user;
    struct h2_stream *stream = nghttp2_session_get_stream_user_data(nghttp2, stream_id);

    if (stream == NULL) {
        return 0;
    }
    bool unanswered = !stream->end_sent && !stream->resetting;
    h2_stream_finish(session, stream, error_code);
    if (session->config.role == H2_SERVER && unanswered && !session->closing &&
        ++session->resets_unanswered_count >= session->config.resets_unanswered_max) {
        return fail_flood(session, H2_FLOOD_RESETS);
    }
    return 0;
}

/* Behind a drain's first GOAWAY goes a PING (nghttp2 would send one that is submitted with it before it). */
static void goaway_sent(struct h2_session *session, const nghttp2_goaway *goaway)
{
    static const uint8_t drain_payload[8] = H2_DRAIN_PING;

    if (goaway->error_code != NGHTTP2_NO_ERROR && session->failure == 0) {
        session->failure = WERR_PROTOCOL;
    }
    if (session->draining && goaway->last_stream_id == INT32_MAX) {
        (void)nghttp2_submit_ping(session->nghttp2, NGHTTP2_FLAG_NONE, drain_payload);
    }
}

static int on_frame_send(nghttp2_session *nghttp2, const nghttp2_frame *frame, void *user)
{
    (void)nghttp2;
    struct h2_session *session = user;

    if (frame->hd.type == NGHTTP2_GOAWAY) {
        goaway_sent(session, &frame->goaway);
    }
    if ((frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS) &&
        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
        struct h2_stream *stream = stream_of(session, frame->hd.stream_id);
        if (stream != NULL) {
            stream->end_sent = true;
        }
    }
    return 0;
}

/* A request that waited inside and will never be sent: nghttp2 has no stream for it, so no close either. */
static int on_frame_not_send(nghttp2_session *nghttp2, const nghttp2_frame *frame, int reason, void *user)
{
    (void)nghttp2;
    (void)reason;
    struct h2_session *session = user;

    if (session->config.role != H2_CLIENT || frame->hd.type != NGHTTP2_HEADERS ||
        stream_of(session, frame->hd.stream_id) != NULL) {
        return 0;
    }
    for (struct h2_stream *stream = session->live; stream != NULL; stream = stream->next) {
        if (stream->id == frame->hd.stream_id) {
            h2_stream_finish(session, stream, NGHTTP2_REFUSED_STREAM);
            break;
        }
    }
    return 0;
}

static nghttp2_session_callbacks *make_callbacks(void)
{
    nghttp2_session_callbacks *callbacks;

    if (nghttp2_session_callbacks_new(&callbacks) != 0) {
        return NULL;
    }
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_frame_not_send);
    return callbacks;
}

/* nghttp2's own limiter counts resets of answered streams too, which good clients send: it gets an endless
 * supply. */
static nghttp2_option *make_options(void)
{
    nghttp2_option *option;

    if (nghttp2_option_new(&option) != 0) {
        return NULL;
    }
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_max_outbound_ack(option, H2_QUEUED_ACKS_MAX);
    nghttp2_option_set_max_settings(option, H2_SETTINGS_ENTRIES_MAX);
    nghttp2_option_set_max_continuations(option, H2_CONTINUATIONS_MAX);
    nghttp2_option_set_stream_reset_rate_limit(option, UINT64_MAX, UINT64_MAX);
    return option;
}

static int queue_settings(struct h2_session *session)
{
    const struct h2_config *config = &session->config;
    nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, config->stream_window_bytes},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, config->header_list_bytes_max},
        config->role == H2_SERVER
            ? (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, config->streams_count_max}
            : (nghttp2_settings_entry){NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
    };

    if (nghttp2_submit_settings(
            session->nghttp2, NGHTTP2_FLAG_NONE, entries, sizeof entries / sizeof *entries) != 0 ||
        nghttp2_session_set_local_window_size(
            session->nghttp2, NGHTTP2_FLAG_NONE, 0, (int32_t)config->connection_window_bytes) != 0) {
        return WERR_NOMEM;
    }
    return 0;
}

static void fill_defaults(struct h2_config *config)
{
    static const struct h2_callbacks none;

    config->callbacks = config->callbacks != NULL ? config->callbacks : &none;
    config->stream_window_bytes =
        config->stream_window_bytes != 0 ? config->stream_window_bytes : H2_STREAM_WINDOW_BYTES;
    config->connection_window_bytes =
        config->connection_window_bytes != 0 ? config->connection_window_bytes : H2_CONNECTION_WINDOW_BYTES;
    config->streams_count_max =
        config->streams_count_max != 0 ? config->streams_count_max : H2_STREAMS_COUNT_MAX;
    config->resets_unanswered_max =
        config->resets_unanswered_max != 0 ? config->resets_unanswered_max : H2_RESETS_UNANSWERED_MAX;
    config->header_list_bytes_max =
        config->header_list_bytes_max != 0 ? config->header_list_bytes_max : H2_HEADER_LIST_BYTES_MAX;
}

int h2_session_init(struct h2_session *session, const struct h2_config *config)
{
    nghttp2_session_callbacks *callbacks = make_callbacks();
    nghttp2_option *option = make_options();
    int error = WERR_NOMEM;

    *session = (struct h2_session){.config = *config, .user = config->user};
    fill_defaults(&session->config);
    session->callbacks = session->config.callbacks;
    if (callbacks != NULL && option != NULL) {
        int made = config->role == H2_SERVER
                       ? nghttp2_session_server_new2(&session->nghttp2, callbacks, session, option)
                       : nghttp2_session_client_new2(&session->nghttp2, callbacks, session, option);
        error = made == 0 ? queue_settings(session) : WERR_NOMEM;
    }
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
    if (error != 0) {
        h2_session_deinit(session);
    }
    return error;
}

void h2_session_deinit(struct h2_session *session)
{
    if (session == NULL) {
        return;
    }
    session->closing = true;
    while (session->live != NULL) {
        h2_stream_finish(session, session->live, NGHTTP2_CANCEL);
    }
    nghttp2_session_del(session->nghttp2);
    session->nghttp2 = NULL;
    session->unsent = (struct slice){0};
    while (session->free != NULL) {
        struct h2_stream *next = session->free->next;
        free(session->free);
        session->free = next;
    }
    session->free_count = 0;
}

static void turn_window(struct h2_session *session, uint64_t now_ns)
{
    if (now_ns - session->window_start_ns >= H2_FLOOD_WINDOW_NS) {
        session->window_start_ns = now_ns;
        session->resets_unanswered_count = 0;
        session->empty_frame_count = 0;
    }
}

/* nghttp2's verdict on what was fed; queues the GOAWAY that it leaves to us. */
static int judge(struct h2_session *session, ssize_t result)
{
    if (result == NGHTTP2_ERR_NOMEM) {
        session->failure = WERR_NOMEM;
    } else if (result == NGHTTP2_ERR_BAD_CLIENT_MAGIC) {
        session->failure = WERR_PROTOCOL;
    } else if (result < 0 && session->failure == 0) {
        session->flood = H2_FLOOD_QUEUE;
        session->failure = WERR_PROTOCOL;
    } else if (result >= 0 &&
               nghttp2_session_get_outbound_queue_size(session->nghttp2) > H2_QUEUED_FRAMES_MAX) {
        (void)fail_flood(session, H2_FLOOD_QUEUE);
    }
    if (session->failure == WERR_PROTOCOL && result != NGHTTP2_ERR_BAD_CLIENT_MAGIC) {
        h2_session_terminate(session, NGHTTP2_ENHANCE_YOUR_CALM);
    }
    return session->failure;
}

int h2_session_receive(struct h2_session *session, struct slice bytes, uint64_t now_ns)
{
    if (session->failure != 0 || bytes.length == 0) {
        return session->failure;
    }
    turn_window(session, now_ns);
    return judge(session, nghttp2_session_mem_recv(session->nghttp2, bytes.ptr, bytes.length));
}
