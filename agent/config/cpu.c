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

enum { CGROUP_LINE_BYTES_MAX = 8192, CGROUP_LINE_COUNT_MAX = 64, CPU_COUNT_MAX = 8192 };

#define QUOTA_US_MAX 1000000000000ull

struct cpu_paths cpu_paths_system(void)
{
    return (struct cpu_paths){.cgroup_root = "/sys/fs/cgroup", .proc_cgroup = "/proc/self/cgroup"};
}

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

/* The first line of DIRECTORY/NAME, without its newline. False when there is none. */
static bool read_line(const char *directory, const char *name, char *out, int out_bytes)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/%s", directory, name);

    if (length < 0 || (size_t)length >= sizeof path) {
        return false;
    }
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    bool got = fgets(out, out_bytes, file) != NULL;
    (void)fclose(file);
    if (got) {
        out[strcspn(out, "\n")] = '\0';
    }
    return got;
}

static unsigned cpus_of(const char *quota_text, const char *period_text)
{
    uint64_t quota_us;
    uint64_t period_us;

    if (value_unsigned(quota_text, 1, QUOTA_US_MAX, &quota_us) < 0 ||
        value_unsigned(period_text, 1, QUOTA_US_MAX, &period_us) < 0) {
        return 0;
    }
    uint64_t cpus = (quota_us + period_us - 1) / period_us;
    return cpus < UINT_MAX ? (unsigned)cpus : UINT_MAX;
}

static unsigned read_quota_v2(const char *directory)
{
    char quota[128];

    if (!read_line(directory, "cpu.max", quota, sizeof quota)) {
        return 0;
    }
    char *space = strchr(quota, ' ');
    if (space == NULL) {
        return 0;
    }
    *space = '\0';
    return cpus_of(quota, space + 1);
}

static unsigned read_quota_v1(const char *directory)
{
    char quota[64];
    char period[64];

    if (!read_line(directory, "cpu.cfs_quota_us", quota, sizeof quota) ||
        !read_line(directory, "cpu.cfs_period_us", period, sizeof period)) {
        return 0;
    }
    return cpus_of(quota, period);
}

static unsigned smaller_limit(unsigned a, unsigned b)
{
    if (a == 0 || b == 0) {
        return a + b;
    }
    return a < b ? a : b;
}

/* The smallest quota from mount/group up to the mount itself. A container may see only the mount: then that
 * one counts. */
static unsigned walk_up(const char *mount, const char *group, unsigned (*read_quota)(const char *directory))
{
    char path[PATH_MAX];
    size_t mount_length = strlen(mount);
    unsigned limit = 0;
    int length = snprintf(path, sizeof path, "%s%s", mount, group);

    if (length < 0 || (size_t)length >= sizeof path || strstr(group, "..") != NULL) {
        return read_quota(mount);
    }
    while (strlen(path) > mount_length) {
        limit = smaller_limit(limit, read_quota(path));
        char *slash = strrchr(path + mount_length, '/');
        if (slash == NULL) {
            break;
        }
        *slash = '\0';
    }
    return smaller_limit(limit, read_quota(mount));
}

static bool has_cpu_controller(const char *controllers)
{
    while (*controllers != '\0') {
        size_t length = strcspn(controllers, ",");
        if (length == 3 && strncmp(controllers, "cpu", 3) == 0) {
            return true;
        }
        controllers += length;
        controllers += *controllers == ',';
    }
    return false;
}

/* One line of /proc/PID/cgroup: "0::/group" (version 2) or "4:cpu,cpuacct:/group" (version 1), see
 * cgroups(7). */
static unsigned read_membership(const struct cpu_paths *paths, char *line)
{
    char mount[PATH_MAX];
    char *controllers = strchr(line, ':');
    char *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;

    if (group == NULL || group[1] != '/') {
        return 0;
    }
    *group++ = '\0';
    controllers++;
    if (controllers[0] == '\0') {
        return walk_up(paths->cgroup_root, group, read_quota_v2);
    }
    if (!has_cpu_controller(controllers)) {
        return 0;
    }
    /* The mount bears the list's name; distributions link the single names to it. */
    int length = snprintf(mount, sizeof mount, "%s/%s", paths->cgroup_root, controllers);
    unsigned limit = length > 0 && (size_t)length < sizeof mount ? walk_up(mount, group, read_quota_v1) : 0;
    length = snprintf(mount, sizeof mount, "%s/cpu", paths->cgroup_root);
    if (length > 0 && (size_t)length < sizeof mount) {
        limit = smaller_limit(limit, walk_up(mount, group, read_quota_v1));
    }
    return limit;
}

unsigned cpu_quota_count(const struct cpu_paths *paths)
{
    char line[CGROUP_LINE_BYTES_MAX];
    FILE *file = fopen(paths->proc_cgroup, "re");
    unsigned limit = 0;

    if (file == NULL) {
        return 0;
    }
    for (int i = 0; i < CGROUP_LINE_COUNT_MAX && fgets(line, sizeof line, file) != NULL; i++) {
        line[strcspn(line, "\n")] = '\0';
        limit = smaller_limit(limit, read_membership(paths, line));
    }
    (void)fclose(file);
    return limit;
}

unsigned cpu_shard_count(const struct cpu_paths *paths, unsigned affinity_count)
{
    unsigned count = smaller_limit(affinity_count, cpu_quota_count(paths));

    if (count < 1) {
        return 1;
    }
    return count < CPU_SHARDS_DEFAULT_MAX ? count : CPU_SHARDS_DEFAULT_MAX;
}
