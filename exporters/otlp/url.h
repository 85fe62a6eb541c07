/*
 * The parts of a destination's URL: http://host[:port][/path], https://…, or unix:/path. Pure; no names are
 * resolved.
 */
#ifndef WEFT_EXPORTERS_OTLP_URL_H
#define WEFT_EXPORTERS_OTLP_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/slice.h"

enum {
    URL_HOST_BYTES_MAX = 256,
    URL_AUTHORITY_BYTES_MAX = 272,
    URL_PORT_BYTES = 8,
    URL_SOCKET_PATH_BYTES_MAX = 108
};

struct url {
    bool is_unix;
    bool is_tls;
    bool host_is_ip;                             /* a literal address: no SNI */
    char host[URL_HOST_BYTES_MAX];               /* without brackets; of unix: "localhost" */
    char port[URL_PORT_BYTES];                   /* decimal; the scheme's own when the URL has none */
    char authority[URL_AUTHORITY_BYTES_MAX];     /* as the Host header has it */
    char socket_path[URL_SOCKET_PATH_BYTES_MAX]; /* unix only */
    struct slice path; /* from the first slash, of the URL's own memory; may be empty */
};

/*
 * 0; WERR_INVALID for what is none of the forms above, has user information, or a port outside 1–65535;
 * WERR_OVERSIZED for parts longer than their limits.
 */
int url_parse(const char *text, struct url *ret_url);

#endif
