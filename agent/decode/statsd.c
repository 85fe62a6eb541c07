/* Parsing of statsd lines; see statsd.h. */
#include "decode/statsd.h"

#include <math.h>
#include <stdlib.h>

enum {
    EXACT_DIGITS_MAX = 15, /* decimal digits that a double always holds */
    EXACT_POWER_MAX = 15,
    TYPE_BYTES_MAX = 8,
    TIME_DIGITS_MAX = 18,
    FIELD_NAME_BYTES_MAX = 16,
};

bool statsd_next_line(struct slice *rest, struct slice *ret_line)
{
    while (rest->length > 0) {
        size_t end = slice_find(*rest, '\n');
        struct slice line = slice_sub(*rest, 0, end);

        *rest = slice_sub(*rest, end + 1, rest->length);
        if (line.length > 0 && line.ptr[line.length - 1] == '\r') {
            line.length--;
        }
        if (line.length > 0) {
            *ret_line = line;
            return true;
        }
    }
    return false;
}

/* Takes what stands before `byte`, or all, off *rest, and the byte with it. */
static struct slice take_until(struct slice *rest, uint8_t byte)
{
    size_t end = slice_find(*rest, byte);
    struct slice taken = slice_sub(*rest, 0, end);

    *rest = slice_sub(*rest, end + 1, rest->length);
    return taken;
}

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

/* The rare forms: exponents and more digits than are exact. Nothing but the letters of a decimal number goes
 * to the C library, which would take "inf" and "0x1p3" as well. */
static bool parse_long_number(struct slice text, double *ret_number)
{
    char copy[STATSD_NUMBER_BYTES_MAX + 1];
    bool has_digit = false;
    char *end;

    if (text.length == 0 || text.length > STATSD_NUMBER_BYTES_MAX) {
        return false;
    }
    for (size_t i = 0; i < text.length; i++) {
        bool fits = is_digit(text.ptr[i]) || memchr(".eE+-", text.ptr[i], 5) != NULL;

        if (!fits) {
            return false;
        }
        has_digit = has_digit || is_digit(text.ptr[i]);
        copy[i] = (char)text.ptr[i];
    }
    copy[text.length] = '\0';
    *ret_number = strtod(copy, &end);
    return has_digit && *end == '\0' && isfinite(*ret_number);
}

/* Digits with at most one point among them, as nearly all are: exact by one division (both operands are
 * whole numbers that a double holds). */
