/*
 * The fields of an access log line that is a JSON object: their names, which are keys of the configuration,
 * and the keys that the presets expect in the line. A table only; any thread.
 */
#ifndef WEFT_CORE_ACCESS_FIELDS_H
#define WEFT_CORE_ACCESS_FIELDS_H

/* X(name, key of preset nginx, of preset haproxy). Preset json has the names themselves; NULL: no such
 * field. The names are also the keys of `fields` in the configuration. */
/* clang-format off */
#define WEFT_ACCESS_FIELDS(X)                                                                                \
    X(method,           "request_method",          "method")           /* GET */                             \
    X(path,             "request_uri",             "path")             /* with or without query string */    \
    X(route,            "route",                   "route")            /* a template, taken as it is */      \
    X(protocol,         "server_protocol",         "protocol")         /* HTTP/1.1, HTTP/2.0 */              \
    X(host,             "host",                    "host")             /* the Host header */                 \
    X(client,           "remote_addr",             "client")           /* address of the caller */           \
    X(status,           "status",                  "status")           /* of the answer; required */         \
    X(grpc_status,      "grpc_status",             "grpc_status")      /* a number */                        \
    X(start_s,          "start_s",                 "start_s")          /* seconds since 1970, decimal */     \
    X(end_s,            "msec",                    "end_s")            /* the same, of the end */            \
    X(duration_s,       "request_time",            "duration_s")       /* one duration is required */        \
    X(duration_ms,      "duration_ms",             "duration_ms")                                            \
    X(duration_us,      "duration_us",             "duration_us")                                            \
    X(request_bytes,    "content_length",          "request_bytes")    /* of the bodies */                   \
    X(response_bytes,   "body_bytes_sent",         "response_bytes")                                         \
    X(upstream,         "proxy_host",              "backend")          /* who was called: service or host */ \
    X(upstream_address, "upstream_addr",           "upstream_address") /* one, or a list of attempts' */     \
    X(upstream_status,  "upstream_status",         "upstream_status")                                        \
    X(upstream_connect, "upstream_connect_time",   "upstream_connect")                                       \
    X(upstream_header,  "upstream_header_time",    "upstream_header")                                        \
    X(limit_status,     "limit_req_status",        "limit_status")     /* REJECTED: flag RL */               \
    X(frontend,         "frontend",                "frontend")                                               \
    X(server,           "server",                  "server")           /* <NOSRV>: none was chosen */        \
    X(termination,      "termination",             "termination")      /* HAProxy's: "sH" */                 \
    X(retries,          "retries",                 "retries")          /* HAProxy's: "2", "+3" */            \
    X(attempts,         "attempts",                "attempts")                                               \
    X(response_flags,   "response_flags",          "response_flags")   /* as Envoy writes them: "UF,URX" */  \
    X(traceparent,      "http_traceparent",        "traceparent")      /* W3C */                             \
    X(trace_id,         "trace_id",                "trace_id")         /* 16 or 32 hex digits */             \
    X(span_id,          "span_id",                 "span_id")          /* 16 hex digits */                   \
    X(request_id,       "http_x_request_id",       "request_id")                                             \
    X(user_agent,       "http_user_agent",         "user_agent")
/* clang-format on */

enum access_field {
#define WEFT_ACCESS_FIELD_ENUM(name, nginx, haproxy) ACCESS_FIELD_##name,
    WEFT_ACCESS_FIELDS(WEFT_ACCESS_FIELD_ENUM)
#undef WEFT_ACCESS_FIELD_ENUM
        ACCESS_FIELD_COUNT
};

enum access_preset { ACCESS_PRESET_JSON, ACCESS_PRESET_NGINX, ACCESS_PRESET_HAPROXY, ACCESS_PRESET_COUNT };

#endif
