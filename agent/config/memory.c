/* Budgets against the control group's limit; see memory.h. Main thread, at start. */
#include "config/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/value.h"
#include "core/error.h"

enum {
    TIMING_BYTES = 130,      /* as limits.trace_timings_count_max says */
    OBSERVATION_BYTES = 170, /* as limits.trace_observations_count_max says */
    BUDGETS_COUNT_MAX = 16 + CONFIG_OTLP_COUNT_MAX,
    KEY_BYTES = 64,
    NAMED_COUNT = 4, /* keys in a warning: the largest; the others matter less */
    BYTES_PER_MIB = 1048576,
};

/* Version 1 says so, or somewhat less, for none. */
#define NO_LIMIT_BYTES (1ull << 60)

struct memory_budget {
    char key[KEY_BYTES];
    uint64_t bytes;
};

struct budgets {
    struct memory_budget items[BUDGETS_COUNT_MAX];
    size_t count;
};

static uint64_t read_limit(const char *directory, const char *name)
{
    char text[64];
    uint64_t bytes;

    if (!cgroup_read_line(directory, name, text, sizeof text) ||
        value_unsigned(text, 1, NO_LIMIT_BYTES, &bytes) < 0) {
        return 0; /* "max", or no limit at all */
    }
    return bytes;
}

static uint64_t read_v2(const char *directory)
{
    return read_limit(directory, "memory.max");
}

static uint64_t read_v1(const char *directory)
{
    return read_limit(directory, "memory.limit_in_bytes");
}

uint64_t memory_limit_bytes(const struct cgroup_paths *paths)
{
    static const struct cgroup_limit limit = {.controller = "memory", .read_v2 = read_v2, .read_v1 = read_v1};

    return cgroup_smallest(paths, &limit);
}

static void add(struct budgets *budgets, const char *key, uint64_t bytes)
{
    if (budgets->count < BUDGETS_COUNT_MAX) {
        struct memory_budget *budget = &budgets->items[budgets->count++];
        (void)snprintf(budget->key, sizeof budget->key, "%s", key);
        budget->bytes = bytes;
    }
}

static int by_size(const void *a, const void *b)
{
    const struct memory_budget *one = a;
    const struct memory_budget *other = b;

    return one->bytes == other->bytes ? strcmp(one->key, other->key) : one->bytes < other->bytes ? 1 : -1;
}

/* The largest first. */
static void list_budgets(struct budgets *budgets, const struct config *config, size_t shard_count)
{
    const struct limits *limits = &config->limits;
    char key[KEY_BYTES];

    budgets->count = 0;
    add(budgets, "limits.trace_ring_bytes", limits->trace_ring_bytes);
    add(budgets, "limits.waiting_bytes_max", limits->waiting_bytes_max);
    add(budgets, "limits.assembly_bytes_max", limits->assembly_bytes_max);
    add(budgets, "limits.answers_bytes_max (each shard)", limits->answers_bytes_max * shard_count);
    add(budgets, "limits.query_answer_bytes_max", limits->query_answer_bytes_max);
    add(budgets, "limits.series_bytes_max", limits->series_bytes_max);
    add(budgets, "limits.exemplar_bytes_max", limits->exemplar_bytes_max);
    add(budgets, "limits.trace_timings_count_max", limits->trace_timings_count_max * TIMING_BYTES);
    add(budgets, "limits.trace_observations_count_max",
        limits->trace_observations_count_max * OBSERVATION_BYTES);
    for (size_t i = 0; i < config->exporters.otlp.count; i++) {
        (void)snprintf(key, sizeof key, "exporters.otlp[%zu].queue.bytes_max", i);
        add(budgets, key, config->exporters.otlp.items[i].queue.bytes_max);
    }
    qsort(budgets->items, budgets->count, sizeof budgets->items[0], by_size);
}

static uint64_t sum_of(const struct budgets *budgets)
{
    uint64_t bytes = MEMORY_OWN_BYTES;

    for (size_t i = 0; i < budgets->count; i++) {
        bytes += budgets->items[i].bytes;
    }
    return bytes;
}

uint64_t memory_budget_bytes(const struct config *config, size_t shard_count)
{
    struct budgets budgets;

    list_budgets(&budgets, config, shard_count);
    return sum_of(&budgets);
}

/* Rounded to whole MiB: up what is wanted, down what is there. */
static uint64_t mib_up(uint64_t bytes)
{
    return (bytes + BYTES_PER_MIB - 1) / BYTES_PER_MIB;
}

static int warn(const struct budgets *budgets, uint64_t limit_bytes, char text[static MEMORY_TEXT_BYTES])
{
    int used = snprintf(text, MEMORY_TEXT_BYTES,
        "memory.max of the control group is %" PRIu64 " MiB, the budgets allow %" PRIu64 " MiB together:",
        limit_bytes / BYTES_PER_MIB, mib_up(sum_of(budgets)));

    for (size_t i = 0; i < budgets->count && i < NAMED_COUNT && used < MEMORY_TEXT_BYTES; i++) {
        const struct memory_budget *budget = &budgets->items[i];
        used += snprintf(text + used, MEMORY_TEXT_BYTES - (size_t)used, "%s %s %" PRIu64 " MiB",
            i > 0 ? "," : "", budget->key, mib_up(budget->bytes));
    }
    return 1;
}

int memory_check(const struct config *config, size_t shard_count, uint64_t limit_bytes,
    char text[static MEMORY_TEXT_BYTES])
{
    struct budgets budgets;

    if (limit_bytes == 0) {
        return 0;
    }
    if (config->limits.trace_ring_bytes + MEMORY_OWN_BYTES > limit_bytes) {
        (void)snprintf(text, MEMORY_TEXT_BYTES,
            "limits.trace_ring_bytes: %" PRIu64 " bytes, which fill up for certain, and %" PRIu64
            " MiB for the agent itself do not fit into memory.max of the control group, %" PRIu64
            " bytes: the kernel would end it",
            config->limits.trace_ring_bytes, mib_up(MEMORY_OWN_BYTES), limit_bytes);
        return WERR_CONFIG;
    }
    list_budgets(&budgets, config, shard_count);
    return sum_of(&budgets) > limit_bytes ? warn(&budgets, limit_bytes, text) : 0;
}
