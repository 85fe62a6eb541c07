/* Patterns of spans, see otlp_pattern.h. Runs on the shard that received the message. */
#include "decode/otlp_pattern.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "decode/utf8.h"
#include "decode/wire.h"

enum { ID_BYTES = 8, TRACE_ID_BYTES = 16, TIME_BYTES = 8, TAIL_BYTES = 8, KEY_BYTES_MAX = 127 };

static uint64_t load8(const uint8_t *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof word);
    return word;
}

/* ---- describing ---- */

/* State while a pattern is made. */
struct describing {
    struct otlp_pattern *pattern;
    const struct attribute_table *table;
    const struct span *read;
    const uint8_t *begin;
    uint32_t types_seen; /* bit i: a place of enum otlp_place_type i */
};

static bool add_place(struct describing *d, struct otlp_place place)
{
    struct otlp_pattern *pattern = d->pattern;

    if (pattern->place_count == OTLP_PATTERN_PLACES_MAX) {
        return false;
    }
    pattern->places[pattern->place_count++] = place;
    return true;
}

/* A field of fixed length: at most one of its kind. */
static bool add_number(struct describing *d, enum otlp_place_type type, const uint8_t *at, size_t bytes)
{
    size_t from = (size_t)(at - d->begin);

    if ((d->types_seen >> type & 1) != 0) {
        return false;
    }
    d->types_seen |= 1u << type;
    return add_place(
        d, (struct otlp_place){
               .type = (uint8_t)type, .at = (uint16_t)from, .end = (uint16_t)(from + bytes), .varies = true});
}

/* Whether a KeyValue is a key and a string, each once and in this order; lengths of any number of bytes. */
static bool is_key_and_text(struct slice encoded, struct slice *ret_key, struct slice *ret_text)
{
    struct wire_reader reader = wire_reader_of(encoded);
    struct wire_reader inner;
    struct slice value;

    if (encoded.length < 2 || *reader.at++ != WIRE_TAG(1, WIRE_BYTES) || *reader.at > KEY_BYTES_MAX ||
        wire_bytes(&reader, ret_key) != 0 || reader.at == reader.end ||
        *reader.at++ != WIRE_TAG(2, WIRE_BYTES) || wire_bytes(&reader, &value) != 0 ||
        reader.at != reader.end) {
        return false;
    }
    inner = wire_reader_of(value);
    return value.length > 0 && *inner.at++ == WIRE_TAG(1, WIRE_BYTES) && wire_bytes(&inner, ret_text) == 0 &&
           inner.at == inner.end;
}

/* What a span's attribute at a place has an effect on: the first of an id counts. */
static uint8_t effect_of(const struct span *read, uint8_t span_id, struct slice text)
{
    bool counts = span_id != ATTRIBUTE_UNKNOWN && (read->attribute_set >> span_id & 1) != 0 &&
                  read->attribute[span_id].text.ptr == text.ptr;

    return counts ? span_id : ATTRIBUTE_UNKNOWN;
}

/* at: where its length begins. */
static bool add_attribute(struct describing *d, const uint8_t *at, struct slice encoded)
{
    struct attribute attribute;
    struct attribute_meaning meaning;
    struct slice key;
    struct slice text;
    int status = attribute_read(d->table, encoded, &attribute, &meaning);
    bool known = meaning.span_id != ATTRIBUTE_UNKNOWN;

    if (status < 0) {
        return false;
    }
    if ((meaning.flags & ~ATTRIBUTE_URL) != 0 ||
        (known && (SPAN_ATTRIBUTES_OF_REQUEST >> meaning.span_id & 1) == 0) ||
        !is_key_and_text(encoded, &key, &text)) {
        d->pattern->is_dirty |= status > 0;
        return true; /* the same in all spans, or they do not fit */
    }
    return add_place(d, (struct otlp_place){.type = OTLP_PLACE_TEXT,
                            .at = (uint16_t)(at - d->begin),
                            .end = (uint16_t)(encoded.ptr + encoded.length - d->begin),
                            .key_at = (uint16_t)(encoded.ptr - d->begin),
                            .key_bytes = (uint8_t)(key.length + 3), /* with two tags and its length */
                            .span_id = effect_of(d->read, meaning.span_id, text),
                            .is_url = (meaning.flags & ATTRIBUTE_URL) != 0,
                            .value_at = (uint16_t)(text.ptr - d->begin),
                            .value_bytes = (uint16_t)text.length});
}

