/*
 * Limits that the process's control groups set, of version 2 or 1. What is missing or makes no sense limits
 * nothing. Main thread, at start.
 */
#ifndef WEFT_CONFIG_CGROUP_H
#define WEFT_CONFIG_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

/* Where the kernel's files are; tests give trees of their own. */
struct cgroup_paths {
    const char *root; /* "/sys/fs/cgroup" */
    const char *self; /* "/proc/self/cgroup" */
};

/* The real ones. */
struct cgroup_paths cgroup_paths_system(void);

/* How a limit is read from the directory of one group; each gives 0 for none. */
struct cgroup_limit {
    const char *controller; /* of version 1: "cpu" */
    uint64_t (*read_v2)(const char *directory);
    uint64_t (*read_v1)(const char *directory);
};

/* The smallest of the process's groups and of all groups above; 0 when none limits. */
uint64_t cgroup_smallest(const struct cgroup_paths *paths, const struct cgroup_limit *limit);

/* The first line of DIRECTORY/NAME, without its newline. False when there is none. */
bool cgroup_read_line(const char *directory, const char *name, char *out, int out_bytes);

#endif
