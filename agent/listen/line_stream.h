/*
 * A stream of log messages or lines: reads a connection, takes the framing off and hands on what is whole.
 * Runs on the loop of the shard that owns the connection. No payload is looked at.
 *
 *   OCTETS    "356 <134>1 2026-…" one message after the other (RFC 6587, 3.4.1); a message that begins with
 *             "<" instead of its length ends with a newline (RFC 6587, 3.4.2)
 *   NEWLINES  lines; a run of whole ones is handed on at once
 *
 * What is longer than line_bytes_max is skipped to its end, so that the next message is found. A length that
 * is none ends the connection: there is no telling where the next message begins.
 */
#ifndef WEFT_LISTEN_LINE_STREAM_H
#define WEFT_LISTEN_LINE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uv.h>

#include "core/metrics.h"
#include "core/slice.h"

enum line_framing { LINE_FRAMING_OCTETS, LINE_FRAMING_NEWLINES };

enum {
    LINE_STREAM_HEAD_BYTES_MAX = 8, /* digits of a length and the space behind them */
    LINE_STREAM_READS_PER_TURN = 16,
    LINE_STREAM_DRAIN_READS_COUNT = 256, /* that a stop still reads */
};

struct line_stream_handler {
    /* Before the calls of one read. */
    void (*on_batch)(void *user);
    /* OCTETS: one message. NEWLINES: whole lines, the last one's newline included. Valid during the call. */
    void (*on_lines)(void *user, struct slice lines);
    /* A message or line longer than line_bytes_max; once for each. `start`: its beginning. */
    void (*on_oversized)(void *user, struct slice start);
    /* The connection has ended and the stream is gone after this. cut: it ended inside a message. */
    void (*on_closed)(void *user, bool cut);
};

struct line_stream;

/* Streams of one loop, the one without a whole line for longest first. */
TAILQ_HEAD(line_streams, line_stream);

struct line_stream_config {
    uv_loop_t *loop;
    struct line_streams *streams; /* which the stream joins while it is open; may be NULL */
    enum line_framing framing;
    size_t line_bytes_max;
    const struct line_stream_handler *handler;
    struct metric_cells *cells; /* RECEIVED_BYTES; CONNECTIONS_PROTOCOL for a length that is none */
};

/* Starts reading from fd, non-blocking, by the next turn of the loop; owns it when it returns 0. WERR_NOMEM,
 * WERR_IO. No handler is called before it has returned. */
int line_stream_new(
    const struct line_stream_config *config, int fd, void *user, struct line_stream **ret_stream);

/* Before a stop: reads what lies there, at most LINE_STREAM_DRAIN_READS_COUNT times, then closes. on_closed
 * comes by a later turn of the loop. Not from inside a handler; a second call does nothing. */
void line_stream_close(struct line_stream *stream);

/*
 * Closes at most count_max of the streams that had no whole line for idle_ms, those quiet longest first, and
 * counts them as CONNECTIONS_IDLE. For when others want their room: a quiet sender of lines may be one with
 * nothing to say, so a stream is not ended for that alone. Returns how many.
 */
size_t line_streams_end_idle(struct line_streams *streams, size_t count_max, uint64_t idle_ms);

#endif
