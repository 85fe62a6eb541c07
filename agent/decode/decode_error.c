/* Errors of decoders as text. Any thread. */
#include "decode/decode_error.h"

#include <stdarg.h>
#include <stdio.h>

const char *record_error_name(enum record_error reason)
{
    static const char *const names[RECORD_ERROR_COUNT] = {
#define WEFT_RECORD_ERROR_NAME(name, text) [RECORD_ERROR_##name] = (text),
        WEFT_RECORD_ERRORS(WEFT_RECORD_ERROR_NAME)
#undef WEFT_RECORD_ERROR_NAME
    };
    return (unsigned)reason < RECORD_ERROR_COUNT ? names[reason] : "unknown";
}

struct text {
    char *out;
    size_t capacity_bytes;
    size_t length;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *text, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(text->out + text->length, text->capacity_bytes - text->length, format, arguments);
    va_end(arguments);
    if (length > 0) {
        text->length += (size_t)length;
    }
    if (text->length >= text->capacity_bytes) {
        text->length = text->capacity_bytes - 1;
    }
}

size_t decode_error_format(const struct decode_error *error, char *out, size_t out_bytes)
{
    struct text text = {.out = out, .capacity_bytes = out_bytes};
    const char *between = "";

    if (out_bytes == 0) {
        return 0;
    }
    out[0] = '\0';
    const struct {
        const char *name;
        uint32_t index;
    } places[] = {{"resource", error->resource}, {"scope", error->scope}, {"record", error->record}};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (places[i].index != DECODE_NO_INDEX) {
            add(&text, "%s%s %u", between, places[i].name, places[i].index);
            between = ", ";
        }
    }
    if (error->field != NULL && error->field[0] != '\0') {
        add(&text, "%s%s", between, error->field);
        between = ", ";
    }
    const char *colon = between[0] != '\0' ? ": " : "";
    if (error->reason != RECORD_ERROR_NONE && error->reason != RECORD_ERROR_MALFORMED) {
        add(&text, "%s%s", colon, record_error_name(error->reason));
    } else {
        add(&text, "%s%s", colon, werr_text(error->code));
    }
    return text.length;
}
