/*
 * What the code under test overwrites: this OPENSSL_cleanse stands in for OpenSSL's and keeps what it was
 * given. One program's, one thread's.
 */
#ifndef WEFT_TESTS_UNIT_OTLP_CLEANSED_H
#define WEFT_TESTS_UNIT_OTLP_CLEANSED_H

#include <openssl/crypto.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

enum { CLEANSED_BYTES_MAX = 1 << 24 };

static char cleansed[CLEANSED_BYTES_MAX];
static size_t cleansed_bytes;

void OPENSSL_cleanse(void *bytes, size_t length)
{
    size_t kept = length < CLEANSED_BYTES_MAX - cleansed_bytes ? length : CLEANSED_BYTES_MAX - cleansed_bytes;

    if (length > 0) {
        memcpy(cleansed + cleansed_bytes, bytes, kept);
        explicit_bzero(bytes, length);
    }
    cleansed_bytes += kept;
}

static inline void cleansed_forget(void)
{
    cleansed_bytes = 0;
}

static inline size_t cleansed_count(const char *text)
{
    const char *end = cleansed + cleansed_bytes;
    size_t count = 0;

    for (const char *at = cleansed; (at = memmem(at, (size_t)(end - at), text, strlen(text))) != NULL; at++) {
        count++;
    }
    return count;
}

static inline bool cleansed_has(const char *text)
{
    return cleansed_count(text) > 0;
}

#endif
