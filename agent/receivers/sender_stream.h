/*
 * A connection of lines together with who sends them: what the receivers of lines have in common. The shard's
 * thread. The lines themselves go to the receiver's own handler.
 */
#ifndef WEFT_AGENT_SENDER_STREAM_H
#define WEFT_AGENT_SENDER_STREAM_H

#include <sys/queue.h>

#include "listen/line_stream.h"
#include "pipeline/pipeline.h"

/* The `user` of the handler's calls, which read `owner` and `sender` alone. */
struct sender_stream {
    void *owner; /* the receiver, or its part, that takes the lines; borrowed */
    struct sender sender;
    struct pipeline *pipeline;
    struct line_stream *lines;
    void (*on_ended)(void *user);
    void *user;
    LIST_ENTRY(sender_stream) link;
};

/* Those of a receiver; LIST_INIT makes it. */
LIST_HEAD(sender_streams, sender_stream);

struct sender_stream_config {
    struct pipeline *pipeline;
    const char *proc_root;           /* "/proc", or a fixture */
    struct line_stream_config lines; /* its handler's on_closed is sender_stream_on_closed */
    void *owner;
    void (*on_ended)(void *user); /* once, when the connection has ended */
    void *user;
};

/* Reads a connection, non-blocking; owns fd when it returns 0. WERR_NOMEM or WERR_IO. */
int sender_stream_add(struct sender_streams *streams, const struct sender_stream_config *config, int fd);

/* Takes it from its list, counts one that was cut, tells on_ended, frees it. */
void sender_stream_on_closed(void *stream, bool cut);

/* Before a stop: takes what lies in the sockets, then closes. They end by later turns of the loop. */
void sender_streams_close(struct sender_streams *streams);

#endif
