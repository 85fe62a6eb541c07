/* Opening of datagram sockets at start; see receivers.h. */
#include "receivers/receivers.h"

#include <stdio.h>

#include "core/error.h"

enum { REASON_BYTES = 256, KEY_BYTES = 64 };

/* One that is to be opened. */
struct wanted {
    const char *key;
    const char *place; /* path or address; NULL: none */
    bool is_udp;
    uint32_t mode; /* of a path, as all below */
    const char *group;
    uint32_t directory_mode;
    uint64_t buffer_bytes;
};

static void tell(const struct receivers *receivers, const struct wanted *wanted, int error)
{
    char reason[REASON_BYTES];
    const char *what = werr_text(error);

    if (error == WERR_EXISTS) {
        what = wanted->is_udp ? "the address is in use"
                              : "another instance is live there, or something else lies there";
    }
    (void)snprintf(reason, sizeof reason, "%s: %s: %s", wanted->key, wanted->place, what);
    receivers->failed(receivers->user, reason);
}

/* The socket, which `take` gets next, or NULL. */
static struct datagram_socket *open_socket(struct receivers *receivers, const struct wanted *wanted)
{
    struct listener_unix_options options = {
        .path = wanted->place,
        .mode = wanted->mode,
        .directory_mode = wanted->directory_mode,
        .group = wanted->group,
    };
    struct datagram_socket *socket = &receivers->sockets[receivers->socket_count];
    int error = WERR_FULL;

    if (wanted->place == NULL) {
        return NULL;
    }
    if (receivers->socket_count < RECEIVERS_SOCKET_COUNT_MAX) {
        error = wanted->is_udp ? datagram_open_udp(socket, wanted->place, wanted->buffer_bytes)
                               : datagram_open_unix(socket, &options, wanted->buffer_bytes);
    }
    if (error < 0) {
        tell(receivers, wanted, error);
        return NULL;
    }
    receivers->socket_count++;
    return socket;
}

/* What nobody reads is closed: its senders are to notice. */
static void end_open(struct receivers *receivers, const struct wanted *wanted, int error)
{
    if (error < 0) {
        datagram_close(&receivers->sockets[--receivers->socket_count]);
        tell(receivers, wanted, error);
    }
}

void receivers_open_statsd(struct receivers *receivers, const struct config *config, struct shard *shard)
{
    const struct config_statsd *statsd = &config->receivers.statsd;
    const struct wanted wanted[] = {
        {.key = "receivers.statsd.path",
            .place = statsd->path,
            .mode = statsd->mode,
            .group = statsd->group,
            .directory_mode = config->socket.directory_mode,
            .buffer_bytes = statsd->buffer_bytes},
        {.key = "receivers.statsd.udp",
            .place = statsd->udp,
            .is_udp = true,
            .buffer_bytes = statsd->buffer_bytes},
    };

    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        struct datagram_socket *socket = open_socket(receivers, &wanted[i]);
        if (socket != NULL) {
            end_open(receivers, &wanted[i], shard_take_statsd(shard, socket));
        }
    }
}

void receivers_open_xray(struct receivers *receivers, const struct config *config, struct shard *shard)
{
    const struct wanted wanted = {
        .key = "receivers.xray.udp",
        .place = config->receivers.xray.udp,
        .is_udp = true,
        .buffer_bytes = config->receivers.xray.buffer_bytes,
    };
    struct datagram_socket *socket = open_socket(receivers, &wanted);

    if (socket != NULL) {
        end_open(receivers, &wanted, shard_take_xray(shard, socket));
    }
}

void receivers_open_log(
    struct receivers *receivers, const struct config *config, uint32_t index, struct shard *shard)
{
    const struct config_access_log *log = &config->receivers.access_logs.items[index];
    char key[KEY_BYTES];
    const struct wanted wanted = {
        .key = key,
        .place = log->path,
        .mode = log->mode,
        .group = log->group,
        .directory_mode = config->socket.directory_mode,
        .buffer_bytes = log->buffer_bytes,
    };

    (void)snprintf(key, sizeof key, "receivers.access_logs[%u].path", (unsigned)index);
    struct datagram_socket *socket = open_socket(receivers, &wanted);
    if (socket != NULL) {
        end_open(receivers, &wanted, shard_take_log(shard, index, socket));
    }
}

void receivers_close(struct receivers *receivers)
{
    for (size_t i = 0; i < receivers->socket_count; i++) {
        datagram_close(&receivers->sockets[i]);
    }
    receivers->socket_count = 0;
}
