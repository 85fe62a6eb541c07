/* The conditions of TCP listeners: beyond loopback records only with TLS or a list of networks, queries only
 * with TLS and proof of who asks. Main thread, at start. */
#include <stdio.h>
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

/* ---- queries ---- */

/* It stands in a header, and guards what anybody on the network can reach. */
static bool is_token(const char *text)
{
    for (const unsigned char *byte = (const unsigned char *)text; *byte != '\0'; byte++) {
        if (*byte <= ' ' || *byte >= 0x7f) {
            return false;
        }
    }
    return strlen(text) >= CONFIG_TOKEN_BYTES_MIN;
}

int check_token(struct loader *loader, const char *path, const char *token)
{
    return token == NULL || is_token(token)
               ? 0
               : loader_fail(loader, WERR_CONFIG, path,
                     "expected a file with a token of at least %d letters, digits and signs, without spaces",
                     CONFIG_TOKEN_BYTES_MIN);
}

static int fail_key(struct loader *loader, const char *group, const char *key, const char *expected)
{
    char path[64];

    (void)snprintf(path, sizeof path, "%s.%s", group, key);
    return loader_fail(loader, WERR_CONFIG, path, "%s", expected);
}

static int check_tls(struct loader *loader, const char *group, const struct config_server_tls *tls)
{
    if ((tls->cert_file == NULL) != (tls->key_file == NULL)) {
        return fail_key(loader, group, tls->cert_file != NULL ? "cert_file" : "key_file",
            "expected cert_file and key_file together");
    }
    return tls->client_ca_file != NULL && tls->cert_file == NULL
               ? fail_key(loader, group, "client_ca_file",
                     "expected cert_file and key_file as well: only TLS asks for certificates")
               : 0;
}

/* What answers queries tells who calls whom, and whole traces. */
static int check_query_listener(struct loader *loader)
{
    const struct config_http *http = &loader->config->http;
    bool proves = http->tls.cert_file != NULL && (http->tls.client_ca_file != NULL || http->token != NULL);
    struct network host;

    if (http->insecure || proves || (parse_host(http->address, &host) == 0 && is_loopback(&host))) {
        return 0;
    }
    return loader_fail(loader, WERR_CONFIG, loader->source->http_address != NULL ? "--http" : "http.address",
        "%.100s is not loopback: expected cert_file, key_file and token_file or client_ca_file; or for "
        "/metrics alone metrics_http.address; or insecure, which lets everybody read all traces",
        http->address);
}

static int check_metrics_listener(struct loader *loader)
{
    const struct config_metrics_http *metrics = &loader->config->metrics_http;
    struct network host;

    if (metrics->address != NULL && parse_host(metrics->address, &host) < 0) {
        return loader_fail(loader, WERR_CONFIG, "metrics_http.address",
            "expected ADDRESS:PORT with a numeric address, as 0.0.0.0:9465 or [::]:9465, got \"%.100s\"",
            metrics->address);
    }
    return check_tls(loader, "metrics_http", &metrics->tls);
}

int check_http_listeners(struct loader *loader)
{
    int status = check_tls(loader, "http", &loader->config->http.tls);

    if (status == 0) {
        status = check_token(loader, "http.token_file", loader->config->http.token);
    }
    if (status == 0) {
        status = check_query_listener(loader);
    }
    return status == 0 ? check_metrics_listener(loader) : status;
}

/* ---- records ---- */

int check_listeners(struct loader *loader)
{
    const struct config_otlp_listeners *otlp = &loader->config->receivers.otlp;
    const struct config_server_tls tls = {
        .cert_file = otlp->cert_file, .key_file = otlp->key_file, .client_ca_file = otlp->client_ca_file};
    struct network network;
    int status = check_tls(loader, "receivers.otlp", &tls);

    if (status < 0) {
        return status;
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
    bool is_guarded = tls.cert_file != NULL || otlp->allow.count > 0;
    status = check_address(loader, "receivers.otlp.grpc", otlp->grpc, is_guarded);

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
