/*
 * What joining spans costs: in the shard, a timing written into a batch; on the trace thread, a batch read,
 * joined, and what was found out remembered; and the answer to `why` over all that is remembered. Traces of
 * 12 spans, 20,000 spans a second by a clock of its own, all of which wait a second. One thread, a fixed
 * seed; prints lines "name value unit" of processor time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/error.h"
#include "trace/attribution.h"
#include "trace/observations.h"
#include "trace/timing_batch.h"
#include "trace/why.h"

enum {
    TRACE_SPANS = 12,
    TRACE_COUNT = 100000,
    SPANS_PER_S = 20000,
    NAME_COUNT = 200,
    STRINGS = 4096,
    TIMINGS = 65536, /* the default of limits.trace_timings_count_max */
    OBSERVATIONS = 24576,
    WHY_ROUNDS = 20,
    TRACE_NS = 1000000000 / SPANS_PER_S * TRACE_SPANS
};

struct bench {
    struct budget budget;
    struct interner *shard;
    struct interner *own;
    uint32_t names[NAME_COUNT];
    struct timing_writer writer;
    struct timing_reader reader;
    struct attribution *attribution;
    struct observations *observations;
    struct why *why;
    uint64_t random;
    uint64_t now_ns;
    double write_ns, join_ns;
};

static double cpu_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static uint32_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(*state >> 32);
}

static void require(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "join_bench: %s\n", what);
        exit(1);
    }
}

static void on_request(void *user, const struct attributed_request *request)
{
    struct bench *bench = user;
    struct observation observation;

    observation_of_request(request, &observation);
    observations_add(bench->observations, &observation);
}

static void on_call(void *user, const struct attributed_call *call)
{
    struct bench *bench = user;
    struct observation observation;

    observation_of_call(call, &observation);
    observations_add(bench->observations, &observation);
}

/* Of a chain: server, client, attempt, server, … each within the one before. */
static struct timing make_timing(struct bench *bench, uint32_t trace, unsigned i)
{
    static const uint8_t sides[] = {TIMING_SERVER, TIMING_CLIENT, TIMING_ATTEMPT};
    uint64_t id = (uint64_t)trace * 0x9e3779b97f4a7c15ull;
    struct timing timing = {
        .start_unix_ns = bench->now_ns + i * 1000,
        .duration_ns = 100000000 + next_random(&bench->random) % 100000000 - i * 2000000,
        .source = bench->names[i / 3 + 10],
        .destination = bench->names[i / 3 + 11],
        .route = bench->names[20 + next_random(&bench->random) % 100],
        .sender = bench->names[120 + next_random(&bench->random) % 50],
        .side = sides[i % 3],
    };

    memcpy(timing.trace_id, &id, sizeof id);
    memcpy(timing.trace_id + 8, &trace, sizeof trace);
    memcpy(timing.span_id, &trace, sizeof trace);
    timing.span_id[7] = (uint8_t)(i + 1);
    if (i > 0) {
        memcpy(timing.parent_id, &trace, sizeof trace);
        timing.parent_id[7] = (uint8_t)i;
    }
    return timing;
}

static void read_batch(struct bench *bench)
{
    struct timing_batch *batch = timing_writer_take(&bench->writer);
    double start_ns = cpu_ns();

    for (uint32_t i = 0; batch != NULL && i < batch->timing_count; i++) {
        if (i == 0) {
            timing_reader_learn(&bench->reader, batch);
        }
        timing_reader_translate(&bench->reader, &batch->timings[i]);
        attribution_add(bench->attribution, &batch->timings[i], bench->now_ns, 0);
    }
    free(batch);
    (void)attribution_run(bench->attribution, bench->now_ns, UINT32_MAX);
    bench->join_ns += cpu_ns() - start_ns;
}

static void run_traces(struct bench *bench)
{
    struct timing timings[TRACE_SPANS];

    for (uint32_t trace = 1; trace <= TRACE_COUNT; trace++) {
        for (unsigned i = 0; i < TRACE_SPANS; i++) { /* the innermost ends first */
            timings[i] = make_timing(bench, trace, TRACE_SPANS - 1 - i);
        }
        double start_ns = cpu_ns();
        int error = 0;
        for (unsigned i = 0; i < TRACE_SPANS && error == 0; i++) {
            error = timing_writer_add(&bench->writer, &timings[i]);
        }
        bench->write_ns += cpu_ns() - start_ns;
        require(error == 0, "a batch is full too soon");
        bench->now_ns += TRACE_NS;
        if (trace % 50 == 0) {
            read_batch(bench);
        }
    }
}

static void bench_why(struct bench *bench)
{
    struct why_question question = {.service = interner_find(bench->own, SLICE_LITERAL("name-12")),
        .until_unix_ns = UINT64_MAX,
        .any_namespace = true};
    struct why_result result = {.request_count = 0};
    double start_ns = cpu_ns();

    for (int i = 0; i < WHY_ROUNDS; i++) {
        why_select(bench->why, bench->observations, &question);
        why_rank(bench->why, &result);
    }
    require(result.request_count > 1000, "too few requests to ask about");
    printf("join_why %.2f ms\n", (cpu_ns() - start_ns) / WHY_ROUNDS / 1e6);
    printf("join_why_requests %u requests\n", result.request_count);
}

static void start(struct bench *bench)
{
    struct attribution_settings attribution = {
        .span_count_max = TIMINGS,
        .wait_ns = 1000000000,
        .keep_ns = 10000000000,
        .late_ns = UINT64_MAX,
        .seed = 1,
        .sink = {.request = on_request, .call = on_call, .user = bench},
    };
    struct observations_settings observations = {.count_max = OBSERVATIONS};

    bench->budget.cap_bytes = 1 << 26;
    bench->random = 1;
    bench->now_ns = 1000000000;
    bench->shard = interner_new(STRINGS, &bench->budget);
    bench->own = interner_new(STRINGS, &bench->budget);
    bench->attribution = attribution_new(&attribution);
    bench->observations = observations_new(&observations);
    bench->why = why_new(OBSERVATIONS);
    require(bench->shard != NULL && bench->own != NULL && bench->attribution != NULL &&
                bench->observations != NULL && bench->why != NULL,
        "out of memory");
    require(timing_writer_init(&bench->writer, bench->shard, STRINGS) == 0 &&
                timing_reader_init(&bench->reader, bench->own, STRINGS) == 0,
        "out of memory");
    for (unsigned i = 0; i < NAME_COUNT; i++) {
        char text[32];
        int length = snprintf(text, sizeof text, "name-%u", i);
        bench->names[i] = interner_intern(bench->shard, slice_of(text, (size_t)length));
    }
}

static void stop(struct bench *bench)
{
    timing_writer_deinit(&bench->writer);
    timing_reader_deinit(&bench->reader);
    attribution_free(bench->attribution);
    observations_free(bench->observations);
    why_free(bench->why);
    interner_free(bench->shard);
    interner_free(bench->own);
    free(bench);
}

int main(void)
{
    struct bench *bench = calloc(1, sizeof *bench);

    require(bench != NULL, "out of memory");
    start(bench);
    run_traces(bench);
    const struct attribution_counts *counts = attribution_counts(bench->attribution);
    require(counts->joined == (uint64_t)TRACE_COUNT * TRACE_SPANS && counts->early == 0, "spans were lost");
    printf("join_write_span %.1f ns\n", bench->write_ns / (double)counts->joined);
    printf("join_span %.1f ns\n", bench->join_ns / (double)counts->joined);
    bench_why(bench);
    stop(bench);
    return 0;
}
