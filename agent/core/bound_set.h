/* Bounds in ns as a set: an array, ascending, each once. Pure; any thread. */
#ifndef WEFT_CORE_BOUND_SET_H
#define WEFT_CORE_BOUND_SET_H

#include <stddef.h>
#include <stdint.h>

/* Adds a bound unless it is there: the new count, or WERR_OVERSIZED past `room_count`, nothing changed. */
int bound_set_add(uint64_t *set_ns, size_t count, size_t room_count, uint64_t bound_ns);

#endif
