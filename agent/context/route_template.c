/*
 * Paths to templates. Each segment is judged by itself: percent-decoded, then looked at as a whole and in the
 * parts between its punctuation. Pure functions; any thread.
 */
#include <string.h>

#include "context/route.h"

struct segment {
    uint8_t bytes[ROUTE_SEGMENT_BYTES_MAX];
    size_t length;
};

struct letters {
    size_t digits, lower, upper, hex, turns; /* turns: changes between lower and upper case */
};

/* What a byte may be in a path; 0: nothing that a name would hold. */
enum {
    CLASS_DIGIT = 1,
    CLASS_LOWER = 2,
    CLASS_UPPER = 4,
    CLASS_SEPARATOR = 8, /* between the parts of a segment */
    CLASS_CODED = 16,    /* percent-encoding, matrix parameters */
    CLASS_END = 32,      /* of a segment */
    CLASS_ODD = 64,      /* what 0 becomes where classes are gathered */
};

static const uint8_t classes[256] = {
    ['0' ... '9'] = CLASS_DIGIT,
    ['a' ... 'z'] = CLASS_LOWER,
    ['A' ... 'Z'] = CLASS_UPPER,
    ['-'] = CLASS_SEPARATOR,
    ['_'] = CLASS_SEPARATOR,
    ['.'] = CLASS_SEPARATOR,
    ['~'] = CLASS_SEPARATOR,
    [':'] = CLASS_SEPARATOR,
    [','] = CLASS_SEPARATOR,
    ['$'] = CLASS_SEPARATOR,
    ['+'] = CLASS_SEPARATOR,
    ['!'] = CLASS_SEPARATOR,
    ['%'] = CLASS_CODED,
    [';'] = CLASS_CODED,
    ['/'] = CLASS_END,
    ['?'] = CLASS_END,
    ['#'] = CLASS_END,
};

static bool is_digit(uint8_t c)
{
    return classes[c] == CLASS_DIGIT;
}

