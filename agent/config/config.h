/*
 * The agent's configuration as the rest of it sees it: one struct, complete and checked, read at start and by
 * each reload. The keys, their defaults and their ranges are the tables of schema.c; docs/weft.example.yaml
 * shows each of them.
 *
 * Main makes it and hands out parts; nobody writes to it afterwards. A reload makes another one (changes.h).
 */
#ifndef WEFT_CONFIG_CONFIG_H
#define WEFT_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "core/access_fields.h"
#include "core/arena.h"
#include "core/bounds_rules.h"
#include "core/limits.h"
#include "core/log.h"
#include "core/route_rules.h"

enum {
    CONFIG_FILE_BYTES_MAX = 1048576,   /* the YAML file */
    CONFIG_SECRET_BYTES_MAX = 65536,   /* a file that a *_file key names */
    CONFIG_MEMORY_BYTES_MAX = 8388608, /* everything that one configuration holds */
    CONFIG_LIST_COUNT_MAX = 256,       /* entries of any list */
    CONFIG_BOUNDS_COUNT_MAX = 96,      /* of all that are in force: what histograms can hold */
    CONFIG_REDACT_COUNT_MAX = 64,      /* of redact.attributes */
    CONFIG_REDACT_BYTES_MAX = 128,     /* of one of them */
    CONFIG_OTLP_COUNT_MAX = 16,        /* destinations of exporters.otlp */
    CONFIG_ACCESS_LOG_COUNT_MAX = 16,  /* entries of receivers.access_logs */
    CONFIG_SCRAPE_COUNT_MAX = 64,      /* targets of receivers.scrape */
    CONFIG_LABEL_COUNT_MAX = 16,       /* labels of one target */
    CONFIG_PEER_COUNT_MAX = 64,        /* entries of trace.peers */
    CONFIG_RING_SHARE_BYTES_MIN =
        262144,                  /* of limits.trace_ring_bytes, for each shard; below it has no ring */
    CONFIG_TOKEN_BYTES_MIN = 16, /* of a secret that requests bear */
    CONFIG_WARNING_COUNT_MAX = 32,
    CONFIG_ERROR_BYTES_MAX = 1024,
    CONFIG_SHARD_COUNT_MAX = 64
};

/* Lists belong to the configuration's arena. items may be NULL when count is 0. */
struct config_strings {
    const char **items;
    size_t count;
};

struct config_numbers {
    uint64_t *items;
    size_t count;
};

struct config_socket {
    const char *path;
    uint32_t mode;           /* of the socket, as chmod takes it */
    uint32_t directory_mode; /* of the directory, when the agent makes it */
    const char *group;       /* NULL: the process's own */
    gid_t gid;               /* (gid_t)-1 when group is NULL: as chown takes it */
};

/* statsd and DogStatsD; each of the three sockets is there when its key is given. */
struct config_statsd {
    const char *path;        /* Unix datagrams; NULL: none */
    const char *stream_path; /* Unix stream, a line each; NULL: none */
    const char *udp;         /* "127.0.0.1:8125"; NULL: none */
    uint32_t mode;           /* of the Unix sockets */
    const char *group;       /* NULL: the process's own */
    gid_t gid;               /* as config_socket's */
    uint64_t buffer_bytes;   /* asked of the kernel for each datagram socket */
};

/* X-Ray segments, as SDKs and Envoy send them to the X-Ray daemon. */
struct config_xray {
    const char *udp;       /* "127.0.0.1:2000"; NULL: not received */
    uint64_t buffer_bytes; /* asked of the kernel */
};

struct config_label {
    const char *name;
    const char *value;
};

struct config_labels {
    struct config_label *items;
    size_t count;
};

struct config_tls {
    const char *ca_file; /* NULL: the system's */
    const char *cert_file;
    const char *key_file; /* both or neither */
    const char *server_name;
    bool insecure_skip_verify;
};

