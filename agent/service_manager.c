/* The service manager's protocol; see service_manager.h. */
#include "service_manager.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "listen/descriptor.h"

enum { NUMBER_DIGITS_MAX = 18, MESSAGE_BYTES_MAX = SERVICE_MANAGER_STATUS_BYTES + 128 };

struct service_environment service_environment_system(void)
{
    return (struct service_environment){
        .notify_socket = getenv("NOTIFY_SOCKET"),
        .watchdog_usec = getenv("WATCHDOG_USEC"),
        .watchdog_pid = getenv("WATCHDOG_PID"),
        .listen_fds = getenv("LISTEN_FDS"),
        .listen_pid = getenv("LISTEN_PID"),
        .listen_names = getenv("LISTEN_FDNAMES"),
        .pid = getpid(),
        .first_descriptor = SERVICE_MANAGER_FIRST_DESCRIPTOR,
    };
}

/* Digits and nothing else. */
static int parse_number(const char *text, uint64_t *ret_number)
{
    size_t digits = strspn(text, "0123456789");

    if (digits == 0 || digits > NUMBER_DIGITS_MAX || text[digits] != '\0') {
        return WERR_INVALID;
    }
    *ret_number = strtoull(text, NULL, 10);
    return 0;
}

/* Whether a variable that names a process means this one: 1 or 0, or WERR_INVALID. */
static int is_for(const char *pid_text, pid_t pid)
{
    uint64_t number;

    if (parse_number(pid_text, &number) < 0) {
        return WERR_INVALID;
    }
    return number == (uint64_t)pid;
}

/* An abstract address begins with "@" in the variable and with a NUL in the kernel, and has no NUL at its
 * end. */
static int read_notify(struct service_manager *manager, const char *path)
{
    size_t length = path != NULL ? strlen(path) : 0;

    if (length == 0) {
        return 0;
    }
    if ((path[0] != '/' && path[0] != '@') || length < 2) {
        return WERR_INVALID;
    }
    if (length >= sizeof manager->address.sun_path) {
        return WERR_OVERSIZED;
    }
    manager->address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(manager->address.sun_path, path, length);
    manager->address_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    if (path[0] == '@') {
        manager->address.sun_path[0] = '\0';
    } else {
        manager->address_bytes++;
    }
    manager->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return manager->fd >= 0 ? 0 : WERR_IO;
}

static int read_watchdog(struct service_manager *manager, const struct service_environment *environment)
{
    uint64_t usec;

    if (environment->watchdog_usec == NULL) {
        return 0;
    }
    if (environment->watchdog_pid != NULL) {
        int ours = is_for(environment->watchdog_pid, environment->pid);
        if (ours <= 0) {
            return ours;
        }
    }
    if (parse_number(environment->watchdog_usec, &usec) < 0 || usec == 0) {
        return WERR_INVALID;
    }
    manager->watchdog_usec = usec;
    return 0;
}

/* The name at *names up to the next colon, which *names is put behind. One that is too long becomes "". */
static void next_name(const char **names, char out[static SERVICE_MANAGER_NAME_BYTES])
{
    size_t length = *names != NULL ? strcspn(*names, ":") : 0;

    out[0] = '\0';
    if (length < SERVICE_MANAGER_NAME_BYTES && length > 0) {
        memcpy(out, *names, length);
        out[length] = '\0';
    }
    if (*names != NULL) {
        *names = (*names)[length] == ':' ? *names + length + 1 : NULL;
    }
}

static int read_descriptors(struct service_manager *manager, const struct service_environment *environment)
{
    const char *names = environment->listen_names;
    uint64_t count;

    if (environment->listen_fds == NULL || environment->listen_pid == NULL) {
        return 0;
    }
    int ours = is_for(environment->listen_pid, environment->pid);
    if (ours <= 0) {
        return ours;
    }
    if (parse_number(environment->listen_fds, &count) < 0) {
        return WERR_INVALID;
    }
    if (count > SERVICE_MANAGER_DESCRIPTOR_COUNT_MAX) {
        return WERR_OVERSIZED;
    }
    for (size_t i = 0; i < count; i++) {
        struct service_descriptor *descriptor = &manager->descriptors[i];
        int fd = environment->first_descriptor + (int)i;
        int flags = fcntl(fd, F_GETFD);
        if (flags < 0 || fcntl(fd, F_SETFD, flags | FD_CLOEXEC) != 0) {
            return WERR_INVALID;
        }
        descriptor->fd = fd;
        next_name(&names, descriptor->name);
        manager->descriptor_count++;
    }
    return 0;
}

