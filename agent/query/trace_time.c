/* Durations, times and ids as texts; see trace_query.h. */
#include <stdio.h>

#include "core/error.h"
#include "query/trace_query.h"

enum { NS_PER_S = 1000000000, FRACTION_DIGITS_MAX = 9, UNIX_DAYS_PER_ERA = 146097, HEX_DIGITS_MAX = 32 };

struct unit {
    struct slice name;
    uint64_t ns;
};

static const struct unit units[] = {
    {SLICE_LITERAL("ns"), 1},
    {SLICE_LITERAL("us"), 1000},
    {SLICE_LITERAL("\xc2\xb5s"), 1000}, /* micro sign */
    {SLICE_LITERAL("\xce\xbcs"), 1000}, /* Greek mu */
    {SLICE_LITERAL("ms"), 1000000},
    {SLICE_LITERAL("s"), NS_PER_S},
    {SLICE_LITERAL("m"), 60ull * NS_PER_S},
    {SLICE_LITERAL("h"), 3600ull * NS_PER_S},
};

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

/* Digits from *at on, as long as the number fits 63 bits; false when it does not. */
static bool read_digits(struct slice text, size_t *at, uint64_t *number)
{
    for (; *at < text.length && is_digit(text.ptr[*at]); (*at)++) {
        uint64_t digit = (uint64_t)(text.ptr[*at] - '0');
        if (*number > (INT64_MAX - digit) / 10) {
            return false;
        }
        *number = *number * 10 + digit;
    }
    return true;
}

/* The unit from *at up to the next digit or point; 0 ns: there is none of that name. */
static uint64_t read_unit(struct slice text, size_t *at, struct slice *name)
{
    size_t from = *at;

    while (*at < text.length && !is_digit(text.ptr[*at]) && text.ptr[*at] != '.') {
        (*at)++;
    }
    *name = slice_sub(text, from, *at);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (slice_equal(units[i].name, *name)) {
            return units[i].ns;
        }
    }
    return 0;
}

/* `.5` of a unit; digits beyond what a nanosecond of any unit needs are passed over. */
static uint64_t read_fraction(struct slice text, size_t *at, uint64_t *scale)
{
    uint64_t fraction = 0;

    *scale = 1;
    for (; *at < text.length && is_digit(text.ptr[*at]); (*at)++) {
        if (*scale < 1000000000000ull) {
            fraction = fraction * 10 + (uint64_t)(text.ptr[*at] - '0');
            *scale *= 10;
        }
    }
    return fraction;
}

static int say(char *message, size_t message_bytes, const char *what, struct slice text)
{
    (void)snprintf(message, message_bytes, "time: %s \"%.*s\"", what,
        text.length < 64 ? (int)text.length : 64, (const char *)text.ptr);
    return WERR_INVALID;
}

static int say_of_unit(char *message, size_t message_bytes, struct slice unit, struct slice text)
{
    int length = text.length < 64 ? (int)text.length : 64;

    if (unit.length == 0) {
        return say(message, message_bytes, "missing unit in duration", text);
    }
    (void)snprintf(message, message_bytes, "time: unknown unit \"%.*s\" in duration \"%.*s\"",
        unit.length < 64 ? (int)unit.length : 64, (const char *)unit.ptr, length, (const char *)text.ptr);
    return WERR_INVALID;
}

int trace_parse_duration(struct slice text, uint64_t *ret_ns, char *message, size_t message_bytes)
{
    uint64_t total = 0;
    size_t at = text.length > 0 && text.ptr[0] == '+' ? 1 : 0;

    if (slice_equal(slice_sub(text, at, text.length), SLICE_LITERAL("0"))) {
        *ret_ns = 0;
        return 0;
    }
    if (at == text.length) {
        return say(message, message_bytes, "invalid duration", text);
    }
    while (at < text.length) {
        uint64_t number = 0;
        uint64_t fraction = 0;
        uint64_t scale = 1;
        struct slice unit;
        size_t from = at;

        bool fits = read_digits(text, &at, &number);
        size_t digits = at - from;
        if (at < text.length && text.ptr[at] == '.') {
            at++;
            from = at;
            fraction = read_fraction(text, &at, &scale);
            digits += at - from;
        }
        if (!fits || digits == 0) {
            return say(message, message_bytes, "invalid duration", text);
        }
        uint64_t unit_ns = read_unit(text, &at, &unit);
        if (unit_ns == 0) {
            return say_of_unit(message, message_bytes, unit, text);
        }
        uint64_t part = (uint64_t)((__uint128_t)fraction * unit_ns / scale);
        if (number > (INT64_MAX - part) / unit_ns || number * unit_ns + part > INT64_MAX - total) {
            return say(message, message_bytes, "invalid duration", text);
        }
        total += number * unit_ns + part;
    }
    *ret_ns = total;
    return 0;
}

/* Exactly `count` digits. */
static bool take_digits(struct slice *text, size_t count, unsigned *ret_number)
{
    unsigned number = 0;

    if (text->length < count) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!is_digit(text->ptr[i])) {
            return false;
        }
        number = number * 10 + (unsigned)(text->ptr[i] - '0');
    }
    *ret_number = number;
    *text = slice_sub(*text, count, text->length);
    return true;
}

