/*
 * Whether the memory that the configuration allows fits into what the process's control groups allow it.
 *
 * Two cases, because budgets are not alike. The ring of traces fills up in every agent that gets traces, and
 * stays full: one that does not fit ends in a kill by the kernel for certain, again after each restart, so
 * such a configuration is refused. All other budgets are for bursts and outages; that they are used up
 * together is rare, and a container that is smaller than their sum works on most days: that is a warning
 * which names the keys, the largest first, for the operator to decide.
 */
#ifndef WEFT_CONFIG_MEMORY_H
#define WEFT_CONFIG_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "config/cgroup.h"
#include "config/config.h"

enum {
    MEMORY_OWN_BYTES = 33554432, /* what the agent takes before any budget is drawn on */
    MEMORY_TEXT_BYTES = 512,
};

/* The smallest memory.max (version 2) or memory.limit_in_bytes (version 1) of the process's groups and all
 * above; 0: none limits. */
uint64_t memory_limit_bytes(const struct cgroup_paths *paths);

/* What all budgets of the configuration may take together, and the agent itself. */
uint64_t memory_budget_bytes(const struct config *config, size_t shard_count);

/*
 * Compares the budgets with a limit (0: none). 0: they fit; 1: they do not, and `text` names the keys;
 * WERR_CONFIG: the ring does not, `text` says so.
 */
int memory_check(const struct config *config, size_t shard_count, uint64_t limit_bytes,
    char text[static MEMORY_TEXT_BYTES]);

#endif
