/* Cleaning of text; see clean_text.h. UTF-8 as in RFC 3629: no surrogates, no over-long forms, nothing above
 * U+10FFFF. */
#include "context/clean_text.h"

#include <stdbool.h>
#include <string.h>

static bool is_plain(struct slice text)
{
    uint8_t odd = 0;

    for (size_t i = 0; i < text.length; i++) {
        odd |= (uint8_t)(text.ptr[i] < 0x20) | (uint8_t)(text.ptr[i] > 0x7e);
    }
    return odd == 0;
}

static bool is_tail(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

/* Length of the well-formed character at the start of `text`; 0 when there is none. */
static size_t character_length(struct slice text)
{
    const uint8_t *p = text.ptr;
    size_t n = text.length;

    if (p[0] < 0x80) {
        return 1;
    }
    if (p[0] >= 0xc2 && p[0] <= 0xdf) {
        return n >= 2 && is_tail(p[1]) ? 2 : 0;
    }
    if (p[0] >= 0xe0 && p[0] <= 0xef) {
        bool second =
            n >= 3 && is_tail(p[1]) && !(p[0] == 0xe0 && p[1] < 0xa0) && !(p[0] == 0xed && p[1] > 0x9f);
        return second && is_tail(p[2]) ? 3 : 0;
    }
    if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        bool second =
            n >= 4 && is_tail(p[1]) && !(p[0] == 0xf0 && p[1] < 0x90) && !(p[0] == 0xf4 && p[1] > 0x8f);
        return second && is_tail(p[2]) && is_tail(p[3]) ? 4 : 0;
    }
    return 0;
}

static bool is_control(const uint8_t *p, size_t length)
{
    return (length == 1 && (p[0] < 0x20 || p[0] == 0x7f)) || (length == 2 && p[0] == 0xc2 && p[1] < 0xa0);
}

static bool is_clean(struct slice text)
{
    while (text.length > 0) {
        size_t length = character_length(text);

        if (length == 0 || is_control(text.ptr, length)) {
            return false;
        }
        text = slice_sub(text, length, text.length);
    }
    return true;
}

struct slice clean_text(struct slice text, size_t length_max, struct clean_text_buffer *buffer)
{
    static const uint8_t replacement[3] = {0xef, 0xbf, 0xbd};
    size_t used = 0;

    if (length_max > CLEAN_TEXT_BYTES_MAX) {
        length_max = CLEAN_TEXT_BYTES_MAX;
    }
    if (text.length <= length_max && (is_plain(text) || is_clean(text))) {
        return text;
    }
    while (text.length > 0) {
        size_t length = character_length(text);
        bool keep = length > 0 && !is_control(text.ptr, length);
        size_t adds = keep ? length : sizeof replacement;

        if (used + adds > length_max) {
            break;
        }
        memcpy(buffer->bytes + used, keep ? text.ptr : replacement, adds);
        used += adds;
        text = slice_sub(text, length > 0 ? length : 1, text.length);
    }
    return slice_of(buffer->bytes, used);
}

struct slice strip_query(struct slice url)
{
    size_t query = slice_find(url, '?');
    size_t fragment = slice_find(url, '#');

    return slice_sub(url, 0, query < fragment ? query : fragment);
}
