/* Takes URLs apart; runs when the exporter is made. */
#include "exporters/otlp/url.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "core/error.h"

static int copy_part(char *to, size_t capacity, struct slice part)
{
    if (part.length >= capacity) {
        return WERR_OVERSIZED;
    }
    memcpy(to, part.ptr, part.length);
    to[part.length] = '\0';
    return 0;
}

static int parse_port(struct slice text, struct url *url)
{
    uint32_t port = 0;

    if (text.length == 0 || text.length > 5) {
        return WERR_INVALID;
    }
    for (size_t i = 0; i < text.length; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') {
            return WERR_INVALID;
        }
        port = port * 10 + (uint32_t)(text.ptr[i] - '0');
    }
    if (port == 0 || port > 65535) {
        return WERR_INVALID;
    }
    (void)snprintf(url->port, sizeof url->port, "%u", port);
    return 0;
}

/* host, host:port, [v6], [v6]:port */
static int parse_authority(struct slice authority, struct url *url)
{
    struct slice host;
    struct slice rest = {0};

    if (slice_find(authority, '@') < authority.length) {
        return WERR_INVALID; /* a password in a URL would end up in logs */
    }
    if (authority.length > 0 && authority.ptr[0] == '[') {
        size_t end = slice_find(authority, ']');
        if (end == authority.length) {
            return WERR_INVALID;
        }
        host = slice_sub(authority, 1, end);
        rest = slice_sub(authority, end + 1, authority.length);
    } else {
        size_t colon = slice_find(authority, ':');
        host = slice_sub(authority, 0, colon);
        rest = slice_sub(authority, colon, authority.length);
    }
    if (host.length == 0 || (rest.length > 0 && rest.ptr[0] != ':')) {
        return WERR_INVALID;
    }
    int error = copy_part(url->host, sizeof url->host, host);
    if (error == 0) {
        error = copy_part(url->authority, sizeof url->authority, authority);
    }
    if (error == 0 && rest.length > 0) {
        error = parse_port(slice_sub(rest, 1, rest.length), url);
    }
    return error;
}

static int parse_unix(struct slice path, struct url *url)
{
    if (slice_has_prefix(path, SLICE_LITERAL("//"))) {
        path = slice_sub(path, 2, path.length);
    }
    if (path.length == 0 || path.ptr[0] != '/') {
        return WERR_INVALID;
    }
    url->is_unix = true;
    (void)snprintf(url->host, sizeof url->host, "localhost");
    (void)snprintf(url->authority, sizeof url->authority, "localhost");
    return copy_part(url->socket_path, sizeof url->socket_path, path);
}

int url_parse(const char *text, struct url *ret_url)
{
    struct slice rest = slice_of_string(text);
    struct url url = {.port = "80"};

    for (size_t i = 0; i < rest.length; i++) {
        if (rest.ptr[i] <= ' ' || rest.ptr[i] >= 0x7f) {
            return WERR_INVALID;
        }
    }
    if (slice_has_prefix(rest, SLICE_LITERAL("unix:"))) {
        int error = parse_unix(slice_sub(rest, 5, rest.length), &url);
        if (error == 0) {
            *ret_url = url;
        }
        return error;
    }
    if (slice_has_prefix(rest, SLICE_LITERAL("https://"))) {
        url.is_tls = true;
        (void)snprintf(url.port, sizeof url.port, "443");
    } else if (!slice_has_prefix(rest, SLICE_LITERAL("http://"))) {
        return WERR_INVALID;
    }
    rest = slice_sub(rest, url.is_tls ? 8 : 7, rest.length);
    size_t end = strcspn((const char *)rest.ptr, "/?#");
    int error = parse_authority(slice_sub(rest, 0, end), &url);
    if (error < 0) {
        return error;
    }
    struct in6_addr address;
    url.host_is_ip =
        inet_pton(AF_INET, url.host, &address) == 1 || inet_pton(AF_INET6, url.host, &address) == 1;
    url.path = slice_sub(rest, end, rest.length);
    *ret_url = url;
    return 0;
}
