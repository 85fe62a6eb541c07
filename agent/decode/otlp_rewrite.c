/* The copier of otlp_rewrite.h. Runs on the shard that received the message. */
#include "decode/otlp_rewrite.h"

#include "decode/otlp_schema.h"
#include "decode/utf8.h"
#include "decode/wire_write.h"

struct rewrite {
    const struct otlp_trace_scanner *scanner;
    const struct attribute_table *table;
    uint64_t now_unix_ns;
    struct buffer *out;
    bool spans_are_sound;   /* the caller knows that none is refused */
    bool resource_is_valid; /* else its spans are refused, all of them */
    uint32_t spans_count;
    struct span span; /* room for reading one */
};

enum {
    FIELD_KEY = 1,
    FIELD_VALUE = 2,
    FIELD_STRING = 1,
    FIELD_ARRAY = 5,
    FIELD_MAP = 6,
    FIELD_LIST_ENTRY = 1
};

static void write_list(struct rewrite *rewrite, const struct attribute_value *list, uint32_t depth_left);

static void write_text_value(struct rewrite *rewrite, uint32_t number, struct slice text)
{
    struct wire_envelope value = wire_envelope_begin(rewrite->out, number, text.length + 2);

    wire_write_bytes(rewrite->out, FIELD_STRING, text);
    wire_envelope_end(rewrite->out, value);
}

/* A value that flags do not replace: a single field again, lists without what is dirty in them. */
static void write_value(
    struct rewrite *rewrite, uint32_t number, const struct attribute_value *value, uint32_t depth_left)
{
    struct buffer *out = rewrite->out;
    struct wire_envelope envelope = wire_envelope_begin(out, number, value->text.length + 2);

    switch (value->type) {
    case ATTRIBUTE_TEXT:
    case ATTRIBUTE_BYTES:
        wire_write_bytes(out, value->number, value->text);
        break;
    case ATTRIBUTE_INTEGER:
        wire_write_varint(out, value->number, (uint64_t)value->integer);
        break;
    case ATTRIBUTE_DOUBLE:
        wire_write_fixed64(out, value->number, (uint64_t)value->integer);
        break;
    case ATTRIBUTE_ARRAY:
    case ATTRIBUTE_MAP:
        write_list(rewrite, value, depth_left);
        break;
    case ATTRIBUTE_NONE:
        break;
    }
    wire_envelope_end(out, envelope);
}

/* The KeyValue of a dirty attribute. */
static void write_attribute(struct rewrite *rewrite, uint32_t number, const struct attribute *attribute,
    uint8_t flags, uint32_t depth_left)
{
    const struct attribute_value *value = &attribute->value;
    struct wire_envelope envelope =
        wire_envelope_begin(rewrite->out, number, attribute->key.length + value->text.length + 6);

    wire_write_bytes(rewrite->out, FIELD_KEY, attribute->key);
    if ((flags & ATTRIBUTE_REDACT) != 0) {
        write_text_value(rewrite, FIELD_VALUE, SLICE_LITERAL(REDACTED_TEXT));
    } else if ((flags & ATTRIBUTE_QUERY) != 0) {
        write_text_value(rewrite, FIELD_VALUE, slice_of(NULL, 0));
    } else if ((flags & ATTRIBUTE_URL) != 0 && value->type == ATTRIBUTE_TEXT) {
        write_text_value(rewrite, FIELD_VALUE, slice_sub(value->text, 0, slice_find(value->text, '?')));
    } else if ((flags & ATTRIBUTE_URL) != 0 && slice_find(value->text, '?') < value->text.length) {
        write_text_value(rewrite, FIELD_VALUE, SLICE_LITERAL(REDACTED_TEXT));
    } else {
        write_value(rewrite, FIELD_VALUE, value, depth_left);
    }
    wire_envelope_end(rewrite->out, envelope);
}

static void write_map_entry(struct rewrite *rewrite, const struct wire_field *field, uint32_t depth_left)
{
    struct attribute entry;
    struct attribute_meaning meaning;
    int status = attribute_read(rewrite->table, field->bytes, &entry, &meaning);

    if (status > 0) {
        write_attribute(rewrite, FIELD_LIST_ENTRY, &entry, meaning.flags, depth_left);
    } else if (status == 0) {
        (void)buffer_append_slice(rewrite->out, field->raw);
    }
}

/* The entries of a list, each looked at as if it stood alone. The list was read before: it is sound and not
 * too deep. */