static bool take_byte(struct slice *text, char byte)
{
    if (text->length == 0 || text->ptr[0] != (uint8_t)byte) {
        return false;
    }
    *text = slice_sub(*text, 1, text->length);
    return true;
}

static bool take_fraction(struct slice *text, uint64_t *ret_ns)
{
    uint64_t scale = NS_PER_S;
    size_t at = 0;

    *ret_ns = 0;
    if (!take_byte(text, '.')) {
        return true;
    }
    for (; at < text->length && is_digit(text->ptr[at]); at++) {
        scale /= 10; /* 0 behind the ninth digit */
        *ret_ns += scale * (uint64_t)(text->ptr[at] - '0');
    }
    *text = slice_sub(*text, at, text->length);
    return at > 0;
}

/* `Z`, or how far ahead of UTC. */
static bool take_zone(struct slice *text, int64_t *ret_offset_s)
{
    unsigned hours;
    unsigned minutes;

    *ret_offset_s = 0;
    if (take_byte(text, 'Z')) {
        return true;
    }
    bool is_behind = text->length > 0 && text->ptr[0] == '-';
    if ((!take_byte(text, '+') && !take_byte(text, '-')) || !take_digits(text, 2, &hours) ||
        !take_byte(text, ':') || !take_digits(text, 2, &minutes) || hours > 23 || minutes > 59) {
        return false;
    }
    *ret_offset_s = (is_behind ? -1 : 1) * (int64_t)(hours * 3600 + minutes * 60);
    return true;
}

static unsigned days_of_month(unsigned year, unsigned month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return month == 2 && is_leap ? 29 : days[month - 1];
}

/* Days since 1970 in the proleptic Gregorian calendar: years begin in March, so that the leap day is last. */
static int64_t days_of(unsigned year, unsigned month, unsigned day)
{
    int64_t shifted = (int64_t)year - (month <= 2 ? 1 : 0);
    int64_t era = (shifted >= 0 ? shifted : shifted - 399) / 400;
    int64_t year_of_era = shifted - era * 400;
    int64_t day_of_year = (153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + (int64_t)day - 1;

    return era * UNIX_DAYS_PER_ERA + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           719468;
}

int trace_parse_rfc3339(struct slice text, uint64_t *ret_unix_ns)
{
    unsigned year;
    unsigned month;
    unsigned day;
    unsigned hour;
    unsigned minute;
    unsigned second;
    uint64_t fraction_ns;
    int64_t offset_s;

    if (!take_digits(&text, 4, &year) || !take_byte(&text, '-') || !take_digits(&text, 2, &month) ||
        !take_byte(&text, '-') || !take_digits(&text, 2, &day) ||
        (!take_byte(&text, 'T') && !take_byte(&text, 't')) || !take_digits(&text, 2, &hour) ||
        !take_byte(&text, ':') || !take_digits(&text, 2, &minute) || !take_byte(&text, ':') ||
        !take_digits(&text, 2, &second) || !take_fraction(&text, &fraction_ns) ||
        !take_zone(&text, &offset_s) || text.length > 0) {
        return WERR_INVALID;
    }
    if (month < 1 || month > 12 || day < 1 || day > days_of_month(year, month) || hour > 23 || minute > 59 ||
        second > 60) {
        return WERR_INVALID;
    }
    int64_t unix_s =
        days_of(year, month, day) * 86400 + (int64_t)(hour * 3600 + minute * 60 + second) - offset_s;
    if (unix_s > INT64_MAX / NS_PER_S - 1) {
        return WERR_INVALID;
    }
    *ret_unix_ns = unix_s < 0 ? 0 : (uint64_t)unix_s * NS_PER_S + fraction_ns;
    return 0;
}

int trace_parse_id(struct slice text, uint8_t trace_id[static TRACE_MODEL_ID_BYTES])
{
    uint8_t id[TRACE_MODEL_ID_BYTES] = {0};
    uint8_t any = 0;

    if (text.length == 0 || text.length > HEX_DIGITS_MAX) {
        return WERR_INVALID;
    }
    for (size_t i = 0; i < text.length; i++) {
        uint8_t byte = text.ptr[text.length - 1 - i];
        uint8_t digit = is_digit(byte)               ? (uint8_t)(byte - '0')
                        : byte >= 'a' && byte <= 'f' ? (uint8_t)(byte - 'a' + 10)
                        : byte >= 'A' && byte <= 'F' ? (uint8_t)(byte - 'A' + 10)
                                                     : UINT8_MAX;
        if (digit == UINT8_MAX) {
            return WERR_INVALID;
        }
        id[TRACE_MODEL_ID_BYTES - 1 - i / 2] |= (uint8_t)(digit << (i % 2 == 0 ? 0 : 4));
        any |= digit;
    }
    if (any == 0) {
        return WERR_INVALID;
    }
    memcpy(trace_id, id, sizeof id);
    return 0;
}
