/* The table of Envoy's response flags as data, and the reader of its text form. Any thread. */
#include "context/response_flags.h"

#include <stddef.h>

_Static_assert(RESPONSE_FLAG_COUNT <= 64, "one bit a flag");

struct flag_row {
    const char *name;
    const char *meaning;
    uint8_t length;
};

static const struct flag_row rows[RESPONSE_FLAG_COUNT] = {
#define WEFT_RESPONSE_FLAG_ROW(flag_name, flag_meaning)                                                      \
    {.name = #flag_name, .meaning = (flag_meaning), .length = sizeof(#flag_name) - 1},
    WEFT_RESPONSE_FLAGS(WEFT_RESPONSE_FLAG_ROW)
#undef WEFT_RESPONSE_FLAG_ROW
};

static uint64_t flag_of(struct slice name)
{
    for (unsigned i = 0; i < RESPONSE_FLAG_COUNT; i++) {
        if (rows[i].length == name.length && memcmp(rows[i].name, name.ptr, name.length) == 0) {
            return 1ull << i;
        }
    }
    return 0;
}

static struct slice trimmed(struct slice text)
{
    while (text.length > 0 && text.ptr[0] == ' ') {
        text = slice_sub(text, 1, text.length);
    }
    while (text.length > 0 && text.ptr[text.length - 1] == ' ') {
        text.length--;
    }
    return text;
}

uint64_t response_flags_parse(struct slice text)
{
    uint64_t flags = 0;

    while (text.length > 1) { /* no flag has one letter: nearly always it is "-" */
        size_t comma = slice_find(text, ',');
        struct slice name = trimmed(slice_sub(text, 0, comma));

        if (name.length > 0) {
            flags |= flag_of(name);
        }
        text = slice_sub(text, comma + 1, text.length);
    }
    return flags;
}

const char *response_flag_name(unsigned index)
{
    return index < RESPONSE_FLAG_COUNT ? rows[index].name : NULL;
}

const char *response_flag_meaning(unsigned index)
{
    return index < RESPONSE_FLAG_COUNT ? rows[index].meaning : NULL;
}