/* A target whose Prometheus text is fetched. */
struct config_scrape {
    const char *name;      /* unique; sender_workload of its series, the target label of its self-metrics */
    const char *namespace; /* sender_namespace; NULL: none */
    const char *url;       /* http:// or https:// */
    const char *socket;    /* Unix socket that stands in for the URL's host; NULL: TCP */
    uint64_t interval_s;
    uint64_t timeout_ms; /* at most the interval */
    const char *mesh;    /* label `mesh`; NULL: none */
    struct config_labels labels;
    struct config_tls tls;
};

struct config_scrapes {
    struct config_scrape *items;
    size_t count;
};

/* Access log lines, JSON behind a syslog header; each of the two sockets is there when its key is given. */
struct config_access_log {
    const char *path;          /* Unix datagrams; NULL: none */
    const char *stream_path;   /* Unix stream of octet-counted messages; NULL: none */
    uint32_t mode;             /* of the sockets */
    const char *group;         /* NULL: the process's own */
    gid_t gid;                 /* as config_socket's */
    uint64_t buffer_bytes;     /* asked of the kernel for the datagram socket */
    enum access_preset preset; /* what the lines' keys are called */
    const char *service;       /* of the one who writes; the preset's name when not given, NULL for json */
    const char *service_namespace;        /* NULL: not told */
    const char *mesh;                     /* that it belongs to; NULL: its sender's */
    uint8_t mesh_number;                  /* in config.mesh_names, from 1; 0: none */
    const char *keys[ACCESS_FIELD_COUNT]; /* by enum access_field; NULL: the preset's, "": none */
};

struct config_access_logs {
    struct config_access_log *items;
    size_t count;
};

/* A mesh, and which senders belong to it. Its number is its place, from 1. */
struct config_mesh {
    const char *name;
    struct config_strings senders; /* patterns over sender ids */
};

struct config_meshes {
    struct config_mesh *items;
    size_t count;
};

/* How Envoy's metrics service reports counters: Envoy's report_counters_as_deltas, which no message tells. */
enum config_counters { CONFIG_COUNTERS_CUMULATIVE, CONFIG_COUNTERS_DELTA };

/* OTLP and all that the agent's socket takes, over TCP. */
struct config_otlp_listeners {
    const char *grpc; /* "127.0.0.1:4317", NULL: does not listen */
    const char *http;
    const char *cert_file; /* both or none: TLS */
    const char *key_file;
    const char *client_ca_file;  /* NULL: no certificate is asked for */
    struct config_strings allow; /* networks that may connect; none: every one */
};

struct config_metrics_service {
    enum config_counters counters;
};

struct config_receivers {
    struct config_statsd statsd;
    struct config_xray xray;
    struct config_access_logs access_logs;
    struct config_scrapes scrape;
    struct config_metrics_service metrics_service;
    struct config_otlp_listeners otlp;
};

struct config_api_socket {
    bool enabled;
    const char *path; /* NULL when not enabled */
    const char *group;
    gid_t gid; /* as config_socket's */
};

/* The server's side of TLS. */
struct config_server_tls {
    const char *cert_file; /* both or none: TLS */
    const char *key_file;
    const char *client_ca_file; /* NULL: no certificate is asked for */
};

struct config_http {
    struct config_strings hosts; /* names that a Host header may hold besides this machine's own */
    const char *address; /* "127.0.0.1:9464": as written, but with the address that localhost stands for */
    struct sockaddr_storage sockaddr;
    socklen_t sockaddr_bytes;
    struct config_server_tls tls;
    const char *token;      /* that requests must bear; NULL: none */
    const char *token_file; /* where it was read */
    bool insecure;          /* whoever reaches an address beyond loopback may ask */
};

/* A listener for /metrics and health alone, which may be public. */
struct config_metrics_http {
    const char *address; /* numeric; NULL: none */
    struct config_server_tls tls;
};

struct config_kubelet {
    const char *url; /* https://NODE:10250/pods; NULL: none */
    const char *token_file;
    const char *ca_file; /* NULL: the system's */
    bool insecure_skip_verify;
    uint64_t interval_s;
};

