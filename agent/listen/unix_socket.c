/* Binding of Unix sockets; see unix_socket.h. */
#include "listen/unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/error.h"
#include "listen/descriptor.h"

static int set_group(const char *path, const char *group)
{
    char *end;

    if (group == NULL || *group == '\0') {
        return 0;
    }
    unsigned long number = strtoul(group, &end, 10);
    if (*end != '\0') {
        errno = 0;
        const struct group *entry = getgrnam(group);
        if (entry == NULL) {
            return WERR_NOT_FOUND;
        }
        number = entry->gr_gid;
    }
    return lchown(path, (uid_t)-1, (gid_t)number) == 0 ? 0 : descriptor_error();
}

/* Makes the socket's directory, one level: a missing parent of it is the administrator's to decide. Who may
 * use the socket has to get to it, so its group is the directory's; one that is there already stays as it is.
 */
static int make_directory(const struct listener_unix_options *options)
{
    char directory[UNIX_SOCKET_PATH_BYTES_MAX];
    const char *slash = strrchr(options->path, '/');

    if (slash == NULL || slash == options->path) {
        return 0;
    }
    (void)snprintf(directory, sizeof directory, "%.*s", (int)(slash - options->path), options->path);
    if (mkdir(directory, options->directory_mode) != 0) {
        return errno == EEXIST ? 0 : descriptor_error();
    }
    int error = set_group(directory, options->group);
    if (error == 0 && chmod(directory, options->directory_mode) != 0) { /* the umask may have cut it */
        error = descriptor_error();
    }
    if (error < 0) {
        int cause = errno;
        (void)rmdir(directory);
        errno = cause;
    }
    return error;
}

/* An flock beside the socket settles which of two instances that start at once may go on. */
static int take_lock(const char *path, int *ret_fd)
{
    char lock_path[UNIX_SOCKET_PATH_BYTES_MAX + 8];

    (void)snprintf(lock_path, sizeof lock_path, "%s.lock", path);
    int fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return descriptor_error();
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int error = errno == EWOULDBLOCK ? WERR_EXISTS : descriptor_error();
        descriptor_close(&fd);
        return error;
    }
    *ret_fd = fd;
    return 0;
}

/*
 * Whether somebody answers at the path: 1 yes, 0 no (a stale file, or none), negative when that cannot be
 * told. A live socket of the other type refuses with EPROTOTYPE.
 */
static int is_live(const struct sockaddr_un *address, int type)
{
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        return WERR_IO;
    }
    int live = 1; /* EAGAIN: a full backlog, so somebody listens */
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) != 0) {
        if (errno == ECONNREFUSED || errno == ENOENT) {
            live = 0;
        } else if (errno != EAGAIN && errno != EPROTOTYPE) {
            live = descriptor_error();
        }
    }
    descriptor_close(&fd);
    return live;
}

static int clear_stale(const struct sockaddr_un *address, int type)
{
    struct stat status;

    if (lstat(address->sun_path, &status) != 0) {
        return errno == ENOENT ? 0 : descriptor_error();
    }
    if (!S_ISSOCK(status.st_mode)) {
        return WERR_EXISTS;
    }
    int live = is_live(address, type);
    if (live != 0) {
        return live > 0 ? WERR_EXISTS : live;
    }
    return unlink(address->sun_path) == 0 || errno == ENOENT ? 0 : descriptor_error();
}

/* Bound under a closed umask: nobody can connect before mode and group are as configured. */
static int bind_path(
    const struct sockaddr_un *address, int type, const struct listener_unix_options *options, int *ret_fd)
{
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        return descriptor_error();
    }
    mode_t old_mask = umask(0177);
    int bound = bind(fd, (const struct sockaddr *)address, sizeof *address);
    (void)umask(old_mask);
    if (bound != 0) {
        int error = descriptor_error();
        descriptor_close(&fd);
        return error;
    }
    int error = set_group(options->path, options->group);
    if (error == 0 && chmod(options->path, options->mode) != 0) {
        error = descriptor_error();
    }
    if (error < 0) {
        (void)unlink(options->path);
        descriptor_close(&fd);
        return error;
    }
    *ret_fd = fd;
    return 0;
}

int unix_socket_bind(const struct listener_unix_options *options, int type, int *ret_fd, int *ret_lock_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(options->path);
    int lock_fd = -1;

    if (length == 0 || length >= sizeof address.sun_path) {
        return WERR_OVERSIZED;
    }
    memcpy(address.sun_path, options->path, length);
    int error = make_directory(options);
    if (error == 0) {
        error = take_lock(options->path, &lock_fd);
    }
    if (error == 0) {
        error = clear_stale(&address, type);
    }
    if (error == 0) {
        error = bind_path(&address, type, options, ret_fd);
    }
    if (error < 0) {
        descriptor_close(&lock_fd);
        return error;
    }
    *ret_lock_fd = lock_fd;
    return 0;
}
