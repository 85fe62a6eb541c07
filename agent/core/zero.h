/*
 * Zeroing of structs of some hundred bytes on hot paths. Compilers spell that out with a string instruction,
 * whose start alone costs more than all of memset's wide stores; here memset is called. Any thread.
 */
#ifndef WEFT_CORE_ZERO_H
#define WEFT_CORE_ZERO_H

#include <stddef.h>
#include <string.h>

static inline void zero_bytes(void *at, size_t length)
{
    __asm__("" : "+r"(length)); /* the compiler no longer knows how many they are */
    memset(at, 0, length);
}

#endif
