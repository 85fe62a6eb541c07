/* A connection of lines and its sender; see sender_stream.h. */
#include "receivers/sender_stream.h"

#include <stdlib.h>

#include "core/error.h"

int sender_stream_add(struct sender_streams *streams, const struct sender_stream_config *config, int fd)
{
    struct sender_stream *stream = calloc(1, sizeof *stream);

    if (stream == NULL) {
        return WERR_NOMEM;
    }
    stream->owner = config->owner;
    stream->pipeline = config->pipeline;
    stream->on_ended = config->on_ended;
    stream->user = config->user;
    (void)sender_of_socket(fd, config->proc_root, &stream->sender);
    context_sender_bind(&config->pipeline->context, &stream->sender);
    int error = line_stream_new(&config->lines, fd, stream, &stream->lines);
    if (error < 0) {
        context_sender_release(&config->pipeline->context, &stream->sender);
        free(stream);
        return error;
    }
    LIST_INSERT_HEAD(streams, stream, link);
    return 0;
}

void sender_stream_on_closed(void *user, bool cut)
{
    struct sender_stream *stream = user;

    if (cut) {
        LEDGER_ADD(stream->pipeline->cells, METRIC_MESSAGES_CUT, 1);
    }
    LIST_REMOVE(stream, link);
    context_sender_release(&stream->pipeline->context, &stream->sender);
    stream->on_ended(stream->user);
    free(stream);
}

void sender_streams_close(struct sender_streams *streams)
{
    struct sender_stream *stream;

    LIST_FOREACH(stream, streams, link)
    {
        line_stream_close(stream->lines);
    }
}
