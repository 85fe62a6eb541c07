/* Growable and shared bytes; see buffer.h. */
#include "core/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/error.h"

enum { BUFFER_FIRST_BYTES = 256, SPARE_BYTES_MAX = 16384 };

void buffer_init(struct buffer *buffer, size_t cap_bytes)
{
    *buffer = (struct buffer){.cap_bytes = cap_bytes};
}

void buffer_deinit(struct buffer *buffer)
{
    if (buffer != NULL) {
        free(buffer->data);
        *buffer = (struct buffer){.cap_bytes = buffer->cap_bytes};
    }
}

static int grow(struct buffer *buffer, size_t need_bytes)
{
    size_t capacity_bytes = buffer->capacity_bytes > 0 ? buffer->capacity_bytes : BUFFER_FIRST_BYTES;

    while (capacity_bytes < need_bytes) {
        capacity_bytes = capacity_bytes > SIZE_MAX / 2 ? need_bytes : capacity_bytes * 2;
    }
    uint8_t *data = realloc(buffer->data, capacity_bytes);
    if (data == NULL) {
        return WERR_NOMEM;
    }
    buffer->data = data;
    buffer->capacity_bytes = capacity_bytes;
    return 0;
}

uint8_t *buffer_reserve(struct buffer *buffer, size_t bytes)
{
    if (buffer->error < 0) {
        return NULL;
    }
    if (bytes > buffer->cap_bytes - buffer->length) {
        buffer->error = WERR_OVERSIZED;
        return NULL;
    }
    if (buffer->length + bytes > buffer->capacity_bytes || buffer->data == NULL) {
        buffer->error = grow(buffer, buffer->length + bytes);
        if (buffer->error < 0) {
            return NULL;
        }
    }
    return buffer->data + buffer->length;
}

int buffer_append(struct buffer *buffer, const void *bytes, size_t length)
{
    uint8_t *room = buffer_reserve(buffer, length);

    if (room == NULL) {
        return buffer->error;
    }
    if (length > 0) {
        memcpy(room, bytes, length);
        buffer->length += length;
    }
    return 0;
}

int buffer_append_slice(struct buffer *buffer, struct slice slice)
{
    return buffer_append(buffer, slice.ptr, slice.length);
}

int buffer_append_text(struct buffer *buffer, const char *text)
{
    return buffer_append(buffer, text, strlen(text));
}

int buffer_append_format(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0) {
        return WERR_INVALID;
    }
    uint8_t *room = buffer_reserve(buffer, (size_t)length + 1);
    if (room == NULL) {
        return buffer->error;
    }
    va_start(arguments, format);
    (void)vsnprintf((char *)room, (size_t)length + 1, format, arguments);
    va_end(arguments);
    buffer->length += (size_t)length;
    return 0;
}

/* Shared bytes do not grow any more, and may wait in a queue that counts what they hold. */
static void give_back_spare(struct buffer *buffer)
{
    uint8_t *data = NULL;

    if (buffer->length > 0 && buffer->capacity_bytes - buffer->length > SPARE_BYTES_MAX) {
        data = realloc(buffer->data, buffer->length);
    }
    if (data != NULL) {
        buffer->data = data;
    }
}

struct shared_bytes *shared_bytes_take(struct buffer *buffer)
{
    struct shared_bytes *bytes = malloc(sizeof *bytes);

    if (bytes == NULL) {
        return NULL;
    }
    give_back_spare(buffer);
    atomic_init(&bytes->reference_count, 1);
    bytes->length = buffer->length;
    bytes->data = buffer->data;
    *buffer = (struct buffer){.cap_bytes = buffer->cap_bytes};
    return bytes;
}

struct shared_bytes *shared_bytes_copy(struct slice source)
{
    struct buffer buffer;

    buffer_init(&buffer, SIZE_MAX);
    if (buffer_append_slice(&buffer, source) < 0) {
        return NULL;
    }
    struct shared_bytes *bytes = shared_bytes_take(&buffer);
    if (bytes == NULL) {
        buffer_deinit(&buffer);
    }
    return bytes;
}

struct shared_bytes *shared_bytes_ref(struct shared_bytes *bytes)
{
    atomic_fetch_add_explicit(&bytes->reference_count, 1, memory_order_relaxed);
    return bytes;
}

void shared_bytes_unref(struct shared_bytes *bytes)
{
    if (bytes != NULL && atomic_fetch_sub_explicit(&bytes->reference_count, 1, memory_order_acq_rel) == 1) {
        free(bytes->data);
        free(bytes);
    }
}
