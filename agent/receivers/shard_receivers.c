/* A shard's further receivers; see shard_receivers.h. */
#include "receivers/shard_receivers.h"

#include "core/error.h"
#include "receivers/log_receiver.h"
#include "receivers/statsd_receiver.h"
#include "receivers/xray_receiver.h"

enum { MS_PER_S = 1000 };

static const char proc_root[] = "/proc";

void shard_receivers_init(struct shard_receivers *receivers, struct pipeline *pipeline, uv_loop_t *loop,
    const struct config *config, struct log *log)
{
    *receivers = (struct shard_receivers){.pipeline = pipeline, .loop = loop, .config = config, .log = log};
    shard_receivers_reconfigure(receivers, config);
    TAILQ_INIT(&receivers->streams);
}

static int need_statsd(struct shard_receivers *receivers)
{
    if (receivers->statsd != NULL) {
        return 0;
    }
    return statsd_receiver_new(
        receivers->pipeline, receivers->loop, proc_root, &receivers->streams, &receivers->statsd);
}

static int need_logs(struct shard_receivers *receivers)
{
    struct log_receiver_config config = {
        .pipeline = receivers->pipeline,
        .loop = receivers->loop,
        .proc_root = proc_root,
        .logs = &receivers->config->receivers.access_logs,
        .streams = &receivers->streams,
        .log = receivers->log,
    };

    return receivers->logs != NULL ? 0 : log_receiver_new(&config, &receivers->logs);
}

int shard_receivers_take_statsd(struct shard_receivers *receivers, const struct datagram_socket *socket)
{
    int error = need_statsd(receivers);

    return error == 0 ? statsd_receiver_add_socket(receivers->statsd, socket) : error;
}

int shard_receivers_take_xray(struct shard_receivers *receivers, const struct datagram_socket *socket)
{
    return xray_receiver_new(receivers->pipeline, receivers->loop, socket, &receivers->xray);
}

int shard_receivers_take_log(
    struct shard_receivers *receivers, uint32_t index, const struct datagram_socket *socket)
{
    int error = need_logs(receivers);

    return error == 0 ? log_receiver_add_socket(receivers->logs, index, socket) : error;
}

int shard_receivers_add(struct shard_receivers *receivers, enum listener_kind kind, uint32_t index, int fd,
    void (*on_ended)(void *user), void *user)
{
    int error = kind == LISTENER_STATSD ? need_statsd(receivers) : need_logs(receivers);

    if (error < 0) {
        return error;
    }
    return kind == LISTENER_STATSD ? statsd_receiver_add_stream(receivers->statsd, fd, on_ended, user)
                                   : log_receiver_add_stream(receivers->logs, index, fd, on_ended, user);
}

void shard_receivers_reconfigure(struct shard_receivers *receivers, const struct config *config)
{
    receivers->line_idle_ms = config->limits.line_idle_s * MS_PER_S;
}

void shard_receivers_end_idle(struct shard_receivers *receivers, size_t count_max)
{
    (void)line_streams_end_idle(&receivers->streams, count_max, receivers->line_idle_ms);
}

void shard_receivers_close(struct shard_receivers *receivers)
{
    xray_receiver_close(receivers->xray);
    statsd_receiver_close(receivers->statsd);
    log_receiver_close(receivers->logs);
}

void shard_receivers_deinit(struct shard_receivers *receivers)
{
    xray_receiver_free(receivers->xray);
    statsd_receiver_free(receivers->statsd);
    log_receiver_free(receivers->logs);
    receivers->xray = NULL;
    receivers->statsd = NULL;
    receivers->logs = NULL;
}
