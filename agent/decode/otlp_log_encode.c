/* Access-log records to OTLP; see otlp_log_encode.h. */
#include "decode/otlp_log_encode.h"

#include "decode/utf8.h"
#include "decode/wire_write.h"

enum {
    KEY_VALUE_BYTES = 64,
    RESOURCE_BYTES = 127,
    RECORD_BYTES = 1024, /* guesses at lengths: a wrong one costs a move */
    NS_PER_US = 1000,
};

struct writer {
    const struct attribute_table *table;
    struct buffer *out;
    uint32_t number; /* of the field that attributes are in */
};

static bool is_secret(const struct writer *writer, const char *key)
{
    return (attribute_lookup(writer->table, slice_of_string(key)).flags & ATTRIBUTE_REDACT) != 0;
}

/*
 * What was written from `begin` on becomes UTF-8 if it is not: a proxy logs whatever bytes a client put into
 * a path or header, and receivers that check their strings refuse the whole request, others' records with it.
 */
static void keep_utf8(struct buffer *out, size_t begin)
{
    if (out->error < 0 || utf8_is_valid(slice_of(out->data + begin, out->length - begin))) {
        return;
    }
    for (size_t i = begin; i < out->length; i++) {
        out->data[i] = out->data[i] < 0x80 ? out->data[i] : (uint8_t)'?';
    }
}

static void write_text(struct writer *writer, const char *key, struct slice text)
{
    struct buffer *out = writer->out;

    if (text.length == 0) {
        return;
    }
    if (is_secret(writer, key)) {
        text = SLICE_LITERAL(REDACTED_TEXT);
    }
    struct wire_envelope attribute = wire_envelope_begin(out, writer->number, KEY_VALUE_BYTES + text.length);
    wire_write_bytes(out, 1, slice_of_string(key));
    struct wire_envelope value = wire_envelope_begin(out, 2, text.length + 2);
    wire_write_bytes(out, 1, text);
    keep_utf8(out, out->length - (out->error < 0 ? 0 : text.length));
    wire_envelope_end(out, value);
    wire_envelope_end(out, attribute);
}

static void write_number(struct writer *writer, const char *key, uint64_t number)
{
    struct buffer *out = writer->out;

    if (is_secret(writer, key)) {
        write_text(writer, key, SLICE_LITERAL(REDACTED_TEXT));
        return;
    }
    struct wire_envelope attribute = wire_envelope_begin(out, writer->number, KEY_VALUE_BYTES);
    wire_write_bytes(out, 1, slice_of_string(key));
    struct wire_envelope value = wire_envelope_begin(out, 2, 3);
    wire_write_varint(out, 3, number); /* int_value; proto3 leaves 0 in a oneof on the wire */
    wire_envelope_end(out, value);
    wire_envelope_end(out, attribute);
}

static void write_resource(struct writer *writer, const struct access_log_entry *entry,
    const struct access_log_reporter *names, const struct otlp_log_meaning *meaning)
{
    bool is_source =
        entry->side == ACCESS_LOG_SIDE_SOURCE || slice_equal(meaning->reporter, SLICE_LITERAL("source"));
    struct slice service = is_source ? meaning->source : meaning->destination;
    struct slice service_namespace = is_source ? meaning->source_namespace : meaning->destination_namespace;
    struct wire_envelope resource = wire_envelope_begin(writer->out, 1, RESOURCE_BYTES);

    writer->number = 1;
    write_text(writer, "service.name", service.length > 0 ? service : names->service);
    write_text(
        writer, "service.namespace", service.length > 0 ? service_namespace : names->service_namespace);
    write_text(writer, "service.version", names->self.version);
    write_text(writer, "k8s.deployment.name", names->self.workload);
    write_text(writer, "k8s.pod.name", names->self.pod);
    write_text(writer, "k8s.cluster.name", names->self.cluster);
    write_text(writer, "node_name", names->node_id);
    write_text(writer, "log_name", names->log_name);
    wire_envelope_end(writer->out, resource);
}

static struct slice without_query(struct slice path)
{
    size_t end = slice_find(path, '?');

    return slice_sub(path, 0, slice_find(slice_sub(path, 0, end), '#'));
}

static struct slice type_of(const struct access_log_entry *entry)
{
    switch (entry->kind) {
    case ACCESS_LOG_REQUEST:
        return SLICE_LITERAL("DownstreamEnd");
    case ACCESS_LOG_ATTEMPT:
        return SLICE_LITERAL("UpstreamEnd");
    case ACCESS_LOG_CONNECTION:
        return SLICE_LITERAL("TcpConnectionEnd");
    case ACCESS_LOG_INTERMEDIATE:
    default:
        return SLICE_LITERAL("DownstreamPeriodic");
    }
}

static struct slice version_of(const struct access_log_entry *entry)
{
    static const char *const versions[] = {[ACCESS_LOG_PROTOCOL_UNTOLD] = "",
        [ACCESS_LOG_PROTOCOL_HTTP1] = "1.1",
        [ACCESS_LOG_PROTOCOL_HTTP2] = "2",
        [ACCESS_LOG_PROTOCOL_HTTP3] = "3"};

    return slice_of_string(versions[entry->protocol]);
}

