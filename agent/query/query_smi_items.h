/*
 * The items of one SMI list while it is made: found by what they are about, so that one pass over the windows
 * fills them all. The aggregator's thread; one answer's.
 */
#ifndef WEFT_QUERY_QUERY_SMI_ITEMS_H
#define WEFT_QUERY_QUERY_SMI_ITEMS_H

#include <stdbool.h>
#include <stddef.h>

#include "aggregate/view.h"

enum {
    SMI_ITEMS_MAX = 1000, /* of a list; about how many more there are is said */
    SMI_ITEM_HEADS_COUNT = 2048
};

enum smi_kind { SMI_NAMESPACES, SMI_SERVICES };

/* What is asked about; slices of the path, or of the aggregator's strings. */
struct smi_resource {
    enum smi_kind kind;
    struct slice name;
    struct slice name_space; /* of a service */
};

/* What the windows of an item add up to. */
struct smi_figures {
    struct histogram_flat flat;
    struct window_values values;
};

struct smi_item {
    struct smi_resource resource; /* or an edge's far end */
    bool is_to;                   /* of an edge: towards the far end */
    enum reporter reporter;       /* whose windows it has */
    struct smi_item *next;        /* under the same head */
    struct smi_figures figures;
};

/* All zero = empty and valid. */
struct smi_items {
    struct smi_item *list[SMI_ITEMS_MAX]; /* in the order in which they were met */
    size_t count;
    size_t left_out_count;
    struct smi_item *heads[SMI_ITEM_HEADS_COUNT];
};

/* NULL is fine. */
void smi_items_deinit(struct smi_items *items);

/* NULL when it is not there. */
struct smi_item *smi_items_find(
    const struct smi_items *items, const struct smi_resource *resource, bool is_to);

/* Found, or made without figures, its reporter REPORTER_SOURCE. NULL, counted as left out, when there are too
 * many, or without memory. */
struct smi_item *smi_items_obtain(struct smi_items *items, const struct smi_resource *resource, bool is_to);

#endif
