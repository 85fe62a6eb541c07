/* The structure around OTLP log records, see otlp_logs.h: request, resources, scopes; and the copy without
 * what may not be stored. Runs on the shard that received the message. */
#include "decode/otlp_logs.h"

#include "decode/otlp_schema.h"
#include "decode/utf8.h"
#include "decode/wire_write.h"

/* Field numbers that all three levels share. */
enum {
    FIELD_RESOURCE = 1,
    FIELD_SCOPE = 1,
    FIELD_CHILDREN = 2,
    FIELD_ATTRIBUTES = 1,
    FIELD_SCOPE_ATTRIBUTES = 3
};

/* State while one message is scanned. */
struct walk {
    const struct otlp_logs_scanner *scanner;
    const struct otlp_logs_sink *sink;
    struct otlp_logs_result *result;
    uint64_t now_unix_ns;
    struct decode_error where;
    struct access_log_reporter reporter;
};

static int fail(struct walk *walk, int error, const char *field)
{
    if (walk->where.code == 0) {
        walk->where.code = error;
        walk->where.reason = RECORD_ERROR_NONE;
        walk->where.field = field;
    }
    return error;
}

/* ---- who writes ---- */

/* What of a resource belongs where; all are texts. */
static struct slice *reporter_text(struct access_log_reporter *reporter, struct slice key)
{
    static const struct {
        const char *key;
        size_t offset;
    } rows[] = {
        {"node_name", offsetof(struct access_log_reporter, node_id)},
        {"log_name", offsetof(struct access_log_reporter, log_name)},
        {"service.name", offsetof(struct access_log_reporter, service)},
        {"service.namespace", offsetof(struct access_log_reporter, service_namespace)},
        {"k8s.namespace.name", offsetof(struct access_log_reporter, self.workload_namespace)},
        {"k8s.deployment.name", offsetof(struct access_log_reporter, self.workload)},
        {"k8s.pod.name", offsetof(struct access_log_reporter, self.pod)},
        {"k8s.cluster.name", offsetof(struct access_log_reporter, self.cluster)},
        {"service.version", offsetof(struct access_log_reporter, self.version)},
        {"cluster_name", offsetof(struct access_log_reporter, self.service)},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (slice_equal(key, slice_of_string(rows[i].key))) {
            return (struct slice *)((char *)reporter + rows[i].offset);
        }
    }
    return NULL;
}

/* "sidecar~10.1.2.3~pod.namespace~…", as Istio names its proxies. */
static struct slice address_of_node(struct slice node_id)
{
    size_t from = slice_find(node_id, '~');
    struct slice rest = slice_sub(node_id, from + 1, node_id.length);
    size_t to = slice_find(rest, '~');

    return to < rest.length ? slice_sub(rest, 0, to) : slice_of(NULL, 0);
}

static void finish_reporter(struct access_log_reporter *reporter)
{
    reporter->is_envoy = reporter->log_name.length > 0 || reporter->node_id.length > 0;
    if (reporter->service.length == 0) {
        reporter->service = reporter->self.service; /* the node's cluster: its service, by Envoy's custom */
    }
    reporter->self.service = slice_of(NULL, 0);
    if (reporter->service_namespace.length == 0) {
        reporter->service_namespace = reporter->self.workload_namespace;
    }
    reporter->address = address_of_node(reporter->node_id);
}

static int read_resource(struct walk *walk, struct slice encoded)
{
    const struct otlp_trace_scanner *base = walk->scanner->base;
    struct wire_reader reader = wire_reader_of(encoded);
    struct wire_field field;
    struct attribute attribute;
    struct attribute_meaning meaning;
    int status;

    if (!otlp_resource_texts_are_valid(encoded, base->attributes.depth_max)) {
        return WERR_UTF8;
    }
    while ((status = wire_next(&reader, &field)) > 0) {
        if (field.tag != WIRE_TAG(FIELD_ATTRIBUTES, WIRE_BYTES)) {
            if (wire_tag_number(field.tag) == FIELD_ATTRIBUTES) {
                return WERR_WIRE_TYPE;
            }
            continue;
        }
        status = attribute_read(&base->attributes, field.bytes, &attribute, &meaning);
        if (status < 0) {
            return status;
        }
        walk->result->needs_rewrite |= status > 0;
        struct slice *text = reporter_text(&walk->reporter, attribute.key);
        if (text != NULL && text->length == 0 && attribute.value.type == ATTRIBUTE_TEXT &&
            attribute.value.text.length <= base->attribute_bytes_max) {
            *text = attribute.value.text;
        }
    }
    return status;
}

/* The resource may stand after its records. Damage around it is left for the walk proper. */
static int take_resource(struct walk *walk, struct slice resource_logs)
{
    struct wire_reader reader = wire_reader_of(resource_logs);
    struct wire_field field;

    walk->reporter = (struct access_log_reporter){.is_envoy = false};
    while (wire_next(&reader, &field) > 0) {
        if (field.tag == WIRE_TAG(FIELD_RESOURCE, WIRE_BYTES)) {
            int status = read_resource(walk, field.bytes);
            if (status < 0) {
                return status;
            }
        }
    }
    finish_reporter(&walk->reporter);
    walk->sink->on_resource(walk->sink->user, &walk->reporter);
    return 0;
}

/* ---- records ---- */

