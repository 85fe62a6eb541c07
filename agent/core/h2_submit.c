/*
 * What an HTTP/2 session (h2.h) sends: requests, responses, resets, GOAWAY; and the bytes of it all for one
 * write. Runs on the thread that owns the session.
 */
#include "core/h2.h"

#include <string.h>

#include "core/error.h"
#include "core/h2_internal.h"

static int map_error(int result)
{
    switch (result) {
    case 0:
        return 0;
    case NGHTTP2_ERR_STREAM_ID_NOT_AVAILABLE:
    case NGHTTP2_ERR_SESSION_CLOSING:
    case NGHTTP2_ERR_START_STREAM_NOT_ALLOWED:
        return WERR_CLOSED;
    case NGHTTP2_ERR_DATA_EXIST:
        return WERR_EXISTS;
    case NGHTTP2_ERR_NOMEM:
        return WERR_NOMEM;
    default:
        return WERR_INVALID;
    }
}

/* nghttp2 wants pointers to non-const; it does not write through them. */
static uint8_t *unconst(const uint8_t *ptr)
{
    union {
        const uint8_t *in;
        uint8_t *out;
    } pointer = {.in = ptr};
    return pointer.out;
}

static void fill_fields(nghttp2_nv *fields, const struct h2_header *headers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        fields[i] = (nghttp2_nv){.name = unconst(headers[i].name.ptr),
            .value = unconst(headers[i].value.ptr),
            .namelen = headers[i].name.length,
            .valuelen = headers[i].value.length,
            .flags = headers[i].lasting
                         ? (uint8_t)(NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE)
                         : (uint8_t)NGHTTP2_NV_FLAG_NONE};
    }
}

static size_t copy_body(struct h2_stream *stream, uint8_t *out, size_t capacity)
{
    size_t copied = 0;

    while (copied < capacity && stream->body_part_at < stream->body_part_count) {
        struct slice part = stream->body[stream->body_part_at];
        size_t bytes = part.length - stream->body_offset;
        if (bytes > capacity - copied) {
            bytes = capacity - copied;
        }
        if (bytes > 0) {
            memcpy(out + copied, part.ptr + stream->body_offset, bytes);
        }
        copied += bytes;
        stream->body_offset += bytes;
        if (stream->body_offset == part.length) {
            stream->body_part_at++;
            stream->body_offset = 0;
        }
    }
    return copied;
}

static ssize_t read_body(nghttp2_session *nghttp2, int32_t stream_id, uint8_t *out, size_t capacity,
    uint32_t *data_flags, nghttp2_data_source *source, void *user)
{
    (void)user;
    struct h2_stream *stream = source->ptr;
    size_t copied = copy_body(stream, out, capacity);

    if (stream->body_part_at < stream->body_part_count) {
        return (ssize_t)copied;
    }
    *data_flags |= NGHTTP2_DATA_FLAG_EOF;
    if (stream->trailer_count > 0) {
        nghttp2_nv fields[H2_HEADERS_COUNT_MAX];
        fill_fields(fields, stream->trailers, stream->trailer_count);
        if (nghttp2_submit_trailer(nghttp2, stream_id, fields, stream->trailer_count) != 0) {
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        }
        *data_flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    }
    return (ssize_t)copied;
}

static void set_body(struct h2_stream *stream, const struct slice *parts, size_t part_count)
{
    stream->body_part_count = (uint8_t)part_count;
    for (size_t i = 0; i < part_count; i++) {
        stream->body[i] = parts[i];
    }
}

int h2_submit_request(struct h2_session *session, const struct h2_header *headers, size_t header_count,
    const struct slice *body_parts, size_t part_count, struct h2_stream **ret_stream)
{
    nghttp2_nv fields[H2_HEADERS_COUNT_MAX];

    if (header_count > H2_HEADERS_COUNT_MAX || part_count > H2_BODY_PARTS_MAX) {
        return WERR_OVERSIZED;
    }
    if (session->failure != 0 || session->goaway_received) {
        return WERR_CLOSED;
    }
    struct h2_stream *stream = h2_stream_take(session);
    if (stream == NULL) {
        return WERR_NOMEM;
    }
    fill_fields(fields, headers, header_count);
    set_body(stream, body_parts, part_count);
    nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = read_body};
    int32_t id = nghttp2_submit_request(
        session->nghttp2, NULL, fields, header_count, part_count > 0 ? &provider : NULL, stream);
    if (id < 0) {
        h2_stream_give_back(session, stream);
        return map_error(id);
    }
    stream->id = id;
    stream->submitted = true;
    *ret_stream = stream;
    return 0;
}

