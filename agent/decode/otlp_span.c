/*
 * One OTLP Span: the hot path of otlp_trace.h. Runs on the shard that received the message.
 *
 * A span of Envoy's is 560 bytes with some 17 attributes, all strings; each of those takes one table look-up
 * (attribute.h). Every text is checked for UTF-8, read or not: spans of many senders leave in one request,
 * which a strict receiver would refuse for one bad text. Attributes are checked in one go over the run of
 * bytes that holds them, and one by one only when that run is not plain ASCII.
 */
#include "decode/otlp_trace.h"

#include "decode/otlp_schema.h"
#include "decode/utf8.h"

/* State while one span is read. */
struct scan {
    const struct otlp_trace_scanner *scanner;
    struct span *span;
    uint32_t attributes_count;
    uint64_t skipped_count;
    const uint8_t *texts_begin; /* the run of bytes that holds every attribute read */
    const uint8_t *texts_end;
    const char *field; /* being read, for errors */
};

/* Keeps a value that the agent reads; the first of an id wins. */
static inline void keep(struct scan *scan, uint8_t id, const struct attribute_value *value)
{
    struct span *span = scan->span;
    uint64_t bit = 1ull << id;

    if ((span->attribute_set & bit) != 0) {
        return;
    }
    if (value->type == ATTRIBUTE_TEXT) {
        span->attribute[id] = (struct span_value){.text = value->text};
    } else if (value->type == ATTRIBUTE_INTEGER) {
        span->attribute[id] = (struct span_value){.integer = value->integer, .is_integer = true};
    } else {
        return;
    }
    span->attribute_set |= bit;
}

/* What holds for every attribute, whatever its shape. */
static inline void take(struct scan *scan, struct attribute_meaning meaning, struct attribute_value *value)
{
    bool secret = (meaning.flags & ATTRIBUTE_REDACT) != 0;

    if (meaning.span_id == ATTRIBUTE_UNKNOWN || secret) {
        return;
    }
    if ((meaning.flags & ATTRIBUTE_URL) != 0) {
        value->text.length = slice_find(value->text, '?'); /* first: the limit is for what is stored of it */
    }
    if (scan->attributes_count > scan->scanner->attributes_count_max ||
        value->text.length > scan->scanner->attribute_bytes_max) {
        scan->skipped_count++;
        return;
    }
    keep(scan, meaning.span_id, value);
}

/* An attribute of any shape. */
static int read_attribute_slow(struct scan *scan, struct slice encoded)
{
    struct attribute attribute;
    struct attribute_meaning meaning;
    int status = attribute_read(&scan->scanner->attributes, encoded, &attribute, &meaning);

    if (status < 0) {
        return status;
    }
    scan->span->needs_rewrite |= status > 0;
    take(scan, meaning, &attribute.value);
    return 0;
}

static inline void keep_text(struct span *span, uint8_t id, struct slice text)
{
    span->attribute[id] = (struct span_value){.text = text};
    span->attribute_set |= 1ull << id;
}

/* A plain attribute of a key that holds something to redact or a query string. */
static __attribute__((noinline)) void take_flagged(
    struct scan *scan, struct slice key, struct slice text, struct attribute_meaning meaning)
{
    struct attribute attribute = {.key = key, .value = {.type = ATTRIBUTE_TEXT, .text = text}};

    scan->span->needs_rewrite |=
        attribute_is_dirty(&scan->scanner->attributes, &attribute, meaning.flags) > 0;
    take(scan, meaning, &attribute.value);
}

/* A plain attribute whose key says no more than what it is, and perhaps that it is a URL. */
static inline void take_plain(struct scan *scan, struct attribute_meaning meaning, struct slice text)
{
    if ((meaning.flags & ATTRIBUTE_URL) != 0) {
        size_t length = slice_find(text, '?');
        scan->span->needs_rewrite |= length < text.length;
        text.length = length;
    }
    if (meaning.span_id == ATTRIBUTE_UNKNOWN) {
        return;
    }
    if (__builtin_expect(scan->attributes_count > scan->scanner->attributes_count_max ||
                             text.length > scan->scanner->attribute_bytes_max,
            0)) {
        scan->skipped_count++;
    } else if ((scan->span->attribute_set >> meaning.span_id & 1) == 0) {
        keep_text(scan->span, meaning.span_id, text);
    }
}

