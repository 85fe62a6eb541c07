/* The conversions of value.h. Main thread, at start. */
#include "config/value.h"

#include <string.h>

#include "core/error.h"

#define DAY_NS 86400000000000ull

const char *value_variable(const char *const *environment, const char *name, size_t name_length)
{
    for (; environment != NULL && *environment != NULL; environment++) {
        if (strncmp(*environment, name, name_length) == 0 && (*environment)[name_length] == '=') {
            return *environment + name_length + 1;
        }
    }
    return NULL;
}

static bool is_name(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        char byte = text[i];
        bool is_letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_';
        if (!is_letter && !(i > 0 && byte >= '0' && byte <= '9')) {
            return false;
        }
    }
    return length > 0;
}

/* What `text`, from "${" on, stands for. *ret_inside is what stands between the braces, also on failure. */
static int expand_reference(
    const char *text, const char *const *environment, struct slice *ret_value, struct slice *ret_inside)
{
    const char *name = text + 2;
    size_t inside_length = strcspn(name, "}");
    size_t name_length = strcspn(name, ":}");

    *ret_inside = slice_of(name, inside_length);
    if (name[inside_length] == '\0' || !is_name(name, name_length)) {
        return WERR_INVALID;
    }
    bool has_default = name_length < inside_length;
    if (has_default && strncmp(name + name_length, ":-", 2) != 0) {
        return WERR_INVALID;
    }
    const char *value = value_variable(environment, name, name_length);
    if (has_default && (value == NULL || value[0] == '\0')) {
        *ret_value = slice_sub(*ret_inside, name_length + 2, inside_length);
        return 0;
    }
    if (value == NULL) {
        return WERR_NOT_FOUND;
    }
    *ret_value = slice_of_string(value);
    return 0;
}

/* Writes into `out` when it is not NULL; *ret_length is what it takes, without a NUL. */
static int expand_into(
    const char *text, const char *const *environment, char *out, size_t *ret_length, struct slice *ret_fault)
{
    size_t length = 0;

    while (*text != '\0') {
        struct slice piece = slice_of(text, 1);
        size_t consumed = 1;
        if (text[0] == '$' && text[1] == '$') {
            consumed = 2;
        } else if (text[0] == '$' && text[1] == '{') {
            struct slice inside;
            int status = expand_reference(text, environment, &piece, &inside);
            if (status < 0) {
                *ret_fault = inside;
                return status;
            }
            consumed = inside.length + 3;
        }
        if (out != NULL && piece.length > 0) {
            memcpy(out + length, piece.ptr, piece.length);
        }
        length += piece.length;
        text += consumed;
    }
    *ret_length = length;
    return 0;
}

int value_expand(const char *text, const char *const *environment, struct arena *arena, const char **ret_text,
    struct slice *ret_fault)
{
    size_t length;
    int status = expand_into(text, environment, NULL, &length, ret_fault);

    if (status < 0) {
        return status;
    }
    char *out = arena_alloc(arena, length + 1);
    if (out == NULL) {
        return WERR_NOMEM;
    }
    (void)expand_into(text, environment, out, &length, ret_fault);
    out[length] = '\0';
    *ret_text = out;
    return 0;
}

/* Digits of base 8 or 10 up to the end of the text, at most `largest`. */
static int parse_digits(const char *text, unsigned base, uint64_t largest, uint64_t *ret_value)
{
    uint64_t value = 0;

    if (*text == '\0') {
        return WERR_INVALID;
    }
    for (; *text != '\0'; text++) {
        if (*text < '0' || (unsigned)(*text - '0') >= base) {
            return WERR_INVALID;
        }
        unsigned digit = (unsigned)(*text - '0');
        if (digit > largest || value > (largest - digit) / base) {
            return WERR_INVALID;
        }
        value = value * base + digit;
    }
    *ret_value = value;
    return 0;
}

int value_unsigned(const char *text, uint64_t smallest, uint64_t largest, uint64_t *ret_value)
{
    uint64_t value;
    int status = parse_digits(text, 10, largest, &value);

    if (status < 0 || value < smallest) {
        return WERR_INVALID;
    }
    *ret_value = value;
    return 0;
}

int value_signed(const char *text, int64_t smallest, int64_t largest, int64_t *ret_value)
{
    bool is_negative = text[0] == '-';
    uint64_t magnitude;

    if (parse_digits(is_negative ? text + 1 : text, 10, INT64_MAX, &magnitude) < 0) {
        return WERR_INVALID;
    }
    int64_t value = is_negative ? -(int64_t)magnitude : (int64_t)magnitude;
    if (value < smallest || value > largest) {
        return WERR_INVALID;
    }
    *ret_value = value;
    return 0;
}

int value_mode(const char *text, uint32_t *ret_mode)
{
    uint64_t mode;

    if (text[0] == '0' && text[1] == 'o') {
        text += 2;
    }
    if (parse_digits(text, 8, 0777, &mode) < 0) {
        return WERR_INVALID;
    }
    *ret_mode = (uint32_t)mode;
    return 0;
}

int value_bool(const char *text, bool *ret_value)
{
    static const char *const names[] = {"false", "true", "no", "yes", "off", "on", NULL};
    int index;

    if (value_choice(text, names, &index) < 0) {
        return WERR_INVALID;
    }
    *ret_value = index % 2 == 1;
    return 0;
}

int value_milliseconds(const char *text, uint64_t *ret_ns)
{
    uint64_t ns = 0;
    uint64_t unit_ns = 1000000; /* worth of the digit before the point */
    bool has_point = false;
    bool has_digit = false;

    for (; *text != '\0'; text++) {
        if (*text == '.' && !has_point) {
            has_point = true;
            continue;
        }
        if (*text < '0' || *text > '9' || (has_point && unit_ns == 1)) {
            return WERR_INVALID;
        }
        uint64_t digit = (uint64_t)(*text - '0');
        has_digit = true;
        if (has_point) {
            unit_ns /= 10;
            ns += digit * unit_ns;
        } else {
            ns = ns * 10 + digit * unit_ns;
        }
        if (ns > DAY_NS) {
            return WERR_INVALID;
        }
    }
    if (!has_digit || ns == 0) {
        return WERR_INVALID;
    }
    *ret_ns = ns;
    return 0;
}

int value_fraction(const char *text, uint64_t *ret_parts)
{
    const uint64_t one = 1000000000;
    uint64_t unit = one;

    if (text[0] != '0' && text[0] != '1') {
        return WERR_INVALID;
    }
    uint64_t parts = (uint64_t)(text[0] - '0') * one;
    if (text[1] != '\0' && (text[1] != '.' || text[2] == '\0')) {
        return WERR_INVALID;
    }
    for (text += text[1] == '.' ? 2 : 1; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || unit == 1) {
            return WERR_INVALID;
        }
        unit /= 10;
        parts += (uint64_t)(*text - '0') * unit;
    }
    if (parts > one) {
        return WERR_INVALID;
    }
    *ret_parts = parts;
    return 0;
}

int value_choice(const char *text, const char *const *choices, int *ret_index)
{
    for (int i = 0; choices[i] != NULL; i++) {
        if (strcmp(choices[i], text) == 0) {
            *ret_index = i;
            return 0;
        }
    }
    return WERR_INVALID;
}
