/*
 * What the ring of recent spans costs, without sockets: `name value unit` lines. One thread.
 *
 *   ring_bench CORPUS.otlp [ring MiB]
 *
 * Adding: the same messages scanned and put into context without a ring and with one, in turn, the best round
 * of each; "fresh" is the first time round, when the kernel gives the pages. Look-up and search: in a ring
 * that is full, of OTLP spans and of native ones. "slice" is the longest that one call held its caller with a
 * deadline as the agent's.
 *
 * Compression (trace.compress): a quarter of the memory is filled until it has gone round, compressing
 * whenever that is due; "frozen" is the processor time of that for a million spans, "ratio" how many times as
 * many spans there are as without, "slice" its longest step. Then the same look-ups and searches.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "context/context.h"
#include "context/span_request.h"
#include "core/clock.h"
#include "corpus.h"
#include "decode/otlp_memory.h"
#include "trace/ring.h"

enum {
    RING_MIB_DEFAULT = 256,
    SPANS_PER_MESSAGE = 512,
    MESSAGE_BYTES = 1 << 24, /* of the messages that are added again and again */
    ROUNDS_COUNT = 40,
    NATIVE_SERIES_COUNT = 1000,
    NATIVE_ROUND_COUNT = 1000000,
    LOOKUPS_COUNT = 5000,
    SLICE_NS = 900000, /* as trace_shard.h has it: with what it takes to stop, a millisecond */
    TRACE_BYTES_MAX = 1 << 26,
    FROZEN_RING_FRACTION = 4,
};

struct bench {
    struct limits limits;
    struct redaction redaction;
    struct budget strings;
    struct metric_cells *cells;
    struct interner *interner;
    struct context context;
    struct sender sender;
    struct otlp_trace_scanner scanner;
    struct otlp_memory *memory;
    struct ring *ring; /* NULL while the path without is measured */
    uint64_t ring_bytes;
    uint64_t freeze_ns; /* processor time, and the longest step of it */
    uint64_t freeze_longest_ns;
    uint64_t now_unix_ns;
    uint64_t span_count;
    struct corpus corpus;
};

