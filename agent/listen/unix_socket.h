/*
 * A Unix socket bound to a path, stream or datagram: its directory, the lock that settles which of two
 * instances may have the path, a stale file replaced, mode and group. Main thread, at start.
 */
#ifndef WEFT_LISTEN_UNIX_SOCKET_H
#define WEFT_LISTEN_UNIX_SOCKET_H

#include <sys/stat.h>

enum { UNIX_SOCKET_PATH_BYTES_MAX = 108 };

struct listener_unix_options {
    const char *path;
    mode_t mode;           /* of the socket, 0660 */
    mode_t directory_mode; /* of its directory when it has to be made, 0750 */
    const char *group;     /* of both, name or number; NULL or "": the process's own */
};

/*
 * Binds a socket of `type` (SOCK_STREAM or SOCK_DGRAM), non-blocking and close-on-exec, to options->path. A
 * stale file is replaced. Errors: WERR_EXISTS when another instance is live on the path or a file that is not
 * a socket lies there, WERR_OVERSIZED when the path is too long, WERR_NOT_FOUND for an unknown group,
 * WERR_PERMISSION, WERR_IO (errno is kept). A failed bind leaves nothing behind. The lock is held for as long
 * as *ret_lock_fd is open; the caller closes both and removes the path, but not the lock file.
 */
int unix_socket_bind(const struct listener_unix_options *options, int type, int *ret_fd, int *ret_lock_fd);

#endif
