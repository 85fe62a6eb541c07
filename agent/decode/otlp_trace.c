/*
 * The structure around OTLP spans, see otlp_trace.h: request, resources, scopes. Runs on the shard that
 * received the message.
 *
 * Fields may come in any order, so a resource may stand after its spans: each ResourceSpans is walked twice,
 * first for the resource, then for the scopes. That is one step a scope. A ScopeSpans is walked ahead only
 * when its scope does not come first, as it does with every encoder that writes fields in order.
 */
#include "decode/otlp_trace.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "decode/otlp_memory.h"
#include "decode/otlp_schema.h"
#include "decode/utf8.h"

enum { NS_PER_S = 1000000000 };

/* State while one message is scanned. */
struct walk {
    const struct otlp_trace_scanner *scanner;
    const struct otlp_trace_sink *sink;
    struct otlp_trace_result *result;
    uint64_t now_unix_ns;
    struct decode_error where;  /* code 0: nothing wrong yet */
    struct otlp_memory *memory; /* NULL: every span is read for itself */
    const struct otlp_resource *resource;
    uint64_t resource_id; /* in memory; 0: not there */
    struct slice scope_name;
    uint64_t
        envelope; /* stands for resource and scope; 0: not made yet, or nothing is remembered of such spans */
    bool scope_is_dirty;
    struct span_around around;
    struct otlp_resource own_resource; /* room for one that is not remembered, */
    struct span own_span;              /* and for a span that fits no pattern */
};

void otlp_trace_scanner_init(
    struct otlp_trace_scanner *scanner, const struct limits *limits, const struct redaction *redaction)
{
    scanner->time_skew_ns = limits->time_skew_s * NS_PER_S;
    scanner->attribute_bytes_max = limits->attribute_bytes_max;
    scanner->attributes_count_max = (uint32_t)limits->span_attributes_count_max;
    attribute_table_init(&scanner->attributes, redaction, (uint32_t)limits->nesting_depth_max);
}

static int fail(struct walk *walk, int error, const char *field)
{
    walk->where.code = error;
    walk->where.reason = RECORD_ERROR_NONE;
    walk->where.field = field;
    return error;
}

/* Of a resource that is remembered and the scope at hand, once it is known. */
static inline uint64_t envelope_of(struct walk *walk)
{
    struct slice name = walk->scope_name;

    if (__builtin_expect(walk->envelope == 0 && walk->resource_id != 0, 0)) {
        walk->envelope = XXH3_64bits_withSeed(
                             name.length > 0 ? (const void *)name.ptr : "", name.length, walk->resource_id) |
                         1;
    }
    return walk->envelope;
}

static int read_scope(struct walk *walk, struct slice encoded)
{
    struct wire_reader reader = wire_reader_of(encoded);
    struct wire_field field;
    struct attribute attribute;
    struct attribute_meaning meaning;
    int status;

    while ((status = wire_next(&reader, &field)) > 0) {
        if (otlp_is_text(OTLP_SCOPE, field.tag)) {
            bool is_valid = utf8_is_valid(field.bytes);
            walk->scope_is_dirty |= !is_valid;
            if (field.tag == WIRE_TAG(1, WIRE_BYTES)) {
                walk->scope_name = is_valid ? field.bytes : slice_of(NULL, 0);
            }
        } else if (otlp_child_kind(OTLP_SCOPE, field.tag) == OTLP_ATTRIBUTE) {
            status = attribute_read(&walk->scanner->attributes, field.bytes, &attribute, &meaning);
            walk->scope_is_dirty |=
                status > 0 || !attribute_texts_are_valid(field.bytes, walk->scanner->attributes.depth_max);
        } else if (!otlp_field_is_sound(OTLP_SCOPE, field.tag)) {
            status = WERR_WIRE_TYPE;
        }
        if (status < 0) {
            break;
        }
    }
    walk->result->needs_rewrite |= walk->scope_is_dirty;
    walk->envelope = 0;
    return status;
}

static void refuse(struct walk *walk)
{
    walk->result->refused_count++;
    walk->result->needs_rewrite = true;
    walk->sink->on_refused(walk->sink->user, &walk->where);
    walk->where.code = 0;
    walk->where.reason = RECORD_ERROR_NONE;
}

/* NULL, with *ret_reason, for a span to refuse. */
static struct span *read_span(struct walk *walk, struct slice encoded, enum record_error *ret_reason)
{
    const struct otlp_trace_scanner *scanner = walk->scanner;
    uint64_t envelope = envelope_of(walk);
    struct otlp_pattern_set *set = envelope != 0 ? otlp_memory_set(walk->memory, envelope, encoded) : NULL;
    uint64_t skipped_count = 0;

