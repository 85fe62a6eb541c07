/*
 * Which attributes' values never leave a span readable. A key is redacted when it is one of the configured
 * names, or ends in '.' and one of them, with ASCII case ignored and '_' equal to '-': `set-cookie` also
 * covers `Set-Cookie`, `http.response.header.set-cookie` and `http.response.header.set_cookie`.
 *
 * Built once from the configuration, then read by every shard.
 */
#ifndef WEFT_DECODE_REDACTION_H
#define WEFT_DECODE_REDACTION_H

#include <stdbool.h>
#include <stddef.h>

#include "core/slice.h"

enum { REDACTION_NAMES_MAX = 64, REDACTION_NAME_BYTES_MAX = 128, REDACTION_FILTER_WORDS = 16 };

#define REDACTED_TEXT "[redacted]"

struct redaction_name {
    uint8_t text[REDACTION_NAME_BYTES_MAX]; /* folded */
    size_t length;
};

struct redaction {
    struct redaction_name names[REDACTION_NAMES_MAX];
    size_t name_count;
    uint64_t filter[REDACTION_FILTER_WORDS]; /* bit set: some name ends in two bytes that hash to it */
};

/* The names that are redacted when the configuration does not say: credentials. NULL-terminated. */
extern const char *const redaction_default_names[];

/* No name yet. */
void redaction_init(struct redaction *redaction);

/* WERR_FULL, WERR_OVERSIZED for a name that is too long, WERR_INVALID for an empty one. The name is copied.
 */
int redaction_add(struct redaction *redaction, const char *name);

/* redaction_init and the default names. */
void redaction_init_default(struct redaction *redaction);

/* The slow part of redaction_matches. */
bool redaction_matches_name(const struct redaction *redaction, struct slice key);

static inline uint8_t redaction_fold(uint8_t byte)
{
    if (byte == '_') {
        return '-';
    }
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte | 0x20) : byte;
}

/* Index of the filter bit for a key of at least one byte. */
static inline uint32_t redaction_filter_bit(struct slice key)
{
    uint32_t last = redaction_fold(key.ptr[key.length - 1]);
    uint32_t before = key.length > 1 ? redaction_fold(key.ptr[key.length - 2]) : 0;

    return (last & 31) << 5 | (before & 31);
}

static inline bool redaction_matches(const struct redaction *redaction, struct slice key)
{
    if (key.length == 0) {
        return false;
    }
    uint32_t bit = redaction_filter_bit(key);
    if (__builtin_expect((redaction->filter[bit / 64] >> (bit % 64) & 1) == 0, 1)) {
        return false;
    }
    return redaction_matches_name(redaction, key);
}

#endif
