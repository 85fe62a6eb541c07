/*
 * The OTLP exporter: several destinations, each with a queue, batches, retries and a connection of its own,
 * all on the exporter thread's loop. It sees only bytes: spans as they came (whole ExportTraceServiceRequest
 * messages, which concatenate), log records likewise, and metrics that the encoders of this folder made.
 */
#ifndef WEFT_EXPORTERS_OTLP_EXPORTER_H
#define WEFT_EXPORTERS_OTLP_EXPORTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "core/buffer.h"
#include "core/clock.h"
#include "core/compress.h"
#include "core/metrics.h"
#include "weft/exporter.h"

enum otlp_signal { OTLP_SIGNAL_TRACES, OTLP_SIGNAL_METRICS, OTLP_SIGNAL_LOGS, OTLP_SIGNAL_COUNT };
enum otlp_protocol { OTLP_PROTOCOL_GRPC, OTLP_PROTOCOL_HTTP_PROTOBUF };

struct otlp_header {
    const char *name;  /* lower case */
    const char *value; /* never logged */
};

/*
 * Requests signed for AWS, Signature Version 4 (aws_sign.h), with credentials from the first source that is
 * there (aws_credentials.h). region NULL: not signed.
 */
struct otlp_aws_config {
    const char *region;
    const char *service[OTLP_SIGNAL_COUNT];
    const char *log_group; /* headers of requests with logs; NULL: none */
    const char *log_stream;
    const char *access_key_id; /* NULL: no such source; the secret goes with it, the token may be NULL */
    const char *secret_access_key;
    const char *session_token;
    const char *credentials_file; /* NULL: no such source */
    const char *profile;
    const char *container_url; /* NULL: no such source; token and token file may be NULL */
    const char *container_token;
    const char *container_token_file;
    const char *instance_url; /* http://HOST[:PORT] of the instance's metadata; NULL: no such source */
};

/* One destination. Strings are borrowed and must live as long as the exporter. */
struct otlp_destination_config {
    const char *name;
    enum otlp_protocol protocol;
    const char *
        url[OTLP_SIGNAL_COUNT]; /* NULL: this signal is not sent. http://, https://, or unix:/path for gRPC */
    const struct otlp_header *headers;
    size_t header_count;
    /* Another number when values of the headers have changed, on the exporter's loop; requests from then on
     * have the new ones. NULL: they never do. */
    const uint64_t *headers_version;
    enum compression compression;
    const char *ca_file; /* NULL: the system's */
    const char *cert_file;
    const char *key_file;
    const char *server_name; /* NULL: the URL's host */
    bool insecure_skip_verify;
    uint64_t timeout_ms; /* of one attempt */
    uint64_t queue_bytes_max;
    uint64_t batch_count_max;
    uint64_t batch_bytes_max; /* before compression */
    uint64_t batch_delay_ms;
    struct otlp_aws_config aws;
    struct metric_cells
        *cells; /* METRIC_EXPORT_* rows of this destination; written by the exporter's thread alone */
};

enum otlp_event_type { OTLP_EVENT_FAILED, OTLP_EVENT_REJECTED, OTLP_EVENT_QUEUE_FULL, OTLP_EVENT_RECOVERED };

/* What happened at a destination, for the owner to log. `text` is a short reason from us or from the peer. */
struct otlp_event {
    const char *destination;
    enum otlp_event_type type;
    int status; /* HTTP or gRPC status; 0: none */
    uint64_t item_count;
    const char *text;
};

/* How failures are paced. A zero in a field means its default. */
struct otlp_pacing {
    uint64_t backoff_initial_ms; /* OTLP_BACKOFF_INITIAL_MS */
    uint64_t backoff_max_ms;     /* OTLP_BACKOFF_MAX_MS */
    uint64_t retry_after_max_ms; /* OTLP_RETRY_AFTER_MAX_MS */
    uint64_t connect_timeout_ms; /* OTLP_CONNECT_TIMEOUT_MS */
};

enum {
    OTLP_BACKOFF_INITIAL_MS = 1000,
    OTLP_BACKOFF_MAX_MS = 30000,
    OTLP_RETRY_AFTER_MAX_MS = 300000, /* a destination that asks for a longer pause gets this one */
    OTLP_CONNECT_TIMEOUT_MS = 5000,   /* name, connection and TLS handshake; within the attempt's timeout */
    OTLP_BATCH_ITEMS_MAX = 1024,      /* queue entries of one request */
    OTLP_ANSWER_BYTES_MAX = 65536,    /* of an answer's body; the rest is not looked at */
    OTLP_TEXT_BYTES_MAX = 160,        /* of a reason, NUL included */
};

struct otlp_exporter_config {
    uv_loop_t *loop;
    const struct clock *clock;
    const struct otlp_destination_config *destinations;
    size_t destination_count;
    void (*event)(void *user, const struct otlp_event *event);
    void *user;
    uint64_t random_seed;      /* of the jitter */
    struct otlp_pacing pacing; /* zeroed: the defaults */
};

struct otlp_exporter;

/*
 * 0 with *ret_exporter; WERR_CONFIG for a bad URL or TLS file (*ret_what: which, static), WERR_NOMEM,
 * WERR_IO. After an error nothing is left but handles that close in the loop's next turns.
 */
int otlp_exporter_new(
    const struct otlp_exporter_config *config, struct otlp_exporter **ret_exporter, const char **ret_what);

/*
 * Offers bytes of item_count spans, points or log records to every destination that takes the signal
 * (destination_index < 0), or to that one alone. Each takes a reference of its own and counts them as handed
 * over; a full queue drops its oldest and counts it. After close everything offered is counted as dropped by
 * the shutdown.
 */
void otlp_exporter_offer(struct otlp_exporter *exporter, enum otlp_signal signal, int destination_index,
    struct shared_bytes *bytes, uint64_t item_count);

/* Sends what is queued without waiting for batches to fill; calls `done` when all queues are empty,
 * deadline_ms from now, or when the exporter is closed before. Once at a time. */
void otlp_exporter_drain(
    struct otlp_exporter *exporter, uint64_t deadline_ms, void (*done)(void *user), void *user);

/* Drops the rest (counted as shutdown) and closes handles, which end in the next turns of the loop; then
 * free. */
void otlp_exporter_close(struct otlp_exporter *exporter);
void otlp_exporter_free(struct otlp_exporter *exporter);

/* The registry's entry: encoders of metrics ("otlp"). */
extern const struct exporter_type exporter_otlp;

#endif
