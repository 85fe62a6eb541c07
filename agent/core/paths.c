/* The rules of paths.h. Any thread; reads the environment only in paths_source_init. */
#include "core/paths.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const file_names[] = {
    [PATHS_SOCKET_RECORDS] = "weft.sock",
    [PATHS_SOCKET_API] = "api.sock",
};

static const char *const variable_names[] = {
    [PATHS_SOCKET_RECORDS] = "WEFT_SOCKET",
    [PATHS_SOCKET_API] = "WEFT_API",
};

static bool is_set(const char *value)
{
    return value != NULL && value[0] != '\0';
}

void paths_source_init(struct paths_source *source, enum paths_socket socket)
{
    *source = (struct paths_source){
        .variable = getenv(variable_names[socket]),
        .runtime_dir = getenv("XDG_RUNTIME_DIR"),
        .is_root = geteuid() == 0,
    };
}

/* <base>/weft/<name of the socket>; false when that does not fit. */
static bool join(const char *base, enum paths_socket socket, char *ret_path)
{
    char path[PATHS_BYTES_MAX];
    int length = snprintf(path, sizeof path, "%s/weft/%s", base, file_names[socket]);

    if (length < 0 || (size_t)length >= sizeof path) {
        return false;
    }
    memcpy(ret_path, path, (size_t)length + 1);
    return true;
}

bool paths_default(
    const struct paths_source *source, enum paths_socket socket, char ret_path[static PATHS_BYTES_MAX])
{
    if (source->is_root) {
        return join("/run", socket, ret_path);
    }
    return is_set(source->runtime_dir) && join(source->runtime_dir, socket, ret_path);
}

bool paths_find(
    const struct paths_source *source, enum paths_socket socket, char ret_path[static PATHS_BYTES_MAX])
{
    char own[PATHS_BYTES_MAX];
    char system[PATHS_BYTES_MAX];

    if (is_set(source->variable)) {
        size_t length = strlen(source->variable);
        if (length >= PATHS_BYTES_MAX) {
            return false;
        }
        memcpy(ret_path, source->variable, length + 1);
        return true;
    }
    bool has_own = paths_default(source, socket, own);
    if (!join("/run", socket, system)) {
        return false;
    }
    bool take_own = has_own && (access(own, F_OK) == 0 || access(system, F_OK) != 0);
    memcpy(ret_path, take_own ? own : system, PATHS_BYTES_MAX);
    return true;
}
