/* Sample lines of Prometheus text and OpenMetrics: prom_line.h. */
#include "decode/prom_line.h"

#include <math.h>
#include <stdlib.h>

#include "core/error.h"
#include "decode/utf8.h"

#define UNIX_NS_MAX 18446744073000000000.0 /* what fits into 64 bits, and a bit less */

static bool is_name_byte(uint8_t c, bool first, bool colon)
{
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';

    return letter || (colon && c == ':') || (!first && c >= '0' && c <= '9');
}

static size_t name_length(struct slice text, bool colon)
{
    size_t length = 0;

    while (length < text.length && is_name_byte(text.ptr[length], length == 0, colon)) {
        length++;
    }
    return length;
}

size_t prom_name_length(struct slice text)
{
    return name_length(text, true);
}

static void skip_blanks(struct slice *at)
{
    size_t blanks = 0;

    while (blanks < at->length && (at->ptr[blanks] == ' ' || at->ptr[blanks] == '\t')) {
        blanks++;
    }
    *at = slice_sub(*at, blanks, at->length);
}

static bool take_byte(struct slice *at, uint8_t byte)
{
    if (at->length == 0 || at->ptr[0] != byte) {
        return false;
    }
    *at = slice_sub(*at, 1, at->length);
    return true;
}

static int take_name(struct slice *at, bool colon, struct slice *ret_name)
{
    size_t length = name_length(*at, colon);

    if (length == 0) {
        return WERR_INVALID;
    }
    if (length > PROM_NAME_BYTES_MAX) {
        return WERR_OVERSIZED;
    }
    *ret_name = slice_sub(*at, 0, length);
    *at = slice_sub(*at, length, at->length);
    return 0;
}

/* Up to the next blank. */
static struct slice take_word(struct slice *at)
{
    size_t length = 0;

    while (length < at->length && at->ptr[length] != ' ' && at->ptr[length] != '\t') {
        length++;
    }
    struct slice word = slice_sub(*at, 0, length);
    *at = slice_sub(*at, length, at->length);
    return word;
}

bool prom_unescape(struct slice text, struct arena *arena, struct slice *ret_text)
{
    size_t plain = slice_find(text, '\\');

    if (plain == text.length) {
        *ret_text = text;
        return true;
    }
    uint8_t *out = arena_alloc(arena, text.length);
    size_t used = plain;

    if (out == NULL) {
        return false;
    }
    memcpy(out, text.ptr, plain);
    for (size_t i = plain; i < text.length; i++) {
        uint8_t next = text.ptr[i] == '\\' && i + 1 < text.length ? text.ptr[i + 1] : 0;

        if (next == '\\' || next == '"' || next == 'n') {
            out[used++] = next == 'n' ? '\n' : next;
            i++;
        } else {
            out[used++] = text.ptr[i];
        }
    }
    *ret_text = slice_of(out, used);
    return true;
}

/* The text between quotes, its escapes undone. */
static int take_quoted(struct slice *at, struct arena *arena, struct slice *ret_text)
{
    size_t end = 1;

    if (at->length == 0 || at->ptr[0] != '"') {
        return WERR_INVALID;
    }
    while (end < at->length && at->ptr[end] != '"') {
        end += at->ptr[end] == '\\' ? 2 : 1;
    }
    if (end >= at->length) {
        return WERR_TRUNCATED;
    }
    if (end > PROM_VALUE_BYTES_MAX) {
        return WERR_OVERSIZED;
    }
    struct slice raw = slice_sub(*at, 1, end);
    *at = slice_sub(*at, end + 1, at->length);
    if (!utf8_is_valid(raw)) {
        return WERR_UTF8;
    }
    return prom_unescape(raw, arena, ret_text) ? 0 : WERR_NOMEM;
}

