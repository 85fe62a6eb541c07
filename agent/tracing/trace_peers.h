/*
 * Other agents, as trace.peers names them: questions about traces (GET, answered in JSON) and notices of
 * traces that are kept here (POST /api/v1/keep, every NOTICE_PERIOD_MS). Each peer has one connection for
 * either, one request at a time in each; a peer that does not answer costs nobody else anything.
 *
 * A notice is sent again, NOTICE_TRIES times; then, or with NOTICES_COUNT_MAX waiting, it is given up and
 * counted. Peers never pass on what they are told, so nothing goes round.
 *
 * Threads: the trace thread's loop.
 */
#ifndef WEFT_AGENT_TRACE_PEERS_H
#define WEFT_AGENT_TRACE_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "config/config.h"
#include "core/metrics.h"
#include "core/slice.h"
#include "query/trace_model.h"

enum {
    TRACE_PEER_QUESTIONS_MAX = 64,     /* that wait for one peer */
    TRACE_PEER_PATH_BYTES = 8192,      /* of a question, with its arguments */
    TRACE_PEER_BODY_BYTES = 32 << 20,  /* of an answer */
    TRACE_PEERS_BYTES_MAX = 128 << 20, /* of all answers that are being received */
    TRACE_NOTICE_PERIOD_MS = 100,
    TRACE_NOTICE_IDS_MAX = 1024,    /* in one request */
    TRACE_NOTICES_COUNT_MAX = 8192, /* that wait for one peer */
    TRACE_NOTICE_TRIES = 5,
    TRACE_NOTICE_RETRY_MS = 1000,
};

struct trace_peers;

struct trace_peers_config {
    const struct config_trace *trace;
    uint64_t timeout_ms; /* of a request */
    uv_loop_t *loop;
    struct metric_cells *cells;
};

/* With no peer configured too: then there is nobody to ask. 0, WERR_NOMEM or WERR_CONFIG. */
int trace_peers_new(const struct trace_peers_config *config, struct trace_peers **ret_peers);

size_t trace_peers_count(const struct trace_peers *peers);

/* How long what is asked from now on may take (limits.trace_answer_ms). */
void trace_peers_set_timeout(struct trace_peers *peers, uint64_t timeout_ms);
const char *trace_peers_name(const struct trace_peers *peers, size_t index); /* its URL */

/*
 * The answer of one peer: error 0 with the body of a 200, else WERR_FULL (too many questions wait for it),
 * WERR_TIMEOUT, WERR_OVERSIZED, WERR_NOMEM, WERR_IO (it cannot be reached), WERR_PROTOCOL (another status).
 */
typedef void trace_peer_answer(void *user, size_t index, int error, struct slice body);

/* Asks all peers; `answer` comes once for each, for some of them perhaps before this returns. */
void trace_peers_ask(struct trace_peers *peers, const char *path, trace_peer_answer *answer, void *user);

/* No more answers for that user. */
void trace_peers_forget(struct trace_peers *peers, const void *user);

/* Tells all peers of a trace that is kept. */
void trace_peers_notify(struct trace_peers *peers, const uint8_t trace_id[static TRACE_MODEL_ID_BYTES]);

/* Ends all requests without answers, and closes the handles. NULL is fine. */
void trace_peers_close(struct trace_peers *peers);

/* After the loop has ended. NULL is fine. */
void trace_peers_free(struct trace_peers *peers);

#endif
