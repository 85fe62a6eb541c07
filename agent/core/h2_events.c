/*
 * What nghttp2 reports about an HTTP/2 session, turned into the callbacks of h2.h; counts floods. Runs on the
 * thread that owns the session.
 */
#include "core/h2.h"

#include <string.h>

#include "core/error.h"
#include "core/h2_internal.h"

static struct h2_stream *stream_of(struct h2_session *session, int32_t id)
{
    return nghttp2_session_get_stream_user_data(session->nghttp2, id);
}

int h2_fail_flood(struct h2_session *session, enum h2_flood flood)
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
        return h2_fail_flood(session, H2_FLOOD_EMPTY);
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
        return h2_fail_flood(session, H2_FLOOD_RESETS);
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

nghttp2_session_callbacks *h2_make_callbacks(void)
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
