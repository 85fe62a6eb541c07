/*
 * What a service manager (systemd, or whatever speaks its protocol) gives at start and is told later. Main
 * thread. The protocol is that of sd_listen_fds(3), sd_notify(3) and sd_watchdog_enabled(3): environment
 * variables, descriptors from 3 on, and one datagram of NAME=value lines for each state to the socket in
 * $NOTIFY_SOCKET. No library is needed.
 *
 *   LISTEN_PID=4711 LISTEN_FDS=2 LISTEN_FDNAMES=weft.sock:api.sock     descriptors 3 and 4, listening already
 *   NOTIFY_SOCKET=/run/systemd/notify (or @abstract)                   READY=1, RELOADING=1, STOPPING=1,
 * STATUS=… WATCHDOG_PID=4711 WATCHDOG_USEC=30000000                           WATCHDOG=1 at least so often
 *
 * Nothing of it is there when a shell starts the agent: every call then does nothing and succeeds.
 */
#ifndef WEFT_AGENT_SERVICE_MANAGER_H
#define WEFT_AGENT_SERVICE_MANAGER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

enum {
    SERVICE_MANAGER_DESCRIPTOR_COUNT_MAX = 16,
    SERVICE_MANAGER_NAME_BYTES = 64, /* of a descriptor; a longer name is none of ours */
    SERVICE_MANAGER_STATUS_BYTES = 256,
    SERVICE_MANAGER_FIRST_DESCRIPTOR = 3,
};

/* The variables, NULL where one is not set, and what they are compared with. */
struct service_environment {
    const char *notify_socket;
    const char *watchdog_usec;
    const char *watchdog_pid;
    const char *listen_fds;
    const char *listen_pid;
    const char *listen_names;
    pid_t pid;
    int first_descriptor; /* 3 but for tests */
};

struct service_manager {
    int fd; /* -1: nobody wants to be told */
    struct sockaddr_un address;
    socklen_t address_bytes;
    uint64_t watchdog_usec; /* 0: nobody watches */
    struct service_descriptor {
        int fd; /* -1 once taken */
        char name[SERVICE_MANAGER_NAME_BYTES];
    } descriptors[SERVICE_MANAGER_DESCRIPTOR_COUNT_MAX];
    size_t descriptor_count;
};

/* Of this process. The strings are the environment's. */
struct service_environment service_environment_system(void);

/*
 * Reads the variables. Descriptors become close-on-exec and are the manager's until they are taken. Variables
 * meant for another process are ignored. WERR_INVALID for a variable that cannot be read (a notify socket
 * that is neither a path nor abstract, a number that is none, a descriptor that is not open), WERR_OVERSIZED
 * for too many descriptors or too long a path, WERR_IO; a failed init leaves nothing to undo, and a zeroed
 * manager is no manager.
 */
int service_manager_init(struct service_manager *manager, const struct service_environment *environment);

/* Closes what was not taken. NULL, zeroed and half-built ones are fine. */
void service_manager_deinit(struct service_manager *manager);

/* The descriptor of that name, now the caller's; WERR_NOT_FOUND when none has it. */
int service_manager_take(struct service_manager *manager, const char *name);

/* The name of a descriptor that nobody took, which is closed; NULL when there is none left. The text lives as
 * long as the manager. */
const char *service_manager_drop_next(struct service_manager *manager);

/*
 * What the manager is told. `status` is a line for people ("taking records"), NULL for none; line breaks in
 * it become spaces. 0, also without a manager; WERR_IO when it could not be told.
 */
int service_manager_ready(const struct service_manager *manager, const char *status);
int service_manager_reloading(const struct service_manager *manager, uint64_t monotonic_ns);
/* Ready again; `refusal` says why the old configuration stays in force, "" when it does not. */
int service_manager_reloaded(const struct service_manager *manager, const char *status, const char *refusal);
int service_manager_stopping(const struct service_manager *manager, const char *status, uint64_t at_most_ms);
int service_manager_status(const struct service_manager *manager, const char *status);
int service_manager_alive(const struct service_manager *manager); /* feeds the watchdog, where there is one */

/* How often service_manager_alive is to be called at least: half of what the watchdog waits; `default_ms`
 * when that is shorter or nobody watches. At least 1. */
uint64_t service_manager_interval_ms(const struct service_manager *manager, uint64_t default_ms);

#endif
