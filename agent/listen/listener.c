/* Opening and closing of listening sockets (main thread, at start and stop). */
#include "listen/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/error.h"
#include "listen/descriptor.h"
#include "listen/unix_socket.h"

int listener_open_unix(
    struct listener *listener, enum listener_kind kind, const struct listener_unix_options *options)
{
    *listener = (struct listener){.kind = kind, .fd = -1, .lock_fd = -1};
    int error = unix_socket_bind(options, SOCK_STREAM, &listener->fd, &listener->lock_fd);
    if (error < 0) {
        return error;
    }
    if (listen(listener->fd, LISTENER_BACKLOG_COUNT) != 0) {
        error = descriptor_error();
        (void)unlink(options->path);
        descriptor_close(&listener->fd);
        descriptor_close(&listener->lock_fd);
        return error;
    }
    (void)snprintf(listener->path, sizeof listener->path, "%s", options->path);
    return 0;
}

static bool socket_option_is(int fd, int option, int expected)
{
    int value = 0;
    socklen_t length = sizeof value;

    return getsockopt(fd, SOL_SOCKET, option, &value, &length) == 0 && value == expected;
}

/* The file of a bound Unix socket; "" for an unnamed, an abstract or another one. */
static void read_unix_path(int fd, char out[static LISTENER_PATH_BYTES_MAX])
{
    struct sockaddr_un address = {.sun_family = AF_UNSPEC};
    socklen_t length = sizeof address;

    out[0] = '\0';
    if (getsockname(fd, (struct sockaddr *)&address, &length) == 0 && address.sun_family == AF_UNIX &&
        length > offsetof(struct sockaddr_un, sun_path)) {
        size_t path_bytes = length - offsetof(struct sockaddr_un, sun_path);
        size_t path_length = strnlen(address.sun_path, path_bytes);
        (void)snprintf(out, LISTENER_PATH_BYTES_MAX, "%.*s", (int)path_length, address.sun_path);
    }
}

int listener_adopt(struct listener *listener, enum listener_kind kind, int fd)
{
    bool is_tcp = kind == LISTENER_HTTP || kind == LISTENER_METRICS || kind == LISTENER_OTLP;
    struct listener adopted = {.kind = kind, .fd = fd, .lock_fd = -1, .is_passed = true};

    if (!socket_option_is(fd, SO_TYPE, SOCK_STREAM) || !socket_option_is(fd, SO_ACCEPTCONN, 1)) {
        return WERR_INVALID;
    }
    if (is_tcp && (socket_option_is(fd, SO_DOMAIN, AF_INET) || socket_option_is(fd, SO_DOMAIN, AF_INET6))) {
        listener_format_address(fd, adopted.address);
    } else if (!is_tcp && socket_option_is(fd, SO_DOMAIN, AF_UNIX)) {
        read_unix_path(fd, adopted.path);
    }
    if (adopted.path[0] == '\0' && adopted.address[0] == '\0') {
        return WERR_INVALID;
    }
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
        return WERR_IO;
    }
    *listener = adopted;
    return 0;
}

int listener_parse_address(const char *text, struct sockaddr_storage *ret_address, socklen_t *ret_length)
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

void listener_format_address(int fd, char out[static LISTENER_ADDRESS_BYTES_MAX])
{
    struct sockaddr_storage bound = {0};
    socklen_t length = sizeof bound;
    char host[INET6_ADDRSTRLEN + IF_NAMESIZE];
    char port[8];

    if (getsockname(fd, (struct sockaddr *)&bound, &length) == 0 &&
        getnameinfo((struct sockaddr *)&bound, length, host, sizeof host, port, sizeof port,
            NI_NUMERICHOST | NI_NUMERICSERV) == 0) {
        (void)snprintf(
            out, LISTENER_ADDRESS_BYTES_MAX, bound.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
    }
}

int listener_open_tcp(struct listener *listener, enum listener_kind kind, const char *address)
{
    struct sockaddr_storage parsed;
    socklen_t length;
    int yes = 1;

    *listener = (struct listener){.kind = kind, .fd = -1, .lock_fd = -1};
    int error = listener_parse_address(address, &parsed, &length);
    if (error < 0) {
        return error;
    }
    listener->fd = socket(parsed.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener->fd < 0) {
        return descriptor_error();
    }
    (void)setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener->fd, (struct sockaddr *)&parsed, length) != 0 ||
        listen(listener->fd, LISTENER_BACKLOG_COUNT) != 0) {
        error = descriptor_error();
        descriptor_close(&listener->fd);
        return error;
    }
    listener_format_address(listener->fd, listener->address);
    return 0;
}

void listener_close(struct listener *listener)
{
    if (listener == NULL) {
        return;
    }
    if (listener->path[0] != '\0') {
        /* The lock file stays: removing it would let a third instance lock another inode of the same name. */
        if (!listener->is_passed) {
            (void)unlink(listener->path);
        }
        listener->path[0] = '\0';
        descriptor_close(&listener->fd);
        descriptor_close(&listener->lock_fd);
    } else if (listener->address[0] != '\0') {
        listener->address[0] = '\0';
        descriptor_close(&listener->fd);
    }
}
