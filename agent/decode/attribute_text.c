/* Attribute values as text: attribute_text.h. */
#include "decode/attribute_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct text_out {
    char *at;
    size_t room;
    int error;
};

static void put(struct text_out *out, const void *bytes, size_t length)
{
    if (out->error < 0) {
        return;
    }
    if (length > out->room) {
        out->error = WERR_OVERSIZED;
        return;
    }
    if (length > 0) {
        memcpy(out->at, bytes, length);
        out->at += length;
        out->room -= length;
    }
}

static void put_literal(struct text_out *out, const char *text)
{
    put(out, text, strlen(text));
}

static void put_integer(struct text_out *out, int64_t value)
{
    char digits[24];

    put(out, digits, (size_t)snprintf(digits, sizeof digits, "%lld", (long long)value));
}

/* The shortest of 15 to 17 digits that reads back as the same number. */
static void put_double(struct text_out *out, double value)
{
    char digits[40];
    int length = 0;

    if (!isfinite(value)) {
        put_literal(out, isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity");
        return;
    }
    for (int precision = 15; precision <= 17; precision++) {
        length = snprintf(digits, sizeof digits, "%.*g", precision, value);
        if (strtod(digits, NULL) == value) {
            break;
        }
    }
    put(out, digits, (size_t)length);
}

static void put_base64(struct text_out *out, struct slice bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < bytes.length && out->error == 0; i += 3) {
        size_t left = bytes.length - i;
        uint32_t word = (uint32_t)bytes.ptr[i] << 16 | (left > 1 ? (uint32_t)bytes.ptr[i + 1] << 8 : 0) |
                        (left > 2 ? bytes.ptr[i + 2] : 0u);
        char group[4] = {digits[word >> 18], digits[word >> 12 & 63], left > 1 ? digits[word >> 6 & 63] : '=',
            left > 2 ? digits[word & 63] : '='};
        put(out, group, sizeof group);
    }
}

static void put_quoted(struct text_out *out, struct slice text)
{
    put_literal(out, "\"");
    for (size_t i = 0; i < text.length && out->error == 0; i++) {
        uint8_t c = text.ptr[i];
        char escaped[8];

        if (c == '"' || c == '\\') {
            put_literal(out, "\\");
            put(out, &text.ptr[i], 1);
        } else if (c < 0x20) {
            put(out, escaped, (size_t)snprintf(escaped, sizeof escaped, "\\u%04x", c));
        } else {
            put(out, &text.ptr[i], 1);
        }
    }
    put_literal(out, "\"");
}

static int put_json(struct text_out *out, const struct attribute_value *value, uint32_t depth_left);

static void put_double_bits(struct text_out *out, int64_t bits)
{
    double value;

    memcpy(&value, &bits, sizeof value);
    put_double(out, value);
}

/* ArrayValue { repeated AnyValue values = 1 }, KeyValueList { repeated KeyValue values = 1 } */
static int put_list(struct text_out *out, const struct attribute_value *list, uint32_t depth_left)
{
    struct wire_reader reader;
    struct wire_field field;
    struct attribute attribute = {.key = {.ptr = NULL, .length = 0}};
    bool is_map = list->type == ATTRIBUTE_MAP;
    bool is_first = true;
    int status = wire_open(list->text, depth_left, &reader);

    if (status < 0) {
        return status;
    }
    put_literal(out, is_map ? "{" : "[");
    while ((status = wire_next(&reader, &field)) > 0) {
        if (field.tag != WIRE_TAG(1, WIRE_BYTES)) {
            continue;
        }
        status = is_map ? attribute_parse(field.bytes, &attribute)
                        : attribute_value_parse(field.bytes, &attribute.value);
        if (status < 0) {
            return status;
        }
        put_literal(out, is_first ? "" : ",");
        is_first = false;
        if (is_map) {
            put_quoted(out, attribute.key);
            put_literal(out, ":");
        }
        status = put_json(out, &attribute.value, depth_left - 1);
        if (status < 0) {
            return status;
        }
    }
    put_literal(out, is_map ? "}" : "]");
    return status < 0 ? status : out->error;
}

static bool is_boolean(const struct attribute_value *value)
{
    return value->number == 2; /* AnyValue.bool_value */
}

static int put_json(struct text_out *out, const struct attribute_value *value, uint32_t depth_left)
{
    switch (value->type) {
    case ATTRIBUTE_NONE:
        put_literal(out, "null");
        break;
    case ATTRIBUTE_TEXT:
        put_quoted(out, value->text);
        break;
    case ATTRIBUTE_INTEGER:
        if (is_boolean(value)) {
            put_literal(out, value->integer != 0 ? "true" : "false");
        } else {
            put_integer(out, value->integer);
        }
        break;
    case ATTRIBUTE_DOUBLE:
        put_double_bits(out, value->integer);
        break;
    case ATTRIBUTE_BYTES:
        put_literal(out, "\"");
        put_base64(out, value->text);
        put_literal(out, "\"");
        break;
    case ATTRIBUTE_ARRAY:
    case ATTRIBUTE_MAP:
    default:
        return put_list(out, value, depth_left);
    }
    return out->error;
}

int attribute_text(const struct attribute_value *value, uint32_t depth_left, char *out, size_t out_bytes,
    size_t *used, struct slice *ret_text)
{
    struct text_out text = {.at = out + *used, .room = out_bytes - *used};
    const char *begin = text.at;
    int error = 0;

    if (value->type == ATTRIBUTE_TEXT || value->type == ATTRIBUTE_NONE) {
        *ret_text = value->type == ATTRIBUTE_TEXT ? value->text : slice_of(NULL, 0);
        return 0;
    }
    if (value->type == ATTRIBUTE_BYTES) {
        put_base64(&text, value->text);
        error = text.error;
    } else {
        error = put_json(&text, value, depth_left);
    }
    if (error < 0) {
        return error;
    }
    *ret_text = slice_of(begin, (size_t)(text.at - begin));
    *used += ret_text->length;
    return 0;
}
