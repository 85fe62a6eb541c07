/*
 * TLS of a destination: contexts with verification on, at least TLS 1.2, ALPN h2; and a session over memory,
 * without I/O, so that the channel alone touches the socket. Runs on the exporter's thread.
 */
#ifndef WEFT_EXPORTERS_OTLP_TLS_H
#define WEFT_EXPORTERS_OTLP_TLS_H

#include <openssl/ssl.h>

#include "exporters/otlp/otlp_exporter.h"
#include "exporters/otlp/url.h"

/*
 * A context for a destination: its CA file or the system's, its certificate and key, verification unless it
 * says otherwise. 0; WERR_CONFIG with *ret_what saying which file is at fault; WERR_NOMEM. Freed by
 * SSL_CTX_free.
 */
int tls_context_new(
    const struct otlp_destination_config *config, SSL_CTX **ret_context, const char **ret_what);

/*
 * A client session between two memory BIOs (in: what the peer sent, out: what is to be sent), set up to check
 * that the certificate is for `name`. NULL when out of memory. Freed by SSL_free, the BIOs with it.
 */
SSL *tls_session_new(SSL_CTX *context, const char *name, bool name_is_ip, BIO **ret_in, BIO **ret_out);

/* Why the handshake failed: the certificate's fault by name, else the library's reason. Into ret_text, always
 * filled. */
void tls_failure_text(const SSL *session, char *ret_text, size_t capacity);

#endif
