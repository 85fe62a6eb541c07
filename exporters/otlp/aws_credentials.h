/*
 * Credentials for signing, from the first source that is there: the environment, the shared credentials file,
 * the container's endpoint (ECS, EKS Pod Identity), the instance's metadata (IMDSv2). Kept until shortly
 * before they expire, then fetched anew while the old ones still serve.
 *
 *   get ─► at hand? ─yes─► used        near their end: fetched in the background
 *            └─no─► WERR_AGAIN; fetch ─► every waiter is called, with credentials or with a reason
 *
 * Threads: the exporter's loop. Files are small and local and read on it; requests never block it.
 */
#ifndef WEFT_EXPORTERS_OTLP_AWS_CREDENTIALS_H
#define WEFT_EXPORTERS_OTLP_AWS_CREDENTIALS_H

#include <uv.h>

#include "core/clock.h"
#include "exporters/otlp/aws_sign.h"
#include "exporters/otlp/otlp_exporter.h"

enum {
    AWS_ANSWER_BYTES_MAX = 65536,     /* of a metadata service's answer */
    AWS_FILE_BYTES_MAX = 1048576,     /* of the credentials file */
    AWS_REFRESH_BEFORE_S = 300,       /* fetched anew this long before they expire */
    AWS_FILE_LIFE_S = 300,            /* how long what a file said is believed */
    AWS_CONNECT_TIMEOUT_MS = 1000,    /* of a metadata service */
    AWS_FETCH_TIMEOUT_MS = 3000,      /* of one of its answers */
    AWS_INSTANCE_TOKEN_TTL_S = 21600, /* of IMDSv2's session */
    AWS_FETCH_PAUSE_S = 10,           /* between background fetches that fail */
};

struct aws_provider;

/* Who waits for credentials; embedded in the transport. */
struct aws_waiter {
    struct aws_waiter *next;
    bool waiting;
    /* credentials NULL: there are none now, reason says why (static or until the call returns) */
    void (*done)(void *user, const struct aws_credentials *credentials, const char *reason);
    void *user;
};

/* Strings of `config` are borrowed. NULL when out of memory. */
struct aws_provider *aws_provider_new(
    uv_loop_t *loop, const struct clock *clock, const struct otlp_aws_config *config);

/*
 * 0 with *ret_credentials, borrowed until the loop's next turn; WERR_AGAIN: the waiter is called later, from
 * the loop; WERR_NOMEM.
 */
int aws_provider_get(
    struct aws_provider *provider, struct aws_waiter *waiter, const struct aws_credentials **ret_credentials);

/* The waiter is not called any more. */
void aws_provider_leave(struct aws_provider *provider, struct aws_waiter *waiter);

/* The destination refused these credentials: the next get fetches anew. */
void aws_provider_forget(struct aws_provider *provider);

/* They are used on, but the next aws_provider_get fetches others in the background. */
void aws_provider_doubt(struct aws_provider *provider);

/* No waiter is called any more; frees itself in the next turns of the loop. NULL is fine. */
void aws_provider_close(struct aws_provider *provider);

/* ---- pure parts, for tests and fuzzing ---- */

/*
 * Keys of a profile in a shared credentials file (INI: [profile], name = value, # and ; comments). 0;
 * WERR_NOT_FOUND: no such profile, or it has no keys; WERR_OVERSIZED: a value is too long.
 */
int aws_parse_file(struct slice text, const char *profile, struct aws_credentials *ret_credentials);

/*
 * The JSON of a container's or an instance's endpoint: AccessKeyId, SecretAccessKey, Token, Expiration. 0;
 * WERR_INVALID: not such an object; WERR_OVERSIZED.
 */
int aws_parse_answer(struct slice json, struct aws_credentials *ret_credentials);

/* 2026-11-23T11:50:31Z, with fractions or not. False when it is none. */
bool aws_parse_time(const char *text, uint64_t *ret_unix_ns);

#endif
