/*
 * AWS Signature Version 4: the Authorization header of one request. Pure; no clock, no I/O. From AWS's
 * "Create a signed AWS API request" (IAM User Guide): a canonical request is hashed, the hash and the scope
 * (day, region, service) make the string to sign, and the key is derived from the secret by four HMACs.
 *
 * libcurl's CURLOPT_AWS_SIGV4 is not used: 7.88 (Debian 12) signs a header that is taken away ("Expect:") as
 * one that is sent, signs an empty one wrongly, and sorts names together with what follows them; each was
 * seen against botocore. It also takes the time from the machine and not from a clock that is given.
 */
#ifndef WEFT_EXPORTERS_OTLP_AWS_SIGN_H
#define WEFT_EXPORTERS_OTLP_AWS_SIGN_H

#include <stddef.h>
#include <stdint.h>

#include "core/slice.h"

enum {
    AWS_DATE_BYTES = 17, /* 20261123T115031Z and a NUL */
    AWS_HEADERS_COUNT_MAX = 80,
    AWS_CANONICAL_BYTES_MAX = 65536, /* of a request's headers */
    AWS_AUTHORIZATION_BYTES_MAX = 4096,
    AWS_KEY_ID_BYTES_MAX = 129,
    AWS_SECRET_BYTES_MAX = 257,
    AWS_TOKEN_BYTES_MAX = 16385,
};

struct aws_credentials {
    char access_key_id[AWS_KEY_ID_BYTES_MAX];
    char secret_access_key[AWS_SECRET_BYTES_MAX];
    char session_token[AWS_TOKEN_BYTES_MAX]; /* "" when there is none */
    uint64_t expires_unix_ns;                /* UINT64_MAX: never */
};

/* A header that is sent, name in lower case. Values are signed with their spaces as the rules want them. */
struct aws_header {
    const char *name;
    const char *value;
};

/* A POST without query, whose path needs no escaping: letters, digits and -._~/ only. */
struct aws_request {
    const char *region;
    const char *service;
    struct slice path; /* "" stands for "/" */
    const struct aws_header *headers;
    size_t header_count; /* host and x-amz-date among them */
    struct slice body;
    const char *date; /* as aws_format_date makes it */
};

/* YYYYMMDD'T'HHMMSS'Z' of a time. */
void aws_format_date(uint64_t unix_ns, char ret_date[AWS_DATE_BYTES]);

/*
 * The value of the Authorization header into ret_authorization (AWS_AUTHORIZATION_BYTES_MAX). 0; WERR_FULL
 * for more than AWS_HEADERS_COUNT_MAX headers; WERR_OVERSIZED; WERR_NOMEM.
 */
int aws_sign(
    const struct aws_request *request, const struct aws_credentials *credentials, char *ret_authorization);

#endif