static void write_request(struct writer *writer, const struct access_log_entry *entry)
{
    write_text(writer, "http.request.method", entry->method);
    write_text(writer, "url.path", without_query(entry->path));
    write_text(writer, "server.address", entry->authority);
    write_text(writer, "user_agent.original", entry->user_agent);
    write_text(writer, "network.protocol.version", version_of(entry));
    write_text(writer, "request_id", entry->request_id);
    if (entry->response_code != 0) {
        write_number(writer, "http.response.status_code", entry->response_code);
    }
    if (entry->has_grpc_status && entry->grpc_status >= 0) {
        write_number(writer, "rpc.grpc.status_code", (uint64_t)entry->grpc_status);
    }
    if (entry->has_attempts) {
        write_number(writer, "attempt_count", entry->attempts);
    }
}

static void write_rest(
    struct writer *writer, const struct access_log_entry *entry, const struct otlp_log_meaning *meaning)
{
    write_text(writer, "access_log_type", type_of(entry));
    write_number(writer, "duration_us", entry->duration_ns / NS_PER_US);
    if (entry->has_request_bytes || entry->kind == ACCESS_LOG_CONNECTION) {
        write_number(writer, "bytes_received", entry->request_bytes);
    }
    if (entry->has_response_bytes || entry->kind == ACCESS_LOG_CONNECTION) {
        write_number(writer, "bytes_sent", entry->response_bytes);
    }
    write_text(writer, "response_flags", meaning->response_flags);
    write_text(writer, "response_code_details", entry->details);
    write_text(writer, "route_name", entry->route_name);
    write_text(writer, "upstream_cluster", entry->upstream_cluster);
    write_text(writer, "upstream_host", entry->upstream_address);
    write_text(writer, "client.address", entry->downstream_address);
    write_text(writer, "upstream_peer_uri_san", entry->upstream.identity);
    write_text(writer, "downstream_peer_uri_san", entry->downstream.identity);
    write_text(writer, "downstream_local_uri_san", entry->local_identity);
    write_text(writer, "http.route", meaning->route);
    write_text(writer, "weft.reporter", meaning->reporter);
    write_text(writer, "weft.outcome", meaning->outcome);
    write_text(writer, "weft.source", meaning->source);
    write_text(writer, "weft.source_namespace", meaning->source_namespace);
    write_text(writer, "weft.destination", meaning->destination);
    write_text(writer, "weft.destination_namespace", meaning->destination_namespace);
}

static struct slice severity_text(enum otlp_log_severity severity)
{
    return severity == OTLP_LOG_INFO   ? SLICE_LITERAL("INFO")
           : severity == OTLP_LOG_WARN ? SLICE_LITERAL("WARN")
                                       : SLICE_LITERAL("ERROR");
}

/* What a reader of plain logs sees: "GET /reviews/1 503", or the cluster of a connection. */
static void write_body(struct buffer *out, const struct access_log_entry *entry)
{
    struct wire_envelope body = wire_envelope_begin(out, 5, KEY_VALUE_BYTES + entry->path.length);
    struct wire_envelope text = wire_envelope_begin(out, 1, KEY_VALUE_BYTES + entry->path.length);
    size_t begin = out->length;

    if (entry->method.length > 0) {
        (void)buffer_append_slice(out, entry->method);
        (void)buffer_append_byte(out, ' ');
        (void)buffer_append_slice(out, without_query(entry->path));
        (void)buffer_append_format(out, " %u", entry->response_code);
    } else {
        (void)buffer_append_slice(out, entry->upstream_cluster);
    }
    keep_utf8(out, begin);
    wire_envelope_end(out, text);
    wire_envelope_end(out, body);
}

static void write_record(struct writer *writer, const struct access_log_entry *entry,
    const struct otlp_log_meaning *meaning, uint64_t observed_unix_ns)
{
    struct buffer *out = writer->out;
    struct wire_envelope record = wire_envelope_begin(out, 2, RECORD_BYTES);

    wire_write_fixed64(out, 1, entry->start_unix_ns);
    wire_write_fixed64(out, 11, observed_unix_ns);
    wire_write_varint(out, 2, (uint64_t)meaning->severity);
    wire_write_bytes(out, 3, severity_text(meaning->severity));
    if (!is_secret(writer, "url.path")) {
        write_body(out, entry);
    }
    writer->number = 6;
    write_request(writer, entry);
    write_rest(writer, entry, meaning);
    if (entry->has_trace) {
        wire_write_bytes(out, 9, slice_of(entry->trace_id, sizeof entry->trace_id));
    }
    if (entry->has_span) {
        wire_write_bytes(out, 10, slice_of(entry->span_id, sizeof entry->span_id));
    }
    wire_envelope_end(out, record);
}

void otlp_log_encode(const struct attribute_table *table, const struct access_log_entry *entry,
    const struct access_log_reporter *names, const struct otlp_log_meaning *meaning,
    uint64_t observed_unix_ns, struct buffer *out)
{
    struct writer writer = {.table = table, .out = out};
    struct wire_envelope resource_logs = wire_envelope_begin(out, 1, (size_t)RECORD_BYTES * 2);

    write_resource(&writer, entry, names, meaning);
    struct wire_envelope scope_logs = wire_envelope_begin(out, 2, (size_t)RECORD_BYTES * 2);
    struct wire_envelope scope = wire_envelope_begin(out, 1, KEY_VALUE_BYTES);
    wire_write_bytes(out, 1, SLICE_LITERAL("weft"));
    wire_envelope_end(out, scope);
    write_record(&writer, entry, meaning, observed_unix_ns);
    wire_envelope_end(out, scope_logs);
    wire_envelope_end(out, resource_logs);
}
