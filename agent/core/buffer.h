/*
 * Two kinds of bytes that outlive a call: `struct buffer`, growable and capped, with one owner; and `struct
 * shared_bytes`, immutable once made, reference-counted, for what goes from thread to thread (an answer, a
 * batch for several destinations).
 */
#ifndef WEFT_CORE_BUFFER_H
#define WEFT_CORE_BUFFER_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "core/slice.h"

struct buffer {
    uint8_t *data;
    size_t length;
    size_t capacity_bytes;
    size_t cap_bytes; /* limit for length */
    int error;        /* sticky: the first WERR_NOMEM or WERR_OVERSIZED; later appends do nothing */
};

void buffer_init(struct buffer *buffer, size_t cap_bytes);
void buffer_deinit(struct buffer *buffer);

/* Room for `bytes` more at data + length; NULL, with the error kept in the buffer, when that is not to be
 * had. */
uint8_t *buffer_reserve(struct buffer *buffer, size_t bytes);

/* Each returns buffer->error, so that a writer may check once at the end. */
int buffer_append(struct buffer *buffer, const void *bytes, size_t length);
int buffer_append_slice(struct buffer *buffer, struct slice slice);
int buffer_append_text(struct buffer *buffer, const char *text);
int buffer_append_format(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static inline int buffer_append_byte(struct buffer *buffer, uint8_t byte)
{
    return buffer_append(buffer, &byte, 1);
}

struct shared_bytes {
    _Atomic uint32_t reference_count;
    size_t length;
    uint8_t *data;
};

/* Takes over the buffer's memory and leaves it empty. One reference. NULL when out of memory (the buffer is
 * untouched). */
struct shared_bytes *shared_bytes_take(struct buffer *buffer);

/* A copy. One reference. NULL when out of memory. */
struct shared_bytes *shared_bytes_copy(struct slice bytes);

struct shared_bytes *shared_bytes_ref(struct shared_bytes *bytes);
void shared_bytes_unref(struct shared_bytes *bytes); /* NULL is fine */

#endif
