/*
 * One HTTP/2 session, server or client, on nghttp2: bytes in, bytes out, no I/O, so that tests and fuzzers
 * feed it bytes.
 *
 *   socket bytes ─► h2_session_receive ─► callbacks (header, data, end, close)
 *   h2_submit_request / h2_submit_response ─► h2_session_send ─► bytes for one write that serves many streams
 *
 * Flow control: the connection's window is given back as bytes arrive; a stream's window only as its owner
 * consumes them (h2_stream_consume), so that one stream that waits never stops the others. What a stream can
 * have outstanding is its window (stream_window_bytes).
 *
 * Floods (peers that make us work without asking for anything) end the session with ENHANCE_YOUR_CALM: see
 * enum h2_flood.
 *
 * Threads: a session belongs to one thread.
 */
#ifndef WEFT_CORE_H2_H
#define WEFT_CORE_H2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <nghttp2/nghttp2.h>

#include "core/slice.h"

enum {
    H2_STREAM_WINDOW_BYTES = 1048576,
    H2_CONNECTION_WINDOW_BYTES = 16777216,
    H2_STREAMS_COUNT_MAX = 1024,
    H2_RESETS_UNANSWERED_MAX = 2000,
    H2_HEADER_LIST_BYTES_MAX = 16384, /* decoded: names + values + 32 each; past it the stream is reset */
    H2_CONTINUATIONS_MAX = 8,         /* of one header block; past it the session ends */
    H2_SETTINGS_ENTRIES_MAX = 32,     /* of one SETTINGS frame; past it the session ends */
    H2_QUEUED_ACKS_MAX = 1000, /* PING and SETTINGS answers that wait to be sent; past it the session ends */
    H2_QUEUED_FRAMES_MAX = 8192, /* frames that wait to be sent after a receive; past it the session ends */
    H2_EMPTY_FRAMES_MAX =
        10000, /* frames without content in a window, less H2_EMPTY_FRAMES_PER_USEFUL each useful one */
    H2_EMPTY_FRAMES_PER_USEFUL = 4,
    H2_HEADERS_COUNT_MAX = 48, /* fields that we send in one block */
    H2_BODY_PARTS_MAX = 2,
};
#define H2_FLOOD_WINDOW_NS 60000000000ull /* floods are counted anew after this long */

/* The first 24 bytes of a client's connection; for sniffing. */
#define H2_CLIENT_MAGIC "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define H2_CLIENT_MAGIC_BYTES 24

enum h2_role { H2_SERVER, H2_CLIENT };

enum h2_flood {
    H2_FLOOD_NONE,
    H2_FLOOD_RESETS, /* streams that ended by reset before we had finished answering them */
    H2_FLOOD_EMPTY,  /* PING, SETTINGS, WINDOW_UPDATE, PRIORITY and empty DATA */
    H2_FLOOD_QUEUE,  /* the peer makes us answer faster than it reads */
};

struct h2_session;

/* One field to send. Fields without `lasting` are copied by the submitting call; those with it must outlive
 * the session. */
struct h2_header {
    struct slice name; /* lower case */
    struct slice value;
    bool lasting;
};

/* A field whose name and value are string literals. */
#define H2_LITERAL(field_name, field_value)                                                                  \
    {                                                                                                        \
        .name = {.ptr = (const uint8_t *)(field_name), .length = sizeof(field_name) - 1},                    \
        .value = {.ptr = (const uint8_t *)(field_value), .length = sizeof(field_value) - 1}, .lasting = true \
    }

/* A stream. From the session's free list; gone after on_close. Fields are for reading. */
struct h2_stream {
    int32_t id;
    uint32_t header_bytes; /* of the block being received */
    bool headers_seen; /* the peer's first (not informational) block is complete: a further one is trailers */
    bool informational; /* the block being received is a 1xx response */
    bool end_received;  /* the peer has sent END_STREAM */
    bool resetting;     /* the owner asked for a reset: only on_close follows */
    bool submitted;     /* request or response was submitted */
    bool end_sent;      /* our END_STREAM has been handed to h2_session_send's caller: answered */
    uint8_t body_part_count;
    uint8_t body_part_at;
    size_t body_offset; /* in that part */
    struct slice body[H2_BODY_PARTS_MAX];
    const struct h2_header *trailers;
    size_t trailer_count;
    struct h2_stream *next; /* list of live streams, or free list */
    struct h2_stream *previous;
    _Alignas(16) unsigned char user[]; /* stream_user_bytes for the owner; zeroed when the stream begins */
};

/*
 * All run inside h2_session_receive or h2_session_send (on_close also in h2_session_deinit). They may submit,
 * consume and reset, but neither receive, send nor deinit. An `int` that is negative (WERR_) resets the
 * stream with INTERNAL_ERROR. NULL where the owner does not care. Slices are valid during the call only.
 */
struct h2_callbacks {
    /* Server: a request begins. */
    int (*on_begin)(void *user, struct h2_stream *stream);
    /* One field of request, response or trailers; of an informational response none are reported. */
    int (*on_header)(void *user, struct h2_stream *stream, struct slice name, struct slice value);
    /* A block is complete; `trailers`: it was not the first. Not called for informational responses. */
    int (*on_headers_end)(void *user, struct h2_stream *stream, bool trailers);
    /* A run of body bytes, not aligned to anything. The owner owes h2_stream_consume for them. */
    int (*on_data)(void *user, struct h2_stream *stream, struct slice data);
    /* The peer has finished its side. */
    int (*on_end)(void *user, struct h2_stream *stream);
    /* The stream is gone; body and trailers given to submit are free again. error_code: NGHTTP2_NO_ERROR or
     * the reset's. */
    void (*on_close)(void *user, struct h2_stream *stream, uint32_t error_code);
    /* The peer will answer no stream above last_stream_id (those get on_close with REFUSED_STREAM) and wants
     * no new ones. */
    void (*on_goaway)(void *user, int32_t last_stream_id, uint32_t error_code);
    /* The answer to h2_session_ping. */
    void (*on_ping_ack)(void *user);
};

