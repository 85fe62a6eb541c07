/* cmocka and what it wants before it. */
#ifndef WEFT_TESTS_CONFIG_CMOCKA_ALL_H
#define WEFT_TESTS_CONFIG_CMOCKA_ALL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
