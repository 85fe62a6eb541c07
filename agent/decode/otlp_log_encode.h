/*
 * Writes an access-log record as OTLP: the way out for records that came as something else (Envoy's access
 * log service, lines of nginx and HAProxy). Each record is a whole ExportLogsServiceRequest, so that records
 * concatenate; what compression is for makes up for the resource in each.
 *
 * Keys are those of OpenTelemetry's conventions for HTTP and RPC, else those of otlp_logs.h, so that another
 * agent reads what this one wrote. Query strings are left out, and values of keys to redact. Runs on the
 * shard.
 */
#ifndef WEFT_DECODE_OTLP_LOG_ENCODE_H
#define WEFT_DECODE_OTLP_LOG_ENCODE_H

#include "core/buffer.h"
#include "decode/access_log.h"
#include "decode/attribute.h"

/* SeverityNumber of opentelemetry/proto/logs/v1/logs.proto. */
enum otlp_log_severity { OTLP_LOG_INFO = 9, OTLP_LOG_WARN = 13, OTLP_LOG_ERROR = 17 };

/* What the agent made of a record. Texts are borrowed; an empty one is not told. */
struct otlp_log_meaning {
    enum otlp_log_severity severity;
    struct slice outcome;
    struct slice reporter;
    struct slice source;
    struct slice source_namespace;
    struct slice destination;
    struct slice destination_namespace;
    struct slice route;
    struct slice response_flags; /* "UF,URX" */
};

/* Room for what is written besides the texts of entry and names. */
enum { OTLP_LOG_ENCODE_BYTES = 4096 };

/*
 * Appends to `out`; errors stick to it. `names` may be all empty. observed_unix_ns: when the record came.
 */
void otlp_log_encode(const struct attribute_table *table, const struct access_log_entry *entry,
    const struct access_log_reporter *names, const struct otlp_log_meaning *meaning,
    uint64_t observed_unix_ns, struct buffer *out);

#endif
