/*
 * Every limit of the agent: its name (the key under `limits:` in the configuration), default, and what
 * happens past it. X(name, default, smallest, largest, apply, help); apply says whether a reload changes it
 * (LIVE) or only a new start (RESTART). Going past any of them is counted and visible.
 */
#ifndef WEFT_CORE_LIMITS_H
#define WEFT_CORE_LIMITS_H

#include <stddef.h>
#include <stdint.h>

/* clang-format off */
#define WEFT_LIMITS(X)                                                                                                                 \
    X(connections_count_max,       4096,       1, 1048576, RESTART, "connections at once; a further one is closed")                             \
    X(connections_kind_percent,    25,         1, 33, LIVE,    "share of connections_count_max for each kind beside weft.sock's: streams of lines, records over TCP, readers; a further one is closed") \
    X(line_idle_s,                 300,        1, 604800, LIVE,    "a stream without a whole line for this long is closed when streams of lines have no room, the one quiet longest first") \
    X(message_bytes_max,           67108864,   1024, 1073741824, LIVE,    "one message after decompression; past it RESOURCE_EXHAUSTED or 413")     \
    X(assembly_bytes_max,          134217728,  65536, 17179869184, RESTART, "all messages being received; past it reading waits, then UNAVAILABLE") \
    X(waiting_bytes_max,           268435456,  65536, 17179869184, RESTART, "what had arrived of messages that wait for assembly memory; past it UNAVAILABLE at once") \
    X(admission_wait_ms,           5000,       0, 60000, LIVE,    "how long a message waits for assembly memory before it is refused")        \
    X(retry_after_ms,              1000,       1, 60000, LIVE,    "what a refused sender is told to wait")                                    \
    X(native_frame_bytes_max,      16777216,   4096, 67108864, RESTART, "one native frame after decompression; past it the connection ends")        \
    X(native_credit_bytes,         4194304,    65536, 67108864, LIVE,    "unacknowledged bytes that a native sender may have under way")            \
    X(dictionary_count_max,        65536,      64, 1048576, LIVE,    "strings of one native connection's dictionary")                            \
    X(native_instances_count_max,  65536,      16, 1048576, RESTART, "native senders whose last sequence number is remembered; past it the one quiet longest is forgotten") \
    X(string_bytes_max,            256,        16, 4096, RESTART, "one label value; a longer one is cut at a character")                      \
    X(attribute_bytes_max,         8192,       64, 1048576, LIVE,    "one attribute value that is looked at; a longer one is skipped")            \
    X(span_attributes_count_max,   512,        16, 65536, LIVE,    "attributes of one span that are looked at")                                \
    X(log_line_bytes_max,         16384,      1024, 65536, RESTART, "one access log line with its syslog header; a longer one is dropped")      \
    X(nesting_depth_max,           16,         4, 100, RESTART, "depth of nested messages")                                                \
    X(series_count_max,            20000,      64, 10000000, RESTART, "series of all families; past it the overflow series counts")               \
    X(sender_series_percent,       50,         1, 100, LIVE,    "share of series_count_max that one sender may create")                     \
    X(series_bytes_max,            100663296,  1048576, 17179869184, RESTART, "memory of shards' and aggregator's series values and strings")       \
    X(strings_count_max,           262144,     256, 16000000, RESTART, "strings of one interner")                                                  \
    X(series_idle_s,               3600,       1, 604800, LIVE,    "a series without traffic for this long is dropped")                        \
    X(sampling_weight_max,         65536,      1, 1048576, LIVE,    "what one sampled span may count for")                                      \
    X(time_skew_s,                 86400,      1, 31536000, LIVE,    "how far from now a record's time may lie")                                 \
    X(route_segments_count_max,    12,         1, 64, RESTART, "segments of a route template; past it the rest is *")                       \
    X(routes_per_destination_max,  200,        1, 100000, RESTART, "route templates of one destination; past it the route is /*")              \
    X(count_decision_ms,           5000,       0, 60000, LIVE,    "how long the requests of a new proxy's spans wait for an access log of the same requests")  \
    X(access_log_silence_ms,       30000,      1000, 3600000, LIVE,    "without an access-log entry for this long, a proxy's spans count again")    \
    X(held_requests_count_max,     131072,     0, 16777216, RESTART, "requests of one shard that wait so; past it they count at once")            \
    X(trace_ring_bytes,            268435456,  0, 17179869184, RESTART, "spans kept in memory, all shards' rings together, less what kept_traces_count_max, trace_timings_count_max and trace_observations_count_max take, a sixteenth at most; 0, or less than 262144 a shard: none are") \
    X(trace_span_bytes_max,        262144,     1024, 524288, RESTART, "one span in the ring, and half of a block of a small one; a larger one is not kept there") \
    X(trace_spans_count_max,       10000,      100, 1000000, RESTART, "spans of one trace that are read from a shard's ring at once; older ones are left out") \
    X(exemplar_traces_max,         2000,       0, 20000, RESTART, "traces pinned for exemplars, shared fairly between destinations; past it exemplars stay as they are; 0: no exemplars while there is a ring") \
    X(exemplar_bytes_max,          33554432,   65536, 4294967296, RESTART, "all pinned traces together, one at most a sixteenth; a trace without room there becomes no exemplar") \
    X(scrape_wait_ms,              50,         1, 10000, LIVE,    "how long a scrape waits for shards")                                       \
    X(query_answer_bytes_max,      67108864,   65536, 1073741824, LIVE,    "one exposition or answer")                                              \
    X(answers_bytes_max,           134217728,  65536, 17179869184, LIVE,    "answers of one shard that their readers have not taken; past it a large one becomes 503") \
    X(scrape_body_bytes_max,       16777216,   65536, 268435456, RESTART, "one scraped exposition after decompression; past it nothing of it is taken")  \
    X(scrape_series_count_max,     100000,     1, 10000000, LIVE,    "series of one scraped exposition; those past it are dropped")              \
    X(kept_traces_count_max,       65536,      64, 4194304, RESTART, "traces of the last trace.linger_ms that are kept; past it the one kept longest is let go") \
    X(trace_timings_count_max,     65536,      1024, 16777216, RESTART, "spans that are remembered to be joined with those of the same trace, for self and network times; 130 bytes each; when more come than it holds for trace_join_wait_ms, traces are left out, the same on every shard") \
    X(trace_join_wait_ms,          6000,       100, 60000, RESTART, "how long a span waits for the others of its trace before its times are told; proxies send theirs within 5 s; ten times that it is remembered") \
    X(trace_observations_count_max, 24576,     1024, 4194304, RESTART, "requests that /api/v1/why compares; past it the oldest are forgotten; 170 bytes each") \
    X(trace_answer_ms,             2000,       50, 60000, LIVE,    "how long shards and peers have for their part of an answer about traces; what is late is said in its warnings") \
    X(taps_count_max,              8,          0, 64, RESTART,          "who may watch live requests at once (/api/v1/tap); a further one gets 503") \
    X(tap_records_count_max,       8192,       64, 1048576, RESTART,    "requests of one shard that wait to be written for one who watches, 72 bytes each; past it they are dropped, which is told") \
    X(tap_bytes_max,               4194304,    65536, 268435456, RESTART, "what waits for one who watches to read it; past it requests are dropped, which is told") \
    X(h2_resets_unanswered_max,    2000,       10, 1000000, LIVE,    "resets of unanswered streams before the connection ends")                  \
    X(h2_streams_count_max,        1024,       1, 65536, LIVE,    "streams at once on a connection")                                          \
    X(sniff_timeout_ms,            5000,       100, 60000, RESTART, "how long a connection may take to say its protocol")                       \
    X(idle_timeout_s,              3600,       10, 604800, RESTART, "an HTTP/1.1 connection without traffic for this long is closed; HTTP/2 and native ones may stay idle") \
    X(drain_ms,                    10000,      0, 600000, LIVE,    "how long a stop may take")
/* clang-format on */

struct limits {
#define WEFT_LIMIT_FIELD(name, value, smallest, largest, apply, help) uint64_t name;
    WEFT_LIMITS(WEFT_LIMIT_FIELD)
#undef WEFT_LIMIT_FIELD
};

/* The table itself, for the configuration reader and the docs. */
struct limit_row {
    const char *name;
    uint64_t value; /* default */
    uint64_t smallest;
    uint64_t largest;
    const char *help;
    size_t offset; /* of the uint64_t in struct limits */
};

extern const struct limit_row limit_rows[];
extern const size_t limit_row_count;

/* All defaults. */
void limits_init(struct limits *limits);

#endif
