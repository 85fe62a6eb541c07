/*
 * What a proxy's requests are counted from, when it tells them more than once: by spans, by OpenTelemetry log
 * records, by an access log. One answer for each proxy and reporter side, shared by all shards: its
 * connections may end on different ones.
 *
 *            spans, OTLP logs            limits.count_decision_ms
 *   new ─────────────────────► undecided ────────────────────────► the best that was seen
 *    │                             │                                         │
 *    └────── an access log ────────┴──────► access log ◄── anything better ──┘ (a change: counted)
 *                                               │ nothing of it for limits.access_log_silence_ms, and
 * something └──────► undecided                        that tells less
 *
 * While it is undecided, requests are held (held_requests.h). A change doubles at most the requests of that
 * moment. Access logs win because they tell every request; spans may be sampled.
 *
 * Any thread, without locks: a place is two atomic words, and a lost race only repeats a step. Only to give a
 * silent proxy's place to another, once for each such proxy, is there a lock.
 */
#ifndef WEFT_CONTEXT_COUNT_SOURCE_H
#define WEFT_CONTEXT_COUNT_SOURCE_H

#include <stdint.h>

#include "context/request.h"
#include "context/sender.h"
#include "core/limits.h"
#include "core/metrics.h"
#include "core/slice.h"

/* The configuration's `count_from`. */
enum count_from { COUNT_FROM_AUTO, COUNT_FROM_ACCESS_LOG, COUNT_FROM_SPANS };

enum count_verdict {
    COUNT_NOW,
    COUNT_HOLD,      /* not known yet: hold it, and ask again */
    COUNT_SUPERSEDED /* its request is counted from elsewhere */
};

enum {
    COUNT_SOURCES_COUNT = 8192, /* proxies times sides at once; power of two */
    COUNT_SOURCES_PROBES = 16,
    COUNT_SOURCE_IDLE_S = 3600, /* a place unused for so long is given to another proxy */
};

struct count_sources;

/* limits are read, not kept. NULL when out of memory. */
struct count_sources *count_sources_new(enum count_from from, const struct limits *limits);
void count_sources_free(struct count_sources *sources);

/* From any thread: what is decided from now on is decided so. */
void count_sources_reconfigure(
    struct count_sources *sources, enum count_from from, const struct limits *limits);

/*
 * The voice of a proxy on one side; made when it is new. The process behind the connection names the proxy
 * where the kernel tells it (two proxies of one user, one node id); else its sender id and node_id, which may
 * be empty. With no place left: a voice that always counts, with METRIC_COUNT_SOURCES_LIMITED counted. A
 * voice is good for COUNT_SOURCE_IDLE_S after its last use; ask again now and then.
 */
struct count_voice count_sources_find(struct count_sources *sources, const struct sender *sender,
    struct slice node_id, enum reporter reporter, uint64_t now_monotonic_ns, struct metric_cells *cells);

/* Whether a request that came as `source` counts. With a voice of zeroes it always does. */
enum count_verdict count_source_verdict(struct count_sources *sources, enum request_signal source,
    struct count_voice voice, uint64_t now_monotonic_ns, struct metric_cells *cells);

/* No longer wait for a log, for want of room to hold what its spans tell. The voice is not zeroes. */
void count_source_end_wait(struct count_sources *sources, struct count_voice voice, uint64_t now_monotonic_ns,
    struct metric_cells *cells);

#endif
