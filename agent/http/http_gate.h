/*
 * Who may ask the agent over TCP: TLS, certificates and the token of `http` (queries and /metrics) and of
 * `metrics_http` (/metrics and health alone). One gate a process, made on the main thread at start; a shard
 * has inlets of its own, which take connections out of TLS.
 *
 *   connection ─► http_inlets_add ─┬─ plain ────────────────► HTTP server
 *                                  └─ TLS ─► tls_inlet ─────►
 */
#ifndef WEFT_AGENT_HTTP_GATE_H
#define WEFT_AGENT_HTTP_GATE_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "config/config.h"
#include "core/metrics.h"
#include "listen/http_server.h"
#include "listen/tls_inlet.h"

/* The two listeners. */
enum { HTTP_GATE_ALL, HTTP_GATE_METRICS, HTTP_GATE_COUNT };

struct http_gate {
    SSL_CTX *tls[HTTP_GATE_COUNT]; /* NULL: plain */
    bool verifies_clients;         /* whoever comes by `http` has shown a certificate of its CA */
    const char *token;             /* that a request by `http` must bear; NULL: none */
    const char *peer_token;        /* that does as well; NULL: none */
};

/* 0; WERR_CONFIG with *ret_group and *ret_what naming the keys and the file at fault; WERR_NOMEM. Texts are
 * the configuration's. */
int http_gate_init(
    struct http_gate *gate, const struct config *config, const char **ret_group, const char **ret_what);

/* A zeroed one is fine. */
void http_gate_deinit(struct http_gate *gate);

/* Whether a request by `http` bears a token that it needs; health is told to everybody. */
bool http_gate_allows(const struct http_gate *gate, struct http_exchange *exchange);

/* Whether an Authorization header, NULL for none, bears this token. */
bool http_bears_token(const char *header, const char *token);

/* A shard's part: all zero but for `gate`, `server` and `config`'s loop, cells and handshake_ms_max. */
struct http_inlets {
    const struct http_gate *gate;
    struct http_server *server;
    struct tls_inlet_config config;
    /* A connection that never came to be: its handshake failed. */
    void (*ended)(void *user, enum listener_kind kind);
    void *user;
    struct http_inlet {
        struct http_inlets *all;
        enum listener_kind kind;
        struct tls_inlet *tls; /* NULL until a connection needs it */
    } items[HTTP_GATE_COUNT];
};

/* Takes over a connected fd of a listener that takes no records. */
void http_inlets_add(struct http_inlets *inlets, int fd, enum listener_kind kind);

/* Who is behind a connection that came by TLS; NULL for any other. */
const struct tls_peer *http_inlets_peer(const struct http_inlets *inlets, int fd);

void http_inlets_close(struct http_inlets *inlets);
void http_inlets_free(struct http_inlets *inlets);

#endif
