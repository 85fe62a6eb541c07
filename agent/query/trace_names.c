/* The set of trace_names.h: an array in order, searched by halves. */
#include "query/trace_names.h"

#include <stdlib.h>

enum { ITEMS_COUNT_FIRST = 16 };

void trace_names_init(struct trace_names *names)
{
    *names = (struct trace_names){.count = 0};
}

void trace_names_deinit(struct trace_names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        free(names->items[i].text);
    }
    free(names->items);
    trace_names_init(names);
}

static int compare(const struct trace_name *item, struct slice text, uint8_t kind)
{
    size_t shorter = item->length < text.length ? item->length : text.length;
    int order = memcmp(item->text, text.ptr, shorter);

    if (order == 0) {
        order = item->length < text.length ? -1 : item->length > text.length;
    }
    return order != 0 ? order : (int)item->kind - (int)kind;
}

/* Where the name is, or belongs. */
static size_t find(const struct trace_names *names, struct slice text, uint8_t kind)
{
    size_t low = 0;
    size_t high = names->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(&names->items[middle], text, kind) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool make_room(struct trace_names *names)
{
    size_t count = names->count;

    if (count == TRACE_NAMES_COUNT_MAX) {
        return false;
    }
    if (count != 0 && (count < ITEMS_COUNT_FIRST || (count & (count - 1)) != 0)) {
        return true;
    }
    size_t capacity = count == 0 ? ITEMS_COUNT_FIRST : 2 * count;
    struct trace_name *grown = realloc(names->items, capacity * sizeof *grown);
    if (grown != NULL) {
        names->items = grown;
    }
    return grown != NULL;
}

void trace_names_add(struct trace_names *names, struct slice text, uint8_t kind)
{
    text = slice_sub(text, 0, TRACE_NAME_BYTES_MAX);
    if (text.length == 0) {
        return;
    }
    size_t at = find(names, text, kind);
    if (at < names->count && compare(&names->items[at], text, kind) == 0) {
        return;
    }
    uint8_t *copy = make_room(names) ? malloc(text.length) : NULL;
    if (copy == NULL) {
        names->left_out_count++;
        return;
    }
    memcpy(copy, text.ptr, text.length);
    memmove(&names->items[at + 1], &names->items[at], (names->count - at) * sizeof names->items[0]);
    names->items[at] = (struct trace_name){.text = copy, .length = (uint32_t)text.length, .kind = kind};
    names->count++;
}

void trace_names_merge(struct trace_names *names, const struct trace_names *from)
{
    names->left_out_count += from->left_out_count;
    for (size_t i = 0; i < from->count; i++) {
        trace_names_add(names, slice_of(from->items[i].text, from->items[i].length), from->items[i].kind);
    }
}
