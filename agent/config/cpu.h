/*
 * How many CPUs the process may really use: its affinity, cut by the quotas of its control groups. Main
 * thread, at start.
 */
#ifndef WEFT_CONFIG_CPU_H
#define WEFT_CONFIG_CPU_H

#include "config/cgroup.h"

enum { CPU_SHARDS_DEFAULT_MAX = 4 };

/* CPUs in the affinity mask, at least 1. */
unsigned cpu_affinity_count(void);

/*
 * The smallest quota of the process's groups and all groups above, in whole CPUs, rounded up; 0 when none
 * limits. Reads version 2 (cpu.max: "QUOTA PERIOD" or "max PERIOD", microseconds) and version 1
 * (cpu.cfs_quota_us, -1 for none, and cpu.cfs_period_us). What is missing or makes no sense limits nothing.
 */
unsigned cpu_quota_count(const struct cgroup_paths *paths);

/* Shards to start when nobody says: the smaller of both, 1 to CPU_SHARDS_DEFAULT_MAX. */
unsigned cpu_shard_count(const struct cgroup_paths *paths, unsigned affinity_count);

#endif
