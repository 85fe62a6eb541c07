/*
 * JSON written to the end of a buffer, piece by piece: for answers that are as large as a trace may be, where
 * a tree of values would cost many times their size. Errors stick to the buffer. Pure; runs on the thread
 * that owns the buffer.
 */
#ifndef WEFT_QUERY_JSON_TEXT_H
#define WEFT_QUERY_JSON_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buffer.h"
#include "core/slice.h"

/* Where commas are due: whether something stands before in the array or object. */
struct json_list {
    struct buffer *out;
    bool has_items;
};

/* A string in quotes. Control characters, quotes and backslashes are escaped; bytes that are no UTF-8 become
 * U+FFFD. */
void json_put_text(struct buffer *out, struct slice text);

/* Hex digits in quotes, lower case. */
void json_put_hex(struct buffer *out, struct slice bytes);

/* Base64 in quotes (RFC 4648, with padding). */
void json_put_base64(struct buffer *out, struct slice bytes);

/*
 * The shortest decimal that reads back as the same number. JSON has no infinities and no NaN: they are the
 * strings that ProtoJSON has for them, "NaN", "Infinity", "-Infinity".
 */
void json_put_real(struct buffer *out, double real);

/* Opens an array or object with `bracket`. */
struct json_list json_list_begin(struct buffer *out, char bracket);

/* The comma, if one is due. */
void json_list_next(struct json_list *list);

/* The comma and `"key":`; the key is written as it is. */
void json_list_key(struct json_list *list, const char *key);

void json_list_end(struct json_list *list, char bracket);

#endif
