/* The JSON writer of json_text.h. */
#include "query/json_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "decode/utf8.h"

enum { REAL_TEXT_BYTES = 40, REAL_DIGITS_MAX = 17, UTF8_BYTES_MAX = 4 };

static bool is_plain(uint8_t byte)
{
    return byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
}

static void put_escape(struct buffer *out, uint8_t byte)
{
    static const char *const escapes[] = {['\b'] = "\\b",
        ['\t'] = "\\t",
        ['\n'] = "\\n",
        ['\f'] = "\\f",
        ['\r'] = "\\r",
        ['"'] = "\\\"",
        ['\\'] = "\\\\"};

    if (byte < sizeof escapes / sizeof escapes[0] && escapes[byte] != NULL) {
        (void)buffer_append_text(out, escapes[byte]);
    } else {
        (void)buffer_append_format(out, "\\u%04x", byte);
    }
}

/* How many bytes the character at the beginning takes: 0 when it is none. */
static size_t character_bytes(struct slice text)
{
    static const uint8_t lengths[16] = {[12] = 2, [13] = 2, [14] = 3, [15] = 4};
    size_t length = lengths[text.ptr[0] >> 4];

    return length > 0 && length <= text.length && utf8_is_valid(slice_sub(text, 0, length)) ? length : 0;
}

void json_put_text(struct buffer *out, struct slice text)
{
    (void)buffer_append_byte(out, '"');
    while (text.length > 0 && out->error == 0) {
        size_t run = 0;
        while (run < text.length && is_plain(text.ptr[run])) {
            run++;
        }
        (void)buffer_append_slice(out, slice_sub(text, 0, run));
        text = slice_sub(text, run, text.length);
        if (text.length == 0) {
            break;
        }
        size_t length = 1;
        if (text.ptr[0] < 0x80) {
            put_escape(out, text.ptr[0]);
        } else if ((length = character_bytes(text)) > 0) {
            (void)buffer_append_slice(out, slice_sub(text, 0, length));
        } else {
            (void)buffer_append_text(out, "\xef\xbf\xbd");
            length = 1;
        }
        text = slice_sub(text, length, text.length);
    }
    (void)buffer_append_byte(out, '"');
}

void json_put_hex(struct buffer *out, struct slice bytes)
{
    static const char digits[] = "0123456789abcdef";

    (void)buffer_append_byte(out, '"');
    for (size_t i = 0; i < bytes.length && out->error == 0; i++) {
        (void)buffer_append(out, (char[]){digits[bytes.ptr[i] >> 4], digits[bytes.ptr[i] & 15]}, 2);
    }
    (void)buffer_append_byte(out, '"');
}

void json_put_base64(struct buffer *out, struct slice bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    (void)buffer_append_byte(out, '"');
    for (size_t i = 0; i < bytes.length && out->error == 0; i += 3) {
        size_t count = bytes.length - i < 3 ? bytes.length - i : 3;
        uint32_t group = (uint32_t)bytes.ptr[i] << 16;

        group |= count > 1 ? (uint32_t)bytes.ptr[i + 1] << 8 : 0;
        group |= count > 2 ? bytes.ptr[i + 2] : 0;
        char text[4] = {digits[group >> 18], digits[group >> 12 & 63],
            count > 1 ? digits[group >> 6 & 63] : '=', count > 2 ? digits[group & 63] : '='};
        (void)buffer_append(out, text, sizeof text);
    }
    (void)buffer_append_byte(out, '"');
}

void json_put_real(struct buffer *out, double real)
{
    char text[REAL_TEXT_BYTES];

    if (!isfinite(real)) {
        (void)buffer_append_text(out, isnan(real) ? "\"NaN\"" : real > 0 ? "\"Infinity\"" : "\"-Infinity\"");
        return;
    }
    for (int digits = 15; digits <= REAL_DIGITS_MAX; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, real);
        if (strtod(text, NULL) == real) {
            break;
        }
    }
    (void)buffer_append_text(out, text);
}

struct json_list json_list_begin(struct buffer *out, char bracket)
{
    (void)buffer_append_byte(out, (uint8_t)bracket);
    return (struct json_list){.out = out};
}

void json_list_next(struct json_list *list)
{
    if (list->has_items) {
        (void)buffer_append_byte(list->out, ',');
    }
    list->has_items = true;
}

void json_list_key(struct json_list *list, const char *key)
{
    json_list_next(list);
    (void)buffer_append_byte(list->out, '"');
    (void)buffer_append_text(list->out, key);
    (void)buffer_append_text(list->out, "\":");
}

void json_list_end(struct json_list *list, char bracket)
{
    (void)buffer_append_byte(list->out, (uint8_t)bracket);
}
