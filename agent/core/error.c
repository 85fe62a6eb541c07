/* Texts for the table of errors in error.h. No state. */
#include "core/error.h"

const char *werr_text(int error)
{
    switch (error) {
#define WEFT_ERROR_TEXT(name, number, text)                                                                  \
    case -(number):                                                                                          \
        return text;
        WEFT_ERRORS(WEFT_ERROR_TEXT)
#undef WEFT_ERROR_TEXT
    default:
        return error >= 0 ? "success" : "unknown error";
    }
}

const char *werr_name(int error)
{
    static const char *const names[] = {
#define WEFT_ERROR_NAME(name, number, text) [number] = #name,
        WEFT_ERRORS(WEFT_ERROR_NAME)
#undef WEFT_ERROR_NAME
    };
    const int name_count = (int)(sizeof names / sizeof names[0]);

    if (error >= 0) {
        return "OK";
    }
    return error > -name_count && names[-error] != 0 ? names[-error] : "UNKNOWN";
}