/* A place for the field whose tag was read, if it is one that varies. The reader goes behind it. */
static bool add_field(struct describing *d, struct wire_reader *reader, uint32_t tag)
{
    const uint8_t *at = reader->at;
    struct slice bytes = slice_of(NULL, 0);

    if (wire_tag_type(tag) != WIRE_BYTES) {
        if (wire_skip(reader, tag) != 0) {
            return false;
        }
        if (tag == WIRE_TAG(7, WIRE_FIXED64) || tag == WIRE_TAG(8, WIRE_FIXED64)) {
            return add_number(
                d, wire_tag_number(tag) == 7 ? OTLP_PLACE_START : OTLP_PLACE_END, at, TIME_BYTES);
        }
        return true;
    }
    if (wire_bytes(reader, &bytes) != 0) {
        return false;
    }
    switch (wire_tag_number(tag)) {
    case 1:
        return add_number(d, OTLP_PLACE_TRACE_ID, bytes.ptr, TRACE_ID_BYTES);
    case 2:
        return add_number(d, OTLP_PLACE_SPAN_ID, bytes.ptr, ID_BYTES);
    case 4:
        return bytes.length == 0 || add_number(d, OTLP_PLACE_PARENT_ID, bytes.ptr, ID_BYTES);
    case 9:
        return add_attribute(d, at, bytes);
    case 11: /* events and links have times and ids of their own */
    case 13:
        return false;
    default:
        return true;
    }
}

/* From one copy of the span's bytes to another. */
static void rebase(struct slice *text, const uint8_t *from, const uint8_t *to)
{
    if (text->length > 0) {
        text->ptr = to + (text->ptr - from);
    }
}

static void rebase_span(struct span *span, const uint8_t *from, const uint8_t *to)
{
    rebase(&span->name, from, to);
    rebase(&span->tracestate, from, to);
    for (uint64_t set = span->attribute_set; set != 0; set &= set - 1) {
        rebase(&span->attribute[__builtin_ctzll(set)].text, from, to);
    }
}

/* Of everything outside the places, and of where they are. */
static uint64_t skeleton_of(const struct otlp_pattern *pattern)
{
    uint64_t hash = 0;
    uint16_t from = 0;

    for (uint8_t i = 0; i < pattern->place_count; i++) {
        const struct otlp_place *place = &pattern->places[i];
        hash = XXH3_64bits_withSeed(pattern->image + from, (size_t)(place->at - from), hash);
        hash = XXH3_64bits_withSeed(pattern->image + place->key_at, place->key_bytes, hash + place->type);
        from = place->end;
    }
    return XXH3_64bits_withSeed(pattern->image + from, (size_t)(pattern->image_bytes - from), hash);
}

bool otlp_pattern_describe(struct otlp_pattern *pattern, const struct attribute_table *table,
    struct slice encoded, const struct span *read)
{
    struct describing d = {.pattern = pattern, .table = table, .read = read, .begin = encoded.ptr};
    struct wire_reader reader = wire_reader_of(encoded);
    uint32_t tag;

    pattern->place_count = 0;
    pattern->is_dirty = false;
    if (encoded.length > OTLP_PATTERN_BYTES_MAX || encoded.length < TAIL_BYTES) {
        return false;
    }
    while (reader.at < reader.end) {
        if (wire_tag(&reader, &tag) != 0 || !add_field(&d, &reader, tag)) {
            return false;
        }
    }
    memcpy(pattern->image, encoded.ptr, encoded.length);
    pattern->image_bytes = (uint16_t)encoded.length;
    pattern->span = *read;
    rebase_span(&pattern->span, encoded.ptr, pattern->image);
    pattern->skeleton = skeleton_of(pattern);
    return true;
}

void otlp_pattern_merge(struct otlp_pattern *pattern, const struct otlp_pattern *older)
{
    for (uint8_t i = 0; i < pattern->place_count && i < older->place_count; i++) {
        struct otlp_place *place = &pattern->places[i];
        const struct otlp_place *old = &older->places[i];

        place->varies =
            place->varies || old->varies || place->value_bytes != old->value_bytes ||
            memcmp(pattern->image + place->value_at, older->image + old->value_at, place->value_bytes) != 0;
    }
}

