/*
 * How a decoder says what was wrong and where. Two sizes of trouble: one record is refused for a reason that
 * a counter knows (enum record_error), or the message cannot be followed any further (a negative WERR_ code).
 * Both are located by a struct decode_error, which becomes text only when somebody has to be told.
 */
#ifndef WEFT_DECODE_DECODE_ERROR_H
#define WEFT_DECODE_DECODE_ERROR_H

#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

/* Why one record was refused; the texts are the `reason` label of weft_records_dropped_total. */
#define WEFT_RECORD_ERRORS(X)                                                                                \
    X(NONE, "none")                                                                                          \
    X(MALFORMED, "malformed")                                                                                \
    X(TRACE_ID, "invalid_trace_id")                                                                          \
    X(SPAN_ID, "invalid_span_id")                                                                            \
    X(END, "end_before_start")                                                                               \
    X(TIME, "time_out_of_range")                                                                             \
    X(UTF8, "invalid_utf8")                                                                                  \
    X(DICTIONARY, "unknown_dictionary_id")                                                                   \
    X(BUCKETS, "inconsistent_buckets")                                                                       \
    X(NO_VALUE, "no_recorded_value")

enum record_error {
#define WEFT_RECORD_ERROR_ENUM(name, text) RECORD_ERROR_##name,
    WEFT_RECORD_ERRORS(WEFT_RECORD_ERROR_ENUM)
#undef WEFT_RECORD_ERROR_ENUM
        RECORD_ERROR_COUNT
};

/* The reason's label value; never NULL. */
const char *record_error_name(enum record_error reason);

#define DECODE_NO_INDEX UINT32_MAX

struct decode_error {
    int code; /* WERR_ */
    enum record_error
        reason;        /* of a refused record; RECORD_ERROR_NONE when the message's structure is broken */
    uint32_t resource; /* index in the message; DECODE_NO_INDEX: not inside one */
    uint32_t scope;    /* index in its resource */
    uint32_t record;   /* index in the message, over all resources and scopes */
    const char *field; /* static; "" when not known */
};

/* A decode_error that locates nothing yet. */
static inline struct decode_error decode_error_of(int code, const char *field)
{
    return (struct decode_error){.code = code,
        .reason = RECORD_ERROR_NONE,
        .resource = DECODE_NO_INDEX,
        .scope = DECODE_NO_INDEX,
        .record = DECODE_NO_INDEX,
        .field = field};
}

enum { DECODE_ERROR_TEXT_BYTES = 192 };

/*
 * One line for the sender, e.g. "resource 0, scope 1, record 17, trace_id: invalid_trace_id". Always
 * NUL-terminated, cut when out_bytes is short. Returns the length written.
 */
size_t decode_error_format(const struct decode_error *error, char *out, size_t out_bytes);

#endif
