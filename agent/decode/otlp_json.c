/* OTLP/JSON to OTLP; see otlp_json.h. One pass; as deep as the reader's limit lets it. */
#include "decode/otlp_json.h"

#include <math.h>

#include "core/error.h"
#include "decode/json_otlp.h"
#include "decode/otlp_json_schema.h"

enum { ID_BYTES_MAX = 16, MESSAGE_BYTES_EXPECTED = 200, HEX_DIGITS_OF_BYTE = 2, NO_ID = 0xff };

struct transcoder {
    struct json_reader reader;
    struct buffer *out;
    const char *field; /* being written, for errors */
};

/* ---- scalars ---- */

static bool is_number(const struct json_value *value)
{
    return value->type == JSON_NUMBER || value->type == JSON_STRING;
}

/* Hex to bytes; empty stays absent, and what is no hex of whole bytes becomes a byte that is no id. */
static void write_id(struct buffer *out, uint32_t number, struct slice digits)
{
    uint8_t id[ID_BYTES_MAX] = {0};
    size_t length = digits.length / HEX_DIGITS_OF_BYTE;

    if (digits.length == 0) {
        return;
    }
    if (digits.length % HEX_DIGITS_OF_BYTE != 0 || length > sizeof id ||
        json_hex_id(digits, id, length) < 0) {
        id[0] = NO_ID;
        length = 1;
    }
    wire_write_bytes(out, number, slice_of(id, length));
}

static int base64_value(uint8_t digit)
{
    if (digit >= 'A' && digit <= 'Z') {
        return digit - 'A';
    }
    if (digit >= 'a' && digit <= 'z') {
        return digit - 'a' + 26;
    }
    if (digit >= '0' && digit <= '9') {
        return digit - '0' + 52;
    }
    if (digit == '+' || digit == '-') {
        return 62;
    }
    return digit == '/' || digit == '_' ? 63 : -1;
}

/* RFC 4648, both alphabets, with or without padding. */
static int write_base64(struct buffer *out, uint32_t number, struct slice text)
{
    uint32_t bits = 0;
    unsigned bit_count = 0;

    while (text.length > 0 && text.ptr[text.length - 1] == '=') {
        text.length--;
    }
    if (text.length % 4 == 1) {
        return WERR_INVALID;
    }
    struct wire_envelope envelope = wire_envelope_begin(out, number, text.length * 3 / 4);
    for (size_t i = 0; i < text.length; i++) {
        int value = base64_value(text.ptr[i]);
        if (value < 0) {
            return WERR_INVALID;
        }
        bits = bits << 6 | (uint32_t)value;
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            (void)buffer_append_byte(out, (uint8_t)(bits >> bit_count));
        }
    }
    wire_envelope_end(out, envelope);
    return 0;
}

/* ProtoJSON writes what JSON has no number for as a string. */
static int double_of(const struct json_value *value, double *ret_number)
{
    struct slice text = value->text;

    if (value->type == JSON_STRING && slice_equal(text, SLICE_LITERAL("NaN"))) {
        *ret_number = (double)NAN;
    } else if (value->type == JSON_STRING && slice_equal(text, SLICE_LITERAL("Infinity"))) {
        *ret_number = (double)INFINITY;
    } else if (value->type == JSON_STRING && slice_equal(text, SLICE_LITERAL("-Infinity"))) {
        *ret_number = -(double)INFINITY;
    } else {
        return is_number(value) ? json_double(text, ret_number) : (int)WERR_INVALID;
    }
    return 0;
}

static uint64_t bits_of(double number)
{
    uint64_t bits;

    memcpy(&bits, &number, sizeof bits);
    return bits;
}

static int enum_of(const struct json_value *value, const struct otlp_json_field *field, uint64_t *ret_number)
{
    int64_t number;

    if (value->type == JSON_NUMBER) {
        if (json_int64(value->text, &number) < 0 || number < INT32_MIN || number > INT32_MAX) {
            return WERR_INVALID;
        }
        *ret_number = (uint64_t)number;
        return 0;
    }
    for (size_t i = 0; value->type == JSON_STRING && i < field->name_count; i++) {
        if (slice_equal(value->text, slice_of_string(field->names[i]))) {
            *ret_number = i;
            return 0;
        }
    }
    return WERR_INVALID;
}

