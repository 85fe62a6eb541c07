/*
 * Access log lines of one shard, by datagrams and streams, each socket with the map of its lines: syslog
 * header, JSON, entry, request. The shard's thread; nothing allocates or locks per line, and only a line that
 * is dropped may be shown, in the debug log, at most as often as its rate limit allows.
 *
 *   datagram_reader ─┐
 *                    ├─► decode/syslog ─► decode/access_json ─► pipeline_take_log
 *   line_stream ─────┘
 *
 * Nobody is answered. With memory of values full (directory_is_full) a message is thrown away and counted as
 * refused: to stop reading would block proxies.
 */
#ifndef WEFT_AGENT_LOG_RECEIVER_H
#define WEFT_AGENT_LOG_RECEIVER_H

#include "config/config.h"
#include "core/log.h"
#include "listen/datagram.h"
#include "listen/line_stream.h"
#include "pipeline/pipeline.h"

enum { LOG_SAMPLE_BYTES = 160 }; /* of a dropped line that the debug log shows */

struct log_receiver;

/* What it is made of; borrowed, and outlives it. */
struct log_receiver_config {
    struct pipeline *pipeline;
    uv_loop_t *loop;
    const char *proc_root; /* "/proc", or a fixture */
    const struct config_access_logs *logs;
    struct line_streams *streams; /* which its connections join; may be NULL */
    struct log *log;              /* may be NULL */
};

/* 0 or WERR_NOMEM. */
int log_receiver_new(const struct log_receiver_config *config, struct log_receiver **ret_receiver);

/* Reads a datagram socket, which outlives the receiver, as entry `index` of the configuration says. 0,
 * WERR_EXISTS when that entry has one already, WERR_NOMEM or WERR_IO. */
int log_receiver_add_socket(
    struct log_receiver *receiver, uint32_t index, const struct datagram_socket *socket);

/*
 * Reads a connection, non-blocking, as entry `index` says; owns fd when it returns 0, and calls
 * on_ended(user) once when the connection has ended. WERR_NOMEM or WERR_IO.
 */
int log_receiver_add_stream(
    struct log_receiver *receiver, uint32_t index, int fd, void (*on_ended)(void *user), void *user);

/* Before a stop: takes what lies in the sockets, then closes. Handles end by later turns of the loop. NULL is
 * fine. */
void log_receiver_close(struct log_receiver *receiver);

/* After the handles have ended, before the pipeline. NULL is fine. */
void log_receiver_free(struct log_receiver *receiver);

#endif