static void add_step(struct otlp_pattern *pattern, uint16_t from, uint16_t to, uint8_t place, uint8_t type)
{
    size_t bytes = (size_t)(to - from);
    struct otlp_step *step = &pattern->steps[pattern->step_count++];

    *step = (struct otlp_step){.run_at = from, .run_bytes = (uint16_t)bytes, .place = place, .type = type};
    memcpy(&step->run_begin, pattern->image + from, bytes < 8 ? bytes : 8);
    step->run_mask = bytes < 8 ? ~(UINT64_MAX << (8 * bytes)) : UINT64_MAX;
}

static void make_steps(struct otlp_pattern *pattern)
{
    uint16_t from = 0;

    pattern->step_count = 0;
    for (uint8_t i = 0; i < pattern->place_count; i++) {
        const struct otlp_place *place = &pattern->places[i];
        if (place->varies) {
            add_step(pattern, from, place->at, i, place->type);
            from = place->end;
        } else if (place->is_url) {
            struct slice value = slice_of(pattern->image + place->value_at, place->value_bytes);
            pattern->is_dirty |= slice_find(value, '?') < value.length;
        }
    }
    add_step(pattern, from, pattern->image_bytes, pattern->place_count, OTLP_PLACE_LAST);
    size_t tail_bytes = (size_t)(pattern->image_bytes - from);
    pattern->tail_mask = tail_bytes >= TAIL_BYTES ? UINT64_MAX : ~(UINT64_MAX >> (8 * tail_bytes));
    pattern->tail = load8(pattern->image + pattern->image_bytes - TAIL_BYTES) & pattern->tail_mask;
}

void otlp_pattern_keep(const struct otlp_pattern *pattern, struct otlp_pattern *to)
{
    *to = *pattern;
    rebase_span(&to->span, pattern->image, to->image);
    make_steps(to);
}

/* ---- matching ---- */

typedef uint64_t pair __attribute__((vector_size(16)));

/* Bits that differ in the 16 bytes at a and b. */
static inline pair difference(const uint8_t *a, const uint8_t *b)
{
    pair left;
    pair right;

    memcpy(&left, a, sizeof left);
    memcpy(&right, b, sizeof right);
    return left ^ right;
}

static inline bool is_none(pair bits)
{
    return (bits[0] | bits[1]) == 0;
}

/* memcmp without the call, which for runs of this length costs as much as the comparison. length: over 16 */
static inline bool is_same_long(const uint8_t *a, const uint8_t *b, size_t length)
{
    size_t i = 0;

    for (; i + 64 < length; i += 64) {
        if (!is_none(difference(a + i, b + i) | difference(a + i + 16, b + i + 16) |
                     difference(a + i + 32, b + i + 32) | difference(a + i + 48, b + i + 48))) {
            return false;
        }
    }
    pair bits = difference(a + length - 16, b + length - 16);
    for (; i + 16 < length; i += 16) {
        bits |= difference(a + i, b + i);
    }
    return is_none(bits);
}

static inline bool is_same(const uint8_t *a, const uint8_t *b, size_t length)
{
    if (length > 16) {
        return is_same_long(a, b, length);
    }
    if (length >= 8) {
        return ((load8(a) ^ load8(b)) | (load8(a + length - 8) ^ load8(b + length - 8))) == 0;
    }
    for (size_t i = 0; i < length; i++) {
        if (a[i] != b[i]) {
            return false;
        }
    }
    return true;
}

/* Whether the step's run stands at `at`. */
static inline bool has_run(
    const struct otlp_pattern *pattern, const struct otlp_step *step, const uint8_t *at, const uint8_t *end)
{
    if (__builtin_expect(end - at >= 8, 1)) {
        return ((load8(at) ^ step->run_begin) & step->run_mask) == 0 &&
               (step->run_bytes <= 8 || ((size_t)(end - at) >= step->run_bytes &&
                                            is_same(at, pattern->image + step->run_at, step->run_bytes)));
    }
    return (size_t)(end - at) >= step->run_bytes &&
           is_same(at, pattern->image + step->run_at, step->run_bytes);
}

