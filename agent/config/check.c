/*
 * What can be said only of the whole: options over the file, default paths, group ids, addresses, and the
 * conditions that bind several keys. Main thread, at start.
 */
#include "config/loader.h"

#include <arpa/inet.h>
#include <grp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "config/value.h"
#include "core/error.h"
#include "core/paths.h"

enum { GROUP_BUFFER_BYTES = 65536 };

int check_options(struct loader *loader)
{
    const struct config_source *source = loader->source;
    struct config *config = loader->config;

    if (source->socket_path != NULL) {
        size_t length = strlen(source->socket_path);
        if (length == 0 || length >= PATHS_BYTES_MAX) {
            return loader_fail(
                loader, WERR_CONFIG, "--socket", "expected a path of 1 to %d bytes", PATHS_BYTES_MAX - 1);
        }
        config->socket.path = loader_copy(loader, source->socket_path, length);
        if (config->socket.path == NULL) {
            return loader_fail_memory(loader);
        }
    }
    if (source->http_address != NULL) {
        config->http.address = loader_copy(loader, source->http_address, strlen(source->http_address));
        if (config->http.address == NULL) {
            return loader_fail_memory(loader);
        }
    }
    if (source->shards != NULL &&
        value_unsigned(source->shards, 0, CONFIG_SHARD_COUNT_MAX, &config->shards) < 0) {
        return loader_fail(loader, WERR_CONFIG, "--shards",
            "expected an integer from 0 (automatic) to %d, got \"%.100s\"", CONFIG_SHARD_COUNT_MAX,
            source->shards);
    }
    return 0;
}

static int check_socket_path(struct loader *loader)
{
    struct config *config = loader->config;
    const char *const *environment = loader->source->environment;
    char path[PATHS_BYTES_MAX];
    struct paths_source source = {
        .runtime_dir = value_variable(environment, "XDG_RUNTIME_DIR", strlen("XDG_RUNTIME_DIR")),
        .is_root = loader->source->is_root,
    };

    if (config->socket.path != NULL) {
        return 0;
    }
    if (!paths_default(&source, PATHS_SOCKET_RECORDS, path)) {
        return loader_fail(loader, WERR_CONFIG, "socket.path",
            "no default: not root, and XDG_RUNTIME_DIR is unset or too long; set socket.path, or use "
            "--socket");
    }
    config->socket.path = loader_copy(loader, path, strlen(path));
    return config->socket.path != NULL ? 0 : loader_fail_memory(loader);
}

/* Without a path of its own the API's socket lies beside the other. */
static int check_api_path(struct loader *loader)
{
    struct config *config = loader->config;
    const char *slash = strrchr(config->socket.path, '/');
    size_t directory_length = slash != NULL ? (size_t)(slash + 1 - config->socket.path) : 0;
    char path[PATHS_BYTES_MAX];

    if (!config->api_socket.enabled) {
        config->api_socket.path = NULL;
        return 0;
    }
    if (config->api_socket.path == NULL) {
        int length = snprintf(path, sizeof path, "%.*sapi.sock", (int)directory_length, config->socket.path);
        if (length < 0 || (size_t)length >= sizeof path) {
            return loader_fail(loader, WERR_CONFIG, "api_socket.path", "expected a path of 1 to %d bytes",
                PATHS_BYTES_MAX - 1);
        }
        config->api_socket.path = loader_copy(loader, path, (size_t)length);
        if (config->api_socket.path == NULL) {
            return loader_fail_memory(loader);
        }
    }
    if (strcmp(config->api_socket.path, config->socket.path) == 0) {
        return loader_fail(loader, WERR_CONFIG, "api_socket.path", "expected another path than socket.path");
    }
    return 0;
}

int check_group(struct loader *loader, const char *path, const char *name, gid_t *ret_gid)
{
    uint64_t number;
    struct group group;
    struct group *found = NULL;

    *ret_gid = (gid_t)-1;
    if (name == NULL) {
        return 0;
    }
    if (value_unsigned(name, 0, UINT32_MAX - 1, &number) == 0) {
        *ret_gid = (gid_t)number;
        return 0;
    }
    char *buffer = arena_alloc(&loader->config->arena, GROUP_BUFFER_BYTES);
    if (buffer == NULL) {
        return loader_fail_memory(loader);
    }
    if (getgrnam_r(name, &group, buffer, GROUP_BUFFER_BYTES, &found) != 0 || found == NULL) {
        return loader_fail(loader, WERR_CONFIG, path, "no group \"%s\" on this machine", name);
    }
    *ret_gid = group.gr_gid;
    return 0;
}

