/* The table of strings.h, behind the client's lock. */
#include "client/strings.h"

#include <stdlib.h>
#include <string.h>

enum { SLOTS_FIRST = 256, TEXTS_FIRST = 64 };

void strings_init(struct strings *strings, size_t count_max)
{
    *strings = (struct strings){.count_max = count_max};
}

void strings_deinit(struct strings *strings)
{
    for (uint32_t i = 0; i < strings->count; i++) {
        free((void *)(uintptr_t)strings->texts[i].ptr);
    }
    free(strings->texts);
    free(strings->slots);
    *strings = (struct strings){0};
}

/* FNV-1a, 32 bits (RFC draft-eastlake-fnv): few strings, hashed once each. */
static uint32_t hash(struct slice text)
{
    uint32_t value = 2166136261u;

    for (size_t i = 0; i < text.length; i++) {
        value = (value ^ text.ptr[i]) * 16777619u;
    }
    return value;
}

/* The slot that holds the text's id, or the empty one where it belongs. */
static uint32_t *find_slot(const struct strings *strings, struct slice text)
{
    uint32_t at = hash(text) & (strings->slot_count - 1);

    while (strings->slots[at] != 0 && !slice_equal(strings->texts[strings->slots[at] - 1], text)) {
        at = (at + 1) & (strings->slot_count - 1);
    }
    return &strings->slots[at];
}

static int grow_slots(struct strings *strings)
{
    uint32_t slot_count = strings->slot_count == 0 ? SLOTS_FIRST : strings->slot_count * 2;
    uint32_t *slots = calloc(slot_count, sizeof *slots);

    if (slots == NULL) {
        return -1;
    }
    free(strings->slots);
    strings->slots = slots;
    strings->slot_count = slot_count;
    for (uint32_t id = 1; id <= strings->count; id++) {
        *find_slot(strings, strings->texts[id - 1]) = id;
    }
    return 0;
}

static int grow_texts(struct strings *strings)
{
    uint32_t capacity = strings->capacity == 0 ? TEXTS_FIRST : strings->capacity * 2;
    struct slice *texts = realloc(strings->texts, capacity * sizeof *texts);

    if (texts == NULL) {
        return -1;
    }
    strings->texts = texts;
    strings->capacity = capacity;
    return 0;
}

uint32_t strings_intern(struct strings *strings, struct slice text)
{
    if (strings->count * 2 >= strings->slot_count && grow_slots(strings) < 0) {
        return 0;
    }
    uint32_t *slot = find_slot(strings, text);
    if (*slot != 0) {
        return *slot;
    }
    if (strings->count >= strings->count_max ||
        (strings->count == strings->capacity && grow_texts(strings) < 0)) {
        return 0;
    }
    uint8_t *copy = malloc(text.length + 1);
    if (copy == NULL) {
        return 0;
    }
    memcpy(copy, text.ptr, text.length);
    copy[text.length] = 0;
    strings->texts[strings->count++] = slice_of(copy, text.length);
    *slot = strings->count;
    return strings->count;
}
