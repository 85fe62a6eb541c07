/* The readers of cpu.h. */
#include "config/cpu.h"

#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/value.h"

enum { CPU_COUNT_MAX = 8192 };

#define QUOTA_US_MAX 1000000000000ull

unsigned cpu_affinity_count(void)
{
    cpu_set_t *set = CPU_ALLOC(CPU_COUNT_MAX);
    size_t set_bytes = CPU_ALLOC_SIZE(CPU_COUNT_MAX);
    int count = 1;

    if (set == NULL) {
        return 1;
    }
    CPU_ZERO_S(set_bytes, set);
    if (sched_getaffinity(0, set_bytes, set) == 0) {
        count = CPU_COUNT_S(set_bytes, set);
    }
    CPU_FREE(set);
    return count > 0 ? (unsigned)count : 1;
}

static uint64_t cpus_of(const char *quota_text, const char *period_text)
{
    uint64_t quota_us;
    uint64_t period_us;

    if (value_unsigned(quota_text, 1, QUOTA_US_MAX, &quota_us) < 0 ||
        value_unsigned(period_text, 1, QUOTA_US_MAX, &period_us) < 0) {
        return 0;
    }
    return (quota_us + period_us - 1) / period_us;
}

static uint64_t read_quota_v2(const char *directory)
{
    char quota[128];

    if (!cgroup_read_line(directory, "cpu.max", quota, sizeof quota)) {
        return 0;
    }
    char *space = strchr(quota, ' ');
    if (space == NULL) {
        return 0;
    }
    *space = '\0';
    return cpus_of(quota, space + 1);
}

static uint64_t read_quota_v1(const char *directory)
{
    char quota[64];
    char period[64];

    if (!cgroup_read_line(directory, "cpu.cfs_quota_us", quota, sizeof quota) ||
        !cgroup_read_line(directory, "cpu.cfs_period_us", period, sizeof period)) {
        return 0;
    }
    return cpus_of(quota, period);
}

unsigned cpu_quota_count(const struct cgroup_paths *paths)
{
    static const struct cgroup_limit limit = {
        .controller = "cpu", .read_v2 = read_quota_v2, .read_v1 = read_quota_v1};
    uint64_t cpus = cgroup_smallest(paths, &limit);

    return cpus < UINT_MAX ? (unsigned)cpus : UINT_MAX;
}

unsigned cpu_shard_count(const struct cgroup_paths *paths, unsigned affinity_count)
{
    unsigned quota = cpu_quota_count(paths);
    unsigned count = quota > 0 && quota < affinity_count ? quota : affinity_count;

    if (count < 1) {
        return 1;
    }
    return count < CPU_SHARDS_DEFAULT_MAX ? count : CPU_SHARDS_DEFAULT_MAX;
}
