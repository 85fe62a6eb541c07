/*
 * What recording into, merging and reading histograms costs. One thread, a fixed seed; prints lines "name
 * value unit". The record figures include picking the series and fetching a prepared duration.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "histogram/downscale.h"
#include "histogram/quantile.h"
#include "histogram/sealed.h"

enum {
    DURATION_COUNT = 1 << 16,
    RECORD_COUNT = 1 << 24,
    SERIES_COUNT = 10000,
    OCTAVE_COUNT = 8,
    MERGE_ROUNDS = 20
};

struct bench {
    struct budget budget;
    struct page_slab shard_slab;
    struct page_slab slab;
    struct split_bounds bounds;
    struct le_plan plan;
    uint64_t durations_ns[DURATION_COUNT]; /* 1 ms ... 256 ms, evenly on the logarithmic scale */
    struct histogram deltas[SERIES_COUNT];
    struct histogram totals[SERIES_COUNT];
    struct histogram_flat flat;
    struct dense_buckets dense;
    uint8_t sealed[SEALED_BYTES_MAX];
};

static double now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static uint32_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(*state >> 32);
}

static void print_rate(const char *name, double start_ns, double count)
{
    printf("%s %.2f ns\n", name, (now_ns() - start_ns) / count);
}

static void require(bool holds)
{
    if (!holds) {
        fprintf(stderr, "histogram_bench: out of memory\n");
        exit(1);
    }
}

static uint64_t bench_cells(const struct bench *bench)
{
    uint64_t checksum = 0;
    double start_ns = now_ns();

    for (uint32_t i = 0; i < RECORD_COUNT; i++) {
        checksum += (uint64_t)lattice_cell(bench->durations_ns[i % DURATION_COUNT]);
    }
    print_rate("lattice_cell", start_ns, RECORD_COUNT);
    return checksum;
}

/* One series: its pages stay in the nearest cache. All series: each record finds another one. */
static void bench_record(struct bench *bench, const char *name, uint32_t series_count)
{
    uint64_t random = 1;
    double start_ns = now_ns();

    for (uint32_t i = 0; i < RECORD_COUNT; i++) {
        uint32_t series = (uint32_t)((uint64_t)next_random(&random) * series_count >> 32);

        require(histogram_record(&bench->deltas[series], &bench->shard_slab, &bench->bounds,
                    bench->durations_ns[i % DURATION_COUNT], 1) == 0);
    }
    print_rate(name, start_ns, RECORD_COUNT);
}

static void fill_deltas(struct bench *bench)
{
    for (uint32_t i = 0; i < SERIES_COUNT; i++) {
        for (uint32_t octave = 0; octave < OCTAVE_COUNT; octave++) {
            require(histogram_record(&bench->deltas[i], &bench->shard_slab, &bench->bounds,
                        UINT64_C(1000000) << octave, 1) == 0);
        }
    }
}

static void bench_merge(struct bench *bench)
{
    double merge_ns = 0;

    for (unsigned round = 0; round < MERGE_ROUNDS; round++) {
        struct page_chain chain = {.head = PAGE_NONE};

        fill_deltas(bench);
        double start_ns = now_ns();
        for (uint32_t i = 0; i < SERIES_COUNT; i++) {
            require(
                histogram_merge(&bench->totals[i], &bench->slab, &bench->deltas[i], &bench->shard_slab) == 0);
            histogram_drain(&bench->deltas[i], &bench->shard_slab, &chain);
        }
        merge_ns += now_ns() - start_ns;
        page_slab_take_back(&bench->shard_slab, &chain);
    }
    printf("merge_and_drain %.0f ns\n", merge_ns / MERGE_ROUNDS / SERIES_COUNT);
    printf("memory_10k_series %.2f MiB\n",
        (double)(bench->budget.used_bytes + sizeof(bench->deltas) + sizeof(bench->totals)) / (1 << 20));
}

static uint64_t bench_reading(struct bench *bench)
{
    uint64_t counts[BOUNDS_COUNT_MAX];
    uint64_t checksum = 0;
    double seconds = 0;
    double start_ns = now_ns();

    for (uint32_t i = 0; i < SERIES_COUNT; i++) {
        histogram_le_counts(&bench->totals[i], &bench->slab, &bench->plan, counts);
        checksum += counts[bench->plan.count - 1];
    }
    print_rate("le_counts", start_ns, SERIES_COUNT);
    start_ns = now_ns();
    for (uint32_t i = 0; i < SERIES_COUNT; i++) {
        require(downscale_histogram(&bench->dense, &bench->totals[i], &bench->slab, 3, 160) == 0);
        checksum += bench->dense.counts[0];
    }
    print_rate("downscale_to_3", start_ns, SERIES_COUNT);
    start_ns = now_ns();
    for (uint32_t i = 0; i < SERIES_COUNT; i++) {
        int length =
            sealed_write_histogram(&bench->totals[i], &bench->slab, bench->sealed, sizeof(bench->sealed));

        require(length > 0 && sealed_merge(&bench->flat, slice_of(bench->sealed, (size_t)length)) == 0);
    }
    print_rate("seal_and_merge", start_ns, SERIES_COUNT);
    start_ns = now_ns();
    for (uint32_t i = 0; i < SERIES_COUNT; i++) {
        require(quantile_seconds(&bench->flat, (double)i / SERIES_COUNT, &seconds) == 0);
        checksum += (uint64_t)(seconds * 1e9);
    }
    print_rate("quantile", start_ns, SERIES_COUNT);
    return checksum;
}

int main(void)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    uint64_t random = 2;
    uint64_t checksum = 0;

    require(bench != NULL);
    bench->budget.cap_bytes = 256 << 20;
    page_slab_init(&bench->shard_slab, &bench->budget);
    page_slab_init(&bench->slab, &bench->budget);
    require(split_bounds_init(&bench->bounds, bounds_default_ns, bounds_default_count) == 0);
    require(le_plan_init(&bench->plan, &bench->bounds, bounds_default_ns, bounds_default_count) == 0);
    for (uint32_t i = 0; i < DURATION_COUNT; i++) {
        bench->durations_ns[i] = (uint64_t)(1e6 * exp2(OCTAVE_COUNT * (double)next_random(&random) / 0x1p32));
    }
    checksum += bench_cells(bench);
    bench_record(bench, "record_1_series", 1);
    bench_record(bench, "record_10k_series", SERIES_COUNT);
    for (uint32_t i = 0; i < SERIES_COUNT; i++) {
        histogram_release(&bench->deltas[i], &bench->shard_slab);
    }
    bench_merge(bench);
    checksum += bench_reading(bench);
    printf("checksum %" PRIu64 " 1\n", checksum);
    page_slab_deinit(&bench->shard_slab);
    page_slab_deinit(&bench->slab);
    free(bench);
    return 0;
}
