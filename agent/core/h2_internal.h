/* What h2.c, h2_events.c and h2_submit.c share; nobody else includes it. */
#ifndef WEFT_CORE_H2_INTERNAL_H
#define WEFT_CORE_H2_INTERNAL_H

#include "core/h2.h"

/* Payload of the PING that goes with a drain's first GOAWAY; tells its answer from others'. */
#define H2_DRAIN_PING                                                                                        \
    {                                                                                                        \
        'd', 'r', 'a', 'i', 'n', 'i', 'n', 'g'                                                               \
    }

/* A zeroed stream, entered in the live list; NULL when memory is out. */
struct h2_stream *h2_stream_take(struct h2_session *session);

/* Out of the live list and into the free list; nobody is told. */
void h2_stream_give_back(struct h2_session *session, struct h2_stream *stream);

/* Tells the owner that the stream is over, then gives it back. */
void h2_stream_finish(struct h2_session *session, struct h2_stream *stream, uint32_t error_code);

/* The last GOAWAY of a drain: what comes after it is not looked at. */
void h2_session_drain_now(struct h2_session *session);

/* Notes the first reason to end the session. Returns what makes nghttp2 stop. */
int h2_fail_flood(struct h2_session *session, enum h2_flood flood);

/* nghttp2's callbacks for both roles; NULL when memory is out. Freed by the caller. */
nghttp2_session_callbacks *h2_make_callbacks(void);

#endif
