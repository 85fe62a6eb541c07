/* The JSON reader of json.h. Pure; any thread. */
#include "decode/json.h"

#include <math.h>
#include <stdlib.h>

#include "core/error.h"

enum {
    NUMBER_BYTES_MAX = 64, /* of a number that is not made of digits alone; longer ones are no one's */
    UNICODE_DIGITS = 4,
    REPLACEMENT_CHARACTER = 0xfffd,
};

#define EACH_BYTE 0x0101010101010101ull
#define EACH_HIGH_BIT 0x8080808080808080ull

struct json_reader json_reader_of(struct slice text, uint32_t depth_max)
{
    return (struct json_reader){
        .at = text.ptr, .end = text.length > 0 ? text.ptr + text.length : text.ptr, .depth_left = depth_max};
}

static bool is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

/* The next byte that is no white space, not taken; WERR_TRUNCATED at the end. */
static int peek(struct json_reader *reader)
{
    while (reader->at < reader->end && is_space(*reader->at)) {
        reader->at++;
    }
    return reader->at < reader->end ? *reader->at : WERR_TRUNCATED;
}

/* ---- strings ---- */

/* High bits of the bytes that may not stand in a string as they are: below 0x20, '"' and '\'. May also mark
 * bytes behind the first of those. */
static uint64_t special_bytes(uint64_t word)
{
    uint64_t quote = word ^ (EACH_BYTE * '"');
    uint64_t backslash = word ^ (EACH_BYTE * '\\');

    return (((quote - EACH_BYTE) & ~quote) | ((backslash - EACH_BYTE) & ~backslash) |
               ((word - EACH_BYTE * 0x20) & ~word)) &
           EACH_HIGH_BIT;
}

/* To the next byte that may not stand in a string as it is, or the end. */
static const uint8_t *plain_run(const uint8_t *at, const uint8_t *end)
{
    while (end - at >= 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        uint64_t special = special_bytes(word);
        if (special != 0) {
            return at + __builtin_ctzll(special) / 8;
        }
        at += 8;
    }
    while (at < end && *at >= 0x20 && *at != '"' && *at != '\\') {
        at++;
    }
    return at;
}

