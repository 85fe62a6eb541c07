/* The set of redacted names, see redaction.h. Built on the main thread, read-only afterwards. */
#include "decode/redaction.h"

#include <string.h>

#include "core/error.h"

_Static_assert(REDACTION_FILTER_WORDS * 64 == 1 << 10, "two times five bits select a filter bit");

const char *const redaction_default_names[] = {
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "x-api-key",
    "x-amz-security-token",
    NULL,
};

void redaction_init(struct redaction *redaction)
{
    redaction->name_count = 0;
    memset(redaction->filter, 0, sizeof redaction->filter);
}

static void filter_set(struct redaction *redaction, uint32_t bit)
{
    redaction->filter[bit / 64] |= 1ull << (bit % 64);
}

int redaction_add(struct redaction *redaction, const char *name)
{
    size_t length = strlen(name);

    if (length == 0) {
        return WERR_INVALID;
    }
    if (length > REDACTION_NAME_BYTES_MAX) {
        return WERR_OVERSIZED;
    }
    if (redaction->name_count == REDACTION_NAMES_MAX) {
        return WERR_FULL;
    }
    struct redaction_name *entry = &redaction->names[redaction->name_count++];
    entry->length = length;
    for (size_t i = 0; i < length; i++) {
        entry->text[i] = redaction_fold((uint8_t)name[i]);
    }
    struct slice folded = slice_of(entry->text, length);
    filter_set(redaction, redaction_filter_bit(folded));
    if (length == 1) {
        filter_set(redaction, (uint32_t)(entry->text[0] & 31) << 5 | ('.' & 31));
    }
    return 0;
}

void redaction_init_default(struct redaction *redaction)
{
    redaction_init(redaction);
    for (size_t i = 0; redaction_default_names[i] != NULL; i++) {
        (void)redaction_add(
            redaction, redaction_default_names[i]); /* a handful of short names: cannot fail */
    }
}

static bool ends_in_name(const struct redaction_name *name, struct slice key)
{
    if (key.length < name->length) {
        return false;
    }
    const uint8_t *tail = key.ptr + (key.length - name->length);
    for (size_t i = 0; i < name->length; i++) {
        if (redaction_fold(tail[i]) != name->text[i]) {
            return false;
        }
    }
    return key.length == name->length || tail[-1] == '.';
}

bool redaction_matches_name(const struct redaction *redaction, struct slice key)
{
    for (size_t i = 0; i < redaction->name_count; i++) {
        if (ends_in_name(&redaction->names[i], key)) {
            return true;
        }
    }
    return false;
}