/* Who senders are, beyond what the kernel tells. */
struct config_identity {
    const char *downward_api; /* directory with uid, name, namespace and labels of the agent's own pod */
    struct config_kubelet kubelet;
    bool refuse_conflicts; /* records whose claims contradict their sender are dropped, else only counted */
    struct config_strings allow; /* patterns over sender ids: who may send; none: everybody */
    struct config_strings deny;  /* who may not, though allowed */
};

/* What requests are counted from when a proxy tells them by spans and by an access log. */
enum config_count_from { CONFIG_COUNT_FROM_AUTO, CONFIG_COUNT_FROM_ACCESS_LOG, CONFIG_COUNT_FROM_SPANS };

struct config_log {
    enum log_level level;
    enum log_format format;
};

struct config_metrics {
    struct config_numbers bounds_ns; /* of classic buckets, nanoseconds, rising; +Inf is not among them */
    struct bounds_rules bounds_per_route; /* those of some routes' own */
    int64_t native_schema;                /* of native histograms, -4..5 */
    bool classic;                         /* classic buckets are served beside native ones */
    struct config_strings keep;           /* patterns over names of families; none: all are shown */
    struct config_strings drop;           /* those that are not */
    uint32_t drop_labels;                 /* bits 1 << enum droppable_label (core/metric_filter.h) */
    struct config_labels labels;          /* static ones */
};

struct config_redact {
    struct config_strings attributes; /* keys whose values are never stored */
};

/* Which spans leave the node. */
enum config_trace_export { CONFIG_TRACE_EXPORT_KEPT, CONFIG_TRACE_EXPORT_ALL };

/* Which traces are kept, and who else is to keep them. */
struct config_trace {
    enum config_trace_export export;
    bool compress;                   /* what lies in the ring for a while */
    uint64_t slow_ms;                /* a longer request is slow; 0: none is */
    uint64_t slow_factor;            /* times its route's rolling p90; 0: none is */
    uint64_t slow_for_series_min_ms; /* what is no longer than this is not slow for its route */
    uint64_t rare_count;             /* first requests of a series, in each shard */
    uint64_t baseline_parts;         /* of 10^9 traces, kept whatever happens */
    uint64_t rate_per_s;             /* traces that one reason may keep */
    uint64_t linger_ms;              /* how long what still comes of a kept trace is kept, too */
    uint64_t exemplar_retention_s;   /* how long an exemplar that was shown leads to its trace, at least */
    struct config_strings peers;     /* http:// or https:// URLs of other agents, without a path */
    const char *peer_token;          /* NULL: none; never logged */
    const char *peer_token_file;     /* where it was read */
    struct config_tls peer_tls;
};

enum config_signal { CONFIG_SIGNAL_TRACES, CONFIG_SIGNAL_METRICS, CONFIG_SIGNAL_LOGS, CONFIG_SIGNAL_COUNT };
enum config_protocol { CONFIG_PROTOCOL_GRPC, CONFIG_PROTOCOL_HTTP_PROTOBUF };
enum config_compression { CONFIG_COMPRESSION_NONE, CONFIG_COMPRESSION_GZIP, CONFIG_COMPRESSION_ZSTD };
enum config_temporality { CONFIG_TEMPORALITY_CUMULATIVE, CONFIG_TEMPORALITY_DELTA };
enum config_histograms { CONFIG_HISTOGRAMS_EXPONENTIAL, CONFIG_HISTOGRAMS_EXPLICIT };

struct config_header {
    const char *name;       /* lower case, as HTTP/2 wants it */
    const char *value;      /* from value, or from the file that value_file named; never logged */
    const char *value_file; /* NULL: it was given directly */
};

struct config_headers {
    struct config_header *items;
    size_t count;
};

struct config_queue {
    uint64_t bytes_max;
};

struct config_batch {
    uint64_t count_max; /* spans, data points or log records */
    uint64_t bytes_max; /* before compression */
    uint64_t delay_ms;
};

struct config_otlp_metrics {
    uint64_t interval_s;
    enum config_temporality temporality;
    enum config_histograms histograms;
};

enum config_aws_credentials {
    CONFIG_AWS_AUTO,
    CONFIG_AWS_ENVIRONMENT,
    CONFIG_AWS_FILE,
    CONFIG_AWS_CONTAINER,
    CONFIG_AWS_INSTANCE
};

