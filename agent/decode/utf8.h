/*
 * Whether bytes are UTF-8 as Unicode defines it (table 3-7: no overlong forms, no surrogates, nothing above
 * U+10FFFF). Most texts here are ASCII and short, so that is the path that is fast. Pure functions; any
 * thread.
 */
#ifndef WEFT_DECODE_UTF8_H
#define WEFT_DECODE_UTF8_H

#include <stdbool.h>

#include "core/slice.h"

bool utf8_is_ascii(struct slice text);
bool utf8_is_valid(struct slice text);

/* Where text ends when it is cut to at most `bytes_max` bytes without splitting a character. The text must be
 * valid. */
size_t utf8_cut(struct slice text, size_t bytes_max);

#endif