static bool is_hex(uint8_t c)
{
    return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

static bool is_separator(uint8_t c)
{
    return classes[c] == CLASS_SEPARATOR;
}

static struct letters count_letters(struct slice text)
{
    struct letters n = {.digits = 0};
    uint8_t before = 0;

    for (size_t i = 0; i < text.length; i++) {
        uint8_t class = classes[text.ptr[i]];

        n.digits += class == CLASS_DIGIT;
        n.lower += class == CLASS_LOWER;
        n.upper += class == CLASS_UPPER;
        n.hex += is_hex(text.ptr[i]);
        n.turns += (before | class) == (CLASS_LOWER | CLASS_UPPER);
        before = class;
    }
    return n;
}

/* v1, v2beta1, v1alpha: the version of an interface, which is a kind of thing. */
static bool is_version(struct slice text)
{
    size_t i = 1;

    if (text.length < 2 || text.length > 10 || (text.ptr[0] != 'v' && text.ptr[0] != 'V')) {
        return false;
    }
    while (i < text.length && i <= 3 && is_digit(text.ptr[i])) {
        i++;
    }
    if (i == 1) {
        return false;
    }
    text = slice_sub(text, i, text.length);
    if (slice_has_prefix(text, SLICE_LITERAL("alpha"))) {
        text = slice_sub(text, 5, text.length);
    } else if (slice_has_prefix(text, SLICE_LITERAL("beta"))) {
        text = slice_sub(text, 4, text.length);
    } else {
        return text.length == 0;
    }
    return text.length == 0 || (text.length <= 2 && count_letters(text).digits == text.length);
}

/* A run of letters and digits. */
static bool part_varies(struct slice part)
{
    struct letters n = count_letters(part);

    if (is_version(part)) {
        return false;
    }
    if (n.digits == part.length) {
        return n.digits >= 2; /* one digit may belong to a name: "sub-2", "v1.2" */
    }
    if (n.digits >= 4 || (n.digits >= 2 && n.digits * 2 >= part.length)) {
        return true;
    }
    if (part.length >= 8 && n.hex == part.length && n.digits > 0) {
        return true;
    }
    if (part.length >= 16 && n.digits > 0 && n.lower > 0 && n.upper > 0) {
        return true;
    }
    return part.length >= 16 && n.turns * 5 > part.length * 2; /* base64: no camelCase turns that often */
}

bool route_segment_varies(struct slice segment)
{
    struct letters n = count_letters(segment);
    size_t hex_and_dashes = n.hex;
    size_t from = 0;

    if (segment.length > ROUTE_SEGMENT_BYTES_MAX || n.digits == segment.length) {
        return true;
    }
    for (size_t i = 0; i < segment.length; i++) {
        uint8_t c = segment.ptr[i];

        if ((classes[c] & (CLASS_DIGIT | CLASS_LOWER | CLASS_UPPER | CLASS_SEPARATOR)) == 0) {
            return true; /* addresses, tuples, text of any other script */
        }
        hex_and_dashes += c == '-' || c == '_';
    }
    if (n.digits >= 6 || (hex_and_dashes == segment.length && n.hex >= 8 && n.digits > 0)) {
        return true;
    }
    for (size_t i = 0; i <= segment.length; i++) {
        if (i == segment.length || is_separator(segment.ptr[i])) {
            if (i > from && part_varies(slice_sub(segment, from, i))) {
                return true;
            }
            from = i + 1;
        }
    }
    return false;
}

static int hex_value(uint8_t c)
{
    return is_digit(c) ? c - '0' : is_hex(c) ? (c | 0x20) - 'a' + 10 : -1;
}

/* Undoes percent-encoding and drops matrix parameters (";v=1"). False when the segment cannot be a name of
 * anything. */
static bool decode_segment(struct slice raw, struct segment *out)
{
    raw = slice_sub(raw, 0, slice_find(raw, ';'));
    out->length = 0;
    for (size_t i = 0; i < raw.length; i++) {
        uint8_t c = raw.ptr[i];

        if (out->length == sizeof out->bytes) {
            return false;
        }
        if (c == '%') {
            int high = raw.length - i > 2 ? hex_value(raw.ptr[i + 1]) : -1;
            int low = raw.length - i > 2 ? hex_value(raw.ptr[i + 2]) : -1;

            if (high < 0 || low < 0) {
                return false;
            }
            c = (uint8_t)(high << 4 | low);
            i += 2;
        }
        out->bytes[out->length++] = c;
    }
    return true;
}

/* The path of "scheme://authority/path"; the text itself when it begins with a slash; empty when it has no
 * path. */
static struct slice path_of(struct slice text)
{
    size_t at = 0;

    if (text.length > 0 && text.ptr[0] == '/') {
        return text;
    }
    while (at < text.length && text.ptr[at] != ':' && classes[text.ptr[at]] != CLASS_END &&
           classes[text.ptr[at]] != 0) {
        at++;
    }
    if (at == 0 || !slice_has_prefix(slice_sub(text, at, text.length), SLICE_LITERAL("://"))) {
        return slice_of(NULL, 0);
    }
    const uint8_t *path = text.ptr + at + 3;
    const uint8_t *end = text.ptr + text.length;
    while (path < end && classes[*path] != CLASS_END) {
        path++;
    }
    return path < end ? slice_of(path, (size_t)(end - path)) : SLICE_LITERAL("/");
}

struct writer {
    uint8_t *bytes;
    size_t used;
    size_t cap; /* less than the limit by the length of ROUTE_REST */
};

static bool write_segment(struct writer *writer, struct slice segment)
{
    if (segment.length + 1 > writer->cap - writer->used) {
        return false;
    }
    writer->bytes[writer->used++] = '/';
    memcpy(writer->bytes + writer->used, segment.ptr, segment.length);
    writer->used += segment.length;
    return true;
}

/* What stands for a segment; `seen`: the classes of its bytes. A decoded one is in `decoded`. */
static struct slice name_of(struct slice raw, unsigned seen, struct segment *decoded)
{
    const struct slice star = SLICE_LITERAL("*");

    if ((seen & ~(unsigned)(CLASS_LOWER | CLASS_SEPARATOR)) == 0) {
        /* Most of them: words. */
        return raw.length <= ROUTE_SEGMENT_BYTES_MAX && !slice_equal(raw, SLICE_LITERAL("..")) ? raw : star;
    }
    if ((seen & CLASS_CODED) != 0) {
        if (!decode_segment(raw, decoded) || decoded->length == 0) {
            return star;
        }
        raw = slice_of(decoded->bytes, decoded->length);
    } else if (seen == CLASS_DIGIT || (seen & CLASS_ODD) != 0) {
        return star;
    }
    return route_segment_varies(raw) || slice_equal(raw, SLICE_LITERAL("..")) ? star : raw;
}

/* Where the segment that path begins with ends, and the classes of its bytes. */
static inline size_t segment_end(struct slice path, unsigned *ret_seen)
{
    const uint8_t *at = path.ptr;
    const uint8_t *end = path.ptr + path.length;
    unsigned seen = 0;
    uint8_t class;

    for (; at < end && (class = classes[*at]) != CLASS_END; at++) {
        seen |= class != 0 ? class : CLASS_ODD;
    }
    *ret_seen = seen;
    return (size_t)(at - path.ptr);
}

static void write_path(struct writer *writer, struct slice path, uint64_t segments_max)
{
    struct segment decoded;
    uint64_t count = 0;
    size_t at = 0;

    while (at < path.length) {
        struct slice raw = slice_sub(path, at, path.length);
        unsigned seen = 0;

        raw.length = segment_end(raw, &seen);
        at += raw.length;
        if (at < path.length && path.ptr[at] != '/') {
            path.length = at; /* a query or a fragment follows */
        }
        at++;
        if (raw.length == 0 || slice_equal(raw, SLICE_LITERAL("."))) {
            continue;
        }
        if (count++ >= segments_max || !write_segment(writer, name_of(raw, seen, &decoded))) {
            memcpy(writer->bytes + writer->used, ROUTE_REST.ptr, ROUTE_REST.length);
            writer->used += ROUTE_REST.length;
            return;
        }
    }
}

struct slice route_template(struct slice path, const struct limits *limits, struct route_buffer *buffer)
{
    size_t cap =
        limits->string_bytes_max < ROUTE_BYTES_MAX ? (size_t)limits->string_bytes_max : ROUTE_BYTES_MAX;
    struct writer writer = {.bytes = buffer->bytes, .cap = cap - ROUTE_REST.length};

    if (path.length == 0) {
        return slice_of(buffer->bytes, 0);
    }
    path = path_of(path);
    if (path.length == 0) {
        buffer->bytes[0] = '*';
        return slice_of(buffer->bytes, 1);
    }
    write_path(&writer, path, limits->route_segments_count_max);
    if (writer.used == 0) {
        buffer->bytes[writer.used++] = '/';
    }
    return slice_of(buffer->bytes, writer.used);
}
