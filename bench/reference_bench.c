/*
 * The reference that the agent is compared with: protobuf-c's generated code unpacks the same bytes into an
 * arena, and nothing else is done with them. Beside it stand the agent's own scanner over the same bytes
 * (scan_N) and its whole record path without sockets: scan, context, series (path_N).
 *
 *     reference_bench FILE.otlp        prints `name value unit` lines
 *
 * One thread, processor time, the least of several runs.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "aggregate/directory.h"
#include "context/context.h"
#include "context/span_request.h"
#include "core/arena.h"
#include "core/clock.h"
#include "core/error.h"
#include "corpus.h"
#include "decode/otlp_memory.h"
#include "decode/otlp_trace.h"
#include "opentelemetry/collector.pb-c.h"

enum {
    RUN_COUNT = 7,
    POOL_BYTES = 32 << 20,
    ARENA_CHUNK_BYTES = 4 << 20,
    ARENA_BYTES_MAX = 1 << 28,
};

struct reference {
    struct corpus corpus;
    struct corpus_batches batches;
    struct arena arena;
    struct otlp_trace_scanner scanner;
    struct otlp_memory *memory;
    struct limits limits;
    struct metric_cells cells;
    struct budget budget;
    struct split_bounds bounds;
    struct interner *interner;
    struct context context;
    struct directory *directory;
    struct sender sender;
    uint64_t now_unix_ns;
    uint64_t sum; /* of what was found, so that nothing is optimised away */
};

static uint64_t cpu_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void unpack(struct reference *reference, struct slice message)
{
    arena_reset(&reference->arena);
    Otlp__ExportTraceServiceRequest *request =
        otlp__export_trace_service_request__unpack(&reference->arena.allocator, message.length, message.ptr);
    for (size_t i = 0; request != NULL && i < request->n_resource_spans; i++) {
        const Otlp__ResourceSpans *resource_spans = request->resource_spans[i];
        for (size_t k = 0; k < resource_spans->n_scope_spans; k++) {
            reference->sum += resource_spans->scope_spans[k]->n_spans;
        }
    }
}

static void on_span(void *user, const struct span *span, uint32_t record)
{
    struct reference *reference = user;

    (void)span;
    (void)record;
    reference->sum++;
}

static void on_refused(void *user, const struct decode_error *where)
{
    (void)user;
    (void)where;
}

static void scan(struct reference *reference, struct slice message)
{
    const struct otlp_trace_sink sink = {.user = reference, .on_span = on_span, .on_refused = on_refused};
    struct otlp_trace_result result;
    struct decode_error error;

    (void)otlp_trace_scan(
        &reference->scanner, reference->memory, message, reference->now_unix_ns, &sink, &result, &error);
}

static void on_path_span(void *user, const struct span *span, uint32_t record)
{
    struct reference *reference = user;
    struct request request;
    struct attempt attempt;

    (void)record;
    reference->sum++;
    switch (span_to_request(&reference->context, span, &reference->sender, &request, &attempt)) {
    case SPAN_IS_REQUEST:
        directory_record(reference->directory, &request);
        break;
    case SPAN_IS_ATTEMPT:
        directory_record_attempt(reference->directory, &attempt);
        break;
    case SPAN_IS_NEITHER:
    default:
        break;
    }
}

static void take_path(struct reference *reference, struct slice message)
{
    const struct otlp_trace_sink sink = {
        .user = reference, .on_span = on_path_span, .on_refused = on_refused};
    struct otlp_trace_result result;
    struct decode_error error;

    context_batch_begin(
        &reference->context, directory_may_intern(reference->directory, reference->sender.interned), 0);
    (void)otlp_trace_scan(
        &reference->scanner, reference->memory, message, reference->now_unix_ns, &sink, &result, &error);
}

