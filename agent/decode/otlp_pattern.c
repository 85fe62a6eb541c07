/* Patterns of spans, see otlp_pattern.h. Runs on the shard that received the message. */
#include "decode/otlp_pattern.h"

#include <stddef.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "decode/utf8.h"
#include "decode/wire.h"

enum {
    TAIL_BYTES = 8,
    KEY_BYTES_MAX = 127,
    TEXT_BYTES_MIN = 4, /* of a text's place besides its key: lengths and tags */
};

_Static_assert(sizeof(struct otlp_step) == 32, "two in a cache line");

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
    uint32_t fields_seen; /* bit i: field number i had a place */
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

/* A field of fixed length, which goes to `to` in struct span: at most one of its number. */
static bool add_number(struct describing *d, uint32_t number, const uint8_t *at, size_t bytes, size_t to)
{
    size_t from = (size_t)(at - d->begin);

    if ((d->fields_seen >> number & 1) != 0) {
        return false;
    }
    d->fields_seen |= 1u << number;
    return add_place(d, (struct otlp_place){.type = bytes == 8 ? OTLP_PLACE_8 : OTLP_PLACE_16,
                            .at = (uint16_t)from,
                            .end = (uint16_t)(from + bytes),
                            .to = (uint16_t)to,
                            .varies = true});
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

/* Where a text goes in struct span. */
static size_t text_offset(uint8_t span_id)
{
    return span_id == ATTRIBUTE_UNKNOWN
               ? 0
               : offsetof(struct span, attribute) + span_id * sizeof(struct span_value) +
                     offsetof(struct span_value, text);
}

/* at: where its length begins. */
static bool add_attribute(struct describing *d, const uint8_t *at, struct slice encoded)
{
    struct attribute attribute;
    struct attribute_meaning meaning = {.span_id = ATTRIBUTE_UNKNOWN};
    struct slice key;
    struct slice text;
    int status = attribute_read(d->table, encoded, &attribute, &meaning);
    uint8_t effect;
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
    effect = effect_of(d->read, meaning.span_id, text);
    return add_place(d, (struct otlp_place){.type = OTLP_PLACE_TEXT,
                            .at = (uint16_t)(at - d->begin),
                            .end = (uint16_t)(encoded.ptr + encoded.length - d->begin),
                            .key_at = (uint16_t)(encoded.ptr - d->begin),
                            .key_bytes = (uint8_t)(key.length + 3), /* with two tags and its length */
                            .to = (uint16_t)text_offset(effect),
                            .span_id = effect,
                            .is_url = (meaning.flags & ATTRIBUTE_URL) != 0,
                            .value_at = (uint16_t)(text.ptr - d->begin),
                            .value_bytes = (uint16_t)text.length});
}

/* A place for the field whose tag was read, if it is one that varies. The reader goes behind it. */
static bool add_field(struct describing *d, struct wire_reader *reader, uint32_t tag)
{
    const uint8_t *at = reader->at;
    struct slice bytes = slice_of(NULL, 0);

    if (wire_tag_type(tag) == WIRE_BYTES ? wire_bytes(reader, &bytes) != 0 : wire_skip(reader, tag) != 0) {
        return false;
    }
    switch (tag) {
    case WIRE_TAG(1, WIRE_BYTES):
        return add_number(d, 1, bytes.ptr, sizeof d->read->trace_id, offsetof(struct span, trace_id));
    case WIRE_TAG(2, WIRE_BYTES):
        return add_number(d, 2, bytes.ptr, sizeof d->read->span_id, offsetof(struct span, span_id));
    case WIRE_TAG(4, WIRE_BYTES):
        return bytes.length == 0 ||
               add_number(d, 4, bytes.ptr, sizeof d->read->parent_id, offsetof(struct span, parent_id));
    case WIRE_TAG(7, WIRE_FIXED64):
        return add_number(d, 7, at, sizeof(uint64_t), offsetof(struct span, start_unix_ns));
    case WIRE_TAG(8, WIRE_FIXED64):
        return add_number(d, 8, at, sizeof(uint64_t), offsetof(struct span, end_unix_ns));
    case WIRE_TAG(9, WIRE_BYTES):
        return add_attribute(d, at, bytes);
    case WIRE_TAG(11, WIRE_BYTES): /* events and links have times and ids of their own */
    case WIRE_TAG(13, WIRE_BYTES):
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

/* The run from `from` to the place, or to the end when it is NULL. */
static void add_step(struct otlp_pattern *pattern, uint16_t from, const struct otlp_place *place)
{
    static const uint8_t bytes_min[] = {
        [OTLP_PLACE_8] = 8, [OTLP_PLACE_16] = 16, [OTLP_PLACE_TEXT] = TEXT_BYTES_MIN};
    size_t bytes = (size_t)((place != NULL ? place->at : pattern->image_bytes) - from);
    struct otlp_step *step = &pattern->steps[pattern->step_count++];

    *step = (struct otlp_step){.run_at = from,
        .run_bytes = (uint16_t)bytes,
        .run_mask = bytes < 8 ? ~(UINT64_MAX << (8 * bytes)) : UINT64_MAX,
        .need_bytes = (uint16_t)bytes,
        .type = OTLP_PLACE_LAST};
    memcpy(&step->run_begin, pattern->image + from, bytes < 8 ? bytes : 8);
    if (place != NULL) {
        step->need_bytes = (uint16_t)(bytes + place->key_bytes + bytes_min[place->type]);
        step->type = place->type;
        step->key_bytes = place->key_bytes;
        step->key_at = place->key_at;
        step->to = place->to;
        step->span_id = place->span_id;
        step->is_url = place->is_url;
    }
}

static void make_steps(struct otlp_pattern *pattern)
{
    uint16_t from = 0;

    pattern->step_count = 0;
    pattern->span.varying_set = 0;
    for (uint8_t i = 0; i < pattern->place_count; i++) {
        const struct otlp_place *place = &pattern->places[i];
        if (place->varies) {
            add_step(pattern, from, place);
            from = place->end;
            if (place->type == OTLP_PLACE_TEXT && place->span_id != ATTRIBUTE_UNKNOWN) {
                pattern->span.varying_set |= 1ull << place->span_id;
            }
        } else if (place->is_url) {
            struct slice value = slice_of(pattern->image + place->value_at, place->value_bytes);
            pattern->is_dirty |= slice_find(value, '?') < value.length;
        }
    }
    add_step(pattern, from, NULL);
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

/* Whether the step's run stands at `at`, where need_bytes can be read. */
static inline bool has_run(
    const struct otlp_pattern *pattern, const struct otlp_step *step, const uint8_t *at)
{
    return ((load8(at) ^ step->run_begin) & step->run_mask) == 0 &&
           (step->run_bytes <= 8 ||
               is_same(at + 8, pattern->image + step->run_at + 8, (size_t)step->run_bytes - 8));
}

/*
 * The text of an attribute that begins at `at` with its length; the key was compared. Lengths of one byte
 * each: false for all others.
 */
static inline bool short_text(
    const uint8_t *at, const uint8_t *end, const struct otlp_step *step, struct slice *ret_text)
{
    uint32_t attribute_bytes = at[0];
    const uint8_t *value = at + 1 + step->key_bytes;
    uint32_t value_bytes = attribute_bytes - step->key_bytes - 1;

    if (attribute_bytes > 127 || attribute_bytes < step->key_bytes + 3u ||
        attribute_bytes >= (size_t)(end - at)) {
        return false;
    }
    if (((value[0] ^ value_bytes) | (value[1] ^ WIRE_TAG(1, WIRE_BYTES)) | (value[2] ^ (value_bytes - 2))) !=
        0) {
        return false;
    }
    *ret_text = slice_of(value + 3, value_bytes - 2);
    return true;
}

/* A length and that many bytes up to `end`. */
static bool open_to_end(struct wire_reader *reader)
{
    struct slice bytes;
    const uint8_t *end = reader->end;

    if (wire_bytes(reader, &bytes) != 0 || reader->at != end) {
        return false;
    }
    reader->at = bytes.ptr;
    return true;
}

/* The same with lengths of any number of bytes; compares the key, too. */
static __attribute__((noinline)) bool long_text(const struct otlp_pattern *pattern,
    const struct otlp_step *step, const uint8_t *at, const uint8_t *end, struct slice *ret_text)
{
    struct wire_reader reader = {.at = at, .end = end};
    struct slice attribute;

    if (wire_bytes(&reader, &attribute) != 0 || attribute.length < step->key_bytes + 3u ||
        memcmp(attribute.ptr, pattern->image + step->key_at, step->key_bytes) != 0) {
        return false;
    }
    struct wire_reader inner = wire_reader_of(slice_sub(attribute, step->key_bytes, attribute.length));
    if (!open_to_end(&inner) || inner.at == inner.end || *inner.at++ != WIRE_TAG(1, WIRE_BYTES) ||
        !open_to_end(&inner)) {
        return false;
    }
    *ret_text = slice_of(inner.at, (size_t)(inner.end - inner.at));
    return true;
}

/* utf8_is_ascii for a text with at least 8 bytes in front of it that may be read, and which may be looked at
 * as well: the attribute's tag, two lengths, three tags, and two lengths more. */
static inline bool is_ascii_from_behind(struct slice text)
{
    const uint8_t *at = text.ptr + text.length - 8;
    uint64_t seen = load8(at);

    while (at > text.ptr) {
        at -= 8;
        seen |= load8(at);
    }
    return (seen & 0x8080808080808080ull) == 0;
}

/* The attribute at `at`, which is to have the step's key. Returns what is behind it, or NULL. */
static inline const uint8_t *match_text(struct otlp_pattern *pattern, const struct otlp_step *step,
    const uint8_t *at, const uint8_t *end, uint64_t text_bytes_max)
{
    struct slice text;

    if (!(is_same(at + 1, pattern->image + step->key_at, step->key_bytes) &&
            short_text(at, end, step, &text)) &&
        !long_text(pattern, step, at, end, &text)) {
        return NULL;
    }
    const uint8_t *attribute_end = text.ptr + text.length;
    if (!is_ascii_from_behind(text) && !utf8_is_valid(text)) {
        return NULL;
    }
    if (step->is_url) {
        text.length = slice_find(text, '?');
        pattern->span.needs_rewrite |= text.ptr + text.length < attribute_end;
    }
    if (text.length > text_bytes_max) {
        return NULL;
    }
    if (step->span_id != ATTRIBUTE_UNKNOWN) {
        memcpy((uint8_t *)&pattern->span + step->to, &text, sizeof text);
    }
    return attribute_end;
}

bool otlp_pattern_match(struct otlp_pattern *pattern, struct slice encoded, uint64_t attribute_bytes_max)
{
    const uint8_t *at = encoded.ptr;
    const uint8_t *end = at + encoded.length;

    if (encoded.length < TAIL_BYTES ||
        ((load8(end - TAIL_BYTES) ^ pattern->tail) & pattern->tail_mask) != 0) {
        return false;
    }
    pattern->span.raw = encoded;
    pattern->span.needs_rewrite = pattern->is_dirty;
    for (const struct otlp_step *step = pattern->steps; step->type != OTLP_PLACE_LAST; step++) {
        if ((size_t)(end - at) < step->need_bytes || !has_run(pattern, step, at)) {
            return false;
        }
        at += step->run_bytes;
        if (step->type == OTLP_PLACE_TEXT) {
            at = match_text(pattern, step, at, end, attribute_bytes_max);
            if (at == NULL) {
                return false;
            }
        } else if (step->type == OTLP_PLACE_8) {
            memcpy((uint8_t *)&pattern->span + step->to, at, 8);
            at += 8;
        } else {
            memcpy((uint8_t *)&pattern->span + step->to, at, 16);
            at += 16;
        }
    }
    const struct otlp_step *last = &pattern->steps[pattern->step_count - 1];
    return (size_t)(end - at) == last->run_bytes &&
           (last->run_bytes <= TAIL_BYTES || is_same(at, pattern->image + last->run_at, last->run_bytes));
}
