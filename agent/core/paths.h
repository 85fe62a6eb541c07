/*
 * Where the agent's two sockets are when nobody says: as root in /run/weft, else in $XDG_RUNTIME_DIR/weft.
 * The agent, the client library and the command line share these rules, so this file depends on nothing but
 * the C library.
 */
#ifndef WEFT_CORE_PATHS_H
#define WEFT_CORE_PATHS_H

#include <stdbool.h>

enum { PATHS_BYTES_MAX = 108 }; /* of sockaddr_un.sun_path, its NUL included */

enum paths_socket { PATHS_SOCKET_RECORDS, PATHS_SOCKET_API };

/* What the rules look at; paths_source_init takes it from the process, a test makes its own. */
struct paths_source {
    const char *variable;    /* value of WEFT_SOCKET or WEFT_API; NULL or "" when unset */
    const char *runtime_dir; /* value of XDG_RUNTIME_DIR; NULL or "" when unset */
    bool is_root;
};

/* Reads the environment and the effective user. The strings are borrowed from the environment. */
void paths_source_init(struct paths_source *source, enum paths_socket socket);

/*
 * Where an agent listens by default; `variable` does not count. Writes the path and its NUL into ret_path.
 * False, and nothing written, when there is no such place: not root and no XDG_RUNTIME_DIR, or a path longer
 * than a socket's may be.
 */
bool paths_default(
    const struct paths_source *source, enum paths_socket socket, char ret_path[static PATHS_BYTES_MAX]);

/*
 * Where a client looks: the variable, then the default place of its own user, then that of root's agent, the
 * first that exists; when none does, the first that could. False, and nothing written, when the chosen path
 * is too long.
 */
bool paths_find(
    const struct paths_source *source, enum paths_socket socket, char ret_path[static PATHS_BYTES_MAX]);

#endif