static int start_path(struct reference *reference)
{
    struct directory_settings own = {.bounds = &reference->bounds,
        .limits = &reference->limits,
        .budget = &reference->budget,
        .cells = &reference->cells,
        .clock = clock_system()};

    reference->budget.cap_bytes = reference->limits.series_bytes_max;
    reference->interner = interner_new((uint32_t)reference->limits.strings_count_max, &reference->budget);
    if (reference->interner == NULL) {
        return WERR_NOMEM;
    }
    own.interner = reference->interner;
    int error = split_bounds_init(&reference->bounds, bounds_default_ns, bounds_default_count);
    error = error != 0 ? error : directory_new(&own, &reference->directory);
    error = error != 0 ? error
                       : context_init(
                             &reference->context, reference->interner, &reference->limits, &reference->cells);
    if (error == 0) {
        sender_id_format(&reference->sender);
        context_sender_bind(&reference->context, &reference->sender);
    }
    return error;
}

static void stop_path(struct reference *reference)
{
    context_deinit(&reference->context);
    directory_free(reference->directory);
    interner_free(reference->interner);
}

/* False when not every span was found. */
static bool measure(struct reference *reference, const char *name, uint32_t spans_per_message,
    void (*read)(struct reference *, struct slice))
{
    double best_ns = 0;
    const struct corpus_batches *batches = &reference->batches;

    for (int run = 0; run < RUN_COUNT; run++) {
        reference->sum = 0;
        uint64_t start_ns = cpu_ns();
        for (size_t i = 0; i < batches->message_count; i++) {
            read(reference, batches->messages[i]);
        }
        double ns = (double)(cpu_ns() - start_ns) / (double)batches->span_count;
        best_ns = run == 0 || ns < best_ns ? ns : best_ns;
        if (reference->sum != batches->span_count) {
            (void)fprintf(stderr, "%s_%" PRIu32 ": %" PRIu64 " of %" PRIu64 " spans\n", name,
                spans_per_message, reference->sum, batches->span_count);
            return false;
        }
    }
    (void)printf("%s_%" PRIu32 " %.1f ns/span\n", name, spans_per_message, best_ns);
    return true;
}

static bool measure_shape(struct reference *reference, uint32_t spans_per_message, bool requests_only)
{
    struct corpus_shape shape = {
        .spans_per_message = spans_per_message, .bytes_min = POOL_BYTES, .requests_only = requests_only};

    if (corpus_batch(&reference->corpus, &shape, &reference->batches) < 0) {
        return false;
    }
    bool complete =
        measure(reference, requests_only ? "reference_requests" : "reference", spans_per_message, unpack);
    if (!requests_only) {
        complete = complete && measure(reference, "scan", spans_per_message, scan) &&
                   measure(reference, "path", spans_per_message, take_path);
        (void)printf("span_%" PRIu32 " %.0f byte\n", spans_per_message,
            (double)reference->batches.bytes.length / (double)reference->batches.span_count);
    }
    corpus_batches_deinit(&reference->batches);
    return complete;
}

int main(int argc, char **argv)
{
    static struct reference reference;
    struct redaction redaction;

    if (argc != 2 || corpus_load(argv[1], &reference.corpus) < 0) {
        (void)fprintf(stderr, "usage: reference_bench FILE.otlp\n");
        return 2;
    }
    limits_init(&reference.limits);
    redaction_init_default(&redaction);
    otlp_trace_scanner_init(&reference.scanner, &reference.limits, &redaction);
    arena_init(&reference.arena, ARENA_CHUNK_BYTES, ARENA_BYTES_MAX);
    reference.now_unix_ns = clock_unix_ns(clock_system());
    (void)printf("corpus_spans %" PRIu32 " span\n", reference.corpus.span_count);
    (void)printf("corpus_requests %" PRIu32 " span\n", reference.corpus.request_count);
    reference.memory = otlp_memory_new();
    if (reference.memory == NULL || start_path(&reference) < 0) {
        return 1;
    }
    bool complete = measure_shape(&reference, 5, false) && measure_shape(&reference, 8, false) &&
                    measure_shape(&reference, 512, false) && measure_shape(&reference, 512, true);
    stop_path(&reference);
    otlp_memory_free(reference.memory);
    arena_deinit(&reference.arena);
    corpus_deinit(&reference.corpus);
    return complete ? 0 : 1;
}
