/* A borrowed run of bytes: pointer and length travel together. The owner of the bytes is said where one is
 * handed out. */
#ifndef WEFT_CORE_SLICE_H
#define WEFT_CORE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const uint8_t *ptr; /* may be NULL when length is 0 */
    size_t length;      /* bytes */
};

/* The bytes of a string literal, without its NUL. */
#define SLICE_LITERAL(text) ((struct slice){.ptr = (const uint8_t *)(text), .length = sizeof(text) - 1})

static inline struct slice slice_of(const void *ptr, size_t length)
{
    return (struct slice){.ptr = (const uint8_t *)ptr, .length = length};
}

static inline struct slice slice_of_string(const char *text)
{
    return slice_of(text, strlen(text));
}

static inline bool slice_equal(struct slice a, struct slice b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.ptr, b.ptr, a.length) == 0);
}

static inline bool slice_has_prefix(struct slice s, struct slice prefix)
{
    return s.length >= prefix.length && memcmp(s.ptr, prefix.ptr, prefix.length) == 0;
}

static inline bool slice_has_suffix(struct slice s, struct slice suffix)
{
    return s.length >= suffix.length &&
           memcmp(s.ptr + (s.length - suffix.length), suffix.ptr, suffix.length) == 0;
}

/* Index of the first `byte`, or s.length when there is none. */
static inline size_t slice_find(struct slice s, uint8_t byte)
{
    const void *hit = s.length > 0 ? memchr(s.ptr, byte, s.length) : NULL;
    return hit != NULL ? (size_t)((const uint8_t *)hit - s.ptr) : s.length;
}

/* [from, to) of s; both are clamped to its length. */
static inline struct slice slice_sub(struct slice s, size_t from, size_t to)
{
    if (to > s.length) {
        to = s.length;
    }
    if (from > to) {
        from = to;
    }
    return slice_of(from > 0 ? s.ptr + from : s.ptr, to - from); /* NULL + 0 is undefined */
}

#endif
