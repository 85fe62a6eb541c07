/* Opening the sockets that connections come to; see listeners.h. Main's thread. */
#include "listeners.h"

#include <stdio.h>
#include <unistd.h>

#include "core/error.h"

/* A socket that the service manager listens on already, by the name that packaging/systemd/weft.socket gives
 * it. 1 when there was one, 0 when there is none; or an error with its reason. */
static int adopt_passed(struct listeners *listeners, enum listener_kind kind, const char *key, char *reason)
{
    static const char *const names[] = {[LISTENER_INGEST] = "weft.sock",
        [LISTENER_API] = "api.sock",
        [LISTENER_HTTP] = "http",
        [LISTENER_METRICS] = "metrics"};
    const char *name =
        (size_t)kind < sizeof names / sizeof names[0] ? names[kind] : NULL; /* receivers have none */
    int fd = name != NULL ? service_manager_take(listeners->manager, name) : WERR_NOT_FOUND;

    if (fd < 0) {
        return 0;
    }
    int error = listener_adopt(&listeners->items[listeners->count], kind, fd);
    if (error < 0) {
        (void)snprintf(reason, LISTENERS_REASON_BYTES,
            "%s: descriptor %d, which was passed as \"%s\", is no listening %s stream socket", key, fd, name,
            kind == LISTENER_HTTP || kind == LISTENER_METRICS ? "TCP" : "Unix");
        (void)close(fd);
        return error;
    }
    listeners->count++;
    return 1;
}

static int open_unix(struct listeners *listeners, enum listener_kind kind, const char *path, uint32_t mode,
    const char *group, const char *key, char *reason)
{
    struct listener_unix_options options = {
        .path = path,
        .mode = mode,
        .directory_mode = listeners->config->socket.directory_mode,
        .group = group,
    };
    int error = adopt_passed(listeners, kind, key, reason);

    if (error != 0) {
        return error < 0 ? error : 0;
    }
    error = listener_open_unix(&listeners->items[listeners->count], kind, &options);
    if (error == WERR_EXISTS) {
        (void)snprintf(reason, LISTENERS_REASON_BYTES,
            "%s: %s: another instance is live there, or a file that is not a socket lies there", key, path);
    } else if (error < 0) {
        (void)snprintf(reason, LISTENERS_REASON_BYTES, "%s: %s: %s", key, path, werr_text(error));
    } else {
        listeners->count++;
    }
    return error;
}

/* Nothing without an address. */
static int open_tcp(
    struct listeners *listeners, enum listener_kind kind, const char *address, const char *key, char *reason)
{
    int error = address != NULL ? adopt_passed(listeners, kind, key, reason) : 0;

    if (error != 0 || address == NULL) {
        return error < 0 ? error : 0;
    }
    error = listener_open_tcp(&listeners->items[listeners->count], kind, address);
    if (error < 0) {
        (void)snprintf(reason, LISTENERS_REASON_BYTES, "%s: %s: %s", key, address,
            error == WERR_EXISTS ? "the address is in use" : werr_text(error));
        return error;
    }
    listeners->count++;
    return 0;
}

void listeners_tell_failed(void *user, const char *reason)
{
    struct listeners *listeners = user;

    metric_add(listeners->cells, METRIC_LISTENERS_FAILED, 1);
    log_event(listeners->log, LOG_LEVEL_ERROR, "listener_failed", LOG_S("reason", reason));
}

/* Nothing without a path. Whether it is open. */
static bool open_receiver(struct listeners *listeners, enum listener_kind kind, const char *path,
    uint32_t mode, const char *group, const char *key)
{
    char reason[LISTENERS_REASON_BYTES];
    int error = path != NULL ? open_unix(listeners, kind, path, mode, group, key, reason) : WERR_NOT_FOUND;

    if (path != NULL && error < 0) {
        listeners_tell_failed(listeners, reason);
    }
    return error == 0;
}

static void open_optional_tcp(
    struct listeners *listeners, enum listener_kind kind, const char *address, const char *key)
{
    char reason[LISTENERS_REASON_BYTES];

    if (open_tcp(listeners, kind, address, key, reason) < 0) {
        listeners_tell_failed(listeners, reason);
    }
}

static void open_receivers(struct listeners *listeners)
{
    const struct config_receivers *receivers = &listeners->config->receivers;
    char key[64];

    (void)open_receiver(listeners, LISTENER_STATSD, receivers->statsd.stream_path, receivers->statsd.mode,
        receivers->statsd.group, "receivers.statsd.stream_path");
    for (size_t i = 0; i < receivers->access_logs.count; i++) {
        const struct config_access_log *log = &receivers->access_logs.items[i];
        (void)snprintf(key, sizeof key, "receivers.access_logs[%zu].stream_path", i);
        if (open_receiver(listeners, LISTENER_LOG, log->stream_path, log->mode, log->group, key)) {
            listeners->items[listeners->count - 1].receiver = (uint32_t)i;
        }
    }
    open_optional_tcp(listeners, LISTENER_OTLP, receivers->otlp.grpc, "receivers.otlp.grpc");
    open_optional_tcp(listeners, LISTENER_OTLP, receivers->otlp.http, "receivers.otlp.http");
}

int listeners_open(struct listeners *listeners, char reason[static LISTENERS_REASON_BYTES])
{
    const struct config *config = listeners->config;
    int error = open_unix(listeners, LISTENER_INGEST, config->socket.path, config->socket.mode,
        config->socket.group, "socket.path", reason);

    if (error == 0 && config->api_socket.enabled) {
        error = open_unix(listeners, LISTENER_API, config->api_socket.path, config->socket.mode,
            config->api_socket.group, "api_socket.path", reason);
    }
    if (error == 0) {
        error = open_tcp(listeners, LISTENER_HTTP, config->http.address, "http.address", reason);
    }
    if (error == 0) {
        open_optional_tcp(listeners, LISTENER_METRICS, config->metrics_http.address, "metrics_http.address");
        open_receivers(listeners);
    }
    return error;
}

void listeners_close(struct listeners *listeners)
{
    for (size_t i = 0; i < listeners->count; i++) {
        listener_close(&listeners->items[i]);
    }
    listeners->count = 0;
}
