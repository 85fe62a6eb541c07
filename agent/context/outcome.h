/*
 * How a request ended, in one word: the one table from status codes, response flags and a span's status to
 * the outcome label. The README gives the table with its reasons. Pure; any thread.
 */
#ifndef WEFT_CONTEXT_OUTCOME_H
#define WEFT_CONTEXT_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

#include "context/request.h"
#include "core/slice.h"

enum {
    HTTP_STATUS_MIN = 100,
    HTTP_STATUS_MAX = 599,
    GRPC_STATUS_MAX = 16,
    GRPC_STATUS_UNKNOWN = 2,
    GRPC_STATUS_DIGITS_MAX = 4
};

struct outcome_facts {
    uint16_t response_code; /* HTTP status; 0: none */
    int16_t grpc_status;    /* GRPC_STATUS_NONE: not told */
    uint8_t protocol;       /* enum protocol */
    bool expects_code; /* of a protocol in which an answer has a status code, so that none means no answer */
    bool failed;       /* the span's own status is ERROR */
    uint64_t response_flags; /* context/response_flags.h */
};

enum outcome outcome_of(const struct outcome_facts *facts);

/*
 * A gRPC status as a number ("5") or a name ("NOT_FOUND", any case); GRPC_STATUS_NONE when it is neither, or
 * empty. Numbers that gRPC does not define become UNKNOWN, as its own libraries treat them.
 */
int16_t grpc_status_of(struct slice text);
int16_t grpc_status_of_number(int64_t number);

#endif
