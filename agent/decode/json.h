/*
 * Reads JSON (RFC 8259) in place, in one pass, without allocation: the caller pulls one value after the other
 * and says what it wants to be skipped. Nothing is read past the end, nothing is nested deeper than the
 * reader's limit, and every syntax error is found by whoever reads or skips to the end.
 *
 *   json_read ─► { ─► json_member: key, value ─► …  0      scalars are there at once
 *                [ ─► json_element: value ─► …      0      an array or object must be read to its end, or
 *                json_end                                  skipped, before what holds it goes on
 *
 * Texts are the bytes between the quotes as they were written. Whether they are UTF-8 is for those who keep
 * them: utf8.h. Pure; any thread.
 */
#ifndef WEFT_DECODE_JSON_H
#define WEFT_DECODE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/slice.h"

enum json_type { JSON_NULL, JSON_BOOLEAN, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json_value {
    enum json_type type;
    bool boolean;
    bool escaped;      /* a string that holds escapes: json_unescape makes it plain */
    struct slice text; /* a string's bytes, a literal; of an array or object what json_skip found, brackets
                          included */
};

struct json_reader {
    const uint8_t *at;
    const uint8_t *end;
    uint32_t depth_left; /* arrays and objects that may still be opened within each other */
    bool is_first;       /* an array or object was just opened: no comma is due */
};

struct json_reader json_reader_of(struct slice text, uint32_t depth_max);

/*
 * Each of these returns a negative code where the text is broken: WERR_INVALID (syntax), WERR_TRUNCATED (it
 * ends too early), WERR_DEPTH. The reader is of no use then.
 */

/* The document's value. 1. */
int json_read(struct json_reader *reader, struct json_value *ret_value);

/* The next value of the array that was opened last: 1, or 0 at its end. */
int json_element(struct json_reader *reader, struct json_value *ret_value);

/* The next of the object that was opened last: 1, or 0 at its end. The key is a string. */
int json_member(struct json_reader *reader, struct json_value *ret_key, struct json_value *ret_value);

/* To the end of an array or object that was just returned, whose text it fills; for a scalar, nothing to do.
 * 0. */
int json_skip(struct json_reader *reader, struct json_value *value);

/* After the document's value: 0, or WERR_INVALID when there is more than white space. */
int json_end(struct json_reader *reader);

/*
 * Writes a string's bytes without escapes to `out`, which has room for raw.length; returns how many they are.
 * `raw` must have come from a reader: then it cannot fail. A half of a surrogate pair becomes U+FFFD.
 */
size_t json_unescape(struct slice raw, uint8_t *out);

/*
 * Numbers out of a number's literal, or a string that holds one. Integers may be written with a fraction of
 * zeros or an exponent. WERR_INVALID when it is none or out of range; nothing is written then.
 */
int json_int64(struct slice text, int64_t *ret_number);
int json_uint64(struct slice text, uint64_t *ret_number);
int json_double(struct slice text, double *ret_number);

#endif
