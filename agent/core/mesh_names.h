/*
 * The meshes that the configuration names. Records carry a mesh as its number: 1 for the first name, 0 for
 * none, as where nothing is configured. The list outlives everybody who has numbers.
 */
#ifndef WEFT_CORE_MESH_NAMES_H
#define WEFT_CORE_MESH_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "core/slice.h"

enum { MESH_COUNT_MAX = 64 };

struct mesh_names {
    const char *const *items;
    size_t count; /* at most MESH_COUNT_MAX */
};

/* "" for 0 and numbers that are none. */
static inline const char *mesh_name(const struct mesh_names *names, uint32_t number)
{
    return number > 0 && number <= names->count ? names->items[number - 1] : "";
}

/* The number of a name; 0 when it is none of them. */
static inline uint32_t mesh_number(const struct mesh_names *names, struct slice name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (slice_equal(slice_of_string(names->items[i]), name)) {
            return (uint32_t)i + 1;
        }
    }
    return 0;
}

#endif
