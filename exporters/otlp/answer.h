/*
 * What a destination's answer means: the table of retryable statuses of the OTLP specification
 * (docs/specification.md, "Failures"), waits that the destination asks for, partial success. Pure functions
 * on bytes.
 */
#ifndef WEFT_EXPORTERS_OTLP_ANSWER_H
#define WEFT_EXPORTERS_OTLP_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/slice.h"
#include "exporters/otlp/otlp_exporter.h"

enum otlp_verdict {
    OTLP_VERDICT_SENT,
    OTLP_VERDICT_RETRY,
    OTLP_VERDICT_REJECTED, /* by the destination, for good */
};

/* How an attempt ended. */
struct otlp_answer {
    enum otlp_verdict verdict;
    int status;                     /* HTTP, or gRPC's; 0 also when there was no answer */
    uint64_t retry_after_ms;        /* 0: not said */
    uint64_t rejected_count;        /* of a partial success */
    char text[OTLP_TEXT_BYTES_MAX]; /* reason, printable ASCII or UTF-8 as it came, NUL-terminated; may be
                                       empty */
};

/* gRPC: CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS; RESOURCE_EXHAUSTED with
 * RetryInfo. */
enum otlp_verdict answer_verdict_grpc(int grpc_status, bool has_retry_info);

/* HTTP: 2xx sent; 429, 502, 503, 504 retry; all else rejected. */
enum otlp_verdict answer_verdict_http(int http_status);

/* The gRPC status that stands for an HTTP status without one (gRPC's http-grpc-status-mapping). */
int answer_grpc_status_of_http(int http_status);

/* Retry-After (RFC 9110 10.2.3): seconds or a date; false when it is neither. A date in the past gives 0. */
bool answer_parse_retry_after(struct slice value, uint64_t now_unix_ns, uint64_t *ret_ms);

/*
 * grpc-status-details-bin (base64 of google.rpc.Status): true when it holds a RetryInfo, then *ret_ms is its
 * delay (0 when it names none).
 */
bool answer_parse_retry_info(struct slice value, uint64_t *ret_ms);

/* The message of a google.rpc.Status, as an HTTP error carries it; nothing when it is none. */
void answer_parse_status_text(struct slice body, char *ret_text);

/* Reads Export…ServiceResponse into answer->rejected_count and text; bytes that are none say nothing. */
void answer_parse_partial_success(struct slice body, struct otlp_answer *answer);

/* Copies a peer's text: at most OTLP_TEXT_BYTES_MAX - 1 bytes, control characters as spaces, cut at a
 * character. */
void answer_set_text(char *ret_text, struct slice text);

/* As that, with percent-encoding undone (grpc-message). */
void answer_set_text_percent(char *ret_text, struct slice text);

#endif
