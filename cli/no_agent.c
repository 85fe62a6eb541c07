/* See no_agent.h. One thread. */
#include "cli/no_agent.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct lines {
    char *text;
    size_t bytes;
    size_t used;
};

__attribute__((format(printf, 2, 3))) static void add(struct lines *lines, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(lines->text + lines->used, lines->bytes - lines->used, format, arguments);
    va_end(arguments);
    if (length > 0) {
        size_t room = lines->bytes - lines->used - 1;
        lines->used += (size_t)length < room ? (size_t)length : room;
    }
}

static int connect_error(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        return errno;
    }
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int error = connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 ? 0 : errno;
    close(fd);
    return error;
}

static void add_place(struct lines *lines, const char *path)
{
    int error = connect_error(path);
    const char *why = error == ENOENT         ? "there is no such socket"
                      : error == ECONNREFUSED ? "nobody listens on it any more"
                      : error == EACCES       ? "you may not connect: be in the socket's group, or root"
                      : error == 0 || error == EAGAIN ? "somebody listens, and does not answer"
                                                      : strerror(error);

    add(lines, "  tried %s: %s\n", path, why);
}

static void add_usual_places(struct lines *lines)
{
    struct paths_source source;
    struct paths_source system = {.is_root = true};
    char own_path[PATHS_BYTES_MAX] = "";
    char system_path[PATHS_BYTES_MAX] = "";

    paths_source_init(&source, PATHS_SOCKET_API);
    if (paths_default(&source, PATHS_SOCKET_API, own_path)) {
        add_place(lines, own_path);
    }
    if (paths_default(&system, PATHS_SOCKET_API, system_path) && strcmp(own_path, system_path) != 0) {
        add_place(lines, system_path);
    }
}

void no_agent_explain(const char *api, char *text, size_t text_bytes)
{
    struct lines lines = {.text = text, .bytes = text_bytes};
    struct paths_source source;

    paths_source_init(&source, PATHS_SOCKET_API);
    const char *named = api != NULL                                             ? api
                        : source.variable != NULL && source.variable[0] != '\0' ? source.variable
                                                                                : NULL;
    add(&lines, "no agent answers\n");
    if (named == NULL) {
        add_usual_places(&lines);
    } else if (strncmp(named, "http://", 7) == 0) {
        add(&lines, "  tried %.200s%s\n", named, api == NULL ? " (from WEFT_API)" : "");
    } else {
        add_place(&lines, named);
    }
    add(&lines, "Is weftd running on this node? If its API is elsewhere, name it: --api PATH|URL, or "
                "WEFT_API=PATH|URL.");
}