    if (__builtin_expect(set != NULL, 1)) {
        struct span *span =
            otlp_memory_match(walk->memory, set, envelope, encoded, scanner->attribute_bytes_max);
        if (__builtin_expect(span != NULL, 1) && otlp_span_is_sound(scanner, span, walk->now_unix_ns)) {
            return span;
        }
    }
    *ret_reason = otlp_trace_read_span(
        scanner, encoded, walk->now_unix_ns, &walk->own_span, &skipped_count, &walk->where);
    walk->result->attributes_skipped_count += skipped_count;
    if (*ret_reason != RECORD_ERROR_NONE) {
        return NULL;
    }
    if (set != NULL && skipped_count == 0) {
        otlp_memory_learn(walk->memory, set, &scanner->attributes, envelope, encoded, &walk->own_span);
    }
    return &walk->own_span;
}

static void deliver(struct walk *walk, struct slice encoded)
{
    enum record_error reason = RECORD_ERROR_NONE;
    struct span *span = read_span(walk, encoded, &reason);

    if (__builtin_expect(span != NULL && !walk->resource->texts_are_valid, 0)) {
        walk->where.code = WERR_UTF8;
        walk->where.reason = RECORD_ERROR_UTF8;
        walk->where.field = "resource";
        span = NULL;
    }
    if (__builtin_expect(span == NULL, 0)) {
        refuse(walk);
    } else {
        span->resource = &walk->resource->names;
        span->scope_name = walk->scope_name;
        span->around = &walk->around;
        span->needs_rewrite |= walk->resource->is_dirty || walk->scope_is_dirty;
        walk->result->needs_rewrite |= span->needs_rewrite;
        walk->result->spans_count++;
        walk->sink->on_span(walk->sink->user, span, walk->where.record);
    }
    walk->where.record++;
}

/* Reads scopes that stand after spans. Damage is left for the walk proper, which meets it in its turn. */
static void read_scope_ahead(struct walk *walk, struct slice scope_spans)
{
    struct wire_reader reader = wire_reader_of(scope_spans);
    struct wire_field field;

    while (wire_next(&reader, &field) > 0) {
        if (otlp_child_kind(OTLP_SCOPE_SPANS, field.tag) == OTLP_SCOPE) {
            (void)read_scope(walk, field.bytes);
        }
    }
}

/* wire_next, shortened for a sound span. */
static inline int next_of_scope_spans(struct wire_reader *reader, struct wire_field *field)
{
    struct wire_reader ahead = *reader;

    if (reader->at < reader->end && *ahead.at++ == WIRE_TAG(2, WIRE_BYTES) &&
        wire_bytes(&ahead, &field->bytes) == 0) {
        field->tag = WIRE_TAG(2, WIRE_BYTES);
        *reader = ahead;
        return 1;
    }
    return wire_next(reader, field);
}

static int walk_scope_spans(struct walk *walk, struct slice encoded)
{
    struct wire_reader reader = wire_reader_of(encoded);
    struct wire_field field;
    int status;

    walk->scope_name = slice_of(NULL, 0);
    walk->scope_is_dirty = false;
    walk->envelope = 0;
    walk->around.scope_spans = encoded;
    walk->around.scope_note = 0;
    if (encoded.length > 0 && encoded.ptr[0] != WIRE_TAG(1, WIRE_BYTES)) {
        read_scope_ahead(walk, encoded);
    }
    while ((status = next_of_scope_spans(&reader, &field)) > 0) {
        enum otlp_kind kind = otlp_child_kind(OTLP_SCOPE_SPANS, field.tag);
        if (kind == OTLP_SPAN) {
            deliver(walk, field.bytes);
        } else if (kind == OTLP_SCOPE) {
            status = read_scope(walk, field.bytes);
        } else if (!otlp_field_is_sound(OTLP_SCOPE_SPANS, field.tag)) {
            status = WERR_WIRE_TYPE;
        } else if (otlp_is_text(OTLP_SCOPE_SPANS, field.tag)) {
            walk->result->needs_rewrite |= !utf8_is_valid(field.bytes);
        }
        if (status < 0) {
            return fail(walk, status, kind == OTLP_SCOPE ? "scope" : "scope_spans");
        }
    }
    return status < 0 ? fail(walk, status, "scope_spans") : 0;
}

/* The resource, wherever it stands. Encoders write one; several add up, and are not remembered. */
static int take_resource(struct walk *walk, struct slice resource_spans)
{
    struct wire_reader reader = wire_reader_of(resource_spans);
    struct wire_field field;
    struct slice encoded = slice_of(NULL, 0);
    uint32_t count = 0;

    while (wire_next(&reader, &field) > 0) {
        if (otlp_child_kind(OTLP_RESOURCE_SPANS, field.tag) == OTLP_RESOURCE) {
            encoded = field.bytes;
            count++;
        }
    }
    if (walk->memory != NULL && count == 1 && encoded.length > 0) {
        return otlp_memory_resource(
            walk->memory, walk->scanner, encoded, &walk->own_resource, &walk->resource, &walk->resource_id);
    }
    walk->resource_id = 0;
    walk->resource = &walk->own_resource;
    return otlp_trace_read_resource(walk->scanner, resource_spans, &walk->own_resource);
}