/* A number of the field's type, as the 64 bits that the wire holds of it. */
static int bits_of_number(
    const struct json_value *value, const struct otlp_json_field *field, uint64_t *ret_bits)
{
    uint64_t number = 0;
    int64_t with_sign = 0;
    double fraction = 0;
    int error = is_number(value) ? 0 : (int)WERR_INVALID;

    switch (field->type) {
    case OTLP_JSON_DOUBLE:
        error = double_of(value, &fraction);
        *ret_bits = bits_of(fraction);
        return error;
    case OTLP_JSON_ENUM:
        return enum_of(value, field, ret_bits);
    case OTLP_JSON_INT64:
    case OTLP_JSON_SFIXED64:
    case OTLP_JSON_SINT32:
        error = error == 0 ? json_int64(value->text, &with_sign) : error;
        number = (uint64_t)with_sign;
        break;
    default:
        error = error == 0 ? json_uint64(value->text, &number) : error;
        break;
    }
    if (error == 0 && (field->type == OTLP_JSON_UINT32 || field->type == OTLP_JSON_FIXED32)) {
        error = number <= UINT32_MAX ? 0 : (int)WERR_INVALID;
    }
    if (field->type == OTLP_JSON_SINT32) {
        error = with_sign >= INT32_MIN && with_sign <= INT32_MAX ? error : (int)WERR_INVALID;
        number = (uint64_t)with_sign << 1 ^ (uint64_t)(with_sign >> 63); /* zigzag */
    }
    *ret_bits = number;
    return error;
}

static bool is_fixed64(enum otlp_json_type type)
{
    return type == OTLP_JSON_DOUBLE || type == OTLP_JSON_FIXED64 || type == OTLP_JSON_SFIXED64;
}

static void write_fixed32(struct buffer *out, uint32_t number, uint32_t value)
{
    uint8_t bytes[WIRE_VARINT_BYTES_MAX + sizeof value];
    uint8_t *end = wire_put_varint(bytes, WIRE_TAG(number, WIRE_FIXED32));

    memcpy(end, &value, sizeof value);
    (void)buffer_append(out, bytes, (size_t)(end - bytes) + sizeof value);
}

static int write_number(
    struct buffer *out, const struct otlp_json_field *field, const struct json_value *value)
{
    uint64_t bits;
    int error = bits_of_number(value, field, &bits);

    if (error < 0 || (bits == 0 && !field->has_presence)) {
        return error;
    }
    if (is_fixed64(field->type)) {
        wire_write_fixed64(out, field->number, bits);
    } else if (field->type == OTLP_JSON_FIXED32) {
        write_fixed32(out, field->number, (uint32_t)bits);
    } else {
        wire_write_varint(out, field->number, bits);
    }
    return 0;
}

static int write_boolean(
    struct buffer *out, const struct otlp_json_field *field, const struct json_value *value)
{
    if (value->type != JSON_BOOLEAN) {
        return WERR_INVALID;
    }
    if (value->boolean || field->has_presence) {
        wire_write_varint(out, field->number, value->boolean);
    }
    return 0;
}

static int write_scalar(
    struct buffer *out, const struct otlp_json_field *field, const struct json_value *value)
{
    bool is_string = value->type == JSON_STRING;

    switch (field->type) {
    case OTLP_JSON_TEXT:
        if (is_string && (value->text.length > 0 || field->has_presence)) {
            json_write_text(out, field->number, value);
        }
        return is_string ? 0 : (int)WERR_INVALID;
    case OTLP_JSON_ID:
        if (is_string) {
            write_id(out, field->number, value->text);
        }
        return is_string ? 0 : (int)WERR_INVALID;
    case OTLP_JSON_BASE64:
        return is_string ? write_base64(out, field->number, value->text) : (int)WERR_INVALID;
    case OTLP_JSON_BOOLEAN:
        return write_boolean(out, field, value);
    default:
        return write_number(out, field, value);
    }
}

/* ---- messages ---- */

