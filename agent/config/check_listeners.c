/* The conditions of `receivers.otlp`: beyond loopback only with TLS or a list of networks. Main thread, at
 * start.
 */
#include <string.h>

#include "config/loader.h"
#include "config/value.h"
#include "core/error.h"
#include "core/networks.h"

/* The host of "HOST:PORT", an IPv6 one in brackets. WERR_INVALID when it is no numeric address. */
static int parse_host(const char *address, struct network *ret_host)
{
    char host[NETWORK_ADDRESS_BYTES_MAX];
    const char *colon = strrchr(address, ':');
    size_t length = colon != NULL ? (size_t)(colon - address) : 0;
    bool bracketed = length > 2 && address[0] == '[' && address[length - 1] == ']';
    uint64_t port;

    if (length == 0 || length >= sizeof host || value_unsigned(colon + 1, 0, 65535, &port) < 0) {
        return WERR_INVALID;
    }
    length -= bracketed ? 2 : 0;
    memcpy(host, address + (bracketed ? 1 : 0), length);
    host[length] = '\0';
    if (strchr(host, '/') != NULL || network_parse(host, ret_host) < 0) {
        return WERR_INVALID;
    }
    return (strchr(host, ':') != NULL) == bracketed ? 0 : WERR_INVALID;
}

static bool is_loopback(const struct network *host)
{
    static const uint8_t one[16] = {[15] = 1};

    return host->length == 4 ? host->bytes[0] == 127 : memcmp(host->bytes, one, sizeof one) == 0;
}

static int check_address(struct loader *loader, const char *key, const char *address, bool is_guarded)
{
    struct network host;

    if (address == NULL) {
        return 0;
    }
    if (parse_host(address, &host) < 0) {
        return loader_fail(loader, WERR_CONFIG, key,
            "expected ADDRESS:PORT with a numeric address, as 127.0.0.1:4317 or [::1]:4317, got \"%.100s\"",
            address);
    }
    if (!is_guarded && !is_loopback(&host)) {
        return loader_fail(loader, WERR_CONFIG, key,
            "%.100s is not loopback: expected cert_file and key_file (TLS), or allow, the networks that may "
            "connect",
            address);
    }
    return 0;
}

int check_listeners(struct loader *loader)
{
    const struct config_otlp_listeners *otlp = &loader->config->receivers.otlp;
    bool has_tls = otlp->cert_file != NULL && otlp->key_file != NULL;
    struct network network;

    if (!has_tls && (otlp->cert_file != NULL || otlp->key_file != NULL)) {
        return loader_fail(loader, WERR_CONFIG,
            otlp->cert_file != NULL ? "receivers.otlp.cert_file" : "receivers.otlp.key_file",
            "expected cert_file and key_file together");
    }
    if (!has_tls && otlp->client_ca_file != NULL) {
        return loader_fail(loader, WERR_CONFIG, "receivers.otlp.client_ca_file",
            "expected cert_file and key_file as well: only TLS asks for certificates");
    }
    if (otlp->allow.count > NETWORK_COUNT_MAX) {
        return loader_fail(loader, WERR_CONFIG, "receivers.otlp.allow", "expected at most %d networks",
            (int)NETWORK_COUNT_MAX);
    }
    for (size_t i = 0; i < otlp->allow.count; i++) {
        if (network_parse(otlp->allow.items[i], &network) < 0) {
            return loader_fail(loader, WERR_CONFIG, "receivers.otlp.allow",
                "expected networks as 10.0.0.0/8 or fd00::/8, got \"%.60s\"", otlp->allow.items[i]);
        }
    }
    bool is_guarded = has_tls || otlp->allow.count > 0;
    int status = check_address(loader, "receivers.otlp.grpc", otlp->grpc, is_guarded);

    if (status == 0) {
        status = check_address(loader, "receivers.otlp.http", otlp->http, is_guarded);
    }
    if (status == 0 && otlp->grpc != NULL && otlp->http != NULL && strcmp(otlp->grpc, otlp->http) == 0 &&
        strcmp(strrchr(otlp->grpc, ':'), ":0") != 0) {
        return loader_fail(
            loader, WERR_CONFIG, "receivers.otlp.http", "expected another address than receivers.otlp.grpc");
    }
    return status;
}