static inline int read_attribute(struct scan *scan, struct slice encoded)
{
    struct slice key;
    struct slice text;

    scan->attributes_count++;
    if (__builtin_expect(!attribute_parse_plain(encoded.ptr, encoded.length, &key, &text), 0)) {
        return read_attribute_slow(scan, encoded);
    }
    struct attribute_meaning meaning = attribute_lookup(&scan->scanner->attributes, key);
    if (__builtin_expect((meaning.flags & ~ATTRIBUTE_URL) != 0, 0)) {
        take_flagged(scan, key, text, meaning);
    } else {
        take_plain(scan, meaning, text);
    }
    return 0;
}

/* A run of attributes, which is how they come. The reader stands after the first one's tag. */
static inline int read_attributes(struct scan *scan, struct wire_reader *reader)
{
    struct slice encoded;

    scan->field = "attributes";
    if (scan->texts_begin == NULL) {
        scan->texts_begin = reader->at;
    }
    do {
        int error = wire_bytes(reader, &encoded);
        if (error == 0) {
            error = read_attribute(scan, encoded);
        }
        if (__builtin_expect(error != 0, 0)) {
            return error;
        }
    } while (reader->at < reader->end && *reader->at == WIRE_TAG(9, WIRE_BYTES) && reader->at++ != NULL);
    scan->texts_end = reader->at;
    return 0;
}

static int read_status(struct scan *scan, struct wire_reader *reader)
{
    struct slice encoded;
    struct wire_field field;

    scan->field = "status";
    int status = wire_bytes(reader, &encoded);
    if (status != 0) {
        return status;
    }
    struct wire_reader inner = wire_reader_of(encoded);
    while ((status = wire_next(&inner, &field)) > 0) {
        if (field.tag == WIRE_TAG(3, WIRE_VARINT)) {
            scan->span->status =
                field.integer <= SPAN_STATUS_ERROR ? (enum span_status)field.integer : SPAN_STATUS_UNSET;
        } else if (field.tag == WIRE_TAG(2, WIRE_BYTES)) { /* message */
            if (!utf8_is_valid(field.bytes)) {
                return WERR_UTF8;
            }
        } else if (wire_tag_number(field.tag) == 3) {
            return WERR_WIRE_TYPE;
        }
    }
    return status;
}

/* An event or a link: nothing of it is read, but something may have to be redacted. */
static int read_nested(struct scan *scan, struct wire_reader *reader, enum otlp_kind kind)
{
    const struct attribute_table *table = &scan->scanner->attributes;
    struct slice encoded;
    struct wire_field field;
    struct attribute attribute;
    struct attribute_meaning meaning;

    scan->field = kind == OTLP_EVENT ? "events" : "links";
    int status = wire_bytes(reader, &encoded);
    if (status != 0) {
        return status;
    }
    struct wire_reader inner = wire_reader_of(encoded);
    while ((status = wire_next(&inner, &field)) > 0) {
        if (otlp_child_kind(kind, field.tag) != OTLP_ATTRIBUTE) {
            if (otlp_is_text(kind, field.tag) && !utf8_is_valid(field.bytes)) {
                return WERR_UTF8;
            }
            continue;
        }
        status = attribute_read(table, field.bytes, &attribute, &meaning);
        if (status < 0) {
            return status;
        }
        if (!attribute_texts_are_valid(field.bytes, table->depth_max)) {
            return WERR_UTF8;
        }
        scan->span->needs_rewrite |= status > 0;
    }
    return status;
}

static inline int read_text(struct wire_reader *reader, struct slice *ret_text)
{
    int error = wire_bytes(reader, ret_text);

    return error == 0 && __builtin_expect(!utf8_is_valid(*ret_text), 0) ? (int)WERR_UTF8 : error;
}

/* Reads an id of exactly `id_bytes`; `optional`: it may also be empty, which leaves it zero. */
static int read_id(struct wire_reader *reader, uint8_t *id, size_t id_bytes, bool optional)
{
    struct slice bytes;
    int error = wire_bytes(reader, &bytes);

    if (error != 0) {
        return error;
    }
    if (bytes.length == id_bytes) {
        memcpy(id, bytes.ptr, id_bytes);
        return 0;
    }
    return optional && bytes.length == 0 ? 0 : WERR_INVALID;
}

