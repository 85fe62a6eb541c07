/*
 * How requests reach a destination: one at a time, for one signal, over gRPC (transport_grpc.c) or HTTP
 * (transport_http.c). A transport connects when it has something to send and keeps the connection.
 *
 * Threads: the exporter's loop.
 */
#ifndef WEFT_EXPORTERS_OTLP_TRANSPORT_H
#define WEFT_EXPORTERS_OTLP_TRANSPORT_H

#include "exporters/otlp/answer.h"
#include "exporters/otlp/otlp_exporter.h"
#include "exporters/otlp/url.h"

struct transport;
struct aws_provider;

struct transport_config {
    uv_loop_t *loop;
    const struct clock *clock;
    const struct otlp_destination_config *destination; /* outlives the transport, as does its URL */
    enum otlp_signal signal;
    struct aws_provider *aws; /* credentials to sign with; NULL: requests are not signed */
    uint64_t connect_timeout_ms;
    void (*done)(void *user, const struct otlp_answer *answer);
    void *user;
};

struct transport_type {
    /* 0; WERR_CONFIG with *ret_what; WERR_NOMEM. */
    int (*make)(
        const struct transport_config *config, struct transport **ret_transport, const char **ret_what);

    /*
     * Sends one request, already compressed; the bytes live until `done`, which comes once, from the loop,
     * within the destination's timeout (and before `send` returns when nothing could be tried). Not while
     * another is under way. WERR_NOMEM, WERR_IO: nothing was begun.
     */
    int (*send)(struct transport *transport, struct slice body);

    /* Ends what is under way without `done`; frees itself in the next turns of the loop. */
    void (*close)(struct transport *transport);
};

/* The head of each transport. */
struct transport {
    const struct transport_type *type;
};

extern const struct transport_type transport_grpc;
extern const struct transport_type transport_http;

#define OTLP_USER_AGENT "OTel-OTLP-Exporter-C/" WEFT_VERSION

#endif