static int compare(struct slice a, struct slice b)
{
    int order = memcmp(a.ptr, b.ptr, a.length < b.length ? a.length : b.length);

    return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

/* Keeps the labels in order; they are few. */
static int add_label(struct prom_sample *sample, struct prom_label label)
{
    size_t at = sample->label_count;

    if (at == PROM_LABEL_COUNT_MAX) {
        return WERR_OVERSIZED;
    }
    for (; at > 0; at--) {
        int order = compare(sample->labels[at - 1].name, label.name);

        if (order == 0) {
            return WERR_INVALID;
        }
        if (order < 0) {
            break;
        }
        sample->labels[at] = sample->labels[at - 1];
    }
    sample->labels[at] = label;
    sample->label_count++;
    return 0;
}

static int take_label(struct slice *at, struct arena *arena, struct prom_sample *sample)
{
    struct prom_label label;
    int error = take_name(at, false, &label.name);

    if (error < 0) {
        return error;
    }
    skip_blanks(at);
    if (!take_byte(at, '=')) {
        return WERR_INVALID;
    }
    skip_blanks(at);
    error = take_quoted(at, arena, &label.value);
    return error < 0 || label.value.length == 0 ? error : add_label(sample, label);
}

/* What stands between braces; a comma may end it. */
static int take_labels(struct slice *at, struct arena *arena, struct prom_sample *sample)
{
    for (;;) {
        skip_blanks(at);
        if (take_byte(at, '}')) {
            return 0;
        }
        int error = take_label(at, arena, sample);
        if (error < 0) {
            return error;
        }
        skip_blanks(at);
        if (!take_byte(at, ',') && (at->length == 0 || at->ptr[0] != '}')) {
            return at->length == 0 ? WERR_TRUNCATED : WERR_INVALID;
        }
    }
}

static bool is_word(struct slice text, const char *word)
{
    size_t length = strlen(word);

    if (text.length != length) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if ((text.ptr[i] | 0x20) != (uint8_t)word[i]) {
            return false;
        }
    }
    return true;
}

/* Inf and NaN, signed or not. */
static bool read_special(struct slice text, double *ret_value)
{
    bool negative = text.length > 0 && text.ptr[0] == '-';
    bool sign = negative || (text.length > 0 && text.ptr[0] == '+');
    struct slice rest = slice_sub(text, sign, text.length);

    if (is_word(rest, "inf") || is_word(rest, "infinity")) {
        *ret_value = negative ? -INFINITY : INFINITY;
        return true;
    }
    if (!sign && is_word(rest, "nan")) {
        *ret_value = NAN;
        return true;
    }
    return false;
}

int prom_number(struct slice text, double *ret_value)
{
    char copy[PROM_NUMBER_BYTES_MAX + 1];
    char *end;

    if (text.length == 0 || text.length > PROM_NUMBER_BYTES_MAX) {
        return WERR_INVALID;
    }
    if (read_special(text, ret_value)) {
        return 0;
    }
    for (size_t i = 0; i < text.length; i++) {
        if (memchr("0123456789+-.eE", text.ptr[i], 15) == NULL) {
            return WERR_INVALID;
        }
        copy[i] = (char)text.ptr[i];
    }
    copy[text.length] = '\0';
    double value = strtod(copy, &end);
    if (end == copy || *end != '\0') {
        return WERR_INVALID;
    }
    *ret_value = value;
    return 0;
}

/* Milliseconds in text, seconds in OpenMetrics. */
static int read_time(struct slice text, enum prom_format format, uint64_t *ret_unix_ns)
{
    double number;
    int error = prom_number(text, &number);

    if (error < 0) {
        return error;
    }
    double unit_ns = format == PROM_FORMAT_TEXT ? 1e6 : 1e9;
    if (!(number > 0 && number * unit_ns < UNIX_NS_MAX)) {
        return WERR_INVALID;
    }
    /* The whole part apart: nanoseconds since 1970 do not fit into a double. */
    double whole = floor(number);
    *ret_unix_ns = (uint64_t)whole * (uint64_t)unit_ns + (uint64_t)((number - whole) * unit_ns);
    return 0;
}

static int read_rest(struct slice at, enum prom_format format, struct prom_sample *sample)
{
    int error = prom_number(take_word(&at), &sample->value);

    skip_blanks(&at);
    if (error == 0 && at.length > 0 && at.ptr[0] != '#') {
        error = read_time(take_word(&at), format, &sample->time_unix_ns);
        skip_blanks(&at);
    }
    /* What follows a '#' is an exemplar, which only OpenMetrics has. */
    bool is_exemplar = at.length > 0 && at.ptr[0] == '#' && format == PROM_FORMAT_OPENMETRICS;
    return error == 0 && at.length > 0 && !is_exemplar ? WERR_INVALID : error;
}

int prom_line_read(
    struct slice line, enum prom_format format, struct arena *arena, struct prom_sample *ret_sample)
{
    struct slice at = line;

    *ret_sample = (struct prom_sample){.label_count = 0};
    int error = take_name(&at, true, &ret_sample->name);
    if (error < 0) {
        return error;
    }
    bool apart = at.length > 0 && (at.ptr[0] == ' ' || at.ptr[0] == '\t' || at.ptr[0] == '{');
    skip_blanks(&at);
    if (!apart || at.length == 0) {
        return at.length == 0 ? WERR_TRUNCATED : WERR_INVALID;
    }
    if (take_byte(&at, '{')) {
        error = take_labels(&at, arena, ret_sample);
        skip_blanks(&at);
    }
    return error < 0 ? error : read_rest(at, format, ret_sample);
}