static bool parse_number(struct slice text, double *ret_number)
{
    static const double powers[EXACT_POWER_MAX + 1] = {
        1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    uint64_t whole = 0;
    size_t point = text.length;

    if (text.length == 0 || text.length > EXACT_DIGITS_MAX) {
        return parse_long_number(text, ret_number);
    }
    for (size_t i = 0; i < text.length; i++) {
        if (is_digit(text.ptr[i])) {
            whole = whole * 10 + (uint64_t)(text.ptr[i] - '0');
        } else if (text.ptr[i] == '.' && point == text.length && text.length > 1) {
            point = i;
        } else {
            return parse_long_number(text, ret_number);
        }
    }
    size_t decimals = point < text.length ? text.length - point - 1 : 0;
    if (decimals > EXACT_POWER_MAX) {
        return parse_long_number(text, ret_number);
    }
    *ret_number = (double)whole / powers[decimals];
    return true;
}

static bool parse_value(struct slice text, struct statsd_value *ret_value)
{
    struct statsd_value value = {.has_sign = text.length > 0 && (text.ptr[0] == '+' || text.ptr[0] == '-')};

    if (value.has_sign && (text.length < 2 || text.ptr[1] == '+' || text.ptr[1] == '-')) {
        return false;
    }
    if (!parse_number(value.has_sign ? slice_sub(text, 1, text.length) : text, &value.number)) {
        return false;
    }
    if (value.has_sign && text.ptr[0] == '-') {
        value.number = -value.number;
    }
    *ret_value = value;
    return true;
}

bool statsd_next_value(struct slice *rest, struct statsd_value *ret_value)
{
    return rest->length > 0 && parse_value(take_until(rest, ':'), ret_value);
}

/* All values are looked at before the first is given out: a line is taken whole or not at all. */
static enum statsd_form check_values(struct statsd_line *line)
{
    struct slice rest = line->values;
    struct statsd_value value;

    if (rest.length == 0 || rest.ptr[rest.length - 1] == ':') {
        return STATSD_MALFORMED;
    }
    while (rest.length > 0) {
        if (line->value_count == STATSD_VALUES_COUNT_MAX) {
            return STATSD_OVERSIZED;
        }
        if (!parse_value(take_until(&rest, ':'), &value) ||
            (line->type != STATSD_GAUGE && value.number < 0)) {
            return STATSD_MALFORMED; /* a counter that falls, a duration or size below nothing */
        }
        if (line->value_count++ == 0) {
            line->first = value;
        }
    }
    return STATSD_METRIC;
}

/* STATSD_METRIC and its type; STATSD_UNSUPPORTED for other words of letters. */
static enum statsd_form parse_type(struct slice text, enum statsd_type *ret_type)
{
    if (text.length == 1) {
        switch (text.ptr[0]) {
        case 'c':
            *ret_type = STATSD_COUNTER;
            return STATSD_METRIC;
        case 'g':
            *ret_type = STATSD_GAUGE;
            return STATSD_METRIC;
        case 'h':
        case 'd':
            *ret_type = STATSD_DISTRIBUTION;
            return STATSD_METRIC;
        default:
            break;
        }
    }
    if (slice_equal(text, SLICE_LITERAL("ms"))) {
        *ret_type = STATSD_TIMER;
        return STATSD_METRIC;
    }
    for (size_t i = 0; i < text.length; i++) {
        if (text.ptr[i] < 'a' || text.ptr[i] > 'z') {
            return STATSD_MALFORMED;
        }
    }
    return text.length > 0 && text.length <= TYPE_BYTES_MAX ? STATSD_UNSUPPORTED : STATSD_MALFORMED;
}

static bool parse_time(struct slice text, uint64_t *ret_time_s)
{
    uint64_t time_s = 0;

    if (text.length == 0 || text.length > TIME_DIGITS_MAX) {
        return false;
    }
    for (size_t i = 0; i < text.length; i++) {
        if (!is_digit(text.ptr[i])) {
            return false;
        }
        time_s = time_s * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    *ret_time_s = time_s;
    return true;
}

/* LETTERS: is how extensions of the protocol begin (`e:` external data, `card:` cardinality). */
static bool is_extension(struct slice field)
{
    size_t colon = slice_find(field, ':');

    if (colon == 0 || colon >= field.length || colon > FIELD_NAME_BYTES_MAX) {
        return false;
    }
    for (size_t i = 0; i < colon; i++) {
        if ((field.ptr[i] | 0x20) < 'a' || (field.ptr[i] | 0x20) > 'z') {
            return false;
        }
    }
    return true;
}

static bool is_container(struct slice field)
{
    return field.length > 2 && field.ptr[0] == 'c' && field.ptr[1] == ':';
}

/* Whether a field that follows the tags ends them: one of those that DogStatsD has. */
static bool ends_tags(struct slice field)
{
    uint64_t time_s;

    return is_container(field) ||
           (field.length > 1 && field.ptr[0] == 'T' &&
               parse_time(slice_sub(field, 1, field.length), &time_s)) ||
           slice_has_prefix(field, SLICE_LITERAL("@")) || slice_has_prefix(field, SLICE_LITERAL("#")) ||
           slice_has_prefix(field, SLICE_LITERAL("e:")) || slice_has_prefix(field, SLICE_LITERAL("card:"));
}

/* The tags that begin `rest`, as far as they reach; they and the '|' behind them are taken off it. */
static struct slice take_tags(struct slice *rest)
{
    struct slice whole = *rest;
    size_t end = slice_find(whole, '|');

    while (end < whole.length) {
        struct slice behind = slice_sub(whole, end + 1, whole.length);
        size_t length = slice_find(behind, '|');

        if (ends_tags(slice_sub(behind, 0, length))) {
            break;
        }
        end += 1 + length;
    }
    *rest = slice_sub(whole, end + 1, whole.length);
    return slice_sub(whole, 0, end);
}

/* One field behind the type, taken off *rest. False: malformed. */
static bool take_field(struct slice *rest, struct statsd_line *line)
{
    if (rest->ptr[0] == '#') {
        *rest = slice_sub(*rest, 1, rest->length);
        line->tags = take_tags(rest);
        return true;
    }
    struct slice field = take_until(rest, '|');
    struct slice content = slice_sub(field, 1, field.length);

    if (field.length == 0) {
        return true;
    }
    if (field.ptr[0] == '@') {
        return parse_number(content, &line->rate) && line->rate > 0 && line->rate <= 1;
    }
    if (field.ptr[0] == 'T' && field.length > 1 && is_digit(field.ptr[1])) {
        return parse_time(content, &line->time_unix_s);
    }
    if (is_container(field)) {
        line->container = slice_sub(field, 2, field.length);
        return true;
    }
    return is_extension(field);
}

static bool is_not_a_metric(struct slice line)
{
    return slice_has_prefix(line, SLICE_LITERAL("_e{")) || slice_has_prefix(line, SLICE_LITERAL("_sc|"));
}

enum statsd_form statsd_parse_line(struct slice line, struct statsd_line *ret_line)
{
    struct statsd_line parsed = {.rate = 1};
    struct slice rest = line;

    if (is_not_a_metric(line)) {
        return STATSD_NOT_A_METRIC;
    }
    parsed.name = take_until(&rest, ':');
    parsed.values = take_until(&rest, '|');
    struct slice type = take_until(&rest, '|');

    if (parsed.name.length == 0 || parsed.values.length == 0) {
        return STATSD_MALFORMED;
    }
    if (parsed.name.length > STATSD_NAME_BYTES_MAX) {
        return STATSD_OVERSIZED;
    }
    enum statsd_form form = parse_type(type, &parsed.type);
    if (form != STATSD_METRIC) {
        return form;
    }
    form = check_values(&parsed);
    while (form == STATSD_METRIC && rest.length > 0) {
        form = take_field(&rest, &parsed) ? STATSD_METRIC : STATSD_MALFORMED;
    }
    if (form == STATSD_METRIC) {
        *ret_line = parsed;
    }
    return form;
}

bool statsd_next_tag(struct slice *rest, struct slice *ret_key, struct slice *ret_value)
{
    while (rest->length > 0) {
        struct slice tag = take_until(rest, ',');
        size_t colon = slice_find(tag, ':');

        if (colon > 0 && tag.length > 0) {
            *ret_key = slice_sub(tag, 0, colon);
            *ret_value = slice_sub(tag, colon + 1, tag.length);
            return true;
        }
    }
    return false;
}
