/* Answers without a known end; see http_stream.h. Runs on the shard's loop. */
#include "listen/http_stream.h"

#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "listen/http_exchange.h"

enum { STREAM_BLOCK_BYTES = 16384 };

struct http_stream {
    LIST_ENTRY(http_stream) link; /* in server->streams */
    struct http_server *server;
    struct MHD_Connection *connection;
    void (*ended)(void *user);
    void *user;
    struct buffer out;
    size_t taken_bytes; /* of out, that libmicrohttpd has */
    bool is_suspended;
    bool is_over; /* nothing more is written */
};

/* MHD's: asked for bytes. */
static ssize_t on_read(void *cls, uint64_t position, char *to, size_t bytes_max)
{
    struct http_stream *stream = cls;
    size_t length = stream->out.length - stream->taken_bytes;

    (void)position;
    if (length == 0 && stream->is_over) {
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    if (length == 0) {
        stream->is_suspended = true;
        MHD_suspend_connection(stream->connection);
        return 0;
    }
    length = length < bytes_max ? length : bytes_max;
    memcpy(to, stream->out.data + stream->taken_bytes, length);
    stream->taken_bytes += length;
    if (stream->taken_bytes == stream->out.length) {
        stream->out.length = 0;
        stream->taken_bytes = 0;
    }
    return (ssize_t)length;
}

/* MHD's: the answer has been sent, or its connection has ended. */
static void on_free(void *cls)
{
    struct http_stream *stream = cls;

    LIST_REMOVE(stream, link);
    stream->ended(stream->user);
    buffer_deinit(&stream->out);
    free(stream);
}

static void resume(struct http_stream *stream)
{
    if (stream->is_suspended) {
        stream->is_suspended = false;
        MHD_resume_connection(stream->connection);
        http_server_run_soon(stream->server);
    }
}

int http_stream_begin(struct http_exchange *exchange, const char *content_type, size_t bytes_max,
    void (*ended)(void *user), void *user, struct http_stream **ret_stream)
{
    struct http_server *server = http_exchange_server(exchange);
    struct http_stream *stream = calloc(1, sizeof *stream);
    struct MHD_Response *response = stream != NULL ? MHD_create_response_from_callback(MHD_SIZE_UNKNOWN,
                                                         STREAM_BLOCK_BYTES, on_read, stream, on_free)
                                                   : NULL;

    if (response == NULL) {
        free(stream);
        return WERR_NOMEM;
    }
    *stream = (struct http_stream){
        .server = server, .connection = http_exchange_connection(exchange), .ended = ended, .user = user};
    buffer_init(&stream->out, bytes_max);
    LIST_INSERT_HEAD(&server->streams, stream, link);
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    http_exchange_answer_stream(exchange, response);
    *ret_stream = stream;
    return 0;
}

/* What was taken makes room for what comes. */
static void compact(struct http_stream *stream)
{
    size_t length = stream->out.length - stream->taken_bytes;

    if (stream->taken_bytes > 0) {
        memmove(stream->out.data, stream->out.data + stream->taken_bytes, length);
        stream->out.length = length;
        stream->taken_bytes = 0;
    }
}

bool http_stream_write(struct http_stream *stream, struct slice bytes)
{
    if (stream->is_over) {
        return false;
    }
    if (bytes.length > stream->out.cap_bytes - stream->out.length) {
        compact(stream);
    }
    if (bytes.length > stream->out.cap_bytes - stream->out.length) {
        return false;
    }
    if (buffer_append_slice(&stream->out, bytes) < 0) {
        stream->out.error = 0; /* without memory now; perhaps later */
        return false;
    }
    resume(stream);
    return true;
}

void http_stream_end(struct http_stream *stream)
{
    stream->is_over = true;
    resume(stream);
}

void http_streams_end(struct http_server *server)
{
    struct http_stream *stream;

    LIST_FOREACH(stream, &server->streams, link)
    {
        http_stream_end(stream);
    }
}
