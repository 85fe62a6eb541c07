/*
 * libweft: a proxy tells the weft agent on its node about each request that it finished, and about metrics of
 * its own.
 *
 *   struct weft_options options;
 *   weft_options_init(&options);
 *   options.workload = "productpage";
 *   struct weft_client *client;
 *   if (weft_open(&options, &client) == 0) {
 *       uint32_t reviews = weft_intern(client, "reviews", 7);
 *       struct weft_span span = {.destination = reviews, ...};
 *       weft_record_span(client, &span);
 *       weft_close(client);
 *   }
 *
 * Recording costs tens of nanoseconds: the span is copied into a buffer of the calling thread; a thread of
 * the library sends it. After a thread's first record on a client, recording neither blocks nor locks nor
 * makes a system call. With the agent away or slow, what does not fit is dropped, counted, and told to the
 * agent when it is back.
 *
 * Threads: every function may be called from every thread, weft_close only when no other thread still uses
 * the client. fork: in the child the client is a new sender with empty buffers and its counters at 0; strings
 * and metric handles stay valid. Signals: SIGPIPE is never raised, and the library's thread blocks all
 * signals.
 *
 * Functions return 0 or a negative enum weft_error.
 */
#ifndef WEFT_WEFT_H
#define WEFT_WEFT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define WEFT_API __attribute__((visibility("default")))
#else
#define WEFT_API
#endif

enum weft_error {
    WEFT_ERROR_NOMEM = -1,     /* out of memory */
    WEFT_ERROR_INVALID = -2,   /* an argument outside what is allowed */
    WEFT_ERROR_OVERSIZED = -4, /* a string longer than WEFT_STRING_BYTES_MAX, or too many labels */
    WEFT_ERROR_FULL = -11,     /* no room: the record was dropped and counted; or a table is full */
    WEFT_ERROR_IO = -12,       /* a thread or descriptor could not be made */
    WEFT_ERROR_TIMEOUT = -20   /* not all was acknowledged in time */
};

enum {
    WEFT_CLIENTS_COUNT_MAX = 24,    /* open at once in a process */
    WEFT_STRINGS_COUNT_MAX = 65535, /* interned in a client */
    WEFT_STRING_BYTES_MAX = 4096,
    WEFT_METRICS_COUNT_MAX = 4096, /* registered in a client */
    WEFT_LABELS_COUNT_MAX = 32     /* of one metric */
};

struct weft_client;
struct weft_counter;
struct weft_gauge;
struct weft_histogram;

/* Strings are copied. Fill by weft_options_init, then change what should differ. */
struct weft_options {
    size_t struct_bytes; /* set by weft_options_init */
    const char
        *socket_path; /* NULL: $WEFT_SOCKET, else $XDG_RUNTIME_DIR/weft/weft.sock or /run/weft/weft.sock */
    const char *node; /* which instance of its workload it is, such as its pod, or else its machine; the agent
                         trusts the socket's credentials more */
    const char *workload;           /* the source of its outbound spans, the destination of inbound ones */
    const char *workload_namespace; /* any of the four may be NULL */
    int compression_level;          /* zstd's; 0: no compression, the best choice on one machine */
    uint32_t thread_spans_count;    /* each thread's buffer; rounded up to a power of two; default 8192 */
    uint64_t backlog_bytes_max;     /* encoded and not yet acknowledged; default 8 MiB */
    uint32_t batch_interval_ms;     /* a span waits at most about this long to be sent; default 100 */
    uint32_t metrics_interval_ms;   /* default 1000 */
    uint32_t close_timeout_ms;      /* how long weft_close waits for acknowledgements; default 1000 */
};

static inline void weft_options_init(struct weft_options *options)
{
    memset(options, 0, sizeof *options);
    options->struct_bytes = sizeof *options;
    options->thread_spans_count = 8192;
    options->backlog_bytes_max = 8388608;
    options->batch_interval_ms = 100;
    options->metrics_interval_ms = 1000;
    options->close_timeout_ms = 1000;
}

/*
 * Makes a client and starts its thread, which connects, and connects again, on its own: an absent agent is no
 * error. NULL options are the defaults. Errors: INVALID, NOMEM, FULL (too many clients), IO. Freed by
 * weft_close.
 */
WEFT_API int weft_open(const struct weft_options *options, struct weft_client **ret_client);

/*
 * Sends what is left, waiting at most close_timeout_ms, and frees the client and all its handles. TIMEOUT:
 * not all was acknowledged. NULL is fine.
 */
WEFT_API int weft_close(struct weft_client *client);

/*
 * The id of a string (UTF-8), the same for equal strings, valid as long as the client; 0, which means "not
 * told", for an empty string, one that is too long, or when the table is full. Locks: for set-up, not for
 * each request.
 */
WEFT_API uint32_t weft_intern(struct weft_client *client, const char *text, size_t length);

enum weft_reporter {
    WEFT_REPORTER_UNSPECIFIED = 0,
    WEFT_REPORTER_SOURCE = 1, /* the caller's side saw it */
    WEFT_REPORTER_DESTINATION = 2,
    WEFT_REPORTER_WAYPOINT = 3
};

enum weft_protocol {
    WEFT_PROTOCOL_UNSPECIFIED = 0,
    WEFT_PROTOCOL_HTTP1 = 1,
    WEFT_PROTOCOL_HTTP2 = 2,
    WEFT_PROTOCOL_HTTP3 = 3,
    WEFT_PROTOCOL_GRPC = 4,
    WEFT_PROTOCOL_TCP = 5
};

