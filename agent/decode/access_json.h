/*
 * An access log line that is one JSON object, as a proxy writes it: its members by a map of names to
 * struct access_log_entry. One a listener and shard, its thread only. Nothing is allocated after the init.
 *
 *   {"request_method":"GET","status":"502", …} ─► member: key ─map─► field ─► texts[field] ─► entry
 *
 * Values may be strings or numbers; "" and "-" and null tell nothing; members that the map does not name are
 * skipped whatever they hold. Which proxy wrote it is told by the fields that are there: nginx' lists of
 * attempts (upstream_status …), HAProxy's termination state.
 */
#ifndef WEFT_DECODE_ACCESS_JSON_H
#define WEFT_DECODE_ACCESS_JSON_H

#include <stdint.h>

#include "core/slice.h"
#include "decode/access_log.h"

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

const char *access_field_name(enum access_field field);

/* The key that a preset has for the field. Static. */
const char *access_preset_key(enum access_preset preset, enum access_field field);

struct access_json {
    struct slice keys[ACCESS_FIELD_COUNT]; /* borrowed; empty: the field is not looked for */
    uint32_t depth_max;
    uint8_t follows[ACCESS_FIELD_COUNT + 1]; /* which field came after this one in the line before: members
                                                rarely change their order */
    struct slice texts[ACCESS_FIELD_COUNT];  /* of the line at hand */
    uint8_t *scratch;                        /* texts without their escapes; owned */
    size_t scratch_bytes;
};

/*
 * keys: ACCESS_FIELD_COUNT texts that outlive it, NULL ones as the preset has them, "" for none. Lines of
 * at most line_bytes_max, arrays and objects in them nested at most depth_max deep, theirs included. 0 or
 * WERR_NOMEM.
 */
int access_json_init(struct access_json *json, enum access_preset preset, const char *const *keys,
    size_t line_bytes_max, uint32_t depth_max);
void access_json_deinit(struct access_json *json);

/* What came of a line. */
enum access_json_result {
    ACCESS_JSON_OK,
    ACCESS_JSON_NOT_JSON,  /* no JSON, or no object */
    ACCESS_JSON_TRUNCATED, /* it begins as JSON and ends too early: cut by its writer */
    ACCESS_JSON_NESTED,    /* deeper than depth_max */
    ACCESS_JSON_OVERSIZED, /* longer than line_bytes_max */
    ACCESS_JSON_MALFORMED, /* JSON, but no request: *ret_field is missing, or its value is none */
};

/*
 * Reads one line. ACCESS_JSON_OK fills *ret_entry, whose texts are the line's or the reader's own until the
 * next call; an end that is not told is now_unix_ns. Anything else writes *ret_field: the field's name, or
 * "".
 */
enum access_json_result access_json_read(struct access_json *json, struct slice line, uint64_t now_unix_ns,
    struct access_log_entry *ret_entry, const char **ret_field);

#endif
