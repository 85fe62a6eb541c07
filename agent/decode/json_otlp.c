/* The writer of json_otlp.h. Runs on the thread that owns the buffer. */
#include "decode/json_otlp.h"

#include "core/error.h"
#include "decode/span.h"
#include "decode/utf8.h"

enum {
    SPAN_BYTES_EXPECTED = 1024,
    GROUP_BYTES_EXPECTED = 16384,
    HEX_DIGITS_OF_BYTE = 2,
};

void json_otlp_begin(struct json_otlp_writer *writer, struct buffer *out)
{
    *writer = (struct json_otlp_writer){.out = out};
    buffer_init(&writer->span, out->cap_bytes);
    (void)buffer_reserve(&writer->span, SPAN_BYTES_EXPECTED);
}

static void close_group(struct json_otlp_writer *writer)
{
    if (writer->group_is_open) {
        wire_envelope_end(writer->out, writer->scope_spans);
        wire_envelope_end(writer->out, writer->resource_spans);
        writer->group_is_open = false;
    }
}

int json_otlp_end(struct json_otlp_writer *writer)
{
    close_group(writer);
    int error = writer->span.error != 0 ? writer->span.error : writer->out->error;
    buffer_deinit(&writer->span);
    return error;
}

void json_otlp_span_begin(struct json_otlp_writer *writer)
{
    writer->span.length = 0;
}

static bool is_text(const struct json_value *value)
{
    return value->type == JSON_STRING && value->text.length > 0;
}

static void open_group(
    struct json_otlp_writer *writer, const struct json_value *service, struct slice name, struct slice sdk)
{
    struct buffer *out = writer->out;
    const struct json_value service_key = json_key(SLICE_LITERAL("service.name"));
    const struct json_value sdk_key = json_key(SLICE_LITERAL("telemetry.sdk.name"));
    const struct json_value sdk_value = json_key(sdk);

    writer->resource_spans = wire_envelope_begin(out, 1, GROUP_BYTES_EXPECTED);
    struct wire_envelope resource = wire_envelope_begin(out, 1, name.length + 32);
    if (name.length > 0) {
        json_write_tag(out, 1, &service_key, service);
    }
    if (sdk.length > 0) {
        json_write_tag(out, 1, &sdk_key, &sdk_value);
    }
    wire_envelope_end(out, resource);
    writer->scope_spans = wire_envelope_begin(out, 2, GROUP_BYTES_EXPECTED);
    writer->service = name;
    writer->sdk = sdk;
    writer->group_is_open = true;
}

void json_otlp_span_end(struct json_otlp_writer *writer, const struct json_value *service, struct slice sdk)
{
    struct slice name = is_text(service) ? service->text : slice_of(NULL, 0);

    if (!writer->group_is_open || !slice_equal(name, writer->service) || !slice_equal(sdk, writer->sdk)) {
        close_group(writer);
        open_group(writer, service, name, sdk);
    }
    wire_write_bytes(writer->out, 2, slice_of(writer->span.data, writer->span.length));
}

/*
 * JSON is UTF-8, and the reader does not look: a text that is none is written as if '?' stood in it, since
 * spans of many senders leave in one request, which a strict receiver would refuse for it.
 */
static void keep_utf8(struct buffer *out, size_t begin, size_t length)
{
    if (utf8_is_valid(slice_of(out->data + begin, length))) {
        return;
    }
    for (size_t i = begin; i < begin + length; i++) {
        out->data[i] = out->data[i] < 0x80 ? out->data[i] : (uint8_t)'?';
    }
}

void json_write_text(struct buffer *out, uint32_t number, const struct json_value *string)
{
    if (!string->escaped) {
        wire_write_bytes(out, number, string->text);
        if (out->error == 0) {
            keep_utf8(out, out->length - string->text.length, string->text.length);
        }
        return;
    }
    struct wire_envelope envelope = wire_envelope_begin(out, number, string->text.length);
    uint8_t *room = buffer_reserve(out, string->text.length);
    if (room != NULL) {
        size_t length = json_unescape(string->text, room);

        keep_utf8(out, out->length, length);
        out->length += length;
    }
    wire_envelope_end(out, envelope);
}

