/*
 * The conditions of `trace`: peers are agents that can be reached, and beyond loopback they are asked with a
 * token or a certificate. Main thread, at start.
 */
#include "config/loader.h"

#include <stdio.h>
#include <string.h>

#include "config/cpu.h"
#include "core/error.h"
#include "core/networks.h"

enum { HOST_BYTES_MAX = 255, ITEM_BYTES_MAX = 32 };

/* The URL's host, without port and brackets; false when it has more than scheme, host and port. */
static bool host_of(const char *url, char host[HOST_BYTES_MAX + 1])
{
    const char *begin = strstr(url, "://") + 3;
    size_t length = strcspn(begin, "/?#");
    const char *rest = begin + length;

    if (rest[0] != '\0' && strcmp(rest, "/") != 0) {
        return false;
    }
    if (memchr(begin, '@', length) != NULL) {
        return false;
    }
    bool bracketed = begin[0] == '[';
    size_t host_length = bracketed ? strcspn(begin, "]") : strcspn(begin, ":/?#");

    if (bracketed) {
        begin++;
        host_length--;
    }
    if (host_length == 0 || host_length > HOST_BYTES_MAX || host_length > length) {
        return false;
    }
    memcpy(host, begin, host_length);
    host[host_length] = '\0';
    return true;
}

static bool is_loopback(const char *host)
{
    static const uint8_t one[16] = {[15] = 1};
    struct network address;

    if (strcmp(host, "localhost") == 0) {
        return true;
    }
    if (strchr(host, '/') != NULL || network_parse(host, &address) < 0) {
        return false;
    }
    return address.length == 4 ? address.bytes[0] == 127 : memcmp(address.bytes, one, sizeof one) == 0;
}

static int check_peer(struct loader *loader, size_t index)
{
    const struct config_trace *trace = &loader->config->trace;
    const char *url = trace->peers.items[index];
    char host[HOST_BYTES_MAX + 1];
    char path[ITEM_BYTES_MAX];

    (void)snprintf(path, sizeof path, "trace.peers[%zu]", index);
    if (!check_is_url(url) || !host_of(url, host)) {
        return loader_fail(loader, WERR_CONFIG, path,
            "expected http://HOST:PORT or https://HOST:PORT of another agent, got \"%.100s\"", url);
    }
    for (size_t i = 0; i < index; i++) {
        if (strcmp(trace->peers.items[i], url) == 0) {
            return loader_fail(
                loader, WERR_CONFIG, path, "expected each peer once, got \"%.100s\" again", url);
        }
    }
    if (!is_loopback(host) && trace->peer_token == NULL && trace->peer_tls.cert_file == NULL) {
        return loader_fail(loader, WERR_CONFIG, path,
            "\"%.100s\" is not loopback: expected trace.peer_token_file, or trace.peer_tls with cert_file "
            "and "
            "key_file",
            url);
    }
    return 0;
}

/* What is kept leaves from the ring. */
static int check_ring(struct loader *loader)
{
    const struct config *config = loader->config;
    uint64_t shards = config->shards > 0 ? config->shards : CPU_SHARDS_DEFAULT_MAX;

    if (config->trace.export == CONFIG_TRACE_EXPORT_KEPT &&
        config->limits.trace_ring_bytes < shards * CONFIG_RING_SHARE_BYTES_MIN) {
        return loader_fail(loader, WERR_CONFIG, "limits.trace_ring_bytes",
            "expected at least %d for each shard, from which kept traces are exported, or trace.export: all",
            CONFIG_RING_SHARE_BYTES_MIN);
    }
    return 0;
}

int check_trace(struct loader *loader)
{
    const struct config_trace *trace = &loader->config->trace;
    int status = check_ring(loader);

    if (status == 0) {
        status = check_token(loader, "trace.peer_token_file", trace->peer_token);
    }
    if (status < 0) {
        return status;
    }
    if ((trace->peer_tls.cert_file == NULL) != (trace->peer_tls.key_file == NULL)) {
        return loader_fail(
            loader, WERR_CONFIG, "trace.peer_tls", "expected cert_file and key_file together, or neither");
    }
    if (trace->peers.count > CONFIG_PEER_COUNT_MAX) {
        return loader_fail(loader, WERR_CONFIG, "trace.peers", "expected at most %d peers, got %zu",
            CONFIG_PEER_COUNT_MAX, trace->peers.count);
    }
    for (size_t i = 0; status == 0 && i < trace->peers.count; i++) {
        status = check_peer(loader, i);
    }
    return status;
}
