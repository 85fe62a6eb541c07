/* The copier of otlp_logs.h: an ExportLogsServiceRequest without what may not be stored. Runs on the shard
 * that received the message. */
#include "decode/otlp_logs.h"
#include "decode/otlp_rewrite.h"
#include "decode/otlp_schema.h"
#include "decode/utf8.h"
#include "decode/wire_write.h"

enum level {
    LEVEL_REQUEST,
    LEVEL_RESOURCE_LOGS,
    LEVEL_SCOPE_LOGS,
    LEVEL_RECORD,
    LEVEL_RESOURCE,
    LEVEL_SCOPE
};

struct copier {
    const struct otlp_logs_scanner *scanner;
    struct buffer *out;
    uint32_t records_count;
};

/* What is to be done with a field: copied as it is, or entered as a level, or looked at as an attribute or a
 * body. */
enum part { PART_COPY, PART_LEVEL, PART_ATTRIBUTE, PART_BODY, PART_DAMAGED };

static enum part part_of(enum level level, uint32_t tag, enum level *ret_level)
{
    static const struct {
        uint8_t level;
        uint8_t number;
        uint8_t part;
        uint8_t child;
    } rows[] = {
        {LEVEL_REQUEST, 1, PART_LEVEL, LEVEL_RESOURCE_LOGS},
        {LEVEL_RESOURCE_LOGS, 1, PART_LEVEL, LEVEL_RESOURCE},
        {LEVEL_RESOURCE_LOGS, 2, PART_LEVEL, LEVEL_SCOPE_LOGS},
        {LEVEL_SCOPE_LOGS, 1, PART_LEVEL, LEVEL_SCOPE},
        {LEVEL_SCOPE_LOGS, 2, PART_LEVEL, LEVEL_RECORD},
        {LEVEL_RESOURCE, 1, PART_ATTRIBUTE, 0},
        {LEVEL_SCOPE, 3, PART_ATTRIBUTE, 0},
        {LEVEL_RECORD, 6, PART_ATTRIBUTE, 0},
        {LEVEL_RECORD, 5, PART_BODY, 0},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].level == level && wire_tag_number(tag) == rows[i].number) {
            *ret_level = (enum level)rows[i].child;
            return wire_tag_type(tag) == WIRE_BYTES ? (enum part)rows[i].part : PART_DAMAGED;
        }
    }
    return PART_COPY;
}

/* A text around records that is not UTF-8, or an attribute of a scope with one: both are left out. */
static bool is_left_out(enum level level, const struct wire_field *field, uint32_t depth_max)
{
    enum otlp_kind kind = level == LEVEL_SCOPE        ? OTLP_SCOPE
                          : level == LEVEL_SCOPE_LOGS ? OTLP_SCOPE_SPANS /* whose schema_url has its number */
                          : level == LEVEL_RESOURCE_LOGS ? OTLP_RESOURCE_SPANS
                                                         : OTLP_OPAQUE;

    if (otlp_is_text(kind, field->tag)) {
        return !utf8_is_valid(field->bytes);
    }
    return kind == OTLP_SCOPE && otlp_child_kind(kind, field->tag) == OTLP_ATTRIBUTE &&
           !attribute_texts_are_valid(field->bytes, depth_max);
}

/* The scan ended at a resource with a bad text, wherever it stands among its records: so does the copy. */
static bool resources_are_valid(struct slice resource_logs, uint32_t depth_max)
{
    struct wire_reader reader = wire_reader_of(resource_logs);
    struct wire_field field;

    while (wire_next(&reader, &field) > 0) {
        if (otlp_child_kind(OTLP_RESOURCE_SPANS, field.tag) == OTLP_RESOURCE &&
            !otlp_resource_texts_are_valid(field.bytes, depth_max)) {
            return false;
        }
    }
    return true;
}

static int copy_attribute(struct copier *copier, const struct wire_field *field)
{
    const struct attribute_table *table = &copier->scanner->base->attributes;
    struct attribute attribute;
    struct attribute_meaning meaning;
    int status = attribute_read(table, field->bytes, &attribute, &meaning);

    if (status > 0) {
        otlp_rewrite_attribute(table, copier->out, wire_tag_number(field->tag), &attribute, meaning.flags);
    } else if (status == 0) {
        (void)buffer_append_slice(copier->out, field->raw);
    }
    return status < 0 ? status : 0;
}

