/*
 * From the text of one value to the value: expansion of variables, and the scalar types of schema.h. No I/O,
 * no state; what they make lies in the arena given.
 */
#ifndef WEFT_CONFIG_VALUE_H
#define WEFT_CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/slice.h"

/* The value of a variable in NAME=value strings that end with NULL; NULL when it is not there. Borrowed. */
const char *value_variable(const char *const *environment, const char *name, size_t name_length);

/*
 * ${NAME} and ${NAME:-default} (used when NAME is unset or empty) replaced, $$ to $; any other $ stands for
 * itself. 0 and *ret_text in the arena; WERR_NOT_FOUND (unset, no default) or WERR_INVALID (no closing brace,
 * not a name) with *ret_fault, then too, what stands between the braces (in `text`); WERR_NOMEM.
 */
int value_expand(const char *text, const char *const *environment, struct arena *arena, const char **ret_text,
    struct slice *ret_fault);

/* Whole text, decimal digits only. WERR_INVALID when it is none or not in smallest..largest. */
int value_unsigned(const char *text, uint64_t smallest, uint64_t largest, uint64_t *ret_value);

/* As value_unsigned, with an optional minus. */
int value_signed(const char *text, int64_t smallest, int64_t largest, int64_t *ret_value);

/* Octal permission bits up to 0777, "0660" or "660" or "0o660". */
int value_mode(const char *text, uint32_t *ret_mode);

/* true/false, as YAML 1.2 has them, and yes/no/on/off for hands that are used to those. */
int value_bool(const char *text, bool *ret_value);

/* Decimal milliseconds with up to six decimals, "2.5", as exact nanoseconds; above 0, at most one day. */
int value_milliseconds(const char *text, uint64_t *ret_ns);

/* A decimal number from 0 to 1 with up to nine decimals, "0.001", as parts of 10^9. */
int value_fraction(const char *text, uint64_t *ret_parts);

/* Index of `text` in `choices` (NULL at the end). WERR_INVALID when it is not there. */
int value_choice(const char *text, const char *const *choices, int *ret_index);

#endif
