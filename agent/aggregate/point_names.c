/* Prometheus names from foreign ones: point_names.h. */
#include "aggregate/point_names.h"

#include <stdio.h>
#include <string.h>

#include "core/profiles.h"

/* UCUM as OpenTelemetry uses it, and the words of OpenMetrics; what may stand before a '/'. */
static const struct {
    const char *from;
    const char *to;
} units[] = {
    {"d", "days"},
    {"h", "hours"},
    {"min", "minutes"},
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
    {"GiBy", "gibibytes"},
    {"TiBy", "tebibytes"},
    {"KBy", "kilobytes"},
    {"MBy", "megabytes"},
    {"GBy", "gigabytes"},
    {"TBy", "terabytes"},
    {"m", "meters"},
    {"V", "volts"},
    {"A", "amperes"},
    {"J", "joules"},
    {"W", "watts"},
    {"g", "grams"},
    {"Cel", "celsius"},
    {"Hz", "hertz"},
    {"%", "percent"},
};

/* What may stand behind a '/'. */
static const struct {
    const char *from;
    const char *to;
} per_units[] = {
    {"s", "_per_second"},
    {"m", "_per_minute"},
    {"min", "_per_minute"},
    {"h", "_per_hour"},
    {"d", "_per_day"},
    {"w", "_per_week"},
    {"mo", "_per_month"},
    {"y", "_per_year"},
};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Copies what fits, a run of other characters as one '_', and a '_' before a leading digit. */
static size_t sanitise(struct slice name, bool colon, char *out, size_t room)
{
    size_t length = 0;

    if (name.length > 0 && is_digit((char)name.ptr[0]) && room > 1) {
        out[length++] = '_';
    }
    for (size_t i = 0; i < name.length && length + 1 < room; i++) {
        char c = (char)name.ptr[i];

        if (is_letter(c) || is_digit(c) || (colon && c == ':')) {
            out[length++] = c;
        } else if (length == 0 || out[length - 1] != '_') {
            out[length++] = '_';
        }
    }
    out[length] = '\0';
    return length;
}

static const char *unit_of(struct slice unit, enum metric_point_type type)
{
    if (type == METRIC_POINT_GAUGE && slice_equal(unit, SLICE_LITERAL("1"))) {
        return "ratio";
    }
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (slice_equal(unit, slice_of_string(units[i].from))) {
            return units[i].to;
        }
    }
    return "";
}

/* Of "By/s" what stands for the "/s"; "" without one that is known. *unit is cut before the '/'. */
static const char *per_unit_of(struct slice *unit)
{
    size_t at = slice_find(*unit, '/');
    struct slice per = slice_sub(*unit, at + 1, unit->length);

    *unit = slice_sub(*unit, 0, at);
    for (size_t i = 0; i < sizeof(per_units) / sizeof(per_units[0]); i++) {
        if (slice_equal(per, slice_of_string(per_units[i].from))) {
            return per_units[i].to;
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
    enum { SUFFIX_ROOM = 64 };
    const char *per = per_unit_of(&unit);
    const char *known = unit_of(unit, type);
    size_t length = sanitise(name, true, out, POINT_NAME_BYTES_MAX - SUFFIX_ROOM);

    if (type == METRIC_POINT_COUNTER && ends_with(out, length, "total")) {
        length -= strlen("_total");
        out[length] = '\0';
    }
    if (type == METRIC_POINT_BARE_COUNTER) {
        *ret_unit = ends_with(out, length, known) ? known : "";
        return;
    }
    if (*per != '\0') {
        char both[SUFFIX_ROOM];

        (void)snprintf(both, sizeof(both), "%s%s", known, per);
        const char *suffix = *known != '\0' ? both : both + 1; /* "{call}/s" is "per_second" */

        if (!ends_with(out, length, suffix)) {
            (void)snprintf(out + length, POINT_NAME_BYTES_MAX - length, "_%s", suffix);
        }
        known = "";
    } else if (*known != '\0' && !ends_with(out, length, known)) {
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

    if (strcmp(made, "le") != 0 && strncmp(made, "__", 2) != 0 && strncmp(made, "sender_", 7) != 0) {
        memmove(out, made, length + 1);
    }
}

/* The suffixes of a type's samples; the family's own name counts as taken, too. */
static const char *const *suffixes_of(enum metric_point_type type)
{
    static const char *const counter[] = {"", "_total", "_created", NULL};
    static const char *const bare[] = {"", NULL};
    static const char *const histogram[] = {"", "_bucket", "_count", "_sum", "_created", NULL};

    switch (type) {
    case METRIC_POINT_COUNTER:
        return counter;
    case METRIC_POINT_GAUGE:
    case METRIC_POINT_BARE_COUNTER:
        return bare;
    default:
        return histogram;
    }
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

bool point_name_is_of_profile(const char *name, enum metric_point_type type, uint32_t profiles)
{
    static const enum metric_point_type types[] = {[PROFILE_COUNTER] = METRIC_POINT_COUNTER,
        [PROFILE_GAUGE] = METRIC_POINT_GAUGE,
        [PROFILE_HISTOGRAM] = METRIC_POINT_EXPLICIT};

    for (int p = 0; p < PROFILE_COUNT; p++) {
        const struct profile_family *family = profile_rows[p].families;

        for (; (profiles >> p & 1) != 0 && family->name != NULL; family++) {
            if (point_names_clash(family->name, types[family->type], name, type)) {
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
