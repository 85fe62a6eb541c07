/* The table of outcomes. Pure functions; any thread. */
#include "context/outcome.h"

#include <strings.h>

#include "context/response_flags.h"

/*
 * gRPC statuses. Server errors are those for which OpenTelemetry sets a server span's status to ERROR: the
 * callee is at fault, or cannot be reached. The others tell the caller about its own request.
 */
static const struct {
    const char *name;
    uint8_t outcome;
} grpc_rows[GRPC_STATUS_MAX + 1] = {
    [0] = {.name = "OK", .outcome = OUTCOME_OK},
    [1] = {.name = "CANCELLED", .outcome = OUTCOME_CANCELLED},
    [2] = {.name = "UNKNOWN", .outcome = OUTCOME_SERVER_ERROR},
    [3] = {.name = "INVALID_ARGUMENT", .outcome = OUTCOME_CLIENT_ERROR},
    [4] = {.name = "DEADLINE_EXCEEDED", .outcome = OUTCOME_SERVER_ERROR},
    [5] = {.name = "NOT_FOUND", .outcome = OUTCOME_CLIENT_ERROR},
    [6] = {.name = "ALREADY_EXISTS", .outcome = OUTCOME_CLIENT_ERROR},
    [7] = {.name = "PERMISSION_DENIED", .outcome = OUTCOME_CLIENT_ERROR},
    [8] = {.name = "RESOURCE_EXHAUSTED", .outcome = OUTCOME_CLIENT_ERROR},
    [9] = {.name = "FAILED_PRECONDITION", .outcome = OUTCOME_CLIENT_ERROR},
    [10] = {.name = "ABORTED", .outcome = OUTCOME_CLIENT_ERROR},
    [11] = {.name = "OUT_OF_RANGE", .outcome = OUTCOME_CLIENT_ERROR},
    [12] = {.name = "UNIMPLEMENTED", .outcome = OUTCOME_SERVER_ERROR},
    [13] = {.name = "INTERNAL", .outcome = OUTCOME_SERVER_ERROR},
    [14] = {.name = "UNAVAILABLE", .outcome = OUTCOME_SERVER_ERROR},
    [15] = {.name = "DATA_LOSS", .outcome = OUTCOME_SERVER_ERROR},
    [16] = {.name = "UNAUTHENTICATED", .outcome = OUTCOME_CLIENT_ERROR},
};

int16_t grpc_status_of_number(int64_t number)
{
    if (number < 0) {
        return GRPC_STATUS_NONE;
    }
    return number <= GRPC_STATUS_MAX ? (int16_t)number : GRPC_STATUS_UNKNOWN;
}

int16_t grpc_status_of(struct slice text)
{
    int64_t number = 0;

    if (text.length == 0) {
        return GRPC_STATUS_NONE;
    }
    for (int i = 0; i <= GRPC_STATUS_MAX; i++) {
        if (strlen(grpc_rows[i].name) == text.length &&
            strncasecmp(grpc_rows[i].name, (const char *)text.ptr, text.length) == 0) {
            return (int16_t)i;
        }
    }
    for (size_t i = 0; i < text.length; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9' || i >= GRPC_STATUS_DIGITS_MAX) {
            return GRPC_STATUS_NONE;
        }
        number = number * 10 + (text.ptr[i] - '0');
    }
    return grpc_status_of_number(number);
}

static enum outcome outcome_of_http(uint16_t code)
{
    if (code == 499) {
        return OUTCOME_CANCELLED;
    }
    if (code >= 500) {
        return OUTCOME_SERVER_ERROR;
    }
    return code >= 400 ? OUTCOME_CLIENT_ERROR : OUTCOME_OK;
}

/* Without any status code. */
static enum outcome outcome_without_code(const struct outcome_facts *facts)
{
    if (facts->expects_code) {
        return OUTCOME_NO_RESPONSE;
    }
    if ((facts->response_flags & ~RESPONSE_FLAGS_HARMLESS) != 0) {
        return OUTCOME_NO_RESPONSE;
    }
    return facts->failed ? OUTCOME_SERVER_ERROR : OUTCOME_OK;
}

enum outcome outcome_of(const struct outcome_facts *facts)
{
    /* A plain HTTP error before gRPC began to answer says more than the status that a client derived from it.
     */
    if (facts->grpc_status >= 0 && facts->response_code < 400) {
        return (enum outcome)
            grpc_rows[facts->grpc_status <= GRPC_STATUS_MAX ? facts->grpc_status : GRPC_STATUS_UNKNOWN]
                .outcome;
    }
    if (facts->response_code >= 400) {
        return outcome_of_http(facts->response_code);
    }
    if ((facts->response_flags & RESPONSE_FLAGS_DOWNSTREAM_GONE) != 0) {
        return OUTCOME_CANCELLED;
    }
    if (facts->response_code == 0) {
        return outcome_without_code(facts);
    }
    /* 2xx without the status that a gRPC answer ends with: it was cut off. */
    if (facts->protocol == PROTOCOL_GRPC &&
        (facts->failed || (facts->response_flags & ~RESPONSE_FLAGS_HARMLESS) != 0)) {
        return OUTCOME_SERVER_ERROR;
    }
    return outcome_of_http(facts->response_code);
}
