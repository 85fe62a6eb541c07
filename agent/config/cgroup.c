/* The reader of cgroup.h. */
#include "config/cgroup.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { CGROUP_LINE_BYTES_MAX = 8192, CGROUP_LINE_COUNT_MAX = 64 };

struct cgroup_paths cgroup_paths_system(void)
{
    return (struct cgroup_paths){.root = "/sys/fs/cgroup", .self = "/proc/self/cgroup"};
}

bool cgroup_read_line(const char *directory, const char *name, char *out, int out_bytes)
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

static uint64_t smaller(uint64_t a, uint64_t b)
{
    if (a == 0 || b == 0) {
        return a + b;
    }
    return a < b ? a : b;
}

/* The smallest limit from mount/group up to the mount itself. A container may see only the mount: then that
 * one counts. */
static uint64_t walk_up(const char *mount, const char *group, uint64_t (*read)(const char *directory))
{
    char path[PATH_MAX];
    size_t mount_length = strlen(mount);
    uint64_t limit = 0;
    int length = snprintf(path, sizeof path, "%s%s", mount, group);

    if (length < 0 || (size_t)length >= sizeof path || strstr(group, "..") != NULL) {
        return read(mount);
    }
    while (strlen(path) > mount_length) {
        limit = smaller(limit, read(path));
        char *slash = strrchr(path + mount_length, '/');
        if (slash == NULL) {
            break;
        }
        *slash = '\0';
    }
    return smaller(limit, read(mount));
}

static bool has_controller(const char *controllers, const char *wanted)
{
    while (*controllers != '\0') {
        size_t length = strcspn(controllers, ",");
        if (length == strlen(wanted) && strncmp(controllers, wanted, length) == 0) {
            return true;
        }
        controllers += length;
        controllers += *controllers == ',';
    }
    return false;
}

/* One line of /proc/PID/cgroup: "0::/group" (version 2) or "4:cpu,cpuacct:/group" (version 1), see
 * cgroups(7). */
static uint64_t read_membership(
    const struct cgroup_paths *paths, const struct cgroup_limit *limit, char *line)
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
        return walk_up(paths->root, group, limit->read_v2);
    }
    if (!has_controller(controllers, limit->controller)) {
        return 0;
    }
    /* The mount bears the list's name; distributions link the single names to it. */
    int length = snprintf(mount, sizeof mount, "%s/%s", paths->root, controllers);
    uint64_t found = length > 0 && (size_t)length < sizeof mount ? walk_up(mount, group, limit->read_v1) : 0;
    length = snprintf(mount, sizeof mount, "%s/%s", paths->root, limit->controller);
    if (length > 0 && (size_t)length < sizeof mount) {
        found = smaller(found, walk_up(mount, group, limit->read_v1));
    }
    return found;
}

uint64_t cgroup_smallest(const struct cgroup_paths *paths, const struct cgroup_limit *limit)
{
    char line[CGROUP_LINE_BYTES_MAX];
    FILE *file = fopen(paths->self, "re");
    uint64_t found = 0;

    if (file == NULL) {
        return 0;
    }
    for (int i = 0; i < CGROUP_LINE_COUNT_MAX && fgets(line, sizeof line, file) != NULL; i++) {
        line[strcspn(line, "\n")] = '\0';
        found = smaller(found, read_membership(paths, limit, line));
    }
    (void)fclose(file);
    return found;
}
