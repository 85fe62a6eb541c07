/* UTF-8 validation, see utf8.h. Pure functions; any thread. */
#include "decode/utf8.h"

#include <string.h>

#define HIGH_BITS 0x8080808080808080ull

static uint64_t load8(const uint8_t *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof word);
    return word;
}

bool utf8_is_ascii(struct slice text)
{
    const uint8_t *at = text.ptr;
    size_t left = text.length;
    uint64_t seen = 0;

    for (; left >= 32; left -= 32, at += 32) {
        seen |= load8(at) | load8(at + 8) | load8(at + 16) | load8(at + 24);
        if ((seen & HIGH_BITS) != 0) {
            return false;
        }
    }
    for (; left >= 8; left -= 8, at += 8) {
        seen |= load8(at);
    }
    if (text.length >= 8 && left > 0) {
        seen |= load8(at + left - 8); /* the tail, together with bytes already seen */
        left = 0;
    }
    for (; left > 0; left--) {
        seen |= *at++;
    }
    return (seen & HIGH_BITS) == 0;
}

static bool is_continuation(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

/* The length of the character at `at`, 2 to 4, or 0 when it is none. left: bytes that may be read, at
 * least 1. */
static size_t character_bytes(const uint8_t *at, size_t left)
{
    uint8_t lead = at[0];
    size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    uint8_t low = 0x80;
    uint8_t high = 0xbf;

    if (lead < 0xc2 || lead > 0xf4 || left < length) {
        return 0;
    }
    /* the second byte's range is what excludes overlong forms, surrogates and what lies above U+10FFFF */
    if (lead == 0xe0) {
        low = 0xa0;
    } else if (lead == 0xed) {
        high = 0x9f;
    } else if (lead == 0xf0) {
        low = 0x90;
    } else if (lead == 0xf4) {
        high = 0x8f;
    }
    if (at[1] < low || at[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < length; i++) {
        if (!is_continuation(at[i])) {
            return 0;
        }
    }
    return length;
}

bool utf8_is_valid(struct slice text)
{
    const uint8_t *at = text.ptr;
    const uint8_t *end = text.length > 0 ? text.ptr + text.length : text.ptr;

    while (at < end) {
        if (end - at >= 8 && (load8(at) & HIGH_BITS) == 0) {
            at += 8;
            continue;
        }
        if (*at < 0x80) {
            at++;
            continue;
        }
        size_t length = character_bytes(at, (size_t)(end - at));
        if (length == 0) {
            return false;
        }
        at += length;
    }
    return true;
}

size_t utf8_cut(struct slice text, size_t bytes_max)
{
    if (text.length <= bytes_max) {
        return text.length;
    }
    size_t at = bytes_max;
    while (at > 0 && is_continuation(text.ptr[at])) {
        at--;
    }
    return at;
}
