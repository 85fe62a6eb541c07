/* The conditions of `receivers`: sockets that are not another's, UDP on loopback only. Main thread, at start.
 */
#include "config/loader.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "config/value.h"
#include "core/error.h"

static bool is_loopback_host(const char *host)
{
    struct in_addr v4;

    return strcmp(host, "[::1]") == 0 ||
           (inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET);
}

int check_loopback(struct loader *loader, const char *path, const char *address)
{
    const char *colon = address != NULL ? strrchr(address, ':') : NULL;
    size_t host_length = colon != NULL ? (size_t)(colon - address) : 0;
    char host[64] = "";
    uint64_t port;

    if (address == NULL) {
        return 0;
    }
    if (host_length < sizeof host) {
        memcpy(host, address, host_length);
    }
    if (colon == NULL || !is_loopback_host(host) || value_unsigned(colon + 1, 0, 65535, &port) < 0) {
        return loader_fail(loader, WERR_CONFIG, path,
            "expected a loopback ADDRESS:PORT, as 127.0.0.1:8125 or [::1]:8125, got \"%.100s\"", address);
    }
    return 0;
}

/* `path` must be none of the sockets that come before it. */
static int check_is_own(struct loader *loader, const char *key, const char *path, const char *const *others,
    const char *const *other_keys, size_t other_count)
{
    for (size_t i = 0; path != NULL && i < other_count; i++) {
        if (others[i] != NULL && strcmp(path, others[i]) == 0) {
            return loader_fail(loader, WERR_CONFIG, key, "expected another path than %s", other_keys[i]);
        }
    }
    return 0;
}

int check_receivers(struct loader *loader)
{
    struct config *config = loader->config;
    struct config_statsd *statsd = &config->receivers.statsd;
    const char *const paths[] = {
        config->socket.path, config->api_socket.path, statsd->path, statsd->stream_path};
    static const char *const keys[] = {
        "socket.path", "api_socket.path", "receivers.statsd.path", "receivers.statsd.stream_path"};
    int status = check_group(loader, "receivers.statsd.group", statsd->group, &statsd->gid);

    for (size_t i = 2; status == 0 && i < sizeof paths / sizeof paths[0]; i++) {
        status = check_is_own(loader, keys[i], paths[i], paths, keys, i);
    }
    if (status == 0) {
        status = check_loopback(loader, "receivers.statsd.udp", statsd->udp);
    }
    if (status == 0) {
        status = check_loopback(loader, "receivers.xray.udp", config->receivers.xray.udp);
    }
    if (status == 0) {
        status = check_listeners(loader);
    }
    return status == 0 ? check_scrapes(loader) : status;
}
