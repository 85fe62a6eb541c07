/*
 * The one normal form of a request: what every receiver's records become before anything is counted. Strings
 * are ids of the shard's interner; nothing downstream sees a raw path, an address or a claimed name.
 */
#ifndef WEFT_CONTEXT_REQUEST_H
#define WEFT_CONTEXT_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "core/slice.h"

enum reporter { REPORTER_SOURCE, REPORTER_DESTINATION, REPORTER_WAYPOINT, REPORTER_COUNT };

enum outcome {
    OUTCOME_OK,
    OUTCOME_CLIENT_ERROR,
    OUTCOME_SERVER_ERROR,
    OUTCOME_NO_RESPONSE,
    OUTCOME_CANCELLED,
    OUTCOME_COUNT
};

enum protocol {
    PROTOCOL_UNKNOWN,
    PROTOCOL_HTTP1,
    PROTOCOL_HTTP2,
    PROTOCOL_HTTP3,
    PROTOCOL_GRPC,
    PROTOCOL_TCP,
    PROTOCOL_COUNT
};

/* The known HTTP methods (RFC 9110 and PATCH); anything else is METHOD_OTHER, "_OTHER". METHOD_NONE: not
 * told. */
enum method {
    METHOD_NONE,
    METHOD_CONNECT,
    METHOD_DELETE,
    METHOD_GET,
    METHOD_HEAD,
    METHOD_OPTIONS,
    METHOD_PATCH,
    METHOD_POST,
    METHOD_PUT,
    METHOD_TRACE,
    METHOD_OTHER,
    METHOD_COUNT
};

/* What it came as: which terms of the ledger count it. In rising order of what counts when a proxy sends
 * several: spans may be sampled, Envoy's access log service tells most. */
enum request_signal { REQUEST_FROM_SPAN, REQUEST_FROM_OTLP_LOG, REQUEST_FROM_LOG };

enum { GRPC_STATUS_NONE = -1, WEIGHT_FRACTION_BITS = 32 };
#define WEIGHT_ONE (1ull << WEIGHT_FRACTION_BITS)

/* Of a proxy on one side, for whoever decides which of its records count: context/count_source.h. Zeroes:
 * they all do. */
struct count_voice {
    uint64_t key;
    uint32_t place;
};

/* Whether the reporter's connection to the other side was secured by mutual TLS, as the record tells. */
enum connection_security { SECURITY_UNKNOWN, SECURITY_NONE, SECURITY_MUTUAL_TLS, SECURITY_COUNT };

enum url_scheme { SCHEME_UNKNOWN, SCHEME_HTTP, SCHEME_HTTPS, SCHEME_COUNT };

/* Both sides as naming profiles call them, by context_identify (identity.h); zeroes where no profile is
 * enabled. */
struct request_parties {
    uint32_t source_identity; /* interner ids of composed texts; INTERNED_NONE: nothing is known */
    uint32_t destination_identity;
    uint32_t own_place;     /* the reporter's workload, namespace and pod */
    uint32_t peer_workload; /* whom the source called; INTERNED_NONE at the destination */
    uint8_t security;       /* enum connection_security */
};

struct request {
    /* who called whom */
    uint8_t reporter; /* enum reporter */
    uint8_t protocol; /* enum protocol */
    uint8_t method;   /* enum method */
    uint8_t outcome;  /* enum outcome */
    uint8_t signal;   /* enum request_signal */
    uint8_t mesh;     /* of the reporter: core/mesh_names.h */
    uint32_t source;  /* interner ids */
    uint32_t source_namespace;
    uint32_t destination;
    uint32_t destination_namespace;
    uint32_t route;
    /* how it ended */
    uint16_t response_code;  /* 0: none */
    int16_t grpc_status;     /* GRPC_STATUS_NONE: not gRPC */
    uint64_t response_flags; /* Envoy's flags as bits: context/response_flags.h */
    uint32_t attempts;       /* 0: cannot be told */
    bool has_bytes;
    uint64_t request_bytes;
    uint64_t response_bytes;
    uint64_t start_unix_ns;
    uint64_t duration_ns;
    uint64_t weight; /* how many requests it stands for, 32.32 fixed point, at least WEIGHT_ONE */
    /* where it belongs */
    uint32_t sender; /* interner id of the identity that pays for the series */
    bool stored;     /* in the ring of traces, or an export queue takes it: it may become an exemplar */
    struct count_voice voice;
    uint8_t trace_id[16];
    uint8_t span_id[8];
    /* for naming profiles alone; zeroes where the record does not tell or no profile is enabled */
    struct request_parties parties;
    uint32_t operation;     /* a span's name; interner id */
    uint32_t record_bytes;  /* of the encoded record */
    uint64_t first_byte_ns; /* from start to the first byte towards the client */
    uint16_t server_port;
    uint8_t scheme;      /* enum url_scheme */
    uint8_t span_kind;   /* enum span_kind (decode/span.h) */
    uint8_t span_status; /* enum span_status, likewise */
};

/* An attempt adds to its request's attempts and to nothing else. */
struct attempt {
    uint8_t reporter;
    uint8_t mesh;
    uint32_t source, source_namespace, destination, destination_namespace, route;
    uint64_t weight;
    uint32_t sender;
    struct count_voice voice;
};

/* A connection that was passed on as bytes, once it has ended. */
struct connection {
    uint8_t reporter;
    uint8_t mesh;
    uint32_t source, source_namespace, destination, destination_namespace;
    uint64_t sent_bytes;     /* to the one who opened it */
    uint64_t received_bytes; /* from there */
    uint64_t duration_ns;    /* how long it was open; 0: not told */
    uint64_t response_flags;
    uint32_t sender;
    struct request_parties parties; /* as in struct request */
};

/* Label values, as the expositions write them; never NULL. */
const char *reporter_name(enum reporter reporter);
const char *outcome_name(enum outcome outcome);
const char *protocol_name(enum protocol protocol); /* "unknown" for PROTOCOL_UNKNOWN */
const char *method_name(enum method method);       /* "" for METHOD_NONE */

/* From a method's text, any case as HTTP has it (case-sensitive): METHOD_OTHER for unknown ones, METHOD_NONE
 * when empty. */
enum method method_of(struct slice text);

#endif
