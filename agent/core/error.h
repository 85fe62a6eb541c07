/*
 * The one table of errors. Functions that can fail return 0 (or a count) on success and one of these,
 * negative, on failure. Library functions never log; the top of a call chain logs once.
 */
#ifndef WEFT_CORE_ERROR_H
#define WEFT_CORE_ERROR_H

#define WEFT_ERRORS(X)                                                                                       \
    X(NOMEM, 1, "out of memory, or a memory limit reached")                                                  \
    X(INVALID, 2, "value outside what the format allows")                                                    \
    X(TRUNCATED, 3, "input ends inside a field")                                                             \
    X(OVERSIZED, 4, "larger than its limit")                                                                 \
    X(DEPTH, 5, "nested deeper than its limit")                                                              \
    X(VARINT, 6, "varint longer than ten bytes")                                                             \
    X(WIRE_TYPE, 7, "wire type does not fit the field")                                                      \
    X(UTF8, 8, "string is not valid UTF-8")                                                                  \
    X(DICTIONARY, 9, "id that the dictionary does not hold")                                                 \
    X(COMPRESSION, 10, "compressed data is damaged or its encoding unknown")                                 \
    X(FULL, 11, "queue or table is full")                                                                    \
    X(IO, 12, "system call failed")                                                                          \
    X(AGAIN, 13, "nothing to do now, try later")                                                             \
    X(CLOSED, 14, "the peer or the owner closed it")                                                         \
    X(NOT_FOUND, 15, "no such entry")                                                                        \
    X(EXISTS, 16, "already there")                                                                           \
    X(CONFIG, 17, "configuration error")                                                                     \
    X(UNSUPPORTED, 18, "not supported")                                                                      \
    X(PERMISSION, 19, "permission denied")                                                                   \
    X(TIMEOUT, 20, "took longer than its limit")                                                             \
    X(PROTOCOL, 21, "the peer broke the protocol")                                                           \
    X(TLS, 22, "TLS failed")

enum werr {
#define WEFT_ERROR_ENUM(name, number, text) WERR_##name = -(number),
    WEFT_ERRORS(WEFT_ERROR_ENUM)
#undef WEFT_ERROR_ENUM
};

/* A static one-line text for a WERR_ code; "success" for 0 and above; never NULL. */
const char *werr_text(int error);

/* The code's name ("TRUNCATED", "OK" for 0 and above), as logs show it; never NULL. */
const char *werr_name(int error);

#endif
