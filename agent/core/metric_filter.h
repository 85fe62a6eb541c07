/*
 * What the configuration leaves out of metrics, and adds to them:
 *
 *   keep, drop     which families are shown: those that fit a pattern of `keep` (all, when it has none) and
 *                  none of `drop`; patterns are over the name that Prometheus shows, with `_total` or without
 *   drop_labels    labels of mesh_* that nobody needs: series that differ in them alone become one
 *   labels         static ones, on every series that has none of that name
 *
 * Pure; any thread.
 */
#ifndef WEFT_CORE_METRIC_FILTER_H
#define WEFT_CORE_METRIC_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { METRIC_LABELS_COUNT_MAX = 16 }; /* static ones */

/* Labels that can be dropped, as bits of a mask; the order of the key's choices. */
enum droppable_label {
    DROPPABLE_METHOD,
    DROPPABLE_PROTOCOL,
    DROPPABLE_RESPONSE_CODE,
    DROPPABLE_GRPC_STATUS,
    DROPPABLE_COUNT
};

static inline bool label_is_dropped(uint32_t dropped, enum droppable_label label)
{
    return (dropped >> label & 1) != 0;
}

struct metric_patterns {
    const char **items; /* as fnmatch(3) reads them; borrowed */
    size_t count;
};

struct metric_filter {
    struct metric_patterns keep;
    struct metric_patterns drop;
};

/* `name` without `_total`. */
bool metric_filter_shows(const struct metric_filter *filter, const char *name);

#endif