static void deliver(struct walk *walk, struct slice encoded)
{
    struct access_log_entry entry;
    bool is_access_log;
    bool is_dirty;
    enum record_error reason =
        otlp_logs_read_record(walk->scanner, encoded, walk->now_unix_ns, walk->reporter.is_envoy, &entry,
            &is_access_log, &is_dirty, &walk->result->attributes_skipped_count, &walk->where);

    if (reason != RECORD_ERROR_NONE) {
        walk->result->refused_count++;
        walk->result->needs_rewrite = true;
        walk->sink->on_refused(walk->sink->user, &walk->where);
        walk->where.code = 0;
        walk->where.reason = RECORD_ERROR_NONE;
    } else {
        walk->result->needs_rewrite |= is_dirty;
        walk->result->records_count++;
        if (is_access_log) {
            walk->sink->on_entry(walk->sink->user, &entry);
        } else {
            walk->sink->on_other(walk->sink->user);
        }
    }
    walk->where.record++;
}

static int read_scope(struct walk *walk, struct slice encoded)
{
    struct wire_reader reader = wire_reader_of(encoded);
    struct wire_field field;
    struct attribute attribute;
    struct attribute_meaning meaning;
    int status;

    while ((status = wire_next(&reader, &field)) > 0) {
        if (field.tag == WIRE_TAG(FIELD_SCOPE_ATTRIBUTES, WIRE_BYTES)) {
            status = attribute_read(&walk->scanner->base->attributes, field.bytes, &attribute, &meaning);
            if (status < 0) {
                return status;
            }
            walk->result->needs_rewrite |= status > 0 || !attribute_texts_are_valid(field.bytes,
                                                             walk->scanner->base->attributes.depth_max);
        } else if (wire_tag_number(field.tag) == FIELD_SCOPE_ATTRIBUTES) {
            return WERR_WIRE_TYPE;
        } else if (otlp_is_text(OTLP_SCOPE, field.tag)) {
            walk->result->needs_rewrite |= !utf8_is_valid(field.bytes);
        }
    }
    return status;
}

static int walk_scope_logs(struct walk *walk, struct slice encoded)
{
    struct wire_reader reader = wire_reader_of(encoded);
    struct wire_field field;
    int status;

    while ((status = wire_next(&reader, &field)) > 0) {
        if (field.tag == WIRE_TAG(FIELD_CHILDREN, WIRE_BYTES)) {
            deliver(walk, field.bytes);
        } else if (field.tag == WIRE_TAG(FIELD_SCOPE, WIRE_BYTES)) {
            status = read_scope(walk, field.bytes);
        } else if (wire_tag_number(field.tag) <= FIELD_CHILDREN) {
            status = WERR_WIRE_TYPE;
        } else if (otlp_is_text(OTLP_SCOPE_SPANS, field.tag)) { /* the same fields as of ScopeLogs */
            walk->result->needs_rewrite |= !utf8_is_valid(field.bytes);
        }
        if (status < 0) {
            break;
        }
    }
    return status < 0 ? fail(walk, status, "scope_logs") : 0;
}

static int walk_resource_logs(struct walk *walk, struct slice encoded)
{
    struct wire_reader reader = wire_reader_of(encoded);
    struct wire_field field;

    walk->where.scope = DECODE_NO_INDEX;
    int status = take_resource(walk, encoded);
    if (status < 0) {
        return fail(walk, status, "resource");
    }
    while ((status = wire_next(&reader, &field)) > 0) {
        if (field.tag == WIRE_TAG(FIELD_CHILDREN, WIRE_BYTES)) {
            walk->where.scope++; /* from DECODE_NO_INDEX to 0 */
            status = walk_scope_logs(walk, field.bytes);
        } else if (wire_tag_number(field.tag) <= FIELD_CHILDREN && wire_tag_type(field.tag) != WIRE_BYTES) {
            status = WERR_WIRE_TYPE;
        } else if (otlp_is_text(OTLP_RESOURCE_SPANS, field.tag)) {
            walk->result->needs_rewrite |= !utf8_is_valid(field.bytes);
        }
        if (status < 0) {
            break;
        }
    }
    return status < 0 ? fail(walk, status, "resource_logs") : 0;
}

int otlp_logs_scan(const struct otlp_logs_scanner *scanner, struct slice message, uint64_t now_unix_ns,
    const struct otlp_logs_sink *sink, struct otlp_logs_result *ret_result, struct decode_error *ret_error)
{
    struct walk walk = {.scanner = scanner,
        .sink = sink,
        .result = ret_result,
        .now_unix_ns = now_unix_ns,
        .where = decode_error_of(0, "")};
    struct wire_reader reader = wire_reader_of(message);
    struct wire_field field;
    int status;

    *ret_result = (struct otlp_logs_result){.records_count = 0};
    walk.where.record = 0;
    while ((status = wire_next(&reader, &field)) > 0) {
        if (field.tag == WIRE_TAG(1, WIRE_BYTES)) {
            walk.where.resource++;
            status = walk_resource_logs(&walk, field.bytes);
        } else if (wire_tag_number(field.tag) == 1) {
            status = WERR_WIRE_TYPE;
        }
        if (status < 0) {
            (void)fail(&walk, status, "request");
            break;
        }
    }
    if (status < 0) {
        (void)fail(&walk, status, "request");
        *ret_error = walk.where;
    }
    return status;
}