/* A length, as one byte or as a varint; false past the end. */
static inline bool read_length(const uint8_t **at, const uint8_t *end, size_t *ret_length)
{
    struct wire_reader reader = {.at = *at, .end = end};
    uint64_t length;

    if (wire_varint(&reader, &length) != 0 || length > (size_t)(end - reader.at)) {
        return false;
    }
    *at = reader.at;
    *ret_length = (size_t)length;
    return true;
}

/* The attribute at `at`, which is to have the place's key. Returns what is behind it, or NULL. */
static inline const uint8_t *match_text(struct otlp_pattern *pattern, const struct otlp_place *place,
    const uint8_t *at, const uint8_t *end, uint64_t text_bytes_max)
{
    size_t attribute_bytes;
    size_t value_bytes;
    size_t text_bytes;

    if (!read_length(&at, end, &attribute_bytes) || attribute_bytes < place->key_bytes + 3u ||
        !is_same(at, pattern->image + place->key_at, place->key_bytes)) {
        return NULL;
    }
    const uint8_t *attribute_end = at + attribute_bytes;
    at += place->key_bytes;
    if (!read_length(&at, attribute_end, &value_bytes) || at + value_bytes != attribute_end ||
        value_bytes < 2 || *at++ != WIRE_TAG(1, WIRE_BYTES) ||
        !read_length(&at, attribute_end, &text_bytes) || at + text_bytes != attribute_end) {
        return NULL;
    }
    struct slice text = slice_of(at, text_bytes);
    if (place->is_url) {
        text.length = slice_find(text, '?');
        pattern->span.needs_rewrite |= text.length < text_bytes;
    }
    if (text.length > text_bytes_max) {
        return NULL;
    }
    if (place->span_id != ATTRIBUTE_UNKNOWN) {
        if (!utf8_is_ascii(text) && !utf8_is_valid(text)) {
            return NULL;
        }
        pattern->span.attribute[place->span_id].text = text;
    }
    return attribute_end;
}

/* A field of fixed length into `to`. Returns what is behind it, or NULL. */
static inline const uint8_t *match_number(const uint8_t *at, const uint8_t *end, void *to, size_t bytes)
{
    if ((size_t)(end - at) < bytes) {
        return NULL;
    }
    memcpy(to, at, bytes);
    return at + bytes;
}

static inline const uint8_t *match_place(struct otlp_pattern *pattern, const struct otlp_step *step,
    const uint8_t *at, const uint8_t *end, uint64_t text_bytes_max)
{
    struct span *span = &pattern->span;

    switch ((enum otlp_place_type)step->type) {
    case OTLP_PLACE_TRACE_ID:
        return match_number(at, end, span->trace_id, TRACE_ID_BYTES);
    case OTLP_PLACE_SPAN_ID:
        return match_number(at, end, span->span_id, ID_BYTES);
    case OTLP_PLACE_PARENT_ID:
        return match_number(at, end, span->parent_id, ID_BYTES);
    case OTLP_PLACE_START:
        return match_number(at, end, &span->start_unix_ns, TIME_BYTES);
    case OTLP_PLACE_END:
        return match_number(at, end, &span->end_unix_ns, TIME_BYTES);
    case OTLP_PLACE_TEXT:
        return match_text(pattern, &pattern->places[step->place], at, end, text_bytes_max);
    case OTLP_PLACE_LAST:
    default:
        return NULL;
    }
}

bool otlp_pattern_match(struct otlp_pattern *pattern, struct slice encoded, uint64_t attribute_bytes_max)
{
    const uint8_t *at = encoded.ptr;
    const uint8_t *end = at + encoded.length;
    const struct otlp_step *step = pattern->steps;

    if (encoded.length < TAIL_BYTES ||
        ((load8(end - TAIL_BYTES) ^ pattern->tail) & pattern->tail_mask) != 0) {
        return false;
    }
    pattern->span.raw = encoded;
    pattern->span.needs_rewrite = pattern->is_dirty;
    for (;; step++) {
        if (!has_run(pattern, step, at, end)) {
            return false;
        }
        at += step->run_bytes;
        if (step->type == OTLP_PLACE_LAST) {
            return at == end;
        }
        at = match_place(pattern, step, at, end, attribute_bytes_max);
        if (at == NULL) {
            return false;
        }
    }
}
