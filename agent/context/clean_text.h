/*
 * Makes a sender's text fit to be stored and shown: valid UTF-8, no control characters, no longer than a
 * limit. Every string passes here before it is interned. Pure; any thread.
 */
#ifndef WEFT_CONTEXT_CLEAN_TEXT_H
#define WEFT_CONTEXT_CLEAN_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "core/slice.h"

/* The largest that limits.string_bytes_max may be. */
enum { CLEAN_TEXT_BYTES_MAX = 4096 };

struct clean_text_buffer {
    uint8_t bytes[CLEAN_TEXT_BYTES_MAX];
};

/*
 * `text` itself when it is clean and fits, else a cleaned copy in `buffer`. Invalid UTF-8 (byte by byte) and
 * control characters (U+0000-001F, U+007F-009F) become U+FFFD; what passes length_max bytes is cut at a
 * character. A length_max above CLEAN_TEXT_BYTES_MAX counts as that.
 */
struct slice clean_text(struct slice text, size_t length_max, struct clean_text_buffer *buffer);

/* Before the first `?` or `#`: nothing that a query string says is kept. */
struct slice strip_query(struct slice url);

#endif