/* A field that is not needed, or a needed one with a wire type that is not its own. */
static int read_other(struct scan *scan, struct wire_reader *reader, uint32_t tag)
{
    static const char *const names[] = {"", "trace_id", "span_id", "trace_state", "parent_span_id", "name",
        "kind", "start_time_unix_nano", "end_time_unix_nano", "attributes", "", "events", "", "links", "",
        "status"};
    uint32_t number = wire_tag_number(tag);

    scan->field = "span";
    if (number < sizeof names / sizeof names[0] && names[number][0] != '\0') {
        scan->field = names[number];
        return WERR_WIRE_TYPE;
    }
    return wire_skip(reader, tag);
}

static int read_kind(struct span *span, struct wire_reader *reader)
{
    uint64_t kind = 0;
    int error = wire_varint(reader, &kind);

    span->kind = kind <= SPAN_KIND_CONSUMER ? (enum span_kind)kind : SPAN_KIND_UNSPECIFIED;
    return error;
}

static inline int read_field(struct scan *scan, struct wire_reader *reader, uint32_t tag)
{
    struct span *span = scan->span;

    switch (tag) {
    case WIRE_TAG(1, WIRE_BYTES):
        scan->field = "trace_id";
        return read_id(reader, span->trace_id, sizeof span->trace_id, false);
    case WIRE_TAG(2, WIRE_BYTES):
        scan->field = "span_id";
        return read_id(reader, span->span_id, sizeof span->span_id, false);
    case WIRE_TAG(3, WIRE_BYTES):
        scan->field = "trace_state";
        return read_text(reader, &span->tracestate);
    case WIRE_TAG(4, WIRE_BYTES):
        scan->field = "parent_span_id";
        return read_id(reader, span->parent_id, sizeof span->parent_id, true);
    case WIRE_TAG(5, WIRE_BYTES):
        scan->field = "name";
        return read_text(reader, &span->name);
    case WIRE_TAG(6, WIRE_VARINT):
        scan->field = "kind";
        return read_kind(span, reader);
    case WIRE_TAG(7, WIRE_FIXED64):
        scan->field = "start_time_unix_nano";
        return wire_fixed64(reader, &span->start_unix_ns);
    case WIRE_TAG(8, WIRE_FIXED64):
        scan->field = "end_time_unix_nano";
        return wire_fixed64(reader, &span->end_unix_ns);
    case WIRE_TAG(9, WIRE_BYTES):
        return read_attributes(scan, reader);
    case WIRE_TAG(11, WIRE_BYTES):
        return read_nested(scan, reader, OTLP_EVENT);
    case WIRE_TAG(13, WIRE_BYTES):
        return read_nested(scan, reader, OTLP_LINK);
    case WIRE_TAG(15, WIRE_BYTES):
        return read_status(scan, reader);
    default:
        return read_other(scan, reader, tag);
    }
}

static bool is_zero(const uint8_t *id, size_t id_bytes)
{
    uint64_t any = 0;

    for (size_t i = 0; i < id_bytes; i += 8) {
        uint64_t word;
        memcpy(&word, id + i, 8);
        any |= word;
    }
    return any == 0;
}

/* Whether a time lies at most skew_ns from now, both in nanoseconds since 1970. */
static bool is_near(uint64_t unix_ns, uint64_t now_unix_ns, uint64_t skew_ns)
{
    uint64_t distance_ns = unix_ns > now_unix_ns ? unix_ns - now_unix_ns : now_unix_ns - unix_ns;

    return distance_ns <= skew_ns;
}

/* All of the span's own attributes, which were read without damage. */
static bool texts_are_valid(const struct scan *scan)
{
    struct wire_reader reader = {.at = scan->texts_begin, .end = scan->texts_end};
    struct slice encoded;
    uint32_t tag = WIRE_TAG(9, WIRE_BYTES); /* of the first, which is read already */

    if (scan->texts_begin == NULL ||
        utf8_is_ascii(slice_of(scan->texts_begin, (size_t)(scan->texts_end - scan->texts_begin)))) {
        return true;
    }
    do {
        if (tag != WIRE_TAG(9, WIRE_BYTES)) {
            if (wire_skip(&reader, tag) != 0) {
                break;
            }
        } else if (wire_bytes(&reader, &encoded) != 0) {
            break;
        } else if (!attribute_texts_are_valid(encoded, scan->scanner->attributes.depth_max)) {
            return false;
        }
    } while (reader.at < reader.end && wire_tag(&reader, &tag) == 0);
    return true;
}

