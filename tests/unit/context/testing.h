/* What every test of this folder includes: cmocka with what it needs, and slices of literals. */
#ifndef WEFT_TESTS_CONTEXT_TESTING_H
#define WEFT_TESTS_CONTEXT_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/slice.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static inline void assert_text(struct slice got, const char *expected)
{
    if (got.length != strlen(expected) || (got.length > 0 && memcmp(got.ptr, expected, got.length) != 0)) {
        fail_msg("got \"%.*s\", expected \"%s\"", (int)got.length, (const char *)got.ptr, expected);
    }
}

#endif
