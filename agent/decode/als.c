/* The structure of access log messages and the node that sends them; see als.h. Entries are read in
 * als_entry.c. Any thread. */
#include "decode/als_internal.h"
#include "decode/peer_metadata.h"

enum { IDENTIFIER = 1, HTTP_LOGS = 2, TCP_LOGS = 3, LOG_ENTRY = 1 };

/* The second part of Istio's node ids, "sidecar~10.1.2.3~POD.NAMESPACE~DOMAIN"; empty in others. */
static struct slice address_of_node_id(struct slice node_id)
{
    size_t first = slice_find(node_id, '~');
    struct slice rest = slice_sub(node_id, first + 1, node_id.length);
    size_t second = slice_find(rest, '~');

    return second < rest.length ? slice_sub(rest, 0, second) : slice_of(NULL, 0);
}

/* Node: id = 1, cluster = 2, metadata = 3. Its list of extensions is most of its 60 to 80 KB. */
static int read_node(struct slice encoded, struct access_log_reporter *reporter)
{
    struct wire_reader reader = wire_reader_of(encoded);
    struct wire_field field;
    struct slice cluster = {.length = 0};
    int status;

    while ((status = wire_next(&reader, &field)) > 0) {
        switch (field.tag) {
        case WIRE_TAG(1, WIRE_BYTES):
            reporter->node_id = field.bytes;
            break;
        case WIRE_TAG(2, WIRE_BYTES):
            cluster = field.bytes;
            break;
        case WIRE_TAG(3, WIRE_BYTES):
            status = peer_metadata_read_struct(field.bytes, &reporter->self);
            break;
        default:
            break;
        }
        if (status < 0) {
            return status;
        }
    }
    reporter->is_envoy = true;
    reporter->address = address_of_node_id(reporter->node_id);
    reporter->service = reporter->self.service.length > 0 ? reporter->self.service
                        : reporter->self.app.length > 0   ? reporter->self.app
                                                          : cluster;
    reporter->service_namespace = reporter->self.workload_namespace;
    return status;
}

/* Identifier: node = 1, log_name = 2. */
static int read_identifier(struct slice encoded, struct als_identifier *identifier)
{
    struct wire_reader reader = wire_reader_of(encoded);
    struct wire_field field;
    int status;

    identifier->is_there = true;
    while ((status = wire_next(&reader, &field)) > 0) {
        if (field.tag == WIRE_TAG(1, WIRE_BYTES)) {
            status = read_node(field.bytes, &identifier->reporter);
        } else if (field.tag == WIRE_TAG(2, WIRE_BYTES)) {
            identifier->reporter.log_name = field.bytes;
        }
        if (status < 0) {
            return status;
        }
    }
    return status;
}

static int count_entries(struct slice logs, uint32_t *entries_count)
{
    struct wire_reader reader = wire_reader_of(logs);

    while (reader.at < reader.end) {
        uint32_t tag;
        int error = als_tag(&reader, &tag);

        error = error == 0 ? als_skip(&reader, tag) : error;
        if (error != 0) {
            return error;
        }
        *entries_count += tag == WIRE_TAG(LOG_ENTRY, WIRE_BYTES);
        if (wire_tag_number(tag) == LOG_ENTRY && wire_tag_type(tag) != WIRE_BYTES) {
            return WERR_WIRE_TYPE;
        }
    }
    return 0;
}

int als_read(struct slice message, struct als_identifier *ret_identifier, uint32_t *ret_entries_count,
    struct decode_error *ret_error)
{
    struct wire_reader reader = wire_reader_of(message);
    struct als_identifier identifier = {.is_there = false};
    struct wire_field field;
    uint32_t count = 0;
    const char *where = "message";
    int status;

    while ((status = wire_next(&reader, &field)) > 0) {
        uint32_t number = wire_tag_number(field.tag);

        if (number >= IDENTIFIER && number <= TCP_LOGS && wire_tag_type(field.tag) != WIRE_BYTES) {
            status = WERR_WIRE_TYPE;
        } else if (number == IDENTIFIER) {
            where = "identifier";
            status = read_identifier(field.bytes, &identifier);
        } else if (number == HTTP_LOGS || number == TCP_LOGS) {
            where = number == HTTP_LOGS ? "http_logs" : "tcp_logs";
            status = count_entries(field.bytes, &count);
        }
        if (status < 0) {
            break;
        }
        where = "message";
    }
    if (status < 0) {
        *ret_error = decode_error_of(status, where);
        return status;
    }
    *ret_identifier = identifier;
    *ret_entries_count = count;
    return 0;
}

static void take_entry(struct slice encoded, bool is_http, const struct als_sink *sink, uint32_t record)
{
    struct access_log_entry entry;
    const char *where = "";
    int error = is_http ? als_read_http(encoded, sink->memory, sink->wants_all, &entry, &where)
                        : als_read_tcp(encoded, sink->memory, sink->wants_all, &entry, &where);

    if (error == 0) {
        sink->on_entry(sink->user, &entry, record);
        return;
    }
    struct decode_error refused = decode_error_of(error, where);
    refused.reason = RECORD_ERROR_MALFORMED;
    refused.record = record;
    sink->on_refused(sink->user, &refused);
}

static void scan_logs(struct slice logs, bool is_http, const struct als_sink *sink, uint32_t *record)
{
    struct wire_reader reader = wire_reader_of(logs);

    while (reader.at < reader.end) {
        struct slice encoded;
        uint32_t tag;

        if (als_tag(&reader, &tag) != 0) {
            return;
        }
        if (tag != WIRE_TAG(LOG_ENTRY, WIRE_BYTES)) {
            if (als_skip(&reader, tag) != 0) {
                return;
            }
        } else if (als_bytes(&reader, &encoded) != 0) {
            return;
        } else {
            take_entry(encoded, is_http, sink, (*record)++);
        }
    }
}

void als_scan(struct slice message, const struct als_sink *sink)
{
    struct wire_reader reader = wire_reader_of(message);
    struct wire_field field;
    uint32_t record = 0;

    while (wire_next(&reader, &field) > 0) {
        if (field.tag == WIRE_TAG(HTTP_LOGS, WIRE_BYTES) || field.tag == WIRE_TAG(TCP_LOGS, WIRE_BYTES)) {
            scan_logs(field.bytes, wire_tag_number(field.tag) == HTTP_LOGS, sink, &record);
        }
    }
}
