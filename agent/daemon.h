/*
 * The whole agent in one struct: what main starts, in order, and stops in the reverse order.
 *
 *   start: exporter thread, aggregator thread, shards, listeners, acceptors
 *   drain: stop accepting records, shards hand over, last export of metrics, queues are sent
 *   stop:  HTTP, shards, aggregator, exporter
 */
#ifndef WEFT_AGENT_DAEMON_H
#define WEFT_AGENT_DAEMON_H

#include <uv.h>

#include "config/config.h"
#include "core/log.h"

struct daemon;

enum { DAEMON_REASON_BYTES = 512 };

/*
 * Starts everything on threads of its own; signals and accepting run on `loop`. The configuration must
 * outlive it, as must its source, which SIGHUP reads anew (NULL: there is none). 0; or a negative code with a
 * line for the user in `reason` that names the configuration key at fault.
 */
int daemon_start(const struct config *config, const struct config_source *source, struct log *log,
    uv_loop_t *loop, struct daemon **ret_daemon, char reason[static DAEMON_REASON_BYTES]);

/* Ends and frees everything; to be called after the loop has ended. NULL is fine. */
void daemon_free(struct daemon *daemon);

#endif
