/* Prometheus names from foreign ones: point_names.h. */
#include "aggregate/point_names.h"

#include <stdio.h>
#include <string.h>

/* UCUM as OpenTelemetry uses it, and the words of OpenMetrics. */
static const struct {
    const char *from;
    const char *to;
} units[] = {
    {"s", "seconds"},
    {"seconds", "seconds"},
    {"ms", "milliseconds"},
    {"milliseconds", "milliseconds"},
    {"us", "microseconds"},
    {"microseconds", "microseconds"},
    {"ns", "nanoseconds"},
    {"nanoseconds", "nanoseconds"},
    {"By", "bytes"},
    {"bytes", "bytes"},
    {"KiBy", "kibibytes"},
    {"MiBy", "mebibytes"},
    {"%", "percent"},
};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Copies what fits, other characters as '_', and a '_' before a leading digit. */
static size_t sanitise(struct slice name, bool colon, char *out, size_t room)
{
    size_t length = 0;

    if (name.length > 0 && is_digit((char)name.ptr[0]) && room > 1) {
        out[length++] = '_';
    }
    for (size_t i = 0; i < name.length && length + 1 < room; i++) {
        char c = (char)name.ptr[i];

        out[length++] = is_letter(c) || is_digit(c) || (colon && c == ':') ? c : '_';
    }
    out[length] = '\0';
    return length;
}

static const char *unit_of(struct slice unit)
{
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (slice_equal(unit, slice_of_string(units[i].from))) {
            return units[i].to;
        }
    }
    return "";
}

static bool ends_with(const char *text, size_t length, const char *suffix)
{
    size_t suffix_length = strlen(suffix);

    return length > suffix_length + 1 && text[length - suffix_length - 1] == '_' &&
           memcmp(text + length - suffix_length, suffix, suffix_length) == 0;
}

void point_family_name(struct slice name, struct slice unit, enum metric_point_type type,
    char out[POINT_NAME_BYTES_MAX], const char **ret_unit)
{
    enum { SUFFIX_ROOM = 32 };
    const char *known = unit_of(unit);
    size_t length = sanitise(name, true, out, POINT_NAME_BYTES_MAX - SUFFIX_ROOM);

    if (type == METRIC_POINT_COUNTER && ends_with(out, length, "total")) {
        length -= strlen("_total");
        out[length] = '\0';
    }
    if (*known != '\0' && !ends_with(out, length, known)) {
        (void)snprintf(out + length, POINT_NAME_BYTES_MAX - length, "_%s", known);
    }
    *ret_unit = known;
}

void point_label_name(struct slice name, char out[POINT_NAME_BYTES_MAX])
{
    static const char prefix[] = "exported_";
    enum { PREFIX_LENGTH = sizeof(prefix) - 1 };

    memcpy(out, prefix, PREFIX_LENGTH);
    size_t length = sanitise(name, false, out + PREFIX_LENGTH, POINT_NAME_BYTES_MAX - PREFIX_LENGTH);
    const char *made = out + PREFIX_LENGTH;

    if (strcmp(made, "le") != 0 && strcmp(made, "quantile") != 0 && strncmp(made, "__", 2) != 0 &&
        strncmp(made, "sender_", 7) != 0) {
        memmove(out, made, length + 1);
    }
}

/* The suffixes of a type's samples; the family's own name counts as taken, too. */
static const char *const *suffixes_of(enum metric_point_type type)
{
    static const char *const counter[] = {"", "_total", "_created", NULL};
    static const char *const gauge[] = {"", NULL};
    static const char *const histogram[] = {"", "_bucket", "_count", "_sum", "_created", NULL};

    return type == METRIC_POINT_COUNTER ? counter : type == METRIC_POINT_GAUGE ? gauge : histogram;
}

static bool same_joined(const char *a, const char *a_suffix, const char *b, const char *b_suffix)
{
    size_t a_length = strlen(a);
    size_t b_length = strlen(b);

    if (a_length > b_length) {
        return same_joined(b, b_suffix, a, a_suffix);
    }
    size_t rest = b_length - a_length;

    return strncmp(a, b, a_length) == 0 && strncmp(b + a_length, a_suffix, rest) == 0 &&
           strlen(a_suffix) >= rest && strcmp(a_suffix + rest, b_suffix) == 0;
}

bool point_names_clash(
    const char *a, enum metric_point_type a_type, const char *b, enum metric_point_type b_type)
{
    for (const char *const *i = suffixes_of(a_type); *i != NULL; i++) {
        for (const char *const *j = suffixes_of(b_type); *j != NULL; j++) {
            if (same_joined(a, *i, b, *j)) {
                return true;
            }
        }
    }
    return false;
}

bool point_name_is_reserved(const char *name)
{
    return strncmp(name, "mesh_", 5) == 0 || strncmp(name, "weft_", 5) == 0 ||
           strncmp(name, "target", 6) == 0;
}
