/*
 * What the texts of an access log line mean: numbers and ids out of them, and what nginx and HAProxy say of
 * attempts and of why a request ended. docs/meshes/nginx.md and haproxy.md tell it. Pure; any thread.
 */
#ifndef WEFT_DECODE_ACCESS_DIALECT_H
#define WEFT_DECODE_ACCESS_DIALECT_H

#include "decode/access_json.h"

/*
 * texts: one for each field, empty when not told. False, with the field that is missing or is none of what it
 * should be, when they do not tell of a request.
 */
bool access_dialect_read(const struct slice texts[static ACCESS_FIELD_COUNT], uint64_t now_unix_ns,
    struct access_log_entry *ret_entry, enum access_field *ret_field);

/* Decimal units to nanoseconds: "1795434905.015" with unit_ns 10^9. A negative number (HAProxy: it did not
 * come to that) is 0. False when it is none, or past 64 bits. */
bool access_decimal_ns(struct slice text, uint64_t unit_ns, uint64_t *ret_ns);

#endif
