/* The client's strings: text to id and back. Ids are consecutive from 1 and never change, so they serve every
 * connection. */
#ifndef WEFT_CLIENT_STRINGS_H
#define WEFT_CLIENT_STRINGS_H

#include <stddef.h>
#include <stdint.h>

#include "core/slice.h"

struct strings {
    struct slice *texts; /* texts[id - 1]; owned */
    uint32_t count;
    uint32_t capacity;
    uint32_t *slots; /* ids by hash, 0 empty; open addressing, at most half full */
    uint32_t slot_count;
    size_t count_max;
};

void strings_init(struct strings *strings, size_t count_max);
void strings_deinit(struct strings *strings);

/* The text's id, given now if it is new; 0 when the table is full or memory is short. The text is copied. */
uint32_t strings_intern(struct strings *strings, struct slice text);

#endif
