/* The table of span_fields.h. One thread. */
#include "cli/span_fields.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum field_kind { FIELD_STRING, FIELD_NUMBER, FIELD_NAME, FIELD_HEX, FIELD_DURATION, FIELD_GRPC_STATUS };

struct field {
    const char *name;
    enum field_kind kind;
    size_t offset; /* in struct weft_span */
    size_t bytes;
    const char *const *names; /* FIELD_NAME: index is the value; NULL-terminated */
};

static const char *const reporter_names[] = {"", "source", "destination", "waypoint", NULL};
static const char *const protocol_names[] = {"", "http1", "http2", "http3", "grpc", "tcp", NULL};

#define FIELD_OF(text, field_kind, member, value_names)                                                      \
    {                                                                                                        \
        .name = (text), .kind = (field_kind), .offset = offsetof(struct weft_span, member),                  \
        .bytes = sizeof(((struct weft_span *)NULL)->member), .names = (value_names)                          \
    }

static const struct field fields[] = {
    FIELD_OF("reporter", FIELD_NAME, reporter, reporter_names),
    FIELD_OF("source", FIELD_STRING, source, NULL),
    FIELD_OF("source_namespace", FIELD_STRING, source_namespace, NULL),
    FIELD_OF("destination", FIELD_STRING, destination, NULL),
    FIELD_OF("destination_namespace", FIELD_STRING, destination_namespace, NULL),
    FIELD_OF("route", FIELD_STRING, route, NULL),
    FIELD_OF("method", FIELD_STRING, method, NULL),
    FIELD_OF("protocol", FIELD_NAME, protocol, protocol_names),
    FIELD_OF("code", FIELD_NUMBER, response_code, NULL),
    FIELD_OF("grpc_status", FIELD_GRPC_STATUS, grpc_status, NULL),
    FIELD_OF("attempts", FIELD_NUMBER, attempts, NULL),
    FIELD_OF("request_bytes", FIELD_NUMBER, request_bytes, NULL),
    FIELD_OF("response_bytes", FIELD_NUMBER, response_bytes, NULL),
    FIELD_OF("duration", FIELD_DURATION, duration_ns, NULL),
    FIELD_OF("start_unix_ns", FIELD_NUMBER, start_time_unix_ns, NULL),
    FIELD_OF("flags", FIELD_NUMBER, response_flags, NULL),
    FIELD_OF("trace_id", FIELD_HEX, trace_id, NULL),
    FIELD_OF("span_id", FIELD_HEX, span_id, NULL),
    FIELD_OF("parent_id", FIELD_HEX, parent_id, NULL),
};

static const struct field *find_field(const char *name)
{
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (strcmp(fields[i].name, name) == 0) {
            return &fields[i];
        }
    }
    return NULL;
}

bool span_field_exists(const char *name)
{
    return find_field(name) != NULL;
}

/* A whole number that fits into `bytes` bytes. */
static bool parse_number(const char *text, size_t bytes, uint64_t *ret_value)
{
    char *end;

    errno = 0;
    uint64_t value = strtoull(text, &end, 0);
    if (end == text || *end != '\0' || errno != 0 || text[0] == '-' ||
        (bytes < 8 && value >> (8 * bytes) != 0)) {
        return false;
    }
    *ret_value = value;
    return true;
}

#define DURATION_NS_MAX 1e18 /* some thirty years; what is larger is a mistake, and may not fit */

bool parse_duration(const char *text, uint64_t *ret_ns)
{
    static const struct {
        const char *suffix;
        double ns;
    } units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"", 1e9}};
    char *end;
    double value = strtod(text, &end);

    if (end == text || !(value >= 0)) {
        return false;
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(end, units[i].suffix) == 0 && value * units[i].ns <= DURATION_NS_MAX) {
            *ret_ns = (uint64_t)llround(value * units[i].ns);
            return true;
        }
    }
    return false;
}

static int hex_digit(char digit)
{
    const char *digits = "0123456789abcdef";
    const char *at = digit != '\0' ? strchr(digits, digit | 0x20) : NULL;

    return at != NULL ? (int)(at - digits) : -1;
}

static bool parse_hex(const char *text, uint8_t *to, size_t bytes)
{
    uint8_t parsed[16];

    if (strlen(text) != 2 * bytes || bytes > sizeof parsed) {
        return false;
    }
    for (size_t i = 0; i < bytes; i++) {
        int high = hex_digit(text[2 * i]);
        int low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        parsed[i] = (uint8_t)(high * 16 + low);
    }
    memcpy(to, parsed, bytes);
    return true;
}

