/* Opening of datagram sockets at start; see receivers.h. */
#include "receivers/receivers.h"

#include <stdio.h>

#include "core/error.h"

static int fail(char *reason, const char *key, const char *where, int error)
{
    (void)snprintf(reason, RECEIVERS_REASON_BYTES, "%s: %s: %s", key, where,
        error == WERR_EXISTS ? "another instance is live there, or something else lies there"
                             : werr_text(error));
    return error;
}

int receivers_open_statsd(struct receivers *receivers, const struct config *config, struct shard *shard,
    char reason[static RECEIVERS_REASON_BYTES])
{
    const struct config_statsd *statsd = &config->receivers.statsd;
    struct listener_unix_options options = {
        .path = statsd->path,
        .mode = statsd->mode,
        .directory_mode = config->socket.directory_mode,
        .group = statsd->group,
    };
    static const char *const keys[] = {"receivers.statsd.path", "receivers.statsd.udp"};
    const char *const places[] = {statsd->path, statsd->udp};

    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (places[i] == NULL) {
            continue;
        }
        if (receivers->socket_count == RECEIVERS_SOCKET_COUNT_MAX) {
            return fail(reason, keys[i], places[i], WERR_FULL);
        }
        struct datagram_socket *socket = &receivers->sockets[receivers->socket_count];
        int error = i == 0 ? datagram_open_unix(socket, &options, statsd->buffer_bytes)
                           : datagram_open_udp(socket, statsd->udp, statsd->buffer_bytes);
        if (error == 0) {
            receivers->socket_count++;
            error = shard_take_statsd(shard, socket);
        }
        if (error < 0) {
            return fail(reason, keys[i], places[i], error);
        }
    }
    return 0;
}

int receivers_open_xray(struct receivers *receivers, const struct config *config, struct shard *shard,
    char reason[static RECEIVERS_REASON_BYTES])
{
    const struct config_xray *xray = &config->receivers.xray;
    static const char key[] = "receivers.xray.udp";

    if (xray->udp == NULL) {
        return 0;
    }
    if (receivers->socket_count == RECEIVERS_SOCKET_COUNT_MAX) {
        return fail(reason, key, xray->udp, WERR_FULL);
    }
    struct datagram_socket *socket = &receivers->sockets[receivers->socket_count];
    int error = datagram_open_udp(socket, xray->udp, xray->buffer_bytes);
    if (error == 0) {
        receivers->socket_count++;
        error = shard_take_xray(shard, socket);
    }
    return error < 0 ? fail(reason, key, xray->udp, error) : 0;
}

int receivers_open_log(struct receivers *receivers, const struct config *config, uint32_t index,
    struct shard *shard, char reason[static RECEIVERS_REASON_BYTES])
{
    const struct config_access_log *log = &config->receivers.access_logs.items[index];
    struct listener_unix_options options = {
        .path = log->path,
        .mode = log->mode,
        .directory_mode = config->socket.directory_mode,
        .group = log->group,
    };
    static const char key[] = "receivers.access_logs[].path";

    if (receivers->socket_count == RECEIVERS_SOCKET_COUNT_MAX) {
        return fail(reason, key, log->path, WERR_FULL);
    }
    struct datagram_socket *socket = &receivers->sockets[receivers->socket_count];
    int error = datagram_open_unix(socket, &options, log->buffer_bytes);
    if (error == 0) {
        receivers->socket_count++;
        error = shard_take_log(shard, index, socket);
    }
    return error < 0 ? fail(reason, key, log->path, error) : 0;
}

void receivers_close(struct receivers *receivers)
{
    for (size_t i = 0; i < receivers->socket_count; i++) {
        datagram_close(&receivers->sockets[i]);
    }
    receivers->socket_count = 0;
}
