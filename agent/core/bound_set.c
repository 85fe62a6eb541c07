/* See bound_set.h. */
#include "core/bound_set.h"

#include <string.h>

#include "core/error.h"

int bound_set_add(uint64_t *set_ns, size_t count, size_t room_count, uint64_t bound_ns)
{
    size_t at = count;

    while (at > 0 && set_ns[at - 1] >= bound_ns) {
        at--;
    }
    if (at < count && set_ns[at] == bound_ns) {
        return (int)count;
    }
    if (count == room_count) {
        return WERR_OVERSIZED;
    }
    memmove(&set_ns[at + 1], &set_ns[at], (count - at) * sizeof *set_ns);
    set_ns[at] = bound_ns;
    return (int)count + 1;
}