static bool parse_name(const char *text, const char *const *names, uint64_t *ret_value)
{
    for (uint64_t value = 0; names[value] != NULL; value++) {
        if (strcmp(names[value], text) == 0) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

/* The number that goes into the field; false when the text does not fit. */
static bool parse_value(
    struct weft_client *client, const struct field *field, const char *text, uint64_t *ret_value)
{
    switch (field->kind) {
    case FIELD_STRING:
        *ret_value = weft_intern(client, text, strlen(text));
        return *ret_value != 0 || text[0] == '\0';
    case FIELD_NAME:
        return parse_name(text, field->names, ret_value);
    case FIELD_DURATION:
        return parse_duration(text, ret_value);
    case FIELD_GRPC_STATUS:
        if (!parse_number(text, 1, ret_value) || *ret_value > 16) {
            return false;
        }
        ++*ret_value;
        return true;
    default:
        return parse_number(text, field->bytes, ret_value);
    }
}

int span_field_set(struct weft_client *client, struct span_draft *draft, const char *name, const char *text)
{
    const struct field *field = find_field(name);
    uint64_t value;

    if (field == NULL) {
        return WEFT_ERROR_FULL;
    }
    uint8_t *to = (uint8_t *)&draft->span + field->offset;
    if (field->kind == FIELD_HEX) {
        if (!parse_hex(text, to, field->bytes)) {
            return WEFT_ERROR_INVALID;
        }
        draft->has_trace_id = draft->has_trace_id || strcmp(name, "trace_id") == 0;
        draft->has_span_id = draft->has_span_id || strcmp(name, "span_id") == 0;
        return 0;
    }
    if (!parse_value(client, field, text, &value)) {
        return WEFT_ERROR_INVALID;
    }
    memcpy(to, &value, field->bytes); /* little-endian, as all of Debian's main machines are */
    return 0;
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "span_field_set copies the low bytes");

/* A field in quotes, from behind the first one: unquoted in place. Returns behind the closing quote, NULL
 * without one. */
static char *cut_quoted(char *from)
{
    char *to = from;

    while (*from != '\0') {
        if (from[0] == '"' && from[1] == '"') {
            from++;
        } else if (from[0] == '"') {
            *to = '\0';
            return from + 1;
        }
        *to++ = *from++;
    }
    return NULL;
}

int csv_cut(char *line, char *ret_fields[static SPAN_COLUMNS_MAX])
{
    int count = 0;

    for (;;) {
        if (count == SPAN_COLUMNS_MAX) {
            return WEFT_ERROR_INVALID;
        }
        if (*line == '"') {
            ret_fields[count++] = line + 1;
            line = cut_quoted(line + 1);
            if (line == NULL || (*line != ',' && *line != '\0')) {
                return WEFT_ERROR_INVALID;
            }
        } else {
            ret_fields[count++] = line;
            line += strcspn(line, ",");
        }
        if (*line == '\0') {
            return count;
        }
        *line++ = '\0';
    }
}

/* A member's value as the text that span_field_set takes; NULL for arrays, objects and null. */
static const char *json_text(const json_t *value, char *number, size_t number_bytes)
{
    if (json_is_string(value)) {
        return json_string_value(value);
    }
    if (json_is_integer(value)) {
        snprintf(number, number_bytes, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        return number;
    }
    if (json_is_real(value)) {
        snprintf(number, number_bytes, "%.17g", json_real_value(value));
        return number;
    }
    return NULL;
}

int span_from_json(
    struct weft_client *client, struct span_draft *draft, const char *line, char *why, size_t why_bytes)
{
    json_error_t json_error;
    json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, &json_error);
    const char *name;
    json_t *value;
    char number[40];
    int error = 0;

    if (!json_is_object(object)) {
        snprintf(why, why_bytes, "%s", object == NULL ? json_error.text : "not an object");
        json_decref(object);
        return WEFT_ERROR_INVALID;
    }
    json_object_foreach(object, name, value)
    {
        const char *text = json_text(value, number, sizeof number);
        if (text == NULL || span_field_set(client, draft, name, text) != 0) {
            snprintf(why, why_bytes,
                span_field_exists(name) ? "value of \"%s\" does not fit" : "no field \"%s\"", name);
            error = WEFT_ERROR_INVALID;
            break;
        }
    }
    json_decref(object);
    return error;
}