static bool parse_host(const char *host, uint64_t port, struct config_http *http)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    size_t length = strlen(host);

    if (inet_pton(AF_INET, strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, &v4.sin_addr) == 1) {
        memcpy(&http->sockaddr, &v4, sizeof v4);
        http->sockaddr_bytes = sizeof v4;
        return true;
    }
    char inside[64];
    if (length < 3 || length - 2 >= sizeof inside || host[0] != '[' || host[length - 1] != ']') {
        return false;
    }
    memcpy(inside, host + 1, length - 2);
    inside[length - 2] = '\0';
    if (inet_pton(AF_INET6, inside, &v6.sin6_addr) != 1) {
        return false;
    }
    memcpy(&http->sockaddr, &v6, sizeof v6);
    http->sockaddr_bytes = sizeof v6;
    return true;
}

/* Whoever binds the address resolves no names. */
static int replace_localhost(struct loader *loader, uint64_t port)
{
    struct config_http *http = &loader->config->http;
    char address[32];
    int length = snprintf(address, sizeof address, "127.0.0.1:%u", (unsigned)port);

    http->address = loader_copy(loader, address, (size_t)length);
    return http->address != NULL ? 0 : loader_fail_memory(loader);
}

static int check_http(struct loader *loader)
{
    struct config_http *http = &loader->config->http;
    const char *colon = strrchr(http->address, ':');
    size_t host_length = colon != NULL ? (size_t)(colon - http->address) : 0;
    char host[64] = "";
    uint64_t port;

    if (colon != NULL && host_length < sizeof host && value_unsigned(colon + 1, 0, 65535, &port) == 0) {
        memcpy(host, http->address, host_length);
        host[host_length] = '\0';
        if (parse_host(host, port, http)) {
            return strcmp(host, "localhost") == 0 ? replace_localhost(loader, port) : 0;
        }
    }
    return loader_fail(loader, WERR_CONFIG, loader->source->http_address != NULL ? "--http" : "http.address",
        "expected ADDRESS:PORT with an IPv4 address, an IPv6 address in [] or localhost, got \"%.100s\"",
        http->address);
}

/* Lists that may not be as long as others: what cannot be started with is said here. */
static int check_counts(struct loader *loader)
{
    const struct config *config = loader->config;

    if (config->redact.attributes.count > CONFIG_REDACT_COUNT_MAX) {
        return loader_fail(loader, WERR_CONFIG, "redact.attributes", "expected at most %d names, got %zu",
            CONFIG_REDACT_COUNT_MAX, config->redact.attributes.count);
    }
    if (config->exporters.otlp.count > CONFIG_OTLP_COUNT_MAX) {
        return loader_fail(loader, WERR_CONFIG, "exporters.otlp", "expected at most %d destinations, got %zu",
            CONFIG_OTLP_COUNT_MAX, config->exporters.otlp.count);
    }
    return 0;
}

static int check_limits(struct loader *loader)
{
    const struct limits *limits = &loader->config->limits;

    if (limits->message_bytes_max > limits->assembly_bytes_max) {
        return loader_fail(loader, WERR_CONFIG,
            marks_find(&loader->marks, "limits.message_bytes_max") != NULL ? "limits.message_bytes_max"
                                                                           : "limits.assembly_bytes_max",
            "expected message_bytes_max to be at most assembly_bytes_max");
    }
    return 0;
}

int check_live(struct loader *loader)
{
    int status = check_listeners(loader);

    if (status == 0) {
        status = check_trace(loader);
    }
    return status == 0 ? check_limits(loader) : status;
}

int check_config(struct loader *loader)
{
    struct config *config = loader->config;
    int status = check_socket_path(loader);

    if (status == 0) {
        status = check_api_path(loader);
    }
    if (status == 0) {
        status = check_group(loader, "socket.group", config->socket.group, &config->socket.gid);
    }
    if (status == 0) {
        status = check_group(loader, "api_socket.group", config->api_socket.group, &config->api_socket.gid);
    }
    if (status == 0) {
        status = check_http(loader);
    }
    if (status == 0) {
        status = check_http_listeners(loader);
    }
    if (status == 0) {
        status = check_receivers(loader);
    }
    if (status == 0) {
        status = check_identity(loader);
    }
    if (status == 0) {
        status = check_access_logs(loader);
    }
    if (status == 0) {
        status = check_meshes(loader);
    }
    if (status == 0) {
        status = check_routes(loader);
    }
    if (status == 0) {
        status = check_labels(loader, "metrics.labels", &config->metrics.labels, NULL);
    }
    if (status == 0) {
        status = check_trace(loader);
    }
    if (status == 0) {
        status = check_limits(loader);
    }
    if (status == 0) {
        status = check_bounds(loader);
    }
    if (status == 0) {
        status = check_counts(loader);
    }
    for (size_t i = 0; status == 0 && i < config->exporters.otlp.count; i++) {
        status = check_otlp(loader, i);
    }
    return status;
}