static void write_list(struct rewrite *rewrite, const struct attribute_value *list, uint32_t depth_left)
{
    bool is_map = list->type == ATTRIBUTE_MAP;
    struct attribute_value entry;
    struct wire_reader reader;
    struct wire_field field;

    if (wire_open(list->text, depth_left, &reader) < 0) {
        return;
    }
    struct wire_envelope envelope =
        wire_envelope_begin(rewrite->out, is_map ? FIELD_MAP : FIELD_ARRAY, list->text.length);
    while (wire_next(&reader, &field) > 0) {
        if (field.tag != WIRE_TAG(FIELD_LIST_ENTRY, WIRE_BYTES)) {
            continue;
        }
        if (is_map) {
            write_map_entry(rewrite, &field, depth_left - 1);
        } else if (attribute_value_parse(field.bytes, &entry) == 0) {
            write_value(rewrite, FIELD_LIST_ENTRY, &entry, depth_left - 1);
        }
    }
    wire_envelope_end(rewrite->out, envelope);
}

static int copy_fields(struct rewrite *rewrite, struct slice message, enum otlp_kind kind);

/* A nested message, written around what is kept of it. Returns as copy_fields. */
static int copy_message(struct rewrite *rewrite, const struct wire_field *field, enum otlp_kind kind)
{
    struct wire_envelope envelope =
        wire_envelope_begin(rewrite->out, wire_tag_number(field->tag), field->bytes.length);
    int status = copy_fields(rewrite, field->bytes, kind);

    wire_envelope_end(rewrite->out, envelope);
    return status;
}

/* A ResourceSpans or ScopeSpans; nothing of it stays when no span of it does. */
static int copy_group(struct rewrite *rewrite, const struct wire_field *field, enum otlp_kind kind)
{
    size_t length = rewrite->out->length;
    uint32_t spans_count = rewrite->spans_count;
    struct otlp_resource resource;

    if (kind == OTLP_RESOURCE_SPANS) {
        int error = otlp_trace_read_resource(rewrite->scanner, field->bytes, &resource);
        if (error < 0) {
            return error;
        }
        rewrite->resource_is_valid = resource.texts_are_valid;
    }
    int status = copy_message(rewrite, field, kind);
    if (rewrite->spans_count == spans_count) {
        rewrite->out->length = length;
    }
    return status;
}

/* Whether a span stays as it is; false also for a refused one, which is counted by nobody. */
static bool span_stays(struct rewrite *rewrite, struct slice encoded, bool *ret_is_refused)
{
    struct decode_error where;
    uint64_t skipped_count = 0;

    *ret_is_refused =
        !rewrite->resource_is_valid || otlp_trace_read_span(rewrite->scanner, encoded, rewrite->now_unix_ns,
                                           &rewrite->span, &skipped_count, &where) != RECORD_ERROR_NONE;
    rewrite->spans_count += *ret_is_refused ? 0 : 1;
    return !*ret_is_refused && !rewrite->span.needs_rewrite;
}

/* Appends the fields from *run up to the one at `field`, which the caller replaces. */
static void flush_run(struct rewrite *rewrite, const uint8_t **run, const struct wire_field *field)
{
    (void)buffer_append(rewrite->out, *run, (size_t)(field->raw.ptr - *run));
    *run = field->raw.ptr + field->raw.length;
}

/* Decides on one field; what is not kept is written or left out here. Negative on damage. */
static int copy_field(
    struct rewrite *rewrite, const struct wire_field *field, enum otlp_kind parent, const uint8_t **run)
{
    enum otlp_kind kind = otlp_child_kind(parent, field->tag);
    struct attribute attribute;
    struct attribute_meaning meaning = {.flags = 0};
    bool is_refused = false;
    int status;

    switch (kind) {
    case OTLP_OPAQUE:
        if (otlp_is_text(parent, field->tag) && !utf8_is_valid(field->bytes)) {
            flush_run(rewrite, run, field); /* around spans: one with such a text was refused */
        }
        return otlp_field_is_sound(parent, field->tag) ? 0 : WERR_WIRE_TYPE;
    case OTLP_ATTRIBUTE:
        status = attribute_read(rewrite->table, field->bytes, &attribute, &meaning);
        if (status >= 0 && parent == OTLP_SCOPE &&
            !attribute_texts_are_valid(field->bytes, rewrite->table->depth_max)) {
            flush_run(rewrite, run, field);
        } else if (status > 0) {
            flush_run(rewrite, run, field);
            write_attribute(
                rewrite, wire_tag_number(field->tag), &attribute, meaning.flags, rewrite->table->depth_max);
        }
        return status < 0 ? status : 0;
    case OTLP_SPAN:
        if (rewrite->spans_are_sound) {
            flush_run(rewrite, run, field);
            rewrite->spans_count++;
            return copy_message(rewrite, field, OTLP_SPAN);
        }
        if (!span_stays(rewrite, field->bytes, &is_refused)) {
            flush_run(rewrite, run, field);
            return is_refused ? 0 : copy_message(rewrite, field, OTLP_SPAN);
        }
        return 0;
    case OTLP_RESOURCE_SPANS:
    case OTLP_SCOPE_SPANS:
        flush_run(rewrite, run, field);
        return copy_group(rewrite, field, kind);
    default:
        flush_run(rewrite, run, field);
        return copy_message(rewrite, field, kind);
    }
}