/* Zero in a field means its default above. */
struct h2_config {
    enum h2_role role;
    uint32_t stream_window_bytes;
    uint32_t connection_window_bytes;
    uint32_t streams_count_max; /* that the peer may have open; a client takes what the server says */
    uint32_t resets_unanswered_max;
    uint32_t header_list_bytes_max;
    size_t stream_user_bytes;             /* of h2_stream.user */
    const struct h2_callbacks *callbacks; /* outlives the session */
    void *user;                           /* first argument of every callback */
};

struct h2_session {
    nghttp2_session *nghttp2;
    const struct h2_callbacks *callbacks;
    void *user;
    struct h2_config config;
    struct h2_stream *live; /* doubly linked */
    struct h2_stream *free;
    size_t free_count;
    size_t open_count;   /* live streams */
    struct slice unsent; /* rest of the frame that did not fit the caller's buffer; nghttp2's memory */
    uint64_t window_start_ns;
    uint32_t resets_unanswered_count; /* in this window */
    uint32_t empty_frame_count;       /* in this window, less what useful frames earned */
    enum h2_flood flood;
    bool closing;  /* being torn down: resets are ours */
    bool draining; /* no new streams are wanted */
    bool drained;  /* nor taken */
    bool goaway_received;
    int failure; /* the first WERR_ that ended it, or 0 */
};

/*
 * Makes the session and queues its SETTINGS (and a client's magic). The server expects the client's magic
 * among the bytes. 0 or WERR_NOMEM; a failed init needs no undo.
 */
int h2_session_init(struct h2_session *session, const struct h2_config *config);

/* Closes every stream (on_close with CANCEL), frees everything. A zeroed or deinitialised session is fine; so
 * is NULL. */
void h2_session_deinit(struct h2_session *session);

/*
 * Feeds bytes from the peer; calls back. now_ns: monotonic. Always takes all bytes. What ended the session
 * stays in session->failure; an error that nghttp2 answers by itself shows there only after h2_session_send.
 * 0, or WERR_PROTOCOL  the peer broke the protocol or a flood limit (session->flood tells): send what
 * h2_session_send still gives (GOAWAY) and close WERR_NOMEM     out of memory: close After a failure it
 * returns the same error and ignores its input.
 */
int h2_session_receive(struct h2_session *session, struct slice bytes, uint64_t now_ns);

/* Writes what is due into out, at most `capacity` bytes. Returns their count, 0 when nothing is due, or
 * WERR_NOMEM. */
long h2_session_send(struct h2_session *session, uint8_t *out, size_t capacity);

/* Whether h2_session_send would give bytes. */
bool h2_session_wants_send(const struct h2_session *session);

/* True when the session is over (GOAWAY done, or failed) and nothing is left to send: close the connection.
 */
bool h2_session_finished(const struct h2_session *session);

/*
 * Client: begins a request. Headers as h2_header says (":method", ":scheme", ":path", ":authority" first).
 * The body's bytes stay the caller's and must live until on_close; part_count 0: no body. ret_stream->user is
 * zeroed and the owner's. 0, WERR_NOMEM, WERR_CLOSED (GOAWAY, or stream ids used up), WERR_OVERSIZED (too
 * many headers). Requests past the server's stream limit wait inside.
 */
int h2_submit_request(struct h2_session *session, const struct h2_header *headers, size_t header_count,
    const struct slice *body_parts, size_t part_count, struct h2_stream **ret_stream);

/*
 * Server: answers. Without body and trailers the headers end the stream. Body bytes, the trailer array and
 * what it points to must live until on_close. 0, WERR_NOMEM, WERR_EXISTS (answered before), WERR_OVERSIZED.
 */
int h2_submit_response(struct h2_session *session, struct h2_stream *stream, const struct h2_header *headers,
    size_t header_count, const struct slice *body_parts, size_t part_count, const struct h2_header *trailers,
    size_t trailer_count);

/* Ends a stream with RST_STREAM; on_close follows from a later send. */
void h2_stream_reset(struct h2_session *session, struct h2_stream *stream, uint32_t error_code);

/* Gives `bytes` of what on_data delivered back to the stream's window. 0 or WERR_NOMEM. */
int h2_stream_consume(struct h2_session *session, struct h2_stream *stream, size_t bytes);

/* Asks the peer for a sign of life (on_ping_ack). 0 or WERR_NOMEM. */
int h2_session_ping(struct h2_session *session);

/*
 * Server: says that no new streams are wanted, and, when the peer has shown by a PING's answer that it knows,
 * takes no more. Requests that were under way until then still arrive: the owner refuses them in its own
 * words. Open streams go on; h2_session_finished tells the end. Clients without open streams hang up instead
 * of answering. A second call does not wait for the answer any longer.
 */
void h2_session_drain(struct h2_session *session);

/* Ends everything with GOAWAY(error_code), sent by the next h2_session_send. */
void h2_session_terminate(struct h2_session *session, uint32_t error_code);

static inline void *h2_stream_user(struct h2_stream *stream)
{
    return stream->user;
}

#endif