/* An AnyValue's text: of what is no string, its JSON. */
static void write_text_value(struct buffer *out, const struct json_value *value)
{
    if (value->type == JSON_STRING) {
        json_write_text(out, 1, value);
    } else {
        wire_write_bytes(out, 1, value->text);
    }
}

static void write_number(struct buffer *out, const struct json_value *value)
{
    int64_t integer;
    double number;
    uint64_t bits;

    if (json_int64(value->text, &integer) == 0) {
        wire_write_varint(out, 3, (uint64_t)integer);
    } else if (json_double(value->text, &number) == 0) {
        memcpy(&bits, &number, sizeof bits);
        wire_write_fixed64(out, 4, bits);
    } else {
        write_text_value(out, value);
    }
}

static void write_value(struct buffer *out, const struct json_value *value)
{
    switch (value->type) {
    case JSON_BOOLEAN:
        wire_write_varint(out, 2, value->boolean);
        break;
    case JSON_NUMBER:
        write_number(out, value);
        break;
    case JSON_NULL:
    case JSON_STRING:
    case JSON_ARRAY:
    case JSON_OBJECT:
    default:
        write_text_value(out, value);
        break;
    }
}

static uint8_t *put_bytes(uint8_t *to, uint32_t number, struct slice bytes)
{
    *to++ = (uint8_t)WIRE_TAG(number, WIRE_BYTES);
    to = wire_put_varint(to, bytes.length);
    if (bytes.length > 0) {
        memcpy(to, bytes.ptr, bytes.length);
    }
    return to + bytes.length;
}

static size_t field_bytes(size_t content_bytes)
{
    return 1 + wire_varint_size(content_bytes) + content_bytes;
}

/* Nearly all attributes are texts without escapes: their lengths are known, so they are written at once. */
static void write_plain(struct buffer *out, uint32_t number, struct slice key, struct slice text)
{
    size_t value_bytes = field_bytes(text.length);
    size_t attribute_bytes = field_bytes(key.length) + field_bytes(value_bytes);
    uint8_t *begin = buffer_reserve(out, field_bytes(attribute_bytes));

    if (begin == NULL) {
        return;
    }
    uint8_t *to = begin;
    *to++ = (uint8_t)WIRE_TAG(number, WIRE_BYTES);
    to = wire_put_varint(to, attribute_bytes);
    to = put_bytes(to, 1, key);
    *to++ = (uint8_t)WIRE_TAG(2, WIRE_BYTES);
    to = wire_put_varint(to, value_bytes);
    to = put_bytes(to, 1, text);
    out->length += (size_t)(to - begin);
}

static void write_key_value(struct buffer *out, uint32_t number, const struct json_value *key,
    const struct json_value *value, bool as_text)
{
    if (value->type == JSON_NULL) {
        return;
    }
    if (!key->escaped && !value->escaped && (as_text || value->type == JSON_STRING) &&
        utf8_is_valid(key->text) && utf8_is_valid(value->text)) {
        write_plain(out, number, key->text, value->text);
        return;
    }
    struct wire_envelope attribute =
        wire_envelope_begin(out, number, key->text.length + value->text.length + 8);
    json_write_text(out, 1, key);
    struct wire_envelope envelope = wire_envelope_begin(out, 2, value->text.length + 2);
    if (as_text) {
        write_text_value(out, value);
    } else {
        write_value(out, value);
    }
    wire_envelope_end(out, envelope);
    wire_envelope_end(out, attribute);
}

void json_write_attribute(
    struct buffer *out, uint32_t number, const struct json_value *key, const struct json_value *value)
{
    write_key_value(out, number, key, value, false);
}

void json_write_tag(
    struct buffer *out, uint32_t number, const struct json_value *key, const struct json_value *value)
{
    write_key_value(out, number, key, value, true);
}

static int write_list(struct json_reader *reader, struct buffer *out, const struct json_value *list);

/* An AnyValue's field for any value but null. */
static int write_any(struct json_reader *reader, struct buffer *out, const struct json_value *value)
{
    if (value->type != JSON_ARRAY && value->type != JSON_OBJECT) {
        write_value(out, value);
        return 0;
    }
    struct wire_envelope list = wire_envelope_begin(out, value->type == JSON_ARRAY ? 5 : 6, 100);
    int status = write_list(reader, out, value);
    wire_envelope_end(out, list);
    return status;
}

