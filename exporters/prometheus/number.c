/* Decimal numbers; see number.h. */
#include "exporters/prometheus/number.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DIGITS_MAX = 17,         /* enough for every double */
    DIGITS_UNIQUE = 15,      /* two decimals of so many digits are never the same double */
    EXPONENT_MIN = -4,       /* below it, exponential notation */
    EXPONENT_BOUND_MAX = 6,  /* from it on, in bounds */
    EXPONENT_VALUE_MAX = 16, /* and in values, where whole numbers are easier to read in full */
    NANO_DIGITS = 9
};

#define WHOLE_MAX 1e15
#define NANO 1e9

/* d.ddd × 10^exponent, without trailing zeros */
struct decimal {
    char digits[DIGITS_MAX + 1];
    int count;
    int exponent;
};

static size_t copy(char *at, const char *text)
{
    size_t length = strlen(text);

    memcpy(at, text, length);
    return length;
}

size_t number_u64(char *at, uint64_t value)
{
    char digits[20];
    size_t first = sizeof digits;

    do {
        digits[--first] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    memcpy(at, digits + first, sizeof digits - first);
    return sizeof digits - first;
}

static void strip_zeros(struct decimal *decimal)
{
    while (decimal->count > 1 && decimal->digits[decimal->count - 1] == '0') {
        decimal->count--;
    }
}

/*
 * Sums and times are mostly whole nanoseconds. When n × 10^-9 reads back as the value and n has at most
 * DIGITS_UNIQUE digits, no shorter decimal does: it would be another decimal of so few digits.
 */
static bool decimal_of_nanos(double value, struct decimal *ret_decimal)
{
    if (value * NANO >= WHOLE_MAX || value * NANO < 1) {
        return false;
    }
    uint64_t nanos = (uint64_t)(value * NANO + 0.5);
    if ((double)nanos / NANO != value) {
        return false;
    }
    char digits[NUMBER_BYTES_MAX];
    size_t count = number_u64(digits, nanos);
    if (count > DIGITS_UNIQUE) {
        return false; /* rounded up to 10^15 */
    }
    memcpy(ret_decimal->digits, digits, count);
    ret_decimal->count = (int)count;
    ret_decimal->exponent = (int)count - 1 - NANO_DIGITS;
    strip_zeros(ret_decimal);
    return true;
}

/* By trying: the first precision that reads back as the value. */
static void decimal_of_any(double value, struct decimal *ret_decimal)
{
    char text[NUMBER_BYTES_MAX];
    int count = value < DBL_MIN ? 1 : DIGITS_UNIQUE; /* subnormals have fewer digits */

    do {
        (void)snprintf(text, sizeof text, "%.*e", count - 1, value);
    } while (strtod(text, NULL) != value && ++count <= DIGITS_MAX);
    const char *exponent = strchr(text, 'e');
    ret_decimal->count = 0;
    ret_decimal->digits[0] = '0';
    for (const char *at = text; at < exponent; at++) {
        if (*at >= '0' && *at <= '9') {
            ret_decimal->digits[ret_decimal->count++] = *at;
        }
    }
    ret_decimal->exponent = (int)strtol(exponent + 1, NULL, 10);
    strip_zeros(ret_decimal);
}

static size_t put_exponential(char *at, const struct decimal *decimal)
{
    size_t length = 0;
    int exponent = abs(decimal->exponent);

    at[length++] = decimal->digits[0];
    if (decimal->count > 1) {
        at[length++] = '.';
        memcpy(at + length, decimal->digits + 1, (size_t)decimal->count - 1);
        length += (size_t)decimal->count - 1;
    }
    at[length++] = 'e';
    at[length++] = decimal->exponent < 0 ? '-' : '+';
    if (exponent < 10) {
        at[length++] = '0';
    }
    return length + number_u64(at + length, (uint64_t)exponent);
}

static size_t put_plain(char *at, const struct decimal *decimal)
{
    size_t length = 0;

    if (decimal->exponent < 0) {
        length += copy(at, "0.");
        for (int zero = -1; zero > decimal->exponent; zero--) {
            at[length++] = '0';
        }
    }
    for (int i = 0; i < decimal->count || i <= decimal->exponent; i++) {
        if (i > 0 && i == decimal->exponent + 1) {
            at[length++] = '.';
        }
        at[length++] = i < decimal->count ? decimal->digits[i] : '0';
    }
    return length;
}

static size_t put_double(char *at, double value, int exponent_max)
{
    struct decimal decimal;
    size_t length = 0;

    if (isnan(value)) {
        return copy(at, "NaN");
    }
    if (isinf(value)) {
        return copy(at, value > 0 ? "+Inf" : "-Inf");
    }
    if (signbit(value)) {
        at[length++] = '-';
        value = -value;
    }
    if (value < WHOLE_MAX && value == (double)(uint64_t)value &&
        (exponent_max > EXPONENT_BOUND_MAX || value < 1e6)) {
        return length + number_u64(at + length, (uint64_t)value);
    }
    if (!decimal_of_nanos(value, &decimal)) {
        decimal_of_any(value, &decimal);
    }
    if (decimal.exponent < EXPONENT_MIN || decimal.exponent >= exponent_max) {
        return length + put_exponential(at + length, &decimal);
    }
    return length + put_plain(at + length, &decimal);
}

size_t number_double(char *at, double value)
{
    return put_double(at, value, EXPONENT_VALUE_MAX);
}

size_t number_bound(char *at, double value)
{
    return put_double(at, value, EXPONENT_BOUND_MAX);
}

size_t number_bound_canonical(char *at, double value)
{
    size_t length = number_bound(at, value);

    for (size_t i = 0; i < length; i++) {
        if (at[i] == '.' || at[i] == 'e' || at[i] == 'N' || at[i] == 'I') {
            return length;
        }
    }
    return length + copy(at + length, ".0");
}

size_t number_seconds(char *at, uint64_t time_ns)
{
    size_t length = number_u64(at, time_ns / 1000000000U);
    uint64_t rest_ns = time_ns % 1000000000U;

    if (rest_ns == 0) {
        return length;
    }
    at[length] = '.';
    for (size_t i = NANO_DIGITS; i > 0; i--) {
        at[length + i] = (char)('0' + rest_ns % 10);
        rest_ns /= 10;
    }
    length += NANO_DIGITS;
    while (at[length] == '0') {
        length--;
    }
    return length + 1;
}