static int walk_resource_spans(struct walk *walk, struct slice encoded)
{
    struct wire_reader reader = wire_reader_of(encoded);
    struct wire_field field;

    walk->where.scope = DECODE_NO_INDEX;
    walk->around.resource_spans = encoded;
    walk->around.resource_note = 0;
    int status = take_resource(walk, encoded);
    if (status < 0) {
        return fail(walk, status, "resource");
    }
    walk->result->needs_rewrite |= walk->resource->is_dirty;
    while ((status = wire_next(&reader, &field)) > 0) {
        if (otlp_child_kind(OTLP_RESOURCE_SPANS, field.tag) == OTLP_SCOPE_SPANS) {
            walk->where.scope++; /* from DECODE_NO_INDEX to 0 */
            status = walk_scope_spans(walk, field.bytes);
            if (status < 0) {
                return status;
            }
        } else if (!otlp_field_is_sound(OTLP_RESOURCE_SPANS, field.tag)) {
            return fail(walk, WERR_WIRE_TYPE, "resource_spans");
        } else if (otlp_is_text(OTLP_RESOURCE_SPANS, field.tag)) {
            walk->result->needs_rewrite |= !utf8_is_valid(field.bytes);
        }
    }
    return status < 0 ? fail(walk, status, "resource_spans") : 0;
}

_Static_assert((uint32_t)(DECODE_NO_INDEX + 1) == 0, "the first index follows from none");

int otlp_trace_scan(const struct otlp_trace_scanner *scanner, struct otlp_memory *memory,
    struct slice message, uint64_t now_unix_ns, const struct otlp_trace_sink *sink,
    struct otlp_trace_result *ret_result, struct decode_error *ret_error)
{
    struct walk walk;
    struct wire_reader reader = wire_reader_of(message);
    struct wire_field field;
    int status;

    *ret_result = (struct otlp_trace_result){.spans_count = 0};
    walk.scanner = scanner;
    walk.sink = sink;
    walk.result = ret_result;
    walk.now_unix_ns = now_unix_ns;
    walk.where = decode_error_of(0, "");
    walk.where.record = 0;
    walk.memory = memory; /* the rest is filled on the way */
    while ((status = wire_next(&reader, &field)) > 0) {
        if (otlp_child_kind(OTLP_REQUEST, field.tag) == OTLP_RESOURCE_SPANS) {
            walk.where.resource++;
            status = walk_resource_spans(&walk, field.bytes);
        } else if (!otlp_field_is_sound(OTLP_REQUEST, field.tag)) {
            status = WERR_WIRE_TYPE;
        }
        if (status < 0) {
            break;
        }
    }
    if (status < 0) {
        if (walk.where.code == 0) {
            (void)fail(&walk, status, "request");
        }
        *ret_error = walk.where;
    }
    return status;
}

/* Adds the spans of a ResourceSpans or a ScopeSpans. */
static int count_in(struct slice encoded, enum otlp_kind kind, uint32_t *count)
{
    struct wire_reader reader = wire_reader_of(encoded);
    struct wire_field field;
    int status;

    while ((status = wire_next(&reader, &field)) > 0) {
        enum otlp_kind child = otlp_child_kind(kind, field.tag);
        if (child == OTLP_SPAN) {
            (*count)++;
        } else if (child == OTLP_SCOPE_SPANS) {
            status = count_in(field.bytes, child, count); /* one level deep: ends there */
        } else if (!otlp_field_is_sound(kind, field.tag)) {
            status = WERR_WIRE_TYPE;
        }
        if (status < 0) {
            break;
        }
    }
    return status;
}

int otlp_trace_count_spans(struct slice message, uint32_t *ret_count, struct decode_error *ret_error)
{
    struct wire_reader reader = wire_reader_of(message);
    struct wire_field field;
    struct decode_error where = decode_error_of(0, "resource_spans");
    uint32_t count = 0;
    int status;

    while ((status = wire_next(&reader, &field)) > 0) {
        if (otlp_child_kind(OTLP_REQUEST, field.tag) == OTLP_RESOURCE_SPANS) {
            where.resource++;
            status = count_in(field.bytes, OTLP_RESOURCE_SPANS, &count);
        } else if (!otlp_field_is_sound(OTLP_REQUEST, field.tag)) {
            status = WERR_WIRE_TYPE;
        }
        if (status < 0) {
            break;
        }
    }
    if (status < 0) {
        where.code = status;
        where.record = count;
        *ret_error = where;
        return status;
    }
    *ret_count = count;
    return 0;
}
