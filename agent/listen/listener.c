/* Opening and closing of listening sockets (main thread, at start and stop). */
#include "listen/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/error.h"

static int error_of_errno(void)
{
    switch (errno) {
    case EACCES:
    case EPERM:
    case EROFS:
        return WERR_PERMISSION;
    case EADDRINUSE:
        return WERR_EXISTS;
    default:
        return WERR_IO;
    }
}

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        int saved_errno = errno;
        (void)close(*fd);
        errno = saved_errno;
    }
    *fd = -1;
}

/* Makes the socket's directory, one level: a missing parent of it is the administrator's to decide. */
static int make_directory(const char *path, mode_t mode)
{
    char directory[LISTENER_PATH_BYTES_MAX];
    const char *slash = strrchr(path, '/');

    if (slash == NULL || slash == path) {
        return 0;
    }
    (void)snprintf(directory, sizeof directory, "%.*s", (int)(slash - path), path);
    if (mkdir(directory, mode) == 0) {
        return chmod(directory, mode) == 0 ? 0 : error_of_errno(); /* the umask may have cut it */
    }
    return errno == EEXIST ? 0 : error_of_errno();
}

/* An flock beside the socket settles which of two instances that start at once may go on. */
static int take_lock(const char *path, int *ret_fd)
{
    char lock_path[LISTENER_PATH_BYTES_MAX + 8];

    (void)snprintf(lock_path, sizeof lock_path, "%s.lock", path);
    int fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return error_of_errno();
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int error = errno == EWOULDBLOCK ? WERR_EXISTS : error_of_errno();
        close_fd(&fd);
        return error;
    }
    *ret_fd = fd;
    return 0;
}

/* Whether somebody answers at the path: 1 yes, 0 no (a stale file, or none), negative when that cannot be
 * told. */
static int is_live(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        return WERR_IO;
    }
    int live = 1; /* EAGAIN: a full backlog, so somebody listens */
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) != 0) {
        if (errno == ECONNREFUSED || errno == ENOENT) {
            live = 0;
        } else if (errno != EAGAIN) {
            live = error_of_errno();
        }
    }
    close_fd(&fd);
    return live;
}

static int clear_stale(const struct sockaddr_un *address)
{
    struct stat status;

    if (lstat(address->sun_path, &status) != 0) {
        return errno == ENOENT ? 0 : error_of_errno();
    }
    if (!S_ISSOCK(status.st_mode)) {
        return WERR_EXISTS;
    }
    int live = is_live(address);
    if (live != 0) {
        return live > 0 ? WERR_EXISTS : live;
    }
    return unlink(address->sun_path) == 0 || errno == ENOENT ? 0 : error_of_errno();
}

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
    return lchown(path, (uid_t)-1, (gid_t)number) == 0 ? 0 : error_of_errno();
}

/* Bound under a closed umask: nobody can connect before mode and group are as configured. */
static int bind_and_listen(
    struct listener *listener, const struct sockaddr_un *address, const struct listener_unix_options *options)
{
    listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener->fd < 0) {
        return error_of_errno();
    }
    mode_t old_mask = umask(0177);
    int bound = bind(listener->fd, (const struct sockaddr *)address, sizeof *address);
    (void)umask(old_mask);
    if (bound != 0) {
        return error_of_errno();
    }
    int error = set_group(options->path, options->group);
    if (error == 0 && chmod(options->path, options->mode) != 0) {
        error = error_of_errno();
    }
    if (error == 0 && listen(listener->fd, LISTENER_BACKLOG_COUNT) != 0) {
        error = error_of_errno();
    }
    if (error < 0) {
        (void)unlink(options->path);
    }
    return error;
}

int listener_open_unix(
    struct listener *listener, enum listener_kind kind, const struct listener_unix_options *options)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(options->path);

    *listener = (struct listener){.kind = kind, .fd = -1, .lock_fd = -1};
    if (length == 0 || length >= sizeof address.sun_path) {
        return WERR_OVERSIZED;
    }
    memcpy(address.sun_path, options->path, length);
    int error = make_directory(options->path, options->directory_mode);
    if (error == 0) {
        error = take_lock(options->path, &listener->lock_fd);
    }
    if (error == 0) {
        error = clear_stale(&address);
    }
    if (error == 0) {
        error = bind_and_listen(listener, &address, options);
    }
    if (error < 0) {
        close_fd(&listener->fd);
        close_fd(&listener->lock_fd);
        return error;
    }
    memcpy(listener->path, options->path, length + 1);
    return 0;
}

/* "host:port" with a numeric host, the IPv6 one in brackets, into *ret_address. */
static int parse_address(const char *text, struct sockaddr_storage *ret_address, socklen_t *ret_length)
{
    char host[INET6_ADDRSTRLEN];
    const char *colon = strrchr(text, ':');
    char *end;

    if (colon == NULL || colon[1] == '\0' || (size_t)(colon - text) >= sizeof host) {
        return WERR_INVALID;
    }
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (*end != '\0' || port > 65535) {
        return WERR_INVALID;
    }
    bool bracketed = text[0] == '[' && colon[-1] == ']';
    int host_length = (int)(colon - text) - (bracketed ? 2 : 0);
    (void)snprintf(host, sizeof host, "%.*s", host_length, text + (bracketed ? 1 : 0));

    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    *ret_address = (struct sockaddr_storage){0};
    if (!bracketed && inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
        memcpy(ret_address, &v4, sizeof v4);
        *ret_length = sizeof v4;
        return 0;
    }
    if (bracketed && inet_pton(AF_INET6, host, &v6.sin6_addr) == 1) {
        memcpy(ret_address, &v6, sizeof v6);
        *ret_length = sizeof v6;
        return 0;
    }
    return WERR_INVALID;
}

/* The address as bound, with the port that the kernel chose for port 0. */
static void format_bound(struct listener *listener)
{
    struct sockaddr_storage bound = {0};
    socklen_t length = sizeof bound;
    char host[INET6_ADDRSTRLEN + IF_NAMESIZE];
    char port[8];

    if (getsockname(listener->fd, (struct sockaddr *)&bound, &length) == 0 &&
        getnameinfo((struct sockaddr *)&bound, length, host, sizeof host, port, sizeof port,
            NI_NUMERICHOST | NI_NUMERICSERV) == 0) {
        (void)snprintf(listener->address, sizeof listener->address,
            bound.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
    }
}

int listener_open_tcp(struct listener *listener, enum listener_kind kind, const char *address)
{
    struct sockaddr_storage parsed;
    socklen_t length;
    int yes = 1;

    *listener = (struct listener){.kind = kind, .fd = -1, .lock_fd = -1};
    int error = parse_address(address, &parsed, &length);
    if (error < 0) {
        return error;
    }
    listener->fd = socket(parsed.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener->fd < 0) {
        return error_of_errno();
    }
    (void)setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener->fd, (struct sockaddr *)&parsed, length) != 0 ||
        listen(listener->fd, LISTENER_BACKLOG_COUNT) != 0) {
        error = error_of_errno();
        close_fd(&listener->fd);
        return error;
    }
    format_bound(listener);
    return 0;
}

void listener_close(struct listener *listener)
{
    if (listener == NULL) {
        return;
    }
    if (listener->path[0] != '\0') {
        /* The lock file stays: removing it would let a third instance lock another inode of the same name. */
        (void)unlink(listener->path);
        listener->path[0] = '\0';
        close_fd(&listener->fd);
        close_fd(&listener->lock_fd);
    } else if (listener->address[0] != '\0') {
        listener->address[0] = '\0';
        close_fd(&listener->fd);
    }
}
