/*
 * The server side of TLS: one context for all shards, made at start. At least TLS 1.2; ALPN h2 or http/1.1.
 * With a CA for clients every one has to show a certificate of it. Made on the main thread; shards only refer
 * to it.
 */
#ifndef WEFT_LISTEN_TLS_SERVER_H
#define WEFT_LISTEN_TLS_SERVER_H

#include <openssl/ssl.h>
#include <stddef.h>

/*
 * 0; WERR_CONFIG with *ret_what saying which file is at fault; WERR_NOMEM. client_ca_file may be NULL. Freed
 * by SSL_CTX_free.
 */
int tls_server_new(const char *cert_file, const char *key_file, const char *client_ca_file,
    SSL_CTX **ret_context, const char **ret_what);

/*
 * Who the peer's verified certificate is for: its SPIFFE URI, else its first URI, else its first DNS name.
 * "" without a certificate or when it has none of these. NUL-terminated; a longer one is left out, not cut.
 */
void tls_peer_name(const SSL *session, char *out, size_t out_bytes);

#endif
