/*
 * An answer without a known end: what is written goes to the reader as soon as it takes it, at most so many
 * bytes wait. Everything on the server's loop.
 *
 * libmicrohttpd asks for bytes; while there are none its connection is suspended, and it does not see then
 * that the reader went away: whoever writes should write something now and then.
 */
#ifndef WEFT_LISTEN_HTTP_STREAM_H
#define WEFT_LISTEN_HTTP_STREAM_H

#include <stdbool.h>

#include "core/slice.h"
#include "listen/http_server.h"

struct http_stream;

/*
 * Answers the exchange, which is not to be used afterwards, with status 200. `ended` is called once: when the
 * reader has gone or does not read (HTTP_READER_STALL_S), when the server closes, or after http_stream_end;
 * the stream is not to be used then. bytes_max: that wait.
 *
 * 0, or WERR_NOMEM: then the exchange is still to be answered and `ended` will not be called.
 */
int http_stream_begin(struct http_exchange *exchange, const char *content_type, size_t bytes_max,
    void (*ended)(void *user), void *user, struct http_stream **ret_stream);

/* False, with nothing written, when there is no room. */
bool http_stream_write(struct http_stream *stream, struct slice bytes);

/* No more is written: it ends when the reader has what there is. */
void http_stream_end(struct http_stream *stream);

#endif
