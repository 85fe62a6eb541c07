/* Signature Version 4; see aws_sign.h. Runs on the exporter's loop, once for each attempt. */
#include "exporters/otlp/aws_sign.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/buffer.h"
#include "core/error.h"
#include "exporters/otlp/secret.h"

enum { DIGEST_BYTES = 32, DIGEST_HEX_BYTES = 65, SCOPE_BYTES_MAX = 256, DAY_BYTES = 8 };

#define ALGORITHM "AWS4-HMAC-SHA256"

void aws_format_date(uint64_t unix_ns, char ret_date[AWS_DATE_BYTES])
{
    time_t seconds = (time_t)(unix_ns / 1000000000);
    struct tm parts;

    (void)gmtime_r(&seconds, &parts);
    if (strftime(ret_date, AWS_DATE_BYTES, "%Y%m%dT%H%M%SZ", &parts) == 0) {
        ret_date[0] = '\0';
    }
}

static void to_hex(const uint8_t digest[DIGEST_BYTES], char out[DIGEST_HEX_BYTES])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        out[i * 2] = digits[digest[i] >> 4];
        out[i * 2 + 1] = digits[digest[i] & 15];
    }
    out[DIGEST_HEX_BYTES - 1] = '\0';
}

static int hash(struct slice bytes, char out[DIGEST_HEX_BYTES])
{
    uint8_t digest[DIGEST_BYTES];

    if (EVP_Digest(bytes.length > 0 ? (const void *)bytes.ptr : "", bytes.length, digest, NULL, EVP_sha256(),
            NULL) != 1) {
        return WERR_NOMEM;
    }
    to_hex(digest, out);
    return 0;
}

static int hmac(const uint8_t *key, size_t key_length, struct slice text, uint8_t out[DIGEST_BYTES])
{
    return HMAC(EVP_sha256(), key, (int)key_length, text.ptr, text.length, out, NULL) != NULL ? 0
                                                                                              : WERR_NOMEM;
}

static int compare_headers(const void *a, const void *b)
{
    return strcmp(((const struct aws_header *)a)->name, ((const struct aws_header *)b)->name);
}

/* A header's value without spaces at its ends, and with one for each run of them. */
static void append_value(struct buffer *out, const char *value)
{
    size_t length = strlen(value);

    while (length > 0 && (*value == ' ' || *value == '\t')) {
        value++;
        length--;
    }
    while (length > 0 && (value[length - 1] == ' ' || value[length - 1] == '\t')) {
        length--;
    }
    for (size_t i = 0; i < length; i++) {
        if (value[i] != ' ' || value[i - 1] != ' ') { /* the first is no space */
            (void)buffer_append_byte(out, (uint8_t)value[i]);
        }
    }
}

static void append_names(struct buffer *out, const struct aws_header *headers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        (void)buffer_append_text(out, i > 0 ? ";" : "");
        (void)buffer_append_text(out, headers[i].name);
    }
}

/* The hash of the canonical request; headers are sorted. */
static int hash_request(
    const struct aws_request *request, const struct aws_header *headers, char out[DIGEST_HEX_BYTES])
{
    struct buffer canonical;
    char body_hash[DIGEST_HEX_BYTES];
    int error = hash(request->body, body_hash);

    buffer_init(&canonical, AWS_CANONICAL_BYTES_MAX);
    (void)buffer_reserve(&canonical, AWS_CANONICAL_BYTES_MAX); /* at once: a header is the session token */
    (void)buffer_append_text(&canonical, "POST\n");
    (void)buffer_append_slice(&canonical, request->path.length > 0 ? request->path : SLICE_LITERAL("/"));
    (void)buffer_append_text(&canonical, "\n\n"); /* no query */
    for (size_t i = 0; i < request->header_count; i++) {
        (void)buffer_append_text(&canonical, headers[i].name);
        (void)buffer_append_byte(&canonical, ':');
        append_value(&canonical, headers[i].value);
        (void)buffer_append_byte(&canonical, '\n');
    }
    (void)buffer_append_byte(&canonical, '\n');
    append_names(&canonical, headers, request->header_count);
    (void)buffer_append_byte(&canonical, '\n');
    (void)buffer_append_text(&canonical, body_hash);
    if (error == 0) {
        error = canonical.error;
    }
    if (error == 0) {
        error = hash(slice_of(canonical.data, canonical.length), out);
    }
    secret_buffer_deinit(&canonical);
    return error;
}