static int hex_digit(uint8_t byte)
{
    if (is_digit(byte)) {
        return byte - '0';
    }
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* An escape that begins at the backslash `at`: its length, or negative. */
static int escape_length(const uint8_t *at, const uint8_t *end)
{
    if (end - at < 2) {
        return WERR_TRUNCATED;
    }
    switch (at[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return 2;
    case 'u':
        break;
    default:
        return WERR_INVALID;
    }
    for (int i = 2; i < 2 + UNICODE_DIGITS; i++) {
        if (at + i == end) {
            return WERR_TRUNCATED;
        }
        if (hex_digit(at[i]) < 0) {
            return WERR_INVALID;
        }
    }
    return 2 + UNICODE_DIGITS;
}

/* From the opening quote on. */
static int read_string(struct json_reader *reader, struct json_value *ret_value)
{
    const uint8_t *begin = reader->at + 1;
    const uint8_t *at = begin;
    bool escaped = false;

    while ((at = plain_run(at, reader->end)) < reader->end && *at == '\\') {
        int length = escape_length(at, reader->end);
        if (length < 0) {
            return length;
        }
        escaped = true;
        at += length;
    }
    if (at == reader->end) {
        return WERR_TRUNCATED;
    }
    if (*at != '"') {
        return WERR_INVALID;
    }
    *ret_value = (struct json_value){
        .type = JSON_STRING, .escaped = escaped, .text = slice_of(begin, (size_t)(at - begin))};
    reader->at = at + 1;
    return 1;
}

/* ---- numbers and literals ---- */

static const uint8_t *digits(const uint8_t *at, const uint8_t *end)
{
    while (at < end && is_digit(*at)) {
        at++;
    }
    return at;
}

/* The end of the number that begins at `at`, or NULL when there is none: RFC 8259, section 6. */
static const uint8_t *number_end(const uint8_t *at, const uint8_t *end)
{
    const uint8_t *from;

    if (at < end && *at == '-') {
        at++;
    }
    at = digits(from = at, end);
    if (at == from || (at - from > 1 && *from == '0')) {
        return NULL;
    }
    if (at < end && *at == '.') {
        at = digits(from = at + 1, end);
        if (at == from) {
            return NULL;
        }
    }
    if (at < end && (*at | 0x20) == 'e') {
        at++;
        if (at < end && (*at == '+' || *at == '-')) {
            at++;
        }
        at = digits(from = at, end);
        if (at == from) {
            return NULL;
        }
    }
    return at;
}

static int read_number(struct json_reader *reader, struct json_value *ret_value)
{
    const uint8_t *end = number_end(reader->at, reader->end);

    if (end == NULL) {
        return WERR_INVALID;
    }
    *ret_value =
        (struct json_value){.type = JSON_NUMBER, .text = slice_of(reader->at, (size_t)(end - reader->at))};
    reader->at = end;
    return 1;
}

static int read_literal(struct json_reader *reader, struct json_value *ret_value)
{
    static const struct {
        struct slice text;
        enum json_type type;
        bool boolean;
    } literals[] = {
        {{(const uint8_t *)"true", 4}, JSON_BOOLEAN, true},
        {{(const uint8_t *)"false", 5}, JSON_BOOLEAN, false},
        {{(const uint8_t *)"null", 4}, JSON_NULL, false},
    };
    struct slice rest = slice_of(reader->at, (size_t)(reader->end - reader->at));

    for (size_t i = 0; i < sizeof literals / sizeof literals[0]; i++) {
        size_t length = literals[i].text.length;
        if (slice_has_prefix(rest, literals[i].text)) {
            *ret_value = (struct json_value){
                .type = literals[i].type, .boolean = literals[i].boolean, .text = slice_sub(rest, 0, length)};
            reader->at += length;
            return 1;
        }
    }
    return WERR_INVALID;
}

/* ---- values ---- */

static int open_list(struct json_reader *reader, enum json_type type, struct json_value *ret_value)
{
    if (reader->depth_left == 0) {
        return WERR_DEPTH;
    }
    *ret_value = (struct json_value){.type = type, .text = slice_of(reader->at, 0)};
    reader->depth_left--;
    reader->is_first = true;
    reader->at++;
    return 1;
}

static int close_list(struct json_reader *reader)
{
    reader->depth_left++;
    reader->is_first = false;
    reader->at++;
    return 0;
}

int json_read(struct json_reader *reader, struct json_value *ret_value)
{
    int byte = peek(reader);

    reader->is_first = false;
    switch (byte) {
    case '"':
        return read_string(reader, ret_value);
    case '{':
        return open_list(reader, JSON_OBJECT, ret_value);
    case '[':
        return open_list(reader, JSON_ARRAY, ret_value);
    case 't':
    case 'f':
    case 'n':
        return read_literal(reader, ret_value);
    default:
        return byte < 0 ? byte : read_number(reader, ret_value);
    }
}

/* Before a value or key: 1, past the comma when one was due; 0: the list ended. */
static int next_in_list(struct json_reader *reader, int closing)
{
    int byte = peek(reader);

    if (byte < 0) {
        return byte;
    }
    if (byte == closing) {
        return close_list(reader);
    }
    if (reader->is_first) {
        return 1;
    }
    if (byte != ',') {
        return WERR_INVALID;
    }
    reader->at++;
    return 1;
}

int json_element(struct json_reader *reader, struct json_value *ret_value)
{
    int status = next_in_list(reader, ']');

    return status > 0 ? json_read(reader, ret_value) : status;
}

int json_member(struct json_reader *reader, struct json_value *ret_key, struct json_value *ret_value)
{
    int status = next_in_list(reader, '}');

    if (status <= 0) {
        return status;
    }
    status = peek(reader);
    if (status != '"') {
        return status < 0 ? status : WERR_INVALID;
    }
    status = read_string(reader, ret_key);
    if (status < 0) {
        return status;
    }
    status = peek(reader);
    if (status != ':') {
        return status < 0 ? status : WERR_INVALID;
    }
    reader->at++;
    return json_read(reader, ret_value);
}

/* Goes as deep as the reader's limit lets it. */
int json_skip(struct json_reader *reader, struct json_value *value)
{
    struct json_value key;
    struct json_value child;
    int status = 0;

    if (value->type != JSON_ARRAY && value->type != JSON_OBJECT) {
        return 0;
    }
    do {
        status = value->type == JSON_ARRAY ? json_element(reader, &child) : json_member(reader, &key, &child);
        if (status > 0) {
            int skipped = json_skip(reader, &child);
            status = skipped < 0 ? skipped : status;
        }
    } while (status > 0);
    if (status == 0) {
        value->text.length = (size_t)(reader->at - value->text.ptr);
    }
    return status;
}

int json_end(struct json_reader *reader)
{
    return peek(reader) < 0 ? 0 : WERR_INVALID;
}

/* ---- what values hold ---- */

static uint32_t unicode_of(const uint8_t *digit)
{
    uint32_t unit = 0;

    for (int i = 0; i < UNICODE_DIGITS; i++) {
        unit = unit << 4 | ((uint32_t)hex_digit(digit[i]) & 15);
    }
    return unit;
}

static uint8_t *put_utf8(uint8_t *out, uint32_t character)
{
    if (character < 0x80) {
        *out++ = (uint8_t)character;
        return out;
    }
    if (character < 0x800) {
        *out++ = (uint8_t)(0xc0 | character >> 6);
    } else {
        if (character < 0x10000) {
            *out++ = (uint8_t)(0xe0 | character >> 12);
        } else {
            *out++ = (uint8_t)(0xf0 | character >> 18);
            *out++ = (uint8_t)(0x80 | (character >> 12 & 63));
        }
        *out++ = (uint8_t)(0x80 | (character >> 6 & 63));
    }
    *out++ = (uint8_t)(0x80 | (character & 63));
    return out;
}

/* At the first digit of \uXXXX, or of the first half of a pair; returns behind what it used. */
static const uint8_t *put_unicode(const uint8_t *at, const uint8_t *end, uint8_t **out)
{
    uint32_t unit = unicode_of(at);

    at += UNICODE_DIGITS;
    if (unit >= 0xd800 && unit <= 0xdfff) {
        uint32_t low = unit < 0xdc00 && end - at >= 2 + UNICODE_DIGITS && at[0] == '\\' && at[1] == 'u'
                           ? unicode_of(at + 2)
                           : 0;
        if (low >= 0xdc00 && low <= 0xdfff) {
            unit = 0x10000 + ((unit - 0xd800) << 10 | (low - 0xdc00));
            at += 2 + UNICODE_DIGITS;
        } else {
            unit = REPLACEMENT_CHARACTER;
        }
    }
    *out = put_utf8(*out, unit);
    return at;
}

static uint8_t plain_of_escape(uint8_t byte)
{
    switch (byte) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return byte;
    }
}

size_t json_unescape(struct slice raw, uint8_t *out)
{
    const uint8_t *at = raw.ptr;
    const uint8_t *end = raw.length > 0 ? raw.ptr + raw.length : raw.ptr;
    uint8_t *to = out;

    while (at < end) {
        const uint8_t *run_end = at + slice_find(slice_of(at, (size_t)(end - at)), '\\');
        if (run_end > at) {
            memmove(to, at, (size_t)(run_end - at));
            to += run_end - at;
        }
        at = run_end;
        if (end - at < 2) {
            break;
        }
        if (at[1] == 'u' && end - at >= 2 + UNICODE_DIGITS) {
            at = put_unicode(at + 2, end, &to);
        } else {
            *to++ = plain_of_escape(at[1]);
            at += 2;
        }
    }
    return (size_t)(to - out);
}

int json_double(struct slice text, double *ret_number)
{
    char copy[NUMBER_BYTES_MAX + 1];

    if (text.length == 0 || text.length > NUMBER_BYTES_MAX ||
        number_end(text.ptr, text.ptr + text.length) != text.ptr + text.length) {
        return WERR_INVALID;
    }
    memcpy(copy, text.ptr, text.length);
    copy[text.length] = '\0';
    double number = strtod(copy, NULL); /* the agent never leaves the C locale */
    if (!isfinite(number)) {
        return WERR_INVALID;
    }
    *ret_number = number;
    return 0;
}

/* 0 when `text` is digits alone and the number fits. */
static int plain_uint64(struct slice text, uint64_t *ret_number)
{
    uint64_t number = 0;

    if (text.length == 0) {
        return WERR_INVALID;
    }
    for (size_t i = 0; i < text.length; i++) {
        if (!is_digit(text.ptr[i]) || __builtin_mul_overflow(number, 10u, &number) ||
            __builtin_add_overflow(number, (uint64_t)(text.ptr[i] - '0'), &number)) {
            return WERR_INVALID;
        }
    }
    *ret_number = number;
    return 0;
}

/* Exact up to 2^53: whoever writes larger integers with an exponent has lost digits already. */
static int magnitude_of(struct slice text, uint64_t *ret_number)
{
    double number;

    if (plain_uint64(text, ret_number) == 0) {
        return 0;
    }
    if (json_double(text, &number) < 0 || number < 0 || number >= 0x1p64 || number != floor(number)) {
        return WERR_INVALID;
    }
    *ret_number = (uint64_t)number;
    return 0;
}

int json_uint64(struct slice text, uint64_t *ret_number)
{
    return magnitude_of(text, ret_number);
}

int json_int64(struct slice text, int64_t *ret_number)
{
    bool negative = text.length > 0 && text.ptr[0] == '-';
    uint64_t magnitude;

    if (magnitude_of(slice_sub(text, negative ? 1 : 0, text.length), &magnitude) < 0 ||
        magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0)) {
        return WERR_INVALID;
    }
    *ret_number = (int64_t)(negative ? 0 - magnitude : magnitude);
    return 0;
}
