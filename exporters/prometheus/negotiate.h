/*
 * Which exposition a scraper wants, from its request's headers. Pure functions: any thread.
 */
#ifndef WEFT_EXPORTERS_PROMETHEUS_NEGOTIATE_H
#define WEFT_EXPORTERS_PROMETHEUS_NEGOTIATE_H

#include <stdbool.h>

#include "weft/exporter.h"

/*
 * The encoder for an Accept header (NULL: there was none), never NULL. Of the media ranges that we can serve
 * the one with the highest q counts, the first of equals; none at all means text 0.0.4, which every reader of
 * Prometheus formats knows. Parameters other than version, proto, encoding and q are passed over (3.x adds
 * `escaping` to some or all). The answer's Content-Type is the encoder's.
 */
const struct encoder_type *prometheus_negotiate(const char *accept);

/* Whether an Accept-Encoding header (NULL: there was none) lets us send gzip. */
bool prometheus_accepts_gzip(const char *accept_encoding);

#endif
