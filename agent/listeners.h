/*
 * The sockets that connections come to, opened at start as the configuration says. Those by which one sends
 * to the agent and asks it (socket, api_socket, http) have to open; a receiver's that cannot is told in the
 * log and in a metric, and everything else goes on: the other senders' records are not to be lost for its
 * sake. Main's thread.
 */
#ifndef WEFT_AGENT_LISTENERS_H
#define WEFT_AGENT_LISTENERS_H

#include <stddef.h>

#include "config/config.h"
#include "core/log.h"
#include "core/metrics.h"
#include "listen/listener.h"
#include "service_manager.h"

enum { LISTENERS_COUNT_MAX = 7 + CONFIG_ACCESS_LOG_COUNT_MAX, LISTENERS_REASON_BYTES = 512 };

/* All zero but for what it borrows: none is open. */
struct listeners {
    const struct config *config;
    struct service_manager *manager; /* who may have passed some */
    struct log *log;
    struct metric_cells *cells;
    struct listener items[LISTENERS_COUNT_MAX];
    size_t count;
};

/* 0; or an error of one that has to open, with the key at fault in `reason`. What was opened stays for
 * listeners_close. */
int listeners_open(struct listeners *listeners, char reason[static LISTENERS_REASON_BYTES]);

/* A receiver's socket could not be opened: logs `reason`, which names its key, and counts it. `user`: the
 * listeners. */
void listeners_tell_failed(void *user, const char *reason);

void listeners_close(struct listeners *listeners);

#endif