static int copy_body(struct copier *copier, const struct wire_field *field)
{
    const struct attribute_table *table = &copier->scanner->base->attributes;
    struct attribute_value value;
    int status = attribute_value_parse(field->bytes, &value);

    if (status == 0 && (value.type == ATTRIBUTE_MAP || value.type == ATTRIBUTE_ARRAY)) {
        status = attribute_list_is_dirty(table, &value, table->depth_max);
    }
    if (status > 0 || (status == 0 && value.irregular)) {
        otlp_rewrite_value(table, copier->out, wire_tag_number(field->tag), &value);
    } else if (status == 0) {
        (void)buffer_append_slice(copier->out, field->raw);
    }
    return status < 0 ? status : 0;
}

/* The scan counts such a record as refused. */
static bool is_refused(const struct copier *copier, struct slice encoded)
{
    struct access_log_entry entry;
    struct decode_error where;
    uint64_t skipped_count = 0;
    bool is_access_log;
    bool is_dirty;

    return otlp_logs_read_record(copier->scanner, encoded, 0, false, &entry, &is_access_log, &is_dirty,
               &skipped_count, &where) != RECORD_ERROR_NONE;
}

static int copy_fields(struct copier *copier, struct slice message, enum level level);

/* Nothing of a level stays when none of its records does. */
static int copy_level(struct copier *copier, const struct wire_field *field, enum level level)
{
    size_t length = copier->out->length;
    uint32_t records_count = copier->records_count;
    bool holds_records = level == LEVEL_RESOURCE_LOGS || level == LEVEL_SCOPE_LOGS;

    if (level == LEVEL_RESOURCE_LOGS &&
        !resources_are_valid(field->bytes, copier->scanner->base->attributes.depth_max)) {
        return WERR_UTF8;
    }
    if (level == LEVEL_RECORD) {
        if (is_refused(copier, field->bytes)) {
            return 0;
        }
        copier->records_count++;
    }
    struct wire_envelope envelope =
        wire_envelope_begin(copier->out, wire_tag_number(field->tag), field->bytes.length);
    int status = copy_fields(copier, field->bytes, level);
    wire_envelope_end(copier->out, envelope);
    if (holds_records && copier->records_count == records_count) {
        copier->out->length = length;
    }
    return status;
}

/* As deep as the rows of part_of. Negative where the structure is broken; what came before that is copied. */
static int copy_fields(struct copier *copier, struct slice message, enum level level)
{
    struct wire_reader reader = wire_reader_of(message);
    struct wire_field field;
    enum level child = level;
    int status;

    while ((status = wire_next(&reader, &field)) > 0) {
        if (is_left_out(level, &field, copier->scanner->base->attributes.depth_max)) {
            continue;
        }
        switch (part_of(level, field.tag, &child)) {
        case PART_LEVEL:
            status = copy_level(copier, &field, child);
            break;
        case PART_ATTRIBUTE:
            status = copy_attribute(copier, &field);
            break;
        case PART_BODY:
            status = copy_body(copier, &field);
            break;
        case PART_DAMAGED:
            status = WERR_WIRE_TYPE;
            break;
        case PART_COPY:
        default:
            (void)buffer_append_slice(copier->out, field.raw);
            break;
        }
        if (status < 0) {
            break;
        }
    }
    return status;
}

int otlp_logs_rewrite(const struct otlp_logs_scanner *scanner, struct slice message, struct buffer *out,
    uint32_t *ret_records_count)
{
    struct copier copier = {.scanner = scanner, .out = out};
    size_t length = out->length;

    (void)copy_fields(&copier, message, LEVEL_REQUEST);
    if (out->error < 0 || copier.records_count == 0) {
        out->length = length;
    }
    if (out->error < 0) {
        return out->error;
    }
    *ret_records_count = copier.records_count;
    return 0;
}
