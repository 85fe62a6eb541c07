/*
 * An access-log record as a decoder hands it on, whatever it came as: Envoy's access log service, a JSON line
 * of nginx or HAProxy, an OTLP log record of Envoy's access logger. Known fields as borrowed slices, nothing
 * interned, nothing decided; what is not told is empty or zero. Valid only during the call that delivers it.
 * Types only; any thread.
 */
#ifndef WEFT_DECODE_ACCESS_LOG_H
#define WEFT_DECODE_ACCESS_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "core/slice.h"

/* What the record is about. Only the first is a request, and only the last is a connection. */
enum access_log_kind {
    ACCESS_LOG_REQUEST,      /* a downstream request that has ended */
    ACCESS_LOG_ATTEMPT,      /* one try at an upstream host: the request has a record of its own */
    ACCESS_LOG_INTERMEDIATE, /* of a request or connection that goes on, or a second record of one */
    ACCESS_LOG_CONNECTION,   /* a connection passed on as bytes that has ended */
    ACCESS_LOG_KIND_COUNT
};

/* On which side of the request the record says that its writer stood. Most do not; names may tell. */
enum access_log_side {
    ACCESS_LOG_SIDE_UNTOLD,
    ACCESS_LOG_SIDE_SOURCE,
    ACCESS_LOG_SIDE_DESTINATION,
    ACCESS_LOG_SIDE_WAYPOINT,
};

enum access_log_protocol {
    ACCESS_LOG_PROTOCOL_UNTOLD,
    ACCESS_LOG_PROTOCOL_HTTP1, /* 1.0 and 1.1 */
    ACCESS_LOG_PROTOCOL_HTTP2,
    ACCESS_LOG_PROTOCOL_HTTP3,
};

/* A proxy beside a workload, as the mesh's metadata describes it. */
struct access_log_peer {
    struct slice service; /* canonical service */
    struct slice app;
    struct slice workload;
    struct slice workload_namespace;
    struct slice version;
    struct slice revision; /* canonical revision */
    struct slice pod;
    struct slice cluster;  /* of Kubernetes */
    struct slice identity; /* SPIFFE URI of its certificate, as this connection's TLS proved it */
};

/*
 * Who writes the log: read once for a stream, a resource or a listener, and the same for all its entries.
 * service and service_namespace as the writer tells them, before any rule about names.
 */
struct access_log_reporter {
    struct slice node_id; /* Envoy's node.id; tells two proxies of one user apart */
    struct slice log_name;
    struct slice service;
    struct slice service_namespace;
    struct slice address;        /* of the workload, without port */
    struct access_log_peer self; /* the rest of what its node says */
    bool is_envoy;               /* names as Istio writes them: "productpage.shop" */
    bool is_otlp;                /* the records came as OTLP */
};

struct access_log_entry {
    enum access_log_kind kind;
    enum access_log_side side;
    enum access_log_protocol protocol;
    bool is_grpc;
    bool has_grpc_status;
    bool has_attempts;
    bool has_request_bytes;
    bool has_response_bytes;
    bool has_trace; /* trace_id is filled */
    bool has_span;  /* span_id is filled */
    /* how it ended */
    uint16_t response_code; /* 0: none */
    int32_t grpc_status;
    uint64_t response_flags;          /* bits as in context/response_flags.h */
    struct slice response_flags_text; /* as Envoy writes them, "UF,URX"; both are counted */
    struct slice details;             /* response_code_details, or why the connection ended */
    uint32_t attempts;                /* tries at upstream hosts */
    /* when */
    uint64_t start_unix_ns;
    uint64_t duration_ns;
    uint64_t first_byte_ns; /* from start to the first byte towards the client; 0: not told */
    /* how much; of a request its bodies, of a connection everything */
    uint64_t request_bytes;  /* from the client */
    uint64_t response_bytes; /* to the client */
    /* what was asked for */
    struct slice method;
    struct slice path;  /* with query string, if it was logged */
    struct slice route; /* a template that the proxy knows; taken as it is. Else it is made of path */
    struct slice authority;
    struct slice user_agent;
    struct slice route_name;
    /* where it went */
    struct slice upstream_cluster;
    bool upstream_is_host;           /* upstream_cluster is a host name, not one of Envoy's clusters */
    struct slice upstream_address;   /* host, "10.1.2.3:8080", or a path */
    struct slice downstream_address; /* of the client, likewise */
    uint16_t upstream_port;          /* where the address does not hold it; 0: not told */
    uint16_t downstream_port;
    struct access_log_peer upstream;
    struct access_log_peer downstream;
    struct slice local_identity; /* SPIFFE URI that the writer showed to the client */
    /* what it belongs to */
    struct slice request_id;
    uint8_t trace_id[16];
    uint8_t span_id[8];
    struct slice raw; /* the encoded record */
};

#endif