/* Requests signed for AWS; the fields below the line come from the environment. */
struct config_aws {
    const char *region;  /* NULL: not signed */
    const char *service; /* NULL: by signal */
    enum config_aws_credentials credentials;
    const char *profile;
    const char *credentials_file; /* NULL: no source */
    const char *log_group;
    const char *log_stream;
    /* ---- */
    const char *access_key_id;        /* NULL: no source */
    const char *secret_access_key;    /* never logged */
    const char *session_token;        /* may be NULL */
    const char *container_url;        /* NULL: no source */
    const char *container_token;      /* value of its Authorization header; may be NULL */
    const char *container_token_file; /* read anew for each request; may be NULL */
    const char *instance_url;         /* NULL: no source */
};

/* One OTLP destination. */
struct config_otlp {
    const char *name; /* unique; the destination label of its self-metrics */
    enum config_protocol protocol;
    const char *endpoint; /* http:// or https://; may be NULL when url holds all that is needed */
    const char
        *url[CONFIG_SIGNAL_COUNT]; /* what a signal is sent to; for grpc the target. NULL: signal not sent */
    uint32_t signals;              /* bit 1 << enum config_signal */
    struct config_headers headers;
    enum config_compression compression;
    struct config_tls tls;
    uint64_t timeout_ms; /* of one attempt */
    struct config_queue queue;
    struct config_batch batch;
    struct config_otlp_metrics metrics;
    struct config_aws aws;
};

struct config_otlp_list {
    struct config_otlp *items;
    size_t count;
};

/* Side of the records that the service graph's edges are made of: enum profile_graph_side in core/profiles.h.
 */
enum config_graph_side { CONFIG_GRAPH_DESTINATION, CONFIG_GRAPH_SOURCE };

struct config_prometheus {
    uint32_t profiles; /* bits 1 << enum profile (core/profiles.h): naming profiles that are served */
    enum config_graph_side service_graph;
};

struct config_exporters {
    struct config_prometheus prometheus;
    struct config_otlp_list otlp;
};

struct config {
    struct config_socket socket;
    struct config_api_socket api_socket;
    struct config_http http;
    struct config_metrics_http metrics_http;
    struct config_receivers receivers;
    struct config_identity identity;
    uint64_t shards;     /* 0: as many as cpu_shard_count says */
    const char *cluster; /* "" when there is none */
    struct config_meshes meshes;
    struct config_strings mesh_names; /* of meshes, then those that receivers alone name */
    struct route_rules routes;        /* templates of paths */
    enum config_count_from count_from;
    struct config_log log;
    struct limits limits;
    struct config_metrics metrics;
    struct config_redact redact;
    struct config_trace trace;
    struct config_exporters exporters;
    struct config_strings
        warnings;       /* one line each, for main to log: environment variables that were ignored */
    struct arena arena; /* owns every string and list above */
};

/* Where a configuration comes from. Everything but `environment` may be NULL; later ones win: file, then the
 * options. */
struct config_source {
    const char *path;               /* of the YAML file */
    const char *socket_path;        /* --socket */
    const char *http_address;       /* --http */
    const char *shards;             /* --shards */
    const char *const *environment; /* NAME=value strings and a NULL, as environ */
    bool is_root;                   /* for the default paths; main gives geteuid() == 0 */
};

/* Why a configuration was refused: one line, "FILE:LINE: key: what was expected". */
struct config_error {
    unsigned line; /* 0 when the fault has no place in the file */
    char text[CONFIG_ERROR_BYTES_MAX];
};

/*
 * Reads, checks and completes a configuration. 0 and a configuration for config_free; or WERR_CONFIG (file,
 * value or variable), WERR_IO (a file cannot be read), WERR_NOMEM, with *error filled.
 */
int config_load(const struct config_source *source, struct config **ret_config, struct config_error *error);

/* As config_load, the file's text given instead of read; `source->path` then only names it in errors. */
int config_load_text(const struct config_source *source, const char *text, size_t length,
    struct config **ret_config, struct config_error *error);

void config_free(struct config *config);

#endif
