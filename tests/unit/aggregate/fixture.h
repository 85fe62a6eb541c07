/* What the tests of aggregate/ share: shards and an aggregator without threads, a clock that is moved by
 * hand. */
#ifndef WEFT_TESTS_AGGREGATE_FIXTURE_H
#define WEFT_TESTS_AGGREGATE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aggregate/aggregator.h"
#include "aggregate/directory.h"
#include "aggregate/snapshot.h"
#include "context/interner.h"

enum { FIXTURE_SHARDS_MAX = 4 };

#define SECOND_NS 1000000000ull
#define MS_NS 1000000ull
#define START_UNIX_NS (1700000000ull * SECOND_NS)

struct fixture {
    struct clock_manual clock;
    struct limits limits;
    struct budget budget;
    struct split_bounds bounds;
    struct profile_settings profiles; /* set before */
    struct mesh_names meshes;         /* set before */
    bool exemplars_are_pinned;        /* set before */
    uint32_t dropped_labels;          /* set before */
    struct bounds_rules bounds_rules; /* set before */
    struct metric_registry registry;
    struct metric_cells *aggregator_cells;
    struct metric_cells *shard_cells[FIXTURE_SHARDS_MAX];
    uint32_t shard_count;
    struct interner *interners[FIXTURE_SHARDS_MAX];
    struct directory *directories[FIXTURE_SHARDS_MAX];
    struct aggregator *aggregator;
};

/* Limits are set before. */
static inline void fixture_start(struct fixture *f, uint32_t shard_count)
{
    clock_manual_init(&f->clock, 1000 * SECOND_NS, START_UNIX_NS);
    f->budget = (struct budget){.cap_bytes = f->limits.series_bytes_max};
    f->shard_count = shard_count;
    memset(&f->registry, 0, sizeof(f->registry));
    uint64_t bounds_ns[BOUNDS_COUNT_MAX];
    int bound_count = bounds_in_force(bounds_default_ns, bounds_default_count, f->profiles.profiles,
        &f->bounds_rules, bounds_ns, BOUNDS_COUNT_MAX);

    assert_true(bound_count > 0);
    assert_int_equal(split_bounds_init(&f->bounds, bounds_ns, (size_t)bound_count), 0);
    f->aggregator_cells = metric_registry_add(&f->registry, METRIC_SCOPE_PROCESS, "");
    for (uint32_t i = 0; i < shard_count; i++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "%u", i);
        f->shard_cells[i] = metric_registry_add(&f->registry, METRIC_SCOPE_SHARD, name);
        f->interners[i] = interner_new((uint32_t)f->limits.strings_count_max, &f->budget);
        assert_non_null(f->interners[i]);
        struct directory_settings settings = {.shard = i,
            .interner = f->interners[i],
            .bounds = &f->bounds,
            .limits = &f->limits,
            .budget = &f->budget,
            .cells = f->shard_cells[i],
            .clock = &f->clock.clock,
            .profiles = f->profiles,
            .rare_count = 5,
            .dropped_labels = f->dropped_labels};

        assert_int_equal(directory_new(&settings, &f->directories[i]), 0);
    }
    struct aggregator_settings settings = {.shard_count = shard_count,
        .bounds = &f->bounds,
        .limits = &f->limits,
        .budget = &f->budget,
        .cells = f->aggregator_cells,
        .clock = &f->clock.clock,
        .le_ns = bounds_default_ns,
        .le_count = bounds_default_count,
        .bounds_rules = f->bounds_rules,
        .profiles = f->profiles.profiles,
        .cluster = "east",
        .meshes = f->meshes,
        .exemplars_are_pinned = f->exemplars_are_pinned};

    assert_int_equal(aggregator_new(&settings, &f->aggregator), 0);
}

/* Everything is given back, to the byte. */
static inline void fixture_stop(struct fixture *f)
{
    for (uint32_t i = 0; i < f->shard_count; i++) {
        directory_free(f->directories[i]);
        interner_free(f->interners[i]);
    }
    aggregator_free(f->aggregator);
    assert_int_equal(f->budget.used_bytes, 0);
    metric_registry_deinit(&f->registry);
}

static inline void fixture_flip(struct fixture *f, uint32_t shard)
{
    struct delta *delta = directory_flip(f->directories[shard]);

    assert_non_null(delta);
    aggregator_merge(f->aggregator, delta);
    directory_give_back(f->directories[shard], delta);
}

static inline void fixture_flip_all(struct fixture *f)
{
    for (uint32_t i = 0; i < f->shard_count; i++) {
        fixture_flip(f, i);
    }
}