/*
 * Passes over a span's attribute that is as most are: plain, and with a key that nobody minds. False, with
 * the reader where it was, for all others.
 */
static inline bool pass_over_plain(const struct attribute_table *table, struct wire_reader *reader)
{
    struct wire_reader ahead = {.at = reader->at + 1, .end = reader->end};
    struct slice encoded;
    struct slice key;
    struct slice text;

    if (*reader->at != WIRE_TAG(9, WIRE_BYTES) || wire_bytes(&ahead, &encoded) != 0 ||
        !attribute_parse_plain(encoded.ptr, encoded.length, &key, &text) ||
        attribute_lookup(table, key).flags != 0) {
        return false;
    }
    *reader = ahead;
    return true;
}

/*
 * Copies a message, runs of fields that stay at once. Negative where its structure is broken; what came
 * before that is copied.
 */
static int copy_fields(struct rewrite *rewrite, struct slice message, enum otlp_kind kind)
{
    struct wire_reader reader = wire_reader_of(message);
    const uint8_t *run = message.ptr; /* fields from here on stay and are not copied yet */
    const uint8_t *read = message.ptr;
    struct wire_field field;
    int status = 0;

    while (reader.at < reader.end) {
        if (kind != OTLP_SPAN || !pass_over_plain(rewrite->table, &reader)) {
            status = wire_next(&reader, &field);
            if (status > 0) {
                status = copy_field(rewrite, &field, kind, &run);
            }
            if (status < 0) {
                break;
            }
        }
        read = reader.at;
    }
    if (run < read) {
        (void)buffer_append(rewrite->out, run, (size_t)(read - run));
    }
    return status;
}

static int rewrite_all(struct rewrite *rewrite, struct slice message, uint32_t *ret_spans_count)
{
    struct buffer *out = rewrite->out;
    size_t length = out->length;

    (void)copy_fields(rewrite, message, OTLP_REQUEST);
    if (out->error < 0 || rewrite->spans_count == 0) {
        out->length = length;
    }
    if (out->error < 0) {
        return out->error;
    }
    *ret_spans_count = rewrite->spans_count;
    return 0;
}

/* All but the room for a span, which is large. */
static void rewrite_init(struct rewrite *rewrite, const struct otlp_trace_scanner *scanner,
    struct buffer *out, bool spans_are_sound)
{
    rewrite->scanner = scanner;
    rewrite->table = &scanner->attributes;
    rewrite->now_unix_ns = 0;
    rewrite->out = out;
    rewrite->spans_are_sound = spans_are_sound;
    rewrite->resource_is_valid = true;
    rewrite->spans_count = 0;
}

int otlp_rewrite(const struct otlp_trace_scanner *scanner, struct slice message, uint64_t now_unix_ns,
    struct buffer *out, uint32_t *ret_spans_count)
{
    struct rewrite rewrite;

    rewrite_init(&rewrite, scanner, out, false);
    rewrite.now_unix_ns = now_unix_ns;
    return rewrite_all(&rewrite, message, ret_spans_count);
}

int otlp_rewrite_sound(const struct otlp_trace_scanner *scanner, struct slice message, struct buffer *out,
    uint32_t *ret_spans_count)
{
    struct rewrite rewrite;

    rewrite_init(&rewrite, scanner, out, true);
    return rewrite_all(&rewrite, message, ret_spans_count);
}

void otlp_rewrite_attribute(const struct attribute_table *table, struct buffer *out, uint32_t number,
    const struct attribute *attribute, uint8_t flags)
{
    struct rewrite rewrite;

    rewrite.table = table;
    rewrite.out = out;
    write_attribute(&rewrite, number, attribute, flags, table->depth_max);
}

void otlp_rewrite_value(const struct attribute_table *table, struct buffer *out, uint32_t number,
    const struct attribute_value *value)
{
    struct rewrite rewrite;

    rewrite.table = table;
    rewrite.out = out;
    write_value(&rewrite, number, value, table->depth_max);
}
