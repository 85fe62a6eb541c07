/*
 * The agent's own counters. Each thread (and each export destination) owns a set of cells that only it
 * writes; anybody may read. The rows are in metrics_table.h.
 */
#ifndef WEFT_CORE_METRICS_H
#define WEFT_CORE_METRICS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "core/metrics_table.h"

enum metric_id {
#define WEFT_METRIC_ENUM(id, family, type, scope, labels, unit, stability, help) METRIC_##id,
    WEFT_METRICS(WEFT_METRIC_ENUM)
#undef WEFT_METRIC_ENUM
        METRIC_COUNT
};

enum metric_type { METRIC_TYPE_COUNTER, METRIC_TYPE_GAUGE };
enum metric_scope { METRIC_SCOPE_PROCESS, METRIC_SCOPE_SHARD, METRIC_SCOPE_DESTINATION, METRIC_SCOPE_TARGET };

struct metric_row {
    const char *family; /* without "_total" */
    enum metric_type type;
    enum metric_scope scope;
    const char *labels; /* key="value",… or "" */
    const char *unit;
    const char *stability;
    const char *help;
};

/* METRIC_COUNT rows, indexed by enum metric_id; rows of a family are neighbours. */
extern const struct metric_row metric_rows[METRIC_COUNT];

struct metric_cells {
    _Alignas(64) _Atomic uint64_t value[METRIC_COUNT];
};

/* Only the owner of the cells writes: a plain load and store, no locked instruction. */
static inline void metric_add(struct metric_cells *cells, enum metric_id id, uint64_t by)
{
    uint64_t now = atomic_load_explicit(&cells->value[id], memory_order_relaxed);
    atomic_store_explicit(&cells->value[id], now + by, memory_order_relaxed);
}

static inline void metric_set(struct metric_cells *cells, enum metric_id id, uint64_t value)
{
    atomic_store_explicit(&cells->value[id], value, memory_order_relaxed);
}

static inline uint64_t metric_get(const struct metric_cells *cells, enum metric_id id)
{
    return atomic_load_explicit(&cells->value[id], memory_order_relaxed);
}

/* The increments that the ledger is made of; tests/fault removes them one at a time and expects a test to
 * fail. */
#define LEDGER_ADD(cells, id, by) metric_add((cells), (id), (by))

/* Who owns which cells, for those who show them. Filled at start, read-only afterwards. */
struct metric_owner {
    struct metric_cells *cells;
    enum metric_scope scope; /* owners of other scopes also hold PROCESS rows */
    char label_value[64];    /* "0" for shard 0, the destination's or target's name; empty for PROCESS */
};

enum { METRIC_OWNER_COUNT_MAX = 256 };

struct metric_registry {
    struct metric_owner owners[METRIC_OWNER_COUNT_MAX];
    size_t owner_count;
};

/* Makes zeroed cells and enters them. NULL when memory or the registry is full. Freed by
 * metric_registry_deinit. */
struct metric_cells *metric_registry_add(
    struct metric_registry *registry, enum metric_scope scope, const char *label_value);

void metric_registry_deinit(struct metric_registry *registry);

/* The sum of a row over all owners. */
uint64_t metric_registry_sum(const struct metric_registry *registry, enum metric_id id);

#endif