static int write_members(struct transcoder *t, const struct otlp_json_message *message);

static int write_message(
    struct transcoder *t, const struct otlp_json_field *field, const struct json_value *value)
{
    if (value->type != JSON_OBJECT) {
        return WERR_INVALID;
    }
    struct wire_envelope envelope = wire_envelope_begin(t->out, field->number, MESSAGE_BYTES_EXPECTED);
    int status = write_members(t, field->message);
    wire_envelope_end(t->out, envelope);
    return status;
}

static int write_messages(
    struct transcoder *t, const struct otlp_json_field *field, const struct json_value *array)
{
    struct json_value element;
    int status;

    if (array->type != JSON_ARRAY) {
        return WERR_INVALID;
    }
    while ((status = json_element(&t->reader, &element)) > 0) {
        t->field = field->key;
        int error = write_message(t, field, &element);
        if (error < 0) {
            return error;
        }
    }
    return status;
}

/* Repeated numbers are packed: one field holds all of them. */
static int write_packed(
    struct transcoder *t, const struct otlp_json_field *field, const struct json_value *array)
{
    struct json_value element;
    uint64_t bits;
    uint8_t varint[WIRE_VARINT_BYTES_MAX];
    int status;

    if (array->type != JSON_ARRAY) {
        return WERR_INVALID;
    }
    struct wire_envelope envelope = wire_envelope_begin(t->out, field->number, MESSAGE_BYTES_EXPECTED);
    while ((status = json_element(&t->reader, &element)) > 0) {
        int error = bits_of_number(&element, field, &bits);
        if (error < 0) {
            return error;
        }
        if (is_fixed64(field->type)) {
            (void)buffer_append(t->out, &bits, sizeof bits);
        } else {
            (void)buffer_append(t->out, varint, (size_t)(wire_put_varint(varint, bits) - varint));
        }
    }
    wire_envelope_end(t->out, envelope);
    return status;
}

static const struct otlp_json_field *field_of(const struct otlp_json_message *message, struct slice key)
{
    for (size_t i = 0; i < message->field_count; i++) {
        if (slice_equal(key, slice_of_string(message->fields[i].key))) {
            return &message->fields[i];
        }
    }
    return NULL;
}

static int write_field(
    struct transcoder *t, const struct otlp_json_field *field, const struct json_value *value)
{
    t->field = field->key;
    if (field->type == OTLP_JSON_MESSAGE) {
        return field->is_repeated ? write_messages(t, field, value) : write_message(t, field, value);
    }
    return field->is_repeated ? write_packed(t, field, value) : write_scalar(t->out, field, value);
}

static int write_members(struct transcoder *t, const struct otlp_json_message *message)
{
    struct json_value key;
    struct json_value value;
    int status;

    while ((status = json_member(&t->reader, &key, &value)) > 0) {
        const struct otlp_json_field *field = value.type != JSON_NULL ? field_of(message, key.text) : NULL;
        int error = field != NULL ? write_field(t, field, &value) : json_skip(&t->reader, &value);
        if (error < 0) {
            return error;
        }
    }
    return status;
}

static int write_request(struct transcoder *t, const struct otlp_json_message *message)
{
    struct json_value value;
    int status = json_read(&t->reader, &value);

    if (status < 0) {
        return status;
    }
    if (value.type != JSON_OBJECT) {
        return WERR_INVALID;
    }
    status = write_members(t, message);
    t->field = status < 0 ? t->field : "JSON";
    return status < 0 ? status : json_end(&t->reader);
}

int otlp_json_to_protobuf(struct slice text, enum otlp_json_request request, uint32_t depth_max,
    struct buffer *out, struct decode_error *ret_error)
{
    struct transcoder t = {
        .reader = json_reader_of(text, OTLP_JSON_DEPTH + OTLP_JSON_DEPTH_OF_LIST * depth_max),
        .out = out,
        .field = "JSON",
    };
    int status = write_request(&t, otlp_json_schema_of(request));

    status = status < 0 ? status : out->error;
    if (status < 0) {
        *ret_error = decode_error_of(status, t.field);
    }
    return status;
}