/* `by_ns` later: flips of all shards, then a tick. */
static inline void fixture_advance(struct fixture *f, uint64_t by_ns)
{
    clock_manual_advance(&f->clock, by_ns);
    fixture_flip_all(f);
    aggregator_tick(f->aggregator);
}

/* As the context stage does it: no new strings for a sender that has had its share. */
static inline uint32_t fixture_string(struct fixture *f, uint32_t shard, uint32_t sender, const char *text)
{
    return directory_may_intern(f->directories[shard], sender)
               ? interner_intern(f->interners[shard], slice_of_string(text))
               : interner_find(f->interners[shard], slice_of_string(text));
}

static inline uint32_t overflow_if_full(uint32_t id)
{
    return id == INTERNED_FULL ? (uint32_t)INTERNED_OVERFLOW : id;
}

static inline struct request fixture_request(struct fixture *f, uint32_t shard, const char *sender,
    const char *source, const char *destination, const char *route)
{
    uint32_t sender_id = interner_intern(f->interners[shard], slice_of_string(sender));

    return (struct request){
        .reporter = REPORTER_SOURCE,
        .protocol = PROTOCOL_HTTP1,
        .method = METHOD_GET,
        .outcome = OUTCOME_OK,
        .source = overflow_if_full(fixture_string(f, shard, sender_id, source)),
        .source_namespace = overflow_if_full(fixture_string(f, shard, sender_id, "shop")),
        .destination = overflow_if_full(fixture_string(f, shard, sender_id, destination)),
        .destination_namespace = overflow_if_full(fixture_string(f, shard, sender_id, "shop")),
        .route = overflow_if_full(fixture_string(f, shard, sender_id, route)),
        .response_code = 200,
        .grpc_status = GRPC_STATUS_NONE,
        .start_unix_ns = START_UNIX_NS,
        .duration_ns = 3 * MS_NS,
        .weight = WEIGHT_ONE,
        .sender = sender_id,
    };
}

/* What a walk over a snapshot finds of one family. */
struct found {
    uint64_t sum; /* of counters, or of histogram counts */
    size_t series;
    uint64_t overflow;                   /* the part under destination="_overflow" */
    uint64_t created_unix_ns;            /* of the last one that fits */
    struct snapshot_histogram histogram; /* of the last one that fits; buckets are gone */
    uint64_t bound_counts[BOUNDS_COUNT_MAX];
    double value;
};

static inline struct snapshot *fixture_snapshot(struct fixture *f)
{
    struct snapshot_settings settings = {.native_scale = 5, .native_buckets_max = 1000};
    struct snapshot *snapshot = NULL;

    assert_int_equal(aggregator_snapshot_new(f->aggregator, &f->registry, &settings, &snapshot), 0);
    return snapshot;
}

/* Adds up the series of `family` whose labels text contains every one of `parts` (NULL-terminated; NULL:
 * all). */
static inline struct found fixture_find(struct fixture *f, const char *family, const char *const *parts)
{
    struct snapshot *snapshot = fixture_snapshot(f);
    struct snapshot_cursor cursor = {0};
    const struct snapshot_family *shown = NULL;
    struct snapshot_series series;
    struct found found = {.sum = 0};

    while (snapshot_next(snapshot, &cursor, &shown, &series) == 1) {
        bool fits = strcmp(shown->name, family) == 0;

        for (size_t i = 0; fits && parts != NULL && parts[i] != NULL; i++) {
            fits = strstr(series.labels_text, parts[i]) != NULL;
        }
        if (!fits) {
            continue;
        }
        uint64_t count = series.histogram != NULL ? series.histogram->count : series.integer;

        found.sum += count;
        found.series++;
        found.value = series.value;
        found.created_unix_ns = series.created_unix_ns;
        if (strstr(series.labels_text, "destination=\"_overflow\"") != NULL) {
            found.overflow += count;
        }
        if (series.histogram != NULL) {
            found.histogram = *series.histogram;
            if (series.histogram->bound_count > 0) {
                memcpy(found.bound_counts, series.histogram->bound_counts,
                    series.histogram->bound_count * sizeof(uint64_t));
            }
        }
    }
    aggregator_snapshot_free(snapshot);
    return found;
}

#define PARTS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* recorded = aggregated after flips; points: aggregated and withdrawn. */
static inline void fixture_check_ledger(struct fixture *f)
{
    assert_int_equal(metric_registry_sum(&f->registry, METRIC_SPANS_RECORDED),
        metric_registry_sum(&f->registry, METRIC_SPANS_AGGREGATED));
    assert_int_equal(metric_registry_sum(&f->registry, METRIC_POINTS_RECORDED),
        metric_registry_sum(&f->registry, METRIC_POINTS_AGGREGATED) +
            metric_registry_sum(&f->registry, METRIC_POINTS_WITHDRAWN));
}

#endif
