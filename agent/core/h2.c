/*
 * The HTTP/2 session of h2.h: its beginning and end, its streams' free list, what it is fed. No I/O. Runs on
 * the thread that owns the session. What nghttp2 reports is in h2_events.c, submitting and sending in
 * h2_submit.c.
 */
#include "core/h2.h"

#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/h2_internal.h"

enum { FREE_STREAMS_MAX = 256 }; /* kept for reuse; a burst's others go back to the machine */

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
    if (session->live != stream) {
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
    nghttp2_session_callbacks *callbacks = h2_make_callbacks();
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
        (void)h2_fail_flood(session, H2_FLOOD_QUEUE);
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
