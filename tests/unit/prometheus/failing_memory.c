/* See failing_memory.h; linked by --wrap. */
#include "failing_memory.h"

#include <stdbool.h>
#include <stddef.h>

int failing_memory_left = -1;

void *__real_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__real_realloc(void *memory, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes);

static bool may_allocate(void)
{
    if (failing_memory_left == 0) {
        return false;
    }
    failing_memory_left -= failing_memory_left > 0;
    return true;
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return may_allocate() ? __real_calloc(count, bytes) : NULL;
}

void *__wrap_realloc(void *memory, size_t bytes)
{
    return may_allocate() ? __real_realloc(memory, bytes) : NULL;
}
