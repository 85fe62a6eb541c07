/*
 * What counting costs, without sockets: `name value unit` lines. One thread plays the shard and the
 * aggregator.
 *
 *   record_bench [requests]      requests a figure is measured over, 5,000,000 by default
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "aggregate/aggregator.h"
#include "aggregate/directory.h"
#include "context/interner.h"
#include "core/metrics.h"
#include "histogram/histogram.h"

enum { SERIES_COUNT = 1000, REQUEST_COUNT_DEFAULT = 5000000, ROUND_COUNT = 200 };

struct bench {
    struct limits limits;
    struct budget budget;
    struct split_bounds bounds;
    struct metric_cells cells;
    struct interner *interner;
    struct directory *directory;
    struct aggregator *aggregator;
    struct request requests[SERIES_COUNT];
};

static double now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static uint32_t intern(struct bench *bench, const char *text)
{
    return interner_intern(bench->interner, slice_of_string(text));
}

static void make_requests(struct bench *bench)
{
    for (unsigned i = 0; i < SERIES_COUNT; i++) {
        char source[32];
        char destination[32];
        char route[32];

        (void)snprintf(source, sizeof(source), "caller-%u", i / 100);
        (void)snprintf(destination, sizeof(destination), "service-%u", i / 10 % 10);
        (void)snprintf(route, sizeof(route), "/orders/%u", i % 10);
        bench->requests[i] = (struct request){
            .reporter = REPORTER_SOURCE,
            .protocol = PROTOCOL_HTTP1,
            .method = METHOD_GET,
            .source = intern(bench, source),
            .source_namespace = intern(bench, "shop"),
            .destination = intern(bench, destination),
            .destination_namespace = intern(bench, "shop"),
            .route = intern(bench, route),
            .response_code = 200,
            .grpc_status = GRPC_STATUS_NONE,
            .has_bytes = true,
            .request_bytes = 100,
            .response_bytes = 1000,
            .weight = WEIGHT_ONE,
            .sender = intern(bench, "bench"),
            .stored = true,
        };
    }
}

static int start(struct bench *bench)
{
    memset(bench, 0, sizeof(*bench));
    limits_init(&bench->limits);
    bench->limits.sender_series_percent = 100;
    bench->budget = (struct budget){.cap_bytes = bench->limits.series_bytes_max};
    bench->interner = interner_new((uint32_t)bench->limits.strings_count_max, &bench->budget);
    if (bench->interner == NULL ||
        split_bounds_init(&bench->bounds, bounds_default_ns, bounds_default_count) < 0) {
        return -1;
    }
    struct directory_settings shard = {.interner = bench->interner,
        .bounds = &bench->bounds,
        .limits = &bench->limits,
        .budget = &bench->budget,
        .cells = &bench->cells,
        .clock = clock_system()};
    struct aggregator_settings whole = {.shard_count = 1,
        .bounds = &bench->bounds,
        .limits = &bench->limits,
        .budget = &bench->budget,
        .cells = &bench->cells,
        .clock = clock_system()};

    if (directory_new(&shard, &bench->directory) < 0 || aggregator_new(&whole, &bench->aggregator) < 0) {
        return -1;
    }
    make_requests(bench);
    return 0;
}

static void stop(struct bench *bench)
{
    directory_free(bench->directory);
    interner_free(bench->interner);
    aggregator_free(bench->aggregator);
    free(bench);
}

static void flip(struct bench *bench)
{
    struct delta *delta = directory_flip(bench->directory);

    if (delta != NULL) {
        aggregator_merge(bench->aggregator, delta);
        directory_give_back(bench->directory, delta);
    }
}

/* Durations of about 1 … 130 ms; series in a shuffled order. */
static void record_all(struct bench *bench, unsigned long count)
{
    uint32_t seed = 1;

    for (unsigned long i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        struct request *request = &bench->requests[(seed >> 10) % SERIES_COUNT];

        request->duration_ns = 1000000u + (seed >> 5);
        directory_record(bench->directory, request);
    }
}

static void bench_histogram(struct bench *bench, unsigned long count)
{
    static struct page_slab slab;
    struct histogram histogram = {.count = 0};
    uint32_t seed = 1;

    page_slab_init(&slab, &bench->budget);
    double begin = now_ns();

    for (unsigned long i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        (void)histogram_record(&histogram, &slab, &bench->bounds, 1000000u + (seed >> 5), 1);
    }
    printf("histogram_record %.1f ns\n", (now_ns() - begin) / (double)count);
    page_slab_deinit(&slab);
}

static void bench_record(struct bench *bench, unsigned long count)
{
    record_all(bench, 100000);
    flip(bench);
    double begin = now_ns();

    record_all(bench, count);
    printf("directory_record %.1f ns\n", (now_ns() - begin) / (double)count);
    flip(bench);
}

static void bench_flip(struct bench *bench)
{
    double flip_ns = 0;

    for (int round = 0; round < ROUND_COUNT; round++) {
        record_all(bench, 10ul * SERIES_COUNT);
        double begin = now_ns();

        flip(bench);
        flip_ns += now_ns() - begin;
    }
    printf("flip_and_merge %.1f ns/series\n", flip_ns / ROUND_COUNT / SERIES_COUNT);
    printf("series_memory %llu KiB\n", (unsigned long long)atomic_load(&bench->budget.used_bytes) / 1024);
}

int main(int argc, char **argv)
{
    unsigned long count = argc > 1 ? strtoul(argv[1], NULL, 10) : REQUEST_COUNT_DEFAULT;
    struct bench *bench = aligned_alloc(64, (sizeof(*bench) + 63) / 64 * 64);

    if (bench == NULL || count == 0 || start(bench) < 0) {
        (void)fprintf(stderr, "record_bench: cannot start\n");
        return 1;
    }
    bench_histogram(bench, count);
    bench_record(bench, count);
    bench_flip(bench);
    stop(bench);
    return 0;
}
