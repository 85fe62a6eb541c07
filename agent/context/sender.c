/* The peer of a connection; see sender.h. Called at accept, by the thread that accepts or takes over the
 * connection. */
#include "context/sender.h"

#include <limits.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/error.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif

enum { STAT_BYTES_MAX = 2048, STAT_FIELD_START_TIME = 22 };

static const char *const kind_names[SENDER_KIND_COUNT] = {
    [SENDER_UNKNOWN] = "unknown",
    [SENDER_POD] = "pod",
    [SENDER_CONTAINER] = "container",
    [SENDER_UNIT] = "unit",
    [SENDER_PROCESS] = "process",
    [SENDER_USER] = "user",
    [SENDER_TARGET] = "target",
    [SENDER_SAN] = "san",
    [SENDER_ADDRESS] = "address",
};

const char *sender_kind_name(enum sender_kind kind)
{
    return kind_names[(unsigned)kind < SENDER_KIND_COUNT ? kind : SENDER_UNKNOWN];
}

/* All of a small file below a directory; at most bytes_max - 1, NUL-terminated. Negative when it cannot be
 * read. */
static ssize_t read_file(int directory_fd, const char *name, char *out, size_t bytes_max)
{
    int fd = openat(directory_fd, name, O_RDONLY | O_CLOEXEC);
    size_t used = 0;
    ssize_t got = 0;

    if (fd < 0) {
        return WERR_IO;
    }
    while (used + 1 < bytes_max && (got = read(fd, out + used, bytes_max - 1 - used)) > 0) {
        used += (size_t)got;
    }
    close(fd);
    out[used] = '\0';
    return got < 0 ? WERR_IO : (ssize_t)used;
}

/* Field 22 of /proc/PID/stat; the second field may hold anything, so fields are counted from its closing
 * bracket. */
static uint64_t start_ticks_of(int directory_fd)
{
    char text[STAT_BYTES_MAX];
    char *at;

    if (read_file(directory_fd, "stat", text, sizeof text) < 0) {
        return 0;
    }
    at = strrchr(text, ')');
    for (unsigned field = 2; at != NULL && field < STAT_FIELD_START_TIME; field++) {
        at = strchr(at + 1, ' ');
    }
    return at != NULL ? strtoull(at + 1, NULL, 10) : 0;
}

/* Printable ASCII without slashes and quotes, at most out_bytes - 1 of it: ids are shown, split and compared.
 */
static void copy_name(char *out, size_t out_bytes, const char *text, size_t length)
{
    size_t used = 0;

    for (size_t i = 0; i < length && used + 1 < out_bytes && text[i] != '\n'; i++) {
        bool fit = text[i] > ' ' && text[i] < 0x7f && text[i] != '/' && text[i] != '"' && text[i] != '\\';

        out[used++] = fit ? text[i] : '_';
    }
    out[used] = '\0';
}

/* The executable's file name, which the process cannot choose as freely as its comm; else comm. */
static void read_executable(int directory_fd, struct sender *sender)
{
    char path[SENDER_CGROUP_BYTES_MAX / 4];
    ssize_t length = readlinkat(directory_fd, "exe", path, sizeof path - 1);
    const char *name;

    if (length > 0) {
        path[length] = '\0';
        name = strrchr(path, '/');
        name = name != NULL ? name + 1 : path;
        length = (ssize_t)strlen(name);
        if (length > 10 && strcmp(name + length - 10, " (deleted)") == 0) {
            length -= 10; /* replaced on disk since it was started */
        }
        copy_name(sender->name, sizeof sender->name, name, (size_t)length);
    }
    if (sender->name[0] == '\0') {
        length = read_file(directory_fd, "comm", path, sizeof path);
        copy_name(sender->name, sizeof sender->name, path, length > 0 ? (size_t)length : 0);
    }
    sender->kind = sender->name[0] != '\0' ? SENDER_PROCESS : SENDER_USER;
}

static void read_open_process(int directory_fd, struct sender *sender)
{
    char text[SENDER_CGROUP_BYTES_MAX];
    ssize_t length = read_file(directory_fd, "cgroup", text, sizeof text);

    if (length <= 0 || !sender_read_cgroup(slice_of(text, (size_t)length), sender)) {
        read_executable(directory_fd, sender);
    }
}

static int open_process(const char *proc_root, pid_t pid)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/%ld", proc_root, (long)pid);

    if (length < 0 || (size_t)length >= sizeof path) {
        return -1;
    }
    return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

int sender_read_process(const char *proc_root, pid_t pid, struct sender *sender)
{
    int directory_fd = open_process(proc_root, pid);
    struct sender found = *sender;

    if (directory_fd < 0) {
        return WERR_NOT_FOUND;
    }
    found.pid = pid;
    found.start_ticks = start_ticks_of(directory_fd);
    if (found.start_ticks == 0) {
        close(directory_fd);
        return WERR_NOT_FOUND;
    }
    read_open_process(directory_fd, &found);
    if (start_ticks_of(directory_fd) != found.start_ticks) {
        close(directory_fd);
        return WERR_AGAIN;
    }
    close(directory_fd);
    *sender = found;
    return 0;
}

bool sender_is_alive(const struct sender *sender, const char *proc_root)
{
    int directory_fd;
    bool same;

    if (sender->pid <= 0 || sender->start_ticks == 0) {
        return false;
    }
    directory_fd = open_process(proc_root, sender->pid);
    if (directory_fd < 0) {
        return false;
    }
    same = start_ticks_of(directory_fd) == sender->start_ticks;
    close(directory_fd);
    return same;
}

/* A pidfd is readable once its process has ended. -1 (an older kernel has none) counts as alive. */
static bool peer_lives(int pid_fd)
{
    struct pollfd watch = {.fd = pid_fd, .events = POLLIN};

    return pid_fd < 0 || poll(&watch, 1, 0) == 0;
}

/* Clock ticks since boot, as start times are counted. */
static uint64_t ticks_now(void)
{
    struct timespec now;

    if (clock_gettime(CLOCK_BOOTTIME, &now) != 0) {
        return UINT64_MAX;
    }
    return (uint64_t)now.tv_sec * (uint64_t)sysconf(_SC_CLK_TCK) +
           (uint64_t)now.tv_nsec / (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK));
}

int sender_of_socket(int fd, const char *proc_root, struct sender *ret_sender)
{
    struct ucred peer = {.uid = SENDER_UID_UNMAPPED};
    socklen_t length = sizeof peer;
    struct sender sender = {.kind = SENDER_USER};
    uint64_t accepted_ticks = ticks_now();
    struct sender found;
    int pid_fd = -1;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0 || length != sizeof peer) {
        return WERR_IO;
    }
    sender.pid = peer.pid;
    sender.uid = peer.uid;
    sender.gid = peer.gid;
    if (peer.uid == (uid_t)-1) {
        sender.kind = SENDER_UNKNOWN; /* a socket without credentials: TCP */
    } else if (peer.pid > 0) {
        length = sizeof pid_fd;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pid_fd, &length) != 0) {
            pid_fd = -1;
        }
        found = sender;
        if (sender_read_process(proc_root, peer.pid, &found) == 0 && peer_lives(pid_fd) &&
            found.start_ticks <= accepted_ticks) {
            sender = found;
        }
        if (pid_fd >= 0) {
            close(pid_fd);
        }
    }
    sender_id_format(&sender);
    *ret_sender = sender;
    return 0;
}
