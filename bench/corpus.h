/*
 * Spans recorded from a real Envoy, made into what a load generator sends: the same spans again and again,
 * with ids of their own and times near the present, N a message.
 *
 *   FILE.otlp ─► corpus_load: spans, what each means ─► corpus_batch: OTLP messages of N spans, one resource
 *   each
 *   FILE.logs ─► the same of log records, whose messages have the same form: nothing says what they mean
 *
 * One thread; everything is made before the clock starts.
 */
#ifndef WEFT_BENCH_CORPUS_H
#define WEFT_BENCH_CORPUS_H

#include <stdbool.h>
#include <stdint.h>

#include "context/interner.h"
#include "context/request.h"
#include "core/budget.h"
#include "core/buffer.h"
#include "core/slice.h"

enum {
    CORPUS_FILE_BYTES_MAX = 1 << 28,
    CORPUS_SPANS_MAX = 1 << 20,
    CORPUS_ENVELOPES_MAX = 16,
    CORPUS_BATCH_BYTES_MAX = 1 << 30,
};

/* Resource and scope that a span came under, encoded. */
struct corpus_envelope {
    struct slice resource;
    struct slice scope;
};

struct corpus_span {
    struct slice raw; /* the encoded Span or LogRecord, in the file's bytes */
    uint32_t envelope;
    bool is_request;
    struct request request; /* when it is one: what the agent makes of it; ids are the corpus' interner's */
};

struct corpus {
    struct buffer file;
    bool is_logs;
    struct corpus_span *spans;
    uint32_t span_count;
    uint32_t request_count;
    struct corpus_envelope envelopes[CORPUS_ENVELOPES_MAX];
    uint32_t envelope_count;
    struct budget strings; /* the interner's; the corpus must not move */
    struct interner *interner;
    uint64_t last_unix_ns; /* the latest end of a span, or time of a log record */
};

struct corpus_batches {
    struct buffer bytes;
    struct slice *messages; /* into bytes */
    size_t message_count;
    uint64_t span_count;
};

/* Reads a file of [u32 little-endian length][ExportTraceServiceRequest], or ExportLogsServiceRequest when its
 * name ends in .logs. A line on stderr and a negative code. */
int corpus_load(const char *path, struct corpus *ret_corpus);
void corpus_deinit(struct corpus *corpus);

/*
 * Messages of spans_per_message spans, at least bytes_min of them altogether. prefixed: with gRPC's five
 * bytes before each, inside of its slice. requests_only: without spans that are not requests. WERR_NOMEM,
 * WERR_INVALID.
 */
struct corpus_shape {
    uint32_t spans_per_message;
    size_t bytes_min;
    bool prefixed;
    bool requests_only;
};
int corpus_batch(
    const struct corpus *corpus, const struct corpus_shape *shape, struct corpus_batches *ret_batches);

/*
 * The messages of a file of [u32 little-endian length][message] as they are, each with gRPC's five bytes
 * before it. per_call 1: each is one of ret_batches->messages; more: there is one, a stream that begins with
 * the file's first and goes on with those behind it, in turn. A line on stderr and a negative code.
 */
int corpus_replay(const char *path, uint32_t per_call, struct corpus_batches *ret_batches);
void corpus_batches_deinit(struct corpus_batches *batches);

#endif
