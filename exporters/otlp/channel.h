/*
 * One outgoing connection: name → addresses → socket → TLS, then bytes both ways. It knows nothing of what
 * they mean.
 *
 *   channel_new ─► resolving ─► connecting (address by address) ─► TLS handshake ─► ready ─► closed
 *
 * All callbacks come from the loop, never from inside a call of the owner's. After `closed`, or
 * channel_close, none comes and the owner forgets the channel: it frees itself when its handles have ended.
 *
 * Threads: the loop's.
 */
#ifndef WEFT_EXPORTERS_OTLP_CHANNEL_H
#define WEFT_EXPORTERS_OTLP_CHANNEL_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "core/slice.h"
#include "exporters/otlp/url.h"

struct channel;

struct channel_callbacks {
    void (*ready)(void *user);
    void (*bytes)(void *user, struct slice bytes);
    /* Writes what is to be sent, at most `capacity` bytes, and returns how many; 0: nothing now. */
    size_t (*fill)(void *user, uint8_t *out, size_t capacity);
    void (*closed)(void *user, const char *text); /* why; valid during the call */
};

struct channel_config {
    uv_loop_t *loop;
    const struct url *url;       /* outlives the channel */
    SSL_CTX *tls;                /* NULL: plain */
    const char *server_name;     /* NULL: the URL's host */
    uint64_t connect_timeout_ms; /* of each address, its TLS handshake included */
    const struct channel_callbacks *callbacks;
    void *user;
};

/* Begins to connect. 0, WERR_NOMEM, WERR_IO. */
int channel_new(const struct channel_config *config, struct channel **ret_channel);

/* There is something to send: `fill` will be called from the loop. Before `ready` it does nothing. */
void channel_flush(struct channel *channel);

/* Ends it. NULL is fine. */
void channel_close(struct channel *channel);

#endif