/* The values of an ArrayValue or KeyValueList. As deep as the reader's limit lets it. */
static int write_list(struct json_reader *reader, struct buffer *out, const struct json_value *list)
{
    struct json_value key;
    struct json_value value;
    int status;

    do {
        if (list->type == JSON_OBJECT) {
            status = json_member(reader, &key, &value);
            int written = status > 0 ? json_write_any(reader, out, 1, &key, &value) : 0;
            status = written < 0 ? written : status;
            continue;
        }
        status = json_element(reader, &value);
        if (status > 0) {
            struct wire_envelope element = wire_envelope_begin(out, 1, value.text.length + 2);
            int written = value.type == JSON_NULL ? 0 : write_any(reader, out, &value);
            wire_envelope_end(out, element);
            status = written < 0 ? written : status;
        }
    } while (status > 0);
    return status;
}

int json_write_any(struct json_reader *reader, struct buffer *out, uint32_t number,
    const struct json_value *key, const struct json_value *value)
{
    size_t length = out->length;

    if (value->type != JSON_ARRAY && value->type != JSON_OBJECT) {
        json_write_attribute(out, number, key, value);
        return 0;
    }
    const uint8_t *begin = reader->at;
    struct wire_envelope attribute = wire_envelope_begin(out, number, 100);
    json_write_text(out, 1, key);
    struct wire_envelope envelope = wire_envelope_begin(out, 2, 100);
    int status = write_any(reader, out, value);
    wire_envelope_end(out, envelope);
    wire_envelope_end(out, attribute);
    if (reader->at - begin == 1 && out->error == 0) {
        out->length = length; /* it was closed at once */
    }
    return status;
}

void json_otlp_head(struct json_otlp_writer *writer, const struct json_otlp_head *head)
{
    static const uint8_t none[sizeof head->parent_id] = {0};
    struct buffer *out = &writer->span;

    wire_write_bytes(out, 1, slice_of(head->trace_id, sizeof head->trace_id));
    wire_write_bytes(out, 2, slice_of(head->span_id, sizeof head->span_id));
    if (memcmp(head->parent_id, none, sizeof none) != 0) {
        wire_write_bytes(out, 4, slice_of(head->parent_id, sizeof head->parent_id));
    }
    if (head->kind != SPAN_KIND_UNSPECIFIED) {
        wire_write_varint(out, 6, head->kind);
    }
    wire_write_fixed64(out, 7, head->start_unix_ns);
    wire_write_fixed64(out, 8, head->end_unix_ns);
}

void json_otlp_failed(struct json_otlp_writer *writer, const struct json_value *message)
{
    struct buffer *out = &writer->span;
    struct wire_envelope status = wire_envelope_begin(out, 15, message->text.length + 4);

    if (is_text(message)) {
        json_write_text(out, 2, message);
    }
    wire_write_varint(out, 3, SPAN_STATUS_ERROR);
    wire_envelope_end(out, status);
}

static int hex_value(uint8_t digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    digit |= 0x20;
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

int json_hex_id(struct slice digits, uint8_t *ret_id, size_t id_bytes)
{
    uint8_t id[JSON_HEX_ID_BYTES_MAX] = {0};
    size_t places = id_bytes * HEX_DIGITS_OF_BYTE;

    if (digits.length == 0 || digits.length > places || id_bytes > sizeof id) {
        return WERR_INVALID;
    }
    for (size_t i = 0, place = places - digits.length; i < digits.length; i++, place++) {
        int value = hex_value(digits.ptr[i]);
        if (value < 0) {
            return WERR_INVALID;
        }
        id[place / 2] = (uint8_t)(id[place / 2] << 4 | value);
    }
    memcpy(ret_id, id, id_bytes);
    return 0;
}

void json_otlp_refuse(
    struct json_otlp_result *result, uint32_t record, enum record_error reason, const char *field)
{
    if (result->refused_count == 0) {
        result->first = decode_error_of(WERR_INVALID, field);
        result->first.reason = reason;
        result->first.record = record;
    }
    result->refused_count++;
    result->refused[reason]++;
}