/* kSigning = HMAC(HMAC(HMAC(HMAC("AWS4" secret, day), region), service), "aws4_request") */
static int derive_key(const struct aws_request *request, const char *secret, uint8_t key[DIGEST_BYTES])
{
    char start[AWS_SECRET_BYTES_MAX + 4];
    uint8_t next[DIGEST_BYTES];
    const struct slice steps[] = {slice_of(request->date, DAY_BYTES), slice_of_string(request->region),
        slice_of_string(request->service), SLICE_LITERAL("aws4_request")};
    int length = snprintf(start, sizeof start, "AWS4%s", secret);
    int error = hmac((const uint8_t *)start, (size_t)length, steps[0], key);

    for (size_t i = 1; error == 0 && i < sizeof steps / sizeof steps[0]; i++) {
        error = hmac(key, DIGEST_BYTES, steps[i], next);
        memcpy(key, next, DIGEST_BYTES);
    }
    OPENSSL_cleanse(start, sizeof start);
    OPENSSL_cleanse(next, sizeof next);
    return error;
}

static int sign_hash(const struct aws_request *request, const char *secret, const char *scope,
    const char *request_hash, char out[DIGEST_HEX_BYTES])
{
    char text[SCOPE_BYTES_MAX + 128];
    uint8_t key[DIGEST_BYTES];
    uint8_t signature[DIGEST_BYTES];
    int length = snprintf(text, sizeof text, ALGORITHM "\n%s\n%s\n%s", request->date, scope, request_hash);

    if (length < 0 || (size_t)length >= sizeof text) {
        return WERR_OVERSIZED;
    }
    int error = derive_key(request, secret, key);
    if (error == 0) {
        error = hmac(key, sizeof key, slice_of(text, (size_t)length), signature);
    }
    OPENSSL_cleanse(key, sizeof key);
    if (error == 0) {
        to_hex(signature, out);
    }
    return error;
}

int aws_sign(
    const struct aws_request *request, const struct aws_credentials *credentials, char *ret_authorization)
{
    struct aws_header headers[AWS_HEADERS_COUNT_MAX];
    char request_hash[DIGEST_HEX_BYTES];
    char signature[DIGEST_HEX_BYTES];
    char scope[SCOPE_BYTES_MAX];
    struct buffer out;

    if (request->header_count > AWS_HEADERS_COUNT_MAX) {
        return WERR_FULL;
    }
    memcpy(headers, request->headers, request->header_count * sizeof *headers);
    qsort(headers, request->header_count, sizeof *headers, compare_headers);
    int length = snprintf(scope, sizeof scope, "%.*s/%s/%s/aws4_request", DAY_BYTES, request->date,
        request->region, request->service);
    if (length < 0 || (size_t)length >= sizeof scope) {
        return WERR_OVERSIZED;
    }
    int error = hash_request(request, headers, request_hash);
    if (error == 0) {
        error = sign_hash(request, credentials->secret_access_key, scope, request_hash, signature);
    }
    if (error < 0) {
        return error;
    }
    buffer_init(&out, AWS_AUTHORIZATION_BYTES_MAX - 1);
    (void)buffer_append_format(
        &out, ALGORITHM " Credential=%s/%s, SignedHeaders=", credentials->access_key_id, scope);
    append_names(&out, headers, request->header_count);
    (void)buffer_append_format(&out, ", Signature=%s", signature);
    error = out.error;
    if (error == 0) {
        memcpy(ret_authorization, out.data, out.length);
        ret_authorization[out.length] = '\0';
    }
    buffer_deinit(&out);
    return error;
}