int h2_submit_response(struct h2_session *session, struct h2_stream *stream, const struct h2_header *headers,
    size_t header_count, const struct slice *body_parts, size_t part_count, const struct h2_header *trailers,
    size_t trailer_count)
{
    nghttp2_nv fields[H2_HEADERS_COUNT_MAX];

    if (header_count > H2_HEADERS_COUNT_MAX || trailer_count > H2_HEADERS_COUNT_MAX ||
        part_count > H2_BODY_PARTS_MAX) {
        return WERR_OVERSIZED;
    }
    if (stream->submitted) {
        return WERR_EXISTS;
    }
    fill_fields(fields, headers, header_count);
    set_body(stream, body_parts, part_count);
    stream->trailers = trailers;
    stream->trailer_count = trailer_count;
    nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = read_body};
    bool has_body = part_count > 0 || trailer_count > 0;
    int result = nghttp2_submit_response(
        session->nghttp2, stream->id, fields, header_count, has_body ? &provider : NULL);
    stream->submitted = result == 0;
    return map_error(result);
}

void h2_stream_reset(struct h2_session *session, struct h2_stream *stream, uint32_t error_code)
{
    if (stream->resetting) {
        return;
    }
    stream->resetting = true;
    (void)nghttp2_submit_rst_stream(session->nghttp2, NGHTTP2_FLAG_NONE, stream->id, error_code);
}

int h2_stream_consume(struct h2_session *session, struct h2_stream *stream, size_t bytes)
{
    if (stream->end_received || stream->resetting || bytes == 0) {
        return 0; /* nothing more may come: no update needed */
    }
    return nghttp2_session_consume_stream(session->nghttp2, stream->id, bytes) == NGHTTP2_ERR_NOMEM
               ? WERR_NOMEM
               : 0;
}

int h2_session_ping(struct h2_session *session)
{
    return map_error(nghttp2_submit_ping(session->nghttp2, NGHTTP2_FLAG_NONE, NULL));
}

void h2_session_drain_now(struct h2_session *session)
{
    if (!session->drained) {
        int32_t last_id = nghttp2_session_get_last_proc_stream_id(session->nghttp2);
        session->drained = true;
        (void)nghttp2_submit_goaway(session->nghttp2, NGHTTP2_FLAG_NONE, last_id, NGHTTP2_NO_ERROR, NULL, 0);
    }
}

void h2_session_drain(struct h2_session *session)
{
    if (session->draining) {
        h2_session_drain_now(session);
        return;
    }
    session->draining = true;
    (void)nghttp2_submit_shutdown_notice(session->nghttp2);
}

void h2_session_terminate(struct h2_session *session, uint32_t error_code)
{
    session->closing = true;
    (void)nghttp2_session_terminate_session(session->nghttp2, error_code);
}

long h2_session_send(struct h2_session *session, uint8_t *out, size_t capacity)
{
    size_t filled = 0;

    for (;;) {
        struct slice unsent = session->unsent;
        size_t bytes = unsent.length < capacity - filled ? unsent.length : capacity - filled;
        if (bytes > 0) {
            memcpy(out + filled, unsent.ptr, bytes);
            session->unsent = slice_sub(unsent, bytes, unsent.length);
            filled += bytes;
        }
        if (filled == capacity || session->failure == WERR_NOMEM) {
            break;
        }
        const uint8_t *frame;
        ssize_t frame_bytes = nghttp2_session_mem_send(session->nghttp2, &frame);
        if (frame_bytes == 0) {
            break;
        }
        if (frame_bytes < 0) {
            session->failure =
                frame_bytes == NGHTTP2_ERR_NOMEM || session->failure == 0 ? WERR_NOMEM : session->failure;
            break;
        }
        session->unsent = slice_of(frame, (size_t)frame_bytes);
    }
    return filled == 0 && session->failure == WERR_NOMEM ? WERR_NOMEM : (long)filled;
}

bool h2_session_wants_send(const struct h2_session *session)
{
    return session->unsent.length > 0 || nghttp2_session_want_write(session->nghttp2) != 0;
}

bool h2_session_finished(const struct h2_session *session)
{
    if (session->failure == WERR_NOMEM) {
        return true;
    }
    return !h2_session_wants_send(session) && nghttp2_session_want_read(session->nghttp2) == 0;
}