static uint64_t time_ns(clockid_t which)
{
    struct timespec now;

    (void)clock_gettime(which, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void show(const char *name, double value, const char *unit)
{
    (void)printf("%s %.4f %s\n", name, value, unit);
}

static void new_ring(struct bench *bench, bool compresses)
{
    struct ring_settings settings = {
        .share_bytes = bench->ring_bytes,
        .span_bytes_max = bench->limits.trace_span_bytes_max,
        .spans_count_max = (uint32_t)bench->limits.trace_spans_count_max,
        .interner = bench->interner,
        .cells = bench->cells,
        .clock = clock_system(),
        .scanner = &bench->scanner,
        .compresses = compresses,
    };

    ring_free(bench->ring);
    if (ring_new(&settings, &bench->ring) < 0) {
        (void)fprintf(stderr, "no memory for the ring\n");
        exit(1);
    }
}

static bool ring_has_turned(const struct bench *bench)
{
    struct ring_counts counts;

    ring_count(bench->ring, &counts);
    return metric_get(bench->cells, METRIC_TRACE_EXPIRED_SPANS) > 0 && counts.spans_count > 0;
}

/* ---- adding ---- */

static void on_span(void *user, const struct span *span, uint32_t record)
{
    struct bench *bench = user;
    struct request request;
    struct attempt attempt;
    struct ring_note note = {.route_text = span->name, .outcome = OUTCOME_COUNT, .role = RING_NEITHER};

    (void)record;
    bench->span_count++;
    enum span_meaning meaning = span_to_request(&bench->context, span, &bench->sender, &request, &attempt);
    if (bench->ring == NULL) {
        return;
    }
    if (meaning == SPAN_IS_REQUEST) {
        note = (struct ring_note){
            .service = request.reporter == REPORTER_SOURCE ? request.source : request.destination,
            .route = request.route,
            .outcome = request.outcome,
            .response_code = request.response_code,
            .response_flags = request.response_flags,
        };
    } else {
        note.service = attempt.source;
    }
    (void)ring_add_span(bench->ring, span, &note);
}

static void on_refused(void *user, const struct decode_error *where)
{
    (void)user;
    (void)where;
}

/* As a shard does between messages. */
static void freeze(struct bench *bench)
{
    while (ring_freeze_is_due(bench->ring)) {
        uint64_t begin = time_ns(CLOCK_THREAD_CPUTIME_ID);
        ring_freeze(bench->ring);
        uint64_t took_ns = time_ns(CLOCK_THREAD_CPUTIME_ID) - begin;
        bench->freeze_ns += took_ns;
        bench->freeze_longest_ns = took_ns > bench->freeze_longest_ns ? took_ns : bench->freeze_longest_ns;
    }
}

static void take(struct bench *bench, const struct corpus_batches *batches)
{
    const struct otlp_trace_sink sink = {.user = bench, .on_span = on_span, .on_refused = on_refused};
    struct otlp_trace_result result;
    struct decode_error error;

    for (size_t i = 0; i < batches->message_count; i++) {
        context_batch_begin(&bench->context, true, 0);
        (void)otlp_trace_scan(
            &bench->scanner, bench->memory, batches->messages[i], bench->now_unix_ns, &sink, &result, &error);
        freeze(bench);
    }
}

/* CPU nanoseconds a span of one pass over the messages. */
static double pass_ns(struct bench *bench, const struct corpus_batches *batches)
{
    uint64_t begin = time_ns(CLOCK_PROCESS_CPUTIME_ID);

    bench->span_count = 0;
    take(bench, batches);
    return (double)(time_ns(CLOCK_PROCESS_CPUTIME_ID) - begin) / (double)bench->span_count;
}

static double smaller(double a, double b)
{
    return a < b ? a : b;
}

static int bench_add_otlp(struct bench *bench)
{
    struct corpus_shape shape = {.spans_per_message = SPANS_PER_MESSAGE, .bytes_min = MESSAGE_BYTES};
    struct corpus_batches batches;
    double without_ns = 1e9;
    double with_ns = 1e9;
    double fresh_ns = 0;
    uint32_t fresh_count = 0;

    if (corpus_batch(&bench->corpus, &shape, &batches) < 0) {
        return -1;
    }
    (void)pass_ns(bench, &batches); /* patterns and names are learnt */
    double warm_ns = pass_ns(bench, &batches);
    new_ring(bench, false);
    for (; !ring_has_turned(bench); fresh_count++) {
        fresh_ns += pass_ns(bench, &batches) - warm_ns;
    }
    struct ring *ring = bench->ring;
    for (int i = 0; i < ROUNDS_COUNT; i++) {
        bench->ring = NULL;
        without_ns = smaller(without_ns, pass_ns(bench, &batches));
        bench->ring = ring;
        with_ns = smaller(with_ns, pass_ns(bench, &batches));
    }
    show("ring_otlp_span_bytes", (double)batches.bytes.length / (double)batches.span_count, "byte");
    show("ring_otlp_without", without_ns, "ns/span");
    show("ring_otlp_with", with_ns, "ns/span");
    show("ring_otlp_add", (with_ns - without_ns) / 1000, "s/Mspan");
    show("ring_otlp_add_fresh", fresh_ns / fresh_count / 1000, "s/Mspan");
    corpus_batches_deinit(&batches);
    return 0;
}

static void random_id(uint64_t *state, uint8_t *id, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += sizeof *state) {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        memcpy(id + i, state, sizeof *state);
    }
}

static void make_requests(struct bench *bench, struct request requests[static NATIVE_SERIES_COUNT])
{
    for (uint32_t i = 0; i < NATIVE_SERIES_COUNT; i++) {
        char texts[3][32];
        (void)snprintf(texts[0], sizeof texts[0], "caller-%u", i / 100);
        (void)snprintf(texts[1], sizeof texts[1], "service-%u", i / 10 % 10);
        (void)snprintf(texts[2], sizeof texts[2], "/orders/%u", i % 10);
        requests[i] = (struct request){
            .reporter = REPORTER_SOURCE,
            .protocol = PROTOCOL_HTTP1,
            .method = METHOD_GET,
            .source = interner_intern(bench->interner, slice_of_string(texts[0])),
            .source_namespace = INTERNED_UNKNOWN,
            .destination = interner_intern(bench->interner, slice_of_string(texts[1])),
            .destination_namespace = INTERNED_UNKNOWN,
            .route = interner_intern(bench->interner, slice_of_string(texts[2])),
            .response_code = 200,
            .grpc_status = GRPC_STATUS_NONE,
            .has_bytes = true,
            .request_bytes = 100,
            .response_bytes = 1000,
            .start_unix_ns = bench->now_unix_ns,
            .duration_ns = 1000 + i * 1000,
            .weight = WEIGHT_ONE,
        };
    }
}

/* CPU nanoseconds a request of one round; without a ring, of what only makes the ids. Twelve spans a trace.
 */
static double native_round_ns(struct bench *bench, struct request *requests, uint64_t *random)
{
    uint64_t begin = time_ns(CLOCK_PROCESS_CPUTIME_ID);
    uint8_t parent_id[SPAN_ID_BYTES] = {1};
    uint8_t trace_id[TRACE_ID_BYTES] = {1};
    uint64_t sum = 0;

    for (uint32_t i = 0; i < NATIVE_ROUND_COUNT; i++) {
        struct request *request = &requests[i % NATIVE_SERIES_COUNT];
        if (i % 12 == 0) {
            random_id(random, trace_id, sizeof trace_id);
        }
        memcpy(request->trace_id, trace_id, sizeof trace_id);
        random_id(random, request->span_id, sizeof request->span_id);
        if (bench->ring != NULL) {
            sum += ring_add_request(bench->ring, request, parent_id, 0, false);
        }
    }
    if (bench->ring != NULL && sum != NATIVE_ROUND_COUNT) {
        (void)fprintf(stderr, "not all requests were stored\n");
    }
    return (double)(time_ns(CLOCK_PROCESS_CPUTIME_ID) - begin) / NATIVE_ROUND_COUNT;
}

static void bench_add_native(struct bench *bench)
{
    static struct request requests[NATIVE_SERIES_COUNT];
    uint64_t random = 88172645463325252ull;
    double without_ns = 1e9;
    double with_ns = 1e9;
    struct ring *ring = bench->ring;

    make_requests(bench, requests);
    for (int i = 0; i < 2 * ROUNDS_COUNT; i++) {
        bench->ring = NULL;
        without_ns = smaller(without_ns, native_round_ns(bench, requests, &random));
        bench->ring = ring;
        with_ns = smaller(with_ns, native_round_ns(bench, requests, &random));
    }
    show("ring_native_add", (with_ns - without_ns) / 1000, "s/Mspan");
}

/* ---- reading ---- */

/* Searches the whole ring; how many match. A slice is told in CPU time: what else the machine did is not
 * ours. */
static uint64_t search(struct bench *bench, const struct ring_filter *filter, const char *name)
{
    struct ring_cursor cursor = ring_cursor_newest(bench->ring);
    struct ring_entry entry;
    uint64_t count = 0;
    uint64_t longest_ns = 0;
    uint64_t begin = time_ns(CLOCK_MONOTONIC);
    uint64_t deadline = begin + SLICE_NS;
    uint64_t slice = time_ns(CLOCK_THREAD_CPUTIME_ID);
    enum ring_step step;
    char text[64];

    do {
        step = ring_search(bench->ring, &cursor, filter, deadline, &entry);
        count += step == RING_MATCH;
        if (step != RING_MATCH) {
            uint64_t now = time_ns(CLOCK_THREAD_CPUTIME_ID);
            longest_ns = now - slice > longest_ns ? now - slice : longest_ns;
            deadline = time_ns(CLOCK_MONOTONIC) + SLICE_NS;
            slice = now;
        }
    } while (step != RING_END);
    (void)snprintf(text, sizeof text, "ring_search_%s", name);
    show(text, (double)(time_ns(CLOCK_MONOTONIC) - begin) / 1e6, "ms");
    (void)snprintf(text, sizeof text, "ring_search_%s_slice", name);
    show(text, (double)longest_ns / 1e6, "ms");
    return count;
}

static void bench_search(struct bench *bench, const char *form)
{
    struct ring_filter nobody = {.service = SLICE_LITERAL("nobody"), .duration_min_ns = 1};
    struct ring_filter everything = {.only_errors = false};
    char name[32];

    (void)snprintf(name, sizeof name, "%s_none", form);
    (void)search(bench, &nobody, name);
    (void)snprintf(name, sizeof name, "%s_all", form);
    uint64_t count = search(bench, &everything, name);
    (void)snprintf(name, sizeof name, "ring_%s_spans", form);
    show(name, (double)count, "span");
}

/* Trace ids from all over the ring, evenly. */
static size_t collect_ids(struct bench *bench, uint8_t (*ids)[TRACE_ID_BYTES])
{
    struct ring_cursor cursor = ring_cursor_newest(bench->ring);
    const struct ring_filter everything = {.only_errors = false};
    struct ring_counts counts;
    struct ring_entry entry;
    uint64_t seen_count = 0;
    size_t count = 0;

    ring_count(bench->ring, &counts);
    uint64_t step = counts.spans_count / LOOKUPS_COUNT + 1;
    while (ring_search(bench->ring, &cursor, &everything, UINT64_MAX, &entry) == RING_MATCH) {
        if (seen_count++ % step == 0 && count < LOOKUPS_COUNT) {
            memcpy(ids[count++], entry.trace_id, TRACE_ID_BYTES);
        }
    }
    return count;
}

static void bench_lookup(struct bench *bench, const char *form)
{
    static uint8_t ids[LOOKUPS_COUNT][TRACE_ID_BYTES];
    size_t count = collect_ids(bench, ids);
    struct ring_write how = {.without_access_logs = false};
    struct ring_written written;
    struct buffer out;
    uint64_t sum_ns = 0;
    uint64_t longest_ns = 0;
    uint64_t spans_count = 0;
    char name[64];

    buffer_init(&out, TRACE_BYTES_MAX);
    for (size_t i = 0; i < count; i++) {
        uint64_t begin = time_ns(CLOCK_MONOTONIC);
        out.length = 0;
        if (ring_write_trace(bench->ring, ids[i * 7919 % count], &how, &out, &written) == 0) {
            spans_count += written.spans_count;
        }
        uint64_t took_ns = time_ns(CLOCK_MONOTONIC) - begin;
        sum_ns += took_ns;
        longest_ns = took_ns > longest_ns ? took_ns : longest_ns;
    }
    buffer_deinit(&out);
    (void)snprintf(name, sizeof name, "ring_lookup_%s", form);
    show(name, (double)sum_ns / (double)count / 1e6, "ms");
    (void)snprintf(name, sizeof name, "ring_lookup_%s_longest", form);
    show(name, (double)longest_ns / 1e6, "ms");
    (void)snprintf(name, sizeof name, "ring_lookup_%s_spans", form);
    show(name, (double)spans_count / (double)count, "span");
}

/* Each span with ids of its own, as many as the ring holds. */
static int fill_with_otlp(struct bench *bench)
{
    struct corpus_shape shape = {
        .spans_per_message = SPANS_PER_MESSAGE, .bytes_min = bench->ring_bytes + bench->ring_bytes / 4};
    struct corpus_batches batches;

    if (corpus_batch(&bench->corpus, &shape, &batches) < 0) {
        return -1;
    }
    take(bench, &batches);
    corpus_batches_deinit(&batches);
    return 0;
}

/* ---- compression ---- */

static void show_of(const char *form, const char *what, double value, const char *unit)
{
    char name[64];

    (void)snprintf(name, sizeof name, "ring_%s_%s", form, what);
    show(name, value, unit);
}

/* After the ring has gone round: without compressing it held `plain_count` spans. */
static void show_frozen(struct bench *bench, const char *form, uint64_t plain_count)
{
    uint64_t blocks_count = metric_get(bench->cells, METRIC_TRACE_BLOCKS_COMPRESSED);
    struct ring_counts counts;

    ring_count(bench->ring, &counts);
    show_of(form, "frozen", (double)bench->freeze_ns / (double)bench->span_count / 1000, "s/Mspan");
    show_of(form, "frozen_slice", (double)bench->freeze_longest_ns / 1e6, "ms");
    show_of(form, "frozen_ratio", (double)counts.spans_count / (double)plain_count, "times");
    show_of(form, "frozen_blocks", (double)blocks_count, "block");
    show_of(form, "frozen_saved", (double)counts.saved_bytes / 1048576, "MiB");
}

static uint64_t spans_in(const struct bench *bench)
{
    struct ring_counts counts;

    ring_count(bench->ring, &counts);
    return counts.spans_count;
}

static int bench_frozen_otlp(struct bench *bench)
{
    uint64_t whole_bytes = bench->ring_bytes;
    struct corpus_shape shape = {
        .spans_per_message = SPANS_PER_MESSAGE, .bytes_min = whole_bytes + whole_bytes / 2};
    struct corpus_batches batches;

    if (corpus_batch(&bench->corpus, &shape, &batches) < 0) {
        return -1;
    }
    bench->ring_bytes = whole_bytes / FROZEN_RING_FRACTION;
    new_ring(bench, false);
    take(bench, &batches);
    uint64_t plain_count = spans_in(bench);
    new_ring(bench, true);
    bench->freeze_ns = 0;
    bench->freeze_longest_ns = 0;
    bench->span_count = 0;
    take(bench, &batches);
    show_frozen(bench, "otlp", plain_count);
    corpus_batches_deinit(&batches);
    bench_lookup(bench, "frozen");
    bench_search(bench, "frozen");
    bench->ring_bytes = whole_bytes;
    return 0;
}

static int start(struct bench *bench, const char *path)
{
    limits_init(&bench->limits);
    redaction_init_default(&bench->redaction);
    otlp_trace_scanner_init(&bench->scanner, &bench->limits, &bench->redaction);
    bench->strings.cap_bytes = bench->limits.series_bytes_max;
    bench->cells = aligned_alloc(64, sizeof *bench->cells);
    bench->interner = interner_new((uint32_t)bench->limits.strings_count_max, &bench->strings);
    bench->memory = otlp_memory_new();
    if (bench->cells == NULL || bench->interner == NULL || bench->memory == NULL) {
        return -1;
    }
    memset(bench->cells, 0, sizeof *bench->cells);
    if (context_init(&bench->context, bench->interner, &bench->limits, bench->cells) < 0 ||
        corpus_load(path, &bench->corpus) < 0) {
        return -1;
    }
    sender_id_format(&bench->sender);
    context_sender_bind(&bench->context, &bench->sender);
    bench->now_unix_ns = clock_unix_ns(clock_system());
    return 0;
}

int main(int argc, char **argv)
{
    static struct bench bench;

    if (argc < 2 || start(&bench, argv[1]) < 0) {
        (void)fprintf(stderr, "usage: %s CORPUS.otlp [ring MiB]\n", argv[0]);
        return 1;
    }
    bench.ring_bytes = (argc > 2 ? strtoull(argv[2], NULL, 10) : RING_MIB_DEFAULT) << 20;
    if (bench_add_otlp(&bench) < 0 || fill_with_otlp(&bench) < 0) {
        (void)fprintf(stderr, "no messages could be made of the corpus\n");
        return 1;
    }
    bench_lookup(&bench, "otlp");
    bench_search(&bench, "otlp");
    bench_add_native(&bench);
    bench_lookup(&bench, "native");
    bench_search(&bench, "native");
    if (bench_frozen_otlp(&bench) < 0) {
        (void)fprintf(stderr, "no messages could be made of the corpus\n");
        return 1;
    }
    ring_free(bench.ring);
    context_sender_release(&bench.context, &bench.sender);
    context_deinit(&bench.context);
    otlp_memory_free(bench.memory);
    interner_free(bench.interner);
    corpus_deinit(&bench.corpus);
    free(bench.cells);
    return 0;
}