int service_manager_init(struct service_manager *manager, const struct service_environment *environment)
{
    *manager = (struct service_manager){.fd = -1};
    int error = read_notify(manager, environment->notify_socket);

    if (error == 0) {
        error = read_watchdog(manager, environment);
    }
    if (error == 0) {
        error = read_descriptors(manager, environment);
    }
    if (error < 0) {
        service_manager_deinit(manager);
    }
    return error;
}

void service_manager_deinit(struct service_manager *manager)
{
    if (manager == NULL) {
        return;
    }
    while (service_manager_drop_next(manager) != NULL) {
    }
    if (manager->address_bytes > 0) {
        descriptor_close(&manager->fd);
    }
    *manager = (struct service_manager){.fd = -1};
}

int service_manager_take(struct service_manager *manager, const char *name)
{
    for (size_t i = 0; i < manager->descriptor_count; i++) {
        struct service_descriptor *descriptor = &manager->descriptors[i];
        if (descriptor->fd >= 0 && strcmp(descriptor->name, name) == 0) {
            int fd = descriptor->fd;
            descriptor->fd = -1;
            return fd;
        }
    }
    return WERR_NOT_FOUND;
}

const char *service_manager_drop_next(struct service_manager *manager)
{
    for (size_t i = 0; i < manager->descriptor_count; i++) {
        struct service_descriptor *descriptor = &manager->descriptors[i];
        if (descriptor->fd >= 0) {
            descriptor_close(&descriptor->fd);
            return descriptor->name;
        }
    }
    return NULL;
}

/* One datagram. The manager's socket is never waited for: a state that it has no room for is told by the
 * next. */
static int tell(const struct service_manager *manager, const char *text)
{
    size_t length = strlen(text);

    if (manager->address_bytes == 0) {
        return 0;
    }
    ssize_t sent = sendto(manager->fd, text, length, MSG_NOSIGNAL, (const struct sockaddr *)&manager->address,
        manager->address_bytes);
    return sent == (ssize_t)length ? 0 : WERR_IO;
}

/* "\nSTATUS=…" of one line, "" without one. */
static const char *status_line(const char *status, char out[static SERVICE_MANAGER_STATUS_BYTES])
{
    out[0] = '\0';
    if (status != NULL) {
        (void)snprintf(out, SERVICE_MANAGER_STATUS_BYTES, "\nSTATUS=%s", status);
        for (char *at = out + 1; (at = strpbrk(at, "\r\n")) != NULL;) {
            *at = ' ';
        }
    }
    return out;
}

int service_manager_ready(const struct service_manager *manager, const char *status)
{
    char line[SERVICE_MANAGER_STATUS_BYTES];
    char text[MESSAGE_BYTES_MAX];

    (void)snprintf(text, sizeof text, "READY=1%s", status_line(status, line));
    return tell(manager, text);
}

/* MONOTONIC_USEC is for Type=notify-reload (systemd 253), which waits for a READY=1 later than it. */
int service_manager_reloading(const struct service_manager *manager, uint64_t monotonic_ns)
{
    char text[MESSAGE_BYTES_MAX];

    (void)snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, monotonic_ns / 1000);
    return tell(manager, text);
}

int service_manager_reloaded(const struct service_manager *manager, const char *status, const char *refusal)
{
    char text[SERVICE_MANAGER_STATUS_BYTES];

    if (refusal[0] == '\0') {
        return service_manager_ready(manager, status);
    }
    (void)snprintf(text, sizeof text, "%s; the last reload was refused: %s", status, refusal);
    return service_manager_ready(manager, text);
}

int service_manager_stopping(const struct service_manager *manager, const char *status, uint64_t at_most_ms)
{
    char line[SERVICE_MANAGER_STATUS_BYTES];
    char text[MESSAGE_BYTES_MAX];

    (void)snprintf(text, sizeof text, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%" PRIu64 "%s", at_most_ms * 1000,
        status_line(status, line));
    return tell(manager, text);
}

int service_manager_status(const struct service_manager *manager, const char *status)
{
    char line[SERVICE_MANAGER_STATUS_BYTES];

    return tell(manager, status_line(status != NULL ? status : "", line) + 1);
}

int service_manager_alive(const struct service_manager *manager)
{
    return manager->watchdog_usec > 0 ? tell(manager, "WATCHDOG=1") : 0;
}

uint64_t service_manager_interval_ms(const struct service_manager *manager, uint64_t default_ms)
{
    uint64_t half_ms = manager->watchdog_usec / 2000;

    if (manager->watchdog_usec == 0 || half_ms >= default_ms) {
        return default_ms;
    }
    return half_ms > 0 ? half_ms : 1;
}