/* One request that has ended, as this reporter saw it. Zero in a field: not told. */
struct weft_span {
    uint8_t trace_id[16]; /* all zero: it belongs to no trace */
    uint8_t span_id[8];
    uint8_t parent_id[8];
    uint64_t start_time_unix_ns;
    uint64_t duration_ns;
    uint32_t source; /* ids from weft_intern, from here … */
    uint32_t source_namespace;
    uint32_t destination;
    uint32_t destination_namespace;
    uint32_t route;          /* the route's pattern, "/reviews/{id}", never a raw path */
    uint32_t method;         /* … to here */
    uint64_t response_flags; /* Envoy's, as bits: proto/README.md */
    uint64_t request_bytes;
    uint64_t response_bytes;
    uint64_t
        sampling_threshold; /* OpenTelemetry's 56-bit rejection threshold; 0: every request is recorded */
    uint32_t attempts;      /* 1: no retry; 0: cannot be told */
    uint16_t response_code; /* HTTP status; 0: no response */
    uint8_t reporter;       /* enum weft_reporter */
    uint8_t protocol;       /* enum weft_protocol */
    uint8_t grpc_status;    /* the status + 1; 0: not gRPC */
    uint8_t reserved[7];    /* zero */
};

/* Copies the span into the calling thread's buffer. FULL: dropped and counted. */
WEFT_API int weft_record_span(struct weft_client *client, const struct weft_span *span);

enum { WEFT_SEVERITY_INFO = 9, WEFT_SEVERITY_WARN = 13, WEFT_SEVERITY_ERROR = 17, WEFT_SEVERITY_MAX = 24 };

/* A log record that belongs to a trace, or to none. Requests are spans: what this tells is not counted. */
struct weft_log_attribute {
    const char *key; /* not empty */
    const char *value;
};

struct weft_log_record {
    uint8_t trace_id[16]; /* all zero: none */
    uint8_t span_id[8];
    uint64_t time_unix_ns; /* 0: now */
    uint32_t severity;     /* OpenTelemetry's SeverityNumber; 0: not told */
    const char *body;      /* UTF-8, as all texts here; may be NULL */
    const struct weft_log_attribute *attributes;
    size_t attribute_count;
};

/*
 * Copies the record; the agent passes it on as OTLP. Waits for no more than other threads' copies of theirs.
 * FULL: dropped and counted (1,024 records or 256 KiB of text until the library's thread has looked again);
 * INVALID; OVERSIZED; NOMEM.
 */
WEFT_API int weft_log(struct weft_client *client, const struct weft_log_record *record);

struct weft_label {
    const char *key;
    const char *value;
};

/* A metric's identity; strings are copied. unit and help may be NULL. */
struct weft_metric {
    const char *name; /* without _total */
    const char *unit; /* "seconds", "bytes" */
    const char *help;
    const struct weft_label *labels;
    size_t label_count;
};

/*
 * Registers a series; each call makes a new one, so register once. Handles live as long as the client.
 * Errors: INVALID (no name), OVERSIZED, FULL, NOMEM.
 */
WEFT_API int weft_counter_new(
    struct weft_client *client, const struct weft_metric *metric, struct weft_counter **ret_counter);
WEFT_API int weft_gauge_new(
    struct weft_client *client, const struct weft_metric *metric, struct weft_gauge **ret_gauge);
WEFT_API int weft_histogram_new(
    struct weft_client *client, const struct weft_metric *metric, struct weft_histogram **ret_histogram);

/* From any thread, never blocking; sent every metrics_interval_ms. */
WEFT_API void weft_counter_add(struct weft_counter *counter, uint64_t by);
WEFT_API void weft_gauge_set(struct weft_gauge *gauge, double value);

/*
 * Base-2 exponential buckets of 2.2 % width from 2^-32 to 2^32; values above go to the last one, those below
 * and 0 to the zero bucket; negative ones, NaN and infinity are dropped and counted.
 */
WEFT_API void weft_histogram_record(struct weft_histogram *histogram, double value);

/*
 * Waits until all that was recorded before the call is acknowledged: 0, or TIMEOUT. Locks and blocks: not for
 * a thread that serves requests.
 */
WEFT_API int weft_flush(struct weft_client *client, uint32_t timeout_ms);

/*
 * What became of the records, since weft_open (in a forked child: since fork). At rest and after a flush:
 * recorded = acknowledged, rejected ones included; what was dropped is not in recorded.
 */
struct weft_stats {
    uint64_t recorded_spans;     /* taken into a buffer */
    uint64_t dropped_spans;      /* no room, or no memory */
    uint64_t acknowledged_spans; /* in batches that the agent answered for good */
    uint64_t rejected_spans;     /* of these, those that it refused */
    uint64_t sent_points;        /* metric points in batches made */
    uint64_t dropped_points;
    uint64_t acknowledged_points;
    uint64_t rejected_points;
    uint64_t recorded_logs;
    uint64_t dropped_logs; /* the agent is not told of these */
    uint64_t acknowledged_logs;
    uint64_t rejected_logs;
    uint64_t batches;        /* made */
    uint64_t batches_resent; /* written again after a reconnect or a refusal */
    uint64_t backlog_bytes;  /* encoded and not yet acknowledged */
    uint64_t connects;       /* times that the agent answered our Hello */
    uint64_t errors;         /* Error frames received */
    uint32_t connected;      /* 1 when the agent has answered on the connection of now */
    char last_error[100];    /* text of the last Error, or why connecting failed; "" when none */
};

WEFT_API void weft_stats(struct weft_client *client, struct weft_stats *ret_stats);

/* "0.1.0" */
WEFT_API const char *weft_version(void);

#ifdef __cplusplus
}
#endif

#endif
