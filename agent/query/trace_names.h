/*
 * A set of names, each with a kind: the services of an agent, the operations of a service. In order, of
 * limited size. Runs on the thread that owns it.
 */
#ifndef WEFT_QUERY_TRACE_NAMES_H
#define WEFT_QUERY_TRACE_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/slice.h"

enum { TRACE_NAMES_COUNT_MAX = 4096, TRACE_NAME_BYTES_MAX = 512 };

struct trace_name {
    uint8_t *text; /* the set's own */
    uint32_t length;
    uint8_t kind; /* enum span_kind */
};

struct trace_names {
    struct trace_name *items; /* by text, then kind */
    size_t count;
    size_t left_out_count; /* beyond a limit, or for want of memory */
};

void trace_names_init(struct trace_names *names);
void trace_names_deinit(struct trace_names *names);

/* Adds a name that is not there; an empty one is passed over, a longer one than TRACE_NAME_BYTES_MAX is cut.
 */
void trace_names_add(struct trace_names *names, struct slice text, uint8_t kind);

/* Adds all of another set. */
void trace_names_merge(struct trace_names *names, const struct trace_names *from);

#endif
