/*
 * Who may send records over TCP (receivers.otlp), and who it is: the networks that may connect, the TLS
 * context, and the identity of a connection. Made on the main thread at start; each shard has a copy, so that
 * a reload changes it on the shard's own thread.
 */
#ifndef WEFT_AGENT_TCP_GUARD_H
#define WEFT_AGENT_TCP_GUARD_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"
#include "context/sender.h"
#include "core/networks.h"
#include "listen/tls_inlet.h"

struct tcp_guard {
    SSL_CTX *tls; /* NULL: plain */
    struct network allow[NETWORK_COUNT_MAX];
    size_t allow_count; /* 0: every address may connect */
};

/* 0; WERR_CONFIG with *ret_what naming the key under receivers.otlp at fault; WERR_NOMEM. */
int tcp_guard_init(
    struct tcp_guard *guard, const struct config_otlp_listeners *config, const char **ret_what);

/* Other networks from now on. A shard does so with a copy of its own. */
void tcp_guard_set_allow(struct tcp_guard *guard, const struct config_strings *allow);

/* A zeroed one is fine. */
void tcp_guard_deinit(struct tcp_guard *guard);

/* Loopback always may. */
bool tcp_guard_allows(const struct tcp_guard *guard, int fd);

/* Whether a connection that sends records came over TCP, TLS taken off or not; true even when its peer has
 * gone. */
bool tcp_carries(int fd);

/*
 * Who is at the other end: the name in its certificate, else its address. False when the connection did not
 * come over TCP. `inlet`: the shard's, may be NULL.
 */
bool tcp_sender(const struct tls_inlet *inlet, int fd, struct sender *ret_sender);

#endif