/* What does not depend on the span's texts. Sets *field to what is wrong. */
static inline enum record_error check_numbers(const struct otlp_trace_scanner *scanner,
    const struct span *span, uint64_t now_unix_ns, const char **field)
{
    uint64_t skew_ns = scanner->time_skew_ns;

    if (is_zero(span->trace_id, sizeof span->trace_id)) {
        *field = "trace_id";
        return RECORD_ERROR_TRACE_ID;
    }
    if (is_zero(span->span_id, sizeof span->span_id)) {
        *field = "span_id";
        return RECORD_ERROR_SPAN_ID;
    }
    *field = "end_time_unix_nano";
    if (span->end_unix_ns < span->start_unix_ns) {
        return RECORD_ERROR_END;
    }
    if (!is_near(span->end_unix_ns, now_unix_ns, skew_ns)) {
        return RECORD_ERROR_TIME;
    }
    *field = "start_time_unix_nano";
    return is_near(span->start_unix_ns, now_unix_ns, skew_ns) ? RECORD_ERROR_NONE : RECORD_ERROR_TIME;
}

bool otlp_span_is_sound(
    const struct otlp_trace_scanner *scanner, const struct span *span, uint64_t now_unix_ns)
{
    const char *field;

    return check_numbers(scanner, span, now_unix_ns, &field) == RECORD_ERROR_NONE;
}

/* The span as a whole, once all of it was read. Sets scan->field to what is wrong. */
static enum record_error check(struct scan *scan, uint64_t now_unix_ns)
{
    const struct span *span = scan->span;
    enum record_error reason = check_numbers(scan->scanner, span, now_unix_ns, &scan->field);

    if (reason != RECORD_ERROR_NONE) {
        return reason;
    }
    scan->field = "attributes";
    return texts_are_valid(scan) ? RECORD_ERROR_NONE : RECORD_ERROR_UTF8;
}

/* Ids of a wrong length and texts have reasons of their own; all other damage is just that. */
static enum record_error reason_of(int error, uint32_t tag)
{
    if (error == WERR_INVALID && tag == WIRE_TAG(1, WIRE_BYTES)) {
        return RECORD_ERROR_TRACE_ID;
    }
    if (error == WERR_INVALID && (tag == WIRE_TAG(2, WIRE_BYTES) || tag == WIRE_TAG(4, WIRE_BYTES))) {
        return RECORD_ERROR_SPAN_ID;
    }
    return error == WERR_UTF8 ? RECORD_ERROR_UTF8 : RECORD_ERROR_MALFORMED;
}

static void clear(struct span *span, struct slice encoded)
{
    span->name = slice_of(NULL, 0);
    span->tracestate = slice_of(NULL, 0);
    memset(span->trace_id, 0, sizeof span->trace_id);
    memset(span->span_id, 0, sizeof span->span_id);
    memset(span->parent_id, 0, sizeof span->parent_id);
    span->start_unix_ns = 0;
    span->end_unix_ns = 0;
    span->kind = SPAN_KIND_UNSPECIFIED;
    span->status = SPAN_STATUS_UNSET;
    span->attribute_set = 0;
    span->raw = encoded;
    span->needs_rewrite = false;
    span->pattern = 0;
}

enum record_error otlp_trace_read_span(const struct otlp_trace_scanner *scanner, struct slice encoded,
    uint64_t now_unix_ns, struct span *span, uint64_t *attributes_skipped_count, struct decode_error *where)
{
    struct scan scan = {.scanner = scanner, .span = span, .field = "span"};
    struct wire_reader reader = wire_reader_of(encoded);
    enum record_error reason = RECORD_ERROR_NONE;
    int error = 0;

    clear(span, encoded);
    while (reader.at < reader.end) {
        uint32_t tag = 0;
        error = wire_tag(&reader, &tag);
        if (__builtin_expect(error == 0, 1)) {
            error = read_field(&scan, &reader, tag);
        } else {
            scan.field = "span";
        }
        if (__builtin_expect(error != 0, 0)) {
            reason = reason_of(error, tag);
            break;
        }
    }
    if (error == 0) {
        reason = check(&scan, now_unix_ns);
        error = reason == RECORD_ERROR_UTF8 ? WERR_UTF8 : WERR_INVALID;
    }
    *attributes_skipped_count += scan.skipped_count;
    if (__builtin_expect(reason != RECORD_ERROR_NONE, 0)) {
        where->code = error;
        where->reason = reason;
        where->field = scan.field;
    }
    return reason;
}
